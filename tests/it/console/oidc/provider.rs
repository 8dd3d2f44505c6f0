//! A certified identity provider, `oidc-provider`, with accounts and faults that a test changes, and a person who signs in
//! there.

use std::path::{Path, PathBuf};

use larder::auth::oidc::CALLBACK_PATH;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    admin::fixture::{Fixture, SECTIONS, with_admin_listen},
    console::visitor::Visitor,
    support::{
        http::{Answer, soon},
        node::{Node, Warehouse},
        service::{Service, installed},
        tls::tls_before,
    },
};

/// The secret of the client, as `provider.mjs` has it.
pub(super) const SECRET: &str = "a secret of the client with enough characters";

/// A provider. It ends with the value.
pub(super) struct Provider {
    service: Option<Service>,
    pub(super) issuer: String,
    state: Value,
    directory: TempDir,
    authority: Option<PathBuf>,
}

impl Provider {
    /// On loopback, with people in all groups, one and none.
    pub(super) async fn start() -> Self {
        let directory = TempDir::new().unwrap();
        let state = json!({ "key": 1, "inToken": true, "accounts": {
            "vera": { "email": "vera@example.com", "email_verified": true, "groups": ["larder viewers"] },
            "otto": { "email": "otto@example.com", "groups": ["larder viewers", "larder operators", "others"] },
            "ada": { "preferred_username": "ada", "groups": ["larder admins", "larder viewers"] },
            "nobody": { "email": "nobody@example.com", "groups": ["others"] },
            "no groups": { "email": "none@example.com" },
        } });
        let mut provider = Self { service: None, issuer: String::new(), state, directory, authority: None };
        provider.run().await;
        provider
    }

    /// The same over TLS, with a certificate of its own.
    pub(super) async fn with_tls() -> Self {
        let mut provider = Self::start().await;
        let authority = provider.directory.path().join("authority.pem");
        let target = provider.service.as_ref().unwrap().address;
        let address = tls_before(target, "localhost", &authority).await;
        provider.authority = Some(authority);
        provider.issuer = format!("https://localhost:{}", address.port());
        provider.set("issuer", provider.issuer.clone().into());
        provider
    }

    /// The same, with an authority that nodes do not know.
    pub(super) fn without_authority(self) -> Self {
        Self { authority: None, ..self }
    }

    async fn run(&mut self) {
        let (script, state) = (
            Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/console/oidc/provider.mjs"),
            self.state_file(),
        );
        let modules = installed("oidc/node_modules");
        // Its state is read at the first request, which is after its address is known.
        let service = Service::start(Path::new("node"), |address| {
            let port = address.port().to_string();
            let paths = [&script, &modules].map(|path| path.to_str().unwrap().to_owned());
            let [script, modules] = paths;
            vec![script, modules, port, state.to_str().unwrap().to_owned()]
        });
        let service = service.await;
        // Another site than that of the node, which is at 127.0.0.1.
        self.issuer = format!("http://localhost:{}", service.address.port());
        self.service = Some(service);
        self.set("issuer", self.issuer.clone().into());
    }

    fn state_file(&self) -> PathBuf {
        self.directory.path().join("state.json")
    }

    /// Changes what the provider does.
    pub(super) fn set(&mut self, key: &str, value: Value) {
        self.state[key] = value;
        let new = self.directory.path().join("new.json");
        std::fs::write(&new, self.state.to_string()).unwrap();
        std::fs::rename(new, self.state_file()).unwrap();
    }

    /// Changes a claim of an account.
    pub(super) fn set_claim(&mut self, account: &str, claim: &str, value: Value) {
        let mut accounts = self.state["accounts"].clone();
        accounts[account][claim] = value;
        self.set("accounts", accounts);
    }

    /// Ends it.
    pub(super) fn stop(&mut self) {
        self.service = None;
    }

    /// `[admin.oidc]` for a console at `url`, with further lines.
    pub(super) fn section(&self, url: &str, lines: &str) -> String {
        let authority = self.authority.as_ref();
        let authority =
            authority.map(|path| format!("ca_file = \"{}\"\n", path.display())).unwrap_or_default();
        format!(
            "[admin.oidc]\nissuer = \"{}\"\nurl = \"{url}\"\nclient_id = \"larder\"\nclient_secret = \"{SECRET}\"\n{authority}{lines}\
             [admin.oidc.roles]\n\"larder viewers\" = \"viewer\"\n\"larder operators\" = \"operator\"\n\
             \"larder admins\" = \"admin\"\n",
            self.issuer
        )
    }

