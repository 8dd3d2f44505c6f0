//! Problems: what goes wrong now, and what went wrong last.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::domain::{label::Label, name::CollectionName};

/// Something that goes wrong and is tried again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The stable code.
    pub code: Label,
    /// What happened. Empty in the status that a node writes to the store: whoever can list statuses
    /// reads it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub message: String,
    /// Since when, by the node's clock.
    pub since: DateTime<Utc>,
}

impl Problem {
    /// A problem that `before`, when there is one, is an earlier sight of: it lasts since then.
    pub fn lasting(before: Option<&Self>, code: &str, message: String, now: DateTime<Utc>) -> Self {
        let since = before.map_or(now, |before| before.since);
        Self { code: Label::fitted(code), message, since }
    }

    /// The same problem without its message.
    pub(super) fn without_message(&self) -> Self {
        Self { message: String::new(), ..self.clone() }
    }
}

/// The last thing that went wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastError {
    /// The stable code.
    pub code: Label,
    /// The collection, unless it was the catalog, the keys, the publishing side or a task.
    pub collection: Option<CollectionName>,
    /// When it began.
    pub at: DateTime<Utc>,
}
