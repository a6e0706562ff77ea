//! Conditions: what an object says about itself.

use serde::{Deserialize, Serialize};

use crate::Time;

/// One condition of an object's status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// What it is about: `Ready`.
    pub r#type: String,
    /// The answer.
    pub status: Status,
    /// The generation of the object that the answer is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// When status, reason or message last changed.
    pub last_transition_time: Time,
    /// One word for machines: `ReconciliationSucceeded`.
    pub reason: String,
    /// A sentence for people, at most [`MESSAGE_LIMIT`] bytes.
    pub message: String,
}

/// The answer of a [`Condition`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Status {
    /// It holds.
    True,
    /// It does not hold.
    False,
    /// Nobody knows yet.
    Unknown,
}

/// The condition types of the kinds built here.
pub mod types {
    /// The sum of all others.
    pub const READY: &str = "Ready";
    /// Work is going on, or will be tried again.
    pub const RECONCILING: &str = "Reconciling";
    /// No work will be tried before somebody changes something.
    pub const STALLED: &str = "Stalled";
    /// What was applied is healthy.
    pub const HEALTHY: &str = "Healthy";
    /// The artifact of the current revision is stored.
    pub const ARTIFACT_IN_STORAGE: &str = "ArtifactInStorage";
    /// A newer revision exists than the one stored.
    pub const ARTIFACT_OUTDATED: &str = "ArtifactOutdated";
    /// The source could not be fetched.
    pub const FETCH_FAILED: &str = "FetchFailed";
    /// An included source is missing or has no artifact.
    pub const INCLUDE_UNAVAILABLE: &str = "IncludeUnavailable";
    /// The artifact could not be stored.
    pub const STORAGE_OPERATION_FAILED: &str = "StorageOperationFailed";
    /// The signature of the source was verified.
    pub const SOURCE_VERIFIED: &str = "SourceVerified";
}

/// Longest message of a condition, in bytes; what is longer ends in `...`.
pub const MESSAGE_LIMIT: usize = 32_768;

/// The conditions of one object: each type once, `Stalled`, `Reconciling`, `Ready` first, then by type.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Conditions(Vec<Condition>);

impl Conditions {
    /// No conditions.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a condition; its transition time moves only if status, reason or message change.
    ///
    /// `Reconciling` and `Stalled` exclude each other: setting one to true removes the other.
    pub fn set(&mut self, r#type: &str, status: Status, reason: &str, message: &str, generation: i64, now: Time) {
        let message = cut(message);
        let same =
            self.get(r#type).filter(|old| old.status == status && old.reason == reason && old.message == message);
        let condition = Condition {
            r#type: r#type.to_owned(),
            status,
            observed_generation: Some(generation),
            last_transition_time: same.map_or(now, |old| old.last_transition_time),
            reason: reason.to_owned(),
            message,
        };
        match r#type {
            types::RECONCILING if status == Status::True => self.remove(types::STALLED),
            types::STALLED if status == Status::True => self.remove(types::RECONCILING),
            _ => false,
        };
        self.remove(r#type);
        let place = self.0.partition_point(|other| rank(&other.r#type) < rank(r#type));
        self.0.insert(place, condition);
    }

    /// Takes a condition away; says whether there was one.
    pub fn remove(&mut self, r#type: &str) -> bool {
        let before = self.0.len();
        self.0.retain(|condition| condition.r#type != r#type);
        self.0.len() < before
    }

    /// The condition of a type.
    #[must_use]
    pub fn get(&self, r#type: &str) -> Option<&Condition> {
        self.0.iter().find(|condition| condition.r#type == r#type)
    }

    /// Says whether there is a condition of this type that is true.
    #[must_use]
    pub fn is_true(&self, r#type: &str) -> bool {
        self.get(r#type).is_some_and(|condition| condition.status == Status::True)
    }

    /// Says whether there is a condition of this type that is false.
    #[must_use]
    pub fn is_false(&self, r#type: &str) -> bool {
        self.get(r#type).is_some_and(|condition| condition.status == Status::False)
    }

    /// The conditions in their order.
    pub fn iter(&self) -> std::slice::Iter<'_, Condition> {
        self.0.iter()
    }

    /// Says whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// The place of a type among the others.
fn rank(r#type: &str) -> (u8, &str) {
    let rank = match r#type {
        types::STALLED => 0,
        types::RECONCILING => 1,
        types::READY => 2,
        _ => 3,
    };
    (rank, r#type)
}

/// The message within [`MESSAGE_LIMIT`], cut between characters.
fn cut(message: &str) -> String {
    if message.len() <= MESSAGE_LIMIT {
        return message.to_owned();
    }
    let mut end = MESSAGE_LIMIT - 3;
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}...", &message[..end])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Time {
        Time::new(jiff::Timestamp::from_second(second).expect("a second"))
    }

    fn types_of(conditions: &Conditions) -> Vec<&str> {
        conditions.iter().map(|condition| condition.r#type.as_str()).collect()
    }

    #[test]
    fn stand_in_the_order_of_flux() {
        let mut conditions = Conditions::new();
        for r#type in ["Healthy", "Ready", "ArtifactInStorage", "Reconciling"] {
            conditions.set(r#type, Status::True, "A", "b", 1, at(0));
        }
        assert_eq!(types_of(&conditions), ["Reconciling", "Ready", "ArtifactInStorage", "Healthy"]);
        conditions.set("Stalled", Status::True, "A", "b", 1, at(0));
        assert_eq!(types_of(&conditions), ["Stalled", "Ready", "ArtifactInStorage", "Healthy"]);
        conditions.set("Reconciling", Status::True, "A", "b", 1, at(0));
        assert_eq!(types_of(&conditions), ["Reconciling", "Ready", "ArtifactInStorage", "Healthy"]);
    }

    #[test]
    fn transition_time_moves_with_status_reason_and_message() {
        let mut conditions = Conditions::new();
        let mut time_after = |status, reason, message, generation, now| {
            conditions.set("Ready", status, reason, message, generation, at(now));
            conditions.get("Ready").map(|ready| ready.last_transition_time)
        };
        assert_eq!(time_after(Status::True, "A", "a", 1, 10), Some(at(10)));
        assert_eq!(time_after(Status::True, "A", "a", 2, 20), Some(at(10)));
        assert_eq!(time_after(Status::True, "A", "b", 2, 30), Some(at(30)));
        assert_eq!(time_after(Status::True, "B", "b", 2, 40), Some(at(40)));
        assert_eq!(time_after(Status::False, "B", "b", 2, 50), Some(at(50)));
    }

    #[test]
    fn long_messages_are_cut_between_characters() {
        let mut conditions = Conditions::new();
        conditions.set("Ready", Status::False, "A", &"ä".repeat(20_000), 1, at(0));
        let message = &conditions.get("Ready").expect("just set").message;
        assert!(message.len() <= MESSAGE_LIMIT && message.ends_with("ä..."));
        assert_eq!(cut(&"a".repeat(MESSAGE_LIMIT)).len(), MESSAGE_LIMIT);
    }
}
