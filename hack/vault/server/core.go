// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/vault/audit"
	"github.com/hashicorp/vault/builtin/audit/file"
	"github.com/hashicorp/vault/helper/experiments"
	"github.com/hashicorp/vault/helper/namespace"
	"github.com/hashicorp/vault/sdk/logical"
	"github.com/hashicorp/vault/sdk/physical"
	physfile "github.com/hashicorp/vault/sdk/physical/file"
	"github.com/hashicorp/vault/sdk/physical/inmem"
	"github.com/hashicorp/vault/vault"
	"github.com/hashicorp/vault/version"
)

// What lies in the data folder.
const (
	storageName   = "vault"          // Vault's encrypted storage
	keysName      = "keys.json"      // the unseal key and the root token, in the clear
	databasesName = "databases.json" // users of the pretended databases, in the clear
)

func vaultVersion() string { return version.GetVersion().Version }

// newCore makes a Vault that is sealed.
func newCore(o options, dbs *databases, logger hclog.Logger) (*vault.Core, error) {
	storage, kind, err := newStorage(o.data, logger)
	if err != nil {
		return nil, err
	}
	in := engines(dbs)
	conf := &vault.CoreConfig{
		Physical:           storage,
		StorageType:        kind,
		Logger:             logger,
		DisableMlock:       true, // needs a privilege, and protects nothing here
		BuiltinRegistry:    in,
		LogicalBackends:    in.secrets,
		CredentialBackends: in.logins,
		AuditBackends:      map[string]audit.Factory{"file": file.Factory},
	}
	if o.events {
		conf.Experiments = []string{experiments.VaultExperimentEventsAlpha1}
	}
	return vault.NewCore(conf)
}

func newStorage(data string, logger hclog.Logger) (physical.Backend, string, error) {
	if data == "" {
		storage, err := inmem.NewInmem(nil, logger)
		return storage, "inmem", err
	}
	dir := filepath.Join(data, storageName)
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, "", err
	}
	storage, err := physfile.NewFileBackend(map[string]string{"path": dir}, logger)
	return storage, "file", err
}

// secretKeys open a Vault and everything in it.
type secretKeys struct {
	Unseal    []byte `json:"unseal"`
	RootToken string `json:"rootToken"`
}

// open brings the core to work: a new one is set up, one that was in the data
// folder is unsealed unless it is to stay sealed.
func open(ctx context.Context, core *vault.Core, o options) (secretKeys, error) {
	keys, err := readKeys(o.data)
	if errors.Is(err, fs.ErrNotExist) {
		return setUp(ctx, core, o)
	}
	if err != nil {
		return keys, err
	}
	if o.rootToken != "" && o.rootToken != keys.RootToken {
		return keys, fmt.Errorf("the Vault in %s has another root token", o.data)
	}
	if o.sealed {
		return keys, nil
	}
	return keys, unseal(core, keys.Unseal)
}

func readKeys(data string) (secretKeys, error) {
	var keys secretKeys
	if data == "" {
		return keys, fs.ErrNotExist
	}
	text, err := os.ReadFile(filepath.Join(data, keysName))
	if err != nil {
		return keys, err
	}
	if json.Unmarshal(text, &keys) != nil { // whose error could quote the keys
		return keys, fmt.Errorf("%s in %s is damaged", keysName, data)
	}
	return keys, nil
}

func unseal(core *vault.Core, key []byte) error {
	done, err := core.Unseal(append([]byte(nil), key...)) // it clears what it is given
	if err != nil {
		return fmt.Errorf("unseal: %w", err)
	}
	if !done {
		return errors.New("one key did not unseal it")
	}
	return nil
}

// setUp initialises a Vault with one key, the root token that was asked for,
// KV version 2 on secret/ and version 1 on kv1/.
func setUp(ctx context.Context, core *vault.Core, o options) (secretKeys, error) {
	first, err := core.Initialize(namespace.RootContext(ctx), &vault.InitParams{
		BarrierConfig:  &vault.SealConfig{SecretShares: 1, SecretThreshold: 1},
		RecoveryConfig: &vault.SealConfig{SecretShares: 1, SecretThreshold: 1},
	})
	if err != nil {
		return secretKeys{}, fmt.Errorf("initialise: %w", err)
	}
	keys := secretKeys{Unseal: first.SecretShares[0], RootToken: first.RootToken}
	if err := unseal(core, keys.Unseal); err != nil {
		return keys, err
	}
	if o.rootToken != "" {
		data := map[string]any{"id": o.rootToken, "policies": []string{"root"}, "no_parent": true, "no_default_policy": true}
		if err := write(ctx, core, keys, "auth/token/create", data); err != nil {
			return keys, err
		}
		if err := write(ctx, core, keys, "auth/token/revoke-self", nil); err != nil {
			return keys, err
		}
		keys.RootToken = o.rootToken
	}
	for path, version := range map[string]string{"secret": "2", "kv1": "1"} {
		mount := map[string]any{"type": "kv", "options": map[string]string{"version": version}}
		if err := write(ctx, core, keys, "sys/mounts/"+path, mount); err != nil {
			return keys, err
		}
	}
	if o.data == "" {
		return keys, nil
	}
	text, err := json.Marshal(keys)
	if err != nil {
		return keys, err
	}
	return keys, os.WriteFile(filepath.Join(o.data, keysName), text, 0o600)
}

// enableAudit writes every request and answer to where the options say; of a
// Vault that was there before, to nowhere else. A sealed one has what it had.
func enableAudit(ctx context.Context, core *vault.Core, o options, keys secretKeys) error {
	if o.sealed {
		return nil
	}
	const path = "sys/audit/file"
	if err := request(ctx, core, keys, logical.DeleteOperation, path, nil); err != nil {
		return err
	}
	if o.audit == "" {
		return nil
	}
	return write(ctx, core, keys, path, map[string]any{"type": "file", "options": map[string]string{"file_path": o.audit}})
}

func write(ctx context.Context, core *vault.Core, keys secretKeys, path string, data map[string]any) error {
	return request(ctx, core, keys, logical.UpdateOperation, path, data)
}

// request asks Vault as root, past the HTTP handler.
func request(ctx context.Context, core *vault.Core, keys secretKeys, op logical.Operation, path string, data map[string]any) error {
	response, err := core.HandleRequest(namespace.RootContext(ctx), &logical.Request{
		Operation: op, Path: path, Data: data, ClientToken: keys.RootToken,
	})
	if err == nil && response.IsError() {
		err = response.Error()
	}
	if err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}
