//! Fields and includes of one record.

use larder::domain::keyset::{KeyLimits, Scope};
use serde_json::{Value, json};

use super::{SYNCS, ann, node, product, refused, with};
use crate::{access::limits, support::process::until};

#[tokio::test(flavor = "multi_thread")]
async fn fields_select_parts_of_a_record() {
    let node = node().await;
    let email = r#"{"value":"ANN@example.com"}"#;
    for (fields, expected) in [
        ("name", json!({"name": "Ann"})),
        ("name,details.city", json!({"name": "Ann", "details": {"city": "Oslo"}})),
        ("details.tags.a", json!({"details": {"tags": [{"a": 1}]}})),
        ("skus,id", json!({"id": 1, "skus": ann()["skus"]})),
        // A field that the record does not have is absent.
        ("unknown,name.x", json!({})),
    ] {
        let plain = node.ask(&format!("person/records/id/1?fields={fields}"), None).await;
        assert_eq!((plain.status, plain.json()), (200, expected.clone()), "{fields}");
        let posted = node.ask(&format!("person/records/email?fields={fields}"), Some(email)).await;
        assert_eq!((posted.status, posted.json()), (200, expected), "{fields}");
        assert_eq!(posted.header("etag"), plain.header("etag"));
    }
    let whole = node.ask("person/records/id/1", None).await;
    let part = node.ask("person/records/id/1?fields=name", None).await;
    assert_ne!(whole.header("etag"), part.header("etag"));
    for query in ["fields=", "fields=a..b", "fields=a&fields=b", "include=", "include=best,b%20d"] {
        let answer = node.ask(&format!("person/records/id/1?{query}"), None).await;
        refused(&answer, 400, "invalid_parameter");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn includes_join_records_in_order() {
    let node = node().await;
    let products = |skus: &[&str]| skus.iter().map(|sku| product(sku)).collect::<Value>();
    for (id, include, expected) in [
        // The fifth value is the last one that counts; values without a record are left out.
        ("1", "recommended", Some(products(&["C~3", "A-1", "C~3"]))),
        ("1", "padded", Some(products(&["C~3", "none", "A-1", "", "C~3", "D-4", "B,2"]))),
        ("1", "best", Some(product("B,2"))),
        ("2", "recommended", Some(json!([]))),
        ("2", "best", None),
        ("2", "best_or_null", Some(Value::Null)),
        ("3", "recommended", None),
        ("3", "padded", Some(Value::Null)),
        ("3", "best", None),
    ] {
        let plain = node.ask(&format!("person/records/id/{id}"), None).await.json();
        let answer = node.ask(&format!("person/records/id/{id}?include={include}"), None).await;
        let expected = match expected {
            Some(value) => with(plain, include, value),
            None => plain,
        };
        assert_eq!(answer.json(), expected, "{id} {include}");
    }
    let two = node.ask("person/records/id/1?include=best,recommended&fields=recommended.name,id", None).await;
    let names = json!([{"name": "Chair"}, {"name": "Lamp"}, {"name": "Chair"}]);
    assert_eq!(two.json(), json!({"id": 1, "best": product("B,2"), "recommended": names}));
    refused(&node.ask("person/records/id/1?include=other", None).await, 404, "include_not_found");
    refused(&node.ask("product/records/sku/A-1?include=best", None).await, 404, "include_not_found");
}

#[tokio::test(flavor = "multi_thread")]
async fn tag_and_time_follow_from_all_parts() {
    let node = node().await;
    let target = "person/records/id/1?include=best";
    let before = node.ask(target, None).await;
    let tag = before.header("etag").unwrap().to_owned();
    let product_as_of = node.ask("product/records/sku/A-1", None).await;
    assert_eq!(
        before.header("x-data-as-of"),
        product_as_of.header("x-data-as-of"),
        "products are the older part"
    );
    let known = format!("If-None-Match: {tag}\r\n");
    let key = node.create_key(Scope::AllCollections, KeyLimits::default()).await;
    assert_eq!(node.ask_as(&key, target, None, &known).await.status, 304);

    node.warehouse.execute("update products set price = 201 where sku = 'B,2'").await;
    node.sync("product").await;
    let after = node.ask_as(&key, target, None, &known).await;
    assert_eq!((after.status, after.json()["best"]["price"].clone()), (200, json!(201)));
    assert_ne!(after.header("etag"), Some(&*tag));
    let person_as_of = node.ask("person/records/id/1", None).await;
    assert_eq!(
        after.header("x-data-as-of"),
        person_as_of.header("x-data-as-of"),
        "people are the older part"
    );
    assert_eq!(after.header("x-data-version"), person_as_of.header("x-data-version"));
}

#[tokio::test(flavor = "multi_thread")]
async fn include_may_be_in_every_answer() {
    let node = node().await;
    let always =
        SYNCS.replace(r#"best = { from = "favourite","#, r#"best = { always = true, from = "favourite","#);
    node.configure(&always);
    node.sync("person").await;
    let joined = with(ann(), "best", product("B,2"));
    until("the include", async || {
        (node.ask("person/records/id/1", None).await.json() == joined).then_some(())
    })
    .await;
    assert_eq!(node.ask("person/records/id/1?fields=name", None).await.json(), json!({"name": "Ann"}));
    let named = node.ask("person/records/id/1?fields=best.name", None).await;
    assert_eq!(named.json(), json!({"best": {"name": "Desk"}}));
    let batch = node.ask("person/records/id/batch", Some(r#"{"values":[1]}"#)).await;
    assert_eq!(batch.json(), json!({"1": joined}));

    // A collection that is gone is named; the record alone can still be read.
    let gone = SYNCS.replace(
        r#"best = { from = "favourite", collection = "product""#,
        r#"best = { from = "favourite", collection = "gone""#,
    );
    node.configure(&gone);
    node.sync("person").await;
    let target = "person/records/id/1?include=best";
    let refusal = until("the refusal", async || {
        let answer = node.ask(target, None).await;
        (answer.status == 404).then_some(answer)
    })
    .await;
    refused(&refusal, 404, "include_unavailable");
    assert!(
        refusal.text().contains("the collection `gone`: there is no such collection"),
        "{}",
        refusal.text()
    );
    assert_eq!(node.ask("person/records/id/1", None).await.json(), ann());
}

#[tokio::test(flavor = "multi_thread")]
async fn limits_that_name_an_include_apply_to_it() {
    let node = node().await;
    let target = |id: &str| format!("person/records/id/{id}?include=best&fields=id,best");
    let (desk, id) = (product("B,2"), json!({"id": 1}));
    let without_cost = json!({"sku": "B,2", "name": "Desk", "price": 200});
    for (fields, expected) in [
        (r#"{"without":["best"]}"#, id.clone()),
        (r#"{"without":["best.cost"]}"#, with(id.clone(), "best", without_cost.clone())),
        (r#"{"without":["cost"]}"#, with(id.clone(), "best", without_cost)),
        (r#"{"without":["recommended","favourite.x"]}"#, id.clone()),
        (r#"{"without":["recommended.cost"]}"#, with(id.clone(), "best", desk)),
        (r#"{"only":["id","favourite","name"]}"#, with(id.clone(), "best", json!({"name": "Desk"}))),
        (
            r#"{"only":["id","favourite","name","price","best.price"]}"#,
            with(id, "best", json!({"price": 200})),
        ),
        (r#"{"only":["favourite","best"]}"#, json!({"best": {}})),
    ] {
        let limits = limits(&format!(r#"{{"fields":{fields}}}"#));
        let key = node.create_key(Scope::AllCollections, limits).await;
        let answer = node.ask_as(&key, &target("1"), None, "").await;
        assert_eq!((answer.status, answer.json()), (200, expected.clone()), "{fields}");
        let batch = node.ask_as(&key, &target("batch"), Some(r#"{"values":[1]}"#), "").await;
        assert_eq!(batch.json(), json!({"1": expected}), "{fields}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn each_collection_may_have_fields_of_its_own() {
    let node = node().await;
    let fields = r#"{"fields":{"only":["sku"]},"collection_fields":{"person":{"only":["id","favourite"]}}}"#;
    let other = r#"{"collection_fields":{"product":{"without":["cost","price"]},"other":{"only":[]}}}"#;
    let person = json!({"id": 1, "favourite": "B,2"});
    for (fields, person, product) in
        [(fields, person, json!({"sku": "B,2"})), (other, ann(), json!({"sku": "B,2", "name": "Desk"}))]
    {
        let key = node.create_key(Scope::AllCollections, limits(fields)).await;
        let joined = with(person.clone(), "best", product.clone());
        for (target, body, expected) in [
            ("person/records/id/1", None, person.clone()),
            ("product/records/sku/B%2C2", None, product.clone()),
            ("person/records/id/1?include=best", None, joined.clone()),
            ("person/records/id?include=best", Some(r#"{"value":1}"#), joined.clone()),
            ("person/records/id/batch?include=best", Some(r#"{"values":[1]}"#), json!({ "1": joined })),
            ("product/records/sku/batch", Some(r#"{"values":["B,2"]}"#), json!({ "B,2": product })),
        ] {
            let answer = node.ask_as(&key, target, body, "").await;
            assert_eq!((answer.status, answer.json()), (200, expected), "{fields} {target}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answer_with_includes_has_at_most_a_megabyte() {
    let node = node().await;
    node.warehouse.execute("update products set name = hex(zeroblob(200000))").await;
    node.sync("product").await;
    let one = node.ask("person/records/id/1?include=best", None).await;
    assert_eq!((one.status, one.body.len() > 400_000), (200, true));
    let refusal = node.ask("person/records/id/1?include=recommended", None).await;
    refused(&refusal, 400, "answer_too_large");
    assert!(refusal.text().contains("1000000 bytes"), "{}", refusal.text());
    assert_eq!(
        node.ask("person/records/id/1?include=recommended&fields=recommended.sku", None).await.status,
        200
    );
}
