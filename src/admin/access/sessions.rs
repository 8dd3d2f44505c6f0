//! Sessions of browsers: beginning one with an admin key or a link, checking its cookie, ending it.

use std::{collections::BTreeSet, net::IpAddr, time::Duration};

use chrono::{DateTime, TimeDelta, Utc};
use serde::{Deserialize, Serialize};
use tracing::warn;

use super::{Access, AccessRefusal, Grant, cached::FRESH};
use crate::{
    admin::{Admin, KeyState, Publisher, error::Error},
    auth::{Ticket, TicketKind},
    domain::{AdminKeyEntry, AdminRole, Digest, LoginLinkEntry, Principal, SessionEntry},
    metadata::AuditEntry,
};

/// A session ends after this time, however much it is used.
const SESSION_LIFETIME: TimeDelta = TimeDelta::hours(12);
/// A session that is not used for so long ends.
pub(in crate::admin) const SESSION_IDLE: TimeDelta = TimeDelta::hours(1);
/// The use of a session is noted at most this often.
pub(super) const USE_NOTED: TimeDelta = TimeDelta::minutes(1);
/// A link that is not used for so long ends.
const LOGIN_LINK_LIFETIME: TimeDelta = TimeDelta::minutes(10);

/// A session that has begun.
#[derive(Debug)]
pub struct SignIn {
    /// Its cookie.
    pub ticket: Ticket,
    /// How long it lasts at most.
    pub lifetime: Duration,
}

/// A sign-in link that was created.
#[derive(Debug)]
pub struct LoginLink {
    /// Its token.
    pub ticket: Ticket,
    /// When it ends unused.
    pub expires_at: DateTime<Utc>,
}

/// The path at which the console takes sign-in links.
pub const SIGN_IN_PATH: &str = "/console/sign-in";

/// The path of the link with this token.
pub fn login_path(ticket: &Ticket) -> String {
    format!("{SIGN_IN_PATH}/{}", ticket.expose())
}

/// An open session as it is listed, without the digest of its cookie.
#[derive(utoipa::ToSchema, Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SessionView {
    /// Its id: the part of the cookie that is no secret.
    pub id: String,
    /// Whose it is: the name of the admin key, who created the link, or who signed in at the identity provider.
    pub name: String,
    /// What its holder may do.
    pub role: AdminRole,
    /// The admin key that it ends with; `None` for one that began by a link of a command or by single sign-on.
    pub key_id: Option<String>,
    /// Whether it began by single sign-on.
    #[serde(default)]
    pub is_single_sign_on: bool,
    /// When it began.
    pub created_at: DateTime<Utc>,
    /// When it was last used, to the minute.
    pub used_at: DateTime<Utc>,
    /// When it ends at the latest.
    pub expires_at: DateTime<Utc>,
}

impl SessionView {
    /// Whether the holder of `grant` may end it whatever its role: it is the session itself, or one of the same admin
    /// key with no higher role.
    pub fn is_own_of(&self, grant: &Grant) -> bool {
        let is_of_key = self.key_id.is_some() && self.key_id.as_deref() == grant.key_id();
        self.is_session_of(grant) || is_of_key && self.role <= grant.role
    }

    /// Whether it is the session of `grant`.
    pub fn is_session_of(&self, grant: &Grant) -> bool {
        grant.session.as_deref() == Some(&*self.id)
    }
}

impl From<SessionEntry> for SessionView {
    fn from(entry: SessionEntry) -> Self {
        let SessionEntry { id, name, role, key_id, subject, created_at, used_at, expires_at, .. } = entry;
        let is_single_sign_on = subject.is_some();
        Self { id, name, role, key_id, is_single_sign_on, created_at, used_at, expires_at }
    }
}

