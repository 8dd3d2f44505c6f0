//! Views and reach, by tables.

use std::sync::Arc;

use uuid::Uuid;

use super::{
    reach::{Reach, Regions},
    *,
};
use crate::{domain::Version, status::Identity};

fn at(seconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
}

fn region(name: &str) -> RegionName {
    RegionName::new(name).unwrap()
}

fn customer() -> CollectionName {
    CollectionName::new("customer").unwrap()
}

/// A ready node that serves `customer`; it wrote 10 s after the store answered a poll.
fn status(node: u128, place: &str, served: Option<u64>) -> NodeStatus {
    let customer_here = NodeCollectionStatus {
        wanted: Version(7),
        served: served.map(Version),
        behind_since: None,
        data_as_of: served.map(|_| at(-60)),
        records: 12,
        bytes: 900,
        problem: None,
        other_regions: None,
        loaded: None,
    };
    let identity = Identity {
        node: NodeId::from_uuid(Uuid::from_u128(node)),
        name: Label::fitted(&format!("host-{node}")),
        region: region(place),
        roles: vec![Label::fitted("replica")],
    };
    NodeStatus {
        written_at: at(0),
        ready: true,
        catalog: 9,
        polled_at: Some(at(-10)),
        keys_revision: 3,
        collections: Arc::new([(customer(), customer_here)].into()),
        ..NodeStatus::new(identity, at(-100))
    }
}

/// A node of the region `us` that only publishes.
fn publisher(up: bool) -> NodeStatus {
    NodeStatus {
        roles: vec![Label::fitted("publisher")],
        ready: false,
        collections: Arc::default(),
        publisher: Some(PublisherStatus { up, ..PublisherStatus::default() }),
        ..status(8, "us", None)
    }
}

fn node(status: NodeStatus) -> FleetNode {
    let age = TimeDelta::seconds(4);
    FleetNode { region: status.region.clone(), node: status.node, age, is_silent: false, status: Ok(status) }
}

fn silent(status: NodeStatus) -> FleetNode {
    FleetNode { is_silent: true, age: TimeDelta::seconds(100), ..node(status) }
}

fn unreadable(place: &str) -> FleetNode {
    FleetNode { status: Err("newer_format"), ..node(status(9, place, None)) }
}

#[test]
fn node_state_follows_from_status_and_age() {
    let of = |change: fn(&mut NodeStatus)| {
        let mut status = status(1, "us", Some(7));
        change(&mut status);
        node(status)
    };
    for (node, state, lives) in [
        (of(|_| ()), NodeState::Ready, true),
        (of(|status| status.ready = false), NodeState::Starting, true),
        (of(|status| status.draining = true), NodeState::Draining, false),
        (silent(status(1, "us", Some(7))), NodeState::Silent, false),
        (unreadable("us"), NodeState::Unreadable, true),
        (node(publisher(true)), NodeState::Publisher, false),
        (node(NodeStatus { draining: true, ..publisher(true) }), NodeState::Draining, false),
        (silent(publisher(true)), NodeState::Silent, false),
        (FleetNode { is_silent: true, ..unreadable("us") }, NodeState::Silent, false),
    ] {
        assert_eq!((state_of(&node), is_live(state_of(&node))), (state, lives), "{node:?}");
    }
}

#[test]
fn versions_and_seconds_behind_are_computed() {
    let announced =
        |version, data_as_of| Announced { version, data_as_of, regions: None, pins: BTreeMap::new() };
    for (served, announced, versions, seconds) in [
        // At the announced version no time is missed, however far the freshness went.
        (Some(7), Some(announced(7, Some(at(0)))), 0, Some(0.0)),
        (Some(5), Some(announced(7, Some(at(-20)))), 2, Some(40.0)),
        (Some(5), Some(announced(7, None)), 2, None),
        (None, Some(announced(7, Some(at(0)))), 7, None),
        // A reader that knows less than the node.
        (Some(8), Some(announced(7, Some(at(0)))), 0, Some(0.0)),
        // A rollback announces older data under a new version.
        (Some(7), Some(announced(8, Some(at(-90)))), 1, Some(0.0)),
        (Some(7), None, 0, Some(0.0)),
    ] {
        let status = status(1, "us", served);
        let view = CollectionView::of(status.collections.get(&customer()), announced.as_ref());
        assert_eq!(
            (view.versions_behind, view.seconds_behind),
            (versions, seconds),
            "{served:?} {announced:?}"
        );
    }
}

