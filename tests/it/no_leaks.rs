//! Nothing of a record, a key, an index value or a password comes out where it should not: not in
//! the log, whatever its level, not in metrics, status, refusals, or what commands print.

use std::{collections::BTreeSet, net::SocketAddr};

use http_body_util::{BodyExt as _, Empty};
use hyper::{Request, body::Bytes, client::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use larder::auth::ApiKey;
use rustix::process::Signal;
use tokio::net::TcpStream;

use crate::support::{
    deployment::NodeDirectory,
    http::{Client, soon},
    postgres::{Database, Postgres},
    process::wait_until,
};

/// Stands in everything that is to stay secret, whatever else stands there.
const MARK: &str = "s3cr3t";

/// Every row that a sync meets has marks in its key, its index values and its body.
const ROWS: &str = "
    create table people (id text, email text, note text);
    insert into people values
        ('s3cr3t-key-1', 's3cr3t-1@example.com', 's3cr3t note'),
        ('s3cr3t-key-2', 's3cr3t-1@example.com', 's3cr3t note');
    create function noisy(x text) returns text language plpgsql as $$
        begin
            raise debug 'a debug line about %', x;
            raise log 'a log line about %', x;
            raise info 'an information about %', x;
            raise notice 'a notice about %', x;
            raise warning 'a warning about %', x;
            return x;
        end $$;
    create function failing(x text) returns text language plpgsql as $$
        begin raise exception 'failed on %', x using detail = 's3cr3t', hint = 's3cr3t'; end $$;
";

/// Syncs by name: source, query, fields, and the code or status that its run ends with.
const SYNCS: [(&str, &str, &str, &str, &str); 12] = [
    ("good", "warehouse", "select * from people", "", "announced"),
    ("noisy", "warehouse", "select noisy(id) as id, email from people", "", "announced"),
    ("wrong_type", "warehouse", "select id, email::integer as email from people", "", "source_query_failed"),
    ("raised", "warehouse", "select failing(id) as id, email from people", "", "source_query_failed"),
    (
        "divided",
        "warehouse",
        "select id, email, length(note) / 0 as x from people",
        "",
        "source_query_failed",
    ),
    ("twins", "warehouse", "select 's3cr3t-twin' as id, email from people", "", "announced"),
    (
        "template",
        "warehouse",
        "select * from people",
        "id = 'id'\nx = { liquid = '{{ note | divided_by: 0 }}' }\n",
        "announced",
    ),
    (
        "number",
        "warehouse",
        "select * from people",
        "id = 'id'\nx = { liquid = '{{ note }}', as = 'number' }\n",
        "announced",
    ),
    (
        "no_json",
        "warehouse",
        r#"select id, email, '{"s3cr3t":"\\u0000"}'::json as x from people"#,
        "",
        "announced",
    ),
    (
        "long_key",
        "warehouse",
        "select id || repeat('s3cr3t', 1000) as id, email from people",
        "",
        "announced",
    ),
    ("wrong_password", "locked", "select * from people", "", "source_wrong_password"),
    ("file", "file", "select id, email, json(note) as x from people", "", "source_query_failed"),
];

fn sections(database: &Database) -> String {
    let mut text = format!(
        "[sources.locked]\ntype = \"postgres\"\nurl = \"{}\"\n[sources.file]\ntype = \"sqlite\"\npath = \"warehouse.db\"\n",
        database.url_of("locked:s3cr3t-password")
    );
    for (name, source, query, fields, _) in SYNCS {
        let source = if source == "warehouse" { "postgres" } else { source };
        text += &format!(
            "[models.{name}]\nsource = \"{source}\"\nsql = '''{query}'''\nprimary_key = \"id\"\n\
             [syncs.{name}]\nmodel = \"{name}\"\nschedule = \"every 1h\"\nmax_rejected = \"100%\"\n\
             [syncs.{name}.indexes]\nid = \"id\"\nemail = {{ column = \"email\", normalize = \"lowercase\" }}\n"
        );
        if !fields.is_empty() {
            text += &format!("[syncs.{name}.fields]\n{fields}");
        }
    }
    let url = database.url_of("postgres:s3cr3t-password");
    text + &format!("[sources.postgres]\ntype = \"postgres\"\nurl = \"{url}\"\n")
}

/// What was said to somebody, and by whom.
#[derive(Default)]
struct Said(Vec<(String, String)>);

impl Said {
    fn add(&mut self, by: &str, what: impl Into<String>) {
        self.0.push((by.to_owned(), what.into()));
    }

    /// Fails when anything holds `secret`; shows the node.
    fn never(&self, secret: &str) {
        for (by, text) in &self.0 {
            let lower = text.to_lowercase();
            if let Some(at) = lower.find(&secret.to_lowercase()) {
                let (from, to) = (at.saturating_sub(300), (at + 200).min(lower.len()));
                panic!("{by} holds {secret:?}: …{}…", String::from_utf8_lossy(&lower.as_bytes()[from..to]));
            }
        }
    }
}

async fn get(address: SocketAddr, target: &str) -> String {
    let mut client = Client::connect(address).await;
    let answer = client.ask("GET", target, "").await;
    assert_eq!(answer.status, 200, "{target}");
    answer.text().to_owned()
}

/// A request over HTTP/2, whose library logs headers when it is let.
async fn ask_http2(address: SocketAddr, target: &str, key: &str) -> u16 {
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut sender, connection) =
        http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    let connection = tokio::spawn(connection);
    let request = Request::get(format!("http://{address}{target}"))
        .header("authorization", format!("Bearer {key}"))
        .header("cookie", "id=s3cr3t")
        .body(Empty::<Bytes>::new())
        .unwrap();
    let answer = soon("answer", sender.send_request(request)).await.unwrap();
    let status = answer.status().as_u16();
    answer.into_body().collect().await.unwrap();
    drop(sender);
    connection.abort();
    status
}

