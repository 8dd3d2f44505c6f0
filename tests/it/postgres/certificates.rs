//! `sslmode`, `sslrootcert`, `sslcert` and `sslkey` have libpq's meaning: each combination is tried with psql, too.
//! The certificates are made by the commands of Postgres' own manual.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use larder::{metadata::Metadata, source::Query};

use super::{metadata, source};
use crate::support::{
    postgres::{Database, Postgres},
    source::{open_within, read},
};

/// Makes certificates in a directory.
struct Authority(tempfile::TempDir);

impl Authority {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// Runs openssl with `arguments` in the directory.
    fn openssl(&self, arguments: &str) {
        let mut command = Command::new("openssl");
        command.current_dir(self.0.path()).args(arguments.split_whitespace());
        let done = command.output().expect("openssl runs");
        assert!(done.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&done.stderr));
    }

    /// A certificate of `name` by itself (`openssl req -new -x509`).
    fn self_signed(&self, name: &str, host: &str, more: &str) {
        self.openssl(&format!(
            "req -new -x509 -days 365 -nodes -text -out {name}.crt -keyout {name}.key -subj /CN={host} {more}"
        ));
    }

    /// A root, as the manual makes it.
    fn root(&self, name: &str) {
        self.openssl(&format!(
            "req -new -nodes -text -out {name}.csr -keyout {name}.key -subj /CN={name}.example.com"
        ));
        self.openssl(&format!(
            "x509 -req -in {name}.csr -text -days 3650 -extfile /etc/ssl/openssl.cnf -extensions v3_ca \
             -signkey {name}.key -out {name}.crt"
        ));
    }

    /// A certificate of `host` by `issuer`, with the extensions of openssl's section `more`.
    fn signed(&self, name: &str, host: &str, issuer: &str, more: &str) {
        self.openssl(&format!("req -new -nodes -text -out {name}.csr -keyout {name}.key -subj /CN={host}"));
        self.openssl(&format!(
            "x509 -req -in {name}.csr -text -days 365 -CA {issuer}.crt -CAkey {issuer}.key -CAcreateserial \
             -out {name}.crt {more}"
        ));
        fs::set_permissions(self.path(&format!("{name}.key")), fs::Permissions::from_mode(0o600)).unwrap();
    }
}

/// Whether psql connects with `url`, without files of a home directory.
fn psql_connects(url: &str, home: &Path) -> bool {
    let mut command = Command::new("psql");
    command.args(["-X", "-w", "-q", "-c", "select 1", url]).env("HOME", home);
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("PG")) {
        command.env_remove(name);
    }
    command.output().expect("psql runs").status.success()
}

async fn connects(url: &str) -> bool {
    source(url).describe(&Query::Sql("select 1".to_owned())).await.is_ok()
}

fn url(database: &Database, user: &str, host: &str, parameters: &str) -> String {
    let plain = database.url_of(user);
    format!("{}?{parameters}", plain.replace("127.0.0.1", host))
}

/// Compares Larder with psql for every mode, root and host.
async fn compare(database: &Database, authority: &Authority, form: &str, root: &str) {
    for mode in ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"] {
        for root in ["", root, "other"] {
            for host in ["localhost", "127.0.0.1"] {
                let mut parameters = format!("sslmode={mode}");
                if !root.is_empty() {
                    parameters +=
                        &format!("&sslrootcert={}", authority.path(&format!("{root}.crt")).display());
                }
                for user in ["postgres", "encrypted", "plain"] {
                    let url = url(database, user, host, &parameters);
                    let expected = psql_connects(&url, authority.0.path());
                    assert_eq!(connects(&url).await, expected, "{form}: {url}");
                }
            }
        }
    }
}

