//! `run`: the service in the foreground.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::CommandResult;
use crate::control;
use crate::daemon;
use crate::diagnostics;

/// How the service is run.
#[derive(Debug, Args)]
pub struct RunArgs {
    /// Read the journal up to now, publish the access map, and exit
    #[arg(long)]
    once: bool,
    /// Where to create a control socket if systemd passes none
    #[arg(long, value_name = "PATH", default_value = control::SOCKET)]
    socket: PathBuf,
    /// Where to create a policy socket if systemd passes none; by default, nowhere
    #[arg(long, value_name = "PATH")]
    policy_socket: Option<PathBuf>,
}

/// Runs until told to stop.
pub fn run(config: Option<&Path>, args: &RunArgs) -> CommandResult {
    diagnostics::install();
    daemon::run(&daemon::Options {
        config: config.map(Path::to_owned),
        once: args.once,
        socket: args.socket.clone(),
        policy_socket: args.policy_socket.clone(),
    })?;
    Ok(ExitCode::SUCCESS)
}
