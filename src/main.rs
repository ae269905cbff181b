//! The `samesake` program: reads the command line, runs one command, answers with its exit code.

use std::process::ExitCode;

use samesake::cli::{self, Command};
use samesake::commands;

// Frees hashing memory back to its own pools, so that the process does not grow under bursts of logins.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    let done = match cli::parse() {
        Command::CheckConfig(command) => commands::check_config(&command),
        command => Err(anyhow::anyhow!("{command:?} is not part of this build")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => cli::report(&error),
    }
}
