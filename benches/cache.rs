//! Speeds and sizes of segments and the cache: `cargo bench --bench cache [-- --ten-million]`.
//!
//! Records are about 790 bytes of JSON with two indexes. Each measurement runs in its own process, to measure its
//! resident size.

#[path = "support/meters.rs"]
mod meters;
#[path = "support/publisher.rs"]
mod publisher;
#[path = "support/records.rs"]
mod records;

use std::{
    fs,
    hint::black_box,
    io::Read,
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use larder::{
    cache::{Collection, Lookup},
    domain::{
        manifest::{Manifest, SegmentKind, SegmentReference, Version},
        name::{CollectionName, IndexName},
        record::{Record, RecordFlags},
    },
    segment::{
        self, Dictionaries, Encoder, Entry, IndexColumn, Segment, SegmentBuffer, SegmentBuilder,
        SegmentHeader,
    },
};
use meters::{Watch, all_on_core, begin_peak, each, peak, resident};
use publisher::{Publisher, codec};
use records::Random;

const SEED: u64 = 7;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    if let [task, folder] = arguments.as_slice() {
        return child(task, Path::new(folder));
    }
    let folder = tempfile::tempdir().expect("a folder for files");
    write_stages();
    let mut sizes = vec![10_000, 100_000, 900_000, 1_000_000];
    if arguments.iter().any(|argument| argument == "--ten-million") {
        sizes.push(10_000_000);
    }
    for size in sizes {
        let folder = folder.path().join(size.to_string());
        fs::create_dir(&folder).expect("a folder for files");
        println!("\n{size} records");
        let mut publisher = Publisher::new(&folder, size, false);
        publisher.base();
        if size >= 900_000 {
            run("load", &folder);
        }
        run("lookup", &folder);
        if size == 1_000_000 {
            run("swap", &folder);
            run("exchange", &folder);
            publisher.changes(10_000);
            publisher.changes(100_000);
            run("apply", &folder);
            publisher.changes(200_000);
            run("load", &folder);
            let folder = folder.join("plain");
            fs::create_dir(&folder).expect("a folder for files");
            println!("\n{size} records, compression = \"none\"");
            Publisher::new(&folder, size, true).base();
            run("load", &folder);
            run("lookup", &folder);
        }
        fs::remove_dir_all(&folder).expect("the folder goes");
    }
}

fn run(task: &str, folder: &Path) {
    let program = std::env::current_exe().expect("the bench's own path");
    let status = Command::new(program).arg(task).arg(folder).status().expect("the bench runs itself");
    assert!(status.success());
}

fn child(task: &str, folder: &Path) {
    match task {
        "load" => load(folder),
        "lookup" => lookup(folder),
        "apply" => apply(folder),
        "swap" => swap(folder),
        "exchange" => exchange(folder),
        other => panic!("no task {other}"),
    }
}

/// The stages of writing a record into a segment, on one core.
fn write_stages() {
    const COUNT: u64 = 100_000;
    let codec = codec();
    let made: Vec<Record> = (0..COUNT)
        .map(|n| {
            let mut record = Record::default();
            records::record(SEED, 0, n, &mut record);
            record
        })
        .collect();
    let raw: usize = made.iter().map(|record| record.body.len()).sum();
    println!("one record of {} bytes, one core:", raw / made.len());
    // In a run a record was just created, so it is in its core's cache.
    let warm = || made[..1000].iter().cycle().take(made.len());
    let start = Watch::start();
    for record in warm() {
        let flags = RecordFlags::default();
        black_box(segment::fingerprint(SEED, &record.body, &record.key, &record.values, flags));
    }
    println!("  fingerprint   {:6.0} ns", each(start.elapsed(), COUNT));
    let start = Watch::start();
    for record in warm() {
        black_box(segment::key_hash(black_box(&record.key)));
    }
    println!("  key hash      {:6.0} ns", each(start.elapsed(), COUNT));
    let mut encoder = Encoder::new(&codec).expect("an encoder");
    let mut out = Vec::new();
    let start = Watch::start();
    for record in warm() {
        encoder.encode(&record.body, &mut out).expect("a body");
    }
    println!("  encode        {:6.0} ns", each(start.elapsed(), COUNT));
    let mut stored = vec![Vec::new(); 1000];
    for (record, stored) in made.iter().zip(&mut stored) {
        encoder.encode(&record.body, stored).expect("a body");
    }
    let mut decoder = segment::Decoder::new();
    let start = Watch::start();
    for stored in stored.iter().cycle().take(made.len()) {
        decoder.decode_stored(&codec, stored, &mut out).expect("a body");
    }
    println!("  decode        {:6.0} ns", each(start.elapsed(), COUNT));
    let mut builder = SegmentBuilder::new(SegmentHeader {
        collection: CollectionName::new("customer").expect("a name"),
        kind: SegmentKind::Base,
        secondary: vec![IndexColumn { name: IndexName::new("email").expect("a name"), each: false }],
        codec,
        embed_dictionary: true,
    });
    let start = Watch::start();
    for (record, stored) in warm().zip(stored.iter().cycle()) {
        let (flags, values) = (RecordFlags::default(), &record.values);
        builder
            .push(Entry { key: &record.key, fingerprint: 1, flags, body: Some(stored), values })
            .expect("room");
    }
    println!("  push          {:6.0} ns", each(start.elapsed(), COUNT));
    let mut file = Vec::with_capacity(64 << 20);
    let start = Watch::start();
    let written = builder.finish(&mut file).expect("a segment");
    println!(
        "  finish        {:6.0} ns, {} bytes of file",
        each(start.elapsed(), COUNT),
        written.bytes / COUNT
    );
}

