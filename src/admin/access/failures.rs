//! Counts failed sign-ins by address, so that one address cannot try for long.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

/// The time in which failures are counted.
const WINDOW: Duration = Duration::from_mins(1);
/// Most addresses that are counted. Beyond that the one that failed first is forgotten.
const ADDRESSES_MAX: usize = 1024;

/// Failures of one network in the present window.
#[derive(Debug, Clone, Copy)]
struct Count {
    since: Instant,
    failures: u32,
}

/// Failed sign-ins by address.
#[derive(Debug)]
pub(super) struct Failures {
    max: u32,
    counts: Mutex<HashMap<IpAddr, Count>>,
}

impl Failures {
    /// At most `max` failures of an address in a window.
    pub(super) fn new(max: u32) -> Self {
        Self { max, counts: Mutex::default() }
    }

    /// How long credentials from `address` are not checked; `None` if they are.
    pub(super) fn wait(&self, address: IpAddr, now: Instant) -> Option<Duration> {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let count = counts.get(&network(address)).filter(|count| count.failures >= self.max)?;
        WINDOW.checked_sub(now.duration_since(count.since)).filter(|wait| !wait.is_zero())
    }

    /// Counts a failure; whether it is the last one that is allowed.
    pub(super) fn count(&self, address: IpAddr, now: Instant) -> bool {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        counts.retain(|_, count| now.duration_since(count.since) < WINDOW);
        if counts.len() >= ADDRESSES_MAX
            && let Some(first) =
                counts.iter().min_by_key(|(_, count)| count.since).map(|(address, _)| *address)
        {
            counts.remove(&first);
        }
        let count = counts.entry(network(address)).or_insert(Count { since: now, failures: 0 });
        count.failures = count.failures.saturating_add(1);
        count.failures == self.max
    }
}

/// An IPv4 address, or the /64 of an IPv6 address, which one client has as a whole.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into(),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn failures_of_an_address_are_limited_for_a_window() {
        let (failures, now) = (Failures::new(3), Instant::now());
        let (one, other) = (address("10.0.0.1"), address("10.0.0.2"));
        assert_eq!([1, 2, 3, 4].map(|_| failures.count(one, now)), [false, false, true, false]);
        assert_eq!(failures.wait(one, now), Some(WINDOW));
        assert_eq!(failures.wait(address("::ffff:10.0.0.1"), now), Some(WINDOW), "the same address");
        assert_eq!(failures.wait(other, now), None);
        let later = now + Duration::from_secs(59);
        assert_eq!(failures.wait(one, later), Some(Duration::from_secs(1)));
        assert_eq!(failures.wait(one, now + WINDOW), None);
        assert!(!failures.count(one, now + WINDOW), "a new window");
    }

    #[test]
    fn a_network_of_ipv6_is_one_client_and_the_number_of_networks_is_bounded() {
        let (failures, now) = (Failures::new(1), Instant::now());
        assert!(failures.count(address("2001:db8::1"), now));
        assert!(failures.wait(address("2001:db8::ffff"), now).is_some());
        assert!(failures.wait(address("2001:db8:0:1::1"), now).is_none());
        for number in 0..2 * ADDRESSES_MAX as u32 {
            failures.count(IpAddr::V4(number.into()), now);
        }
        assert_eq!(failures.counts.lock().unwrap().len(), ADDRESSES_MAX);
    }
}
