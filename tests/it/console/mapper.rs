//! The forms of syncs and models beside a source: rows of fields, the record that follows them, tables, and the check of a
//! primary key.

use larder::admin::AdminRole;
use serde_json::{Value, json};

use super::{
    browser::{arrived, click, fill_in, shows, text},
    entries::{hidden, led_to, page},
    forms::{assert_escaped, world_of},
    pages::HOSTILE,
    sessions::{link, signed_in},
};
use crate::{
    admin::fixture::Fixture,
    support::{browser::Browser, process::until},
};

/// People whose columns, values and number of rows a page must take for nothing else.
async fn people() -> Fixture {
    let column = HOSTILE.replace('"', "\"\"");
    let value = HOSTILE.replace('\'', "''");
    let sql = format!(
        "create table people (id integer primary key, first text, team text, \"{column}\" text);
        insert into people values (1, 'Ann', 'crimson', 'a'), (2, '{value}', 'crimson', null), (3, 'Cyd', null, x'ff');
        create table empty (id integer primary key)"
    );
    let models = ["people", "empty"].map(|table| {
        format!("[models.{table}]\nsource = \"warehouse\"\ntable = \"{table}\"\nprimary_key = \"id\"\n")
    });
    world_of(&sql, &models.concat()).await
}

/// A new sync, with rows of fields: name, kind, value, as.
fn form<'a>(rows: &[[&'a str; 4]], more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    let base = [
        ("name", "person"),
        ("model", "people"),
        ("index_name", "id"),
        ("index_columns", "id"),
        ("schedule", "manual"),
    ];
    let is_own = |(name, _): &(&str, &str)| more.iter().all(|(other, _)| other != name);
    let mut fields: Vec<_> = base.into_iter().filter(is_own).collect();
    let names = ["field_name", "field_kind", "field_value", "field_as"];
    fields.extend(rows.iter().flat_map(|row| names.into_iter().zip(*row)));
    fields.extend(more);
    fields
}

/// The names of the rows of a page, in order; not that of the blank one for scripts.
fn rows_of(page: &str) -> Vec<&str> {
    let rows = page.split("id=\"fields\"").nth(1).unwrap().split("</ol>").next().unwrap();
    let names = rows.split("name=\"field_name\" value=\"").skip(1);
    names.map(|rest| rest.split('"').next().unwrap()).collect()
}

/// What stands beside the form of a page.
fn beside(page: &str) -> &str {
    page.split("id=\"beside\"").nth(1).unwrap_or_else(|| panic!("{page}")).split("</section>").next().unwrap()
}

