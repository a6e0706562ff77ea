//! Leader leases, as client-go's leader election keeps them: one holder at a time, by agreement.

use std::time::Duration;

use jiff::Timestamp;
use rand::Rng;
use soll_yaml::{Map, Value};
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::transport::{JSON, Request, segment};
use crate::{ApiError, Cluster, Verb};

/// Which lease, for whom, and at what pace. The defaults are those of Flux's controllers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaseOptions {
    /// Namespace of the Lease.
    pub namespace: String,
    /// Name of the Lease.
    pub name: String,
    /// Who we are; no two contenders may share it.
    pub identity: String,
    /// How long others wait after the last renewal that they saw.
    pub duration: Duration,
    /// How long we try to renew before we give up.
    pub renew_deadline: Duration,
    /// How long between two tries.
    pub retry_period: Duration,
}

impl LeaseOptions {
    /// A lease at Flux's pace.
    #[must_use]
    pub fn new(namespace: &str, name: &str, identity: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            identity: identity.to_owned(),
            duration: Duration::from_secs(35),
            renew_deadline: Duration::from_secs(30),
            retry_period: Duration::from_secs(5),
        }
    }
}

/// Whether the lease is ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeaseState {
    /// Not yet.
    Waiting {
        /// Who has it, as far as is known.
        holder: Option<String>,
    },
    /// Yes.
    Held {
        /// Nobody else can have it before this moment. Later than this, do not write: we may have slept.
        until: Instant,
    },
    /// Not any more, and never again by this contender.
    Ended(LeaseEnd),
}

/// Why a contender stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LeaseEnd {
    /// It was told to, and has given the lease back if it had it.
    Released,
    /// It had the lease and could not renew it, or somebody else took it.
    Lost,
}

impl LeaseState {
    /// Says whether the lease is ours at this moment.
    #[must_use]
    pub fn is_held(&self) -> bool {
        matches!(self, Self::Held { until } if Instant::now() < *until)
    }
}

/// One contender for one lease. Spawn [`Contender::run`] and follow [`Contender::state`].
pub struct Contender {
    cluster: Cluster,
    options: LeaseOptions,
    state: watch::Sender<LeaseState>,
    seen: Option<Seen>,
}

/// The lease as last read or written, and since when it is known to be so by our own clock.
struct Seen {
    lease: Value,
    since: Instant,
}

impl Contender {
    /// A contender that has not asked yet.
    #[must_use]
    pub fn new(cluster: &Cluster, options: LeaseOptions) -> Self {
        let (state, _) = watch::channel(LeaseState::Waiting { holder: None });
        Self { cluster: cluster.as_itself(), options, state, seen: None }
    }

    /// Whether the lease is ours, and every change of that.
    #[must_use]
    pub fn state(&self) -> watch::Receiver<LeaseState> {
        self.state.subscribe()
    }

    /// Tries to get the lease, keeps it, and gives it back at shutdown. Says how it ended.
    pub async fn run(mut self, shutdown: CancellationToken) -> LeaseEnd {
        let end = match shutdown.run_until_cancelled(self.contend()).await {
            Some(()) => LeaseEnd::Lost,
            None => {
                self.release().await;
                LeaseEnd::Released
            }
        };
        self.state.send_replace(LeaseState::Ended(end));
        end
    }

    /// Returns when the lease was ours and is lost.
    async fn contend(&mut self) {
        let mut renewed = loop {
            // Others count from when they see it, which is after we asked.
            let asked = Instant::now();
            if self.try_hold().await {
                break asked;
            }
            let holder = self.holder().filter(|holder| !holder.is_empty());
            let waiting = LeaseState::Waiting { holder };
            let changed = self.state.send_if_modified(|state| {
                let changed = *state != waiting;
                state.clone_from(&waiting);
                changed
            });
            if changed && let LeaseState::Waiting { holder: Some(holder) } = waiting {
                tracing::info!(lease = self.options.name, holder, "waiting for the lease");
            }
            // Contenders that wait for the same lease should not all ask at once.
            let pause = self.options.retry_period.mul_f64(rand::rng().random_range(1.0..1.2));
            tokio::time::sleep(pause).await;
        };
        tracing::info!(lease = self.options.name, identity = self.options.identity, "became leader");
        loop {
            self.state.send_replace(LeaseState::Held { until: renewed + self.options.duration });
            tokio::time::sleep(self.options.retry_period).await;
            let asked = Instant::now();
            if self.try_hold().await {
                renewed = asked;
            } else if self.is_taken() || renewed.elapsed() >= self.options.renew_deadline {
                tracing::error!(lease = self.options.name, holder = self.holder(), "lost the lease");
                return;
            }
        }
    }

    /// Takes or renews the lease if nobody else has it.
    async fn try_hold(&mut self) -> bool {
        match self.hold().await {
            Ok(held) => held,
            Err(error) => {
                // A conflict is somebody else being faster.
                if !error.is_conflict() {
                    tracing::warn!(lease = self.options.name, %error, "cannot get or renew the lease");
                }
                false
            }
        }
    }

