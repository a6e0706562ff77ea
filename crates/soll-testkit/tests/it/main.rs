//! The real control plane does what the tests rely on.

use soll_testkit::ControlPlane;

fn kubectl<'a>(control_plane: &ControlPlane, arguments: impl IntoIterator<Item = &'a str>) -> String {
    let output = control_plane.kubectl(arguments).output().expect("kubectl runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("kubectl prints text")
}

#[test]
fn objects_outlive_the_api_server_and_the_controller_manager_works_on_both_sides_of_a_restart() {
    let mut control_plane = ControlPlane::start();
    assert!(kubectl(&control_plane, ["version"]).contains("Server Version: v1.35.4"));

    kubectl(&control_plane, ["create", "deployment", "before", "--image=example.invalid/none"]);
    kubectl(&control_plane, ["wait", "--for=create", "replicasets", "-l=app=before", "--timeout=60s"]);

    control_plane.stop_apiserver();
    let refused = control_plane.kubectl(["get", "namespaces"]).output().expect("kubectl runs");
    assert!(!refused.status.success());

    control_plane.restart_apiserver();
    kubectl(&control_plane, ["get", "deployment", "before"]);
    kubectl(&control_plane, ["create", "deployment", "after", "--image=example.invalid/none"]);
    kubectl(&control_plane, ["wait", "--for=create", "replicasets", "-l=app=after", "--timeout=60s"]);
}

#[test]
fn only_the_engine_is_in_the_audit_log() {
    let control_plane = ControlPlane::shared();
    kubectl(control_plane, ["create", "namespace", "by-the-operator"]);
    let engine = control_plane.engine_kubeconfig();
    let engine = engine.to_str().expect("a temporary folder has a plain name");
    kubectl(control_plane, ["--kubeconfig", engine, "create", "namespace", "by-the-engine"]);

    // The log is written before the answer is sent.
    let log = std::fs::read_to_string(control_plane.audit_log()).expect("there is an audit log");
    assert!(log.contains(r#""name":"by-the-engine""#), "{log}");
    assert!(!log.contains("by-the-operator"), "{log}");
}
