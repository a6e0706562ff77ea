//! The runner: one queue and one set of tasks for the objects of all kinds.
//!
//! An object is reconciled by at most one task at a time, a reconcile returns instead of waiting, and a
//! panic becomes that object's failure. [`queue`] decides what runs when; this module runs it.

mod backoff;
mod key;
mod queue;

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::task::{Id, JoinError, JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

pub(crate) use backoff::Backoff;
pub use key::{Key, Kind};
pub use queue::Depth;
pub(crate) use queue::{Lanes, Next, Queue};

/// What reconciles one object. The runner calls it again when its answer says so, or when the object is woken.
pub(crate) trait Reconcile: Send + Sync + 'static {
    /// Brings the cluster in line with one object.
    fn reconcile(&self, key: Key) -> Pin<Box<dyn Future<Output = Next> + Send + '_>>;

    /// Reports that reconciling an object panicked, as that object's failure.
    fn panicked(&self, key: Key, message: String) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}

/// Wakes objects. Cheap to clone; every watch and every reconciler has one.
#[derive(Clone)]
pub(crate) struct Waker {
    shared: Arc<Shared>,
}

struct Shared {
    /// Guards the queue for the few lines of each of its operations; a channel would not let a wake-up be merged with
    /// one that is waiting already.
    queue: Mutex<Queue>,
    changed: Notify,
}

/// Runs reconciles until it is told to stop.
pub(crate) struct Runner {
    shared: Arc<Shared>,
}

impl Waker {
    /// Has an object reconciled as soon as its turn comes. Waking one that waits already changes nothing; waking one
    /// that is being reconciled has it reconciled once more.
    pub(crate) fn wake(&self, key: Key) {
        self.queue().wake(key, Instant::now());
        self.shared.changed.notify_one();
    }

    /// Has an object reconciled at a time, or earlier if it is due before that.
    pub(crate) fn wake_at(&self, key: Key, at: Instant) {
        self.queue().wake_at(key, at);
        self.shared.changed.notify_one();
    }

    /// Forgets an object that is gone. A reconcile that runs ends as it will.
    pub(crate) fn forget(&self, key: &Key) {
        self.queue().forget(key);
    }

    /// Whether a reconcile of such an object is under way.
    pub(crate) fn runs_any(&self, such: impl Fn(&Key) -> bool) -> bool {
        self.queue().runs_any(such)
    }

    /// How many objects wait and run, for the metrics.
    pub(crate) fn depth(&self) -> HashMap<Kind, Depth> {
        self.queue().depth()
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.shared.queue.lock().expect("no line that holds this lock panics")
    }
}

impl Runner {
    /// A runner with nothing to do yet.
    pub(crate) fn new(lanes: Lanes, backoff: Backoff) -> Self {
        let shared = Shared { queue: Mutex::new(Queue::new(lanes, backoff)), changed: Notify::new() };
        Self { shared: Arc::new(shared) }
    }

    /// What wakes objects of this runner.
    pub(crate) fn waker(&self) -> Waker {
        Waker { shared: Arc::clone(&self.shared) }
    }

