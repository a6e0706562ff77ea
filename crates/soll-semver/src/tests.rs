#![allow(clippy::unwrap_used)]
use std::collections::HashMap;

use super::*;

/// Recorded from Masterminds/semver v3.5.0: versions and their order, ranges and what they take.
#[test]
fn versions_and_ranges_are_read_as_recorded_from_masterminds() {
    let mut counts: HashMap<&str, usize> = HashMap::new();
    let mut versions: Vec<Version> = Vec::new();
    for line in include_str!("../testdata/masterminds.tsv").lines() {
        let fields: Vec<&str> = line.split('\t').collect();
        *counts.entry(fields[0]).or_default() += 1;
        match fields[..] {
            ["version", text, expected] => {
                let shown = Version::parse(text).map_or("error".to_owned(), |version| {
                    format!("{} {} {} [{}]", version.major(), version.minor(), version.patch(), version.prerelease())
                });
                assert_eq!(shown, expected, "{line}");
            }
            ["order", one, other, expected] => {
                let order = Version::parse(one).unwrap().cmp_precedence(&Version::parse(other).unwrap());
                assert_eq!((order as i8).to_string(), expected, "{line}");
            }
            ["versions", list] => versions = list.split(' ').map(|text| Version::parse(text).unwrap()).collect(),
            // One letter for each version of the list: taken or not.
            ["range", range, expected] => {
                let verdict = Constraints::parse(range).map_or("error".to_owned(), |constraints| {
                    versions.iter().map(|version| if constraints.check(version) { 'y' } else { 'n' }).collect()
                });
                assert_eq!(verdict, expected, "{line}");
            }
            _ => panic!("{line}"),
        }
    }
    assert!(counts["version"] > 50 && counts["order"] > 100 && counts["range"] > 500, "{counts:?}");
}

#[test]
fn the_highest_tag_needs_three_parts() {
    let range = Constraints::parse(">=1.0.0").unwrap();
    assert_eq!(highest(&range, ["1.0.0", "v2025.02.03", "3000", "x", "1.2.3-rc.1"]), Some("v2025.02.03"));
    assert_eq!(highest(&range, ["0.9.0"]), None);
}

#[test]
fn absurd_lengths_are_refused() {
    assert!(matches!(Version::parse(&"1".repeat(300)), Err(VersionError::TooLong)));
    assert!(matches!(Constraints::parse(&"1 ".repeat(300)), Err(ConstraintError::TooLong)));
    assert!(matches!(Constraints::parse(&["1"; 40].join("||")), Err(ConstraintError::TooMany)));
}
