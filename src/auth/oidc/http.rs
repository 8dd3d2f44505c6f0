//! Requests to the identity provider: bounded in time and size, over TLS, without redirects.

use std::{error::Error as _, future::Future, pin::Pin, time::Duration};

use openidconnect::{AsyncHttpClient, HttpRequest, HttpResponse, http};
use reqwest::{Certificate, Client, Url, header::CONTENT_TYPE, redirect::Policy};

use crate::{auth::address::is_loopback, support::connection_words::with_hint};

/// Longest time for a connection to be made, and for a whole request.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
const TIMEOUT: Duration = Duration::from_secs(5);
/// Largest answer, in bytes. One with the keys of a large provider has some tens of thousands.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// The client of one provider. Its `Debug` shows no secret.
#[derive(Debug, Clone)]
pub(super) struct Http(Client);

/// Why a request has no answer.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(super) struct Unanswered(String);

/// Whether requests and browsers may go to `url`: over TLS, or on this machine.
pub(super) fn is_secure(url: &Url) -> bool {
    url.scheme() == "https" || url.scheme() == "http" && is_loopback(url)
}

impl Http {
    /// A client that trusts these authorities beside those of the machine. It follows no redirect: the secret goes to
    /// the server that was named.
    pub(super) fn new(authorities: Vec<Certificate>) -> Option<Self> {
        let client = Client::builder()
            .redirect(Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT)
            .tls_certs_merge(authorities);
        client.build().ok().map(Self)
    }

    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, Unanswered> {
        let request = reqwest::Request::try_from(request);
        let request = request.map_err(|_| Unanswered("an address of its settings is no URL".to_owned()))?;
        let host = request.url().host_str().unwrap_or_default().to_owned();
        if !is_secure(request.url()) {
            return Err(Unanswered(format!("the URL of {host} is neither https nor on loopback")));
        }
        let failed = |error: &reqwest::Error| Unanswered(format!("{host} {}", explained(error)));
        let mut answer = self.0.execute(request).await.map_err(|error| failed(&error))?;
        let mut built = http::Response::builder().status(answer.status());
        if let Some(content_type) = answer.headers().get(CONTENT_TYPE) {
            built = built.header(CONTENT_TYPE, content_type);
        }
        let mut body = Vec::new();
        while let Some(chunk) = answer.chunk().await.map_err(|error| failed(&error))? {
            if body.len() + chunk.len() > ANSWER_BYTES_MAX {
                return Err(Unanswered(format!("{host} answers with more than {ANSWER_BYTES_MAX} bytes")));
            }
            body.extend_from_slice(&chunk);
        }
        built.body(body).map_err(|_| Unanswered(format!("{host} gave no answer that can be read")))
    }
}

impl<'c> AsyncHttpClient<'c> for Http {
    type Error = Unanswered;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, Unanswered>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.send(request))
    }
}

/// What happened, behind the name of a host. Contains no path or parameter.
fn explained(error: &reqwest::Error) -> String {
    let root = std::iter::successors(error.source(), |cause| (*cause).source()).last();
    let root = root.map(ToString::to_string).unwrap_or_default();
    match () {
        () if error.is_timeout() => format!("did not answer within {} s", TIMEOUT.as_secs()),
        () if error.is_connect() => {
            let trust = "ca_file of [admin.oidc] or the variable SSL_CERT_FILE";
            format!("cannot be connected to: {}", with_hint(&root, trust))
        }
        () => "gave no answer that can be read".to_owned(),
    }
}
