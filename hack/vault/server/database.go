// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	dbplugin "github.com/hashicorp/vault/sdk/database/dbplugin/v5"
)

const (
	// databasePlugin is the plugin_name, its connection_url memory://NAME.
	databasePlugin = "memory-database-plugin"
	// databasePrefix is where tests look into the databases: GET NAME lists
	// the users, GET NAME/login answers 204 or 401 to basic authentication,
	// PUT and DELETE NAME/down make it fail and work again.
	databasePrefix = "/_database/"
)

// errDown is what a database says after PUT NAME/down.
var errDown = errors.New("connection refused")

// databases pretend to be the database servers that Vault makes users in.
// Engine, roles, leases and revocation are Vault's own; only the users' home
// is a map. Like a real one it outlives a restart when there is a data folder.
type databases struct {
	file string // "" keeps them in memory

	mu    sync.Mutex
	users map[string]map[string]string // database, user, password
	down  map[string]bool
}

func openDatabases(data string) (*databases, error) {
	d := &databases{users: map[string]map[string]string{}, down: map[string]bool{}}
	if data == "" {
		return d, nil
	}
	d.file = filepath.Join(data, databasesName)
	text, err := os.ReadFile(d.file)
	if errors.Is(err, fs.ErrNotExist) {
		return d, nil
	}
	if err != nil {
		return nil, err
	}
	if json.Unmarshal(text, &d.users) != nil { // whose error could quote a password
		return nil, fmt.Errorf("%s is damaged", d.file)
	}
	return d, nil
}

// change alters the users of a database that is up, and keeps them.
func (d *databases) change(name string, alter func(users map[string]string)) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.down[name] {
		return errDown
	}
	if d.users[name] == nil {
		d.users[name] = map[string]string{}
	}
	alter(d.users[name])
	if d.file == "" {
		return nil
	}
	text, err := json.Marshal(d.users)
	if err != nil {
		return err
	}
	return os.WriteFile(d.file, text, 0o600)
}

// ServeHTTP answers what databasePrefix promises.
func (d *databases) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name, verb, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, databasePrefix), "/")
	d.mu.Lock()
	defer d.mu.Unlock()
	switch r.Method + " " + verb {
	case "GET ":
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(map[string]any{"users": slices.AppendSeq([]string{}, maps.Keys(d.users[name]))})
	case "GET login":
		user, password, _ := r.BasicAuth()
		status := http.StatusNoContent
		if have, ok := d.users[name][user]; !ok || have != password {
			status = http.StatusUnauthorized
		}
		w.WriteHeader(status)
	case "PUT down", "DELETE down":
		d.down[name] = r.Method == http.MethodPut
		w.WriteHeader(http.StatusNoContent)
	default:
		http.NotFound(w, r)
	}
}

// plugin makes what the database engine calls, one for each configuration.
func (d *databases) plugin() (any, error) { return &database{all: d}, nil }

// A database is the connection of one configuration.
type database struct {
	all  *databases
	name string
}

// Initialize takes the connection_url.
func (d *database) Initialize(_ context.Context, req dbplugin.InitializeRequest) (dbplugin.InitializeResponse, error) {
	text, _ := req.Config["connection_url"].(string)
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "memory" || u.Host == "" {
		return dbplugin.InitializeResponse{}, errors.New("connection_url must be memory://NAME")
	}
	d.name = u.Host
	if req.VerifyConnection {
		err = d.all.change(d.name, func(map[string]string) {})
	}
	out := dbplugin.InitializeResponse{Config: req.Config}
	out.SetSupportedCredentialTypes([]dbplugin.CredentialType{dbplugin.CredentialTypePassword})
	return out, err
}

// NewUser makes a user whose name tells the role, as real plugins do.
func (d *database) NewUser(_ context.Context, req dbplugin.NewUserRequest) (dbplugin.NewUserResponse, error) {
	name := fmt.Sprintf("v-%.8s-%.8s-%s", req.UsernameConfig.DisplayName, req.UsernameConfig.RoleName, rand.Text())
	err := d.all.change(d.name, func(users map[string]string) { users[name] = req.Password })
	return dbplugin.NewUserResponse{Username: name}, err
}

// UpdateUser changes a password. It makes the user of a static role, which in
// a real database is there before.
func (d *database) UpdateUser(_ context.Context, req dbplugin.UpdateUserRequest) (dbplugin.UpdateUserResponse, error) {
	return dbplugin.UpdateUserResponse{}, d.all.change(d.name, func(users map[string]string) {
		if req.Password != nil {
			users[req.Username] = req.Password.NewPassword
		}
	})
}

// DeleteUser is no error when there is none.
func (d *database) DeleteUser(_ context.Context, req dbplugin.DeleteUserRequest) (dbplugin.DeleteUserResponse, error) {
	return dbplugin.DeleteUserResponse{}, d.all.change(d.name, func(users map[string]string) { delete(users, req.Username) })
}

// Type is for logs.
func (d *database) Type() (string, error) { return "memory", nil }

// Close has nothing to close.
func (d *database) Close() error { return nil }
