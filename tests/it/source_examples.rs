//! The examples of `docs/sources.md` are configuration that loads.

use std::{fs, path::Path};

use jsonwebtoken::Algorithm;
use larder::config::{self, Environment, Overrides};
use serde_json::json;

use crate::access::signer::Signer;

const VARIABLES: [(&str, &str); 13] = [
    ("AWS_ACCESS_KEY_ID", "id"),
    ("AWS_SECRET_ACCESS_KEY", "secret"),
    ("CLICKHOUSE_PASSWORD", "secret"),
    ("DATABRICKS_SECRET", "secret"),
    ("DREMIO_PASSWORD", "secret"),
    ("ERP_PASSWORD", "secret"),
    ("EXASOL_URL", "exasol://reader@exasol.example.com:8563"),
    ("EXCEL_CLIENT_SECRET", "secret"),
    ("MOTHERDUCK_TOKEN", "token"),
    ("SFTP_PASSWORD", "secret"),
    ("SHOP_URL", "mysql://reader:secret@shop.example.com/shop"),
    ("TRINO_PASSWORD", "secret"),
    ("WAREHOUSE_URL", "postgres://reader:secret@warehouse.example.com/shop"),
];

/// The indented blocks that begin with a source.
fn blocks(docs: &str) -> Vec<String> {
    let (mut blocks, mut is_inside) = (Vec::<String>::new(), false);
    for line in docs.lines() {
        if !line.starts_with("    ") && !line.is_empty() {
            is_inside = false;
        } else if line.starts_with("    [sources.") && !is_inside {
            is_inside = true;
            blocks.push(String::new());
        }
        if let Some(block) = blocks.last_mut().filter(|_| is_inside) {
            block.push_str(line.strip_prefix("    ").unwrap_or_default());
            block.push('\n');
        }
    }
    blocks
}

#[test]
fn every_example_of_a_source_loads() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/sources.md");
    let directory = tempfile::tempdir().unwrap();
    let place = |name: &str| directory.path().join(name);
    let signer = Signer::rsa(Algorithm::RS256);
    let account = json!({"type": "service_account", "client_email": "larder@shop.example.com",
        "private_key": signer.private_pem, "token_uri": "https://oauth2.example.com/token"});
    fs::create_dir(place("data")).unwrap();
    fs::write(place("data/warehouse.db"), "").unwrap();
    fs::write(place("shop.duckdb"), "checksumDUCK").unwrap();
    for name in ["sheets.json", "bigquery.json"] {
        fs::write(place(name), account.to_string()).unwrap();
    }
    fs::write(place("snowflake.p8"), &signer.private_pem).unwrap();
    let env: Environment = VARIABLES.into_iter().collect();
    let blocks = blocks(&fs::read_to_string(docs).unwrap());
    assert!(blocks.len() > 20, "{blocks:#?}");
    for block in blocks {
        let text = block.replace("/run/secrets", directory.path().to_str().unwrap());
        let loaded = config::load_text(&text, &place("larder.toml"), &env, &Overrides::default());
        loaded.unwrap_or_else(|faults| panic!("{block}{faults}"));
    }
}
