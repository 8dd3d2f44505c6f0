//! Wrong syncs: options, schedules, indexes, fields.

use super::{assert_faults, indexed, load, sync};

#[test]
fn options() {
    assert_faults(&indexed("on_delete = \"remove\"\n"), &["larder.toml:12:13 syncs.customer.on_delete"]);
    assert_faults(
        &indexed("on_delete = \"delte\"\nmax_removed = 30\nmax_rejected = \"30\"\n"),
        &[
            "larder.toml:12:13 syncs.customer.on_delete",
            "larder.toml:13:15 syncs.customer.max_removed",
            "larder.toml:14:16 syncs.customer.max_rejected",
        ],
    );
    assert_faults(
        &indexed("max_removed = 1.5\nmax_rejected = \"101%\"\ncompression = \"zstd\"\n"),
        &[
            "larder.toml:12:15 syncs.customer.max_removed",
            "larder.toml:13:16 syncs.customer.max_rejected",
            "larder.toml:14:15 syncs.customer.compression",
        ],
    );
    assert_faults(
        &indexed("regions = []\ncache_control = \"a\\nb\"\non_dlete = \"keep\"\n"),
        &[
            "larder.toml:12:11 syncs.customer.regions",
            "larder.toml:13:17 syncs.customer.cache_control",
            "larder.toml:14:1 syncs.customer.on_dlete",
        ],
    );
    assert_faults(
        &indexed("regions = [\"a b\", 1, \"c\"]\n"),
        &["larder.toml:12:12 syncs.customer.regions", "larder.toml:12:19 syncs.customer.regions"],
    );
    assert_faults(&indexed("on_miss = \"nothing\"\n"), &["larder.toml:12:11 syncs.customer.on_miss"]);
    assert_faults(
        &indexed("on_miss = { record = \"{}\" }\n"),
        &["larder.toml:12:22 syncs.customer.on_miss.record"],
    );
    assert_faults(
        &indexed("on_miss = { recrod = { a = inf } }\n"),
        &[
            "larder.toml:12:11 syncs.customer.on_miss.record",
            "larder.toml:12:13 syncs.customer.on_miss.recrod",
        ],
    );
    assert_faults(
        &indexed("on_miss = { record = { a = inf, b = \"${MISSING}\" } }\n"),
        &[
            "larder.toml:12:28 syncs.customer.on_miss.record.a",
            "larder.toml:12:37 syncs.customer.on_miss.record.b",
        ],
    );
}

