//! `[admin.oidc]`: what is accepted, and what is refused with which words.

use super::{accepted, assert_faults, faults, load};

/// A right section; its first line is line 1.
const SECTION: &str = "[admin.oidc]\nissuer = \"https://login.example.com/a/\"\nurl = \"https://larder.example.com/\"\n\
    client_id = \"larder\"\nclient_secret = \"${SECRET}\"\n[admin.oidc.roles]\n\"all of us\" = \"viewer\"\nops = \"admin\"\n";

#[test]
fn a_provider_is_read_with_its_defaults_and_its_secret_is_never_printed() {
    let config = accepted(SECTION);
    let oidc = config.oidc.as_ref().unwrap();
    assert_eq!((oidc.name.as_str(), oidc.url.as_str()), ("login.example.com", "https://larder.example.com"));
    assert!(!oidc.is_plain());
    let (printed, debug) = (config.print(), format!("{config:?}"));
    for text in [&printed, &debug] {
        assert!(!text.contains("hunter2"), "{text}");
    }
    assert!(
        printed.contains("client_secret = \"${SECRET}\"") && printed.contains("\"all of us\" = \"viewer\"")
    );
    for (from, to) in [
        ("https://larder.example.com/", "http://127.0.0.1:8081"),
        ("https://larder.example.com/", "https://larder.example.com:8443"),
        ("https://login.example.com/a/", "http://localhost:8080/realms/a"),
        (
            "client_id = \"larder\"\n",
            "client_id = \"larder\"\nname = \"Example\"\nscopes = [\"openid\", \"a:b\"]\ngroup_claim = \"g\"\n",
        ),
    ] {
        accepted(&SECTION.replacen(from, to, 1));
    }
    assert!(accepted("").oidc.is_none());
    assert!(accepted("[admin]\n").oidc.is_none());
    // A file that all nodes share may name a variable that publishers alone have.
    let replica = SECTION.replace("SECRET", "NOWHERE");
    assert!(accepted(&format!("[node]\nroles = [\"replica\"]\n{replica}")).oidc.is_none());
    assert!(load(&replica).is_err());
}

#[test]
fn all_faults_of_a_provider_are_reported_at_once() {
    assert_faults(
        "[admin.oidc]\nname = \"a b\"\nissur = \"https://a\"\n",
        &[
            "larder.toml:1:1 admin.oidc.issuer",
            "larder.toml:1:1 admin.oidc.url",
            "larder.toml:1:1 admin.oidc.client_id",
            "larder.toml:1:1 admin.oidc.client_secret",
            "larder.toml:1:1 admin.oidc.roles",
            "larder.toml:2:8 admin.oidc.name",
            "larder.toml:3:1 admin.oidc.issur",
        ],
    );
    for (from, to, key, words) in [
        ("https://login.example.com/a/", "http://login.example.com", "issuer", "must be https"),
        ("https://login.example.com/a/", "https://login.example.com/?a=b", "issuer", "has parameters"),
        ("https://login.example.com/a/", "https://jane:x@login.example.com", "issuer", ""),
        ("https://larder.example.com/", "http://larder.example.com", "url", "must be https"),
        ("https://larder.example.com/", "https://larder.example.com/console", "url", "has a path"),
        ("https://larder.example.com/", "larder.example.com", "url", "is no URL"),
        ("client_id = \"larder\"", "client_id = \"\"", "client_id", "is empty"),
        ("client_secret = \"${SECRET}\"", "client_secret = \"\"", "client_secret", "is empty"),
        ("client_id = \"larder\"\n", "client_id = \"larder\"\nscopes = [\"a b\"]\n", "scopes", "white space"),
        (
            "client_id = \"larder\"\n",
            "client_id = \"larder\"\nca_file = \"nowhere.pem\"\n",
            "ca_file",
            "cannot be read",
        ),
        ("\"viewer\"", "\"root\"", "all of us", "is not one of"),
        ("\"all of us\" = \"viewer\"\nops = \"admin\"\n", "", "roles", "gives no group a role"),
    ] {
        let text = faults(&SECTION.replacen(from, to, 1));
        assert!(text.contains(key) && text.contains(words) && text.lines().count() <= 2, "{to}: {text}");
    }
}
