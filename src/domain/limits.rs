//! Limits that several layers share, each with its reason.

use chrono::TimeDelta;

/// Largest record, in bytes of JSON: Braze Connected Content drops bodies over 1 MB.
pub const RECORD_BYTES_MAX: usize = 1_000_000;
/// Deepest record, in levels: Ruby's JSON parser refuses more than 100, templates never need 64.
pub const DEPTH_MAX: usize = 64;
/// Largest index value after normalisation, in bytes: it must fit into a URL path.
pub const INDEX_VALUE_BYTES_MAX: usize = 1024;
/// Most elements of an `each` index in one record: bounds the cost of one row.
pub const INDEX_ELEMENTS_MAX: usize = 1000;
/// Most secondary indexes of a collection: bounds memory per record.
pub const INDEXES_MAX: usize = 16;
/// Most columns of a compound index: more would hardly fit a URL.
pub const INDEX_COLUMNS_MAX: usize = 8;
/// Most includes of a collection, and most of one request: each is a look-up per record.
pub const INCLUDES_MAX: usize = 8;
/// Most records of one include in one record.
pub const INCLUDED_RECORDS_MAX: usize = 100;
/// Most fields of a mapping, as many as Postgres allows columns.
pub const FIELDS_MAX: usize = 1600;
/// A source closes a row batch when it holds this many bytes of text.
pub const BATCH_BYTES: usize = 512 * 1024;
/// A source closes a row batch at this many rows.
pub const BATCH_ROWS: usize = 2048;
/// Largest segment file, in bytes (a reader refuses larger ones).
pub const SEGMENT_BYTES_MAX: u64 = 512 * 1024 * 1024;
/// A segment writer starts a new segment when the current one holds this many bytes: small enough that a
/// few of them in memory cost little, large enough that a million records make about twenty objects.
pub const SEGMENT_BYTES_TARGET: usize = 16 * 1024 * 1024;
/// Most versions of a collection whose changes are stored apart; beyond it those before the last are merged.
pub const CHANGED_VERSIONS_MAX: usize = 64;
/// Share of a collection's stored rows that may be superseded before a new base is written.
pub const GARBAGE_RATIO_MAX: f64 = 0.3;
/// Largest catalog document, manifest or key set read from a store, in bytes.
pub const DOCUMENT_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Highest number of a document, a version or a key set: databases keep signed 64-bit numbers, and another one must be
/// able to follow.
pub const NUMBER_MAX: u64 = i64::MAX as u64 - 1;
/// Most segments of a manifest: a terabyte of segments of [`SEGMENT_BYTES_TARGET`].
pub const SEGMENTS_MAX: usize = 65_536;
/// Fewest bytes that a row takes in a segment: its fingerprint.
pub const ROW_BYTES_MIN: u64 = 16;
/// Most columns of a model, as many as SQLite allows.
pub const COLUMNS_MAX: usize = 32_767;
/// Most normal forms of an index: there are three.
pub const NORMAL_FORMS_MAX: usize = 16;
/// Most regions that serve a collection: clouds have fewer than a hundred.
pub const REGIONS_MAX: usize = 1_000;
/// Most origins of a collection whose pages may read it: each request of a page compares its origin with all.
pub const ORIGINS_MAX: usize = 50;
/// Most keys of a key set: about 30 MB.
pub const KEYS_MAX: usize = 100_000;
/// Highest limit of a key's requests a second: more than one node answers.
pub const KEY_REQUESTS_PER_SECOND_MAX: u64 = 1_000_000;
/// Most networks of a key, and of trusted proxies: each request compares its address with all.
pub const NETWORKS_MAX: usize = 100;
/// Most field paths in the limit of a key or token: projection compares every name with them.
pub const FIELD_PATHS_MAX: usize = 200;
/// Most collections for which a key has limits of their own: each has up to [`FIELD_PATHS_MAX`] field paths.
pub const COLLECTION_LIMITS_MAX: usize = 50;
/// Most collections of a catalog.
pub const COLLECTIONS_MAX: usize = 10_000;
/// Most pins of a catalog, over all regions and collections: pins are for emergencies and trials, and a
/// thousand of them (about 350 bytes each) keep the document small that every node reads.
pub const PINS_MAX: usize = 1_000;
/// Most dropped collections whose last version a catalog keeps; beyond it the lowest version is removed
/// first.
pub const DROPPED_MAX: usize = 10_000;
/// Most paused syncs of a catalog: every visible and every dropped collection may have one.
pub const PAUSES_MAX: usize = COLLECTIONS_MAX + DROPPED_MAX;
/// The format of segments and documents that this build writes, and the newest that it reads.
pub const FORMAT: u32 = 1;
/// How far a time that another node wrote may be ahead of this node's clock: clocks that NTP keeps differ by
/// less. A time beyond it comes from a fast clock, and counts as the time at which it was read.
pub const CLOCK_SKEW_MAX: TimeDelta = TimeDelta::seconds(10);
