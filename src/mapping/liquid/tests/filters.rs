//! Filters.

use super::*;

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
        ("{{ signed_up | time_zone: 'America/New_York' | date: '%F %H:%M %z' }}", "2024-03-05 02:08 -0500"),
        ("{{ signed_up | time_zone: 'Europe/Berlin' }}", "2024-03-05 08:08:09.250 +0100"),
        ("{{ 1719835200 | time_zone: 'Europe/Berlin' | date: '%H:%M' }}", "14:00"),
        ("{{ 'now' | time_zone: 'Asia/Kolkata' | date: '%H:%M:%S' }}", "06:32:03"),
        ("{{ 'soon' | time_zone: 'Asia/Kolkata' }}{{ 0 | time_zone: 'Nowhere' }}", "soon0"),
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
