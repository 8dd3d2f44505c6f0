//! A sign-in that waits for the identity provider's answer. The browser keeps it in a cookie.
//!
//! The cookie holds one random secret. `state`, `nonce` and the PKCE verifier are derived from it, so the answer is
//! accepted only in the browser that began. The cookie is neither signed nor encrypted: docs/adr says why.

use std::time::Duration;

use aws_lc_rs::hmac;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, TimeDelta, Utc};
use openidconnect::PkceCodeVerifier;

use crate::support::random;

/// A person has this time to sign in at the provider.
const LIFETIME: TimeDelta = TimeDelta::minutes(10);
/// Longest page to return to, in bytes: a cookie has 4 KiB.
const NEXT_BYTES_MAX: usize = 2048;
/// Bytes of the secret.
const SECRET_BYTES: usize = 32;

/// A sign-in that has begun.
pub struct PendingSignIn {
    secret: [u8; SECRET_BYTES],
    /// Seconds since 1970.
    began_at: i64,
    next: String,
}

impl PendingSignIn {
    /// Begins one, which leads to the page `next`; to the first page if that is too long.
    pub fn begin(next: &str, now: DateTime<Utc>) -> Self {
        let next = if next.len() > NEXT_BYTES_MAX { "" } else { next }.to_owned();
        Self { secret: random::bytes(), began_at: now.timestamp(), next }
    }

    /// How long it lasts.
    pub const fn lifetime() -> Duration {
        Duration::from_secs(LIFETIME.num_seconds().unsigned_abs())
    }

    /// The cookie's value.
    pub fn cookie(&self) -> String {
        let (secret, next) = (URL_SAFE_NO_PAD.encode(self.secret), URL_SAFE_NO_PAD.encode(&self.next));
        format!("{secret}.{}.{next}", self.began_at)
    }

    /// The one of a cookie, if the answer with `state` belongs to it and its time is not over at `now`.
    pub fn of_cookie(text: &str, state: &str, now: DateTime<Utc>) -> Option<Self> {
        let mut parts = text.split('.');
        let (secret, began_at, next) = (parts.next()?, parts.next()?.parse().ok()?, parts.next()?);
        let secret = URL_SAFE_NO_PAD.decode(secret).ok()?.try_into().ok()?;
        let next = String::from_utf8(URL_SAFE_NO_PAD.decode(next).ok()?).ok()?;
        let pending = Self { secret, began_at, next };
        let age = now.timestamp().checked_sub(began_at)?;
        let is_in_time = (0..LIFETIME.num_seconds()).contains(&age);
        (parts.next().is_none() && is_in_time && pending.has_state(state)).then_some(pending)
    }

    /// The page that it leads to; empty means the first one. The holder of the cookie can change it.
    pub fn next(&self) -> &str {
        &self.next
    }

    pub(super) fn state(&self) -> String {
        self.derived("state")
    }

    pub(super) fn nonce(&self) -> String {
        self.derived("nonce")
    }

    pub(super) fn verifier(&self) -> PkceCodeVerifier {
        PkceCodeVerifier::new(self.derived("verifier"))
    }

    fn has_state(&self, state: &str) -> bool {
        let tag = URL_SAFE_NO_PAD.decode(state).unwrap_or_default();
        hmac::verify(&self.key(), self.message("state").as_bytes(), &tag).is_ok()
    }

    fn derived(&self, purpose: &str) -> String {
        URL_SAFE_NO_PAD.encode(hmac::sign(&self.key(), self.message(purpose).as_bytes()))
    }

    fn key(&self) -> hmac::Key {
        hmac::Key::new(hmac::HMAC_SHA256, &self.secret)
    }

    fn message(&self, purpose: &str) -> String {
        format!("{purpose}\n{}\n{}", self.began_at, self.next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_belongs_to_the_sign_in_with_its_state_for_ten_minutes() {
        let began = DateTime::UNIX_EPOCH + TimeDelta::days(1);
        let pending = PendingSignIn::begin("/console/runs?after=1", began);
        let (cookie, state) = (pending.cookie(), pending.state());
        let other = PendingSignIn::begin("/console/runs?after=1", began);
        assert!(state != other.state() && state != pending.nonce() && pending.nonce() != other.nonce());
        assert_eq!(pending.verifier().secret().len(), 43, "RFC 7636, section 4.1");

        let found =
            |cookie: &str, state: &str, age: TimeDelta| PendingSignIn::of_cookie(cookie, state, began + age);
        let kept = found(&cookie, &state, LIFETIME - TimeDelta::seconds(1)).unwrap();
        assert_eq!((kept.next(), kept.nonce()), ("/console/runs?after=1", pending.nonce()));
        assert!(found(&cookie, &state, LIFETIME).is_none(), "too late");
        assert!(found(&cookie, &state, -TimeDelta::seconds(1)).is_none(), "before it began");
        assert!(found(&cookie, &other.state(), TimeDelta::zero()).is_none(), "another sign-in");
        let moved = cookie.replacen(&began.timestamp().to_string(), &(began.timestamp() + 1).to_string(), 1);
        assert!(found(&moved, &state, LIFETIME).is_none(), "the time is a part of the state");
        for wrong in ["", ".", "..", "x.1.y", &cookie[1..], &format!("{cookie}.x")] {
            assert!(found(wrong, &state, TimeDelta::zero()).is_none(), "{wrong}");
        }
        assert!(found(&cookie, "", TimeDelta::zero()).is_none());
        assert_eq!(PendingSignIn::begin(&"x".repeat(NEXT_BYTES_MAX + 1), began).next(), "");
    }
}
