//! Current problems, and the last error.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::domain::{CollectionName, Label};

/// The code of a time that another node wrote and that is ahead of this node's clock.
pub const CLOCK_AHEAD: &str = "clock_ahead";

/// A lasting failure that is retried.
#[derive(utoipa::ToSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The stable code.
    pub code: Label,
    /// What happened. Empty in the status in the store, which has more readers than the node.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// Since when, by the node's clock.
    pub since: DateTime<Utc>,
}

impl Problem {
    /// A problem that continues `before`, if given: it keeps the time at which that began.
    pub fn lasting(before: Option<&Self>, code: &str, message: String, now: DateTime<Utc>) -> Self {
        let since = before.map_or(now, |before| before.since);
        Self { code: Label::fitted(code), message, since }
    }

    /// The same problem without its message.
    pub(super) fn without_message(&self) -> Self {
        Self { message: String::new(), ..self.clone() }
    }
}

/// The most recent error.
#[derive(utoipa::ToSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastError {
    /// The stable code.
    pub code: Label,
    /// The collection, unless it was the catalog, the keys, the publishing side or a task.
    pub collection: Option<CollectionName>,
    /// When it began.
    pub at: DateTime<Utc>,
}
