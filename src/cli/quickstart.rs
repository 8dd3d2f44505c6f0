//! `larder quickstart`: a sample warehouse, a configuration, a key and a running server.

use std::{fs, io::Write, os::unix::fs::OpenOptionsExt, path::Path, time::Duration};

use anyhow::Context as _;
use base64::{Engine as _, prelude::BASE64_STANDARD};

use super::{
    args::{ConfigArguments, Quickstart},
    exit::Exit,
    login_link::url_of,
    output::{Failure, complain, print},
    serve, session,
};
use crate::{
    admin::{AdminRole, FIRST_KEY_FILE, NewKey, Principal, login_path},
    app::{self, Server, Signals},
    domain::keyset::{KeyLimits, Scope},
    source::sample,
    support::{clock::Clock, private_file::create_directory, random},
    telemetry,
};

/// The configuration that the user gets to edit.
const CONFIGURATION: &str = include_str!("../../config/quickstart.toml");
/// The keys of `[server]` that stay when the server is started without the flags of its first start.
const ADDRESSES: [&str; 3] = ["listen", "admin_listen", "public_url"];
/// How long the sample may take to be served.
const READY_TIMEOUT: Duration = Duration::from_mins(1);

pub(super) async fn run(config: &ConfigArguments, arguments: Quickstart) -> Result<Exit, Failure> {
    let directory = arguments.directory;
    let config_arguments = config.with_file(directory.join("larder.toml"));
    let data = directory.join("data");
    create_directory(&data).with_context(|| format!("cannot create {}", data.display()))?;
    let warehouse = data.join("warehouse.db");
    if !warehouse.exists() {
        complain(&format!("creating the sample warehouse {}", warehouse.display()));
        sample::create(&warehouse)
            .await
            .with_context(|| format!("cannot create the sample warehouse {}", warehouse.display()))?;
    }
    let is_new = !config_arguments.file.exists();
    if is_new {
        let secrets = data.join("secrets.key");
        if !secrets.exists() {
            write_new(&secrets, &BASE64_STANDARD.encode(random::bytes::<32>()), 0o600)?;
        }
        write_new(&config_arguments.file, CONFIGURATION, 0o644)?;
        complain(&format!("wrote {}", config_arguments.file.display()));
    } else {
        complain(&format!("using {} as it is", config_arguments.file.display()));
    }
    let config = session::load(&config_arguments)?;
    if is_new {
        // Not before they are known to be valid.
        let text = with_addresses(&config_arguments);
        fs::write(&config_arguments.file, text)
            .with_context(|| format!("cannot write {}", config_arguments.file.display()))?;
    }
    telemetry::init(&config.telemetry).map_err(anyhow::Error::new)?;
    app::provide_descriptors(config.server.connections_max);
    let signals = Signals::new();
    let public_url = config.server.public_url.clone();
    let scheme = if config.server.tls.is_some() { "https" } else { "http" };
    let node = Server::start(config, Clock::default()).await?;
    let key_file = data.join("quickstart.key");
    let key = sample_key(&node, &key_file).await?;
    let in_time = tokio::time::timeout(READY_TIMEOUT, wait_until_served(&node, &key)).await;
    in_time.map_err(|_| {
        anyhow::anyhow!("the sample was not served within {} s; the log says why", READY_TIMEOUT.as_secs())
    })?;
    let url = public_url.unwrap_or_else(|| format!("{scheme}://127.0.0.1:{}", node.public_address().port()));
    let admin = node.publisher().await.admin();
    let link = admin.create_login_link(AdminRole::Admin, None, &Principal::internal("quickstart")).await?;
    let link = format!("{}{}", url_of(node.admin_address()), login_path(&link.ticket));
    print(&welcome(&url, &key, &key_file, &config_arguments.file, &warehouse, &link))?;
    Ok(serve::until_stopped(node, signals, &config_arguments).await)
}

/// The configuration with the addresses that flags have set: `larder serve` then has the same.
fn with_addresses(arguments: &ConfigArguments) -> String {
    let mut lines: Vec<String> = CONFIGURATION.lines().map(str::to_owned).collect();
    for key in ADDRESSES {
        let Some(value) = arguments.given(&format!("server.{key}")) else { continue };
        let line = format!("{key} = {}", serde_json::Value::from(value));
        if let Some(known) = lines.iter_mut().find(|line| line.starts_with(&format!("{key} = "))) {
            *known = line;
        } else if let Some(section) = lines.iter().position(|line| line == "[server]") {
            lines.insert(section + 1, line);
        }
    }
    lines.join("\n") + "\n"
}

/// The key of an earlier start, when it still works; else a new one.
async fn sample_key(server: &Server, file: &Path) -> Result<String, Failure> {
    let publisher = server.publisher().await;
    if let Ok(text) = fs::read_to_string(file) {
        let text = text.trim();
        if publisher.is_active_key(text).await? {
            return Ok(text.to_owned());
        }
    }
    let new = NewKey {
        name: "quickstart".to_owned(),
        grant: Scope::AllCollections,
        expires_at: None,
        limits: KeyLimits::default(),
    };
    let key = publisher.create_key(new, &Principal::internal("quickstart")).await?.done;
    let _ = fs::remove_file(file);
    write_new(file, key.expose(), 0o600)?;
    Ok(key.expose().to_owned())
}

async fn wait_until_served(server: &Server, key: &str) {
    let mut look = tokio::time::interval(Duration::from_millis(20));
    while !(server.knows_key(key) && ["customer", "product"].iter().all(|name| server.serves(name))) {
        look.tick().await;
    }
}

fn write_new(path: &Path, text: &str, mode: u32) -> Result<(), Failure> {
    let write = || {
        let mut options = fs::OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(mode).open(path)?;
        file.write_all(text.as_bytes())
    };
    Ok(write().with_context(|| format!("cannot write {}", path.display()))?)
}

fn welcome(url: &str, key: &str, key_file: &Path, config: &Path, warehouse: &Path, link: &str) -> String {
    let id = sample::EXAMPLE_CUSTOMER;
    let admin_key_file = key_file.with_file_name(FIRST_KEY_FILE);
    let admin_key_file = admin_key_file.display();
    let (config, warehouse, key_file) = (config.display(), warehouse.display(), key_file.display());
    format!(
        r#"
Larder serves {customers} customers and {products} products. Try:

  curl -H 'Authorization: Bearer {key}' {url}/v1/collections/customer/records/id/{id}

In a Braze message (Braze calls ports 80 and 443 only; put your public address here):

  {{% connected_content
       {url}/v1/collections/customer/records/id/{{{{${{user_id}}}}}}
       :method get
       :headers {{"Authorization": "Bearer {key}"}}
       :content_type application/json
       :save customer
  %}}
  {{{{customer.recommendations.concerts[0].artist}}}}

Change a row, and see it served within seconds:

  sqlite3 {warehouse} "update customers set full_name = 'Jane Roe' where user_id = {id}"

Open the console in a browser, once and within ten minutes; `larder admin login-link` prints another link:

  {link}

The configuration is {config}; the key is also in {key_file}, and the key of the admin API in
{admin_key_file}. Ctrl-C ends the server."#,
        customers = sample::CUSTOMERS,
        products = sample::PRODUCTS,
    )
}
