//! Semantic versions and ranges as Masterminds/semver reads them
