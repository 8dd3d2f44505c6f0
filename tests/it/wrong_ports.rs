//! Sources, metadata and the store name a port that is another service's.

use std::time::Duration;

use larder::{metadata::Metadata, support::clock::Clock};
use tempfile::TempDir;

use crate::support::{
    mysql::MySql,
    postgres::Postgres,
    process::larder,
    source::open_within,
    tls::tls_before,
    web::{WebService, json},
};

/// The ports of real services, by what they speak.
struct Ports {
    http: u16,
    tls: u16,
    postgres: u16,
    mysql: u16,
    _directory: TempDir,
    _web: WebService,
}

impl Ports {
    async fn open() -> Self {
        let directory = TempDir::new().unwrap();
        let web = WebService::start(|_| json(200, &serde_json::json!({}))).await;
        let tls = tls_before(web.address, "localhost", &directory.path().join("ca.pem")).await;
        Self {
            http: web.address.port(),
            tls: tls.port(),
            postgres: Postgres::database().await.port(),
            mysql: MySql::database().await.port(),
            _directory: directory,
            _web: web,
        }
    }
}

async fn failure(section: &str) -> (&'static str, String) {
    let error = open_within(section, "5s", "2s").check().await.unwrap_err();
    (error.code(), error.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_of_another_protocol_is_named() {
    let ports = Ports::open().await;
    let url = |scheme: &str, port: u16, rest: &str| format!("{scheme}://u:hush@127.0.0.1:{port}/d{rest}");
    for (sslmode, port, spoken) in [
        ("disable", ports.http, "speaks HTTP"),
        ("disable", ports.tls, "speaks TLS"),
        ("disable", ports.mysql, "speaks the protocol of MySQL"),
        ("require", ports.http, "speaks HTTP"),
        ("require", ports.tls, "speaks TLS"),
        ("prefer", ports.tls, "speaks TLS"),
        ("require", ports.mysql, "wrong protocol"),
    ] {
        let url = url("postgres", port, &format!("?sslmode={sslmode}"));
        let (code, text) = failure(&format!("type = \"postgres\"\nurl = \"{url}\"\n")).await;
        assert_eq!(code, "source_answer_malformed", "{url}: {text}");
        assert!(text.contains("wrong protocol on the port") && text.contains(spoken), "{url}: {text}");
        let settings = crate::support::postgres::metadata_settings(&url);
        let error = Metadata::open(&settings, Clock::default()).await.unwrap_err().to_string();
        assert!(error.contains("wrong protocol on the port") && error.contains(spoken), "{url}: {error}");
    }
    // A MySQL server speaks first, and these wait for their client.
    for port in [ports.http, ports.tls, ports.postgres] {
        let url = url("mysql", port, "?ssl-mode=DISABLED");
        let (code, text) = failure(&format!("type = \"mysql\"\nurl = \"{url}\"\n")).await;
        assert_eq!(code, "source_connect_timeout", "{text}");
        assert!(text.contains("another service's"), "{text}");
    }
    for port in [ports.http, ports.tls, ports.postgres, ports.mysql] {
        let section = format!(
            "type = \"sqlserver\"\nhost = \"127.0.0.1\"\nport = {port}\ndatabase = \"d\"\nuser = \"u\"\n\
             password = \"hush\"\nencryption = \"off\"\n"
        );
        let (code, text) = failure(&section).await;
        assert_eq!(code, "source_answer_malformed", "{port}: {text}");
        assert!(text.contains("wrong protocol on the port"), "{port}: {text}");
    }
    for (url, hint) in [
        (format!("http://127.0.0.1:{}", ports.tls), "https://"),
        (format!("https://127.0.0.1:{}", ports.http), "http://"),
    ] {
        let (_, text) = failure(&format!("type = \"clickhouse\"\nurl = \"{url}\"\nuser = \"u\"\n")).await;
        assert!(text.contains(hint), "{url}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn check_says_what_to_write_when_the_port_of_the_store_is_another_service() {
    let ports = Ports::open().await;
    for (endpoint, part) in [
        (format!("http://127.0.0.1:{}", ports.tls), "https://"),
        (format!("http://127.0.0.1:{}", ports.mysql), "another service"),
        (format!("https://127.0.0.1:{}", ports.http), "http://"),
    ] {
        let directory = TempDir::new().unwrap();
        let text = format!(
            "[node]\nregion = \"eu\"\nroles = [\"publisher\"]\n[storage]\nurl = \"s3://bucket\"\n[storage.s3]\n\
             endpoint = \"{endpoint}\"\naccess_key_id = \"a\"\nsecret_access_key = \"hush\"\n"
        );
        std::fs::write(directory.path().join("larder.toml"), text).unwrap();
        let checked = larder(directory.path(), &["check", "--connect"]).expect(1);
        let store = checked.stdout.lines().find(|line| line.contains("store: ")).unwrap_or_default();
        assert!(store.starts_with("FAIL") && store.contains(part), "{endpoint}: {checked:?}");
    }
}

/// A port that accepts and never says a word: keepalives are answered, so only a bound ends the wait.
#[tokio::test(flavor = "multi_thread")]
async fn a_silent_server_of_http_is_given_up_within_a_minute() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let _silent = tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            held.push(stream);
        }
    });
    let given_up = async |keys: &str| {
        let section = format!("type = {keys}\nurl = \"http://{address}\"\n");
        let source = open_within(&section, "10m", "5s");
        let checked = tokio::time::timeout(Duration::from_secs(70), source.check()).await;
        let error = checked.expect("an end within a minute").unwrap_err();
        assert_eq!(error.code(), "source_connection_lost", "{keys}: {error}");
        assert!(error.to_string().contains(&address.to_string()), "{error}");
    };
    tokio::join!(
        given_up("\"clickhouse\""),
        given_up("\"trino\"\nuser = \"u\""),
        given_up("\"databricks\"\nwarehouse = \"w\"\ntoken = \"t\""),
    );
}
