//! Which commit is wanted, and which one was found.

use std::fmt;
use std::str::FromStr;

use soll_semver::{Constraints, Version};

use super::GitError;

/// What `spec.ref` asks for, after its precedence is settled: commit, name, tag, semver, branch, `master`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Reference {
    /// The tip of a branch.
    Branch(String),
    /// A tag.
    Tag(String),
    /// The highest tag that a range allows.
    Semver(String),
    /// A full name: `refs/heads/main`, `refs/pull/1/head`, `refs/tags/v1^{}`.
    Name(String),
    /// A commit by its full id.
    Commit {
        /// 40 hexadecimal digits.
        id: CommitId,
        /// The branch to say in the revision.
        branch: Option<String>,
    },
}

/// The id of a commit: 40 hexadecimal digits in lower case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CommitId(pub(crate) gix::ObjectId);

/// A commit under the name it was asked by: `main@sha1:…`, or `sha1:…` without a name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Revision {
    /// The branch, tag or full name.
    pub name: Option<String>,
    /// The commit.
    pub commit: CommitId,
}

/// A commit that a reference may mean, and the object to ask for: the tag in front of it, if there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Candidate {
    pub(crate) revision: Revision,
    pub(crate) want: gix::ObjectId,
}

/// A name of a repository as its server lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ListedRef {
    pub(crate) name: String,
    pub(crate) id: gix::ObjectId,
    /// What an annotated tag points at.
    pub(crate) peeled: Option<gix::ObjectId>,
}

impl ListedRef {
    /// The commit, as far as the list tells.
    pub(crate) fn commit(&self) -> gix::ObjectId {
        self.peeled.unwrap_or(self.id)
    }
}

impl Reference {
    /// What Flux takes when `spec.ref` is absent.
    #[must_use]
    pub fn default_branch() -> Self {
        Self::Branch("master".to_owned())
    }

    /// Prefixes of all names that can decide it, for a server that filters.
    pub(crate) fn prefixes(&self) -> Vec<String> {
        match self {
            Self::Branch(branch) => vec![format!("refs/heads/{branch}")],
            Self::Tag(tag) => vec![format!("refs/tags/{tag}")],
            Self::Semver(_) => vec!["refs/tags/".to_owned()],
            Self::Name(name) => vec![name.trim_end_matches("^{}").to_owned()],
            Self::Commit { .. } => Vec::new(),
        }
    }

    /// The commits that the listed names give, best first; several only where tags differ in nothing but build metadata.
    pub(crate) fn resolve(&self, url: &str, listed: &[ListedRef]) -> Result<Vec<Candidate>, GitError> {
        let find = |full: &str| listed.iter().find(|listed| listed.name == full);
        let candidate = |name: &str, listed: &ListedRef| Candidate {
            revision: Revision { name: Some(name.to_owned()), commit: CommitId(listed.commit()) },
            want: listed.id,
        };
        let found = match self {
            Self::Branch(branch) => find(&format!("refs/heads/{branch}")).map(|found| candidate(branch, found)),
            Self::Tag(tag) => find(&format!("refs/tags/{tag}")).map(|found| candidate(tag, found)),
            Self::Name(name) => find(name.trim_end_matches("^{}")).map(|found| candidate(name, found)),
            Self::Commit { id, branch } => {
                Some(Candidate { revision: Revision { name: branch.clone(), commit: *id }, want: id.0 })
            }
            Self::Semver(range) => {
                let best = best_tags(range, listed)?;
                if !best.is_empty() {
                    return Ok(best.iter().map(|(tag, listed)| candidate(tag, listed)).collect());
                }
                None
            }
        };
        match found {
            Some(candidate) => Ok(vec![candidate]),
            None => Err(GitError::NoSuchReference {
                url: url.to_owned(),
                reference: self.to_string(),
                hint: self.alternatives(listed),
            }),
        }
    }

    /// What could be meant instead.
    fn alternatives(&self, listed: &[ListedRef]) -> Option<String> {
        const SHOWN: usize = 5;
        let (prefix, what) = match self {
            Self::Branch(_) => ("refs/heads/", "branches"),
            Self::Tag(_) | Self::Semver(_) => ("refs/tags/", "tags"),
            Self::Name(_) | Self::Commit { .. } => ("", "refs"),
        };
        let mut names: Vec<&str> = listed.iter().filter_map(|listed| listed.name.strip_prefix(prefix)).collect();
        if names.is_empty() {
            return None;
        }
        let more = if names.len() > SHOWN { ", …" } else { "" };
        names.truncate(SHOWN);
        Some(format!("its {what}: {}{more}", names.join(", ")))
    }
}

