//! What the comparison with other engines does not show: digits, bounds, faults, and names.

use chrono::{TimeZone, Utc};
use proptest::prelude::*;

use super::*;
use crate::domain::row::{CellKind, ColumnKind};

const ROW: [(&str, CellKind, &str); 7] = [
    ("id", CellKind::Integer, "12345"),
    ("big", CellKind::Number, "123456789012345678901234567890"),
    ("ltv", CellKind::Number, "1234567890123456789.10"),
    ("name", CellKind::Text, "jane DOE"),
    ("tags", CellKind::Json, r#"["b","a","c"]"#),
    ("profile", CellKind::Json, r#"{"price":10.10,"a":{"city":"Oslo"},"n":0.1000000000000000000001}"#),
    ("bad", CellKind::Invalid, "invalid_json"),
];

fn bound(text: &str) -> Result<Template, Vec<SyntaxError>> {
    let column =
        |name: &str| Column { name: name.to_owned(), kind: ColumnKind::Any, type_name: String::new() };
    let mut template = Template::parse(text)?;
    template.bind(&ROW.map(|(name, ..)| column(name)));
    Ok(template)
}

fn render(text: &str) -> Result<String, Failure> {
    render_row(text, &ROW)
}

fn render_row(text: &str, row: &[(&str, CellKind, &str)]) -> Result<String, Failure> {
    let column =
        |name: &str| Column { name: name.to_owned(), kind: ColumnKind::Any, type_name: String::new() };
    let mut template = Template::parse(text).unwrap();
    template.bind(&row.iter().map(|(name, ..)| column(name)).collect::<Vec<_>>());
    let mut batch = RowBatch::new(row.len());
    for (_, kind, text) in row {
        batch.push(*kind, text.as_bytes());
    }
    let mut out = String::new();
    let now = Utc.with_ymd_and_hms(2026, 11, 5, 1, 2, 3).unwrap();
    template.render(&batch, 0, now, &mut out).map(|()| out)
}

#[test]
fn numbers_keep_their_digits() {
    for (text, expected) in [
        (
            "{{ big }}{% assign x = big %}|{{ x }}|{{ x | json }}",
            "123456789012345678901234567890|123456789012345678901234567890|123456789012345678901234567890",
        ),
        (
            "{{ ltv }}|{{ ltv | plus: 0.01 }}|{{ ltv | times: 2 }}",
            "1234567890123456789.10|1234567890123456789.11|2469135780246913578.2",
        ),
        ("{{ profile }}", r#"{"price"=>10.10, "a"=>{"city"=>"Oslo"}, "n"=>0.1000000000000000000001}"#),
        (
            "{% if profile.n > 0.1 %}1{% endif %}{% if big > 123456789012345678901234567889 %}2{% endif %}",
            "12",
        ),
        (
            "{{ big | divided_by: 10 }}|{{ 9223372036854775807 | plus: 1 }}|{{ big | modulo: 7 }}",
            "12345678901234567890123456789|9223372036854775808|0",
        ),
        (
            "{{ ltv | round: 1 }}|{{ ltv | ceil }}|{{ 12345 | round: -2 }}",
            "1234567890123456789.1|1234567890123456790|12300",
        ),
        (
            "{% if (1..5) contains 2.0 %}1{% endif %}{% if (1..5) contains 6 %}2{% endif %}{% if nil == blank %}3{% endif %}",
            "1",
        ),
        (
            "{% assign a = '1,2' | split: ',' | group_by: 'x' %}{{ a | find: 'name', nil | map: 'size' }}{{ a | has: 'items', nil }}",
            "2false",
        ),
        ("{% for i in (1..0) %}a{% else %}b{% else %}c{% endfor %}{% raw -%} d {% endraw %}e", "bc d e"),
        (
            "{% tablerow i in (1..2) reversed %}{{ i }}{% endtablerow %}",
            "<tr class=\"row1\">\n<td class=\"col1\">1</td><td class=\"col2\">2</td></tr>\n",
        ),
        ("{{ ['profile'].a.city }}{% assign k = 'name' %}{{ [k] }}", "Oslojane DOE"),
        (
            "{{ 'now' | date: '%F %T' }}|{{ 1709622489123 | date: '%L' }}|{{ '2024-02-30' | date: '%F' }}",
            "2026-11-05 01:02:03|123|2024-02-30",
        ),
        (
            "{{ '2024-03-05T23:30:00+02:00' | time_zone: 'America/New_York' | date: '%F %R %:z' }}",
            "2024-03-05 16:30 -05:00",
        ),
    ] {
        assert_eq!(render(text).unwrap(), expected, "{text}");
    }
}

#[test]
fn dates_are_read_in_the_forms_of_people_and_warehouses() {
    for (text, expected) in [
        ("2024-03-05T07:08:09Z", "2024-03-05 07:08:09.000 +0000"),
        ("20240305T070809-05:30", "2024-03-05 07:08:09.000 -0530"),
        ("2024-03-05 07:08:09.25+02", "2024-03-05 07:08:09.250 +0200"),
        ("2024-03-05 07:08:09,25", "2024-03-05 07:08:09.250 +0000"),
        ("2024-065", "2024-03-05 00:00:00.000 +0000"),
        ("Tue, 05 Mar 2024 07:08:09 EST", "2024-03-05 07:08:09.000 -0500"),
        ("Tue Mar  5 07:08:09 UTC 2024", "2024-03-05 07:08:09.000 +0000"),
        ("March 5th, 2024 at 3:04 p.m.", "2024-03-05 15:04:00.000 +0000"),
        ("3pm -0700 5-Mar-2024", "2024-03-05 15:00:00.000 -0700"),
        ("2024-03-05 07:08 Europe/Berlin", "2024-03-05 07:08:00.000 +0100"),
        ("5.3.2024", "2024-03-05 00:00:00.000 +0000"),
        ("13/5/2024", "2024-05-13 00:00:00.000 +0000"),
        ("0001-01-01", "0001-01-01 00:00:00.000 +0000"),
        ("3/5/99", "1999-03-05 00:00:00.000 +0000"),
        ("Mar 2024", "2024-03-01 00:00:00.000 +0000"),
        ("5 Mar", "2026-03-05 00:00:00.000 +0000"),
        ("07:08", "2026-11-05 07:08:00.000 +0000"),
        ("7:08+02 5 mar 2024", "2024-03-05 07:08:00.000 +0200"),
        ("2024-03-05 07:08:09 GMT+2", "2024-03-05 07:08:09.000 +0200"),
        ("2024-03-05 07:08:09 UTC-5", "2024-03-05 07:08:09.000 -0500"),
        ("2024-03-05 07:08:09 +5:30", "2024-03-05 07:08:09.000 +0530"),
        ("2024-12-31 24:00", "2025-01-01 00:00:00.000 +0000"),
        ("2024-12-31T23:59:60Z", "2025-01-01 00:00:00.000 +0000"),
    ] {
        let format = "%Y-%m-%d %H:%M:%S.%L %z";
        let template = format!("{{{{ '{text}' | date: '{format}' }}}}");
        assert_eq!(render(&template).unwrap(), expected, "{text}");
    }
    for text in [
        "2024-02-30",
        "2023-366",
        "2024-65",
        "2024-13-01",
        "Jan Novak",
        "25:00",
        "13pm",
        "mon",
        "-5",
        "Mar 45",
        "7:08+02 29 feb 2023",
    ] {
        assert_eq!(render(&format!("{{{{ '{text}' | date: '%F' }}}}")).unwrap(), text);
    }
}

#[test]
fn failures_have_their_reason() {
    let grows = |by: &str| {
        format!("{{% assign s = name %}}{{% for i in (1..99) %}}{{% assign s = s | {by} %}}{{% endfor %}}")
    };
    for text in [
        "{% for i in (1..100000000000) %}{% endfor %}".to_owned(),
        "{% for i in (-9000000000..9000000000) reversed %}{% assign x = i %}{% endfor %}".to_owned(),
        "{% for i in (1..9999) %}{{ (1..9999) | sort | first }}{% endfor %}".to_owned(),
        "{% assign x = 7 %}{% for i in (1..99) %}{% assign x = x | times: x %}{% endfor %}".to_owned(),
        "{% assign a = tags %}{% for i in (1..999) %}{% assign a = a | push: a %}{% endfor %}".to_owned(),
        "{{ (1..99999999999) | join: ',' }}".to_owned(),
        grows("append: s"),
        grows("replace: '', s"),
        grows("split: '' | join: s"),
        grows("escape | url_encode | append: s"),
    ] {
        assert_eq!(render(&text), Err(Failure::Limit), "{text}");
    }
    for (text, failure) in [
        ("{% for i in (1..100000) %}0123456789{% endfor %}{{ name }}", Failure::TooLarge),
        ("{{ 1 | divided_by: 0 }}", Failure::DivisionByZero),
        ("{{ 1.5 | modulo: 0.0 }}", Failure::DivisionByZero),
        ("{{ '!' | base64_decode }}", Failure::Failed),
        ("{{ 'a' | slice: name }}", Failure::Failed),
        ("{{ tags | push: 1 | sort }}", Failure::Failed),
        ("{% assign k = 'ba' | append: 'd' %}{{ [k] }}", Failure::InvalidColumn(6)),
    ] {
        assert_eq!(render(text), Err(failure), "{text}");
    }
}

#[test]
fn each_step_is_charged_for_what_it_costs() {
    let wide = format!("1{}", " ".repeat(900_000));
    let keys: Vec<_> = (0..100).map(|key| format!("\"{}{key:02}\":1", "a".repeat(5_000))).collect();
    let (object, key) = (format!("{{{}}}", keys.join(",")), format!("{}xx", "a".repeat(5_000)));
    let path = "a.".repeat(100_000);
    let numbers = format!("[{}1]", "1,".repeat(499_000));
    let row = [
        ("w", CellKind::Text, wide.as_str()),
        ("o", CellKind::Json, &object),
        ("k", CellKind::Text, &key),
        ("path", CellKind::Text, &path),
        ("tags", CellKind::Json, "[1,2]"),
        ("n1", CellKind::Json, &numbers),
        ("n2", CellKind::Json, &numbers),
    ];
    let often = |body: &str| format!("{{% for i in (1..200) %}}{body}{{% endfor %}}");
    let assigned = |expression: &str| often(&format!("{{% assign x = {expression} %}}"));
    for text in [
        assigned(&format!("z{}", ".b".repeat(15_000))),
        assigned(&format!("forloop{}", ".parentloop".repeat(5_500))),
        assigned(&format!("tags{}", "[0]".repeat(15_000))),
        assigned(&format!("tags.{}", "0".repeat(60_000))),
        often("{% for j in (1..2) limit: w %}{% endfor %}"),
        assigned("'ab' | slice: w"),
        assigned("'ab' | truncate: w"),
        assigned("'ab' | truncatewords: w"),
        assigned("1 | json: w"),
        format!("{{% assign name = 'W' | downcase %}}{}", assigned("[name]")),
        assigned("w | date: '%F'"),
        assigned("w | date_to_string"),
        assigned("w | time_zone: 'UTC'"),
        assigned("o[k]"),
        assigned("o contains k"),
        assigned("o | map: k"),
        assigned("o | map: path"),
        assigned("w | plus: 1"),
        assigned("w | round: w"),
        assigned("(w..1)"),
        often("{% tablerow j in (1..2) cols: w %}{% endtablerow %}"),
        "{% assign x = n1 %}{% assign x = n2 %}".to_owned(),
    ] {
        assert_eq!(render_row(&text, &row), Err(Failure::Limit), "{}", &text[..text.len().min(80)]);
    }
    assert_eq!(render_row("{{ n1.size }}", &row).unwrap(), "499001");
    assert_eq!(render_row("{{ o.size }}{{ w | plus: 1 }}", &row).unwrap(), "1002");
}

#[test]
fn suggestions_among_many_columns_are_bounded() {
    let names: Vec<_> = (0..1_500).map(|number| format!("{}{number:04}", "a".repeat(56))).collect();
    let unknown = (0..UNKNOWN_MAX).map(|number| format!("{{{{ {}b{number:03} }}}}", &names[0][..56]));
    let unknown = unknown.collect::<Vec<_>>().concat();
    let mut template = Template::parse(&unknown).unwrap();
    let column =
        |name: &String| Column { name: name.clone(), kind: ColumnKind::Any, type_name: String::new() };
    template.bind(&names.iter().map(column).collect::<Vec<_>>());
    let warnings = template.warnings();
    assert_eq!(warnings.len(), UNKNOWN_MAX);
    assert_eq!(warnings.iter().filter(|warning| warning.contains("did you mean")).count(), 1);
}

#[test]
fn offsets_far_west_have_two_digits() {
    for (offset, colon) in
        [("-1000", "-10:00"), ("-1130", "-11:30"), ("-1200", "-12:00"), ("-0930", "-09:30")]
    {
        let date = format!("'2024-03-05 07:08:09 {offset}'");
        for (format, expected) in [
            ("%z", offset.to_owned()),
            ("%:z", colon.to_owned()),
            ("%::z", format!("{colon}:00")),
            ("%10z", format!("-00000{}", &offset[1..])),
            ("%_9:z +%%+", format!("   {} +%+", colon.replace("-0", " -"))),
        ] {
            assert_eq!(
                render(&format!("{{{{ {date} | date: '{format}' }}}}")).unwrap(),
                expected,
                "{format}"
            );
        }
        let text = render(&format!("{{{{ {date} | date_to_rfc822 }}}}|{{{{ {date} | date_to_xmlschema }}}}"));
        assert_eq!(text.unwrap(), format!("Tue, 05 Mar 2024 07:08:09 {offset}|2024-03-05T07:08:09{colon}"));
    }
    let zoned = "{{ '2024-03-05T07:08:09Z' | time_zone: 'Pacific/Honolulu' | date: '%F %T %s' }}";
    assert_eq!(render(zoned).unwrap(), "2024-03-04 21:08:09 1709622489");
}

#[test]
fn the_rest_of_a_template_is_read_after_a_tag_that_does_not_exist() {
    for (text, expected) in [
        ("{% iff id %}a{% elsif id %}b{% endif %}{{ a | x1 }}", vec!["the tag `iff`", "the filter `x1`"]),
        ("{% iff id %}a{% endiff %}{{ a | x1 }}", vec!["the tag `iff`", "the filter `x1`"]),
        (
            "{% if id %}{% forr i in id %}{{ i | x1 }}{% endfor %}{% endif %}",
            vec!["the tag `forr`", "the filter `x1`"],
        ),
        (
            "{% form 'a' %}{% form 'b' %}{% endform %}{% endform %}{{ a | x1 }}",
            vec!["the tag `form`", "the tag `form`", "the filter `x1`"],
        ),
        (
            "{% section 'a' %}{% if id %}{% endsection %}{% endif %}{{ a | x1 }}",
            vec!["the tag `section`", "the filter `x1`"],
        ),
        ("{% iff id %}", vec!["the tag `iff`"]),
        ("{% row %}{{ a | x1 }}{% endrow %}", vec!["the tag `row`", "the filter `x1`"]),
        (
            "{% comnent %}{{ a | x1 }}{% endcomment %}{{ a | x2 }}",
            vec!["the tag `comnent`", "the filter `x2`"],
        ),
    ] {
        let faults = Template::parse(text).unwrap_err();
        assert_eq!(faults.len(), expected.len(), "{text}: {faults:?}");
        for (fault, expected) in faults.iter().zip(expected) {
            assert!(fault.message.starts_with(expected), "{text}: {faults:?}");
        }
    }
}

#[test]
fn more_than_twenty_faults_are_said_to_be_more() {
    let faults = |count| Template::parse(&"{{ a | x1 }}".repeat(count)).unwrap_err();
    assert!(faults(20).iter().all(|fault| fault.message.starts_with("the filter")));
    let faults = faults(22);
    assert_eq!(
        (faults.len(), faults[20].message.as_str()),
        (21, "there are more than 20 faults; the others are not shown")
    );
}

#[test]
fn faults_have_places_and_hints_and_come_at_once() {
    let deep = "{% if id %}".repeat(101);
    let brackets = format!("{{{{ a{}0{} }}}}", "[b".repeat(33), "]".repeat(33));
    for (text, place, message, hint) in [
        (
            "a\n{{ id | upcas }}",
            (2, 9),
            "the filter `upcas` is not supported",
            Some("did you mean `upcase`?"),
        ),
        ("{% iff id %}", (1, 4), "the tag `iff` is not supported", Some("did you mean `if`?")),
        ("é {{ id", (1, 3), "`{{` is never closed", Some("close it with `}}`")),
        ("{% if id %}", (1, 4), "the block `if` is never closed", Some("close it with {% endif %}")),
        ("{% if id %}{% endfor %}", (1, 15), "found `endfor`, expected `endif`", None),
        ("{% else %}", (1, 4), "`else` is outside of if, unless, case, for", None),
        (
            "{% if id = 1 %}{% endif %}",
            (1, 10),
            "`and`, `or`, an operator or the end of the condition is expected",
            Some("the operators are ==, !=, <, <=, >, >= and contains"),
        ),
        ("{% if id and %}{% endif %}", (1, 14), "a condition is expected", None),
        ("{% assign id 1 %}", (1, 11), "`=` is expected", Some("write {% assign name = value %}")),
        (
            "{{ id | append }}",
            (1, 9),
            "the filter `append` takes 1 argument, not 0",
            Some("write `append: value`, with `,` between values"),
        ),
        (
            "{% if id %}{% elseif id %}{% endif %}",
            (1, 15),
            "the tag `elseif` is not supported",
            Some("did you mean `elsif`?"),
        ),
        (&deep, (1, 1104), "blocks are nested more than 100 deep", None),
        (&brackets, (1, 69), "brackets are nested more than 32 deep", None),
    ] {
        let found = &Template::parse(text).unwrap_err()[0];
        let found = ((found.line, found.column), found.message.as_str(), found.hint.as_deref());
        assert_eq!(found, (place, message, hint), "{text}");
    }
    let faults = Template::parse(
        "{{ a | x1 }}\n{% x2 %}{{ a | x3 }}\n{% if %}{% endif %}{% for a of b %}{% endfor %}",
    );
    let lines: Vec<_> = faults.unwrap_err().iter().map(|fault| fault.line).collect();
    assert_eq!(lines, [1, 2, 2, 3, 3]);
    let shown = Template::parse("ok\n  {{ id | nope }}").unwrap_err()[0].to_string();
    assert!(shown.ends_with("\n  {{ id | nope }}\n          ^"), "{shown}");
    assert!(Template::parse(&" ".repeat(TEMPLATE_BYTES_MAX + 1)).is_err());
}

#[test]
fn what_is_no_liquid_is_read_as_ruby_reads_it_and_noted() {
    for (text, expected, place, message) in [
        ("{{ id upcase }}", "12345", (1, 7), "this text is ignored"),
        ("{{ id | plus: 1 2 }}", "12346", (1, 17), "this text is ignored"),
        ("{{ 'a }}", "", (1, 4), "a quote is never closed"),
        ("{{ profile['a' }}", r#"{"city"=>"Oslo"}"#, (1, 11), "`[` is never closed"),
        ("{{ (id) }}", "12345", (1, 7), "`..` is expected"),
        ("{% if (id > 3) %}a{% endif %}", "", (1, 11), "a condition has no parentheses"),
        ("{{ profile&a.city }}", "Oslo", (1, 11), "the end of the value is expected"),
        ("{% if id && nope %}a{% endif %}", "a", (1, 10), "this text is ignored"),
        ("{% for i in (1..2) x %}{{ i }}{% endfor %}", "12", (1, 20), "this text is ignored"),
        ("{{ }}", "", (1, 4), "a value is expected"),
        ("{% if nope %}a{% else if id %}b{% endif %}", "b", (1, 23), "this text is ignored"),
        ("{% for i in (1..2) limt: 1 %}{{ i }}{% endfor %}", "12", (1, 20), "this text is ignored"),
    ] {
        assert_eq!(render(text).unwrap(), expected, "{text}");
        let warnings = bound(text).unwrap().warnings();
        let warning =
            warnings.iter().find(|warning| warning.starts_with("is read as Shopify's Liquid reads it"));
        let warning = warning.unwrap_or_else(|| panic!("{text}: {warnings:?}"));
        assert!(warning.contains(message), "{text}: {warning}");
        assert!(warning.ends_with(&format!("(line {}, column {})", place.0, place.1)), "{text}: {warning}");
    }
    assert!(bound("{{ id | plus: 1 }}{% if id == 1 and name %}a{% endif %}").unwrap().warnings().is_empty());
}

#[test]
fn names_are_tied_to_columns() {
    let template =
        bound("{{ ltv }}{% assign q = id %}{{ q }}\n{{ naem }}{{ zzz }}{{ profile.zzz }}{{ forloop }}")
            .unwrap();
    let columns: Vec<_> = template.columns().map(|column| ROW[column].0).collect();
    assert_eq!(columns, ["ltv", "id", "profile"]);
    assert_eq!(
        template.warnings(),
        [
            "reads `naem`, which is no column and always empty; did you mean `name`? (line 2, column 4)",
            "reads `zzz`, which is no column and always empty (line 2, column 14)",
        ]
    );
    for (text, warning) in [
        ("{{ 'Now' | date: '%Y' }}", "reads 'now'"),
        ("{% assign x = 1 %}{% comment %}a{% endcomment %}", "prints nothing"),
        ("{{ name | truncate: 'a' }}", "fails for a row"),
        ("{{ name | truncate: id }}", "fails for a row"),
    ] {
        assert!(bound(text).unwrap().warnings()[0].starts_with(warning), "{text}");
    }
    assert!(bound(" ").unwrap().warnings().is_empty());
}

proptest! {
    #[test]
    fn any_text_parses_or_fails_without_a_panic(
        text in prop::collection::vec(prop::sample::select(vec![
            "{{", "}}", "{%", "%}", "-", " ", "\n", "if", "endif", "for", "i", "in", "endfor", "'", "\"", "|", ":",
            "upcase", "plus", "1", "..", ".", "(", ")", "[", "]", "raw", "endraw", "comment", "endcomment", "é",
            "assign", "=", "==", "nil", "else", "case", "when", "endcase", ",", "id", "tags", "#", "liquid",
            "99999999999999999999", "date", "where_exp", "?", "not", "cycle", "tablerow", "endtablerow",
        ]), 0..25)
    ) {
        let text = text.concat();
        if bound(&text).is_ok() {
            prop_assert_eq!(render(&text), render(&text));
        }
    }
}
