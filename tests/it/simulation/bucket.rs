//! The simulated bucket: its objects, and its copy in another region.

use std::{collections::BTreeMap, fmt};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use object_store::{Error, ObjectMeta, Result, path::Path};

use super::{hub::Who, outcome::RequestOutcome};
use crate::support::chance::Chance;

/// A request to the store.
#[derive(Debug, Clone)]
pub(super) enum Request {
    Put { path: String, bytes: Bytes, is_creation: bool },
    Get { path: String, unless: Option<String> },
    List { prefix: String },
    Delete { path: String },
}

/// An answer of the store.
#[derive(Debug)]
pub(super) enum Answer {
    Done,
    Found { meta: ObjectMeta, bytes: Bytes },
    Listed(Vec<ObjectMeta>),
}

/// One state of an object; the last one is current.
#[derive(Debug, Clone)]
struct Write {
    /// `None` for a delete.
    bytes: Option<Bytes>,
    etag: String,
    modified: DateTime<Utc>,
    /// When it is visible in the other region.
    seen_from_ms: u64,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Bucket {
    /// A creation overwrites an object.
    overwrites_creations: bool,
    objects: BTreeMap<String, Vec<Write>>,
    writes: u64,
    /// From then on the other region has no lag.
    no_lag_from_ms: Option<u64>,
}

impl Request {
    pub(super) fn is_write(&self) -> bool {
        matches!(self, Self::Put { .. } | Self::Delete { .. })
    }

    pub(super) fn verb(&self) -> &'static str {
        match self {
            Self::Put { is_creation: true, .. } => "create",
            Self::Put { .. } => "put",
            Self::Get { .. } => "get",
            Self::List { .. } => "list",
            Self::Delete { .. } => "delete",
        }
    }

    pub(super) fn path(&self) -> &str {
        match self {
            Self::Put { path, .. } | Self::Get { path, .. } | Self::Delete { path } => path,
            Self::List { prefix } => prefix,
        }
    }

    /// The path without its random part.
    pub(super) fn stable_path(&self) -> &str {
        let path = self.path();
        if path.starts_with("keys/") { path.split('-').next().unwrap_or(path) } else { path }
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.verb(), self.stable_path())
    }
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Done => f.write_str("done"),
            Self::Found { bytes, .. } => write!(f, "{} bytes", bytes.len()),
            Self::Listed(listed) => write!(f, "{} objects", listed.len()),
        }
    }
}

impl Bucket {
    pub(super) fn new(overwrites_creations: bool) -> Self {
        Self { overwrites_creations, ..Self::default() }
    }

    /// From `now_ms` on the other region has no lag.
    pub(super) fn end_lag(&mut self, now_ms: u64) {
        self.no_lag_from_ms = Some(now_ms);
    }

    /// The current object.
    pub(super) fn object(&self, path: &str) -> Option<&Bytes> {
        self.objects.get(path)?.last()?.bytes.as_ref()
    }

    /// The object before the last write.
    pub(super) fn before(&self, path: &str) -> Option<&Bytes> {
        self.objects.get(path)?.iter().rev().nth(1)?.bytes.as_ref()
    }

    /// When an object that was just deleted was first written. A process that lists objects may have seen it
    /// before it was written again.
    pub(super) fn first_written(&self, path: &str) -> Option<DateTime<Utc>> {
        let writes = self.objects.get(path)?.iter().rev().skip(1);
        writes.take_while(|write| write.bytes.is_some()).last().map(|write| write.modified)
    }

    /// Carries out a request.
    pub(super) fn carry_out(
        &mut self,
        who: Who,
        request: &Request,
        outcome: RequestOutcome,
        now_ms: u64,
        wall: DateTime<Utc>,
        chance: &mut Chance,
    ) -> Result<Answer> {
        match request {
            Request::Put { path, is_creation: true, .. }
                if self.object(path).is_some() && !self.overwrites_creations =>
            {
                Err(Error::AlreadyExists { path: path.clone(), source: "it is there".into() })
            }
            Request::Put { path, bytes, .. } => {
                self.write(path, Some(bytes.clone()), now_ms, wall, chance);
                Ok(Answer::Done)
            }
            Request::Delete { path } => {
                if self.object(path).is_none() {
                    return Err(missing(path));
                }
                self.write(path, None, now_ms, wall, chance);
                Ok(Answer::Done)
            }
            Request::Get { path, unless } => {
                let back = usize::from(outcome == RequestOutcome::Stale);
                let Some(write) = self.seen(who, path, now_ms, back) else { return Err(missing(path)) };
                if unless.as_ref() == Some(&write.etag) {
                    return Err(Error::NotModified { path: path.clone(), source: "it is the same".into() });
                }
                let Some(bytes) = write.bytes.clone() else { return Err(missing(path)) };
                let meta = meta(path, write, bytes.len());
                Ok(Answer::Found { meta, bytes: damaged(bytes, outcome, chance) })
            }
            Request::List { prefix } => {
                let under = self.objects.range(format!("{prefix}/")..format!("{prefix}0"));
                let seen = under.filter_map(|(path, _)| {
                    let write = self.seen(who, path, now_ms, 0)?;
                    Some(meta(path, write, write.bytes.as_ref()?.len()))
                });
                Ok(Answer::Listed(seen.collect()))
            }
        }
    }

    fn write(
        &mut self,
        path: &str,
        bytes: Option<Bytes>,
        now_ms: u64,
        wall: DateTime<Utc>,
        chance: &mut Chance,
    ) {
        self.writes += 1;
        let writes = self.objects.entry(path.to_owned()).or_default();
        let lag = match chance.weighed(&[50, 35, 15]) {
            0 => chance.within(0, 300),
            1 => chance.within(300, 4_000),
            _ => chance.within(4_000, 20_000),
        };
        let seen_from_ms = now_ms + lag;
        writes.push(Write { bytes, etag: self.writes.to_string(), modified: wall, seen_from_ms });
    }

    /// The state of an object that `who` sees, or the one that is `back` states older. Replicas with an odd number
    /// read in the other region.
    fn seen(&self, who: Who, path: &str, now_ms: u64, back: usize) -> Option<&Write> {
        let has_no_lag = self.no_lag_from_ms.is_some_and(|from| now_ms >= from);
        let is_far = matches!(who, Who::Replica(number) if number % 2 == 1) && !has_no_lag;
        let mut seen =
            self.objects.get(path)?.iter().rev().filter(|write| !is_far || write.seen_from_ms <= now_ms);
        let newest = seen.next()?;
        if back == 0 { Some(newest) } else { seen.nth(back - 1).or(Some(newest)) }
    }
}

fn missing(path: &str) -> Error {
    Error::NotFound { path: path.to_owned(), source: "it is not there".into() }
}

fn meta(path: &str, write: &Write, size: usize) -> ObjectMeta {
    ObjectMeta {
        location: Path::from(path),
        last_modified: write.modified,
        size: size as u64,
        e_tag: Some(write.etag.clone()),
        version: None,
    }
}

fn damaged(bytes: Bytes, outcome: RequestOutcome, chance: &mut Chance) -> Bytes {
    match outcome {
        RequestOutcome::Corrupt if !bytes.is_empty() => {
            let mut bytes = bytes.to_vec();
            let at = chance.within(0, bytes.len() as u64 - 1) as usize;
            bytes[at] ^= 1 << chance.within(0, 7);
            bytes.into()
        }
        RequestOutcome::Truncate => bytes.slice(..bytes.len() / 2),
        _ => bytes,
    }
}
