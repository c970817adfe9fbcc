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
{{- define "s3shield.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end }}
{{- define "s3shield.ports" -}}
{{- if eq (int .Values.port) (int .Values.adminPort) }}
{{- fail "port and adminPort must be two" }}
{{- end }}
{{- if or (eq (int .Values.port) 9180) (eq (int .Values.adminPort) 9180) }}
{{- fail "9180 is the admin listener's own, on loopback: take another port and adminPort" }}
{{- end }}
{{- end }}
