//! Helm, both majors of it: releases come, change, fail, go back and go away.

use std::path::PathBuf;

use serde_json::Value as Json;
use soll_testkit::binary;

use super::Client;
use crate::bed::{Bed, Ground};
use crate::on_both_grounds;

on_both_grounds!(helm_4_keeps_releases, helm_3_keeps_releases);

const CHART: &[(&str, &str)] = &[
    ("Chart.yaml", "apiVersion: v2\nname: shop\nversion: 1.2.3\nappVersion: \"9\"\n"),
    ("values.yaml", "image: example.com/shop:1\nreplicas: 2\ncolour: red\nselector: shop\n"),
    ("crds/till.yaml", DEFINITION),
    (
        "templates/shop.yaml",
        "apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ .Release.Name }}
  annotations:
    # Empty unless the server is asked.
    found: {{ (lookup \"v1\" \"Namespace\" \"\" .Release.Namespace).kind | quote }}
spec:
  replicas: {{ .Values.replicas }}
  selector:
    matchLabels: {app: {{ .Values.selector }}}
  template:
    metadata:
      labels: {app: {{ .Values.selector }}}
    spec:
      containers:
        - name: shop
          image: {{ .Values.image }}
          ports:
            - containerPort: 8080
          volumeMounts:
            - {name: stock, mountPath: /stock}
      volumes:
        - name: stock
          persistentVolumeClaim: {claimName: {{ .Release.Name }}}
---
apiVersion: v1
kind: Service
metadata:
  name: {{ .Release.Name }}
spec:
  selector: {app: {{ .Values.selector }}}
  ports:
    - port: 80
      targetPort: 8080
---
apiVersion: v1
kind: ConfigMap
metadata:
  name: {{ .Release.Name }}-settings
data:
  colour: {{ .Values.colour }}
{{- if eq .Values.colour \"red\" }}
  only: before
{{- end }}
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata:
  name: {{ .Release.Namespace }}
provisioner: sim.soll.dev/volume
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  name: {{ .Release.Name }}
  annotations: {helm.sh/resource-policy: keep}
spec:
  storageClassName: {{ .Release.Namespace }}
  accessModes: [ReadWriteOnce]
  resources: {requests: {storage: 1Gi}}
",
    ),
    (
        "templates/till.yaml",
        "apiVersion: helm.example.org/v1
kind: Till
metadata:
  name: {{ .Release.Name }}
spec: {drawers: {{ .Values.replicas }}}
",
    ),
    (
        "templates/hooks.yaml",
        "{{- range $hook := list \"pre-install\" \"post-install\" \"pre-upgrade\" \"post-rollback\" \"pre-delete\" }}
---
apiVersion: batch/v1
kind: Job
metadata:
  name: {{ $.Release.Name }}-{{ $hook }}
  annotations:
    helm.sh/hook: {{ $hook }}
    helm.sh/hook-delete-policy: {{ if eq $hook \"pre-install\" }}hook-succeeded{{ else }}before-hook-creation{{ end }}
spec:
  template:
    spec:
      restartPolicy: Never
      containers:
        - name: hook
          image: example.com/hook:1
{{- end }}
---
apiVersion: v1
kind: Pod
metadata:
  name: {{ .Release.Name }}-probe
  annotations: {helm.sh/hook: test}
  labels: {probe: \"yes\"}
spec:
  restartPolicy: Never
  containers:
    - name: probe
      image: example.com/probe:1
",
    ),
    ("templates/NOTES.txt", "The shop is {{ .Values.colour }}.\n"),
];

const DEFINITION: &str = "apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: tills.helm.example.org
spec:
  group: helm.example.org
  scope: Namespaced
  names: {kind: Till, plural: tills}
  versions:
    - name: v1
      served: true
      storage: true
      schema:
        openAPIV3Schema:
          type: object
          properties:
            spec:
              type: object
              properties:
                drawers: {type: integer, maximum: 9}
";

/// The chart; what it defines is its namespace's own, for releases on one cluster do not wait for each other.
fn write_chart(namespace: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (path, text) in CHART {
        let path = folder.path().join(path);
        std::fs::create_dir_all(path.parent().expect("files lie in folders")).expect("writable");
        std::fs::write(path, text.replace("helm.example.org", &format!("{namespace}.example.org"))).expect("writable");
    }
    folder
}

impl Client<'_> {
    /// What it prints as JSON.
    fn json(&self, arguments: &[&str]) -> Json {
        let text = self.run(&[arguments, &["-o", "json"]].concat());
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {text}"))
    }
}

fn helm_4_keeps_releases(ground: Ground) {
    releases_are_kept(ground, "clients-helm4", binary("helm"), "--rollback-on-failure");
}

fn helm_3_keeps_releases(ground: Ground) {
    releases_are_kept(ground, "clients-helm3", binary("helm3"), "--atomic");
}

fn releases_are_kept(ground: Ground, namespace: &str, program: PathBuf, or_back: &str) {
    let stage = Bed::shared(ground).stage(namespace);
    let chart = write_chart(namespace);
    let chart = chart.path().to_str().expect("UTF-8");
    let helm = Client { stage: &stage, program };
    let setting = |key: &str| {
        let settings = stage.find("ConfigMap", "shop-settings")?;
        settings.value().lookup_str(&["data", key]).map(str::to_owned)
    };
    let revisions = || -> Vec<(i64, String)> {
        let history = helm.json(&["history", "shop"]);
        let entry = |entry: &Json| {
            (entry["revision"].as_i64().unwrap_or_default(), entry["status"].as_str().unwrap_or_default().to_owned())
        };
        history.as_array().expect("a list").iter().map(entry).collect()
    };
    let revision = |number: i64, status: &str| (number, status.to_owned());

    // Helm rehearses nothing for kinds that are not defined yet, and nothing is left of the attempt.
    let unknown = helm.try_run(&["install", "shop", chart, "--dry-run=server"]);
    assert!(unknown.code != Some(0) && unknown.text.contains("no matches for kind \"Till\""), "{}", unknown.text);
    assert!(stage.find("Deployment", "shop").is_none());
    assert!(helm.json(&["list"]).as_array().expect("a list").is_empty());

    helm.shows(&["install", "shop", chart, "--wait", "--timeout=120s"], &["STATUS: deployed", "REVISION: 1"]);
    let ready = |name: &str| {
        let deployment = stage.find("Deployment", name)?;
        deployment.value().lookup(&["status", "readyReplicas"])?.as_i64()
    };
    assert_eq!(ready("shop"), Some(2), "it was waited for");
    assert!(stage.find("Job", "shop-pre-install").is_none(), "it succeeded and was deleted");
    assert!(stage.find("Job", "shop-post-install").is_some());
    helm.shows(&["list"], &["shop", "deployed", "shop-1.2.3"]);
    helm.shows(&["status", "shop"], &["STATUS: deployed", "The shop is red."]);
    helm.shows(&["get", "manifest", "shop"], &["kind: Deployment", "kind: Till"]);
    helm.shows(&["test", "shop", "--timeout=120s"], &["TEST SUITE:     shop-probe", "Phase:          Succeeded"]);
    let twice = helm.try_run(&["install", "shop", chart]);
    assert!(twice.code != Some(0) && twice.text.contains("still in use"), "{}", twice.text);

    let rehearsed = helm.run(&["upgrade", "shop", chart, "--dry-run=server", "--set", "replicas=1,colour=blue"]);
    assert!(rehearsed.contains("found: \"Namespace\"") && rehearsed.contains("The shop is blue."), "{rehearsed}");
    assert_eq!((ready("shop"), setting("colour").as_deref()), (Some(2), Some("red")), "it was a rehearsal");

    let upgrade = ["upgrade", "shop", chart, "--wait", "--timeout=120s"];
    helm.shows(&[&upgrade[..], &["--set", "replicas=3,colour=blue"]].concat(), &["REVISION: 2", "The shop is blue."]);
    assert_eq!((ready("shop"), setting("colour").as_deref(), setting("only")), (Some(3), Some("blue"), None));
    assert!(stage.find("Job", "shop-pre-upgrade").is_some());
    assert_eq!(helm.json(&["get", "values", "shop"]), serde_json::json!({"replicas": 3, "colour": "blue"}));

    // What the server refuses fails the release, and what comes of it is Helm's business.
    let refused = helm.try_run(&[&upgrade[..], &["--set", "selector=other,colour=grey"]].concat());
    assert!(refused.code != Some(0) && refused.text.contains("field is immutable"), "{}", refused.text);
    assert_eq!(revisions(), [revision(1, "superseded"), revision(2, "deployed"), revision(3, "failed")]);
    let refused = helm.try_run(&[&upgrade[..], &["--set", "replicas=12", or_back]].concat());
    assert!(refused.code != Some(0) && refused.text.contains("should be less than or equal to 9"), "{}", refused.text);
    assert_eq!(revisions()[3..], [revision(4, "failed"), revision(5, "deployed")]);
    assert_eq!(ready("shop"), Some(3), "it is as it was before the failure");

    helm.shows(&["rollback", "shop", "1", "--wait", "--timeout=120s"], &["Rollback was a success"]);
    assert_eq!((setting("colour").as_deref(), setting("only").as_deref()), (Some("red"), Some("before")));
    assert!(stage.find("Job", "shop-post-rollback").is_some());
    assert_eq!(revisions().last(), Some(&revision(6, "deployed")));

    let gone = ["uninstall", "shop", "--wait", "--timeout=120s", "--keep-history"];
    helm.shows(&gone, &["shop", "uninstalled"]);
    assert!(stage.find("Deployment", "shop").is_none() && setting("colour").is_none());
    assert!(stage.find("PersistentVolumeClaim", "shop").is_some(), "it is to be kept");
    assert!(stage.find("Job", "shop-pre-delete").is_some());
    assert_eq!(helm.json(&["list", "--uninstalled"])[0]["status"], "uninstalled");
    helm.shows(&["uninstall", "shop"], &["uninstalled"]);
    assert!(helm.try_run(&["status", "shop"]).text.contains("not found"));
}
