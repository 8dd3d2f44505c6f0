//! The commands.

mod admin_keys;
mod args;
mod audit;
mod check;
mod exit;
mod export;
mod health;
mod import;
mod init;
mod keys;
mod login_link;
mod output;
mod panics;
mod preview;
mod quickstart;
mod remote;
mod repair;
mod runs;
mod secrets;
mod segment;
mod serve;
mod session;
mod sessions;
mod source;
mod status;
mod sync;
mod token;
mod undo;
mod versions;

use std::process::ExitCode;

use clap::Parser;

use self::{
    args::{
        AdminCommand, Arguments, Command, ConfigCommand, KeysCommand, SecretsCommand, SegmentCommand,
        TokenCommand,
    },
    exit::Exit,
    output::{Failure, complain, print},
    remote::Remote,
};
use crate::{app, support::background::build_runtime};

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
    let exit = match runtime.block_on(run(arguments)) {
        Ok(exit) => exit,
        Err(failure) => failure.report(),
    };
    // Threads that still read or write have nothing visible to finish.
    runtime.shutdown_background();
    exit.into()
}

async fn run(Arguments { config, command }: Arguments) -> Result<Exit, Failure> {
    let config = &config;
    if config.server.is_some() && !command.works_on_a_server() {
        let message = "this command works on this machine only; leave out --server and LARDER_SERVER";
        return Err(Failure::Usage(message.to_owned()));
    }
    match command {
        Command::Quickstart(arguments) => quickstart::run(config, arguments).await,
        Command::Init(arguments) => Box::pin(init::run(config, *arguments)).await,
        Command::Serve => serve::run(config).await,
        Command::Check { connect } => check::run(config, connect).await,
        Command::Export(arguments) => export::run(config, arguments).await,
        Command::Import(arguments) => import::run(config, arguments).await,
        Command::Secrets(SecretsCommand::Rotate(actor)) => secrets::rotate(config, &actor).await,
        Command::Preview(arguments) => preview::run(config, arguments).await,
        Command::Source(command) => source::run(config, command).await,
        Command::Drivers { json } => source::drivers(config, json),
        Command::SourceWorker => source::work(),
        Command::Sync(arguments) => sync::run(config, arguments).await,
        Command::Runs(arguments) => runs::run(config, arguments).await,
        Command::Versions(arguments) => versions::run(config, arguments).await,
        Command::Approve(arguments) => sync::approve(config, arguments).await,
        Command::Rollback(arguments) => undo::rollback(config, arguments).await,
        Command::Resume(arguments) => undo::resume(config, arguments).await,
        Command::Pin(arguments) => Box::pin(undo::pin(config, arguments)).await,
        Command::Unpin(arguments) => undo::unpin(config, arguments).await,
        Command::Drop(arguments) => undo::drop(config, arguments).await,
        Command::Takeover(arguments) => undo::take_over(config, arguments).await,
        Command::Keys(KeysCommand::Create(arguments)) => keys::create(config, &arguments).await,
        Command::Keys(KeysCommand::List { json }) => keys::list(config, json).await,
        Command::Admin(AdminCommand::Keys(command)) => admin_keys::run(config, command).await,
        Command::Admin(AdminCommand::Sessions(command)) => sessions::run(config, command).await,
        Command::Admin(AdminCommand::LoginLink(arguments)) => login_link::run(config, arguments).await,
        Command::Token(TokenCommand::Mint(arguments)) => token::mint(config, arguments),
        Command::Keys(KeysCommand::Rotate(arguments)) => keys::rotate(config, arguments).await,
        Command::Keys(KeysCommand::Revoke(arguments)) => keys::revoke(config, arguments).await,
        Command::Status { json } => status::run(config, json).await,
        Command::Repair { actor, json } => repair::repair(config, &actor, json).await,
        Command::Housekeeping { json } => repair::housekeeping(config, json).await,
        Command::Audit(arguments) => audit::run(config, arguments).await,
        Command::Segment(SegmentCommand::Cat(arguments)) => segment::cat(&arguments),
        Command::Health(arguments) => health::run(arguments).await,
        Command::Migrate => {
            app::migrate_metadata(&session::load(config)?).await?;
            print("the metadata database is up to date")?;
            Ok(Exit::Success)
        }
        Command::Config(ConfigCommand::Print) => {
            let text = match Remote::of(config)? {
                Some(remote) => {
                    String::from_utf8_lossy(&remote.bytes("/admin/v1/configuration", &[]).await?).into_owned()
                }
                None => session::layered(&session::load(config)?).await.configuration.text,
            };
            print(text.trim_end())?;
            Ok(Exit::Success)
        }
    }
}
