//! What a storage service says when it refuses a request: its own code and message, taken from the
//! body of its answer. The rest of a body is never told: it may hold key ids and what was signed.

use object_store::Error as Source;
use serde::Deserialize;

/// Longest code, message and whole text that are told, in bytes.
const CODE_BYTES_MAX: usize = 64;
const MESSAGE_BYTES_MAX: usize = 200;
const TEXT_BYTES_MAX: usize = 500;
/// From this length on a run of letters and digits in a message may be the id of a key.
const KEY_CHARACTERS_MIN: usize = 16;
/// What stands before status and body in the words of the store's client.
const ANSWERED: [&str; 2] = ["Server returned non-2xx status code: ", "Server returned error response: "];
/// What its client says of a redirect that names no address: S3's answer from a wrong region.
const BARE_REDIRECT: &str = "Received redirect without LOCATION";
/// Hosts that give a machine's own identity; they are asked when no credentials are configured.
const IDENTITY_HOSTS: [&str; 2] = ["://169.254.169.254/", "://metadata.google.internal/"];

/// A failed request, as far as its error tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    /// The cause, when it is one that has advice of its own.
    pub(super) cause: Option<Cause>,
    /// Code and message of the service, or the status of its answer; empty without an answer.
    pub(super) said: String,
    /// One line of all that is known: the request and what was said, or why no answer came.
    pub(super) told: String,
}

/// A cause that does not depend on what was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// The bucket, or container, does not exist.
    NoBucket,
    /// It is in another region than the one that was asked.
    OtherRegion,
    /// Who asks is not known, or may not.
    Denied,
    /// The object ends before the bytes that were asked for.
    TooShort,
    /// No credentials are configured, and the machine has no identity of its own.
    NoCredentials,
}

impl Refusal {
    /// Reads what `source` says.
    pub(super) fn of(source: &Source) -> Self {
        let mut refusal = Self::in_text(&source.to_string());
        if matches!(source, Source::PermissionDenied { .. } | Source::Unauthenticated { .. }) {
            refusal.cause = refusal.cause.or(Some(Cause::Denied));
        }
        refusal
    }

    /// The store's client keeps an answer in the text of its errors alone.
    fn in_text(text: &str) -> Self {
        let answer = ANSWERED.iter().find_map(|mark| text.split_once(mark));
        let (request, answer) = answer.unwrap_or((text, ""));
        let (status, body) = answer.split_once(": ").unwrap_or((answer, ""));
        let (code, message) =
            in_xml(body).or_else(|| in_json(body)).or_else(|| in_bulk(text)).unwrap_or_default();
        let code = Some(code).filter(|code| is_code(code)).unwrap_or_default();
        let cause = cause(&code, &message, status, text);
        let status = one_line(status, CODE_BYTES_MAX);
        let message = one_line(&without_keys(&message), MESSAGE_BYTES_MAX);
        let said = match (code.is_empty(), message.is_empty()) {
            (true, true) => status.clone(),
            (true, false) => message,
            (false, true) => code,
            (false, false) => format!("{code}: {message}"),
        };
        let mut told = one_line(&without_parameters(request), TEXT_BYTES_MAX);
        if !status.is_empty() {
            told = format!("{told} {status}");
        }
        if !said.is_empty() && said != status {
            told = format!("{told} ({said})");
        }
        Self { cause, said, told }
    }
}

fn cause(code: &str, message: &str, status: &str, text: &str) -> Option<Cause> {
    if IDENTITY_HOSTS.iter().any(|host| text.contains(host)) {
        return Some(Cause::NoCredentials);
    }
    match code {
        "NoSuchBucket" | "ContainerNotFound" => Some(Cause::NoBucket),
        "InvalidRange" => Some(Cause::TooShort),
        "PermanentRedirect" | "IllegalLocationConstraintException" => Some(Cause::OtherRegion),
        // Said of a key id that is none, too.
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

/// Code and message of the body that S3, Google and Azure answer.
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

/// Code and message of a service that gives tokens.
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

/// Code and message of one of many deletions: `...failed for key k: Message (code: Code)`.
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

/// A message without what may be the id of a key, and without what follows its first line: Azure
/// tells there what was signed.
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

/// Addresses without their parameters: some hold a signature.
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
    fn refusals_have_a_cause_and_keep_the_word_of_the_service() {
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
            assert_eq!(refusal.said, format!("{code}: It is so."));
            assert_eq!(refusal.told, format!("{} {status} ({code}: It is so.)", REQUEST.trim_end()));
        }
    }

    #[test]
    fn a_wrong_region_is_told_from_a_wrong_key_id() {
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
            region.said.ends_with("the region 'us-east-1' is wrong; expecting 'eu-west-1'"),
            "{}",
            region.said
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
    fn no_key_and_nothing_that_was_signed_is_told() {
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
            assert!(refusal.said.ends_with(kept), "{}", refusal.said);
            for text in [&refusal.said, &refusal.told] {
                assert!(!text.contains("AKIA") && !text.contains("frJI") && !text.contains('\n'), "{text}");
                assert!(text.len() < 1000);
            }
        }
        // A body that is no answer of a store is a proxy's, and says less than its status.
        for body in ["<html><Code>AKIAIOSFODNN7EXAMPLE and more</Code></html>", "AKIAIOSFODNN7EXAMPLE", "{}"]
        {
            let refusal = answered("502 Bad Gateway", body);
            assert_eq!(refusal.told, format!("{} 502 Bad Gateway", REQUEST.trim_end()));
        }
    }

    #[test]
    fn who_has_no_credentials_is_told_so() {
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
            assert!(!refusal.told.contains("audience") && !refusal.told.contains("api-version"));
            assert_eq!(refusal.said, "");
        }
        let refusal =
            answered("400 Bad Request", r#"{"error":"invalid_grant","error_description":"Invalid JWT."}"#);
        assert_eq!(refusal.said, "invalid_grant: Invalid JWT.");
    }

    #[test]
    fn one_of_many_deletions_is_refused() {
        let text =
            "Generic S3 error: DeleteObjects request failed for key a/b: Access Denied (code: AccessDenied)";
        let refusal = Refusal::in_text(text);
        assert_eq!((refusal.cause, &*refusal.said), (Some(Cause::Denied), "AccessDenied: Access Denied"));
    }
}
