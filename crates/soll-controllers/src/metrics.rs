//! Metrics under Flux's names, in Prometheus' text format.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric, text};
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets_range};
use prometheus_client::registry::{Registry, Unit};
use soll_cluster::Cluster;

use crate::Key;
use crate::first_pass::FirstPass;
use crate::leadership::Leadership;
use crate::runner::Waker;

/// What is counted and measured.
pub(crate) struct Metrics {
    /// Guards the registry while it is printed; nothing is registered after the start.
    registry: Mutex<Registry>,
    durations: Family<ObjectLabels, Histogram>,
    results: Family<ResultLabels, Counter>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ObjectLabels {
    kind: &'static str,
    name: String,
    namespace: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabels {
    controller: &'static str,
    result: &'static str,
}

impl Metrics {
    pub(crate) fn new(waker: Waker, cluster: Cluster, first_pass: Arc<FirstPass>, leadership: Leadership) -> Self {
        let durations = Family::<ObjectLabels, Histogram>::new_with_constructor(|| {
            // Flux's buckets.
            Histogram::new(exponential_buckets_range(0.01, 1800.0, 10))
        });
        let results = Family::<ResultLabels, Counter>::default();
        let mut registry = Registry::default();
        let help = "How long a reconcile of an object took";
        registry.register_with_unit("gotk_reconcile_duration", help, Unit::Seconds, durations.clone());
        registry.register("controller_runtime_reconcile", "Reconciles, by how they ended", results.clone());
        registry.register_collector(Box::new(Live { waker, cluster, first_pass, leadership }));
        Self { registry: Mutex::new(registry), durations, results }
    }

    /// Books a reconcile that ended.
    pub(crate) fn reconciled(&self, key: &Key, took: Duration, result: &'static str) {
        self.durations.get_or_create(&ObjectLabels::of(key)).observe(took.as_secs_f64());
        self.results.get_or_create(&ResultLabels { controller: controller(key), result }).inc();
    }

    /// Drops what is counted about an object that is gone.
    pub(crate) fn forget(&self, key: &Key) {
        self.durations.remove(&ObjectLabels::of(key));
    }

    /// All of it, as `/metrics` answers.
    pub(crate) fn print(&self) -> String {
        let mut printed = String::new();
        let registry = self.registry.lock().expect("no line that holds this lock panics");
        text::encode(&mut printed, &registry).expect("a String takes all that is written to it");
        printed
    }
}

impl ObjectLabels {
    fn of(key: &Key) -> Self {
        Self { kind: key.kind.name(), name: key.name.to_string(), namespace: key.namespace.to_string() }
    }
}

/// The name that controller-runtime gives a controller: the kind in small letters.
fn controller(key: &Key) -> &'static str {
    match key.kind {
        crate::Kind::GitRepository => "gitrepository",
        crate::Kind::Kustomization => "kustomization",
    }
}

/// What is counted elsewhere, and read when it is asked for.
struct Live {
    waker: Waker,
    cluster: Cluster,
    first_pass: Arc<FirstPass>,
    leadership: Leadership,
}

impl std::fmt::Debug for Live {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Live")
    }
}

impl Collector for Live {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let mut depths: Vec<_> = self.waker.depth().into_iter().collect();
        depths.sort_by_key(|(kind, _)| *kind);
        let gauge = |value: usize| ConstGauge::new(i64::try_from(value).unwrap_or(i64::MAX));
        for (name, help, value) in [
            ("workqueue_depth", "Objects that wait for their turn", 0),
            ("controller_runtime_active_workers", "Objects that are being reconciled", 1),
        ] {
            let metric = gauge(0);
            let mut family = encoder.encode_descriptor(name, help, None, metric.metric_type())?;
            for (kind, depth) in &depths {
                let labels = [("name", kind.name().to_lowercase())];
                let count = if value == 0 { depth.waiting } else { depth.running };
                gauge(count).encode(family.encode_family(&labels)?)?;
            }
        }
        for (name, help, value) in [
            ("workqueue_adds", "Objects that came into line", 0),
            ("workqueue_retries", "Failures that are retried with backoff", 1),
        ] {
            let metric = ConstCounter::new(0u64);
            let mut family = encoder.encode_descriptor(name, help, None, metric.metric_type())?;
            for (kind, depth) in &depths {
                let labels = [("name", kind.name().to_lowercase())];
                let count = if value == 0 { depth.added } else { depth.retries };
                ConstCounter::new(count).encode(family.encode_family(&labels)?)?;
            }
        }
        let metric = ConstGauge::new(0.0);
        let help = "Seconds from the start until every object that was there had its first pass; nothing before that";
        let mut family = encoder.encode_descriptor("soll_first_pass_seconds", help, None, metric.metric_type())?;
        for (kind, took) in self.first_pass.over() {
            let labels = [("name", kind.name().to_lowercase())];
            ConstGauge::new(took.as_secs_f64()).encode(family.encode_family(&labels)?)?;
        }
        if let Some((ours, processes)) = self.leadership.division() {
            let metric = gauge(0);
            let help = "1 for a shard whose objects this process reconciles, 0 for one that it does not";
            let mut family = encoder.encode_descriptor("soll_shard_held", help, None, metric.metric_type())?;
            for (shard, ours) in ours.into_iter().enumerate() {
                let labels = [("shard", shard.to_string())];
                gauge(ours.into()).encode(family.encode_family(&labels)?)?;
            }
            let help = "Processes that divide the shards, as this one sees it";
            let metric = gauge(processes);
            metric.encode(encoder.encode_descriptor("soll_shard_processes", help, None, metric.metric_type())?)?;
        }
        let metric = ConstCounter::new(0u64);
        let help = "Requests to the API server, by method and answer";
        let mut family = encoder.encode_descriptor("rest_client_requests", help, None, metric.metric_type())?;
        for ((verb, code), count) in &self.cluster.requests().by_code {
            let labels = [("method", verb.method().to_owned()), ("code", code.to_string())];
            ConstCounter::new(*count).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }
}
