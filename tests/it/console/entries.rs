//! Sources, models and syncs in the console: made, looked at, edited, undone, deleted, and refused.

use std::fs;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use larder::admin::AdminRole;
use serde_json::json;
use tempfile::TempDir;

use super::{sessions::signed_in, visitor::Visitor};
use crate::{
    admin::fixture::Fixture,
    support::{
        http::Answer,
        node::{Node, Warehouse},
        process::until,
    },
};

const HOSTILE: &str = "\"><script>alert('x')</script>";

/// Where a form has led; its answer must be one that leads on.
pub(super) fn led_to(answer: &Answer) -> &str {
    assert_eq!(answer.status, 303, "{}", answer.text());
    answer.header("location").unwrap()
}

/// The text of a page that was shown.
pub(super) async fn page(visitor: &mut Visitor, target: &str) -> String {
    let answer = visitor.get(target).await;
    assert_eq!(answer.status, 200, "{target}: {}", answer.text());
    answer.text().to_owned()
}

/// The value of a hidden field.
pub(super) fn hidden<'a>(page: &'a str, name: &str) -> &'a str {
    let (_, rest) =
        page.split_once(&format!("name=\"{name}\" value=\"")).unwrap_or_else(|| panic!("{name}: {page}"));
    rest.split('"').next().unwrap()
}

