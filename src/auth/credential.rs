//! Finds the key of a request: `Authorization: Bearer`, `Authorization: Basic` with the key
//! as password, or `X-Api-Key`.

use base64::{Engine, engine::general_purpose::STANDARD};

/// Why a credential is refused. Holds nothing of the credential.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// The request carries no credential.
    Missing,
    /// The text does not have the form of a key, or its checksum is wrong: cut off, mistyped, a placeholder.
    Malformed,
    /// The key was never created, is revoked, or has not reached this node yet.
    Unknown,
    /// The key has expired.
    Expired,
    /// The token has a wrong form, issuer, audience, algorithm, signature or lifetime, or claims that contradict the
    /// configuration.
    TokenInvalid,
    /// The issuer has no such key, or its keys have not reached this node yet.
    TokenKeyUnknown,
    /// The token has expired.
    TokenExpired,
    /// The token is for later.
    TokenNotYetValid,
}

/// Bytes for a decoded Basic credential: a key, a colon and a user name of up to 125 bytes. Only the end
/// of a longer one is kept.
pub const SCRATCH_BYTES: usize = 192;
/// Characters that are decoded at once: whole groups of four that fill the buffer.
const BLOCK_CHARS: usize = SCRATCH_BYTES / 3 * 4;

/// The text of the credential, from the values of the two headers.
///
/// `Authorization` takes precedence; if it is absent, empty, or of another scheme, `X-Api-Key` is
/// used. A template whose placeholder stays empty sends `Bearer` with nothing after it, which is
/// [`Refusal::Missing`]. `scratch` holds a decoded Basic credential, so that nothing is allocated.
pub fn credential<'a>(
    authorization: Option<&'a [u8]>,
    api_key: Option<&'a [u8]>,
    scratch: &'a mut [u8; SCRATCH_BYTES],
) -> Result<&'a str, Refusal> {
    let (scheme, rest) = split_scheme(authorization.unwrap_or_default());
    let found = if scheme.eq_ignore_ascii_case(b"bearer") && !rest.is_empty() {
        rest
    } else if scheme.eq_ignore_ascii_case(b"basic") && !rest.is_empty() {
        password(rest, scratch).ok_or(Refusal::Malformed)?
    } else {
        match api_key.map(<[u8]>::trim_ascii) {
            Some(key) if !key.is_empty() => key,
            // An unknown scheme is not a missing key.
            _ if !rest.is_empty() => return Err(Refusal::Malformed),
            _ => return Err(Refusal::Missing),
        }
    };
    std::str::from_utf8(found).map_err(|_| Refusal::Malformed)
}

/// `Bearer   abc ` → (`Bearer`, `abc`); RFC 9110, section 11.4, and extra spaces.
fn split_scheme(value: &[u8]) -> (&[u8], &[u8]) {
    let value = value.trim_ascii();
    match value.iter().position(u8::is_ascii_whitespace) {
        Some(at) => (&value[..at], value[at..].trim_ascii_start()),
        None => (value, &[]),
    }
}

/// The text after the first colon of a decoded `user:password` (RFC 7617, section 2). The user name is
/// ignored and may be as long as a header: it is decoded block by block.
fn password<'a>(encoded: &[u8], scratch: &'a mut [u8; SCRATCH_BYTES]) -> Option<&'a [u8]> {
    let mut rest = encoded;
    loop {
        let (block, after) = rest.split_at(rest.len().min(BLOCK_CHARS));
        // Padding is allowed only at the end.
        if !after.is_empty() && block.ends_with(b"=") {
            return None;
        }
        let length = STANDARD.decode_slice(block, scratch).ok()?;
        match scratch[..length].iter().position(|&byte| byte == b':') {
            Some(colon) if after.is_empty() => return Some(&scratch[colon + 1..length]),
            Some(colon) => {
                // Decode again from the group that has the next byte. A text that does not fit now is no key.
                let (groups, before) = ((colon + 1) / 3, (colon + 1) % 3);
                let length = STANDARD.decode_slice(&rest[4 * groups..], scratch).ok()?;
                return scratch[..length].get(before..);
            }
            None if after.is_empty() => return None,
            None => rest = after,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_of_every_form_are_found() {
        let basic = format!("Basic {}", STANDARD.encode("braze:KEY"));
        let no_user = format!("bAsIc   {}", STANDARD.encode(":KEY"));
        let no_colon = format!("Basic {}", STANDARD.encode("KEY"));
        let long = format!("Basic {}", STANDARD.encode(format!("{}:KEY", "u".repeat(500))));
        let padded = format!("Basic {}=={}", "A".repeat(BLOCK_CHARS - 2), STANDARD.encode("a:KEY"));
        for (authorization, api_key, expected) in [
            (Some("Bearer KEY"), None, Ok("KEY")),
            (Some("bearer KEY"), None, Ok("KEY")),
            (Some("BEARER \t  KEY  "), None, Ok("KEY")),
            (Some(" Bearer KEY"), Some("OTHER"), Ok("KEY")),
            (Some(basic.as_str()), None, Ok("KEY")),
            (Some(no_user.as_str()), None, Ok("KEY")),
            (None, Some(" KEY "), Ok("KEY")),
            (Some("Bearer"), Some("KEY"), Ok("KEY")),
            (Some("Digest x"), Some("KEY"), Ok("KEY")),
            (None, None, Err(Refusal::Missing)),
            (Some(""), Some(""), Err(Refusal::Missing)),
            (Some("Bearer"), None, Err(Refusal::Missing)),
            (Some("Bearer   "), None, Err(Refusal::Missing)),
            (Some("Basic"), None, Err(Refusal::Missing)),
            (Some("Digest x"), None, Err(Refusal::Malformed)),
            (Some("Basic !!!"), None, Err(Refusal::Malformed)),
            (Some(no_colon.as_str()), None, Err(Refusal::Malformed)),
            (Some(long.as_str()), None, Ok("KEY")),
            (Some(padded.as_str()), None, Err(Refusal::Malformed)),
        ] {
            let mut scratch = [0; SCRATCH_BYTES];
            let found =
                credential(authorization.map(str::as_bytes), api_key.map(str::as_bytes), &mut scratch);
            assert_eq!(found, expected, "{authorization:?} {api_key:?}");
        }
    }

    #[test]
    fn user_name_may_be_as_long_as_a_header() {
        for length in (0..1000).chain([24_000]) {
            for password in ["", "KEY", "with:colon", &"x".repeat(100)] {
                let basic =
                    format!("Basic {}", STANDARD.encode(format!("{}:{password}", "u".repeat(length))));
                let mut scratch = [0; SCRATCH_BYTES];
                assert_eq!(credential(Some(basic.as_bytes()), None, &mut scratch), Ok(password), "{length}");
            }
        }
        let basic = format!("Basic {}", STANDARD.encode(format!("u:{}", "x".repeat(500))));
        assert_eq!(credential(Some(basic.as_bytes()), None, &mut [0; _]), Err(Refusal::Malformed));
    }

    #[test]
    fn bytes_that_are_not_text_are_malformed() {
        let mut scratch = [0; SCRATCH_BYTES];
        assert_eq!(credential(Some(b"Bearer \xff\xfe"), None, &mut scratch), Err(Refusal::Malformed));
    }
}
