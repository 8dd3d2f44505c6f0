//! Large documents, heads and manifests are stored compressed: one zstd frame of what the signature or the digest
//! covers. Small ones stay readable.

use bytes::Bytes;

use super::error::{Error, corrupt};
use crate::domain::limits::DOCUMENT_BYTES_MAX;

/// Objects of this many bytes and more are compressed: a document of some 240 collections.
const COMPRESSED_BYTES_MIN: usize = 64 * 1024;
/// Manifests of this many bytes and more are compressed: those of a dozen versions since the base. A run writes one
/// and each node reads it, so they are most of what small runs write.
const MANIFEST_BYTES_MIN: usize = 4 * 1024;
/// zstd's level: half of an entry is random, and higher levels find no more in the other half.
const LEVEL: i32 = 1;
/// The first bytes of a zstd frame. No JSON begins with them.
const FRAME_PREFIX: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// The stored form of an object.
pub(super) fn compress(object: Bytes) -> Bytes {
    compress_from(COMPRESSED_BYTES_MIN, object)
}

/// The stored form of a manifest.
pub(super) fn compress_manifest(manifest: Bytes) -> Bytes {
    compress_from(MANIFEST_BYTES_MIN, manifest)
}

fn compress_from(bytes_min: usize, object: Bytes) -> Bytes {
    if object.len() < bytes_min {
        return object;
    }
    // Readers take both forms.
    zstd::bulk::compress(&object, LEVEL).map_or(object, Bytes::from)
}

/// The object of a stored form, at most [`DOCUMENT_BYTES_MAX`] bytes whatever the frame states.
pub(super) fn decompress(path: &str, stored: Bytes) -> Result<Bytes, Error> {
    if !stored.starts_with(&FRAME_PREFIX) {
        return Ok(stored);
    }
    let object = zstd::bulk::decompress(&stored, DOCUMENT_BYTES_MAX as usize);
    object.map(Bytes::from).map_err(|_| corrupt(path, "its zstd frame is damaged or too large"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_objects_are_stored_smaller_and_small_ones_as_they_are() {
        let small = Bytes::from(vec![b'{'; COMPRESSED_BYTES_MIN - 1]);
        assert_eq!(compress(small.clone()), small);
        let large = Bytes::from(vec![b'{'; COMPRESSED_BYTES_MIN]);
        let stored = compress(large.clone());
        assert!(stored.len() < 1000);
        assert_eq!(decompress("d", stored).unwrap(), large);
        assert_eq!(decompress("d", large.clone()).unwrap(), large);
    }

    #[test]
    fn damaged_and_hostile_frames_are_refused() {
        let text = (0..20_000).map(|number| number.to_string()).collect::<Vec<_>>().join(",");
        let stored = compress(Bytes::from(text.clone()));
        for cut in [4, 5, 20, stored.len() / 2, stored.len() - 1] {
            assert!(decompress("d", stored.slice(..cut)).is_err(), "{cut}");
        }
        let mut trailing = stored.to_vec();
        trailing.extend_from_slice(b"{}");
        assert!(decompress("d", trailing.into()).is_err());
        // Twice as much as a document may have, in a few kilobytes.
        let hostile = zstd::bulk::compress(&vec![0; 2 * DOCUMENT_BYTES_MAX as usize], 1).unwrap();
        assert!(hostile.len() < 1 << 20);
        assert!(decompress("d", hostile.into()).is_err());
        assert_eq!(decompress("d", stored).unwrap(), text);
    }
}
