//! Keys of an issuer that are fetched over https, by the real binary: its trust comes from the environment.

use std::path::Path;

use larder::support::clock::Clock;
use serde_json::json;

use super::{
    jwks::{KeyServer, answer, set_of},
    signer::{Signer, bearer, claims},
};
use crate::support::{
    deployment::NodeDirectory,
    http::Client,
    process::{Process, wait_until},
    tls::tls_before,
};

/// A key server behind TLS for `localhost`, and a node that fetches from it.
struct Fetching {
    keys: KeyServer,
    node: NodeDirectory,
}

impl Fetching {
    async fn new(answer: String) -> Self {
        let keys = KeyServer::start(answer).await;
        let node = NodeDirectory::new("create table t (id integer)", "").await;
        let port = tls_before(keys.address, "localhost", &node.path().join("ca.pem")).await.port();
        node.configure(&format!(
            "[tokens.app]\nissuer = \"https://issuer.example\"\naudience = \"larder\"\nalgorithms = [\"ES256\"]\n\
             jwks_url = \"https://localhost:{port}/keys\"\nallow_private_address = true\nall_collections = true\n\
             all_records = true\n[log]\nformat = \"json\"\n"
        ));
        Self { keys, node }
    }

    async fn serve(&self, authorities: Option<&Path>) -> Process {
        let authorities = authorities.map(|path| ("SSL_CERT_FILE", path.to_str().unwrap()));
        self.node.serve_with(authorities.as_slice()).await
    }
}

/// The code of the answer to a token of `signer`. A valid one opens a collection that does not exist.
async fn code(process: &Process, signer: &Signer) -> String {
    let at = Clock::default().now().timestamp();
    let token = signer.token_with_id("1", &claims(json!({"iat": at, "exp": at + 300})));
    let mut client = Client::connect(process.public().unwrap()).await;
    client.ask("GET", "/v1/collections/none/records/id/1", &bearer(&token)).await.code()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_are_fetched_from_a_host_whose_authority_is_trusted() {
    let signer = Signer::es256();
    let fetching = Fetching::new(set_of(&[("1", &signer)])).await;
    let authorities = fetching.node.path().join("ca.pem");
    let trusting = fetching.serve(Some(&authorities)).await;
    wait_until("the keys", async || code(&trusting, &signer).await == "collection_not_found").await;
    assert_eq!(code(&trusting, &Signer::es256()).await, "token_invalid");
    drop(trusting);

    let before = fetching.keys.requests();
    let mut other = fetching.serve(None).await;
    let failure = other.logged("cannot fetch the keys of the issuer; the present ones stay in force").await;
    let error = failure["error"].as_str().unwrap();
    assert!(error.contains("SSL_CERT_FILE") && failure["code"] == "token_keys_unavailable", "{failure}");
    assert_eq!(code(&other, &signer).await, "token_key_unknown");
    assert_eq!(fetching.keys.requests(), before, "nothing is sent to a host that is not trusted");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redirect_is_not_followed() {
    let signer = Signer::es256();
    let moved = "HTTP/1.1 302 Found\r\nLocation: /moved\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
    let fetching = Fetching::new(moved.to_owned()).await;
    fetching.keys.set_at("/moved", set_of(&[("1", &signer)]));
    let mut process = fetching.serve(Some(&fetching.node.path().join("ca.pem"))).await;
    let failure = process.logged("cannot fetch the keys of the issuer; the present ones stay in force").await;
    assert!(failure["error"].as_str().unwrap().contains("answered 302"), "{failure}");
    assert_eq!(code(&process, &signer).await, "token_key_unknown");
    assert_eq!(fetching.keys.requests(), ["/keys"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn set_that_is_too_large_is_refused_over_https() {
    let signer = Signer::es256();
    let fetching = Fetching::new(answer("200 OK", &"x".repeat(256 * 1024 + 1))).await;
    let mut process = fetching.serve(Some(&fetching.node.path().join("ca.pem"))).await;
    let failure = process.logged("cannot fetch the keys of the issuer; the present ones stay in force").await;
    assert!(failure["error"].as_str().unwrap().contains("more than 262144 bytes"), "{failure}");
    assert_eq!(code(&process, &signer).await, "token_key_unknown");
}
