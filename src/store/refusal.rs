//! Explains why a storage service refused a request: the code and message in the body of its answer.
//!
//! The rest of a body never leaves this module: it may contain key ids and signed text.

use std::io::{self, ErrorKind};

use object_store::{Error as Source, client::HttpError};
use serde::Deserialize;

use crate::support::connection_words::with_hint;

/// Longest code, message and whole text that are reported, in bytes.
const CODE_BYTES_MAX: usize = 64;
const MESSAGE_BYTES_MAX: usize = 200;
const TEXT_BYTES_MAX: usize = 500;
/// A run of letters and digits of this length in a message may be a key id.
const KEY_CHARACTERS_MIN: usize = 16;
/// The text before status and body in an error of the store's client.
const ANSWERED: [&str; 2] = ["Server returned non-2xx status code: ", "Server returned error response: "];
/// The client's text for a redirect without an address, which S3 answers from a wrong region.
const BARE_REDIRECT: &str = "Received redirect without LOCATION";
/// Hosts that give a machine its identity; the client requests it when no credentials are configured.
const IDENTITY_HOSTS: [&str; 2] = ["://169.254.169.254/", "://metadata.google.internal/"];

/// What is known about a failed request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    /// The cause, when it has a message of its own.
    pub(super) cause: Option<Cause>,
    /// Code and message of the service, or the status of its answer; empty without an answer.
    pub(super) answer: String,
    /// The request and its answer, or why there is no answer, on one line.
    pub(super) detail: String,
}

/// A cause that does not depend on the requested object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// The bucket, or container, does not exist.
    NoBucket,
    /// It is in another region than the one that was asked.
    OtherRegion,
    /// The credentials are unknown, or do not allow the request.
    Denied,
    /// The object ends before the requested range.
    TooShort,
    /// No credentials are configured, and the machine has no identity of its own.
    NoCredentials,
}

impl Refusal {
    /// Reads an error of the store's client.
    pub(super) fn of(source: &Source) -> Self {
        let mut refusal = Self::in_text(&source.to_string());
        if let Some(reason) = root_cause(source).filter(|reason| !refusal.detail.contains(reason.as_str())) {
            refusal.detail = format!("{}: {}", refusal.detail, one_line(&reason, TEXT_BYTES_MAX));
        }
        if matches!(source, Source::PermissionDenied { .. } | Source::Unauthenticated { .. }) {
            refusal.cause = refusal.cause.or(Some(Cause::Denied));
        }
        if let Some(denied) = denied_by_system(source) {
            refusal.cause = Some(Cause::Denied);
            refusal.answer = one_line(&denied.to_string(), MESSAGE_BYTES_MAX);
        }
        refusal
    }

    /// Reads the text of an error: the client keeps an answer nowhere else.
    fn in_text(text: &str) -> Self {
        let parts = ANSWERED.iter().find_map(|mark| text.split_once(mark));
        let (request, response) = parts.unwrap_or((text, ""));
        let (status, body) = response.split_once(": ").unwrap_or((response, ""));
        let (code, message) =
            in_xml(body).or_else(|| in_json(body)).or_else(|| in_bulk(text)).unwrap_or_default();
        let code = Some(code).filter(|code| is_code(code)).unwrap_or_default();
        let cause = cause(&code, &message, status, text);
        let status = one_line(status, CODE_BYTES_MAX);
        let message = one_line(&without_keys(&message), MESSAGE_BYTES_MAX);
        let answer = match (code.is_empty(), message.is_empty()) {
            (true, true) => status.clone(),
            (true, false) => message,
            (false, true) => code,
            (false, false) => format!("{code}: {message}"),
        };
        let mut detail = one_line(&without_parameters(request), TEXT_BYTES_MAX);
        if !status.is_empty() {
            detail = format!("{detail} {status}");
        }
        if !answer.is_empty() && answer != status {
            detail = format!("{detail} ({answer})");
        }
        Self { cause, answer, detail }
    }
}

