//! `larder admin login-link`: a link that signs a browser in to the console.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use chrono::{DateTime, Utc};
use reqwest::Method;
use serde::Deserialize;
use serde_json::json;

use super::{
    args::{ConfigArguments, CreateLoginLink},
    exit::Exit,
    output::{Failure, complain, moment, print},
    remote::Remote,
    session,
};
use crate::admin::login_path;

/// A created link, as a server answers.
#[derive(Deserialize)]
struct Created {
    path: String,
    expires_at: DateTime<Utc>,
}

pub(super) async fn run(config: &ConfigArguments, arguments: CreateLoginLink) -> Result<Exit, Failure> {
    let CreateLoginLink { actor, role, url } = arguments;
    let (base, Created { path, expires_at }) = if let Some(remote) = Remote::of(config)? {
        let body = json!({ "role": role });
        let created = remote.change(Method::POST, "/admin/v1/login-links", body).await?;
        (url.unwrap_or_else(|| remote.base().to_owned()), created)
    } else {
        let listen = session::load(config)?.server.admin_listen;
        let base = url.map_or_else(|| local_url(listen), Ok)?;
        let principal = session::principal(&actor);
        let link = session::admin(config).await?.create_login_link(role, None, &principal).await?;
        (base, Created { path: login_path(&link.ticket), expires_at: link.expires_at })
    };
    print(&format!("{}{path}", base.trim_end_matches('/')))?;
    complain(&format!("The link begins one session with the role {role}, until {}.", moment(expires_at)));
    Ok(Exit::Success)
}

/// The URL of the admin listener at `listen` for a browser on this machine.
fn local_url(listen: SocketAddr) -> Result<String, Failure> {
    if listen.port() == 0 {
        let message = "server.admin_listen has no fixed port: give --url with the port that the log shows";
        return Err(Failure::Usage(message.to_owned()));
    }
    Ok(url_of(listen))
}

/// The URL of a listener at `address` for a browser on this machine: one on all addresses answers on loopback.
pub(super) fn url_of(address: SocketAddr) -> String {
    let ip = address.ip();
    let ip = if ip.is_unspecified() { IpAddr::from(Ipv4Addr::LOCALHOST) } else { ip };
    format!("http://{}", SocketAddr::new(ip, address.port()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_of_a_listener_is_one_that_a_browser_opens() {
        for (listen, expected) in [
            ("127.0.0.1:8081", "http://127.0.0.1:8081"),
            ("0.0.0.0:8081", "http://127.0.0.1:8081"),
            ("[::]:8081", "http://127.0.0.1:8081"),
            ("[::1]:8081", "http://[::1]:8081"),
            ("10.0.0.7:80", "http://10.0.0.7:80"),
        ] {
            assert_eq!(local_url(listen.parse().unwrap()).unwrap(), expected);
        }
        assert!(matches!(local_url("127.0.0.1:0".parse().unwrap()), Err(Failure::Usage(_))));
    }
}