/// As in records: clients' parsers refuse such a name.
#[test]
fn names_of_members_have_no_nul_character() {
    for (text, place) in [
        (r#"on_miss = { record = { "a\u0000" = 1 } }"#, "12:36"),
        (r#"fields.a = { value = [{ "b\u0000" = 1 }] }"#, "12:37"),
        (r#"fields."a\u0000b" = "id""#, "12:21"),
        (r#"fields.a."b\u0000" = "id""#, "12:22"),
    ] {
        let faults = load(&indexed(&format!("{text}\n"))).unwrap_err();
        let [fault] = faults.as_slice() else { panic!("{text}: {faults}") };
        assert!(fault.message.contains("NUL character"), "{text}: {fault:?}");
        assert_eq!(fault.place.to_string(), format!("larder.toml:{place}"), "{text}");
    }
}

#[test]
fn increments() {
    for (incremental, faults) in [
        ("3", &["12:15 syncs.customer.incremental"][..]),
        ("{ }", &["12:15 syncs.customer.incremental.column"]),
        (
            "{ column = \"\", overlap = \"32d\", full = \"daily\", deletd = \"x\" }",
            &[
                "12:26 syncs.customer.incremental.column",
                "12:40 syncs.customer.incremental.overlap",
                "12:54 syncs.customer.incremental.full",
                "12:63 syncs.customer.incremental.deletd",
            ],
        ),
        (
            "{ column = \"at\", overlap = -1, full = \"every 1s\", deleted = { column = \"op\", values = [] } }",
            &[
                "12:42 syncs.customer.incremental.overlap",
                "12:53 syncs.customer.incremental.full",
                "12:101 syncs.customer.incremental.deleted.values",
            ],
        ),
        (
            "{ column = \"at\", changes_sql = \"select 1\" }",
            &["12:46 syncs.customer.incremental.changes_sql"],
        ),
        (
            "{ column = \"at\", changes_sql = \"select {{ cursor }} {{ x }}\" }",
            &["12:46 syncs.customer.incremental.changes_sql"],
        ),
    ] {
        let faults: Vec<_> = faults.iter().map(|fault| format!("larder.toml:{fault}")).collect();
        let faults: Vec<_> = faults.iter().map(String::as_str).collect();
        assert_faults(&indexed(&format!("incremental = {incremental}\n")), &faults);
    }
    // Files have no SQL.
    let text = indexed("incremental = { column = \"at\" }\n");
    let files = text
        .replace("type = \"sqlite\"", "type = \"files\"")
        .replace("sql = \"select * from customers\"", "table = \"c.csv\"");
    assert!(load(&files).unwrap_err().to_string().contains("no SQL"), "{files}");
}

#[test]
fn defaults_are_blamed_once() {
    let text = indexed(
        "[defaults.sync]\non_delete = \"gone\"\nmodel = \"customers\"\n[syncs.other]\nmodel = \"customers\"\nindexes.id = \"user_id\"\n",
    );
    assert_faults(
        &text,
        &["larder.toml:13:13 defaults.sync.on_delete", "larder.toml:14:1 defaults.sync.model"],
    );
}

#[test]
fn large_records() {
    let text = indexed(&format!("on_miss = {{ record = {{ a = \"{}\" }} }}\n", "x".repeat(1_000_000)));
    assert_faults(&text, &["larder.toml:12:22 syncs.customer.on_miss.record"]);
    let nested = format!("{}1{}", "[".repeat(70), "]".repeat(70));
    assert_faults(
        &indexed(&format!("fields.a = {{ value = {nested} }}\n")),
        &["larder.toml:12:85 syncs.customer.fields.a.value"],
    );
}

#[test]
fn schedules() {
    assert_faults(&indexed("schedule = \"5m\"\n"), &["larder.toml:12:12 syncs.customer.schedule"]);
    assert_faults(&indexed("schedule = \"every 100ms\"\n"), &["larder.toml:12:12 syncs.customer.schedule"]);
    assert_faults(
        &indexed("schedule = \"manual\"\ncron = \"* * * * *\"\n"),
        &["larder.toml:13:8 syncs.customer.cron"],
    );
    assert_faults(&indexed("cron = \"61 * * * *\"\n"), &["larder.toml:12:8 syncs.customer.cron"]);
    assert_faults(&indexed("cron = \"1,,2 * * * *\"\n"), &["larder.toml:12:8 syncs.customer.cron"]);
    assert_faults(&indexed("cron = \"*/61 * * * *\"\n"), &["larder.toml:12:8 syncs.customer.cron"]);
    assert_faults(&indexed("cron = \"0 0-24/2 * * *\"\n"), &["larder.toml:12:8 syncs.customer.cron"]);
    assert_faults(&indexed("cron = \"0 0 30 2 *\"\n"), &["larder.toml:12:8 syncs.customer.cron"]);
    assert_faults(
        &indexed("cron = \"* * * * *\"\ntimezone = \"Europe/Belin\"\n"),
        &["larder.toml:13:12 syncs.customer.timezone"],
    );
    assert_faults(
        &indexed("schedule = { cron = \"* * *\", timezone = \"CEST\", every = \"5m\" }\n"),
        &[
            "larder.toml:12:21 syncs.customer.schedule.cron",
            "larder.toml:12:41 syncs.customer.schedule.timezone",
            "larder.toml:12:49 syncs.customer.schedule.every",
        ],
    );
}

#[test]
fn references() {
    assert_faults(
        "[syncs.customer]\nmodel = \"customers\"\nindexes.id = \"id\"\n",
        &["larder.toml:2:9 syncs.customer.model"],
    );
    assert_faults(
        &indexed("[syncs.-other]\nmodel = \"custmers\"\n"),
        &[
            "larder.toml:12:1 syncs.-other.indexes",
            "larder.toml:12:8 syncs.-other",
            "larder.toml:13:9 syncs.-other.model",
        ],
    );
    // A faulty model exists: the sync is not blamed for it.
    assert_faults(
        "[models.c]\nsource = \"w\"\n[syncs.c]\nmodel = \"c\"\nindexes.id = \"id\"\n",
        &[
            "larder.toml:1:1 models.c",
            "larder.toml:1:1 models.c.primary_key",
            "larder.toml:2:10 models.c.source",
        ],
    );
}

#[test]
fn indexes() {
    assert_faults(&sync(""), &["larder.toml:8:1 syncs.customer.indexes"]);
    assert_faults(&sync("indexes = {}\n"), &["larder.toml:10:11 syncs.customer.indexes"]);
    assert_faults(
        &sync("indexes = { email = \"email\", id = \"user_id\" }\n"),
        &["larder.toml:10:21 syncs.customer.indexes.email"],
    );
    assert_faults(
        &sync("indexes = { email = \"email\" }\n"),
        &["larder.toml:10:21 syncs.customer.indexes.email"],
    );
    assert_faults(
        &sync("indexes = { id = { column = \"user_id\", each = true } }\n"),
        &["larder.toml:10:18 syncs.customer.indexes.id"],
    );
    assert_faults(
        &sync("indexes = { id = 1, \"a/b\" = \"b\", c = { colum = \"c\", each = 1 } }\n"),
        &[
            "larder.toml:10:18 syncs.customer.indexes.id",
            r#"larder.toml:10:21 syncs.customer.indexes."a/b""#,
            "larder.toml:10:38 syncs.customer.indexes.c.column",
            "larder.toml:10:40 syncs.customer.indexes.c.colum",
            "larder.toml:10:60 syncs.customer.indexes.c.each",
        ],
    );
    assert_faults(
        &sync("indexes = { id = { column = \"user_id\", normalize = [\"trm\", \"upper\"] } }\n"),
        &[
            "larder.toml:10:53 syncs.customer.indexes.id.normalize",
            "larder.toml:10:60 syncs.customer.indexes.id.normalize",
        ],
    );
    let many: Vec<_> = (0..18).map(|number| format!("indexes.i{number} = \"user_id\"")).collect();
    assert_faults(&sync(&many.join("\n")), &["larder.toml:10:1 syncs.customer.indexes"]);
}

#[test]
fn fields() {
    assert_faults(&indexed("fields = {}\n"), &["larder.toml:12:10 syncs.customer.fields"]);
    assert_faults(
        &indexed("fields.a = 1\nfields.b = {}\nfields.c = []\nfields.d = \"\"\n"),
        &[
            "larder.toml:12:12 syncs.customer.fields.a",
            "larder.toml:13:12 syncs.customer.fields.b",
            "larder.toml:14:12 syncs.customer.fields.c",
            "larder.toml:15:12 syncs.customer.fields.d",
        ],
    );
    assert_faults(
        &indexed("fields.a = { column = \"a\", value = 1 }\nfields.b = { as = \"string\" }\n"),
        &["larder.toml:12:12 syncs.customer.fields.a", "larder.toml:13:12 syncs.customer.fields.b"],
    );
    assert_faults(
        &indexed(
            "fields.a = { column = \"a\", as = \"number\" }\nfields.b = { liquid = \"\", as = \"jsn\" }\n",
        ),
        &["larder.toml:12:33 syncs.customer.fields.a.as", "larder.toml:13:32 syncs.customer.fields.b.as"],
    );
    assert_faults(
        &indexed("fields.a = { value = 1, as = \"string\" }\nfields.b = { value = nan }\n"),
        &["larder.toml:12:25 syncs.customer.fields.a.as", "larder.toml:13:22 syncs.customer.fields.b.value"],
    );
    assert_faults(
        &indexed("fields.address.city = \"city\"\nfields.address.column = \"x\"\n"),
        &["larder.toml:12:16 syncs.customer.fields.address.city"],
    );
    assert_faults(
        &indexed("fields.a.b = \"x\"\nfields.\"a.b\" = \"y\"\nfields.\"a.b.c\" = \"z\"\n"),
        &[
            r#"larder.toml:13:16 syncs.customer.fields."a.b""#,
            r#"larder.toml:14:18 syncs.customer.fields."a.b.c""#,
        ],
    );
    assert_faults(
        &indexed("fields.\"a..b\" = \"x\"\nfields.\"\" = \"y\"\n"),
        &[
            r#"larder.toml:12:17 syncs.customer.fields."a..b""#,
            r#"larder.toml:13:13 syncs.customer.fields."""#,
        ],
    );
    let deep = vec!["a"; 65].join(".");
    assert_faults(
        &indexed(&format!("fields.\"{deep}\" = \"x\"\n")),
        &[
            r#"larder.toml:12:142 syncs.customer.fields."a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a""#,
        ],
    );
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
    assert_faults(
        text,
        &[
            "larder.toml:11:48 syncs.c.indexes.email.column",
            "larder.toml:12:19 syncs.c.fields.name",
            "larder.toml:12:48 syncs.c.fields.id.column",
        ],
    );
}

#[test]
fn all_faults_come_at_once_in_the_order_of_the_file() {
    let text =
        sync("on_delete = 1\n[node]\nregion = \"\"\n[sources.b]\ntype = \"x\"\n[syncs.two]\nmodel = 2\n");
    let faults = load(&text).unwrap_err();
    assert_eq!(faults.as_slice().len(), 6, "{faults}");
    assert!(faults.as_slice().is_sorted_by_key(|fault| fault.place.clone()));
}
