//! The OpenAPI descriptions: that of the admin listener in `docs/` is up to date, and the server answers as the
//! public one says. Schemathesis sends what the description allows and forbids.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use chrono::TimeDelta;
use larder::{
    api,
    domain::manifest::{OnMiss, ServingSettings},
};

use crate::support::{
    http::Client,
    read_server::{Server, now},
};

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Compares a kept description with the one that the code makes.
fn is_kept(name: &str, made: &str) {
    let kept = root().join("docs").join(name);
    if std::env::var_os("UPDATE_OPENAPI").is_some() {
        fs::write(&kept, made).unwrap();
    }
    assert!(
        fs::read_to_string(&kept).unwrap_or_default() == made,
        "docs/{name} is out of date. Update it with\n\
         UPDATE_OPENAPI=1 cargo test --locked --test it descriptions_in_docs"
    );
}

#[tokio::test]
async fn descriptions_in_docs_are_up_to_date() {
    is_kept("openapi-admin.json", &api::admin_description());
    let server = Server::start();
    let mut client = Client::connect(server.public).await;
    for target in ["/openapi.json", "/openapi.json/"] {
        let answer = client.ask("GET", target, "").await;
        assert_eq!(answer.status, 200, "{target}");
        assert_eq!(answer.header("content-type"), Some("application/json; charset=utf-8"));
        assert!(answer.header("x-request-id").is_some());
        assert!(answer.text() == api::DESCRIPTION, "{target}");
    }
    let mut admin = Client::connect(server.admin).await;
    assert_eq!(admin.ask("GET", "/openapi.json", &server.admin_bearer()).await.status, 404);
}

/// Where `scripts/test.sh` puts Schemathesis.
fn schemathesis() -> PathBuf {
    let program = root().join("target/schemathesis/bin/schemathesis");
    assert!(
        program.exists(),
        "Schemathesis is missing; scripts/test.sh installs it, or by hand:\n\
         python3 -m venv target/schemathesis\n\
         target/schemathesis/bin/pip install -r scripts/schemathesis-requirements.txt"
    );
    program
}

/// Longest time of a run of Schemathesis, many times what it needs.
const RUN_MAX: Duration = Duration::from_mins(15);

/// A run of Schemathesis; dropping it ends it.
struct Run(Child);

impl Run {
    /// Waits for the end; whether it is a good one.
    async fn ended(&mut self) -> bool {
        let mut look = tokio::time::interval(Duration::from_millis(50));
        loop {
            look.tick().await;
            if let Some(status) = self.0.try_wait().unwrap() {
                return status.success();
            }
        }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn server_answers_as_its_description_says() {
    let server = Server::start();
    // Data of a certain age, a record that is compressed, misses that are answered.
    let large = format!("{{\"text\":\"{}\"}}", "larder ".repeat(1000));
    let serving = ServingSettings { on_miss: OnMiss::Empty, ..ServingSettings::default() };
    server.clock.set(now() + TimeDelta::minutes(10));
    server.collections.load("large", 3, serving, &[("12345", None, &large), ("0", None, r#"{"a":1}"#)]);
    let url = format!("http://{}/openapi.json", server.public);
    // All of them: without a choice it leaves out the one that it has the description from.
    let reported =
        fuzz("schemathesis.toml", server.all.expose(), &[&url, "--include-path-regex", "^/"]).await;
    let operations = format!("Tested: {}\n", operations());
    assert!(reported.contains(&operations), "not {operations}{reported}");
    asked_everything(&server).await;
}

/// Runs Schemathesis as the fixture `settings` says, with a key, until its end, which must be a good one; what it prints.
pub(crate) async fn fuzz(settings: &str, key: &str, arguments: &[&str]) -> String {
    let directory = tempfile::tempdir().unwrap();
    let mut command = Command::new(schemathesis());
    command
        .arg("--config-file")
        .arg(root().join("tests/it/fixtures").join(settings))
        .arg("run")
        .args(arguments)
        // Neither a proxy nor other settings of the environment; what is written goes here.
        .env_clear()
        .env("HOME", directory.path())
        .env("LARDER_KEY", key)
        .current_dir(directory.path());
    let (out, err) = (directory.path().join("out"), directory.path().join("err"));
    command.stdin(Stdio::null());
    command.stdout(fs::File::create(&out).unwrap()).stderr(fs::File::create(&err).unwrap());
    let mut run = Run(command.spawn().unwrap());
    let ended = tokio::time::timeout(RUN_MAX, run.ended()).await;
    let (reported, failed) = (fs::read_to_string(out).unwrap(), fs::read_to_string(err).unwrap());
    assert!(
        ended.is_ok_and(|is_good| is_good),
        "failed, or not done within {RUN_MAX:?}\n{reported}\n{failed}"
    );
    reported
}

/// How many operations the description has.
fn operations() -> usize {
    let description: serde_json::Value = serde_json::from_str(api::DESCRIPTION).unwrap();
    let paths = description["paths"].as_object().unwrap();
    paths.values().map(|item| item.as_object().unwrap().len()).sum()
}

/// Checks that the requests met every important outcome: a run with refusals only would prove nothing.
async fn asked_everything(server: &Server) {
    let mut admin = Client::connect(server.admin).await;
    let metrics = admin.ask("GET", "/metrics", "").await;
    let counted = |what: &str| {
        let mut lines = metrics.text().lines().filter(|line| line.starts_with("larder_requests_total"));
        lines.any(|line| line.contains(what) && !line.ends_with(" 0"))
    };
    for what in [
        r#"collection="customer",index="id",status="200",code="hit""#,
        r#"collection="large",index="id",status="200",code="hit""#,
        r#"code="not_modified""#,
        r#"code="miss_answered""#,
        r#"code="record_not_found""#,
        r#"code="data_stale""#,
        r#"code="index_not_found""#,
        r#"code="invalid_parameter""#,
        r#"code="invalid_body""#,
        r#"code="key_missing""#,
        r#"code="key_malformed""#,
        r#"code="method_not_allowed""#,
    ] {
        assert!(counted(what), "nothing was answered with {what}:\n{}", metrics.text());
    }
}
