//! Which files are the configuration, and in which order they are read.
//!
//! Must never leave out a file that it can't read: a configuration without it would be another
//! one.

use std::ffi::OsStr;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Loaded;
use super::check::check;
use super::error::{ConfigError, Problem};
use super::keys::{defaults, effective, take};
use super::source::{Source, check_directory, unreadable};
use super::table::Found;

/// Where the configuration is.
pub const DIRECTORY: &str = "/etc/pop-before-smtp";

/// The name of the main file in its directory.
const MAIN: &str = "config.toml";
/// The name of the directory of drop-ins beside the main file.
const DROP_INS: &str = "config.d";
/// The name of the directory of definitions beside the main file.
const SERVERS: &str = "servers.d";

/// Reads the configuration: `file` and nothing else, which must be there, or the main file and the
/// drop-ins of [`DIRECTORY`].
///
/// # Errors
/// [`ConfigError`] names everything that is wrong in all the files.
pub fn load(file: Option<&Path>) -> Result<Loaded, ConfigError> {
    let state_directory = std::env::var_os("STATE_DIRECTORY");
    match file {
        Some(file) => load_file(file, state_directory.as_deref()),
        None => load_directory(Path::new(DIRECTORY), state_directory.as_deref()),
    }
}

/// Reads `config.toml`, which need not be there, and then `config.d/*.toml` in the order of their
/// names; what a later file says goes before what an earlier one said, key by key. Hidden files,
/// and what is no regular file (a link to /dev/null, say), are left out. `state_directory` is
/// systemd's `$STATE_DIRECTORY`.
///
/// # Errors
/// [`ConfigError`] names everything that is wrong in all the files.
pub fn load_directory(
    directory: &Path,
    state_directory: Option<&OsStr>,
) -> Result<Loaded, ConfigError> {
    let mut problems = Vec::new();
    let mut files = Vec::new();
    let main = directory.join(MAIN);
    if exists(&main, &mut problems) {
        files.push(main);
    }
    if exists(directory, &mut problems) {
        problems.extend(check_directory(directory).err());
    }
    let drop_ins = directory.join(DROP_INS);
    if exists(&drop_ins, &mut problems) {
        match list_drop_ins(&drop_ins) {
            Ok(drop_ins) => files.extend(drop_ins),
            Err(problem) => problems.push(problem),
        }
    }
    read(files, problems, state_directory, directory.join(SERVERS))
}

/// Reads `file` and nothing else.
///
/// # Errors
/// [`ConfigError`] names everything that is wrong in the file, or that it is not there.
pub fn load_file(file: &Path, state_directory: Option<&OsStr>) -> Result<Loaded, ConfigError> {
    let absolute = std::path::absolute(file).map_err(|error| unreadable(file, &error))?;
    let servers = absolute.parent().unwrap_or(Path::new("/")).join(SERVERS);
    read(vec![file.to_owned()], Vec::new(), state_directory, servers)
}

fn read(
    files: Vec<PathBuf>,
    mut problems: Vec<Problem>,
    state_directory: Option<&OsStr>,
    servers_directory: PathBuf,
) -> Result<Loaded, ConfigError> {
    let mut warnings = Vec::new();
    let mut settings = defaults(servers_directory);
    let mut found = Found::default();
    for file in &files {
        match Source::read(file, &mut warnings) {
            Ok(source) => problems.extend(take(&Arc::new(source), &mut settings, &mut found)),
            Err(problem) => problems.push(problem),
        }
    }
    ConfigError::unless_empty(problems)?;
    let (state_directory, odd) = check(&mut settings, &found, state_directory)?;
    warnings.extend(odd);
    let effective = effective(&settings, &found, &state_directory);
    Ok(Loaded {
        settings,
        effective,
        files,
        warnings,
    })
}

/// The drop-ins of a directory, in the order of their names.
fn list_drop_ins(directory: &Path) -> Result<Vec<PathBuf>, Problem> {
    check_directory(directory)?;
    let mut files = Vec::new();
    for entry in std::fs::read_dir(directory).map_err(|error| unreadable(directory, &error))? {
        let name = entry
            .map_err(|error| unreadable(directory, &error))?
            .file_name();
        let path = directory.join(&name);
        let hidden = name.as_encoded_bytes().starts_with(b".");
        if hidden || path.extension() != Some(OsStr::new("toml")) {
            continue;
        }
        // Follows links; one that leads nowhere is an error, not a file less.
        if std::fs::metadata(&path)
            .map_err(|error| unreadable(&path, &error))?
            .is_file()
        {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Whether something is there; that it can't be found out is a problem.
fn exists(path: &Path, problems: &mut Vec<Problem>) -> bool {
    match std::fs::symlink_metadata(path) {
        Ok(_) => true,
        Err(error) if error.kind() == ErrorKind::NotFound => false,
        Err(error) => {
            problems.push(unreadable(path, &error));
            false
        }
    }
}
