//! Filters that encode and hash text.

use aws_lc_rs::{digest, hmac};
use base64::{
    Engine as _, alphabet,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use md5::{Digest as _, Md5};

use super::{Call, Failure, Filter, Made, Result, Value, filter};

const STANDARD: GeneralPurpose = base64(&alphabet::STANDARD);
const URL_SAFE: GeneralPurpose = base64(&alphabet::URL_SAFE);
/// Work of a hash beyond that of its bytes.
const HASH_UNITS: usize = 50;

/// Text is read with and without padding.
const fn base64(alphabet: &alphabet::Alphabet) -> GeneralPurpose {
    let config = GeneralPurposeConfig::new();
    GeneralPurpose::new(alphabet, config.with_decode_padding_mode(DecodePaddingMode::Indifferent))
}

pub(super) const FILTERS: &[Filter] = &[
    filter("base64_decode", (0, 0), |call| decoded(call, &STANDARD)),
    filter("base64_encode", (0, 0), |call| call.made(STANDARD.encode(call.text()?.as_bytes()))),
    filter("base64_url_safe_decode", (0, 0), |call| decoded(call, &URL_SAFE)),
    filter("base64_url_safe_encode", (0, 0), |call| call.made(URL_SAFE.encode(call.text()?.as_bytes()))),
    filter("hmac_sha1", (1, 1), |call| Ok(hex(signed(call, hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY)?))),
    filter("hmac_sha1_base64", (1, 1), |call| {
        Ok(Value::text(STANDARD.encode(signed(call, hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY)?)))
    }),
    filter("hmac_sha256", (1, 1), |call| Ok(hex(signed(call, hmac::HMAC_SHA256)?))),
    filter("hmac_sha512", (1, 1), |call| Ok(hex(signed(call, hmac::HMAC_SHA512)?))),
    filter("md5", (0, 0), |call| {
        call.meter().spend(HASH_UNITS)?;
        Ok(hex(Md5::digest(call.text()?.as_bytes())))
    }),
    filter("sha1", (0, 0), |call| hashed(call, &digest::SHA1_FOR_LEGACY_USE_ONLY)),
    filter("sha2", (0, 0), |call| hashed(call, &digest::SHA256)),
    filter("sha256", (0, 0), |call| hashed(call, &digest::SHA256)),
    filter("sha512", (0, 0), |call| hashed(call, &digest::SHA512)),
];

fn decoded<'r>(call: &Call<'_, 'r>, engine: &GeneralPurpose) -> Made<'r> {
    if matches!(call.input, Value::Int(_) | Value::Decimal(_) | Value::Bool(_)) {
        return Err(Failure::Failed);
    }
    let bytes = engine.decode(call.text()?.as_bytes()).map_err(|_| Failure::Failed)?;
    String::from_utf8(bytes).map_or(Err(Failure::Failed), |text| call.made(text))
}

fn hex<'r>(bytes: impl AsRef<[u8]>) -> Value<'r> {
    Value::text(hex::encode(bytes))
}

fn hashed<'r>(call: &Call<'_, 'r>, algorithm: &'static digest::Algorithm) -> Made<'r> {
    call.meter().spend(HASH_UNITS)?;
    Ok(hex(digest::digest(algorithm, call.text()?.as_bytes())))
}

fn signed(call: &Call<'_, '_>, algorithm: hmac::Algorithm) -> Result<hmac::Tag> {
    call.meter().spend(2 * HASH_UNITS)?;
    let key = hmac::Key::new(algorithm, call.argument(0)?.as_bytes());
    Ok(hmac::sign(&key, call.text()?.as_bytes()))
}
