//! Values that a driver would refuse only when it connects, and would name by its own words.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;

use crate::settings::certificates;

/// What is wrong with a value, as the end of a sentence, and what to write.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    pub(super) message: &'static str,
    pub(super) hint: &'static str,
}

/// A check of a value; the closure tells which keys the section has.
pub(super) type Check = fn(&str, &dyn Fn(&str) -> bool) -> Result<(), Wrong>;

/// The label of a private key of PKCS #8 with a passphrase.
const ENCRYPTED: &str = "ENCRYPTED PRIVATE KEY";
/// The first byte of a key in DER.
const DER_SEQUENCE: u8 = 0x30;

/// A private key of PKCS #8 in PEM.
pub(super) fn key_pair(text: &str, has: &dyn Fn(&str) -> bool) -> Result<(), Wrong> {
    const FORM: &str = "write it in the form PKCS #8: openssl pkcs8 -topk8 -nocrypt -in FILE -out FILE.p8; without \
                        -nocrypt for a key with a passphrase";
    match pem(text) {
        Some((ENCRYPTED, true)) if !has("private_key_passphrase") => Err(Wrong {
            message: "is encrypted, and no passphrase is given",
            hint: "write private_key_passphrase = \"${PASSPHRASE}\" too",
        }),
        Some(("PRIVATE KEY" | ENCRYPTED, true)) => Ok(()),
        Some((label, true)) if label.ends_with("PRIVATE KEY") => {
            Err(Wrong { message: "is a private key of another form than PKCS #8", hint: FORM })
        }
        _ => Err(Wrong {
            message: "is not a private key in PEM form",
            hint: "name the file that begins with -----BEGIN PRIVATE KEY----- or -----BEGIN ENCRYPTED PRIVATE KEY-----",
        }),
    }
}

/// The label of a PEM text, and whether its content is in DER. Keys of older forms have headers before it.
fn pem(text: &str) -> Option<(&str, bool)> {
    let (label, rest) = text.split_once("-----BEGIN ")?.1.split_once("-----")?;
    let (content, _) = rest.split_once("-----END ")?;
    let content: String = content.lines().filter(|line| !line.contains(':')).map(str::trim).collect();
    let der = STANDARD.decode(content).ok();
    let is_der = der.is_some_and(|der| der.first() == Some(&DER_SEQUENCE) || label.contains("OPENSSH"));
    Some((label, is_der))
}

/// Certificates in PEM.
pub(super) fn authorities(text: &str, _: &dyn Fn(&str) -> bool) -> Result<(), Wrong> {
    let hint = "name a file that begins with -----BEGIN CERTIFICATE-----";
    let found = certificates(&Ok(text.as_bytes().to_vec()));
    found.map(drop).map_err(|_| Wrong { message: "holds no certificate in PEM form", hint })
}

/// The name of an account of Snowflake, and not its address.
pub(super) fn account(text: &str, _: &dyn Fn(&str) -> bool) -> Result<(), Wrong> {
    const HINT: &str =
        "write account = \"organization-account\", without https:// and .snowflakecomputing.com";
    if text.contains(['/', ':', '@', ' ']) || text.ends_with(".snowflakecomputing.com") {
        return Err(Wrong { message: "is not the name of an account", hint: HINT });
    }
    Ok(())
}

/// The credentials of Google in JSON: their `type` says which.
pub(super) fn json_credentials(text: &str, _: &dyn Fn(&str) -> bool) -> Result<(), Wrong> {
    const HINT: &str =
        "write the key of a service account, as Google gives it: {\"type\": \"service_account\", ...}";
    let read = serde_json::from_str::<Value>(text).unwrap_or_default();
    let has = |key: &str| read[key].as_str().is_some_and(|text| !text.is_empty());
    let needed: &[&str] = match read["type"].as_str() {
        Some("service_account") => &["client_email", "private_key"],
        _ => &["type"],
    };
    if needed.iter().all(|key| has(key)) {
        return Ok(());
    }
    let message = if read.is_object() {
        "lacks `type`, or a key that credentials of this type have"
    } else {
        "is not a JSON object"
    };
    Err(Wrong { message, hint: HINT })
}

/// A size as DuckDB reads it.
pub(super) fn memory_limit(text: &str, _: &dyn Fn(&str) -> bool) -> Result<(), Wrong> {
    const UNITS: &str = " b byte bytes k kb kib kilobyte kilobytes m mb mib megabyte megabytes g gb gib gigabyte \
                         gigabytes t tb tib terabyte terabytes %";
    let lower = text.trim().to_ascii_lowercase();
    let end = lower.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(lower.len());
    let (number, unit) = lower.split_at(end);
    if lower == "none" || number.parse::<f64>().is_ok() && UNITS.split(' ').any(|known| known == unit.trim())
    {
        return Ok(());
    }
    Err(Wrong { message: "is not a size of DuckDB", hint: "write memory_limit = \"4GB\"" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_keys_are_distinguished_from_other_files() {
        let pem = |label: &str, content: &str| {
            format!("-----BEGIN {label}-----\n{content}\n-----END {label}-----\n")
        };
        for (text, fault) in [
            (pem("PRIVATE KEY", "MIIE"), None),
            (pem(ENCRYPTED, "MIIE\nMIIE"), None),
            (pem("RSA PRIVATE KEY", "MIIE"), Some("PKCS #8")),
            (
                pem("RSA PRIVATE KEY", "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nMIIE"),
                Some("PKCS #8"),
            ),
            (pem("OPENSSH PRIVATE KEY", "b3BlbnNzaC1rZXk="), Some("PKCS #8")),
            (pem("PRIVATE KEY", "hello world"), Some("PEM")),
            (pem("CERTIFICATE", "MIIE"), Some("PEM")),
            ("garbage".to_owned(), Some("PEM")),
            (String::new(), Some("PEM")),
        ] {
            let found = key_pair(&text, &|_| true).err().map(|wrong| wrong.message);
            assert_eq!(found.is_some(), fault.is_some(), "{text}: {found:?}");
            assert!(fault.is_none_or(|part| found.unwrap_or_default().contains(part)), "{text}: {found:?}");
            let without = key_pair(&text, &|_| false).err().map(|wrong| wrong.message);
            assert_eq!(found == without, !text.contains("BEGIN ENCRYPTED"), "{text}: {without:?}");
        }
    }

    #[test]
    fn credentials_and_sizes_that_cannot_work_are_refused() {
        for (text, is_good) in [
            ("{}", false),
            ("", false),
            ("[]", false),
            ("{\"type\": \"service_account\"}", false),
            ("{\"type\": \"service_account\", \"client_email\": \"a@b\", \"private_key\": \"x\"}", true),
            ("{\"type\": \"external_account\"}", true),
        ] {
            assert_eq!(json_credentials(text, &|_| false).is_ok(), is_good, "{text}");
        }
        for (text, is_good) in [
            ("1GB", true),
            ("512 MiB", true),
            ("1.5tb", true),
            ("80%", true),
            ("none", true),
            ("much", false),
            ("1 GBit", false),
            ("-1GB", false),
            ("GB", false),
        ] {
            assert_eq!(memory_limit(text, &|_| false).is_ok(), is_good, "{text}");
        }
    }
}
