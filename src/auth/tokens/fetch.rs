//! Fetches the JWK set of an issuer in the background. Keys that were fetched stay in force while the URL fails.

use std::{io, net::SocketAddr, time::Duration};

use reqwest::{
    Client, StatusCode, Url,
    dns::{Addrs, Name, Resolve, Resolving},
    redirect::Policy,
};
use tokio::time::{Instant, sleep_until, timeout_at};

use super::{Error, KeySource, Tokens, issuer::Issuer, key_set::KEY_SET_BYTES_MAX};
use crate::{
    domain::network,
    support::{connection_words::with_hint, shutdown::Shutdown},
};

/// Longest time for a whole fetch.
const TIMEOUT: Duration = Duration::from_secs(5);

/// How often a key set may be fetched. Tests shorten it.
#[derive(Debug, Clone, Copy)]
pub struct RefreshPace {
    /// Shortest time between two fetches, whatever tokens ask for.
    pub interval_min: Duration,
}

impl Default for RefreshPace {
    fn default() -> Self {
        Self { interval_min: Duration::from_secs(30) }
    }
}

impl Tokens {
    /// The issuers whose keys are fetched: their positions and names.
    pub fn fetched_issuers(&self) -> impl Iterator<Item = (usize, &str)> {
        let is_fetched = |issuer: &Issuer| matches!(issuer.settings.keys, KeySource::JwksUrl { .. });
        let issuers = self.0.issuers.iter().enumerate().filter(move |(_, issuer)| is_fetched(issuer));
        issuers.map(|(at, issuer)| (at, issuer.settings.name.as_str()))
    }

    /// Fetches the keys of an issuer until `stop`: at once, at its interval, and when a token names a key that is not
    /// in the set. A failed fetch is tried again after the shortest interval.
    pub async fn refresh(self, issuer: usize, pace: RefreshPace, stop: Shutdown) {
        let Some(issuer) = self.0.issuers.get(issuer) else { return };
        let KeySource::JwksUrl { url, interval, allows_private_address } = &issuer.settings.keys else {
            return;
        };
        let mut is_failing = false;
        loop {
            let begun = Instant::now();
            let fetched = tokio::select! {
                fetched = fetch(url, *allows_private_address) => fetched,
                () = stop.cancelled() => return,
            };
            let replaced = fetched.and_then(|text| issuer.replace_keys(text));
            report(&issuer.settings.name, &replaced, is_failing);
            is_failing = replaced.is_err();
            let next = if is_failing { pace.interval_min } else { (*interval).max(pace.interval_min) };
            tokio::select! {
                () = wait(issuer, begun + pace.interval_min, begun + next) => {}
                () = stop.cancelled() => return,
            }
        }
    }
}

/// Logs a change of keys, and the first of several failures.
fn report(issuer: &str, replaced: &Result<bool, String>, was_failing: bool) {
    match replaced {
        Ok(changed) if *changed || was_failing => {
            tracing::info!(issuer, "the keys of the issuer were fetched");
        }
        Err(reason) if !was_failing => {
            let error = Error::Fetch { name: issuer.to_owned(), reason: reason.clone() };
            tracing::warn!(code = error.code(), %error, "cannot fetch the keys of the issuer; the present ones stay in force");
        }
        _ => {}
    }
}

/// Waits until `latest`, or after `earliest` until a token names an unknown key.
async fn wait(issuer: &Issuer, earliest: Instant, latest: Instant) {
    sleep_until(earliest).await;
    let _ = timeout_at(latest, issuer.lacks_key.notified()).await;
}

/// The text at `url`, or what is wrong with it, without the URL.
async fn fetch(url: &Url, allows_private_address: bool) -> Result<Vec<u8>, String> {
    let is_plain = url.scheme() == "http";
    let client = Client::builder()
        .no_proxy()
        .redirect(Policy::none())
        .timeout(TIMEOUT)
        .dns_resolver(GuardedResolver { allows_private_address, only_loopback: is_plain })
        .build()
        .map_err(|_| "cannot be fetched: no HTTP client can be made".to_owned())?;
    let mut answer = client.get(url.clone()).send().await.map_err(|error| explain(&error))?;
    if answer.status() != StatusCode::OK {
        return Err(format!("answered {}; redirects are not followed", answer.status().as_u16()));
    }
    let mut text = Vec::new();
    while let Some(chunk) = answer.chunk().await.map_err(|error| explain(&error))? {
        text.extend_from_slice(&chunk);
        if text.len() as u64 > KEY_SET_BYTES_MAX {
            return Err(format!("has more than {KEY_SET_BYTES_MAX} bytes"));
        }
    }
    Ok(text)
}

fn explain(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    match () {
        () if error.is_timeout() => format!("did not answer within {} s", TIMEOUT.as_secs()),
        () if error.is_connect() => {
            format!("cannot be connected to: {}", with_hint(&cause.to_string(), "the variable SSL_CERT_FILE"))
        }
        () => "gave no answer that can be read".to_owned(),
    }
}

/// Resolves names to addresses that may be connected to. The connection uses these addresses, so that a name cannot
/// change its meaning after the check.
struct GuardedResolver {
    allows_private_address: bool,
    only_loopback: bool,
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (allows_private, only_loopback) = (self.allows_private_address, self.only_loopback);
        Box::pin(async move {
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let is_allowed = |address: &SocketAddr| {
                let address = address.ip().to_canonical();
                (allows_private || network::is_public(address)) && (!only_loopback || address.is_loopback())
            };
            let allowed: Vec<SocketAddr> = found.filter(is_allowed).collect();
            if allowed.is_empty() {
                let refused = "its addresses are private, and allow_private_address is not set";
                return Err(io::Error::new(io::ErrorKind::PermissionDenied, refused).into());
            }
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn names_are_resolved_to_addresses_that_may_be_connected_to() {
        // An address is a name of its own.
        for (name, allows_private_address, only_loopback, is_allowed) in [
            ("localhost", false, false, false),
            ("localhost", true, false, true),
            ("localhost", true, true, true),
            ("10.1.2.3", false, false, false),
            ("10.1.2.3", true, false, true),
            ("10.1.2.3", true, true, false),
            ("::ffff:169.254.169.254", false, false, false),
            ("fd00::1", false, false, false),
            ("1.1.1.1", false, false, true),
            ("1.1.1.1", false, true, false),
        ] {
            let resolver = GuardedResolver { allows_private_address, only_loopback };
            let found = resolver.resolve(name.parse().unwrap()).await;
            assert_eq!(found.is_ok(), is_allowed, "{name} {allows_private_address} {only_loopback}");
        }
    }
}
