//! What the process of a driver adds to the driver and to decoding, which one process would need as well, in CPU time:
//! `cargo bench --bench worker -- DRIVER URI SQL ROUNDS`. `scripts/bench.sh sources` makes the rows and runs it.

use std::{env, fs, io, path::Path, sync::mpsc as std_mpsc, thread, time::Duration};

use adbc_core::{
    Connection as _, Database as _, Driver as _, Statement as _,
    options::{AdbcVersion, OptionDatabase},
};
use adbc_driver_manager::{ManagedConnection, ManagedDriver};
use arrow_array::{RecordBatch, RecordBatchReader};
use larder::{
    config::{self, Environment, Overrides},
    domain::row::RowBatch,
    source::{self, ArrowDecoder, Query, Source},
    support::allocator::{self, HugePages},
};
use tokio::{runtime::Runtime, sync::mpsc, time};

/// That of the program: frames are large, and ordinary pages of theirs cost as much as reading them.
#[global_allocator]
static ALLOCATOR: HugePages = HugePages;

/// Most CPU time with a worker, as a share of that without.
const RATIO_MAX: f64 = 1.1;
/// How long a worker that has sent its last row may take to end.
const FAREWELL_MAX: Duration = Duration::from_secs(10);

fn main() {
    allocator::return_large_blocks();
    let arguments: Vec<String> = env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        // The source starts this program as its worker.
        ["source-worker"] => source::work().expect("a job"),
        [driver, uri, sql, rounds] => compare(driver, uri, sql, rounds.parse().expect("a number of rounds")),
        _ => println!("usage: worker DRIVER URI SQL ROUNDS; scripts/bench.sh sources has all of them"),
    }
}

/// Both ways in turn, so that what else the machine does counts for both alike.
fn compare(driver: &str, uri: &str, sql: &str, rounds: usize) {
    let runtime = Runtime::new().expect("a runtime");
    let source = open(driver, uri);
    let mut connection = connect(driver, uri);
    let (mut alone, mut by_worker, mut rows) = (Vec::new(), Vec::new(), 0);
    for _ in 0..rounds {
        let before = cpu();
        rows = read_here(&mut connection, sql);
        alone.push(cpu() - before);
        let before = cpu();
        assert_eq!(runtime.block_on(read_by_worker(&source, sql)), rows);
        by_worker.push(cpu() - before);
    }
    let (alone, by_worker) = (median(alone), median(by_worker));
    let ratio = by_worker / alone;
    println!(
        "| {rows} rows read in a worker, CPU seconds; in this process | {by_worker:.2} | {alone:.2} | {ratio:.2} | {RATIO_MAX} |"
    );
}

fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}

fn open(driver: &str, uri: &str) -> Source {
    let text = format!(
        "[sources.warehouse]\ntype = \"adbc\"\ndriver = {driver:?}\nstatement_timeout = \"10m\"\noptions.uri = {uri:?}\n"
    );
    let config =
        config::load_text(&text, Path::new("larder.toml"), &Environment::default(), &Overrides::default());
    config.unwrap_or_else(|faults| panic!("{faults}")).sources["warehouse"].clone()
}

async fn read_by_worker(source: &Source, sql: &str) -> usize {
    let query = Query::Sql(sql.into());
    let columns = source.describe(&query).await.expect("columns");
    let (sender, mut receiver) = mpsc::channel::<RowBatch>(2);
    let count = async {
        let mut rows = 0;
        while let Some(batch) = receiver.recv().await {
            rows += batch.rows();
        }
        rows
    };
    let (streamed, rows) = tokio::join!(source.stream(&query, sender, &columns, None), count);
    streamed.expect("rows");
    await_children().await;
    rows
}

/// Waits until every worker has ended, when its time counts as that of this process.
async fn await_children() {
    let is_child = |list: io::Result<String>| list.is_ok_and(|list| !list.trim().is_empty());
    let have_ended = async {
        while fs::read_dir("/proc/self/task")
            .expect("Linux lists threads")
            .flatten()
            .any(|thread| is_child(fs::read_to_string(thread.path().join("children"))))
        {
            // The runtime ends children without a word.
            time::sleep(Duration::from_millis(1)).await;
        }
    };
    time::timeout(FAREWELL_MAX, have_ended).await.expect("the worker ends");
}

fn connect(driver: &str, uri: &str) -> ManagedConnection {
    let mut driver =
        ManagedDriver::load_dynamic_from_filename(driver, None, AdbcVersion::V110).expect("a driver");
    let options = [(OptionDatabase::from("uri"), uri.into())];
    let database = driver.new_database_with_opts(options).expect("a database");
    database.new_connection().expect("a connection")
}

/// As a worker reads: the driver reads a batch while the one before is decoded.
fn read_here(connection: &mut ManagedConnection, sql: &str) -> usize {
    let mut statement = connection.new_statement().expect("a statement");
    statement.set_sql_query(sql).expect("a query");
    drop(statement.execute_schema().expect("columns"));
    let reader = statement.execute().expect("rows");
    let width = reader.schema().fields().len();
    let (sender, batches) = std_mpsc::sync_channel(1);
    let reading = thread::spawn(move || reader.into_iter().try_for_each(|batch| sender.send(batch)));
    let mut decoder = ArrowDecoder::default();
    let (mut decoded, mut rows) = (RowBatch::new(width), 0);
    for batch in batches {
        let batch: RecordBatch = batch.expect("a batch");
        for row in 0..decoder.begin(&batch).expect("columns that are known") {
            decoder.read_row(row, &mut decoded);
            if decoded.is_full() {
                rows += std::mem::replace(&mut decoded, RowBatch::new(width)).rows();
            }
        }
    }
    reading.join().expect("a reader").expect("a decoder that reads on");
    rows + decoded.rows()
}

/// CPU seconds of this process and of its children that have ended.
fn cpu() -> f64 {
    ticks().iter().sum::<u64>() as f64 / 100.0
}

/// Hundredths of seconds: of this process in user space and in the kernel, and of its children.
fn ticks() -> [u64; 4] {
    let text = fs::read_to_string("/proc/self/stat").expect("Linux reports a process's CPU time");
    let fields = text.rsplit(") ").next().expect("fields").split(' ').skip(11);
    let ticks: Vec<u64> = fields.take(4).map(|ticks| ticks.parse().expect("ticks")).collect();
    ticks.try_into().expect("four numbers")
}
