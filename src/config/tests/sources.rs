//! Settings of sources that can never work: each is a fault of its key, with what to write.

use std::fs;

use super::{faults, load, places};

/// Asserts that a source of this type has one fault, of `key`, whose words have `part`.
#[track_caller]
fn refused(source_type: &str, lines: &str, key: &str, part: &str) {
    let text = format!("[sources.s]\ntype = \"{source_type}\"\n{lines}\n");
    let words = faults(&text);
    let found = places(&load(&text).unwrap_err());
    let keys: Vec<&str> =
        found.iter().filter_map(|place| place.split_once(' ').map(|(_, key)| key)).collect();
    let expected = if key.is_empty() { "sources.s".to_owned() } else { format!("sources.s.{key}") };
    assert_eq!(keys, [expected], "{source_type} {lines}: {words}");
    assert!(words.contains(part), "{source_type} {lines}: {words}");
}

#[track_caller]
fn taken(source_type: &str, lines: &str) {
    let text = format!("[sources.s]\ntype = \"{source_type}\"\n{lines}\n");
    load(&text).unwrap_or_else(|faults| panic!("{source_type} {lines}: {faults}"));
}

#[test]
fn sources_of_drivers_need_credentials_that_go_together() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        fs::write(&path, text).unwrap();
        path
    };
    let pem = |label: &str| format!("-----BEGIN {label}-----\nMIIEvQ==\n-----END {label}-----\n");
    let key = file("key.p8", &pem("PRIVATE KEY"));
    let encrypted = file("encrypted.p8", &pem("ENCRYPTED PRIVATE KEY"));
    let pkcs1 = file("pkcs1.pem", &pem("RSA PRIVATE KEY"));
    let garbage = file("garbage.pem", "hunter2");
    let account = "account = \"a\"\nuser = \"u\"";
    for (lines, of, part) in [
        ("account = \"a\"".to_owned(), "", "private_key_file"),
        ("account = \"a\"\npassword = \"hunter2\"".to_owned(), "password", "user"),
        (format!("{account}\npassword = \"hunter2\"\ntoken = \"t\""), "token", "keep one of password"),
        (
            format!("{account}\npassword = \"p\"\nprivate_key_file = {key:?}"),
            "private_key_file",
            "keep one of",
        ),
        (
            format!("{account}\npassword = \"p\"\nprivate_key_passphrase = \"hunter2\""),
            "private_key_passphrase",
            "private_key_file",
        ),
        (format!("{account}\nprivate_key_file = {pkcs1:?}"), "private_key_file", "openssl pkcs8"),
        (format!("{account}\nprivate_key_file = {garbage:?}"), "private_key_file", "not a private key"),
        (
            format!("{account}\nprivate_key_file = {encrypted:?}"),
            "private_key_file",
            "private_key_passphrase",
        ),
        (format!("{account}\npassword = \"p\"\nprotocol = \"ftp\""), "protocol", "\"https\""),
        ("account = \"https://hunter2\"\ntoken = \"t\"".to_owned(), "account", "organization-account"),
    ] {
        refused("snowflake", &lines, of, part);
    }
    taken("snowflake", &format!("{account}\nprivate_key_file = {key:?}"));
    let opened = format!("private_key_file = {encrypted:?}\nprivate_key_passphrase = \"hunter2\"");
    taken("snowflake", &format!("{account}\n{opened}\nprotocol = \"http\""));
    taken("snowflake", "account = \"a\"\ntoken = \"t\"");

    let credentials = file("empty.json", "{}");
    for (source_type, lines, of, part) in [
        ("oracle", "host = \"h\"\nservice = \"s\"".to_owned(), "", "password"),
        ("oracle", "host = \"h\"\nservice = \"s\"\npassword = \"hunter2\"".to_owned(), "password", "user"),
        (
            "oracle",
            "host = \"h\"\nservice = \"s\"\ntoken = \"t\"\nwallet_password = \"p\"".to_owned(),
            "wallet_password",
            "wallet_dir",
        ),
        ("flightsql", "url = \"grpc://h:1\"\npassword = \"hunter2\"".to_owned(), "password", "user"),
        ("flightsql", "url = \"grpc://h:1\"\nuser = \"u\"".to_owned(), "user", "password"),
        ("flightsql", "url = \"https://hunter2\"".to_owned(), "url", "grpc+tls://"),
        ("mssql", "url = \"hunter2\"".to_owned(), "url", "sqlserver://"),
        ("redshift", "url = \"mysql://h\"".to_owned(), "url", "postgresql://"),
        (
            "redshift",
            "url = \"redshift://h\"\ncluster_type = \"iam\"".to_owned(),
            "cluster_type",
            "redshift-iam",
        ),
        ("bigquery", "project = \"p\"\ncredentials = \"{}\"".to_owned(), "credentials", "service_account"),
        (
            "bigquery",
            format!("project = \"p\"\ncredentials_file = {credentials:?}"),
            "credentials_file",
            "service_account",
        ),
        ("flightsql", format!("url = \"grpc+tls://h:1\"\nca_file = {garbage:?}"), "ca_file", "CERTIFICATE"),
        ("duckdb", "memory_limit = \"much\"".to_owned(), "memory_limit", "4GB"),
    ] {
        refused(source_type, &lines, of, part);
    }
    taken("oracle", "host = \"h\"\nservice = \"s\"\nuser = \"u\"\npassword = \"p\"");
    taken("flightsql", "url = \"grpc+tls://h:1\"");
    taken("mssql", "url = \"sqlserver://u:p@h:1433?database=d\"");
    taken("duckdb", "memory_limit = \"1.5 GiB\"");
}

