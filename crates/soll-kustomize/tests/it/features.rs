//! One overlay that uses every field, with the output of kustomize 5.8.1.

use std::fs;
use std::path::Path;

use soll_kustomize::{Options, build};
use soll_tree::DirTree;

use crate::{difference, printed};

#[test]
fn every_field_gives_the_bytes_of_kustomize() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/features");
    let tree = DirTree::open(&folder).unwrap();
    for root in ["base", "over", "b2"] {
        let expected = fs::read_to_string(folder.join(format!("{root}.expected.yaml"))).unwrap();
        let found = printed(&build(&tree, &root.parse().unwrap(), &Options::default()).unwrap());
        assert!(found == expected, "{root}: {}", difference(&expected, &found));
    }
}