const ACCESS: &str = "hostssl all certified all cert\nhost all certified all reject\n\
    hostssl all encrypted all trust\nhost all encrypted all reject\n\
    hostnossl all plain all trust\nhost all plain all reject\nhost all all all trust\nlocal all all trust\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn modes_roots_and_certificates_have_the_meaning_of_libpq() {
    let authority = Authority::new();
    let database = Postgres::own_server().await;
    database.execute("create role encrypted login superuser; create role plain login superuser; create role certified login").await;
    authority.root("other");
    authority.root("root");
    authority.self_signed("self", "localhost", "");
    authority.self_signed("san", "somewhere", "-addext subjectAltName=DNS:localhost,IP:127.0.0.1");
    authority.self_signed("wildcard", "*.example.com", "");
    authority.signed("server", "localhost", "root", "");
    authority.signed("v3", "localhost", "root", "-extfile /etc/ssl/openssl.cnf -extensions usr_cert");
    authority
        .openssl("req -new -nodes -text -out middle.csr -keyout middle.key -subj /CN=middle.example.com");
    authority.openssl(
        "x509 -req -in middle.csr -text -days 1825 -extfile /etc/ssl/openssl.cnf -extensions v3_ca -CA root.crt \
         -CAkey root.key -CAcreateserial -out middle.crt",
    );
    authority.signed("leaf", "localhost", "middle", "");
    authority.signed("no_ca", "localhost", "server", "");
    for (form, root, chain) in [
        ("self", "self", &["self"][..]),
        ("san", "san", &["san"]),
        ("wildcard", "wildcard", &["wildcard"]),
        // Version 1: the manual's command adds no extension.
        ("server", "root", &["server"]),
        ("v3", "root", &["v3"]),
        ("leaf", "root", &["leaf", "middle"]),
        ("leaf", "root", &["leaf"]),
        // Signed by a certificate that is no authority.
        ("no_ca", "root", &["no_ca", "server"]),
    ] {
        let certificates: String = chain.iter().map(|name| authority.text(&format!("{name}.crt"))).collect();
        let key = authority.text(&format!("{form}.key"));
        database
            .reload(&[("server.crt", &certificates), ("server.key", &key), ("pg_hba.conf", ACCESS)])
            .await;
        compare(&database, &authority, &format!("{chain:?}"), root).await;
    }

    // A server that speaks TLS 1.2 alone, with a certificate of version 1.
    let (certificate, key) = (authority.text("server.crt"), authority.text("server.key"));
    database.reload(&[("server.crt", &certificate), ("server.key", &key)]).await;
    let root = authority.path("root.crt");
    let old = format!("sslmode=verify-full&sslrootcert={}&ssl_max_protocol_version=TLSv1.2", root.display());
    assert!(connects(&url(&database, "postgres", "localhost", &old)).await);

    clients(&database, &authority).await;
}

/// Logins by certificate.
async fn clients(database: &Database, authority: &Authority) {
    authority.root("client_root");
    authority.signed("client", "certified", "client_root", "");
    authority.signed("stranger", "certified", "other", "");
    // Keys in DER, as PKCS #8 and PKCS #1, and a certificate in DER, which libpq does not read.
    authority.openssl("pkey -in client.key -outform der -out der.key");
    authority.openssl("rsa -in client.key -traditional -outform der -out old_der.key");
    authority.openssl("x509 -in client.crt -outform der -out der.crt");
    for key in ["der.key", "old_der.key"] {
        fs::set_permissions(authority.path(key), fs::Permissions::from_mode(0o600)).unwrap();
    }
    let settings = "alter system set ssl_ca_file = 'client_root.crt'";
    database.reload(&[("client_root.crt", &authority.text("client_root.crt"))]).await;
    database.execute(settings).await;
    database.reload(&[]).await;
    let file = |name: &str| authority.path(name).display().to_string();
    for (certificate, key) in [
        ("", ""),
        ("client", "client"),
        ("stranger", "stranger"),
        ("client", "stranger"),
        ("client", "der"),
        ("client", "old_der"),
        ("der", "client"),
    ] {
        for mode in ["disable", "allow", "prefer", "require"] {
            let mut parameters = format!("sslmode={mode}");
            if !certificate.is_empty() {
                let (certificate, key) = (file(&format!("{certificate}.crt")), file(&format!("{key}.key")));
                parameters += &format!("&sslcert={certificate}&sslkey={key}");
            }
            let url = url(database, "certified", "localhost", &parameters);
            let expected = psql_connects(&url, authority.0.path());
            assert_eq!(connects(&url).await, expected, "{certificate} {key} {mode}");
        }
    }
}

