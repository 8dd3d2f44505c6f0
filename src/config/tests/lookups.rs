//! Indexes with hashed, compound and shared values, and includes.

use super::{accepted, assert_faults, faults};

/// Syncs of a customer with these further lines, and of products.
fn syncs(lines: &str) -> String {
    format!(
        "[sources.w]\ntype = \"postgres\"\nurl = \"${{WAREHOUSE_URL}}\"\n\
         [models.c]\nsource = \"w\"\ntable = \"c\"\nprimary_key = \"id\"\n\
         [syncs.product]\nmodel = \"c\"\nindexes.sku = \"id\"\n\
         [syncs.customer]\nmodel = \"c\"\nfields = {{ id = \"id\", skus = \"skus\" }}\nindexes.id = \"id\"\n{lines}"
    )
}

#[test]
fn secrets_of_indexes_are_never_printed() {
    let config = accepted(&format!(
        "[server]\nindex_secrets = [\"first hunter2 secret\", \"other hunter2 secret\"]\n{}",
        syncs("indexes.email = { column = \"email\", hash = { hmac = \"third hunter2 secret\" } }\n")
    ));
    assert_eq!(config.hash_secrets().len(), 3);
    for text in [config.print(), format!("{config:?}")] {
        assert!(!text.contains("hunter2"), "{text}");
    }
    assert!(config.print().contains("hmac = \"***\""), "{}", config.print());
    let short = faults(&syncs("indexes.email = { column = \"email\", hash = { hmac = \"${SECRET}\" } }\n"));
    assert!(short.contains("must have 16 to 1024 bytes"), "{short}");
}

#[test]
fn faults_of_indexes_have_their_places() {
    assert_faults(
        &syncs("indexes.a = { column = \"a\", hash = \"md5\" }\n"),
        &["larder.toml:15:36 syncs.customer.indexes.a.hash"],
    );
    assert_faults(
        &syncs("indexes.a = { column = \"a\", columns = [\"a\", \"b\"], shared = \"first\" }\n"),
        &[
            "larder.toml:15:15 syncs.customer.indexes.a.column",
            "larder.toml:15:60 syncs.customer.indexes.a.shared",
        ],
    );
    assert_faults(
        &syncs("indexes.a = { columns = [\"a\", \"b\"], each = true }\n"),
        &["larder.toml:15:13 syncs.customer.indexes.a"],
    );
}

#[test]
fn includes_are_checked() {
    let include = |rest: &str| syncs(&format!("includes.best = {{ from = \"skus\", {rest} }}\n"));
    accepted(&include(
        "collection = \"product\", index = \"sku\", limit = 100, missing = \"null\", always = true",
    ));
    accepted(&include("collection = \"elsewhere\", index = \"any\""));
    let unknown = faults(&include("collection = \"product\", index = \"skuu\""));
    assert!(
        unknown.contains("the collection `product` has no index `skuu`") && unknown.contains("\"sku\""),
        "{unknown}"
    );
    assert_faults(
        &include("limit = 101, collection = \"product\", index = \"sku\""),
        &["larder.toml:15:42 syncs.customer.includes.best.limit"],
    );
    let field =
        faults(&syncs("includes.skus = { from = \"sku\", collection = \"product\", index = \"sku\" }\n"));
    assert!(field.contains("is the name of a field of the record"), "{field}");
    assert!(
        field.contains("the record has no field \"sku\"") && field.contains("did you mean \"skus\"?"),
        "{field}"
    );
    let many: Vec<_> = (0..9)
        .map(|at| {
            format!("includes.i{at} = {{ from = \"skus\", collection = \"product\", index = \"sku\" }}\n")
        })
        .collect();
    assert!(faults(&syncs(&many.concat())).contains("has more than 8 includes"));
}
