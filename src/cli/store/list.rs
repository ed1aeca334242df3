//! `store list`: the stores, and how their carriers are.

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use super::{DIRECTORY, directory, read};
use crate::carrier::state::{self, Carrier};
use crate::cli::{CommandError, CommandResult};
use crate::diagnostics::{local_time, printable};

/// How they are shown.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Print one object per line, for programs
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Shown {
    name: String,
    host: String,
    connected: bool,
    since: Option<jiff::Timestamp>,
    trouble: Option<String>,
    clock_ahead: i64,
}

/// The names of all stores, in order.
pub(in crate::cli) fn names() -> Result<Vec<String>, CommandError> {
    let found = match std::fs::read_dir(DIRECTORY) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            let path = PathBuf::from(DIRECTORY);
            return Err(CommandError::ReadFile {
                path,
                source: error,
            });
        }
        found => found.into_iter().flatten().flatten(),
    };
    let mut names: Vec<String> = found
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect();
    names.sort();
    Ok(names)
}

/// Prints a line for each.
pub fn run(args: &ListArgs, out: &mut impl Write) -> CommandResult {
    let names = names()?;
    for name in &names {
        let shown = look(name);
        if args.json {
            serde_json::to_writer(&mut *out, &shown).map_err(std::io::Error::from)?;
            writeln!(out)?;
            continue;
        }
        let since = shown
            .since
            .map(|since| format!(" since {}", local_time(since)));
        let since = since.unwrap_or_default();
        let how = match &shown.trouble {
            None => format!("connected{since}"),
            Some(trouble) => format!("not connected{since}: {}", printable(trouble)),
        };
        writeln!(out, "{name}  {}  {how}", printable(&shown.host))?;
    }
    if names.is_empty() && !args.json {
        writeln!(out, "no stores: 'pop-before-smtp store add NAME' adds one")?;
    }
    Ok(ExitCode::SUCCESS)
}

fn look(name: &str) -> Shown {
    let config = read(&directory(name).join("ssh_config")).unwrap_or_default();
    let host = config
        .lines()
        .find_map(|line| line.trim().strip_prefix("HostName "));
    let (state, gone) = match state::look(Path::new(state::DIRECTORY), name) {
        Carrier::Lives(state) => (Some(state), None),
        Carrier::IsGone(_) => (None, Some(state::not_running(name))),
    };
    let trouble = gone.or_else(|| state.as_ref().and_then(|state| state.trouble.clone()));
    Shown {
        name: name.to_owned(),
        host: host.unwrap_or_default().to_owned(),
        connected: trouble.is_none(),
        since: state.as_ref().map(|state| state.since),
        clock_ahead: state.as_ref().map_or(0, |state| state.clock_ahead),
        trouble,
    }
}
