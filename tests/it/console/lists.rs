//! Lists of the console: nodes, regions, and the audit log, page by page.

use larder::admin::AdminRole;
use serde_json::json;

use super::{
    sessions::{change_metadata, signed_in},
    visitor::Visitor,
};
use crate::{admin::fixture::Fixture, support::process::until};

#[tokio::test(flavor = "multi_thread")]
async fn nodes_show_their_state_versions_and_last_report() {
    let fixture = Fixture::start().await;
    fixture.run(json!({})).await;
    fixture.node.await_version("person", 1).await;
    let mut visitor = signed_in(&fixture, AdminRole::Viewer).await;
    let list = until("the status of the node", async || {
        let list = visitor.get("/console/nodes").await.text().to_owned();
        list.contains("<span>ready</span>").then_some(list)
    })
    .await;
    let begin = "href=\"/console/nodes/";
    let path = list.split(begin).nth(1).unwrap().split('"').next().unwrap();
    let row = "<th scope=\"row\">person</th><td class=\"number\">1</td><td class=\"number\">1</td>";
    let page = until("the version in the status", async || {
        let page = visitor.get(&format!("/console/nodes/{path}")).await.text().to_owned();
        page.contains(row).then_some(page)
    })
    .await;
    for text in ["publisher", env!("CARGO_PKG_VERSION"), "revision", "s ago"] {
        assert!(page.contains(text), "{text}: {page}");
    }
    let behind = visitor.get(&format!("/console/nodes/{path}?cursor=person")).await;
    assert!(!behind.text().contains(row), "{behind:?}");
    for unknown in ["/console/nodes/nowhere/x", &format!("/console/nodes/nowhere/{path}")] {
        assert_eq!(visitor.get(unknown).await.status, 404, "{unknown}");
    }
}

/// The entries of a page, by what they are about, and the link to the next page.
async fn entries(visitor: &mut Visitor, path: &str) -> (Vec<String>, Option<String>) {
    let page = visitor.get(path).await;
    assert_eq!(page.status, 200, "{path}: {page:?}");
    let details = page.text().split("<td class=\"lines\">").skip(1);
    let details = details.map(|rest| rest.split("</td>").next().unwrap().to_owned()).collect();
    let links = page.text().split("<a href=\"").skip(1).filter(|link| link.contains("rel=\"next\""));
    let next = links.map(|link| link.split('"').next().unwrap().replace("&amp;", "&")).next();
    (details, next)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_audit_log_goes_on_page_by_page_and_by_subject() {
    let fixture = Fixture::start().await;
    // 250 entries, ten of them at the same time.
    change_metadata(
        &fixture,
        "with recursive n(i) as (select 1 union all select i + 1 from n where i < 250) \
         insert into audit_log (at, actor, action, subject, detail, address) \
         select 4000000000000000 + i / 10, 'jane', 'key.create', case i % 5 when 0 then 'five' else 'other' end, \
         'entry ' || i || char(10) || '<b>name</b>: \"a\" -> \"b\"', '10.0.0.7' from n",
    )
    .await;
    let mut visitor = signed_in(&fixture, AdminRole::Viewer).await;
    let (mut seen, mut next) = (Vec::new(), Some("/console/audit?subject=five".to_owned()));
    while let Some(path) = next {
        let (details, follows) = entries(&mut visitor, &path).await;
        seen.extend(details);
        next = follows;
    }
    let expected: Vec<String> =
        (1..=250).rev().filter(|i| i % 5 == 0).map(|i| format!("entry {i}\n")).collect();
    assert_eq!(seen.len(), expected.len());
    for (seen, expected) in seen.iter().zip(&expected) {
        assert!(seen.starts_with(expected), "{seen} {expected}");
        assert!(seen.ends_with("&lt;b&gt;name&lt;/b&gt;: &quot;a&quot; -&gt; &quot;b&quot;"), "{seen}");
    }
    let (first, next) = entries(&mut visitor, "/console/audit").await;
    assert_eq!(first.len(), 100);
    let (second, _) = entries(&mut visitor, &next.unwrap()).await;
    assert!(second[0].starts_with("entry 150\n") && second.len() == 100, "{}", second[0]);
    let page = visitor.get("/console/audit").await;
    for text in ["jane", "10.0.0.7", "key.create", "href=\"/console/audit?subject=five\""] {
        assert!(page.text().contains(text), "{text}");
    }
    let wrong = visitor.get("/console/audit?cursor=x").await;
    assert!(wrong.status == 400 && wrong.text().contains("invalid_input"), "{wrong:?}");
    let (none, _) = entries(&mut visitor, "/console/audit?subject=nosuch").await;
    assert!(none.is_empty());
}
