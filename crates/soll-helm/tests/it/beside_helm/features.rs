//! Small charts, one for each thing that charts can do or get wrong, beside the real helm.

use super::helm;
use crate::corpus::{Flags, template_in};

type Files = &'static [(&'static str, &'static str)];

const CHART: (&str, &str) = ("Chart.yaml", "apiVersion: v2\nname: c\nversion: 1.2.3\nappVersion: v9\n");
const A: (&str, &str) = ("templates/a.yaml", "kind: A\n");
const LIBRARY: (&str, &str) = ("charts/lib/Chart.yaml", "apiVersion: v2\nname: lib\nversion: 0.1.0\ntype: library\n");
const SUB: (&str, &str) = ("charts/sub/Chart.yaml", "apiVersion: v2\nname: sub\nversion: 0.1.0\n");

/// What a chart is about, its files, and the flags it is rendered with.
const CASES: &[(&str, Files, &[&str])] = &[
    ("a chart", &[CHART, A], &[]),
    (
        "a version of Kubernetes that is too old",
        &[("Chart.yaml", "apiVersion: v2\nname: c\nversion: 1.2.3\nkubeVersion: \">= 1.30.0 < 2\"\n"), A],
        &["--kube-version", "v1.25.3"],
    ),
    (
        "a version of Kubernetes with a vendor's suffix",
        &[("Chart.yaml", "apiVersion: v2\nname: c\nversion: 1.2.3\nkubeVersion: \">=1.25-0\"\n"), A],
        &["--kube-version", "v1.30.1-eks-1a2b"],
    ),
    (
        "a version of Kubernetes that is no range",
        &[("Chart.yaml", "apiVersion: v2\nname: c\nversion: 1.2.3\nkubeVersion: \"new\"\n"), A],
        &[],
    ),
    ("an unknown type", &[("Chart.yaml", "apiVersion: v2\nname: c\nversion: 1.2.3\ntype: other\n"), A], &[]),
    (
        "a library below",
        &[
            CHART,
            LIBRARY,
            ("charts/lib/templates/_h.tpl", "{{ define \"lib.a\" }}from: {{ .Chart.Name }}{{ end }}"),
            ("charts/lib/templates/not.yaml", "kind: Not\n"),
            ("templates/a.yaml", "kind: A\n{{ include \"lib.a\" . }}\n"),
        ],
        &[],
    ),
    (
        "what is ignored",
        &[
            CHART,
            A,
            (".helmignore", "# all but one\n*.txt\n/templates/b.yaml\ntemplates/sub/\n!keep.md\n"),
            ("templates/b.yaml", "kind: B\n"),
            ("templates/sub/d.yaml", "kind: D\n"),
            ("one.txt", "x"),
        ],
        &[],
    ),
    (
        "definitions of resources",
        &[
            CHART,
            A,
            (
                "crds/b.yaml",
                "kind: CustomResourceDefinition\nmetadata: {name: b}\n---\nkind: CustomResourceDefinition\n",
            ),
            ("crds/a.yaml", "# first\nkind: CustomResourceDefinition\nmetadata: {name: {{ not a template }}}\n"),
            SUB,
            ("charts/sub/crds/c.json", "{\"kind\": \"CustomResourceDefinition\"}"),
            ("crds/README.md", "no definition"),
        ],
        &["--include-crds"],
    ),
    (
        "hooks",
        &[
            CHART,
            A,
            (
                "templates/hooks.yaml",
                "kind: Job\nmetadata: {name: two, annotations: {helm.sh/hook: \"post-install,pre-install\", helm.sh/hook-weight: \"5\"}}\n\
                 ---\nkind: Job\nmetadata: {name: one, annotations: {helm.sh/hook: pre-install, helm.sh/hook-weight: \"-1\"}}\n\
                 ---\nkind: Pod\nmetadata: {name: t, annotations: {helm.sh/hook: test}}\n---\nkind: B\n",
            ),
            ("templates/unknown.yaml", "kind: U\nmetadata: {annotations: {helm.sh/hook: never}}\n"),
        ],
        &[],
    ),
    (
        "the order of kinds",
        &[
            CHART,
            (
                "templates/all.yaml",
                "{{ range list \"Zebra\" \"APIService\" \"Ingress\" \"IngressClass\" \"CronJob\" \"Job\" \"StatefulSet\" \
                 \"HorizontalPodAutoscaler\" \"Deployment\" \"ReplicaSet\" \"ReplicationController\" \"Pod\" \"DaemonSet\" \
                 \"Service\" \"RoleBindingList\" \"RoleBinding\" \"RoleList\" \"Role\" \"ClusterRoleBindingList\" \
                 \"ClusterRoleBinding\" \"ClusterRoleList\" \"ClusterRole\" \"CustomResourceDefinition\" \"PersistentVolumeClaim\" \
                 \"PersistentVolume\" \"StorageClass\" \"ConfigMap\" \"SecretList\" \"Secret\" \"ServiceAccount\" \
                 \"PodDisruptionBudget\" \"PodSecurityPolicy\" \"LimitRange\" \"ResourceQuota\" \"NetworkPolicy\" \"Namespace\" \
                 \"PriorityClass\" \"ValidatingWebhookConfiguration\" \"MutatingWebhookConfiguration\" \"Aardvark\" }}\n---\nkind: {{ . }}\n\
                 metadata: {name: n}\n{{ end }}",
            ),
            ("templates/z.yaml", "kind: Service\nmetadata: {name: a}\n"),
        ],
        &[],
    ),
    (
        "files",
        &[
            CHART,
            ("config/a.txt", "one\ntwo\n"),
            ("config/b.conf", "k: \"v\""),
            ("config/deep/c.txt", "three"),
            (
                "templates/a.yaml",
                "kind: A\nget: {{ .Files.Get \"config/a.txt\" | quote }}\nno: {{ .Files.Get \"nope\" | quote }}\nlines: {{ .Files.Lines \"config/a.txt\" | toJson }}\n\
                 bytes: {{ .Files.GetBytes \"config/b.conf\" | toString }}\nconfig:\n{{ (.Files.Glob \"config/*\").AsConfig | indent 2 }}\n\
                 secrets:\n{{ (.Files.Glob \"**.txt\").AsSecrets | indent 2 }}\neach:\n{{ range $path, $_ := .Files.Glob \"config/**\" }}- {{ $path }}: {{ base $path }}\n\
                 {{ end }}type: {{ typeOf .Files }}\n",
            ),
            SUB,
            ("charts/sub/own.txt", "mine"),
            (
                "charts/sub/templates/a.yaml",
                "kind: S\nmine: {{ .Files.Get \"own.txt\" }}\ntheirs: {{ .Files.Get \"config/a.txt\" | quote }}\n",
            ),
        ],
        &[],
    ),
    (
        "capabilities",
        &[
            CHART,
            (
                "templates/a.yaml",
                "kind: A\nall: {{ .Capabilities.KubeVersion | toJson }}\nversion: {{ .Capabilities.KubeVersion }} {{ .Capabilities.KubeVersion.Version }} \
                 {{ .Capabilities.KubeVersion.Major }} {{ .Capabilities.KubeVersion.Minor }} {{ .Capabilities.KubeVersion.GitVersion }}\n\
                 has: {{ .Capabilities.APIVersions.Has \"apps/v1\" }} {{ .Capabilities.APIVersions.Has \"apps/v1/Deployment\" }} {{ .Capabilities.APIVersions.Has \"x/v1\" }}\n\
                 helm: {{ .Capabilities.HelmVersion.Version | regexMatch \"^v[0-9]+\" }} {{ typeOf .Capabilities }}\n",
            ),
        ],
        &["--kube-version", "1.31"],
    ),
    (
        "what templates see",
        &[
            (
                "Chart.yaml",
                "apiVersion: v2\nname: c\nversion: 1.2.3-rc.1+b\nappVersion: 1.10\ndescription: d\nkeywords: [k]\nhome: h\nicon: i\nsources: [s]\n\
                 maintainers: [{name: m, email: e, url: u}]\nannotations: {a: b}\ndeprecated: true\nkubeVersion: '*'\nunknown: 1\n",
            ),
            (
                "templates/deep/a.yaml",
                "kind: A\nchart: {{ .Chart | toJson }}\nrelease: {{ .Release | toJson }}\ntemplate: {{ .Template | toJson }}\n\
                 subcharts: {{ range $name, $sub := .Subcharts }}{{ $name }} {{ $sub.Values | toJson }} {{ $sub.Chart.Name }}{{ end }}\n\
                 fields: {{ .Chart.Name }} {{ .Chart.Version }} {{ .Chart.AppVersion }} {{ .Chart.Deprecated }} {{ (first .Chart.Maintainers).Name }} \
                 {{ .Chart.Annotations.a }} {{ .Chart.KubeVersion }} {{ .Chart.Type }}\nlookup: {{ lookup \"v1\" \"Pod\" \"n\" \"x\" | toJson }}\n\
                 keys: {{ keys . | sortAlpha | join \" \" }}\n",
            ),
            SUB,
            ("charts/sub/values.yaml", "a: 1\n"),
            (
                "charts/sub/templates/a.yaml",
                "kind: S\nrelease: {{ .Release.Name }}\ntemplate: {{ .Template.Name }} {{ .Template.BasePath }}\nroot: {{ .Chart.IsRoot }}\n",
            ),
        ],
        &["--namespace", "ns"],
    ),
    (
        "conditions and tags",
        &[
            (
                "Chart.yaml",
                "apiVersion: v2\nname: c\nversion: 1.2.3\ndependencies:\n- {name: sub, version: 0.1.0, condition: \"sub.on,other\", alias: one}\n\
                 - {name: sub, version: \"~0.1\", tags: [t], alias: two}\n- {name: lib, version: 0.1.0, tags: [t]}\n",
            ),
            A,
            SUB,
            ("charts/sub/templates/a.yaml", "kind: S\nname: {{ .Chart.Name }} {{ .Values | toJson }}\n"),
            LIBRARY,
            ("values.yaml", "tags: {t: true}\none: {x: 1}\nsub: {on: false}\n"),
        ],
        &["--set", "two.y=2,tags.t=false,other=true"],
    ),
    (
        "a dependency of another version",
        &[
            ("Chart.yaml", "apiVersion: v2\nname: c\nversion: 1.2.3\ndependencies:\n- {name: sub, version: 2.x}\n"),
            A,
            SUB,
            ("charts/sub/templates/s.yaml", "kind: S\n"),
        ],
        &[],
    ),
    ("no name", &[("Chart.yaml", "apiVersion: v2\nversion: 1.2.3\n"), A], &[]),
    ("no version", &[("Chart.yaml", "apiVersion: v2\nname: c\n"), A], &[]),
    ("no version of the format", &[("Chart.yaml", "name: c\nversion: 1.2.3\n"), A], &[]),
    ("an unknown version of the format", &[("Chart.yaml", "apiVersion: v7\nname: c\nversion: 1.2.3\n"), A], &[]),
    ("a name with a slash", &[("Chart.yaml", "apiVersion: v2\nname: c/d\nversion: 1.2.3\n"), A], &[]),
    ("a version that is none", &[("Chart.yaml", "apiVersion: v2\nname: c\nversion: one\n"), A], &[]),
    (
        "an alias that is none",
        &[
            (
                "Chart.yaml",
                "apiVersion: v2\nname: c\nversion: 1.2.3\ndependencies: [{name: sub, version: 0.1.0, alias: \"a b\"}]\n",
            ),
            A,
            SUB,
        ],
        &[],
    ),
    (
        "two dependencies of one name",
        &[
            (
                "Chart.yaml",
                "apiVersion: v2\nname: c\nversion: 1.2.3\ndependencies: [{name: sub, version: 0.1.0}, {name: sub, version: 0.1.0}]\n",
            ),
            A,
            SUB,
        ],
        &[],
    ),
    ("a broken Chart.yaml", &[("Chart.yaml", "apiVersion: v2\nname: [c\n"), A], &[]),
    ("fields of other types", &[("Chart.yaml", "apiVersion: v2\nname: c\nversion: 1.2.3\nkeywords: 5\n"), A], &[]),
    ("values that are a list", &[CHART, A, ("values.yaml", "- 1\n")], &[]),
    ("values that are broken", &[CHART, A, ("values.yaml", "a: 1\n b: 2\n")], &[]),
    ("values without a key", &[CHART, A, ("values.yaml", "~: 1\n")], &[]),
    (
        "values in two documents",
        &[
            CHART,
            ("templates/a.yaml", "kind: A\nv: {{ .Values | toJson }}\n"),
            ("values.yaml", "a: {b: 1, c: 1}\n---\na: {b: 2}\n"),
        ],
        &[],
    ),
    (
        "values with a mark of the byte order",
        &[
            CHART,
            ("templates/a.yaml", "kind: A\nv: {{ .Values | toJson }}\n"),
            ("values.yaml", "\u{feff}a: 1\r\nb: 2\r\n"),
        ],
        &[],
    ),
    ("a template that is none", &[CHART, ("templates/a.yaml", "kind: A\n{{ if }}\n")], &[]),
    ("an unknown function", &[CHART, ("templates/a.yaml", "kind: A\nx: {{ nope 1 }}\n")], &[]),
    (
        "an error below includes",
        &[
            CHART,
            (
                "templates/_h.tpl",
                "{{ define \"one\" }}{{ include \"two\" . }}{{ end }}\n{{ define \"two\" }}{{ .Values.a.b.c }}{{ end }}",
            ),
            ("templates/a.yaml", "kind: A\nx: {{ include \"one\" . }}\n"),
        ],
        &[],
    ),
    ("a failure", &[CHART, ("templates/a.yaml", "{{ fail \"not\\nso\" }}")], &[]),
    ("a failure in tpl", &[CHART, ("templates/a.yaml", "x: {{ tpl \"{{ fail `deep` }}\" . }}")], &[]),
    ("something required", &[CHART, ("templates/a.yaml", "x: {{ required \"say x\" .Values.x }}")], &[]),
    ("an include that is not there", &[CHART, ("templates/a.yaml", "x: {{ include \"gone\" . }}")], &[]),
    (
        "endless includes",
        &[CHART, ("templates/a.yaml", "{{ define \"x\" }}{{ include \"x\" . }}{{ end }}{{ include \"x\" . }}")],
        &[],
    ),
    ("broken output", &[CHART, ("templates/a.yaml", "kind: A\n  b: 1\n c: 2\n")], &[]),
    ("output that is a list", &[CHART, ("templates/a.yaml", "- kind: A\n")], &[]),
    ("output that is a text", &[CHART, ("templates/a.yaml", "just text\n")], &[]),
    ("output without a kind", &[CHART, ("templates/a.yaml", "a: 1\n"), ("templates/b.yaml", "kind: B\n")], &[]),
    (
        "output that is nothing",
        &[CHART, ("templates/a.yaml", "# a comment\n---\n\n---\n# more\n"), ("templates/b.yaml", "null\n")],
        &[],
    ),
    (
        "other files among templates",
        &[
            CHART,
            A,
            ("templates/n.txt", "text: {{ .Chart.Name }}\n"),
            ("templates/j.json", "{\"kind\": \"J\"}"),
            ("templates/.hidden.yaml", "kind: H\n"),
        ],
        &[],
    ),
    ("lines of Windows", &[CHART, ("templates/a.yaml", "kind: A\r\nb: {{ .Chart.Name }}\r\n---\r\nkind: B\r\n")], &[]),
    (
        "notes",
        &[
            CHART,
            A,
            ("templates/NOTES.txt", "Notes of {{ .Release.Name }}\n"),
            SUB,
            ("charts/sub/templates/NOTES.txt", "{{ fail \"below\" }}"),
        ],
        &[],
    ),
    (
        "nulls for what is below",
        &[
            CHART,
            ("values.yaml", "sub: {a: {b: 1, c: null}, g: 1}\nglobal: {x: {y: 1}}\n"),
            ("templates/a.yaml", "kind: A\nv: {{ .Values | toJson }}\n"),
            SUB,
            ("charts/sub/values.yaml", "a: {b: 2, c: 3, d: 4}\nglobal: {x: {z: 2}, w: 1}\n"),
            ("charts/sub/templates/a.yaml", "kind: S\nv: {{ .Values | toJson }}\n"),
        ],
        &["--set", "sub.a.d=null,global.x.y=null"],
    ),
    (
        "values that templates change",
        &[
            CHART,
            ("values.yaml", "sub: {a: {b: 1}}\nglobal: {x: 1}\n"),
            (
                "templates/a.yaml",
                "kind: A\ntypes: {{ typeOf .Values }} {{ typeOf .Values.sub }} {{ typeOf .Values.sub.a }} {{ kindOf .Values }}\n{{ $_ := set .Values.sub.a \"c\" 2 }}\
                 {{ $_ := set .Values \"d\" (dict \"e\" 3) }}{{ $_ := set .Values.global \"y\" 4 }}v: {{ .Values | toJson }}\n",
            ),
            SUB,
            (
                "charts/sub/templates/a.yaml",
                "kind: S\ntypes: {{ typeOf .Values }} {{ typeOf .Values.global }}\nv: {{ .Values | toJson }}\n{{ $_ := set .Values.a \"f\" 5 }}{{ $_ := unset .Values.a \"b\" }}\
                 w: {{ merge (dict \"n\" 1) .Values | toJson }} {{ mergeOverwrite .Values (dict \"a\" (dict \"g\" 6)) | toJson }}\n",
            ),
        ],
        &[],
    ),
    (
        "numbers",
        &[
            CHART,
            (
                "values.yaml",
                "i: 12345678\nbig: 12345678901234567890\nf: 1.50\ne: 1e3\noct: 0777\nhex: 0x1F\nneg: -0\nbin: 0b11\nver: 1.10\ndate: 2020-01-01\nyes: on\nsix: 1:30\n",
            ),
            (
                "templates/a.yaml",
                "kind: A\n{{ range $k, $v := .Values }}{{ $k }}: [{{ $v }}, {{ $v | quote }}, {{ typeOf $v }}, {{ toJson $v }}, {{ int64 $v }}, {{ toString $v }}]\n{{ end }}all:\n\
                 {{ toYaml .Values | indent 2 }}\n{{ .Values.i | int }} {{ eq .Values.i 12345678.0 }} {{ printf \"%d %v\" (int .Values.i) .Values.i }} {{ add .Values.i 1 }} {{ mul .Values.f 2 }}\n",
            ),
        ],
        &["--set", "s=12345678,t=1.5,u=0x10"],
    ),
    (
        "templates of one name",
        &[
            CHART,
            (
                "templates/_a.tpl",
                "{{ define \"x\" }}a of the root{{ end }}{{ define \"only.root\" }}{{ .Chart.Name }}{{ end }}",
            ),
            ("templates/_b.tpl", "{{ define \"x\" }}b of the root{{ end }}"),
            (
                "templates/z.yaml",
                "kind: A\nx: {{ include \"x\" . }}\ny: {{ template \"y\" . }}\n{{ block \"z\" . }}z: root{{ end }}\n",
            ),
            SUB,
            (
                "charts/sub/templates/_z.tpl",
                "{{ define \"x\" }}of the sub{{ end }}{{ define \"y\" }}y of {{ .Chart.Name }}{{ end }}{{ define \"z\" }}z: sub{{ end }}",
            ),
            (
                "charts/sub/templates/a.yaml",
                "kind: S\nx: {{ include \"x\" . }}\nroot: {{ include \"only.root\" . }}\nfile: {{ include \"c/templates/_a.tpl\" . | quote }}\n",
            ),
        ],
        &[],
    ),
    (
        "templates in values",
        &[
            CHART,
            (
                "values.yaml",
                "t: '{{ .Values.u }} {{ include \"h\" . }} {{ .Template.Name }}'\nu: v\nd: '{{ define \"own\" }}mine{{ end }}{{ include \"own\" . }}'\nm: {a: '{{ .Chart.Name }}'}\n",
            ),
            ("templates/_h.tpl", "{{ define \"h\" }}helped{{ end }}"),
            (
                "templates/a.yaml",
                "kind: A\nt: {{ tpl .Values.t . }}\nd: {{ tpl .Values.d . }}\nm: {{ tpl (toYaml .Values.m) . }}\nnone: {{ tpl \"{{ .Values.nope }}\" . | quote }}\n\
                 file: {{ tpl (.Files.Get \"f.tpl\") . }}\n",
            ),
            ("f.tpl", "{{ .Release.Name }}"),
        ],
        &[],
    ),
    (
        "an error in a template in values",
        &[
            CHART,
            ("values.yaml", "t: \"{{ .Values.a.b }}\"\n"),
            ("templates/a.yaml", "kind: A\n\nt: {{ tpl .Values.t . }}\n"),
        ],
        &[],
    ),
    (
        "a template in values that is none",
        &[CHART, ("values.yaml", "t: \"{{ nope }}\"\n"), ("templates/a.yaml", "t: {{ tpl .Values.t . }}\n")],
        &[],
    ),
    ("a chain of nothing", &[CHART, ("templates/a.yaml", "kind: A\na: {{ .Values.a.b }}\n")], &[]),
    (
        "a field of a text",
        &[CHART, ("values.yaml", "a: text\n"), ("templates/a.yaml", "kind: A\na: {{ .Values.a.b.c }}\n")],
        &[],
    ),
    (
        "a wrong type",
        &[
            CHART,
            ("values.yaml", "a: 1\n"),
            (
                "templates/a.yaml",
                "kind: A\n{{- range $i, $x := .Values.a.b }}\na: {{ $x }}\n{{- end }}\nb: {{ upper .Values.a }}\n",
            ),
        ],
        &[],
    ),
    ("an index of nothing", &[CHART, ("templates/a.yaml", "kind: A\na: {{ index .Values.a \"b\" }}\n")], &[]),
    (
        "a lint that is no error",
        &[
            CHART,
            (
                "templates/a.yaml",
                "kind: A\na: {{ .Values.nope | default \"d\" }} {{ .Values.nope }} {{ (.Values.a).b }} {{ dig \"a\" \"b\" \"none\" .Values.AsMap }}\n",
            ),
        ],
        &[],
    ),
    (
        "methods of values",
        &[
            CHART,
            ("values.yaml", "a: {b: {c: 1}}\nAsMap: hidden\n"),
            (
                "templates/a.yaml",
                "kind: A\nmap: {{ typeOf .Values.AsMap }} {{ dig \"a\" \"b\" \"none\" .Values.AsMap | toJson }}\ntable: {{ .Values.Table \"a.b\" }} {{ typeOf (.Values.Table \"a\") }}\n\
                 value: {{ .Values.PathValue \"a.b.c\" }}\nyaml: {{ .Values.YAML | quote }}\nno: {{ .Values.a | typeOf }}\n",
            ),
        ],
        &[],
    ),
    ("a table that is not there", &[CHART, ("templates/a.yaml", "a: {{ .Values.Table \"a.b\" }}\n")], &[]),
    (
        "a value that is a table",
        &[CHART, ("values.yaml", "a: {b: {c: 1}}\n"), ("templates/a.yaml", "a: {{ .Values.PathValue \"a.b\" }}\n")],
        &[],
    ),
    ("the path of nothing", &[CHART, ("templates/a.yaml", "a: {{ .Values.PathValue \"\" }}\n")], &[]),
    (
        "a version that cannot grow",
        &[CHART, ("templates/a.yaml", "a: {{ (semver \"1.2.3\").SetPrerelease \"x y\" }}\n")],
        &[],
    ),
    ("the length of a number", &[CHART, ("templates/a.yaml", "a: {{ len 5 }}\n")], &[]),
    ("a comparison of kinds", &[CHART, ("templates/a.yaml", "a: {{ eq 5 \"5\" }}\n")], &[]),
    ("a call of nothing", &[CHART, ("templates/a.yaml", "a: {{ call .Values.x }}\n")], &[]),
    ("a template that is not there", &[CHART, ("templates/a.yaml", "a: {{ template \"gone\" . }}\n")], &[]),
    ("a count of arguments", &[CHART, ("templates/a.yaml", "a: {{ upper }}\n")], &[]),
    ("a function that panics", &[CHART, ("templates/a.yaml", "a: {{ regexFind \"(\" \"x\" }}\n")], &[]),
    (
        "an error in a template of a chart below",
        &[
            CHART,
            A,
            SUB,
            ("charts/sub/templates/_h.tpl", "{{ define \"s\" }}\n{{ required \"r\" .Values.x }}{{ end }}"),
            ("charts/sub/templates/a.yaml", "{{ template \"s\" . }}"),
        ],
        &[],
    ),
    ("a method with too much", &[CHART, ("templates/a.yaml", "a: {{ .Values.AsMap 1 }}\n")], &[]),
    ("a method that nobody can call", &[CHART, ("templates/a.yaml", "a: {{ .Values.Encode \"x\" }}\n")], &[]),
    (
        "a page of text",
        &[
            CHART,
            (
                "templates/a.yaml",
                "kind: ConfigMap\ndata:\n  a: |\n    ---\n    kind: not\n  b: |-\n    {{- \"x\\n---\\ny\" | nindent 4 }}\n",
            ),
        ],
        &[],
    ),
    (
        "what stays",
        &[
            CHART,
            (
                "templates/a.yaml",
                "kind: PersistentVolumeClaim\nmetadata: {name: a, annotations: {helm.sh/resource-policy: keep}}\n---\n# only a comment\n---\nkind: Secret\nmetadata: {name: b}\n",
            ),
        ],
        &[],
    ),
    (
        "a hook with a weight that is none",
        &[
            CHART,
            (
                "templates/a.yaml",
                "kind: Job\nmetadata: {name: a, annotations: {helm.sh/hook: pre-install, helm.sh/hook-weight: heavy}}\n",
            ),
        ],
        &[],
    ),
    (
        "a hook with a number for a weight",
        &[
            CHART,
            (
                "templates/a.yaml",
                "kind: Job\nmetadata: {name: a, annotations: {helm.sh/hook: pre-install, helm.sh/hook-weight: 5}}\n",
            ),
        ],
        &[],
    ),
    (
        "annotations that are a list",
        &[CHART, ("templates/a.yaml", "kind: Job\nmetadata: {name: a, annotations: [a]}\n")],
        &[],
    ),
    ("a kind that is a list", &[CHART, ("templates/a.yaml", "kind: [a]\n")], &[]),
    (
        "charts below charts",
        &[
            (
                "Chart.yaml",
                "apiVersion: v2\nname: c\nversion: 1.2.3\ndependencies:\n- {name: sub, version: 0.1.0, import-values: [data, {child: x.y, parent: z}]}\n",
            ),
            ("values.yaml", "sub: {sub2: {b: 2}}\nz: {own: 1}\n"),
            ("templates/a.yaml", "kind: A\nv: {{ .Values | toJson }}\n"),
            (
                "charts/sub/Chart.yaml",
                "apiVersion: v2\nname: sub\nversion: 0.1.0\ndependencies: [{name: sub2, version: 0.1.0, condition: sub2.enabled}]\n",
            ),
            ("charts/sub/values.yaml", "exports: {data: {imported: 1}}\nx: {y: {deep: 1}}\nsub2: {enabled: true}\n"),
            ("charts/sub/templates/a.yaml", "kind: S\nv: {{ .Values | toJson }}\n"),
            ("charts/sub/charts/sub2/Chart.yaml", "apiVersion: v2\nname: sub2\nversion: 0.1.0\n"),
            ("charts/sub/charts/sub2/values.yaml", "a: 1\nb: 1\n"),
            ("charts/sub/charts/sub2/templates/a.yaml", "kind: T\nv: {{ .Values | toJson }}\n"),
        ],
        &["--set", "sub.sub2.c=3"],
    ),
    (
        "an import of what is not there",
        &[
            (
                "Chart.yaml",
                "apiVersion: v2\nname: c\nversion: 1.2.3\ndependencies:\n- {name: sub, version: 0.1.0, import-values: [gone, {child: no.where, parent: z}, 5]}\n",
            ),
            ("templates/a.yaml", "kind: A\nv: {{ .Values | toJson }}\n"),
            SUB,
        ],
        &[],
    ),
    (
        "values for a chart below that are no map",
        &[
            CHART,
            A,
            SUB,
            ("values.yaml", "sub: text\n"),
            ("charts/sub/values.yaml", "a: 1\n"),
            ("charts/sub/templates/a.yaml", "kind: S\nv: {{ .Values | toJson }}\n"),
        ],
        &[],
    ),
    ("a schema that is no JSON", &[CHART, A, ("values.schema.json", "{\"type\":")], &[]),
    (
        "a schema that is skipped",
        &[CHART, A, ("values.schema.json", "{\"required\": [\"a\"]}")],
        &["--skip-schema-validation"],
    ),
    (
        "a schema with unknown references",
        &[CHART, A, ("values.schema.json", "{\"properties\": {\"a\": {\"$ref\": \"#/definitions/gone\"}}}")],
        &["--set", "a=1"],
    ),
    (
        "a schema of a chart below",
        &[
            CHART,
            A,
            SUB,
            (
                "charts/sub/values.schema.json",
                "{\"required\": [\"a\"], \"properties\": {\"b\": {\"type\": \"string\"}}}",
            ),
            ("values.schema.json", "{\"properties\": {\"x\": {\"minimum\": 5}}}"),
        ],
        &["--set", "x=1,sub.b=2"],
    ),
    ("only one file", &[CHART, A, ("templates/b.yaml", "kind: B\n")], &["--show-only", "templates/b.yaml"]),
    ("only a file that is not there", &[CHART, A], &["--show-only", "templates/none.yaml"]),
];

#[test]
fn charts_do_what_they_do_in_helm() {
    let mut wrong = Vec::new();
    for (about, files, flags) in CASES {
        let folder = tempfile::tempdir().unwrap();
        for (path, text) in *files {
            let path = folder.path().join("c").join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let expected = helm("helm", folder.path(), "c", flags);
        let got = template_in(folder.path(), "c", &Flags::of(flags.iter().copied()));
        let got = got.map_err(|error| error.trim_end().to_owned());
        if got != expected {
            wrong.push(format!("== {about}\n-- helm\n{}\n-- ours\n{}", shown(&expected), shown(&got)));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), CASES.len(), wrong.join("\n"));
}

fn shown(outcome: &Result<String, String>) -> &str {
    outcome.as_ref().unwrap_or_else(|error| error)
}
