//! Any text is a template or an error that says the line, alone and beside another template.
#![no_main]

use libfuzzer_sys::fuzz_target;
use soll_template::{ErrorKind, Set};

fuzz_target!(|text: &str| {
    let mut set = Set::new();
    set.parse("known", "{{ define \"known\" }}{{ . }}{{ end }}").expect("it is a template");
    match set.parse("file", text) {
        Ok(()) => assert!(set.contains("file")),
        Err(error) => {
            assert_eq!(error.kind, ErrorKind::Parse, "{error}");
            assert!(error.to_string().starts_with("template: file:"), "{error}");
        }
    }
    assert!(set.contains("known"));
});
