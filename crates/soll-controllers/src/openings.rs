//! Trees that are being opened: who wants the one that another is opening waits for it.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};

use futures::FutureExt as _;
use futures::future::{Shared, WeakShared};
use soll_api::{Artifact, Failure};
use soll_tree::Tree;

use crate::Key;

/// What comes of opening an artifact.
pub(crate) type Opened = Result<Tree, Failure>;
type Opening = Pin<Box<dyn Future<Output = Opened> + Send>>;

/// The artifacts that are being opened, by source: hundreds of Kustomizations of one source may want its tree at once. Cheap to
/// clone.
#[derive(Clone, Default)]
pub(crate) struct Openings {
    /// Guards the table for single look-ups and inserts. What nobody waits for any more is not kept.
    under_way: Arc<Mutex<HashMap<Key, UnderWay>>>,
}

struct UnderWay {
    artifact: Artifact,
    opening: WeakShared<Opening>,
}

impl Openings {
    /// Waits for an opening of this artifact that is under way, or begins one.
    ///
    /// # Cancel safety
    /// Dropped, the opening goes on for the others that wait, and ends if there are none.
    pub(crate) async fn join<O>(&self, source: &Key, artifact: &Artifact, begin: impl FnOnce() -> O) -> Opened
    where
        O: Future<Output = Opened> + Send + 'static,
    {
        self.find_or(source, artifact, begin).await
    }

    fn find_or<O>(&self, source: &Key, artifact: &Artifact, begin: impl FnOnce() -> O) -> Shared<Opening>
    where
        O: Future<Output = Opened> + Send + 'static,
    {
        let mut under_way = self.under_way.lock().unwrap_or_else(PoisonError::into_inner);
        under_way.retain(|_, under_way| under_way.opening.upgrade().is_some());
        let found = under_way.get(source).filter(|found| found.artifact == *artifact);
        if let Some(opening) = found.and_then(|found| found.opening.upgrade()) {
            return opening;
        }
        let opening: Opening = Box::pin(begin());
        let opening = opening.shared();
        let weak = opening.downgrade().expect("it is not over: nobody has asked it yet");
        under_way.insert(source.clone(), UnderWay { artifact: artifact.clone(), opening: weak });
        opening
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::atomic::{AtomicUsize, Ordering};

    use soll_api::{Class, Retry, Time};
    use tokio::sync::Semaphore;

    use super::*;
    use crate::Kind;

    fn artifact(digest: &str) -> Artifact {
        Artifact {
            path: "a.tar.gz".to_owned(),
            url: "http://localhost/a.tar.gz".to_owned(),
            revision: "main@sha1:1".to_owned(),
            digest: digest.to_owned(),
            last_update_time: Time::new("2026-01-02T03:04:05Z".parse().unwrap()),
            size: None,
            metadata: std::collections::BTreeMap::new(),
        }
    }

    #[tokio::test]
    async fn many_that_want_one_tree_open_it_once() {
        let (openings, source) = (Openings::default(), Key::new(Kind::GitRepository, "apps", "s"));
        let (begun, may_end) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
        let open = |digest: &str, opened: Opened| {
            let (begun, may_end) = (Arc::clone(&begun), Arc::clone(&may_end));
            let (openings, source, artifact) = (openings.clone(), source.clone(), artifact(digest));
            async move {
                let begin = || async move {
                    begun.fetch_add(1, Ordering::SeqCst);
                    drop(may_end.acquire().await.unwrap());
                    opened
                };
                openings.join(&source, &artifact, begin).await
            }
        };
        // The one that began it may be dropped: those that wait go on with it.
        let mut first = Box::pin(open("a", Ok(Tree::empty())));
        assert!(futures::poll!(&mut first).is_pending());
        let mut others: Vec<_> = (0..300).map(|_| Box::pin(open("a", Ok(Tree::empty())))).collect();
        for other in &mut others {
            assert!(futures::poll!(other).is_pending());
        }
        drop(first);
        may_end.add_permits(1);
        assert!(futures::future::join_all(others).await.iter().all(Result::is_ok));
        assert_eq!(begun.load(Ordering::SeqCst), 1);

        // What is over is over, and a failure is no answer to who asks later.
        let failure = Failure::new(Class::Dependency, "A", "a", Retry::Backoff);
        assert!(open("a", Err(failure)).await.is_err());
        assert!(open("a", Ok(Tree::empty())).await.is_ok());
        assert!(open("b", Ok(Tree::empty())).await.is_ok());
        assert_eq!(begun.load(Ordering::SeqCst), 4);
    }
}
