{{- define "s3shield.name" -}}
{{ .Release.Name | trunc 50 | trimSuffix "-" }}
{{- end }}
{{- define "s3shield.selector" -}}
app.kubernetes.io/name: s3shield
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}
{{- define "s3shield.labels" -}}
{{ include "s3shield.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end }}
