//! Any text of --set and its kin is taken or refused, upon values that are there already.
#![no_main]

mod panics;

use libfuzzer_sys::fuzz_target;
use soll_helm::{Assignment, set, set_json};
use soll_yaml::{At, Value};

fuzz_target!(init: panics::forgive_the_scanner(), |text: &str| {
    let (before, text) = text.split_once('\n').unwrap_or(("", text));
    let mut values = Value::map();
    // Refused or not, what was there stays a map.
    let _ = set(&mut values, before, Assignment::Typed, At::NONE);
    let mut read = |path: &str| if path.len() % 2 == 0 { Ok(path.to_owned()) } else { Err("no such file".to_owned()) };
    for assignment in [Assignment::Typed, Assignment::Text, Assignment::Literal, Assignment::File(&mut read)] {
        let mut values = values.clone();
        let _ = set(&mut values, text, assignment, At::NONE);
        assert!(values.as_map().is_some(), "{text:?}");
    }
    let _ = set_json(&mut values, text, At::NONE);
    assert!(values.as_map().is_some(), "{text:?}");
});