/// Why a request got no answer: the system's, DNS' or TLS' own words and what to do, which the client's text lacks.
/// `None` for requests that were answered.
fn root_cause(source: &Source) -> Option<String> {
    let first: &dyn std::error::Error = source;
    let mut chain = std::iter::successors(Some(first), |error| error.source());
    chain.find(|error| error.is::<HttpError>())?;
    let reason = without_parameters(&chain.last()?.to_string());
    Some(with_hint(&reason, "[storage] ca_file or the variable SSL_CERT_FILE"))
}

/// The system's error when this process may not do it in a directory of this machine.
fn denied_by_system(source: &Source) -> Option<&io::Error> {
    let Source::Generic { store: "LocalFileSystem", source } = source else { return None };
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(source.as_ref());
    while let Some(error) = cause {
        let system = error.downcast_ref::<io::Error>();
        let kinds = [ErrorKind::PermissionDenied, ErrorKind::ReadOnlyFilesystem];
        if let Some(system) = system.filter(|system| kinds.contains(&system.kind())) {
            return Some(system);
        }
        cause = error.source();
    }
    None
}

fn cause(code: &str, message: &str, status: &str, text: &str) -> Option<Cause> {
    if IDENTITY_HOSTS.iter().any(|host| text.contains(host)) {
        return Some(Cause::NoCredentials);
    }
    match code {
        "NoSuchBucket" | "ContainerNotFound" => Some(Cause::NoBucket),
        "InvalidRange" => Some(Cause::TooShort),
        "PermanentRedirect" | "IllegalLocationConstraintException" => Some(Cause::OtherRegion),
        // The code for a malformed key id, too.
        "AuthorizationHeaderMalformed" if message.contains("region") => Some(Cause::OtherRegion),
        "AuthorizationHeaderMalformed"
        | "AccessDenied"
        | "AuthenticationFailed"
        | "ExpiredToken"
        | "InvalidAccessKeyId"
        | "InvalidAuthenticationInfo"
        | "InvalidToken"
        | "SignatureDoesNotMatch"
        | "TokenRefreshRequired" => Some(Cause::Denied),
        _ if text.contains(BARE_REDIRECT) => Some(Cause::OtherRegion),
        _ if status.starts_with("401") || status.starts_with("403") => Some(Cause::Denied),
        _ => None,
    }
}

/// Code and message of a body of S3, Google or Azure.
fn in_xml(body: &str) -> Option<(String, String)> {
    let code = element(body, "Code")?;
    Some((code.to_owned(), unescaped(element(body, "Message").unwrap_or_default())))
}

/// The text of the first element of this name.
fn element<'a>(body: &'a str, name: &str) -> Option<&'a str> {
    let (_, after) = body.split_once(&format!("<{name}>"))?;
    after.split_once('<').map(|(text, _)| text)
}

