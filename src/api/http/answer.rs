//! The answers of a listener: their bodies, and the futures that make them.

use std::{
    convert::Infallible,
    future::Future,
    mem,
    net::IpAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use futures::{StreamExt, stream::BoxStream};
use hyper::{
    Request, Response,
    body::{Frame, Incoming, SizeHint},
    header::HeaderValue,
};

use super::listener::unsent::UnsentAnswer;

/// Most bytes that a body gives to hyper at once; a body with more is large. hyper copies them behind the
/// head and keeps that buffer for as long as the connection lives.
pub(in crate::api) const PIECE_BYTES: usize = 32 * 1024;

/// A large answer was dropped because its client did not read it.
#[derive(Debug, thiserror::Error)]
#[error("the client did not read its answer")]
pub struct Abandoned;

/// `Content-Type` of an answer without an end, which is sent as it comes.
pub(in crate::api) const EVENT_STREAM: HeaderValue = HeaderValue::from_static("text/event-stream");

/// The body of an answer: bytes in memory, or events as they come.
#[derive(Default)]
pub struct Body {
    bytes: Bytes,
    /// Used instead of `bytes`.
    rest: Option<Box<Rest>>,
}

/// What is not given to hyper at once.
enum Rest {
    /// A large answer.
    Large(UnsentAnswer),
    /// Events.
    Events(BoxStream<'static, Bytes>),
}

impl Body {
    /// Bytes that were not given to hyper yet.
    pub(in crate::api) fn len(&self) -> usize {
        match self.rest.as_deref() {
            None => self.bytes.len(),
            Some(Rest::Large(large)) => large.unsent(),
            Some(Rest::Events(_)) => 0,
        }
    }

    /// Whether its end is not known.
    fn is_endless(&self) -> bool {
        matches!(self.rest.as_deref(), Some(Rest::Events(_)))
    }

    /// The bytes of an answer that is not registered as large.
    pub(in crate::api) fn into_bytes(self) -> Bytes {
        self.bytes
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self { bytes, rest: None }
    }
}

impl From<UnsentAnswer> for Body {
    fn from(large: UnsentAnswer) -> Self {
        Self { bytes: Bytes::new(), rest: Some(Box::new(Rest::Large(large))) }
    }
}

impl From<BoxStream<'static, Bytes>> for Body {
    fn from(events: BoxStream<'static, Bytes>) -> Self {
        Self { bytes: Bytes::new(), rest: Some(Box::new(Rest::Events(events))) }
    }
}

impl hyper::body::Body for Body {
    type Data = Bytes;
    type Error = Abandoned;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Abandoned>>> {
        if hyper::body::Body::is_end_stream(&*self) {
            return Poll::Ready(None);
        }
        let piece = match self.rest.as_deref_mut() {
            None => mem::take(&mut self.bytes),
            Some(Rest::Events(events)) => match ready!(events.poll_next_unpin(context)) {
                Some(piece) => piece,
                None => return Poll::Ready(None),
            },
            Some(Rest::Large(large)) => match ready!(large.poll_piece(context, PIECE_BYTES)) {
                Some(piece) => piece,
                None => return Poll::Ready(Some(Err(Abandoned))),
            },
        };
        Poll::Ready(Some(Ok(Frame::data(piece))))
    }

    fn is_end_stream(&self) -> bool {
        self.len() == 0 && !self.is_endless()
    }

    fn size_hint(&self) -> SizeHint {
        if self.is_endless() { SizeHint::default() } else { SizeHint::with_exact(self.len() as u64) }
    }
}

/// The answer to a request. A record is ready at once: no task, no box.
pub enum ResponseFuture {
    /// The answer; taken by the first poll.
    Ready(Option<Response<Body>>),
    /// The router works on it, or a body is being read.
    Routed(Pin<Box<dyn Future<Output = Response<Body>> + Send>>),
}

impl ResponseFuture {
    /// An answer that is made.
    pub fn ready(answer: Response<Body>) -> Self {
        Self::Ready(Some(answer))
    }

    /// An answer that takes time.
    pub fn routed(answer: impl Future<Output = Response<Body>> + Send + 'static) -> Self {
        Self::Routed(Box::pin(answer))
    }
}

/// Answers the requests of one listener, each with the address that its connection comes from. Cheap to clone.
pub type Endpoint = Arc<dyn Fn(Request<Incoming>, IpAddr) -> ResponseFuture + Send + Sync>;

impl Future for ResponseFuture {
    type Output = Result<Response<Body>, Infallible>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.get_mut() {
            Self::Ready(answer) => match answer.take() {
                Some(answer) => Poll::Ready(Ok(answer)),
                None => Poll::Pending,
            },
            Self::Routed(answer) => answer.as_mut().poll(context).map(Ok),
        }
    }
}
