//! Content codings (RFC 9110, section 8.4): a large body is compressed when the caller asks.
//!
//! Braze asks on every call, and compressing 1.6 kB costs three times the whole request: small bodies
//! go as they are. Larger ones are compressed where they are answered, at the fastest level; the
//! largest record, 1 MB, takes a few milliseconds.

use std::io::{self, Write};

use hyper::{
    HeaderMap,
    header::{ACCEPT_ENCODING, HeaderValue},
};

/// How a body is coded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::api) enum Coding {
    Identity,
    Gzip,
    Brotli,
    Zstd,
}

/// Brotli's window, as a power of two: the largest record fits.
const BROTLI_WINDOW_BITS: u32 = 20;
/// The fastest level of each coding: the caller waits.
const GZIP_LEVEL: u32 = 1;
const BROTLI_QUALITY: u32 = 1;
const ZSTD_LEVEL: i32 = 1;

impl Coding {
    /// Those that compress, the cheapest first: what is preferred among what a caller likes equally.
    pub(in crate::api) const COMPRESSED: [Self; 3] = [Self::Zstd, Self::Brotli, Self::Gzip];

    /// The coding that the caller likes best. A caller that does not ask gets the body as it is; so
    /// does one that accepts nothing we have (RFC 9110, section 12.5.3, allows it).
    pub(super) fn chosen_by(headers: &HeaderMap) -> Self {
        let mut best = (Self::Identity, 0.0);
        for coding in Self::COMPRESSED {
            let weight = coding.weight_in(headers);
            if weight > best.1 {
                best = (coding, weight);
            }
        }
        best.0
    }

    /// The name in `Accept-Encoding` and `Content-Encoding`.
    pub(in crate::api) const fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Gzip => "gzip",
            Self::Brotli => "br",
            Self::Zstd => "zstd",
        }
    }

    /// What `Content-Encoding` says; nothing of a body as it is.
    pub(super) fn header(self) -> Option<HeaderValue> {
        (self != Self::Identity).then(|| HeaderValue::from_static(self.name()))
    }

    /// What an entity tag ends with: another coding is another representation.
    pub(in crate::api) const fn tag_suffix(self) -> &'static str {
        match self {
            Self::Identity => "",
            Self::Gzip => "-gzip",
            Self::Brotli => "-br",
            Self::Zstd => "-zstd",
        }
    }

    /// All codings.
    pub(super) const ALL: [Self; 4] = [Self::Identity, Self::Gzip, Self::Brotli, Self::Zstd];

    /// The weight, in 0..=1, that the caller gives the coding, by name or by `*`.
    fn weight_in(self, headers: &HeaderMap) -> f32 {
        let mut of_any = 0.0;
        for line in headers.get_all(ACCEPT_ENCODING) {
            for part in line.as_bytes().split(|&byte| byte == b',') {
                let mut parameters = part.split(|&byte| byte == b';');
                let name = parameters.next().unwrap_or_default().trim_ascii();
                let weight = parameters.next().map_or(1.0, weight);
                let is_own = name.eq_ignore_ascii_case(self.name().as_bytes())
                    || (self == Self::Gzip && name.eq_ignore_ascii_case(b"x-gzip"));
                if is_own {
                    return weight;
                }
                if name == b"*" {
                    of_any = weight;
                }
            }
        }
        of_any
    }

    /// `body` in this coding.
    pub(super) fn encode(self, body: &[u8]) -> io::Result<Vec<u8>> {
        let room = Vec::with_capacity(body.len() / 2);
        match self {
            Self::Identity => Ok(body.to_vec()),
            Self::Gzip => {
                let mut encoder = flate2::write::GzEncoder::new(room, flate2::Compression::new(GZIP_LEVEL));
                encoder.write_all(body)?;
                encoder.finish()
            }
            Self::Brotli => {
                let mut encoder =
                    brotli::CompressorWriter::new(room, body.len(), BROTLI_QUALITY, BROTLI_WINDOW_BITS);
                encoder.write_all(body)?;
                encoder.flush()?;
                Ok(encoder.into_inner())
            }
            Self::Zstd => zstd::bulk::compress(body, ZSTD_LEVEL),
        }
    }
}

/// `q=0.5` (RFC 9110, section 12.4.2); what cannot be read is a refusal.
fn weight(parameter: &[u8]) -> f32 {
    let parameter = parameter.trim_ascii();
    let digits = parameter.strip_prefix(b"q=").or_else(|| parameter.strip_prefix(b"Q="));
    let text = digits.and_then(|digits| std::str::from_utf8(digits).ok());
    let weight = text.and_then(|text| text.parse::<f32>().ok());
    weight.filter(|weight| (0.0..=1.0).contains(weight)).unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(lines: &[&str]) -> Coding {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(ACCEPT_ENCODING, HeaderValue::from_str(line).unwrap());
        }
        Coding::chosen_by(&headers)
    }

    #[test]
    fn the_caller_is_given_what_it_likes_best() {
        use Coding::{Brotli, Gzip, Identity, Zstd};
        for (lines, expected) in [
            (&[][..], Identity),
            (&[""], Identity),
            (&["identity"], Identity),
            (&["gzip"], Gzip),
            (&["GZIP"], Gzip),
            (&["x-gzip"], Gzip),
            (&["br"], Brotli),
            (&["zstd"], Zstd),
            (&["gzip, deflate, br, zstd"], Zstd),
            (&["gzip, deflate, br"], Brotli),
            (&["gzip;q=1.0, br;q=0.5"], Gzip),
            (&["gzip ; q=0.3 ,br; q=0.5"], Brotli),
            (&["deflate", "gzip"], Gzip),
            (&["gzip;q=0"], Identity),
            (&["*"], Zstd),
            (&["*;q=0.1, gzip"], Gzip),
            (&["zstd;q=0, *"], Brotli),
            (&["*;q=0"], Identity),
            (&["gzip;q=x"], Identity),
            (&["gzip;q=NaN"], Identity),
            (&["gzip;q=9"], Identity),
            (&["identity;q=0"], Identity),
            (&["compress, deflate"], Identity),
        ] {
            assert_eq!(chosen(lines), expected, "{lines:?}");
        }
    }

    #[test]
    fn every_coding_gives_the_body_back() {
        let body: Vec<u8> = (0..200_000_u32).flat_map(|n| (n / 7 % 251).to_le_bytes()).collect();
        for coding in Coding::ALL {
            let coded = coding.encode(&body).unwrap();
            let mut back = Vec::new();
            match coding {
                Coding::Identity => back.clone_from(&coded),
                Coding::Gzip => {
                    io::copy(&mut flate2::read::GzDecoder::new(&*coded), &mut back).unwrap();
                }
                Coding::Brotli => {
                    io::copy(&mut brotli::Decompressor::new(&*coded, 4096), &mut back).unwrap();
                }
                Coding::Zstd => back = zstd::bulk::decompress(&coded, body.len()).unwrap(),
            }
            assert!(back == body, "{coding:?}");
            assert!(coding == Coding::Identity || coded.len() < body.len() / 4, "{coding:?}");
        }
    }
}
