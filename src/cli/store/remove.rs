//! `store remove`: takes away all that `store add` has made, and what was carried.

use std::fs;
use std::io::{self, Write};
use std::path::Path;
use std::process::{Command, ExitCode};

use clap::Args;

use super::{drop_in, known, name, unit};
use crate::carrier;
use crate::cli::{CommandError, CommandResult};

/// Which store.
#[derive(Debug, Args)]
pub struct RemoveArgs {
    /// What it is called here
    #[arg(value_name = "NAME", value_parser = name)]
    name: String,
}

/// Takes it away.
pub fn run(args: &RemoveArgs, out: &mut impl Write) -> CommandResult {
    let (name, directory) = (&args.name, known(&args.name)?);
    let unit = unit(name);
    // Without systemd there is nothing to stop.
    let _ = Command::new("systemctl")
        .args(["--quiet", "disable", "--now", &unit])
        .status();
    let files = Path::new(carrier::DIRECTORY).join(name);
    let drop_in = drop_in(name);
    let file = (fs::remove_file(&drop_in), drop_in);
    let directories = [files, directory].map(|path| (fs::remove_dir_all(&path), path));
    for (removed, path) in [file].into_iter().chain(directories) {
        if let Err(source) = removed
            && source.kind() != io::ErrorKind::NotFound
        {
            return Err(CommandError::File { path, source });
        }
    }
    writeln!(
        out,
        "{name} is taken away. So that its logins no longer count:\nsystemctl reload pop-before-smtp\n\
         # At the store, remove this host's line from authorized_keys, or its user: userdel --remove"
    )?;
    Ok(ExitCode::SUCCESS)
}
