{{/* Name of the installation. */}}
{{- define "weir.instance" -}}
{{- $name := .Values.instance | default .Release.Name -}}
{{- if not (regexMatch "^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$" $name) -}}
{{- fail (printf "\n\n%q cannot name an installation: 1 to 32 of a-z, 0-9 and -, which neither begin nor end with -.\nhint: --set instance=NAME\n" $name) -}}
{{- end -}}
{{- $name -}}
{{- end -}}

{{/* What selects the pods of a component. Takes (list root component). */}}
{{- define "weir.selector" -}}
app.kubernetes.io/name: weir
app.kubernetes.io/instance: {{ include "weir.instance" (index . 0) }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{/* Labels of an object. Takes (list root component). */}}
{{- define "weir.labels" -}}
{{ include "weir.selector" . }}
app.kubernetes.io/version: {{ (index . 0).Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ (index . 0).Release.Service }}
helm.sh/chart: {{ (index . 0).Chart.Name }}-{{ (index . 0).Chart.Version }}
{{- end -}}

{{/* Metadata of an object. Takes (list root component), and a suffix of the name if it is not the component's. */}}
{{- define "weir.metadata" -}}
{{- $root := index . 0 -}}
name: {{ include "weir.instance" $root }}-{{ index . (sub (len .) 1) }}
namespace: {{ $root.Release.Namespace }}
labels: {{- include "weir.labels" (list $root (index . 1)) | nindent 2 }}
{{- end -}}

