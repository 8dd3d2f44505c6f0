//! The read path's opponents and its load: a bare hyper server, and a load generator that talks to
//! loopback addresses only. `scripts/bench.sh read`, `lookups`, `tail`, `apply` and `connections` drive them.

mod answer;
mod bare;
mod histogram;
mod load;
mod report;
mod requests;
mod watch;

use std::{net::SocketAddr, path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand};

#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// Given by `cargo bench`, means nothing here.
    #[arg(long, global = true, hide = true)]
    bench: bool,
}

#[derive(Subcommand)]
enum Command {
    /// A hyper server that returns one body, whatever it is asked.
    Bare {
        /// Where it listens.
        address: SocketAddr,
        /// The file that holds the body.
        body: PathBuf,
        /// Header lines of the answer, besides type, length and date.
        #[arg(long)]
        header: Vec<String>,
    },
    /// Sends requests over keep-alive connections and prints what came back.
    Load(Load),
    /// Opens connections, asks once over each, prints `open` and holds them until standard input ends.
    Idle {
        #[command(flatten)]
        target: Target,
    },
    /// Waits until the answer has this `X-Data-Version`, and prints the time as seconds since 1970.
    AwaitVersion {
        #[command(flatten)]
        target: Target,
        #[arg(long)]
        version: u64,
    },
    /// Waits until a file exists, and prints the time as seconds since 1970.
    AwaitFile { file: PathBuf },
}

/// What is asked, and where.
#[derive(Args, Clone)]
pub(crate) struct Target {
    /// A loopback address.
    #[arg(long)]
    pub(crate) address: SocketAddr,
    /// Path; `{}` becomes a random number from 1 to `--keys`.
    #[arg(long)]
    pub(crate) path: String,
    #[arg(long, default_value_t = 1)]
    pub(crate) keys: u64,
    /// Sends a POST with so many random numbers from 1 to `--keys` as values, instead of a GET.
    #[arg(long, default_value_t = 0)]
    pub(crate) values: usize,
    /// Header lines to add.
    #[arg(long)]
    pub(crate) header: Vec<String>,
    #[arg(long, default_value_t = 64)]
    pub(crate) connections: usize,
}

#[derive(Args)]
pub(crate) struct Load {
    #[command(flatten)]
    pub(crate) target: Target,
    /// Requests a second, sent when they are due whether others were answered or not, and measured
    /// from then. Without it every connection asks again as soon as it is answered.
    #[arg(long)]
    pub(crate) rate: Option<u64>,
    #[arg(long, default_value_t = 5.0)]
    pub(crate) seconds: f64,
    /// Most requests sent.
    #[arg(long, default_value_t = u64::MAX)]
    pub(crate) requests: u64,
    /// Name of the first phase. Every line on standard input then begins another phase of that name,
    /// each with a report of its own, and the end of standard input ends the run.
    #[arg(long)]
    pub(crate) phase: Option<String>,
}

/// Longest measurement: this is a bench, not a soak.
const SECONDS_MAX: f64 = 600.0;
/// Highest rate: one thread cannot send more.
const RATE_MAX: u64 = 1_000_000;
/// Most connections: as many as a server takes by default, and some.
const CONNECTIONS_MAX: usize = 20_000;

fn main() {
    match Arguments::parse().command {
        Command::Bare { address, body, header } => bare::serve(address, &body, &header),
        Command::Load(load) => {
            check(&load.target);
            assert!(load.seconds <= SECONDS_MAX, "at most {SECONDS_MAX} seconds");
            assert!(load.rate.is_none_or(|rate| (1..=RATE_MAX).contains(&rate)), "1 to {RATE_MAX} a second");
            load::run(&load, Duration::from_secs_f64(load.seconds));
        }
        Command::Idle { target } => {
            check(&target);
            load::hold(&target);
        }
        Command::AwaitVersion { target, version } => {
            check(&target);
            watch::version(&target, version);
        }
        Command::AwaitFile { file } => watch::file(&file),
    }
}

fn check(target: &Target) {
    assert!(target.address.ip().is_loopback(), "load goes to loopback addresses only");
    assert!((1..=CONNECTIONS_MAX).contains(&target.connections), "1 to {CONNECTIONS_MAX} connections");
}
