//! Request bodies that no handler reads, or not to their end: of refused requests, and of paths that
//! take none.
//!
//! An answer that is sent before the body has arrived ends an HTTP/1 connection, and some HTTP/2 clients
//! take it for a fault of the stream. So the rest of the body is read and discarded first, within bounds.
//! If it is late or too large the connection ends, and HTTP/1 announces that. hyper reads only what has
//! arrived by then, and closes without an announcement.

use std::time::Duration;

use http_body_util::BodyExt;
use hyper::{
    Request, Response, Version,
    body::{Body as _, Incoming},
    header::{CONNECTION, EXPECT, HeaderValue},
    http::request::Parts,
};

use super::{
    answer::{Body, ResponseFuture},
    listener::connection::{Budget, Reserved},
};

/// Most bytes that are discarded: the flow-control window that an HTTP/2 client starts with.
const BYTES_MAX: u64 = 1024 * 1024;
/// Longest wait for them: they are usually on their way.
const TIMEOUT: Duration = Duration::from_millis(200);

/// The rest of a request's body.
pub(in crate::api) struct Unread {
    /// The body, for a handler that reads it.
    pub(in crate::api) body: Incoming,
    /// The client waits for `100 Continue` before it sends the body. hyper sends that when the body is
    /// first read.
    pub(in crate::api) is_held_back: bool,
    is_http1: bool,
    /// The budget of an HTTP/2 connection, and the part of it that the answer may take.
    budget: Option<Budget>,
    reserved: Option<Reserved>,
}

impl Unread {
    /// The `body` that follows `head`.
    pub(in crate::api) fn new(head: &Parts, body: Incoming) -> Self {
        let is_held_back = head.headers.contains_key(EXPECT);
        let budget = head.extensions.get().cloned();
        Self { body, is_held_back, is_http1: head.version < Version::HTTP_2, budget, reserved: None }
    }

    /// Waits until an HTTP/2 connection has room for a large answer. Call it when the body has been read.
    pub(in crate::api) async fn reserve(&mut self) {
        if let Some(budget) = &self.budget {
            self.reserved = budget.reserve().await;
        }
    }

    /// Discards the rest of the body before `answer`, unless the answer ends the connection anyway.
    pub(in crate::api) async fn before(mut self, mut answer: Response<Body>) -> Response<Body> {
        let must_close = !answer.headers().contains_key(CONNECTION) && self.discard().await;
        self.complete(must_close, &mut answer);
        answer
    }

    /// Completes an answer that is made after the rest was discarded.
    pub(in crate::api) fn complete(self, must_close: bool, answer: &mut Response<Body>) {
        if must_close {
            answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        if let Some(reserved) = self.reserved {
            answer.extensions_mut().insert(reserved);
        }
    }

    /// Reads and discards the rest; returns whether an HTTP/1 connection must end because there was more.
    pub(in crate::api) async fn discard(&mut self) -> bool {
        if self.body.is_end_stream() {
            return false;
        }
        let is_http1 = self.is_http1;
        if self.is_held_back || self.body.size_hint().lower() > BYTES_MAX {
            return is_http1;
        }
        let is_discarded = async {
            let mut total = 0;
            while let Some(frame) = self.body.frame().await {
                let Ok(frame) = frame else { return false };
                total += frame.data_ref().map_or(0, bytes::Bytes::len) as u64;
                if total > BYTES_MAX {
                    return false;
                }
            }
            true
        };
        tokio::time::timeout(TIMEOUT, is_discarded).await != Ok(true) && is_http1
    }
}

/// The refusing `answer` to a request whose body nobody reads; ready at once if it has none.
pub(in crate::api) fn refuse(request: Request<Incoming>, answer: Response<Body>) -> ResponseFuture {
    if request.body().is_end_stream() {
        return ResponseFuture::ready(answer);
    }
    let (head, body) = request.into_parts();
    ResponseFuture::routed(Unread::new(&head, body).before(answer))
}
