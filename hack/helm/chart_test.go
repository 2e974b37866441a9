// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/pod-security-admission/api"
	"k8s.io/pod-security-admission/policy"
)

// roleKinds are all objects of RBAC.
var roleKinds = []string{"ClusterRole", "Role"}

func TestDefaults(t *testing.T) {
	t.Parallel()
	r := render(t, "")
	want := []string{
		"ClusterRole/lockstep", "ClusterRole/lockstep-eso",
		"ClusterRoleBinding/lockstep", "ClusterRoleBinding/lockstep-eso",
		"CustomResourceDefinition/clustersecretstores.external-secrets.io",
		"CustomResourceDefinition/externalsecrets.external-secrets.io",
		"CustomResourceDefinition/externalsecrets.kubernetes-client.io",
		"CustomResourceDefinition/secretstores.external-secrets.io",
		"Deployment/lockstep", "NetworkPolicy/lockstep", "PodDisruptionBudget/lockstep",
		"Role/lockstep-leader-election", "RoleBinding/lockstep-leader-election",
		"Service/lockstep-metrics", "ServiceAccount/lockstep",
	}
	if diff := cmp.Diff(want, r.names("")); diff != "" {
		t.Errorf("objects (-want +got):\n%s", diff)
	}
	d := r.deployment()
	if *d.Spec.Replicas != 2 {
		t.Errorf("%d replicas", *d.Spec.Replicas)
	}
	spec := d.Spec.Template.Spec
	c := spec.Containers[0]
	if diff := cmp.Diff([]string{
		"controller", "--dialects=kes,eso", "--leader-elect=true", "--log-level=info",
		"--metrics-bind-address=:8080", "--health-probe-bind-address=:8081",
	}, c.Args); diff != "" {
		t.Errorf("arguments (-want +got):\n%s", diff)
	}
	if p := c.LivenessProbe; p == nil || p.HTTPGet.Path != "/healthz" || p.HTTPGet.Port.String() != "health" {
		t.Errorf("liveness: %+v", p)
	}
	if p := c.ReadinessProbe; p == nil || p.HTTPGet.Path != "/readyz" || p.HTTPGet.Port.String() != "health" {
		t.Errorf("readiness: %+v", p)
	}
	if len(spec.TopologySpreadConstraints) != 2 || len(c.Env) != 0 || len(spec.Volumes) != 0 {
		t.Errorf("%d spread constraints, environment %v, volumes %v", len(spec.TopologySpreadConstraints), c.Env, spec.Volumes)
	}
	for _, q := range []corev1.ResourceList{c.Resources.Requests, c.Resources.Limits} {
		if q.Memory().IsZero() {
			t.Errorf("resources without memory: %+v", c.Resources)
		}
	}
	if !c.Resources.Limits.Cpu().IsZero() {
		t.Errorf("a throttled leader loses its lease: %+v", c.Resources)
	}
	if strings.Contains(r.notes, "no effect") {
		t.Errorf("the notes warn of what nobody set:\n%s", r.notes)
	}
}

// TestRestricted holds the pods to the Pod Security Standard "restricted",
// whatever harmless is set.
func TestRestricted(t *testing.T) {
	t.Parallel()
	evaluator, err := policy.NewEvaluator(policy.DefaultChecks(), nil)
	if err != nil {
		t.Fatal(err)
	}
	restricted := api.LevelVersion{Level: api.LevelRestricted, Version: api.LatestVersion()}
	for name, tc := range map[string]struct {
		values string
		no     string // what is forbidden; "" is nothing
	}{
		"Defaults":    {values: ""},
		"ESO":         {values: "securityContext: {enabled: true, runAsUser: 1000}"},
		"KES":         {values: "securityContext: {runAsNonRoot: true, fsGroup: 65534}"},
		"Files":       {values: "filesFromSecret: {ca: {secret: a, mountPath: /a}}\ncustomCA: {configMap: b}"},
		"HostNetwork": {values: "hostNetwork: true", no: "host namespaces"},
		"Switched":    {values: "securityContext: {enabled: false}\npodSecurityContext: {enabled: false}", no: "allowPrivilegeEscalation"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			template := render(t, tc.values).deployment().Spec.Template
			var no []string
			for _, result := range evaluator.EvaluatePod(restricted, &template.ObjectMeta, &template.Spec) {
				if !result.Allowed {
					no = append(no, result.ForbiddenReason+": "+result.ForbiddenDetail)
				}
			}
			got := strings.Join(no, "; ")
			if (got == "") != (tc.no == "") || !strings.Contains(got, tc.no) {
				t.Errorf("forbidden: %s; want %q", got, tc.no)
			}
		})
	}
}

