//! Keys of an issuer that are fetched from a URL.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use larder::{
    auth::{
        Authenticator,
        tokens::{RefreshPace, Tokens},
    },
    support::shutdown::Shutdown,
};
use serde_json::{Value, json};
use tempfile::tempdir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use super::{
    Form, load, look_up,
    signer::{Signer, bearer, claims, config},
};
use crate::support::{http::Client, process::wait_until, read_server::Server};

const PEOPLE: (&str, &str, &str) = ("people", "id", "1");

/// An HTTP server with one answer for every path but some, and the paths of its requests.
#[derive(Clone)]
pub(super) struct KeyServer {
    pub(super) address: SocketAddr,
    answer: Arc<Mutex<String>>,
    answers_at: Arc<Mutex<HashMap<String, String>>>,
    requests: Arc<Mutex<Vec<String>>>,
}

impl KeyServer {
    pub(super) async fn start(answer: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let answer = Arc::new(Mutex::new(answer));
        let server = Self { address, answer, answers_at: Arc::default(), requests: Arc::default() };
        let own = server.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                own.serve(stream).await;
            }
        });
        server
    }

    async fn serve(&self, mut stream: TcpStream) {
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            match stream.read_u8().await {
                Ok(byte) => head.push(byte),
                // A connection without a request.
                Err(_) => return,
            }
        }
        let path = String::from_utf8(head).unwrap().split(' ').nth(1).unwrap().to_owned();
        let at = self.answers_at.lock().unwrap().get(&path).cloned();
        let answer = at.unwrap_or_else(|| self.answer.lock().unwrap().clone());
        self.requests.lock().unwrap().push(path);
        // The client may go before all is sent.
        let _ = stream.write_all(answer.as_bytes()).await;
    }

    fn set(&self, answer: String) {
        *self.answer.lock().unwrap() = answer;
    }

    /// Sets the answer at one path.
    pub(super) fn set_at(&self, path: &str, answer: String) {
        self.answers_at.lock().unwrap().insert(path.to_owned(), answer);
    }

    /// The paths that were requested, in order.
    pub(super) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    fn count(&self) -> usize {
        self.requests().len()
    }
}

pub(super) fn answer(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
}

pub(super) fn set_of(keys: &[(&str, &Signer)]) -> String {
    let keys: Vec<Value> = keys
        .iter()
        .map(|(id, signer)| {
            let mut jwk = signer.jwk.clone();
            jwk["kid"] = (*id).into();
            jwk
        })
        .collect();
    answer("200 OK", &json!({ "keys": keys }).to_string())
}

/// A server whose issuer has its keys at `key_server`, which are refreshed at most so often.
struct Issuer {
    server: Server,
    stop: Shutdown,
}

impl Issuer {
    fn start(key_server: &KeyServer, interval_min: Duration) -> Self {
        let directory = tempdir().unwrap();
        let lines = format!(
            "algorithms = [\"ES256\", \"EdDSA\"]\njwks_url = \"http://{}/keys\"\nallow_private_address = true\n\
             all_collections = true\nall_records = true",
            key_server.address
        );
        let tokens = Tokens::open(&config(directory.path(), &lines).tokens).unwrap();
        let (stop, pace) = (Shutdown::new(), RefreshPace { interval_min });
        tokio::spawn(tokens.clone().refresh(0, pace, stop.clone()));
        let server = Server::with_callers(Authenticator { tokens, ..Authenticator::default() });
        load(&server);
        Self { server, stop }
    }

    async fn code(&self, token: &str) -> String {
        let mut client = Client::connect(self.server.public).await;
        let answer = look_up(&mut client, Form::Get, PEOPLE, &bearer(token)).await;
        if answer.status == 200 { "ok".to_owned() } else { answer.code() }
    }

    async fn becomes(&self, token: &str, code: &str) {
        wait_until(code, async || self.code(token).await == code).await;
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.stop.cancel();
    }
}

#[tokio::test]
async fn keys_are_fetched_replaced_and_kept_while_the_url_fails() {
    let (first, second) = (Signer::es256(), Signer::eddsa());
    let keys = KeyServer::start(set_of(&[("1", &first)])).await;
    let issuer = Issuer::start(&keys, Duration::from_millis(10));
    let (by_first, by_second) =
        (first.token_with_id("1", &claims(json!({}))), second.token_with_id("2", &claims(json!({}))));
    issuer.becomes(&by_first, "ok").await;
    assert_eq!(issuer.code(&by_second).await, "token_key_unknown");
    // A token of a new key is what makes the node fetch the set.
    keys.set(set_of(&[("1", &first), ("2", &second)]));
    issuer.becomes(&by_second, "ok").await;
    // Answers that cannot be used change nothing.
    let too_many: Vec<(&str, &Signer)> = (0..101).map(|_| ("x", &first)).collect();
    for failing in [
        answer("500 Internal Server Error", "{}"),
        "HTTP/1.1 302 Found\r\nLocation: /other\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_owned(),
        answer("200 OK", "{\"keys\":[]}"),
        answer("200 OK", "not json"),
        answer("200 OK", &json!({"keys": [{"kty": "oct", "k": "c2VjcmV0", "kid": "3"}]}).to_string()),
        answer("200 OK", &format!("{{\"keys\":[],\"x\":\"{}\"}}", "x".repeat(300 * 1024))),
        set_of(&too_many),
        "HTTP/1.1 200 OK\r\n".to_owned(),
    ] {
        keys.set(failing.clone());
        let before = keys.count();
        let unknown = first.token_with_id("3", &claims(json!({})));
        wait_until("another fetch", async || {
            assert_eq!(issuer.code(&unknown).await, "token_key_unknown");
            keys.count() >= before + 2
        })
        .await;
        assert_eq!(
            (issuer.code(&by_first).await, issuer.code(&by_second).await),
            ("ok".into(), "ok".into()),
            "{}",
            &failing[..15]
        );
    }
    // A key that is gone opens nothing, also for a token that was verified before.
    keys.set(set_of(&[("2", &second)]));
    let unknown = first.token_with_id("9", &claims(json!({})));
    wait_until("the first key's end", async || {
        assert_eq!(issuer.code(&unknown).await, "token_key_unknown");
        issuer.code(&by_first).await == "token_key_unknown"
    })
    .await;
    assert_eq!(issuer.code(&by_second).await, "ok");
}

#[tokio::test]
async fn unknown_keys_cause_one_fetch_in_an_interval() {
    let signer = Signer::es256();
    let keys = KeyServer::start(set_of(&[("1", &signer)])).await;
    let issuer = Issuer::start(&keys, Duration::from_hours(1));
    issuer.becomes(&signer.token_with_id("1", &claims(json!({}))), "ok").await;
    for number in 0..50 {
        let forged = Signer::es256().token_with_id(&format!("forged-{number}"), &claims(json!({})));
        assert_eq!(issuer.code(&forged).await, "token_key_unknown");
    }
    assert_eq!(keys.count(), 1);
}