const NEW: &str = "/console/new/syncs";

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_fields_change_by_buttons_alone_and_nothing_is_lost() {
    let fixture = people().await;
    let mut admin = signed_in(&fixture, AdminRole::Admin).await;
    let new = page(&mut admin, "/console/new/syncs?model=people").await;
    assert!(new.contains("<option value=\"team\">") && rows_of(&new).is_empty(), "{new}");
    assert_escaped(&new);
    let rows = [["who", "liquid", "{{ first }}\r\n!", ""], ["team", "column", "team", "string"]];
    for (change, names) in [
        ("add", vec!["who", "team", ""]),
        ("down-0", vec!["team", "who"]),
        ("remove-0", vec!["team"]),
        (
            "columns",
            vec!["who", "team", "id", "first", "&quot;&gt;&lt;script&gt;alert('x')&lt;/script&gt;&lt;b a='"],
        ),
    ] {
        let changed =
            admin.post(NEW, &form(&rows, &[("change", change), ("other", "x ="), ("schedule", "?")])).await;
        assert_eq!((changed.status, rows_of(changed.text())), (200, names), "{change}");
        assert_escaped(changed.text());
        assert!(changed.text().contains("x =") && !changed.text().contains("-fault"), "{}", changed.text());
    }
    let wrong = [["", "column", "id", ""], ["b", "json", "{", ""], ["who", "liquid", "{{ first }}\r\n!", ""]];
    let refused = admin.post(NEW, &form(&wrong, &[])).await;
    assert_eq!((refused.status, rows_of(refused.text())), (400, vec!["", "b", "who"]));
    for part in ["id=\"field-0-fault\"", "id=\"field-1-fault\"", "{{ first }}\n!"] {
        assert!(refused.text().contains(part), "{part}: {}", refused.text());
    }
    assert_eq!(fixture.refused("GET", "/admin/v1/syncs/person", None).await.0, 404, "nothing was stored");

    let more =
        [("on_miss", "record"), ("miss_record", "{\"found\": false, \"n\": 1.50}"), ("allow_empty", "true")];
    led_to(&admin.post(NEW, &form(&rows, &more)).await);
    let stored = fixture.get("/admin/v1/syncs/person").await["settings"].clone();
    assert_eq!(stored["fields"]["who"], json!({ "liquid": "{{ first }}\n!" }));
    assert_eq!(stored["fields"]["team"], json!({ "column": "team", "as": "string" }));
    assert_eq!(
        (&stored["allow_empty"], &stored["on_miss"]["record"]["found"]),
        (&json!(true), &json!(false))
    );

    // Another tab, which has loaded the first version.
    let target = "/console/configuration/syncs/person/edit";
    let edit = page(&mut admin, target).await;
    assert_eq!(rows_of(&edit), ["who", "team"]);
    let state = hidden(&edit, "state").to_owned();
    led_to(&admin.post(target, &form(&rows[..1], &[("state", &state)])).await);
    let late = admin.post(target, &form(&rows, &[("state", &state)])).await;
    assert_eq!((late.status, rows_of(late.text())), (412, vec!["who", "team"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_preview_maps_a_real_row_with_what_is_in_the_form() {
    let fixture = people().await;
    let mut admin = signed_in(&fixture, AdminRole::Admin).await;
    let rows = [
        ["user.name", "liquid", "Hi {{ first }}", ""],
        ["user.id", "column", "id", "string"],
        ["brand", "text", "Acme", ""],
        ["limits", "json", "{\"max\": [1, 2.50]}", ""],
        ["raw", "liquid", "{% if id == 3 %}{{ 1 | divided_by: 0 }}{% endif %}", ""],
    ];
    let first =
        admin.post(NEW, &form(&rows, &[("act", "preview"), ("cron", ""), ("schedule", "every 5m")])).await;
    let shown = beside(first.text());
    for part in ["Hi Ann", "2.5", "Acme", "Row 1 of the first 3", "every 5 minutes", "value=\"row-1\""] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    let second = admin.post(NEW, &form(&rows, &[("change", "row-1")])).await;
    assert!(beside(second.text()).contains("Hi &quot;&gt;&lt;script"), "{}", second.text());
    assert_escaped(second.text());
    let third = admin.post(NEW, &form(&rows, &[("act", "preview"), ("row", "99")])).await;
    let shown = beside(third.text());
    assert!(shown.contains("Row 3 of the first 3") && shown.contains("division_by_zero"), "{shown}");
    assert!(shown.contains(" (raw)") && !shown.contains("data-step=\"next\""), "{shown}");

    // Faults are beside their rows, and the columns are offered all the same.
    let wrong = [["a", "column", "frist", ""], ["b.c", "liquid", "{{ first | nothing }}", ""]];
    let faulty = admin.post(NEW, &form(&wrong, &[("act", "preview")])).await;
    let text = faulty.text();
    assert!(faulty.status == 400 && text.contains("id=\"field-1-fault\""), "{text}");
    assert!(text.contains("<option value=\"team\">") && text.contains("the form has no fault"), "{text}");
    let faulty = admin.post(NEW, &form(&wrong[..1], &[("act", "preview")])).await;
    assert!(faulty.text().contains("did you mean `first`?") && faulty.text().contains("field-0-fault"));
    for (model, part) in
        [("empty", "The model has no row."), ("", "-fault\""), ("nobody", "id=\"model-fault\"")]
    {
        let fields = form(&[], &[("act", "preview"), ("model", model)]);
        let shown = admin.post(NEW, &fields).await;
        assert!(shown.text().contains(part), "{model}: {}", shown.text());
    }
    // A sync without a name yet is previewed, too, and a source that does not answer says so.
    let unnamed: Vec<_> =
        form(&rows, &[("act", "preview")]).into_iter().filter(|(name, _)| *name != "name").collect();
    assert!(beside(admin.post(NEW, &unnamed).await.text()).contains("Hi Ann"));
    for role in [AdminRole::Viewer, AdminRole::Operator] {
        let mut visitor = signed_in(&fixture, role).await;
        assert_eq!(visitor.post(NEW, &form(&rows, &[("act", "preview")])).await.status, 403, "{role}");
    }
    assert_eq!(fixture.refused("GET", "/admin/v1/syncs/person", None).await.0, 404, "nothing was stored");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_form_of_a_model_shows_tables_rows_and_how_its_key_fits() {
    let fixture = people().await;
    let mut admin = signed_in(&fixture, AdminRole::Admin).await;
    let new = "/console/new/models";
    for empty in [new, "/console/new/models?source=warehouse", "/console/new/syncs"] {
        let shown = page(&mut admin, empty).await;
        assert!(!shown.contains(" = &quot;&quot;"), "nothing is chosen yet: {shown}");
    }
    let none = admin.post(new, &[("act", "tables")]).await;
    assert!(none.status == 400 && none.text().contains("id=\"source-fault\""), "{}", none.text());
    let tables = admin.post(new, &[("source", "warehouse"), ("act", "tables"), ("contains", "PEO")]).await;
    let shown = beside(tables.text());
    assert!(shown.contains("name=\"pick\" value=\"people\"") && !shown.contains("\"empty\""), "{shown}");
    // A table that is picked has its columns and rows shown, before there is a name or a primary key.
    let picked = admin.post(new, &[("source", "warehouse"), ("sql", "select 1"), ("pick", "people")]).await;
    assert_eq!(picked.status, 200, "{}", picked.text());
    assert_escaped(picked.text());
    for part in ["name=\"table\" type=\"text\" value=\"people\"", "<option value=\"first\">", "<td>Ann</td>"]
    {
        assert!(picked.text().contains(part), "{part}: {}", picked.text());
    }
    let check = async |admin: &mut super::visitor::Visitor, table: &str, key: &str| {
        let fields = [("source", "warehouse"), ("table", table), ("primary_key", key), ("act", "key")];
        admin.post(new, &fields).await.text().to_owned()
    };
    for (table, key, words) in [
        ("people", "id", "3 rows, no nulls, no value occurs more than once."),
        ("people", "team", "3 rows, 1 row without a value, 1 value occurs more than once."),
        ("empty", "id", "0 rows, no nulls, no value occurs more than once."),
    ] {
        let shown = check(&mut admin, table, key).await;
        assert!(beside(&shown).contains(words), "{key}: {shown}");
        assert!(!beside(&shown).contains("crimson"), "no value is shown: {shown}");
    }
    assert!(check(&mut admin, "people", "").await.contains("id=\"primary_key-fault\""));
    let wrong_key = check(&mut admin, "people", "nothing").await;
    assert!(
        beside(&wrong_key).contains("source_unknown_column")
            && wrong_key.contains("id=\"primary_key-fault\"")
    );
    let wrong_columns = [
        ("source", "warehouse"),
        ("table", "people"),
        ("columns", "id, nothing"),
        ("primary_key", "id"),
        ("act", "key"),
    ];
    let wrong_columns = admin.post(new, &wrong_columns).await;
    let text = wrong_columns.text();
    assert!(text.contains("id=\"columns-fault\"") && !text.contains("id=\"primary_key-fault\""), "{text}");
    assert!(beside(&check(&mut admin, "nowhere", "id").await).contains("source_unknown_table"));
    for act in ["key", "rows"] {
        let fields = [("source", "warehouse"), ("table", "nowhere"), ("primary_key", "id"), ("act", act)];
        assert_eq!(admin.post(new, &fields).await.status, 400, "{act}: the source refuses");
    }
    // It keeps nothing from being saved.
    let fields = [("name", "teams"), ("source", "warehouse"), ("table", "people"), ("primary_key", "team")];
    led_to(&admin.post(new, &fields).await);
}

/// Sets a field of the row `at` as somebody who types does.
async fn write(browser: &Browser, at: usize, name: &str, value: &str) {
    let set = "const [at, name, value] = argument;
        const field = document.querySelectorAll('#fields [data-rows] > li')[at].querySelector(`[name=${name}]`);
        field.value = value;
        field.dispatchEvent(new Event('input', { bubbles: true }))";
    browser.run(set, json!([at, name, value])).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_builds_a_mapping_while_the_record_follows_it() {
    let fixture = people().await;
    let origin = format!("http://{}", fixture.node.server().admin_address());
    let browser = Browser::start().await;
    browser.open(&format!("{origin}{}", link(&fixture, AdminRole::Admin).await)).await;
    click(&browser, "form button").await;
    arrived(&browser, "/console").await;
    browser.open(&format!("{origin}/console/new/models?source=warehouse")).await;
    click(&browser, "button[value=tables]").await;
    text(&browser, "button[name=pick][value=people]").await;
    click(&browser, "button[name=pick][value=people]").await;
    shows(&browser, "Ann").await;
    fill_in(&browser, &[("primary_key", "id")]).await;
    click(&browser, "button[value=key]").await;
    shows(&browser, "no value occurs more than once").await;
    let mut faults = super::accessibility::faults_of(&browser, "/console/new/models checked").await;
    browser.open(&format!("{origin}/console/new/syncs?model=people")).await;
    shows(&browser, "first: \"Ann\"").await;
    fill_in(&browser, &[("name", "person"), ("schedule", "every 5m")]).await;

    let beside = async |wanted: &str| {
        until(wanted, async || {
            let text = "return document.querySelector('[data-beside]')?.textContent";
            browser.peek(text, Value::Null).await?.as_str()?.contains(wanted).then_some(())
        })
        .await;
    };
    let rows = [
        ["gone", "column", "id"],
        ["name", "column", "first"],
        ["user.greeting", "liquid", "Hi {{ first | upcase }}"],
        ["brand", "text", "Acme"],
    ];
    for (at, [name, kind, value]) in rows.into_iter().enumerate() {
        click(&browser, "button[value=add]").await;
        write(&browser, at, "field_name", name).await;
        write(&browser, at, "field_kind", kind).await;
        write(&browser, at, "field_value", value).await;
    }
    beside("greeting: \"Hi ANN\"").await;
    beside("every 5 minutes").await;
    let tags = "return [...document.querySelectorAll('#fields ol [name=field_value]')].map(field => field.localName)";
    let tags = browser.run(tags, Value::Null).await.unwrap();
    assert_eq!(tags, json!(["input", "input", "textarea", "textarea"]));
    // A wrong value has its message beside it, and what is shown follows when it is right.
    write(&browser, 1, "field_value", "frist").await;
    assert!(
        text(&browser, "#fields [data-rows] > li:nth-child(2) .fault")
            .await
            .contains("did you mean `first`?")
    );
    write(&browser, 1, "field_value", "first").await;
    beside("name: \"Ann\"").await;
    click(&browser, "[data-step=next]").await;
    beside("Row 2 of the first 3").await;
    click(&browser, "#fields [data-rows] > li:first-child button[value^=remove]").await;
    click(&browser, "#fields [data-rows] > li:nth-child(3) button[value^=up]").await;
    until("the order", async || {
        let record = "return document.querySelector('[data-beside] .tree pre')?.textContent";
        let record = browser.peek(record, Value::Null).await?;
        let record = record.as_str()?;
        (!record.contains("gone") && record.find("brand")? < record.find("user")?).then_some(())
    })
    .await;
    faults.extend(super::accessibility::faults_of(&browser, "/console/new/syncs mapped").await);
    assert!(faults.is_empty(), "{faults:#?}");

    click(&browser, "main form div.row > button[value=save]").await;
    arrived(&browser, "/console/configuration/syncs/person?done=saved").await;
    fixture.node.await_version("person", 1).await;
    let served = fixture.node.record("person", "id", "1").await.unwrap();
    assert_eq!(served, json!({ "name": "Ann", "brand": "Acme", "user": { "greeting": "Hi ANN" } }));
}
