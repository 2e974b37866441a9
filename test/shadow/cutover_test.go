// SPDX-License-Identifier: Apache-2.0

package shadow

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	esv1 "github.com/lockstep-secrets/lockstep/api/externalsecrets/v1"
	kesv1 "github.com/lockstep-secrets/lockstep/api/kubernetesclient/v1"
	"github.com/lockstep-secrets/lockstep/internal/cli"
	"github.com/lockstep-secrets/lockstep/internal/config"
	"github.com/lockstep-secrets/lockstep/internal/dev/ibmsm"
	"github.com/lockstep-secrets/lockstep/internal/dialect/eso"
	looks "github.com/lockstep-secrets/lockstep/internal/shadow"
)

// scene is a namespace while two instances look at it: what was there before, and
// what the report said.
type scene struct {
	t        *testing.T
	ns       string
	c        sceneCase
	before   *corev1.Secret
	foretell looks.Object
}

// manager is a stand-in for IBM Cloud Secrets Manager, and the environment of an
// instance that reads it.
func manager(t *testing.T) (*ibmsm.Server, config.Environment) {
	t.Helper()
	ibm := ibmsm.New(ibmsm.Options{Keys: map[string]ibmsm.Role{"key": ibmsm.SecretsReader}})
	server := httptest.NewServer(ibm)
	t.Cleanup(server.Close)
	return ibm, config.Environment{
		"POLLER_INTERVAL_MILLISECONDS":            "31536000000",
		"IBM_CLOUD_SECRETS_MANAGER_API_ENDPOINT":  server.URL,
		"IBM_CLOUD_SECRETS_MANAGER_API_AUTH_URL":  server.URL,
		"IBM_CLOUD_SECRETS_MANAGER_API_AUTH_TYPE": "iam",
		"IBM_CLOUD_SECRETS_MANAGER_API_APIKEY":    "key",
	}
}

// report runs lockstep shadow-report.
func report(t *testing.T, c *instance, flags ...string) (looks.Document, string, int) {
	t.Helper()
	var out, errs bytes.Buffer
	args := append([]string{"shadow-report", "--address", "http://" + c.metrics, "-o", "json"}, flags...)
	code := cli.Run(t.Context(), args, nil, strings.NewReader(""), &out, &errs)
	var doc looks.Document
	if code != 2 {
		must(t, json.Unmarshal(out.Bytes(), &doc))
	}
	return doc, errs.String(), code
}

// settled waits until an instance has looked at so many objects of namespaces.
func settled(t *testing.T, c *instance, objects int, namespaces ...string) map[string]looks.Object {
	t.Helper()
	out := map[string]looks.Object{}
	eventually(t, func() error {
		doc, text, code := report(t, c, "--namespace", strings.Join(namespaces, ","))
		if code == 2 || len(doc.Objects) != objects {
			return fmt.Errorf("the report has %d of %d objects: %s", len(doc.Objects), objects, text)
		}
		for _, o := range doc.Objects {
			out[o.Namespace] = o
		}
		return nil
	})
	return out
}

// TestCutOver: an instance that only looks says what one that works then does,
// namespace by namespace, and writes nothing.
func TestCutOver(t *testing.T) {
	ibm, env := manager(t)
	looking := shared.account(t, "looking", true)
	working := shared.account(t, "working", false)
	var scenes []*scene
	var spaces []string
	fleeting := ""
	for _, c := range sceneCases {
		s := &scene{t: t, ns: shared.namespace(t, "cut-"+c.name), c: c}
		if strings.Contains(c.objects, "IBM_") {
			login, err := ibm.Put(ibmsm.Seed{Type: "username_password", Name: s.ns, Fields: map[string]any{"username": "u", "password": canary + "-new"}})
			must(t, err)
			s.c.objects = strings.ReplaceAll(s.c.objects, "IBM_LOGIN", login)
		}
		if strings.Contains(c.objects, "IBM_FLEETING") {
			id, err := ibm.Put(ibmsm.Seed{Type: "iam_credentials", Name: s.ns, Fields: map[string]any{"ttl": 3600, "reuse_api_key": false}})
			must(t, err)
			s.c.objects, fleeting = strings.ReplaceAll(s.c.objects, "IBM_FLEETING", id), id
		}
		s.prepare()
		scenes, spaces = append(scenes, s), append(spaces, s.ns)
	}
	c := start(t, looking, env, config.Controller{Shadow: true, LeaderElect: true})
	foretold := settled(t, c, len(scenes), spaces...)
	for _, s := range scenes {
		s.foretell = foretold[s.ns]
		s.said()
	}
	if n := ibm.Stats().KeysMade[fleeting]; n != 0 {
		t.Errorf("looking made %d API keys", n)
	}
	if got := shared.writes(t, "looking"); len(got) > 0 {
		t.Errorf("an instance that only looks asked for %d writes, among them %s", len(got), got[0])
	}
	counted(t, c, scenes)

	half := len(scenes) / 2
	for _, part := range [][]*scene{scenes[:half], scenes[half:]} {
		var names []string
		for _, s := range part {
			names = append(names, s.ns)
		}
		one := start(t, working, env, config.Controller{LeaderElect: true, Namespaces: names})
		for _, s := range part {
			s.done()
		}
		one.stop()
		for _, s := range part {
			s.asForetold()
		}
	}
	// Whoever looks sees that what was foretold is done.
	for _, s := range scenes {
		eventually(t, func() error {
			doc, text, _ := report(t, c, "--namespace", s.ns)
			if len(doc.Objects) != 1 {
				return fmt.Errorf("no report of %s: %s", s.ns, text)
			}
			if r := doc.Objects[0].Result; s.writes() && r != looks.Unchanged {
				return fmt.Errorf("%s was cut over, and the report still says %s", s.ns, r)
			}
			return nil
		})
	}
	if got := shared.writes(t, "looking"); len(got) > 0 {
		t.Errorf("after the others were at work, who only looks asked for %d writes, among them %s", len(got), got[0])
	}
}

