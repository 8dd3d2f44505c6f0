//! Short texts that are safe to show anywhere.

use std::{fmt, str::FromStr, sync::Arc};

/// Longest label, in characters: as long as a host name of Linux, and a column of a table.
pub const LABEL_CHARACTERS_MAX: usize = 64;
/// What a label that would be empty becomes.
const UNNAMED: &str = "node";

/// A text that is no label.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("it is 1 to 64 characters, letters, digits, `.`, `_`, `-` or `+`, and begins with a letter or digit")]
pub struct InvalidLabel;

/// A short text that is safe to show anywhere: a node's name, a build, a code, a role.
#[derive(utoipa::ToSchema, Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
#[schema(value_type = String)]
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

impl PartialEq<&str> for Label {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl FromStr for Label {
    type Err = InvalidLabel;

    fn from_str(text: &str) -> Result<Self, InvalidLabel> {
        Self::new(text)
    }
}

serde_by_text!(Label);

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
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
