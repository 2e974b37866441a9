{{- /* SPDX-License-Identifier: Apache-2.0 */}}
{{- define "lockstep.name" -}}
{{ .Values.nameOverride | default .Chart.Name | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "lockstep.fullname" -}}
{{- $name := include "lockstep.name" . }}
{{- if .Values.fullnameOverride }}{{ .Values.fullnameOverride | trunc 48 | trimSuffix "-" }}
{{- else if contains $name .Release.Name }}{{ .Release.Name | trunc 48 | trimSuffix "-" }}
{{- else }}{{ printf "%s-%s" .Release.Name $name | trunc 48 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "lockstep.serviceAccountName" -}}
{{- if .Values.serviceAccount.create }}{{ .Values.serviceAccount.name | default (include "lockstep.fullname" .) }}
{{- else }}{{ .Values.serviceAccount.name | default "default" }}
{{- end }}
{{- end }}

{{- define "lockstep.selectorLabels" -}}
app.kubernetes.io/name: {{ include "lockstep.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "lockstep.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "lockstep.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- /* The namespaces to look after, separated by commas; nothing means all. Three names for it: ours, ESO's and KES's. */}}
{{- define "lockstep.namespaces" -}}
{{- if .Values.namespaces }}{{ join "," .Values.namespaces }}
{{- else if .Values.scopedNamespace }}{{ .Values.scopedNamespace }}
{{- else }}{{ .Values.env.WATCHED_NAMESPACES | default "" | nospace }}
{{- end }}
{{- end }}

{{- define "lockstep.dialects" -}}
{{- $on := list }}
{{- range $name := list "kes" "eso" }}{{ if index $.Values.dialects $name }}{{ $on = append $on $name }}{{ end }}{{ end }}
{{- join "," $on }}
{{- end }}

{{- define "lockstep.image" -}}
{{- if .Values.image.digest }}{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else }}{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}
{{- end }}

{{- define "lockstep.metricsPort" -}}
{{ .Values.env.METRICS_PORT | default .Values.metrics.listen.port | int }}
{{- end }}

{{- define "lockstep.healthPort" -}}
{{ .Values.livenessProbe.spec.port | default 8081 | int }}
{{- end }}

{{- /* pino, zap and we call levels differently. */}}
{{- define "lockstep.logLevel" -}}
{{- $level := .Values.env.LOG_LEVEL | default .Values.log.level | toString | lower }}
{{- get (dict "trace" "debug" "warning" "warn" "fatal" "error" "dpanic" "error" "panic" "error" "silent" "error") $level | default $level }}
{{- end }}

{{- /* Variables of env that are flags here, that nothing reads, or that the container gets in another way. */}}
{{- define "lockstep.envTaken" -}}
METRICS_PORT LOG_LEVEL WATCHED_NAMESPACES WATCH_TIMEOUT LOG_MESSAGE_KEY HTTP_PROXY HTTPS_PROXY NO_PROXY
{{- end }}

{{- /* What a rule of RBAC is bound to. */}}
{{- define "lockstep.subjects" -}}
subjects:
  - kind: ServiceAccount
    name: {{ include "lockstep.serviceAccountName" . }}
    namespace: {{ .Release.Namespace }}
{{- end }}
