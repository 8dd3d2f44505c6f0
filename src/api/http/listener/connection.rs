//! One connection: HTTP/1 or HTTP/2 by its first bytes, until the client or the listener ends it.

use std::{
    convert::Infallible,
    future::{Future, poll_fn},
    net::IpAddr,
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
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    sync::{OwnedSemaphorePermit, Semaphore},
};

use super::{
    Stream,
    fragment::BodyLength,
    link::{Link, Order},
    socket::Socket,
    unsent::UnsentAnswers,
};
use crate::{
    api::http::answer::{Body, Endpoint, PIECE_BYTES, ResponseFuture},
    domain::limits::RECORD_BYTES_MAX,
};

/// Largest head that is read at all, in bytes; above it hyper answers 431 and the connection ends. Well
/// above the limits of `layers`, so that their refusals, which have a body, come first.
const HEAD_BYTES_MAX: usize = 128 * 1024;
/// The same for the fields of an HTTP/2 head, as RFC 9113, section 6.5.2, counts them: 32 bytes more for
/// each. Above it the stream ends with a 431 without a body.
const HTTP2_HEADERS_BYTES_MAX: u32 = 160 * 1024;
/// Most requests at once on one HTTP/2 connection.
const STREAMS_MAX: u32 = 256;
/// Bytes of large answers of one HTTP/2 connection above which its further requests wait: four of the
/// largest records keep a client busy.
const UNSENT_BYTES_MAX: usize = 4 * 1024 * 1024;
/// How long the last bytes of a client are read and discarded after we closed our side. A close
/// with unread bytes resets the connection, and the client may lose the answer.
const LINGER: Duration = Duration::from_secs(1);
/// Most bytes that are discarded so; a client that sends more loses its answer.
const LINGER_BYTES_MAX: usize = 1024 * 1024;

/// hyper's settings for every connection.
pub(super) type Protocol = auto::Builder<TokioExecutor>;

/// HTTP/1.0, HTTP/1.1 and HTTP/2 with prior knowledge. hyper's timer for heads is off: it also runs on idle
/// connections, and each request would pay for it. The listener watches its clients instead.
pub(super) fn protocol() -> Protocol {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .half_close(true)
        .header_read_timeout(None)
        // One buffer and one `send` for head and body: copying a record costs less than `writev`.
        .writev(false)
        .max_buf_size(HEAD_BYTES_MAX)
        .http2()
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(HTTP2_HEADERS_BYTES_MAX);
    builder
}

/// What the connections of a listener share.
#[derive(Clone)]
pub(super) struct Common {
    pub(super) endpoint: Endpoint,
    pub(super) is_draining: Arc<AtomicBool>,
    pub(super) unsent: Arc<UnsentAnswers>,
}

/// The budget of an HTTP/2 connection for large answers, in bytes. A request takes enough of it for the
/// largest record before its answer is made, and gives back what its answer does not need. Only then is its
/// memory bounded: the answer is in memory before its client reads any of it.
#[derive(Clone)]
pub(in crate::api) struct Budget(Arc<Semaphore>);

/// A part of a [`Budget`], in the extensions of an answer.
#[derive(Clone)]
pub(in crate::api) struct Reserved(Arc<OwnedSemaphorePermit>);

impl Budget {
    fn try_reserve(&self) -> Option<Reserved> {
        let reserved = Arc::clone(&self.0).try_acquire_many_owned(RECORD_BYTES_MAX as u32);
        reserved.ok().map(|reserved| Reserved(Arc::new(reserved)))
    }

    /// Waits for the client to read earlier answers. A request with a body calls this after it has read the
    /// body, which would keep others of the connection waiting.
    pub(in crate::api) async fn reserve(&self) -> Option<Reserved> {
        let reserved = Arc::clone(&self.0).acquire_many_owned(RECORD_BYTES_MAX as u32).await;
        reserved.ok().map(|reserved| Reserved(Arc::new(reserved)))
    }
}

/// The service of one connection.
#[derive(Clone)]
struct Served {
    common: Common,
    peer: IpAddr,
    link: Arc<Link>,
    budget: Budget,
}

impl Service<Request<Incoming>> for Served {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = ResponseFuture;

