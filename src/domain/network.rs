//! Networks in CIDR notation: those that a key may be used from, and those of trusted proxies.

use core::net::IpAddr;
use std::{fmt, str::FromStr};

use ipnet::IpNet;

/// A text that is no network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a network is an IP address and the length of its prefix, such as 203.0.113.0/24 or 2001:db8::/32, without bits \
     behind the prefix; an address alone is a network of one"
)]
pub struct InvalidNetwork;

/// A network of IP addresses. An IPv4 address and its IPv4-mapped IPv6 form (`::ffff:203.0.113.7`) are one address.
#[derive(utoipa::ToSchema, Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[schema(value_type = String)]
pub struct Network(IpNet);

impl Network {
    /// Reads a network or an address.
    pub fn new(text: &str) -> Result<Self, InvalidNetwork> {
        // By parts: `ipnet` would read 010.0.0.0, which is 8.0.0.0 to some programs.
        let (address, bits) =
            text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address.parse().map_err(|_| InvalidNetwork)?;
        let network = match bits {
            None => IpNet::from(address),
            Some(bits) if bits.bytes().all(|digit| digit.is_ascii_digit()) => {
                let bits = bits.parse().map_err(|_| InvalidNetwork)?;
                IpNet::new(address, bits).map_err(|_| InvalidNetwork)?
            }
            Some(_) => return Err(InvalidNetwork),
        };
        let network = canonical(network).ok_or(InvalidNetwork)?;
        if network.addr() == network.network() { Ok(Self(network)) } else { Err(InvalidNetwork) }
    }

    /// Whether `address` is in the network.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }
}

/// An IPv4-mapped network as the IPv4 network that it is. `None` if it has more than the mapped addresses.
fn canonical(network: IpNet) -> Option<IpNet> {
    /// Bits of an IPv4-mapped address before the IPv4 address.
    const MAPPED_BITS: u8 = 96;
    match network.addr().to_canonical() {
        address @ IpAddr::V4(_) if matches!(network, IpNet::V6(_)) => {
            IpNet::new(address, network.prefix_len().checked_sub(MAPPED_BITS)?).ok()
        }
        _ => Some(network),
    }
}

/// IPv4 networks that are not on the Internet, or that belong to no single host (IANA's special-purpose registry).
const NOT_PUBLIC_V4: [&str; 15] = [
    "0.0.0.0/8",
    "10.0.0.0/8",
    "100.64.0.0/10",
    "127.0.0.0/8",
    "169.254.0.0/16",
    "172.16.0.0/12",
    "192.0.0.0/24",
    "192.0.2.0/24",
    "192.88.99.0/24",
    "192.168.0.0/16",
    "198.18.0.0/15",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "224.0.0.0/4",
    "240.0.0.0/4",
];
/// The public part of IPv6, and its parts that are not: tunnels, which may lead to a private IPv4 address, and
/// documentation.
const PUBLIC_V6: &str = "2000::/3";
const NOT_PUBLIC_V6: [&str; 4] = ["2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"];

/// Whether `address` is that of a host on the Internet.
pub fn is_public(address: IpAddr) -> bool {
    let address = address.to_canonical();
    let is_in = |network: &str| Network::new(network).is_ok_and(|network| network.contains(address));
    match address {
        IpAddr::V4(_) => !NOT_PUBLIC_V4.into_iter().any(is_in),
        IpAddr::V6(_) => is_in(PUBLIC_V6) && !NOT_PUBLIC_V6.into_iter().any(is_in),
    }
}

impl FromStr for Network {
    type Err = InvalidNetwork;

    fn from_str(text: &str) -> Result<Self, InvalidNetwork> {
        Self::new(text)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

serde_by_text!(Network);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mapped_addresses_are_those_of_ipv4() {
        for (network, inside, outside) in [
            ("203.0.113.0/24", "203.0.113.7", "203.0.114.7"),
            ("203.0.113.0/24", "::ffff:203.0.113.7", "::ffff:203.0.114.7"),
            ("203.0.113.0/24", "::ffff:cb00:7107", "::cb00:7107"),
            ("::ffff:203.0.113.0/120", "203.0.113.7", "203.0.114.7"),
            ("10.1.2.3", "10.1.2.3", "10.1.2.4"),
            ("2001:db8::/32", "2001:db8:1::1", "2001:db9::1"),
            ("::1", "::1", "127.0.0.1"),
            ("0.0.0.0/0", "::ffff:1.2.3.4", "2001:db8::1"),
        ] {
            let network = Network::new(network).unwrap();
            assert!(network.contains(inside.parse().unwrap()), "{network} {inside}");
            assert!(!network.contains(outside.parse().unwrap()), "{network} {outside}");
            assert_eq!(Network::new(&network.to_string()), Ok(network));
        }
    }

    #[test]
    fn private_addresses_are_not_public_in_any_form() {
        for public in ["1.1.1.1", "::ffff:1.1.1.1", "2606:4700::1111", "172.32.0.1", "100.128.0.1"] {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
        for private in [
            "0.0.0.0",
            "10.1.2.3",
            "127.0.0.1",
            "127.9.9.9",
            "169.254.169.254",
            "172.16.0.1",
            "192.168.1.1",
            "100.64.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:10.0.0.1",
            "::10.0.0.1",
            "64:ff9b::a00:1",
            "2002:a00:1::1",
            "fd00::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "2001:db8::1",
            "2001:0:1::1",
        ] {
            assert!(!is_public(private.parse().unwrap()), "{private}");
        }
        assert!(
            NOT_PUBLIC_V4
                .iter()
                .chain(&NOT_PUBLIC_V6)
                .chain([&PUBLIC_V6])
                .all(|text| Network::new(text).is_ok())
        );
    }

    #[test]
    fn other_texts_are_refused() {
        for text in [
            "",
            "x",
            "10.0.0.0/33",
            "10.1.0.0/8",
            "10.0.0/8",
            "010.0.0.0/8",
            "::ffff:0:0/95",
            "1.2.3.4:80",
            "10.0.0.0/8 ",
        ] {
            assert_eq!(Network::new(text), Err(InvalidNetwork), "{text}");
        }
    }
}
