//! The worker: a process that loads a driver, does one job, and ends.

use std::{
    fs::File,
    io::{self, BufRead as _, BufWriter, Read as _, Write as _},
    os::fd::AsFd as _,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::mpsc,
    thread,
    time::Duration,
};

use adbc_core::{
    CancelHandle, Connection as _, Database as _, Driver as _, Statement as _,
    error::{Error, Result as AdbcResult},
    options::{AdbcVersion, ObjectDepth, OptionDatabase},
};
use adbc_driver_manager::{ManagedConnection, ManagedDatabase, ManagedDriver};
use arrow_array::{RecordBatch, RecordBatchReader as _};
use arrow_schema::ArrowError;

use super::{
    frame::Frame,
    job::{DAMAGED, Failure, Job, Step, Task},
    objects, scratch,
};
use crate::{
    domain::row::RowBatch,
    source::arrow::{self, ArrowDecoder},
};

/// Longest time that a driver may take to cancel.
const CANCEL_MAX: Duration = Duration::from_secs(3);
/// Most cells of a batch; rows of many nulls have little text.
const CELLS_MAX: usize = 500_000;
/// What stands before a driver's own words in an error of a stream of batches.
const PRODUCER: &str = "Producer error: ";
/// The beginning of what arrow says of an answer of a driver; and what it says when the driver itself reports an error.
const ARROW: &str = "C Data interface error: ";
const REPORTED: &str = "C Data interface error: Cannot get ";
/// Batches that a driver reads ahead of the rows that are decoded.
const BATCHES_AHEAD: usize = 1;
/// The entry point that every library may have.
const USUAL_ENTRYPOINT: &str = "AdbcDriverInit";
/// Bytes that the pipe to the parent holds: with fewer, both wake each other up for each part of a batch. Linux allows as
/// many without privileges.
const PIPE_BYTES: usize = 1 << 20;
/// Nice value of a worker: rows are served first.
const NICE: i32 = 10;

/// Reads a job from standard input, does it, and writes frames to standard output. For `larder source-worker`.
///
/// # Errors
/// The job is none, or the parent has gone.
pub fn work() -> io::Result<()> {
    // Drivers print. Whatever they print goes to standard error from here on.
    let mut out = BufWriter::new(File::from(rustix::io::dup(io::stdout().as_fd())?));
    // A smaller one works as well.
    let _ = rustix::pipe::fcntl_setpipe_size(out.get_ref(), PIPE_BYTES);
    rustix::stdio::dup2_stdout(io::stderr().as_fd())?;
    let _ = rustix::process::setpriority_process(None, NICE);
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    let mut job: Job = serde_json::from_str(&line)?;
    drop(line);
    scratch::give_directory(&mut job);
    end_with_input();
    let done = guarded(|| run(job, &mut out));
    finish(done, &mut out)?;
    // Drivers have threads of their own, which an orderly end would wait for.
    end()
}

/// Why a job ended early.
enum Ended {
    Failed(Failure),
    /// Nobody reads the frames any more.
    NoParent,
}

impl From<io::Error> for Ended {
    fn from(_: io::Error) -> Self {
        Self::NoParent
    }
}

/// What a driver gives is foreign memory: what reads it panics where the standard does not hold.
fn guarded<T>(work: impl FnOnce() -> Result<T, Ended>) -> Result<T, Ended> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(damaged(Step::Read, "the data cannot be read")))
}

fn damaged(step: Step, words: &str) -> Ended {
    let (status, message) = (DAMAGED.to_owned(), words.to_owned());
    Ended::Failed(Failure { step, status, sqlstate: None, vendor_code: 0, message })
}

fn failed(step: Step) -> impl Fn(Error) -> Ended {
    move |error| {
        if let Some(words) =
            error.message.strip_prefix(ARROW).filter(|_| !error.message.starts_with(REPORTED))
        {
            return damaged(step, words);
        }
        let sqlstate: String = error.sqlstate.iter().map(|byte| char::from(byte.cast_unsigned())).collect();
        Ended::Failed(Failure {
            step,
            status: format!("{:?}", error.status),
            sqlstate: sqlstate.chars().all(|letter| letter.is_ascii_alphanumeric()).then_some(sqlstate),
            vendor_code: error.vendor_code,
            message: error.message,
        })
    }
}

fn unreadable(step: Step, message: impl Into<String>) -> Ended {
    let (status, message) = ("InvalidData".to_owned(), message.into());
    Ended::Failed(Failure { step, status, sqlstate: None, vendor_code: 0, message })
}

