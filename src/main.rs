//! The door of the `larder` binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    larder::cli::main()
}
