//! Who may read: issuers of tokens, trusted proxies, origins of pages.

use std::time::Duration;

use super::{accepted, indexed, load};
use crate::{
    auth::tokens::KeySource,
    domain::{fields::FieldLimit, keyset::Scope},
};

/// `[tokens.app]` with `lines` beside issuer, audience, collections and record.
fn issuer(lines: &str) -> String {
    format!(
        "[tokens.app]\nissuer = \"i\"\naudience = \"a\"\ncollections = [\"customer\"]\nrecord_index = \"id\"\n{lines}\n"
    )
}

/// The keys with faults, in the order of the file.
fn faulty_keys(text: &str) -> Vec<String> {
    let faults = load(text).expect_err(text);
    faults.as_slice().iter().map(|fault| fault.key.clone()).collect()
}

const SECRET: &str = "0123456789abcdef0123456789abcdef";

#[test]
fn issuers_are_read_with_their_defaults() {
    let config = accepted(&issuer(&format!(
        "algorithms = [\"HS256\"]\nsecret = \"{SECRET}\"\nfields = [\"a.b\"]\nindexes = [\"id\"]\nleeway = \"0s\""
    )));
    let app = &config.tokens[0];
    assert_eq!((app.name.as_str(), app.issuer.as_str(), app.audience.as_str()), ("app", "i", "a"));
    assert_eq!((app.leeway, app.lifetime_max), (Duration::ZERO, Duration::from_hours(1)));
    assert!(matches!(&app.scope, Scope::Collections(names) if names.len() == 1));
    assert!(matches!(&app.fields, Some(FieldLimit::Only(paths)) if paths[0].to_string() == "a.b"));
    assert!(!config.print().contains(SECRET) && !format!("{config:?}").contains(SECRET));
    let by_url = "algorithms = [\"ES256\", \"EdDSA\"]\n";
    for (url, allows) in [
        ("https://auth.example.com/keys", false),
        ("https://1.1.1.1/keys", false),
        ("https://10.0.0.1/keys", true),
        ("http://127.0.0.1:9/keys", true),
        ("http://[::1]:9/keys", true),
        ("http://localhost/keys", true),
    ] {
        let text = issuer(&format!("{by_url}jwks_url = \"{url}\"\nallow_private_address = {allows}"));
        assert!(matches!(accepted(&text).tokens[0].keys, KeySource::JwksUrl { .. }), "{url}");
    }
}

#[test]
fn an_issuer_says_exactly_what_its_tokens_open_and_how_they_are_verified() {
    let hs = format!("algorithms = [\"HS256\"]\nsecret = \"{SECRET}\"");
    for (lines, keys) in [
        ("jwks_file = \"x\"".to_owned(), &["tokens.app.algorithms"][..]),
        ("algorithms = []\njwks_file = \"x\"".to_owned(), &["tokens.app.algorithms"]),
        ("algorithms = [\"none\"]\njwks_file = \"x\"".to_owned(), &["tokens.app.algorithms"]),
        ("algorithms = [\"HS384\"]\njwks_file = \"x\"".to_owned(), &["tokens.app.algorithms"]),
        ("algorithms = [\"HS256\"]\nsecret = \"short\"".to_owned(), &["tokens.app.secret"]),
        ("algorithms = [\"HS256\"]".to_owned(), &["tokens.app"]),
        (format!("{hs}\njwks_file = \"x\""), &["tokens.app"]),
        (format!("algorithms = [\"HS256\", \"ES256\"]\nsecret = \"{SECRET}\""), &["tokens.app"]),
        ("algorithms = [\"HS256\"]\npublic_key_file = \"x\"".to_owned(), &["tokens.app"]),
        ("algorithms = [\"HS256\", \"RS256\"]\njwks_file = \"x\"".to_owned(), &["tokens.app"]),
        ("algorithms = [\"ES256\", \"RS256\"]\npublic_key_file = \"x\"".to_owned(), &["tokens.app"]),
        (format!("{hs}\nleeway = \"61s\""), &["tokens.app.leeway"]),
        (format!("{hs}\nmax_lifetime = \"25h\""), &["tokens.app.max_lifetime"]),
        (format!("{hs}\nfields = [\"a..b\"]"), &["tokens.app.fields"]),
        (format!("{hs}\nfields = [\"a\"]\nwithout_fields = [\"b\"]"), &["tokens.app"]),
        (format!("{hs}\nall_collections = true"), &["tokens.app"]),
        (format!("{hs}\nall_records = true"), &["tokens.app"]),
        (format!("{hs}\nindexs = [\"id\"]"), &["tokens.app.indexs"]),
    ] {
        assert_eq!(faulty_keys(&issuer(&lines)), keys, "{lines}");
    }
    let bare = format!("[tokens.app]\nissuer = \"i\"\naudience = \"a\"\n{hs}\n");
    assert_eq!(faulty_keys(&format!("{bare}record_index = \"id\"\n")), ["tokens.app"], "no collections");
    assert_eq!(faulty_keys(&format!("{bare}all_collections = true\n")), ["tokens.app"], "no records");
    let twice = format!("{}{}", issuer(&hs), issuer(&hs).replace("tokens.app", "tokens.web"));
    assert_eq!(faulty_keys(&twice), ["tokens"]);
}

