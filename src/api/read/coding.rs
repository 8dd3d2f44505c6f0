//! Content codings (RFC 9110, section 8.4): a large body is compressed when the caller asks.
//!
//! Braze asks for gzip on every call, and compressing 1.6 kB costs three times the whole request, so small
//! bodies are not compressed. Larger ones are compressed in the handler at the fastest level; the largest
//! record, 1 MB, takes a few milliseconds. Answers to batches may be larger: see `answer_body`.

use std::io::{self, Write};

use hyper::{
    HeaderMap,
    header::{ACCEPT_ENCODING, HeaderValue},
};

/// How a body is coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, strum::IntoStaticStr)]
#[strum(serialize_all = "snake_case")]
pub(in crate::api) enum Coding {
    Identity,
    Gzip,
    Zstd,
}

/// The fastest level of each coding: the caller waits.
const GZIP_LEVEL: u32 = 1;
const ZSTD_LEVEL: i32 = 1;

impl Coding {
    /// The codings that compress, the cheapest first: the order of preference at equal weights.
    pub(in crate::api) const COMPRESSED: [Self; 2] = [Self::Zstd, Self::Gzip];

    /// The coding with the highest weight in `Accept-Encoding`. The body is not compressed if the header is
    /// absent, prefers `identity`, or accepts no coding we have (RFC 9110, section 12.5.3, allows that).
    pub(super) fn negotiate(headers: &HeaderMap) -> Self {
        let mut best = (Self::Identity, 0.0);
        for coding in Self::COMPRESSED {
            let (by_name, by_star) = coding.weights_in(headers);
            let weight = by_name.unwrap_or(by_star);
            if weight > best.1 {
                best = (coding, weight);
            }
        }
        let (identity, _) = Self::Identity.weights_in(headers);
        if identity.is_some_and(|weight| weight > best.1) { Self::Identity } else { best.0 }
    }

    /// The name in `Accept-Encoding` and `Content-Encoding`.
    pub(in crate::api) fn name(self) -> &'static str {
        self.into()
    }

    /// The value of `Content-Encoding`; `None` for an uncompressed body.
    pub(super) fn header(self) -> Option<HeaderValue> {
        (self != Self::Identity).then(|| HeaderValue::from_static(self.name()))
    }

    /// The end of an entity tag: each coding is another representation.
    pub(in crate::api) const fn tag_suffix(self) -> &'static str {
        match self {
            Self::Identity => "",
            Self::Gzip => "-gzip",
            Self::Zstd => "-zstd",
        }
    }

    /// All codings.
    pub(super) const ALL: [Self; 3] = [Self::Identity, Self::Gzip, Self::Zstd];

    /// The weight, in 0..=1, of the coding's own name, and the weight of `*`, which is for all codings
    /// without a name in the header.
    fn weights_in(self, headers: &HeaderMap) -> (Option<f32>, f32) {
        let mut of_any = 0.0;
        for line in headers.get_all(ACCEPT_ENCODING) {
            for part in line.as_bytes().split(|&byte| byte == b',') {
                let mut parameters = part.split(|&byte| byte == b';');
                let name = parameters.next().unwrap_or_default().trim_ascii();
                let weight = weight(parameters);
                let is_own = name.eq_ignore_ascii_case(self.name().as_bytes())
                    || (self == Self::Gzip && name.eq_ignore_ascii_case(b"x-gzip"));
                if is_own {
                    return (Some(weight), of_any);
                }
                if name == b"*" {
                    of_any = weight;
                }
            }
        }
        (None, of_any)
    }

    /// `body` in this coding.
    pub(super) fn encode(self, body: &[u8]) -> io::Result<Vec<u8>> {
        let buffer = Vec::with_capacity(body.len() / 2);
        match self {
            Self::Identity => Ok(body.to_vec()),
            Self::Gzip => {
                let mut encoder = flate2::write::GzEncoder::new(buffer, flate2::Compression::new(GZIP_LEVEL));
                encoder.write_all(body)?;
                encoder.finish()
            }
            Self::Zstd => zstd::bulk::compress(body, ZSTD_LEVEL),
        }
    }
}

