//! Keys that are limited by collection, index, field and rate; rotation; last use.

use chrono::TimeDelta;
use larder::{
    auth::ApiKey,
    domain::keyset::{KeyLimits, PreviousSecret, Scope},
};
use serde_json::{Value, json};

use super::{FORMS, Form, JANE, entry, limits, load, look_up, some};
use crate::support::{
    http::{Answer, Client},
    read_server::{Server, bearer, now},
};

/// One kind of limit, and what the reference model says of it.
struct Limited {
    scope: Scope,
    limits: KeyLimits,
    opens: fn(collection: &str, index: &str) -> bool,
    fields: fn(record: &mut serde_json::Map<String, Value>),
}

fn kinds() -> Vec<Limited> {
    let everything = |_: &str, _: &str| true;
    let whole = |_: &mut serde_json::Map<String, Value>| {};
    let all = || Scope::AllCollections;
    vec![
        Limited { scope: all(), limits: KeyLimits::default(), opens: everything, fields: whole },
        Limited {
            scope: some(&["people"]),
            limits: KeyLimits::default(),
            opens: |collection, _| collection == "people",
            fields: whole,
        },
        Limited {
            scope: all(),
            limits: limits(r#"{"indexes":["email"]}"#),
            opens: |_, index| index == "email",
            fields: whole,
        },
        Limited { scope: all(), limits: limits(r#"{"indexes":[]}"#), opens: |_, _| false, fields: whole },
        Limited {
            scope: all(),
            limits: limits(r#"{"fields":{"only":["full_name","recommendations.concerts"]}}"#),
            opens: everything,
            fields: |record| {
                record.retain(|name, _| name == "full_name" || name == "recommendations");
                if let Some(Value::Object(inner)) = record.get_mut("recommendations") {
                    inner.retain(|name, _| name == "concerts");
                }
            },
        },
        Limited {
            scope: all(),
            limits: limits(r#"{"fields":{"without":["ssn","recommendations.scores"]}}"#),
            opens: everything,
            fields: |record| {
                record.retain(|name, _| name != "ssn");
                if let Some(Value::Object(inner)) = record.get_mut("recommendations") {
                    inner.retain(|name, _| name != "scores");
                }
            },
        },
        Limited {
            scope: some(&["people"]),
            limits: limits(r#"{"indexes":["id"],"fields":{"only":[]}}"#),
            opens: |collection, index| collection == "people" && index == "id",
            fields: |record| record.clear(),
        },
    ]
}

#[tokio::test]
async fn every_form_of_look_up_keeps_every_limit_of_a_key() {
    let server = Server::start();
    load(&server);
    let kinds: Vec<(ApiKey, Limited)> = kinds().into_iter().map(|kind| (ApiKey::generate(), kind)).collect();
    server.replace_keys(
        kinds.iter().map(|(key, kind)| entry(key, kind.scope.clone(), kind.limits.clone())).collect(),
    );
    let mut client = Client::connect(server.public).await;
    let cases = [
        ("people", "id", "1", 200, JANE),
        ("people", "email", "jane@example.com", 200, JANE),
        ("people", "id", "9", 404, ""),
        ("orders", "id", "1", 200, r#"{"id":1,"total":5}"#),
        ("orders", "id", "9", 200, r#"{"full_name":"nobody","ssn":"none"}"#),
    ];
    for (key, kind) in &kinds {
        for (collection, index, value, status, record) in cases {
            for form in FORMS {
                let answer = look_up(&mut client, form, (collection, index, value), &bearer(key)).await;
                let case =
                    format!("{form:?} {collection}/{index}/{value} with {:?} {:?}", kind.scope, kind.limits);
                if !(kind.opens)(collection, index) {
                    assert_eq!((answer.status, answer.code().as_str()), (403, "forbidden"), "{case}");
                    assert!(!String::from_utf8_lossy(&answer.body).contains("ssn"), "{case}");
                    continue;
                }
                assert_eq!(answer.status, status, "{case}");
                if status == 200 {
                    let mut expected: Value = serde_json::from_str(record).unwrap();
                    (kind.fields)(expected.as_object_mut().unwrap());
                    assert_eq!(answer.text(), expected.to_string(), "{case}");
                }
            }
        }
    }
}

#[tokio::test]
async fn the_entity_tag_tells_nothing_of_fields_that_are_not_granted() {
    let server = Server::start();
    load(&server);
    let key = ApiKey::generate();
    let fields = limits(r#"{"fields":{"without":["ssn"]}}"#);
    server.replace_keys(vec![entry(&key, Scope::AllCollections, fields)]);
    let mut client = Client::connect(server.public).await;
    let people = ("people", "id", "1");
    let first = look_up(&mut client, Form::Get, people, &bearer(&key)).await;
    let tag = first.header("etag").unwrap().to_owned();
    let known = format!("{}If-None-Match: {tag}\r\n", bearer(&key));
    assert_eq!(look_up(&mut client, Form::Get, people, &known).await.status, 304);
    // Another number that the key may not read changes neither body nor tag; another name changes both.
    for (record, is_same) in [(JANE.replace("1120", "1121"), true), (JANE.replace("Jane", "Joan"), false)] {
        let rows = [("1", None, record.as_str())];
        server.collections.load("people", 2, larder::domain::manifest::ServingSettings::default(), &rows);
        let now = look_up(&mut client, Form::Get, people, &bearer(&key)).await;
        assert_eq!(now.header("etag") == Some(tag.as_str()), is_same, "{record}");
        assert_eq!(now.body == first.body, is_same, "{record}");
    }
}

#[tokio::test]
async fn a_key_has_a_rate_of_its_own_and_may_get_misses_instead_of_429() {
    let server = Server::with_rate(1000);
    load(&server);
    let (plain, quiet) = (ApiKey::generate(), ApiKey::generate());
    let limit = |never: bool| {
        limits(&json!({"rate": {"per_second": 1, "burst": 2}, "never_throttle_status": never}).to_string())
    };
    server.replace_keys(vec![
        entry(&plain, Scope::AllCollections, limit(false)),
        entry(&quiet, Scope::AllCollections, limit(true)),
    ]);
    // Far more at once than the burst, so that a slow machine changes nothing.
    let of_plain = pipelined(&server, &plain, "people").await;
    assert_eq!(of_plain[..2].iter().map(|answer| answer.status).collect::<Vec<_>>(), [200, 200]);
    let over = of_plain.iter().find(|answer| answer.status == 429).unwrap();
    assert_eq!((over.code().as_str(), over.header("retry-after")), ("too_many_requests", Some("1")));
    let of_quiet = pipelined(&server, &quiet, "people").await;
    let missed: Vec<_> = of_quiet.iter().filter(|answer| answer.status != 200).collect();
    assert!(!missed.is_empty() && missed.iter().all(|answer| answer.code() == "record_not_found"));
    let with_default = pipelined(&server, &quiet, "orders").await;
    assert!(with_default.iter().all(|answer| answer.status == 200));
    let defaults =
        with_default.iter().filter(|answer| answer.text() == r#"{"full_name":"nobody","ssn":"none"}"#);
    let throttled = missed.len() + defaults.count();
    let metrics = Client::connect(server.admin).await.ask("GET", "/metrics", "").await;
    let line = format!("larder_throttled_misses_total {throttled}\n");
    assert!(metrics.text().contains(&line), "{line}{}", metrics.text());
}

/// The answers to twenty requests that are sent at once.
async fn pipelined(server: &Server, key: &ApiKey, collection: &str) -> Vec<Answer> {
    let mut client = Client::connect(server.public).await;
    let target = format!("/v1/collections/{collection}/records/id/1");
    let request = format!("GET {target} HTTP/1.1\r\nHost: test\r\n{}\r\n", bearer(key));
    client.send(request.repeat(20)).await;
    let mut answers = Vec::new();
    for _ in 0..20 {
        answers.push(client.answer().await);
    }
    answers
}

#[tokio::test]
async fn both_secrets_of_a_rotated_key_work_until_the_overlap_ends() {
    let server = Server::start();
    load(&server);
    let old = ApiKey::generate();
    let new = ApiKey::rotated(old.id()).unwrap();
    let expires_at = now() + TimeDelta::hours(24);
    let mut rotated = entry(&new, Scope::AllCollections, KeyLimits::default());
    rotated.previous = Some(PreviousSecret { sha256: old.digest(), expires_at });
    server.replace_keys(vec![rotated]);
    let mut client = Client::connect(server.public).await;
    for (at, old_status) in [(now(), 200), (expires_at, 401)] {
        server.clock.set(at);
        for (key, status) in [(&new, 200), (&old, old_status)] {
            assert_eq!(
                look_up(&mut client, Form::Get, ("people", "id", "1"), &bearer(key)).await.status,
                status
            );
        }
    }
}
