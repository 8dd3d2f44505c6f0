//! Every form of look-up with every limit of a key, against a reference model that works on parsed records.

use std::time::Duration;

use larder::{
    admin::{NewToken, mint_token},
    domain::{
        digest::Digest,
        fields::{FieldLimit, FieldPath},
        hash::{HashSecret, ValueHasher},
        keyset::{KeyLimits, Scope},
        name::{CollectionName, IndexName},
    },
    support::clock::Clock,
};
use serde_json::{Map, Value, json};

use super::{SYNCS, ann, node, product};
use crate::support::node::Node;

/// What a key is limited to; `None` is no limit.
#[derive(Debug, Clone, Copy)]
struct Limit {
    collections: Option<&'static [&'static str]>,
    indexes: Option<&'static [&'static str]>,
    /// Top-level fields, and whether they are the only ones or those that are left out.
    fields: Option<(&'static [&'static str], bool)>,
}

impl Limit {
    fn opens(&self, collection: &str) -> bool {
        self.collections.is_none_or(|names| names.contains(&collection))
    }

    fn reads(&self, field: &str) -> bool {
        self.fields.is_none_or(|(fields, only)| fields.contains(&field) == only)
    }

    async fn key(&self, node: &Node) -> String {
        let scope = self.collections.map_or(Scope::AllCollections, |names| {
            Scope::Collections(names.iter().map(|name| CollectionName::new(name).unwrap()).collect())
        });
        let fields = self.fields.map(|(fields, only)| {
            let paths = fields.iter().map(|field| FieldPath::new(field).unwrap()).collect();
            if only { FieldLimit::Only(paths) } else { FieldLimit::Without(paths) }
        });
        let indexes =
            self.indexes.map(|names| names.iter().map(|name| IndexName::new(name).unwrap()).collect());
        node.create_key(scope, KeyLimits { indexes, fields, ..KeyLimits::default() }).await
    }
}

/// One form of a look-up of Ann's record.
#[derive(Debug, Clone, Copy)]
struct Form {
    index: &'static str,
    is_batch: bool,
    is_post: bool,
    fields: Option<&'static [&'static str]>,
    includes: &'static [&'static str],
}

impl Form {
    fn target(&self) -> String {
        let hash = Digest::of(b"ann@example.com").to_string();
        let value = match (self.index, self.is_post) {
            (_, true) if self.is_batch => "/batch",
            (_, true) => "",
            ("id", false) => "/1",
            ("email", false) => &format!("/{hash}"),
            _ => "/no,0150",
        };
        let mut query = Vec::new();
        query.extend(self.fields.map(|fields| format!("fields={}", fields.join(","))));
        query.extend((!self.includes.is_empty()).then(|| format!("include={}", self.includes.join(","))));
        let query = if query.is_empty() { String::new() } else { format!("?{}", query.join("&")) };
        format!("person/records/{}{value}{query}", self.index)
    }

    fn value(&self) -> Value {
        match self.index {
            "id" => json!(1),
            "email" => json!("ann@EXAMPLE.com"),
            _ => json!("NO,0150"),
        }
    }

    fn body(&self) -> Option<String> {
        let value = self.value();
        let body =
            if self.is_batch { json!({ "values": [value, "none"] }) } else { json!({ "value": value }) };
        self.is_post.then(|| body.to_string())
    }

    /// The members of the answer that both the request and the key allow.
    fn record(&self, limit: &Limit) -> Value {
        let is_asked = |field: &str| self.fields.is_none_or(|fields| fields.contains(&field));
        let kept = |record: Value| -> Map<String, Value> {
            let Value::Object(members) = record else { return Map::new() };
            members.into_iter().filter(|(name, _)| limit.reads(name)).collect()
        };
        let mut record = kept(ann());
        record.retain(|name, _| is_asked(name));
        for &include in self.includes {
            let (from, value) = match include {
                "best" => ("favourite", Value::from(kept(product("B,2")))),
                _ => {
                    ("skus", ["C~3", "A-1", "C~3"].map(|sku| Value::from(kept(product(sku)))).to_vec().into())
                }
            };
            if limit.reads(from) {
                record.insert(include.to_owned(), value);
            }
        }
        record.into()
    }

    fn expected(&self, limit: &Limit) -> (u16, Value) {
        let may_look_up = limit.indexes.is_none_or(|names| names.contains(&self.index));
        let may_include = self.includes.is_empty() || limit.opens("product");
        if !limit.opens("person") || !may_look_up || !may_include {
            return (403, json!("forbidden"));
        }
        let record = self.record(limit);
        let key = self.value().as_str().map_or_else(|| self.value().to_string(), str::to_owned);
        (200, if self.is_batch { json!({ key: record, "none": null }) } else { record })
    }
}

fn forms() -> Vec<Form> {
    let mut forms = Vec::new();
    for index in ["id", "email", "place"] {
        for (is_post, is_batch) in [(false, false), (true, false), (true, true)] {
            for fields in [None, Some(&["name", "skus", "unknown"][..])] {
                for includes in [&[][..], &["best"], &["recommended", "best"]] {
                    forms.push(Form { index, is_batch, is_post, fields, includes });
                }
            }
        }
    }
    forms
}