/// The weight among a coding's parameters, as in `q=0.5` (RFC 9110, section 12.4.2); 1 if there is none, 0 if
/// it is invalid. Other parameters are ignored.
fn weight<'a>(parameters: impl Iterator<Item = &'a [u8]>) -> f32 {
    for parameter in parameters {
        let mut halves = parameter.splitn(2, |&byte| byte == b'=');
        let (name, value) = (halves.next().unwrap_or_default(), halves.next().unwrap_or_default());
        if name.trim_ascii().eq_ignore_ascii_case(b"q") {
            let text = std::str::from_utf8(value.trim_ascii()).ok();
            let weight = text.and_then(|text| text.parse::<f32>().ok());
            return weight.filter(|weight| (0.0..=1.0).contains(weight)).unwrap_or(0.0);
        }
    }
    1.0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn negotiated(lines: &[&str]) -> Coding {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(ACCEPT_ENCODING, HeaderValue::from_str(line).unwrap());
        }
        Coding::negotiate(&headers)
    }

    #[test]
    fn the_coding_with_the_highest_weight_is_negotiated() {
        use Coding::{Gzip, Identity, Zstd};
        for (lines, expected) in [
            (&[][..], Identity),
            (&[""], Identity),
            (&["identity"], Identity),
            (&["gzip"], Gzip),
            (&["GZIP"], Gzip),
            (&["x-gzip"], Gzip),
            (&["br"], Identity),
            (&["zstd"], Zstd),
            (&["gzip, deflate, br, zstd"], Zstd),
            (&["gzip, deflate, br"], Gzip),
            (&["gzip;q=1.0, zstd;q=0.5"], Gzip),
            (&["gzip ; q=0.3 ,zstd; q=0.5"], Zstd),
            (&["deflate", "gzip"], Gzip),
            (&["gzip;q=0"], Identity),
            (&["*"], Zstd),
            (&["*;q=0.1, gzip"], Gzip),
            (&["zstd;q=0, *"], Gzip),
            (&["*;q=0"], Identity),
            (&["gzip;q=x"], Identity),
            (&["gzip;q=NaN"], Identity),
            (&["gzip;q=9"], Identity),
            (&["gzip;q"], Identity),
            (&["identity;q=0"], Identity),
            (&["identity;q=1, gzip;q=0.5"], Identity),
            (&["gzip;q=0.5", "Identity"], Identity),
            (&["identity;q=0.2, gzip;q=0.5"], Gzip),
            (&["identity, gzip"], Gzip),
            (&["identity;q=0.5, *;q=0.1"], Identity),
            (&["identity;q=0.1, *;q=0.5"], Zstd),
            (&["gzip;foo=bar"], Gzip),
            (&["gzip;foo=bar;q=0"], Identity),
            (&["zstd;foo;q=0.2, gzip; foo=\"q=0\" ;Q=0.3"], Gzip),
            (&["compress, deflate"], Identity),
        ] {
            assert_eq!(negotiated(lines), expected, "{lines:?}");
        }
    }

    #[test]
    fn every_coding_can_be_decoded() {
        let body: Vec<u8> = (0..200_000_u32).flat_map(|n| (n / 7 % 251).to_le_bytes()).collect();
        for coding in Coding::ALL {
            let coded = coding.encode(&body).unwrap();
            let mut back = Vec::new();
            match coding {
                Coding::Identity => back.clone_from(&coded),
                Coding::Gzip => {
                    io::copy(&mut flate2::read::GzDecoder::new(&*coded), &mut back).unwrap();
                }
                Coding::Zstd => back = zstd::bulk::decompress(&coded, body.len()).unwrap(),
            }
            assert!(back == body, "{coding:?}");
            assert!(coding == Coding::Identity || coded.len() < body.len() / 4, "{coding:?}");
        }
    }
}