// counted holds that the metric says what the report does.
func counted(t *testing.T, c *instance, scenes []*scene) {
	t.Helper()
	text := answers(t, "http://"+c.metrics+"/metrics", "", http.StatusOK)
	for _, s := range scenes {
		line := fmt.Sprintf("lockstep_shadow_objects{dialect=%q,object_namespace=%q,result=%q} 1\n", s.foretell.Dialect, s.ns, s.foretell.Result)
		if !strings.Contains(text, line) {
			t.Errorf("there is no %s", line)
		}
	}
}

// prepare makes what is there before.
func (s *scene) prepare() {
	s.t.Helper()
	shared.apply(s.t, s.ns, strings.ReplaceAll(s.c.objects, "NS", s.ns))
	if s.c.secret == nil {
		return
	}
	secret := s.c.secret(s)
	secret.Namespace = s.ns
	secret.Name = s.secretName()
	manager := s.c.manager
	if manager == "" {
		manager = eso.Manager("es") // the operator's
	}
	must(s.t, shared.user.Create(s.t.Context(), secret, client.FieldOwner(manager)))
	s.before = shared.secret(s.t, s.ns, s.secretName())
}

func (s *scene) secretName() string {
	if s.c.kes {
		return "es"
	}
	return "s"
}

// owner is a reference to the scene's object.
func (s *scene) owner() []metav1.OwnerReference {
	s.t.Helper()
	obj := client.Object(&esv1.ExternalSecret{})
	if s.c.kes {
		obj = &kesv1.ExternalSecret{}
	}
	must(s.t, shared.user.Get(s.t.Context(), types.NamespacedName{Namespace: s.ns, Name: "es"}, obj))
	gvk, err := shared.user.GroupVersionKindFor(obj)
	must(s.t, err)
	return []metav1.OwnerReference{{
		APIVersion: gvk.GroupVersion().String(), Kind: gvk.Kind, Name: "es", UID: obj.GetUID(), Controller: new(true), BlockOwnerDeletion: new(true),
	}}
}

// said holds that the report says what the case wants.
func (s *scene) said() {
	s.t.Helper()
	got := s.foretell
	if got.Result != s.c.want.Result {
		s.t.Errorf("%s: the report says %s, want %s (%s)\n%+v", s.c.name, got.Result, s.c.want.Result, s.c.reason, got)
		return
	}
	if d := cmp.Diff(s.c.want.Data, got.Data); d != "" {
		s.t.Errorf("%s: data: -want, +got:\n%s", s.c.name, d)
	}
	if !strings.Contains(got.Message, s.c.want.Message) || s.c.want.Code != "" && got.Code != s.c.want.Code {
		s.t.Errorf("%s: the report says %s %q, want %s %q", s.c.name, got.Code, got.Message, s.c.want.Code, s.c.want.Message)
	}
	if strings.Contains(fmt.Sprintf("%+v", got), canary) {
		s.t.Errorf("%s: a value is in the report", s.c.name)
	}
}

