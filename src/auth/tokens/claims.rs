//! The header and the claims of a token, before its signature is verified.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{DeserializeOwned, Error as _, IgnoredAny},
};
use serde_json::value::RawValue;

use crate::domain::{
    bounded::list_or_null,
    fields::FieldPath,
    limits::{COLLECTIONS_MAX, FIELD_PATHS_MAX},
    name::{CollectionName, IndexName},
};

/// What of a header is read. A member that occurs twice is an error.
#[derive(Debug, Deserialize)]
pub(super) struct Header {
    pub(super) alg: String,
    #[serde(default)]
    pub(super) kid: Option<String>,
    /// Extensions that must be understood (RFC 7515, section 4.1.11); none is.
    #[serde(default)]
    crit: Option<IgnoredAny>,
}

/// What of the claims is read. Other claims are ignored; one of these that occurs twice is an error.
#[derive(Debug, Deserialize)]
pub(super) struct Claims {
    pub(super) iss: String,
    aud: Audience,
    pub(super) exp: f64,
    #[serde(default)]
    pub(super) nbf: Option<f64>,
    #[serde(default)]
    pub(super) iat: Option<f64>,
    #[serde(default)]
    pub(super) sub: Option<String>,
    #[serde(default, deserialize_with = "binding")]
    pub(super) larder: Option<Binding>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Many(Vec<String>),
}

/// The claim `larder`: what the token is bound to, within what its issuer may open. A token with an unknown member is
/// refused, because a binding must not be ignored.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Binding {
    /// These collections only.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "list_or_null::<_, _, COLLECTIONS_MAX>"
    )]
    pub collections: Option<Vec<CollectionName>>,
    /// The record that has the value of `sub` in this index only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record_index: Option<IndexName>,
    /// These fields only.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "list_or_null::<_, _, FIELD_PATHS_MAX>"
    )]
    pub fields: Option<Vec<FieldPath>>,
    /// Not these fields.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        deserialize_with = "list_or_null::<_, _, FIELD_PATHS_MAX>"
    )]
    pub without_fields: Option<Vec<FieldPath>>,
}

/// Reads an object or null. serde would also read a list, whose members have no names that could be checked.
fn binding<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Binding>, D::Error> {
    let Some(raw) = Option::<Box<RawValue>>::deserialize(deserializer)? else { return Ok(None) };
    if !raw.get().starts_with('{') {
        return Err(D::Error::custom("it is no object"));
    }
    serde_json::from_str(raw.get()).map(Some).map_err(D::Error::custom)
}

impl Claims {
    pub(super) fn is_for(&self, audience: &str) -> bool {
        match &self.aud {
            Audience::One(own) => own == audience,
            Audience::Many(all) => all.iter().any(|own| own == audience),
        }
    }
}

/// The parts of a token in compact form (RFC 7515, section 7.1).
#[derive(Debug)]
pub(super) struct ParsedToken<'a> {
    pub(super) header: Header,
    pub(super) claims: Claims,
    /// What is signed: header and claims as they were sent.
    pub(super) message: &'a str,
    /// Base64.
    pub(super) signature: &'a str,
}

impl<'a> ParsedToken<'a> {
    /// Reads the parts; `None` if `token` has not exactly three or one cannot be read.
    pub(super) fn parse(token: &'a str) -> Option<Self> {
        let (message, signature) = token.rsplit_once('.')?;
        let (header, claims) = message.split_once('.')?;
        let header: Header = object(header)?;
        let parsed = Self { header, claims: object(claims)?, message, signature };
        parsed.header.crit.is_none().then_some(parsed)
    }
}

/// Reads an object. serde also reads a struct from an array.
fn object<T: DeserializeOwned>(encoded: &str) -> Option<T> {
    let json = URL_SAFE_NO_PAD.decode(encoded).ok()?;
    json.trim_ascii_start().starts_with(b"{").then(|| serde_json::from_slice(&json).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(header: &str, claims: &str) -> String {
        format!("{}.{}.c2ln", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims))
    }

    #[test]
    fn only_objects_without_duplicate_members_are_read() {
        const HEADER: &str = r#"{"alg":"ES256","typ":"JWT","jku":"https://evil.example","jwk":{}}"#;
        const CLAIMS: &str = r#"{"iss":"i","aud":"a","exp":1}"#;
        let parsed = token(HEADER, CLAIMS);
        assert_eq!(ParsedToken::parse(&parsed).unwrap().header.alg, "ES256");
        for (header, claims) in [
            (r#"{"alg":"none","alg":"ES256"}"#, CLAIMS),
            (r#"{"alg":"ES256","kid":"a","kid":"b"}"#, CLAIMS),
            (r#"{"alg":"ES256","kid":7}"#, CLAIMS),
            (r#"{"alg":"ES256","crit":["b64"],"b64":false}"#, CLAIMS),
            (r#"["ES256"]"#, CLAIMS),
            ("{}", CLAIMS),
            ("", CLAIMS),
            (HEADER, r#"{"iss":"i","aud":"a","exp":1,"exp":9}"#),
            (HEADER, r#"{"iss":"i","aud":"a","exp":1,"sub":"1","sub":"2"}"#),
            (HEADER, r#"{"iss":"i","iss":"j","aud":"a","exp":1}"#),
            (HEADER, r#"{"iss":"i","aud":"a","exp":"1"}"#),
            (HEADER, r#"{"iss":"i","aud":"a"}"#),
            (HEADER, r#"{"iss":"i","exp":1}"#),
            (HEADER, r#"{"iss":"i","aud":7,"exp":1}"#),
            (HEADER, r#"{"iss":"i","aud":"a","exp":1,"larder":{"collection":"c"}}"#),
            (HEADER, r#"{"iss":"i","aud":"a","exp":1,"larder":{"fields":["a"],"fields":["b"]}}"#),
            (HEADER, r#"{"iss":"i","aud":"a","exp":1,"larder":{"fields":["a..b"]}}"#),
            (HEADER, r#"["i","a",1]"#),
        ] {
            assert!(ParsedToken::parse(&token(header, claims)).is_none(), "{header} {claims}");
        }
        for other in ["", "..", "a.b", &format!("{parsed}.x"), &parsed.replace('.', ""), &parsed[1..]] {
            assert!(ParsedToken::parse(other).is_none(), "{other}");
        }
    }

    #[test]
    fn audience_is_one_text_or_several() {
        let claims = |aud: &str| {
            serde_json::from_str::<Claims>(&format!(r#"{{"iss":"i","aud":{aud},"exp":1.5}}"#)).unwrap()
        };
        for (aud, expected) in
            [(r#""larder""#, true), (r#"["x","larder"]"#, true), (r#""larder2""#, false), ("[]", false)]
        {
            assert_eq!(claims(aud).is_for("larder"), expected, "{aud}");
        }
    }
}
