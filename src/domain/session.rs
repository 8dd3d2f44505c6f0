//! Sessions of browsers on the admin listener, and the links that begin them.

use chrono::{DateTime, Utc};

use super::{admin_key::AdminRole, digest::Digest};

/// A session as metadata keeps it: the digest of its cookie, never the cookie itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SessionEntry {
    /// The id in its cookie; no secret.
    pub id: String,
    /// SHA-256 of the cookie's whole text.
    pub sha256: Digest,
    /// The admin key that the session ends with; `None` for one that began by a link of a command, or at the identity
    /// provider.
    pub key_id: Option<String>,
    /// The session that created its link, with which it ends; `None` for one that began in another way.
    pub parent_id: Option<String>,
    /// SHA-256 of who signed in at the identity provider; `None` for one that began in another way.
    pub subject: Option<Digest>,
    /// Whose it is: the name of the admin key, who created the link, or who signed in at the identity provider.
    pub name: String,
    /// What its holder may do.
    pub role: AdminRole,
    /// When it began.
    pub created_at: DateTime<Utc>,
    /// When it was last used, to the minute.
    pub used_at: DateTime<Utc>,
    /// When it ends at the latest.
    pub expires_at: DateTime<Utc>,
}

/// A sign-in link as metadata keeps it. It begins one session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoginLinkEntry {
    /// The id in its token; no secret.
    pub id: String,
    /// SHA-256 of the token's whole text.
    pub sha256: Digest,
    /// The admin key that it was created with; `None` for one of a command, or of a session without a key.
    pub key_id: Option<String>,
    /// The session that created it; `None` for one of a command, or of an admin key.
    pub session_id: Option<String>,
    /// What the session's holder may do.
    pub role: AdminRole,
    /// When it was created.
    pub created_at: DateTime<Utc>,
    /// Who created it.
    pub created_by: String,
    /// When it ends unused.
    pub expires_at: DateTime<Utc>,
}
