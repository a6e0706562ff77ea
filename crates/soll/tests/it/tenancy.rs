//! Flux's example of many tenants on one cluster, from its first Kustomization to the tenant's application.

use crate::bed::{Bed, Ground};
use crate::corpus::{reference_build, repos};
use crate::on_both_grounds;

on_both_grounds!(a_platform_team_and_its_tenants);

/// What the example fetches from an OCI registry, which is not built yet: here it comes from Git.
const KYVERNO: &str = "apiVersion: source.toolkit.fluxcd.io/v1
kind: GitRepository
metadata:
  name: kyverno-controller
  namespace: flux-system
spec:
  interval: 120m0s
  url: KYVERNO_URL
  ref:
    branch: main
";

/// Enough of Kyverno for its policies to be accepted.
const POLICIES: &str = "apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata:
  name: clusterpolicies.kyverno.io
spec:
  group: kyverno.io
  names: {kind: ClusterPolicy, listKind: ClusterPolicyList, plural: clusterpolicies, singular: clusterpolicy}
  scope: Cluster
  versions:
    - name: v1
      served: true
      storage: true
      schema:
        openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}
";

/// What a cluster has before: the namespace, and the account that the platform's Kustomizations are applied as.
const BOOTSTRAP: &str = "apiVersion: v1
kind: Namespace
metadata: {name: flux-system}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: kustomize-controller, namespace: flux-system}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: cluster-reconciler}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: cluster-admin}
subjects:
  - {kind: ServiceAccount, name: kustomize-controller, namespace: flux-system}
---
apiVersion: source.toolkit.fluxcd.io/v1
kind: GitRepository
metadata: {name: flux-system, namespace: flux-system}
spec: {url: FLEET_URL, interval: 1s, ref: {branch: main}}
---
apiVersion: kustomize.toolkit.fluxcd.io/v1
kind: Kustomization
metadata: {name: flux-system, namespace: flux-system}
spec:
  interval: 10m
  retryInterval: 2s
  path: ./clusters/staging
  prune: true
  serviceAccountName: kustomize-controller
  sourceRef: {kind: GitRepository, name: flux-system}
";

const ROLE: &str =
    "apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: escapee}\nrules: []\n";

fn a_platform_team_and_its_tenants(ground: Ground) {
    let bed = Bed::shared(ground);
    let fleet = bed.git.repository("fleet");
    let tenant = bed.git.repository("dev-team");
    let kyverno = bed.git.repository("kyverno");

    kyverno.write("crds.yaml", POLICIES).push("kyverno");
    tenant.copy(&repos().join("podinfo/kustomize"), "staging");
    let kustomization = std::fs::read_to_string(tenant.work().join("staging/kustomization.yaml")).expect("it is there");
    let kustomization = format!("namespace: apps\n{kustomization}");
    tenant.write("staging/kustomization.yaml", &kustomization).push("the application of the tenant");
    tenant.git(&["push", "--quiet", "origin", "HEAD:refs/heads/dev-team"]);
    fleet.copy(&repos().join("flux2-multi-tenancy"), ".");
    fleet.write("infrastructure/kyverno/source.yaml", &KYVERNO.replace("KYVERNO_URL", kyverno.url()));
    for (file, from, to) in [
        ("tenants/base/dev-team/sync.yaml", "https://github.com/fluxcd/flux2-multi-tenancy", tenant.url()),
        ("infrastructure/kyverno/sync.yaml", "kind: OCIRepository", "kind: GitRepository"),
    ] {
        let text = std::fs::read_to_string(fleet.work().join(file)).expect("the example has it");
        assert!(text.contains(from), "{file} no longer has {from}");
        fleet.write(file, &text.replace(from, to));
    }
    let commit = fleet.push("the platform");
    bed.apply(&BOOTSTRAP.replace("FLEET_URL", fleet.url()));

    for name in ["flux-system", "kyverno", "kyverno-policies", "tenants"] {
        bed.ready("flux-system", name, &commit);
    }
    let application = tenant.git(&["rev-parse", "HEAD"]);
    bed.ready("apps", "dev-team", &application);
    bed.wait("Deployment", "apps", "podinfo", |deployment| {
        deployment.is_some_and(|deployment| {
            deployment.value().lookup(&["status", "availableReplicas"]).and_then(|count| count.as_i64()) > Some(0)
        })
    });

    // What is live is what the original tools would apply: nothing is left to change.
    let folder = tempfile::tempdir().expect("a temporary folder");
    for path in ["infrastructure/kyverno", "infrastructure/kyverno-policies", "tenants/staging"] {
        let file = folder.path().join("built.yaml");
        std::fs::write(&file, reference_build(&fleet.work().join(path))).expect("writable");
        let kubectl = soll_testkit::tools().kubectl;
        let ran = bed.run(&kubectl, &["diff", "--server-side", "--force-conflicts", "-f", &file.to_string_lossy()]);
        assert_eq!(ran.code, Some(0), "{path}: {}", ran.text);
    }

    // A tenant stays in its namespace.
    tenant.write("staging/escape.yaml", ROLE);
    tenant.write("staging/kustomization.yaml", &kustomization.replace("resources:", "resources:\n  - escape.yaml"));
    tenant.push("escape");
    tenant.git(&["push", "--quiet", "origin", "HEAD:refs/heads/dev-team"]);
    bed.kubectl(&["-n", "apps", "annotate", "gitrepo", "dev-team", "reconcile.fluxcd.io/requestedAt=now"]);
    let message = bed.failed("apps", "dev-team", "ReconciliationFailed");
    assert!(message.contains("system:serviceaccount:apps:dev-team"), "{message}");
    assert!(!bed.kubectl(&["get", "clusterrole", "-o", "name"]).contains("escapee"));
}
