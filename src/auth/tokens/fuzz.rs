//! Hostile tokens: as a client sends them, and with a header and claims that an issuer has signed.

// A target reports a broken promise by a panic.
#![allow(clippy::unwrap_used)]

use std::{sync::LazyLock, time::Duration};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::DateTime;
use jsonwebtoken::{Algorithm, EncodingKey, crypto};
use serde_json::Value;

use super::{KeySource, TokenSettings, Tokens, VerifiedToken};
use crate::{
    domain::{
        fields::{FieldLimit, FieldPath},
        keyset::Scope,
        name::{CollectionName, IndexName},
    },
    support::{clock::Clock, secret::SecretString},
};

/// The time of every check, in seconds since 1970.
const NOW: i64 = 1_800_000_100;
const LEEWAY: f64 = 30.0;
const LIFETIME_MAX: f64 = 3600.0;
const SECRET: &str = "0123456789abcdef0123456789abcdef";
/// The key of the issuer `ed`.
const JWKS: &str =
    r#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"4jtzKNYH4ypQcv2ZTeQjzLXP1ePUic25YcUknnEiCcQ","kid":"1"}]}"#;
/// The only tokens that are valid as they are sent: one of each issuer. Made by openssl and Python.
const VALID: [&str; 2] = [
    "eyJ0eXAiOiJKV1QiLCJhbGciOiJFZERTQSIsImtpZCI6IjEifQ.eyJpc3MiOiJlZCIsImF1ZCI6ImxhcmRlciIsImlhdCI6MTgwMDAwMDAwMCwiZXhwIjoxODAwMDAwMzAwLCJzdWIiOiIxIn0.pbp343PZxpymPGRtiGUUPVuibl6VuntxxjIpoAkOUpaTtReWPjAmoCtP-fj9hcbjac_moyObAUbujayBUJNsAw",
    "eyJ0eXAiOiJKV1QiLCJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJocyIsImF1ZCI6WyJ4IiwibGFyZGVyIl0sImlhdCI6MTgwMDAwMDAwMCwibmJmIjoxODAwMDAwMDAwLCJleHAiOjE4MDAwMDAzMDAsInN1YiI6IjEiLCJsYXJkZXIiOnsiY29sbGVjdGlvbnMiOlsicGVvcGxlIl0sImZpZWxkcyI6WyJhIiwiYi5jIl19fQ.bnIGLpJWznR-uv5E7myteV0qbssmunZ7g7czUoNs-CE",
];

static ISSUERS: LazyLock<Tokens> = LazyLock::new(|| {
    let url = "https://issuer.example/keys".parse().unwrap();
    let keys = KeySource::JwksUrl { url, interval: Duration::from_mins(15), allows_private_address: false };
    let ed = issuer("ed", Algorithm::EdDSA, keys);
    let secret = SecretString::from(SECRET);
    let hs = issuer("hs", Algorithm::HS256, KeySource::Secret(secret.into()));
    let issuers = Tokens::open(&[ed, hs]).unwrap();
    assert_eq!(issuers.0.issuers[0].replace_keys(JWKS.into()), Ok(true));
    issuers
});

fn issuer(name: &str, algorithm: Algorithm, keys: KeySource) -> TokenSettings {
    TokenSettings {
        name: name.to_owned(),
        issuer: name.to_owned(),
        audience: "larder".to_owned(),
        algorithms: vec![algorithm],
        keys,
        leeway: Duration::from_secs_f64(LEEWAY),
        lifetime_max: Duration::from_secs_f64(LIFETIME_MAX),
        scope: Scope::Collections(vec![CollectionName::new("people").unwrap()]),
        included: Vec::new(),
        indexes: None,
        fields: Some(FieldLimit::Without(vec![FieldPath::new("ssn").unwrap()])),
        record_index: Some(IndexName::new("id").unwrap()),
    }
}

/// Takes a token; or, with a line feed in it, a header and claims, which the issuer `hs` then signs. Returns whether the
/// token is valid.
pub(crate) fn token(bytes: &[u8]) -> bool {
    let clock = Clock::fixed(DateTime::from_timestamp(NOW, 0).unwrap());
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let Some((header, claims)) = text.split_once('\n') else {
        let is_valid = ISSUERS.verify(text, &clock).is_ok();
        assert_eq!(is_valid, VALID.contains(&text), "a token that no issuer has signed");
        return is_valid;
    };
    let token = signed(header, claims);
    let verified = ISSUERS.verify(&token, &clock);
    assert_eq!(verified.is_ok(), ISSUERS.verify(&token, &clock).is_ok(), "the answer from the cache differs");
    let Ok(verified) = verified else { return false };
    check(&verified, header, claims);
    for at in [0, token.find('.').unwrap() + 1, token.len() / 2, token.len() - 1] {
        let mut altered = token.clone().into_bytes();
        altered[at] = if altered[at] == b'A' { b'B' } else { b'A' };
        let altered = String::from_utf8(altered).unwrap();
        assert!(ISSUERS.verify(&altered, &clock).is_err(), "the token may be altered at {at}");
    }
    true
}

fn signed(header: &str, claims: &str) -> String {
    let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let key = EncodingKey::from_secret(SECRET.as_bytes());
    let signature = crypto::sign(message.as_bytes(), &key, Algorithm::HS256).unwrap();
    format!("{message}.{signature}")
}

/// Checks an accepted token by its parsed text: it is of the issuer `hs`, valid now, and opens no more than that may.
fn check(verified: &VerifiedToken, header: &str, claims: &str) {
    // Claims that are ignored may be nested deeper than a `Value`.
    let parsed =
        serde_json::from_str::<Value>(header).and_then(|header| Ok((header, serde_json::from_str(claims)?)));
    let Ok((header, claims)): Result<(Value, Value), _> = parsed else { return };
    assert_eq!((&header["alg"], header.get("crit").filter(|crit| !crit.is_null())), (&"HS256".into(), None));
    let audience = &claims["aud"];
    let is_for_us =
        *audience == "larder" || audience.as_array().is_some_and(|all| all.contains(&"larder".into()));
    assert!(claims["iss"] == "hs" && is_for_us, "{claims}");
    let (time, now) = (|name: &str| claims[name].as_f64(), NOW as f64);
    let end = time("exp").unwrap();
    assert!(now < end + LEEWAY, "{claims}");
    assert!(["nbf", "iat"].into_iter().filter_map(time).all(|begin| begin - LEEWAY <= now), "{claims}");
    assert!(end - time("iat").unwrap_or(now) <= LIFETIME_MAX, "{claims}");
    let grant = verified.grant();
    let (index, value) = grant.rights("people").record().unwrap();
    assert!(index.as_str() == "id" && claims["sub"] == value, "{claims}");
    assert!(grant.collection("orders").is_none() && grant.included("people").is_none());
    assert!(!grant.rights("people").fields().unwrap().allows("ssn"), "{claims}");
}