/// Hits, misses and every refusal, with marks in paths, parameters, headers and credentials.
async fn ask_everything(address: SocketAddr, key: &str, unknown: &str, narrow: &str, said: &mut Said) {
    let bearer = |key: &str| format!("Authorization: Bearer {key}\r\n");
    let own = bearer(key);
    let hit = "/v1/collections/good/records/id/s3cr3t-key-1";
    let mut codes = BTreeSet::new();
    for (target, headers) in [
        ("/v1/collections/good/records/id/s3cr3t-nobody", own.clone()),
        ("/v1/collections/good/records/s3cr3t/1", own.clone()),
        ("/v1/collections/s3cr3t/records/id/1", own.clone()),
        ("/v1/collections/s3cr3t/records/id/1", bearer(narrow)),
        ("/v1/collections/good/records/id/%zzs3cr3t", own.clone()),
        ("/v1/collections/good/records/id/s3cr3t%FF", own.clone()),
        ("/s3cr3t/path?s3cr3t=s3cr3t", own.clone()),
        (hit, String::new()),
        (hit, bearer(unknown)),
        (hit, bearer("s3cr3t")),
        (hit, "Authorization: Basic czNjcjN0OnMzY3IzdA==\r\n".to_owned()),
        (hit, "X-Api-Key: s3cr3t\r\nX-Request-Id: s3cr3t with blanks\r\n".to_owned()),
        (hit, format!("X-Large: s3cr3t{}\r\n", "x".repeat(40_000))),
        (&format!("{hit}?{}", "s3cr3t".repeat(2000)), own.clone()),
    ] {
        let mut client = Client::connect(address).await;
        let answer = client.ask("GET", target, &headers).await;
        codes.insert(answer.code());
        said.add("a refusal", answer.text());
        said.add("the headers of a refusal", format!("{:?}", answer.headers));
    }
    assert_eq!(codes.len(), 11, "{codes:?}");
    let mut client = Client::connect(address).await;
    let answer = client.ask("S3CR3T", hit, &own).await;
    assert_eq!(answer.code(), "method_not_allowed");
    said.add("a refusal", answer.text());
    let marked =
        "Cookie: s3cr3t=s3cr3t\r\nUser-Agent: s3cr3t\r\nIf-None-Match: \"s3cr3t\"\r\nReferer: s3cr3t\r\n";
    let answer = client.ask("GET", format!("{hit}?s3cr3t=s3cr3t"), &format!("{own}{marked}")).await;
    assert!(answer.status == 200 && answer.text().contains(MARK), "{answer:?}");
    said.add("the headers of a hit", format!("{:?}", answer.headers));
    let mut client = Client::connect(address).await;
    client.send("GET /s3cr3t HTTP/1.1\r\ns3cr3t s3cr3t\r\n\r\n").await;
    client.ended().await;
    assert_eq!(ask_http2(address, hit, key).await, 200);
    assert_eq!(ask_http2(address, "/v1/collections/good/records/id/s3cr3t-nobody", key).await, 404);
}

