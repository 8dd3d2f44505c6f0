//! The first page: problems, then the collections, then the nodes.

use chrono::{DateTime, Utc};
use maud::{Markup, html};

use super::{
    HOME, collection_path,
    entry::new_path,
    layout::{Visitor, page},
    nodes::{node_path, node_troubles},
    notice::{Done, notice},
    run_path,
    state::{name_of, notes_of, troubles_of},
    table::{Column, pages, table},
    words::{age, counted, number, rate},
};
use crate::{
    admin::{AdminRole, CollectionStatus, Status, fleet::NodeView},
    domain::{RequestRates, StoredSection},
};

/// Most collections of one page.
pub const COLLECTIONS_MAX: usize = 100;
/// Most problems that are shown; more of them have a common cause.
const PROBLEMS_MAX: usize = 50;

/// What the page shows.
#[derive(Debug)]
pub struct Overview<'a> {
    /// Who sees it.
    pub visitor: Visitor<'a>,
    /// The announced state, with all collections.
    pub status: &'a Status,
    /// The requests a second that this node answers; `None` of a node that serves no records.
    pub rates: Option<RequestRates>,
    /// Collections behind this name are shown: the cursor of the page.
    pub after: Option<&'a str>,
    /// What a form has done before.
    pub done: Option<Done>,
    /// The time.
    pub now: DateTime<Utc>,
}

/// Something that an operator should look at.
struct Trouble {
    /// The collection or node, and its page if it has one; `None` for the deployment.
    subject: Option<(String, Option<String>)>,
    text: String,
}

