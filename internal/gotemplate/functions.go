// SPDX-License-Identifier: Apache-2.0

package gotemplate

import (
	"encoding/hex"
	"fmt"
	"maps"
	"strings"
	"text/template"

	"sigs.k8s.io/yaml"
)

// hashName is the third argument of htpasswd. Its own type takes a constant and no other text, as in ESO.
type hashName string

// own are the functions that the library does not have, has otherwise, or has without a bound.
func (e *Engine) own() template.FuncMap {
	zone := e.dateInZone()
	out := template.FuncMap{
		"date_in_zone": zone, "dateInZone": zone,
		"htmlDateInZone": func(date any, name string) string { return zone("2006-01-02", date, name) },

		"print": fmt.Sprint, "printf": fmt.Sprintf, "println": fmt.Sprintln,
		"html": template.HTMLEscaper, "js": template.JSEscaper, "urlquery": template.URLQueryEscaper,

		"hexdec": hexdec, "htpasswd": e.htpasswd, "derivePassword": e.derivePassword(),
		"toYaml": toYAML, "fromYaml": fromYAML,

		"pkcs12key": func(in string) (string, error) { return pkcs12Key("", in) }, "pkcs12keyPass": pkcs12Key,
		"pkcs12cert": func(in string) (string, error) { return pkcs12Cert("", in) }, "pkcs12certPass": pkcs12Cert,
		"pemToPkcs12":               func(cert, key string) (string, error) { return pemToPKCS12(cert, key, "") },
		"pemToPkcs12Pass":           pemToPKCS12,
		"fullPemToPkcs12":           func(cert, key string) (string, error) { return fullPEMToPKCS12(cert, key, "") },
		"fullPemToPkcs12Pass":       fullPEMToPKCS12,
		"pemTruststoreToPKCS12":     func(certs string) (string, error) { return trustStoreToPKCS12(certs, "") },
		"pemTruststoreToPKCS12Pass": trustStoreToPKCS12,

		"filterPEM": filterPEM, "filterCertChain": filterCertChain, "certSANs": certSANs,
		"jwkPublicKeyPem": jwkPublicKeyPEM, "jwkPrivateKeyPem": jwkPrivateKeyPEM, "rsaDecrypt": rsaDecrypt,
	}
	maps.Copy(out, e.expressions())
	return out
}

// hexdec is the text that hexadecimal digits stand for, or, as b64dec does, says why not.
func hexdec(s string) string {
	out, err := hex.DecodeString(s)
	if err != nil {
		return err.Error()
	}
	return string(out)
}

// htpasswd is a line of such a file.
func (e *Engine) htpasswd(user, password string, hash hashName) string {
	if strings.Contains(user, ":") {
		return "invalid username: " + user
	}
	if hash == "sha" {
		return user + ":{SHA}" + sha1Base64(password)
	}
	bcrypt, _ := e.library["bcrypt"].(func(string) string)
	return user + ":" + bcrypt(password)
}

// toYAML is v without a line feed at its end, and nothing if v cannot be written.
func toYAML(v any) string {
	out, err := yaml.Marshal(v)
	if err != nil {
		return ""
	}
	return strings.TrimSuffix(string(out), "\n")
}

// fromYAML is the mapping that doc is. Of what is none, the key Error says why; that is a value, as it is in ESO.
func fromYAML(doc string) map[string]any {
	out := map[string]any{}
	if err := yaml.Unmarshal([]byte(doc), &out); err != nil {
		out["Error"] = err.Error()
	}
	return out
}
