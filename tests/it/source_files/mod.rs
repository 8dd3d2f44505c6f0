//! Files on their way to a reader: configured, synced, changed, served; and files in buckets.

mod fidelity;
mod sftp;

use std::{fs, path::Path, sync::Arc};

use arrow_array::{
    ArrayRef, Decimal128Array, Int64Array, ListArray, RecordBatch, StringArray, TimestampMicrosecondArray,
    types::Int64Type,
};
use larder::{
    config::{self, Environment, Overrides},
    domain::{row::RowBatch, run::RunStatus},
    source::{Query, Source},
};
use object_store::{
    ClientConfigKey, ObjectStore, ObjectStoreExt as _,
    aws::AmazonS3Builder,
    azure::MicrosoftAzureBuilder,
    gcp::{GoogleCloudStorageBuilder, GoogleConfigKey},
};
use parquet::{
    arrow::ArrowWriter,
    basic::{Compression, ZstdLevel},
    file::properties::WriterProperties,
};
use serde_json::json;
use tempfile::TempDir;
use tokio::sync::mpsc;

use crate::support::{
    azure::{self, Azure},
    node::{Node, Warehouse},
    s3::{self, S3},
    source::{open, read_query},
};

const SECTIONS: &str = r#"
    [sources.files]
    type = "files"
    path = "exports"
    [models.customers]
    source = "files"
    table = "customers.csv"
    columns = ["user_id", "name", "city"]
    primary_key = "user_id"
    [syncs.customer]
    model = "customers"
    indexes = { id = "user_id", city = "city" }
"#;

#[tokio::test]
async fn csv_file_is_synced_and_its_change_is_served() {
    let directory = TempDir::new().unwrap();
    let exports = directory.path().join("exports");
    fs::create_dir(&exports).unwrap();
    let file = exports.join("customers.csv");
    fs::write(&file, "user_id,email,name,city\n007,a@x,\"Doe, Jane\",Oslo\n8,,Bøb,\n").unwrap();
    let warehouse = Warehouse::sqlite(directory.path());
    let node = Node::start(directory, warehouse, SECTIONS).await;

    let first = node.sync("customer").await;
    assert_eq!(first.record.status, RunStatus::Announced);
    let jane = json!({"user_id": "007", "name": "Doe, Jane", "city": "Oslo"});
    assert_eq!(node.record("customer", "id", "007").await, Some(jane.clone()));
    assert_eq!(node.record("customer", "city", "Oslo").await, Some(jane));
    let bob = json!({"user_id": "8", "name": "Bøb", "city": ""});
    assert_eq!(node.record("customer", "id", "8").await, Some(bob));

    let changed = exports.join("customers.unfinished");
    fs::write(&changed, "user_id,email,name,city\n007,a@x,Jane Roe,Bergen\n8,,Bøb,\n").unwrap();
    fs::rename(&changed, &file).unwrap();
    node.sync("customer").await;
    let jane = json!({"user_id": "007", "name": "Jane Roe", "city": "Bergen"});
    assert_eq!(node.record("customer", "city", "Bergen").await, Some(jane));
    assert_eq!(node.record("customer", "city", "Oslo").await, None);

    assert_eq!(node.sync("customer").await.record.status, RunStatus::Unchanged);
}

#[test]
fn model_with_sql_is_refused_when_the_configuration_is_read() {
    let load = |query: &str| {
        let text = SECTIONS.replace("table = \"customers.csv\"", query).replace("columns =", "# columns =");
        config::load_text(&text, "larder.toml".as_ref(), &Environment::default(), &Overrides::default())
    };
    load("table = \"customers.csv\"").unwrap();
    for (query, key) in [
        ("sql = \"select * from customers\"", "models.customers.sql"),
        ("table = \"../customers.csv\"", "models.customers.table"),
        ("table = \"/customers.csv\"", "models.customers.table"),
        ("table = \"customers\"", "models.customers.table"),
    ] {
        let faults = load(query).unwrap_err();
        let [fault] = faults.as_slice() else { panic!("{query}: {faults}") };
        assert_eq!(fault.key, key, "{query}");
        assert!(fault.place.to_string().starts_with("larder.toml:7:"), "{query}: {}", fault.place);
    }
}

