//! Rendering a message as Braze's Connected Content does, against the read API of this node.

use std::{
    fmt,
    time::{Duration, Instant},
};

use bytes::Bytes;
use hyper::{
    Method, Request, Uri,
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue},
};
use serde_json::{Map, Value};

use super::{Principal, Publisher, error::Error};
use crate::{
    domain::CollectionName,
    liquid::{self, Content, ContentAnswer, ContentRequest, Failure},
};

/// Most requests of one message.
pub const MESSAGE_CALLS_MAX: usize = 10;
/// Braze drops an answer that takes longer.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(2);
/// Braze drops an answer with more bytes.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// Answers a request for a record on this node: the status and the body.
pub type ReadApi<'a> = &'a (dyn Fn(&Request<Bytes>) -> (u16, Bytes) + Send + Sync);

/// A message to render.
pub struct MessageToRender<'a> {
    /// Its text.
    pub text: &'a str,
    /// The API key that its requests have in place of the one in the message; empty for none.
    pub key: &'a str,
    /// What every placeholder such as `${user_id}` stands for.
    pub value: &'a str,
}

/// A rendered message.
pub struct RenderedMessage {
    /// What it prints.
    pub text: String,
    /// Why it is not sent, if it is not.
    pub aborted: Option<String>,
    /// Its requests, in their order.
    pub calls: Vec<ContentCall>,
}

/// Both hold values of people, so they are never printed.
impl fmt::Debug for MessageToRender<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MessageToRender").finish_non_exhaustive()
    }
}

impl fmt::Debug for RenderedMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RenderedMessage").field("calls", &self.calls).finish_non_exhaustive()
    }
}

/// A request of a message. It holds no value of a person.
#[derive(Debug)]
pub struct ContentCall {
    /// The host of the URL, which was not called.
    pub host: String,
    /// The path without values; `None` when it is none of a record.
    pub path: Option<String>,
    /// The status; `None` when nothing was requested.
    pub status: Option<u16>,
    /// How long it took.
    pub took: Duration,
    /// Bytes of the body.
    pub bytes: usize,
    /// What Braze makes of the answer.
    pub outcome: ContentOutcome,
}

/// What Braze makes of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ContentOutcome {
    /// It is saved or printed.
    Used,
    /// Nothing is saved: the status is not 2xx.
    Empty,
    /// The call is repeated up to five times, and then the message is aborted.
    Retried,
    /// Nothing is saved: it has too many bytes or took too long.
    Dropped,
    /// Nothing is requested: this is no URL with http or https, or the headers are no JSON object of texts.
    Invalid,
    /// Nothing is requested: the message has made its calls already.
    TooMany,
}

/// Requests of a message in progress.
struct Calls<'a> {
    read: ReadApi<'a>,
    key: &'a str,
    made: Vec<ContentCall>,
    aborted: Option<String>,
}

impl Publisher {
    /// Renders a message for an operator of `name`. Its requests go to `read`, whatever their host is, with the rights of the
    /// API key that they have. The audit log gets how many requests there were, never a value.
    ///
    /// # Errors
    /// [`Error::MessageInvalid`] with all faults of the text, or because the render takes too much work.
    pub async fn render_message(
        &self,
        name: &CollectionName,
        message: MessageToRender<'_>,
        read: ReadApi<'_>,
        principal: &Principal,
    ) -> Result<RenderedMessage, Error> {
        let act = async { render(&message, read, self.clock.now()) };
        let describe = |rendered: &RenderedMessage| {
            let used = rendered.calls.iter().filter(|call| call.outcome == ContentOutcome::Used).count();
            format!("{used} of {} requests answered with content", rendered.calls.len())
        };
        self.audited(principal, "message.render", name, act, describe).await
    }
}

