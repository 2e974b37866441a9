// SPDX-License-Identifier: Apache-2.0

package helm

import (
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
)

// valuesOfKES is what somebody's file for the chart of Kubernetes External
// Secrets 8.5.5 may hold who used all that could be used.
const valuesOfKES = `
env:
  AWS_REGION: us-west-2
  POLLER_INTERVAL_MILLISECONDS: 3600000
  WATCH_TIMEOUT: 60000
  WATCHED_NAMESPACES: ""
  LOG_LEVEL: trace
  LOG_MESSAGE_KEY: msg
  METRICS_PORT: 3001
  VAULT_ADDR: https://vault.example.com
  DISABLE_POLLING: false
  IBM_CLOUD_SECRETS_MANAGER_API_AUTH_TYPE: iam
  IBM_CLOUD_SECRETS_MANAGER_API_ENDPOINT: https://instance.eu-de.secrets-manager.appdomain.cloud
  AKEYLESS_ACCESS_ID:
envVarsFromSecret:
  IBM_CLOUD_SECRETS_MANAGER_API_APIKEY: {secretKeyRef: ibmcloud-credentials, key: apikey}
envVarsFromConfigMap:
  VAULT_NAMESPACE: {configMapKeyRef: vault, key: namespace}
envFrom: {}
filesFromSecret:
  certificate-authority: {secret: ca, mountPath: /usr/local/share/ca}
rbac: {create: true}
serviceAccount:
  create: true
  annotations: {eks.amazonaws.com/role-arn: "arn:aws:iam::1:role/x"}
  name:
replicaCount: 1
customResourceManagerDisabled: true
image: {pullPolicy: Always}
imagePullSecrets: [{name: pull}]
deploymentLabels: {team: platform}
podAnnotations: {a: b}
podLabels: {c: d}
priorityClassName: system-cluster-critical
dnsConfig: {options: [{name: ndots, value: "1"}]}
securityContext: {runAsNonRoot: true, fsGroup: 65534}
containerSecurityContext: {runAsUser: 1000}
resources: {limits: {memory: 1Gi}}
podDisruptionBudget: {minAvailable: 1}
serviceMonitor: {enabled: true, interval: 15s, namespace: null}
deploymentInitContainers:
  initContainers: [{name: wait, image: busybox}]
extraVolumes: [{name: more, emptyDir: {}}]
extraVolumeMounts: [{name: more, mountPath: /more}]
customClusterRoles: {}
`

func TestValuesOfKES(t *testing.T) {
	t.Parallel()
	r := render(t, valuesOfKES)
	env := r.env()
	for name, want := range map[string]string{
		"POLLER_INTERVAL_MILLISECONDS": "3600000",
		"AWS_REGION":                   "us-west-2",
		"VAULT_ADDR":                   "https://vault.example.com",
		"IBM_CLOUD_SECRETS_MANAGER_API_AUTH_TYPE": "iam",
		"IBM_CLOUD_SECRETS_MANAGER_API_ENDPOINT":  "https://instance.eu-de.secrets-manager.appdomain.cloud",
	} {
		if env[name] != want {
			t.Errorf("%s is %q, want %q", name, env[name], want)
		}
	}
	for _, name := range []string{"DISABLE_POLLING", "AKEYLESS_ACCESS_ID", "LOG_LEVEL", "METRICS_PORT", "WATCHED_NAMESPACES"} {
		if v, there := env[name]; there {
			t.Errorf("%s is %q: KES left it out, or it is a flag here", name, v)
		}
	}
	c := r.container()
	for _, want := range []string{"--log-level=debug", "--metrics-bind-address=:3001"} {
		if !slices.Contains(c.Args, want) {
			t.Errorf("no %s in %q", want, c.Args)
		}
	}
	i := slices.IndexFunc(c.Env, func(v corev1.EnvVar) bool { return v.Name == "IBM_CLOUD_SECRETS_MANAGER_API_APIKEY" })
	if i < 0 || c.Env[i].ValueFrom.SecretKeyRef.Name != "ibmcloud-credentials" || c.Env[i].ValueFrom.SecretKeyRef.Key != "apikey" {
		t.Errorf("the API key does not come from its Secret: %+v", c.Env)
	}
	spec := r.deployment().Spec.Template.Spec
	if g := spec.SecurityContext.FSGroup; g == nil || *g != 65534 {
		t.Errorf("fsGroup of KES's securityContext did not reach the pod: %+v", spec.SecurityContext)
	}
	if u := c.SecurityContext.RunAsUser; u == nil || *u != 1000 {
		t.Errorf("containerSecurityContext did not reach the container: %+v", c.SecurityContext)
	}
	if len(spec.InitContainers) != 1 || len(spec.Volumes) != 2 || len(c.VolumeMounts) != 2 {
		t.Errorf("init containers %d, volumes %d, mounts %d", len(spec.InitContainers), len(spec.Volumes), len(c.VolumeMounts))
	}
	for _, want := range []string{"env.WATCH_TIMEOUT:", "env.LOG_MESSAGE_KEY:", "customResourceManagerDisabled:", "systemAuthDelegator=true"} {
		if !strings.Contains(r.notes, want) {
			t.Errorf("the notes do not have %q:\n%s", want, r.notes)
		}
	}
}

