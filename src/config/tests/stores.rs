//! Stores by URL: where they are, and which options reach their clients.

use std::path::Path;

use super::{SECRET, places};
use crate::settings::Environment;
use crate::{
    config::{Config, Overrides, load_text},
    store::{Bucket, Location, Service},
    support::secret::ExposeSecret,
};

fn accepted(text: &str, variables: &[(&str, &str)]) -> Config {
    let environment: Environment = variables.iter().copied().collect();
    load_text(text, Path::new("dir/larder.toml"), &environment, &Overrides::default())
        .unwrap_or_else(|faults| panic!("{faults}"))
}

fn bucket(location: &Location) -> &Bucket {
    match location {
        Location::Bucket(bucket) => bucket,
        Location::Directory(path) => panic!("a directory: {}", path.display()),
    }
}

/// What counts: of two options of one name the later one.
fn option<'a>(bucket: &'a Bucket, name: &str) -> Option<&'a str> {
    let found = bucket.options.iter().rev().find(|(key, _)| key == name);
    found.map(|(_, value)| value.expose_secret())
}

#[test]
fn urls_name_buckets_and_prefixes() {
    for (url, service, name, prefix, shown) in [
        ("s3://bucket", Service::S3, "bucket", "", "s3://bucket"),
        ("s3://bucket/", Service::S3, "bucket", "", "s3://bucket"),
        ("s3://my.bucket-1/a/b/", Service::S3, "my.bucket-1", "a/b", "s3://my.bucket-1/a/b"),
        ("gs://bucket/env=prod", Service::Gcs, "bucket", "env=prod", "gs://bucket/env=prod"),
        ("az://container/larder", Service::Azure, "container", "larder", "az://container/larder"),
    ] {
        let config = accepted(&format!("[storage]\nurl = \"{url}\"\n"), &[]);
        let found = bucket(&config.storage.location);
        assert_eq!((found.service, &*found.name, &*found.prefix), (service, name, prefix), "{url}");
        assert_eq!(config.storage.location.shown(), shown);
        assert!(config.storage.read_location.is_none());
    }
}

#[test]
fn a_service_gets_its_own_variables_and_the_file_goes_first() {
    let text = "[storage]\nurl = \"s3://primary/larder\"\nread_url = \"s3://copy/larder\"\n[storage.s3]\n\
                endpoint = \"http://127.0.0.1:9000/\"\nregion = \"us-east-1\"\nread_region = \"eu-west-1\"\n\
                path_style = false\n";
    let variables = [
        ("AWS_REGION", "ap-south-1"),
        ("AWS_ENDPOINT_URL_S3", "https://elsewhere"),
        ("AWS_ROLE_ARN", "arn:aws:iam::1:role/larder"),
        ("AWS_WEB_IDENTITY_TOKEN_FILE", "/var/run/token"),
        ("AWS_SESSION_TOKEN", ""),
        ("GOOGLE_BUCKET", "x"),
        ("AZURE_CLIENT_ID", "x"),
        ("HOME", "/root"),
    ];
    let config = accepted(text, &variables);
    let (write, read) = (&config.storage.location, config.storage.read_location.as_ref().unwrap());
    assert_eq!(read.shown(), "s3://copy/larder");
    for (bucket, region) in [(bucket(write), "us-east-1"), (bucket(read), "eu-west-1")] {
        assert_eq!(option(bucket, "aws_region"), Some(region));
        assert_eq!(option(bucket, "aws_endpoint_url_s3"), Some("http://127.0.0.1:9000"));
        assert_eq!(option(bucket, "aws_virtual_hosted_style_request"), Some("true"));
        assert_eq!(option(bucket, "aws_role_arn"), Some("arn:aws:iam::1:role/larder"));
        assert_eq!(option(bucket, "aws_web_identity_token_file"), Some("/var/run/token"));
        for absent in ["aws_session_token", "google_bucket", "azure_client_id", "home"] {
            assert_eq!(option(bucket, absent), None, "{absent}");
        }
    }
}