#[test]
fn key_sets_come_from_public_hosts_unless_private_ones_are_allowed() {
    for url in [
        "https://user:1234/rest@keys.example.com/set",
        "http://auth.example.com/keys",
        "ftp://auth.example.com/keys",
        "file:///etc/passwd",
        "https://user:password@auth.example.com/keys",
        "https://127.0.0.1/keys",
        "https://2130706433/keys",
        "https://0x7f.1/keys",
        "https://169.254.169.254/latest",
        "https://[::ffff:10.0.0.1]/keys",
        "https://[fd00::1]/keys",
        "http://localhost/keys",
        "keys.json",
    ] {
        let text = issuer(&format!("algorithms = [\"ES256\"]\njwks_url = \"{url}\""));
        assert_eq!(faulty_keys(&text), ["tokens.app.jwks_url"], "{url}");
    }
}

#[test]
fn proxies_and_origins_are_checked() {
    let config = accepted("[server]\ntrusted_proxies = [\"10.0.0.0/8\", \"::1\"]\n");
    assert_eq!(config.server.trusted_proxies.len(), 2);
    for wrong in ["[\"10.0.0.1/8\"]", "[\"lb.example.com\"]", "[1]", "[\"::1\", \"::1\"]"] {
        assert_eq!(
            faulty_keys(&format!("[server]\ntrusted_proxies = {wrong}\n")),
            ["server.trusted_proxies"]
        );
    }
    let config =
        accepted(&indexed("cors = { origins = [\"https://app.example.com\", \"http://localhost:3000\"] }\n"));
    let cors = config.syncs[0].spec.serving.cors.as_ref().unwrap();
    assert_eq!((cors.origins.len(), cors.max_age_seconds), (2, 3600));
    for wrong in [
        "*",
        "null",
        "",
        "app.example.com",
        "https://app.example.com/",
        "https://app.example.com/path",
        "https://App.example.com",
        "https://app.example.com:443",
        "https://*.example.com",
        "file://",
    ] {
        let text = indexed(&format!("cors = {{ origins = [\"{wrong}\"] }}\n"));
        assert_eq!(faulty_keys(&text), ["syncs.customer.cors.origins"], "{wrong}");
    }
    assert_eq!(faulty_keys(&indexed("cors = { origins = [] }\n")), ["syncs.customer.cors.origins"]);
    assert_eq!(faulty_keys(&indexed("cors = {}\n")), ["syncs.customer.cors.origins"]);
    assert_eq!(
        faulty_keys(&indexed("cors = { origins = [\"https://a.example\"], max_age = \"2d\" }\n")),
        ["syncs.customer.cors.max_age"]
    );
}