// writes reports whether the report foretold a write.
func (s *scene) writes() bool {
	return slices.Contains([]looks.Result{looks.Create, looks.Update, looks.Metadata, looks.Replace, looks.Delete}, s.foretell.Result)
}

// done waits until the one that works has told the outcome.
func (s *scene) done() {
	s.t.Helper()
	eventually(s.t, func() error {
		status := ""
		if s.c.kes {
			es := &kesv1.ExternalSecret{}
			must(s.t, shared.user.Get(s.t.Context(), types.NamespacedName{Namespace: s.ns, Name: "es"}, es))
			status = es.Status.Status
		} else {
			es := &esv1.ExternalSecret{}
			must(s.t, shared.user.Get(s.t.Context(), types.NamespacedName{Namespace: s.ns, Name: "es"}, es))
			for _, c := range es.Status.Conditions {
				status += c.Type + "=" + c.Status + " "
			}
		}
		if status == "" {
			return fmt.Errorf("%s was not looked at", s.c.name)
		}
		return nil
	})
}

// asForetold holds that what changed is what the report said, and nothing else.
func (s *scene) asForetold() {
	s.t.Helper()
	after := shared.secret(s.t, s.ns, s.secretName())
	switch s.foretell.Result {
	case looks.Unchanged, looks.Refused, looks.NotReady:
		if d := cmp.Diff(s.before, after); d != "" {
			s.t.Errorf("%s: %s was foretold, and the Secret changed", s.c.name, s.foretell.Result)
		}
		return
	case looks.Untouched:
		return // nothing was foretold
	case looks.Delete:
		if after != nil {
			s.t.Errorf("%s: it was to be deleted, and is there", s.c.name)
		}
		return
	}
	before := s.before
	if before == nil {
		before = &corev1.Secret{}
	}
	if after == nil {
		s.t.Errorf("%s: %s was foretold, and there is no Secret", s.c.name, s.foretell.Result)
		return
	}
	if replaced := s.before != nil && before.UID != after.UID; replaced != (s.foretell.Result == looks.Replace) {
		s.t.Errorf("%s: %s was foretold, and another Secret made: %t", s.c.name, s.foretell.Result, replaced)
	}
	got := looks.Object{
		Data: differ(before.Data, after.Data, bytes.Equal), Labels: differ(before.Labels, after.Labels, equal),
		Annotations: differ(before.Annotations, after.Annotations, equal),
	}
	want := looks.Object{Data: s.foretell.Data, Labels: s.foretell.Labels, Annotations: s.foretell.Annotations}
	if d := cmp.Diff(want, got); d != "" {
		s.t.Errorf("%s: -foretold, +done:\n%s", s.c.name, d)
	}
	if owned := !cmp.Equal(before.OwnerReferences, after.OwnerReferences) && s.foretell.Result != looks.Replace; owned != (s.foretell.Owner != nil) {
		s.t.Errorf("%s: another owner: %t, foretold %+v", s.c.name, owned, s.foretell.Owner)
	}
	for _, former := range s.foretell.FormerSecrets {
		if shared.secret(s.t, s.ns, former) != nil {
			s.t.Errorf("%s: Secret %s was to be deleted, and is there", s.c.name, former)
		}
	}
}

func equal(a, b string) bool { return a == b }

// differ is what differs between two maps, told in another way than by the code
// under test.
func differ[V any](before, after map[string]V, same func(a, b V) bool) looks.Names {
	var out looks.Names
	all := map[string]struct{}{}
	for k := range before {
		all[k] = struct{}{}
	}
	for k := range after {
		all[k] = struct{}{}
	}
	for _, k := range slices.Sorted(maps.Keys(all)) {
		a, was := before[k]
		b, is := after[k]
		switch {
		case was && !is:
			out.Removed = append(out.Removed, k)
		case !was:
			out.Added = append(out.Added, k)
		case !same(a, b):
			out.Changed = append(out.Changed, k)
		}
	}
	return out
}

// TestReportIsForThisMachine: who comes from elsewhere, or by the name of
// another site, gets no report.
func TestReportIsForThisMachine(t *testing.T) {
	c := start(t, shared.account(t, "local", true), nil, config.Controller{Shadow: true})
	answers(t, "http://"+c.metrics+"/shadow", "", http.StatusOK)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+c.metrics+"/shadow", nil)
	must(t, err)
	req.Host = "rebound.example.com"
	res, err := (&http.Client{Timeout: time.Minute}).Do(req)
	must(t, err)
	_ = res.Body.Close()
	if res.StatusCode != http.StatusForbidden {
		t.Errorf("by another name the report is answered with %d", res.StatusCode)
	}
}