fn unescaped(text: &str) -> String {
    let named =
        [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#34;", "\""), ("&apos;", "'"), ("&#39;", "'")];
    let text = named.iter().fold(text.to_owned(), |text, (name, letter)| text.replace(name, letter));
    text.replace("&amp;", "&")
}

/// Code and message of a body of a token service.
fn in_json(body: &str) -> Option<(String, String)> {
    #[derive(Deserialize)]
    struct Answer {
        error: String,
        #[serde(default)]
        error_description: String,
    }
    let answer: Answer = serde_json::from_str(body).ok()?;
    Some((answer.error, answer.error_description))
}

/// Code and message of one of many deletes: `...failed for key k: Message (code: Code)`.
fn in_bulk(text: &str) -> Option<(String, String)> {
    let (_, failure) = text.split_once("DeleteObjects request failed for key ")?;
    let (message, code) = failure.strip_suffix(')')?.rsplit_once(" (code: ")?;
    let message = message.split_once(": ").map_or("", |(_, message)| message);
    Some((code.to_owned(), message.to_owned()))
}

fn is_code(code: &str) -> bool {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    !code.is_empty() && code.len() <= CODE_BYTES_MAX && code.bytes().all(is_letter)
}

/// The first line of a message, without runs of characters that may be a key id. Azure quotes the signed text
/// on the other lines.
fn without_keys(message: &str) -> String {
    let first = message.trim_start().lines().next().unwrap_or_default();
    let is_key = |run: &str| {
        run.len() >= KEY_CHARACTERS_MIN
            && (run.bytes().any(|byte| byte.is_ascii_digit())
                || run.bytes().all(|byte| byte.is_ascii_uppercase()))
    };
    let mut kept = String::new();
    for run in first.split_inclusive(|letter: char| !letter.is_ascii_alphanumeric()) {
        let word = run.trim_end_matches(|letter: char| !letter.is_ascii_alphanumeric());
        kept.push_str(if is_key(word) { "..." } else { word });
        kept.push_str(&run[word.len()..]);
    }
    kept
}

/// Removes the parameters of addresses: some contain a signature.
fn without_parameters(text: &str) -> String {
    let words = text.split(' ').map(|word| match word.split_once('?') {
        Some((address, _)) if address.contains("://") => format!("{address}?..."),
        _ => word.to_owned(),
    });
    words.collect::<Vec<_>>().join(" ")
}

/// Printable text on one line, cut after `bytes_max` bytes.
fn one_line(text: &str, bytes_max: usize) -> String {
    let text = text.replace(char::is_control, " ");
    let mut line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.len() > bytes_max {
        line.truncate(line.floor_char_boundary(bytes_max));
        line.push_str("...");
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    const REQUEST: &str = "Generic S3 error: Error performing GET http://h/b/catalog/head in 2ms - ";

    fn answered(status: &str, body: &str) -> Refusal {
        Refusal::in_text(&format!("{REQUEST}Server returned non-2xx status code: {status}: {body}"))
    }

    fn xml(code: &str, message: &str, more: &str) -> String {
        format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code>\
             <Message>{message}</Message>{more}<RequestId>4442587FB7D0A2F9</RequestId></Error>"
        )
    }

    #[test]
    fn refusals_have_a_cause_and_the_code_of_the_service() {
        use Cause::{Denied, NoBucket, OtherRegion, TooShort};
        for (status, code, cause) in [
            ("404 Not Found", "NoSuchBucket", Some(NoBucket)),
            ("404 Not Found", "ContainerNotFound", Some(NoBucket)),
            ("404 Not Found", "NoSuchKey", None),
            ("416 Range Not Satisfiable", "InvalidRange", Some(TooShort)),
            ("301 Moved Permanently", "PermanentRedirect", Some(OtherRegion)),
            ("400 Bad Request", "IllegalLocationConstraintException", Some(OtherRegion)),
            ("403 Forbidden", "AccessDenied", Some(Denied)),
            ("403 Forbidden", "InvalidAccessKeyId", Some(Denied)),
            ("403 Forbidden", "SignatureDoesNotMatch", Some(Denied)),
            ("403 Forbidden", "RequestTimeTooSkewed", Some(Denied)),
            ("403 Forbidden", "AuthorizationPermissionMismatch", Some(Denied)),
            ("401 Unauthorized", "NoAuthenticationInformation", Some(Denied)),
            ("400 Bad Request", "ExpiredToken", Some(Denied)),
            ("503 Service Unavailable", "SlowDown", None),
            ("500 Internal Server Error", "InternalError", None),
        ] {
            let refusal = answered(status, &xml(code, "It is so.", ""));
            assert_eq!(refusal.cause, cause, "{code}");
            assert_eq!(refusal.answer, format!("{code}: It is so."));
            assert_eq!(refusal.detail, format!("{} {status} ({code}: It is so.)", REQUEST.trim_end()));
        }
    }

    #[test]
    fn wrong_region_and_malformed_key_id_are_distinguished() {
        let malformed = |message: &str| {
            answered(
                "400 Bad Request",
                &xml("AuthorizationHeaderMalformed", message, "<Region>eu-west-1</Region>"),
            )
        };
        let region = malformed(
            "The authorization header is malformed; the region &#39;us-east-1&#39; is wrong; expecting &#39;eu-west-1&#39;",
        );
        assert_eq!(region.cause, Some(Cause::OtherRegion));
        assert!(
            region.answer.ends_with("the region 'us-east-1' is wrong; expecting 'eu-west-1'"),
            "{}",
            region.answer
        );
        let key = malformed(
            "The authorization header is malformed; a non-empty Access Key (AKID) must be provided.",
        );
        assert_eq!(key.cause, Some(Cause::Denied));
        let bare = Refusal::in_text(&format!(
            "{REQUEST}{BARE_REDIRECT}, this normally indicates an incorrectly configured region"
        ));
        assert_eq!(bare.cause, Some(Cause::OtherRegion));
    }

    #[test]
    fn key_ids_and_signed_text_are_not_reported() {
        let secrets = "<AWSAccessKeyId>AKIAIOSFODNN7EXAMPLE</AWSAccessKeyId><StringToSign>AWS4-HMAC-SHA256 \
                       AKIAIOSFODNN7EXAMPLE</StringToSign><SignatureProvided>frJIUN8DYpKDtOLCwo</SignatureProvided>";
        for (message, kept) in [
            ("The AWS Access Key Id you provided does not exist in our records.", "in our records."),
            (
                "The key AKIAIOSFODNN7EXAMPLE, or AKIAIOSFODNNXEXAMPLE, is unknown",
                "The key ..., or ..., is unknown",
            ),
            ("Server failed to authenticate.\nRequestId:1\nTime:AKIAIOSFODNN7EXAMPLE", "to authenticate."),
            (&format!("long {}", "word ".repeat(1000)), "..."),
        ] {
            let refusal = answered("403 Forbidden", &xml("InvalidAccessKeyId", message, secrets));
            assert!(refusal.answer.ends_with(kept), "{}", refusal.answer);
            for text in [&refusal.answer, &refusal.detail] {
                assert!(!text.contains("AKIA") && !text.contains("frJI") && !text.contains('\n'), "{text}");
                assert!(text.len() < 1000);
            }
        }
        // A body without a store's code comes from a proxy; only its status is reported.
        for body in ["<html><Code>AKIAIOSFODNN7EXAMPLE and more</Code></html>", "AKIAIOSFODNN7EXAMPLE", "{}"]
        {
            let refusal = answered("502 Bad Gateway", body);
            assert_eq!(refusal.detail, format!("{} 502 Bad Gateway", REQUEST.trim_end()));
        }
    }

    #[test]
    fn missing_credentials_are_recognized() {
        for text in [
            "Generic GCS error: Error performing token request: Error performing GET \
             http://169.254.169.254/computeMetadata/v1/instance/service-accounts/default/token?audience=x in 6s, \
             after 3 retries, max_retries: 3, retry_timeout: 8s  - HTTP error: error sending request",
            "Generic MicrosoftAzure error: Error performing token request: Error performing GET \
             http://169.254.169.254/metadata/identity/oauth2/token?api-version=2019-08-01 in 4s - HTTP error: x",
            "Generic S3 error: Error performing PUT http://169.254.169.254/latest/api/token in 4s - HTTP error: x",
        ] {
            let refusal = Refusal::in_text(text);
            assert_eq!(refusal.cause, Some(Cause::NoCredentials));
            assert!(!refusal.detail.contains("audience") && !refusal.detail.contains("api-version"));
            assert_eq!(refusal.answer, "");
        }
        let refusal =
            answered("400 Bad Request", r#"{"error":"invalid_grant","error_description":"Invalid JWT."}"#);
        assert_eq!(refusal.answer, "invalid_grant: Invalid JWT.");
    }

    #[test]
    fn refusal_of_one_delete_among_many_is_recognized() {
        let text =
            "Generic S3 error: DeleteObjects request failed for key a/b: Access Denied (code: AccessDenied)";
        let refusal = Refusal::in_text(text);
        assert_eq!((refusal.cause, &*refusal.answer), (Some(Cause::Denied), "AccessDenied: Access Denied"));
    }
}
