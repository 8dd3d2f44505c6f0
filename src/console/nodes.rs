//! Nodes and regions: who serves what, how far behind, and the page of one node.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use maud::{Markup, html};

use super::{
    layout::{Visitor, page},
    state::{name_of, problem_text, troubles_on},
    table::{Column, pages, table, terms},
    words::{age, counted, number, segment, time},
};
use crate::{
    admin::fleet::{CollectionView, FleetStatus, NodeDetails, NodeView},
    domain::{CollectionName, Label, RegionName},
    status::NodeState,
};

/// The path of the list.
pub const NODES: &str = "/console/nodes";

/// The path of the page of a node.
pub fn node_path(node: &NodeView) -> String {
    format!("{NODES}/{}/{}", segment(node.region.as_str()), node.node)
}

/// The list.
#[derive(Debug)]
pub struct NodesPage<'a> {
    /// Who sees it.
    pub visitor: Visitor<'a>,
    /// All nodes.
    pub fleet: &'a FleetStatus,
    /// The nodes of this page.
    pub nodes: &'a [&'a NodeView],
    /// The cursor of this page.
    pub cursor: Option<&'a str>,
    /// That of the next one.
    pub next: Option<&'a str>,
}

/// The nodes of a region, counted.
#[derive(Default)]
struct Region {
    nodes: usize,
    ready: usize,
    with_problems: usize,
    behind: usize,
    /// The longest time that a collection of a node is behind, in seconds.
    seconds_behind: f64,
}

impl NodesPage<'_> {
    /// The page.
    pub fn render(&self) -> String {
        let FleetStatus { problem, left_off, nodes, .. } = self.fleet;
        let content = html! {
            @if let Some(problem) = problem {
                p class="notice fault" { "Nodes cannot be read: " (problem.message) " (" code { (problem.code) } ")" }
            }
            @if nodes.is_empty() {
                p { "No node has written a status lately." }
            } @else {
                h2 { "Regions" }
                (self.regions())
                h2 { "Nodes" }
                (self.nodes())
            }
            @if *left_off > 0 {
                p class="quiet" { "and " (counted(*left_off, "more node")) ", which are in no table and no count" }
            }
        };
        page("Nodes", Some(self.visitor), &content)
    }

    fn regions(&self) -> Markup {
        let mut regions: BTreeMap<&RegionName, Region> = BTreeMap::new();
        for node in &self.fleet.nodes {
            let region = regions.entry(&node.region).or_default();
            region.nodes += 1;
            region.ready += usize::from(matches!(node.state, NodeState::Ready | NodeState::Publisher));
            region.with_problems += usize::from(!node_troubles(node).is_empty());
            region.behind += usize::from(behind(node) > 0);
            region.seconds_behind = region.seconds_behind.max(seconds_behind(node));
        }
        let columns = [
            Column::Text("Region"),
            Column::Number("Nodes"),
            Column::Number("Ready"),
            Column::Number("With problems"),
            Column::Number("Behind"),
            Column::Number("Data behind at most"),
        ];
        let rows = html! {
            @for (name, region) in &regions {
                tr {
                    th scope="row" { (name) }
                    td class="number" { (number(region.nodes as u64)) }
                    td class="number" { (number(region.ready as u64)) }
                    td class="number" { (number(region.with_problems as u64)) }
                    td class="number" { (number(region.behind as u64)) }
                    td class="number" { (seconds(region.seconds_behind)) }
                }
            }
        };
        table("Regions", &columns, &rows)
    }

    fn nodes(&self) -> Markup {
        let columns = [
            Column::Text("Node"),
            Column::Text("Region"),
            Column::Text("State"),
            Column::Text("Last report"),
            Column::Number("Collections behind"),
            Column::Number("Catalog"),
            Column::Text("Build"),
            Column::Text("Problems"),
        ];
        let rows = html! { @for node in self.nodes { (node_row(node)) } };
        html! {
            (table("Nodes", &columns, &rows))
            (pages(NODES, &[], self.cursor, self.next))
        }
    }
}

fn node_row(node: &NodeView) -> Markup {
    let details = node.details.as_ref();
    html! {
        tr {
            th scope="row" { a href=(node_path(node)) { (name_of(node)) } }
            td { (node.region) }
            td { (state(node)) }
            td { (node.seen_seconds) " s ago" }
            td class="number" { (number(behind(node) as u64)) }
            td class="number" { @if let Some(details) = details { (details.catalog) } @else { "–" } }
            td { @if let Some(details) = details { (details.build) } @else { "–" } }
            td class="text" {
                @match node_troubles(node).as_slice() {
                    [] => "none",
                    [one] => (one),
                    all => (counted(all.len(), "problem")),
                }
            }
        }
    }
}

/// What is wrong with a node, and with the collections on it.
pub(super) fn node_troubles(node: &NodeView) -> Vec<String> {
    let mut texts = Vec::new();
    match node.state {
        NodeState::Silent => texts.push(format!("silent for {} s", node.seen_seconds)),
        NodeState::Unreadable => {
            let code = node.unreadable.as_deref().unwrap_or("unknown");
            texts.push(format!("its status cannot be read ({code})"));
        }
        _ => {}
    }
    texts.extend(node.details.iter().flat_map(troubles_on));
    texts
}

