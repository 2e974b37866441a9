// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/lockstep-secrets/lockstep/internal/dev/ibmsm"
	"github.com/lockstep-secrets/lockstep/internal/dev/plane"
)

const (
	readerKey = "key-of-the-service-id" // what the tutorial calls IBM_CLOUD_API_KEY
	adminKey  = "key-of-the-developer"
	first     = "cloudy-rainy-coffee-book"
	second    = "sunny-dry-tea-letter"
	secret    = "ibmcloud-secrets-manager-example"
)

// demo is the state that the steps share.
type demo struct {
	dir, bin string
	keep     bool
	plane    *plane.Plane
	children []*child
	manager  *manager
	secretID string
}

func (d *demo) path(name string) string { return filepath.Join(d.dir, name) }

func (d *demo) startCluster(ctx context.Context) error {
	title("A Kubernetes control plane on this machine")
	note("etcd, kube-apiserver and kube-controller-manager, as make control-plane built them")
	started := time.Now()
	var err error
	if d.plane, err = plane.Start(); err != nil {
		return err
	}
	if err := d.plane.StartControllerManager(ctx); err != nil {
		return err
	}
	if err := os.WriteFile(d.path("admin.kubeconfig"), d.plane.Kubeconfig, 0o600); err != nil {
		return err
	}
	note("ready after %s", since(started))
	return d.kubectl(ctx, "version")
}

func (d *demo) startManager(ctx context.Context) error {
	title("IBM Cloud Secrets Manager and IAM (a stand-in, in memory)")
	typed("export IBM_CLOUD_API_KEY=%s", readerKey)
	address, err := d.serve(ctx, "dev", "ibm-secrets-manager", "--listen", "127.0.0.1:0",
		"--api-key", readerKey+"=SecretsReader", "--api-key", adminKey+"=Manager")
	if err != nil {
		return err
	}
	d.manager = &manager{url: address}
	typed("export SECRETS_MANAGER_URL=%s", address)
	return nil
}

func (d *demo) storeSecret(ctx context.Context) error {
	title("Create a secret in Secrets Manager")
	note("ibmcloud secrets-manager secret-group-create and secret-create send these requests of API v2")
	if err := d.manager.login(ctx, adminKey); err != nil {
		return err
	}
	var group, created struct {
		ID string `json:"id"`
	}
	err := d.manager.post(ctx, "/api/v2/secret_groups",
		`{"name":"my-test-secret-group","description":"Read and write to my test app."}`, &group)
	if err != nil {
		return err
	}
	typed("export SECRET_GROUP_ID=%s", group.ID)
	err = d.manager.post(ctx, "/api/v2/secrets", fmt.Sprintf(
		`{"secret_type":"username_password","name":"example_username_password","description":"Extended description for my secret.",`+
			`"secret_group_id":%q,"username":"user123","password":%q,"labels":["my-test-cluster","tutorial"]}`, group.ID, first), &created)
	if err != nil {
		return err
	}
	d.secretID = created.ID
	typed("export SECRET_ID=%s", created.ID)
	return nil
}

func (d *demo) install(ctx context.Context) error {
	title("Install Lockstep, where the tutorial installs Kubernetes External Secrets")
	if err := d.pipe(ctx, []string{"crds"}, "apply", "-f", "-"); err != nil {
		return err
	}
	for _, file := range []string{"base.yaml", "cluster.yaml"} {
		if err := d.kubectl(ctx, "apply", "-f", "deploy/rbac/"+file); err != nil {
			return err
		}
	}
	note("the controller runs outside of the cluster here, with the token of its service account")
	access, err := d.plane.Lockstep(ctx)
	if err != nil {
		return err
	}
	kubeconfig, err := plane.KubeconfigFor(access)
	if err != nil {
		return err
	}
	if err := os.WriteFile(d.path("lockstep.kubeconfig"), kubeconfig, 0o600); err != nil {
		return err
	}
	env := []string{
		"IBM_CLOUD_SECRETS_MANAGER_API_APIKEY=" + readerKey,
		"IBM_CLOUD_SECRETS_MANAGER_API_AUTH_TYPE=iam",
		"IBM_CLOUD_SECRETS_MANAGER_API_ENDPOINT=" + d.manager.url,
		"IBM_CLOUD_SECRETS_MANAGER_API_AUTH_URL=" + d.manager.url,
	}
	for _, v := range env {
		typed("export %s", v)
	}
	note("(AUTH_URL only because IAM is a stand-in too)")
	if err := d.manager.resetStats(ctx); err != nil {
		return err
	}
	return d.start(ctx, env, "controller", "--kubeconfig", d.path("lockstep.kubeconfig"),
		"--leader-election-namespace", plane.Namespace, "--metrics-bind-address", "0", "--health-probe-bind-address", "0")
}

