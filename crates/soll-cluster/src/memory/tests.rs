use super::*;
use soll_plan::IgnoreRules;

fn settings() -> ApplySettings {
    ApplySettings { managers: Managers::new("kustomize-controller"), force: false, ignore: IgnoreRules::default() }
}

fn desired(data: &str) -> Object {
    let text = format!(
        r#"{{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"c","namespace":"n"}},"data":{{{data}}}}}"#
    );
    Object::new(soll_yaml::parse_json(text.as_bytes()).expect("JSON")).expect("an object")
}

/// A live object as the server shows it, with our entry of a time and anything else in its metadata.
fn live(version: &str, time: &str, more: &str) -> Object {
    let text = format!(
        r#"{{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"c","namespace":"n","uid":"u","resourceVersion":"{version}",
           "managedFields":[{{"manager":"kustomize-controller","operation":"Apply","time":"{time}","fieldsV1":{{"f:data":{{}}}}}}{more}]}}}}"#
    );
    Object::new(soll_yaml::parse_json(text.as_bytes()).expect("JSON")).expect("an object")
}

fn remembering() -> Memory {
    let memory = Memory::new();
    memory.keep(&desired(""), &live("1", "t1", ""), &settings(), None);
    memory.restart("", "ConfigMap", &[live("1", "t1", "")], "1");
    memory
}

