// SPDX-License-Identifier: Apache-2.0

package cli_test

import (
	"context"
	"encoding/pem"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"os/signal"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/lockstep-secrets/lockstep/internal/cli"
	"github.com/lockstep-secrets/lockstep/internal/dev/ibmsm"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"lockstep": func() {
			ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
			code := cli.Run(ctx, os.Args[1:], os.Environ(), os.Stdin, os.Stdout, os.Stderr)
			stop()
			os.Exit(code)
		},
	})
}

// TestScripts types what a person would. Each script has a stand-in of its own
// for IBM Cloud Secrets Manager, with one login and one kv secret in it.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Cmds:                map[string]func(*testscript.TestScript, bool, []string){"envsubst": envsubst},
		Setup: func(e *testscript.Env) error {
			ibm := ibmsm.New(ibmsm.Options{Keys: map[string]ibmsm.Role{"reader": ibmsm.SecretsReader}})
			server := httptest.NewServer(ibm)
			e.Defer(server.Close)
			login, err := ibm.Put(ibmsm.Seed{
				Type: "username_password", Name: "login", Fields: map[string]any{"username": "user123", "password": "CANARY-cloudy"},
			})
			if err != nil {
				return err
			}
			kv, err := ibm.Put(ibmsm.Seed{Type: "kv", Name: "kv", Fields: map[string]any{"data": map[string]any{"a": "CANARY-kv"}}})
			if err != nil {
				return err
			}
			secure := httptest.NewUnstartedServer(ibm)
			secure.Config.ErrorLog = log.New(io.Discard, "", 0) // of the handshakes that fail
			secure.StartTLS()
			e.Defer(secure.Close)
			ca := filepath.Join(e.WorkDir, "secure-ca.pem")
			block := &pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw}
			if err := os.WriteFile(ca, pem.EncodeToMemory(block), 0o600); err != nil {
				return err
			}
			e.Setenv("SECURE_URL", secure.URL)
			e.Setenv("SECURE_CA", ca)
			e.Setenv("LOGIN_ID", login)
			e.Setenv("KV_ID", kv)
			e.Setenv("IBM_CLOUD_SECRETS_MANAGER_API_ENDPOINT", server.URL+"/api/")
			e.Setenv("IBM_CLOUD_SECRETS_MANAGER_API_AUTH_URL", server.URL)
			e.Setenv("IBM_CLOUD_SECRETS_MANAGER_API_APIKEY", "reader")
			return nil
		},
	})
}

// envsubst puts the variables of the script into a file.
func envsubst(ts *testscript.TestScript, _ bool, args []string) {
	for _, name := range args {
		text := os.Expand(ts.ReadFile(name), ts.Getenv)
		ts.Check(os.WriteFile(ts.MkAbs(name), []byte(text), 0o600))
	}
}
