//! What tests of pages with forms share: reading fields and notices of a page, and nodes with data of their own.

use tempfile::TempDir;

use crate::{
    admin::fixture::Fixture,
    support::node::{Node, Warehouse},
};

/// The value of the field `name`, as the page has it.
pub(super) fn field(page: &str, name: &str) -> String {
    let inputs = page.split("<input").skip(1).map(|rest| rest.split('>').next().unwrap());
    let input = inputs.into_iter().find(|input| input.contains(&format!(" name=\"{name}\"")));
    let input = input.unwrap_or_else(|| panic!("no field {name} in {page}"));
    input.split(" value=\"").nth(1).unwrap().split('"').next().unwrap().replace("&quot;", "\"")
}

/// What the page says has happened.
pub(super) fn notice(page: &str) -> &str {
    let notice = page.split("role=\"status\">").nth(1).unwrap_or_else(|| panic!("no notice in {page}"));
    notice.split("</p>").next().unwrap()
}

/// Fails if a text of the page has become a part of it.
pub(super) fn assert_escaped(page: &str) {
    let scripts = page.matches("<script").count();
    let own = page.matches("<script type=\"module\" src=\"/console/assets/").count();
    assert!(scripts == own && !page.contains("<b>") && !page.contains("href=\"javascript"), "{page}");
}

/// A node with these tables and sections.
pub(super) async fn world_of(sql: &str, sections: &str) -> Fixture {
    let directory = TempDir::new().unwrap();
    let warehouse = Warehouse::sqlite(directory.path());
    warehouse.execute(sql).await;
    Fixture::of(Node::start(directory, warehouse, sections).await).await
}