/// Customers `ids`, of whom each has a balance, orders and a time.
fn customers(ids: &[i64]) -> RecordBatch {
    let names = ids.iter().map(|id| (id % 5 != 0).then(|| format!("Ærø {id}")));
    let balances = ids.iter().map(|id| i128::from(*id) * 125).collect::<Decimal128Array>();
    let orders = ids.iter().map(|id| Some(vec![Some(*id), None]));
    let columns: [(&str, ArrayRef); 5] = [
        ("id", Arc::new(Int64Array::from(ids.to_vec()))),
        ("name", Arc::new(names.collect::<StringArray>())),
        ("balance", Arc::new(balances.with_precision_and_scale(20, 2).unwrap())),
        ("orders", Arc::new(ListArray::from_iter_primitive::<Int64Type, _, _>(orders))),
        (
            "seen",
            Arc::new(
                ids.iter().map(|id| Some(*id)).collect::<TimestampMicrosecondArray>().with_timezone("UTC"),
            ),
        ),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

/// A Parquet file with row groups of 1,000 rows.
fn parquet(batch: &RecordBatch) -> Vec<u8> {
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_max_row_group_row_count(Some(1000))
        .build();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties)).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
    bytes
}

/// Writes a file beside its place and renames it.
fn replace(path: &Path, bytes: &[u8]) {
    let unfinished = path.with_extension("unfinished");
    fs::write(&unfinished, bytes).unwrap();
    fs::rename(unfinished, path).unwrap();
}

#[tokio::test]
async fn parquet_files_are_synced_and_changes_deletes_and_a_guard_are_seen() {
    let directory = TempDir::new().unwrap();
    let lake = directory.path().join("lake");
    fs::create_dir(&lake).unwrap();
    replace(&lake.join("a.parquet"), &parquet(&customers(&(1..=3000).collect::<Vec<_>>())));
    replace(&lake.join("b.parquet"), &parquet(&customers(&[4001, 4002])));
    let warehouse = Warehouse::sqlite(directory.path());
    let sections = r#"
        [sources.lake]
        type = "files"
        path = "lake"
        [models.customers]
        source = "lake"
        table = "*.parquet"
        primary_key = "id"
        [syncs.customer]
        model = "customers"
        indexes = { id = "id", name = "name" }
    "#;
    let node = Node::start(directory, warehouse, sections).await;
    let first = node.sync("customer").await;
    assert_eq!(
        (first.record.status, first.record.counts.records),
        (RunStatus::Announced, 3002),
        "{:?}",
        first.record
    );
    let expected = r#"{"id":4001,"name":"Ærø 4001","balance":5001.25,"orders":[4001,null],"seen":"1970-01-01T00:00:00.004001Z"}"#;
    assert_eq!(node.get("customer", "name", "%C3%86r%C3%B8%204001").await.text(), expected);
    assert_eq!(node.sync("customer").await.record.status, RunStatus::Unchanged);

    replace(&lake.join("b.parquet"), &parquet(&customers(&[4001, 4003])));
    assert_eq!(node.sync("customer").await.record.status, RunStatus::Announced);
    assert_eq!(node.record("customer", "id", "4002").await, None);
    assert!(node.record("customer", "id", "4003").await.is_some());

    fs::remove_file(lake.join("a.parquet")).unwrap();
    assert_eq!(node.sync("customer").await.record.status, RunStatus::Held);
    fs::write(lake.join("b.parquet"), &parquet(&customers(&[1]))[..300]).unwrap();
    let failed = node.sync("customer").await.record;
    assert_eq!(failed.status, RunStatus::Failed);
    assert!(node.record("customer", "id", "4003").await.is_some());
}

fn table(name: &str) -> Query {
    Query::Table { name: name.to_owned(), columns: None }
}

