//! The answers of a listener: their body, and the future that brings them.

use std::{
    convert::Infallible,
    future::Future,
    mem,
    pin::Pin,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use hyper::{
    Response,
    body::{Frame, SizeHint},
};

use super::serve::backlog::Held;

/// Most bytes of a body that are handed over at once; one with more is large. hyper copies them behind the
/// head, and keeps the room for as long as the connection lives.
pub(super) const PIECE_BYTES: usize = 32 * 1024;

/// A large answer had to go before its client took it.
#[derive(Debug, thiserror::Error)]
#[error("the client did not take its answer")]
pub struct Abandoned;

/// The body of an answer: bytes at hand.
#[derive(Default)]
pub struct Body {
    bytes: Bytes,
    /// In the place of `bytes` when they are many.
    large: Option<Box<Held>>,
}

impl Body {
    /// What has not been handed over yet, in bytes.
    pub(super) fn len(&self) -> usize {
        self.large.as_ref().map_or(self.bytes.len(), |large| large.left())
    }

    /// The bytes, unless they are held elsewhere.
    pub(super) fn into_bytes(self) -> Bytes {
        self.bytes
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self { bytes, large: None }
    }
}

impl From<Held> for Body {
    fn from(large: Held) -> Self {
        Self { bytes: Bytes::new(), large: Some(Box::new(large)) }
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = Abandoned;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Abandoned>>> {
        if self.len() == 0 {
            return Poll::Ready(None);
        }
        let piece = match &mut self.large {
            None => mem::take(&mut self.bytes),
            Some(large) => match ready!(large.poll_piece(context, PIECE_BYTES)) {
                Some(piece) => piece,
                None => return Poll::Ready(Some(Err(Abandoned))),
            },
        };
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.len() == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.len() as u64)
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