#[tokio::test]
async fn a_file_that_cannot_be_used_is_named_with_its_parameter() {
    let authority = Authority::new();
    let database = Postgres::database().await;
    authority.root("root");
    authority.signed("client", "postgres", "root", "");
    authority.signed("second", "postgres", "root", "");
    authority.openssl("rsa -aes128 -passout pass:s3cr3t -in client.key -out encrypted.key");
    for name in ["encrypted.key", "root.key"] {
        fs::set_permissions(authority.path(name), fs::Permissions::from_mode(0o600)).unwrap();
    }
    fs::copy(authority.path("client.key"), authority.path("open.key")).unwrap();
    fs::set_permissions(authority.path("open.key"), fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(authority.path("empty"), "").unwrap();
    authority.openssl("x509 -in client.crt -outform der -out der.crt");
    authority.openssl("pkcs8 -topk8 -in client.key -passout pass:s3cr3t -outform der -out encrypted_der.key");
    fs::set_permissions(authority.path("encrypted_der.key"), fs::Permissions::from_mode(0o600)).unwrap();
    let client = |key: &str| format!("sslmode=require&sslcert=DIR/client.crt&sslkey=DIR/{key}");
    for (parameters, parameter, file) in [
        ("sslmode=require&sslrootcert=DIR/none.pem".to_owned(), "sslrootcert", "none.pem"),
        ("sslmode=verify-full&sslrootcert=DIR/".to_owned(), "sslrootcert", ""),
        ("sslmode=verify-ca&sslrootcert=DIR/empty".to_owned(), "sslrootcert", "empty"),
        ("sslmode=verify-ca&sslrootcert=DIR/root.key".to_owned(), "sslrootcert", "root.key"),
        ("sslmode=require&sslcert=DIR/none&sslkey=DIR/client.key".to_owned(), "sslcert", "none"),
        (client("none"), "sslkey", "none"),
        (client("client.crt"), "sslkey", "client.crt"),
        (client("encrypted.key"), "sslkey", "encrypted.key"),
        (client("second.key"), "sslkey", "second.key"),
        (client("open.key"), "sslkey", "open.key"),
        (client("encrypted_der.key"), "sslkey", "openssl pkey -inform der"),
        (
            "sslmode=require&sslcert=DIR/der.crt&sslkey=DIR/client.key".to_owned(),
            "sslcert",
            "openssl x509 -inform der",
        ),
        ("sslmode=verify-ca&sslrootcert=DIR/der.crt".to_owned(), "sslrootcert", "openssl x509 -inform der"),
    ] {
        let parameters = parameters.replace("DIR", &authority.0.path().display().to_string());
        let url = format!("{}?{parameters}", database.url());
        let error = read(&source(&url), "select 1 as id").await.unwrap_err();
        let text = error.to_string();
        assert_eq!(error.code(), "source_certificate_file", "{parameters}: {text}");
        assert!(text.contains(parameter) && text.contains(file), "{text}");
        let clock = larder::support::clock::Clock::default();
        let error = Metadata::open(&metadata(&url), clock).await.unwrap_err();
        assert_eq!(error.code(), "metadata_certificate_file", "{parameters}: {error}");
        assert!(error.to_string().contains(file), "{error}");
    }
}

#[tokio::test]
async fn relative_paths_are_from_the_configuration_file() {
    let database = Postgres::database().await;
    let directory = tempfile::tempdir().unwrap();
    fs::copy(database.certificate(), directory.path().join("ca.pem")).unwrap();
    let url = database.url().replace("127.0.0.1", "localhost") + "?sslmode=verify-full&sslrootcert=ca.pem";
    fs::write(
        directory.path().join("larder.toml"),
        format!("[sources.w]\ntype = \"postgres\"\nurl = {url:?}\n[metadata]\nurl = {url:?}\n"),
    )
    .unwrap();
    let config = larder::config::load(
        Some(&directory.path().join("larder.toml")),
        &larder::config::Environment::default(),
        &larder::config::Overrides::default(),
    )
    .unwrap_or_else(|faults| panic!("{faults}"));
    read(&config.sources["w"], "select 1 as id").await.unwrap();
    Metadata::migrate(config.metadata.as_ref().unwrap()).await.unwrap();
}

#[tokio::test]
async fn an_untrusted_certificate_and_a_wrong_name_are_distinguished() {
    let database = Postgres::database().await;
    let root = format!("sslrootcert={}", database.certificate().display());
    let hosts = database.url().replace("127.0.0.1", "db.example.com");
    for (url, part) in [
        (format!("{}?sslmode=verify-full", database.url()), "sslrootcert=FILE"),
        (format!("{}?sslmode=verify-full&sslrootcert=system", database.url()), "sslrootcert"),
        (format!("{hosts}?sslmode=verify-full&hostaddr=127.0.0.1&{root}"), "verify-ca"),
    ] {
        let source = open_within(&format!("type = \"postgres\"\nurl = {url:?}\n"), "30s", "30s");
        let error = read(&source, "select 1 as id").await.unwrap_err();
        assert_eq!(error.code(), "source_tls_refused", "{error}");
        assert!(error.hint().unwrap_or_default().contains(part), "{url}: {error}");
    }
}
