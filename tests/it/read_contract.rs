//! The read contract, row by row, over real sockets.

use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::TimeDelta;
use larder::{
    auth::ApiKey,
    domain::{
        keyset::KeySet,
        limits::RECORD_BYTES_MAX,
        manifest::{OnMiss, ServingSettings},
    },
};

use crate::support::{
    http::{Answer, Client},
    read_server::{FINGERPRINT, Server, bearer, now, partner_record},
};

const RECORD: &str = "/v1/collections/customer/records/id/12345";
const JSON: Option<&str> = Some("application/json; charset=utf-8");

fn etag() -> String {
    format!("\"{FINGERPRINT:032x}\"")
}

fn assert_hit(answer: &Answer) {
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.header("content-type"), JSON);
    assert_eq!(answer.header("content-length"), Some(partner_record().len().to_string().as_str()));
    assert_eq!(answer.header("etag"), Some(etag().as_str()));
    assert_eq!(answer.header("cache-control"), Some("private, no-store"));
    assert_eq!(answer.header("x-data-version"), Some("7"));
    assert_eq!(answer.header("x-data-as-of"), Some("2026-11-23T10:20:30.500Z"));
    assert!(answer.header("x-request-id").is_some());
}

#[tokio::test]
async fn a_hit_is_the_record_itself_with_its_headers() {
    let server = Server::start();
    let mut client = Client::connect(server.public).await;
    let answer = client.ask("GET", RECORD, &server.bearer()).await;
    assert_hit(&answer);
    assert_eq!(answer.text(), partner_record());
    for target in [
        format!("{RECORD}/"),
        format!("{RECORD}?a=1&b=%zz&other"),
        format!("http://other.example{RECORD}"),
        "/v1/collections/customer/records/id/+0012345".to_owned(),
        "/v1/collections/%63ustomer/records/i%64/1234%35".to_owned(),
    ] {
        assert_eq!(client.ask("GET", &target, &server.bearer()).await.text(), partner_record(), "{target}");
    }
    for target in ["email/jane+tag@ex.com", "email/jane%2Btag%40ex.com", "email/jane%2btag@ex.com/"] {
        let target = format!("/v1/collections/customer/records/{target}");
        assert_eq!(client.ask("GET", &target, &server.bearer()).await.text(), r#"{"a":1}"#, "{target}");
    }
}

#[tokio::test]
async fn what_braze_sends_is_accepted() {
    let server = Server::start();
    let mut client = Client::connect(server.public).await;
    let extra = format!(
        "{}User-Agent: Braze Sender 0f\r\nX-Braze-Sender-Version: 1\r\nAccept-Encoding: gzip\r\n\
         Content-Type: application/json\r\nAccept: text/html\r\nX-Anything: 1\r\n",
        server.bearer()
    );
    let answer = client.ask("GET", RECORD, &extra).await;
    assert_hit(&answer);
    assert_eq!(answer.header("content-encoding"), None);
}

#[tokio::test]
async fn head_is_get_without_a_body() {
    let server = Server::start();
    let mut client = Client::connect(server.public).await;
    for (target, status) in
        [(RECORD, 200), ("/v1/collections/customer/records/id/0", 404), ("/nowhere", 404), ("/livez", 200)]
    {
        let extra = format!("{}X-Request-Id: same\r\n", server.bearer());
        let get = client.ask("GET", target, &extra).await;
        let head = client.ask("HEAD", target, &extra).await;
        assert_eq!((head.status, get.status), (status, status));
        let without_date = |answer: &Answer| {
            let mut headers = answer.headers.clone();
            headers.retain(|(name, _)| name != "date");
            headers.sort();
            headers
        };
        assert_eq!(without_date(&head), without_date(&get), "{target}");
        assert!(client.is_quiet());
    }
}

#[tokio::test]
async fn a_known_tag_is_answered_304() {
    let server = Server::start();
    let mut client = Client::connect(server.public).await;
    for known in [etag(), "*".to_owned(), format!("\"x\", W/{}", etag())] {
        for method in ["GET", "HEAD"] {
            let extra = format!("{}If-None-Match: {known}\r\n", server.bearer());
            client.request(method, RECORD, &extra).await;
            let answer = client.head().await;
            assert_eq!(answer.status, 304, "{known}");
            assert_eq!(answer.header("etag"), Some(etag().as_str()));
            assert_eq!(answer.header("cache-control"), Some("private, no-store"));
            assert_eq!(answer.header("x-data-version"), Some("7"));
            assert_eq!(answer.header("content-type"), None);
        }
    }
    for unknown in ["\"x\"", "x", ""] {
        let extra = format!("{}If-None-Match: {unknown}\r\n", server.bearer());
        assert_hit(&client.ask("GET", RECORD, &extra).await);
    }
    let extra = format!("{}If-None-Match: *\r\n", server.bearer());
    let miss = client.ask("GET", "/v1/collections/customer/records/id/0", &extra).await;
    assert_eq!(miss.status, 404);
}

#[tokio::test]
async fn misses_are_answered_as_the_collection_says() {
    let server = Server::start();
    let serving = |on_miss| ServingSettings { on_miss, ..ServingSettings::default() };
    let default = r#"{"found":false}"#;
    server.collections.load("empty", 1, serving(OnMiss::Empty), &[]);
    server.collections.load("record", 2, serving(OnMiss::Record(default.to_owned())), &[]);
    let mut client = Client::connect(server.public).await;
    for (collection, version, status, body) in
        [("customer", "7", 404, None), ("empty", "1", 200, Some("{}")), ("record", "2", 200, Some(default))]
    {
        let target = format!("/v1/collections/{collection}/records/id/0");
        let answer = client.ask("GET", &target, &server.bearer()).await;
        assert_eq!(answer.status, status, "{collection}");
        assert_eq!(answer.header("content-type"), JSON);
        assert_eq!(answer.header("etag"), None);
        assert_eq!(answer.header("x-data-version"), Some(version));
        assert_eq!(answer.header("x-data-as-of"), Some("2026-11-23T10:20:30.500Z"));
        match body {
            Some(body) => assert_eq!(answer.text(), body),
            None => assert_eq!(answer.code(), "record_not_found"),
        }
        // Neither an unknown index nor a value left blank obeys `on_miss`.
        let target = format!("/v1/collections/{collection}/records/phone/0");
        let answer = client.ask("GET", &target, &server.bearer()).await;
        assert_eq!((answer.status, answer.code().as_str()), (404, "index_not_found"));
        for blank in ["id/", "id//"] {
            let target = format!("/v1/collections/{collection}/records/{blank}");
            let answer = client.ask("GET", &target, &server.bearer()).await;
            assert_eq!((answer.status, answer.code().as_str()), (404, "record_not_found"));
        }
    }
}

#[tokio::test]
async fn a_configured_cache_control_and_a_new_version_are_shown() {
    let server = Server::start();
    let mut client = Client::connect(server.public).await;
    assert_hit(&client.ask("GET", RECORD, &server.bearer()).await);
    let cache_control = Some("public, max-age=60".to_owned());
    let serving = ServingSettings { cache_control, ..ServingSettings::default() };
    server.collections.load("customer", 8, serving, &[("12345", None, "{}")]);
    let answer = client.ask("GET", RECORD, &server.bearer()).await;
    assert_eq!(answer.header("cache-control"), Some("public, max-age=60"));
    assert_eq!(answer.header("x-data-version"), Some("8"));
    let miss = client.ask("GET", "/v1/collections/customer/records/id/0", &server.bearer()).await;
    assert_eq!(miss.header("cache-control"), Some("private, no-store"), "a refusal is never kept");
}

#[tokio::test]
async fn collections_that_cannot_answer_say_why() {
    let server = Server::start();
    let mut client = Client::connect(server.public).await;
    for (collection, code) in [
        ("later", "collection_loading"),
        ("abroad", "collection_in_other_region"),
        ("ghost", "collection_not_found"),
        ("%2e%2e", "collection_not_found"),
    ] {
        let target = format!("/v1/collections/{collection}/records/id/1");
        let answer = client.ask("GET", &target, &server.bearer()).await;
        assert_eq!((answer.status, answer.code().as_str()), (404, code));
        assert_eq!(answer.header("x-data-version"), None);
        assert_eq!(answer.text().contains("eu-west-1, ap-south-1"), collection == "abroad");
    }
}

#[tokio::test]
async fn a_key_learns_nothing_about_collections_it_does_not_open() {
    let server = Server::start();
    let mut client = Client::connect(server.public).await;
    let extra = format!("{}X-Request-Id: same\r\n", bearer(&server.scoped));
    assert_eq!(client.ask("GET", RECORD, &extra).await.status, 200);
    let mut answers = Vec::new();
    // Not granted and loading, not granted and absent, granted and absent.
    for collection in ["later", "nothing", "ghost"] {
        let target = format!("/v1/collections/{collection}/records/id/1");
        let answer = client.ask("GET", &target, &extra).await;
        assert_eq!((answer.status, answer.code().as_str()), (403, "forbidden"));
        answers.push(answer.body);
    }
    assert!(answers.iter().all(|body| *body == answers[0]));
    server.collections.remove("customer");
    assert_eq!(client.ask("GET", RECORD, &extra).await.status, 403);
}

#[tokio::test]
async fn credentials_are_taken_in_every_form_and_refused_with_a_reason() {
    let server = Server::start();
    let key = server.all.expose();
    let mut client = Client::connect(server.public).await;
    for form in [
        format!("Authorization: Bearer {key}"),
        format!("authorization: bearer {key}"),
        format!("Authorization: BEARER    {key}  "),
        format!("Authorization: Basic {}", STANDARD.encode(format!("braze:{key}"))),
        format!("X-Api-Key: {key}"),
        format!("X-API-KEY:{key}"),
        format!("Authorization: Bearer\r\nX-Api-Key: {key}"),
    ] {
        assert_hit(&client.ask("GET", RECORD, &format!("{form}\r\n")).await);
    }
    for (form, code) in [
        (String::new(), "key_missing"),
        ("Authorization: Bearer\r\n".to_owned(), "key_missing"),
        ("Authorization: Bearer {{key}}\r\n".to_owned(), "key_malformed"),
        (format!("Authorization: Bearer {}\r\n", &key[..65]), "key_malformed"),
        (format!("Authorization: {key}\r\n"), "key_missing"),
        ("Authorization: Digest x\r\n".to_owned(), "key_malformed"),
        (bearer(&ApiKey::generate()), "key_unknown"),
    ] {
        let answer = client.ask("GET", RECORD, &form).await;
        assert_eq!((answer.status, answer.code().as_str()), (401, code), "{form}");
        assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
    }
    assert_eq!(client.ask("GET", RECORD, &bearer(&server.short)).await.status, 200);
    server.clock.set(now() + TimeDelta::hours(1));
    assert_eq!(client.ask("GET", RECORD, &bearer(&server.short)).await.code(), "key_expired");
    server.keys.replace(&KeySet { revision: 2, ..KeySet::default() });
    assert_eq!(client.ask("GET", RECORD, &server.bearer()).await.code(), "key_unknown");
}

#[tokio::test]
async fn wrong_methods_are_405_everywhere() {
    let server = Server::start();
    for (address, targets) in [
        (server.public, &[RECORD, "/livez", "/readyz/"][..]),
        (server.admin, &["/metrics", "/admin/v1/runs", "/status/", "/livez", "/readyz/"]),
    ] {
        let mut client = Client::connect(address).await;
        for target in targets {
            let is_health = target.starts_with("/livez") || target.starts_with("/readyz");
            let allowed = if is_health { "GET, HEAD, OPTIONS" } else { "GET, HEAD" };
            for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "BREW"] {
                if is_health && method == "OPTIONS" {
                    continue;
                }
                let bearer = if address == server.admin { server.admin_bearer() } else { server.bearer() };
                let answer = client.ask(method, target, &bearer).await;
                assert_eq!((answer.status, answer.code().as_str()), (405, "method_not_allowed"));
                assert_eq!(answer.header("allow"), Some(allowed), "{method} {target}");
            }
        }
    }
}