fn run(job: Job, out: &mut BufWriter<File>) -> Result<(), Ended> {
    let entrypoint = job.entrypoint.as_deref().map(str::as_bytes);
    let mut driver = ManagedDriver::load_dynamic_from_filename(&job.driver, entrypoint, AdbcVersion::V110)
        .map_err(|error| failed(Step::Load)(of_entrypoint(error, job.entrypoint.as_deref())))?;
    let options = job.options.into_iter();
    let options = options.map(|(name, value)| (OptionDatabase::from(name.as_str()), value.as_str().into()));
    let database: ManagedDatabase = driver.new_database_with_opts(options).map_err(failed(Step::Connect))?;
    let mut connection = database.new_connection().map_err(failed(Step::Connect))?;
    Frame::Connected.write(out)?;
    for (at, sql) in job.setup.iter().enumerate() {
        let step = if loads_extension(sql) { Step::Extension(at) } else { Step::Setup(at) };
        execute(&mut connection, sql).map_err(failed(step))?;
    }
    match job.task {
        Task::Connect => Ok(()),
        Task::Tables => list(&connection, out),
        Task::Describe { sql, empty_sql } => describe(&mut connection, &sql, empty_sql, out),
        Task::Read { sql, rows_max } => read(&mut connection, &sql, rows_max, out),
    }
}

/// The error of a library without its entry point names that one: the manager looks for the usual one last.
fn of_entrypoint(error: Error, entrypoint: Option<&str>) -> Error {
    let Some(entrypoint) = entrypoint else { return error };
    let missing = |name: &str| format!("undefined symbol: {name}");
    let message = error.message.replace(&missing(USUAL_ENTRYPOINT), &missing(entrypoint));
    Error { message, ..error }
}

/// Whether a statement of `setup` is `load NAME`.
fn loads_extension(sql: &str) -> bool {
    let words: Vec<&str> = sql.trim_end_matches(';').split_whitespace().collect();
    let is_name = |word: &str| word.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    matches!(words[..], [load, name] if load.eq_ignore_ascii_case("load") && is_name(name))
}

fn execute(connection: &mut ManagedConnection, sql: &str) -> AdbcResult<()> {
    let mut statement = connection.new_statement()?;
    statement.set_sql_query(sql)?;
    cancel_at_end_of_input(statement.get_cancel_handle());
    statement.execute_update().map(drop)
}

fn list(connection: &ManagedConnection, out: &mut BufWriter<File>) -> Result<(), Ended> {
    let objects = connection.get_objects(ObjectDepth::Tables, None, None, None, None, None);
    let mut names = Vec::new();
    for batch in objects.map_err(failed(Step::Describe))? {
        let batch = batch.map_err(|error| unreadable(Step::Describe, error.to_string()))?;
        let found = objects::tables(&batch);
        names.extend(found.ok_or_else(|| unreadable(Step::Describe, "the list of tables cannot be read"))?);
    }
    names.sort();
    Frame::Tables(names).write(out)?;
    Ok(())
}

/// The columns of a query: by the driver's own description, else of the query without rows.
fn describe(
    connection: &mut ManagedConnection,
    sql: &str,
    empty_sql: String,
    out: &mut BufWriter<File>,
) -> Result<(), Ended> {
    let mut statement = connection.new_statement().map_err(failed(Step::Describe))?;
    statement.set_sql_query(sql).map_err(failed(Step::Describe))?;
    cancel_at_end_of_input(statement.get_cancel_handle());
    let schema = match statement.execute_schema() {
        Ok(schema) => schema,
        Err(error) if error.status == adbc_core::error::Status::NotImplemented => {
            let mut statement = connection.new_statement().map_err(failed(Step::Describe))?;
            statement.set_sql_query(empty_sql).map_err(failed(Step::Describe))?;
            (*statement.execute().map_err(failed(Step::Describe))?.schema()).clone()
        }
        Err(error) => return Err(failed(Step::Describe)(error)),
    };
    Frame::Columns(arrow::columns(&schema)).write(out)?;
    Ok(())
}

fn read(
    connection: &mut ManagedConnection,
    sql: &str,
    rows_max: u64,
    out: &mut BufWriter<File>,
) -> Result<(), Ended> {
    let mut statement = connection.new_statement().map_err(failed(Step::Read))?;
    statement.set_sql_query(sql).map_err(failed(Step::Read))?;
    cancel_at_end_of_input(statement.get_cancel_handle());
    let reader = statement.execute().map_err(failed(Step::Read))?;
    let columns = arrow::columns(&reader.schema());
    let width = columns.len();
    Frame::Columns(columns).write(out)?;
    let mut rows = Rows { batch: RowBatch::new(width), left: rows_max };
    pass_on(reader, &mut rows, out)
}

/// Writes the rows of all batches. The driver reads on while the rows before are decoded.
fn pass_on(
    reader: impl Iterator<Item = Result<RecordBatch, ArrowError>> + Send + 'static,
    rows: &mut Rows,
    out: &mut BufWriter<File>,
) -> Result<(), Ended> {
    let (sender, batches) = mpsc::sync_channel(BATCHES_AHEAD);
    let reading = thread::spawn(move || {
        for batch in reader {
            if sender.send(batch).is_err() {
                break;
            }
        }
    });
    let decoded = guarded(|| decode(&batches, rows, out));
    if decoded.is_ok() && rows.left > 0 {
        // The reading ends with a panic at a batch that is none, which is not the end of the rows.
        reading.join().map_err(|_| damaged(Step::Read, "the data cannot be read"))?;
        rows.write(out)?;
        return Ok(());
    }
    // The driver may still read: nothing is taken from under it, and the process ends here.
    let done = decoded.and_then(|()| Ok(rows.write(out)?));
    let _ = finish(done, out);
    end()
}

