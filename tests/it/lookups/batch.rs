//! Many records by values of one index.

use larder::domain::keyset::{KeyLimits, Scope};
use serde_json::{Value, json};

use super::{ann, node, refused};
use crate::{read_lookups::decoded, support::http::Client};

#[tokio::test(flavor = "multi_thread")]
async fn batch_maps_each_value_to_its_record_or_null() {
    let node = node().await;
    let body = r#"{"values":[1,"1","0001","none",3,null,true,"1",1.0,1e0]}"#;
    let answer = node.ask("person/records/id/batch", Some(body)).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("x-data-version"), Some("1"));
    assert_eq!(answer.header("etag"), None);
    assert!(answer.header("x-data-as-of").is_some());
    let records = answer.json();
    let mut keys: Vec<_> = records.as_object().unwrap().keys().cloned().collect();
    keys.sort_unstable();
    // A number has its normal form.
    let mut expected = ["1", "0001", "none", "3", "", "true"];
    expected.sort_unstable();
    assert_eq!(keys, expected);
    for value in ["1", "0001"] {
        assert_eq!(records[value], ann(), "{value}");
    }
    for value in ["none", "", "true"] {
        assert_eq!(records[value], Value::Null, "{value}");
    }
    assert_eq!(records["3"]["name"], "Cec");
    // The order is that of the request, and each value is answered once.
    assert!(answer.text().starts_with(r#"{"1":{"id":1,"#), "{}", answer.text());
    assert_eq!(answer.text().matches(r#""1":"#).count(), 1);

    let nothing = node.ask("person/records/id/batch", Some(r#"{"values":[]}"#)).await;
    assert_eq!((nothing.status, nothing.text()), (200, "{}"));
    // A record whose value is `batch` is still found.
    node.warehouse.execute("insert into products values ('batch', 'Batch', 1, 1)").await;
    node.sync("product").await;
    assert_eq!(node.record("product", "sku", "batch").await.unwrap()["name"], "Batch");
    let both = node.ask("product/records/sku/batch", Some(r#"{"values":["batch","A-1"]}"#)).await;
    assert_eq!((both.json()["batch"]["price"].clone(), both.header("x-data-version")), (json!(1), Some("2")));
}

#[tokio::test(flavor = "multi_thread")]
async fn batch_takes_the_parameters_of_a_look_up() {
    let node = node().await;
    let target = "person/records/id/batch?fields=name,best.price&include=best,recommended";
    let answer = node.ask(target, Some(r#"{"values":["1","2","9"]}"#)).await;
    let products: Vec<Value> = ["C~3", "A-1", "C~3"].iter().map(|sku| super::product(sku)).collect();
    let expected = json!({
        "1": {"name": "Ann", "best": {"price": 200}, "recommended": products},
        "2": {"name": "Bob", "recommended": []},
        "9": null,
    });
    assert_eq!(answer.json(), expected);
    let stale = node.ask("person/records/id/batch?max_age=0s", Some(r#"{"values":["1"]}"#)).await;
    refused(&stale, 404, "data_stale");
    let served =
        node.ask("person/records/id/batch?max_age=0s&on_stale=serve", Some(r#"{"values":["1"]}"#)).await;
    assert_eq!((served.status, served.header("x-data-stale")), (200, Some("true")));
}

#[tokio::test(flavor = "multi_thread")]
async fn batches_beyond_a_limit_are_refused() {
    let node = node().await;
    let ask = async |body: &str| node.ask("person/records/id/batch", Some(body)).await;
    let values = |count: usize| format!("{{\"values\":[{}]}}", vec!["1"; count].join(","));
    assert_eq!(ask(&values(1000)).await.status, 200);
    refused(&ask(&values(1001)).await, 400, "invalid_body");
    for body in
        ["", "{}", "[]", r#"{"values":"1"}"#, r#"{"values":[[]]}"#, r#"{"values":["1"],"values":["1"]}"#]
    {
        refused(&ask(body).await, 400, "invalid_body");
    }
    // One that says that it is too large is not read.
    let key = node.create_key(Scope::AllCollections, KeyLimits::default()).await;
    let mut client = Client::connect(node.server().public_address()).await;
    let headers = format!("Authorization: Bearer {key}\r\nContent-Length: {}\r\n", 1024 * 1024 + 1);
    client.request("POST", "/v1/collections/person/records/id/batch", &headers).await;
    let large = client.answer().await;
    refused(&large, 413, "body_too_large");
    assert!(large.text().contains("1048576 bytes"), "{}", large.text());
    refused(&node.ask("person/records/none/batch", Some(r#"{"values":[]}"#)).await, 404, "index_not_found");
    refused(&node.ask("person/records/id/1", Some(r#"{"values":[]}"#)).await, 405, "method_not_allowed");

    // Twenty records of 600 kB are more than an answer may have; thirteen are not.
    let rows = "create table large (id integer primary key, text text); \
        with recursive n(i) as (select 1 union all select i + 1 from n where i < 20) \
        insert into large select i, hex(zeroblob(300000)) from n";
    node.warehouse.execute(rows).await;
    let sections = format!(
        "{}\n[models.large]\nsource = \"warehouse\"\nsql = \"select * from large\"\nprimary_key = \"id\"\n\
         [syncs.large]\nmodel = \"large\"\n[syncs.large.indexes]\nid = \"id\"\n",
        super::SYNCS
    );
    node.configure(&sections);
    node.sync("large").await;
    let ids = |count: usize| json!({ "values": (1..=count).collect::<Vec<_>>() }).to_string();
    let most = node.ask("large/records/id/batch", Some(&ids(13))).await;
    assert_eq!((most.status, most.json().as_object().unwrap().len()), (200, 13));
    for coding in ["gzip", "zstd"] {
        let accepted = format!("Accept-Encoding: {coding}\r\n");
        let coded = node.ask_as(&key, "large/records/id/batch", Some(&ids(13)), &accepted).await;
        assert_eq!(coded.header("content-encoding"), Some(coding));
        assert!(coded.body.len() < most.body.len() / 10 && decoded(&coded) == most.body, "{coding}");
    }
    let refusal = node.ask("large/records/id/batch", Some(&ids(20))).await;
    refused(&refusal, 400, "answer_too_large");
    assert!(refusal.text().contains("8388608 bytes"), "{}", refusal.text());
    let few = node.ask("large/records/id/batch?fields=id", Some(&ids(20))).await;
    assert_eq!(few.json()["20"], json!({"id": 20}));
}
