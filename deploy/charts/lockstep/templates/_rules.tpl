{{- /*
SPDX-License-Identifier: Apache-2.0
What Lockstep may do, once for the cluster and once for a list of namespaces. docs/rbac.md is made from what this
renders to: the comment above a rule says why, and "Off:" which value turns it off. A shadow may read, and not write.
*/}}
{{- define "lockstep.rules" }}
  {{- if .Values.dialects.kes }}
  # What people ask for. get makes sure whose a Secret is that was restored from a backup.
  # Off: dialects.kes=false
  - apiGroups: [kubernetes-client.io]
    resources: [externalsecrets]
    verbs: [{{ if not .Values.shadow }}get, {{ end }}list, watch]
  {{- if not .Values.shadow }}
  # The status they read.
  # Off: dialects.kes=false
  - apiGroups: [kubernetes-client.io]
    resources: [externalsecrets/status]
    verbs: [patch]
  {{- end }}
  {{- end }}
  # What they get. list and watch bring metadata only, so that a deleted or edited Secret is repaired at once; delete
  # replaces a Secret of its own whose type changed, which Kubernetes does not allow in place.
  - apiGroups: [""]
    resources: [secrets]
    verbs: [get, list, watch{{ if not .Values.shadow }}, create, update, delete{{ end }}]
  {{- if include "lockstep.namespaces" . }}
  # The annotations that limit what a namespace may have. Its own namespace and no other: the API server takes a request
  # for a namespace as one within it.
  - apiGroups: [""]
    resources: [namespaces]
    verbs: [get]
  {{- else }}
  # The annotations that limit what a namespace may have.
  - apiGroups: [""]
    resources: [namespaces]
    verbs: [get, list, watch]
  {{- end }}
{{- end }}

{{- define "lockstep.rules.eso" }}
  {{- $stores := "secretstores, clustersecretstores" }}
  {{- $status := "secretstores/status, clustersecretstores/status" }}
  {{- if include "lockstep.namespaces" . }}
  {{- $stores = "secretstores" }}
  {{- $status = "secretstores/status" }}
  {{- end }}
  # What people ask for, and where from. patch takes the finalizers away that External Secrets Operator left on objects
  # which are being deleted; nothing else is patched.
  # Off: dialects.eso=false
  - apiGroups: [external-secrets.io]
    resources: [externalsecrets, {{ $stores }}]
    verbs: [list, watch{{ if not .Values.shadow }}, patch{{ end }}]
  {{- if not .Values.shadow }}
  # Makes sure whose a Secret is that was restored from a backup.
  # Off: dialects.eso=false
  - apiGroups: [external-secrets.io]
    resources: [externalsecrets]
    verbs: [get]
  {{- end }}
  {{- if not .Values.shadow }}
  # The status they read.
  # Off: dialects.eso=false
  - apiGroups: [external-secrets.io]
    resources: [externalsecrets/status, {{ $status }}]
    verbs: [patch]
  {{- end }}
  # Templates and certificates of CAs. list and watch bring metadata only, so that a change is seen at once.
  # Off: dialects.eso=false
  - apiGroups: [""]
    resources: [configmaps]
    verbs: [get, list, watch]
  {{- if not .Values.shadow }}
  # What happened, where kubectl describe shows it.
  # Off: dialects.eso=false
  - apiGroups: [events.k8s.io]
    resources: [events]
    verbs: [create, patch]
  {{- end }}
{{- end }}

{{- define "lockstep.rules.tokens" }}
  # Logs in to stores as the service accounts that they name (spec.provider.kubernetes.auth.serviceAccount and the like).
  # Off unless: rbac.serviceAccountTokenCreate=true; rbac.serviceAccountNames limits it to names
  - apiGroups: [""]
    resources: [serviceaccounts/token]
    {{- with .Values.rbac.serviceAccountNames }}
    resourceNames: {{ toJson . }}
    {{- end }}
    verbs: [create]
{{- end }}