// TestScopes is about who may do what where.
func TestScopes(t *testing.T) {
	t.Parallel()
	elections := []string{"Role/lockstep-leader-election", "RoleBinding/lockstep-leader-election"}
	for name, tc := range map[string]struct {
		values string
		want   []string
		arg    string
	}{
		"KESOnly":  {"dialects: {eso: false}", append([]string{"ClusterRole/lockstep", "ClusterRoleBinding/lockstep"}, elections...), "--dialects=kes"},
		"ESOOnly":  {"dialects: {kes: false}", append([]string{"ClusterRole/lockstep", "ClusterRole/lockstep-eso", "ClusterRoleBinding/lockstep", "ClusterRoleBinding/lockstep-eso"}, elections...), "--dialects=eso"},
		"List":     {"namespaces: [a, b]\ndialects: {eso: false}", append([]string{"Role/a/lockstep", "Role/b/lockstep"}, elections[0], "RoleBinding/a/lockstep", "RoleBinding/b/lockstep", elections[1]), "--namespaces=a,b"},
		"ESOsName": {"scopedNamespace: a\nscopedRBAC: true\ndialects: {kes: false}", append([]string{"Role/a/lockstep", "Role/a/lockstep-eso"}, elections[0], "RoleBinding/a/lockstep", "RoleBinding/a/lockstep-eso", elections[1]), "--namespaces=a"},
		"KESsName": {"env: {WATCHED_NAMESPACES: 'a, b'}\ndialects: {eso: false}", append([]string{"Role/a/lockstep", "Role/b/lockstep"}, elections[0], "RoleBinding/a/lockstep", "RoleBinding/b/lockstep", elections[1]), "--namespaces=a,b"},
		"Tokens":   {"namespaces: [a]\ndialects: {eso: false}\nrbac: {serviceAccountTokenCreate: true}", append([]string{"Role/a/lockstep", "Role/a/lockstep-token-requests"}, elections[0], "RoleBinding/a/lockstep", "RoleBinding/a/lockstep-token-requests", elections[1]), "--namespaces=a"},
		"OneAlone": {"replicaCount: 1\nleaderElect: false\ndialects: {eso: false}", []string{"ClusterRole/lockstep", "ClusterRoleBinding/lockstep"}, "--leader-elect=false"},
		"None":     {"rbac: {create: false}", nil, "--leader-elect=true"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := render(t, tc.values)
			if diff := cmp.Diff(tc.want, r.names(roleKinds...)); diff != "" {
				t.Errorf("roles (-want +got):\n%s", diff)
			}
			if args := r.container().Args; !slices.Contains(args, tc.arg) {
				t.Errorf("no %s in %q", tc.arg, args)
			}
		})
	}
}

// TestPowers holds what is off unless set, and that names limit it.
func TestPowers(t *testing.T) {
	t.Parallel()
	r := render(t, "")
	for _, name := range r.names(roleKinds...) {
		if strings.Contains(r.objects[name], "serviceaccounts") || strings.Contains(r.objects[name], "aggregate") || strings.Contains(r.objects[name], `"*"`) {
			t.Errorf("%s:\n%s", name, r.objects[name])
		}
	}
	var role rbacv1.ClusterRole
	render(t, "rbac: {serviceAccountTokenCreate: true, serviceAccountNames: [reader, writer]}").into("ClusterRole/lockstep-token-requests", &role)
	want := []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"serviceaccounts/token"}, ResourceNames: []string{"reader", "writer"}, Verbs: []string{"create"}}}
	if diff := cmp.Diff(want, role.Rules); diff != "" {
		t.Errorf("rules (-want +got):\n%s", diff)
	}
	r = render(t, "systemAuthDelegator: true\nmetrics: {listen: {secure: {enabled: true}}}")
	var binding rbacv1.ClusterRoleBinding
	r.into("ClusterRoleBinding/lockstep-auth-delegator", &binding)
	if binding.RoleRef.Name != "system:auth-delegator" || binding.Subjects[0].Name != "lockstep" || binding.Subjects[0].Namespace != "lockstep-system" {
		t.Errorf("binding: %+v", binding)
	}
	if args := r.container().Args; r.objects["ClusterRole/lockstep-metrics-auth"] == "" || !slices.Contains(args, "--metrics-secure") {
		t.Errorf("metrics behind authentication: %v, %q", r.names(roleKinds...), args)
	}
}