/// The tags of the highest version that the range allows.
fn best_tags<'a>(range: &str, listed: &'a [ListedRef]) -> Result<Vec<(&'a str, &'a ListedRef)>, GitError> {
    let constraints = Constraints::parse(range)
        .map_err(|error| GitError::Reference(format!("spec.ref.semver `{range}` is no version range: {error}")))?;
    let mut best: Vec<(Version, &str, &ListedRef)> = Vec::new();
    for listed in listed {
        let Some(tag) = listed.name.strip_prefix("refs/tags/") else { continue };
        let Ok(version) = Version::parse_three_part(tag) else { continue };
        if !constraints.check(&version) {
            continue;
        }
        match best.first().map(|(highest, ..)| version.cmp_precedence(highest)) {
            None | Some(std::cmp::Ordering::Equal) => best.push((version, tag, listed)),
            Some(std::cmp::Ordering::Greater) => best = vec![(version, tag, listed)],
            Some(std::cmp::Ordering::Less) => {}
        }
    }
    Ok(best.into_iter().map(|(_, tag, listed)| (tag, listed)).collect())
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Branch(branch) => write!(f, "branch `{branch}`"),
            Self::Tag(tag) => write!(f, "tag `{tag}`"),
            Self::Semver(range) => write!(f, "tag that the range `{range}` allows"),
            Self::Name(name) => write!(f, "ref `{name}`"),
            Self::Commit { id, .. } => write!(f, "commit `{id}`"),
        }
    }
}

impl fmt::Display for CommitId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

impl FromStr for CommitId {
    type Err = GitError;

    fn from_str(text: &str) -> Result<Self, GitError> {
        match gix::ObjectId::from_hex(text.as_bytes()) {
            Ok(id) if id.kind() == gix::hash::Kind::Sha1 => Ok(Self(id)),
            _ => Err(GitError::Reference(format!("`{text}` is no commit id: 40 hexadecimal digits are needed"))),
        }
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.name {
            Some(name) => write!(f, "{name}@sha1:{}", self.commit),
            None => write!(f, "sha1:{}", self.commit),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn listed(names: &[(&str, u8)]) -> Vec<ListedRef> {
        let id = |byte| gix::ObjectId::from([byte; 20]);
        names.iter().map(|(name, byte)| ListedRef { name: (*name).to_owned(), id: id(*byte), peeled: None }).collect()
    }

    fn resolved(reference: &Reference, names: &[(&str, u8)]) -> Vec<String> {
        let candidates = reference.resolve("https://git/x", &listed(names)).unwrap();
        let text = candidates.iter().map(|candidate| candidate.revision.to_string());
        text.map(|text| text[..text.len() - 38].to_owned()).collect()
    }

    #[test]
    fn revisions_have_the_form_of_flux() {
        let names = [("refs/heads/main", 0x11), ("refs/tags/v1.0.0", 0x22), ("refs/pull/1/head", 0x33)];
        assert_eq!(resolved(&Reference::Branch("main".into()), &names), ["main@sha1:11"]);
        assert_eq!(resolved(&Reference::Tag("v1.0.0".into()), &names), ["v1.0.0@sha1:22"]);
        assert_eq!(resolved(&Reference::Name("refs/pull/1/head".into()), &names), ["refs/pull/1/head@sha1:33"]);
        let id: CommitId = "4444444444444444444444444444444444444444".parse().unwrap();
        assert_eq!(resolved(&Reference::Commit { id, branch: None }, &names), ["sha1:44"]);
        assert_eq!(resolved(&Reference::Commit { id, branch: Some("main".into()) }, &names), ["main@sha1:44"]);
    }

    #[test]
    fn semver_takes_the_highest_tag_with_three_parts() {
        let names = [
            ("refs/tags/v1.0.0", 0x11),
            ("refs/tags/v1.10.0", 0x22),
            ("refs/tags/1.9.0", 0x33),
            ("refs/tags/1.11", 0x44),
            ("refs/tags/v2.0.0-rc.1", 0x55),
            ("refs/tags/not-a-version", 0x66),
        ];
        assert_eq!(resolved(&Reference::Semver(">=1.0.0".into()), &names), ["v1.10.0@sha1:22"]);
        assert_eq!(resolved(&Reference::Semver(">=1.0.0-0".into()), &names), ["v2.0.0-rc.1@sha1:55"]);
        let ties = [("refs/tags/1.0.0+a", 0x11), ("refs/tags/1.0.0+b", 0x22)];
        assert_eq!(resolved(&Reference::Semver("1.x".into()), &ties).len(), 2);
    }

    #[test]
    fn a_missing_name_says_what_there_is() {
        let error = Reference::Branch("prod".into())
            .resolve("https://git/x", &listed(&[("refs/heads/production", 1), ("refs/tags/v1", 2)]));
        let text = error.unwrap_err().to_string();
        assert_eq!(text, "https://git/x has no branch `prod`; its branches: production");
        let range = Reference::Semver("not a range".into()).resolve("https://git/x", &[]).unwrap_err();
        assert!(range.to_string().starts_with("spec.ref.semver `not a range` is no version range"), "{range}");
    }
}
