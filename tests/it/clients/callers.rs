//! How templates name a person, and how they prove who they are.

use serde_json::json;

use super::case::{Case, call};

const NAME: &str = "{{ x.full_name | default: 'nobody' }}";

/// Identifiers in addresses.
pub(super) fn identifiers() -> Vec<Case> {
    let jane = || json!({"email_address": "jane+tag@example.com", "name": "Jane van Doe"});
    vec![
        Case::get("an e-mail address as it is", "profile/records/email/{{${email_address}}}", NAME)
            .with(jane())
            .reads("Jane van Doe"),
        Case::get("an e-mail address with %2B", "profile/records/email/jane%2Btag%40example.com", NAME)
            .reads("Jane van Doe"),
        Case::get(
            "an e-mail address by url_param_escape",
            "profile/records/email/{{${email_address} | url_param_escape}}",
            NAME,
        )
        .with(jane())
        .reads("Jane van Doe"),
        Case::get(
            "an e-mail address by url_encode",
            "profile/records/email/{{ ${email_address} | url_encode }}",
            NAME,
        )
        .with(jane())
        .reads("Jane van Doe"),
        Case::get("capitals", "profile/records/email/{{${email_address} | upcase | url_param_escape}}", NAME)
            .with(jane())
            .reads("Jane van Doe"),
        Case::get("capitals in the warehouse", "customer/records/email/jane.doe@example.com", NAME)
            .reads("Jane Doe"),
        Case::get("spaces by url_param_escape", "profile/records/name/{{name | url_param_escape}}", NAME)
            .with(jane())
            .reads("Jane van Doe"),
        // `url_encode` is for parameters: it makes a plus sign of a space, and in a path that is what it is.
        Case::get("spaces by url_encode are plus signs", "profile/records/name/{{name | url_encode}}", NAME)
            .with(jane())
            .reads("nobody"),
        Case::get("beyond ASCII", "profile/records/city/{{city | url_param_escape}}", NAME)
            .with(json!({"city": "東京"}))
            .reads("Łukasz \"Ł\" Żółć <🎧>"),
        Case::get("beyond ASCII, in an address", "profile/records/email/{{email | url_encode}}", NAME)
            .with(json!({"email": "ŁUKASZ@example.com"}))
            .reads("Łukasz \"Ł\" Żółć <🎧>"),
        Case::get("a number with zeros before it", "customer/records/id/0012345", NAME).reads("Jane Doe"),
        Case::get("a slash at the end", "customer/records/id/12345/", NAME).reads("Jane Doe"),
        Case::get("parameters", "customer/records/id/12345?utm_source=braze&user_id={{id}}", NAME)
            .with(json!({"id": 7}))
            .reads("Jane Doe"),
    ]
}

/// A GET of the customer with these options instead of the usual ones.
fn customer(name: &'static str, options: &str) -> Case {
    let call = format!(
        "{{% connected_content SERVER/v1/collections/customer/records/id/12345 :save x {options} %}}"
    );
    Case::new(name, format!("{call}{NAME}"))
}

/// Credentials: where a message has its key, and the outcome without a valid one.
pub(super) fn credentials() -> Vec<Case> {
    vec![
        customer("basic auth, the key as password", ":basic_auth larder").reads("Jane Doe"),
        customer("a stored credential", ":auth_credentials bearer")
            .reads("Jane Doe")
            .not_brazejs("it has no `:auth_credentials`"),
        customer("a header of its own", r#":headers {"X-Api-Key": "{{key}}"}"#).reads("Jane Doe"),
        customer("the scheme in lower case, with spaces", r#":headers {"Authorization": "bearer  {{key}} "}"#)
            .reads("Jane Doe"),
        customer(
            "all options of caching and retries",
            r#":method get :retry :cache_max_age 900 :headers {"Authorization": "Bearer {{key}}", "X-Campaign": "{{campaign_id}}"}"#,
        )
        .with(json!({"campaign_id": "c-1"}))
        .reads("Jane Doe"),
        customer("no key", "").reads("nobody").answered(401),
        customer("a blank key", r#":headers {"Authorization": "Bearer {{missing}}"}"#)
            .reads("nobody")
            .answered(401),
        customer("what is no key", r#":headers {"Authorization": "Bearer lrd_wrong"}"#)
            .reads("nobody")
            .answered(401),
        customer("a revoked key", r#":headers {"Authorization": "Bearer {{revoked_key}}"}"#)
            .reads("nobody")
            .answered(401),
        customer("a revoked key by basic auth", ":basic_auth revoked").reads("nobody").answered(401),
        customer("a key for another collection", r#":headers {"Authorization": "Bearer {{narrow_key}}"}"#)
            .reads("nobody")
            .answered(403),
        Case::new(
            "a key for this collection",
            call("profile/records/id/1", "").replace("{{key}}", "{{narrow_key}}") + NAME,
        )
        .reads("Jane van Doe"),
        // on_miss is for misses: a refusal stays one.
        Case::new(
            "a refusal where misses are empty",
            call("profile/records/id/1", "").replace("{{key}}", "{{revoked_key}}")
                + "{{ x.__http_status_code__ | default: 'nil' }}",
        )
        .reads("nil")
        .answered(401),
        Case::new(
            "a good call after a refused one",
            format!(
                "{}{NAME} {}{NAME}",
                call("customer/records/id/999", ""),
                call("customer/records/id/12345", "")
            ),
        )
        .reads("nobody Jane Doe")
        .calls(&[("GET", 404), ("GET", 200)]),
    ]
}
