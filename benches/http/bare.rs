//! A hyper server that returns one body: what a request costs when nothing is looked up.

use std::{convert::Infallible, net::SocketAddr, path::Path};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    HeaderMap, Request, Response,
    body::Incoming,
    header::{CONTENT_TYPE, HeaderName, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

/// Serves until it is ended by a signal. No timer, no limits, no shutdown: the least that hyper does.
pub(crate) fn serve(address: SocketAddr, body: &Path, lines: &[String]) {
    assert!(address.ip().is_loopback(), "it serves loopback addresses only");
    let answer = Full::new(Bytes::from(std::fs::read(body).expect("the body's file")));
    let headers = headers(lines);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let listener = TcpListener::bind(address).await.expect("a free address");
        loop {
            let (stream, _) = listener.accept().await.expect("a connection");
            stream.set_nodelay(true).expect("a socket option");
            let (answer, headers) = (answer.clone(), headers.clone());
            tokio::spawn(async move {
                let service = service_fn(move |_: Request<Incoming>| {
                    let mut response = Response::new(answer.clone());
                    let into = response.headers_mut();
                    into.reserve(headers.len() + 2);
                    for (name, value) in &headers {
                        into.append(name, value.clone());
                    }
                    async { Ok::<_, Infallible>(response) }
                });
                let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                // A client that leaves is no event here.
                let _ = connection.await;
            });
        }
    });
}

/// The type of a record, and the lines given.
fn headers(lines: &[String]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    for line in lines {
        let (name, value) = line.split_once(": ").expect("a header line is `name: value`");
        let name: HeaderName = name.parse().expect("a header's name");
        headers.append(name, value.parse().expect("a header's value"));
    }
    headers
}