#[tokio::test(flavor = "multi_thread")]
async fn every_form_keeps_every_limit() {
    let node = node().await;
    for collections in [None, Some(&["person"][..]), Some(&["product"]), Some(&["person", "product"])] {
        for indexes in [None, Some(&["id", "sku"][..]), Some(&["place"])] {
            for fields in [
                None,
                Some((&["name", "price"][..], true)),
                Some((&["name", "skus", "favourite", "sku"], true)),
                Some((&["email", "cost", "skus"], false)),
            ] {
                let limit = Limit { collections, indexes, fields };
                let key = limit.key(&node).await;
                for form in forms() {
                    let answer = node.ask_as(&key, &form.target(), form.body().as_deref(), "").await;
                    let (status, expected) = form.expected(&limit);
                    let found = if answer.status == 200 { answer.json() } else { answer.code().into() };
                    assert_eq!((answer.status, &found), (status, &expected), "{form:?} {limit:?}");
                    let text = answer.text();
                    let is_hidden = |field: &&&str| !limit.reads(field);
                    for field in ["email", "cost", "phone"].iter().filter(is_hidden) {
                        assert!(!text.contains(&format!("\"{field}\"")), "{field}: {form:?} {limit:?}");
                    }
                }
            }
        }
    }
}

/// An issuer whose tokens open one person, and with it products by includes.
const ISSUER: &str = r#"
    [tokens.app]
    issuer = "app"
    audience = "larder"
    algorithms = ["HS256"]
    secret = "0123456789abcdef0123456789abcdef"
    collections = ["person", "product"]
    include_collections = ["product"]
    record_index = "id"
"#;

#[tokio::test(flavor = "multi_thread")]
async fn every_form_keeps_to_the_record_of_a_token() {
    let mut node = node().await;
    node.configure(&format!("{SYNCS}{ISSUER}"));
    node.stop().await;
    node.resume().await;
    let issuers = node.config().tokens;
    let token = |subject: &str| {
        let (subject, lifetime) = (Some(subject.to_owned()), Duration::from_mins(5));
        let new = NewToken { subject, lifetime, ..NewToken::default() };
        mint_token(&issuers, "app", &new, None, &Clock::default()).unwrap()
    };
    let (own, other) = (token("1"), token("2"));
    let free = Limit { collections: None, indexes: None, fields: None };
    for form in forms() {
        // A batch also asks for another record, which a token does not open.
        let is_open = form.index == "id" && !form.is_batch;
        let expected = if is_open { (200, form.record(&free)) } else { (403, json!("forbidden")) };
        for (token, expected) in [(&own, expected), (&other, (403, json!("forbidden")))] {
            let answer = node.ask_as(token, &form.target(), form.body().as_deref(), "").await;
            let found = if answer.status == 200 { answer.json() } else { answer.code().into() };
            assert_eq!((answer.status, found), expected, "{form:?}");
        }
    }
    let batch = node.ask_as(&own, "person/records/id/batch", Some(r#"{"values":[1,"01"]}"#), "").await;
    assert_eq!(batch.json(), json!({"1": ann(), "01": ann()}));
    assert_eq!(node.ask_as(&own, "product/records/sku/A-1", None, "").await.code(), "forbidden");
}

/// Issuers whose tokens open the person with an e-mail address or a telephone number.
const PRIVATE_ISSUERS: &str = r#"
    [tokens.email]
    issuer = "email"
    audience = "larder"
    algorithms = ["HS256"]
    secret = "0123456789abcdef0123456789abcdef"
    collections = ["person"]
    record_index = "email"
    [tokens.phone]
    issuer = "phone"
    audience = "larder"
    algorithms = ["HS256"]
    secret = "0123456789abcdef0123456789abcdef"
    collections = ["person"]
    record_index = "phone"
"#;

#[tokio::test(flavor = "multi_thread")]
async fn token_is_bound_to_a_private_identifier_by_its_value_or_its_hash() {
    let mut node = node().await;
    node.configure(&format!("{SYNCS}{PRIVATE_ISSUERS}"));
    node.stop().await;
    node.resume().await;
    let issuers = node.config().tokens;
    let email = Digest::of(b"ann@example.com").to_string();
    let phone = ValueHasher::Hmac(HashSecret::new("a secret of 16 by")).hash("+47 1");
    let (bob, other) = (Digest::of(b"bob@example.com").to_string(), Digest::of(email.as_bytes()).to_string());
    for (issuer, subject, is_open) in [
        ("email", "ANN@example.com ", true),
        ("email", &email, true),
        ("email", "bob@example.com", false),
        ("email", &bob, false),
        ("email", &other, false),
        ("email", "x", false),
        ("phone", "+47 1", true),
        ("phone", &phone, true),
        ("phone", "+47 2", false),
        ("phone", &email, false),
    ] {
        let (hash, value) = if issuer == "email" { (&email, "ann@EXAMPLE.com") } else { (&phone, "+47 1") };
        let lifetime = Duration::from_mins(5);
        let new = NewToken { subject: Some(subject.to_owned()), lifetime, ..NewToken::default() };
        let token = mint_token(&issuers, issuer, &new, None, &Clock::default()).unwrap();
        let one = json!({ "value": value }).to_string();
        let many = json!({ "values": [value] }).to_string();
        for (target, body, expected) in [
            (format!("person/records/{issuer}/{hash}"), None, ann()),
            (format!("person/records/{issuer}"), Some(one), ann()),
            (format!("person/records/{issuer}/batch"), Some(many), json!({ value: ann() })),
        ] {
            let answer = node.ask_as(&token, &target, body.as_deref(), "").await;
            if is_open {
                assert_eq!((answer.status, answer.json()), (200, expected), "{issuer} {subject} {body:?}");
            } else {
                super::refused(&answer, 403, "forbidden");
            }
        }
    }
}
