//! The binary: parses the command line and calls one command.

use std::process::ExitCode;

fn main() -> ExitCode {
    pop_before_smtp::cli::main()
}
