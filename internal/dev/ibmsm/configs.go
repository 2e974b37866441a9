// SPDX-License-Identifier: Apache-2.0

package ibmsm

import (
	"cmp"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

// config is a configuration: a document that this server keeps and does not act upon, but for the certificate authority
// that a template names. Secrets may name configurations that do not exist.
type config struct {
	name, typ, createdBy string
	created, updated     time.Time
	doc                  fields // what the caller gave, and the status of a CA
}

// configTypes are the types of configuration, and the secret type that each is for.
var configTypes = map[string]string{ // #nosec G101 -- names of types, not credentials
	"public_cert_configuration_ca_lets_encrypt":             "public_cert",
	"public_cert_configuration_dns_classic_infrastructure":  "public_cert",
	"public_cert_configuration_dns_cloud_internet_services": "public_cert",
	"iam_credentials_configuration":                         "iam_credentials",
	"private_cert_configuration_root_ca":                    "private_cert",
	"private_cert_configuration_intermediate_ca":            "private_cert",
	"private_cert_configuration_template":                   "private_cert",
	"custom_credentials_configuration":                      "custom_credentials",
}

// configSecrets are the fields that lists leave out.
var configSecrets = []string{
	"lets_encrypt_private_key", "cloud_internet_services_apikey", "classic_infrastructure_username",
	"classic_infrastructure_password", "api_key", "data",
}

func (s *Server) createConfig(r *request) (answer, *apiError) {
	body, apiErr := r.object()
	if apiErr != nil {
		return answer{}, apiErr
	}
	c := &config{name: text(body["name"]), typ: text(body["config_type"]), createdBy: r.user, created: r.now, updated: r.now, doc: body}
	if configTypes[c.typ] == "" {
		return answer{}, errInvalid("/config_type", "required, and one of IBM's")
	}
	if why := checkText(2, 256)(c.name, r.now); why != "" {
		return answer{}, errInvalid("/name", why)
	}
	if s.store.configs[c.name] != nil {
		return answer{}, errExists("configuration", c.name)
	}
	switch c.typ {
	case "private_cert_configuration_root_ca":
		c.doc["status"] = "configured"
	case "private_cert_configuration_intermediate_ca":
		c.doc["status"] = "signing_required"
	}
	s.store.configs[c.name] = c
	return answer{http.StatusCreated, c.render()}, nil
}

func (c *config) render() fields {
	out := maps.Clone(c.doc)
	maps.Copy(out, fields{
		"name": c.name, "config_type": c.typ, "secret_type": configTypes[c.typ], "created_by": c.createdBy,
		"created_at": stamp(c.created), "updated_at": stamp(c.updated),
	})
	return out
}

func (s *Server) configOf(r *request) (*config, *apiError) {
	c := s.store.configs[r.path("name")]
	if c == nil {
		return nil, errNotFound("configuration", r.path("name"))
	}
	if t := r.http.Header.Get("X-Sm-Accept-Configuration-Type"); t != "" && t != c.typ {
		return nil, errInvalid("/config_type", "the configuration is of another type")
	}
	return c, nil
}

func (s *Server) getConfig(r *request) (answer, *apiError) {
	c, apiErr := s.configOf(r)
	if apiErr != nil {
		return answer{}, apiErr
	}
	return answer{http.StatusOK, c.render()}, nil
}

func (s *Server) patchConfig(r *request) (answer, *apiError) {
	c, apiErr := s.configOf(r)
	if apiErr != nil {
		return answer{}, apiErr
	}
	patch, apiErr := r.object()
	if apiErr != nil {
		return answer{}, apiErr
	}
	for _, fixed := range []string{"name", "config_type"} {
		if _, given := patch[fixed]; given {
			return answer{}, errInvalid("/"+fixed, "unknown or not permitted here")
		}
	}
	c.doc, c.updated = object(mergePatch(c.doc, patch)), r.now
	return answer{http.StatusOK, c.render()}, nil
}

func (s *Server) deleteConfig(r *request) (answer, *apiError) {
	c, apiErr := s.configOf(r)
	if apiErr != nil {
		return answer{}, apiErr
	}
	delete(s.store.configs, c.name)
	return answer{status: http.StatusNoContent}, nil
}

// configSortKeys compares configurations by each field that a list can be sorted by.
var configSortKeys = map[string]func(a, b *config) int{
	"name":        func(a, b *config) int { return cmp.Compare(a.name, b.name) },
	"config_type": func(a, b *config) int { return cmp.Compare(a.typ, b.typ) },
	"secret_type": func(a, b *config) int { return cmp.Compare(configTypes[a.typ], configTypes[b.typ]) },
	"created_at":  func(a, b *config) int { return a.created.Compare(b.created) },
	"updated_at":  func(a, b *config) int { return a.updated.Compare(b.updated) },
}

// listConfigs lists configurations without their secrets.
func (s *Server) listConfigs(r *request) (answer, *apiError) {
	v := r.http.URL.Query()
	p, apiErr := parsePage(v, s.opts.PageLimit, s.opts.MaxPageLimit)
	if apiErr != nil {
		return answer{}, apiErr
	}
	key, desc := strings.CutPrefix(cmp.Or(v.Get("sort"), "config_type"), "-")
	by := configSortKeys[key]
	if by == nil {
		return answer{}, errInvalid("/sort", "unknown field")
	}
	types, search := commaList(v.Get("secret_types")), strings.ToLower(v.Get("search"))
	var found []*config
	for _, c := range s.store.configs {
		if (len(types) == 0 || slices.Contains(types, configTypes[c.typ])) && strings.Contains(strings.ToLower(c.name+" "+c.typ), search) {
			found = append(found, c)
		}
	}
	slices.SortFunc(found, func(a, b *config) int {
		c := by(a, b)
		if desc {
			c = -c
		}
		return cmp.Or(c, cmp.Compare(a.name, b.name))
	})
	list := []fields{}
	for _, c := range cut(p, found) {
		f := c.render()
		for _, name := range configSecrets {
			delete(f, name)
		}
		list = append(list, f)
	}
	out := p.envelope(selfURL(r.http), len(found))
	out["configurations"] = list
	return answer{http.StatusOK, out}, nil
}

// Event Notifications: the registration is kept and nothing is sent.

func (s *Server) register(r *request) (answer, *apiError) {
	body, apiErr := r.object()
	if apiErr != nil {
		return answer{}, apiErr
	}
	for _, name := range []string{"event_notifications_instance_crn", "event_notifications_source_name"} {
		if text(body[name]) == "" {
			return answer{}, errInvalid("/"+name, "required")
		}
	}
	if s.store.registration != nil {
		return answer{}, errExists("registration", "Event Notifications")
	}
	s.store.registration = fields{"event_notifications_instance_crn": body["event_notifications_instance_crn"]}
	return answer{http.StatusCreated, s.store.registration}, nil
}

func (s *Server) registered() *apiError {
	if s.store.registration == nil {
		return errNotFound("registration", "Event Notifications")
	}
	return nil
}

func (s *Server) getRegistration(*request) (answer, *apiError) {
	return answer{http.StatusOK, s.store.registration}, s.registered()
}

func (s *Server) testRegistration(*request) (answer, *apiError) {
	return answer{status: http.StatusNoContent}, s.registered()
}

func (s *Server) unregister(*request) (answer, *apiError) {
	apiErr := s.registered()
	s.store.registration = nil
	return answer{status: http.StatusNoContent}, apiErr
}
