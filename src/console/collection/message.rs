//! The box that renders a message of Braze against the read API of this node.

use maud::{Markup, html};

use super::super::{
    collection_path,
    form::{Form, script},
    layout::{Visitor, page},
    notice::Refusal,
    table::{Column, table},
    words::number,
};
use crate::{
    admin::{ContentCall, ContentOutcome, RenderedMessage},
    domain::CollectionName,
};

/// The field with the text of the message.
pub const MESSAGE: &str = "message";
/// The field with the API key.
pub const MESSAGE_KEY: &str = "api_key";
/// The field with what placeholders stand for.
pub const MESSAGE_VALUE: &str = "placeholder";

/// What the page shows.
#[derive(Debug)]
pub struct MessagePage<'a> {
    /// Who sees it.
    pub visitor: Visitor<'a>,
    /// The collection.
    pub name: &'a CollectionName,
    /// Whether this node serves records.
    pub serves: bool,
    /// The message; never the key that was entered.
    pub form: Form<'a>,
    /// The message as it would be sent; `None` before the form was sent.
    pub rendered: Option<&'a RenderedMessage>,
    /// Why the form was refused.
    pub refusal: Option<Refusal>,
}

impl MessagePage<'_> {
    /// The page.
    pub fn render(&self) -> String {
        let path = collection_path(self.name);
        let content = html! {
            p { a href=(path) { "Collection " (self.name) } }
            @if let Some(refusal) = &self.refusal { (refusal.notice()) }
            @if self.serves {
                (self.form(&path))
                @if let Some(rendered) = self.rendered { (outcome(rendered)) }
            } @else {
                p class="notice" {
                    "This node serves no records, so it has no API that a message could request. Open this page on a node \
                     with the roles publisher and replica."
                }
            }
            (script())
        };
        page(&format!("Message with {}", self.name), Some(self.visitor), &content)
    }

    fn form(&self, path: &str) -> Markup {
        html! {
            p {
                "Renders the message with this node's own read API, as Connected Content does. Nothing leaves the node: whatever \
                 host a URL has, its path is answered here. Requests count as those of the key."
            }
            form class="stack" method="post" action=(format!("{path}/message")) {
                (self.form.code(MESSAGE, "Message", "Liquid with connected_content tags, as in Braze."))
                (self.form.line(
                    MESSAGE_VALUE,
                    "Value of placeholders",
                    "What ${user_id} and every other placeholder stands for. It is in no log.",
                ))
                (self.form.password(
                    MESSAGE_KEY,
                    "API key",
                    "Takes the place of the key in the message. It is not stored, and not shown again.",
                ))
                div { button { "Render the message" } }
            }
        }
    }
}

fn outcome(rendered: &RenderedMessage) -> Markup {
    let columns = [
        Column::Text("Request"),
        Column::Number("Status"),
        Column::Number("ms"),
        Column::Number("Bytes"),
        Column::Text("Braze"),
    ];
    html! {
        h2 id="rendered" { "Rendered" }
        @if let Some(reason) = &rendered.aborted {
            p class="notice fault" role="status" { "The message is aborted and not sent: " (reason) }
        }
        pre tabindex="0" { code { (rendered.text) } }
        h2 id="calls" { "Requests" }
        @if rendered.calls.is_empty() {
            p { "The message requests nothing." }
        } @else {
            (table("Requests", &columns, &html! { @for one in &rendered.calls { (call(one)) } }))
        }
    }
}

fn call(call: &ContentCall) -> Markup {
    html! {
        tr {
            th scope="row" {
                code { (call.path.as_deref().unwrap_or("not the path of a record")) }
                @if !call.host.is_empty() { br; span class="quiet" { "this node in place of " (call.host) } }
            }
            td class="number" { @if let Some(status) = call.status { (status) } @else { "–" } }
            td class="number" { (format!("{:.2}", call.took.as_secs_f64() * 1000.0)) }
            td class="number" { (number(call.bytes as u64)) }
            td class="text" {
                (words(call.outcome))
                @if call.status == Some(401) { br; span class="quiet" { (UNAUTHENTICATED) } }
            }
        }
    }
}

/// Why a request may have the status 401.
const UNAUTHENTICATED: &str = "401: the request has no API key, or one that this node does not know: it is wrong, expired or \
    revoked, or was created a moment ago";

fn words(outcome: ContentOutcome) -> &'static str {
    match outcome {
        ContentOutcome::Used => "uses the answer",
        ContentOutcome::Empty => "goes on with an empty variable",
        ContentOutcome::Retried => "repeats the call up to five times, then aborts the message",
        ContentOutcome::Dropped => "drops the answer (over 1 MB or 2 s): an empty variable",
        ContentOutcome::Invalid => {
            "makes no call: the URL needs http or https, the headers are a JSON object of texts"
        }
        ContentOutcome::TooMany => {
            "this page makes at most 10 calls; this one and those after it were not made"
        }
    }
}
