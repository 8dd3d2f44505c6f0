//! Requests to admin listeners, with the admin keys that nodes leave in their directories.

use std::{fs, net::SocketAddr, path::Path};

use super::{
    deployment::files_below,
    http::{Answer, Client},
    process::until,
};

/// The header line with `key`.
pub(crate) fn bearer(key: &str) -> String {
    format!("Authorization: Bearer {key}\r\n")
}

/// The admin keys in the files of nodes below `directory`.
fn keys_below(directory: &Path) -> Vec<String> {
    let files = files_below(directory).into_iter().map(|(path, _)| path);
    let files = files.filter(|path| path.file_name().is_some_and(|name| name == "admin.key"));
    files.map(|path| fs::read_to_string(path).unwrap().trim().to_owned()).collect()
}

/// An admin key below `directory` that the listener at `address` takes, once there is one.
pub(crate) async fn key(address: SocketAddr, directory: &Path) -> String {
    until("an admin key", async || {
        for key in keys_below(directory) {
            let mut client = Client::connect(address).await;
            if client.ask("GET", "/admin/v1/whoami", &bearer(&key)).await.status == 200 {
                return Some(key);
            }
        }
        None
    })
    .await
}

/// Sends a request with `key`; with a body it is JSON.
pub(crate) async fn ask(
    address: SocketAddr,
    key: &str,
    method: &str,
    target: &str,
    body: Option<&str>,
) -> Answer {
    let mut client = Client::connect(address).await;
    let body = body.unwrap_or_default();
    let lines = match body.len() {
        0 => String::new(),
        bytes => format!("Content-Type: application/json\r\nContent-Length: {bytes}\r\n"),
    };
    client.request(method, target, &format!("{}{lines}", bearer(key))).await;
    client.send(body).await;
    client.answer().await
}
