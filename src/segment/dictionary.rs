//! zstd dictionaries: the content that small records share, stored once.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Weak},
};

use zstd::zstd_safe::DDict;

use super::{Codec, Encoder, Error, error::corrupt};
use crate::domain::digest::Digest;

/// Largest dictionary that a reader accepts, in bytes: later writers may make larger ones than this.
pub(super) const DICTIONARY_BYTES_MAX: usize = 128 * 1024;
/// Largest dictionary that a writer makes, in bytes: 64 KiB did not compress realistic records better, and this
/// fits a core's second-level cache.
const TRAINED_BYTES_MAX: usize = 32 * 1024;
/// Most samples that training uses: enough that small records fill [`SAMPLE_BYTES_MAX`].
pub const SAMPLES_MAX: usize = 8000;
/// Most bytes of samples that training uses. They take about 80 ms, which delays a first sync; ten times as
/// many did not compress better.
pub const SAMPLE_BYTES_MAX: usize = 3 * 512 * 1024;
/// Fewest bytes of samples: with less, a dictionary takes more memory than it saves.
const SAMPLE_BYTES_MIN: usize = 256 * 1024;
/// A dictionary is at most this part of its samples, so that it holds what is common to them
/// rather than the samples themselves.
const SAMPLES_PER_DICTIONARY: usize = 16;
/// How many samples [`pays`] compresses.
const PAYS_SAMPLES: usize = 200;
/// Compressed bodies must be smaller than this share of the raw ones to be worth a
/// decompression at every read.
const PAYS_RATIO: f64 = 0.8;

/// A dictionary, prepared for decompression and shared by all that read with it.
pub struct Dictionary {
    bytes: Vec<u8>,
    digest: Digest,
    prepared: DDict<'static>,
}

impl Dictionary {
    /// Trains a dictionary on the concatenated `samples` of these `sizes`. `None` when they are too few, too
    /// small or too unlike each other. Looks at no more than [`SAMPLES_MAX`] samples and [`SAMPLE_BYTES_MAX`]
    /// bytes, spread evenly.
    pub fn train(samples: &[u8], sizes: &[usize]) -> Option<Self> {
        let (samples, sizes) = spread(samples, sizes)?;
        if samples.len() < SAMPLE_BYTES_MIN {
            return None;
        }
        let size = (samples.len() / SAMPLES_PER_DICTIONARY).min(TRAINED_BYTES_MAX);
        let bytes = zstd::dict::from_continuous(&samples, &sizes, size).ok()?;
        Self::from_bytes(bytes).ok()
    }

    /// The dictionary with these bytes.
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, Error> {
        if bytes.len() > DICTIONARY_BYTES_MAX {
            return Err(corrupt("its dictionary is too large"));
        }
        let prepared = DDict::try_create(&bytes).ok_or_else(|| corrupt("its dictionary is damaged"))?;
        Ok(Self { digest: Digest::of(&bytes), bytes, prepared })
    }

    /// SHA-256 of its bytes, which identifies it.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Its bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Memory that it holds, in bytes.
    pub fn memory(&self) -> usize {
        self.bytes.len() + self.prepared.sizeof()
    }

    pub(super) fn prepared(&self) -> &DDict<'static> {
        &self.prepared
    }
}

impl fmt::Debug for Dictionary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Dictionary({}, {} bytes)", self.digest, self.bytes.len())
    }
}

/// Picks samples evenly within the bounds. `None` when the sizes do not add up to the bytes.
fn spread(samples: &[u8], sizes: &[usize]) -> Option<(Vec<u8>, Vec<usize>)> {
    let total = sizes.iter().try_fold(0_usize, |sum, &size| sum.checked_add(size))?;
    if total != samples.len() {
        return None;
    }
    let mean = total.div_ceil(sizes.len().max(1)).max(1);
    let wanted = sizes.len().min(SAMPLES_MAX).min(SAMPLE_BYTES_MAX / mean);
    let (mut bytes, mut lengths, mut start) = (Vec::new(), Vec::new(), 0);
    for (number, &size) in sizes.iter().enumerate() {
        let is_chosen = (number + 1) * wanted / sizes.len() > number * wanted / sizes.len();
        // One sample may be a megabyte: their number alone does not bound the bytes.
        if is_chosen && bytes.len() + size <= SAMPLE_BYTES_MAX {
            bytes.extend_from_slice(&samples[start..start + size]);
            lengths.push(size);
        }
        start += size;
    }
    Some((bytes, lengths))
}

/// Whether `dictionary` makes bodies small enough to be worth its cost; tested on some of `samples`.
pub fn pays(samples: &[u8], sizes: &[usize], dictionary: &Arc<Dictionary>) -> bool {
    let Ok(mut encoder) = Encoder::new(&Codec::Zstd(Arc::clone(dictionary))) else { return false };
    let step = sizes.len().div_ceil(PAYS_SAMPLES).max(1);
    let (mut raw, mut stored, mut start) = (0_usize, 0_usize, 0_usize);
    let mut out = Vec::new();
    for (number, &size) in sizes.iter().enumerate() {
        let sample = samples.get(start..start + size).unwrap_or_default();
        start += size;
        if number % step == 0 && encoder.encode(sample, &mut out).is_ok() {
            raw += sample.len();
            stored += out.len();
        }
    }
    (stored as f64) < PAYS_RATIO * raw as f64
}

/// The dictionaries in use, by digest, so that a change segment finds its base's and the
/// segments of one base share one. Holds none alive by itself.
#[derive(Debug, Default)]
pub struct Dictionaries(HashMap<Digest, Weak<Dictionary>>);

impl Dictionaries {
    /// An empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// The dictionary with this digest, while any segment holds it.
    pub fn get(&self, digest: &Digest) -> Option<Arc<Dictionary>> {
        self.0.get(digest)?.upgrade()
    }

    /// Adds `dictionary`, for as long as a segment holds it.
    pub fn insert(&mut self, dictionary: &Arc<Dictionary>) {
        self.0.retain(|_, known| known.strong_count() > 0);
        self.0.insert(dictionary.digest(), Arc::downgrade(dictionary));
    }
}
