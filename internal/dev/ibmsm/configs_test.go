// SPDX-License-Identifier: Apache-2.0

package ibmsm

import (
	"strings"
	"testing"

	"github.com/IBM/go-sdk-core/v5/core"
	sm "github.com/IBM/secrets-manager-go-sdk/v2/secretsmanagerv2"
)

func TestConfigurations(t *testing.T) {
	s, hs := start(t, Options{})
	c := client(t, hs, managerKey)
	create := func(p sm.ConfigurationPrototypeIntf) int {
		_, r, err := c.CreateConfiguration(&sm.CreateConfigurationOptions{ConfigurationPrototype: p})
		return code(t, r, err)
	}
	template := &sm.PrivateCertificateConfigurationTemplatePrototype{
		ConfigType: core.StringPtr("private_cert_configuration_template"), Name: core.StringPtr("servers"), CertificateAuthority: core.StringPtr("my-ca"),
	}
	engine := &sm.IAMCredentialsConfigurationPrototype{
		ConfigType: core.StringPtr("iam_credentials_configuration"), Name: core.StringPtr("engine"), ApiKey: core.StringPtr("canary-key"),
	}
	if a, b, c := create(template), create(engine), create(template); a != 201 || b != 201 || c != 409 {
		t.Errorf("create: %d, %d and %d for a name that is taken", a, b, c)
	}
	list := call(t, s, "GET", "/api/v2/configurations").Body.String()
	if !strings.Contains(list, `"total_count":2`) || strings.Contains(list, "canary") {
		t.Error("the list has not both, or shows a secret")
	}
	if body := call(t, s, "GET", "/api/v2/configurations?secret_types=private_cert").Body.String(); !strings.Contains(body, `"total_count":1`) {
		t.Error("the filter by type does not filter")
	}
	if body := call(t, s, "GET", "/api/v2/configurations/engine").Body.String(); !strings.Contains(body, "canary-key") {
		t.Error("the configuration itself is not whole")
	}
	id, err := s.Put(Seed{Name: "cert", Type: "private_cert", Fields: map[string]any{"certificate_template": "servers", "common_name": "a.example"}})
	if err != nil {
		t.Fatal(err)
	}
	if body := call(t, s, "GET", "/api/v2/secrets/"+id+"/metadata").Body.String(); !strings.Contains(body, `"certificate_authority":"my-ca"`) {
		t.Error("the template's authority is not the certificate's")
	}
	name := "servers"
	_, _, err = c.UpdateConfiguration(&sm.UpdateConfigurationOptions{Name: &name, ConfigurationPatch: map[string]any{"max_ttl": "2h"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, r, err := c.UpdateConfiguration(&sm.UpdateConfigurationOptions{Name: &name, ConfigurationPatch: map[string]any{"name": "x"}}); code(t, r, err) != 400 {
		t.Errorf("a configuration was renamed: %v", err)
	}
	wrong := core.StringPtr("iam_credentials_configuration")
	if _, r, err := c.GetConfiguration(&sm.GetConfigurationOptions{Name: &name, XSmAcceptConfigurationType: wrong}); code(t, r, err) != 400 {
		t.Errorf("a configuration of another type: %v", err)
	}
	for _, want := range []int{204, 404} {
		if r, err := c.DeleteConfiguration(&sm.DeleteConfigurationOptions{Name: &name}); code(t, r, err) != want {
			t.Errorf("delete: %v, want %d", err, want)
		}
	}
}

func TestSignCSR(t *testing.T) {
	_, hs := start(t, Options{})
	c := client(t, hs, managerKey)
	root := "root"
	_, _, err := c.CreateConfiguration(&sm.CreateConfigurationOptions{ConfigurationPrototype: &sm.PrivateCertificateConfigurationRootCAPrototype{
		ConfigType: core.StringPtr("private_cert_configuration_root_ca"), Name: &root, CommonName: core.StringPtr("ca"), MaxTTL: core.StringPtr("1h"),
	}})
	if err != nil {
		t.Fatal(err)
	}
	key, err := newKey("ECDSA384")
	if err != nil {
		t.Fatal(err)
	}
	csr, err := newCSR("signed.example", key)
	if err != nil {
		t.Fatal(err)
	}
	got, _, err := c.CreateConfigurationAction(&sm.CreateConfigurationActionOptions{
		Name: &root, ConfigActionPrototype: &sm.PrivateCertificateConfigurationActionSignCSRPrototype{
			ActionType: core.StringPtr(configAction + "sign_csr"), Csr: &csr,
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	data := got.(*sm.PrivateCertificateConfigurationActionSignCSR).Data
	verify(t, *data.Certificate, *data.IssuingCa, data.CaChain[1], "signed.example")
}

func TestNotifications(t *testing.T) {
	_, hs := start(t, Options{})
	c := client(t, hs, managerKey)
	get := func() int {
		_, r, err := c.GetNotificationsRegistration(&sm.GetNotificationsRegistrationOptions{})
		return code(t, r, err)
	}
	register := func() int {
		_, r, err := c.CreateNotificationsRegistration(&sm.CreateNotificationsRegistrationOptions{
			EventNotificationsInstanceCrn: core.StringPtr("crn:v1:en"), EventNotificationsSourceName: core.StringPtr("source"),
		})
		return code(t, r, err)
	}
	if a, b, c, d := get(), register(), register(), get(); a != 404 || b != 201 || c != 409 || d != 200 {
		t.Errorf("got %d, %d, %d, %d", a, b, c, d)
	}
	if r, err := c.GetNotificationsRegistrationTest(&sm.GetNotificationsRegistrationTestOptions{}); code(t, r, err) != 204 {
		t.Errorf("test: %v", err)
	}
	if r, err := c.DeleteNotificationsRegistration(&sm.DeleteNotificationsRegistrationOptions{}); code(t, r, err) != 204 || get() != 404 {
		t.Errorf("delete: %v", err)
	}
}
