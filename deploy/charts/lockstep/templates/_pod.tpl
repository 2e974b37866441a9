{{- /* SPDX-License-Identifier: Apache-2.0 */}}
{{- define "lockstep.podSpec" -}}
{{- $global := .Values.global | default dict -}}
serviceAccountName: {{ include "lockstep.serviceAccountName" . }}
{{- with .Values.imagePullSecrets | default $global.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with include "lockstep.podSecurityContext" . }}
securityContext:
  {{- . | nindent 2 }}
{{- end }}
terminationGracePeriodSeconds: {{ .Values.terminationGracePeriodSeconds }}
{{- if .Values.hostNetwork }}
hostNetwork: true
{{- end }}
{{- with .Values.dnsPolicy | default (ternary "ClusterFirstWithHostNet" "" .Values.hostNetwork) }}
dnsPolicy: {{ . }}
{{- end }}
{{- with .Values.dnsConfig }}
dnsConfig:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.hostAliases }}
hostAliases:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.nodeSelector | default $global.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.tolerations | default $global.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.affinity | default $global.affinity }}
affinity:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with .Values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
topologySpreadConstraints:
  {{- with .Values.topologySpreadConstraints | default $global.topologySpreadConstraints }}
  {{- toYaml . | nindent 2 }}
  {{- else }}
  {{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "lockstep.selectorLabels" $ | nindent 8 }}
  {{- end }}
  {{- end }}
{{- with .Values.podSpecExtra }}
{{ toYaml . }}
{{- end }}
{{- /* KES's chart had the field's own name below its value. */}}
{{- with .Values.extraInitContainers | default (.Values.deploymentInitContainers | default dict).initContainers }}
initContainers:
  {{- toYaml . | nindent 2 }}
{{- end }}
containers:
  - name: lockstep
    {{- include "lockstep.container" . | nindent 4 }}
  {{- with .Values.extraContainers }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
{{- with include "lockstep.volumes" . | trim }}
volumes:
  {{- . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "lockstep.container" -}}
image: {{ include "lockstep.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
args:
  {{- include "lockstep.args" . | trim | nindent 2 }}
{{- with include "lockstep.env" . | trim }}
env:
  {{- . | nindent 2 }}
{{- end }}
{{- with .Values.envFrom }}
envFrom:
  {{- toYaml . | nindent 2 }}
{{- end }}
ports:
  - name: metrics
    containerPort: {{ include "lockstep.metricsPort" . }}
  - name: health
    containerPort: {{ include "lockstep.healthPort" . }}
{{- $probe := dict "timeoutSeconds" 5 "periodSeconds" 10 }}
{{- if .Values.livenessProbe.enabled }}
livenessProbe:
  httpGet: {path: /healthz, port: health}
  {{- merge (omit .Values.livenessProbe.spec "address" "port" "httpGet") (dict "failureThreshold" 6 "initialDelaySeconds" 10) $probe | toYaml | nindent 2 }}
{{- end }}
{{- if .Values.readinessProbe.enabled }}
readinessProbe:
  httpGet: {path: /readyz, port: health}
  {{- merge (omit .Values.readinessProbe.spec "address" "port" "httpGet") (dict "failureThreshold" 3) $probe | toYaml | nindent 2 }}
{{- end }}
{{- with .Values.resources }}
resources:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with include "lockstep.securityContext" . }}
securityContext:
  {{- . | nindent 2 }}
{{- end }}
{{- with include "lockstep.volumeMounts" . | trim }}
volumeMounts:
  {{- . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "lockstep.args" -}}
- controller
- --dialects={{ include "lockstep.dialects" . }}
{{- with include "lockstep.namespaces" . }}
- --namespaces={{ . }}
{{- end }}
{{- with .Values.controllerClass }}
- --controller-class={{ . }}
{{- end }}
- --leader-elect={{ .Values.leaderElect }}
- --log-level={{ include "lockstep.logLevel" . }}
- --metrics-bind-address=:{{ include "lockstep.metricsPort" . }}
{{- if .Values.metrics.listen.secure.enabled }}
- --metrics-secure
{{- with .Values.metrics.listen.secure.certDir }}
- --metrics-cert-dir={{ . }}
{{- end }}
{{- end }}
- --health-probe-bind-address={{ .Values.livenessProbe.spec.address }}:{{ include "lockstep.healthPort" . }}
{{- range $flag := list "shadow" "pause" }}
{{- if index $.Values $flag }}
- --{{ $flag }}
{{- end }}
{{- end }}
{{- range $flag, $value := .Values.extraArgs }}
- {{ if kindIs "invalid" $value }}--{{ $flag }}{{ else }}{{ printf "--%s=%s" $flag (include "lockstep.text" $value) | quote }}{{ end }}
{{- end }}
{{- end }}

{{- /* A value as text; Helm reads numbers as floats, and would write a million as 1e+06. */}}
{{- define "lockstep.text" -}}
{{ if kindIs "string" . }}{{ . }}{{ else if kindIs "slice" . }}{{ join "," . }}{{ else }}{{ toJson . }}{{ end }}
{{- end }}

{{- define "lockstep.env" -}}
{{- $taken := splitList " " (include "lockstep.envTaken" .) }}
{{- range $name, $value := .Values.env }}
{{- if and $value (not (has $name $taken)) }}
- name: {{ $name }}
  value: {{ include "lockstep.text" $value | quote }}
{{- end }}
{{- end }}
{{- range $name, $from := .Values.envVarsFromSecret }}
- name: {{ $name }}
  valueFrom:
    secretKeyRef: {name: {{ $from.secretKeyRef | quote }}, key: {{ $from.key | quote }}}
{{- end }}
{{- range $name, $from := .Values.envVarsFromConfigMap }}
- name: {{ $name }}
  valueFrom:
    configMapKeyRef: {name: {{ $from.configMapKeyRef | quote }}, key: {{ $from.key | quote }}}
{{- end }}
{{- if include "lockstep.customCA" . }}
- name: NODE_EXTRA_CA_CERTS
  value: /etc/lockstep/ca/{{ .Values.customCA.key }}
{{- end }}
{{- $http := .Values.env.HTTP_PROXY | default .Values.proxy.http }}
{{- $https := .Values.env.HTTPS_PROXY | default .Values.proxy.https }}
{{- with $http }}
- name: HTTP_PROXY
  value: {{ . | quote }}
{{- end }}
{{- with $https }}
- name: HTTPS_PROXY
  value: {{ . | quote }}
{{- end }}
{{- if or $http $https }}
- name: NO_PROXY
  value: {{ list "$(KUBERNETES_SERVICE_HOST)" (.Values.env.NO_PROXY | default .Values.proxy.noProxy) | compact | join "," | quote }}
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "lockstep.customCA" -}}
{{ .Values.customCA.secret | default .Values.customCA.configMap }}
{{- end }}

