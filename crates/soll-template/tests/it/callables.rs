//! All that Go, Sprig and Helm let templates call is there, and nothing else.

use soll_template::{Param, signatures};

use crate::oracle;

/// Go's own functions, which it does not list.
const BUILTINS: &[&str] = &[
    "and", "call", "eq", "ge", "gt", "html", "index", "js", "le", "len", "lt", "ne", "not", "or", "print", "printf",
    "println", "urlquery",
];

#[test]
fn functions_are_those_of_sprig_and_helm() {
    let mut theirs: Vec<String> = oracle::inventory()
        .functions
        .iter()
        .map(|(name, function)| {
            format!("{name}({}){}", function.params.join(", "), if function.variadic { "..." } else { "" })
        })
        .collect();
    let mut ours: Vec<String> = Vec::new();
    for signature in signatures() {
        if BUILTINS.contains(&signature.name) {
            theirs.push(signature.name.to_owned());
            ours.push(signature.name.to_owned());
            continue;
        }
        let params: Vec<&str> = signature.params.iter().copied().chain(signature.variadic).map(Param::name).collect();
        let dots = if signature.variadic.is_some() { "..." } else { "" };
        ours.push(format!("{}({}){dots}", signature.name, params.join(", ")));
    }
    theirs.sort_unstable();
    ours.sort_unstable();
    assert_eq!(ours, theirs);
    let known: Vec<&str> = signatures().iter().map(|signature| signature.name).collect();
    assert!(BUILTINS.iter().all(|name| known.contains(name)));
}
