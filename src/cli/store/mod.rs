//! `store`: mail stores, hosts with POP3 or IMAP servers whose logins count on this one.

mod add;
mod carry;
mod list;
mod remove;
mod show;

pub(super) use list::names;
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::{CommandError, CommandResult};
use crate::config::is_source_name;

/// The directory with a directory for each store, with its key and where it is.
const DIRECTORY: &str = "/etc/pop-before-smtp/stores";

/// What is done with stores.
#[derive(Debug, Args)]
pub struct StoreArgs {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make what this host needs to have a store's journal, and say what is to be done at the store
    Add(add::AddArgs),
    /// Show the stores, and which are connected
    List(list::ListArgs),
    /// Say again what is to be done at a store
    Show(show::ShowArgs),
    /// Take a store away: its logins no longer count here
    Remove(remove::RemoveArgs),
    /// Carry a store's journal here: what systemd does
    Carry(carry::CarryArgs),
}

/// Does it.
pub fn run(config: Option<&Path>, args: &StoreArgs, out: &mut impl Write) -> CommandResult {
    match &args.command {
        Command::Add(args) => add::run(config, args, out),
        Command::List(args) => list::run(args, out),
        Command::Show(args) => show::run(config, args, out),
        Command::Remove(args) => remove::run(args, out),
        Command::Carry(args) => carry::run(config, args),
    }
}

/// The name of a store: that of its source.
fn name(text: &str) -> Result<String, String> {
    if is_source_name(text) && !text.starts_with('-') {
        Ok(text.to_owned())
    } else {
        Err("lower-case letters, digits and hyphens make a name, such as store1".to_owned())
    }
}

/// Where the key and the address of a store are.
fn directory(name: &str) -> PathBuf {
    Path::new(DIRECTORY).join(name)
}

/// The drop-in of the configuration that makes it a source.
fn drop_in(name: &str) -> PathBuf {
    PathBuf::from(format!("/etc/pop-before-smtp/config.d/store-{name}.toml"))
}

/// The unit that carries its journal.
fn unit(name: &str) -> String {
    format!("pop-before-smtp-store@{name}.service")
}

/// There is such a store.
fn known(name: &str) -> Result<PathBuf, CommandError> {
    let directory = directory(name);
    if directory.is_dir() {
        Ok(directory)
    } else {
        Err(CommandError::NoStore(name.to_owned()))
    }
}

fn read(path: &Path) -> Result<String, CommandError> {
    std::fs::read_to_string(path).map_err(|source| CommandError::ReadFile {
        path: path.to_owned(),
        source,
    })
}
