//! Look-ups beyond the plain `GET`: the value in the body of a `POST`, the demand for fresh data,
//! compressed bodies.

use std::{io::Read, time::Duration};

use chrono::TimeDelta;
use larder::{
    api::ReadLimits,
    domain::manifest::{OnMiss, ServingSettings},
};

use crate::support::{
    http::{Answer, Client},
    read_server::{FINGERPRINT, READ_LIMITS, RELAXED, Server, bearer, now, partner_record},
};

const LOOKUP: &str = "/v1/collections/customer/records/id";
const RECORD: &str = "/v1/collections/customer/records/id/12345";

async fn post(client: &mut Client, target: &str, headers: &str, body: &str) -> Answer {
    client.request("POST", target, &format!("{headers}Content-Length: {}\r\n", body.len())).await;
    client.send(body).await;
    client.answer().await
}

#[tokio::test]
async fn a_value_in_the_body_finds_what_it_finds_in_the_path() {
    let server = Server::start();
    let mut client = Client::connect(server.public).await;
    let key = server.bearer();
    let json = format!("{key}Content-Type: application/json\r\n");
    let form = format!("{key}Content-Type: application/x-www-form-urlencoded\r\n");
    let by_path = client.ask("GET", RECORD, &key).await;
    for (target, headers, body) in [
        (LOOKUP, &json, r#"{"value":"12345"}"#),
        (LOOKUP, &json, r#"{"value":12345}"#),
        (LOOKUP, &form, "value=12345"),
        ("/v1/collections/customer/records/id/", &form, "value=12345"),
        (LOOKUP, &key, r#"{"value":"12345"}"#),
        (LOOKUP, &key, "value=12345"),
    ] {
        let answer = post(&mut client, target, headers, body).await;
        assert_eq!((answer.status, answer.text()), (200, partner_record().as_str()), "{body}");
        for name in ["etag", "content-type", "x-data-version", "x-data-as-of", "cache-control"] {
            assert_eq!(answer.header(name), by_path.header(name), "{name}");
        }
    }
    let email = "/v1/collections/customer/records/email";
    assert_eq!(post(&mut client, email, &json, r#"{"value":"jane+tag@ex.com"}"#).await.status, 200);
    assert_eq!(post(&mut client, email, &form, "value=jane%2Btag%40ex.com").await.status, 200);
    // A known tag changes nothing here, and a chunked body is a body.
    let known = format!("{json}If-None-Match: \"{FINGERPRINT:032x}\"\r\nTransfer-Encoding: chunked\r\n");
    client.request("POST", LOOKUP, &known).await;
    client.send("7\r\n{\"value\r\nb\r\n\":\"12345\" }\r\n0\r\n\r\n").await;
    let answer = client.answer().await;
    assert_eq!((answer.status, answer.text()), (200, partner_record().as_str()));
}

#[tokio::test]
async fn misses_and_refusals_of_a_post_are_those_of_a_get() {
    let server = Server::start();
    let empty = ServingSettings { on_miss: OnMiss::Empty, ..ServingSettings::default() };
    server.collections.load("empty", 1, empty, &[]);
    let mut client = Client::connect(server.public).await;
    let (key, scoped) = (server.bearer(), bearer(&server.scoped));
    let lookup = |collection: &str, index: &str| format!("/v1/collections/{collection}/records/{index}");
    let too_large = format!("value={}", "x".repeat(16 * 1024));
    for (target, headers, body, status, code) in [
        (lookup("customer", "id"), &key, "value=0", 404, "record_not_found"),
        (lookup("customer", "id"), &key, "value=", 404, "record_not_found"),
        (lookup("empty", "id"), &key, "value=", 404, "record_not_found"),
        (lookup("empty", "email"), &key, r#"{"value":"  "}"#, 404, "record_not_found"),
        (lookup("empty", "id?max_age=0s"), &key, "value=", 404, "record_not_found"),
        (lookup("empty", "id"), &key, r#"{"value":null}"#, 404, "record_not_found"),
        (lookup("customer", "phone"), &key, "value=0", 404, "index_not_found"),
        (lookup("later", "id"), &key, "value=0", 404, "collection_loading"),
        (lookup("nowhere", "id"), &key, "value=0", 404, "collection_not_found"),
        (lookup("later", "id"), &scoped, "value=0", 403, "forbidden"),
        (lookup("customer", "id"), &String::new(), "value=0", 401, "key_missing"),
        (lookup("customer", "%zz"), &key, "value=0", 400, "invalid_path"),
        (lookup("customer", "id"), &key, "", 400, "invalid_body"),
        (lookup("customer", "id"), &key, "{}", 400, "invalid_body"),
        (lookup("customer", "id"), &key, "value=%zz", 400, "invalid_body"),
        (lookup("customer", "id?max_age=1"), &key, "value=1", 400, "invalid_parameter"),
    ] {
        let answer = post(&mut client, &target, headers, body).await;
        assert_eq!((answer.status, answer.code().as_str()), (status, code), "{target} {body}");
    }
    let answer = post(&mut client, &lookup("empty", "id"), &key, "value=0").await;
    assert_eq!((answer.status, answer.text()), (200, "{}"));
    // The rest of a body that is too large is not awaited: the connection ends in good order.
    let answer = post(&mut client, LOOKUP, &key, &too_large).await;
    assert_eq!((answer.status, answer.code().as_str()), (413, "body_too_large"));
}

#[tokio::test]
async fn a_refusal_does_not_overtake_a_small_body() {
    let server = Server::start();
    let mut client = Client::connect(server.public).await;
    for _ in 0..3 {
        // Head and body apart, as many clients send them; the connection stays open.
        client.request("POST", LOOKUP, "Content-Length: 11\r\n").await;
        client.send("value=12345").await;
        let answer = client.answer().await;
        assert_eq!((answer.code().as_str(), answer.header("connection")), ("key_missing", None));
    }
    assert_eq!(client.ask("GET", RECORD, &server.bearer()).await.status, 200);
}

#[tokio::test]
async fn paths_say_which_methods_they_answer() {
    let server = Server::start();
    let mut client = Client::connect(server.public).await;
    for (target, method, allow) in [
        (LOOKUP, "GET", "POST"),
        (LOOKUP, "HEAD", "POST"),
        (LOOKUP, "PUT", "POST"),
        ("/v1/collections/customer/records/id/", "DELETE", "GET, HEAD, POST"),
        (RECORD, "POST", "GET, HEAD"),
    ] {
        let answer = client.ask(method, target, &server.bearer()).await;
        assert_eq!((answer.status, answer.header("allow")), (405, Some(allow)), "{method} {target}");
    }
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_awaited_for_ever() {
    let limits = ReadLimits { body_timeout: Duration::from_millis(50), ..READ_LIMITS };
    let server = Server::serving(RELAXED, limits, None);
    let mut client = Client::connect(server.public).await;
    client.request("POST", LOOKUP, &format!("{}Content-Length: 11\r\n", server.bearer())).await;
    client.send("value=").await;
    let answer = client.answer().await;
    assert_eq!((answer.status, answer.code().as_str()), (400, "body_incomplete"));
    assert_eq!(answer.header("connection"), Some("close"));
    client.closed().await;
}

#[tokio::test]
async fn a_caller_that_is_refused_need_not_send_its_body() {
    let server = Server::start();
    let mut client = Client::connect(server.public).await;
    client.request("POST", LOOKUP, "Content-Length: 1000\r\nExpect: 100-continue\r\n").await;
    let answer = client.answer().await;
    assert_eq!((answer.status, answer.code().as_str()), (401, "key_missing"));
    client.closed().await;
    let mut client = Client::connect(server.public).await;
    let headers = format!("{}Content-Length: 11\r\nExpect: 100-continue\r\n", server.bearer());
    client.request("POST", LOOKUP, &headers).await;
    assert_eq!(client.head().await.status, 100);
    client.send("value=12345").await;
    assert_eq!(client.answer().await.status, 200);
}

#[tokio::test]
async fn data_older_than_asked_is_distinguished_from_a_miss() {
    let server = Server::start();
    let empty = ServingSettings { on_miss: OnMiss::Empty, ..ServingSettings::default() };
    server.collections.load("empty", 1, empty, &[("1", None, "{\"a\":1}")]);
    let mut client = Client::connect(server.public).await;
    // The data is of `now()`; ten minutes go by.
    server.clock.set(now() + TimeDelta::minutes(10));
    let at = |collection: &str, id: &str, query: &str| {
        format!("/v1/collections/{collection}/records/id/{id}?{query}")
    };
    for (target, status, code, is_stale) in [
        (at("customer", "12345", ""), 200, "", false),
        (at("customer", "12345", "max_age=10m"), 200, "", false),
        (at("customer", "12345", "max_age=599s"), 404, "data_stale", true),
        (at("customer", "12345", "max_age=5m&on_stale=miss"), 404, "data_stale", true),
        (at("customer", "12345", "on_stale=serve&max_age=5m"), 200, "", true),
        (at("customer", "12345", "on_stale=miss"), 200, "", false),
        (at("customer", "0", "max_age=10m"), 404, "record_not_found", false),
        (at("customer", "0", "max_age=5m"), 404, "data_stale", true),
        (at("customer", "0", "max_age=5m&on_stale=serve"), 404, "record_not_found", true),
        (at("empty", "1", "max_age=5m"), 200, "", true),
        (at("customer", "12345", "max_age=5"), 400, "invalid_parameter", false),
        (at("customer", "12345", "on_stale=maybe"), 400, "invalid_parameter", false),
        (at("nowhere", "1", "max_age=5m"), 404, "collection_not_found", false),
    ] {
        let answer = client.ask("GET", &target, &server.bearer()).await;
        assert_eq!(answer.status, status, "{target}");
        if !code.is_empty() {
            assert_eq!(answer.code(), code, "{target}");
        }
        assert_eq!(answer.header("x-data-stale"), is_stale.then_some("true"), "{target}");
        let has_data = !matches!(code, "invalid_parameter" | "collection_not_found");
        assert_eq!(answer.header("x-data-as-of").is_some(), has_data, "{target}");
    }
    let stale = client.ask("GET", &at("empty", "1", "max_age=5m"), &server.bearer()).await;
    assert_eq!(stale.text(), "{}", "a stale miss obeys on_miss");
    let unknown =
        client.ask("GET", "/v1/collections/customer/records/phone/1?max_age=5m", &server.bearer()).await;
    assert_eq!(unknown.code(), "index_not_found");
    let known = format!("{}If-None-Match: *\r\n", server.bearer());
    let stale = client.ask("GET", &at("customer", "12345", "max_age=5m"), &known).await;
    assert_eq!(stale.status, 404, "what is too old is not confirmed");
}

#[tokio::test]
async fn large_bodies_are_compressed_for_those_who_ask() {
    let server = Server::start();
    let large = format!("{{\"text\":\"{}\"}}", "larder ".repeat(1000));
    let default = OnMiss::Record(large.clone());
    let serving = ServingSettings { on_miss: default, ..ServingSettings::default() };
    server.collections.load("large", 1, serving, &[("1", None, &large), ("2", None, "{\"a\":1}")]);
    let mut client = Client::connect(server.public).await;
    let plain_tag = format!("\"{FINGERPRINT:032x}\"");
    for (accepted, coding) in [
        ("", None),
        ("Accept-Encoding: gzip\r\n", Some("gzip")),
        ("Accept-Encoding: gzip, deflate, br\r\n", Some("gzip")),
        ("Accept-Encoding: br\r\n", None),
        ("Accept-Encoding: zstd\r\n", Some("zstd")),
        ("Accept-Encoding: identity, gzip;q=0\r\n", None),
        ("Accept-Encoding: identity;q=1, gzip;q=0.5\r\n", None),
        ("Accept-Encoding: gzip;level=9\r\n", Some("gzip")),
    ] {
        let headers = format!("{}{accepted}", server.bearer());
        let answer = client.ask("GET", "/v1/collections/large/records/id/1", &headers).await;
        assert_eq!(answer.header("content-encoding"), coding, "{accepted}");
        assert_eq!(answer.header("vary"), Some("Accept-Encoding"));
        assert!(decoded(&answer) == large.as_bytes(), "{accepted}");
        let tag = coding.map_or(plain_tag.clone(), |name| format!("{}-{name}\"", &plain_tag[..33]));
        assert_eq!(answer.header("etag"), Some(tag.as_str()));
        let knowing = format!("{headers}If-None-Match: {tag}\r\n");
        let known = client.ask("GET", "/v1/collections/large/records/id/1", &knowing).await;
        assert_eq!((known.status, known.header("etag")), (304, Some(tag.as_str())));
        assert_eq!((known.header("content-encoding"), known.header("vary")), (None, Some("Accept-Encoding")));
        client.request("HEAD", "/v1/collections/large/records/id/1", &headers).await;
        let head = client.head().await;
        assert_eq!(head.header("content-length"), answer.header("content-length"));
        assert_eq!(head.header("content-encoding"), coding);
        let default = client.ask("GET", "/v1/collections/large/records/id/3", &headers).await;
        assert_eq!((default.status, default.header("content-encoding")), (200, coding));
        assert!(decoded(&default) == large.as_bytes());
        let small = client.ask("GET", "/v1/collections/large/records/id/2", &headers).await;
        assert_eq!((small.header("content-encoding"), small.header("vary")), (None, None));
        assert_eq!(small.text(), "{\"a\":1}");
    }
}

pub(crate) fn decoded(answer: &Answer) -> Vec<u8> {
    let mut plain = Vec::new();
    match answer.header("content-encoding") {
        None => plain.clone_from(&answer.body),
        Some("gzip") => _ = flate2::read::GzDecoder::new(&*answer.body).read_to_end(&mut plain).unwrap(),
        Some("zstd") => plain = zstd::stream::decode_all(&*answer.body).unwrap(),
        Some(other) => panic!("{other}"),
    }
    plain
}

#[tokio::test]
async fn two_credentials_of_one_kind_are_none() {
    let server = Server::start();
    let mut client = Client::connect(server.public).await;
    let twice = format!("{0}{0}", server.bearer());
    for headers in [twice, "X-Api-Key: a\r\nX-Api-Key: b\r\n".to_owned()] {
        let answer = client.ask("GET", RECORD, &headers).await;
        assert_eq!((answer.status, answer.code().as_str()), (401, "key_malformed"));
    }
}
