//! Liquid templates through a whole node: what they make of rows, and what happens when they fail.

use std::fs;

use larder::domain::run::RunStatus;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{
    node::{Node, Warehouse, base_sections},
    process::larder,
};

const TABLE: &str = r#"
    create type place as (street text, "House No." int);
    create table people (
        id int primary key, first_name text, price numeric(20, 2), big bigint, ratio float8, active boolean,
        born date, seen timestamp, signed_up timestamptz, tags text[], home place, divisor int not null,
        doc jsonb, "90_day summary" jsonb, nullable text
    );
    insert into people values
        (1, 'Ann "A"', 1234567890123456.70, 9007199254740993, 1e21, true, '2024-02-29', '2024-01-02 03:04:05.5',
         '2024-01-02 03:04:05.000001+02', '{a,"b c",ü}', row('Straße', 7), 2,
         '{"address": {"city": "Köln", "zip": null}, "items": [{"name": "one", "price": 1.50}, {"name": "two\"", "price": 1e3}], "odd key": 5}',
         '{"top": ["x"]}', 'there'),
        (2, null, null, null, null, null, null, null, null, null, null, 1, null, null, null),
        (3, '', 0.00, -1, -0.1, false, '0001-01-01', 'infinity', '9999-12-31 23:59:59Z', '{}', row(null, null), 4,
         '{"items": []}', 'null', ''),
        (4, '{{ first_name }}', 2.50, 0, 0.5, true, '1970-01-01', '1970-01-01', '1970-01-01Z', '{"<b>",null}', null, -8, '[]', '7', '');
"#;