// TestShadow holds that one who writes nothing may not, whatever else is on.
func TestShadow(t *testing.T) {
	t.Parallel()
	for _, values := range []string{"shadow: true", "shadow: true\nnamespaces: [a]"} {
		r := render(t, values)
		var lease []string
		for _, name := range r.names(roleKinds...) {
			var role rbacv1.ClusterRole // a Role has the same rules
			if err := yamlInto(r.objects[name], &role); err != nil {
				t.Fatal(err)
			}
			for _, rule := range role.Rules {
				reads := !slices.ContainsFunc(rule.Verbs, func(verb string) bool { return verb != "get" && verb != "list" && verb != "watch" })
				if isLease := slices.Equal(rule.Resources, []string{"leases"}); isLease {
					lease = append(lease, rule.ResourceNames...)
				} else if !reads {
					t.Errorf("%s may %v %v", name, rule.Verbs, rule.Resources)
				}
			}
		}
		if !slices.Equal(lease, []string{"lockstep-controller-shadow"}) {
			t.Errorf("leases %v: a shadow that takes the lease of who works stops it", lease)
		}
	}
}

// TestCRDs holds that an uninstall keeps them, and an upgrade can change them.
func TestCRDs(t *testing.T) {
	t.Parallel()
	const kes, eso = "CustomResourceDefinition/externalsecrets.kubernetes-client.io", "CustomResourceDefinition/externalsecrets.external-secrets.io"
	const store, clusterStore = "CustomResourceDefinition/secretstores.external-secrets.io", "CustomResourceDefinition/clustersecretstores.external-secrets.io"
	for name, tc := range map[string]struct {
		values string
		want   []string
	}{
		"Off":      {"installCRDs: false", nil},
		"KES":      {"dialects: {eso: false}", []string{kes}},
		"ESO":      {"dialects: {kes: false}\ncrds: {annotations: {example.com/a: 'b: c'}}", []string{clusterStore, eso, store}},
		"NoStores": {"crds: {createSecretStore: false, createClusterSecretStore: false}", []string{eso, kes}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := render(t, tc.values)
			if diff := cmp.Diff(tc.want, r.names("CustomResourceDefinition")); diff != "" {
				t.Errorf("CRDs (-want +got):\n%s", diff)
			}
			for _, crd := range tc.want {
				var o struct {
					Metadata struct{ Annotations map[string]string } `json:"metadata"`
				}
				if err := yamlInto(r.objects[crd], &o); err != nil {
					t.Fatal(err)
				}
				if o.Metadata.Annotations["helm.sh/resource-policy"] != "keep" {
					t.Errorf("%s: %v: an uninstall would remove every Secret", crd, o.Metadata.Annotations)
				}
				if name == "ESO" && o.Metadata.Annotations["example.com/a"] != "b: c" {
					t.Errorf("%s: %v lacks the annotation of crds.annotations", crd, o.Metadata.Annotations)
				}
			}
		})
	}
}

func TestNetwork(t *testing.T) {
	t.Parallel()
	var p networkingv1.NetworkPolicy
	render(t, "").into("NetworkPolicy/lockstep", &p)
	in := p.Spec.Ingress
	if len(in) != 1 || len(in[0].Ports) != 1 || in[0].Ports[0].Port.IntValue() != 8080 || len(in[0].From) != 0 || len(p.Spec.PolicyTypes) != 2 {
		t.Errorf("ingress: %+v", p.Spec)
	}
	if out := p.Spec.Egress; len(out) != 1 || len(out[0].To) != 0 || len(out[0].Ports) != 0 {
		t.Errorf("egress: %+v", out)
	}
	p = networkingv1.NetworkPolicy{}
	render(t, `
networkPolicy:
  metricsFrom: [{namespaceSelector: {matchLabels: {a: b}}}]
  egress: [{ports: [{port: 443}]}]
`).into("NetworkPolicy/lockstep", &p)
	if len(p.Spec.Ingress[0].From) != 1 || p.Spec.Egress[0].Ports[0].Port.IntValue() != 443 {
		t.Errorf("policy: %+v", p.Spec)
	}
	if got := render(t, "networkPolicy: {enabled: false}").names("NetworkPolicy"); len(got) > 0 {
		t.Errorf("%v", got)
	}
}

