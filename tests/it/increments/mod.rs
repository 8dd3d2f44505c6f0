//! Syncs that read increments.

mod checker;
mod checks;
mod sources;
mod standby;
mod story;

use tempfile::TempDir;

use crate::support::node::{Node, Warehouse};

/// Sections of a sync that reads increments of the table `people`.
fn sections(incremental: &str, more: &str) -> String {
    format!(
        "[models.people]\nsource = \"warehouse\"\ntable = \"people\"\nprimary_key = \"id\"\n\
         [syncs.person]\nmodel = \"people\"\nschedule = \"manual\"\nincremental = {{ {incremental} }}\n{more}\n\
         [syncs.person.indexes]\nid = \"id\"\nmail = \"mail\"\n"
    )
}

/// A node whose warehouse has a table `people` of `rows` rows, with the numbers `seq` of their changes.
async fn node(rows: u64, sections: &str) -> Node {
    let directory = TempDir::new().unwrap();
    let warehouse = Warehouse::sqlite(directory.path());
    let table = format!(
        "create table people (id integer primary key, name text, mail text, seq integer, gone integer);
         with recursive n(i) as (select 1 union all select i + 1 from n where i < {rows})
         insert into people select i, 'name ' || i, 'mail' || i, i, 0 from n;"
    );
    warehouse.execute(&table).await;
    Node::start(directory, warehouse, sections).await
}
