//! Wrong syncs: options, schedules, indexes, fields.

use insta::assert_snapshot;

use super::{faults, indexed, sync};

#[test]
fn options() {
    assert_snapshot!(faults(&indexed("on_delete = \"remove\"\n")), @r#"larder.toml:12:13  syncs.customer.on_delete: "remove" is not one of "delete", "keep", "clear""#);
    assert_snapshot!(faults(&indexed("on_delete = \"delte\"\nmax_removed = 30\nmax_rejected = \"30\"\n")), @r#"
larder.toml:12:13  syncs.customer.on_delete: "delte" is not one of "delete", "keep", "clear"
  hint: did you mean "delete"?
larder.toml:13:15  syncs.customer.max_removed: is not a share of a whole
  hint: write a percentage, "30%", or a number from 0.0 to 1.0
larder.toml:14:16  syncs.customer.max_rejected: "30" is not a share
  hint: write a percentage, "30%", or a number from 0.0 to 1.0
"#);
    assert_snapshot!(faults(&indexed("max_removed = 1.5\nmax_rejected = \"101%\"\ncompression = \"zstd\"\n")), @r#"
larder.toml:12:15  syncs.customer.max_removed: is not a share of a whole
  hint: write a percentage, "30%", or a number from 0.0 to 1.0
larder.toml:13:16  syncs.customer.max_rejected: "101%" is not a share
  hint: write a percentage, "30%", or a number from 0.0 to 1.0
larder.toml:14:15  syncs.customer.compression: "zstd" is not one of "auto", "none"
"#);
    assert_snapshot!(faults(&indexed("regions = []\ncache_control = \"a\\nb\"\non_dlete = \"keep\"\n")), @r#"
larder.toml:12:11  syncs.customer.regions: names no region
  hint: leave it out for all regions
larder.toml:13:17  syncs.customer.cache_control: "a\nb" is not a header value
  hint: write "private, max-age=60"; at most 256 ASCII characters
larder.toml:14:1  syncs.customer.on_dlete: unknown key
  hint: did you mean "on_delete"?
"#);
    assert_snapshot!(faults(&indexed("regions = [\"a b\", 1, \"c\"]\n")), @r#"
larder.toml:12:12  syncs.customer.regions: "a b" cannot be used: a region name is 1 to 64 characters, letters, digits, `_` or `-`, and begins with a letter or digit
larder.toml:12:19  syncs.customer.regions: must be a string, not an integer
"#);
    assert_snapshot!(faults(&indexed("on_miss = \"nothing\"\n")), @r#"
larder.toml:12:11  syncs.customer.on_miss: "nothing" is not "not_found", "empty" or a record
  hint: a record is written on_miss = { record = { found = false } }
"#);
    assert_snapshot!(faults(&indexed("on_miss = { record = \"{}\" }\n")), @r#"
larder.toml:12:22  syncs.customer.on_miss.record: must be a table, not a string
  hint: write on_miss = { record = { found = false } }
"#);
    assert_snapshot!(faults(&indexed("on_miss = { recrod = { a = inf } }\n")), @r#"
larder.toml:12:11  syncs.customer.on_miss.record: is missing
  hint: write on_miss = { record = { found = false } }
larder.toml:12:13  syncs.customer.on_miss.recrod: unknown key
  hint: did you mean "record"?
"#);
    assert_snapshot!(faults(&indexed("on_miss = { record = { a = inf, b = \"${MISSING}\" } }\n")), @r#"
larder.toml:12:28  syncs.customer.on_miss.record.a: is a number that JSON cannot hold
larder.toml:12:37  syncs.customer.on_miss.record.b: the environment variable MISSING is not set
  hint: set MISSING in the environment of larder
"#);
}

#[test]
fn defaults_are_blamed_once() {
    let text = indexed(
        "[defaults.sync]\non_delete = \"gone\"\nmodel = \"customers\"\n[syncs.other]\nmodel = \"customers\"\nindexes.id = \"user_id\"\n",
    );
    assert_snapshot!(faults(&text), @r#"
larder.toml:13:13  defaults.sync.on_delete: "gone" is not one of "delete", "keep", "clear"
larder.toml:14:1  defaults.sync.model: unknown key
  hint: keys known here: "schedule", "cron", "timezone", "on_delete", "on_miss", "max_removed", "max_rejected", "allow_empty", "compression", "cache_control", "regions"
"#);
}

#[test]
fn large_records() {
    let text = indexed(&format!("on_miss = {{ record = {{ a = \"{}\" }} }}\n", "x".repeat(1_000_000)));
    assert_snapshot!(faults(&text), @r#"larder.toml:12:22  syncs.customer.on_miss.record: is larger than 1 MB of JSON"#);
    let nested = format!("{}1{}", "[".repeat(70), "]".repeat(70));
    assert_snapshot!(faults(&indexed(&format!("fields.a = {{ value = {nested} }}\n"))), @r#"larder.toml:12:85  syncs.customer.fields.a.value: is deeper than 64 levels"#);
}

#[test]
fn schedules() {
    assert_snapshot!(faults(&indexed("schedule = \"5m\"\n")), @r#"
larder.toml:12:12  syncs.customer.schedule: "5m" is not a schedule
  hint: write "every 5m", "manual", or cron = "*/5 * * * *"
"#);
    assert_snapshot!(faults(&indexed("schedule = \"every 100ms\"\n")), @r#"larder.toml:12:12  syncs.customer.schedule: must be every 1s to every 366d"#);
    assert_snapshot!(faults(&indexed("schedule = \"manual\"\ncron = \"* * * * *\"\n")), @r#"
larder.toml:13:8  syncs.customer.cron: comes beside `schedule`
  hint: keep one of `schedule` and `cron`
"#);
    assert_snapshot!(faults(&indexed("cron = \"61 * * * *\"\n")), @r#"
larder.toml:12:8  syncs.customer.cron: "61 * * * *" is not a cron expression
  hint: the minute is from 0 to 59, not 61
"#);
    assert_snapshot!(faults(&indexed("cron = \"0 0-24/2 * * *\"\n")), @r#"
larder.toml:12:8  syncs.customer.cron: "0 0-24/2 * * *" is not a cron expression
  hint: the hour is from 0 to 23, not 0-24/2
"#);
    assert_snapshot!(faults(&indexed("cron = \"0 0 30 2 *\"\n")), @r#"
larder.toml:12:8  syncs.customer.cron: "0 0 30 2 *" is not a cron expression
  hint: no day ever matches it
"#);
    assert_snapshot!(faults(&indexed("cron = \"* * * * *\"\ntimezone = \"Europe/Belin\"\n")), @r#"
larder.toml:13:12  syncs.customer.timezone: "Europe/Belin" is not a time zone
  hint: did you mean "Europe/Berlin"?
"#);
    assert_snapshot!(faults(&indexed("schedule = { cron = \"* * *\", timezone = \"CEST\", every = \"5m\" }\n")), @r#"
larder.toml:12:21  syncs.customer.schedule.cron: "* * *" is not a cron expression
  hint: write five fields, minute hour day month weekday ("*/5 * * * *"), or six with seconds first
larder.toml:12:41  syncs.customer.schedule.timezone: "CEST" is not a time zone
  hint: did you mean "CET"?
larder.toml:12:49  syncs.customer.schedule.every: unknown key
  hint: keys known here: "cron", "timezone"
"#);
}

#[test]
fn references() {
    assert_snapshot!(faults("[syncs.customer]\nmodel = \"customers\"\nindexes.id = \"id\"\n"), @r#"
larder.toml:2:9  syncs.customer.model: there is no model "customers"
  hint: add [models.NAME]
"#);
    assert_snapshot!(faults(&indexed("[syncs.-other]\nmodel = \"custmers\"\n")), @r#"
larder.toml:12:1  syncs.-other.indexes: is missing
  hint: add [syncs.NAME.indexes] with the primary key first, as in id = "user_id"
larder.toml:12:8  syncs.-other: a collection name is 1 to 64 characters, letters, digits, `_` or `-`, and begins with a letter or digit
larder.toml:13:9  syncs.-other.model: there is no model "custmers"
  hint: did you mean "customers"?
"#);
    // A faulty model exists: the sync is not blamed for it.
    assert_snapshot!(faults("[models.c]\nsource = \"w\"\n[syncs.c]\nmodel = \"c\"\nindexes.id = \"id\"\n"), @r#"
larder.toml:1:1  models.c: has no query
  hint: write one of sql = "select ...", sql_file = "model.sql", table = "schema.table"
larder.toml:1:1  models.c.primary_key: is missing
  hint: name the column whose value is unique in every row
larder.toml:2:10  models.c.source: there is no source "w"
  hint: add [sources.NAME]
"#);
}

#[test]
fn indexes() {
    assert_snapshot!(faults(&sync("")), @r#"
larder.toml:8:1  syncs.customer.indexes: is missing
  hint: add [syncs.NAME.indexes] with the primary key first, as in id = "user_id"
"#);
    assert_snapshot!(faults(&sync("indexes = {}\n")), @r#"
larder.toml:10:11  syncs.customer.indexes: has no index
  hint: add [syncs.NAME.indexes] with the primary key first, as in id = "user_id"
"#);
    assert_snapshot!(faults(&sync("indexes = { email = \"email\", id = \"user_id\" }\n")), @r#"
larder.toml:10:21  syncs.customer.indexes.email: the first index must be on the model's primary key, column "user_id"
  hint: move "id" to the first place
"#);
    assert_snapshot!(faults(&sync("indexes = { email = \"email\" }\n")), @r#"
larder.toml:10:21  syncs.customer.indexes.email: the first index must be on the model's primary key, column "user_id"
  hint: begin with an index on it, as in id = "user_id"
"#);
    assert_snapshot!(faults(&sync("indexes = { id = { column = \"user_id\", each = true } }\n")), @r#"larder.toml:10:18  syncs.customer.indexes.id: the primary index cannot have `each`: a record has one primary key"#);
    assert_snapshot!(faults(&sync("indexes = { id = 1, \"a/b\" = \"b\", c = { colum = \"c\", each = 1 } }\n")), @r#"
larder.toml:10:18  syncs.customer.indexes.id: must be a column's name or a table, not an integer
  hint: write id = "user_id" or email = { column = "email", normalize = ["trim"] }
larder.toml:10:21  syncs.customer.indexes."a/b": a index name is 1 to 64 characters, letters, digits, `_` or `-`, and begins with a letter or digit
larder.toml:10:38  syncs.customer.indexes.c.column: is missing
  hint: name the model's column
larder.toml:10:40  syncs.customer.indexes.c.colum: unknown key
  hint: did you mean "column"?
larder.toml:10:60  syncs.customer.indexes.c.each: must be true or false, not an integer
"#);
    assert_snapshot!(faults(&sync("indexes = { id = { column = \"user_id\", normalize = [\"trm\", \"upper\"] } }\n")), @r#"
larder.toml:10:53  syncs.customer.indexes.id.normalize: "trm" is not one of "trim", "lowercase", "integer"
  hint: did you mean "trim"?
larder.toml:10:60  syncs.customer.indexes.id.normalize: "upper" is not one of "trim", "lowercase", "integer"
"#);
    let many: Vec<_> = (0..18).map(|number| format!("indexes.i{number} = \"user_id\"")).collect();
    assert_snapshot!(faults(&sync(&many.join("\n"))), @r#"larder.toml:10:1  syncs.customer.indexes: has more than 17 indexes"#);
}

#[test]
fn fields() {
    assert_snapshot!(faults(&indexed("fields = {}\n")), @r#"
larder.toml:12:10  syncs.customer.fields: has no field
  hint: leave it out for every column of the model
"#);
    assert_snapshot!(faults(&indexed("fields.a = 1\nfields.b = {}\nfields.c = []\nfields.d = \"\"\n")), @r#"
larder.toml:12:12  syncs.customer.fields.a: is not a field
  hint: write "column", { column = "..." }, { liquid = "..." } or { value = ... }
larder.toml:13:12  syncs.customer.fields.b: is not a field
  hint: write "column", { column = "..." }, { liquid = "..." } or { value = ... }
larder.toml:14:12  syncs.customer.fields.c: is not a field
  hint: write "column", { column = "..." }, { liquid = "..." } or { value = ... }
larder.toml:15:12  syncs.customer.fields.d: is empty
"#);
    assert_snapshot!(faults(&indexed("fields.a = { column = \"a\", value = 1 }\nfields.b = { as = \"string\" }\n")), @r#"
larder.toml:12:12  syncs.customer.fields.a: needs exactly one of `column`, `liquid`, `value`
  hint: write "column", { column = "..." }, { liquid = "..." } or { value = ... }
larder.toml:13:12  syncs.customer.fields.b: needs exactly one of `column`, `liquid`, `value`
  hint: write "column", { column = "..." }, { liquid = "..." } or { value = ... }
"#);
    assert_snapshot!(faults(&indexed("fields.a = { column = \"a\", as = \"number\" }\nfields.b = { liquid = \"\", as = \"jsn\" }\n")), @r#"
larder.toml:12:33  syncs.customer.fields.a.as: "number" is not one of "string"
larder.toml:13:32  syncs.customer.fields.b.as: "jsn" is not one of "string", "number", "json"
  hint: did you mean "json"?
"#);
    assert_snapshot!(faults(&indexed("fields.a = { value = 1, as = \"string\" }\nfields.b = { value = nan }\n")), @r#"
larder.toml:12:25  syncs.customer.fields.a.as: goes with `column` or `liquid`
  hint: a constant has its own type
larder.toml:13:22  syncs.customer.fields.b.value: is a number that JSON cannot hold
"#);
    assert_snapshot!(faults(&indexed("fields.address.city = \"city\"\nfields.address.column = \"x\"\n")), @r#"
larder.toml:12:16  syncs.customer.fields.address.city: unknown key beside `column`, `liquid`, `value` or `as`
  hint: for an object with such fields write quoted keys: "address.city" = ...
"#);
    assert_snapshot!(faults(&indexed("fields.a.b = \"x\"\nfields.\"a.b\" = \"y\"\nfields.\"a.b.c\" = \"z\"\n")), @r#"
larder.toml:13:16  syncs.customer.fields."a.b": two fields have the target `a.b`
larder.toml:14:18  syncs.customer.fields."a.b.c": `b` is the value of another field and cannot be an object too
"#);
    assert_snapshot!(faults(&indexed("fields.\"a..b\" = \"x\"\nfields.\"\" = \"y\"\n")), @r#"
larder.toml:12:8  syncs.customer.fields."a..b": a field's name has an empty part
larder.toml:13:8  syncs.customer.fields."": a field's name has an empty part
"#);
    let deep = vec!["a"; 65].join(".");
    assert_snapshot!(faults(&indexed(&format!("fields.\"{deep}\" = \"x\"\n"))), @r#"larder.toml:12:8  syncs.customer.fields."a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a": is deeper than 64 levels"#);
}

#[test]
fn columns_of_a_table() {
    let text = "[sources.w]
type = \"sqlite\"
path = \"w.db\"
[models.c]
source = \"w\"
table = \"c\"
columns = [\"user_id\", \"email\"]
primary_key = \"user_id\"
[syncs.c]
model = \"c\"
indexes = { id = \"user_id\", email = { column = \"e_mail\" } }
fields = { name = \"full_name\", id = { column = \"user_i\" } }
";
    assert_snapshot!(faults(text), @r#"
larder.toml:11:48  syncs.c.indexes.email.column: there is no column "e_mail"
  hint: did you mean "email"?
larder.toml:12:19  syncs.c.fields.name: there is no column "full_name"
  hint: known columns: "user_id", "email"
larder.toml:12:48  syncs.c.fields.id.column: there is no column "user_i"
  hint: did you mean "user_id"?
"#);
}

#[test]
fn all_faults_come_at_once_in_the_order_of_the_file() {
    let text =
        sync("on_delete = 1\n[node]\nregion = \"\"\n[sources.b]\ntype = \"x\"\n[syncs.two]\nmodel = 2\n");
    let lines = faults(&text).lines().filter(|line| line.starts_with("larder.toml:")).count();
    assert_eq!(lines, 6, "{}", faults(&text));
}
