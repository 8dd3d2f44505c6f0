//! Messages made of records: the partner page's, and every kind of value.

use std::{fs, path::Path};

use serde_json::json;

use super::{case::Case, fixture::STORY_WORDS};

/// The partner page's call and its three references, its address and key apart. The page saves as
/// `customer` what its references call `artists`.
const PARTNER_PAGE: &str = r#"{% connected_content
     SERVER/v1/collections/customer/records/id/12345
     :method get
     :headers {
       "Authorization": "Bearer {{key}}"
  }
     :content_type application/json
     :save artists
%}
{{artists.recommendations.concerts[0].artist}} | {{artists.recommendations.concerts[0].location}} |
{{artists.recommendations.upcoming_album_release.title}}"#;

/// The snippet of docs/api.md, its address and key filled in.
fn documented() -> String {
    let page = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/api.md")).unwrap();
    let begins = page.find("    {% connected_content").expect("the page has a snippet");
    let snippet = page[begins..].split("\n\n").next().unwrap();
    let (address, key) = ("https://personalization.us-west-2.example.com", "lrd_...");
    assert!(snippet.contains(address) && snippet.contains(key), "{snippet}");
    snippet.replace(address, "SERVER").replace(key, "{{key}}")
}

pub(super) fn pages() -> Vec<Case> {
    vec![
        Case::new("the partner page's call and references", PARTNER_PAGE)
            .reads("Aphex Twin | San Francisco, CA |\nUniversal Language"),
        Case::new("the snippet of docs/api.md", documented())
            .with(json!({"user_id": 12345}))
            .reads("Aphex Twin"),
        Case::get(
            "a loop, a size, a join",
            "customer/records/id/12345",
            "{% for concert in x.recommendations.concerts %}{{ forloop.index }}. {{ concert.artist }};{% endfor %} \
             {{ x.recommendations.concerts | size }} {{ x.90_day_summary.top_genres | join: ', ' }}",
        )
        .reads("1. Aphex Twin;2. Sultan + Shepard; 2 house, techno, ambient"),
        Case::get(
            "a key that begins with a digit, after a dot",
            "customer/records/id/12345",
            "{{ x.90_day_summary.num_songs_listened }} {{ x.90_day_summary.top_artists[0] }}",
        )
        .reads("813 deadmau5"),
        Case::get(
            "a key that begins with a digit, in brackets",
            "customer/records/id/12345",
            "{{ x['90_day_summary'].num_songs_listened }} {{ x['90_day_summary']['top_artists'][2] }}",
        )
        .reads("813 Enamour"),
        Case::get(
            "a record worth compressing",
            "story/records/id/1",
            "{{ x.words | size }} {{ x.words | first }} {{ x.words | last }}",
        )
        .reads(&format!("{STORY_WORDS} Wört1 Wört{STORY_WORDS}")),
    ]
}

pub(super) fn values() -> Vec<Case> {
    vec![
        Case::get(
            "numbers are compared as numbers",
            "customer/records/id/12345",
            "{% if x.lifetime_value > 1000 %}gold{% else %}standard{% endif %} \
             {% if x.churn_risk < 0.5 %}loyal{% endif %} {% if x.user_id == 12345 %}same{% endif %}",
        )
        .reads("gold loyal same"),
        Case::get(
            "a number below the limit",
            "profile/records/id/2",
            "{% if x.points > 1000 %}gold{% else %}standard{% endif %} {% if x.score < 0 %}negative{% endif %}",
        )
        .reads("standard negative"),
        Case::get(
            "numbers keep their form",
            "customer/records/id/12345",
            "{{ x.user_id }} {{ x.lifetime_value }} {{ x.churn_risk }}",
        )
        .reads("12345 1492.18 0.04"),
        Case::get(
            "arithmetic",
            "customer/records/id/12345",
            "{{ x.lifetime_value | times: 2 }} {{ x.90_day_summary.num_songs_listened | plus: 1 }} \
             {{ x.lifetime_value | round }} {{ x.90_day_summary.num_songs_listened | modulo: 100 }}",
        )
        .reads("2984.36 814 1492 13"),
        Case::get(
            "division of whole numbers",
            "profile/records/id/1",
            "{{ x.points | divided_by: 400 }}",
        )
        .reads("3")
        .brazejs_reads("3.75"),
        Case::get(
            "moments are formatted from the record's text",
            "profile/records/id/1",
            "{{ x.seen | date: '%B %d, %Y at %H:%M' }}, born {{ x.born | date: '%d.%m.%Y' }}, {{ x.seen }}",
        )
        .reads("November 23, 2026 at 22:10, born 28.02.1990, 2026-11-23T22:10:52.004Z"),
        Case::get("a day without its zero", "welcome/records/id/1", "{{ x.renewal | date: '%-d %b %Y' }}")
            .reads("1 Mar 2027")
            .not_brazejs("its dates have no `%-d`"),
        Case::get(
            "null has a default and is no text",
            "profile/records/id/1",
            "[{{ x.motto }}] {{ x.motto | default: 'friend' }} {% if x.motto %}some{% else %}none{% endif %} \
             {% if x.motto == nil %}nil{% endif %}",
        )
        .reads("[] friend none nil"),
        Case::get(
            "a value that is there has no default",
            "profile/records/id/2",
            "{{ x.motto | default: 'friend' }} {{ x.nickname | default: 'friend' }}",
        )
        .reads("there Łuki"),
        Case::get("zero has no default", "profile/records/id/1", "{{ x.score | default: 7 }}").reads("0"),
        Case::get(
            "empty values have a default",
            "profile/records/id/1",
            "{{ x.nickname | default: 'friend' }} {{ x.tags | default: 'none' }} {{ x.settings | default: 'unset' }} \
             {{ x.active | default: 'inactive' }}",
        )
        .reads("friend none unset inactive")
        .not_brazejs("its `default` lets empty values be"),
        Case::get(
            "empty values are empty",
            "profile/records/id/1",
            "{% if x.nickname == '' %}1{% endif %}{% if x.tags == empty %}2{% endif %}{{ x.tags | size }}\
             {% unless x.active %}3{% endunless %}",
        )
        .reads("1203"),
        Case::get("whole numbers beyond 2^53", "profile/records/id/1", "{{ x.big }} {{ x.counted.plays }}")
            .reads("9223372036854775807 9007199254740993")
            .brazejs_reads("9223372036854776000 9007199254740992"),
        Case::get(
            "whole numbers beyond 2^53 as text",
            "profile/records/id/{{id}}",
            "{{ x.big_text }}",
        )
        .with(json!({"id": 1}))
        .reads("9223372036854775807"),
        Case::get("a whole number below -2^53 as text", "profile/records/id/2", "{{ x.big_text }}")
            .reads("-9007199254740993"),
        Case::get(
            "text beyond ASCII, quotes and marks",
            "profile/records/id/2",
            "{{ x.full_name }} {{ x.tags | join: '+' }} {{ x.settings['näme'] }} {{ x.full_name | size }}",
        )
        .reads("Łukasz \"Ł\" Żółć <🎧> a & b+東京 größer 19")
        .brazejs_reads("Łukasz \"Ł\" Żółć <🎧> a & b+東京 größer 20"),
    ]
}
