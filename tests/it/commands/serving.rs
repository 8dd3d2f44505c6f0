//! What `larder serve` makes of its surroundings: limits of the system, certificates.

use rcgen::{CertifiedKey, generate_simple_self_signed};

use super::people;
use crate::support::{http::Client, process::Process};

/// More connections than the soft limit below has room for.
const CONNECTIONS: usize = 100;

#[tokio::test]
async fn a_low_soft_limit_of_open_files_is_raised() {
    let node = people().await;
    let mut server = node.spawn_within(&["sh", "-c", r#"ulimit -Sn 64; exec "$0" "$@""#], &["serve"]);
    let address = server.listening().await;
    let mut clients = Vec::new();
    for _ in 0..CONNECTIONS {
        let mut client = Client::connect(address).await;
        assert_eq!(client.ask("GET", "/livez", "").await.status, 200);
        clients.push(client);
    }
}

#[tokio::test]
async fn a_hard_limit_of_open_files_that_is_too_low_is_logged() {
    let node = people().await;
    let mut server = node.spawn_within(&["sh", "-c", r#"ulimit -n 256; exec "$0" "$@""#], &["serve"]);
    let warning = |server: &Process| server.log().contains("limit of open files is too low").then_some(());
    server.until("warning", warning).await;
}

#[tokio::test]
async fn a_certificate_turns_tls_on() {
    let node = people().await;
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    node.write("tls.crt", &cert.pem());
    let config = std::fs::read_to_string(node.path().join("larder.toml")).unwrap();
    let tls = "[server]\ntls_certificate_file = \"tls.crt\"\ntls_key_file = \"tls.key\"\n";
    node.write("larder.toml", &config.replace("[server]\n", tls));
    let ran = node.run(&["serve"]).expect(1);
    assert!(ran.stderr.contains("cannot read [server] tls_key_file"), "{ran:?}");
    let ran = node.run(&["check", "--connect"]).expect(1);
    assert!(
        ran.stdout.contains("FAIL  TLS certificate and key: cannot read [server] tls_key_file"),
        "{ran:?}"
    );
    assert!(ran.stdout.contains("(code: tls_certificate_unusable)"), "{ran:?}");

    node.write("tls.key", &signing_key.serialize_pem());
    assert!(node.run(&["check", "--connect"]).stdout.contains("ok    TLS certificate and key\n"));
    let mut server = node.spawn(&["serve"]);
    let address = server.listening().await;
    let health = |scheme: &str| node.run(&["health", "--url", &format!("{scheme}://{address}/livez")]);
    assert_eq!(health("https").expect(0).stdout, format!("https://{address}/livez: 200 OK\n"));
    health("http").expect(1);
}
