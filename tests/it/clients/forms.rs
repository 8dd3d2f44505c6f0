//! Fields, includes, batches and private identifiers, and the expressions of docs/api.md that hash them.

use std::{fs, path::Path, process::Command};

use larder::domain::hash::{HashSecret, ValueHasher};
use serde_json::json;

use super::{
    case::Case,
    fixture::{SECRET, STORY_WORDS},
    posts::post,
};

/// An address as people write it, and as its index hashes it.
const EMAIL: &str = " Jane+Tag@example.com ";
const NORMALISED: &str = "jane+tag@example.com";

/// The expression of docs/api.md in a language that computes a hash: the first is SHA-256, the second HMAC.
fn documented(language: &str) -> [String; 2] {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/api.md")).unwrap();
    let prefix = format!("    {language}: ");
    let found: Vec<String> =
        page.lines().filter_map(|line| line.strip_prefix(&prefix)).map(str::to_owned).collect();
    found.try_into().expect("two expressions")
}

pub(super) fn gets() -> Vec<Case> {
    let [sha, hmac] = documented("Liquid").map(|line| line.replace("${email_address}", "email_address"));
    let hashed = |name, assign: &str, index: &str| {
        let path = format!("profile/records/{index}/{{{{hash}}}}");
        let case = Case::new(name, format!("{assign}{}{{{{ x.full_name }}}}", super::case::call(&path, "")));
        case.with(json!({ "email_address": EMAIL, "secret": SECRET })).reads("Jane van Doe")
    };
    vec![
        Case::get(
            "some fields",
            "customer/records/id/12345?fields=full_name,recommendations.concerts.artist",
            "{{ x.full_name }}|{{ x.user_id }}|{{ x.recommendations.concerts[0].artist }}|\
             {{ x.recommendations.concerts[0].location }}",
        )
        .reads("Jane Doe||Aphex Twin|"),
        Case::get(
            "an include",
            "customer/records/id/12345?include=stories&fields=full_name",
            "{{ x.full_name }} {{ x.stories | size }} {{ x.stories[0].words | size }}",
        )
        .reads(&format!("Jane Doe 1 {STORY_WORDS}")),
        Case::get(
            "a compound value",
            "profile/records/place/{{city|url_param_escape}},{{points}}",
            "{{ x.full_name }}",
        )
        .with(json!({"city": "Köln", "points": 1500}))
        .reads("Jane van Doe"),
        hashed("an address by its SHA-256", &sha, "email_hash"),
        hashed("an address by its HMAC", &hmac, "email_hmac").not_brazejs("it has no `hmac_sha256`"),
    ]
}

pub(super) fn posts() -> Vec<Case> {
    let batch = r#":body {"values":["12345","0"]} :content_type application/json"#;
    let hashed = ":body value={{email_address|url_param_escape}}".to_owned();
    vec![
        post(
            "a batch",
            "customer/records/id/batch?fields=full_name",
            batch,
            "{{ x['12345'].full_name }} {{ x['0'].full_name | default: 'nobody' }}",
        )
        .reads("Jane Doe nobody")
        .not_brazejs("it takes every JSON body for pairs"),
        post("an address that the server hashes", "profile/records/email_hmac", &hashed, "{{ x.full_name }}")
            .with(json!({ "email_address": NORMALISED }))
            .reads("Jane van Doe"),
    ]
}

/// What a program prints.
fn printed(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let output = output.unwrap_or_else(|error| panic!("`{program}` cannot be run: {error}"));
    assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn documented_expressions_compute_the_hashes_of_an_index() {
    let hashers = [ValueHasher::Sha256, ValueHasher::Hmac(HashSecret::new(SECRET))];
    let expected = hashers.map(|hasher| hasher.hash(NORMALISED));
    let python = documented("Python").map(|expression| {
        let code = "import hashlib, hmac, sys\nemail, secret = sys.argv[1:]\n";
        printed("python3", &["-c", &format!("{code}print({expression})"), EMAIL, SECRET])
    });
    assert_eq!(python, expected);
    let javascript = documented("JavaScript").map(|expression| {
        let code = "const { createHash, createHmac } = require('node:crypto');\
             const [email, secret] = process.argv.slice(1);";
        printed("node", &["-e", &format!("{code}console.log({expression})"), EMAIL, SECRET])
    });
    assert_eq!(javascript, expected);
}
