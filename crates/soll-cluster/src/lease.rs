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
    options: LeaseOptions,
    record: Record,
    state: watch::Sender<LeaseState>,
}

impl Contender {
    /// A contender that has not asked yet.
    #[must_use]
    pub fn new(cluster: &Cluster, options: LeaseOptions) -> Self {
        let (state, _) = watch::channel(LeaseState::Waiting { holder: None });
        Self { record: Record::new(cluster, &options), options, state }
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
            None => LeaseEnd::Released,
        };
        // Whoever asks must hear no before anybody else can have it.
        self.state.send_replace(LeaseState::Ended(end));
        if end == LeaseEnd::Released {
            self.record.release().await;
        }
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
            let holder = self.record.holder().filter(|holder| !holder.is_empty()).map(str::to_owned);
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
            // What comes after that comes too late, and makes nothing good: whoever asked meanwhile heard no, and would not hear
            // that it is ours again.
            let given_up = renewed + self.options.renew_deadline;
            match tokio::time::timeout_at(given_up, self.try_hold()).await {
                Ok(true) => renewed = asked,
                Ok(false) if !self.record.is_taken() && Instant::now() < given_up => {}
                _ => {
                    tracing::error!(lease = self.options.name, holder = self.record.holder(), "lost the lease");
                    return;
                }
            }
        }
    }

    /// Takes or renews the lease if nobody else has it.
    async fn try_hold(&mut self) -> bool {
        match self.record.hold().await {
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
}

/// One Lease of the cluster, as we last saw it, and what can be done with it.
pub(crate) struct Record {
    cluster: Cluster,
    options: LeaseOptions,
    /// Labels and annotations that it is made with.
    marks: Map,
    seen: Option<Seen>,
}

/// The lease as last read or written, and since when it is known to be so by our own clock.
struct Seen {
    lease: Value,
    since: Instant,
}

impl Record {
    pub(crate) fn new(cluster: &Cluster, options: &LeaseOptions) -> Self {
        Self { cluster: cluster.as_itself(), options: options.clone(), marks: Map::new(), seen: None }
    }

    /// The same, with more in its metadata when it is made.
    pub(crate) fn marked(self, marks: Map) -> Self {
        Self { marks, ..self }
    }

    /// Takes or renews it if nobody else has it.
    pub(crate) async fn hold(&mut self) -> Result<bool, ApiError> {
        // What we wrote last is most likely still so: renew without asking.
        if self.holder() == Some(&self.options.identity) {
            match self.renew().await {
                Err(error) if error.is_conflict() || error.is_not_found() => {}
                renewed => return renewed.map(|()| true),
            }
        }
        self.look().await?;
        if self.is_taken() {
            return Ok(false);
        }
        self.take().await?;
        Ok(true)
    }

    /// Reads it. Says whether it is another than it was.
    pub(crate) async fn look(&mut self) -> Result<bool, ApiError> {
        match self.cluster.exchange(&self.urgent(Request::new(Verb::Get, self.path()))).await {
            Ok(lease) => Ok(self.see(lease)),
            Err(error) if error.is_not_found() => Ok(self.seen.take().is_some()),
            Err(error) => Err(error),
        }
    }

    /// Writes us down as its holder, whoever had it when we last saw it.
    pub(crate) async fn take(&mut self) -> Result<(), ApiError> {
        if self.seen.is_some() {
            return self.renew().await;
        }
        let created = self.create().await?;
        self.see(created);
        Ok(())
    }

    /// Renews what is there.
    async fn renew(&mut self) -> Result<(), ApiError> {
        let Some(seen) = &self.seen else { return Ok(()) };
        let renewed = self.write(&self.renewal(&seen.lease)).await?;
        self.see(renewed);
        Ok(())
    }

    /// Notes the lease; a change of it restarts the clock by which it expires. Says whether it is one.
    pub(crate) fn see(&mut self, lease: Value) -> bool {
        let unchanged = self.seen.as_ref().is_some_and(|seen| seen.lease.get("spec") == lease.get("spec"));
        let since = self.seen.as_ref().filter(|_| unchanged).map_or_else(Instant::now, |seen| seen.since);
        self.seen = Some(Seen { lease, since });
        !unchanged
    }

    /// Who has it; an empty text if nobody has.
    pub(crate) fn holder(&self) -> Option<&str> {
        holder(&self.seen.as_ref()?.lease)
    }

    /// The lease as it was last seen.
    pub(crate) fn lease(&self) -> Option<&Value> {
        self.seen.as_ref().map(|seen| &seen.lease)
    }

    /// Says whether somebody else has the lease and it has not expired.
    fn is_taken(&self) -> bool {
        self.is_alive_at(Instant::now()) && self.holder() != Some(&self.options.identity)
    }

    /// Says whether anybody has the lease and it had not expired at this moment.
    pub(crate) fn is_alive_at(&self, now: Instant) -> bool {
        let Some(seen) = &self.seen else { return false };
        let seconds = seen.lease.lookup(&["spec", "leaseDurationSeconds"]).and_then(Value::as_i64);
        let seconds = seconds.and_then(|seconds| u64::try_from(seconds).ok());
        let duration = seconds.map_or(self.options.duration, Duration::from_secs);
        holder(&seen.lease).is_some_and(|holder| !holder.is_empty())
            && now.saturating_duration_since(seen.since) < duration
    }

    /// The lease with us as holder, renewed now.
    fn renewal(&self, lease: &Value) -> Value {
        let ours = holder(lease) == Some(&self.options.identity);
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
        let mut metadata = self.marks.clone();
        metadata.insert("name", Value::from(self.options.name.as_str()));
        metadata.insert("namespace", Value::from(self.options.namespace.as_str()));
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

    /// Lets others take over at once, if it is ours.
    pub(crate) async fn release(&mut self) {
        let ours = self.holder() == Some(&self.options.identity);
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

    /// Removes it.
    pub(crate) async fn delete(&self) -> Result<(), ApiError> {
        let request = self.urgent(Request::new(Verb::Delete, self.path()));
        match self.cluster.exchange(&request).await {
            Err(error) if !error.is_not_found() => Err(error),
            _ => Ok(()),
        }
    }

    /// The leases of the same namespace that have a label.
    pub(crate) async fn list(&self, label: &str, value: &str) -> Result<Vec<Value>, ApiError> {
        let request = Request::new(Verb::List, self.collection()).query("labelSelector", format!("{label}={value}"));
        let list = self.cluster.exchange(&self.urgent(request)).await?;
        Ok(list.get("items").and_then(Value::as_list).unwrap_or_default().to_vec())
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

/// Who has a lease; an empty text if nobody has.
pub(crate) fn holder(lease: &Value) -> Option<&str> {
    lease.lookup_str(&["spec", "holderIdentity"])
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
    use tokio::task::JoinHandle;

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

    /// A contender that leads for as long as nobody stops it.
    async fn leader(objects: &Objects) -> (JoinHandle<LeaseEnd>, watch::Receiver<LeaseState>) {
        let contender = Contender::new(&objects.cluster(), options("a"));
        let mut state = contender.state();
        let run = tokio::spawn(contender.run(CancellationToken::new()));
        until(&mut state, LeaseState::is_held).await;
        (run, state)
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
        let (run, state) = leader(&objects).await;
        let held = Instant::now();
        objects.refuse_all();
        assert_eq!(run.await.expect("no panic"), LeaseEnd::Lost);
        assert!(held.elapsed() <= Duration::from_secs(35), "{:?}", held.elapsed());
        assert_eq!(*state.borrow(), LeaseState::Ended(LeaseEnd::Lost));
    }

    #[tokio::test(start_paused = true)]
    async fn a_lease_that_lapsed_is_not_held_again() {
        let objects = Objects::default();
        let (run, _state) = leader(&objects).await;
        let held = Instant::now();
        // The first renewal is made, and its answer not waited for; what follows from that takes longer than the lease lasts.
        objects.answer_late("leases", Duration::from_secs(16));
        tokio::time::sleep(Duration::from_secs(21)).await;
        objects.answer_late("leases", Duration::from_secs(14));
        let ended = tokio::time::timeout(Duration::from_secs(120), run).await.expect("it does not go on");
        assert_eq!(ended.expect("no panic"), LeaseEnd::Lost);
        assert!(held.elapsed() <= Duration::from_secs(35), "{:?}", held.elapsed());
    }

    #[test]
    fn times_have_microseconds() {
        let text = now();
        let text = text.as_str().expect("text");
        assert_eq!(text.len(), "2026-01-01T00:00:00.000000Z".len(), "{text}");
    }
}
