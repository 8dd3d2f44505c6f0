//! Messages to people without a record: nothing, an empty record or a configured one, and guards.

use serde_json::json;

use super::case::Case;

const GREETING: &str = "{{ x.full_name | default: 'friend' }}";
/// What Braze's users write so that nothing is sent without data.
const GUARD: &str =
    "{% if x.__http_status_code__ != 200 %}{% abort_message('no data') %}{% endif %}Hello {{ x.full_name }}";
const WHEN_200: &str = "{% if x.__http_status_code__ == 200 %}yes{% else %}no{% endif %}";
const WHEN_THERE: &str = "{% if x %}something{% else %}nothing{% endif %}";

pub(super) fn cases() -> Vec<Case> {
    vec![
        // A miss is a 404: the variable is nil.
        Case::get("a miss has the default", "customer/records/id/999", GREETING)
            .reads("friend")
            .answered(404),
        Case::get("a miss is nil", "customer/records/id/999", WHEN_THERE).reads("nothing").answered(404),
        Case::get("a miss is not 200", "customer/records/id/999", WHEN_200).reads("no").answered(404),
        Case::get("a miss is kept back by the guard", "customer/records/id/999", GUARD)
            .aborts("no data")
            .answered(404),
        Case::get("a blank identifier is a miss", "customer/records/id/{{blank}}", GREETING)
            .with(json!({"blank": ""}))
            .reads("friend")
            .answered(404),
        Case::get("a text where a number is asked for", "customer/records/id/abc", GREETING)
            .reads("friend")
            .answered(404),
        Case::get("an index that is not there", "profile/records/phone/1", GREETING)
            .reads("friend")
            .answered(404),
        // A hit passes.
        Case::get("a hit is 200", "customer/records/id/12345", WHEN_200).reads("yes"),
        Case::get("a hit passes the guard", "customer/records/id/12345", GUARD).reads("Hello Jane Doe"),
        Case::get(
            "the status is a number",
            "customer/records/id/12345",
            "{{ x.__http_status_code__ | plus: 1 }}",
        )
        .reads("201"),
        // With on_miss = "empty".
        Case::get("an empty record has the default", "profile/records/id/999", GREETING).reads("friend"),
        Case::get("an empty record is something", "profile/records/id/999", WHEN_THERE).reads("something"),
        Case::get("an empty record is 200", "profile/records/id/999", WHEN_200).reads("yes"),
        Case::get("an empty record passes the guard", "profile/records/id/999", GUARD).reads("Hello"),
        // A template that stayed blank sends an empty value, to which `on_miss` does not apply.
        Case::get("a blank identifier has no empty record", "profile/records/id/{{blank}}", WHEN_THERE)
            .with(json!({"blank": ""}))
            .reads("nothing")
            .answered(404),
        // With on_miss = { record = ... }.
        Case::get(
            "a configured record",
            "welcome/records/id/999",
            "{{ x.greeting }}! {{ x.points | plus: 5 }}",
        )
        .reads("Hello, stranger! 5"),
        Case::get(
            "no configured record for who is known",
            "welcome/records/id/1",
            "{{ x.greeting }}! {{ x.points }}",
        )
        .reads("Hello, Jane van Doe! 1500"),
        Case::get("a blank identifier has no configured record", "welcome/records/id/{{blank}}", WHEN_THERE)
            .reads("nothing")
            .answered(404),
    ]
}