#[test]
fn vouches_for_what_was_applied_by_the_same_identity() {
    let memory = remembering();
    let tenant = Identity::service_account("n", "tenant");
    assert!(memory.vouches(&desired(""), &settings(), None));
    assert!(!memory.vouches(&desired(r#""k":"v""#), &settings(), None));
    assert!(!memory.vouches(&desired(""), &settings(), Some(&tenant)));
    assert!(!memory.vouches(&desired(""), &ApplySettings { force: true, ..settings() }, None));
    memory.unwatch("", "ConfigMap");
    assert!(!memory.vouches(&desired(""), &settings(), None), "nobody watches");
}

#[test]
fn a_status_write_disturbs_nothing() {
    let memory = remembering();
    let status = r#",{"manager":"x","operation":"Update","subresource":"status"}"#;
    assert_eq!(memory.observe(&live("2", "t1", status)), Observed::AsLeft);
    assert!(memory.vouches(&desired(""), &settings(), None));
}

#[test]
fn a_job_that_removes_itself_is_not_missed_until_it_is_to_run_again() {
    let job = |more: &str| {
        let text = format!(
            r#"{{"apiVersion":"batch/v1","kind":"Job","metadata":{{"name":"j","namespace":"n"{more}}},"spec":{{"ttlSecondsAfterFinished":0}}}}"#
        );
        Object::new(soll_yaml::parse_json(text.as_bytes()).expect("JSON")).expect("an object")
    };
    let live = |version: &str, more: &str| job(&format!(r#","uid":"u","resourceVersion":"{version}"{more}"#));
    let terminating = live("2", r#","deletionTimestamp":"2026-01-01T00:00:00Z""#);
    let references = [live("1", "").object_ref()];
    for seen_to_go in [true, false] {
        let memory = Memory::new();
        memory.keep(&job(""), &live("1", ""), &settings(), None);
        memory.restart("batch", "Job", &[live("1", "")], "1");
        if seen_to_go {
            assert_eq!(memory.observe(&terminating), Observed::AsLeft);
            assert_eq!(memory.lose(&terminating), Observed::AsLeft);
        } else {
            assert_eq!(memory.restart("batch", "Job", &[], "3"), Vec::new());
        }
        assert!(memory.vouches(&job(""), &settings(), None), "nothing is to be done for it");
        assert!(memory.renew(&references));
        assert!(!memory.vouches(&job(""), &settings(), None), "it is made anew");
        assert!(!memory.renew(&references));
    }
}

#[test]
fn what_goes_while_it_is_looked_at_is_missed() {
    let memory = remembering();
    assert_eq!(memory.lose(&live("2", "t1", "")), Observed::Disturbed);
    // It was read before that, and found as wanted.
    let since = memory.keep(&desired(""), &live("1", "t1", ""), &settings(), None);
    assert_eq!(since, Observed::Disturbed);
    assert!(!memory.vouches(&desired(""), &settings(), None));
    // It is made anew; the watch has not told of that yet.
    let writing = memory.begin(&desired(""));
    assert_eq!(memory.keep(&desired(""), &live("3", "t3", ""), &settings(), None), Observed::AsLeft);
    drop(writing);
}

#[test]
fn what_is_left_to_absorb_is_looked_at_again_unless_it_is_merged() {
    let tracked_late = live("1", "t1", r#",{"manager":"before-first-apply","operation":"Update"}"#);
    let merged = r#"{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"c","namespace":"n",
        "annotations":{"kustomize.toolkit.fluxcd.io/ssa":"Merge"}}}"#;
    let merged = Object::new(soll_yaml::parse_json(merged.as_bytes()).expect("JSON")).expect("an object");
    let keep = |desired: &Object| Memory::new().keep(desired, &tracked_late, &settings(), None);
    assert_eq!(keep(&desired("")), Observed::Disturbed);
    assert_eq!(keep(&merged), Observed::AsLeft);

    // The watch may tell of our write before we hear of it ourselves.
    let memory = Memory::new();
    let writing = memory.begin(&desired(""));
    memory.observe(&tracked_late);
    assert_eq!(memory.keep(&desired(""), &tracked_late, &settings(), None), Observed::Disturbed);
    drop(writing);
}

#[test]
fn another_writer_disturbs_until_the_next_apply() {
    for disturbed in [live("2", "t2", ""), live("2", "t1", r#",{"manager":"kubectl-edit","operation":"Update"}"#)] {
        let memory = remembering();
        assert_eq!(memory.observe(&disturbed), Observed::Disturbed);
        assert!(!memory.vouches(&desired(""), &settings(), None));
        let named = disturbed.value().lookup(&["metadata", "managedFields"]).and_then(|m| m.as_list()?.get(1));
        let editor = named.is_some().then(|| "kubectl-edit".to_owned());
        assert_eq!(memory.other_manager(&disturbed), editor);
        memory.keep(&desired(""), &live("3", "t3", ""), &settings(), None);
        assert!(memory.vouches(&desired(""), &settings(), None));
    }
}

#[test]
fn our_own_writes_are_no_drift_however_early_the_watch_shows_them() {
    let memory = remembering();
    let writing = memory.begin(&desired(""));
    // A takeover, the apply, and a status write of somebody else, before we heard the answer to the apply.
    assert_eq!(memory.observe(&live("2", "t1", r#",{"manager":"kubectl-edit"}"#)), Observed::AsLeft);
    assert_eq!(memory.observe(&live("3", "t3", "")), Observed::AsLeft);
    let status = r#",{"manager":"x","operation":"Update","subresource":"status"}"#;
    assert_eq!(memory.observe(&live("4", "t3", status)), Observed::AsLeft);
    assert_eq!(memory.keep(&desired(""), &live("3", "t3", ""), &settings(), None), Observed::AsLeft);
    drop(writing);
    assert!(memory.vouches(&desired(""), &settings(), None));
    assert_eq!(memory.left_at(&desired("")), Some(("u".to_owned(), "4".to_owned())));
}

#[test]
fn what_others_do_while_we_write_is_found_when_we_are_done() {
    for gone in [false, true] {
        let memory = remembering();
        let _writing = memory.begin(&desired(""));
        let shown = live("4", "t4", "");
        let observed = if gone { memory.lose(&shown) } else { memory.observe(&shown) };
        assert_eq!(observed, Observed::AsLeft);
        assert_eq!(memory.keep(&desired(""), &live("3", "t3", ""), &settings(), None), Observed::Disturbed);
        assert!(!memory.vouches(&desired(""), &settings(), None));
    }
}

#[test]
fn an_event_from_before_our_apply_tells_nothing() {
    let memory = Memory::new();
    memory.keep(&desired(""), &live("10", "t1", ""), &settings(), None);
    assert_eq!(memory.observe(&live("9", "t0", "")), Observed::AsLeft);
    assert_eq!(memory.observe(&live("10", "t1", "")), Observed::AsLeft);
    assert_eq!(memory.observe(&live("11", "t0", "")), Observed::Disturbed);
}

#[test]
fn an_edit_that_was_shown_before_our_write_was_noted_is_not_lost() {
    let memory = Memory::new();
    memory.restart("", "ConfigMap", &[], "0");
    assert_eq!(memory.observe(&live("1", "t1", "")), Observed::Unknown);
    assert_eq!(memory.observe(&live("2", "t2", "")), Observed::Unknown);
    assert_eq!(memory.keep(&desired(""), &live("1", "t1", ""), &settings(), None), Observed::Disturbed);
    assert!(!memory.vouches(&desired(""), &settings(), None));
}

#[test]
fn what_a_restarted_watch_does_not_show_is_lost() {
    let memory = remembering();
    memory.keep(&desired(""), &live("2", "t2", ""), &settings(), None);
    assert_eq!(memory.restart("", "ConfigMap", &[], "1"), [], "it was made after the list");
    assert!(memory.vouches(&desired(""), &settings(), None));
    assert_eq!(memory.restart("", "ConfigMap", &[], "2"), [desired("").object_ref()]);
    assert!(!memory.vouches(&desired(""), &settings(), None));
}

#[test]
fn what_is_recalled_is_handed_out_once_and_only_while_it_is_the_newest() {
    let memory = Memory::new();
    memory.recall(&[live("7", "t1", "")]);
    assert_eq!(memory.take_recalled(&desired("")).map(|live| live.resource_version().to_owned()), Some("7".into()));
    assert_eq!(memory.take_recalled(&desired("")), None);
    for lost in [false, true] {
        memory.recall(&[live("7", "t1", "")]);
        memory.observe(&live("7", "t1", ""));
        let later = live("8", "t1", "");
        assert_eq!(if lost { memory.lose(&later) } else { memory.observe(&later) }, Observed::Unknown);
        assert_eq!(memory.take_recalled(&desired("")), None, "something newer is known");
    }
    memory.recall(&[live("9", "t1", "")]);
    memory.let_go("", "ConfigMap");
    assert_eq!(memory.take_recalled(&desired("")), None);
    memory.keep(&desired(""), &live("9", "t1", ""), &settings(), None);
    memory.recall(&[live("9", "t1", "")]);
    assert_eq!(memory.take_recalled(&desired("")), None, "it is known already");
}

#[test]
fn the_end_of_a_namesake_is_not_ours() {
    let memory = remembering();
    let mut other = live("9", "t1", "");
    other.value_mut().get_mut("metadata").expect("metadata").make_map().insert("uid", "older".into());
    assert_eq!(memory.lose(&other), Observed::AsLeft);
    assert_eq!(memory.lose(&live("9", "t1", "")), Observed::Disturbed);
}

#[tokio::test(start_paused = true)]
async fn trust_ends_after_an_hour() {
    let memory = remembering();
    tokio::time::advance(TRUSTED_FOR).await;
    assert!(!memory.vouches(&desired(""), &settings(), None));
}

#[test]
fn what_became_of_a_write_without_an_answer_is_not_known() {
    let memory = remembering();
    let writing = memory.begin(&desired(r#""k":"v""#));
    assert_eq!(memory.observe(&live("2", "t2", "")), Observed::AsLeft);
    drop(writing);
    assert!(!memory.vouches(&desired(""), &settings(), None), "it may be as it was written, not as it was");
}

#[test]
fn an_edit_between_the_answer_and_the_end_of_a_write_is_drift() {
    let memory = remembering();
    let writing = memory.begin(&desired(""));
    memory.keep(&desired(""), &live("3", "t3", ""), &settings(), None);
    assert_eq!(memory.observe(&live("4", "t4", "")), Observed::Disturbed);
    drop(writing);
    assert!(!memory.vouches(&desired(""), &settings(), None));
}

#[test]
fn a_server_that_went_back_in_time_is_compared_anew() {
    for (time, as_left) in [("t1", true), ("t0", false)] {
        let memory = Memory::new();
        memory.keep(&desired(""), &live("1000", "t1", ""), &settings(), None);
        memory.restart("", "ConfigMap", &[live("1000", "t1", "")], "1000");
        let disturbed = memory.restart("", "ConfigMap", &[live("600", time, "")], "601");
        assert_eq!(disturbed.is_empty(), as_left, "{time}");
        assert_eq!(memory.vouches(&desired(""), &settings(), None), as_left, "{time}");
        let written = live("602", "t2", "");
        assert_eq!(memory.keep(&desired(""), &written, &settings(), None), Observed::AsLeft, "nothing is newer");
    }
    let memory = Memory::new();
    memory.keep(&desired(""), &live("1000", "t1", ""), &settings(), None);
    memory.restart("", "ConfigMap", &[live("1000", "t1", "")], "1000");
    assert_eq!(memory.restart("", "ConfigMap", &[], "601"), [desired("").object_ref()], "it was made later");
}

#[test]
fn what_lives_outside_of_namespaces_goes_by_one_name() {
    let issuer = |namespace: &str, more: &str| {
        let text = format!(
            r#"{{"apiVersion":"cert-manager.io/v1","kind":"ClusterIssuer","metadata":{{"name":"x"{namespace}{more}}}}}"#
        );
        Object::new(soll_yaml::parse_json(text.as_bytes()).expect("JSON")).expect("an object")
    };
    let desired = issuer(r#","namespace":"foo""#, "");
    let live = |version: &str, more: &str| issuer("", &format!(r#","uid":"u","resourceVersion":"{version}"{more}"#));
    let (group, kind) = ("cert-manager.io", "ClusterIssuer");
    let memory = Memory::new();
    memory.restart(group, kind, &[], "0");
    let writing = memory.begin(&desired);
    assert_eq!(memory.observe(&live("1", "")), Observed::AsLeft, "it is being written");
    assert_eq!(memory.keep(&desired, &live("1", ""), &settings(), None), Observed::AsLeft);
    drop(writing);
    assert!(memory.vouches(&desired, &settings(), None));
    assert!(memory.knows(&desired.object_ref()) && memory.shows(&desired.object_ref(), "1"));
    assert_eq!(memory.resolve(desired.object_ref()), live("1", "").object_ref());

    assert_eq!(memory.restart(group, kind, &[live("1", "")], "2"), [], "it is there");
    let taken = live("3", r#","deletionTimestamp":"2026-01-01T00:00:00Z""#);
    assert_eq!(memory.observe(&taken), Observed::Disturbed);
    assert!(memory.is_disturbed(&desired.object_ref()));
    memory.forget(&desired.object_ref());
    assert!(memory.is_empty());
    memory.recall(&[live("4", "")]);
    assert!(memory.take_recalled(&desired).is_some());

    memory.observe(&issuer(r#","namespace":"foo""#, r#","uid":"v","resourceVersion":"5""#));
    assert_eq!(memory.resolve(desired.object_ref()), desired.object_ref(), "its definition has another scope now");
}
