//! Stores behind TLS: a private authority of the configuration, and the cause of every failure on the way.

use std::path::Path;

use larder::{
    config::{Environment, Overrides, load_text},
    domain::error::ErrorKind,
    store::{Error, Store},
};
use tempfile::TempDir;

use crate::support::{s3::S3, tls::tls_before};

async fn check(endpoint: &str, bucket: &str, ca_file: Option<&Path>) -> Result<(), Error> {
    let ca_file = ca_file.map(|path| format!("ca_file = {path:?}\n")).unwrap_or_default();
    let text = format!(
        "[storage]\nurl = \"s3://{bucket}/larder\"\n{ca_file}[storage.s3]\nendpoint = \"{endpoint}\"\n\
         region = \"us-east-1\"\naccess_key_id = \"test\"\nsecret_access_key = \"test\"\n"
    );
    let config = load_text(&text, Path::new("larder.toml"), &Environment::default(), &Overrides::default());
    let config = config.unwrap_or_else(|faults| panic!("{faults}"));
    Store::open(&config.storage.location)?.check_conditional_create().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_private_authority_is_named_in_the_file_and_failures_name_their_cause() {
    let directory = TempDir::new().unwrap();
    let (file, other) = (directory.path().join("ca.pem"), directory.path().join("other.pem"));
    let bucket = S3::bucket().await;
    let plain = S3::server().await.address();
    let port = tls_before(plain, "127.0.0.1", &file).await.port();
    let misnamed = tls_before(plain, "elsewhere.example.com", &other).await.port();
    check(&format!("https://127.0.0.1:{port}"), &bucket, Some(&file)).await.unwrap();

    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    for (endpoint, ca_file, part) in [
        (format!("https://127.0.0.1:{port}"), None, "ca_file"),
        (format!("https://127.0.0.1:{port}"), Some(&other), "ca_file"),
        (format!("https://127.0.0.1:{misnamed}"), Some(&other), "another name"),
        (format!("https://127.0.0.1:{}", plain.port()), None, "http://"),
        (format!("http://127.0.0.1:{closed}"), None, "refused"),
        ("http://no-such-host.invalid:1".to_owned(), None, "lookup"),
    ] {
        let error = check(&endpoint, &bucket, ca_file.map(std::path::PathBuf::as_path)).await.unwrap_err();
        assert_eq!((error.code(), error.kind()), ("store_unavailable", ErrorKind::Unavailable), "{error}");
        assert!(error.to_string().contains(part), "{endpoint}: {error}");
    }
    std::fs::write(&other, "").unwrap();
    for path in [&other, &directory.path().join("none.pem"), &directory.path().to_owned()] {
        let error = check(&format!("https://127.0.0.1:{port}"), &bucket, Some(path)).await.unwrap_err();
        assert_eq!(error.code(), "store_unusable", "{error}");
        assert!(error.to_string().contains("ca_file"), "{error}");
    }
}
