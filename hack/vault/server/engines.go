// SPDX-License-Identifier: Apache-2.0

package main

import (
	"maps"
	"slices"

	gcp "github.com/hashicorp/vault-plugin-auth-gcp/plugin"
	jwt "github.com/hashicorp/vault-plugin-auth-jwt"
	kubernetes "github.com/hashicorp/vault-plugin-auth-kubernetes"
	kv "github.com/hashicorp/vault-plugin-secrets-kv"
	"github.com/hashicorp/vault/builtin/credential/approle"
	aws "github.com/hashicorp/vault/builtin/credential/aws"
	"github.com/hashicorp/vault/builtin/credential/cert"
	"github.com/hashicorp/vault/builtin/credential/ldap"
	"github.com/hashicorp/vault/builtin/credential/userpass"
	dbengine "github.com/hashicorp/vault/builtin/logical/database"
	"github.com/hashicorp/vault/sdk/helper/consts"
	"github.com/hashicorp/vault/sdk/logical"
)

// A registry is all that this Vault can mount, besides what every Vault has:
// sys, identity, cubbyhole and token. Vault asks it as its BuiltinRegistry.
type registry struct {
	secrets, logins map[string]logical.Factory
	databases       map[string]func() (any, error)
}

func engines(dbs *databases) registry {
	r := registry{
		secrets: map[string]logical.Factory{
			"kv":       kv.Factory,
			"database": dbengine.Factory,
		},
		logins: map[string]logical.Factory{
			"approle":    approle.Factory,
			"aws":        aws.Factory,
			"cert":       cert.Factory,
			"gcp":        gcp.Factory,
			"jwt":        jwt.Factory,
			"kubernetes": kubernetes.Factory,
			"ldap":       ldap.Factory,
			"oidc":       jwt.Factory,
			"userpass":   userpass.Factory,
		},
		databases: map[string]func() (any, error){databasePlugin: dbs.plugin},
	}
	if pkiFactory != nil {
		r.secrets["pki"] = pkiFactory
	}
	return r
}

// Get returns what Vault calls to make one.
func (r registry) Get(name string, kind consts.PluginType) (func() (any, error), bool) {
	var factory logical.Factory
	switch kind {
	case consts.PluginTypeDatabase:
		f, ok := r.databases[name]
		return f, ok
	case consts.PluginTypeCredential:
		factory = r.logins[name]
	case consts.PluginTypeSecrets:
		factory = r.secrets[name]
	case consts.PluginTypeUnknown:
	}
	return func() (any, error) { return factory, nil }, factory != nil
}

// Contains says whether it can be mounted.
func (r registry) Contains(name string, kind consts.PluginType) bool {
	_, ok := r.Get(name, kind)
	return ok
}

// Keys lists the names of a kind.
func (r registry) Keys(kind consts.PluginType) []string {
	switch kind {
	case consts.PluginTypeDatabase:
		return slices.Sorted(maps.Keys(r.databases))
	case consts.PluginTypeCredential:
		return slices.Sorted(maps.Keys(r.logins))
	case consts.PluginTypeSecrets:
		return slices.Sorted(maps.Keys(r.secrets))
	case consts.PluginTypeUnknown:
	}
	return nil
}

// DeprecationStatus says of everything that it is supported.
func (r registry) DeprecationStatus(name string, kind consts.PluginType) (consts.DeprecationStatus, bool) {
	if !r.Contains(name, kind) {
		return consts.Unknown, false
	}
	return consts.Supported, true
}

// IsBuiltinEntPlugin is for the edition that is sold.
func (r registry) IsBuiltinEntPlugin(string, consts.PluginType) bool { return false }
