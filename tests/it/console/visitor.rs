//! A browser as far as HTTP goes: it keeps the cookie that it gets, and says whose page it sends from.

use std::net::SocketAddr;

use crate::support::{
    http::{Answer, Client},
    node::{Node, encoded},
};

/// One browser at one listener.
pub(crate) struct Visitor {
    address: SocketAddr,
    /// The cookie, as a browser sends it.
    pub(crate) cookie: Option<String>,
    /// The value of the cookie of a sign-in that waits for the identity provider.
    pub(crate) pending: Option<String>,
}

/// What a browser adds to a form of a page of the listener.
pub(crate) const OWN_PAGE: &str = "Sec-Fetch-Site: same-origin\r\n";

impl Visitor {
    pub(crate) fn at(address: SocketAddr) -> Self {
        Self { address, cookie: None, pending: None }
    }

    pub(crate) fn of(node: &Node) -> Self {
        Self::at(node.server().admin_address())
    }

    /// Sends a request with extra header lines, and keeps or forgets the cookie as the answer says.
    pub(crate) async fn send(&mut self, method: &str, target: &str, lines: &str, body: &str) -> Answer {
        let mut client = Client::connect(self.address).await;
        let pending = self.pending.as_ref().map(|pending| format!("larder-sign-in={pending}"));
        let cookies: Vec<String> = self.cookie.iter().cloned().chain(pending).collect();
        let cookie =
            if cookies.is_empty() { String::new() } else { format!("Cookie: {}\r\n", cookies.join("; ")) };
        let length =
            if method == "GET" { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
        let head = format!(
            "{method} {target} HTTP/1.1\r\nHost: {}\r\n{cookie}{length}{lines}\r\n{body}",
            self.address
        );
        client.send(head).await;
        let answer = client.answer().await;
        for (_, value) in answer.headers.iter().filter(|(name, _)| name == "set-cookie") {
            let (cookie, attributes) = value.split_once(';').unwrap();
            let is_pending = cookie.contains("larder-sign-in=");
            // The identity provider is another site, and sends the browser back.
            let same_site = if is_pending { "Lax" } else { "Strict" };
            assert!(attributes.contains(&format!("HttpOnly; SameSite={same_site}")), "{value}");
            // On loopback, the other name is that of a cookie that a browser does not have.
            if let Some(value) = cookie.strip_prefix("larder-sign-in=") {
                self.pending = (!attributes.contains("Max-Age=0;")).then(|| value.to_owned());
            }
            if cookie.starts_with("larder=") {
                self.cookie = (!attributes.contains("Max-Age=0;")).then(|| cookie.to_owned());
            }
        }
        answer
    }

    pub(crate) async fn get(&mut self, target: &str) -> Answer {
        self.send("GET", target, "", "").await
    }

    /// Sends a form of a page of the listener.
    pub(crate) async fn post(&mut self, target: &str, fields: &[(&str, &str)]) -> Answer {
        let body: Vec<String> =
            fields.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
        let lines = format!("{OWN_PAGE}Content-Type: application/x-www-form-urlencoded\r\n");
        self.send("POST", target, &lines, &body.join("&")).await
    }

    /// Signs in with an admin key.
    pub(crate) async fn sign_in(&mut self, key: &str) -> Answer {
        self.post("/console/sign-in", &[("key", key)]).await
    }

    /// Whether the session works: the first page is shown, or leads to the page that signs in.
    pub(crate) async fn is_signed_in(&mut self) -> bool {
        let answer = self.get("/console").await;
        match answer.status {
            200 => true,
            303 => {
                assert_eq!(answer.header("location"), Some("/console/sign-in?next=%2Fconsole"));
                false
            }
            _ => panic!("{answer:?}"),
        }
    }
}
