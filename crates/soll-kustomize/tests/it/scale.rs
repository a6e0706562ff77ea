//! Work grows with the objects and references, not with their square.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use crate::Files;

fn files(count: usize) -> Files {
    let mut objects = String::new();
    for n in 0..count {
        write!(
            objects,
            "---\napiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: c{n}\n---\napiVersion: v1\nkind: Pod\nmetadata:\n  \
             name: p{n}\nspec:\n  containers:\n  - name: a\n    image: a\n    envFrom:\n    - configMapRef: {{name: c{n}}}\n"
        )
        .unwrap();
    }
    let mut files = Files::default();
    files.0.insert("all.yaml".to_owned(), objects.into_bytes());
    files.0.insert("kustomization.yaml".to_owned(), "namePrefix: x-\nnamespace: ns\nresources: [all.yaml]\n".into());
    files
}

fn time(count: usize) -> Duration {
    let files = files(count);
    let start = Instant::now();
    let build = files.build("").unwrap();
    let elapsed = start.elapsed();
    let last = build.values.last().unwrap();
    let name = soll_yaml::FieldPath::parse("spec.containers[0].envFrom[0].configMapRef.name");
    assert_eq!(name.find(last).unwrap().as_str(), Some(format!("x-c{}", count - 1).as_str()));
    elapsed
}

#[test]
fn references_are_fixed_in_linear_time() {
    // Ten times the objects may take a hundred times as long if something is quadratic. The bound between
    // leaves room for a busy machine, and the best of three for a bad moment.
    let best = |count| (0..3).map(|_| time(count)).min().unwrap();
    let (small, large) = (best(300), best(3000));
    assert!(large < small * 40, "300: {small:?}, 3000: {large:?}");
}