/// Tells the parent how the job ended.
fn finish(done: Result<(), Ended>, out: &mut BufWriter<File>) -> io::Result<()> {
    // A parent that knows the end does not wait for more.
    scratch::remove_own();
    match done {
        Ok(()) => Frame::End.write(out)?,
        Err(Ended::Failed(failure)) => Frame::Failed(failure).write(out)?,
        Err(Ended::NoParent) => {}
    }
    out.flush()
}

/// Writes the rows of all batches, until enough are written.
fn decode(
    batches: &mpsc::Receiver<Result<RecordBatch, ArrowError>>,
    rows: &mut Rows,
    out: &mut BufWriter<File>,
) -> Result<(), Ended> {
    let width = rows.batch.columns();
    let mut decoder = ArrowDecoder::default();
    while rows.left > 0
        && let Ok(batch) = batches.recv()
    {
        let batch = batch.map_err(of_stream)?;
        if batch.num_columns() != width {
            return Err(damaged(Step::Read, "a batch has other columns than the schema"));
        }
        let count = decoder.begin(&batch).map_err(|error| damaged(Step::Read, error.message()))?;
        for row in 0..count.min(usize::try_from(rows.left).unwrap_or(usize::MAX)) {
            decoder.read_row(row, &mut rows.batch);
            rows.left -= 1;
            if rows.batch.is_full() || rows.batch.rows() * width >= CELLS_MAX {
                rows.write(out)?;
            }
        }
    }
    Ok(())
}

/// The error of a driver that a stream gives wraps the driver's own.
fn of_stream(error: ArrowError) -> Ended {
    let words = error.to_string();
    match error {
        ArrowError::ExternalError(inner) => match inner.downcast::<Error>() {
            Ok(inner) => failed(Step::Read)(*inner),
            Err(_) => unreadable(Step::Read, words),
        },
        _ if words.starts_with(REPORTED) => {
            unreadable(Step::Read, words.split_once(PRODUCER).map_or(&*words, |(_, own)| own))
        }
        _ => damaged(Step::Read, &words),
    }
}

/// Rows on their way.
struct Rows {
    batch: RowBatch,
    left: u64,
}

impl Rows {
    fn write(&mut self, out: &mut BufWriter<File>) -> io::Result<()> {
        let width = self.batch.columns();
        if self.batch.rows() == 0 {
            return Ok(());
        }
        let frame = Frame::Rows(std::mem::replace(&mut self.batch, RowBatch::new(width)));
        frame.write(out)?;
        if let Frame::Rows(batch) = frame {
            self.batch = batch;
            self.batch.clear();
        }
        Ok(())
    }
}

/// The end of the input says that nobody waits any more. Ends the process then, also while the driver begins or connects
/// and there is nothing yet to cancel.
fn end_with_input() {
    let watch = || {
        let _ = io::stdin().lock().read_to_end(&mut Vec::new());
        // What runs is cancelled first.
        wait(2 * CANCEL_MAX);
        end()
    };
    let _ = thread::Builder::new().spawn(watch);
}

/// The end of the input says that nobody waits any more: cancels, and ends the process.
fn cancel_at_end_of_input(statement: Box<dyn CancelHandle>) {
    let watch = move || {
        let _ = io::stdin().lock().read_to_end(&mut Vec::new());
        // The thread of the call ends the process when the driver obeys.
        thread::spawn(move || statement.try_cancel());
        wait(CANCEL_MAX);
        end()
    };
    // Without a thread the parent's kill is what ends the process.
    let _ = thread::Builder::new().spawn(watch);
}

fn wait(time: Duration) {
    let (_unused, never) = mpsc::channel::<()>();
    let _ = never.recv_timeout(time);
}

/// Ends this process at once, whatever threads of a driver do.
fn end() -> ! {
    scratch::remove_own();
    let _ = rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL);
    std::process::abort()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::Int64Array;

    use super::*;

    /// What arrow does with a batch of a driver whose columns have other lengths than it says.
    #[test]
    fn a_damaged_batch_is_not_the_end_of_the_rows() {
        let batch = || {
            let column = Arc::new(Int64Array::from(vec![1, 2, 3])) as _;
            RecordBatch::try_from_iter([("id", column)]).unwrap()
        };
        let passed = |is_damaged: bool| {
            let mut batches = 0;
            let reader = std::iter::from_fn(move || {
                batches += 1;
                assert!(!is_damaged || batches < 3, "damaged");
                (batches < 3).then(|| Ok(batch()))
            });
            let mut rows = Rows { batch: RowBatch::new(1), left: 100 };
            let mut out = BufWriter::new(tempfile::tempfile().unwrap());
            pass_on(reader, &mut rows, &mut out).map(|()| 100 - rows.left)
        };
        assert!(matches!(passed(false), Ok(6)));
        assert!(matches!(passed(true), Err(Ended::Failed(failure)) if failure.status == DAMAGED));
    }
}