async fn nothing_leaks(format: &str) {
    let database = Postgres::database().await;
    database.execute(ROWS).await;
    let node = NodeDirectory::new(
        "create table people (id, email, note); insert into people values ('s3cr3t-key', 's3cr3t', '{s3cr3t');",
        &sections(&database),
    )
    .await;
    let variables = [("LARDER_LOG", "trace"), ("LARDER_LOG_FORMAT", format)];
    let mut said = Said::default();
    let mut server = node.spawn_with(&["serve"], &variables);
    let (address, admin) = (server.listening().await, server.admin().await);
    let create = |grant: &[&str]| {
        let arguments = [&["keys", "create", "--name", "test"][..], grant].concat();
        node.run_with(&arguments, &variables).expect(0).stdout.trim().to_owned()
    };
    let (key, narrow) = (create(&["--all-collections"]), create(&["--collection", "noisy"]));
    let unknown = ApiKey::generate().expose().to_owned();

    // Every sync has run, and the good one is served to both keys.
    wait_until("ends of all runs", async || {
        let metrics = get(admin, "/metrics").await;
        let has_run = |name: &str| {
            let counter = format!("larder_sync_runs_total{{sync=\"{name}\"");
            metrics.lines().any(|line| line.starts_with(&counter) && !line.ends_with(" 0"))
        };
        let serves = metrics.contains("larder_collection_loaded{collection=\"good\"} 1");
        SYNCS.iter().all(|sync| has_run(sync.0)) && serves && metrics.contains("\nlarder_keys 2\n")
    })
    .await;
    ask_everything(address, &key, &unknown, &narrow, &mut said).await;
    said.add("/metrics", get(admin, "/metrics").await);
    said.add("/status", server.ask_admin("/status").await.text().to_owned());
    said.add("/admin/v1/runs", server.ask_admin("/admin/v1/runs").await.text().to_owned());

    for (name, .., end) in SYNCS {
        let runs = node.run(&["runs", name, "--json"]).expect(0);
        let last = &runs.json()[0];
        let code = last["error"]["code"].as_str().or(last["status"].as_str()).unwrap();
        assert_eq!(code, end, "{name}: {last}");
        said.add("larder runs", runs.stdout);
        let sync = node.run_with(&["sync", name], &variables);
        assert_eq!(sync.code == Some(0), end == "announced", "{name}: {sync:?}");
        said.add("larder sync", sync.stdout + &sync.stderr);
    }
    for arguments in [&["status"][..], &["keys", "list"], &["config", "print"], &["check", "--connect"]] {
        let ran = node.run_with(arguments, &variables);
        said.add(&format!("larder {arguments:?}"), ran.stdout + &ran.stderr);
    }
    server.signal(Signal::TERM);
    let ended = server.wait().await.expect(0);
    assert!(ended.stderr.contains("DEBUG") && ended.stderr.contains("answered"), "the log tells everything");
    assert!(ended.stderr.contains("source_wrong_password") && ended.stderr.lines().count() > 100);
    if format == "json" {
        let first =
            ended.stderr.lines().find(|line| serde_json::from_str::<serde_json::Value>(line).is_err());
        assert_eq!(first, None, "every line is JSON");
    }
    said.add("the log", ended.stdout + &ended.stderr);
    // The configuration's own texts are shown by `config print`, whose password is masked.
    said.0.retain(|(by, _)| !by.contains("\"print\""));
    said.never(MARK);
    for key in [&key, &narrow, &unknown] {
        said.never(&key[17..]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_leaks_into_a_log_of_text() {
    nothing_leaks("text").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_leaks_into_a_log_of_json() {
    nothing_leaks("json").await;
}