    /// A node whose console is at a free port of 127.0.0.1, with further lines of `[admin.oidc]`.
    pub(super) async fn world_with(&self, server: &str, lines: &str) -> Fixture {
        let directory = TempDir::new().unwrap();
        let warehouse = Warehouse::sqlite(directory.path());
        warehouse.execute("create table people (id integer primary key, name text)").await;
        let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let sections = format!("{SECTIONS}{}", self.section(&format!("http://{address}"), lines));
        let node = Node::start(directory, warehouse, &sections).await;
        let listen = format!("admin_listen = \"{address}\"\n{server}");
        Fixture::of(with_admin_listen(node, &listen).await).await
    }

    pub(super) async fn fixture(&self) -> Fixture {
        self.world_with("", "").await
    }
}

/// A browser that may be signed in at the provider.
pub(super) struct Person {
    client: reqwest::Client,
    cookies: Vec<(String, String)>,
}

impl Person {
    pub(super) fn new() -> Self {
        let client = reqwest::Client::builder().redirect(reqwest::redirect::Policy::none());
        // Whether the node trusts the provider is what tests are about.
        let client = client.tls_danger_accept_invalid_certs(true).build().unwrap();
        Self { client, cookies: Vec::new() }
    }

    async fn send(&mut self, request: reqwest::RequestBuilder) -> reqwest::Response {
        let cookies: Vec<String> =
            self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let answer = soon("an answer", request.header("cookie", cookies.join("; ")).send()).await.unwrap();
        for cookie in answer.headers().get_all("set-cookie") {
            let (cookie, _) = cookie.to_str().unwrap().split_once(';').unwrap();
            let (name, value) = cookie.split_once('=').unwrap();
            self.cookies.retain(|(known, _)| known != name);
            if !value.is_empty() {
                self.cookies.push((name.to_owned(), value.to_owned()));
            }
        }
        answer
    }

    /// Opens `url` at the provider, signs in as `account` if the provider asks, and returns the address that it sends the
    /// browser back to: path and query.
    pub(super) async fn sign_in(&mut self, url: &str, account: &str) -> String {
        let mut url = reqwest::Url::parse(url).unwrap();
        loop {
            let request = if url.path().starts_with("/interaction/") {
                let (body, form) = (format!("login={account}"), "application/x-www-form-urlencoded");
                self.client.post(url.clone()).header("content-type", form).body(body)
            } else {
                self.client.get(url.clone())
            };
            let answer = self.send(request).await;
            let status = answer.status().as_u16();
            let Some(location) = answer.headers().get("location") else {
                panic!("{url}: {status} {}", answer.text().await.unwrap());
            };
            url = url.join(location.to_str().unwrap()).unwrap();
            if url.path() == CALLBACK_PATH {
                return format!("{}?{}", url.path(), url.query().unwrap());
            }
        }
    }
}

impl Person {
    /// Whether the provider asks at `url` who the person is.
    pub(super) async fn is_asked(&mut self, url: &str) -> bool {
        let answer = self.send(self.client.get(url)).await;
        let location = answer.headers().get("location").map(|location| location.to_str().unwrap().to_owned());
        location.unwrap_or_else(|| panic!("{}", answer.status())).contains("/interaction/")
    }

    /// Opens `url` at the provider, confirms that the session there ends, and returns where the provider leads to.
    pub(super) async fn sign_out(&mut self, url: &str) -> String {
        let answer = self.send(self.client.get(url)).await;
        let (status, page) = (answer.status(), answer.text().await.unwrap());
        let within = |before: &str| page.split(before).nth(1)?.split('"').next().map(str::to_owned);
        let (Some(action), Some(token)) = (within("action=\""), within("name=\"xsrf\" value=\"")) else {
            panic!("{status} {page}");
        };
        let request = self.client.post(action).header("content-type", "application/x-www-form-urlencoded");
        let answer = self.send(request.body(format!("xsrf={token}&logout=yes"))).await;
        answer
            .headers()
            .get("location")
            .map(|location| location.to_str().unwrap().to_owned())
            .unwrap_or_default()
    }
}

/// Follows the link of the page that signs in; the provider's address, to which it leads.
pub(super) async fn begin(visitor: &mut Visitor, next: &str) -> String {
    let page = visitor.get(&format!("/console/sign-in?next={next}")).await;
    let link = page.text().split("class=\"button\" href=\"").nth(1).unwrap_or_else(|| panic!("{page:?}"));
    let link = reqwest::Url::parse(&link.split('"').next().unwrap().replace("&amp;", "&")).unwrap();
    let query = link.query().map(|query| format!("?{query}")).unwrap_or_default();
    let sent = visitor.get(&format!("{}{query}", link.path())).await;
    assert_eq!(sent.status, 303, "{sent:?}");
    sent.header("location").unwrap().to_owned()
}

/// Signs a browser in as `account`: what the node answers in the end.
pub(super) async fn sign_in(visitor: &mut Visitor, account: &str) -> Answer {
    let url = begin(visitor, "%2Fconsole%2Fsyncs").await;
    let back = Person::new().sign_in(&url, account).await;
    visitor.get(&back).await
}
