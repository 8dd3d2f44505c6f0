//! `larder check` without `--connect`, and paths that are a dot.

use std::fs;

use tempfile::TempDir;

use crate::support::{deployment::Deployment, process::larder};

/// A file that a node reads only when it starts or connects.
#[test]
fn files_that_cannot_be_used_are_found_without_a_connection() {
    let directory = TempDir::new().unwrap();
    fs::write(directory.path().join("broken.pem"), "no PEM").unwrap();
    let bucket = |scheme: &str| format!("[storage]\nurl = \"{scheme}://bucket\"\n");
    for (text, part) in [
        (format!("{}ca_file = \"broken.pem\"\n", bucket("s3")), "broken.pem"),
        (format!("{}[storage.gcs]\nservice_account_file = \"broken.pem\"\n", bucket("gs")), "bucket"),
        (
            "[sources.w]\ntype = \"postgres\"\nurl = \"postgres://h/d?sslrootcert=broken.pem\"\n".to_owned(),
            "sslrootcert",
        ),
        (
            "[sources.w]\ntype = \"postgres\"\nurl = \"postgres://h/d?sslcert=none.crt&sslkey=broken.pem\"\n"
                .to_owned(),
            "none.crt",
        ),
        (
            "[metadata]\nurl = \"postgres://h/d?sslrootcert=broken.pem\"\n".to_owned(),
            "metadata_certificate_file",
        ),
        (
            "[sources.w]\ntype = \"mysql\"\nurl = \"mysql://h/d?ssl-ca=broken.pem\"\n".to_owned(),
            "ssl-ca that holds no certificate",
        ),
        (
            "[sources.w]\ntype = \"mysql\"\nurl = \"mysql://h/d?ssl-key=broken.pem\"\n".to_owned(),
            "ssl-key that holds no private key",
        ),
        (
            "[sources.w]\ntype = \"sqlserver\"\nhost = \"h\"\nuser = \"u\"\npassword = \"p\"\nca_file = \"broken.pem\"\n"
                .to_owned(),
            "holds no certificate",
        ),
        (
            "[server]\ntls_certificate_file = \"broken.pem\"\ntls_key_file = \"broken.pem\"\n".to_owned(),
            "tls_certificate_file",
        ),
        ("[publication]\nsigning_key_file = \"broken.pem\"\n".to_owned(), "signing key"),
        (
            "[tokens.app]\nissuer = \"https://issuer.example.com\"\naudience = \"larder\"\nalgorithms = [\"RS256\"]\n\
             jwks_file = \"broken.pem\"\ncollections = [\"c\"]\nall_records = true\n"
                .to_owned(),
            "broken.pem",
        ),
    ] {
        fs::write(directory.path().join("larder.toml"), &text).unwrap();
        let checked = larder(directory.path(), &["check"]);
        assert!(matches!(checked.code, Some(1 | 2)), "{text}{checked:?}");
        assert!(checked.text().contains(part), "{text}{checked:?}");
    }
}

/// A relative path is from the directory of the configuration file, and a dot is that directory.
#[tokio::test(flavor = "multi_thread")]
async fn a_dot_is_the_directory_of_files_and_of_the_store() {
    let deployment = Deployment::new();
    fs::write(deployment.path("people.csv"), "id,name\n1,Ann\n").unwrap();
    let base = "[node]\ndata_dir = \"data\"\n[storage]\nurl = \"file:.\"\n[metadata]\nurl = \"sqlite:metadata.db\"\n";
    let node = deployment.node_from(
        "larder",
        base.to_owned(),
        "[sources.files]\ntype = \"files\"\npath = \".\"\n[models.people]\nsource = \"files\"\n\
         table = \"people.csv\"\nprimary_key = \"id\"\n\
         [syncs.person]\nmodel = \"people\"\nindexes = { id = \"id\" }\n",
    );
    node.output(&["check", "--connect"]).await;
    node.output(&["sync", "person"]).await;
    assert!(deployment.path("catalog/head").exists());
    assert!(node.output(&["status"]).await.contains("person"));
}
