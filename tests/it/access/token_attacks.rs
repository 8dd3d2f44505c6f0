//! The known attacks on tokens: each is refused, and a refusal tells nothing of keys or records.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::Algorithm;
use serde_json::json;
use tempfile::tempdir;

use super::{
    FORMS, Form, look_up,
    signer::{SECRET, Signer, bearer, claims, server},
};
use crate::support::{
    http::Client,
    read_server::{Server, now},
};

const PEOPLE: (&str, &str, &str) = ("people", "id", "1");

/// A server whose only issuer signs with `signer`.
fn issuer(signer: &Signer) -> Server {
    let directory = tempdir().unwrap();
    std::fs::write(directory.path().join("key.pem"), &signer.public_pem).unwrap();
    let algorithm = signer.algorithm;
    let lines = format!(
        "algorithms = [\"{algorithm:?}\"]\npublic_key_file = \"key.pem\"\nall_collections = true\nall_records = true"
    );
    server(directory.path(), &lines)
}

/// Checks that each token is refused in every form of look-up, with a code of `codes`.
async fn refused(server: &Server, tokens: &[(&str, String)], codes: &[&str]) {
    let mut client = Client::connect(server.public).await;
    for (attack, token) in tokens {
        for form in FORMS {
            let answer = look_up(&mut client, form, PEOPLE, &bearer(token)).await;
            assert_eq!(answer.status, 401, "{attack}: {}", answer.text());
            assert!(codes.contains(&answer.code().as_str()), "{attack}: {}", answer.text());
            assert_eq!(answer.header("www-authenticate"), Some("Bearer"), "{attack}");
        }
    }
}

async fn opens(server: &Server, token: &str) {
    let mut client = Client::connect(server.public).await;
    assert_eq!(
        look_up(&mut client, Form::Get, PEOPLE, &bearer(token)).await.status,
        200,
        "the attack needs a control"
    );
}

fn encoded(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(text)
}

