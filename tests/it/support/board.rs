//! The board of a node that only a test knows.

use chrono::{DateTime, Utc};
use larder::{
    domain::{id::NodeId, label::Label, name::RegionName},
    status::{Board, Identity},
    support::random,
};

/// The board of a node in `region` that serves records and started at `now`.
pub(crate) fn board(region: &str, now: DateTime<Utc>) -> Board {
    let identity = Identity {
        node: NodeId::from_uuid(random::uuid()),
        name: Label::fitted("host"),
        region: RegionName::new(region).unwrap(),
        roles: vec![Label::fitted("replica")],
    };
    Board::new(identity, now)
}
