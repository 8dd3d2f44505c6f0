//! Encoding the live records of all segments with another codec: on all cores, and in the order of storage.
//!
//! A dispatcher opens segments and deals pieces of them to threads in turn. The writer takes the results in the same
//! turn, so their order is that of one thread. All queues and the number of open segments are bounded.

use std::{
    ops::Range,
    sync::{
        Arc,
        mpsc::{Receiver, Sender, SyncSender, channel, sync_channel},
    },
    thread,
};

use crate::{
    domain::manifest::SegmentReference,
    engine::{
        error::Error,
        ingest::{BaseTable, Location},
    },
    segment::{self, Codec, Decoder, Encoder, Segment},
};

/// Rows of a piece: enough that passing it on costs nothing beside its work.
const PIECE_ROWS: u32 = 1024;
/// Pieces that wait for each thread, and results of each that wait for the writer.
const WAITING_MAX: usize = 1;
/// Bytes of bodies at which a thread passes them on, also within a piece.
const PART_BYTES: usize = 1024 * 1024;
/// Segments that are open at once, 16 MiB each as a rule.
const SEGMENTS_OPEN_MAX: usize = 4;

/// Which records are encoded, and how.
pub(super) struct Reencoding<'a> {
    pub(super) segments: &'a [SegmentReference],
    pub(super) live: &'a BaseTable,
    pub(super) codec: &'a Codec,
    pub(super) threads: usize,
}

/// A segment that counts as open until its last record is written.
struct OpenSegment {
    segment: Segment,
    number: usize,
    permits: Sender<()>,
}

impl Drop for OpenSegment {
    fn drop(&mut self) {
        // Without a dispatcher nobody waits for the permit.
        let _ = self.permits.send(());
    }
}

struct Piece {
    open: Arc<OpenSegment>,
    rows: Range<u32>,
}

/// Encoded records of a piece.
struct Part {
    open: Arc<OpenSegment>,
    /// The row of each record, and where its body ends.
    rows: Vec<(u32, usize)>,
    bodies: Vec<u8>,
    /// Whether it ends its piece.
    is_last: bool,
}

impl Part {
    fn of(open: &Arc<OpenSegment>) -> Self {
        Self { open: Arc::clone(open), rows: Vec::new(), bodies: Vec::new(), is_last: false }
    }
}

type Parts = Result<Part, Error>;

