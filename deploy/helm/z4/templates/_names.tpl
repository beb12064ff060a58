{{- define "z4.labels" -}}
{{ include "z4.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ .Chart.Name }}-{{ .Chart.Version }}
{{- end }}

{{- define "z4.selector" -}}
app.kubernetes.io/name: {{ .Chart.Name }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "z4.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- /* What comes after a pod's name in its address. */ -}}
{{- define "z4.domain" -}}
{{ .Release.Name }}-peers.{{ .Release.Namespace }}.svc
{{- end }}

{{- /* Merged with the defaults, a profile of another type would still name a file, which Kubernetes refuses. */ -}}
{{- define "z4.seccomp" -}}
type: {{ .Values.seccompProfile.type }}
{{- if eq .Values.seccompProfile.type "Localhost" }}
localhostProfile: {{ .Values.seccompProfile.localhostProfile }}
{{- end }}
{{- end }}
