//! Who sends a request: the check of its credential and of the address that it comes from.

use std::{net::IpAddr, sync::Arc, time::Duration};

use super::{
    Grant, KeyRing, Refusal, ValidKey,
    key::PREFIX,
    tokens::{Tokens, VerifiedToken},
};
use crate::{domain::network::Network, support::clock::Clock};

/// Checks credentials. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Authenticator {
    /// The API keys in force.
    pub keys: KeyRing,
    /// The issuers of access tokens.
    pub tokens: Tokens,
    /// Proxies whose `X-Forwarded-For` counts.
    pub trusted_proxies: Arc<[Network]>,
}

impl From<KeyRing> for Authenticator {
    fn from(keys: KeyRing) -> Self {
        Self { keys, ..Self::default() }
    }
}

impl Authenticator {
    /// Checks `credential`: a key, or a token where issuers are configured.
    pub fn authenticate(&self, credential: &str, clock: &Clock) -> Result<Caller, Refusal> {
        if self.tokens.is_empty() || credential.starts_with(PREFIX) || !credential.contains('.') {
            return self.keys.authenticate(credential, clock).map(Caller::Key);
        }
        self.tokens.verify(credential, clock).map(Caller::Token)
    }

    /// The address of the client that sent a request over a connection from `peer`, with `X-Forwarded-For` in
    /// `forwarded`: lines in their order. The rightmost address that is no trusted proxy is the client. `None` if
    /// that one is no address.
    pub fn client_address<'a>(
        &self,
        peer: IpAddr,
        forwarded: impl DoubleEndedIterator<Item = &'a [u8]>,
    ) -> Option<IpAddr> {
        client_address(&self.trusted_proxies, peer, forwarded)
    }
}

/// The address of the client behind the `trusted` proxies; see [`Authenticator::client_address`].
pub fn client_address<'a>(
    trusted: &[Network],
    peer: IpAddr,
    forwarded: impl DoubleEndedIterator<Item = &'a [u8]>,
) -> Option<IpAddr> {
    let is_trusted = |address| trusted.iter().any(|network| network.contains(address));
    let mut client = peer.to_canonical();
    for entry in forwarded.rev().flat_map(|line| line.rsplit(|&byte| byte == b',')) {
        if !is_trusted(client) {
            break;
        }
        client = address(entry.trim_ascii())?;
    }
    Some(client)
}

/// An address, also with a port as some load balancers write it.
fn address(entry: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(entry).ok()?;
    let with_port = || text.parse::<std::net::SocketAddr>().ok().map(|address| address.ip());
    let bracketed = || text.strip_prefix('[')?.strip_suffix(']')?.parse().ok();
    text.parse().ok().or_else(with_port).or_else(bracketed).map(|address: IpAddr| address.to_canonical())
}

/// The valid credential of a request.
#[derive(Debug, Clone)]
pub enum Caller {
    /// An API key.
    Key(ValidKey),
    /// An access token.
    Token(Arc<VerifiedToken>),
}

impl Caller {
    /// What the caller may read.
    pub fn grant(&self) -> &Grant {
        match self {
            Self::Key(key) => key.grant(),
            Self::Token(token) => token.grant(),
        }
    }

    /// Whether the credential may be used from any address, so that the client's need not be found.
    pub fn is_allowed_everywhere(&self) -> bool {
        match self {
            Self::Key(key) => key.networks().is_none(),
            Self::Token(_) => true,
        }
    }

    /// Whether the credential may be used from `address`; `None` is an unknown one.
    pub fn is_allowed_from(&self, address: Option<IpAddr>) -> bool {
        let Self::Key(key) = self else { return true };
        let is_in = |networks: &[Network]| {
            address.is_some_and(|address| networks.iter().any(|network| network.contains(address)))
        };
        key.networks().is_none_or(is_in)
    }

    /// Counts a request. The error is the time to wait if the caller has made too many.
    pub fn count(&self) -> Result<(), Duration> {
        match self {
            Self::Key(key) => key.count(),
            Self::Token(_) => Ok(()),
        }
    }

    /// Whether a request over the rate is answered like a miss.
    pub fn never_gets_throttle_status(&self) -> bool {
        match self {
            Self::Key(key) => key.never_gets_throttle_status(),
            Self::Token(_) => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rightmost_address_that_is_no_trusted_proxy_is_the_client() {
        let trusted = ["10.0.0.0/8", "2001:db8::/32"].map(|text| Network::new(text).unwrap());
        let callers = Authenticator { trusted_proxies: trusted.into(), ..Authenticator::default() };
        for (peer, forwarded, expected) in [
            ("203.0.113.7", &["10.1.1.1"][..], Some("203.0.113.7")),
            ("10.1.1.1", &[], Some("10.1.1.1")),
            ("10.1.1.1", &["203.0.113.7"], Some("203.0.113.7")),
            ("::ffff:10.1.1.1", &["::ffff:203.0.113.7"], Some("203.0.113.7")),
            ("10.1.1.1", &["198.51.100.1, 203.0.113.7"], Some("203.0.113.7")),
            ("10.1.1.1", &["198.51.100.1", "203.0.113.7 , 10.2.2.2"], Some("203.0.113.7")),
            ("10.1.1.1", &["203.0.113.7", "10.2.2.2,2001:db8::1"], Some("203.0.113.7")),
            ("2001:db8::5", &["203.0.113.7:4711"], Some("203.0.113.7")),
            ("10.1.1.1", &["[2001:db9::1]:443"], Some("2001:db9::1")),
            ("10.1.1.1", &["[2001:db9::1]"], Some("2001:db9::1")),
            ("10.1.1.1", &["10.3.3.3"], Some("10.3.3.3")),
            ("10.1.1.1", &["203.0.113.7, unknown"], None),
            ("10.1.1.1", &["203.0.113.7,"], None),
            ("10.1.1.1", &[""], None),
            ("10.1.1.1", &["unknown, 203.0.113.7"], Some("203.0.113.7")),
        ] {
            let lines = forwarded.iter().map(|line| line.as_bytes());
            let client = callers.client_address(peer.parse().unwrap(), lines);
            assert_eq!(client, expected.map(|text| text.parse().unwrap()), "{peer} {forwarded:?}");
        }
    }
}