    async fn hold(&mut self) -> Result<bool, ApiError> {
        // What we wrote last is most likely still so: renew without asking.
        if self.holder().as_deref() == Some(&self.options.identity)
            && let Some(seen) = &self.seen
        {
            match self.write(&self.renewal(&seen.lease)).await {
                Ok(lease) => {
                    self.see(lease);
                    return Ok(true);
                }
                Err(error) if error.is_conflict() || error.is_not_found() => {}
                Err(error) => return Err(error),
            }
        }
        let path = self.path();
        match self.cluster.exchange(&self.urgent(Request::new(Verb::Get, path))).await {
            Ok(lease) => self.see(lease),
            Err(error) if error.is_not_found() => {
                self.seen = None;
                let created = self.create().await?;
                self.see(created);
                return Ok(true);
            }
            Err(error) => return Err(error),
        }
        if self.is_taken() {
            return Ok(false);
        }
        let Some(seen) = &self.seen else { return Ok(false) };
        let renewed = self.write(&self.renewal(&seen.lease)).await?;
        self.see(renewed);
        Ok(true)
    }

    /// Notes the lease; a change of it restarts the clock by which it expires.
    fn see(&mut self, lease: Value) {
        let unchanged = self.seen.as_ref().is_some_and(|seen| seen.lease.get("spec") == lease.get("spec"));
        let since = self.seen.as_ref().filter(|_| unchanged).map_or_else(Instant::now, |seen| seen.since);
        self.seen = Some(Seen { lease, since });
    }

    fn holder(&self) -> Option<String> {
        let seen = self.seen.as_ref()?;
        seen.lease.lookup_str(&["spec", "holderIdentity"]).map(str::to_owned)
    }

    /// Says whether somebody else has the lease and it has not expired.
    fn is_taken(&self) -> bool {
        let Some(seen) = &self.seen else { return false };
        let holder = seen.lease.lookup_str(&["spec", "holderIdentity"]).unwrap_or_default();
        let seconds = seen.lease.lookup(&["spec", "leaseDurationSeconds"]).and_then(Value::as_i64);
        let seconds = seconds.and_then(|seconds| u64::try_from(seconds).ok());
        let duration = seconds.map_or(self.options.duration, Duration::from_secs);
        !holder.is_empty() && holder != self.options.identity && seen.since.elapsed() < duration
    }

    /// The lease with us as holder, renewed now.
    fn renewal(&self, lease: &Value) -> Value {
        let ours = lease.lookup_str(&["spec", "holderIdentity"]) == Some(&self.options.identity);
        let transitions = lease.lookup(&["spec", "leaseTransitions"]).and_then(Value::as_i64).unwrap_or(0);
        let acquired = lease.lookup(&["spec", "acquireTime"]).filter(|_| ours).cloned();
        let spec = Map::from_iter([
            ("holderIdentity", Value::from(self.options.identity.as_str())),
            ("leaseDurationSeconds", self.seconds()),
            ("acquireTime", acquired.unwrap_or_else(now)),
            ("renewTime", now()),
            ("leaseTransitions", Value::from(if ours { transitions } else { transitions + 1 })),
        ]);
        with_spec(lease, spec)
    }

    async fn create(&self) -> Result<Value, ApiError> {
        let metadata = Map::from_iter([
            ("name", Value::from(self.options.name.as_str())),
            ("namespace", Value::from(self.options.namespace.as_str())),
        ]);
        let lease = Map::from_iter([
            ("apiVersion", Value::from("coordination.k8s.io/v1")),
            ("kind", Value::from("Lease")),
            ("metadata", metadata.into()),
        ]);
        let spec = Map::from_iter([
            ("holderIdentity", Value::from(self.options.identity.as_str())),
            ("leaseDurationSeconds", self.seconds()),
            ("acquireTime", now()),
            ("renewTime", now()),
            ("leaseTransitions", Value::from(0)),
        ]);
        let lease = with_spec(&lease.into(), spec);
        let request = Request::new(Verb::Create, self.collection()).body(JSON, &lease);
        self.cluster.exchange(&self.urgent(request)).await
    }

    /// Replaces the lease; the server refuses if it has changed since.
    async fn write(&self, lease: &Value) -> Result<Value, ApiError> {
        let request = Request::new(Verb::Update, self.path()).body(JSON, lease);
        self.cluster.exchange(&self.urgent(request)).await
    }

    /// Lets others take over at once.
    async fn release(&mut self) {
        let ours = self.holder().as_deref() == Some(&self.options.identity);
        let Some(seen) = self.seen.take().filter(|_| ours) else { return };
        let transitions = seen.lease.lookup(&["spec", "leaseTransitions"]).cloned().unwrap_or_else(|| Value::from(0));
        let spec = Map::from_iter([
            ("holderIdentity", Value::from("")),
            ("leaseDurationSeconds", Value::from(1)),
            ("acquireTime", now()),
            ("renewTime", now()),
            ("leaseTransitions", transitions),
        ]);
        if let Err(error) = self.write(&with_spec(&seen.lease, spec)).await {
            tracing::warn!(lease = self.options.name, %error, "cannot give the lease back; it expires by itself");
        }
    }

