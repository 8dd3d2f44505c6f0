//! The record explorer: one record by the value of an index, and which indexes find it.

use chrono::{DateTime, Utc};
use maud::{Markup, html};

use super::{
    super::{
        collection_path,
        form::{Form, script},
        layout::{Visitor, page},
        notice::Refusal,
        table::{Column, table},
        words::age,
    },
    json_tree,
    snippet::Address,
};
use crate::{
    admin::{CollectionStatus, IndexValue, RecordView},
    domain::IndexName,
};

/// What the page shows.
#[derive(Debug)]
pub struct RecordPage<'a> {
    /// Who sees it.
    pub visitor: Visitor<'a>,
    /// The collection.
    pub status: &'a CollectionStatus,
    /// The setting `[server] public_url`.
    pub public_url: Option<&'a str>,
    /// The index and the value.
    pub form: Form<'a>,
    /// What was found; `None` before the form was sent.
    pub found: Option<&'a RecordView>,
    /// Why the form was refused.
    pub refusal: Option<Refusal>,
    /// The time.
    pub now: DateTime<Utc>,
}

impl<'a> RecordPage<'a> {
    /// The page.
    pub fn render(&self) -> String {
        let (name, indexes) = (&self.status.collection, &self.status.indexes);
        let path = collection_path(name);
        let content = html! {
            p { a href=(path) { "Collection " (name) } }
            @if let Some(refusal) = &self.refusal { (refusal.notice()) }
            (form(&path, indexes, self.form))
            @if let Some(found) = self.found {
                (self.outcome(found))
                @if let Some(value) = self.value_of(found) {
                    h2 id="snippet" { "Connected Content" }
                    (Address { public_url: self.public_url, collection: name }.of_record(value))
                }
            }
            (script())
        };
        page(&format!("Records of {name}"), Some(self.visitor), &content)
    }

    /// The value by which the record is requested: that of the form, or what the index has in its place, such as its hash.
    fn value_of(&self, found: &'a RecordView) -> Option<&'a IndexValue> {
        let (index, entered) = (self.form.fields.text("index"), self.form.fields.text("value"));
        let mut values = found.values.iter().filter(|one| one.index.as_str() == index && one.finds);
        values.clone().find(|one| one.value == entered).or_else(|| values.next())
    }

    fn outcome(&self, found: &RecordView) -> Markup {
        html! {
            h2 id="record" { "Record" }
            p class="quiet" {
                "This node serves version " (found.version) ", with data of " (age(Some(found.data_as_of), self.now)) "."
            }
            @if let Some(body) = &found.body {
                div class="tree" { (json_tree(body)) }
                h2 id="indexes" { "Found by" }
                (table("Found by", &["Index", "Value", "Finds this record"].map(Column::Text), &values(&found.values)))
            } @else {
                p class="notice" role="status" { "No record holds this value." }
            }
        }
    }
}

/// The values of a record under the indexes.
fn values(values: &[IndexValue]) -> Markup {
    html! {
        @for IndexValue { index, value, finds } in values {
            tr {
                th scope="row" { (index) }
                td class="text" { code { (value) } }
                td { @if *finds { "yes" } @else { "no: another record holds the value" } }
            }
        }
    }
}

/// The form: an index and a value. It is sent by POST, so the value is in no address and no log.
pub(super) fn form(path: &str, indexes: &[IndexName], form: Form<'_>) -> Markup {
    let options: Vec<(&str, &str)> = indexes.iter().map(|index| (index.as_str(), index.as_str())).collect();
    html! {
        form class="stack" method="post" action=(format!("{path}/records")) {
            (form.select("index", "Index", "By which the record is looked up.", &options))
            (form.line("value", "Value", "The audit log gets who looked under which index, not the value."))
            div { button { "Show the record" } }
        }
    }
}