#[tokio::test]
async fn request_ids_are_taken_when_harmless() {
    let server = Server::start();
    let mut client = Client::connect(server.public).await;
    let longest = "a".repeat(64);
    for good in ["a", "A_b-9", longest.as_str()] {
        let answer = client.ask("GET", RECORD, &format!("X-Request-Id: {good}\r\n")).await;
        assert_eq!(answer.header("x-request-id"), Some(good));
        assert_eq!(answer.code(), "key_missing");
    }
    let too_long = "a".repeat(65);
    for bad in ["", "a b", "<script>", "a\"}", too_long.as_str()] {
        for target in [RECORD, "/livez", "/nowhere"] {
            let answer = client.ask("GET", target, &format!("X-Request-Id: {bad}\r\n")).await;
            let made = answer.header("x-request-id").unwrap();
            assert!(made != bad && (18..=33).contains(&made.len()), "{made}");
        }
    }
}

#[tokio::test]
async fn a_record_that_cannot_be_read_is_one_500_and_the_connection_goes_on() {
    let server = Server::start();
    // No publisher makes a record of this size, and no node unpacks one.
    let huge = "x".repeat(RECORD_BYTES_MAX + 1);
    server.collections.load("damaged", 1, ServingSettings::default(), &[("1", None, &huge)]);
    let mut client = Client::connect(server.public).await;
    let answer = client.ask("GET", "/v1/collections/damaged/records/id/1", &server.bearer()).await;
    assert_eq!((answer.status, answer.code().as_str()), (500, "internal"));
    assert_hit(&client.ask("GET", RECORD, &server.bearer()).await);
}