fn manifest(folder: &Path) -> Manifest {
    let stored = fs::read(folder.join("manifest.json")).expect("a manifest");
    // A large one is stored as a zstd frame.
    let json = zstd::decode_all(stored.as_slice()).unwrap_or(stored);
    serde_json::from_slice(&json).expect("a manifest")
}

fn read(folder: &Path, references: &[SegmentReference]) -> Vec<SegmentBuffer> {
    let read = |reference: &SegmentReference| {
        let mut buffer = SegmentBuffer::with_len(reference.bytes).expect("room");
        let mut file = fs::File::open(folder.join(&reference.object)).expect("a file");
        file.read_exact(buffer.as_mut_slice()).expect("a whole file");
        buffer
    };
    references.iter().map(read).collect()
}

fn parse(files: Vec<SegmentBuffer>) -> Vec<Arc<Segment>> {
    let mut dictionaries = Dictionaries::new();
    files
        .into_iter()
        .map(|file| Arc::new(Segment::parse(file, &mut dictionaries).expect("a segment")))
        .collect()
}

/// The collection with its base alone, and the change segments.
fn open(folder: &Path) -> (Collection, Manifest, Vec<Arc<Segment>>) {
    let manifest = manifest(folder);
    let mut segments = parse(read(folder, &manifest.segments));
    let bases = manifest.segments.iter().filter(|reference| reference.kind == SegmentKind::Base).count();
    let changes = segments.split_off(bases);
    let mut base = manifest.clone();
    base.segments.truncate(bases);
    base.version = Version(1);
    (Collection::build(Arc::new(base), segments, 42).expect("a collection"), manifest, changes)
}

fn load(folder: &Path) {
    let manifest = manifest(folder);
    let before = resident();
    let start = Instant::now();
    let files = read(folder, &manifest.segments);
    let was_read = start.elapsed();
    let segments = parse(files);
    let parsed = start.elapsed().saturating_sub(was_read);
    let count = segments.len();
    // Changes with random keys may hit one row twice: count the records of the segments.
    let records = count_records(&segments);
    let manifest = Arc::new(Manifest { records, ..manifest });
    let (start, busy) = (Instant::now(), all_on_core());
    let collection = Collection::build(manifest, segments, 42).expect("a collection");
    let (built, busy) = (start.elapsed(), all_on_core().saturating_sub(busy));
    println!(
        "load: read {was_read:.0?}, parse {parsed:.0?}, build {built:.0?} ({busy:.0?} of cores; {count} segments, \
         {:.0} % garbage)",
        100.0 * collection.state().manifest.garbage_ratio()
    );
    println!(
        "memory: {:.0} bytes a record resident, {:.0} accounted for",
        (resident() - before) as f64 / collection.records() as f64,
        collection.bytes() as f64 / collection.records() as f64
    );
}

/// A new base with the same records, built beside the served one.
fn swap(folder: &Path) {
    let (collection, manifest, _) = open(folder);
    let (before, start, busy) = (begin_peak(), Instant::now(), all_on_core());
    let segments = parse(read(folder, &manifest.segments));
    let next = Collection::build(Arc::new(manifest), segments, 42).expect("a collection");
    print_swap("built beside itself", before, start, busy);
    drop(black_box((collection, next)));
}

/// A new base with the same records, exchanged segment by segment.
fn exchange(folder: &Path) {
    let (collection, manifest, _) = open(folder);
    let (before, start, busy) = (begin_peak(), Instant::now(), all_on_core());
    let relocation = collection.begin_relocation();
    let manifest = Arc::new(manifest);
    for (number, reference) in manifest.segments.iter().enumerate() {
        let segment = parse(read(folder, std::slice::from_ref(reference))).remove(0);
        collection.relocate(&manifest, number, segment).expect("the same records");
    }
    collection.finish_relocation(relocation, manifest).expect("all records");
    print_swap("exchanged by segments", before, start, busy);
    drop(black_box(collection));
}

