//! `larder health`: asks a node, so that an image needs no other HTTP client.

use std::time::Duration;

use anyhow::{Context as _, anyhow, bail};
use http_body_util::Empty;
use hyper::{Request, Uri, body::Bytes, header};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::{
    args::Health,
    exit::Exit,
    output::{Failure, print},
};

/// Longest time for an answer: shorter than the three seconds that health checks usually wait.
const TIMEOUT: Duration = Duration::from_secs(2);

pub(super) async fn run(arguments: Health) -> Result<Exit, Failure> {
    let uri: Uri = arguments
        .url
        .parse()
        .map_err(|error| Failure::Usage(format!("--url {:?} is not a URL: {error}", arguments.url)))?;
    if uri.scheme_str() != Some("http") || uri.host().is_none() {
        return Err(Failure::Usage(format!("--url {:?}: give http://host:port/path", arguments.url)));
    }
    let asked = tokio::time::timeout(TIMEOUT, ask(&uri)).await;
    let status = asked.map_err(|_| anyhow!("{uri} did not answer within {} s", TIMEOUT.as_secs()))??;
    print(&format!("{uri}: {status}"))?;
    Ok(if status.is_success() { Exit::Success } else { Exit::Failed })
}

async fn ask(uri: &Uri) -> anyhow::Result<hyper::StatusCode> {
    let Some(authority) = uri.authority() else { bail!("{uri} names no host") };
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    let port = authority.port_u16().unwrap_or(80);
    let stream =
        TcpStream::connect((host, port)).await.with_context(|| format!("cannot connect to {authority}"))?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let request = Request::get(path).header(header::HOST, authority.as_str()).body(Empty::<Bytes>::new())?;
    let answer = sender.send_request(request).await.with_context(|| format!("{uri} gave no answer"))?;
    Ok(answer.status())
}
