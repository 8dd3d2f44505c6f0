//! What tokens open: collections, one record, fields.

use jsonwebtoken::Algorithm;
use serde_json::{Value, json};
use tempfile::tempdir;

use super::{
    FORMS, JANE, look_up,
    signer::{SECRET, Signer, bearer, claims, server},
};
use crate::support::{http::Client, read_server::now};

#[tokio::test]
async fn every_algorithm_opens_the_record_of_its_subject() {
    for signer in [
        Signer::es256(),
        Signer::eddsa(),
        Signer::rsa(Algorithm::RS256),
        Signer::rsa(Algorithm::PS256),
        Signer::hs256(SECRET.as_bytes()),
    ] {
        let directory = tempdir().unwrap();
        std::fs::write(directory.path().join("key.pem"), &signer.public_pem).unwrap();
        let keys = match signer.algorithm {
            Algorithm::HS256 => format!("secret = \"{SECRET}\""),
            _ => "public_key_file = \"key.pem\"".to_owned(),
        };
        let lines = format!(
            "algorithms = [\"{:?}\"]\n{keys}\ncollections = [\"people\"]\nrecord_index = \"id\"",
            signer.algorithm
        );
        let server = server(directory.path(), &lines);
        let mut client = Client::connect(server.public).await;
        let headers = bearer(&signer.token(&claims(json!({}))));
        // Twice: the second time from the cache of verified tokens.
        for _ in 0..2 {
            for form in FORMS {
                let answer = look_up(&mut client, form, ("people", "id", "1"), &headers).await;
                assert_eq!((answer.status, answer.text()), (200, JANE), "{:?} {form:?}", signer.algorithm);
                for (collection, index, value) in [
                    ("people", "id", "2"),
                    ("people", "id", "9"),
                    ("people", "id", ""),
                    ("people", "email", "jane@example.com"),
                    ("people", "email", "1"),
                    ("orders", "id", "1"),
                    ("nowhere", "id", "1"),
                ] {
                    let answer = look_up(&mut client, form, (collection, index, value), &headers).await;
                    let case = format!("{:?} {form:?} {collection}/{index}/{value}", signer.algorithm);
                    assert_eq!((answer.status, answer.code().as_str()), (403, "forbidden"), "{case}");
                }
                // The index has the same text for both.
                assert_eq!(look_up(&mut client, form, ("people", "id", "01"), &headers).await.status, 200);
            }
        }
    }
}

