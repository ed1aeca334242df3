//! `log-level`: how much the running service writes to the journal.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, ValueEnum};

use super::CommandResult;
use crate::control;
use crate::control::client::Service;
use crate::control::protocol::{LogLevel, SetLogLevel};

/// Which level.
#[derive(Debug, Args)]
pub struct LogLevelArgs {
    /// The level from now on; without it, the current one is shown
    level: Option<LogLevel>,
    /// The service's control socket
    #[arg(long, value_name = "PATH", default_value = control::SOCKET)]
    socket: PathBuf,
}

/// Sets the level, or shows it.
pub fn run(args: &LogLevelArgs, out: &mut impl Write) -> CommandResult {
    let mut service = Service::connect(&args.socket)?;
    match args.level {
        Some(level) => {
            let former = service.call(&SetLogLevel { level })?.former;
            writeln!(out, "{}, was {}", name(level), name(former))?;
        }
        None => writeln!(out, "{}", name(service.status()?.log_level))?,
    }
    Ok(ExitCode::SUCCESS)
}

/// As it is written on the command line.
pub fn name(level: LogLevel) -> String {
    let value = level.to_possible_value();
    value.map_or_else(String::new, |value| value.get_name().to_owned())
}