#[tokio::test]
async fn metrics_count_answers_under_names_of_the_catalog_only() {
    let server = Server::start();
    let mut client = Client::connect(server.public).await;
    let mut ask = async |target: &str, extra: &str| client.ask("GET", target, extra).await.status;
    let key = server.bearer();
    for _ in 0..3 {
        ask(RECORD, &key).await;
    }
    ask(RECORD, &format!("{key}If-None-Match: *\r\n")).await;
    ask("/v1/collections/customer/records/email/nobody", &key).await;
    ask("/v1/collections/customer/records/hostile-index/1", &key).await;
    ask("/v1/collections/hostile-collection/records/id/1", &key).await;
    ask(RECORD, "Authorization: Bearer hostile-key\r\n").await;
    ask("/hostile-path", "").await;
    let mut admin = Client::connect(server.admin).await;
    let answer = admin.ask("GET", "/metrics", "").await;
    assert_eq!(answer.status, 200);
    let openmetrics = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!(answer.header("content-type"), Some(openmetrics));
    for line in [
        r#"larder_requests_total{collection="customer",index="id",status="200",code="hit"} 3"#,
        r#"larder_requests_total{collection="customer",index="id",status="304",code="not_modified"} 1"#,
        r#"larder_requests_total{collection="customer",index="email",status="404",code="record_not_found"} 1"#,
        r#"larder_requests_total{collection="customer",index="other",status="404",code="index_not_found"} 1"#,
        r#"larder_requests_total{collection="other",index="other",status="404",code="collection_not_found"} 1"#,
        r#"larder_requests_total{collection="other",index="other",status="401",code="key_malformed"} 1"#,
        r#"larder_requests_total{collection="other",index="other",status="404",code="route_not_found"} 1"#,
        r#"larder_request_duration_seconds_count{collection="customer",index="id"} 4"#,
        r#"larder_connections_open{listener="public"} 1"#,
    ] {
        assert!(answer.text().contains(line), "{line}\n{}", answer.text());
    }
    assert!(!answer.text().contains("hostile"));
    assert!(answer.text().ends_with("# EOF\n"));
}

