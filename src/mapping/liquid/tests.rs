//! What templates make of a row.

use chrono::{TimeZone, Utc};
use proptest::prelude::*;

use super::*;
use crate::domain::row::{CellKind, ColumnKind};

/// The columns of the row that the tests render.
const ROW: &[(&str, CellKind, &str)] = &[
    ("id", CellKind::Integer, "12345"),
    ("ltv", CellKind::Number, "12.50"),
    ("big", CellKind::Integer, "123456789012345678901234567890"),
    ("name", CellKind::Text, "jane DOE"),
    ("note", CellKind::Text, ""),
    ("active", CellKind::Boolean, "true"),
    ("gone", CellKind::Boolean, "false"),
    ("nothing", CellKind::Null, ""),
    ("nullable", CellKind::Integer, "7"),
    ("signed_up", CellKind::Text, "2024-03-05T07:08:09.25Z"),
    ("born", CellKind::Text, "1990-12-31"),
    ("local", CellKind::Text, "2024-03-05T23:30:00+02:00"),
    ("tags", CellKind::Json, r#"["b","a","c"]"#),
    ("none", CellKind::Json, "[]"),
    (
        "profile",
        CellKind::Json,
        r#"{"z":1,"a":{"city":"Oslo","90_day":{"k":3}},"price":10.10,"items":[{"t":"x","n":2,"ok":true},{"t":"y","n":1},{"t":"z","n":null}]}"#,
    ),
];

fn columns() -> Vec<Column> {
    ROW.iter()
        .map(|(name, ..)| Column {
            name: (*name).to_owned(),
            kind: ColumnKind::Any,
            type_name: String::new(),
        })
        .collect()
}

fn batch() -> RowBatch {
    let mut batch = RowBatch::new(ROW.len());
    for (_, kind, text) in ROW {
        batch.push(*kind, text.as_bytes());
    }
    batch
}

fn template(text: &str) -> Template {
    let mut template = Template::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
    template.bind(&columns());
    template
}

fn try_render(text: &str) -> Result<String, Failure> {
    let now = Utc.with_ymd_and_hms(2026, 11, 5, 1, 2, 3).unwrap();
    let mut out = Vec::new();
    template(text).render(&batch(), 0, now, &mut out)?;
    Ok(String::from_utf8(out).unwrap())
}

fn check(cases: &[(&str, &str)]) {
    for (text, expected) in cases {
        assert_eq!(try_render(text).as_deref(), Ok(*expected), "{text}");
    }
}

#[test]
fn cells_print_as_the_source_wrote_them() {
    check(&[
        ("a{{ id }}b", "a12345b"),
        ("{{ ltv }}", "12.50"),
        ("{{ big }}", "123456789012345678901234567890"),
        ("{{ active }}/{{ gone }}/{{ nothing }}", "true/false/"),
        ("{{ tags }}", "bac"),
        ("{{ profile.price }}", "10.10"),
        ("{{ profile.a.city }}", "Oslo"),
        ("{{ profile['a']['city'] }}", "Oslo"),
        ("{{ profile.a.90_day.k }}{{ profile.a['90_day'].k }}", "33"),
        ("{{ profile.items[0].t }}{{ profile.items[-1].t }}", "xz"),
        ("{{ tags.first }}{{ tags.last }}{{ tags.size }}{{ name.size }}", "bc38"),
        ("{{ profile.a }}", r#"{"city":"Oslo","90_day":{"k":3}}"#),
        ("{{ nullable }}", "7"),
        ("{%- if id -%}\n x \n{%- endif -%}", "x"),
        ("é{{ name }}😀", "éjane DOE😀"),
    ]);
}

#[test]
fn what_is_missing_is_nil_at_every_level() {
    check(&[
        ("[{{ x }}{{ x.y }}{{ x.y.z[0] }}{{ id.a.b }}{{ tags.x.y }}{{ tags[9].a }}]", "[]"),
        ("{{ a.b.c | default: 'x' }}", "x"),
        ("{{ profile.no.city | default: name }}", "jane DOE"),
        ("{% if a.b %}1{% else %}2{% endif %}", "2"),
        ("{% if a.b == nil %}1{% endif %}{% if nothing == null %}2{% endif %}", "12"),
        ("{% for i in a.b %}1{% else %}2{% endfor %}", "2"),
        ("{% assign a = b.c %}[{{ a.d }}]", "[]"),
        ("{{ x | upcase }}{{ x | append: y }}{{ x | join }}{{ x | first }}{{ x | date: '%Y' }}", ""),
        ("{{ x | plus: 1 }}{{ x | size }}{{ x | split: ',' | size }}", "100"),
        ("{% if x contains 'a' %}1{% endif %}{% if name contains x %}2{% endif %}", ""),
    ]);
}

#[test]
fn default_follows_liquid() {
    check(&[
        (
            "{{ nothing | default: 1 }}{{ gone | default: 2 }}{{ note | default: 3 }}{{ none | default: 4 }}",
            "1234",
        ),
        ("{{ '{}' | default: 1 }}{{ 0 | default: 1 }}{{ active | default: 1 }}", "{}0true"),
        ("{{ gone | default: 1, allow_false: true }}{{ nothing | default: 1, allow_false: true }}", "false1"),
        ("{{ profile.z | default }}{{ x | default }}", "1"),
    ]);
}

#[test]
fn conditions_follow_shopify() {
    check(&[
        ("{% if ltv > 12 and ltv <= 12.5 %}gold{% else %}std{% endif %}", "gold"),
        (
            "{% if big > 5 %}1{% endif %}{% if ltv == 12.5 %}2{% endif %}{% if id == 12345.0 %}3{% endif %}",
            "123",
        ),
        ("{% if '12' > 5 %}1{% else %}2{% endif %}{% if '12' == 12 %}1{% else %}2{% endif %}", "22"),
        ("{% if 'x' == true %}1{% else %}2{% endif %}{% if nothing == false %}1{% else %}2{% endif %}", "22"),
        (
            "{% if note == '' %}1{% endif %}{% if note == empty %}2{% endif %}{% if note == blank %}3{% endif %}",
            "123",
        ),
        (
            "{% if none == empty %}1{% endif %}{% if nothing == blank %}2{% endif %}{% if nothing == empty %}3{% endif %}",
            "12",
        ),
        ("{% if false and false or true %}1{% else %}2{% endif %}", "2"),
        ("{% if true or false and false %}1{% else %}2{% endif %}", "1"),
        ("{% if tags contains 'a' %}1{% endif %}{% if name contains 'DOE' %}2{% endif %}", "12"),
        ("{% if profile contains 'z' %}1{% endif %}{% if id contains 1 %}2{% endif %}", "1"),
        (
            "{% unless gone %}1{% else %}2{% endunless %}{% unless active %}1{% elsif id == 1 %}2{% else %}3{% endunless %}",
            "13",
        ),
        ("{% if note %}1{% endif %}{% if 0 %}2{% endif %}{% if none %}3{% endif %}", "123"),
        ("{% if id != 1 %}1{% endif %}{% if id <> 1 %}2{% endif %}", "12"),
        ("{% case name %}{% when 'a', 'b' %}1{% when 'jane DOE' or 'x' %}2{% else %}3{% endcase %}", "2"),
        ("{% case id %}x{% when 1 %}1{% else %}3{% endcase %}", "3"),
        ("{% case 'x' %}{% when true %}1{% else %}2{% endcase %}", "2"),
        ("{% if tags == tags %}1{% endif %}{% if tags == none %}2{% endif %}", "1"),
    ]);
}

#[test]
fn loops_go_through_arrays_objects_and_ranges() {
    check(&[
        (
            "{% for t in tags %}{{ forloop.index }}{{ t }}{% unless forloop.last %},{% endunless %}{% endfor %}",
            "1b,2a,3c",
        ),
        ("{% for t in tags reversed %}{{ t }}{% endfor %}", "cab"),
        ("{% for t in tags limit: 2 offset:1 %}{{ t }}{{ forloop.length }}{% endfor %}", "a2c2"),
        ("{% for t in tags reversed limit:2 %}{{ t }}{% endfor %}", "ab"),
        (
            "{% for i in (1..3) %}{{ i }}{% endfor %}{% for i in (3..1) %}{{ i }}{% else %}-{% endfor %}",
            "123-",
        ),
        ("{% for i in (1..tags.size) %}{{ i }}{% endfor %}", "123"),
        (
            "{% for p in profile.a %}{{ p[0] }}={{ p.last | json }};{% endfor %}",
            r#"city="Oslo";90_day={"k":3};"#,
        ),
        (
            "{% for i in (1..9) %}{% if i == 2 %}{% continue %}{% endif %}{% if i == 5 %}{% break %}{% endif %}{{ i }}{% endfor %}",
            "134",
        ),
        (
            "{% for i in (1..2) %}{% for j in (1..2) %}{{ forloop.parentloop.index }}{{ forloop.rindex0 }} {% endfor %}{% endfor %}",
            "11 10 21 20 ",
        ),
        (
            "{% for i in name %}[{{ i }}]{% endfor %}{% for i in id %}x{% endfor %}{% for i in note %}x{% endfor %}",
            "[jane DOE]",
        ),
        ("{% for i in profile.items %}{{ i.t }}{% cycle '1', '2' %}{% endfor %}", "x1y2z1"),
        ("{% cycle 'a': 1, 2 %}{% cycle 'b': 1, 2 %}{% cycle 'a': 1, 2 %}", "112"),
        ("{% for i in (1..1) %}{{ i }}{% endfor %}{{ i }}", "1"),
    ]);
}

#[test]
fn variables_live_as_long_as_the_render() {
    check(&[
        ("{% assign x = ltv | times: 2 %}{{ x }}", "25"),
        ("{% for t in tags %}{% assign last = t %}{% endfor %}{{ last }}", "c"),
        ("{% capture x %}a{{ id }}{% endcapture %}{{ x | size }}", "6"),
        ("{% capture 'x' %}1{% endcapture %}{{ x }}", "1"),
        ("{% increment n %}{% increment n %}{% decrement m %}{{ n }}", "01-12"),
        ("{% assign id = 1 %}{{ id }}", "1"),
        ("{% assign null_x = 4 %}{{ null_x }}{% capture empty_y %}5{% endcapture %}{{ empty_y }}", "45"),
        ("{% assign p = profile.a %}{{ p | json }}", r#"{"90_day":{"k":3},"city":"Oslo"}"#),
        (
            "{% echo name | upcase %}{% # a comment %}{% comment %}{{ {% endcomment %}{% raw %}{{ x }}{% endraw %}",
            "JANE DOE{{ x }}",
        ),
    ]);
}

#[test]
fn filters_on_text() {
    check(&[
        ("{{ name | upcase }}{{ name | downcase }}{{ name | capitalize }}", "JANE DOEjane doeJane doe"),
        ("{{ ' a ' | strip }}{{ ' a ' | lstrip }}{{ ' a ' | rstrip }}|", "aa  a|"),
        (
            "{{ 'a-b-a' | replace: 'a', 'x' }}{{ 'a-a' | replace_first: 'a', 'x' }}{{ 'a-a' | replace_last: 'a', 'x' }}",
            "x-b-xx-aa-x",
        ),
        ("{{ 'a-a' | remove: 'a' }}{{ 'a-a' | remove_first: 'a' }}{{ 'a-a' | remove_last: 'a' }}", "--aa-"),
        ("{{ 'b' | append: id | prepend: 'a' }}", "ab12345"),
        (
            "{{ 'hello' | slice: 1 }}{{ 'hello' | slice: -3, 2 }}{{ 'hello' | slice: 9 }}{{ 'hé' | slice: 1, 9 }}",
            "ellé",
        ),
        (
            "{{ 'Ground control' | truncate: 9 }}|{{ 'Ground' | truncate: 4, '' }}|{{ 'ab' | truncate: 2 }}",
            "Ground...|Grou|ab",
        ),
        (
            "{{ 'a b c d' | truncatewords: 2 }}|{{ 'a b' | truncatewords: 2 }}|{{ 'a b c' | truncatewords: 1, '--' }}",
            "a b...|a b|a--",
        ),
        (
            "{{ 'a,b,,' | split: ',' | join: '+' }}|{{ 'abc' | split: '' | join: '.' }}|{{ ' a  b ' | split: ' ' | join: '.' }}",
            "a+b|a.b.c|a.b",
        ),
        (
            "{{ '<a href=\"x\">T</a>' | escape }}|{{ '&lt; & <' | escape_once }}",
            "&lt;a href=&quot;x&quot;&gt;T&lt;/a&gt;|&lt; &amp; &lt;",
        ),
        ("{{ '<p>a<b>c</b><!-- x --></p><script>y</script>' | strip_html }}", "ac"),
        ("{{ 'a b&é/~' | url_encode }}|{{ 'a+b%26%C3%A9' | url_decode }}", "a+b%26%C3%A9%2F~|a b&é"),
        (
            "{{ 'a?b' | base64_encode }}{{ 'YT9i' | base64_decode }}{{ '??>' | base64_url_safe_encode }}",
            "YT9ia?bPz8-",
        ),
        ("{{ 'x' | sha256 | slice: 0, 8 }}{{ 'x' | hmac_sha256: 'k' | size }}", "2d71164264"),
        (
            "{% capture nl %}a\nb{% endcapture %}{{ nl | newline_to_br }}{{ nl | strip_newlines }}",
            "a<br />\nbab",
        ),
    ]);
}

#[test]
fn filters_on_numbers_are_exact() {
    check(&[
        ("{{ 19.99 | times: 100 }}|{{ 0.1 | plus: 0.2 }}|{{ ltv | minus: 0.01 }}", "1999|0.3|12.49"),
        (
            "{{ 7 | divided_by: 2 }}|{{ -7 | divided_by: 2 }}|{{ 7 | divided_by: 2.0 }}|{{ 7.0 | divided_by: 2 }}",
            "3|-4|3.5|3.5",
        ),
        ("{{ 7 | modulo: 3 }}{{ -7 | modulo: 3 }}{{ 7.5 | modulo: 2 }}", "121.5"),
        (
            "{{ 2.5 | round }}|{{ -2.5 | round }}|{{ 2.675 | round: 2 }}|{{ 1234 | round: -2 }}|{{ 4 | round: 2 }}",
            "3|-3|2.68|1200|4",
        ),
        ("{{ 2.1 | ceil }}{{ -2.1 | ceil }}{{ 2.9 | floor }}{{ -2.1 | floor }}", "3-22-3"),
        ("{{ -3 | abs }}{{ '-3.5' | abs }}{{ 4 | at_least: 5 }}{{ 4 | at_most: 3 }}", "33.553"),
        ("{{ '12abc' | plus: 1 }}{{ 'abc' | plus: 1 }}{{ active | plus: 1 }}", "1311"),
        ("{{ big | plus: 0 | json }}", "123456789012345680000000000000"),
        ("{{ profile.items | sum: 'n' }}{{ 'a' | sum }}", "30"),
    ]);
    assert_eq!(try_render("{{ 1 | divided_by: 0 }}"), Err(Failure::Failed));
    assert_eq!(try_render("{{ 1 | modulo: 0.0 }}"), Err(Failure::Failed));
}

#[test]
fn filters_on_lists() {
    check(&[
        (
            "{{ tags | sort | join: ',' }}|{{ tags | reverse | join: ',' }}|{{ tags | first }}{{ tags | last }}",
            "a,b,c|c,a,b|bc",
        ),
        ("{{ profile.items | map: 't' | join: '' }}|{{ profile.items | where: 'ok' | map: 't' }}", "xyz|x"),
        (
            "{{ profile.items | where: 'n', 1 | map: 't' }}{{ profile.items | reject: 'ok' | map: 't' }}",
            "yyz",
        ),
        ("{{ profile.items | sort: 'n' | map: 't' | join: '' }}", "yxz"),
        (
            "{{ profile.items | find: 't', 'y' | json }}{{ profile.items | find_index: 't', 'y' }}{{ profile.items | has: 't', 'q' }}",
            r#"{"n":1,"t":"y"}1false"#,
        ),
        ("{{ 'b,A,c,a' | split: ',' | sort_natural | join: ',' }}", "A,a,b,c"),
        (
            "{{ 'a,b,a' | split: ',' | uniq | join: ',' }}|{{ tags | concat: tags | size }}|{{ tags | push: 'd' | last }}",
            "a,b|6|d",
        ),
        ("{{ profile.items | map: 'n' | compact | size }}", "2"),
        ("{{ tags | slice: 1, 2 | join: '' }}{{ tags | size }}{{ profile | size }}{{ id | size }}", "ac340"),
    ]);
}

#[test]
fn json_keeps_order_and_digits() {
    check(&[
        ("{{ profile.a | json }}", r#"{"city":"Oslo","90_day":{"k":3}}"#),
        (
            "{{ profile.price | json }}{{ ltv | json }}{{ big | json }}",
            "10.1012.50123456789012345678901234567890",
        ),
        (
            "{{ name | json }}{{ 'a\"b' | json }}{{ nothing | json }}{{ gone | json }}",
            r#""jane DOE""a\"b"nullfalse"#,
        ),
        ("{{ tags | json }}{{ profile.items[2] | json }}", r#"["b","a","c"]{"t":"z","n":null}"#),
    ]);
}

#[test]
fn dates_in_every_common_form() {
    check(&[
        ("{{ signed_up | date: '%Y-%m-%d %H:%M:%S' }}", "2024-03-05 07:08:09"),
        (
            "{{ signed_up | date: '%-d/%-m/%y %e %l %p %b %B %a %A %j' }}",
            "5/3/24  5  7 AM Mar March Tue Tuesday 065",
        ),
        ("{{ signed_up | date: '%s %z %Z %L' }}", "1709622489 +0000 UTC 250"),
        ("{{ born | date: '%b %-d, %Y' }}", "Dec 31, 1990"),
        ("{{ local | date: '%H:%M %z %s' }}", "23:30 +0200 1709674200"),
        ("{{ 0 | date: '%Y' }}{{ '1709622489' | date: '%Y' }}{{ -1 | date: '%Y' }}", "197020241969"),
        ("{{ 'now' | date: '%Y-%m-%dT%H:%M:%S' }}{{ 'Today' | date: '%d' }}", "2026-11-05T01:02:0305"),
        (
            "{{ 'March 14, 2016' | date: '%F' }}{{ '2024-03-05 07:08:09 +0100' | date: '%H%z' }}",
            "2016-03-1407+0100",
        ),
        (
            "{{ '2024-03-05 07:08' | date: '%H:%M' }}{{ 'Tue, 05 Mar 2024 07:08:09' | date: '%F' }}",
            "07:082024-03-05",
        ),
        (
            "{{ 'soon' | date: '%Y' }}|{{ name | date: '%Y' }}|{{ born | date: '' }}|{{ note | date: '%Y' }}",
            "soon|jane DOE|1990-12-31|",
        ),
        ("{{ born | date: '100%% %q' }}", "100% %q"),
        ("{{ born | date: '%9999999Y' }}{{ 99999999999999 | date: '%Y' }}", "1990-12-3199999999999999"),
    ]);
}

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
