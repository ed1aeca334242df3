//! `migrate`: from the Perl daemon's configuration and map to what has to be written for the service.
//!
//! Reads and prints; it changes nothing, starts nothing and runs nothing of what it reads.

mod carried;
mod old_daemon;
mod old_map;
mod report;
mod settings;

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use self::old_daemon::OldDaemon;
use self::old_map::OldMap;
use self::settings::OldSettings;
use super::{CommandError, CommandResult};
use crate::daemon::Plan;
use crate::postfix::command::{Output, Programs};

/// Where the configuration of the Perl daemon was put, by itself and by Debian's package.
const CONFIGURATIONS: [&str; 3] = [
    "/etc/pop-before-smtp-conf.pl",
    "/etc/pop-before-smtp/pop-before-smtp.conf",
    "/etc/pop-before-smtp/pop-before-smtp.conf.dpkg-bak",
];
/// Where its map was, likewise.
const MAPS: [&str; 2] = [
    "/etc/postfix/pop-before-smtp.db",
    "/var/lib/pop-before-smtp/hosts.db",
];
/// The largest configuration that is read, in bytes.
const LARGEST: u64 = 1 << 20;
/// How many clients and keys of the old map are named.
const NAMED: usize = 20;

/// What the Perl daemon left.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pop-before-smtp migrate
  pop-before-smtp migrate --old-config /root/pop-before-smtp-conf.pl
  pop-before-smtp migrate --old-map hash:/etc/postfix/pop-before-smtp

Prints, step by step, what to stop, write and change, and what can't be carried over. It changes \
nothing itself. The old configuration is a Perl program: it is read as text and never run; whatever \
only Perl could work out is listed.")]
pub struct MigrateArgs {
    /// The old configuration; by default, the first that exists of /etc/pop-before-smtp-conf.pl,
    /// /etc/pop-before-smtp/pop-before-smtp.conf and the copy that the package has kept of it
    #[arg(long, value_name = "FILE")]
    old_config: Option<PathBuf>,
    /// The old map: the file, or TYPE:PATH as in main.cf; by default, what the old configuration
    /// names, /etc/postfix/pop-before-smtp.db or Debian's /var/lib/pop-before-smtp/hosts.db
    #[arg(long, value_name = "FILE|TYPE:PATH")]
    old_map: Option<String>,
}

/// All that was found.
struct Found {
    /// The old configuration, if there is one.
    configuration: Option<PathBuf>,
    /// What it says; without it, the daemon's defaults.
    settings: OldSettings,
    /// The old map, or why it can't be read.
    map: Option<Result<OldMap, String>>,
    /// What is left of the daemon.
    daemon: OldDaemon,
    /// What is in force for the service.
    plan: Plan,
    /// The parameters of main.cf in force (postconf -n), one a line.
    main_cf: String,
}

/// Prints the report.
pub fn run(config: Option<&Path>, args: &MigrateArgs, out: &mut impl Write) -> CommandResult {
    let configuration = (args.old_config.clone()).or_else(|| first_file(&CONFIGURATIONS));
    let settings = match &configuration {
        Some(path) => {
            let failed = |why| CommandError::Old(format!("{}: {why}", path.display()));
            OldSettings::read(&read(path).map_err(failed)?)
        }
        None => OldSettings::default(),
    };
    let map = args.old_map.clone().or_else(|| {
        let named = settings.texts.get("dbfile");
        let named = named.and_then(|path| first_file(&[&format!("{path}.db")]));
        let found = named.or_else(|| first_file(&MAPS))?;
        Some(found.display().to_string())
    });
    if configuration.is_none() && map.is_none() {
        let nothing = "there is neither a configuration nor a map of the Perl daemon in the usual \
                       places: name them with --old-config and --old-map";
        return Err(CommandError::Old(nothing.to_owned()));
    }
    let programs = Programs::installed();
    let postconf = programs.run("postconf", &["-n"]);
    let found = Found {
        configuration,
        settings,
        map: map.map(|name| OldMap::read(&programs, &name)),
        daemon: OldDaemon::look(),
        plan: Plan::make(config)?,
        main_cf: postconf
            .and_then(Output::succeeded)
            .map(|output| output.text())
            .unwrap_or_default(),
    };
    out.write_all(report::report(&found).as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

/// The first of these that is there.
fn first_file(paths: &[&str]) -> Option<PathBuf> {
    paths.iter().map(PathBuf::from).find(|path| path.is_file())
}

/// Reads an old configuration.
fn read(path: &Path) -> Result<String, String> {
    let mut bytes = Vec::new();
    let opened = File::open(path).map(|file| file.take(LARGEST + 1));
    let read = opened.and_then(|mut file| file.read_to_end(&mut bytes));
    if read.map_err(|error| error.to_string())? as u64 > LARGEST {
        return Err(format!("it is larger than {} MiB", LARGEST >> 20));
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