// manifest is the tutorial's external-secrets-example.yml, letter for letter.
const manifest = `apiVersion: kubernetes-client.io/v1
kind: ExternalSecret
metadata:
  name: ibmcloud-secrets-manager-example
spec:
  backendType: ibmcloudSecretsManager
  data:
    - key: <SECRET_ID>
      name: username
      property: username 
      secretType: username_password
    - key: <SECRET_ID>
      name: password
      property: password
      secretType: username_password
`

func (d *demo) applyManifest(ctx context.Context) error {
	title("Update your app configuration")
	text := strings.ReplaceAll(manifest, "<SECRET_ID>", d.secretID)
	typed("cat external-secrets-example.yml")
	fmt.Print(text)
	if err := os.WriteFile(d.path("external-secrets-example.yml"), []byte(text), 0o600); err != nil {
		return err
	}
	if err := d.kubectl(ctx, "apply", "-f", d.path("external-secrets-example.yml")); err != nil {
		return err
	}
	took, err := d.arrives(ctx, first)
	if err != nil {
		return err
	}
	note("the Secret was there %s after the manifest", took)
	if err := d.kubectl(ctx, "get", "externalsecrets"); err != nil {
		return err
	}
	return d.show(ctx)
}

func (d *demo) rotate(ctx context.Context) error {
	title("Rotate the password in Secrets Manager")
	err := d.manager.post(ctx, "/api/v2/secrets/"+d.secretID+"/versions", fmt.Sprintf(`{"password":%q}`, second), nil)
	if err != nil {
		return err
	}
	took, err := d.arrives(ctx, second)
	if err != nil {
		return err
	}
	note("the new password was in the cluster %s after the rotation; the interval is 10 s, as it was with KES", took)
	return d.show(ctx)
}

// show prints the tutorial's last command and what it prints.
func (d *demo) show(ctx context.Context) error {
	typed("kubectl get secret %s -o json | jq '.data | map_values(@base64d)'", secret)
	data, err := d.data(ctx)
	if err != nil {
		return err
	}
	b, err := json.MarshalIndent(data, "", "    ")
	if err != nil {
		return err
	}
	fmt.Println(string(b))
	return nil
}

// arrives waits until the Secret holds a password, and tells how long it took.
func (d *demo) arrives(ctx context.Context, password string) (string, error) {
	started := time.Now()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for time.Since(started) < 2*time.Minute {
		if err := d.alive(); err != nil {
			return "", err
		}
		if data, err := d.data(ctx); err == nil && data["password"] == password {
			return since(started), nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
	return "", fmt.Errorf("the Secret did not hold the password after two minutes")
}

// data returns the Secret's values.
func (d *demo) data(ctx context.Context) (map[string]string, error) {
	out, err := d.output(ctx, "kubectl", "get", "secret", secret, "-o", "json")
	if err != nil {
		return nil, err
	}
	var obj struct {
		Data map[string]string `json:"data"`
	}
	if err := json.Unmarshal(out, &obj); err != nil {
		return nil, err
	}
	for k, v := range obj.Data {
		b, err := base64.StdEncoding.DecodeString(v)
		if err != nil {
			return nil, err
		}
		obj.Data[k] = string(b)
	}
	return obj.Data, nil
}

func (d *demo) count(ctx context.Context) error {
	title("What it cost")
	stats, err := d.manager.stats(ctx)
	if err != nil {
		return err
	}
	note("requests of Lockstep to the manager since it was started, with two entries in the manifest:")
	note("  %d for a token", stats.Kinds[ibmsm.KindToken])
	note("  %d to read the one secret that both entries need: at first, and after it changed", stats.Reads[d.secretID])
	note("  %d to ask what changed: one each interval of 10 s, however many secrets there are", stats.Kinds[ibmsm.KindList])
	others := stats.Total - stats.Kinds[ibmsm.KindToken] - stats.Reads[d.secretID] - stats.Kinds[ibmsm.KindList] - stats.Kinds[ibmsm.KindRotate]
	if others > 0 {
		note("  %d others", others)
	}
	return nil
}

// linger keeps everything running when KEEP=1 asks for it.
func (d *demo) linger(ctx context.Context) error {
	if !d.keep {
		return nil
	}
	title("Still running, because of KEEP=1")
	typed("export KUBECONFIG=%s", d.path("admin.kubeconfig"))
	typed("%s get externalsecrets", filepath.Join(d.bin, "control-plane", "kubectl"))
	note("Ctrl-C ends it")
	select {
	case <-ctx.Done():
	case err := <-d.died():
		return err
	}
	return nil
}

func title(s string)                { fmt.Printf("\n== %s\n", s) }
func note(format string, a ...any)  { fmt.Printf("   "+format+"\n", a...) }
func typed(format string, a ...any) { fmt.Printf("$ "+format+"\n", a...) }
func since(started time.Time) string {
	return time.Since(started).Round(100 * time.Millisecond).String()
}
