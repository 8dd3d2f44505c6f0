//! Tables with long names in Chromium: they break, the tables scroll in their own boxes, and what a row is about stays in view.

use larder::{
    admin::{AdminRole, NewKey},
    domain::keyset::{KeyLimits, Scope},
};
use serde_json::{Value, json};

use super::{
    accessibility::faults_of,
    browser::{arrived, sign_in},
    sessions::change_metadata,
};
use crate::{admin::fixture::Fixture, support::node::tester};

/// Of each table how much wider than its box it is, which cells are too narrow for their text, and after it was scrolled to its
/// end, where its first cells are, in parts of the box.
const TABLES: &str = "return [...document.querySelectorAll('.table')].map(box => {
    box.scrollLeft = box.scrollWidth;
    const [outer, first] = [box, box.querySelector('tbody tr > :first-child')].map(one => one.getBoundingClientRect());
    return { label: box.ariaLabel, wider: box.scrollWidth - box.clientWidth,
      left: (first.left - outer.left) / outer.width, right: (first.right - outer.left) / outer.width,
      spilt: [...box.querySelectorAll('th, td')].filter(cell => cell.scrollWidth > cell.clientWidth + 1).map(cell => cell.innerText),
      highest: Math.max(...[...box.querySelectorAll('tbody tr')].map(row => row.offsetHeight)) };
  })";

#[tokio::test(flavor = "multi_thread")]
async fn tables_with_long_names_are_readable_at_both_widths() {
    let fixture = Fixture::start().await;
    fixture.run(json!({})).await;
    let name = "n".repeat(200);
    let new = NewKey { name, grant: Scope::AllCollections, expires_at: None, limits: KeyLimits::default() };
    fixture.node.publisher().await.create_key(new, &tester()).await.unwrap();
    change_metadata(
        &fixture,
        "insert into audit_log (at, actor, action, subject, detail, address) \
         values (4000000000000000, printf('%.200c', 'a'), 'key.create', printf('%.200c', 's'), \
         printf('%.200c', 'd') || char(10) || 'name: \"a\" -> \"b\"', '10.0.0.7')",
    )
    .await;
    let (browser, origin) = sign_in(&fixture, AdminRole::Admin).await;
    let mut faults = Vec::new();
    for path in
        ["/console/keys", "/console/audit", "/console/admin-keys", "/console/syncs/person", "/console"]
    {
        browser.open(&format!("{origin}{path}")).await;
        arrived(&browser, path).await;
        faults.extend(faults_of(&browser, &format!("{path} long")).await);
        for width in [400, 1600] {
            browser.show_as(width, "light").await;
            for table in browser.run(TABLES, Value::Null).await.unwrap().as_array().unwrap() {
                let number = |key: &str| table[key].as_f64().unwrap();
                assert!(width == 400 || number("wider") <= 0.0, "{path}: {table}");
                let stays = number("left") > -0.01 && number("right") < 0.6;
                assert!(width == 1600 || stays, "{path}: what a row is about is out of view: {table}");
                assert_eq!(
                    table["spilt"],
                    json!([]),
                    "{path} at {width} px: text is over other cells: {table}"
                );
                assert!(number("highest") < 700.0, "{path}: {table}");
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}