impl Reencoding<'_> {
    /// Passes every live record and its encoded body to `write`, in the order of storage. Blocks.
    pub(super) fn run(
        &self,
        open: impl FnMut(&SegmentReference) -> Result<Segment, Error> + Send,
        write: impl FnMut(&Segment, u32, &[u8]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        thread::scope(|scope| {
            let (mut pieces, mut parts) = (Vec::new(), Vec::new());
            for number in 0..self.threads {
                let (piece_sender, piece_receiver) = sync_channel(WAITING_MAX);
                let (part_sender, part_receiver) = sync_channel(WAITING_MAX);
                let encode = move || self.encode(&piece_receiver, &part_sender);
                match thread::Builder::new().spawn_scoped(scope, encode) {
                    Ok(_) => {}
                    Err(refused) if number == 0 => return Err(Error::ThreadRefused(refused)),
                    // The threads that started take all pieces.
                    Err(_) => break,
                }
                pieces.push(piece_sender);
                parts.push(part_receiver);
            }
            let dispatch = move || self.dispatch(open, &pieces);
            let dispatcher =
                thread::Builder::new().spawn_scoped(scope, dispatch).map_err(Error::ThreadRefused)?;
            let written = write_parts(&parts, write);
            // After an early end this ends the threads and the dispatcher, too.
            drop(parts);
            let dispatched = dispatcher.join().unwrap_or(Err(Error::WorkerDied));
            written.and(dispatched)
        })
    }

    /// Deals the pieces of all segments to the threads in turn.
    fn dispatch(
        &self,
        mut open: impl FnMut(&SegmentReference) -> Result<Segment, Error>,
        pieces: &[SyncSender<Piece>],
    ) -> Result<(), Error> {
        let (permits, released) = channel();
        let mut turn = pieces.iter().cycle();
        for (number, reference) in self.segments.iter().enumerate() {
            if number >= SEGMENTS_OPEN_MAX && released.recv().is_err() {
                return Ok(());
            }
            let segment = open(reference)?;
            let rows = segment.rows();
            let open = Arc::new(OpenSegment { segment, number, permits: permits.clone() });
            for start in (0..rows).step_by(PIECE_ROWS as usize) {
                let rows = start..rows.min(start.saturating_add(PIECE_ROWS));
                let piece = Piece { open: Arc::clone(&open), rows };
                if turn.next().is_none_or(|thread| thread.send(piece).is_err()) {
                    return Ok(()); // The writer or a thread failed; its error is returned.
                }
            }
        }
        Ok(())
    }

    /// Encodes pieces until there are no more, or nobody takes the result.
    fn encode(&self, pieces: &Receiver<Piece>, parts: &SyncSender<Parts>) {
        if let Err(error) = self.encode_pieces(pieces, parts) {
            // The writer is gone when it failed; its own error is returned.
            let _ = parts.send(Err(error));
        }
    }

    fn encode_pieces(&self, pieces: &Receiver<Piece>, parts: &SyncSender<Parts>) -> Result<(), Error> {
        let (mut encoder, mut decoder) = (Encoder::new(self.codec)?, Decoder::new());
        let (mut body, mut stored) = (Vec::new(), Vec::new());
        for Piece { open, rows } in pieces {
            let mut part = Part::of(&open);
            for row in rows.filter(|&row| is_live(self.live, &open.segment, open.number, row)) {
                decoder.decode(&open.segment, row, &mut body)?;
                encoder.encode(&body, &mut stored)?;
                part.bodies.extend_from_slice(&stored);
                part.rows.push((row, part.bodies.len()));
                if part.bodies.len() >= PART_BYTES {
                    let full = std::mem::replace(&mut part, Part::of(&open));
                    if parts.send(Ok(full)).is_err() {
                        return Ok(());
                    }
                }
            }
            part.is_last = true;
            if parts.send(Ok(part)).is_err() {
                return Ok(());
            }
        }
        Ok(())
    }
}

/// Takes the parts of each piece from the thread whose turn it is. When a thread ends without a part, no piece remains.
fn write_parts(
    parts: &[Receiver<Parts>],
    mut write: impl FnMut(&Segment, u32, &[u8]) -> Result<(), Error>,
) -> Result<(), Error> {
    for thread in parts.iter().cycle() {
        loop {
            let Ok(part) = thread.recv() else { return Ok(()) };
            let part = part?;
            let mut start = 0;
            for &(row, end) in &part.rows {
                write(&part.open.segment, row, &part.bodies[start..end])?;
                start = end;
            }
            if part.is_last {
                break;
            }
        }
    }
    Ok(())
}