// valuesOfESO is what somebody's file for the chart of External Secrets
// Operator 2.9 may hold, many of them at their defaults there.
const valuesOfESO = `
global: {nodeSelector: {pool: system}, compatibility: {openshift: {adaptSecurityContext: auto}}}
replicaCount: 3
revisionHistoryLimit: 5
image: {tag: v1.2.3, flavour: ubi}
installCRDs: true
crds:
  createClusterExternalSecret: true
  createClusterSecretStore: true
  createSecretStore: true
  createClusterGenerator: true
  createClusterPushSecret: true
  createPushSecret: true
  annotations: {argocd.argoproj.io/sync-options: "Replace=true"}
  conversion: {enabled: false}
  unsafeServeV1Beta1: true
leaderElect: true
controllerClass: blue
extendedMetricLabels: true
scopedNamespace: ""
scopedRBAC: false
openshiftFinalizers: true
processClusterExternalSecret: false
processClusterPushSecret: true
processClusterStore: true
processPushSecret: true
createOperator: true
concurrent: 5
log: {level: info, timeEncoding: epoch}
serviceAccount: {create: true, automount: true, annotations: {}, extraLabels: {a: b}, name: ""}
rbac: {create: true, servicebindings: {create: true}, aggregateToView: true, aggregateToEdit: true, serviceAccountTokenCreate: true}
extraEnv: [{name: HTTPS_PROXY, value: "http://proxy:3128"}]
extraArgs: {missing-limit: 80}
podSecurityContext: {enabled: true}
securityContext: {enabled: true, runAsUser: 1000, readOnlyRootFilesystem: true}
serviceMonitor: {enabled: true, renderMode: skipIfMissing, additionalLabels: {release: prometheus}}
metrics: {listen: {port: 8080, secure: {enabled: false, certDir: /etc/tls}}, service: {enabled: true, port: 8080, annotations: {}}}
livenessProbe: {enabled: true, spec: {address: "", port: 8082, initialDelaySeconds: 10}}
podDisruptionBudget: {enabled: true, minAvailable: 1}
hostNetwork: false
webhook: {create: true, port: 10250, replicaCount: 2}
certController: {create: true}
`

func TestValuesOfESO(t *testing.T) {
	t.Parallel()
	r := render(t, valuesOfESO)
	c := r.container()
	for _, want := range []string{"--controller-class=blue", "--missing-limit=80", "--leader-elect=true", "--health-probe-bind-address=:8082"} {
		if !slices.Contains(c.Args, want) {
			t.Errorf("no %s in %q", want, c.Args)
		}
	}
	if c.Image != "lockstep:v1.2.3" {
		t.Errorf("image %s", c.Image)
	}
	if got := r.deployment().Spec.Template.Spec.NodeSelector["pool"]; got != "system" {
		t.Errorf("global.nodeSelector did not reach the pod")
	}
	for _, want := range []string{"ClusterRole/lockstep-token-requests", "ClusterRole/lockstep-view", "ClusterRole/lockstep-edit"} {
		if r.objects[want] == "" {
			t.Errorf("no %s", want)
		}
	}
	for _, kind := range []string{"ServiceMonitor", "ValidatingWebhookConfiguration"} {
		if got := r.names(kind); len(got) > 0 {
			t.Errorf("%v", got)
		}
	}
	for _, want := range []string{"webhook:", "certController:", "concurrent:", "extendedMetricLabels:", "crds.unsafeServeV1Beta1:", "processPushSecret:", "rbac.servicebindings:"} {
		if !strings.Contains(r.notes, want) {
			t.Errorf("the notes do not have %q:\n%s", want, r.notes)
		}
	}
}

