//! What credentials cost, and whether the time of a refusal tells anything of a key: `cargo bench --bench access`.
//! `scripts/bench.sh access` also measures whole requests.

use std::{fmt::Write as _, hint::black_box, time::Instant};

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation};
use larder::{
    auth::{ApiKey, Authenticator, KeyRing, tokens::Tokens},
    config::{self, Environment, Overrides},
    domain::keyset::{KeyEntry, KeyLimits, KeySet, Scope},
    support::clock::Clock,
};
use rcgen::{KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ED25519};
use serde_json::json;

/// Tokens of a round, all different.
const TOKENS: usize = 2000;
const ROUNDS: usize = 7;
/// The budget of a new token: what the library's verification costs, and a fifth.
const RATIO_MAX: f64 = 1.2;
/// Checks of one sample of the timing test, and samples of each kind.
const CHECKS: u32 = 200;
const SAMPLES: usize = 20_000;

fn main() {
    let (clock, key) = (Clock::default(), ApiKey::generate());
    let callers = Authenticator::from(ring(&key));
    let plain = nanoseconds(1_000_000, || callers.authenticate(key.expose(), &clock).is_ok());
    println!("a key: {plain:.0} ns");
    println!(
        "\n| tokens | the library alone, µs | new, µs | ratio | budget | seen before, µs |\n|---|---|---|---|---|---|"
    );
    for algorithm in [Algorithm::ES256, Algorithm::EdDSA] {
        println!("{}", compare(algorithm, &clock));
    }
    timing(&callers, &key, &clock);
}

fn ring(key: &ApiKey) -> KeyRing {
    let entry = KeyEntry {
        id: key.id().to_owned(),
        sha256: key.digest(),
        name: "bench".to_owned(),
        grant: Scope::AllCollections,
        created_at: chrono::DateTime::UNIX_EPOCH,
        expires_at: None,
        limits: KeyLimits::default(),
        previous: None,
    };
    let ring = KeyRing::new();
    ring.replace(&KeySet { revision: 1, keys: vec![entry], refused: 0 });
    ring
}

/// Nanoseconds of one call, which must succeed.
fn nanoseconds(calls: u32, mut call: impl FnMut() -> bool) -> f64 {
    let begun = Instant::now();
    for _ in 0..calls {
        assert!(black_box(call()));
    }
    begun.elapsed().as_nanos() as f64 / f64::from(calls)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// The row of an algorithm: the library's `decode` and the whole check of the same new tokens, in turns.
fn compare(algorithm: Algorithm, clock: &Clock) -> String {
    let directory = tempfile::tempdir().expect("a folder");
    let pair = KeyPair::generate_for(if algorithm == Algorithm::ES256 {
        &PKCS_ECDSA_P256_SHA256
    } else {
        &PKCS_ED25519
    });
    let pair = pair.expect("a key pair");
    let (sign, verify) = match algorithm {
        Algorithm::ES256 => (
            EncodingKey::from_ec_der(&pair.serialize_der()),
            DecodingKey::from_ec_pem(pair.public_key_pem().as_bytes()),
        ),
        _ => (
            EncodingKey::from_ed_der(&pair.serialize_der()),
            DecodingKey::from_ed_pem(pair.public_key_pem().as_bytes()),
        ),
    };
    let verify = verify.expect("a public key");
    std::fs::write(directory.path().join("key.pem"), pair.public_key_pem()).expect("a file");
    let text = format!(
        "[tokens.app]\nissuer = \"https://issuer.example\"\naudience = \"larder\"\nalgorithms = [\"{algorithm:?}\"]\n\
         public_key_file = \"key.pem\"\ncollections = [\"customer\"]\nrecord_index = \"id\"\n"
    );
    let path = directory.path().join("larder.toml");
    let config = config::load_text(&text, &path, &Environment::default(), &Overrides::default());
    let settings = config.unwrap_or_else(|faults| panic!("{faults}")).tokens;
    let now = clock.now().timestamp();
    let token = |number: usize| {
        let claims = json!({
            "iss": "https://issuer.example", "aud": "larder", "iat": now, "exp": now + 600, "sub": number.to_string()
        });
        jsonwebtoken::encode(&Header::new(algorithm), &claims, &sign).expect("a token")
    };
    let tokens: Vec<String> = (0..TOKENS).map(token).collect();
    let mut validation = Validation::new(algorithm);
    validation.set_audience(&["larder"]);
    validation.set_issuer(&["https://issuer.example"]);
    let (mut library, mut new, mut seen, mut ratios) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let mut all = tokens.iter().cycle();
        let mut next = || all.next().expect("a cycle").as_str();
        let calls = TOKENS as u32;
        let by_library = nanoseconds(calls, || {
            jsonwebtoken::decode::<serde_json::Value>(next(), &verify, &validation).is_ok()
        });
        let callers = Authenticator {
            tokens: Tokens::open(&settings).expect("a key file"),
            ..Authenticator::default()
        };
        let by_us = nanoseconds(calls, || callers.authenticate(next(), clock).is_ok());
        let again = nanoseconds(calls, || callers.authenticate(next(), clock).is_ok());
        library.push(by_library);
        new.push(by_us);
        seen.push(again);
        ratios.push(by_us / by_library);
    }
    let micros = |values| median(values) / 1000.0;
    let mut row = String::new();
    let _ = write!(
        row,
        "| {algorithm:?} | {:.1} | {:.1} | {:.2} | {RATIO_MAX} | {:.2} |",
        micros(library),
        micros(new),
        median(ratios),
        micros(seen)
    );
    row
}

/// Compares the times of refusals of guesses that are wrong at their first and at their last secret character, by
/// Welch's t-test. An attacker who could tell them apart could guess a key character by character; |t| above 4.5 is the
/// usual sign of that.
fn timing(callers: &Authenticator, key: &ApiKey, clock: &Clock) {
    /// The position of the first secret character: behind `lrd_`, the id and `_`.
    const SECRET_FROM: usize = 17;
    let wrong_at = |at: usize| {
        let mut text = key.expose().as_bytes().to_vec();
        text[at] = if text[at] == b'a' { b'b' } else { b'a' };
        String::from_utf8(text).expect("ASCII")
    };
    let guesses = [wrong_at(SECRET_FROM), wrong_at(SECRET_FROM + 42)];
    let mut samples = [Vec::new(), Vec::new()];
    for number in 0..2 * SAMPLES {
        let kind = number * 7919 / 3 % 2;
        let begun = Instant::now();
        for _ in 0..CHECKS {
            assert!(black_box(callers.authenticate(&guesses[kind], clock)).is_err());
        }
        samples[kind].push(begun.elapsed().as_nanos() as f64 / f64::from(CHECKS));
    }
    // Interruptions by the system are no signal: the slowest tenth is left out on both sides.
    let kept = samples.map(|mut times| {
        times.sort_by(f64::total_cmp);
        times.truncate(times.len() * 9 / 10);
        times
    });
    let [first, last] = kept.each_ref().map(|times| {
        let mean = times.iter().sum::<f64>() / times.len() as f64;
        let variance = times.iter().map(|time| (time - mean).powi(2)).sum::<f64>() / times.len() as f64;
        (mean, variance / times.len() as f64)
    });
    let t = (first.0 - last.0) / (first.1 + last.1).sqrt();
    println!(
        "\na guess that is wrong at its first secret character: {:.1} ns, at its last: {:.1} ns, t = {t:.1}",
        first.0, last.0
    );
}
