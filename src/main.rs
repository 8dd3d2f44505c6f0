//! Entry point of the `larder` binary.

use std::process::ExitCode;

#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[global_allocator]
static ALLOCATOR: larder::support::allocator::HugePages = larder::support::allocator::HugePages;

fn main() -> ExitCode {
    larder::cli::main()
}
