//! The answers of a listener: their body, and the future that brings them.

use std::{
    convert::Infallible,
    future::Future,
    mem,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use hyper::{
    Response,
    body::{Frame, SizeHint},
};

use super::serve::link::Link;

/// Most bytes of a body that are handed over at once. hyper copies them behind the head, and keeps the
/// room for as long as the connection lives.
pub(super) const PIECE_BYTES: usize = 32 * 1024;

/// The body of an answer: bytes at hand. A large one is handed over in pieces.
#[derive(Default)]
pub struct Body {
    rest: Bytes,
    /// A connection of HTTP/1, on which each piece waits until the one before has been sent.
    paced_by: Option<Arc<Link>>,
}

impl Body {
    /// What has not been handed over yet, in bytes.
    pub(super) fn len(&self) -> usize {
        self.rest.len()
    }

    /// The same bytes, each piece when `link` has sent the one before.
    pub(super) fn paced_by(self, link: Arc<Link>) -> Self {
        Self { paced_by: Some(link), ..self }
    }

    /// The bytes.
    pub(super) fn into_bytes(self) -> Bytes {
        self.rest
    }
}

impl From<Bytes> for Body {
    fn from(rest: Bytes) -> Self {
        Self { rest, paced_by: None }
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Self { rest, paced_by } = self.get_mut();
        if rest.is_empty() {
            return Poll::Ready(None);
        }
        if let Some(link) = paced_by {
            ready!(link.poll_piece(context));
        }
        let piece = if rest.len() > PIECE_BYTES { rest.split_to(PIECE_BYTES) } else { mem::take(rest) };
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.rest.len() as u64)
    }
}

/// An answer on its way. A record is ready at once: no task, no box.
pub enum Answering {
    /// The answer is here; taken by the first poll.
    Ready(Option<Response<Body>>),
    /// The router is at work, or a body on its way.
    Routed(Pin<Box<dyn Future<Output = Response<Body>> + Send>>),
}

impl Answering {
    /// An answer that is here.
    pub fn ready(answer: Response<Body>) -> Self {
        Self::Ready(Some(answer))
    }
}

impl Future for Answering {
    type Output = Result<Response<Body>, Infallible>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.get_mut() {
            Self::Ready(answer) => match answer.take() {
                Some(answer) => Poll::Ready(Ok(answer)),
                None => Poll::Pending,
            },
            Self::Routed(answering) => answering.as_mut().poll(context).map(Ok),
        }
    }
}
