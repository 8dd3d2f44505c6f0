//! Who may read what: limits of keys, access tokens, pages of other origins, and attacks on all of them. Every case is
//! a real request to a real server.

mod browsers;
mod commands;
mod cors;
mod jwks;
mod jwks_https;
mod keys;
mod networks;
pub(crate) mod signer;
mod token_attacks;
mod tokens;

use larder::{
    auth::ApiKey,
    domain::{
        keyset::{KeyEntry, KeyLimits, Scope},
        manifest::{OnMiss, ServingSettings},
        name::CollectionName,
    },
};

use crate::support::{
    http::{Answer, Client},
    node::encoded,
    read_server::{Server, now},
};

/// A record of `people` with what only some may read.
pub(crate) const JANE: &str = r#"{"id":1,"full_name":"Jane Doe","ssn":"078-05-1120","recommendations":{"concerts":["a","b"],"scores":[0.5]}}"#;
pub(crate) const JOHN: &str = r#"{"id":2,"full_name":"John Roe","ssn":"219-09-9999"}"#;

/// Loads `people`, whose records `1` and `2` have e-mail addresses, and `orders`, with a default record for misses.
pub(crate) fn load(server: &Server) {
    let people = [("1", Some("jane@example.com"), JANE), ("2", Some("john@example.com"), JOHN)];
    server.collections.load("people", 1, ServingSettings::default(), &people);
    let on_miss = OnMiss::Record(r#"{"full_name":"nobody","ssn":"none"}"#.to_owned());
    let serving = ServingSettings { on_miss, ..ServingSettings::default() };
    server.collections.load("orders", 1, serving, &[("1", None, r#"{"id":1,"total":5}"#)]);
}

pub(crate) fn some(names: &[&str]) -> Scope {
    Scope::Collections(names.iter().map(|name| CollectionName::new(name).unwrap()).collect())
}

/// The entry of `key`.
pub(crate) fn entry(key: &ApiKey, grant: Scope, limits: KeyLimits) -> KeyEntry {
    KeyEntry {
        id: key.id().to_owned(),
        sha256: key.digest(),
        name: "test".to_owned(),
        grant,
        created_at: now(),
        expires_at: None,
        limits,
        previous: None,
    }
}

/// Limits from their JSON form.
pub(crate) fn limits(json: &str) -> KeyLimits {
    serde_json::from_str(json).unwrap()
}

/// The forms of a look-up by one value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Get,
    PostJson,
    PostUrlEncoded,
}

pub(crate) const FORMS: [Form; 3] = [Form::Get, Form::PostJson, Form::PostUrlEncoded];

/// Looks `value` up in one form. `extra` has complete header lines.
pub(crate) async fn look_up(
    client: &mut Client,
    form: Form,
    (collection, index, value): (&str, &str, &str),
    extra: &str,
) -> Answer {
    let path = format!("/v1/collections/{collection}/records/{index}");
    let (body, media_type) = match form {
        Form::Get => return client.ask("GET", format!("{path}/{}", encoded(value)), extra).await,
        Form::PostJson => (serde_json::json!({ "value": value }).to_string(), "application/json"),
        Form::PostUrlEncoded => (format!("value={}", encoded(value)), "application/x-www-form-urlencoded"),
    };
    let headers = format!("{extra}Content-Type: {media_type}\r\nContent-Length: {}\r\n", body.len());
    client.request("POST", path, &headers).await;
    client.send(body).await;
    client.answer().await
}
