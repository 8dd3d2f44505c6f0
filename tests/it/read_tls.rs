//! TLS on the public listener: protocols, a certificate that changes, clients that misbehave.

use std::{fs, path::Path, sync::Arc, time::Duration};

use http_body_util::{BodyExt, Empty};
use hyper::{Request, body::Bytes, client::conn::http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use larder::{
    api::{
        Limits,
        tls::{Settings, Tls},
    },
    support::shutdown::Shutdown,
};
use rcgen::{CertifiedKey, generate_simple_self_signed};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio_rustls::{
    TlsConnector,
    client::TlsStream,
    rustls::{
        ClientConfig, RootCertStore, SupportedProtocolVersion,
        crypto::aws_lc_rs,
        pki_types::{CertificateDer, ServerName},
        version::{TLS12, TLS13},
    },
};

use crate::support::{
    http::{Client, soon},
    read_server::{READ_LIMITS, RELAXED, Server, partner_record},
};

const RECORD: &str = "/v1/collections/customer/records/id/12345";

/// A certificate for `localhost` in a directory.
struct Place(TempDir);

impl Place {
    fn new() -> (Self, CertificateDer<'static>) {
        let place = Self(TempDir::new().unwrap());
        let certificate = place.renew();
        (place, certificate)
    }

    fn settings(&self) -> Settings {
        Settings {
            certificate_file: self.0.path().join("tls.crt"),
            key_file: self.0.path().join("tls.key"),
            reload_interval: Duration::from_millis(10),
        }
    }

    /// Writes another certificate and its key.
    fn renew(&self) -> CertificateDer<'static> {
        let CertifiedKey { cert, signing_key } =
            generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        self.write("tls.crt", &cert.pem());
        self.write("tls.key", &signing_key.serialize_pem());
        cert.der().clone()
    }

    /// Puts a file into its place as a whole.
    fn write(&self, name: &str, text: &str) {
        let new = self.0.path().join("new");
        fs::write(&new, text).unwrap();
        fs::rename(new, self.0.path().join(name)).unwrap();
    }

    fn tls(&self) -> Tls {
        Tls::load(&self.settings()).unwrap()
    }
}