#[test]
fn a_profile_and_a_session_token_give_credentials() {
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join(".aws")).unwrap();
    let file = home.path().join(".aws/credentials");
    std::fs::write(
        &file,
        format!(
            "[default]\naws_access_key_id = d\naws_secret_access_key = {SECRET}\n\
        [work]\naws_access_key_id = w\naws_secret_access_key = {SECRET}\naws_session_token = t\n"
        ),
    )
    .unwrap();
    let (home, file) = (home.path().to_str().unwrap(), file.to_str().unwrap());
    let in_file = |keys: &str| format!("[storage]\nurl = \"s3://b\"\n[storage.s3]\n{keys}");
    let plain = "[storage]\nurl = \"s3://b\"\n".to_owned();
    let own = "access_key_id = \"x\"\nsecret_access_key = \"y\"\nsession_token = \"z\"\n";
    for (text, variables, id, token) in [
        (&plain, vec![("HOME", home), ("AWS_PROFILE", "work")], Some("w"), Some("t")),
        (&plain, vec![("AWS_SHARED_CREDENTIALS_FILE", file), ("AWS_PROFILE", "default")], Some("d"), None),
        (&plain, vec![("HOME", home), ("AWS_PROFILE", "work"), ("AWS_ACCESS_KEY_ID", "e")], Some("e"), None),
        (&plain, vec![("HOME", home)], None, None),
        (&plain, vec![("AWS_SHARED_CREDENTIALS_FILE", file)], Some("d"), None),
        (
            &in_file("profile = \"work\"\n"),
            vec![("HOME", home), ("AWS_ACCESS_KEY_ID", "e")],
            Some("w"),
            Some("t"),
        ),
        (&in_file(&format!("credentials_file = {file:?}\n")), vec![], Some("d"), None),
        (
            &in_file(own),
            vec![("HOME", home), ("AWS_PROFILE", "work"), ("AWS_SESSION_TOKEN", "e")],
            Some("x"),
            Some("z"),
        ),
    ] {
        let config = accepted(text, &variables);
        let found = bucket(&config.storage.location);
        assert_eq!(
            (option(found, "aws_access_key_id"), option(found, "aws_session_token")),
            (id, token),
            "{text}"
        );
        assert!(!config.print().contains(SECRET));
    }
    for (text, variables, part) in [
        (&plain, vec![("HOME", home), ("AWS_PROFILE", "none")], "storage"),
        (
            &plain,
            vec![("AWS_ACCESS_KEY_ID", "id\n"), ("AWS_SECRET_ACCESS_KEY", SECRET)],
            "AWS_ACCESS_KEY_ID has a line break",
        ),
        (&in_file(&format!("{own}region = \"a\\n\"\n")), vec![], "AWS_REGION has a line break"),
        (&plain, vec![("HOME", "/nowhere"), ("AWS_PROFILE", "work")], "storage"),
        (&in_file("session_token = \"z\"\n"), vec![], "session_token without access_key_id"),
        (
            &in_file(&format!("{own}profile = \"work\"\n")),
            vec![("HOME", home)],
            "both access_key_id and profile\n  hint: remove profile, or",
        ),
        (
            &in_file(&format!("{own}credentials_file = {file:?}\n")),
            vec![],
            "both access_key_id and credentials_file\n  hint: remove credentials_file, or",
        ),
    ] {
        let environment: Environment = variables.into_iter().collect();
        let faults =
            load_text(text, Path::new("larder.toml"), &environment, &Overrides::default()).unwrap_err();
        assert!(faults.to_string().contains(part), "{faults}");
    }
}

#[test]
fn credentials_of_the_file_do_not_mix_with_those_of_the_environment() {
    let text = "[storage]\nurl = \"s3://b\"\n[storage.s3]\naccess_key_id = \"${ID}\"\nsecret_access_key = \"${SECRET}\"\n";
    let variables = [
        ("ID", "id"),
        ("SECRET", SECRET),
        ("AWS_ACCESS_KEY_ID", "other"),
        ("AWS_SECRET_ACCESS_KEY", "other"),
        ("AWS_SESSION_TOKEN", "other"),
    ];
    let config = accepted(text, &variables);
    let found = bucket(&config.storage.location);
    assert_eq!(option(found, "aws_access_key_id"), Some("id"));
    assert_eq!(option(found, "aws_secret_access_key"), Some(SECRET));
    assert_eq!(option(found, "aws_session_token"), None);
    assert!(!format!("{config:?}").contains(SECRET));
    assert!(config.print().contains("secret_access_key = \"${SECRET}\""), "{}", config.print());

    let text =
        format!("[storage]\nurl = \"az://c\"\n[storage.azure]\naccount = \"a\"\naccess_key = \"{SECRET}\"\n");
    let config = accepted(&text, &[("AZURE_STORAGE_SAS_TOKEN", "other"), ("AZURE_TENANT_ID", "tenant")]);
    let found = bucket(&config.storage.location);
    assert_eq!(option(found, "azure_storage_account_key"), Some(SECRET));
    assert_eq!(option(found, "azure_storage_sas_token"), None);
    assert_eq!(option(found, "azure_tenant_id"), Some("tenant"));
    assert!(!config.print().contains(SECRET));

    let text = "[storage]\nurl = \"gs://b\"\n[storage.gcs]\nservice_account_file = \"sa.json\"\n";
    let config = accepted(text, &[("GOOGLE_APPLICATION_CREDENTIALS", "other.json")]);
    let found = bucket(&config.storage.location);
    assert_eq!(option(found, "google_service_account"), Some("dir/sa.json"));
    assert_eq!(option(found, "google_application_credentials"), None);
}

#[test]
fn statuses_may_stand_beside_the_store_s_own_objects() {
    for (url, status_url) in [
        ("file:/srv/store", "file:/srv/store/status"),
        ("file:/srv/store", "file:/srv/store/keys-of-nodes"),
        ("s3://b/larder", "s3://b/larder/status"),
        ("s3://b/larder", "s3://b/larder-catalog/catalog"),
        ("s3://b/larder", "s3://b/catalog"),
        ("s3://b/larder", "s3://other/larder/catalog"),
        ("s3://b", "gs://b/catalog"),
    ] {
        accepted(&format!("[storage]\nurl = \"{url}\"\nstatus_url = \"{status_url}\"\n"), &[]);
    }
}

#[test]
fn a_printed_store_is_read_again() {
    let text = "[storage]\nurl = \"s3://b/p\"\nread_url = \"s3://c\"\n[storage.s3]\nendpoint = \"https://h\"\npath_style = true\n";
    let printed = accepted(text, &[]).print();
    assert!(printed.contains("[storage.s3]\nendpoint = \"https://h\"\npath_style = true\n"), "{printed}");
    assert_eq!(
        accepted(&printed, &[]).print().lines().skip(1).collect::<Vec<_>>(),
        printed.lines().skip(1).collect::<Vec<_>>()
    );
}

#[test]
fn file_of_authorities_in_the_environment_is_readable() {
    let plain = "[storage]\nurl = \"s3://b\"\n".to_owned();
    let env = Environment::from_iter([("SSL_CERT_FILE", "/nowhere/ca.pem")]);
    let faults = load_text(&plain, Path::new("larder.toml"), &env, &Overrides::default()).unwrap_err();
    assert_eq!(places(&faults), ["SSL_CERT_FILE"], "{faults}");
}