    /// Reconciles what is woken until `shutdown`; then starts nothing more, gives what runs `grace` to end, and drops
    /// what did not. Dropping is safe: every reconcile orders its steps so that stopping anywhere is repaired by the next.
    pub(crate) async fn run(self, reconciler: Arc<dyn Reconcile>, grace: Duration, shutdown: CancellationToken) {
        let waker = self.waker();
        let mut tasks = Tasks { running: JoinSet::new(), keys: HashMap::new() };
        loop {
            let due = self.start_what_is_due(&waker, &reconciler, &mut tasks);
            let timer = async {
                match due {
                    Some(due) => tokio::time::sleep_until(due.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = shutdown.cancelled() => break,
                () = self.shared.changed.notified() => {}
                () = timer => {}
                Some(ended) = tasks.running.join_next_with_id() => settle(&waker, &reconciler, &mut tasks, ended),
            }
        }
        let ended = tokio::time::timeout(grace, async {
            while let Some(ended) = tasks.running.join_next_with_id().await {
                settle(&waker, &reconciler, &mut tasks, ended);
            }
        });
        if ended.await.is_err() {
            warn!(unfinished = tasks.running.len(), "stopped reconciles that did not end within the grace period");
            tasks.running.shutdown().await;
        }
    }

    /// Starts all that may start now; returns when the next object is due.
    fn start_what_is_due(&self, waker: &Waker, reconciler: &Arc<dyn Reconcile>, tasks: &mut Tasks) -> Option<Instant> {
        let mut queue = waker.queue();
        while let Some(key) = queue.next(Instant::now()) {
            let reconciler = Arc::clone(reconciler);
            let task = key.clone();
            let handle = tasks.running.spawn(async move { reconciler.reconcile(task).await });
            tasks.keys.insert(handle.id(), Task::Reconcile(key));
        }
        queue.next_due()
    }
}

struct Tasks {
    running: JoinSet<Next>,
    keys: HashMap<Id, Task>,
}

enum Task {
    Reconcile(Key),
    /// Reports a panic in the name of the object, which runs until that is done.
    Report(Key),
}

/// Books a task that ended: its object may run again, or its panic is reported first.
fn settle(waker: &Waker, reconciler: &Arc<dyn Reconcile>, tasks: &mut Tasks, ended: Result<(Id, Next), JoinError>) {
    let (id, next) = match ended {
        Ok((id, next)) => (id, Ok(next)),
        Err(error) => (error.id(), Err(error)),
    };
    let Some(task) = tasks.keys.remove(&id) else { return };
    match (task, next) {
        (Task::Reconcile(key) | Task::Report(key), Ok(next)) => waker.queue().done(&key, next, Instant::now()),
        (Task::Reconcile(key), Err(error)) => {
            let message = panic_message(error);
            error!(%key, message, "a reconcile panicked");
            let reconciler = Arc::clone(reconciler);
            let task = key.clone();
            let handle = tasks.running.spawn(async move {
                reconciler.panicked(task, message).await;
                Next::Backoff
            });
            tasks.keys.insert(handle.id(), Task::Report(key));
        }
        (Task::Report(key), Err(error)) => {
            error!(%key, message = panic_message(error), "reporting a panic panicked");
            waker.queue().done(&key, Next::Backoff, Instant::now());
        }
    }
}

fn panic_message(error: JoinError) -> String {
    let Ok(payload) = error.try_into_panic() else { return "cancelled".to_owned() };
    let text = payload.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned()).unwrap_or_else(|| "panic without a text".to_owned())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use tokio::sync::mpsc;

    /// Says on a channel what was asked of it.
    struct Script {
        said: mpsc::UnboundedSender<String>,
    }

    impl Reconcile for Script {
        fn reconcile(&self, key: Key) -> Pin<Box<dyn Future<Output = Next> + Send + '_>> {
            Box::pin(async move {
                self.said.send(format!("run {key}")).unwrap();
                assert!(&*key.name != "bomb", "boom in {key}");
                if &*key.name == "stuck" {
                    std::future::pending::<()>().await;
                }
                Next::Await
            })
        }

        fn panicked(&self, key: Key, message: String) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
            Box::pin(async move { self.said.send(format!("panic {key}: {message}")).unwrap() })
        }
    }

    fn start() -> (Waker, mpsc::UnboundedReceiver<String>, CancellationToken, tokio::task::JoinHandle<()>) {
        let (said, heard) = mpsc::unbounded_channel();
        let runner = Runner::new(Lanes::of(2), Backoff::default());
        let (waker, shutdown) = (runner.waker(), CancellationToken::new());
        let task = runner.run(Arc::new(Script { said }), Duration::from_millis(10), shutdown.clone());
        (waker, heard, shutdown, tokio::spawn(task))
    }

    fn key(name: &str) -> Key {
        Key::new(Kind::Kustomization, "apps", name)
    }

    #[tokio::test]
    async fn a_panic_becomes_a_report_of_that_object_and_stops_nobody() {
        let (waker, mut heard, shutdown, task) = start();
        waker.wake(key("bomb"));
        assert_eq!(heard.recv().await.unwrap(), "run Kustomization/apps/bomb");
        let report = "panic Kustomization/apps/bomb: boom in Kustomization/apps/bomb";
        assert_eq!(heard.recv().await.unwrap(), report);
        waker.wake(key("fine"));
        assert_eq!(heard.recv().await.unwrap(), "run Kustomization/apps/fine");
        shutdown.cancel();
        task.await.unwrap();
    }

    #[tokio::test]
    async fn shutdown_drops_what_does_not_end_within_the_grace_period() {
        let (waker, mut heard, shutdown, task) = start();
        waker.wake(key("stuck"));
        heard.recv().await.unwrap();
        shutdown.cancel();
        task.await.unwrap();
        assert!(heard.recv().await.is_none(), "the task is gone, and with it its end of the channel");
    }
}