/// Why nobody was signed in.
#[derive(Debug, thiserror::Error)]
pub enum SignInError {
    /// The admin key or link is refused.
    #[error("the admin key or link is refused")]
    Refused(AccessRefusal),
    /// Metadata failed.
    #[error(transparent)]
    Failed(#[from] Error),
}

impl From<AccessRefusal> for SignInError {
    fn from(refusal: AccessRefusal) -> Self {
        Self::Refused(refusal)
    }
}

impl Access {
    /// Begins a session with the role of the admin key `text`, which came from `address`. It ends with the key.
    ///
    /// # Errors
    /// The refusal of the key, or metadata's error.
    pub async fn sign_in_by_key(
        &self,
        publisher: &Publisher,
        text: &str,
        address: IpAddr,
    ) -> Result<SignIn, SignInError> {
        let grant = self.authenticate(Some(publisher), text, address).await?;
        let (ticket, entry) = self.new_session(Some(grant.id), grant.name, grant.role, grant.expires_at);
        let audited = begun(&grant.principal, &entry, "an admin key");
        publisher.metadata.begin_session(&entry, &audited).await.map_err(Error::from)?;
        Ok(signed_in(ticket, &entry))
    }

    /// Begins a session by the link with the token `text`, which came from `address`. A link is used once.
    ///
    /// # Errors
    /// The refusal of the link, which counts as a failed sign-in and is audited, or metadata's error.
    pub async fn sign_in_by_link(
        &self,
        publisher: &Publisher,
        text: &str,
        address: IpAddr,
    ) -> Result<SignIn, SignInError> {
        self.check_limit(address)?;
        let signed_in = self.use_link(publisher, text, address).await;
        if let Err(SignInError::Refused(refusal)) = signed_in {
            let id = TicketKind::LoginLink.id_of(text);
            self.count_refusal("a sign-in link", id, refusal, address);
            let detail = Some("unknown, used or ended".to_owned());
            let (id, visitor) = (id.unwrap_or("none"), Principal::visitor(address));
            let audited = AuditEntry::new(self.clock.now(), &visitor, "login_link.refuse", id, detail);
            publisher.metadata.audit(&audited).await.map_err(Error::from)?;
        }
        signed_in
    }

    async fn use_link(
        &self,
        publisher: &Publisher,
        text: &str,
        address: IpAddr,
    ) -> Result<SignIn, SignInError> {
        TicketKind::LoginLink.id_of(text).ok_or(AccessRefusal::Unknown)?;
        let (metadata, sha256) = (&publisher.metadata, Digest::of(text.as_bytes()));
        let link = metadata.login_link(sha256, self.clock.now()).await.map_err(Error::from)?;
        let link = link.ok_or(AccessRefusal::Unknown)?;
        let LoginLinkEntry { id, key_id, session_id, role, created_by, .. } = link;
        let (name, ends_at) = match (&key_id, &session_id) {
            (Some(key_id), _) => {
                let key = self.check_key(Some(publisher), key_id, None, address).await?;
                (key.name, key.expires_at)
            }
            (None, Some(creator)) => {
                let creator = self.open_session(Some(publisher), creator, None).await;
                (created_by, Some(creator.map_err(|_| AccessRefusal::Unknown)?.expires_at))
            }
            (None, None) => (created_by, None),
        };
        let (ticket, mut entry) = self.new_session(key_id, name, role, ends_at);
        entry.parent_id = session_id;
        let audited = begun(&principal(&entry, address), &entry, &format!("the link {id}"));
        if metadata.use_login_link(&id, &entry, &audited).await.map_err(Error::from)? {
            Ok(signed_in(ticket, &entry))
        } else {
            Err(AccessRefusal::Unknown.into())
        }
    }

    pub(super) fn new_session(
        &self,
        key_id: Option<String>,
        name: String,
        role: AdminRole,
        ends_at: Option<DateTime<Utc>>,
    ) -> (Ticket, SessionEntry) {
        let (ticket, now) = (Ticket::generate(TicketKind::Session), self.clock.now());
        let latest = now + SESSION_LIFETIME;
        let entry = SessionEntry {
            id: ticket.id().to_owned(),
            sha256: ticket.digest(),
            key_id,
            parent_id: None,
            subject: None,
            name,
            role,
            created_at: now,
            used_at: now,
            expires_at: ends_at.map_or(latest, |at| at.min(latest)),
        };
        (ticket, entry)
    }

