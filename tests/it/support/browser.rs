//! A real browser: Chromium without a window, driven by chromedriver (W3C `WebDriver`). One driver per test process,
//! which ends with it; one browser with a profile of its own per [`Browser`], which ends with that.
//!
//! `scripts/test.sh` installs Debian's `chromium` and `chromium-driver`.

use std::{
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::Path,
};

use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::OnceCell;

use super::{
    http::{Answer, Client, DEADLINE},
    service::Service,
};

/// Where Debian installs them.
const BROWSER: &str = "/usr/bin/chromium";
const DRIVER: &str = "/usr/bin/chromedriver";

/// What makes Chromium run in a container, as root, without requests of its own, and end when its driver is killed: the
/// pipe between them closes.
const ARGUMENTS: [&str; 8] = [
    "--headless=new",
    "--no-sandbox",
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--remote-debugging-pipe",
];

/// Keys without a character, as `WebDriver` writes them.
pub(crate) const TAB: char = '\u{e004}';
pub(crate) const ENTER: char = '\u{e007}';
const CONTROL: char = '\u{e009}';
pub(crate) const ARROW_DOWN: char = '\u{e015}';

static SERVER: OnceCell<Service> = OnceCell::const_new();

async fn start_driver() -> Service {
    for program in [BROWSER, DRIVER] {
        assert!(Path::new(program).exists(), "{program} is missing; scripts/test.sh installs it");
    }
    let arguments = |address: SocketAddr| vec![format!("--port={}", address.port())];
    Service::start(Path::new(DRIVER), arguments).await
}

/// A browser with one page.
pub(crate) struct Browser {
    driver: SocketAddr,
    /// `/session/ID`.
    session: String,
    /// Outlives the browser, which ends when this value is dropped.
    _profile: TempDir,
}

impl Browser {
    pub(crate) async fn start() -> Self {
        let driver = SERVER.get_or_init(start_driver).await.address;
        let profile = TempDir::new().unwrap();
        let mut arguments = ARGUMENTS.map(str::to_owned).to_vec();
        arguments.push(format!("--user-data-dir={}", profile.path().display()));
        let deadline_ms = DEADLINE.as_millis() as u64;
        let wanted = json!({
            "browserName": "chrome",
            "timeouts": {"script": deadline_ms, "pageLoad": deadline_ms},
            "goog:chromeOptions": {"binary": BROWSER, "args": arguments},
        });
        let body = json!({"capabilities": {"alwaysMatch": wanted}});
        let session = command(driver, "POST", "/session", &body).await;
        let session = format!("/session/{}", session["sessionId"].as_str().unwrap());
        Self { driver, session, _profile: profile }
    }

    /// Opens a page and waits until it is loaded.
    pub(crate) async fn open(&self, url: &str) {
        self.command("POST", "url", &json!({ "url": url })).await;
    }

    /// Runs the body of an async function in the page, with `argument` as its argument. Returns what it returns, or the
    /// text of its exception.
    pub(crate) async fn run(&self, function_body: &str, argument: Value) -> Result<Value, String> {
        let script = format!(
            "const [argument, done] = arguments; (async () => {{ {function_body} }})()\
             .then(value => done({{ value }}), error => done({{ error: String(error) }}));"
        );
        let body = json!({ "script": script, "args": [argument] });
        let result = self.command("POST", "execute/async", &body).await;
        match result["error"].as_str() {
            Some(error) => Err(error.to_owned()),
            None => Ok(result["value"].clone()),
        }
    }

    /// The result of the body of a function in the page, with `argument` as its argument; `None` when it fails, or while
    /// another page takes the place of this one.
    pub(crate) async fn peek(&self, function_body: &str, argument: Value) -> Option<Value> {
        let body =
            json!({ "script": format!("const [argument] = arguments; {function_body}"), "args": [argument] });
        let answer = answer(self.driver, "POST", &format!("{}/execute/sync", self.session), &body).await;
        (answer.status == 200).then(|| answer.json()["value"].clone())
    }

