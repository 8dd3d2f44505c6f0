//! The real side: one store, a server, and commands against the same directory.

use std::{fmt::Write as _, time::Duration};

use serde_json::Value;

use super::model::{Content, INDEXES, OnDelete, Row, Settings};
use crate::support::{
    deployment::{Deployment, NodeDirectory},
    http::Client,
    node::encoded,
    process::{CommandOutput, Process, until},
};

const TABLE: &str = "create table people (id text, email text, team integer, tags json, note integer);";

/// A deployment of one node, whose server runs.
pub(super) struct Fixture {
    deployment: Deployment,
    node: NodeDirectory,
    server: Option<Process>,
    key: String,
}

fn sections(settings: &Settings) -> String {
    let on_delete = match settings.on_delete {
        OnDelete::Delete => "delete",
        OnDelete::Keep => "keep",
        OnDelete::Clear => "clear",
    };
    let note = if settings.has_note { ", note" } else { "" };
    let mut text = format!(
        "[sources.warehouse]\ntype = \"sqlite\"\npath = \"warehouse.db\"\n\
         [models.people]\nsource = \"warehouse\"\nsql = \"select id, email, team, tags{note} from people\"\n\
         primary_key = \"id\"\n\
         [syncs.person]\nmodel = \"people\"\nschedule = \"manual\"\non_delete = \"{on_delete}\"\n\
         [syncs.person.indexes]\nid = \"id\"\n"
    );
    for index in &settings.indexes {
        let extra = match *index {
            "email" => ", normalize = [\"trim\", \"lowercase\"]",
            "tags" => ", each = true",
            _ => "",
        };
        writeln!(text, "{index} = {{ column = \"{index}\"{extra} }}").unwrap();
    }
    text
}

fn quoted(text: Option<&String>) -> String {
    text.map_or_else(|| "null".to_owned(), |text| format!("'{}'", text.replace('\'', "''")))
}

impl Fixture {
    pub(super) async fn start(settings: &Settings) -> Self {
        let deployment = Deployment::new();
        deployment.execute("warehouse.db", TABLE).await;
        let node = deployment.node("data", &sections(settings));
        let key = node.key().await;
        let server = Some(node.serve().await);
        Self { deployment, node, server, key }
    }

    /// Takes effect with the next command.
    pub(super) fn configure(&self, settings: &Settings) {
        self.node.configure(&sections(settings));
    }

    pub(super) async fn write(&self, rows: &[Row]) {
        let mut sql = String::from("begin; delete from people;");
        for Row { id, email, team, tags, note } in rows {
            let [id, email, tags] = [id, email, tags].map(|text| quoted(text.as_ref()));
            let team = team.map_or_else(|| "null".to_owned(), |team| team.to_string());
            write!(sql, "insert into people values ({id}, {email}, {team}, {tags}, {note});").unwrap();
        }
        sql.push_str("commit;");
        self.deployment.execute("warehouse.db", &sql).await;
    }

    /// Runs a command to its end.
    pub(super) async fn run(&self, arguments: &[&str]) -> CommandOutput {
        self.node.spawn(arguments).wait().await
    }

    /// Starts a sync and kills it after `delay`, unless it ends before.
    pub(super) async fn sync_killed_after(&self, delay: Duration) {
        let mut process = self.node.spawn(&["sync", "person", "--accept"]);
        let ended = until("end of the sync", async || (!process.is_running()).then_some(()));
        let _ = tokio::time::timeout(delay, ended).await;
        process.kill();
    }

    /// Kills the server and starts it again.
    pub(super) async fn restart(&mut self) {
        self.server.take().unwrap().kill();
        self.server = Some(self.node.serve().await);
    }

    /// The version that the newest catalog document has.
    pub(super) fn announced(&self) -> Option<u64> {
        self.deployment.announced("person")
    }

    /// Waits until the server serves `version`.
    pub(super) async fn await_version(&self, version: u64) {
        until("version", async || {
            let answer = self.server.as_ref().unwrap().get(&self.key, "person", "0").await;
            (answer.header("x-data-version") == Some(&version.to_string())).then_some(())
        })
        .await;
    }

    /// Looks every value up that a record may have, and compares the answers with `content`.
    pub(super) async fn compare(&self, content: &Content, universe: &[(&str, String)]) -> Result<(), String> {
        let mut client = Client::connect(self.server.as_ref().unwrap().public().unwrap()).await;
        for (index, value) in universe {
            let target = format!("/v1/collections/person/records/{index}/{}", encoded(value));
            let bearer = format!("Authorization: Bearer {}\r\n", self.key);
            let answer = client.ask("GET", target, &bearer).await;
            let found = (answer.status == 200).then(|| answer.json());
            let is_known = *index == "id" || content.settings.indexes.contains(index);
            let code = (answer.status == 404).then(|| answer.code());
            let expected_code = if is_known { "record_not_found" } else { "index_not_found" };
            let expected = content.find(index, value).map(|record| Value::Object(record.body.clone()));
            if found != expected || (expected.is_none() && code.as_deref() != Some(expected_code)) {
                return Err(format!("{index}/{value} is {answer:?}, should be {expected:?}"));
            }
        }
        Ok(())
    }
}

/// Every index with its values that are tried.
pub(super) fn universe(keys: &[String]) -> Vec<(&'static str, String)> {
    let keys = keys.iter().map(|key| ("id", key.clone()));
    let others = INDEXES.iter().flat_map(|&index| {
        let values: &[&str] = match index {
            "email" => &["a@x", "b@x", "c@x", "d@x", "none@x"],
            "team" => &["1", "2", "3", "9"],
            _ => &["red", "blue", "green", "none"],
        };
        values.iter().map(move |value| (index, (*value).to_owned()))
    });
    keys.chain(others).collect()
}
