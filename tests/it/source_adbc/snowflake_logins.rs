//! What Snowflake's own driver sends to log in, for each way that a source may name.

use std::{fs, path::Path, process::Command};

use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use serde_json::{Value, json};

use super::{configure, directory, python_driver};
use crate::{
    access::signer::Signer,
    support::{
        process::{Process, command},
        web::{WebService, json as answer},
    },
};

const PASSPHRASE: &str = "open sesame";

/// Writes the key and the same key under a passphrase.
fn write_keys(directory: &Path, signer: &Signer) {
    fs::write(directory.join("key.p8"), &signer.private_pem).unwrap();
    let made = Command::new("openssl")
        .args(["pkcs8", "-topk8", "-v2", "aes-256-cbc", "-in", "key.p8", "-out", "locked.p8"])
        .args(["-passout", &format!("pass:{PASSPHRASE}")])
        .current_dir(directory)
        .status();
    assert!(made.unwrap().success());
}

#[tokio::test(flavor = "multi_thread")]
async fn each_way_to_log_in_sends_what_snowflake_documents() {
    let refusal = json!({"success": false, "code": "390100", "message": "Incorrect login.", "data": null});
    let server = WebService::start(move |_| answer(200, &refusal)).await;
    let directory = directory("");
    let root = directory.path();
    let signer = Signer::rsa(Algorithm::RS256);
    write_keys(root, &signer);
    let log_in = async |keys: &str| -> Value {
        configure(
            root,
            &format!(
                "[sources.snow]\ntype = \"snowflake\"\ndriver = {:?}\naccount = \"xy12345\"\nuser = \"reader\"\n\
                 host = \"127.0.0.1\"\nport = {}\nprotocol = \"http\"\ndatabase = \"SHOP\"\nwarehouse = \"WH\"\n\
                 role = \"READER\"\n{keys}\n",
                python_driver("snowflake"),
                server.address.port()
            ),
        );
        let before = server.requests().len();
        let check = Process::spawn(command(root, &[], &["source", "check", "snow"])).wait().await.expect(1);
        for secret in ["hunter2", PASSPHRASE, "PRIVATE"] {
            assert!(!check.text().contains(secret), "{keys}: {check:?}");
        }
        let requests = server.requests();
        let login = requests[before..].iter().find(|request| request.target.contains("login-request"));
        let login = login.unwrap_or_else(|| panic!("{keys}: {check:?}"));
        let target = &login.target;
        assert!(
            ["databaseName=SHOP", "warehouse=WH", "roleName=READER"].iter().all(|part| target.contains(part))
        );
        let body: Value = serde_json::from_str(&login.body).unwrap();
        body["data"].clone()
    };

    let password = log_in("password = \"hunter2\"").await;
    assert_eq!((&password["LOGIN_NAME"], &password["PASSWORD"]), (&json!("reader"), &json!("hunter2")));
    assert_eq!(password["ACCOUNT_NAME"], "xy12345");

    let locked = format!("private_key_file = \"locked.p8\"\nprivate_key_passphrase = {PASSPHRASE:?}");
    for keys in ["private_key_file = \"key.p8\"", &locked] {
        let login = log_in(keys).await;
        assert_eq!(login["AUTHENTICATOR"], "SNOWFLAKE_JWT", "{keys}");
        let mut validation = Validation::new(Algorithm::RS256);
        validation.set_required_spec_claims(&["iss", "sub", "exp"]);
        let key = DecodingKey::from_rsa_pem(signer.public_pem.as_bytes()).unwrap();
        let token = login["TOKEN"].as_str().unwrap();
        let claims =
            jsonwebtoken::decode::<Value>(token, &key, &validation).expect("the key signed it").claims;
        assert_eq!(claims["sub"], "XY12345.READER", "{claims}");
        assert!(claims["iss"].as_str().unwrap().starts_with("XY12345.READER.SHA256:"), "{claims}");
    }

    let token = log_in("token = \"pat hunter2\"").await;
    assert_eq!(
        (&token["AUTHENTICATOR"], &token["TOKEN"]),
        (&json!("PROGRAMMATIC_ACCESS_TOKEN"), &json!("pat hunter2"))
    );
    let oauth = log_in("oauth_token = \"oauth hunter2\"").await;
    assert_eq!((&oauth["AUTHENTICATOR"], &oauth["TOKEN"]), (&json!("OAUTH"), &json!("oauth hunter2")));
}
