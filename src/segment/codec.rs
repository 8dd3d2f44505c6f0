//! The storage of bodies: plain, or one zstd frame each, without magic number, dictionary id and checksum.

use std::sync::Arc;

use zstd::zstd_safe::{CCtx, CParameter, DCtx, DParameter, FrameFormat, compress_bound, get_error_name};

use super::{Dictionary, Error, Segment};
use crate::domain::limits::RECORD_BYTES_MAX;

/// zstd's level: 1 compresses realistic records as well as 3 does, at less cost; 9 and above cost far more than
/// they save.
const LEVEL: i32 = 1;
/// Entries of zstd's table of positions, as a power of two: twice the level's default, which finds more matches
/// in the dictionary.
const HASH_LOG: u32 = 15;

/// How the bodies of a segment are stored.
#[derive(Debug, Clone)]
pub enum Codec {
    /// As JSON text.
    Plain,
    /// Each as one zstd frame that needs this dictionary.
    Zstd(Arc<Dictionary>),
}

/// Encodes bodies for storage; one per thread.
#[derive(Debug)]
pub struct Encoder(Option<Compressor>);

struct Compressor(CCtx<'static>);

impl std::fmt::Debug for Compressor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Compressor")
    }
}

impl Encoder {
    /// An encoder for `codec`. With zstd this copies and prepares the dictionary, so reuse the encoder.
    pub fn new(codec: &Codec) -> Result<Self, Error> {
        let Codec::Zstd(dictionary) = codec else { return Ok(Self(None)) };
        let failed =
            |code| Error::Compression { during: "preparing a dictionary", reason: get_error_name(code) };
        let mut context = CCtx::create();
        for parameter in [
            CParameter::CompressionLevel(LEVEL),
            CParameter::HashLog(HASH_LOG),
            CParameter::Format(FrameFormat::Magicless),
            // A reader takes the length from the frame before it allocates.
            CParameter::ContentSizeFlag(true),
            CParameter::ChecksumFlag(false),
            CParameter::DictIdFlag(false),
        ] {
            context.set_parameter(parameter).map_err(failed)?;
        }
        context.load_dictionary(dictionary.as_bytes()).map_err(failed)?;
        Ok(Self(Some(Compressor(context))))
    }

    /// Replaces `out` with the stored form of `raw`.
    pub fn encode(&mut self, raw: &[u8], out: &mut Vec<u8>) -> Result<(), Error> {
        out.clear();
        let Some(Compressor(context)) = &mut self.0 else {
            out.extend_from_slice(raw);
            return Ok(());
        };
        out.reserve(compress_bound(raw.len()));
        context.compress2(out, raw).map(|_| ()).map_err(|code| Error::Compression {
            during: "compressing a record",
            reason: get_error_name(code),
        })
    }
}

/// Decodes stored bodies; one per thread, for segments of any codec.
pub struct Decoder(DCtx<'static>);

impl Decoder {
    /// A decoder.
    pub fn new() -> Self {
        let mut context = DCtx::create();
        // zstd takes this value in every state that a new context can be in.
        context
            .set_parameter(DParameter::Format(FrameFormat::Magicless))
            .expect("a new zstd context takes the magicless format");
        Self(context)
    }

    /// Replaces `out` with the body of `row`: at most [`RECORD_BYTES_MAX`] bytes, whatever the segment states.
    /// A row beyond the last or without a body is an error.
    pub fn decode(&mut self, segment: &Segment, row: u32, out: &mut Vec<u8>) -> Result<(), Error> {
        let undecodable = |what| Error::Undecodable { row, what };
        let stored = segment.stored_body(row).ok_or_else(|| undecodable("it has no body"))?;
        self.decode_stored(segment.codec(), stored, out).map_err(undecodable)
    }

    /// As [`Decoder::decode`], for a stored body that is no longer in its segment. The error says
    /// what is wrong.
    pub fn decode_stored(
        &mut self,
        codec: &Codec,
        stored: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), &'static str> {
        out.clear();
        let Codec::Zstd(dictionary) = codec else {
            if stored.len() > RECORD_BYTES_MAX {
                return Err("it is larger than a record may be");
            }
            out.extend_from_slice(stored);
            return Ok(());
        };
        let size = content_size(stored).ok_or("its frame does not tell its size")?;
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        if size > RECORD_BYTES_MAX {
            return Err("it is larger than a record may be");
        }
        out.reserve(size);
        let decoded = self.0.decompress_using_ddict(out, stored, dictionary.prepared());
        if decoded != Ok(size) {
            out.clear();
            return Err("its frame is damaged");
        }
        Ok(())
    }
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new()
    }
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Decoder")
    }
}

/// The content size that a frame without magic number declares (RFC 8878, section 3.1.1.1).
fn content_size(frame: &[u8]) -> Option<u64> {
    let descriptor = *frame.first()?;
    let single_segment = descriptor & 0x20 != 0;
    let window = usize::from(!single_segment);
    let dictionary_id = [0, 1, 2, 4][usize::from(descriptor & 3)];
    let width = match descriptor >> 6 {
        0 => usize::from(single_segment),
        flag => 1 << flag,
    };
    let start = 1 + window + dictionary_id;
    let field = frame.get(start..start + width)?;
    match *field {
        [] => None,
        [a] => Some(u64::from(a)),
        [a, b] => Some(u64::from(u16::from_le_bytes([a, b])) + 256),
        [a, b, c, d] => Some(u64::from(u32::from_le_bytes([a, b, c, d]))),
        _ => Some(u64::from_le_bytes(field.try_into().ok()?)),
    }
}
