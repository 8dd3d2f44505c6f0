//! What `larder serve` makes of its surroundings: limits of the system, certificates.

use rcgen::{CertifiedKey, generate_simple_self_signed};

use super::people;
use crate::support::http::Client;

/// More connections than the soft limit below has room for.
const CONNECTIONS: usize = 100;

#[tokio::test]
async fn a_low_soft_limit_of_open_files_is_raised() {
    let place = people().await;
    let mut server = place.start_after("ulimit -Sn 64", &["serve"]);
    let address = server.address("public");
    let mut clients = Vec::new();
    for _ in 0..CONNECTIONS {
        let mut client = Client::connect(address).await;
        assert_eq!(client.ask("GET", "/livez", "").await.status, 200);
        clients.push(client);
    }
}

#[tokio::test]
async fn a_hard_limit_that_is_too_low_is_told() {
    let place = people().await;
    let mut server = place.start_after("ulimit -n 256", &["serve"]);
    server.await_that("warning", |server| {
        server.written().1.contains("limit of open files is too low").then_some(())
    });
}

#[tokio::test]
async fn a_certificate_turns_tls_on() {
    let place = people().await;
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    place.write("tls.crt", &cert.pem());
    let config = std::fs::read_to_string(place.path().join("larder.toml")).unwrap();
    let tls = "[server]\ntls_certificate_file = \"tls.crt\"\ntls_key_file = \"tls.key\"\n";
    place.write("larder.toml", &config.replace("[server]\n", tls));
    let ran = place.run(&["serve"]).expect(1);
    assert!(ran.stderr.contains("cannot read [server] tls_key_file"), "{ran:?}");
    let ran = place.run(&["check", "--connect"]).expect(1);
    assert!(ran.stdout.contains("FAIL  TLS: cannot read [server] tls_key_file"), "{ran:?}");
    assert!(ran.stdout.contains("(code: tls_certificate_unusable)"), "{ran:?}");

    place.write("tls.key", &signing_key.serialize_pem());
    assert!(place.run(&["check", "--connect"]).stdout.contains("ok    TLS certificate and key\n"));
    let mut server = place.start(&["serve"], &[]);
    let address = server.address("public");
    let health = |scheme: &str| place.run(&["health", "--url", &format!("{scheme}://{address}/livez")]);
    assert_eq!(health("https").expect(0).stdout, format!("https://{address}/livez: 200 OK\n"));
    health("http").expect(1);
}
