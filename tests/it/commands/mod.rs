//! Every command, by the real binary: exit codes, what stands on stdout and stderr, what is written.

mod check;
mod init;
mod node;
mod runs;
mod serving;
mod sources;

use serde_json::Value;

use crate::support::deployment::NodeDirectory;

const PEOPLE: &str = "
    create table people (id, email text, name text, tags json);
    insert into people values
        (1, 'ann@example.com', 'Ann', '[\"a\",\"b\"]'),
        (2, 'bob@example.com', 'Bob', null),
        (null, 'nobody@example.com', 'Nobody', null),
        (4, 'dan@example.com', 'Dan', '{\"broken');
";

const PERSON: &str = "
[models.people]
source = \"warehouse\"
sql = \"select * from people\"
primary_key = \"id\"
[syncs.person]
model = \"people\"
[syncs.person.indexes]
id = \"id\"
email = \"email\"
";

/// A hundred clean rows.
const HUNDRED: &str = "
    create table people (id integer primary key, email text, name text, tags json);
    with recursive n(i) as (select 1 union all select i + 1 from n where i < 100)
    insert into people select i, 'person' || i || '@example.com',
        'A rather long name that repeats itself in every record, number ' || i, '[\"some\",\"tags\"]' from n;
";

async fn people() -> NodeDirectory {
    NodeDirectory::new(PEOPLE, PERSON).await
}

fn names(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

const RUN_MEMBERS: [&str; 10] = [
    "id",
    "sync",
    "status",
    "trigger",
    "started_at",
    "finished_at",
    "data_as_of",
    "version",
    "counts",
    "error",
];
const COUNT_MEMBERS: [&str; 11] = [
    "rows",
    "added",
    "changed",
    "removed",
    "rejected",
    "carried",
    "left",
    "conflicts",
    "unread",
    "nulled",
    "records",
];
