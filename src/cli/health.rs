//! `larder health`: asks a node for its health, so that an image needs no other HTTP client.

use std::time::Duration;

use anyhow::{Context as _, anyhow};
use hyper::Uri;
use reqwest::{Client, redirect::Policy};

use super::{
    args::Health,
    exit::Exit,
    output::{Failure, print},
};
use crate::support::connection_words::with_hint;

/// Longest time for an answer: shorter than the three seconds that health checks usually wait.
const TIMEOUT: Duration = Duration::from_secs(2);

pub(super) async fn run(arguments: Health) -> Result<Exit, Failure> {
    let uri: Uri = arguments
        .url
        .parse()
        .map_err(|error| Failure::Usage(format!("--url {:?} is not a URL: {error}", arguments.url)))?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.host().is_none() {
        let message = format!("--url {:?}: give http://host:port/path or https://...", arguments.url);
        return Err(Failure::Usage(message));
    }
    // The node is often at a loopback address, which its certificate does not name. Nothing secret is sent.
    let client = Client::builder()
        .tls_danger_accept_invalid_certs(true)
        .no_proxy()
        .redirect(Policy::none())
        .timeout(TIMEOUT)
        .build()
        .context("cannot make an HTTP client")?;
    let answer = client.get(uri.to_string()).send().await;
    let status = answer.map_err(|error| explain(&uri, error))?.status();
    print(&format!("{uri}: {status}"))?;
    Ok(if status.is_success() { Exit::Success } else { Exit::Failed })
}

/// `error` in one line: its causes repeat the URL.
fn explain(uri: &Uri, error: reqwest::Error) -> anyhow::Error {
    let (is_timeout, is_connect) = (error.is_timeout(), error.is_connect());
    let error = anyhow::Error::new(error);
    let cause = with_hint(&error.root_cause().to_string(), "the variable SSL_CERT_FILE");
    match uri.authority() {
        _ if is_timeout => anyhow!("{uri} did not answer within {} s", TIMEOUT.as_secs()),
        Some(authority) if is_connect => anyhow!("cannot connect to {authority}: {cause}"),
        _ => anyhow!("{uri} gave no answer: {cause}"),
    }
}
