//! The box that renders a message: real requests to the read API of the node, with the rights of the key.

use larder::{
    admin::AdminRole,
    domain::keyset::{KeyLimits, Scope},
};
use serde_json::json;

use super::{
    forms::{assert_escaped, world_of},
    sessions::signed_in,
    visitor::Visitor,
};
use crate::{admin::fixture::Fixture, support::http::Answer};

const PAGE: &str = "/console/collections/person/message";
const TAG: &str = "{% connected_content https://larder.example.com/v1/collections/person/records/id/{{${user_id}}} \
    :headers {\"Authorization\": \"Bearer {{key}}\"} :content_type application/json :save person %}";

async fn fixture() -> Fixture {
    let fixture = world_of(
        "create table people (id text primary key, name text, blank text);
         insert into people values ('jane@example.com', '<script>alert(1)</script>', null)",
        "[models.people]\nsource = \"warehouse\"\ntable = \"people\"\nprimary_key = \"id\"\n\
         [syncs.person]\nmodel = \"people\"\nschedule = \"manual\"\nindexes = { id = \"id\" }\n",
    )
    .await;
    fixture.run(json!({})).await;
    fixture.node.await_version("person", 1).await;
    fixture
}

async fn rendered(visitor: &mut Visitor, message: &str, value: &str, key: &str) -> Answer {
    visitor.post(PAGE, &[("message", message), ("placeholder", value), ("api_key", key)]).await
}

/// What the message prints, as the page has it.
fn printed(answer: &Answer) -> &str {
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.text().split("<pre tabindex=\"0\"><code>").nth(1).unwrap().split("</code>").next().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_is_rendered_with_the_rights_of_its_key() {
    let fixture = fixture().await;
    let key = fixture.node.create_key(Scope::AllCollections, KeyLimits::default()).await;
    let other = Scope::Collections(std::iter::once("other".parse().unwrap()).collect());
    let other = fixture.node.create_key(other, KeyLimits::default()).await;
    let mut operator = signed_in(&fixture, AdminRole::Operator).await;
    let form = operator.get(PAGE).await.text().to_owned();
    assert!(form.contains("records/id/{{${user_id}}}") && form.contains("type=\"password\""), "{form}");

    let message = format!(
        "{TAG}Hello {{{{ person.name }}}} {{{{ person.__http_status_code__ }}}}{{{{person.blank}}}}."
    );
    let found = rendered(&mut operator, &message, "jane@example.com", &key).await;
    assert_eq!(printed(&found), "Hello &lt;script&gt;alert(1)&lt;/script&gt; 200.");
    assert_escaped(found.text());
    let path = "<code>/v1/collections/person/records/id/…</code>";
    for part in
        [path, "this node in place of larder.example.com", "<td class=\"number\">200</td>", "uses the answer"]
    {
        assert!(found.text().contains(part), "{part}: {found:?}");
    }
    assert!(!found.text().contains(&key), "the key is not shown again");
    assert!(found.text().contains("value=\"jane@example.com\""), "what was entered is kept");

    for (value, key, status) in
        [("nobody", &*key, 404), ("jane@example.com", "", 401), ("jane@example.com", &other, 404)]
    {
        let empty = rendered(&mut operator, &message, value, key).await;
        assert_eq!(printed(&empty), "Hello  .", "{status}");
        let cell = format!("<td class=\"number\">{status}</td>");
        assert!(
            empty.text().contains(&cell) || empty.text().contains("<td class=\"number\">403</td>"),
            "{empty:?}"
        );
        assert!(empty.text().contains("goes on with an empty variable"), "{empty:?}");
        assert_eq!(empty.text().contains("one that this node does not know"), status == 401, "{empty:?}");
    }
    let retried = message.replace(":save", ":retry :save");
    let aborted = rendered(&mut operator, &retried, "nobody", &key).await;
    assert!(aborted.text().contains("The message is aborted and not sent"), "{aborted:?}");
    let post = "{% connected_content https://x.example.com/v1/collections/person/records/id :method post \
        :body value={{${user_id} | url_param_escape}} :save person %}{{person.id}}";
    assert_eq!(printed(&rendered(&mut operator, post, "jane@example.com", &key).await), "jane@example.com");
    let elsewhere = "{% connected_content http://127.0.0.1/admin/v1/keys %}-";
    let refused = rendered(&mut operator, elsewhere, "x", &key).await;
    assert_eq!(printed(&refused), "-");
    assert!(refused.text().contains("not the path of a record"), "{refused:?}");

    let log = fixture.get("/admin/v1/audit?limit=100").await.to_string();
    assert!(log.contains("message.render") && log.contains("1 of 1 requests answered with content"), "{log}");
    for secret in ["jane@example.com", "nobody", &key] {
        assert!(!log.contains(secret), "{secret}: {log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_message_is_marked_and_viewers_have_no_box() {
    let fixture = fixture().await;
    let mut operator = signed_in(&fixture, AdminRole::Operator).await;
    for (message, fault) in [
        ("{% connected_content %}", "a URL is expected"),
        ("{% if %}", "never closed"),
        ("{{ 1 | divided_by: 0 }}", "divides by zero"),
        ("{% for i in (1..10000000) %}{% assign x = i %}{% endfor %}", "more work than a template may"),
    ] {
        let refused = rendered(&mut operator, message, "x", "lrd_secret").await;
        assert_eq!(refused.status, 400, "{message}: {refused:?}");
        let beside =
            refused.text().split("<p id=\"message-fault\"").nth(1).unwrap_or_else(|| panic!("{refused:?}"));
        assert!(beside.split("</p>").next().unwrap().contains(fault), "{message}: {refused:?}");
        assert!(
            refused.text().contains("value=\"x\"") && !refused.text().contains("lrd_secret"),
            "{refused:?}"
        );
    }
    let log = fixture.get("/admin/v1/audit?limit=10").await.to_string();
    assert!(log.contains("failed: message_invalid"), "{log}");
    let mut viewer = signed_in(&fixture, AdminRole::Viewer).await;
    assert_eq!(viewer.get(PAGE).await.status, 403);
    assert_eq!(rendered(&mut viewer, "x", "x", "").await.status, 403);
    assert!(!viewer.get("/console/collections/person").await.text().contains("/message\""));
}
