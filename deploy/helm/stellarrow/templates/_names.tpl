{{- /* The name of a component's workload and service: (dict "root" $ "name" "source"). */ -}}
{{- define "stellarrow.name" -}}
{{- $component := index .root.Values.components .name -}}
{{- $component.name | default (printf "%s-%s" (.root.Release.Name | trunc 50 | trimSuffix "-") .name) -}}
{{- end -}}

{{- define "stellarrow.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
app.kubernetes.io/part-of: stellarrow
{{ include "stellarrow.selector" . }}
{{- end -}}

{{- define "stellarrow.selector" -}}
app.kubernetes.io/name: stellarrow
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/component: {{ .name }}
{{- end -}}

{{- define "stellarrow.account" -}}
{{- if .Values.serviceAccount.create -}}
{{- .Values.serviceAccount.name | default .Release.Name -}}
{{- else -}}
{{- .Values.serviceAccount.name | default "default" -}}
{{- end -}}
{{- end -}}

{{- define "stellarrow.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}

{{- define "stellarrow.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
fsGroupChangePolicy: OnRootMismatch
seccompProfile: {type: RuntimeDefault}
{{- end -}}

{{- define "stellarrow.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{- /* Secrets as files that NAME_FILE names: (dict "secrets" list). */ -}}
{{- define "stellarrow.secretEnv" -}}
{{- range .secrets }}
- name: {{ .variable }}_FILE
  value: /etc/stellarrow/secrets/{{ .variable }}
{{- end }}
{{- end -}}

{{- define "stellarrow.secretVolume" -}}
- name: secrets
  projected:
    defaultMode: 0440
    sources:
      {{- range .secrets }}
      - secret:
          name: {{ .secret }}
          items: [{key: {{ .key | quote }}, path: {{ .variable }}}]
      {{- end }}
{{- end -}}
