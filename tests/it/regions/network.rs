//! A region whose network drops all packets. The replica runs in a network namespace with one link to the store and
//! one to its readers.
//!
//! Namespaces need root and Linux's `ip`. Without them the test prints a note and ends.

use std::{collections::BTreeMap, net::SocketAddr, process::Command, time::Duration};

use super::fixture::{Fixture, note};
use crate::support::{process::until, proxy::Proxy, reader::Reader};

/// A namespace and its two links; all go when it is dropped.
struct Network {
    name: String,
    /// The first three numbers of all addresses.
    prefix: String,
}

impl Network {
    /// `None` where namespaces cannot be made.
    fn create() -> Option<Self> {
        let id = std::process::id();
        let network =
            Self { name: format!("larder{id}"), prefix: format!("10.{}.{}", 200 + id % 50, id / 50 % 250) };
        let (name, prefix) = (&network.name, &network.prefix);
        ip(&format!("netns add {name}")).then_some(())?;
        let links = [(Self::store_link(), 1), (format!("lr{id}"), 5)];
        let is_up = links.iter().all(|(link, number)| {
            ip(&format!("link add {link} type veth peer name {link}p"))
                && ip(&format!("link set {link}p netns {name}"))
                && ip(&format!("addr add {prefix}.{number}/30 dev {link}"))
                && ip(&format!("link set {link} up"))
                && ip(&format!("-n {name} addr add {prefix}.{}/30 dev {link}p", number + 1))
                && ip(&format!("-n {name} link set {link}p up"))
        });
        // What was made so far goes with `network`.
        is_up.then_some(network)
    }

    fn store_link() -> String {
        format!("ls{}", std::process::id())
    }

    /// Where the store is to be reached from inside.
    fn outside(&self) -> SocketAddr {
        format!("{}.1:0", self.prefix).parse().unwrap()
    }

    /// Where readers reach what is inside.
    fn inside(&self) -> SocketAddr {
        format!("{}.6:0", self.prefix).parse().unwrap()
    }

    /// Takes the link to the store down, or up again.
    fn set_link(state: &str) {
        assert!(ip(&format!("link set {} {state}", Self::store_link())));
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        // The links end with their other ends.
        ip(&format!("netns del {}", self.name));
    }
}

fn ip(arguments: &str) -> bool {
    Command::new("ip").args(arguments.split(' ')).output().is_ok_and(|output| output.status.success())
}

#[tokio::test(flavor = "multi_thread")]
async fn region_without_network_keeps_serving_and_catches_up() {
    let Some(network) = Network::create() else {
        eprintln!("not tried: network namespaces take root and `ip`");
        return;
    };
    let fixture = Fixture::new(20).await;
    let store = fixture.store().await;
    let proxy = Proxy::start_at(network.outside(), store).await;
    let hub = fixture.publisher("hub", store, "manual");
    let key = hub.key().await;
    let mut announced = BTreeMap::from([(fixture.announce(&hub, 1).await, 1)]);
    let frame = fixture.frame("eu", "eu", "replica", proxy.address());
    let frame = frame.replace("\"127.0.0.1:0\"", &format!("\"{}\"", network.inside()));
    let node = fixture.deployment.node_from("eu", frame, "");
    let mut eu = node.spawn_within(&["ip", "netns", "exec", &network.name], &["serve"]);
    eu.ready().await;
    await_long(&eu, &key, 1).await;
    let reader = Reader::start(&eu, &key);

    Network::set_link("down");
    announced.insert(fixture.announce(&hub, 2).await, 2);
    // A request that nobody refuses ends by its own bound.
    until("trouble", async || eu.status().await["problem"]["code"].is_string().then_some(())).await;
    assert_eq!(note(&eu, &key).await, Some(1));
    assert_eq!(eu.ask("/readyz").await.status, 200);
    Network::set_link("up");
    await_long(&eu, &key, 2).await;
    reader.end(&announced).await;
}

/// Longer than most waits, because the pauses between retransmissions have doubled during the cut.
async fn await_long(node: &crate::support::process::Process, key: &str, expected: u64) {
    let wait = async {
        while note(node, key).await != Some(expected) {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), wait).await.expect("the region catches up");
}
