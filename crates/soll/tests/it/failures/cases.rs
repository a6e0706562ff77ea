//! The cases: what stands in Git, before and after, and in the Kustomization.

/// One thing that goes wrong.
#[derive(Default)]
pub(super) struct Case {
    /// Of the test, its golden file and, with dashes, its namespace.
    pub(super) name: &'static str,
    /// What stands in Git at first: path and text.
    pub(super) files: Vec<(&'static str, String)>,
    /// What is committed after that was Ready, if the failure needs something to be there already.
    pub(super) then: Vec<(&'static str, String)>,
    /// Lines of the Kustomization's spec beside `path: ./app` and `targetNamespace`.
    pub(super) spec: &'static str,
    /// Objects that are there before, as YAML; `NAMESPACE` stands for the case's own.
    pub(super) cluster: &'static str,
    /// The command that shows the same failure before anything is pushed, if one can.
    pub(super) offline: Offline,
    /// Texts that nothing may print.
    pub(super) secrets: &'static [&'static str],
}

/// The command that shows a failure before it is pushed.
#[derive(Clone, Copy, Default, PartialEq)]
pub(super) enum Offline {
    /// `soll build`: no cluster is needed to know.
    Build,
    /// `soll diff`: the API server knows.
    Diff,
    /// Nobody can know.
    #[default]
    Nothing,
}

/// Its deadline is longer than anybody waits for its health, in simulated time as well.
const WEB: &str = "apiVersion: apps/v1
kind: Deployment
metadata:
  name: web
spec:
  selector:
    matchLabels: {app: web}
  template:
    metadata:
      labels: {app: web}
    spec:
      containers:
        - name: web
          image: example.com/web:1
  progressDeadlineSeconds: 6000
";

/// What the cluster offers a deployer who may do everything, but only in the namespace of the case.
const DEPLOYER: &str = "apiVersion: v1
kind: ServiceAccount
metadata: {name: deployer, namespace: NAMESPACE}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: {name: deployer, namespace: NAMESPACE}
rules: [{apiGroups: ['*'], resources: ['*'], verbs: ['*']}]
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: deployer, namespace: NAMESPACE}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: deployer}
subjects: [{kind: ServiceAccount, name: deployer, namespace: NAMESPACE}]
";

/// A base with a Deployment and an overlay that patches it.
fn patched(patch: &str) -> Vec<(&'static str, String)> {
    vec![
        ("base/kustomization.yaml", "resources: [web.yaml]\n".to_owned()),
        ("base/web.yaml", WEB.to_owned()),
        ("app/kustomization.yaml", "resources:\n  - ../base\npatches:\n  - path: web.patch.yaml\n".to_owned()),
        ("app/web.patch.yaml", patch.to_owned()),
    ]
}

/// A Deployment of which one line is another.
fn web(line: &str, other: &str) -> Vec<(&'static str, String)> {
    assert!(WEB.contains(line), "{line}");
    vec![("app/web.yaml", WEB.replace(line, other))]
}

const HEAD: &str = "apiVersion: apps/v1\nkind: Deployment\nmetadata:\n  name: web\n";

pub(super) fn broken_yaml_by_patch() -> Case {
    let patch = format!("{HEAD}spec:\n  replicas: 2\n template:\n    spec: {{}}\n");
    Case { files: patched(&patch), offline: Offline::Build, ..Case::default() }
}

pub(super) fn broken_yaml_by_generator() -> Case {
    let kustomization = "configMapGenerator:\n  - name: settings\n    literals:\n      - color=red\n     - size=1\n";
    Case {
        files: vec![("app/kustomization.yaml", kustomization.to_owned())],
        offline: Offline::Build,
        ..Case::default()
    }
}