async fn connect(
    server: &Server,
    trusted: &CertificateDer<'static>,
    versions: &[&'static SupportedProtocolVersion],
    alpn: &[&str],
) -> std::io::Result<TlsStream<TcpStream>> {
    handshake(TcpStream::connect(server.public).await?, trusted, versions, alpn).await
}

async fn handshake(
    stream: TcpStream,
    trusted: &CertificateDer<'static>,
    versions: &[&'static SupportedProtocolVersion],
    alpn: &[&str],
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|name| name.as_bytes().to_vec()).collect();
    let name = ServerName::try_from("localhost").unwrap();
    soon("handshake", TlsConnector::from(Arc::new(config)).connect(name, stream)).await
}

#[tokio::test]
async fn both_versions_of_tls_are_spoken() {
    let (place, certificate) = Place::new();
    let server = Server::serving(RELAXED, READ_LIMITS, Some(place.tls()));
    for version in [&TLS12, &TLS13] {
        for (alpn, spoken) in [(&[][..], None), (&["http/1.1"], Some(&b"http/1.1"[..]))] {
            let stream = connect(&server, &certificate, &[version], alpn).await.unwrap();
            assert_eq!(stream.get_ref().1.alpn_protocol(), spoken);
            let mut client = Client::over(stream);
            for _ in 0..3 {
                let answer = client.ask("GET", RECORD, &server.bearer()).await;
                assert_eq!((answer.status, answer.text()), (200, partner_record().as_str()));
            }
            let answer = client.ask("GET", RECORD, "").await;
            assert_eq!(answer.code(), "key_missing");
            client.send("no HTTP\r\n\r\n").await;
            assert_eq!(client.answer().await.status, 400);
            client.closed().await;
        }
    }
}

#[tokio::test]
async fn http_2_is_agreed_on() {
    let (place, certificate) = Place::new();
    let server = Server::serving(RELAXED, READ_LIMITS, Some(place.tls()));
    let stream = connect(&server, &certificate, &[&TLS13], &["h2", "http/1.1"]).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let (mut sender, connection) =
        http2::handshake::<_, _, Empty<Bytes>>(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let request = Request::get(format!("https://localhost{RECORD}"))
        .header("authorization", format!("Bearer {}", server.all.expose()))
        .body(Empty::new())
        .unwrap();
    let answer = soon("answer", sender.send_request(request)).await.unwrap();
    assert_eq!(answer.status(), 200);
    let body = soon("body", answer.into_body().collect()).await.unwrap().to_bytes();
    assert_eq!(body, partner_record());
}

#[tokio::test]
async fn a_changed_certificate_is_taken_over_and_a_broken_one_is_not() {
    let (place, first) = Place::new();
    let (tls, shutdown) = (place.tls(), Shutdown::new());
    let watching = tokio::spawn(tls.clone().watch(shutdown.clone()));
    let server = Server::serving(RELAXED, READ_LIMITS, Some(tls));
    let mut old = Client::over(connect(&server, &first, &[&TLS13], &[]).await.unwrap());
    assert_eq!(old.ask("GET", RECORD, &server.bearer()).await.status, 200);

    let second = place.renew();
    soon("the new certificate", async { while connect(&server, &second, &[&TLS13], &[]).await.is_err() {} })
        .await;
    assert!(connect(&server, &first, &[&TLS13], &[]).await.is_err());
    assert_eq!(old.ask("GET", RECORD, &server.bearer()).await.status, 200, "open connections stay");

    // A certificate without its key, then one that is none; the third shows that both were passed over.
    let key = fs::read_to_string(place.0.path().join("tls.key")).unwrap();
    place.renew();
    place.write("tls.key", &key);
    assert!(connect(&server, &second, &[&TLS13], &[]).await.is_ok());
    place.write("tls.crt", "-----BEGIN CERTIFICATE-----\nnothing\n");
    assert!(connect(&server, &second, &[&TLS13], &[]).await.is_ok());
    let third = place.renew();
    soon("the third certificate", async { while connect(&server, &third, &[&TLS13], &[]).await.is_err() {} })
        .await;
    shutdown.cancel();
    soon("end of the watch", watching).await.unwrap();
}

#[tokio::test]
async fn clients_that_do_not_speak_tls_are_closed_and_harm_nobody() {
    let (place, certificate) = Place::new();
    let limits = Limits { header_timeout: Duration::from_millis(200), ..RELAXED };
    let server = Server::serving(limits, READ_LIMITS, Some(place.tls()));
    let mut plain = Client::connect(server.public).await;
    plain.request("GET", RECORD, &server.bearer()).await;
    let mut silent = Client::connect(server.public).await;
    let mut half = Client::connect(server.public).await;
    half.send(b"\x16\x03\x01\x02\x00\x01").await;
    plain.ended().await;
    silent.ended().await;
    half.ended().await;
    let mut client = Client::over(connect(&server, &certificate, &[&TLS13], &[]).await.unwrap());
    assert_eq!(client.ask("GET", RECORD, &server.bearer()).await.status, 200);
    let counted = async {
        loop {
            let mut admin = Client::connect(server.admin).await;
            let metrics = admin.ask("GET", "/metrics", "").await;
            if metrics.text().contains(r#"larder_connections_tls_failed_total{listener="public"} 3"#) {
                break;
            }
        }
    };
    soon("the count of failed handshakes", counted).await;
}

#[tokio::test]
async fn clients_amid_their_handshake_delay_the_end_for_a_moment_only() {
    let (place, _) = Place::new();
    let limits = Limits { first_request_grace: Duration::from_millis(50), ..RELAXED };
    let mut server = Server::serving(limits, READ_LIMITS, Some(place.tls()));
    let mut silent = Client::connect(server.public).await;
    let mut half = Client::connect(server.public).await;
    half.send(b"\x16\x03\x01\x02\x00\x01").await;
    server.shutdown.cancel();
    silent.ended().await;
    half.ended().await;
    server.ended().await;
}

#[tokio::test]
async fn a_handshake_may_still_be_made_as_the_listener_ends() {
    let (place, certificate) = Place::new();
    let limits = Limits { first_request_grace: Duration::from_hours(1), ..RELAXED };
    let mut server = Server::serving(limits, READ_LIMITS, Some(place.tls()));
    let stream = TcpStream::connect(server.public).await.unwrap();
    server.shutdown.cancel();
    server.refuses().await;
    let mut client = Client::over(handshake(stream, &certificate, &[&TLS13], &[]).await.unwrap());
    let answer = client.ask("GET", RECORD, &server.bearer()).await;
    assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
    client.closed().await;
    drop(client);
    server.ended().await;
}

#[test]
fn files_that_cannot_be_used_are_distinguished() {
    let (place, _) = Place::new();
    let good = place.settings();
    let fault = |settings: &Settings| Tls::load(settings).err().unwrap().to_string();
    let missing = Settings { key_file: "nowhere/tls.key".into(), ..good.clone() };
    assert!(fault(&missing).starts_with("cannot read [server] tls_key_file nowhere/tls.key: "));
    let swapped = Settings { key_file: good.certificate_file.clone(), ..good.clone() };
    assert!(fault(&swapped).ends_with("tls.crt holds no private key in PEM form"), "{}", fault(&swapped));
    let swapped = Settings { certificate_file: good.key_file.clone(), ..good.clone() };
    assert!(fault(&swapped).ends_with("tls.key holds no certificate in PEM form"));
    let (other, _) = Place::new();
    let foreign = Settings { key_file: other.settings().key_file, ..good };
    assert!(fault(&foreign).ends_with("do they belong together?"), "{}", fault(&foreign));
    assert!(Path::new(&foreign.key_file).exists());
}