    /// Checks the cookie of a session, which came from `address`. Failures are logged and counted as those of keys. Their
    /// limit does not end open sessions: others may be behind the same address.
    ///
    /// # Errors
    /// The refusal.
    pub async fn authenticate_session(
        &self,
        publisher: Option<&Publisher>,
        cookie: &str,
        address: IpAddr,
    ) -> Result<Grant, AccessRefusal> {
        if let Err(limited) = self.check_limit(address) {
            // A cookie of no session costs no query then.
            let is_known = self.is_known_session(publisher, cookie).await;
            let checked =
                if is_known { self.check_session(publisher, cookie, address).await } else { Err(limited) };
            return checked.map_err(|_| limited);
        }
        let checked = self.check_session(publisher, cookie, address).await;
        if let Err(refusal) = checked {
            self.count_refusal("a session", TicketKind::Session.id_of(cookie), refusal, address);
        }
        checked
    }

    /// Whether the sessions that were read within a second have one with this cookie.
    async fn is_known_session(&self, publisher: Option<&Publisher>, cookie: &str) -> bool {
        let Some(id) = TicketKind::Session.id_of(cookie) else { return false };
        let read = publisher.map(|publisher| publisher.metadata.sessions());
        let sessions = self.sessions.read(FRESH, read).await;
        let session = sessions.as_ref().and_then(|sessions| sessions.get(id));
        session.is_some_and(|session| session.sha256 == Digest::of(cookie.as_bytes()))
    }

    async fn check_session(
        &self,
        publisher: Option<&Publisher>,
        cookie: &str,
        address: IpAddr,
    ) -> Result<Grant, AccessRefusal> {
        let id = TicketKind::Session.id_of(cookie).ok_or(AccessRefusal::Unknown)?;
        let session = self.open_session(publisher, id, Some(Digest::of(cookie.as_bytes()))).await?;
        let now = self.clock.now();
        if let Some(key_id) = &session.key_id {
            self.check_key(publisher, key_id, None, address).await?;
        }
        if let (Some(publisher), true) = (publisher, session.used_at + USE_NOTED <= now)
            && let Err(error) = publisher.metadata.touch_session(id, now).await
        {
            warn!(code = error.code(), %error, "cannot record the use of a session; the session may end early");
        }
        Ok(Grant {
            principal: principal(&session, address),
            id: session.key_id.as_ref().unwrap_or(&session.id).clone(),
            name: session.name,
            role: session.role,
            expires_at: Some(session.expires_at),
            session: Some(session.id),
            is_single_sign_on: session.subject.is_some(),
        })
    }

    /// The session `id`, if it has not ended, and has this digest if one is given.
    async fn open_session(
        &self,
        publisher: Option<&Publisher>,
        id: &str,
        digest: Option<Digest>,
    ) -> Result<SessionEntry, AccessRefusal> {
        let read = || publisher.map(|publisher| publisher.metadata.sessions());
        let unread = if self.has_metadata { AccessRefusal::KeysUnread } else { AccessRefusal::Unknown };
        let sessions = self.sessions.holding(id, read).await.ok_or(unread)?;
        let is_same = |session: &&SessionEntry| digest.is_none_or(|digest| session.sha256 == digest);
        let session = sessions.get(id).filter(is_same).ok_or(AccessRefusal::Unknown)?;
        let is_open = is_open(session, |id| sessions.get(id), self.clock.now());
        if is_open { Ok(session.clone()) } else { Err(AccessRefusal::Expired) }
    }

    /// Ends the session `id`. This node refuses it at once, every other publisher within two seconds.
    ///
    /// # Errors
    /// [`Error::UnknownSession`].
    pub async fn end_session(
        &self,
        publisher: &Publisher,
        id: &str,
        principal: &Principal,
    ) -> Result<(), Error> {
        let ended = publisher.admin().end_session(id, principal).await;
        self.sessions.read(Duration::ZERO, Some(publisher.metadata.sessions())).await;
        ended
    }

