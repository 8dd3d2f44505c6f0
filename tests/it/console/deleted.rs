//! Deleted sources, models and syncs: who deleted them, and storing them again.

use larder::admin::AdminRole;
use serde_json::json;

use super::{forms::field, sessions::signed_in};
use crate::admin::fixture::Fixture;

#[tokio::test(flavor = "multi_thread")]
async fn deleted_entries_are_listed_and_restored_by_admins() {
    let fixture = Fixture::start().await;
    let mut admin = signed_in(&fixture, AdminRole::Admin).await;
    let list = admin.get("/console/deleted").await;
    assert!(list.status == 200 && list.text().contains("Nothing is deleted."), "{list:?}");
    let source = json!({ "type": "sqlite", "path": fixture.node.directory.path().join("warehouse.db") });
    let model = json!({ "source": "crm", "table": "people", "primary_key": "id" });
    assert_eq!(fixture.ask("PUT", "/admin/v1/sources/crm", Some(source)).await.status, 201);
    assert_eq!(fixture.ask("PUT", "/admin/v1/models/crm", Some(model)).await.status, 201);
    for entry in ["models/crm", "sources/crm"] {
        assert_eq!(fixture.ask("DELETE", &format!("/admin/v1/{entry}"), None).await.status, 200);
    }
    let list = admin.get("/console/deleted").await.text().to_owned();
    for part in ["source crm</th>", "model crm</th>", "key:first (", "Restore version "] {
        assert!(list.contains(part), "{part}: {list}");
    }
    let mut operator = signed_in(&fixture, AdminRole::Operator).await;
    let seen = operator.get("/console/deleted").await;
    assert!(
        seen.text().contains("source crm</th>")
            && !seen.text().contains("<button class=\"quiet\" aria-label"),
        "{seen:?}"
    );

    // The forms are in the order of the entries: the model, then the source.
    let version = |entry: &str| {
        let form = list.split(&format!("action=\"/console/deleted/{entry}\"")).nth(1).unwrap();
        field(form, "version")
    };
    let of_model = version("models/crm");
    assert_eq!(operator.post("/console/deleted/models/crm", &[("version", &of_model)]).await.status, 403);
    let early = admin.post("/console/deleted/models/crm", &[("version", &of_model)]).await;
    assert!(
        early.status == 400 && early.text().contains("configuration_invalid"),
        "its source is deleted: {early:?}"
    );
    for (entry, version) in [("sources/crm", version("sources/crm")), ("models/crm", of_model.clone())] {
        let restored = admin.post(&format!("/console/deleted/{entry}"), &[("version", &version)]).await;
        let location = format!("/console/configuration/{entry}?done=saved");
        assert_eq!(restored.header("location"), Some(&*location), "{restored:?}");
    }
    let twice = admin.post("/console/deleted/models/crm", &[("version", &of_model)]).await;
    assert_eq!(twice.status, 412, "{twice:?}");
    let model = fixture.get("/admin/v1/models/crm").await;
    assert_eq!(model["settings"]["table"], "people", "{model}");
    assert!(admin.get("/console/deleted").await.text().contains("Nothing is deleted."));
    let wrong = admin.post("/console/deleted/models/crm", &[("version", "x")]).await;
    assert!(wrong.status == 400 && wrong.text().contains("invalid_input"), "{wrong:?}");
}
