//! Admin keys: who may use the admin API, and for what.

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use strum::{Display, EnumString, IntoStaticStr, VariantArray};

use super::digest::Digest;

/// What the holder of an admin key may do. A role includes the ones before it.
#[derive(
    utoipa::ToSchema,
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    Display,
    EnumString,
    IntoStaticStr,
    VariantArray,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum AdminRole {
    /// Sees everything but records and the primary keys of rejected rows.
    Viewer,
    /// Also previews records, starts, cancels and approves runs, rolls back and pins.
    Operator,
    /// Also drops collections, queries sources, and creates and revokes keys.
    Admin,
}

impl AdminRole {
    /// The word used in metadata, the API and output.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// One admin key as metadata keeps it: its digest, never the key itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdminKeyEntry {
    /// The 12 characters after `lra_`.
    pub id: String,
    /// SHA-256 of the key's whole text.
    pub sha256: Digest,
    /// The operator's name for it.
    pub name: String,
    /// What its holder may do.
    pub role: AdminRole,
    /// When it was created.
    pub created_at: DateTime<Utc>,
    /// Who created it.
    pub created_by: String,
    /// When it expires; `None` means never.
    pub expires_at: Option<DateTime<Utc>>,
    /// When it was revoked; `None` while it is valid.
    pub revoked_at: Option<DateTime<Utc>>,
    /// When a request last had it, to the minute.
    pub last_used_at: Option<DateTime<Utc>>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_includes_the_ones_before_it() {
        assert_eq!(AdminRole::VARIANTS, [AdminRole::Viewer, AdminRole::Operator, AdminRole::Admin]);
        assert!(AdminRole::VARIANTS.is_sorted());
        assert_eq!("operator".parse(), Ok(AdminRole::Operator));
    }
}
