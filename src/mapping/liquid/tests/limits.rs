//! Errors, bounds, and what holds for any text.

use proptest::prelude::*;

use super::*;

#[test]
fn every_render_ends() {
    for text in [
        "{% for i in (1..100000000000) %}{% endfor %}",
        "{% for i in (-9000000000..9000000000) reversed %}{% assign x = i %}{% endfor %}",
        "{% for i in (1..1000) %}{% for j in (1..1000) %}{% for k in (1..1000) %}{% endfor %}{% endfor %}{% endfor %}",
        "{% assign s = name %}{% for i in (1..100) %}{% assign s = s | append: s %}{% endfor %}",
        "{% assign s = name %}{% for i in (1..100) %}{% capture s %}{{ s }}{{ s }}{% endcapture %}{% endfor %}",
        "{% assign s = tags %}{% for i in (1..100) %}{% assign s = s | concat: s %}{% endfor %}",
        "{% assign s = name %}{% for i in (1..100) %}{% assign s = s | replace: '', s %}{% endfor %}",
        "{% assign s = name %}{% for i in (1..100) %}{% assign s = s | split: '' | join: s %}{% endfor %}",
        "{% assign s = name %}{% for i in (1..100) %}{% assign s = s | escape | url_encode | append: s %}{% endfor %}",
    ] {
        assert_eq!(try_render(text), Err(Failure::Failed), "{text}");
    }
    let endless = "{% for i in (1..199999) %}0123456789{% endfor %}";
    assert_eq!(try_render(endless), Err(Failure::TooLarge));
    check(&[("{% for i in (1..100000000000) limit: 2 %}{{ i }}{% endfor %}", "12")]);
    check(&[(
        "{% for i in (1..100000000000) %}{% if i == 3 %}{% break %}{% endif %}{{ i }}{% endfor %}",
        "12",
    )]);
    let many = try_render("{% for i in (1..20000) %}x{% endfor %}").unwrap();
    assert_eq!(many.len(), 20_000);
}

#[test]
fn errors_have_a_place_and_name_what_is_wrong() {
    for (text, expected) in [
        ("a\n{{ x | nope }}", "the filter `nope` is not supported (line 2, column 8)"),
        ("{% render 'x' %}", "the tag `render` is not supported (line 1, column 4)"),
        ("{% tablerow i in x %}{% endtablerow %}", "the tag `tablerow` is not supported (line 1, column 4)"),
        ("{{ a b }}", "(line 1, column 6)"),
        ("{{ nullable b }}", "(line 1, column 13)"),
        ("ok\n{{ }}", "(line 2, column "),
        ("{% if %}{% endif %}", "a value is expected (line 1, column 6)"),
        ("{% assign x %}{% endif %}", "`endif` closes no block"),
        ("{% assign x %}", "`=` is expected (line 1, column 13)"),
        ("{% for x of y %}{% endfor %}", "`in` is expected (line 1, column 10)"),
        ("{{ x | plus }}", "the filter `plus` takes 1 arguments, not 0"),
        ("{{ x | default: 1, no: 2 }}", "the filter `default` has no argument `no`"),
        ("{% assign x = 1 | plus: 1, 2 %}", "a value with filters that take these arguments is expected"),
        ("{{ x | larder_print }}", "the filter `larder_print` is not supported"),
        (&"x".repeat(TEMPLATE_BYTES_MAX + 1), "a template has at most 65536 bytes"),
    ] {
        let error = Template::parse(text).unwrap_err().to_string();
        assert!(error.contains(expected), "{text}: {error}");
    }
    let hint = Template::parse("{{ x | upcas }}").unwrap_err().hint;
    assert_eq!(hint.as_deref(), Some("did you mean `upcase`?"));
}

#[test]
fn names_are_tied_to_columns() {
    let template = template("{{ ltv }}{% assign q = born %}{{ q }}{{ naem }}{{ zzz }}{{ profile.zzz }}");
    let bound: Vec<_> = template.columns().map(|column| ROW[column].0).collect();
    assert_eq!(bound, ["born", "ltv", "profile"]);
    let unknown: Vec<_> =
        template.unknown_names().iter().map(|(name, near)| (name.as_str(), near.as_deref())).collect();
    assert_eq!(unknown, [("naem", Some("name")), ("zzz", None)]);
    assert!(Template::parse("{{ 'now' | date: '%Y' }}").unwrap().reads_clock());
}

#[test]
fn words_of_the_language_are_names_too() {
    let column =
        |name: &str| Column { name: name.to_owned(), kind: ColumnKind::Any, type_name: String::new() };
    let mut batch = RowBatch::new(2);
    batch.push(CellKind::Integer, b"3");
    batch.push(CellKind::Text, b"r");
    let mut template = Template::parse(
        "{% if limit > 2 and reversed %}{{ limit }}{{ reversed }}{% endif %}{% for i in (1..2) reversed limit:1 %}{{ i }}{% endfor %}",
    )
    .unwrap();
    template.bind(&[column("limit"), column("reversed")]);
    assert!(template.unknown_names().is_empty());
    let mut out = Vec::new();
    template.render(&batch, 0, Utc.with_ymd_and_hms(2026, 1, 1, 0, 0, 0).unwrap(), &mut out).unwrap();
    assert_eq!(out, b"3r1");
}

proptest! {
    #[test]
    fn any_text_parses_or_fails_without_a_panic(
        text in prop::collection::vec(prop::sample::select(vec![
            "{{", "}}", "{%", "%}", "-", " ", "\n", "if", "endif", "for", "i", "in", "endfor", "'", "\"", "|", ":",
            "upcase", "plus", "1", "..", ".", "(", ")", "[", "]", "raw", "endraw", "comment", "endcomment", "é",
            "assign", "=", "==", "nil", "else", "case", "when", "endcase", ",", "id", "tags", "#", "99999999999999999999",
        ]), 0..25)
    ) {
        let text = text.concat();
        if let Ok(mut template) = Template::parse(&text) {
            template.bind(&columns());
            let mut out = Vec::new();
            let now = Utc.with_ymd_and_hms(2026, 1, 1, 0, 0, 0).unwrap();
            if template.render(&batch(), 0, now, &mut out).is_ok() {
                prop_assert!(String::from_utf8(out).is_ok());
            }
        }
    }

    #[test]
    fn the_same_row_renders_the_same(path in prop::sample::select(vec!["profile", "profile.items", "tags"])) {
        let text = format!("{{% assign p = {path} %}}{{{{ p }}}}{{{{ p | json }}}}{{% for i in p %}}{{{{ i }}}}{{% endfor %}}");
        prop_assert_eq!(try_render(&text), try_render(&text));
    }
}