#[tokio::test]
async fn status_is_shown_on_the_admin_listener_only() {
    let server = Server::start();
    let mut admin = Client::connect(server.admin).await;
    let answer = admin.ask("GET", "/status", &server.admin_bearer()).await;
    let status = answer.json();
    assert_eq!((&status["state"], &status["region"]), (&"ready".into(), &"local".into()), "{status}");
    assert_eq!(status["fleet"]["nodes"], serde_json::json!([]), "{status}");
    let runs = admin.ask("GET", "/admin/v1/runs", &server.admin_bearer()).await;
    assert_eq!((runs.status, runs.code().as_str()), (404, "no_metadata"), "a node that does not publish");
    for target in [RECORD, "/nowhere", "/metrics/x"] {
        assert_eq!(admin.ask("GET", target, &server.admin_bearer()).await.code(), "route_not_found");
        assert_eq!(admin.ask("GET", target, &server.bearer()).await.code(), "admin_key_unknown");
    }
}

#[tokio::test]
async fn a_configured_limit_is_a_key_s_own() {
    let server = Server::with_rate(1);
    let mut client = Client::connect(server.public).await;
    // As many as a slow machine needs for two of them within a second.
    let mut refused = None;
    for _ in 0..1000 {
        let answer = client.ask("GET", RECORD, &server.bearer()).await;
        if answer.status != 200 {
            refused = Some(answer);
            break;
        }
    }
    let refused = refused.expect("more than one a second were asked");
    assert_eq!((refused.status, refused.code().as_str()), (429, "too_many_requests"));
    assert_eq!(refused.header("retry-after"), Some("1"));
    // Another key has its own, also when the first one has used up all of its.
    assert_hit(&client.ask("GET", RECORD, &bearer(&server.scoped)).await);
    // A refused key is not counted, and health is never limited.
    assert_eq!(client.ask("GET", RECORD, "").await.status, 401);
    assert_eq!(client.ask("GET", "/readyz", "").await.status, 200);
}
