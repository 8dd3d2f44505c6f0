//! The nodes that serve a collection, and how far behind they are.

use maud::{Markup, html};

use super::super::{
    nodes::node_path,
    state::{name_of, problem_text},
    table::{Column, table},
    words::number,
};
use crate::{
    admin::fleet::{CollectionView, FleetStatus, NodeView},
    domain::CollectionName,
};

/// The nodes that serve the collection, or should.
fn serving<'a>(
    name: &'a CollectionName,
    fleet: &'a FleetStatus,
) -> impl Iterator<Item = (&'a NodeView, &'a CollectionView)> {
    fleet.nodes.iter().filter_map(|node| Some((node, node.details.as_ref()?.collections.get(name)?)))
}

/// Problems of the collection on nodes.
pub(super) fn troubles(name: &CollectionName, fleet: &FleetStatus) -> Vec<String> {
    let with_problem = serving(name, fleet).filter_map(|(node, one)| Some((node, one.problem.as_ref()?)));
    let text =
        |(node, problem)| format!("node {} in {}: {}", name_of(node), node.region, problem_text(problem));
    let unread =
        fleet.problem.as_ref().map(|it| format!("nodes cannot be read: {} ({})", it.message, it.code));
    unread.into_iter().chain(with_problem.map(text)).collect()
}

/// The table of nodes.
pub(super) fn nodes(name: &CollectionName, fleet: &FleetStatus) -> Markup {
    let columns = [
        Column::Text("Node"),
        Column::Text("Region"),
        Column::Text("State"),
        Column::Number("Served version"),
        Column::Number("Records"),
        Column::Text("Behind"),
    ];
    let rows = html! { @for (node, one) in serving(name, fleet) { (row(node, one)) } };
    html! {
        @if serving(name, fleet).next().is_none() {
            p { "No node has reported lately that it serves this collection." }
        } @else {
            (table("Regions and nodes", &columns, &rows))
        }
    }
}

fn row(node: &NodeView, one: &CollectionView) -> Markup {
    html! {
        tr {
            th scope="row" { a href=(node_path(node)) { (name_of(node)) } }
            td { (node.region) }
            td { (node.state.as_str()) ", " (node.seen_seconds) " s ago" }
            td class="number" {
                @if let Some(version) = one.served_version { (version) } @else { "none" }
                @if one.pinned_version.is_some() { " (pinned)" }
            }
            td class="number" { (number(one.records)) }
            td { (behind(one)) }
        }
    }
}

fn behind(one: &CollectionView) -> String {
    match (one.versions_behind, one.versions_above_pin, one.seconds_behind) {
        (0, 0, _) => "no".to_owned(),
        (0, above, _) => format!("{above} above its pin"),
        (versions, _, Some(seconds)) => format!("{versions} versions, {seconds:.0} s"),
        (versions, ..) => format!("{versions} versions"),
    }
}