/// Puts files into a bucket and reads them: one, a pattern, and one that changes meanwhile.
async fn read_bucket(bucket: &dyn ObjectStore, source: &Source) {
    let put =
        async |name: &str, bytes: Vec<u8>| bucket.put(&name.into(), bytes.into()).await.map(drop).unwrap();
    source.check().await.unwrap();
    let many = customers(&(0..20_000).collect::<Vec<_>>());
    put("exports/2026/a.parquet", parquet(&many)).await;
    put("exports/2026/b.parquet", parquet(&customers(&[20_000]))).await;
    put("exports/2026/_SUCCESS", Vec::new()).await;
    put("exports/text.csv.gz", gzip(b"id;name\n1;Ann\n")).await;
    let rows = read_query(source, &table("2026/*.parquet"), None).await.unwrap().rows();
    assert_eq!(rows.len(), 20_001);
    for (at, row) in rows.iter().enumerate() {
        assert_eq!(row[0].1, at.to_string());
        assert_eq!(row[3].1, format!("[{at},null]"));
    }
    let strange = "exports/é #~[x] %41/a.csv.gz";
    bucket
        .put(&object_store::path::Path::parse(strange).unwrap(), gzip(b"id;name\n7;Zoe\n").into())
        .await
        .unwrap();
    for pattern in ["é #~[x] %41/*.csv.gz", "é*/a.csv.gz"] {
        let rows = read_query(source, &table(pattern), None).await.unwrap().rows();
        assert_eq!(rows[0][0].1, "7", "{pattern}");
    }
    assert_eq!(read_query(source, &table("text.csv.gz"), None).await.unwrap().rows()[0][1].1, "Ann");
    let error = read_query(source, &table("missing.csv"), None).await.unwrap_err();
    assert_eq!(error.code(), "source_file_missing", "{error}");

    let columns = source.describe(&table("2026/*.parquet")).await.unwrap();
    let (sender, mut batches) = mpsc::channel::<RowBatch>(1);
    let change = async {
        batches.recv().await.unwrap();
        put("exports/2026/b.parquet", parquet(&customers(&[20_000, 20_001]))).await;
        while batches.recv().await.is_some() {}
    };
    let query = table("2026/*.parquet");
    let (read, ()) = tokio::join!(source.stream(&query, sender, &columns, None), change);
    assert_eq!(read.unwrap_err().code(), "source_file_changed");
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    std::io::Write::write_all(&mut encoder, text).unwrap();
    encoder.finish().unwrap()
}

/// The keys of a source in a bucket, with semicolons in its CSV files.
fn section(url: &str, service: &str) -> String {
    let service = service.replace("[storage.", "[sources.warehouse.");
    format!("type = \"files\"\nurl = \"{url}\"\ncsv = {{ delimiter = \";\" }}\n{service}")
}

#[tokio::test]
async fn files_are_read_from_s3() {
    let (address, bucket) = (S3::server().await.address(), S3::bucket().await);
    let client = AmazonS3Builder::new()
        .with_endpoint(format!("http://{address}"))
        .with_allow_http(true)
        .with_region("us-east-1")
        .with_access_key_id("test")
        .with_secret_access_key("test")
        .with_bucket_name(&bucket)
        .build()
        .unwrap();
    let source = open(&section(&format!("s3://{bucket}/exports"), &s3::section(address)));
    read_bucket(&client, &source).await;
    let missing = open(&section("s3://no-such-bucket/exports", &s3::section(address)));
    assert_eq!(missing.check().await.unwrap_err().code(), "source_bucket_unusable");
    let error = read_query(&missing, &table("a.csv"), None).await.unwrap_err();
    assert!(["source_bucket_unusable", "source_file_missing"].contains(&error.code()), "{error}");
}

#[tokio::test]
async fn files_are_read_from_google_cloud_storage() {
    let (address, bucket) = (S3::server().await.address(), S3::bucket().await);
    let directory = TempDir::new().unwrap();
    let service = s3::gcs_section(address, directory.path());
    let client = GoogleCloudStorageBuilder::new()
        .with_config(GoogleConfigKey::BaseUrl, format!("http://{address}"))
        .with_config(GoogleConfigKey::Client(ClientConfigKey::AllowHttp), "true")
        .with_service_account_path(directory.path().join("service-account.json").to_str().unwrap())
        .with_bucket_name(&bucket)
        .build()
        .unwrap();
    let source = open(&section(&format!("gs://{bucket}/exports"), &service));
    read_bucket(&client, &source).await;
}

#[tokio::test]
async fn files_are_read_from_azure() {
    let (address, container) = (Azure::server().await.address(), Azure::container().await);
    let client = MicrosoftAzureBuilder::new()
        .with_endpoint(format!("http://{address}/{}", azure::ACCOUNT))
        .with_allow_http(true)
        .with_account(azure::ACCOUNT)
        .with_access_key(azure::KEY)
        .with_container_name(&container)
        .build()
        .unwrap();
    let source = open(&section(&format!("az://{container}/exports"), &azure::section(address)));
    read_bucket(&client, &source).await;
}