pub(super) fn broken_yaml_by_substitution() -> Case {
    Case {
        files: web("  name: web\nspec:", "  name: web\n  annotations:\n    team: ${team}\nspec:"),
        spec: "postBuild: {substituteFrom: [{kind: ConfigMap, name: teams}]}",
        cluster: "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: teams, namespace: NAMESPACE}\n\
            data: {team: 'web: frontend'}\n",
        offline: Offline::Diff,
        ..Case::default()
    }
}

pub(super) fn broken_yaml_by_secret() -> Case {
    Case {
        files: web("  name: web\nspec:", "  name: web\n  annotations:\n    token: ${token}\nspec:"),
        spec: "postBuild: {substituteFrom: [{kind: Secret, name: tokens}]}",
        cluster: "apiVersion: v1\nkind: Secret\nmetadata: {name: tokens, namespace: NAMESPACE}\n\
            stringData: {token: '*hunter2'}\n",
        offline: Offline::Diff,
        secrets: &["hunter2"],
        ..Case::default()
    }
}

pub(super) fn refused_value_of_secret() -> Case {
    Case {
        files: web("  selector:", "  replicas: ${replicas}\n  selector:"),
        spec: "postBuild: {substituteFrom: [{kind: Secret, name: numbers}]}",
        cluster: "apiVersion: v1\nkind: Secret\nmetadata: {name: numbers, namespace: NAMESPACE}\n\
            stringData: {replicas: correcthorse}\n",
        offline: Offline::Diff,
        secrets: &["correcthorse", "Y29ycmVjdGhvcnNl"],
        ..Case::default()
    }
}

pub(super) fn secret_of_wrong_type() -> Case {
    let secret = "apiVersion: v1\nkind: Secret\nmetadata: {name: door}\ndata:\n  pin: 49152731\n";
    Case {
        files: vec![("app/secret.yaml", secret.to_owned())],
        offline: Offline::Diff,
        secrets: &["49152731"],
        ..Case::default()
    }
}

pub(super) fn unknown_field_by_patch() -> Case {
    let patch = format!(
        "{HEAD}spec:\n  template:\n    spec:\n      containers:\n        - name: web\n          imagePulPolicy: Always\n"
    );
    Case { files: patched(&patch), offline: Offline::Diff, ..Case::default() }
}

pub(super) fn unknown_field_by_generator() -> Case {
    Case {
        files: vec![
            ("app/kustomization.yaml", "resources: [../base]\n".to_owned()),
            (
                "base/kustomization.yaml",
                "configMapGenerator:\n  - name: settings\n    literal:\n      - color=red\n".to_owned(),
            ),
        ],
        offline: Offline::Build,
        ..Case::default()
    }
}

pub(super) fn unknown_field_by_substitution() -> Case {
    Case {
        files: web("          image:", "          resources: ${resources}\n          image:"),
        spec: "postBuild: {substitute: {resources: '{limit: {memory: 1Gi}}'}}",
        offline: Offline::Diff,
        ..Case::default()
    }
}

pub(super) fn missing_base_by_patch() -> Case {
    let patch = format!("{HEAD}spec:\n  replicas: 2\n");
    let mut files = patched(&patch);
    files.retain(|(path, _)| !path.starts_with("base/"));
    Case { files, offline: Offline::Build, ..Case::default() }
}

pub(super) fn missing_base_by_generator() -> Case {
    let kustomization = "configMapGenerator:\n  - name: settings\n    behavior: merge\n    literals: [color=red]\n";
    Case {
        files: vec![("app/kustomization.yaml", kustomization.to_owned())],
        offline: Offline::Build,
        ..Case::default()
    }
}

pub(super) fn missing_base_by_substitution() -> Case {
    Case {
        files: web("example.com/web:1", "example.com/web:${tag}"),
        spec: "postBuild: {substituteFrom: [{kind: ConfigMap, name: versions}]}",
        offline: Offline::Diff,
        ..Case::default()
    }
}

