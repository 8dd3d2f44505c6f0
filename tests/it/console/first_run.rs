//! The first run in Chromium, from `larder quickstart` to a record that the read API serves: on SQLite with the mouse, on
//! Postgres by keyboard alone.

use serde_json::{Value, json};

use super::browser::{arrived, shows, text};
use crate::support::{
    browser::{ARROW_DOWN, Browser, ENTER, TAB},
    deployment::NodeDirectory,
    http::Client,
    node::Warehouse,
    process::{Process, until},
};

const CUSTOMERS: &str = "create table customers (id integer primary key, first text, email text);
    insert into customers values (1, 'Ann', 'Ann@Example.com'), (2, 'Bob', null)";

/// Most elements that the key Tab passes on a page.
const STOPS_MAX: usize = 300;
/// Most options of a list.
const OPTIONS_MAX: usize = 50;

/// Somebody at the browser. No script clicks or sets a value.
struct Person {
    browser: Browser,
    has_mouse: bool,
}

impl Person {
    /// Goes on with Tab until the element has the focus.
    async fn focus(&self, selector: &str) {
        for _ in 0..STOPS_MAX {
            let is_there = "return document.activeElement?.matches(argument)";
            if self.browser.peek(is_there, json!(selector)).await == Some(true.into()) {
                return;
            }
            self.browser.type_keys(&TAB.to_string()).await;
        }
        panic!("Tab does not lead to {selector}");
    }

    /// Waits for the element, and clicks it or goes to it.
    async fn reach(&self, selector: &str) {
        text(&self.browser, selector).await;
        if self.has_mouse {
            self.browser.on_element(selector, "click", &json!({})).await;
        } else {
            self.focus(selector).await;
        }
    }

    /// Presses a button, follows a link, or with the key of a blank ticks a box.
    async fn press(&self, selector: &str, key: char) {
        self.reach(selector).await;
        if !self.has_mouse {
            self.browser.type_keys(&key.to_string()).await;
        }
    }

    async fn enter(&self, selector: &str) {
        self.press(selector, ENTER).await;
    }

    /// Writes a text in place of that of a field.
    async fn write(&self, selector: &str, value: &str) {
        self.reach(selector).await;
        self.browser.select_all().await;
        self.browser.type_keys(value).await;
    }

    /// Chooses an option of a list.
    async fn choose(&self, selector: &str, value: &str) {
        if self.has_mouse {
            return self.reach(&format!("{selector} option[value='{value}']")).await;
        }
        self.reach(selector).await;
        let chosen = "return document.activeElement.value";
        for _ in 0..OPTIONS_MAX {
            if self.browser.peek(chosen, Value::Null).await == Some(value.into()) {
                return;
            }
            self.browser.type_keys(&ARROW_DOWN.to_string()).await;
        }
        panic!("{selector} has no {value}");
    }

    async fn shows(&self, text: &str) {
        shows(&self.browser, text).await;
    }

    async fn arrived(&self, path: &str) {
        arrived(&self.browser, path).await;
    }
}

const SAVE: &str = "#entry > div.row > button[value=save]";

