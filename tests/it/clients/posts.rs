//! Look-ups by POST: the identifier is in the body, so that no URL in a log has it.

use serde_json::json;

use super::{case::Case, fixture::STORY_WORDS};

const NAME: &str = "{{ x.full_name | default: 'nobody' }}";
const JSON: &str = ":content_type application/json";
const POST: (&str, u16) = ("POST", 200);

/// A POST to `path` below `/v1/collections/`, saved as `x`, and the text after it.
pub(super) fn post(name: &'static str, path: &str, options: &str, then: &str) -> Case {
    let call = format!(
        "{{% connected_content SERVER/v1/collections/{path}\n:method post \
         :headers {{\"Authorization\": \"Bearer {{{{key}}}}\"}}\n:save x {options} %}}"
    );
    Case::new(name, call + then).calls(&[POST])
}

fn jane(case: Case) -> Case {
    case.with(json!({"email_address": "jane+tag@example.com", "name": "Jane van Doe"}))
}

/// Without a content type Braze sends a form.
fn forms() -> Vec<Case> {
    vec![
        post("a number in a form", "customer/records/id", ":body value=12345", NAME).reads("Jane Doe"),
        jane(post(
            "an e-mail address in a form",
            "profile/records/email",
            ":body value={{${email_address}|url_param_escape}}",
            NAME,
        ))
        .reads("Jane van Doe"),
        // Here `url_encode` is right: in a form a plus sign is a space.
        jane(post("spaces in a form", "profile/records/name", ":body value={{name|url_encode}}", NAME))
            .reads("Jane van Doe"),
        jane(post(
            "a plus sign in a form that nobody encoded is a space",
            "profile/records/email",
            ":body value={{${email_address}}}",
            NAME,
        ))
        .reads("nobody"),
        post("beyond ASCII in a form", "profile/records/city", ":body value={{city|url_param_escape}}", NAME)
            .with(json!({"city": "東京"}))
            .reads("Łukasz \"Ł\" Żółć <🎧>"),
    ]
}

fn json_bodies() -> Vec<Case> {
    let body = |body: &str| format!(":body {body} {JSON}");
    vec![
        // Pairs become JSON, whose values are all strings.
        post("a pair that becomes JSON", "customer/records/id", &body("value=12345"), NAME).reads("Jane Doe"),
        jane(post(
            "an e-mail address in JSON needs no encoding",
            "profile/records/email",
            &body("value={{${email_address}}}"),
            NAME,
        ))
        .reads("Jane van Doe"),
        jane(post("spaces in JSON", "profile/records/name", &body("value={{name}}"), NAME)).reads("Jane van Doe"),
        post("beyond ASCII in JSON", "profile/records/city", &body("value={{city}}"), NAME)
            .with(json!({"city": "東京"}))
            .reads("Łukasz \"Ł\" Żółć <🎧>"),
        post("JSON as it is", "customer/records/id", &body(r#"{"value":"12345"}"#), NAME)
            .reads("Jane Doe")
            .not_brazejs("it takes every JSON body for pairs"),
        Case::new(
            "JSON that was captured",
            format!(
                "{{% capture body %}}{{\"value\": \"{{{{name}}}}\"}}{{% endcapture %}}\
                 {{% connected_content SERVER/v1/collections/profile/records/name :method post \
                 :headers {{\"Authorization\": \"Bearer {{{{key}}}}\"}} :body {{{{body}}}} {JSON} :save x %}}{NAME}"
            ),
        )
        .with(json!({"name": "Jane van Doe"}))
        .calls(&[POST])
        .reads("Jane van Doe")
        .not_brazejs("it takes every JSON body for pairs"),
    ]
}

/// The answers are those of a GET.
fn answers() -> Vec<Case> {
    let refused = |status: u16| [("POST", status)];
    let blank = || json!({"blank": ""});
    vec![
        post("a miss", "customer/records/id", ":body value=999", NAME).reads("nobody").calls(&refused(404)),
        post("a miss by JSON", "customer/records/id", &format!(":body value=999 {JSON}"), NAME)
            .reads("nobody")
            .calls(&refused(404)),
        post("an empty record", "profile/records/id", ":body value=999", "{{ x.__http_status_code__ }}")
            .reads("200"),
        post("a configured record", "welcome/records/id", ":body value=999", "{{ x.greeting }}")
            .reads("Hello, stranger"),
        post("a blank value", "profile/records/id", ":body value={{blank}}", NAME)
            .with(blank())
            .reads("nobody")
            .calls(&refused(404)),
        post(
            "a blank value in JSON",
            "welcome/records/id",
            &format!(":body value={{{{blank}}}} {JSON}"),
            NAME,
        )
        .with(blank())
        .reads("nobody")
        .calls(&refused(404)),
        post("what is no key", "profile/records/id", ":body value=1", NAME)
            .with(json!({"key": "lrd_wrong"}))
            .reads("nobody")
            .calls(&refused(401)),
        post(
            "a record worth compressing",
            "story/records/id",
            ":body value=1",
            "{{ x.words | size }} {{ x.words | last }}",
        )
        .reads(&format!("{STORY_WORDS} Wört{STORY_WORDS}")),
    ]
}

pub(super) fn cases() -> Vec<Case> {
    [forms(), json_bodies(), answers()].into_iter().flatten().collect()
}
