//! Nothing that stands in a file makes the program panic, and no value of the environment shows.

use proptest::prelude::*;

use super::{SECRET, accepted, indexed, load};

/// Pieces of configurations, so that random text gets past the grammar.
fn piece() -> impl Strategy<Value = String> {
    let words = prop::sample::select(vec![
        "node",
        "server",
        "storage",
        "metadata",
        "engine",
        "log",
        "sources",
        "models",
        "syncs",
        "defaults",
        "sync",
        "source",
        "w",
        "c",
        "region",
        "roles",
        "listen",
        "url",
        "type",
        "path",
        "model",
        "schedule",
        "cron",
        "timezone",
        "indexes",
        "fields",
        "id",
        "column",
        "liquid",
        "value",
        "as",
        "on_miss",
        "record",
        "regions",
        "table",
        "columns",
        "sql",
        "sql_file",
        "dbt",
        "looker",
        "sigma",
        "manifest",
        "look",
        "after",
        "primary_key",
        "max_removed",
        "incremental",
        "\"\"",
        "\"a.b\"",
        "each",
        "normalize",
    ]);
    let value = prop_oneof![
        "-?[0-9]{1,20}",
        "[0-9]{1,3}\\.[0-9]{1,3}",
        "\"[ -!#-\\[\\]-~]{0,12}\"",
        prop::sample::select(vec![
            "true",
            "inf",
            "1979-05-27",
            "\"${SECRET}\"",
            "\"x${SECRET}${\"",
            "\"every 5m\"",
            "\"* * * * *\"",
            "\"0 0 L * 5#2\"",
            "\"postgres\"",
            "\"c\"",
            "\"w\"",
            "{}",
            "[]",
            "{ column = \"x\" }",
            "[\"a\", 1]",
            "{ value = [{ a = 1 }] }",
            "{ record = { a.b.c = [[1]] } }",
            "\"30%\"",
            "\"1h\"",
        ])
        .prop_map(str::to_owned),
    ];
    let key = prop::collection::vec(words, 1..4).prop_map(|parts| parts.join("."));
    (key, value, any::<u8>()).prop_map(|(key, value, kind)| match kind % 4 {
        0 => format!("[{key}]\n"),
        1 if kind > 240 => format!("[[{key}]]\n"),
        _ => format!("{key} = {value}\n"),
    })
}

fn check(text: &str) {
    let shown = match load(text) {
        Ok(config) => config.print(),
        Err(faults) => {
            assert!(!faults.as_slice().is_empty());
            faults.to_string()
        }
    };
    assert!(!shown.contains(SECRET), "{shown}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_text(text in "\\PC{0,200}") {
        check(&text);
    }

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        check(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn any_pieces(pieces in prop::collection::vec(piece(), 0..30)) {
        check(&pieces.concat());
    }

    #[test]
    fn any_pieces_of_a_sync(pieces in prop::collection::vec(piece(), 0..8)) {
        check(&indexed(&pieces.concat()));
    }

    #[test]
    fn any_cron(expression in "[0-9*/,LW#?A-Za-z@+ -]{0,24}") {
        check(&indexed(&format!("cron = \"{expression}\"\n")));
    }

    #[test]
    fn any_strings_print_and_read_back(value in any::<String>(), key in "\\PC{1,8}") {
        prop_assume!(!key.split('.').any(str::is_empty));
        let quoted = |text: &str| toml::Value::String(text.replace("${", "$${")).to_string();
        let key = key.replace(['\\', '"'], "x");
        let text = indexed(&format!("fields.\"{key}\" = {{ value = {} }}\n", quoted(&value)));
        let config = accepted(&text);
        let again = accepted(&config.print());
        prop_assert_eq!(&config.syncs[0].spec.mapping, &again.syncs[0].spec.mapping);
    }
}