#[tokio::test]
async fn claims_only_narrow_what_the_issuer_may_open() {
    let directory = tempdir().unwrap();
    let signer = Signer::hs256(SECRET.as_bytes());
    let base = format!("algorithms = [\"HS256\"]\nsecret = \"{SECRET}\"\n");
    let wide = "all_collections = true\nall_records = true";
    let narrow =
        "collections = [\"people\"]\nindexes = [\"id\"]\nwithout_fields = [\"ssn\"]\nall_records = true";
    let bound = "collections = [\"people\"]\nrecord_index = \"id\"";
    let without_ssn =
        r#"{"id":1,"full_name":"Jane Doe","recommendations":{"concerts":["a","b"],"scores":[0.5]}}"#;
    let name = r#"{"full_name":"Jane Doe"}"#;
    for (lines, larder, sub, (collection, index, value), status, body) in [
        (wide, json!(null), json!(null), ("people", "email", "jane@example.com"), 200, JANE),
        (wide, json!({}), json!(null), ("people", "id", "1"), 200, JANE),
        (wide, json!({"collections": ["orders"]}), json!(null), ("people", "id", "1"), 403, ""),
        (wide, json!({"collections": ["people"]}), json!(null), ("people", "id", "1"), 200, JANE),
        (wide, json!({"collections": []}), json!(null), ("people", "id", "1"), 403, ""),
        (wide, json!({"record_index": "id"}), json!("1"), ("people", "id", "1"), 200, JANE),
        (wide, json!({"record_index": "id"}), json!("1"), ("people", "id", "2"), 403, ""),
        (wide, json!({"record_index": "id"}), json!("1"), ("people", "email", "jane@example.com"), 403, ""),
        (
            wide,
            json!({"record_index": "email"}),
            json!("jane@example.com"),
            ("people", "email", "jane@example.com"),
            200,
            JANE,
        ),
        (wide, json!({"record_index": "id"}), json!(null), ("people", "id", "1"), 401, ""),
        (wide, json!({"record_index": "id"}), json!(" "), ("people", "id", "1"), 401, ""),
        (wide, json!({"record_index": "id"}), json!(1), ("people", "id", "1"), 401, ""),
        (wide, json!({"fields": ["full_name"]}), json!(null), ("people", "id", "1"), 200, name),
        (wide, json!({"without_fields": ["ssn"]}), json!(null), ("people", "id", "1"), 200, without_ssn),
        (
            wide,
            json!({"fields": ["full_name", "ssn"], "without_fields": ["ssn"]}),
            json!(null),
            ("people", "id", "1"),
            200,
            name,
        ),
        (narrow, json!(null), json!(null), ("people", "id", "1"), 200, without_ssn),
        (narrow, json!({"fields": ["full_name", "ssn"]}), json!(null), ("people", "id", "1"), 200, name),
        (narrow, json!({"without_fields": []}), json!(null), ("people", "id", "1"), 200, without_ssn),
        (narrow, json!({"collections": ["orders", "people"]}), json!(null), ("orders", "id", "1"), 403, ""),
        (narrow, json!(null), json!(null), ("people", "email", "jane@example.com"), 403, ""),
        (
            narrow,
            json!({"record_index": "email"}),
            json!("jane@example.com"),
            ("people", "email", "jane@example.com"),
            403,
            "",
        ),
        (
            bound,
            json!({"record_index": "email"}),
            json!("jane@example.com"),
            ("people", "email", "jane@example.com"),
            401,
            "",
        ),
        (bound, json!(null), json!(null), ("people", "id", "1"), 401, ""),
    ] {
        let server = server(directory.path(), &format!("{base}{lines}"));
        let mut client = Client::connect(server.public).await;
        let token = signer.token(&claims(json!({"larder": larder, "sub": sub})));
        for form in FORMS {
            let answer = look_up(&mut client, form, (collection, index, value), &bearer(&token)).await;
            assert_eq!(answer.status, status, "{form:?} {lines} {larder} {sub}");
            assert!(status != 200 || answer.text() == body, "{form:?} {lines} {larder}: {}", answer.text());
        }
    }
}

#[tokio::test]
async fn a_known_token_expires_in_its_time() {
    let directory = tempdir().unwrap();
    let lines = format!(
        "algorithms = [\"HS256\"]\nsecret = \"{SECRET}\"\nall_collections = true\nall_records = true\nleeway = \"10s\""
    );
    let server = server(directory.path(), &lines);
    let token = Signer::hs256(SECRET.as_bytes()).token(&claims(json!({"nbf": now().timestamp() - 60})));
    let mut client = Client::connect(server.public).await;
    let at = |seconds| now() + chrono::TimeDelta::seconds(seconds);
    for (seconds, status, code) in [
        (0, 200, Value::Null),
        (309, 200, Value::Null),
        (310, 401, "token_expired".into()),
        (-9, 200, Value::Null),
        (-12, 401, "token_not_yet_valid".into()),
        (5, 200, Value::Null),
    ] {
        server.clock.set(at(seconds));
        let answer = look_up(&mut client, super::Form::Get, ("people", "id", "1"), &bearer(&token)).await;
        let found = if answer.status == 200 { Value::Null } else { answer.code().into() };
        assert_eq!((answer.status, found), (status, code), "{seconds}");
    }
    // A key works beside tokens, and a token in place of a key.
    for headers in [server.bearer(), format!("X-Api-Key: {token}\r\n")] {
        assert_eq!(look_up(&mut client, super::Form::Get, ("people", "id", "1"), &headers).await.status, 200);
    }
}
