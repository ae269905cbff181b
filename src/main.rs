//! The `samesake` program: reads the command line, runs one command, answers with its exit code.

use std::process::ExitCode;

use samesake::cli;
use samesake::commands;

// Frees hashing memory back to its own pools, so that the process does not grow under bursts of logins.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    match commands::run(&cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => cli::report(&error),
    }
}