#[test]
fn pin_not_in_force_is_shown() {
    let announced = |pins: &[(&str, u64)]| -> Announcement {
        let pins = pins.iter().map(|(name, version)| (region(name), *version)).collect();
        [(customer(), Announced { version: 8, data_as_of: None, regions: None, pins })].into()
    };
    // Served, pins, announced here, pinned, behind, above the pin.
    for (served, pins, expected) in [
        (Some(7), &[("us", 5)][..], (5, Some(5), 0, 2)),
        (Some(5), &[("us", 5)], (5, Some(5), 0, 0)),
        (Some(4), &[("us", 5)], (5, Some(5), 1, 0)),
        (None, &[("us", 5)], (5, Some(5), 5, 0)),
        (Some(7), &[("eu", 5)], (8, None, 1, 0)),
        // A reader that knows less than the node.
        (Some(9), &[], (8, None, 0, 0)),
    ] {
        let view = NodeView::of(&node(status(1, "us", served)), &announced(pins));
        let one = &view.details.unwrap().collections[&customer()];
        let (version, pinned, behind, above) = expected;
        assert_eq!(
            (one.announced_version, one.pinned_version, one.versions_behind, one.versions_above_pin),
            (Some(version), pinned, behind, above),
            "{served:?} {pins:?}"
        );
    }
}

#[test]
fn node_view_lists_announced_collections_unknown_to_node() {
    let announced = |regions: Option<&str>| Announced {
        version: 1,
        data_as_of: None,
        regions: regions.map(|name| vec![region(name)]),
        pins: [(region("us"), 7)].into(),
    };
    let name = |text: &str| CollectionName::new(text).unwrap();
    let announcement: Announcement = [
        (name("here"), announced(Some("us"))),
        (name("all"), announced(None)),
        (name("there"), announced(Some("eu"))),
    ]
    .into();
    let view = NodeView::of(&node(status(1, "us", Some(7))), &announcement);
    let details = view.details.as_ref().unwrap();
    let names: Vec<&str> = details.collections.keys().map(CollectionName::as_str).collect();
    assert_eq!(names, ["all", "customer", "here"]);
    assert_eq!(details.collections[&name("here")].versions_behind, 7, "pinned to 7");
    assert_eq!(details.collections[&customer()].announced_version, None);
    // Of the node's own two times, whatever the clock of the reader says.
    assert_eq!((details.catalog_age_seconds, details.keys_age_seconds), (Some(10.0), None));
    // One that only publishes is behind with nothing.
    let view_of_publisher = NodeView::of(&node(publisher(false)), &announcement);
    assert_eq!(view_of_publisher.state, NodeState::Starting);
    assert!(view_of_publisher.details.unwrap().collections.is_empty());
    let json = serde_json::to_value(&view).unwrap();
    assert_eq!((&json["name"], &json["state"]), (&"host-1".into(), &"ready".into()), "{json}");
}

