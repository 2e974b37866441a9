{{- /*
SPDX-License-Identifier: Apache-2.0
What other charts' values mean here. Whatever would be done in another way than it says is refused, with what to write
instead; what is not needed any more is passed over and named in the notes.
*/}}

{{- /* Is there a value at a path such as rbac.create? Other charts' names have no default here. */}}
{{- define "lockstep.given" -}}
{{- $at := .values }}
{{- $there := true }}
{{- range splitList "." .path }}
{{- if and $there (kindIs "map" $at) (hasKey $at .) }}{{ $at = index $at . }}{{ else }}{{ $there = false }}{{ end }}
{{- end }}
{{- if $there }}yes{{ end }}
{{- end }}

{{- define "lockstep.ignored" -}}
webhook: "there is none: the API server checks manifests by the CRDs, and the controller the rest"
certController: "there is none, since there is no webhook"
concurrent: "objects are always worked on together; what limits are the stores (docs/how-it-scales.md)"
extendedMetricLabels: "metrics are of stores and not of objects (docs/metrics.md)"
openshiftFinalizers: "no finalizer of OpenShift's is needed"
grafanaDashboard: "there is no dashboard yet"
storeRequeueInterval: "stores are looked at when they or their credentials change"
enableHTTP2: "nothing is served by HTTP/2"
vault: "one login serves everybody, always"
processClusterExternalSecret: "ClusterExternalSecrets are not served yet, and left as they are"
processClusterPushSecret: "ClusterPushSecrets are not served yet, and left as they are"
processPushSecret: "PushSecrets are not served yet, and left as they are"
processClusterGenerator: "generators are not served yet"
crds.createClusterExternalSecret: "not served yet"
crds.createClusterGenerator: "not served yet"
crds.createClusterPushSecret: "not served yet"
crds.createPushSecret: "not served yet"
crds.conversion: "v1 and v1beta1 have the same fields and need no webhook to convert"
crds.unsafeServeV1Beta1: "v1beta1 is always served"
rbac.servicebindings: "there is no role for service bindings"
log.timeEncoding: "times in the log are always RFC 3339"
image.flavour: "there is one image only, without a shell"
metrics.listen.secure.certFile: "it is tls.crt in metrics.listen.secure.certDir"
metrics.listen.secure.keyFile: "it is tls.key in metrics.listen.secure.certDir"
customResourceManagerDisabled: "the controller never changes CRDs; that is installCRDs"
env.WATCH_TIMEOUT: "a watch that ends is begun again by itself"
env.LOG_MESSAGE_KEY: "the key is always msg"
{{- end }}

{{- /* Flags of ESO's that are values here, and those of ours that the chart sets. */}}
{{- define "lockstep.flagValues" -}}
loglevel: log.level
log-level: log.level
dialects: dialects.kes and dialects.eso
namespace: namespaces
namespaces: namespaces
controller-class: controllerClass
enable-leader-election: leaderElect
leader-elect: leaderElect
metrics-addr: metrics.listen.port
metrics-bind-address: metrics.listen.port
metrics-secure: metrics.listen.secure.enabled
metrics-auth: metrics.listen.secure.enabled
metrics-cert-dir: metrics.listen.secure.certDir
live-addr: livenessProbe.spec.port
health-probe-bind-address: livenessProbe.spec.port
shadow: shadow
pause: pause
{{- end }}

{{- /* Flags of ESO's that are nothing here. */}}
{{- define "lockstep.flagsGone" -}}
concurrent client-qps client-burst zap-time-encoding store-requeue-interval enable-flood-gate enable-generator-state
enable-extended-metric-labels enable-http2 unsafe-allow-generic-targets enable-secrets-caching enable-configmaps-caching
enable-managed-secrets-caching enable-secret-api-read-on-cache-mismatch enable-vault-token-cache vault-token-cache-size
experimental-enable-vault-token-cache experimental-vault-token-cache-size experimental-enable-aws-session-cache
enable-cluster-store-reconciler enable-secret-store-reconciler enable-cluster-external-secret-reconciler
enable-cluster-push-secret-reconciler enable-push-secret-reconciler leader-election-id template-left-delimiter
template-right-delimiter generator-gc-grace-period
{{- end }}

