//! Templates beside Shopify's own engine and liquidjs: each prints the text of one of the two.
//!
//! `templates.json` has a template a line, all over `data.json`. The expected texts come from the engines when the
//! test runs. `differences.json` lists the templates that print another text, each with its reason.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
};

use chrono::{DateTime, Utc};
use larder::{
    domain::{
        json,
        row::{CellKind, Column, ColumnKind, RowBatch},
    },
    liquid::{self, Template},
};
use serde_json::{Map, Value};
use tempfile::TempDir;

const INSTALL: &str = "these tests need Ruby with Shopify's Liquid, Node.js, and liquidjs in target/liquid: run scripts/test.sh";

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/liquid").join(name)
}

fn read(name: &str) -> Value {
    serde_json::from_slice(&fs::read(file(name)).unwrap()).unwrap()
}

/// The text of each template by an engine; `None` where it fails.
fn rendered(mut engine: Command, templates: &[String], data: &Map<String, Value>) -> Vec<Option<String>> {
    let directory = TempDir::new().unwrap();
    let job = directory.path().join("job");
    fs::write(&job, serde_json::json!({"templates": templates, "data": data}).to_string()).unwrap();
    let path = std::env::var_os("PATH").map(|path| ("PATH", path));
    engine.env_clear().env("TZ", "UTC").env("LANG", "C.UTF-8").envs(path).stdin(File::open(job).unwrap());
    let output = engine.output().unwrap_or_else(|error| panic!("{INSTALL} ({error})"));
    assert!(output.status.success(), "{INSTALL}: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The columns and the row of an object.
fn row(data: &Map<String, Value>) -> (Vec<Column>, RowBatch) {
    let mut batch = RowBatch::new(data.len());
    for value in data.values() {
        let text = value.to_string();
        match value {
            Value::Null => batch.push(CellKind::Null, b""),
            Value::Bool(_) => batch.push(CellKind::Boolean, text.as_bytes()),
            Value::Number(_) => batch.push(CellKind::Number, text.as_bytes()),
            Value::String(text) => batch.push(CellKind::Text, text.as_bytes()),
            Value::Array(_) | Value::Object(_) => batch.push_with(|out| {
                json::compact(text.as_bytes(), out).unwrap();
                CellKind::Json
            }),
        }
    }
    let column =
        |name: &String| Column { name: name.clone(), kind: ColumnKind::Any, type_name: String::new() };
    (data.keys().map(column).collect(), batch)
}

/// The text that a mapping gets, or the fault or failure.
fn ours(text: &str, (columns, batch): &(Vec<Column>, RowBatch)) -> Result<String, String> {
    let mut template = Template::parse(text).map_err(|faults| faults[0].to_string())?;
    template.bind(columns);
    let mut out = String::new();
    let now: DateTime<Utc> = "2026-11-05T01:02:03Z".parse().unwrap();
    template.render(batch, 0, now, &mut out).map_err(|failure| format!("{failure:?}"))?;
    Ok(out)
}

#[test]
fn templates_print_what_shopifys_liquid_or_liquidjs_prints() {
    let data = read("data.json").as_object().unwrap().clone();
    let templates: Vec<String> = serde_json::from_value(read("templates.json")).unwrap();
    assert!(templates.len() >= 500, "{} templates", templates.len());
    let mut differences: BTreeMap<String, String> = serde_json::from_value(read("differences.json")).unwrap();
    let mut ruby = Command::new("ruby");
    ruby.arg(file("render.rb"));
    let mut node = Command::new("node");
    node.arg(file("render.mjs")).arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("target/liquid"));
    let (ruby, liquidjs) = (rendered(ruby, &templates, &data), rendered(node, &templates, &data));
    assert_eq!((ruby.len(), liquidjs.len()), (templates.len(), templates.len()));
    let row = row(&data);
    let mut wrong = Vec::new();
    for ((template, ruby), liquidjs) in templates.iter().zip(ruby).zip(liquidjs) {
        let ours = ours(template, &row);
        let is_equal = match &ours {
            Ok(text) => [&ruby, &liquidjs].into_iter().flatten().any(|other| other == text),
            Err(_) => ruby.is_none() && liquidjs.is_none(),
        };
        // A difference that is listed must be one.
        if is_equal == differences.remove(template).is_some() {
            wrong.push(format!(
                "{template}\n  Ruby     {ruby:?}\n  liquidjs {liquidjs:?}\n  here     {ours:?}"
            ));
        }
    }
    assert!(wrong.is_empty(), "{} templates differ:\n{}", wrong.len(), wrong.join("\n"));
    assert!(differences.is_empty(), "not among the templates: {differences:?}");
}

#[test]
fn the_documentation_shows_every_tag_and_filter_with_its_text() {
    let page = fs::read_to_string(file("../../../docs/mapping.md")).unwrap();
    let data = page.split("```json").nth(1).unwrap().split("```").next().unwrap();
    let row = row(&serde_json::from_str(data).unwrap());
    let mut shown = Vec::new();
    for line in page.lines().filter(|line| line.starts_with("| ") && line.ends_with("` |")) {
        let line = line.replace("\\|", "\u{0}");
        let cells: Vec<_> =
            line.trim_matches('|').split('|').map(|cell| cell.replace('\u{0}', "|")).collect();
        let [name, example, prints] = &cells[..] else { continue };
        if !example.trim().starts_with('`') {
            continue;
        }
        let code = |cell: &str| cell.trim().trim_matches('`').to_owned();
        assert_eq!(ours(&code(example), &row), Ok(code(prints).replace('⏎', "\n")), "{example}");
        shown.push(code(name));
    }
    for name in liquid::tags().chain(liquid::filters()) {
        assert!(shown.iter().any(|shown| shown == name), "docs/mapping.md has no example of `{name}`");
    }
}
