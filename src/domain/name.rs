//! Names that appear in URLs, configuration and metric labels. Each is checked once, when it is parsed.

use std::{borrow::Borrow, fmt, str::FromStr, sync::Arc};

/// Longest collection, index or region name, in bytes. Names appear in URLs and metric labels.
pub const NAME_BYTES_MAX: usize = 64;

/// A name that breaks the rule `[A-Za-z0-9][A-Za-z0-9_-]{0,63}`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "the name of {} {what} has 1 to 64 characters: letters, digits, `_` and `-`, the first a letter or a digit",
    article(.what)
)]
pub struct InvalidName {
    /// The kind of name, such as "collection" or "source".
    pub what: &'static str,
}

/// The article before `word`.
pub(crate) fn article(word: &str) -> &'static str {
    if word.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" }
}

fn is_valid(text: &str) -> bool {
    let mut bytes = text.bytes();
    text.len() <= NAME_BYTES_MAX
        && bytes.next().is_some_and(|first| first.is_ascii_alphanumeric())
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-')
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(utoipa::ToSchema, Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[schema(value_type = String)]
        pub struct $type(Arc<str>);

        impl $type {
            /// Checks `text` against the rule for names.
            pub fn new(text: &str) -> Result<Self, InvalidName> {
                if is_valid(text) {
                    Ok(Self(Arc::from(text)))
                } else {
                    Err(InvalidName { what: $what })
                }
            }

            /// The name as written.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $type {
            type Err = InvalidName;
            fn from_str(text: &str) -> Result<Self, InvalidName> {
                Self::new(text)
            }
        }

        serde_by_text!($type);

        impl Borrow<str> for $type {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl AsRef<str> for $type {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(
    /// What a table is to a database: the `customer` of `/v1/collections/customer/records/id/1`.
    /// A sync carries the name of its collection.
    CollectionName,
    "collection"
);
name!(
    /// A look-up path of a collection: the `id` of `/v1/collections/customer/records/id/1`.
    IndexName,
    "index"
);
name!(
    /// A place where nodes run, as in `[node] region`.
    RegionName,
    "region"
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_rule() {
        for good in ["a", "customer", "A-1_b", &"x".repeat(64)] {
            assert!(CollectionName::new(good).is_ok(), "{good}");
        }
        for bad in ["", "-a", "_a", "a b", "a/b", "é", &"x".repeat(65)] {
            assert!(CollectionName::new(bad).is_err(), "{bad}");
        }
    }
}