/// A SQLite file with customers, one of whose texts is hostile.
async fn shop(fixture: &Fixture) -> String {
    let path = fixture.node.directory.path().join("shop.db");
    let hostile = HOSTILE.replace('\'', "''");
    let customers = format!(
        "create table customers (id integer primary key, email text);
        insert into customers values (1, 'ann@example.com'), (2, '{hostile}')"
    );
    Warehouse::Sqlite(path.clone()).execute(&customers).await;
    path.to_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_a_model_and_a_sync_are_made_and_a_record_is_served() {
    let fixture = Fixture::start().await;
    let path = shop(&fixture).await;
    let mut admin = signed_in(&fixture, AdminRole::Admin).await;
    assert!(
        page(&mut admin, "/console/new/sources").await.contains("href=\"/console/new/sources?type=sqlite\"")
    );
    assert!(page(&mut admin, "/console/new/sources?type=sqlite").await.contains("Path of the file"));
    let source = [("type", "sqlite"), ("name", "shop"), ("path", &*path)];
    let saved = admin.post("/console/new/sources", &source).await;
    assert_eq!(led_to(&saved), "/console/configuration/sources/shop?done=saved");
    let checked = admin.post("/console/configuration/sources/shop/check", &[]).await;
    assert!(checked.text().contains("The source answers"), "{}", checked.text());
    let tables = page(&mut admin, "/console/configuration/sources/shop?show=tables&contains=cust").await;
    assert!(tables.contains("show=columns&amp;table=customers"), "{tables}");
    let columns = page(&mut admin, "/console/configuration/sources/shop?show=columns&table=customers").await;
    assert!(columns.contains("/console/new/models?source=shop&amp;table=customers"), "{columns}");

    let new = page(&mut admin, "/console/new/models?source=shop&table=customers").await;
    assert!(new.contains("<option value=\"shop\" selected>") && new.contains("value=\"customers\""), "{new}");
    let model = [("name", "customers"), ("source", "shop"), ("table", "customers"), ("primary_key", "id")];
    led_to(&admin.post("/console/new/models", &model).await);
    let preview = page(&mut admin, "/console/configuration/models/customers/preview").await;
    assert!(preview.contains("<td>ann@example.com</td>") && !preview.contains("<script>"), "{preview}");

    assert!(
        !page(&mut admin, "/console/new/syncs").await.contains("[indexes]"),
        "nothing is filled in without a model"
    );
    let new = page(&mut admin, "/console/new/syncs?model=customers").await;
    assert_eq!(
        (hidden(&new, "index_name\" type=\"text"), hidden(&new, "index_columns\" type=\"text")),
        ("id", "id")
    );
    let sync = [
        ("name", "customer"),
        ("model", "customers"),
        ("schedule", "every 1s"),
        ("index_name", "id"),
        ("index_columns", "id"),
        ("index_name", "email"),
        ("index_columns", "email"),
        ("field_name", "id"),
        ("field_value", "id"),
        ("field_name", "mail.address"),
        ("field_value", "email"),
        ("on_delete", "keep"),
        ("other", "[on_miss.record]\nfound = false"),
    ];
    led_to(&admin.post("/console/new/syncs", &sync).await);
    until("the first run", async || {
        let runs = fixture.get("/admin/v1/runs?sync=customer&announced=true").await;
        runs["items"].get(0).cloned()
    })
    .await;
    let stored = fixture.get("/admin/v1/syncs/customer").await;
    assert_eq!(stored["settings"]["on_miss"], json!({ "record": { "found": false } }));
    assert_eq!(stored["settings"]["fields"], json!({ "id": "id", "mail.address": "email" }));
    let served = fixture.ask("GET", "/admin/v1/collections/customer", None).await;
    assert_eq!(served.json()["records"], 2, "{served:?}");
    for target in [
        "/console/configuration/sources",
        "/console/configuration/models/customers",
        "/console/syncs/customer",
    ] {
        page(&mut admin, target).await;
    }
    let used = page(&mut admin, "/console/configuration/models/customers").await;
    assert!(used.contains("/console/configuration/syncs/customer"), "{used}");
    let deleted = admin
        .post("/console/configuration/models/customers/delete", &[("state", hidden(&used, "state"))])
        .await;
    assert_eq!(deleted.status, 400, "a sync uses it: {}", deleted.text());
    let shop = page(&mut admin, "/console/configuration/sources/shop").await;
    let target = "/console/configuration/sources/shop/delete";
    let deleted = admin.post(target, &[("state", hidden(&shop, "state"))]).await;
    let used = "Nothing was deleted: used by <a href=\"/console/configuration/models/customers\">model customers</a>";
    assert!(deleted.status == 400 && deleted.text().contains(used), "{}", deleted.text());
    assert!(!deleted.text().contains("there is no"), "{}", deleted.text());
    // A fault of the source is not one of everything that depends on it.
    let faulty =
        [("type", "sqlite"), ("state", hidden(&shop, "state")), ("path", &*path), ("other", "bogus = 1")];
    let faulty = admin.post("/console/configuration/sources/shop/edit", &faulty).await;
    let text = faulty.text();
    assert!(text.contains("bogus: unknown key") && !text.contains("there is no source"), "{text}");
    assert!(!text.contains("other parts of the configuration"), "{text}");
    let sync = page(&mut admin, "/console/syncs/customer").await;
    for link in ["models/customers\">customers</a>", "sources/shop\">shop</a>"] {
        assert!(sync.contains(link), "{link}: {sync}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_values_stand_beside_their_fields_and_nothing_is_lost() {
    let fixture = Fixture::start().await;
    let mut admin = signed_in(&fixture, AdminRole::Admin).await;
    let wrong = [
        ("name", "good"),
        ("model", "people"),
        ("index_name", "email"),
        ("index_columns", ""),
        ("schedule", HOSTILE),
        ("other", "x = 1"),
    ];
    let refused = admin.post("/console/new/syncs", &wrong).await;
    assert_eq!(refused.status, 400);
    assert!(
        refused.text().contains("id=\"index-0-fault\"") && refused.text().contains("Name a column"),
        "{}",
        refused.text()
    );
    let at_fault = |text: &str| -> Vec<String> {
        let ids = text.split("<p id=\"").skip(1).map(|rest| rest.split('"').next().unwrap());
        ids.filter_map(|id| id.strip_suffix("-fault").map(str::to_owned)).collect()
    };
    assert_eq!(at_fault(refused.text()), ["index-0", "schedule", "other"], "all at once: {}", refused.text());
    let columns = refused.text().split("name=\"index_columns\"").nth(1).unwrap().split('>').next().unwrap();
    let name = refused.text().split("name=\"index_name\"").nth(1).unwrap().split('>').next().unwrap();
    assert!(columns.contains("aria-invalid=\"true\"") && !name.contains("aria-invalid"), "{columns} {name}");
    let unnamed = admin
        .post(
            "/console/new/syncs",
            &wrong.map(|(name, value)| (name, if name == "name" { "Not a name" } else { value })),
        )
        .await;
    assert_eq!(at_fault(unnamed.text()), ["name", "index-0", "schedule", "other"], "{}", unnamed.text());
    let credentials = [("type", "sqlserver"), ("name", "x"), ("host", "h"), ("user", "")];
    let refused_source = admin.post("/console/new/sources", &credentials).await;
    assert_eq!(at_fault(refused_source.text()), ["user"], "{}", refused_source.text());
    assert!(!refused.text().contains("<script>alert"));
    assert!(refused.text().contains("&quot;&gt;&lt;script&gt;"), "what was entered stays");
    let wrong = wrong.map(|(name, value)| (name, if name.starts_with("index_") { "id" } else { value }));
    let refused = admin.post("/console/new/syncs", &wrong).await;
    let text = refused.text();
    assert_eq!(refused.status, 400);
    for field in ["schedule", "other"] {
        assert!(text.contains(&format!("id=\"{field}-fault\"")), "{field}: {text}");
    }
    let refused = admin.post("/console/new/models", &[("name", "Not a name"), ("source", "warehouse")]).await;
    assert!(
        refused.status == 400 && refused.text().contains("the name of a model has"),
        "{}",
        refused.text()
    );
    let refused = admin.post("/console/new/sources", &[("type", "postgres"), ("name", "x")]).await;
    assert!(refused.text().contains("(write url = &quot;...&quot;)"), "{}", refused.text());
    // A name that the file has, whatever is beside the form.
    let taken = [("name", "people"), ("source", "warehouse"), ("table", "people"), ("primary_key", "id")];
    let refused = admin.post("/console/new/models", &taken).await;
    assert!(
        refused.status == 400
            && refused.text().contains("id=\"name-fault\"")
            && refused.text().contains("is taken already"),
        "{}",
        refused.text()
    );
    let form = admin.get("/console/new/models?source=warehouse&table=people").await;
    assert!(form.text().contains("value=\"people_2\""), "{}", form.text());
    let checked = [
        ("name", "good"),
        ("model", "people"),
        ("index_name", "id"),
        ("index_columns", "id"),
        ("max_removed", "0.5"),
        ("act", "check"),
    ];
    let checked = admin.post("/console/new/syncs", &checked).await;
    assert!(checked.status == 200 && checked.text().contains("not saved yet"), "{}", checked.text());
    assert_eq!(fixture.refused("GET", "/admin/v1/syncs/good", None).await.0, 404);
    for target in
        ["/console/new/collections", "/console/configuration/nowhere", "/console/configuration/models/nobody"]
    {
        assert_eq!(admin.get(target).await.status, 404, "{target}");
    }
    let file = admin.get("/console/configuration/models/people/edit").await;
    assert!(file.status == 409 && file.text().contains("managed_by_file"), "{}", file.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn secrets_stay_when_their_field_is_empty_and_are_never_shown() {
    let directory = TempDir::new().unwrap();
    fs::write(directory.path().join("secrets.key"), STANDARD.encode([7; 32])).unwrap();
    let warehouse = Warehouse::sqlite(directory.path());
    warehouse.execute("create table people (id integer primary key)").await;
    let fixture =
        Fixture { node: Node::start(directory, warehouse, "[secrets]\nkey_file = \"secrets.key\"\n").await };
    let mut admin = signed_in(&fixture, AdminRole::Admin).await;
    let url = "postgres://larder:first-hunter2@127.0.0.1:1/shop";
    led_to(&admin.post("/console/new/sources", &[("type", "postgres"), ("name", "pg"), ("url", url)]).await);
    let edit = page(&mut admin, "/console/configuration/sources/pg/edit").await;
    assert!(
        !edit.contains("hunter2") && edit.contains("the stored URL: postgres://127.0.0.1:1/shop,"),
        "{edit}"
    );
    let shown = page(&mut admin, "/console/configuration/sources/pg").await;
    assert!(
        shown.contains("<code>postgres://127.0.0.1:1/shop</code>") && !shown.contains("larder:"),
        "{shown}"
    );
    assert!(shown.contains("/console/new/models?source=pg\">Add a model"), "{shown}");
    let first = hidden(&edit, "state").to_owned();
    let keep = [
        ("type", "postgres"),
        ("name", "pg"),
        ("state", &first),
        ("kept", "url"),
        ("url", ""),
        ("other", "statement_timeout = \"5m\""),
    ];
    led_to(&admin.post("/console/configuration/sources/pg/edit", &keep).await);
    let stored = fixture.get("/admin/v1/sources/pg").await;
    assert_eq!(
        stored["settings"],
        json!({ "type": "postgres", "url": { "$secret": true }, "statement_timeout": "5m" })
    );
    // Every fault is reported with that of the secret, which does not go elsewhere.
    let edit = page(&mut admin, "/console/configuration/sources/pg/edit").await;
    let wrong = keep.map(|(name, value)| match name {
        "state" => (name, hidden(&edit, "state")),
        "other" => (name, "bogus = 1\nurl = \"x\"\ntype = \"y\""),
        _ => (name, value),
    });
    let mut unknown = wrong;
    unknown[5].1 = "bogus = 1";
    let refused = admin.post("/console/configuration/sources/pg/edit", &unknown).await;
    for part in ["bogus: unknown key", "is not kept when `bogus` changes"] {
        assert!(refused.status == 400 && refused.text().contains(part), "{part}: {}", refused.text());
    }
    let refused = admin.post("/console/configuration/sources/pg/edit", &wrong).await;
    for part in ["url has a field of its own", "type has a field of its own"] {
        assert!(refused.text().contains(part), "{part}: {}", refused.text());
    }
    // Another tab still shows the first version.
    let late = admin.post("/console/configuration/sources/pg/edit", &keep).await;
    assert!(late.status == 412 && late.text().contains("statement_timeout"), "{}", late.text());
    for part in ["Nothing was saved: <strong>", "Version 2, which is stored now", "precondition_failed"] {
        assert!(late.text().contains(part), "{part}: {}", late.text());
    }
    // A form that shows the newest version may replace it.
    let again =
        keep.map(|(name, value)| (name, if name == "state" { hidden(late.text(), "state") } else { value }));
    led_to(&admin.post("/console/configuration/sources/pg/edit", &again).await);
    let shown = page(&mut admin, "/console/configuration/sources/pg").await;
    assert!(!shown.contains("hunter2"), "{shown}");
    let undo = [("state", hidden(&shown, "state")), ("version", &first)];
    led_to(&admin.post("/console/configuration/sources/pg/undo", &undo).await);
    assert!(fixture.get("/admin/v1/sources/pg").await["settings"].get("statement_timeout").is_none());
    let shown = page(&mut admin, "/console/configuration/sources/pg").await;
    let deleted =
        admin.post("/console/configuration/sources/pg/delete", &[("state", hidden(&shown, "state"))]).await;
    assert_eq!(led_to(&deleted), "/console/configuration/sources?done=deleted");
    assert_eq!(admin.get("/console/configuration/sources/pg").await.status, 404);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_admins_see_and_send_the_forms() {
    let fixture = Fixture::start().await;
    for role in [AdminRole::Viewer, AdminRole::Operator] {
        let mut visitor = signed_in(&fixture, role).await;
        for target in ["/console/configuration/sources", "/console/configuration/models/people"] {
            let page = page(&mut visitor, target).await;
            assert!(!page.contains("/console/new/") && !page.contains("/edit"), "{role}: {page}");
        }
        for target in ["/console/new/sources", "/console/configuration/models/people/edit"] {
            assert_eq!(visitor.get(target).await.status, 403, "{role}: {target}");
        }
        for target in [
            "/console/new/models",
            "/console/configuration/models/people/edit",
            "/console/configuration/models/people/delete",
        ] {
            assert_eq!(visitor.post(target, &[("name", "x")]).await.status, 403, "{role}: {target}");
        }
    }
    let mut viewer = signed_in(&fixture, AdminRole::Viewer).await;
    assert_eq!(viewer.get("/console/configuration/models/people/preview").await.status, 403, "rows");
    assert_eq!(viewer.post("/console/configuration/sources/warehouse/check", &[]).await.status, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_entry_that_was_deleted_meanwhile_is_stored_again_knowingly() {
    let fixture = Fixture::start().await;
    let mut admin = signed_in(&fixture, AdminRole::Admin).await;
    let model = [("name", "m"), ("source", "warehouse"), ("table", "people"), ("primary_key", "id")];
    led_to(&admin.post("/console/new/models", &model).await);
    let target = "/console/configuration/models/m";
    let state = hidden(&page(&mut admin, &format!("{target}/edit")).await, "state").to_owned();
    led_to(&admin.post(&format!("{target}/delete"), &[("state", &state)]).await);
    let edited = [&model[1..], &[("columns", "id"), ("state", &state)]].concat();
    let late = admin.post(&format!("{target}/edit"), &edited).await;
    assert!(late.status == 412 && late.text().contains("It is deleted now."), "{}", late.text());
    let edited = [&model[1..], &[("columns", "id"), ("state", hidden(late.text(), "state"))]].concat();
    led_to(&admin.post(&format!("{target}/edit"), &edited).await);
    assert_eq!(fixture.get("/admin/v1/models/m").await["settings"]["columns"], json!(["id"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_cannot_be_read_and_a_sync_that_does_not_fit_it_are_said_to_be_so() {
    let fixture = Fixture::start().await;
    let mut admin = signed_in(&fixture, AdminRole::Admin).await;
    for (name, table, sql, key, field) in [
        ("a", "nowhere", "", "id", "table"),
        ("b", "", "selec 1", "id", "sql"),
        ("c", "people", "", "nobody", "primary_key"),
        ("d", "people", "", "id", ""),
    ] {
        let form =
            [("name", name), ("source", "warehouse"), ("table", table), ("sql", sql), ("primary_key", key)];
        let checked = admin.post("/console/new/models", &[&form[..], &[("act", "check")]].concat()).await;
        let saved = admin.post("/console/new/models", &form).await;
        let saved = page(&mut admin, led_to(&saved)).await;
        let is_good = field.is_empty();
        assert_eq!(checked.status == 200, is_good, "{name}: {}", checked.text());
        assert_eq!(checked.text().contains("have no fault"), is_good, "{name}: {}", checked.text());
        assert_eq!(saved.contains("A sync of it would fail"), !is_good, "{name}: {saved}");
        if !is_good {
            assert!(checked.text().contains(&format!("id=\"{field}-fault\"")), "{name}: {}", checked.text());
        }
        let again = page(&mut admin, &format!("/console/configuration/models/{name}")).await;
        assert!(!again.contains("A sync of it would fail"), "the source is asked after saving only");
    }
    for (name, column, is_good) in [("x", "nobody", false), ("y", "name", true)] {
        let form = [
            ("name", name),
            ("model", "people"),
            ("schedule", "manual"),
            ("index_name", "id"),
            ("index_columns", "id"),
            ("index_name", "other"),
            ("index_columns", column),
        ];
        let checked = admin.post("/console/new/syncs", &[&form[..], &[("act", "check")]].concat()).await;
        let saved = admin.post("/console/new/syncs", &form).await;
        let saved = page(&mut admin, led_to(&saved)).await;
        assert_eq!(checked.text().contains("have no fault"), is_good, "{name}: {}", checked.text());
        assert_eq!(checked.text().contains("id=\"index-1-fault\""), !is_good, "{name}: {}", checked.text());
        assert_eq!(saved.contains("a run of it would fail now"), !is_good, "{name}: {saved}");
    }
    let missing = [("type", "sqlite"), ("name", "z"), ("path", "/nowhere/shop.db"), ("act", "connect")];
    let refused = admin.post("/console/new/sources", &missing).await;
    assert!(refused.text().contains("id=\"path-fault\""), "{}", refused.text());
    let rows = [("source", "warehouse"), ("sql", "select nothing from people"), ("act", "rows")];
    let refused = admin.post("/console/new/models", &rows).await;
    assert!(refused.status == 400 && refused.text().contains("id=\"sql-fault\""), "{}", refused.text());
}