/// Field, template with its `as`, and its value in records 1 to 4.
#[expect(clippy::too_many_lines, reason = "a table")]
fn fields() -> Vec<(&'static str, &'static str, [Value; 4])> {
    let same = |value: Value| [value.clone(), value.clone(), value.clone(), value];
    vec![
        // Strings.
        ("plain", "liquid = 'no tags'", same(json!("no tags"))),
        ("empty", "liquid = ''", same(json!(""))),
        (
            "greeting",
            "liquid = 'Hello {{ first_name | default: \"friend\" }}!'",
            [
                json!("Hello Ann \"A\"!"),
                json!("Hello friend!"),
                json!("Hello friend!"),
                json!("Hello {{ first_name }}!"),
            ],
        ),
        (
            "tier",
            "liquid = '{% if price > 1000 %}gold{% elsif price %}standard{% else %}none{% endif %}'",
            [json!("gold"), json!("none"), json!("standard"), json!("standard")],
        ),
        ("id_text", "liquid = '{{ big }}'", [json!("9007199254740993"), json!(""), json!("-1"), json!("0")]),
        (
            "price_text",
            "liquid = '{{ price }}'",
            [json!("1234567890123456.70"), json!(""), json!("0.00"), json!("2.50")],
        ),
        ("is_active", "liquid = '{{ active }}'", [json!("true"), json!(""), json!("false"), json!("true")]),
        // Missing names are nothing, however deep.
        (
            "missing",
            "liquid = '[{{ nowhere }}{{ nowhere.a[0].b }}{{ doc.address.zip.x }}{{ tags[9] }}]'",
            same(json!("[]")),
        ),
        (
            "nullable_text",
            "liquid = '{{ nullable }}{% if nullable == nil %}nil{% endif %}{% if nullable == empty %}empty{% endif %}'",
            [json!("there"), json!("nil"), json!("empty"), json!("empty")],
        ),
        // Dates are ISO 8601, as they are served, and the filter reads them.
        (
            "dates",
            "liquid = '{{ born }}|{{ seen }}|{{ signed_up }}'",
            [
                json!("2024-02-29|2024-01-02T03:04:05.5|2024-01-02T01:04:05.000001Z"),
                json!("||"),
                json!("0001-01-01||9999-12-31T23:59:59Z"),
                json!("1970-01-01|1970-01-01T00:00:00|1970-01-01T00:00:00Z"),
            ],
        ),
        (
            "formatted",
            "liquid = '{{ born | date: \"%d.%m.%Y\" }} {{ signed_up | date: \"%B %-d, %Y at %H:%M\" }}'",
            [
                json!("29.02.2024 January 2, 2024 at 01:04"),
                json!(" "),
                json!("01.01.0001 December 31, 9999 at 23:59"),
                json!("01.01.1970 January 1, 1970 at 00:00"),
            ],
        ),
        // Nested columns: JSON, arrays, composites.
        ("city", "liquid = '{{ doc.address.city }}'", [json!("Köln"), json!(""), json!(""), json!("")]),
        (
            "second",
            "liquid = '{{ doc.items[1].name }}/{{ doc[\"odd key\"] }}/{{ doc.items.size }}'",
            [json!("two\"/5/2"), json!("//"), json!("//0"), json!("//")],
        ),
        (
            "street",
            "liquid = '{{ home.street }} {{ home[\"House No.\"] }}'",
            [json!("Straße 7"), json!(" "), json!(" "), json!(" ")],
        ),
        (
            "names",
            "liquid = '{% for item in doc.items %}{{ forloop.index }}:{{ item.name }}={{ item.price }};{% endfor %}'",
            [json!("1:one=1.50;2:two\"=1000;"), json!(""), json!(""), json!("")],
        ),
        (
            "joined",
            "liquid = '{{ tags | join: \", \" }}'",
            [json!("a, b c, ü"), json!(""), json!(""), json!("<b>, ")],
        ),
        // Numbers keep their digits.
        (
            "price",
            "liquid = '{{ price }}', as = \"number\"",
            [number("1234567890123456.70"), Value::Null, number("0.00"), number("2.50")],
        ),
        (
            "big",
            "liquid = ' {{ big }} ', as = \"number\"",
            [number("9007199254740993"), Value::Null, number("-1"), number("0")],
        ),
        (
            "double",
            "liquid = '{{ id | times: 2 }}', as = \"number\"",
            [json!(2), json!(4), json!(6), json!(8)],
        ),
        (
            "maybe",
            "liquid = '{% if active %}{{ divisor }}{% endif %}', as = \"number\"",
            [json!(2), Value::Null, Value::Null, json!(-8)],
        ),
        // JSON of any shape.
        (
            "contact.card",
            "liquid = '{ \"name\": {{ first_name | json }}, \"tags\" : {{ tags | json }} }', as = \"json\"",
            [
                json!({"name": "Ann \"A\"", "tags": ["a", "b c", "ü"]}),
                json!({"name": null, "tags": null}),
                json!({"name": "", "tags": []}),
                json!({"name": "{{ first_name }}", "tags": ["<b>", null]}),
            ],
        ),
        (
            "contact.items",
            "liquid = '{{ doc.items | json }}', as = \"json\"",
            [
                serde_json::from_str(r#"[{"name":"one","price":1.50},{"name":"two\"","price":1000}]"#)
                    .unwrap(),
                Value::Null,
                json!([]),
                Value::Null,
            ],
        ),
        ("nothing", "liquid = '{% comment %}x{% endcomment %}', as = \"json\"", same(Value::Null)),
        // What a row divides by.
        (
            "share",
            "liquid = '{{ 8 | divided_by: divisor }}'",
            [json!("4"), json!("8"), json!("2"), json!("-1")],
        ),
    ]
}

fn number(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

fn sections(fields: &str) -> String {
    format!(
        "[models.people]\nsource = \"warehouse\"\ntable = \"people\"\nprimary_key = \"id\"\n\
         [syncs.person]\nmodel = \"people\"\nmax_rejected = \"50%\"\nindexes.id = \"id\"\n\
         [syncs.person.fields]\nid = \"id\"\n{fields}"
    )
}

/// Every field of [`fields`].
fn all_fields() -> String {
    let fields = fields();
    let lines: Vec<_> =
        fields.iter().map(|(name, template, _)| format!("{name} = {{ {template} }}\n")).collect();
    lines.concat()
}

async fn node(fields: &str) -> Node {
    let warehouse = Warehouse::postgres().await;
    warehouse.execute(TABLE).await;
    Node::start(TempDir::new().unwrap(), warehouse, &sections(fields)).await
}

/// The record that stands in column `at` of [`fields`].
fn expected(at: usize) -> Value {
    let mut record = json!({"id": at + 1});
    for (name, _, values) in fields() {
        match name.split_once('.') {
            Some((object, member)) => record[object][member] = values[at].clone(),
            None => record[name] = values[at].clone(),
        }
    }
    record
}

#[tokio::test(flavor = "multi_thread")]
async fn templates_make_what_they_say_of_every_row() {
    let node = node(&all_fields()).await;
    let ended = node.sync("person").await;
    assert_eq!(
        (ended.record.status, ended.record.counts.rejected),
        (RunStatus::Announced, 0),
        "{:?}",
        ended.rejected
    );
    for at in 0..4 {
        let answer = node.get("person", "id", &(at + 1).to_string()).await;
        // Text against text: digits, order of fields, and nothing but them.
        let (served, expected) = (answer.json(), expected(at));
        for (field, value) in expected.as_object().unwrap() {
            assert_eq!(served[field].to_string(), value.to_string(), "{field} of {}", at + 1);
        }
        assert_eq!(answer.text(), expected.to_string());
    }
    // The command shows the same, and warns of what is probably not meant.
    let shown = larder(node.directory.path(), &["preview", "person"]);
    let records: Vec<_> = (0..4).map(|at| expected(at).to_string() + "\n").collect();
    assert_eq!((shown.code, shown.stdout), (Some(0), records.concat()));
    let checked = larder(node.directory.path(), &["check", "--connect"]);
    assert_eq!(checked.code, Some(0), "{checked:?}");
    assert!(checked.stderr.contains("reads `nowhere`, which is no column"), "{checked:?}");
    // Nothing new without a change.
    assert_eq!(node.sync("person").await.record.status, RunStatus::Unchanged);
}

#[tokio::test(flavor = "multi_thread")]
async fn now_is_the_start_of_the_run() {
    let node = node("at = { liquid = '{{ \"now\" | date: \"%Y-%m-%dT%H:%M:%S\" }}' }\n").await;
    assert_eq!(node.sync("person").await.record.status, RunStatus::Announced);
    let answer = node.get("person", "id", "1").await;
    let as_of = answer.header("x-data-as-of").unwrap();
    let at = answer.json()["at"].as_str().unwrap().to_owned();
    assert!(as_of.starts_with(&at), "{at} is not {as_of}");
    let other = node.record("person", "id", "4").await.unwrap();
    assert_eq!(other["at"], at, "one moment for all rows");
    let checked = larder(node.directory.path(), &["check", "--connect"]);
    assert!(checked.code == Some(0) && checked.stderr.contains("'now'"), "{checked:?}");
}

#[tokio::test]
async fn commands_warn_of_templates_that_are_probably_not_meant() {
    let directory = TempDir::new().unwrap();
    let warehouse = Warehouse::sqlite(directory.path());
    let people =
        "create table people (id integer primary key, first_name text); insert into people values (1, 'Ann')";
    warehouse.execute(people).await;
    let fields = "silent = { liquid = '{% if first_name %} {% assign x = 1 %} {% endif %}' }\n\
                  misspelt = { liquid = '{{ frist_name }}' }\n\
                  lax = { liquid = '{{ first_name upcase }}' }\n\
                  clock = { liquid = '{{ \"now\" | date: \"%Y\" | size }}' }\n\
                  good = { liquid = '{{ first_name | upcase }}' }\n";
    let text = format!("{}{}", base_sections(&warehouse), sections(fields));
    fs::write(directory.path().join("larder.toml"), text).unwrap();
    for command in [&["check", "--connect"][..], &["preview", "person"], &["sync", "person"]] {
        let shown = larder(directory.path(), command);
        assert_eq!(shown.code, Some(0), "{command:?}: {shown:?}");
        let warnings: Vec<_> = shown.stderr.lines().filter(|line| line.starts_with("warning: ")).collect();
        for warning in [
            "the template of `silent` prints nothing: its output is always empty",
            "the template of `misspelt` reads `frist_name`, which is no column and always empty; did you mean \
             `first_name`? (line 1, column 4)",
            "the template of `lax` is read as Shopify's Liquid reads it: this text is ignored; put `|` before \
             a filter",
            "the template of `clock` reads 'now', which is the start of each run",
        ] {
            assert!(warnings.iter().any(|line| line.contains(warning)), "{command:?}, {warning}: {shown:?}");
        }
        assert_eq!(warnings.len(), 4, "{command:?}: {shown:?}");
        if command[0] == "preview" {
            let record = r#"{"id":1,"silent":"","misspelt":"","lax":"Ann","clock":"4","good":"ANN"}"#;
            assert_eq!(shown.stdout, format!("{record}\n"));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_template_that_fails_rejects_its_row_and_nothing_else() {
    let fields = "share = { liquid = '{{ 8 | divided_by: divisor }}' }\n\
                  number = { liquid = '{{ nullable | default: id }}', as = \"number\" }\n\
                  json = { liquid = '{{ first_name | default: \"[]\" }}', as = \"json\" }\n";
    let node = node(fields).await;
    // 1 has text where a number must be, 4 what is no JSON; 2 and 3 are good.
    let listed = |ended: &larder::engine::RunOutcome| {
        let mut listed: Vec<_> = ended
            .rejected
            .iter()
            .map(|row| {
                (row.primary_key.clone().unwrap(), row.reason.as_str().to_owned(), row.field.clone().unwrap())
            })
            .collect();
        listed.sort();
        listed
    };
    let row = |key: &str, reason: &str, field: &str| (key.to_owned(), reason.to_owned(), field.to_owned());
    let ended = node.sync_with("person", true, false).await;
    assert_eq!(ended.record.status, RunStatus::Announced);
    assert_eq!(listed(&ended), [row("1", "template_output", "number"), row("4", "template_output", "json")]);
    assert_eq!((ended.record.counts.rejected, ended.record.counts.added), (2, 2));
    let second = node.get("person", "id", "2").await;
    assert_eq!(second.text(), r#"{"id":2,"share":"8","number":2,"json":[]}"#);
    assert_eq!(node.record("person", "id", "1").await, None);

    // A row that was good fails now: it is served as it was, and the others as they are.
    node.warehouse
        .execute(
            "update people set divisor = 0, born = '2000-01-01' where id = 3;
             update people set divisor = 4 where id = 2;
             update people set first_name = '{\"a\":1}' where id = 4;
             insert into people (id, divisor) values (5, 0);",
        )
        .await;
    let ended = node.sync_with("person", true, false).await;
    assert_eq!(ended.record.status, RunStatus::Announced);
    let failed = [
        row("1", "template_output", "number"),
        row("3", "division_by_zero", "share"),
        row("5", "division_by_zero", "share"),
    ];
    assert_eq!(listed(&ended), failed);
    assert_eq!((ended.record.counts.carried, ended.record.counts.removed), (1, 0));
    let share = |record: Option<Value>| record.map(|record| record["share"].clone());
    for (id, expected) in
        [("1", None), ("2", Some(json!("2"))), ("3", Some(json!("2"))), ("4", Some(json!("-1"))), ("5", None)]
    {
        assert_eq!(share(node.record("person", "id", id).await), expected, "{id}");
    }
    // No value of a row is reported.
    let runs = larder(node.directory.path(), &["runs", &ended.record.id.to_string()]);
    assert!(runs.stdout.contains("division_by_zero") && runs.stdout.contains("share"), "{runs:?}");
    assert!(!runs.text().contains("there"), "{runs:?}");
    let shown = larder(node.directory.path(), &["preview", "person"]);
    assert_eq!((shown.code, shown.stdout.lines().count()), (Some(0), 2));
    assert!(shown.stderr.contains("rejected: division_by_zero in share (primary key 3)"), "{shown:?}");

    // The cause goes, and so does the rest of it.
    node.warehouse
        .execute(
            "update people set divisor = 1, nullable = null; update people set first_name = '1' where id = 1",
        )
        .await;
    let ended = node.sync("person").await;
    assert_eq!((ended.record.counts.rejected, ended.record.counts.records), (0, 5));
    assert_eq!(node.get("person", "id", "3").await.text(), r#"{"id":3,"share":"8","number":3,"json":[]}"#);
}

#[tokio::test(flavor = "multi_thread")]
async fn templates_that_do_not_parse_stop_every_command() {
    let directory = TempDir::new().unwrap();
    let warehouse = Warehouse::sqlite(directory.path());
    let fields = "good = { liquid = '{{ id }}' }\n\
                  tier = { liquid = '{{ id | upcas }}' }\n\
                  address.label = { liquid = '''\nhello\n  {% if id > 1 %}x{% endfor %}''' }\n\
                  open = { liquid = 'ü {{ id' }\n\
                  what = { liquid = '{% render \"x\" %}', as = \"json\" }\n\
                  kind = { liquid = '{{ id }}', as = \"integer\" }\n";
    let text = format!("{}{}", base_sections(&warehouse), sections(fields));
    let first = text.lines().position(|line| line.starts_with("good")).unwrap() + 1;
    fs::write(directory.path().join("larder.toml"), text).unwrap();
    for command in
        [&["serve"][..], &["check"], &["check", "--connect"], &["preview", "person"], &["sync", "person"]]
    {
        let reported = larder(directory.path(), command);
        assert_eq!((reported.code, reported.stdout.as_str()), (Some(2), ""), "{command:?}: {reported:?}");
        for (line, key, fault) in [
            (
                1,
                "tier",
                "the filter `upcas` is not supported (line 1, column 9)\n{{ id | upcas }}\n        ^\n  hint: did you mean `upcase`?",
            ),
            (2, "address.label", "found `endfor`, expected `endif` (line 2, column 22)"),
            (5, "open", "`{{` is never closed (line 1, column 3)"),
            (6, "what", "the tag `render` is not supported (line 1, column 4)"),
            (7, "kind.as", "\"integer\" is not one of \"string\", \"number\", \"json\""),
        ] {
            let (place, line) = (format!("larder.toml:{}:", first + line), line);
            let key = format!("syncs.person.fields.{key}: {fault}");
            let found = reported.stderr.lines().any(|reported| reported.starts_with(&place));
            assert!(found && reported.stderr.contains(&key), "line {line}, {key}:\n{}", reported.stderr);
        }
        assert!(!reported.stderr.contains("fields.good"), "{}", reported.stderr);
    }
    assert!(!directory.path().join("data").exists(), "a faulty configuration leaves no trace");
}