    fn call(&self, mut request: Request<Incoming>) -> ResponseFuture {
        let has_body = !request.body().is_end_stream();
        if request.version() < Version::HTTP_2 {
            let length = if has_body { request.body().size_hint().exact() } else { Some(0) };
            self.link.set_body(length.map_or(BodyLength::Chunked, BodyLength::Known));
            return self.answer(request, true, None);
        }
        if has_body {
            request.extensions_mut().insert(self.budget.clone());
            return self.answer(request, false, None);
        }
        if let Some(reserved) = self.budget.try_reserve() {
            return self.answer(request, false, Some(reserved));
        }
        let served = self.clone();
        ResponseFuture::routed(async move {
            let reserved = served.budget.reserve().await;
            let Ok(answer) = served.answer(request, false, reserved).await;
            answer
        })
    }
}

impl Served {
    fn answer(
        &self,
        request: Request<Incoming>,
        is_http1: bool,
        reserved: Option<Reserved>,
    ) -> ResponseFuture {
        match (self.common.endpoint)(request, self.peer) {
            ResponseFuture::Ready(answer) => {
                ResponseFuture::Ready(answer.map(|answer| self.complete(answer, is_http1, reserved)))
            }
            ResponseFuture::Routed(answer) => {
                let (in_flight, served) = (self.link.start_request(), self.clone());
                ResponseFuture::routed(async move {
                    let answer = served.complete(answer.await, is_http1, reserved);
                    drop(in_flight);
                    answer
                })
            }
        }
    }

    /// Asks HTTP/1 clients to close while the listener drains, also those whose request began before, and
    /// those whose request has a chunked body: no `#` is looked for behind it. Registers large answers.
    fn complete(
        &self,
        mut answer: Response<Body>,
        is_http1: bool,
        reserved: Option<Reserved>,
    ) -> Response<Body> {
        if is_http1 && (self.common.is_draining.load(Ordering::Relaxed) || self.link.has_chunked_body()) {
            answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        if answer.body().len() <= PIECE_BYTES {
            return answer;
        }
        let reserved = reserved.or_else(|| answer.extensions_mut().remove());
        let reserved = reserved.and_then(|Reserved(reserved)| Arc::into_inner(reserved));
        let budget = reserved.and_then(|mut reserved| {
            let needed = answer.body().len().min(reserved.num_permits());
            reserved.split(needed)
        });
        let link = is_http1.then_some(&self.link);
        answer.map(|body| self.common.unsent.register(link, body.into_bytes(), budget).into())
    }
}

/// Serves `stream` until it ends, and closes it so that nothing sent is lost.
pub(super) async fn drive(
    stream: Stream,
    protocol: Arc<Protocol>,
    common: Common,
    link: Arc<Link>,
    peer: IpAddr,
    first_request_grace: Duration,
) {
    let budget = Budget(Arc::new(Semaphore::new(UNSENT_BYTES_MAX)));
    let service = Served { common, peer, link: Arc::clone(&link), budget };
    let socket = Socket::new(stream, Arc::clone(&link));
    serve(socket, &protocol, service, &link, first_request_grace).await;
    if let Some(stream) = link.take_stream()
        && !link.has_ended()
    {
        // Boxed: its buffer would make every connection's task larger.
        Box::pin(linger(stream)).await;
    }
}

async fn serve(
    socket: Socket,
    protocol: &Protocol,
    service: Served,
    link: &Link,
    first_request_grace: Duration,
) {
    let mut connection = pin!(protocol.serve_connection(TokioIo::new(socket), service));
    let (mut is_closing, mut first_request) = (false, None);
    poll_fn(|context| {
        loop {
            let order = link.order(context.waker());
            // Polled before the order is carried out: requests that have arrived by now are answered.
            if order == Order::Abort || connection.as_mut().poll(context).is_ready() {
                return Poll::Ready(());
            }
            // hyper takes a connection that has served before for idle until a head is complete, and would
            // close it on an incomplete one. The rest of the head wakes this task; the listener bounds the wait.
            if order == Order::Serve || is_closing || link.is_receiving_head() {
                return Poll::Pending;
            }
            if link.has_received_nothing() {
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
        let (mut discarded, mut total) = ([0; 8192], 0);
        while total < LINGER_BYTES_MAX {
            match stream.read(&mut discarded).await? {
                0 => break,
                count => total += count,
            }
        }
        std::io::Result::Ok(())
    };
    // Whatever happens here, the connection is over.
    let _ = tokio::time::timeout(LINGER, closing).await;
}
