//! Values, conditions, loops and variables.

use super::check;

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
