//! What a request's body still has to send when its answer is made: all of it, most often, when the
//! request was refused or its path takes none.
//!
//! An answer that overtakes a body ends an HTTP/1 connection, and looks like a fault of the stream to
//! some clients of HTTP/2. So the rest of it is first taken off the connection and thrown away, within
//! bounds. What does not come, or is too much, ends the connection, and HTTP/1 says so.

use std::time::Duration;

use http_body_util::BodyExt;
use hyper::{
    Request, Response, Version,
    body::{Body as _, Incoming},
    header::{CONNECTION, EXPECT, HeaderValue},
    http::request::Parts,
};

use super::{
    reply::{Answering, Body},
    serve::backlog::Turn,
};

/// Most bytes that are thrown away: what a client of HTTP/2 may send before it is told to go on.
const BYTES_MAX: u64 = 1024 * 1024;
/// How long they are awaited: they are most often on their way.
const TIMEOUT: Duration = Duration::from_millis(200);

/// A body that nobody reads to its end, or not at all.
pub(super) struct Unread {
    body: Incoming,
    /// The client waits for `100 Continue`, which it does not get.
    is_held_back: bool,
    is_http1: bool,
    /// Of HTTP/2, unless the request came without a body.
    turn: Option<Turn>,
}

impl Unread {
    /// The `body` that follows `head`.
    pub(super) fn new(head: &Parts, body: Incoming) -> Self {
        let is_held_back = head.headers.contains_key(EXPECT);
        let turn = head.extensions.get().cloned();
        Self { body, is_held_back, is_http1: head.version < Version::HTTP_2, turn }
    }

    /// The body, for whoever reads it after all.
    pub(super) fn body(&mut self) -> &mut Incoming {
        &mut self.body
    }

    /// The client was told to send the body.
    pub(super) fn let_in(&mut self) {
        self.is_held_back = false;
    }

    /// Waits until there is room for an answer that takes some. To be called when the body is read.
    pub(super) async fn turn(&self) {
        if let Some(turn) = &self.turn {
            turn.come().await;
        }
    }

    /// `answer`, when it overtakes nothing any more or says that the connection ends.
    pub(super) async fn before(mut self, answer: Response<Body>) -> Response<Body> {
        // An answer that ends the connection waits for nothing.
        if answer.headers().contains_key(CONNECTION) { answer } else { self.take_off().await.mark(answer) }
    }

    /// Takes the rest off the connection, and waits until there is room for an answer that takes some.
    pub(super) async fn taken_off(mut self) -> TakenOff {
        let taken_off = self.take_off().await;
        self.turn().await;
        taken_off
    }

    async fn take_off(&mut self) -> TakenOff {
        let is_taken_off = self.is_taken_off().await;
        TakenOff { must_close: self.is_http1 && !is_taken_off }
    }

    /// Throws the rest away; whether it came whole.
    async fn is_taken_off(&mut self) -> bool {
        if self.body.is_end_stream() {
            return true;
        }
        if self.is_held_back || self.body.size_hint().lower() > BYTES_MAX {
            return false;
        }
        let end = async {
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
        tokio::time::timeout(TIMEOUT, end).await.unwrap_or(false)
    }
}

/// The rest of a body is out of the way, or the connection must end.
pub(super) struct TakenOff {
    must_close: bool,
}

impl TakenOff {
    /// `answer`, which says that the connection ends when it must.
    pub(super) fn mark(&self, mut answer: Response<Body>) -> Response<Body> {
        if self.must_close {
            answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        answer
    }
}

/// The `answer` to a request whose body nobody reads; at once when it has none.
pub(super) fn answering(request: Request<Incoming>, answer: Response<Body>) -> Answering {
    if request.body().is_end_stream() {
        return Answering::ready(answer);
    }
    let (head, body) = request.into_parts();
    Answering::Routed(Box::pin(Unread::new(&head, body).before(answer)))
}
