//! The answers of a listener: their body, and the future that brings them.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body_util::{Either, Full};
use hyper::Response;

/// A body: bytes at hand for records and refusals, a stream for what the router answers.
pub type Body = Either<Full<Bytes>, axum::body::Body>;

/// The answer of a record or a refusal.
pub(super) type Whole = Response<Full<Bytes>>;

/// An answer on its way. A record is ready at once: no task, no box.
pub enum Answering {
    /// The answer is here; taken by the first poll.
    Ready(Option<Response<Body>>),
    /// The router is at work.
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
