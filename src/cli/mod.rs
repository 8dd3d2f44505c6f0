//! The commands.

mod actor;
mod approve;
mod args;
mod audit;
mod check;
mod exit;
mod health;
mod keys;
mod migrate;
mod output;
mod panics;
mod preview;
mod quickstart;
mod runs;
mod segment;
mod serve;
mod session;
mod status;
mod sync;
mod undo;

use std::process::ExitCode;

use clap::Parser;

use self::{
    args::{Arguments, Command, ConfigCommand, KeysCommand, SegmentCommand},
    exit::Exit,
    output::{complain, print},
};
use crate::support::background::build_runtime;

/// Threads that may block at the same time. They stay, so that a process limit cannot stop their work.
const BLOCKING_THREADS_MAX: usize = 64;

/// Reads the command line, runs the command, and gives its exit code.
pub fn main() -> ExitCode {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    crate::support::allocator::return_large_blocks();
    panics::install();
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version come this way too, on stdout and with success.
            let exit = if error.use_stderr() { Exit::Usage } else { Exit::Success };
            let _ = error.print();
            return exit.into();
        }
    };
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = match build_runtime(builder.max_blocking_threads(BLOCKING_THREADS_MAX)) {
        Ok(runtime) => runtime,
        Err(error) => {
            complain(&format!(
                "the operating system gives no thread: {error}; raise the limit of processes (`ulimit -u`, \
                 TasksMax, pids.max)"
            ));
            return Exit::Failed.into();
        }
    };
    let exit = match runtime.block_on(run(arguments.command)) {
        Ok(exit) => exit,
        Err(failure) => failure.report(),
    };
    // Threads that still read or write are not waited for: nothing of theirs is visible.
    runtime.shutdown_background();
    exit.into()
}

async fn run(command: Command) -> Result<Exit, output::Failure> {
    match command {
        Command::Quickstart(arguments) => quickstart::run(arguments).await,
        Command::Serve(arguments) => serve::run(arguments).await,
        Command::Check(arguments) => check::run(arguments).await,
        Command::Preview(arguments) => preview::run(arguments).await,
        Command::Sync(arguments) => sync::run(arguments).await,
        Command::Runs(arguments) => runs::run(arguments).await,
        Command::Approve(arguments) => approve::run(arguments).await,
        Command::Rollback(arguments) => undo::rollback(arguments).await,
        Command::Resume(arguments) => undo::resume(arguments).await,
        Command::Pin(arguments) => undo::pin(arguments).await,
        Command::Unpin(arguments) => undo::unpin(arguments).await,
        Command::Drop(arguments) => undo::drop(arguments).await,
        Command::Keys(arguments) => match arguments.command {
            KeysCommand::Create(arguments) => keys::create(arguments).await,
            KeysCommand::List(arguments) => keys::list(arguments).await,
            KeysCommand::Revoke(arguments) => keys::revoke(arguments).await,
        },
        Command::Status(arguments) => status::run(arguments).await,
        Command::Audit(arguments) => audit::run(arguments).await,
        Command::Segment(arguments) => match arguments.command {
            SegmentCommand::Cat(arguments) => segment::cat(&arguments),
        },
        Command::Health(arguments) => health::run(arguments).await,
        Command::Migrate(config) => migrate::run(&config).await,
        Command::Config(arguments) => match arguments.command {
            ConfigCommand::Print(config) => {
                print(session::load(&config)?.print().trim_end())?;
                Ok(Exit::Success)
            }
        },
    }
}
