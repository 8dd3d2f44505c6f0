//! The pages of nodes.

use axum::{
    extract::{Path, Query, State},
    response::Html,
};

use super::{answer::Refused, form::Cursor};
use crate::{
    admin::fleet::{FleetStatus, NodeView},
    api::{
        admin::{AdminState, codes, gate::Caller, page::Page},
        http::error::Error,
    },
    console::{NodePage, NodesPage},
};

/// Nodes of one page, and collections on the page of one.
const SHOWN: usize = 100;

/// The list, by region and name.
pub(super) async fn list(
    State(state): State<AdminState>,
    Caller(grant): Caller,
    Query(Cursor { cursor }): Query<Cursor>,
) -> Result<Html<String>, Refused> {
    let fleet = state.fleet.read().await;
    let mut nodes: Vec<(String, &NodeView)> = fleet.nodes.iter().map(|node| (place_of(node), node)).collect();
    nodes.sort_by(|(a, _), (b, _)| a.cmp(b));
    let page = Page::by_name(nodes, SHOWN, cursor.as_deref());
    let page = NodesPage {
        visitor: (&grant).into(),
        fleet: &fleet,
        nodes: &page.items,
        cursor: cursor.as_deref(),
        next: page.next.as_deref(),
    };
    Ok(Html(page.render()))
}

/// The place of a node in the list: behind it the next page begins, also when the node has gone.
fn place_of(node: &NodeView) -> String {
    let name = node.details.as_ref().map(|details| details.name.to_string()).unwrap_or_default();
    format!("{}/{name}/{}", node.region, node.node)
}

fn find<'a>(fleet: &'a FleetStatus, region: &str, id: &str) -> Result<&'a NodeView, Error> {
    let mut nodes = fleet.nodes.iter();
    let found = nodes.find(|node| node.region.as_str() == region && node.node.to_string() == id);
    found.ok_or_else(|| codes::ROUTE_NOT_FOUND.into())
}

/// One node, with its collections by name.
pub(super) async fn show(
    State(state): State<AdminState>,
    Caller(grant): Caller,
    Path((region, id)): Path<(String, String)>,
    Query(Cursor { cursor }): Query<Cursor>,
) -> Result<Html<String>, Refused> {
    let fleet = state.fleet.read().await;
    let node = find(&fleet, &region, &id)?;
    let collections = node.details.iter().flat_map(|details| &details.collections);
    let collections = collections.map(|(name, one)| (name.to_string(), (name, one))).collect();
    let page = Page::by_name(collections, SHOWN, cursor.as_deref());
    let page = NodePage {
        visitor: (&grant).into(),
        node,
        collections: &page.items,
        cursor: cursor.as_deref(),
        next: page.next.as_deref(),
        now: state.clock.now(),
    };
    Ok(Html(page.render()))
}
