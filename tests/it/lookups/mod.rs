//! Forms of look-ups beyond one record by one value: batches, fields, includes, private identifiers, compound
//! indexes, shared values. A whole server answers, filled by real syncs.

mod batch;
mod includes;
mod indexes;
mod matrix;
mod shared;

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::{
    http::Answer,
    node::{Node, Warehouse},
};

const ROWS: &str = r#"
    create table products (sku text primary key, name text, price integer, cost integer);
    insert into products values ('A-1', 'Lamp', 10, 4), ('B,2', 'Desk', 200, 90), ('C~3', 'Chair', 50, 20),
        ('D-4', 'Shelf', 80, 30);
    create table people (
        id integer primary key, name text, email text, phone text, country text, zip text, favourite text, skus json,
        details json
    );
    insert into people values
        (1, 'Ann', ' Ann@Example.com ', '+47 1', 'NO', '0150', 'B,2', '["C~3","none","A-1",null,"C~3","D-4","B,2"]',
         '{"city":"Oslo","tags":[{"a":1,"b":2},3]}'),
        (2, 'Bob', 'bob@example.com', '+47 2', 'US', '94,1', 'none', '[]', '{}'),
        (3, 'Cec', null, null, null, '7', null, null, null);
"#;

const SYNCS: &str = r#"
    [models.products]
    source = "warehouse"
    sql = "select * from products"
    primary_key = "sku"
    [syncs.product]
    model = "products"
    [syncs.product.indexes]
    id = "sku"
    sku = "sku"
    [models.people]
    source = "warehouse"
    sql = "select * from people"
    primary_key = "id"
    [syncs.person]
    model = "people"
    [syncs.person.indexes]
    id = "id"
    email = { column = "email", normalize = ["trim", "lowercase"], hash = "sha256" }
    phone = { column = "phone", hash = { hmac = "a secret of 16 by" } }
    place = { columns = ["country", "zip"], normalize = ["trim", "lowercase"] }
    [syncs.person.includes]
    recommended = { from = "skus", collection = "product", index = "sku", limit = 5 }
    padded = { from = "skus", collection = "product", index = "sku", missing = "null" }
    best = { from = "favourite", collection = "product", index = "sku" }
    best_or_null = { from = "favourite", collection = "product", index = "sku", missing = "null" }
"#;

async fn node() -> Node {
    let directory = TempDir::new().unwrap();
    let warehouse = Warehouse::sqlite(directory.path());
    warehouse.execute(ROWS).await;
    let node = Node::start(directory, warehouse, SYNCS).await;
    node.sync("product").await;
    node.sync("person").await;
    node
}

/// Ann's record, as the model has it.
fn ann() -> Value {
    json!({
        "id": 1, "name": "Ann", "email": " Ann@Example.com ", "phone": "+47 1", "country": "NO", "zip": "0150",
        "favourite": "B,2", "skus": ["C~3", "none", "A-1", null, "C~3", "D-4", "B,2"],
        "details": {"city": "Oslo", "tags": [{"a": 1, "b": 2}, 3]},
    })
}

/// The product of this SKU.
fn product(sku: &str) -> Value {
    let (name, price, cost) = match sku {
        "A-1" => ("Lamp", 10, 4),
        "B,2" => ("Desk", 200, 90),
        "C~3" => ("Chair", 50, 20),
        "D-4" => ("Shelf", 80, 30),
        _ => return Value::Null,
    };
    json!({"sku": sku, "name": name, "price": price, "cost": cost})
}

/// `record` with one more member.
fn with(mut record: Value, name: &str, value: Value) -> Value {
    record.as_object_mut().unwrap().insert(name.to_owned(), value);
    record
}

#[track_caller]
fn refused(answer: &Answer, status: u16, code: &str) {
    assert_eq!((answer.status, answer.code().as_str()), (status, code), "{}", answer.text());
}
