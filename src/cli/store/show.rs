//! `store show`: what is to be done at a store, and here, so that its journal is carried.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use clap::Args;

use super::{known, name, read, unit};
use crate::carrier::line;
use crate::cli::{CommandError, CommandResult};
use crate::config;
use crate::daemon;
use crate::intake::wanted;

/// Which store.
#[derive(Debug, Args)]
pub struct ShowArgs {
    /// What it is called here
    #[arg(value_name = "NAME", value_parser = name)]
    name: String,
}

/// Says it.
pub fn run(config: Option<&Path>, args: &ShowArgs, out: &mut impl Write) -> CommandResult {
    known(&args.name)?;
    tell(config, &args.name, out)?;
    Ok(ExitCode::SUCCESS)
}

/// Says what is to be done for a store.
pub(super) fn tell(
    config: Option<&Path>,
    name: &str,
    out: &mut impl Write,
) -> Result<(), CommandError> {
    let directory = known(name)?;
    let key = read(&directory.join("key.pub"))?;
    let ssh = read(&directory.join("ssh_config"))?;
    let user = ssh
        .lines()
        .find_map(|line| line.trim().strip_prefix("User "));
    let user = user.unwrap_or("pop-before-smtp-journal");
    let settings = config::load(config)?.settings;
    let recogniser = daemon::recogniser(&settings)?;
    let wanted = wanted(&recogniser);
    if let Some(odd) = wanted.iter().find(|it| !is_plain(it.value())) {
        return Err(CommandError::OddIdentifier(odd.value().to_owned()));
    }
    let command = line::command(&wanted);
    let home = format!("/var/lib/{user}");
    let keys = format!("{home}/.ssh/authorized_keys");
    // A line that this key had before goes: sshd takes the first.
    let blob = key.split(' ').nth(1).unwrap_or_default();
    let unit = unit(name);
    writeln!(
        out,
        "# On the store {name}, as root: a user that may read the journal, and this host's key, which\n\
         # can print the entries of mail servers, and of containers that are named here.\n\
         id {user} >/dev/null 2>&1 ||\n\
         \x20   useradd --system --create-home --home-dir {home} --shell /bin/sh {user}\n\
         usermod --append --groups systemd-journal {user}\n\
         install -d {home}/.ssh && touch {keys} && sed -i '\\,{blob},d' {keys} && cat >>{keys} <<'END'\n\
         restrict,command=\"{command}\" {}\n\
         END\n\n\
         # Then on this host:\n\
         systemctl enable {unit} && systemctl restart {unit}\n\
         systemctl reload pop-before-smtp",
        key.trim_end(),
    )?;
    Ok(())
}

/// Whether a shell has nothing to interpret in it.
fn is_plain(name: &str) -> bool {
    let is_fit = |b: u8| {
        b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b'/' | b'@' | b':' | b'+')
    };
    !name.is_empty() && name.bytes().all(is_fit)
}