{{- define "lockstep.volumes" -}}
{{- if include "lockstep.customCA" . }}
- name: custom-ca
  {{- if .Values.customCA.secret }}
  secret: {secretName: {{ .Values.customCA.secret | quote }}}
  {{- else }}
  configMap: {name: {{ .Values.customCA.configMap | quote }}}
  {{- end }}
{{- end }}
{{- range $name, $file := .Values.filesFromSecret }}
- name: {{ $name }}
  secret: {secretName: {{ $file.secret | quote }}}
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "lockstep.volumeMounts" -}}
{{- if include "lockstep.customCA" . }}
- {name: custom-ca, mountPath: /etc/lockstep/ca, readOnly: true}
{{- end }}
{{- range $name, $file := .Values.filesFromSecret }}
- {name: {{ $name }}, mountPath: {{ $file.mountPath | quote }}, readOnly: true}
{{- end }}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- /*
securityContext was the pod's in KES's chart and is the container's in ESO's and here. What only a pod can have goes to
the pod; the rest means the same for its one container.
*/}}
{{- define "lockstep.podOnly" -}}
fsGroup fsGroupChangePolicy supplementalGroups supplementalGroupsPolicy sysctls
{{- end }}

{{- define "lockstep.podSecurityContext" -}}
{{- if .Values.podSecurityContext.enabled }}
{{- $context := omit .Values.podSecurityContext "enabled" }}
{{- range splitList " " (include "lockstep.podOnly" .) }}
{{- if hasKey $.Values.securityContext . }}
{{- $_ := set $context . (index $.Values.securityContext .) }}
{{- end }}
{{- end }}
{{- toYaml $context }}
{{- end }}
{{- end }}

{{- define "lockstep.securityContext" -}}
{{- if .Values.securityContext.enabled }}
{{- $context := merge dict (.Values.containerSecurityContext | default dict) (omit .Values.securityContext "enabled") }}
{{- range splitList " " (include "lockstep.podOnly" .) }}
{{- $context = omit $context . }}
{{- end }}
{{- toYaml $context }}
{{- end }}
{{- end }}
