//! `store carry`: what `pop-before-smtp-store@NAME.service` runs.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::{name, unit};
use crate::carrier::{self, Store, state};
use crate::cli::{CommandError, CommandResult};
use crate::config;
use crate::daemon;
use crate::diagnostics;
use crate::intake::wanted;

/// Which store.
#[derive(Debug, Args)]
pub struct CarryArgs {
    /// What it is called here
    #[arg(value_name = "NAME", value_parser = name)]
    name: String,
}

/// Carries, for ever.
pub fn run(config: Option<&Path>, args: &CarryArgs) -> CommandResult {
    diagnostics::install();
    let settings = config::load(config)?.settings;
    let recogniser = daemon::recogniser(&settings)?;
    let Some(credentials) = std::env::var_os("CREDENTIALS_DIRECTORY") else {
        return Err(CommandError::NoCredentials(unit(&args.name)));
    };
    let below = |directory: &str| Path::new(directory).join(&args.name);
    let store = Store {
        name: args.name.clone(),
        directory: below(carrier::DIRECTORY),
        runtime: below(state::DIRECTORY),
        credentials: PathBuf::from(credentials),
        kept_for: settings.grace.saturating_add(settings.max_session),
        wanted: wanted(&recogniser),
    };
    carrier::run(&store).map_err(CommandError::Carrier)?;
    Ok(ExitCode::SUCCESS)
}