fn render(
    message: &MessageToRender<'_>,
    read: ReadApi<'_>,
    now: chrono::DateTime<chrono::Utc>,
) -> Result<RenderedMessage, Error> {
    let parsed = liquid::Message::parse(message.text).map_err(|faults| {
        let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
        Error::MessageInvalid(faults.join("\n"))
    })?;
    let mut calls = Calls { read, key: message.key, made: Vec::new(), aborted: None };
    let mut text = String::new();
    parsed.render(message.value, now, &mut calls, &mut text).map_err(|failure| {
        Error::MessageInvalid(
            match failure {
                Failure::TooLarge => "the message is larger than a record may be",
                Failure::Limit => "the message takes more work than a template may",
                Failure::DivisionByZero => "the message divides by zero",
                _ => "a filter of the message cannot work with its value",
            }
            .to_owned(),
        )
    })?;
    let Calls { made: calls, aborted, .. } = calls;
    Ok(RenderedMessage { text, aborted, calls })
}

impl Content for Calls<'_> {
    fn get(&mut self, request: &ContentRequest) -> ContentAnswer {
        let mut call = ContentCall {
            host: String::new(),
            path: None,
            status: None,
            took: Duration::ZERO,
            bytes: 0,
            outcome: ContentOutcome::TooMany,
        };
        let mut answer = ContentAnswer::Empty;
        if self.made.len() < MESSAGE_CALLS_MAX {
            call.outcome = ContentOutcome::Invalid;
            if let Some(made) = http_request(request, self.key) {
                made.uri().host().unwrap_or_default().clone_into(&mut call.host);
                call.path = pattern(made.uri());
                let began = Instant::now();
                let (status, body) = (self.read)(&made);
                (call.took, call.status, call.bytes) = (began.elapsed(), Some(status), body.len());
                let is_dropped = call.took > ANSWER_TIME_MAX || call.bytes > ANSWER_BYTES_MAX;
                call.outcome = match () {
                    () if (200..300).contains(&status) && !is_dropped => ContentOutcome::Used,
                    () if request.option("retry").is_some() => ContentOutcome::Retried,
                    () if is_dropped => ContentOutcome::Dropped,
                    () => ContentOutcome::Empty,
                };
                match call.outcome {
                    ContentOutcome::Used => {
                        answer = ContentAnswer::Json(status, String::from_utf8_lossy(&body).into_owned());
                    }
                    ContentOutcome::Retried => {
                        self.aborted = Some("a request with :retry was not answered with 2xx".to_owned());
                        answer = ContentAnswer::End;
                    }
                    _ => {}
                }
            }
        }
        // Those beyond the limit are counted once.
        if self.made.last().is_none_or(|last| last.outcome != ContentOutcome::TooMany) {
            self.made.push(call);
        }
        answer
    }

    fn abort(&mut self, reason: &str) {
        self.aborted = Some(reason.to_owned());
    }
}

/// The request as Braze sends it; `key` takes the place of its credentials.
fn http_request(request: &ContentRequest, key: &str) -> Option<Request<Bytes>> {
    let uri: Uri = request.url.trim().parse().ok()?;
    let is_http = matches!(uri.scheme_str(), Some("http" | "https"));
    uri.host().filter(|_| is_http)?;
    let method = if request.option("method").is_some_and(|method| method.trim().eq_ignore_ascii_case("post"))
    {
        Method::POST
    } else {
        Method::GET
    };
    let body = request.option("body").filter(|_| method == Method::POST).unwrap_or_default();
    let mut made = Request::new(Bytes::copy_from_slice(body.as_bytes()));
    (*made.uri_mut(), *made.method_mut()) = (uri, method);
    let headers = made.headers_mut();
    let content_type = request.option("content_type").map(str::trim).filter(|it| !it.is_empty());
    let accepted = HeaderValue::from_str(content_type.unwrap_or("*/*")).ok()?;
    let sent = HeaderValue::from_str(content_type.unwrap_or("application/x-www-form-urlencoded")).ok()?;
    headers.insert(ACCEPT, accepted);
    headers.insert(CONTENT_TYPE, sent);
    if let Some(written) = request.option("headers") {
        let written: Map<String, Value> = serde_json::from_str(written).ok()?;
        for (name, value) in &written {
            let name: HeaderName = name.parse().ok()?;
            headers.insert(name, HeaderValue::from_str(value.as_str()?).ok()?);
        }
    }
    if !key.is_empty() {
        let mut bearer = HeaderValue::from_str(&format!("Bearer {key}")).ok()?;
        bearer.set_sensitive(true);
        headers.insert(AUTHORIZATION, bearer);
        headers.remove("x-api-key");
    }
    Some(made)
}