fn print_swap(how: &str, before: u64, start: Instant, busy: Duration) {
    let (time, busy) = (start.elapsed(), all_on_core().saturating_sub(busy));
    println!(
        "{how}: peak {:.2} of the memory before, {time:.0?} ({busy:.0?} of cores)",
        peak() as f64 / before as f64
    );
}

fn count_records(segments: &[Arc<Segment>]) -> u64 {
    if segments.iter().all(|segment| segment.kind() == SegmentKind::Base) {
        return segments.iter().map(|segment| u64::from(segment.rows())).sum();
    }
    let mut keys = std::collections::HashSet::new();
    for segment in segments {
        for row in 0..segment.rows() {
            if segment.is_delete(row) {
                keys.remove(segment.key(row));
            } else {
                keys.insert(segment.key(row));
            }
        }
    }
    keys.len() as u64
}

/// Values under both indexes of records of the base, in random order.
fn questions(size: u64, count: u64) -> [Vec<String>; 2] {
    let mut random = Random(3);
    let mut record = Record::default();
    let mut questions = [Vec::new(), Vec::new()];
    for _ in 0..count {
        records::record(SEED, 0, random.below(size), &mut record);
        questions[0].push(record.key.clone());
        questions[1].push(record.values.iter().next().expect("an address").1.to_owned());
    }
    questions
}

fn lookup(folder: &Path) {
    const COUNT: u64 = 300_000;
    let (collection, manifest, _) = open(folder);
    let mut out = Vec::new();
    for (index, values) in ["id", "email"].into_iter().zip(questions(manifest.segments_rows(), COUNT)) {
        let mut best = f64::MAX;
        for _ in 0..5 {
            let start = Watch::start();
            for value in &values {
                assert!(matches!(collection.lookup(index, value, &mut out), Lookup::Hit { .. }));
            }
            best = best.min(each(start.elapsed(), COUNT));
        }
        let start = Watch::start();
        for value in &values {
            assert!(matches!(collection.lookup("id", &value[1..], &mut out), Lookup::Miss));
        }
        println!("look-up by {index}: {best:.0} ns, a miss {:.0} ns", each(start.elapsed(), COUNT));
    }
}

trait Rows {
    fn segments_rows(&self) -> u64;
}

impl Rows for Manifest {
    /// Rows of the base.
    fn segments_rows(&self) -> u64 {
        let bases = self.segments.iter().filter(|reference| reference.kind == SegmentKind::Base);
        bases.map(|reference| reference.rows).sum()
    }
}

fn apply(folder: &Path) {
    for readers in [0, 2] {
        let (collection, manifest, changes) = open(folder);
        let bases = collection.segments();
        let questions = questions(manifest.segments_rows(), 100_000);
        let (is_done, reads, slowest) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
        std::thread::scope(|scope| {
            for _ in 0..readers {
                scope.spawn(|| spin(&collection, &questions, &is_done, &reads, &slowest));
            }
            while readers > 0 && reads.load(Ordering::Relaxed) < 100_000 {
                std::hint::spin_loop();
            }
            let mut all = bases.clone();
            for (number, segment) in changes.iter().enumerate() {
                all.push(Arc::clone(segment));
                let mut next = manifest.clone();
                next.segments.truncate(manifest.segments.len() - changes.len() + number + 1);
                next.version = next.segments.last().expect("a segment").version;
                next.records = count_records(&all);
                let next = Arc::new(next);
                slowest.store(0, Ordering::Relaxed);
                let (start, busy) = (Instant::now(), Watch::start());
                collection.apply(next, vec![Arc::clone(segment)]).expect("changes");
                let (time, busy) = (start.elapsed(), busy.elapsed());
                println!(
                    "apply {} changes beside {readers} readers: {time:.1?}, of a core {busy:.1?} ({:.0} ns each); \
                     slowest read {:.0} µs",
                    segment.rows(),
                    each(busy, segment.rows().into()),
                    slowest.load(Ordering::Relaxed) as f64 / 1e3
                );
            }
            is_done.store(true, Ordering::Relaxed);
        });
    }
}

fn spin(
    collection: &Collection,
    questions: &[Vec<String>; 2],
    is_done: &AtomicBool,
    reads: &AtomicU64,
    slowest: &AtomicU64,
) {
    let mut out = Vec::new();
    let mut at = 0;
    while !is_done.load(Ordering::Relaxed) {
        let start = Instant::now();
        black_box(collection.lookup("id", &questions[0][at], &mut out));
        black_box(collection.lookup("email", &questions[1][at], &mut out));
        slowest.fetch_max(start.elapsed().as_nanos() as u64, Ordering::Relaxed);
        reads.fetch_add(1, Ordering::Relaxed);
        at = (at + 1) % questions[0].len();
    }
}
