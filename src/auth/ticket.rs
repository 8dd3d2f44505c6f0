//! What a browser holds in place of an admin key: the cookie of a session, and the token of a sign-in link. Both have
//! the text of a key with prefixes of their own, so that none is taken for another.

use std::fmt;

use super::key;
use crate::{
    domain::digest::Digest,
    support::{
        random,
        secret::{ExposeSecret, SecretString},
    },
};

/// What a ticket is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TicketKind {
    /// The cookie of a session.
    Session,
    /// The token of a sign-in link.
    LoginLink,
}

impl TicketKind {
    /// How a ticket begins; as long as the prefix of API keys.
    const fn prefix(self) -> &'static str {
        match self {
            Self::Session => "lrs_",
            Self::LoginLink => "lrl_",
        }
    }

    /// The id in `text`, if it has the form and the checksum of such a ticket. The ticket may still be unknown.
    pub fn id_of(self, text: &str) -> Option<&str> {
        key::id_of(self.prefix(), text)
    }
}

/// A ticket of 256 random bits.
pub struct Ticket {
    kind: TicketKind,
    text: SecretString,
}

impl Ticket {
    /// A new ticket.
    pub fn generate(kind: TicketKind) -> Self {
        Self { kind, text: key::from_bits(kind.prefix(), random::bytes(), random::bytes()) }
    }

    /// The whole text, for the browser alone.
    pub fn expose(&self) -> &str {
        self.text.expose_secret()
    }

    /// Its id; no secret.
    pub fn id(&self) -> &str {
        self.kind.id_of(self.expose()).unwrap_or_default()
    }

    /// SHA-256 of the whole text: what metadata keeps.
    pub fn digest(&self) -> Digest {
        Digest::of(self.expose().as_bytes())
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ticket({}{}_…)", self.kind.prefix(), self.id())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::AdminKey;

    #[test]
    fn a_ticket_is_of_one_kind_and_no_key_and_debug_prints_no_secret() {
        let (session, link) =
            (Ticket::generate(TicketKind::Session), Ticket::generate(TicketKind::LoginLink));
        assert_eq!(TicketKind::Session.id_of(session.expose()), Some(session.id()));
        assert_eq!(session.id().len(), 12);
        assert_eq!(TicketKind::Session.id_of(link.expose()), None);
        assert_eq!(TicketKind::LoginLink.id_of(session.expose()), None);
        assert_eq!(AdminKey::id_of(session.expose()), None);
        assert!(!format!("{session:?}").contains(&session.expose()[18..24]));
    }
}