#[test]
fn reach_counts_live_nodes_and_lists_others() {
    let us = || node(status(1, "us", Some(7)));
    let eu = |served| node(status(2, "eu", served));
    let draining = node(NodeStatus { draining: true, ..status(3, "eu", Some(5)) });
    let regions = Some(vec![region("us")]);
    // Nodes, regions served in, behind, silent, is it everywhere.
    for (nodes, regions, expected) in [
        (vec![], None, (0, 0, "", false)),
        (vec![us(), eu(Some(8))], None, (2, 2, "", true)),
        (vec![us(), node(status(4, "us", Some(7)))], None, (2, 1, "", true)),
        (vec![us(), eu(Some(6))], None, (1, 1, "eu/host-2 serves version 6", false)),
        (vec![us(), eu(Some(6))], regions.clone(), (1, 1, "", true)),
        (vec![eu(Some(7))], regions, (0, 0, "", false)),
        (vec![us(), eu(None)], None, (1, 1, "eu/host-2 has not loaded it", false)),
        (vec![us(), draining], None, (1, 1, "", true)),
        // Nobody waits for one that only publishes, whatever its state, nor hears of it.
        (vec![us(), node(publisher(true)), node(publisher(false))], None, (1, 1, "", true)),
        (vec![us(), silent(publisher(true))], None, (1, 1, "", true)),
        (vec![node(publisher(true))], None, (0, 0, "", false)),
        (vec![us(), silent(status(2, "eu", Some(6)))], None, (1, 1, "eu/host-2 is silent for 100 s", true)),
        (
            vec![us(), unreadable("eu")],
            None,
            (1, 1, "eu/node_00000000000000000000000000000009 cannot be read (newer_format)", false),
        ),
    ] {
        let fleet = Fleet { nodes, left_off: 0 };
        let regions = Regions { serving: regions, ..Regions::default() };
        let reach = Reach::of(&fleet, &customer(), Version(7), &regions);
        let found = (reach.nodes, reach.regions, reach.to_string(), reach.is_everywhere());
        let (nodes, regions, words, is_everywhere) = expected;
        assert_eq!(found, (nodes, regions, words.to_owned(), is_everywhere), "{fleet:?}");
    }
}

#[test]
fn pinned_region_is_not_waited_for() {
    let pinned = Regions { serving: None, pinned: [region("eu")].into() };
    let (us, eu) = (node(status(1, "us", Some(7))), node(status(2, "eu", Some(3))));
    for (nodes, is_everywhere, count) in [
        (vec![us.clone(), eu.clone()], true, 1),
        (vec![eu], true, 1),
        (vec![us], true, 0),
        (vec![node(status(1, "us", Some(6)))], false, 0),
        (vec![], false, 0),
    ] {
        let reach = Reach::of(&Fleet { nodes, left_off: 0 }, &customer(), Version(7), &pinned);
        assert_eq!((reach.is_everywhere(), reach.pinned.len()), (is_everywhere, count), "{reach:?}");
    }
}

#[test]
fn replaced_node_is_not_waited_for() {
    let aged = |seconds, status| FleetNode { age: TimeDelta::seconds(seconds), ..node(status) };
    let late = "us/host-1 serves version 6, last status 60 s ago";
    let replaced = "us/host-1 was replaced (node_00000000000000000000000000000001)";
    // The successor's place, name and start, the old node's age, and what is said of it.
    for (place, name, started, age, words, is_everywhere) in [
        ("us", "host-1", 20, 60, replaced, true),
        // It may have been too busy to write, or its word is on its way.
        ("us", "host-1", 20, 40, "us/host-1 serves version 6", false),
        // Two that live under one name.
        ("us", "host-1", -20, 60, late, false),
        ("us", "host-2", 20, 60, late, false),
        ("eu", "host-1", 20, 60, late, false),
    ] {
        let successor = NodeStatus {
            name: Label::fitted(name),
            started_at: at(started),
            written_at: at(60),
            ..status(2, place, Some(7))
        };
        let nodes = vec![aged(age, status(1, "us", Some(6))), node(successor)];
        let reach = Reach::of(&Fleet { nodes, left_off: 0 }, &customer(), Version(7), &Regions::default());
        assert_eq!((reach.to_string().as_str(), reach.is_everywhere()), (words, is_everywhere));
    }
}

#[test]
fn reach_message_names_problems_and_truncates_lists() {
    let mut ill = status(2, "eu", Some(6));
    Arc::make_mut(&mut ill.collections).get_mut(&customer()).unwrap().problem =
        Some(Problem::lasting(None, "object_corrupt", String::new(), at(0)));
    let nodes = (0..25).map(|_| node(ill.clone())).collect();
    let reach = Reach::of(&Fleet { nodes, left_off: 0 }, &customer(), Version(7), &Regions::default());
    let words = reach.to_string();
    assert!(words.starts_with("eu/host-2 serves version 6 (object_corrupt); eu/"), "{words}");
    assert!(words.ends_with("; and 5 more"), "{words}");
}