    /// Presses and releases the keys of `text`, one after another. Some characters stand for keys without one.
    pub(crate) async fn type_keys(&self, text: &str) {
        let press = |key: char| ["keyDown", "keyUp"].map(|kind| json!({ "type": kind, "value": key }));
        self.act(text.chars().flat_map(press).collect()).await;
    }

    /// Selects everything in the field that has the focus.
    pub(crate) async fn select_all(&self) {
        let keys = [("keyDown", CONTROL), ("keyDown", 'a'), ("keyUp", 'a'), ("keyUp", CONTROL)];
        self.act(keys.iter().map(|(kind, key)| json!({ "type": kind, "value": key })).collect()).await;
    }

    async fn act(&self, actions: Vec<Value>) {
        let keyboard = json!({ "type": "key", "id": "keyboard", "actions": actions });
        self.command("POST", "actions", &json!({ "actions": [keyboard] })).await;
    }

    /// Sends a command about the first element that `selector` finds. Clicks, too, are those of a person.
    pub(crate) async fn on_element(&self, selector: &str, command_name: &str, body: &Value) {
        let found = json!({ "using": "css selector", "value": selector });
        let found = self.command("POST", "element", &found).await;
        let id = found.as_object().and_then(|found| found.values().next()?.as_str()).unwrap();
        self.command("POST", &format!("element/{id}/{command_name}"), body).await;
    }

    /// Sends a command of the `DevTools` protocol.
    pub(crate) async fn devtools(&self, command_name: &str, parameters: &Value) -> Value {
        self.command("POST", "goog/cdp/execute", &json!({ "cmd": command_name, "params": parameters })).await
    }

    /// Shows pages at this width, whatever the window's, and in this colour scheme: `light` or `dark`.
    pub(crate) async fn show_as(&self, width: u32, colour_scheme: &str) {
        let size = json!({ "width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false });
        self.devtools("Emulation.setDeviceMetricsOverride", &size).await;
        let scheme = json!({ "features": [{ "name": "prefers-color-scheme", "value": colour_scheme }] });
        self.devtools("Emulation.setEmulatedMedia", &scheme).await;
    }

    /// The whole page as a PNG.
    pub(crate) async fn screenshot(&self) -> Vec<u8> {
        let whole = json!({ "format": "png", "captureBeyondViewport": true });
        let png = self.devtools("Page.captureScreenshot", &whole).await;
        BASE64_STANDARD.decode(png["data"].as_str().unwrap()).unwrap()
    }

    /// Sends a command of `WebDriver` to the session and returns the value of the answer.
    pub(crate) async fn command(&self, method: &str, command_name: &str, body: &Value) -> Value {
        command(self.driver, method, &format!("{}/{command_name}", self.session), body).await
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The driver answers when the browser has ended. Whatever fails here ends with the driver.
        let Ok(mut stream) = TcpStream::connect(self.driver) else { return };
        let _ = stream.set_read_timeout(Some(DEADLINE));
        let _ = stream.write_all(request(self.driver, "DELETE", &self.session, "").as_bytes());
        let _ = stream.read(&mut [0; 1024]);
    }
}

/// The driver takes requests for its own address only.
fn request(driver: SocketAddr, method: &str, path: &str, body: &str) -> String {
    let length = body.len();
    format!("{method} {path} HTTP/1.1\r\nHost: {driver}\r\nContent-Length: {length}\r\n\r\n{body}")
}

async fn answer(driver: SocketAddr, method: &str, path: &str, body: &Value) -> Answer {
    let mut client = Client::connect(driver).await;
    client.send(request(driver, method, path, &body.to_string())).await;
    client.answer().await
}

async fn command(driver: SocketAddr, method: &str, path: &str, body: &Value) -> Value {
    let answer = answer(driver, method, path, body).await;
    assert_eq!(answer.status, 200, "{method} {path}: {}", answer.text());
    answer.json()["value"].clone()
}