// TestRefused holds values that would be done in another way than they say.
func TestRefused(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		reason, values string
		want           []string // of what is said
	}{
		"NoDialect":      {"there is nothing to serve", "dialects: {kes: false, eso: false}", []string{"dialects:"}},
		"TwoLeaders":     {"two would write", "leaderElect: false", []string{"leaderElect: false", "replicaCount: 2", "Set replicaCount: 1"}},
		"ImageOfKES":     {"the other controller would run", "image: {repository: ghcr.io/external-secrets/kubernetes-external-secrets, tag: 8.5.5}", []string{"image.repository:", "Take it and image.tag out"}},
		"ImageOfESO":     {"the other controller would run", "image: {repository: ghcr.io/external-secrets/external-secrets}", []string{"image.repository:"}},
		"ScopedNotRBAC":  {"ClusterSecretStores would end", "scopedNamespace: a", []string{"scopedNamespace:", "scopedRBAC: true"}},
		"ScopedNothing":  {"it would be the whole cluster", "scopedRBAC: true", []string{"scopedRBAC:", "namespaces"}},
		"TwoScopes":      {"one of them would be forgotten", "namespaces: [a]\nenv: {WATCHED_NAMESPACES: b}", []string{"env.WATCHED_NAMESPACES", "a / b"}},
		"ClusterStores":  {"they would be served", "processClusterStore: false", []string{"processClusterStore:", "controllerClass"}},
		"Stores":         {"they would be served", "processSecretStore: false", []string{"processSecretStore:"}},
		"GenericTargets": {"they would not be written", "genericTargets: {enabled: true}", []string{"genericTargets:"}},
		"Bitwarden":      {"there would be no server", "bitwarden-sdk-server: {enabled: true}", []string{"bitwarden-sdk-server:"}},
		"MoreRules":      {"they would not be granted", "customClusterRoles: [{apiGroups: [''], resources: [pods], verbs: [get]}]", []string{"customClusterRoles:"}},
		"SkipVerify":     {"the controller refuses it", "env: {VAULT_SKIP_VERIFY: true}", []string{"env.VAULT_SKIP_VERIFY:", "customCA"}},
		"LogLevel":       {"the controller would not start", "log: {level: loud}", []string{`log.level: "loud"`}},
		"FlagOfESO":      {"the controller would not start", "extraArgs: {concurrent: 5}", []string{"extraArgs.concurrent:", "Take it out"}},
		"FlagOfAValue":   {"the chart sets it", "extraArgs: {loglevel: debug, namespaces: a}", []string{"extraArgs.loglevel: use the value log.level", "extraArgs.namespaces: use the value namespaces"}},
		"TwoCAs":         {"one of them would be forgotten", "customCA: {secret: a, configMap: b}", []string{"customCA:"}},
		"TwoCAVariables": {"one of them would be forgotten", "customCA: {secret: a}\nenv: {NODE_EXTRA_CA_CERTS: /x}", []string{"NODE_EXTRA_CA_CERTS"}},
		"TwoBudgets":     {"Kubernetes refuses it", "podDisruptionBudget: {minAvailable: 1, maxUnavailable: 1}", []string{"podDisruptionBudget:"}},
		"Together":       {"all is said at once", "leaderElect: false\nscopedRBAC: true", []string{"leaderElect: false", "scopedRBAC:"}},

		"Unknown":      {"a slip of the pen", "replicas: 3", []string{"replicas"}},
		"UnknownBelow": {"a slip of the pen", "rbac: {tokenCreate: true}", []string{"rbac", "tokenCreate"}},
		"Number":       {"a wrong type", "replicaCount: two", []string{"replicaCount", "integer"}},
		"Boolean":      {"a wrong type", `leaderElect: "yes"`, []string{"leaderElect", "boolean"}},
		"List":         {"a wrong type", "namespaces: a,b", []string{"namespaces", "array"}},
		"Name":         {"no name of a namespace", "namespaces: ['a,b']", []string{"namespaces", "pattern"}},
		"Variable":     {"a wrong type", "env: {A: {b: c}}", []string{"env", "object"}},
		"Digest":       {"a tag is no digest", "image: {digest: v1}", []string{"digest"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := refused(t, tc.values)
			for _, want := range tc.want {
				if !strings.Contains(got, want) {
					t.Errorf("%s: no %q in\n%s", tc.reason, want, got)
				}
			}
		})
	}
}
