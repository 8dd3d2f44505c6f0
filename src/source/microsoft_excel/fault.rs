//! What Microsoft's refusals mean.

use reqwest::StatusCode;
use serde::Deserialize;

use crate::{
    source::error::{Error, cause, of_database},
    support::result_code::Meaning,
};

/// A refusal of the login server.
#[derive(Deserialize)]
struct LoginRefusal {
    error: String,
    #[serde(default)]
    error_codes: Vec<u32>,
}

/// A refusal of Microsoft Graph.
#[derive(Deserialize)]
struct Refusal {
    error: Words,
}

#[derive(Deserialize)]
struct Words {
    code: String,
}

/// Why an application gets no token. The description is left out: it may repeat what was sent.
///
/// <https://learn.microsoft.com/entra/identity-platform/reference-error-codes>
pub(super) fn of_login(body: &[u8], client_id: &str) -> Option<Error> {
    let LoginRefusal { error, error_codes } = serde_json::from_slice(body).ok()?;
    let code = error_codes.first().copied().unwrap_or_default();
    let message =
        format!("Microsoft gives no token to the application {client_id}: {} (AADSTS{code})", word(&error));
    let (cause, hint) = match code {
        90002 | 900_023 => (cause::LOGIN_REFUSED, "check `tenant`: there is no such directory"),
        700_016 => (cause::LOGIN_REFUSED, "check `client_id`: the tenant has no such application"),
        7_000_222 => (cause::WRONG_PASSWORD, "make a new client secret: this one has expired"),
        7_000_215 => (cause::WRONG_PASSWORD, "check client_secret: write the secret's value, not its id"),
        700_027 => (
            cause::WRONG_PASSWORD,
            "add the certificate to the app registration, and check that key_file belongs to it",
        ),
        _ if error == "temporarily_unavailable" => {
            return Some(of_database(Meaning::Unavailable, message));
        }
        _ => (cause::LOGIN_REFUSED, "check tenant, client_id and the credentials of the app registration"),
    };
    Some(Error::new(cause, message).with_hint(hint))
}

/// Why Microsoft Graph does not give something.
pub(super) fn of_graph(body: &[u8], status: StatusCode) -> Option<Error> {
    let code = serde_json::from_slice::<Refusal>(body).ok()?.error.code;
    let message = format!("Microsoft Graph refused the request: {} (HTTP status {status})", word(&code));
    Some(match status.as_u16() {
        401 => Error::new(cause::WRONG_PASSWORD, message)
            .with_hint("check that the app registration has permissions for Microsoft Graph"),
        403 => Error::new(cause::PERMISSION_DENIED, message).with_hint(
            "give the application the permission Files.Read.All with an administrator's consent, or \
             Sites.Selected and read access to the site",
        ),
        404 => Error::new(cause::FILE_MISSING, message)
            .with_hint("check the source's share_url, or its drive, site or user, and its path or item"),
        423 => of_database(Meaning::Locked, message),
        429 | 500..=599 => of_database(Meaning::Unavailable, message),
        _ => of_database(Meaning::Statement, message),
    })
}

/// A code of a refusal, which has letters only.
fn word(code: &str) -> &str {
    let is_word = |code: &str| {
        code.len() <= 64 && code.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
    };
    if is_word(code) { code } else { "no reason is given" }
}