/// The path of a record without its value and parameters.
fn pattern(uri: &Uri) -> Option<String> {
    let mut parts = uri.path().split('/').skip(1);
    let (Some("v1"), Some("collections"), Some(collection), Some("records"), Some(index)) =
        (parts.next(), parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return None;
    };
    let value = if parts.next().is_some() { "/…" } else { "" };
    let query = if uri.query().is_some() { "?…" } else { "" };
    Some(format!("/v1/collections/{collection}/records/{index}{value}{query}"))
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;

    use super::*;

    fn rendered(text: &str, key: &str, read: ReadApi<'_>) -> RenderedMessage {
        let message = MessageToRender { text, key, value: "a b" };
        render(&message, read, DateTime::UNIX_EPOCH).unwrap()
    }

    #[test]
    fn requests_are_those_of_the_tag_with_the_key_of_the_form() {
        let tag = "{% connected_content https://example.com/v1/collections/c/records/id?fields=a :method post \
            :headers {\"Authorization\": \"Bearer lrd_...\", \"X-Api-Key\": \"x\"} :body value={{${x} | url_encode}} :save y %}{{y.a}}";
        let read = |request: &Request<Bytes>| {
            assert_eq!(request.method(), Method::POST);
            assert_eq!(request.headers()[AUTHORIZATION], "Bearer lrd_k");
            assert!(!request.headers().contains_key("x-api-key"));
            assert_eq!(&request.body()[..], b"value=a+b");
            (200, Bytes::from_static(b"{\"a\":1}"))
        };
        let rendered = rendered(tag, "lrd_k", &read);
        assert_eq!(rendered.text, "1");
        let call = &rendered.calls[0];
        assert_eq!((call.host.as_str(), call.status, call.bytes), ("example.com", Some(200), 7));
        assert_eq!(call.path.as_deref(), Some("/v1/collections/c/records/id?…"));
    }

    #[test]
    fn every_outcome_is_that_of_braze() {
        let read = |request: &Request<Bytes>| match request.uri().path() {
            "/large" => (200, Bytes::from(vec![b'x'; ANSWER_BYTES_MAX + 1])),
            "/missing" => (404, Bytes::from_static(b"{}")),
            _ => (200, Bytes::from_static(b"{}")),
        };
        for (tag, outcome) in [
            ("https://x/ok", ContentOutcome::Used),
            ("https://x/missing", ContentOutcome::Empty),
            ("https://x/missing :retry", ContentOutcome::Retried),
            ("https://x/large", ContentOutcome::Dropped),
            ("ftp://x/ok", ContentOutcome::Invalid),
            ("/ok", ContentOutcome::Invalid),
            ("https://x/a b", ContentOutcome::Invalid),
            ("https://x/ok :headers {\"A\": 1}", ContentOutcome::Invalid),
        ] {
            let text = format!("{{% connected_content {tag} :save y %}}<{{{{y.__http_status_code__}}}}>");
            let rendered = rendered(&text, "", &read);
            assert_eq!(rendered.calls[0].outcome, outcome, "{tag}");
            assert_eq!(rendered.aborted.is_some(), outcome == ContentOutcome::Retried, "{tag}");
            assert_eq!(rendered.text.contains("<200>"), outcome == ContentOutcome::Used, "{tag}");
            assert_eq!(rendered.calls[0].path, None, "no path of a record is shown");
        }
        let many = "{% for i in (1..50) %}{% connected_content https://x/ok %}{% endfor %}";
        let rendered = rendered(many, "", &read);
        assert_eq!(rendered.calls.len(), MESSAGE_CALLS_MAX + 1);
        assert_eq!(rendered.calls.last().unwrap().outcome, ContentOutcome::TooMany);
        assert_eq!(rendered.text, "{}".repeat(MESSAGE_CALLS_MAX));
    }
}