pub(super) fn immutable_change_by_patch() -> Case {
    let files = patched(&format!("{HEAD}spec:\n  replicas: 1\n"));
    let patch = format!(
        "{HEAD}spec:\n  selector:\n    matchLabels:\n      tier: front\n  template:\n    metadata:\n      \
         labels: {{tier: front}}\n"
    );
    Case { files, then: vec![("app/web.patch.yaml", patch)], offline: Offline::Diff, ..Case::default() }
}

pub(super) fn immutable_change_by_generator() -> Case {
    let kustomization = |color: &str| {
        format!(
            "configMapGenerator:
  - name: settings
    literals:
      - size=1
      - color={color}
    options: {{immutable: true, disableNameSuffixHash: true}}
"
        )
    };
    Case {
        files: vec![("app/kustomization.yaml", kustomization("red"))],
        then: vec![("app/kustomization.yaml", kustomization("blue"))],
        offline: Offline::Diff,
        ..Case::default()
    }
}

pub(super) fn immutable_change_by_substitution() -> Case {
    let substituted = |default: &str| web("{app: web}", &format!("{{app: web, tier: '${{tier:={default}}}'}}"));
    Case {
        files: substituted("front"),
        then: substituted("back"),
        spec: "postBuild: {substitute: {unused: '1'}}",
        offline: Offline::Diff,
        ..Case::default()
    }
}

pub(super) fn forbidden_namespace_by_patch() -> Case {
    let kustomization = "resources: [web.yaml]
patches:
  - target: {kind: Deployment}
    patch: |
      - op: add
        path: /metadata/namespace
        value: kube-system
";
    let mut files = web("web", "web");
    files.push(("app/kustomization.yaml", kustomization.to_owned()));
    Case { files, spec: "targetNamespace:\nserviceAccountName: deployer", cluster: DEPLOYER, ..Case::default() }
}

pub(super) fn forbidden_namespace_by_generator() -> Case {
    let kustomization = "configMapGenerator:\n  - name: settings\n    namespace: kube-system\n    literals: [a=b]\n";
    Case {
        files: vec![("app/kustomization.yaml", kustomization.to_owned())],
        spec: "targetNamespace:\nserviceAccountName: deployer",
        cluster: DEPLOYER,
        ..Case::default()
    }
}

pub(super) fn forbidden_namespace_by_substitution() -> Case {
    Case {
        files: web("  name: web\nspec:", "  name: web\n  namespace: ${namespace}\nspec:"),
        spec: "targetNamespace:\nserviceAccountName: deployer\npostBuild: {substitute: {namespace: kube-system}}",
        cluster: DEPLOYER,
        ..Case::default()
    }
}

pub(super) fn image_never_ready_by_patch() -> Case {
    let patch = format!(
        "{HEAD}spec:\n  template:\n    spec:\n      containers:\n        - name: web\n          \
         image: example.com/web:sim-fail-pull\n"
    );
    Case { files: patched(&patch), spec: "wait: true\ntimeout: 30s", ..Case::default() }
}

pub(super) fn image_never_ready_by_generator() -> Case {
    let kustomization = "resources: [web.yaml]
configMapGenerator:
  - name: versions
    literals:
      - image=example.com/web:sim-fail-pull
replacements:
  - source: {kind: ConfigMap, name: versions, fieldPath: data.image}
    targets:
      - select: {kind: Deployment}
        fieldPaths: ['spec.template.spec.containers.[name=web].image']
";
    let mut files = web("web", "web");
    files.push(("app/kustomization.yaml", kustomization.to_owned()));
    Case { files, spec: "wait: true\ntimeout: 30s", ..Case::default() }
}

pub(super) fn image_never_ready_by_substitution() -> Case {
    Case {
        files: web("example.com/web:1", "example.com/web:${tag}"),
        spec: "wait: true\ntimeout: 30s\npostBuild: {substituteFrom: [{kind: ConfigMap, name: versions}]}",
        cluster: "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: versions, namespace: NAMESPACE}\n\
            data: {tag: sim-fail-pull}\n",
        ..Case::default()
    }
}
