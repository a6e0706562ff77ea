//! Who seeks the artifact of which source and has not got it: it may be gone with who served it, or with its disk.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

use soll_api::Artifact;

use crate::Key;

/// The Kustomizations that lack an artifact, by its source. Cheap to clone.
///
/// Who fails to get one stays here: it is woken when the source offers another one, or the same elsewhere or anew, which
/// is no news to those that have it.
#[derive(Clone, Default)]
pub(crate) struct Seekers {
    /// Guards the table for single look-ups and inserts.
    by_source: Arc<Mutex<HashMap<Key, Sought>>>,
}

struct Sought {
    artifact: Artifact,
    /// Since when it is known that our store does not have it.
    lost: Option<Instant>,
    by: BTreeSet<Key>,
}

impl Seekers {
    /// Notes that a Kustomization seeks what a source offers.
    pub(crate) fn seek(&self, source: &Key, artifact: &Artifact, seeker: &Key) {
        let mut by_source = self.by_source();
        let anew = || Sought { artifact: artifact.clone(), lost: None, by: BTreeSet::new() };
        let sought = by_source.entry(source.clone()).or_insert_with(anew);
        if sought.artifact != *artifact {
            *sought = Sought { by: std::mem::take(&mut sought.by), ..anew() };
        }
        sought.by.insert(seeker.clone());
    }

    /// Notes that our store does not have what a source offers. Returns since when that is known; nothing if another offer was made
    /// meanwhile.
    pub(crate) fn lost(&self, source: &Key, artifact: &Artifact, now: Instant) -> Option<Instant> {
        let mut by_source = self.by_source();
        let sought = by_source.get_mut(source).filter(|sought| sought.artifact == *artifact)?;
        Some(*sought.lost.get_or_insert(now))
    }

    /// Notes that a Kustomization has what it sought of a source.
    pub(crate) fn find(&self, source: &Key, seeker: &Key) {
        let mut by_source = self.by_source();
        if let Some(sought) = by_source.get_mut(source) {
            sought.by.remove(seeker);
            if sought.by.is_empty() {
                by_source.remove(source);
            }
        }
    }

    /// Those that seek what a source offered until now; they are about to look again.
    pub(crate) fn take(&self, source: &Key) -> BTreeSet<Key> {
        self.by_source().remove(source).map(|sought| sought.by).unwrap_or_default()
    }

    /// Forgets a Kustomization that is gone.
    pub(crate) fn forget(&self, seeker: &Key) {
        self.by_source().retain(|_, sought| {
            sought.by.remove(seeker);
            !sought.by.is_empty()
        });
    }

    fn by_source(&self) -> MutexGuard<'_, HashMap<Key, Sought>> {
        self.by_source.lock().expect("no line that holds this lock panics")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Kind;
    use std::time::Duration;

    fn artifact(url: &str) -> Artifact {
        Artifact {
            url: url.to_owned(),
            path: "p".to_owned(),
            revision: "main@sha1:1".to_owned(),
            digest: "sha256:1".to_owned(),
            last_update_time: soll_api::Time::new(jiff::Timestamp::UNIX_EPOCH),
            size: None,
            metadata: std::collections::BTreeMap::new(),
        }
    }

    fn key(kind: Kind, name: &str) -> Key {
        Key::new(kind, "apps", name)
    }

    #[test]
    fn who_has_it_seeks_it_no_more() {
        let (seekers, source) = (Seekers::default(), key(Kind::GitRepository, "s"));
        let [a, b, c] = ["a", "b", "c"].map(|name| key(Kind::Kustomization, name));
        for seeker in [&a, &b, &c] {
            seekers.seek(&source, &artifact("one"), seeker);
        }
        seekers.find(&source, &b);
        seekers.forget(&c);
        assert_eq!(seekers.take(&source), BTreeSet::from([a.clone()]));
        assert!(seekers.take(&source).is_empty());
        seekers.seek(&source, &artifact("one"), &a);
        seekers.forget(&a);
        assert!(seekers.by_source().is_empty(), "nothing is kept of what nobody seeks");
    }

    #[test]
    fn a_loss_counts_from_its_first_sight_and_for_one_offer() {
        let (seekers, source, start) = (Seekers::default(), key(Kind::GitRepository, "s"), Instant::now());
        let [a, b] = ["a", "b"].map(|name| key(Kind::Kustomization, name));
        let lost = |url: &str, seeker: &Key, seconds| {
            seekers.seek(&source, &artifact(url), seeker);
            let since = seekers.lost(&source, &artifact(url), start + Duration::from_secs(seconds));
            since.map(|since| (since - start).as_secs())
        };
        assert_eq!((lost("one", &a, 1), lost("one", &b, 5), lost("two", &b, 9)), (Some(1), Some(1), Some(9)));
        assert_eq!(seekers.lost(&source, &artifact("one"), start), None, "another one is offered by now");
        assert_eq!(seekers.take(&source), BTreeSet::from([a, b]));
        assert_eq!(seekers.lost(&source, &artifact("two"), start), None, "it was offered again");
    }
}