    /// Ends the session of `grant`, if it is one and has not ended already.
    ///
    /// # Errors
    /// Metadata's.
    pub async fn sign_out(&self, publisher: &Publisher, grant: &Grant) -> Result<(), Error> {
        let Some(id) = &grant.session else { return Ok(()) };
        match self.end_session(publisher, id, &grant.principal).await {
            Err(Error::UnknownSession(_)) => Ok(()),
            ended => ended,
        }
    }
}

impl Admin {
    /// The sessions that are open, those used last first.
    ///
    /// # Errors
    /// Metadata's.
    pub async fn sessions(&self) -> Result<Vec<SessionView>, Error> {
        let (sessions, keys) = (self.metadata.sessions().await?, self.metadata.admin_keys().await?);
        let now = self.clock.now();
        // A key that metadata does not know is that of a node's file.
        let is_ended =
            |key: &AdminKeyEntry| KeyState::of(key.revoked_at, key.expires_at, now) != KeyState::Valid;
        let ended: BTreeSet<String> = keys.into_iter().filter(is_ended).map(|key| key.id).collect();
        let find = |id: &str| sessions.iter().find(|session| session.id == id);
        let is_open = |session: &&SessionEntry| {
            is_open(session, find, now) && session.key_id.as_ref().is_none_or(|id| !ended.contains(id))
        };
        Ok(sessions.iter().filter(is_open).cloned().map(SessionView::from).collect())
    }

    /// Ends the session `id`. Every publisher refuses it within two seconds.
    ///
    /// # Errors
    /// [`Error::UnknownSession`].
    pub async fn end_session(&self, id: &str, principal: &Principal) -> Result<(), Error> {
        let audited = AuditEntry::new(self.clock.now(), principal, "session.end", id, None);
        let was_open = self.metadata.end_session(id, &audited).await?;
        if was_open { Ok(()) } else { Err(Error::UnknownSession(id.to_owned())) }
    }
}

/// Whether the time of a session is over.
fn has_ended(session: &SessionEntry, now: DateTime<Utc>) -> bool {
    session.expires_at <= now || session.used_at + SESSION_IDLE <= now
}

/// Whether a session and all those that it ends with are open. Each of these is older than the one before.
fn is_open<'a, 's: 'a>(
    mut session: &'a SessionEntry,
    find: impl Fn(&str) -> Option<&'s SessionEntry>,
    now: DateTime<Utc>,
) -> bool {
    loop {
        if has_ended(session, now) {
            return false;
        }
        let Some(parent) = &session.parent_id else { return true };
        let Some(parent) = find(parent) else { return false };
        session = parent;
    }
}

/// Who acts in a session: the admin key that it ends with, who signed in at the identity provider, or who created its
/// link.
fn principal(session: &SessionEntry, address: IpAddr) -> Principal {
    match (&session.key_id, session.subject) {
        (Some(key_id), _) => Principal::admin_key(&session.name, key_id, address),
        (None, Some(_)) => Principal::identity(&session.name, &session.id, address),
        (None, None) => Principal::session(&session.name, &session.id, address),
    }
}

pub(super) fn begun(principal: &Principal, entry: &SessionEntry, by: &str) -> AuditEntry {
    let detail = Some(format!("{} by {by}", entry.role));
    AuditEntry::new(entry.created_at, principal, "session.begin", &entry.id, detail)
}

pub(super) fn signed_in(ticket: Ticket, entry: &SessionEntry) -> SignIn {
    let lifetime = (entry.expires_at - entry.created_at).to_std().unwrap_or_default();
    SignIn { ticket, lifetime }
}

impl Admin {
    /// Creates a link that begins one session of `role` within ten minutes. The session ends with the admin key or the
    /// session of `creator`, if there is one.
    ///
    /// # Errors
    /// Metadata's.
    pub async fn create_login_link(
        &self,
        role: AdminRole,
        creator: Option<&Grant>,
        principal: &Principal,
    ) -> Result<LoginLink, Error> {
        let (ticket, now) = (Ticket::generate(TicketKind::LoginLink), self.clock.now());
        let (expires_at, key_id) = (now + LOGIN_LINK_LIFETIME, creator.and_then(Grant::key_id));
        let entry = LoginLinkEntry {
            id: ticket.id().to_owned(),
            sha256: ticket.digest(),
            session_id: creator.filter(|_| key_id.is_none()).and_then(|grant| grant.session.clone()),
            key_id: key_id.map(str::to_owned),
            role,
            created_at: now,
            created_by: principal.to_string(),
            expires_at,
        };
        self.metadata.create_login_link(&entry, principal).await?;
        Ok(LoginLink { ticket, expires_at })
    }
}