fn state(node: &NodeView) -> Markup {
    let is_fault = matches!(node.state, NodeState::Silent | NodeState::Unreadable);
    html! { span class=[is_fault.then_some("fault")] { (node.state.as_str()) } }
}

/// Collections of which a node does not serve the announced version yet.
fn behind(node: &NodeView) -> usize {
    let collections = node.details.iter().flat_map(|details| details.collections.values());
    collections.filter(|one| one.versions_behind > 0).count()
}

/// The longest time by which data on a node is older than the announced one.
fn seconds_behind(node: &NodeView) -> f64 {
    let collections = node.details.iter().flat_map(|details| details.collections.values());
    collections.filter_map(|one| one.seconds_behind).fold(0.0, f64::max)
}

/// `12 s`, or `–` for none.
fn seconds(seconds: f64) -> String {
    if seconds > 0.0 { format!("{:.0} s", seconds.ceil()) } else { "–".to_owned() }
}

/// The page of one node.
#[derive(Debug)]
pub struct NodePage<'a> {
    /// Who sees it.
    pub visitor: Visitor<'a>,
    /// The node.
    pub node: &'a NodeView,
    /// The collections of this page.
    pub collections: &'a [(&'a CollectionName, &'a CollectionView)],
    /// The cursor of this page.
    pub cursor: Option<&'a str>,
    /// That of the next one.
    pub next: Option<&'a str>,
    /// The time.
    pub now: DateTime<Utc>,
}

impl NodePage<'_> {
    /// The page.
    pub fn render(&self) -> String {
        let node = self.node;
        let troubles = node_troubles(node);
        let content = html! {
            @if !troubles.is_empty() {
                h2 { "Problems" }
                ul class="problems" { @for text in &troubles { li class="notice fault" { (text) } } }
            }
            (terms(&[
                ("Region", html! { (node.region) }),
                ("Id", html! { code { (node.node) } }),
                ("State", state(node)),
                ("Last report", html! { (node.seen_seconds) " s ago" }),
            ]))
            @if let Some(details) = &node.details {
                (self.details(details))
                h2 { "Collections" }
                (self.collections())
            }
            p { a href=(NODES) { "All nodes" } }
        };
        page(&format!("Node {}", name_of(node)), Some(self.visitor), &content)
    }

    fn details(&self, details: &NodeDetails) -> Markup {
        let polled = |age: Option<f64>| {
            html! {
                @if let Some(age) = age { ", confirmed " (seconds(age.max(1.0))) " before the report" }
            }
        };
        let roles: Vec<&str> = details.roles.iter().map(Label::as_str).collect();
        terms(&[
            ("Roles", html! { (roles.join(", ")) }),
            ("Build", html! { (details.build) }),
            ("Started", age(Some(details.started_at), self.now)),
            ("Catalog", html! { "document " (details.catalog) (polled(details.catalog_age_seconds)) }),
            ("Keys", html! { "revision " (details.keys_revision) (polled(details.keys_age_seconds)) }),
            (
                "Last error",
                html! {
                    @match &details.last_error {
                        None => "none",
                        Some(error) => {
                            code { (error.code) }
                            @if let Some(collection) = &error.collection { " of " (collection) }
                            ", " (age(Some(error.at), self.now))
                        }
                    }
                },
            ),
            (
                "Last run here",
                age(details.publisher.as_ref().and_then(|publisher| publisher.last_run_at), self.now),
            ),
        ])
    }

    fn collections(&self) -> Markup {
        if self.collections.is_empty() {
            return html! { p { "It serves no collection." } };
        }
        let columns = [
            Column::Text("Collection"),
            Column::Number("Serves"),
            Column::Number("Announced"),
            Column::Number("Data behind"),
            Column::Text("Behind since"),
            Column::Text("Data as of"),
            Column::Number("Records"),
            Column::Text("Problem"),
        ];
        let rows = html! { @for (name, one) in self.collections { (self.collection_row(name, one)) } };
        html! {
            (table("Collections", &columns, &rows))
            (pages(&node_path(self.node), &[], self.cursor, self.next))
        }
    }

    fn collection_row(&self, name: &CollectionName, one: &CollectionView) -> Markup {
        let version =
            |version: Option<u64>| version.map_or_else(|| "–".to_owned(), |version| version.to_string());
        html! {
            tr {
                th scope="row" { (name) }
                td class="number" { (version(one.served_version)) }
                td class="number" {
                    (version(one.announced_version))
                    @if one.pinned_version.is_some() { " (pinned)" }
                }
                td class="number" { (seconds(one.seconds_behind.unwrap_or_default())) }
                td { @if let Some(at) = one.behind_since { (time(at)) } @else { "–" } }
                td { (age(one.data_as_of, self.now)) }
                td class="number" { (number(one.records)) }
                td class="text" { @if let Some(problem) = &one.problem { (problem_text(problem)) } @else { "none" } }
            }
        }
    }
}
