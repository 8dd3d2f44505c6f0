//! The read path's opponents and its load: a bare hyper server, and a load generator that talks to
//! loopback addresses only. `scripts/bench.sh read` and `tail` drive them.

mod bare;
mod histogram;
mod load;

use std::{net::SocketAddr, time::Duration};

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
        body: std::path::PathBuf,
    },
    /// Sends requests over keep-alive connections and prints what came back.
    Load(Load),
    /// Opens connections, asks once over each, prints `open` and holds them until standard input ends.
    Idle(Idle),
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
}

#[derive(Args)]
struct Idle {
    #[command(flatten)]
    target: Target,
}

/// Longest measurement: this is a bench, not a soak.
const SECONDS_MAX: f64 = 600.0;
/// Most connections: as many as a server takes by default, and some.
const CONNECTIONS_MAX: usize = 20_000;

fn main() {
    let arguments = Arguments::parse();
    match arguments.command {
        Command::Bare { address, body } => bare::serve(address, &body),
        Command::Load(arguments) => {
            check(&arguments.target);
            assert!(arguments.seconds <= SECONDS_MAX, "at most {SECONDS_MAX} seconds");
            let length = Duration::from_secs_f64(arguments.seconds);
            println!("{}", load::run(&arguments.target, arguments.rate, length));
        }
        Command::Idle(Idle { target }) => {
            check(&target);
            load::hold(&target);
        }
    }
}

fn check(target: &Target) {
    assert!(target.address.ip().is_loopback(), "load goes to loopback addresses only");
    assert!((1..=CONNECTIONS_MAX).contains(&target.connections), "1 to {CONNECTIONS_MAX} connections");
}
