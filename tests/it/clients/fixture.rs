//! The server that the templates call: the real binary, fed by syncs from a SQLite warehouse.

use std::net::SocketAddr;

use serde_json::Value;

use crate::support::{deployment::NodeDirectory, process::Process};

/// The secret of `email_hmac`.
pub(super) const SECRET: &str = "the secret of a test";

/// The payload that the partner page shows.
const PAYLOAD: &str = include_str!("../fixtures/partner_page_payload.json");

/// The words of a record's last field, which make the record larger than 16,000 bytes.
pub(super) const STORY_WORDS: usize = 4000;

/// Everything that is easily lost between a table and a message.
const PROFILES: &str = r#"
    create table profiles (
        id integer primary key, email text, full_name text, nickname text, motto text, points integer, score integer,
        big integer, born date, seen timestamp, active boolean, tags json, settings json, counted json, city text
    );
    insert into profiles values
        (1, 'jane+tag@example.com', 'Jane van Doe', '', null, 1500, 0, 9223372036854775807, '1990-02-28',
         '2026-11-23T22:10:52.004Z', false, '[]', '{}', '{"plays": 9007199254740993, "ratio": 0.1}', 'Köln'),
        (2, 'łukasz@example.com', 'Łukasz "Ł" Żółć <🎧>', 'Łuki', 'there', 999, -3, -9007199254740993, '2000-12-31',
         '2024-02-29T00:00:00Z', true, '["a & b","東京"]', '{"näme": "größer"}', null, '東京');
"#;

const SYNCS: &str = r#"
    [models.customers]
    source = "warehouse"
    table = "customers"
    primary_key = "user_id"
    [syncs.customer]
    model = "customers"
    [syncs.customer.indexes]
    id = "user_id"
    email = { column = "email", normalize = ["trim", "lowercase"] }
    [syncs.customer.fields]
    user_id = "user_id"
    full_name = "full_name"
    lifetime_value = "lifetime_value"
    churn_risk = "churn_risk"
    90_day_summary = "90_day_summary"
    recommendations = "recommendations"
    story_ids = { value = [7, 1] }
    [syncs.customer.includes]
    stories = { from = "story_ids", collection = "story", index = "id" }

    [models.profiles]
    source = "warehouse"
    sql = "select *, big as big_text from profiles"
    primary_key = "id"
    [syncs.profile]
    model = "profiles"
    on_miss = "empty"
    [syncs.profile.indexes]
    id = "id"
    email = { column = "email", normalize = ["trim", "lowercase"] }
    name = "full_name"
    city = "city"
    email_hash = { column = "email", normalize = ["trim", "lowercase"], hash = "sha256" }
    email_hmac = { column = "email", normalize = ["trim", "lowercase"], hash = { hmac = "the secret of a test" } }
    place = { columns = ["city", "points"] }
    [syncs.profile.fields]
    full_name = "full_name"
    nickname = "nickname"
    motto = "motto"
    points = "points"
    score = "score"
    big = "big"
    big_text = { column = "big_text", as = "string" }
    born = "born"
    seen = "seen"
    active = "active"
    tags = "tags"
    settings = "settings"
    counted = "counted"
    city = "city"

    [syncs.welcome]
    model = "profiles"
    on_miss = { record = { greeting = "Hello, stranger", points = 0 } }
    indexes = { id = "id" }
    [syncs.welcome.fields]
    greeting = { liquid = "Hello, {{ full_name }}" }
    points = "points"
    renewal = { value = 2027-03-01 }

    [models.stories]
    source = "warehouse"
    table = "stories"
    primary_key = "id"
    [syncs.story]
    model = "stories"
    indexes = { id = "id" }
"#;

/// A running server and its keys.
pub(super) struct Fixture {
    pub(super) address: SocketAddr,
    /// Opens every collection.
    pub(super) key: String,
    /// Opens the collection `profile` alone.
    pub(super) narrow_key: String,
    /// Was revoked before the server started.
    pub(super) revoked_key: String,
    _server: Process,
    _node: NodeDirectory,
}

impl Fixture {
    /// Syncs everything, then starts the server and waits until it is ready.
    pub(super) async fn start() -> Self {
        let node = NodeDirectory::new(&format!("{}{PROFILES}{}", customers(), stories()), SYNCS).await;
        for sync in ["customer", "profile", "welcome", "story"] {
            node.run(&["sync", sync]).expect(0);
        }
        let create = |grant: &[&str]| {
            let arguments = [&["keys", "create", "--name", "braze"], grant].concat();
            node.run(&arguments).expect(0).stdout.trim().to_owned()
        };
        let key = create(&["--all-collections"]);
        let narrow_key = create(&["--collection", "profile"]);
        let revoked_key = create(&["--all-collections"]);
        node.run(&["keys", "revoke", &revoked_key]).expect(0);
        let mut server = node.spawn(&["serve"]);
        let address = server.listening().await;
        server.ready().await;
        Self { address, key, narrow_key, revoked_key, _server: server, _node: node }
    }
}

/// The partner page's customer as a row.
fn customers() -> String {
    let payload: Value = serde_json::from_str(PAYLOAD).unwrap();
    let quoted = |text: &str| format!("'{}'", text.replace('\'', "''"));
    let values: Vec<_> = payload
        .as_object()
        .unwrap()
        .values()
        .map(|value| match value {
            Value::String(text) => quoted(text),
            Value::Number(number) => number.to_string(),
            nested => quoted(&nested.to_string()),
        })
        .collect();
    format!(
        "create table customers (
            user_id integer primary key, full_name text, lifetime_value real, churn_risk real,
            \"90_day_summary\" json, recommendations json, email text
         );
         insert into customers values ({}, 'Jane.Doe@Example.com');",
        values.join(", ")
    )
}

/// A record that is worth compressing.
fn stories() -> String {
    let words: Vec<_> = (1..=STORY_WORDS).map(|number| format!("Wört{number}")).collect();
    format!(
        "create table stories (id integer primary key, words json);
         insert into stories values (1, '[\"{}\"]');",
        words.join("\",\"")
    )
}