    fn urgent(&self, request: Request) -> Request {
        Request { urgent: true, timeout: Some(self.options.renew_deadline / 2), ..request }
    }

    fn collection(&self) -> String {
        format!("/apis/coordination.k8s.io/v1/namespaces/{}/leases", segment(&self.options.namespace))
    }

    fn path(&self) -> String {
        format!("{}/{}", self.collection(), segment(&self.options.name))
    }

    fn seconds(&self) -> Value {
        Value::from(i64::try_from(self.options.duration.as_secs()).unwrap_or(i64::MAX))
    }
}

fn with_spec(lease: &Value, spec: Map) -> Value {
    let mut lease = lease.clone();
    lease.make_map().insert("spec", spec.into());
    lease
}

/// Now, in the microseconds that Kubernetes' leases have.
fn now() -> Value {
    Value::from(format!("{:.6}", Timestamp::now()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Objects;

    fn options(identity: &str) -> LeaseOptions {
        LeaseOptions::new("flux-system", "kustomize-controller-leader-election", identity)
    }

    const PATH: &str =
        "/apis/coordination.k8s.io/v1/namespaces/flux-system/leases/kustomize-controller-leader-election";

    async fn until(state: &mut watch::Receiver<LeaseState>, wanted: impl FnMut(&LeaseState) -> bool) -> LeaseState {
        state.wait_for(wanted).await.expect("the contender runs").clone()
    }

    #[tokio::test(start_paused = true)]
    async fn the_second_takes_over_when_the_first_lets_go() {
        let objects = Objects::default();
        let (stop_first, stop_second) = (CancellationToken::new(), CancellationToken::new());
        let first = Contender::new(&objects.cluster(), options("a"));
        let mut first_state = first.state();
        let first = tokio::spawn(first.run(stop_first.clone()));
        until(&mut first_state, LeaseState::is_held).await;

        let second = Contender::new(&objects.cluster(), options("b"));
        let mut second_state = second.state();
        let second = tokio::spawn(second.run(stop_second.clone()));
        let waiting = LeaseState::Waiting { holder: Some("a".to_owned()) };
        until(&mut second_state, |state| *state == waiting).await;

        stop_first.cancel();
        assert_eq!(first.await.expect("no panic"), LeaseEnd::Released);
        let let_go = Instant::now();
        until(&mut second_state, LeaseState::is_held).await;
        assert!(let_go.elapsed() <= Duration::from_secs(6), "no need to wait for expiry");
        let spec = objects.get(PATH).expect("the lease").get("spec").cloned().unwrap_or_default();
        assert_eq!(spec.lookup_str(&["holderIdentity"]), Some("b"));
        assert_eq!(spec.get("leaseTransitions").and_then(Value::as_i64), Some(1));
        stop_second.cancel();
        assert_eq!(second.await.expect("no panic"), LeaseEnd::Released);
    }

    #[tokio::test(start_paused = true)]
    async fn a_dead_holder_is_replaced_after_the_lease_expired() {
        let objects = Objects::default();
        let stop = CancellationToken::new();
        let dead = Contender::new(&objects.cluster(), options("dead"));
        let mut dead_state = dead.state();
        let dead = tokio::spawn(dead.run(stop.clone()));
        until(&mut dead_state, LeaseState::is_held).await;
        dead.abort();
        let died = Instant::now();
        let heir = Contender::new(&objects.cluster(), options("heir"));
        let mut state = heir.state();
        let _heir = tokio::spawn(heir.run(stop.clone()));
        until(&mut state, LeaseState::is_held).await;
        assert!(died.elapsed() >= Duration::from_secs(35), "not before it expired: {:?}", died.elapsed());
    }

    #[tokio::test(start_paused = true)]
    async fn a_holder_that_cannot_renew_gives_up_before_others_may_take_over() {
        let objects = Objects::default();
        let contender = Contender::new(&objects.cluster(), options("a"));
        let mut state = contender.state();
        let run = tokio::spawn(contender.run(CancellationToken::new()));
        until(&mut state, LeaseState::is_held).await;
        let held = Instant::now();
        objects.refuse_all();
        assert_eq!(run.await.expect("no panic"), LeaseEnd::Lost);
        assert!(held.elapsed() <= Duration::from_secs(35), "{:?}", held.elapsed());
        assert_eq!(*state.borrow(), LeaseState::Ended(LeaseEnd::Lost));
    }

    #[test]
    fn times_have_microseconds() {
        let text = now();
        let text = text.as_str().expect("text");
        assert_eq!(text.len(), "2026-01-01T00:00:00.000000Z".len(), "{text}");
    }
}
