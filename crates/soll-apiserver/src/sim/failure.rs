//! Failures to order: by annotation, or by the name of an image in an unmodified manifest.

use std::str::FromStr;
use std::time::Duration;

use soll_yaml::Value;

use super::fields::{fingerprint, list, text};

/// The annotation, on an object or its pod template: `<mode>[,after=30s][,for=2m][,probability=0.3]`.
pub(super) const ANNOTATION: &str = "sim.soll.dev/fail";

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    ImagePull,
    CrashLoop,
    NotReady,
    OutOfMemory,
    Unschedulable,
    ConfigError,
    JobFail,
    /// Nothing goes wrong, but it takes so much longer to start.
    Slow(Duration),
    LoadBalancerPending,
    VolumePending,
    /// Ready and not ready, by turns.
    Flaky,
}

/// What goes wrong, when, and how likely.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Failure {
    pub(super) mode: Mode,
    after: Duration,
    lasts: Option<Duration>,
    probability: f64,
}

impl Failure {
    /// Whether it is on at this age of the object.
    pub(super) fn is_on(&self, age: Duration) -> bool {
        age >= self.after && self.end().is_none_or(|end| age < end)
    }

    /// The age at which it is over.
    pub(super) fn end(&self) -> Option<Duration> {
        self.lasts.map(|lasts| self.after + lasts)
    }

    /// How long from this age until it begins or ends.
    pub(super) fn next_change(&self, age: Duration) -> Option<Duration> {
        [Some(self.after), self.end()].into_iter().flatten().filter(|at| *at > age).map(|at| at - age).min()
    }

    /// Whether this object is among the unlucky: decided by its uid, so it does not change its mind.
    pub(super) fn hits(&self, uid: &str) -> bool {
        let share = fingerprint(uid) as f64 / u64::MAX as f64;
        share < self.probability
    }
}

impl FromStr for Failure {
    type Err = String;

    fn from_str(annotation: &str) -> Result<Self, String> {
        let mut parts = annotation.split(',').map(str::trim);
        let mode = mode(parts.next().unwrap_or_default())?;
        let mut failure = Self { mode, after: Duration::ZERO, lasts: None, probability: 1.0 };
        for part in parts {
            match part.split_once('=') {
                Some(("after", time)) => failure.after = duration(time)?,
                Some(("for", time)) => failure.lasts = Some(duration(time)?),
                Some(("probability", number)) => {
                    let probability = number.parse().ok().filter(|share| (0.0..=1.0).contains(share));
                    failure.probability = probability.ok_or(format!("`{number}` is no probability from 0 to 1"))?;
                }
                _ => return Err(format!("`{part}` is none of after=, for= and probability=")),
            }
        }
        Ok(failure)
    }
}

const MODES: &[(&str, Mode)] = &[
    ("image-pull", Mode::ImagePull),
    ("crash-loop", Mode::CrashLoop),
    ("not-ready", Mode::NotReady),
    ("oom", Mode::OutOfMemory),
    ("unschedulable", Mode::Unschedulable),
    ("config-error", Mode::ConfigError),
    ("job-fail", Mode::JobFail),
    ("lb-pending", Mode::LoadBalancerPending),
    ("pvc-pending", Mode::VolumePending),
    ("flaky", Mode::Flaky),
];

fn mode(name: &str) -> Result<Mode, String> {
    if let Some(time) = name.strip_prefix("slow=") {
        return duration(time).map(Mode::Slow);
    }
    let known = MODES.iter().find(|(known, _)| *known == name);
    known.map(|(_, mode)| *mode).ok_or_else(|| {
        let names: Vec<_> = MODES.iter().map(|(name, _)| *name).collect();
        format!("`{name}` is no way to fail; there are {} and slow=<duration>", names.join(", "))
    })
}

/// `500ms`, `30s`, `2m`, `1h`.
fn duration(text: &str) -> Result<Duration, String> {
    let split = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let unit = match unit {
        "ms" => 0.001,
        "s" => 1.0,
        "m" => 60.0,
        "h" => 3600.0,
        _ => return Err(format!("`{text}` is no duration such as 500ms, 30s, 2m or 1h")),
    };
    let seconds = number.parse::<f64>().map_err(|_| format!("`{text}` is no duration such as 500ms, 30s, 2m or 1h"))?;
    Duration::try_from_secs_f64(seconds * unit).map_err(|_| format!("`{text}` is too long"))
}

/// The failure that the annotation orders.
pub(super) fn annotated(object: &Value) -> Option<Result<Failure, String>> {
    object.lookup_str(&["metadata", "annotations", ANNOTATION]).map(str::parse)
}

/// The failure that the name of an image orders: `sim-fail-pull`, `sim-fail-crash`, `sim-not-ready` or
/// `sim-slow-30s` as its tag or as a component of its repository.
pub(super) fn of_images(pod: &Value) -> Option<Failure> {
    let containers = ["initContainers", "containers"].into_iter().flat_map(|field| list(pod, &["spec", field]));
    containers.flat_map(|container| text(container, &["image"]).split(['/', ':', '@'])).find_map(|part| {
        let mode = match part {
            "sim-fail-pull" => Mode::ImagePull,
            "sim-fail-crash" => Mode::CrashLoop,
            "sim-not-ready" => Mode::NotReady,
            _ => Mode::Slow(duration(part.strip_prefix("sim-slow-")?).ok()?),
        };
        Some(Failure { mode, after: Duration::ZERO, lasts: None, probability: 1.0 })
    })
}

#[cfg(test)]
mod tests {
    use super::super::fields::value;
    use super::*;
    use serde_json::json;

    #[test]
    fn an_annotation_says_what_when_and_how_likely() {
        let failure: Failure = "crash-loop,after=30s,for=2m,probability=0.3".parse().expect("a failure");
        assert_eq!(failure.mode, Mode::CrashLoop);
        assert!(!failure.is_on(Duration::from_secs(29)));
        assert!(failure.is_on(Duration::from_secs(30)));
        assert!(!failure.is_on(Duration::from_secs(150)));
        assert_eq!(failure.next_change(Duration::from_secs(40)), Some(Duration::from_secs(110)));
        let hit = (0..1000).filter(|n| failure.hits(&format!("uid-{n}"))).count();
        assert!((200..400).contains(&hit), "{hit}");
    }

    #[test]
    fn a_mistyped_annotation_is_told() {
        let told = |annotation: &str| annotation.parse::<Failure>().expect_err("no failure");
        assert!(told("crashloop").starts_with("`crashloop` is no way to fail; there are image-pull, crash-loop,"));
        assert_eq!(told("oom,later=3s"), "`later=3s` is none of after=, for= and probability=");
        assert_eq!(told("oom,after=soon"), "`soon` is no duration such as 500ms, 30s, 2m or 1h");
        assert_eq!(told("oom,probability=2"), "`2` is no probability from 0 to 1");
    }

    #[test]
    fn an_image_can_order_a_failure() {
        let mode =
            |image: &str| of_images(&value(&json!({"spec": {"containers": [{"image": image}]}}))).map(|f| f.mode);
        assert_eq!(mode("example.org/app:sim-fail-pull"), Some(Mode::ImagePull));
        assert_eq!(mode("example.org/sim-slow-30s/app:1.0"), Some(Mode::Slow(Duration::from_secs(30))));
        assert_eq!(mode("example.org/app:1.0"), None);
    }
}
