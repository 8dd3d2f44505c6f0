//! Files of an SFTP server: OpenSSH's.

use std::{ffi::OsStr, fs, os::unix::ffi::OsStrExt as _};

use larder::config::{self, Environment, Overrides};
use object_store::local::LocalFileSystem;

use super::{read_bucket, table};
use crate::support::{
    sftp::Sftp,
    source::{open, read_query},
};

fn section(url: &str, access: &str) -> String {
    format!(
        "type = \"files\"\nurl = {url:?}\ncsv = {{ delimiter = \";\" }}\n[sources.warehouse.sftp]\n{access}"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn files_are_read_over_sftp() {
    let server = Sftp::start().await;
    let exports = server.directory.path().join("exports");
    fs::create_dir(&exports).unwrap();
    let source = open(&section(&server.url("exports"), &server.access()));
    read_bucket(&LocalFileSystem::new_with_prefix(server.directory.path()).unwrap(), &source).await;

    // A link counts as what it leads to; one that leads nowhere, a directory and a pipe are no files.
    std::os::unix::fs::symlink("text.csv.gz", exports.join("link.csv.gz")).unwrap();
    std::os::unix::fs::symlink("nowhere", exports.join("lost.csv.gz")).unwrap();
    rustix::fs::mkfifoat(rustix::fs::CWD, exports.join("pipe.csv.gz"), 0o600.into()).unwrap();
    fs::create_dir(exports.join("directory.csv.gz")).unwrap();
    let read = read_query(&source, &table("*.csv.gz"), None).await.unwrap();
    assert_eq!(read.rows().len(), 2);
    for name in ["lost.csv.gz", "pipe.csv.gz", "directory.csv.gz"] {
        let error = read_query(&source, &table(name), None).await.unwrap_err();
        assert_eq!(error.code(), "source_file_missing", "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn directory_of_a_url_may_have_any_characters() {
    let server = Sftp::start().await;
    let exports = server.directory.path().join("Kunden größe 5 %");
    fs::create_dir(&exports).unwrap();
    fs::write(exports.join("a b é.csv"), "id;name\n1;Ann\n").unwrap();
    for directory in ["Kunden größe 5 %25", "Kunden%20gr%C3%B6%C3%9Fe%205%20%25"] {
        let source = open(&section(&server.url(directory), &server.access()));
        let read = read_query(&source, &table("a b ?.csv"), None).await.unwrap();
        assert_eq!(read.rows()[0][1].1, "Ann", "{directory}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn name_that_is_not_utf8_is_refused_where_a_pattern_may_mean_it() {
    let server = Sftp::start().await;
    let exports = server.directory.path().join("exports");
    let latin1 = exports.join("old").join(OsStr::from_bytes(b"gr\xf6\xdfe"));
    fs::create_dir_all(&latin1).unwrap();
    fs::write(latin1.join("a.csv"), "id;name\n1;Ann\n").unwrap();
    fs::write(exports.join("old").join(OsStr::from_bytes(b"caf\xe9.csv")), "id;name\n2;Bob\n").unwrap();
    fs::write(exports.join("now.csv"), "id;name\n3;Cyd\n").unwrap();
    let remote = open(&section(&server.url("exports"), &server.access()));
    let local = open(&format!("type = \"files\"\npath = {exports:?}\ncsv = {{ delimiter = \";\" }}\n"));
    for source in [remote, local] {
        for pattern in ["**/*", "old/*.csv", "old/*/a.csv", "old/caf?.csv"] {
            let error = read_query(&source, &table(pattern), None).await.unwrap_err();
            assert_eq!(error.code(), "source_file_unreadable", "{pattern}: {error}");
            let directory = exports.join("old").display().to_string();
            assert!(
                error.message().starts_with(&format!("{directory} has a name that is not UTF-8")),
                "{error}"
            );
        }
        for pattern in ["*.csv", "now.csv", "n*/**"] {
            let read = read_query(&source, &table(pattern), None).await.unwrap();
            assert_eq!(read.rows()[0][1].1, "Cyd", "{pattern}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_and_logins_that_are_not_those_configured_are_refused() {
    let server = Sftp::start().await;
    let code = async |url: &str, access: &str| {
        let error = open(&section(url, access)).check().await.unwrap_err();
        assert!(!error.to_string().contains("sesame") && !error.to_string().contains("wrong"), "{error}");
        error.code()
    };
    let (url, access) = (server.url(""), server.access());
    let other_key = format!("SHA256:{}", "A".repeat(43));
    let of_another = access.replace(&server.host_key(), &other_key);
    assert_eq!(code(&url, &of_another).await, "source_tls_refused");
    let either = access
        .replace(&format!("{:?}", server.host_key()), &format!("[{other_key:?}, {:?}]", server.host_key()));
    open(&section(&url, &either)).check().await.unwrap();
    let password = format!("password = \"wrong sesame\"\nhost_key = {:?}\n", server.host_key());
    assert_eq!(code(&url, &password).await, "source_wrong_password");
    assert_eq!(code(&server.url("nowhere"), &access).await, "source_file_missing");
    let closed = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    assert_eq!(code(&format!("sftp://ann@{closed}/"), &access).await, "source_unreachable");
}

#[test]
fn settings_of_sftp_are_checked() {
    let keys = format!("host_key = \"SHA256:{}\"\n", "A".repeat(43));
    let faults = |url: &str, access: &str| {
        let text = format!("[sources.warehouse]\n{}", section(url, access));
        let read =
            config::load_text(&text, "larder.toml".as_ref(), &Environment::default(), &Overrides::default());
        let faults = read.unwrap_err().to_string();
        assert!(!faults.contains("hunter"), "{faults}");
        faults
    };
    let good = format!("password = \"hunter\"\n{keys}");
    assert!(faults("sftp://ann:hunter@host/", &good).contains("sources.warehouse.url: has a password"));
    assert!(faults("sftp://host/", &good).contains("sources.warehouse.url: is not the URL"));
    assert!(faults("sftp://ann@host/", "password = \"hunter\"").contains("sources.warehouse.sftp"));
    assert!(faults("sftp://ann@host/", &keys).contains("sources.warehouse.sftp: has no credentials"));
    assert!(faults("sftp://ann@host/", &format!("{good}key_file = \"id\"\n")).contains("sftp.key_file"));
    assert!(faults("sftp://ann@host/", &format!("{good}keyfile = \"id\"\n")).contains("sftp.keyfile"));
    assert!(
        faults("sftp://ann@host/", "password = \"hunter\"\nhost_key = \"MD5:aa\"\n")
            .contains("sftp.host_key")
    );
}