#[tokio::test]
async fn the_header_does_not_choose_how_a_token_is_checked() {
    for signer in [Signer::es256(), Signer::rsa(Algorithm::RS256)] {
        let server = issuer(&signer);
        let good = claims(json!({}));
        opens(&server, &signer.token(&good)).await;
        let payload = good.to_string();
        let mut tokens = Vec::new();
        // No signature.
        for algorithm in ["none", "None", "NONE", "nOnE", ""] {
            let message =
                format!("{}.{}", encoded(&json!({"alg": algorithm}).to_string()), encoded(&payload));
            let signature = signer.token(&good).rsplit_once('.').unwrap().1.to_owned();
            tokens.push(("none", format!("{message}.")));
            tokens.push(("none with a signature", format!("{message}.{signature}")));
        }
        // The public key as a shared secret, as text and as bytes.
        let lines: String = signer.public_pem.lines().filter(|line| !line.starts_with("-----")).collect();
        let der = base64::engine::general_purpose::STANDARD.decode(&lines).unwrap();
        for secret in [
            signer.public_pem.as_bytes(),
            signer.public_pem.trim_end().as_bytes(),
            &der,
            lines.as_bytes(),
            b"",
        ] {
            let forger = Signer::hs256(secret);
            tokens.push(("confusion", forger.token(&good)));
            tokens.push((
                "confusion by the header",
                forger.sign(&json!({"alg": format!("{:?}", signer.algorithm)}).to_string(), &payload),
            ));
        }
        // Another algorithm with the same key, and other algorithms by name.
        for algorithm in [
            "HS256", "HS384", "HS512", "RS256", "RS384", "PS256", "ES256", "ES384", "EdDSA", "es256",
            " ES256",
        ] {
            if algorithm != format!("{:?}", signer.algorithm) {
                tokens.push((
                    "another algorithm",
                    signer.sign(&json!({"alg": algorithm}).to_string(), &payload),
                ));
            }
        }
        // A key of the attacker, which the header offers.
        let forger = Signer::es256();
        let name = format!("{:?}", forger.algorithm);
        for header in [
            json!({"alg": name, "jwk": forger.jwk}),
            json!({"alg": name, "jku": "http://127.0.0.1:1/jwks.json"}),
            json!({"alg": name, "x5u": "http://127.0.0.1:1/cert.pem"}),
            json!({"alg": name, "x5c": [lines]}),
            json!({"alg": name, "kid": "attacker", "jwk": forger.jwk, "jku": "https://evil.example/"}),
        ] {
            tokens.push(("an offered key", forger.sign(&header.to_string(), &payload)));
        }
        // Names of keys that are paths, queries or commands.
        for id in [
            "../../../../../../dev/null",
            "/dev/null",
            "key.pem",
            "' or '1'='1",
            "| sleep 9",
            "\u{0}",
            &"k".repeat(2000),
        ] {
            tokens.push((
                "a key's name",
                Signer::hs256(b"").sign(&json!({"alg": "HS256", "kid": id}).to_string(), &payload),
            ));
            tokens
                .push(("a key's name", forger.sign(&json!({"alg": name, "kid": id}).to_string(), &payload)));
        }
        // Extensions, and members that occur twice.
        let alg = format!("{:?}", signer.algorithm);
        for header in [
            format!(r#"{{"alg":"{alg}","crit":["b64"],"b64":false}}"#),
            format!(r#"{{"alg":"{alg}","crit":["exp"]}}"#),
            format!(r#"{{"alg":"none","alg":"{alg}"}}"#),
            format!(r#"{{"alg":"{alg}","alg":"none"}}"#),
            format!(r#"["{alg}"]"#),
            format!(r#"{{"alg":["{alg}"]}}"#),
            "{}".to_owned(),
            format!(r#"{{"alg":{}"{alg}"{}}}"#, "[".repeat(900), "]".repeat(900)),
        ] {
            tokens.push(("a header", signer.sign(&header, &payload)));
        }
        refused(&server, &tokens, &["token_invalid", "token_key_unknown"]).await;
    }
}

#[tokio::test]
async fn damaged_and_forged_signatures_are_refused() {
    for signer in [Signer::es256(), Signer::eddsa(), Signer::rsa(Algorithm::PS256)] {
        let server = issuer(&signer);
        let token = signer.token(&claims(json!({})));
        opens(&server, &token).await;
        let (message, signature) = token.rsplit_once('.').unwrap();
        let bytes = URL_SAFE_NO_PAD.decode(signature).unwrap();
        let other = match signer.algorithm {
            Algorithm::ES256 => Signer::es256(),
            Algorithm::EdDSA => Signer::eddsa(),
            algorithm => Signer::rsa(algorithm),
        };
        let mut flipped = bytes.clone();
        flipped[7] ^= 1;
        let signed = |bytes: &[u8]| format!("{message}.{}", URL_SAFE_NO_PAD.encode(bytes));
        let changed = message.split_once('.').unwrap();
        let (header, stolen) = (changed.0, encoded(&claims(json!({"sub": "2"})).to_string()));
        let tokens = [
            ("no signature", format!("{message}.")),
            ("truncated", signed(&bytes[..bytes.len() - 1])),
            ("half", signed(&bytes[..bytes.len() / 2])),
            ("longer", signed(&[&bytes[..], &[0]].concat())),
            ("flipped", signed(&flipped)),
            ("zeros", signed(&vec![0; bytes.len()])),
            ("ones", signed(&vec![255; bytes.len()])),
            ("of another key", other.token(&claims(json!({})))),
            ("of other claims", format!("{header}.{stolen}.{signature}")),
            ("padded", format!("{token}=")),
            ("a space", format!("{message}. {signature}")),
            ("two parts", message.to_owned()),
            ("four parts", format!("{token}.{signature}")),
            ("five parts", format!("{token}.a.b")),
            ("dots", "...".to_owned()),
            ("empty parts", "..".to_owned()),
        ];
        refused(&server, &tokens, &["token_invalid"]).await;
    }
}

#[tokio::test]
async fn claims_that_are_wrong_are_refused_although_they_are_signed() {
    let signer = Signer::eddsa();
    let server = issuer(&signer);
    let at = now().timestamp();
    opens(&server, &signer.token(&claims(json!({"nbf": at + 29})))).await;
    opens(&server, &signer.token(&claims(json!({"exp": at - 29, "iat": at - 60})))).await;
    opens(&server, &signer.token(&claims(json!({"aud": ["x", "larder"], "iat": null, "scope": "x"})))).await;
    for (codes, wrong) in [
        ("token_expired", json!({"exp": at - 31, "iat": at - 60})),
        ("token_expired", json!({"exp": 0, "iat": 0})),
        ("token_expired", json!({"exp": -1, "iat": null})),
        ("token_not_yet_valid", json!({"nbf": at + 31})),
        ("token_not_yet_valid", json!({"iat": at + 31, "exp": at + 300})),
        ("token_invalid", json!({"exp": null})),
        ("token_invalid", json!({"exp": at + 3601})),
        ("token_invalid", json!({"exp": at + 3631, "iat": null})),
        ("token_invalid", json!({"exp": 1e300})),
        ("token_invalid", json!({"exp": (at + 300).to_string()})),
        ("token_invalid", json!({"exp": true})),
        ("token_invalid", json!({"nbf": "now"})),
        ("token_invalid", json!({"aud": null})),
        ("token_invalid", json!({"aud": "larder "})),
        ("token_invalid", json!({"aud": "Larder"})),
        ("token_invalid", json!({"aud": []})),
        ("token_invalid", json!({"aud": {"larder": 1}})),
        ("token_invalid", json!({"iss": null})),
        ("token_invalid", json!({"iss": "https://issuer.example/"})),
        ("token_invalid", json!({"iss": ["https://issuer.example"]})),
        ("token_invalid", json!({"larder": {"collection": ["people"]}})),
        ("token_invalid", json!({"larder": {"collections": "people"}})),
        ("token_invalid", json!({"larder": {"collections": ["a/b"]}})),
        ("token_invalid", json!({"larder": []})),
    ] {
        let claims = claims(wrong.clone());
        refused(&server, &[(&wrong.to_string(), signer.token(&claims))], &[codes]).await;
    }
    let good = claims(json!({})).to_string();
    let inner = &good[1..good.len() - 1];
    let header = r#"{"alg":"EdDSA"}"#;
    let twice = [
        format!(r#"{{{inner},"exp":{}}}"#, at + 3000),
        format!(r#"{{"exp":1,{inner}}}"#),
        format!(r#"{{{inner},"sub":"2"}}"#),
        format!(r#"{{{inner},"iss":"https://issuer.example"}}"#),
        format!(r#"{{{inner},"aud":"larder"}}"#),
        format!(r#"{{{inner},"larder":{{}},"larder":{{}}}}"#),
        format!(r#"{{{inner},"larder":{{"fields":{}"a"{}}}}}"#, "[".repeat(900), "]".repeat(900)),
        format!(r#"{{{inner},"larder":[["people"]]}}"#),
        format!("{good}{good}"),
        format!("[{good}]"),
        "null".to_owned(),
        String::new(),
    ];
    let tokens: Vec<(&str, String)> =
        twice.iter().map(|text| (text.as_str(), signer.sign(header, text))).collect();
    refused(&server, &tokens, &["token_invalid"]).await;
    // Longer than tokens may be, although it is signed; and longer than a head may be.
    let huge = signer.token(&claims(json!({"x": "x".repeat(8000)})));
    refused(&server, &[("huge", huge)], &["token_invalid"]).await;
    let mut client = Client::connect(server.public).await;
    let larger = signer.token(&claims(json!({"x": "x".repeat(40_000)})));
    let answer = look_up(&mut client, Form::Get, PEOPLE, &bearer(&larger)).await;
    assert_eq!((answer.status, answer.code().as_str()), (431, "headers_too_large"));
}

#[tokio::test]
async fn tokens_without_an_issuer_and_keys_in_the_form_of_tokens_are_no_keys() {
    let server = Server::start();
    super::load(&server);
    let token = Signer::hs256(SECRET.as_bytes()).token(&claims(json!({})));
    refused(&server, &[("no issuer", token)], &["key_malformed"]).await;
    let with_issuer = issuer(&Signer::eddsa());
    let key = server.all.expose();
    refused(&with_issuer, &[("a key with dots", format!("{key}.a.b"))], &["key_malformed"]).await;
}
