//! Models of dbt, Looker and Sigma, and schedules after dbt.

use std::path::Path;

use super::{assert_faults, load};
use crate::{
    config::{Overrides, load_text},
    scheduler::Schedule,
    settings::Environment,
};

const SERVICES: &str = "[sources.w]\ntype = \"sqlite\"\npath = \"w.db\"\n\
    [dbt.main]\nmanifest = \"target/manifest.json\"\n\
    [dbt.cloud]\nurl = \"https://cloud.getdbt.com\"\naccount = 1\njob = 2\ntoken = \"t-hunter2\"\n\
    [looker.main]\nurl = \"https://looker.example.com:19999\"\nclient_id = \"id\"\nclient_secret = \"l-hunter2\"\n\
    [sigma.main]\nurl = \"https://api.sigmacomputing.com\"\nclient_id = \"id\"\nclient_secret = \"s-hunter2\"\n";

/// [`SERVICES`], in 19 lines, a model with `query` from line 22 on, and a sync.
fn with(query: &str, schedule: &str) -> String {
    format!(
        "{SERVICES}[models.m]\nsource = \"w\"\n{query}\n[syncs.s]\nmodel = \"m\"\n{schedule}\nindexes = {{ id = \"id\" }}\n"
    )
}

#[test]
fn models_of_services_are_accepted_and_their_secrets_are_masked() {
    for query in [
        "dbt = { from = \"main\", model = \"customers\" }",
        "dbt = { from = \"cloud\", model = \"tag:larder\" }\nprimary_key = \"id\"",
        "look = 42\nprimary_key = \"id\"",
        "look = { from = \"main\", id = 42 }\nprimary_key = \"id\"",
        "sigma = { workbook = \"a-B_1\", element = \"x\", tag = \"Pro duction\" }\nprimary_key = \"id\"",
    ] {
        let text = with(query, "after = { dbt = \"cloud\" }");
        let loaded =
            load_text(&text, Path::new("larder.toml"), &Environment::default(), &Overrides::default());
        let config = loaded.unwrap_or_else(|faults| panic!("{query}: {faults}"));
        assert!(matches!(config.syncs[0].schedule, Schedule::After(_)));
        assert_eq!(config.syncs[0].spec.mapping.primary_key, "id");
        assert!(!format!("{config:?}{}", config.print()).contains("hunter2"), "{query}");
    }
}

#[test]
fn own_after_replaces_a_default_schedule() {
    let defaults = "[defaults.sync]\nschedule = \"every 5m\"\n";
    let text = format!(
        "{defaults}{}",
        with("sql = \"select 1 as id\"\nprimary_key = \"id\"", "after.dbt = \"main\"")
    );
    assert!(matches!(load(&text).unwrap().syncs[0].schedule, Schedule::After(_)));
}

#[test]
fn wrong_models_of_services() {
    for (query, faults) in [
        // Two projects: which one is not said.
        ("dbt = \"customers\"", vec!["larder.toml:21:7 models.m.dbt"]),
        ("dbt = { from = \"mian\", model = \"c\" }", vec!["larder.toml:21:16 models.m.dbt.from"]),
        ("dbt = { from = \"main\", model = \"tag:\" }", vec!["larder.toml:21:32 models.m.dbt.model"]),
        ("dbt = { from = \"main\" }", vec!["larder.toml:21:7 models.m.dbt.model"]),
        ("look = 42", vec!["larder.toml:19:1 models.m.primary_key"]),
        ("look = 0\nprimary_key = \"id\"", vec!["larder.toml:21:8 models.m.look"]),
        (
            "sigma = { workbook = \"a/b\", element = \"\" }\nprimary_key = \"id\"",
            vec!["larder.toml:21:22 models.m.sigma.workbook", "larder.toml:21:39 models.m.sigma.element"],
        ),
        ("look = 42\nsql = \"select 1\"\nprimary_key = \"id\"", vec!["larder.toml:21:8 models.m.look"]),
    ] {
        assert_faults(&with(query, ""), &faults);
    }
}

#[test]
fn wrong_services_and_schedules() {
    assert_faults(
        "[dbt.a]\n[dbt.b]\nurl = \"ftp://x\"\naccount = \"1\"\n[dbt.c]\nmanifest = \"m.json\"\ntoken = \"x\"\n\
         [looker.a]\nurl = \"https://u:p@h\"\n",
        &[
            "larder.toml:1:1 dbt.a",
            "larder.toml:2:1 dbt.b.job",
            "larder.toml:2:1 dbt.b.token",
            "larder.toml:3:7 dbt.b.url",
            "larder.toml:4:11 dbt.b.account",
            "larder.toml:7:1 dbt.c.token",
            "larder.toml:8:1 looker.a.client_id",
            "larder.toml:8:1 looker.a.client_secret",
            "larder.toml:9:7 looker.a.url",
        ],
    );
    for (schedule, fault) in [
        ("after = { dbt = \"mian\" }", "larder.toml:25:17 syncs.s.after.dbt"),
        ("after = \"main\"", "larder.toml:25:9 syncs.s.after"),
        ("after = {}", "larder.toml:25:9 syncs.s.after.dbt"),
    ] {
        assert_faults(&with("sql = \"select 1\"\nprimary_key = \"id\"", schedule), &[fault]);
    }
    let both = "after = { dbt = \"main\" }\nschedule = \"manual\"";
    assert_faults(
        &with("sql = \"select 1\"\nprimary_key = \"id\"", both),
        &["larder.toml:25:9 syncs.s.after"],
    );
}