/// Whether this row of segment `number` holds a served record.
pub(super) fn is_live(live: &BaseTable, segment: &Segment, number: usize, row: u32) -> bool {
    let here = Location { segment: number as u32, row };
    let is_served =
        || live.find(segment::key_hash(segment.key(row))).is_some_and(|entry| live.location(entry) == here);
    !segment.is_delete(row) && is_served()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        domain::{
            digest::Digest,
            manifest::{SegmentKind, Version},
            name::CollectionName,
            record::{IndexValues, RecordFlags},
        },
        segment::{Dictionaries, Dictionary, Entry, SegmentBuffer, SegmentBuilder, SegmentHeader},
    };

    const SEGMENTS: u32 = 7;
    const ROWS: u32 = 2500;

    /// Segment `number`, in which every seventh row deletes a key of the segment before.
    fn segment(number: u32) -> Segment {
        let header = SegmentHeader {
            collection: CollectionName::new("a").unwrap(),
            kind: SegmentKind::Changes,
            secondary: Vec::new(),
            codec: Codec::Plain,
            embed_dictionary: false,
        };
        let mut builder = SegmentBuilder::new(header);
        let values = IndexValues::default();
        for row in 0..ROWS {
            let is_delete = row % 7 == 0;
            let key =
                if is_delete { format!("{}-{}", number - 1, row + 1) } else { format!("{number}-{row}") };
            // One segment has bodies of which few fill a part.
            let body =
                format!("{{\"n\":\"{}\"}}", row.to_string().repeat(if number == 3 { 2000 } else { 9 }));
            let body = (!is_delete).then_some(body.as_bytes());
            let flags = RecordFlags::default();
            builder.push(Entry { key: &key, fingerprint: row.into(), flags, body, values: &values }).unwrap();
        }
        let mut file = Vec::new();
        builder.finish(&mut file).unwrap();
        let mut buffer = SegmentBuffer::with_len(file.len() as u64).unwrap();
        buffer.as_mut_slice().copy_from_slice(&file);
        Segment::parse(buffer, &mut Dictionaries::new()).unwrap()
    }

    fn references() -> Vec<SegmentReference> {
        let of = |number: u32| SegmentReference {
            object: number.to_string(),
            sha256: Digest::of(b""),
            bytes: 0,
            rows: ROWS.into(),
            deletes: 0,
            kind: SegmentKind::Changes,
            version: Version(1),
        };
        (1..=SEGMENTS).map(of).collect()
    }

    fn open(reference: &SegmentReference) -> Segment {
        segment(reference.object.parse().unwrap())
    }

    fn table() -> BaseTable {
        let mut table = BaseTable::with_capacity(0);
        for number in 0..SEGMENTS {
            let segment = segment(number + 1);
            for row in 0..segment.rows() {
                let hash = segment::key_hash(segment.key(row));
                if segment.is_delete(row) {
                    table.delete(hash);
                } else {
                    let at = Location { segment: number, row };
                    table.put(hash, segment.fingerprint(row), segment.flags(row), at);
                }
            }
        }
        table
    }

    fn codec() -> Codec {
        let samples: Vec<String> = (0..9000).map(|number| format!("{{\"n\":\"{number}\"}}")).collect();
        let (text, sizes) = (samples.concat(), samples.iter().map(String::len).collect::<Vec<_>>());
        let dictionary = zstd::dict::from_continuous(text.as_bytes(), &sizes, 4096).unwrap();
        Codec::Zstd(Arc::new(Dictionary::from_bytes(dictionary).unwrap()))
    }

    #[test]
    fn every_live_record_is_passed_on_in_the_order_of_storage() {
        let (segments, live, codec) = (references(), table(), codec());
        let mut expected = Vec::new();
        let (mut encoder, mut decoder) = (Encoder::new(&codec).unwrap(), Decoder::new());
        for number in 1..=SEGMENTS {
            let segment = segment(number);
            for row in 0..ROWS {
                // The segment after this one deletes every row whose number is 1 more than a multiple of 7.
                if row % 7 == 0 || (row % 7 == 1 && number < SEGMENTS) {
                    continue;
                }
                let (mut body, mut stored) = (Vec::new(), Vec::new());
                decoder.decode(&segment, row, &mut body).unwrap();
                encoder.encode(&body, &mut stored).unwrap();
                expected.push((segment.key(row).to_owned(), stored));
            }
        }
        for threads in [1, 2, 3, 8] {
            let mut written = Vec::new();
            let reencoding = Reencoding { segments: &segments, live: &live, codec: &codec, threads };
            let write = |segment: &Segment, row, body: &[u8]| {
                written.push((segment.key(row).to_owned(), body.to_vec()));
                Ok(())
            };
            reencoding.run(|reference| Ok(open(reference)), write).unwrap();
            assert!(written == expected, "{threads} threads: other records, or in another order");
        }
    }

    #[test]
    fn first_failure_ends_all_threads() {
        let (segments, live) = (references(), table());
        for threads in [1, 4] {
            let reencoding = Reencoding { segments: &segments, live: &live, codec: &Codec::Plain, threads };
            let mut left = 3000;
            let write = |_: &Segment, _, _: &[u8]| {
                left -= 1;
                if left == 0 { Err(Error::UploadStopped) } else { Ok(()) }
            };
            assert!(matches!(
                reencoding.run(|reference| Ok(open(reference)), write),
                Err(Error::UploadStopped)
            ));
            let fail = |reference: &SegmentReference| match reference.object.as_str() {
                "6" => Err(Error::LeaseLost),
                _ => Ok(open(reference)),
            };
            let mut written = 0;
            let count = |_: &Segment, _, _: &[u8]| {
                written += 1;
                Ok(())
            };
            assert!(matches!(reencoding.run(fail, count), Err(Error::LeaseLost)));
            assert!(written > 0);
        }
    }
}
