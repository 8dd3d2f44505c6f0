//! No part of a URL but host, port and database comes out: not in a fault, a log line, a run or the audit log,
//! whatever characters a password has.

use rustix::process::Signal;

use crate::support::{deployment::NodeDirectory, mysql::MySql, postgres::Postgres, process::larder};

/// Parts of passwords; what stands between them must be percent-encoded, and is not.
const PARTS: [&str; 2] = ["Zqx1", "Zqx2"];
const USER: &str = "zqxuser";

fn never(by: &str, text: &str) {
    for secret in PARTS.iter().chain([&USER]) {
        assert!(!text.to_lowercase().contains(&secret.to_lowercase()), "{by} holds {secret}: {text}");
    }
}

async fn people() -> NodeDirectory {
    let sync = "[models.m]\nsource = \"warehouse\"\ntable = \"people\"\nprimary_key = \"id\"\n\
                [syncs.c]\nmodel = \"m\"\n[syncs.c.indexes]\nid = \"id\"\n";
    NodeDirectory::new("create table people (id); insert into people values (1);", sync).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn faults_of_urls_have_no_part_of_them() {
    let node = people().await;
    let good = std::fs::read_to_string(node.path().join("larder.toml")).unwrap();
    let mut server = node.serve_with(&[("LARDER_LOG", "trace")]).await;
    for (number, letter) in ["?", "#", "/", "@", "%", " ", "\\n"].into_iter().enumerate() {
        let password = PARTS.join(letter);
        let url = format!("postgres://{USER}:{password}@db.example.com:5432/d");
        for (key, text) in [
            ("sources.other.url", format!("{good}[sources.other]\ntype = \"postgres\"\nurl = \"{url}\"\n")),
            ("metadata.url", format!("{good}[metadata]\nurl = \"{url}\"\n")),
            (
                "storage.url",
                good.replace(
                    "[storage]\n",
                    &format!("[storage]\nurl = \"s3://{USER}:{password}@bucket/prefix\"\n"),
                ),
            ),
        ] {
            node.write("larder.toml", &text);
            for arguments in
                [&["check"][..], &["check", "--connect"], &["sync", "c"], &["migrate"], &["serve"]]
            {
                let ran = node.run_with(arguments, &[("LARDER_LOG", "trace")]).expect(2);
                assert!(ran.stderr.contains(&format!("{key}: ")), "{letter:?}: {ran:?}");
                assert!(key == "storage.url" || ran.stderr.contains("%40"), "{letter:?}: {ran:?}");
                never(&format!("larder {arguments:?}"), &(ran.stdout + &ran.stderr));
            }
            server.signal(Signal::HUP);
            let seen = |log: &str| log.matches(&format!("{key}: ")).count();
            server.until("the fault", |process| (seen(&process.log()) > number).then_some(())).await;
        }
    }
    node.write("larder.toml", &good);
    server.signal(Signal::TERM);
    let ended = server.wait().await.expect(0);
    never("the log", &(ended.stdout + &ended.stderr));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn failing_connections_say_nothing_of_user_and_password() {
    let database = Postgres::database().await;
    let node = people().await;
    let good = std::fs::read_to_string(node.path().join("larder.toml")).unwrap();
    let password = format!("{}%40{}", PARTS[0], PARTS[1]);
    let urls = [
        ("unknown", database.url_of(&format!("{USER}:{password}"))),
        ("closed", format!("postgres://{USER}:{password}@127.0.0.1:1/d")),
        ("wrong", database.url_of(&format!("locked:{password}"))),
        ("options", format!("{}?options=-c%20statement_timeout%3D{password}", database.url())),
        ("setting", format!("{}?options=-c{}%3D1", database.url(), PARTS[0])),
        ("endpoint", format!("{}?options=endpoint%3D{}", database.url(), PARTS[0])),
        ("mysql", MySql::database().await.url_of(&format!("{USER}:{password}"))),
    ];
    let mut sections = String::new();
    for (name, url) in &urls {
        let source_type = if *name == "mysql" { "mysql" } else { "postgres" };
        sections += &format!(
            "[sources.{name}]\ntype = \"{source_type}\"\nurl = \"{url}\"\n[models.{name}]\nsource = \"{name}\"\n\
             table = \"t\"\nprimary_key = \"id\"\n[syncs.{name}]\nmodel = \"{name}\"\nschedule = \"every 1m\"\n\
             [syncs.{name}.indexes]\nid = \"id\"\n"
        );
    }
    node.write("larder.toml", &format!("{good}{sections}"));
    let mut server = node.spawn_with(&["serve"], &[("LARDER_LOG", "trace")]);
    let codes = ["source_login_refused", "source_unreachable", "source_wrong_password"];
    server.until("failed runs", |it| codes.iter().all(|code| it.log().contains(code)).then_some(())).await;
    for (name, _) in &urls {
        for arguments in
            [&["sync", name][..], &["runs", name, "--json"], &["preview", name], &["audit", "--json"]]
        {
            let ran = node.run_with(arguments, &[("LARDER_LOG", "trace")]);
            never(&format!("larder {arguments:?}"), &(ran.stdout + &ran.stderr));
        }
    }
    server.signal(Signal::TERM);
    let ended = server.wait().await.expect(0);
    never("the log", &(ended.stdout + &ended.stderr));
}

/// A password that begins with digits and has an unencoded character looks like a port and a path.
#[test]
fn a_password_is_never_taken_for_another_part_of_a_url() {
    let keys = [
        ("sources.other.url", "[sources.other]\ntype = \"mysql\"\nurl = \"mysql://", ":3306/d"),
        ("sources.other.url", "[sources.other]\ntype = \"clickhouse\"\nurl = \"http://", ":8123"),
        ("storage.s3.endpoint", "[storage]\nurl = \"s3://bucket\"\ns3.endpoint = \"https://", ":9000"),
        ("server.public_url", "[server]\npublic_url = \"https://", ""),
    ];
    let directory = tempfile::TempDir::new().unwrap();
    for letter in ["/", "?", "#", "@", "%", "\\t"] {
        let password = format!("12{letter}{}", PARTS.join(letter));
        for (key, before, after) in keys {
            let text = format!("{before}{USER}:{password}@db.example.com{after}\"\n");
            std::fs::write(directory.path().join("larder.toml"), text).unwrap();
            for arguments in [&["check"][..], &["config", "print"], &["serve"]] {
                let ran = larder(directory.path(), arguments).expect(2);
                assert!(ran.stderr.contains(&format!("{key}: ")), "{key} {letter:?}: {ran:?}");
                never(&format!("larder {arguments:?} with {key}"), &(ran.stdout + &ran.stderr));
            }
        }
    }
}
