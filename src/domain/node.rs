//! A node as others see it: the status that it leaves in the store.

use std::{collections::BTreeMap, fmt, sync::Arc};

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::{
    id::NodeId,
    manifest::Version,
    name::{CollectionName, RegionName},
};

/// Longest label, in characters: as long as a host name of Linux, and a column of a table.
pub const LABEL_CHARACTERS_MAX: usize = 64;
/// What a label that would be empty becomes.
const UNNAMED: &str = "node";

/// A text that is no label.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it is 1 to 64 characters, letters, digits, `.`, `_`, `-` or `+`, and begins with a letter or digit")]
pub struct InvalidLabel;

/// A short text that is safe to show anywhere: a node's name, a build, a code, a role.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Label(Arc<str>);

impl Label {
    /// Checks `text` against the rule of [`InvalidLabel`].
    pub fn new(text: &str) -> Result<Self, InvalidLabel> {
        let begins = text.starts_with(|first: char| first.is_ascii_alphanumeric());
        if begins && text.len() <= LABEL_CHARACTERS_MAX && text.chars().all(is_of_label) {
            Ok(Self(Arc::from(text)))
        } else {
            Err(InvalidLabel)
        }
    }

    /// The label nearest to `text`: other characters become `-`, what is too long is cut off.
    pub fn fitted(text: &str) -> Self {
        let fitted: String = text
            .chars()
            .map(|character| if is_of_label(character) { character } else { '-' })
            .skip_while(|first| !first.is_ascii_alphanumeric())
            .take(LABEL_CHARACTERS_MAX)
            .collect();
        Self(Arc::from(if fitted.is_empty() { UNNAMED } else { &fitted }))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_of_label(character: char) -> bool {
    character.is_ascii_alphanumeric() || matches!(character, '.' | '_' | '-' | '+')
}

impl TryFrom<String> for Label {
    type Error = InvalidLabel;
    fn try_from(text: String) -> Result<Self, InvalidLabel> {
        Self::new(&text)
    }
}

impl From<Label> for String {
    fn from(label: Label) -> Self {
        label.0.as_ref().to_owned()
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a node says of itself. Times are those of its own clock. A reader ignores members that it
/// does not know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeStatus {
    /// Format number; a reader refuses one above its own.
    pub format: u32,
    /// The node.
    pub node: NodeId,
    /// Its name, for people; several nodes may have the same.
    pub name: Label,
    /// The region that it serves.
    pub region: RegionName,
    /// What it does.
    pub roles: Vec<Label>,
    /// The version of the program.
    pub build: Label,
    /// When the process started.
    pub started_at: DateTime<Utc>,
    /// When this status was made.
    pub written_at: DateTime<Utc>,
    /// Whether requests may come; stays so.
    pub ready: bool,
    /// Whether it was told to end.
    pub draining: bool,
    /// The newest catalog document that it knows.
    pub catalog: u64,
    /// When the store last answered a look at the catalog.
    pub polled_at: Option<DateTime<Utc>>,
    /// Revision of the keys in force.
    pub keys_revision: u64,
    /// When the store last said that these are the keys in force.
    pub keys_at: Option<DateTime<Utc>>,
    /// Why the catalog or the keys cannot be followed now.
    pub problem: Option<NodeProblem>,
    /// The last problem of the node or of a collection, or the last run that failed here; also when it
    /// is over.
    pub last_error: Option<LastError>,
    /// The collections that the catalog, as the node knows it, gives to its region.
    pub collections: BTreeMap<CollectionName, NodeCollection>,
    /// The publishing side, on a node that has one; older builds do not tell.
    #[serde(default)]
    pub publisher: Option<NodePublisher>,
}

impl NodeStatus {
    /// Whether the node only publishes: nobody waits for it to serve anything.
    pub fn is_publisher_only(&self) -> bool {
        publishes_only(&self.roles)
    }
}

/// Whether a node of these roles only publishes: it follows no catalog and serves nothing.
pub fn publishes_only(roles: &[Label]) -> bool {
    let has = |role: &str| roles.iter().any(|label| label.as_str() == role);
    has("publisher") && !has("replica")
}

/// The publishing side of a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodePublisher {
    /// Whether syncs that are due run here; which of several publishers runs one, its lease says.
    pub up: bool,
    /// When a run last ended here. On a standby that is long ago, or never.
    pub last_run_at: Option<DateTime<Utc>>,
    /// Why nothing is announced from here.
    pub problem: Option<NodeProblem>,
}

/// One collection on a node.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeCollection {
    /// The version that the catalog names, as the node knows it.
    pub wanted: Version,
    /// The version served.
    pub served: Option<Version>,
    /// Since when it serves another version than it wants: an older one, none, or one above its pin.
    pub behind_since: Option<DateTime<Utc>>,
    /// When the source was last seen with the content that is served.
    pub data_as_of: Option<DateTime<Utc>>,
    /// Records served.
    pub records: u64,
    /// Bytes of the segments served.
    pub bytes: u64,
    /// Why what is served is not what is wanted.
    pub problem: Option<NodeProblem>,
}

/// Something that goes wrong. A code and nothing else: whoever can list statuses reads it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeProblem {
    /// The stable code.
    pub code: Label,
    /// Since when.
    pub since: DateTime<Utc>,
}

/// The last thing that went wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastError {
    /// The stable code.
    pub code: Label,
    /// The collection, unless it was the catalog, the keys or the publishing side.
    pub collection: Option<CollectionName>,
    /// When it began.
    pub at: DateTime<Utc>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_follow_the_rule() {
        for good in ["a", "ip-10-0-0-1.us-west-2.compute.internal", "0.1.0-alpha+7", "a_B", &"x".repeat(64)] {
            assert_eq!(Label::new(good).unwrap().as_str(), good);
            assert_eq!(Label::fitted(good).as_str(), good);
        }
        for (bad, fitted) in [
            ("", "node"),
            ("-", "node"),
            ("..a", "a"),
            ("a b", "a-b"),
            ("host\u{1b}[2J", "host--2J"),
            ("höst", "h-st"),
            (&"x".repeat(65), &"x".repeat(64)),
        ] {
            assert_eq!(Label::new(bad), Err(InvalidLabel), "{bad}");
            assert_eq!(Label::fitted(bad).as_str(), fitted);
        }
    }
}
