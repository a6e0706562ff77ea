//! The Python and the Node client: a program of each (`tests/clients`) says what it saw and ends with 0 if all was right.

use soll_testkit::binary;

use crate::bed::{Bed, Ground, Ran};
use crate::on_both_grounds;

on_both_grounds!(the_python_client_finds_its_way, the_node_client_finds_its_way);

fn the_python_client_finds_its_way(ground: Ground) {
    finds_its_way(ground, "client-python");
}

fn the_node_client_finds_its_way(ground: Ground) {
    finds_its_way(ground, "client-node");
}

fn finds_its_way(ground: Ground, program: &str) {
    let stage = Bed::shared(ground).stage(&format!("clients-{program}"));
    let ran = Ran::of(stage.bed.program(&binary(program)).arg(&stage.namespace));
    assert_eq!(ran.code, Some(0), "{}", ran.text);
    assert!(ran.text.lines().any(|line| line == "all is well"), "{}", ran.text);
}