func TestProxyAndCA(t *testing.T) {
	t.Parallel()
	for name, values := range map[string]string{
		"Ours": "proxy: {https: 'http://proxy:3128', noProxy: .internal}\ncustomCA: {configMap: roots}",
		"KES":  "env: {HTTPS_PROXY: 'http://proxy:3128', NO_PROXY: .internal}\ncustomCA: {secret: roots}",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := render(t, values)
			want := map[string]string{
				"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": "$(KUBERNETES_SERVICE_HOST),.internal",
				"NODE_EXTRA_CA_CERTS": "/etc/lockstep/ca/ca.crt",
			}
			if diff := cmp.Diff(want, r.env()); diff != "" {
				t.Errorf("environment (-want +got):\n%s", diff)
			}
			if m := r.container().VolumeMounts; len(m) != 1 || m[0].MountPath != "/etc/lockstep/ca" || !m[0].ReadOnly {
				t.Errorf("mounts: %+v", m)
			}
		})
	}
}

// TestPlaces is about where and how pods run.
func TestPlaces(t *testing.T) {
	t.Parallel()
	d := render(t, "hostNetwork: true").deployment()
	if s := d.Spec.Strategy.RollingUpdate; s.MaxSurge.IntValue() != 0 || s.MaxUnavailable.IntValue() != 1 {
		t.Errorf("a new pod would wait for the ports of an old one for ever: %+v", s)
	}
	if spec := d.Spec.Template.Spec; !spec.HostNetwork || spec.DNSPolicy != corev1.DNSClusterFirstWithHostNet {
		t.Errorf("host network %v, DNS %s", spec.HostNetwork, spec.DNSPolicy)
	}
	if s := render(t, "replicaCount: 1\nleaderElect: false").deployment().Spec.Strategy; s.Type != "Recreate" {
		t.Errorf("two would write during an update: %+v", s)
	}
	var b policyv1.PodDisruptionBudget
	render(t, "").into("PodDisruptionBudget/lockstep", &b)
	if b.Spec.MaxUnavailable.IntValue() != 1 || b.Spec.MinAvailable != nil {
		t.Errorf("budget: %+v", b.Spec)
	}
	r := render(t, "shadow: true\npause: true\nimage: {repository: r/lockstep, digest: 'sha256:"+strings.Repeat("a", 64)+"'}\nfullnameOverride: other")
	c := func() corev1.Container {
		r.objects["Deployment/lockstep"] = r.objects["Deployment/other"]
		return r.container()
	}()
	if !slices.Contains(c.Args, "--shadow") || !slices.Contains(c.Args, "--pause") || c.Image != "r/lockstep@sha256:"+strings.Repeat("a", 64) {
		t.Errorf("%q %s", c.Args, c.Image)
	}
	if got := render(t, "createOperator: false").names("Deployment"); len(got) > 0 {
		t.Errorf("%v", got)
	}
	r = render(t, "serviceMonitor: {enabled: true}\nmetrics: {service: {enabled: false}}")
	if r.objects["ServiceMonitor/lockstep"] == "" || r.objects["Service/lockstep-metrics"] == "" {
		t.Errorf("a ServiceMonitor needs a Service: %v", r.names("Service"))
	}
}

// TestKubernetes holds that an API server which does not know the rules in the
// CRDs is told from one that does: it would take every manifest.
func TestKubernetes(t *testing.T) {
	t.Parallel()
	for version, wrong := range map[string]bool{"1.28.9": true, "1.29.0": false, "1.36.3": false, "v1.33.4-eks-a1b2c3": false} {
		_, complaint := helm(t, "", "template", "lockstep", chart, "--kube-version", version)
		if (complaint != "") != wrong {
			t.Errorf("Kubernetes %s: %s", version, complaint)
		}
	}
}