#[test]
fn other_sources_need_settings_that_go_together() {
    let encryption =
        "host = \"h\"\nuser = \"u\"\npassword = \"p\"\nencryption = \"off\"\ncertificate_name = \"c\"";
    for (source_type, lines, of, part) in [
        ("files", "path = \"x\"\ncsv = { delimiter = \"'\", quote = \"'\" }", "csv.quote", "csv.delimiter"),
        (
            "files",
            "path = \"x\"\ncsv = { delimiter = \"#\", comment = \"#\" }",
            "csv.comment",
            "csv.delimiter",
        ),
        ("files", "path = \"x\"\nformat = \"csv\"\ncsv = { quote = \",\" }", "csv.quote", "csv.delimiter"),
        ("files", "path = \"x\"\ncsv = { escape = '\"' }", "csv.escape", "csv.quote"),
        ("files", "url = \"ftp://h/d\"", "url", "az://"),
        (
            "files",
            "url = \"sftp://u@h/d\"\n[sources.s.sftp]\nhost_key = \"SHA256:uNiVztksCsDhcc0u9e8BrrJXVGLyzc4FxImcHgBZPvE\"\n\
             password = \"hunter2\"\nkey_passphrase = \"hunter2\"",
            "sftp.key_passphrase",
            "key_file",
        ),
        ("athena", "region = \"eu-central-1\"\noutput = \"file:./x\"", "output", "s3://bucket"),
        ("athena", "region = \"eu-central-1\"\noutput = \"gs://x\"", "output", "s3://bucket"),
        // Of a source whose region is missing, no other key is unknown.
        ("athena", "output = \"s3://x\"\nurl = \"http://h\"", "region", "eu-central-1"),
        ("sqlserver", encryption, "certificate_name", "encryption"),
        ("sqlserver", "host = \"tcp:h,1433\"\nuser = \"u\"\npassword = \"p\"", "host", "alone"),
        ("sqlserver", "host = \"h:1433\"\nuser = \"u\"\npassword = \"p\"", "host", "alone"),
        (
            "microsoft_excel",
            "tenant = \"t\"\nclient_id = \"c\"\nclient_secret = \"s\"\nshare_url = \"hunter2\"",
            "share_url",
            "https://",
        ),
    ] {
        refused(source_type, lines, of, part);
    }
    taken(
        "files",
        "path = \"x\"\nformat = \"tsv\"\ncsv = { quote = \"'\", comment = \"#\", escape = \"\\\\\" }",
    );
}
