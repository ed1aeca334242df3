//! `show-config`: the effective configuration.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use clap::Args;

use super::CommandResult;
use crate::config;

/// How it is shown.
#[derive(Debug, Args)]
pub struct ShowConfigArgs {
    /// Print JSON, for programs
    #[arg(long)]
    json: bool,
}

/// Prints every key with its value and where it came from.
pub fn run(config: Option<&Path>, args: &ShowConfigArgs, out: &mut impl Write) -> CommandResult {
    let loaded = config::load(config)?;
    if args.json {
        writeln!(out, "{:#}", config::show_json(&loaded))?;
    } else {
        write!(out, "{}", config::show(&loaded))?;
    }
    Ok(ExitCode::SUCCESS)
}
