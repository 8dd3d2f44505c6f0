//! One connection: HTTP/1 or HTTP/2 by its first bytes, until the client or the listener ends it.

use std::{
    convert::Infallible,
    future::{Future, poll_fn},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::Poll,
    time::Duration,
};

use hyper::{
    Request, Response, Version,
    body::{Body as _, Incoming},
    header::{CONNECTION, HeaderValue},
    service::Service,
};
use hyper_util::{
    rt::{TokioExecutor, TokioIo},
    server::conn::auto,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::{
    backlog::{Backlog, Turn},
    link::{Link, Order},
    socket::Socket,
    stream::Stream,
};
use crate::api::{
    reply::{Answering, Body, PIECE_BYTES},
    router::Answer,
};

/// Largest head that is read at all, in bytes; above it the connection ends with a 431. Well
/// above the limits of `layers`, so that theirs, with a body that explains, come first.
const HEAD_BYTES_MAX: usize = 128 * 1024;
/// The same for the fields of an HTTP/2 head, as RFC 9113, section 6.5.2, counts them: 32 bytes more for
/// each. Above it the stream ends with a bare 431, which nobody can dress behind the compression of heads.
const HTTP2_HEADERS_BYTES_MAX: u32 = 160 * 1024;
/// Most requests at once on one HTTP/2 connection.
const STREAMS_MAX: u32 = 256;
/// How long the last bytes of a client are read and thrown away after we closed our side. A close
/// with unread bytes resets the connection, and the client may lose the answer.
const LINGER: Duration = Duration::from_secs(1);
/// Most bytes thrown away so; a client that sends more loses its answer.
const LINGER_BYTES_MAX: usize = 1024 * 1024;

/// How connections are spoken with.
pub(super) type Protocol = auto::Builder<TokioExecutor>;

/// HTTP/1.0, HTTP/1.1 and HTTP/2 with prior knowledge. No timers: the listener watches.
pub(super) fn protocol() -> Protocol {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .half_close(true)
        .header_read_timeout(None)
        // One buffer and one `send` for head and body: the copy of a record costs less than `writev` does.
        .writev(false)
        .max_buf_size(HEAD_BYTES_MAX)
        .http2()
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(HTTP2_HEADERS_BYTES_MAX);
    builder
}

/// What the connections of a listener answer with and by.
#[derive(Clone)]
pub(super) struct Common<A> {
    pub(super) answer: A,
    pub(super) is_draining: Arc<AtomicBool>,
    pub(super) backlog: Arc<Backlog>,
}

/// The service of one connection.
#[derive(Clone)]
struct Served<A> {
    common: Common<A>,
    link: Arc<Link>,
}

impl<A: Answer> Service<Request<Incoming>> for Served<A> {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Answering;

    fn call(&self, mut request: Request<Incoming>) -> Answering {
        let is_http1 = request.version() < Version::HTTP_2;
        if !is_http1 && !request.body().is_end_stream() {
            request.extensions_mut().insert(Turn::of(&self.link));
        } else if !is_http1 && self.link.is_laden() {
            return self.answer_later(request);
        }
        match self.common.answer.answer(request) {
            Answering::Ready(answer) => Answering::Ready(answer.map(|answer| self.finish(answer, is_http1))),
            Answering::Routed(answering) => {
                let (under_way, served) = (self.link.begin(), self.clone());
                Answering::Routed(Box::pin(async move {
                    let answer = served.finish(answering.await, is_http1);
                    drop(under_way);
                    if !is_http1 {
                        served.link.pass_on();
                    }
                    answer
                }))
            }
        }
    }
}

impl<A: Answer> Served<A> {
    /// What is done with an answer when it is made: while the listener drains a client of HTTP/1 is asked
    /// to go, however long ago its request began, and large bodies are held.
    fn finish(&self, mut answer: Response<Body>, is_http1: bool) -> Response<Body> {
        if is_http1 && self.common.is_draining.load(Ordering::Relaxed) {
            answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        if answer.body().len() <= PIECE_BYTES {
            return answer;
        }
        answer.map(|body| self.common.backlog.admit(&self.link, body.into_bytes(), is_http1).into())
    }

    /// Answers when the client has taken more of what it asked for before.
    fn answer_later(&self, request: Request<Incoming>) -> Answering {
        let served = self.clone();
        Answering::Routed(Box::pin(async move {
            served.link.relieved().await;
            let Ok(answer) = served.common.answer.answer(request).await;
            let answer = served.finish(answer, false);
            served.link.pass_on();
            answer
        }))
    }
}

/// Serves `stream` until it ends, and closes it so that nothing sent is lost.
pub(super) async fn drive<A: Answer>(
    stream: Stream,
    protocol: Arc<Protocol>,
    common: Common<A>,
    link: Arc<Link>,
    first_request_grace: Duration,
) {
    let service = Served { common, link: Arc::clone(&link) };
    let socket = Socket::new(stream, Arc::clone(&link), service.common.answer.clone());
    serve(socket, &protocol, service, &link, first_request_grace).await;
    if let Some(stream) = link.take_stream()
        && !link.has_ended()
    {
        // Boxed: its buffer would make every connection's task larger.
        Box::pin(linger(stream)).await;
    }
}

async fn serve<A: Answer>(
    socket: Socket<A>,
    protocol: &Protocol,
    service: Served<A>,
    link: &Link,
    first_request_grace: Duration,
) {
    let mut connection = pin!(protocol.serve_connection(TokioIo::new(socket), service));
    let (mut is_closing, mut first_request) = (false, None);
    poll_fn(|context| {
        loop {
            let order = link.order(context.waker());
            // Polled before the order is obeyed: what has arrived by now is answered.
            if order == Order::Abort || connection.as_mut().poll(context).is_ready() {
                return Poll::Ready(());
            }
            // A connection that has served before takes itself for idle until a head is whole, and
            // would close on half a one. Its rest wakes this task; the listener bounds the wait.
            if order == Order::Serve || is_closing || link.is_receiving() {
                return Poll::Pending;
            }
            if link.is_fresh() {
                // Boxed: hardly any connection needs it.
                let grace = || Box::pin(tokio::time::sleep(first_request_grace));
                if first_request.get_or_insert_with(grace).as_mut().poll(context).is_pending() {
                    return Poll::Pending;
                }
            }
            is_closing = true;
            connection.as_mut().graceful_shutdown();
        }
    })
    .await;
}

/// Closes our side, then reads until the client closes its own.
async fn linger(mut stream: Stream) {
    let closing = async {
        stream.shutdown().await?;
        let (mut thrown_away, mut total) = ([0; 8192], 0);
        while total < LINGER_BYTES_MAX {
            match stream.read(&mut thrown_away).await? {
                0 => break,
                count => total += count,
            }
        }
        std::io::Result::Ok(())
    };
    // Whatever happens here, the connection is over.
    let _ = tokio::time::timeout(LINGER, closing).await;
}