impl Overview<'_> {
    /// The page.
    pub fn render(&self) -> String {
        let troubles = self.troubles();
        let content = html! {
            (notice(self.done))
            h2 { "Problems" }
            @if troubles.is_empty() { p { "None." } }
            ul class="problems" {
                @for Trouble { subject, text } in troubles.iter().take(PROBLEMS_MAX) {
                    li class="notice fault" {
                        @if let Some((name, path)) = subject {
                            strong { @if let Some(path) = path { a href=(path) { (name) } } @else { (name) } } ": "
                        }
                        (text)
                    }
                }
            }
            @if troubles.len() > PROBLEMS_MAX {
                p class="fault" { "and " (counted(troubles.len() - PROBLEMS_MAX, "more problem")) }
            }
            h2 id="collections" { "Collections" }
            (self.collections())
            h2 id="nodes" { "Nodes" }
            (self.nodes())
        };
        page("Overview", Some(self.visitor), &content)
    }

    fn troubles(&self) -> Vec<Trouble> {
        let status = self.status;
        let of_all = |text: String| Trouble { subject: None, text };
        let mut troubles = Vec::new();
        troubles.extend(status.problem.as_ref().map(|it| of_all(format!("{} ({})", it.message, it.code))));
        if status.publishes_here == Some(false) {
            troubles.push(of_all("another metadata database publishes than this node's".to_owned()));
        }
        if let Some(fleet) = &status.fleet {
            let unread = fleet.problem.as_ref();
            troubles.extend(
                unread.map(|it| of_all(format!("nodes cannot be read: {} ({})", it.message, it.code))),
            );
            troubles.extend(fleet.nodes.iter().flat_map(of_node));
        }
        troubles.extend(status.collections.iter().flat_map(of_collection));
        troubles
    }

    fn collections(&self) -> Markup {
        let all = &self.status.collections;
        if all.is_empty() {
            return html! {
                p { "No sync is configured yet, and nothing is announced." }
                @if self.visitor.may(AdminRole::Admin) {
                    p { a class="button" href=(new_path(StoredSection::Sources)) { "Add a source" } }
                }
            };
        }
        let behind = |one: &&CollectionStatus| self.after.is_none_or(|after| one.collection.as_str() > after);
        let mut rows: Vec<&CollectionStatus> = all.iter().filter(behind).take(COLLECTIONS_MAX + 1).collect();
        let has_more = rows.len() > COLLECTIONS_MAX;
        rows.truncate(COLLECTIONS_MAX);
        let last = rows.last().map(|one| one.collection.as_str()).filter(|_| has_more);
        let columns = [
            Column::Text("Collection"),
            Column::Number("Records"),
            Column::Number("Version"),
            Column::Number("Requests/s"),
            Column::Text("Data as of"),
            Column::Text("Last run"),
            Column::Text("Note"),
        ];
        let rows = html! { @for one in rows { (self.row(one)) } };
        html! {
            (table("Collections", &columns, &rows))
            p class="quiet" { (counted(all.len(), "collection")) " in all. " (self.requests()) }
            (pages(HOME, &[], self.after, last))
        }
    }

    /// What the rates count.
    fn requests(&self) -> Markup {
        match &self.rates {
            Some(rates) => html! {
                "This node has answered " strong { (rate(rates.total())) } " requests a second in the last "
                (rates.over.as_secs().max(1)) " s. Other nodes count their own, in " code { "/metrics" } "."
            },
            None => {
                html! { "This node serves no records, so it counts no requests; open this page on a node that does." }
            }
        }
    }

    fn row(&self, one: &CollectionStatus) -> Markup {
        let version = one.version.map_or_else(|| "–".to_owned(), |version| version.to_string());
        html! {
            tr {
                th scope="row" { a href=(collection_path(&one.collection)) { (one.collection) } }
                td class="number" { (number(one.records)) }
                td class="number" { (version) }
                td class="number" {
                    @match &self.rates { Some(rates) => (rate(rates.of(&one.collection))), None => "–" }
                }
                td { (age(one.data_as_of, self.now)) }
                td {
                    @if let Some(run) = &one.last_run {
                        a href=(run_path(run.id)) { (run.status) } ", " (age(Some(run.finished_at.unwrap_or(run.started_at)), self.now))
                    } @else { "–" }
                }
                td class="text" { (notes_of(one)) }
            }
        }
    }

    fn nodes(&self) -> Markup {
        let Some(fleet) = self.status.fleet.as_ref().filter(|fleet| !fleet.nodes.is_empty()) else {
            return html! { p { "No node has written a status lately." } };
        };
        let columns = ["Node", "Region", "State", "Seen", "Behind", "Build"].map(Column::Text);
        let rows = html! { @for node in &fleet.nodes { (node_row(node)) } };
        html! {
            (table("Nodes", &columns, &rows))
            @if fleet.left_off > 0 { p class="quiet" { "and " (counted(fleet.left_off, "more node")) } }
        }
    }
}

/// Problems of a collection.
fn of_collection(one: &CollectionStatus) -> Vec<Trouble> {
    let subject = (one.collection.to_string(), Some(collection_path(&one.collection)));
    let trouble = |text| Trouble { subject: Some(subject.clone()), text };
    troubles_of(one).into_iter().map(trouble).collect()
}

/// Problems of a node, and of the collections on it.
fn of_node(node: &NodeView) -> Vec<Trouble> {
    let subject = (format!("node {} in {}", name_of(node), node.region), Some(node_path(node)));
    node_troubles(node).into_iter().map(|text| Trouble { subject: Some(subject.clone()), text }).collect()
}

fn node_row(node: &NodeView) -> Markup {
    let details = node.details.as_ref();
    let behind =
        details.map(|details| details.collections.values().filter(|one| one.versions_behind > 0).count());
    html! {
        tr {
            th scope="row" { (name_of(node)) }
            td { (node.region) }
            td { (node.state.as_str()) }
            td { (node.seen_seconds) " s ago" }
            td {
                @match behind {
                    None => "–",
                    Some(0) => "no",
                    Some(count) => (counted(count, "collection")),
                }
            }
            td { @if let Some(details) = details { (details.build) } @else { "–" } }
        }
    }
}