{{- define "lockstep.problems" }}
{{- $v := .Values }}
{{- if not (include "lockstep.dialects" .) }}
dialects: switch at least one on.
{{- end }}
{{- if and (not $v.leaderElect) (gt (int $v.replicaCount) 1) }}
leaderElect: false with replicaCount: {{ int $v.replicaCount }} would let the replicas write over each other. Set replicaCount: 1, or leave leaderElect on.
{{- end }}
{{- if regexMatch "external-secrets/" $v.image.repository }}
image.repository: {{ $v.image.repository }} is the image of another controller. Take it and image.tag out, or name Lockstep's (make image).
{{- end }}
{{- include "lockstep.problems.scope" . }}
{{- if and (hasKey $v "processSecretStore") (not $v.processSecretStore) }}
processSecretStore: Lockstep cannot leave SecretStores alone. Take it out; controllerClass limits which stores are looked after.
{{- end }}
{{- if ($v.genericTargets | default dict).enabled }}
genericTargets: Lockstep writes Secrets only. Take it out; an ExternalSecret with target.manifest gets a condition that says so.
{{- end }}
{{- if (index $v "bitwarden-sdk-server" | default dict).enabled }}
bitwarden-sdk-server: Lockstep does not serve Bitwarden. Take it out, or keep its stores with the other controller by controllerClass.
{{- end }}
{{- if $v.customClusterRoles }}
customClusterRoles: Lockstep is given what it needs and no more (docs/rbac.md). Take it out, or bind a role of your own to its service account.
{{- end }}
{{- if $v.env.VAULT_SKIP_VERIFY }}
env.VAULT_SKIP_VERIFY: Lockstep does not talk to a Vault that it cannot verify. Name Vault's CA in customCA.
{{- end }}
{{- if not (has (include "lockstep.logLevel" .) (list "debug" "info" "warn" "error")) }}
log.level: {{ include "lockstep.logLevel" . | quote }} is none of debug, info, warn and error (KES's env.LOG_LEVEL wins over log.level).
{{- end }}
{{- if and $v.customCA.secret $v.customCA.configMap }}
customCA: name a secret or a configMap, not both.
{{- end }}
{{- if and (include "lockstep.customCA" .) $v.env.NODE_EXTRA_CA_CERTS }}
customCA: env.NODE_EXTRA_CA_CERTS names a CA, too. Take one of them out.
{{- end }}
{{- if and (hasKey $v.podDisruptionBudget "minAvailable") (hasKey $v.podDisruptionBudget "maxUnavailable") }}
podDisruptionBudget: Kubernetes takes minAvailable or maxUnavailable, not both.
{{- end }}
{{- include "lockstep.problems.flags" . }}
{{- end }}

{{- define "lockstep.problems.scope" }}
{{- $v := .Values }}
{{- $lists := list (join "," $v.namespaces) ($v.scopedNamespace | default "") ($v.env.WATCHED_NAMESPACES | default "" | nospace) | compact | uniq }}
{{- if gt (len $lists) 1 }}
namespaces, scopedNamespace, env.WATCHED_NAMESPACES: they mean the same and differ ({{ join " / " $lists }}). Keep namespaces.
{{- end }}
{{- if and $v.scopedNamespace (not $v.scopedRBAC) (ne (toString $v.processClusterStore) "false") }}
scopedNamespace: Lockstep has Roles in this namespace only, and so serves no ClusterSecretStores. Say that this is meant by scopedRBAC: true, or take scopedNamespace out.
{{- end }}
{{- if and $v.scopedRBAC (not $lists) }}
scopedRBAC: name the namespaces to look after in namespaces.
{{- end }}
{{- if and (eq (toString $v.processClusterStore) "false") (not $lists) $v.dialects.eso }}
processClusterStore: Lockstep leaves ClusterSecretStores alone when it looks after a list of namespaces. Set namespaces, or take it out; controllerClass limits which stores are looked after.
{{- end }}
{{- end }}

{{- define "lockstep.problems.flags" }}
{{- $values := include "lockstep.flagValues" . | fromYaml }}
{{- $gone := regexSplit "\\s+" (include "lockstep.flagsGone" . | trim) -1 }}
{{- range $flag := keys .Values.extraArgs | sortAlpha }}
{{- if hasKey $values $flag }}
extraArgs.{{ $flag }}: use the value {{ get $values $flag }}.
{{- else if has $flag $gone }}
extraArgs.{{ $flag }}: this is a flag of External Secrets Operator that Lockstep does not need or have. Take it out.
{{- end }}
{{- end }}
{{- end }}