{{- define "weir.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}

{{/* What the names of services end with. */}}
{{- define "weir.domain" -}}
svc{{ with .Values.clusterDomain }}.{{ . }}{{ end }}
{{- end -}}

{{/* Bootstrap servers. */}}
{{- define "weir.kafka.url" -}}
{{- if .Values.kafka.enabled -}}
{{ include "weir.instance" . }}-kafka.{{ .Release.Namespace }}.{{ include "weir.domain" . }}:{{ .Values.kafka.port }}
{{- else -}}
{{ required "\n\nNo Kafka: kafka.enabled is false and kafka.url is empty.\nhint: --set kafka.url=HOST:PORT, or kafka.enabled=true for one to try out\n" .Values.kafka.url }}
{{- end -}}
{{- end -}}

{{/* Name of the Secret with Kafka's credentials; empty if there are none. */}}
{{- define "weir.kafka.secret" -}}
{{- if .Values.kafka.existingSecret -}}{{ .Values.kafka.existingSecret }}
{{- else if and .Values.kafka.enabled .Values.kafka.auth -}}{{ include "weir.instance" . }}-kafka
{{- end -}}
{{- end -}}

{{- define "weir.hub.secret" -}}
{{ .Values.hub.existingSecret | default (printf "%s-hub-token" (include "weir.instance" .)) }}
{{- end -}}

{{- define "weir.archive.secret" -}}
{{ .Values.archive.existingSecret | default (printf "%s-archive" (include "weir.instance" .)) }}
{{- end -}}

{{/* Port of capture's probes in the node's network. */}}
{{- define "weir.capture.port" -}}
{{- if .Values.capture.port -}}{{ int .Values.capture.port }}
{{- else -}}
{{- add 29100 (mod (adler32sum (printf "%s/%s" .Release.Namespace (include "weir.instance" .)) | atoi) 800) -}}
{{- end -}}
{{- end -}}

{{/* A value of `settings` as text of an environment variable: numbers without an exponent, lists by commas. */}}
{{- define "weir.text" -}}
{{- if kindIs "slice" . -}}
{{- $texts := list -}}{{- range . -}}{{- $texts = append $texts (include "weir.text" .) -}}{{- end -}}
{{- join "," $texts -}}
{{- else if and (kindIs "float64" .) (eq (floor .) .) -}}{{ int64 . }}
{{- else -}}{{ toString . }}{{- end -}}
{{- end -}}

{{/* Environment of a container with these stages. Takes (list root stages own), `own` what the chart itself sets and
     nobody else. */}}
{{- define "weir.env" -}}
{{- $root := index . 0 -}}
{{- $stages := index . 1 -}}
{{- $values := $root.Values -}}
{{- $env := dict
  "WEIR_RUNTIME_INSTANCE" (include "weir.instance" $root)
  "WEIR_BUS_URL" (include "weir.kafka.url" $root)
  "WEIR_BUS_SHARDS" (int $values.kafka.shards | toString)
  "WEIR_BUS_REPLICATION" (int $values.kafka.replication | toString)
  "WEIR_BUS_RETENTION_SHARE" (include "weir.text" ($values.kafka.retentionShare | default (ternary 0.25 1.0 $values.kafka.enabled)))
-}}
{{- with $values.cluster -}}{{- $_ := set $env "WEIR_RUNTIME_CLUSTER" . -}}{{- end -}}
{{- $secret := include "weir.kafka.secret" $root -}}
{{- if $values.kafka.enabled -}}
{{- if $values.kafka.auth -}}
{{- $_ := set $env "WEIR_BUS_SECURITY_PROTOCOL" "SASL_PLAINTEXT" -}}
{{- $_ := set $env "WEIR_BUS_SASL_MECHANISM" "PLAIN" -}}
{{- $_ := set $env "WEIR_BUS_USERNAME" "weir" -}}
{{- end -}}
{{- else -}}
{{- $_ := set $env "WEIR_BUS_SECURITY_PROTOCOL" $values.kafka.securityProtocol -}}
{{- if hasPrefix "SASL" $values.kafka.securityProtocol -}}
{{- $_ := set $env "WEIR_BUS_SASL_MECHANISM" $values.kafka.saslMechanism -}}
{{- end -}}
{{- end -}}
{{- if $values.kafka.tlsSecret -}}
{{- $_ := set $env "WEIR_BUS_CA_FILE" "/etc/weir/kafka/ca.crt" -}}
{{- if eq $values.kafka.securityProtocol "SSL" -}}
{{- $_ := set $env "WEIR_BUS_CERT_FILE" "/etc/weir/kafka/tls.crt" -}}
{{- $_ := set $env "WEIR_BUS_KEY_FILE" "/etc/weir/kafka/tls.key" -}}
{{- end -}}
{{- end -}}
{{- range $section := concat (list "runtime" "bus") $stages -}}
{{- range $name, $value := index $values.settings $section -}}
{{- $_ := set $env (printf "WEIR_%s_%s" (upper $section) (upper $name)) (include "weir.text" $value) -}}
{{- end -}}
{{- end -}}
{{- range $name, $value := merge (index . 2) $env }}
- {name: {{ $name }}, value: {{ $value | quote }}}
{{- end }}
- {name: WEIR_RUNTIME_NODE, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}
{{- if $secret }}
{{- if not $values.kafka.enabled }}
- {name: WEIR_BUS_USERNAME, valueFrom: {secretKeyRef: {name: {{ $secret }}, key: username}}}
{{- end }}
- {name: WEIR_BUS_PASSWORD, valueFrom: {secretKeyRef: {name: {{ $secret }}, key: password}}}
{{- end }}
{{- if has "hub" $stages }}
- {name: WEIR_HUB_TOKEN, valueFrom: {secretKeyRef: {name: {{ include "weir.hub.secret" $root }}, key: token}}}
{{- end }}
{{- if eq $values.archive.mode "clickhouse" }}
{{- range $stage := list "store" "hub" }}
{{- if has $stage $stages }}
- {name: WEIR_{{ upper $stage }}_ARCHIVE, valueFrom: {secretKeyRef: {name: {{ include "weir.archive.secret" $root }}, key: url}}}
{{- end }}
{{- end }}
{{- end }}
{{- end -}}

{{/* The one container of a workload. Takes (list root component stages own); `own`, environment of the chart's own, is
     empty for most. Every component but capture listens on 9100 of its pod. */}}
{{- define "weir.container" -}}
{{- $root := index . 0 -}}
{{- $component := index . 1 -}}
{{- $stages := index . 2 -}}
{{- $own := index . 3 -}}
{{- $onHost := eq $component "capture" -}}
{{- $port := ternary (include "weir.capture.port" $root) "9100" $onHost -}}
{{- $host := ternary $root.Values.capture.host "0.0.0.0" $onHost -}}
{{- $_ := set $own "WEIR_RUNTIME_LISTEN" (printf "%s:%s" $host $port) -}}
name: {{ $component }}
image: {{ include "weir.image" $root }}
imagePullPolicy: {{ $root.Values.image.pullPolicy }}
args: [run, {{ join ", " $stages }}]
env: {{- include "weir.env" (list $root $stages $own) | trim | nindent 2 }}
{{- with $root.Values.settingsSecret }}
envFrom: [{secretRef: {name: {{ . }}}}]
{{- end }}
ports:
  - {name: metrics, containerPort: {{ $port }}{{ if $onHost }}, hostPort: {{ $port }}{{ end }}}
{{- if has "hub" $stages }}
  - {name: http, containerPort: 8899}
{{- end }}
startupProbe:
  httpGet: {path: /healthz, port: metrics{{ if $onHost }}, host: {{ $host | quote }}{{ end }}}
  periodSeconds: 1
  timeoutSeconds: 5
  failureThreshold: 120
livenessProbe:
  httpGet: {path: /healthz, port: metrics{{ if $onHost }}, host: {{ $host | quote }}{{ end }}}
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
{{- if has "hub" $stages }}
  httpGet: {path: /healthz, port: http}
{{- else }}
  httpGet: {path: /readyz, port: metrics{{ if $onHost }}, host: {{ $host | quote }}{{ end }}}
{{- end }}
  periodSeconds: 2
  timeoutSeconds: 5
resources: {{- toYaml (index $root.Values $component).resources | nindent 2 }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities:
    drop: [ALL]
{{- if $onHost }}
    add: {{- toYaml $root.Values.capture.capabilities | nindent 6 }}
  # Capabilities that are added reach root alone; every other one of root's is dropped.
  runAsUser: 0
  runAsGroup: 0
  runAsNonRoot: false
{{- end }}
volumeMounts:
  - {name: tmp, mountPath: /tmp}
{{- if has "hub" $stages }}
  - {name: data, mountPath: /var/lib/weir}
{{- end }}
{{- if has "targets" $stages }}
  - {name: rules, mountPath: /etc/weir/rules, readOnly: true}
{{- end }}
{{- if $root.Values.kafka.tlsSecret }}
  - {name: kafka-tls, mountPath: /etc/weir/kafka, readOnly: true}
{{- end }}
{{- end -}}

{{/* What every pod has. Takes (list root component). */}}
{{- define "weir.pod" -}}
{{- $root := index . 0 -}}
{{- $component := index . 1 -}}
{{- $values := index $root.Values $component | default dict -}}
serviceAccountName: {{ include "weir.instance" $root }}-{{ $component }}
automountServiceAccountToken: {{ eq $component "targets" }}
enableServiceLinks: false
{{- with $root.Values.image.pullSecrets }}
imagePullSecrets: {{- range . }}
  - {name: {{ . }}}
{{- end }}
{{- end }}
securityContext:
{{- if ne $component "capture" }}
  runAsUser: 10001
  runAsGroup: 10001
  runAsNonRoot: true
  fsGroup: 10001
{{- end }}
  seccompProfile: {type: RuntimeDefault}
nodeSelector: {{- merge (dict "kubernetes.io/os" "linux") ($values.nodeSelector | default dict) | toYaml | nindent 2 }}
{{- with $values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
terminationGracePeriodSeconds: 30
{{- /* A name of two dots is asked for as it is first: with the usual five each name costs a query for every domain of
       the pod before it is found, and they are asked for anew as long as Kafka is away. */}}
dnsConfig: {options: [{name: ndots, value: "2"}]}
{{- end -}}

{{/* Volumes that every pod with weir in it has. */}}
{{- define "weir.volumes" -}}
- {name: tmp, emptyDir: {}}
{{- if .Values.kafka.tlsSecret }}
- {name: kafka-tls, secret: {secretName: {{ .Values.kafka.tlsSecret }}}}
{{- end }}
{{- end -}}

{{/* Metadata of a pod. Takes (list root component annotations). */}}
{{- define "weir.podMetadata" -}}
{{- $root := index . 0 -}}
{{- $component := index . 1 -}}
labels: {{- include "weir.selector" (list $root $component) | nindent 2 }}
{{- with merge (index . 2) (index $root.Values $component).podAnnotations }}
annotations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}