/// From nothing but a new deployment to a served record. `table` is that of the customers, `setting` the one of the source.
async fn first_run(has_mouse: bool, source_type: &str, setting: (&str, &str), table: &str) {
    let node = NodeDirectory::new("create table unused (id)", "").await;
    let directory = node.path().join("quick");
    let arguments = ["quickstart", "--directory", directory.to_str().unwrap()];
    let variables = [("LARDER_LISTEN", "127.0.0.1:0"), ("LARDER_ADMIN_LISTEN", "127.0.0.1:0")];
    let mut server = node.spawn_with(&arguments, &variables);
    let link = |server: &Process| {
        let stdout = server.stdout();
        stdout.lines().find(|line| line.contains("/console/sign-in/lrl_")).map(|line| line.trim().to_owned())
    };
    let link = server.until("the link", link).await;
    let person = Person { browser: Browser::start().await, has_mouse };
    person.browser.open(&link).await;
    person.enter("main form button").await;
    person.arrived("/console").await;

    person.enter("nav a[href='/console/configuration/sources']").await;
    person.enter("a.button[href='/console/new/sources']").await;
    person.enter(&format!("a[href$='type={source_type}']")).await;
    person.arrived(&format!("/console/new/sources?type={source_type}")).await;
    let (key, value) = setting;
    person.write("#name", "shop").await;
    person.write(&format!("#{key}"), value).await;
    person.enter("button[value=connect]").await;
    person.shows("The source answers").await;
    person.enter(SAVE).await;
    person.arrived("/console/configuration/sources/shop?done=saved").await;

    person.enter("nav a[href='/console/configuration/models']").await;
    person.enter("a.button[href='/console/new/models']").await;
    person.arrived("/console/new/models").await;
    person.write("#name", "buyers").await;
    person.choose("#source", "shop").await;
    person.enter("button[value=tables]").await;
    person.enter(&format!("button[name=pick][value='{table}']")).await;
    person.shows("Ann@Example.com").await;
    person.write("#primary_key", "id").await;
    person.enter("button[value=key]").await;
    person.shows("2 rows, no nulls, no value occurs more than once.").await;
    person.enter(SAVE).await;
    person.arrived("/console/configuration/models/buyers?done=saved").await;

    person.enter("a.button[href='/console/new/syncs?model=buyers']").await;
    person.shows("first: \"Ann\"").await;
    person.write("#name", "client").await;
    let index = |field: &str| format!("#indexes li:nth-child(2) [name=index_{field}]");
    person.enter("button[value=index-add]").await;
    person.write(&index("name"), "mail").await;
    person.write(&index("columns"), "email").await;
    person.enter("#indexes li:nth-child(2) summary").await;
    person.write(&index("normalize"), "trim, lowercase").await;
    person.enter("#fields button[value=columns]").await;
    text(&person.browser, "#fields li:nth-child(3)").await;
    person.enter("#fields button[value=add]").await;
    let field = |field: &str| format!("#fields li:nth-child(4) [name=field_{field}]");
    person.write(&field("name"), "hello.text").await;
    person.choose(&field("kind"), "liquid").await;
    person.write(&field("value"), "Hi {{ first }}").await;
    person.shows("text: \"Hi Ann\"").await;
    person.write("#schedule", "manual").await;
    person.enter(SAVE).await;
    person.arrived("/console/configuration/syncs/client?done=saved").await;

    person.enter("a[href='/console/syncs/client']").await;
    person.enter("form[action$='/run'] button").await;
    person.shows("Statusannounced").await;
    person.enter("nav a[href='/console/keys']").await;
    person.enter("a[href='/console/keys/new']").await;
    person.write("#name", "braze").await;
    person.press("input[name=collection][value=client]", ' ').await;
    person.enter("main form button").await;
    person.shows("Key created").await;
    let key =
        person.browser.run("return document.querySelector('#secret').value", Value::Null).await.unwrap();
    let header = format!("Authorization: Bearer {}\r\n", key.as_str().unwrap());
    let address = server.listening().await;
    let record = until("the record", async || {
        let target = "/v1/collections/client/records/mail/ANN@example.com";
        let answer = Client::connect(address).await.ask("GET", target, &header).await;
        (answer.status == 200).then(|| answer.json())
    })
    .await;
    let expected =
        json!({ "id": 1, "first": "Ann", "email": "Ann@Example.com", "hello": { "text": "Hi Ann" } });
    assert_eq!(record, expected);

    person.enter("nav a[href='/console']").await;
    person.enter("main a[href='/console/collections/client']").await;
    person.choose("#index", "mail").await;
    person.write("#value", "ANN@example.com").await;
    person.enter("form[action$='/records'] button").await;
    person.shows("text: \"Hi Ann\"").await;
    person.shows("/v1/collections/client/records/mail/ann%40example.com").await;
    person.shows("/v1/collections/client/records/mail/{{${email_address} | url_param_escape}}").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn first_run_on_sqlite_leads_from_quickstart_to_a_served_record() {
    let directory = tempfile::tempdir().unwrap();
    let warehouse = Warehouse::sqlite(directory.path());
    warehouse.execute(CUSTOMERS).await;
    let path = directory.path().join("warehouse.db");
    first_run(true, "sqlite", ("path", path.to_str().unwrap()), "customers").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn first_run_on_postgres_needs_no_mouse() {
    let Warehouse::Postgres(database) = Warehouse::postgres().await else { unreachable!() };
    database.execute(&format!("{CUSTOMERS}; grant select on customers to locked")).await;
    let url = database.url_of("locked:secret");
    first_run(false, "postgres", ("url", &url), "public.customers").await;
}
