//! What we ask Postfix's configuration: the types of tables, and who may relay anyway.
//!
//! Asks `postconf` and never reads main.cf itself, nor writes it. A main.cf that has just been
//! edited makes each question take a second or two: postconf waits until it is at rest.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::command::{CommandError, Programs, table};
use super::map_type::MapType;
use crate::networks::{Lookup, Networks};

/// The largest file that a list of networks may be in.
const FILE_SIZE: u64 = 16 << 20;

/// Why Postfix's configuration could not be had.
#[derive(Debug, thiserror::Error)]
pub enum PostconfError {
    /// postconf could not be run, or failed.
    #[error(transparent)]
    Postconf(#[from] CommandError),
    /// Postfix supports none of our types.
    #[error(
        "this Postfix supports none of the map types lmdb, cdb, hash, btree ('postconf -m' lists \
         {found}): install postfix-lmdb (or postfix-cdb; on other systems, the package of Postfix \
         with LMDB)"
    )]
    NoType {
        /// What it supports.
        found: String,
    },
}

/// The types of access maps that this Postfix makes, the best first.
///
/// Postfix 3.11 lists types of Berkeley DB also where it makes tables of another type in their place
/// (`non_bdb_migration_level`, NON_BERKELEYDB_README).
///
/// # Errors
/// When postconf can't be run.
pub fn supported_types(programs: &Programs) -> Result<Vec<MapType>, CommandError> {
    let supported = all_types(programs)?;
    let is_redirected = value(programs, &["-h", "non_bdb_migration_level"])?.starts_with("enable");
    Ok(MapType::ALL
        .into_iter()
        .filter(|kind| supported.iter().any(|name| name == kind.name()))
        .filter(|kind| !(is_redirected && kind.is_berkeley_db()))
        .collect())
}

/// The type that Postfix prefers if it is one of ours, else the best that it supports.
///
/// # Errors
/// When postconf can't be run, or Postfix supports none of our types.
pub fn default_type(programs: &Programs) -> Result<MapType, PostconfError> {
    let supported = supported_types(programs)?;
    let preferred = value(programs, &["-h", "default_database_type"])?;
    let preferred = preferred.trim().parse::<MapType>().ok();
    if let Some(kind) = preferred.filter(|kind| supported.contains(kind)) {
        return Ok(kind);
    }
    match supported.first() {
        Some(kind) => Ok(*kind),
        None => Err(PostconfError::NoType {
            found: all_types(programs)?.join(", "),
        }),
    }
}

/// The networks that Postfix lets relay, and warnings about what could not be read.
///
/// If main.cf sets mynetworks, that is what counts. Otherwise Postfix computes it from the
/// interfaces of the machine, which gives a wrong answer where they can't be seen
/// (`PrivateNetwork=`, `RestrictAddressFamilies=`): then `computed` is a file with the value as
/// computed elsewhere. Without such a file it is computed here.
///
/// # Errors
/// When postconf can't be run. Whatever else can't be read gives a warning, and fewer networks.
pub fn mynetworks(
    programs: &Programs,
    computed: Option<&Path>,
) -> Result<(Networks, Vec<String>), CommandError> {
    let explicit = value(programs, &["-n", "mynetworks"])?;
    let expanded = ["-x", "-h", "mynetworks"];
    let text = match computed {
        Some(path) if explicit.trim().is_empty() => match read(path) {
            Ok(text) if text.trim().is_empty() => return Ok(unreadable(path, "it is empty")),
            Ok(text) => text,
            Err(why) => return Ok(unreadable(path, &why)),
        },
        _ => value(programs, &expanded)?,
    };
    Ok(Networks::parse(&text, &Tables { programs }))
}

/// No networks, and why.
fn unreadable(path: &Path, why: &str) -> (Networks, Vec<String>) {
    let warning = format!(
        "{}: {why}: main.cf does not set mynetworks, and what Postfix computes for it is not \
         known, so clients in it are listed as well; start pop-before-smtp-networks.service, or \
         set mynetworks in main.cf",
        path.display()
    );
    (Networks::default(), vec![warning])
}

/// All types of tables that this Postfix supports.
fn all_types(programs: &Programs) -> Result<Vec<String>, CommandError> {
    let text = value(programs, &["-m"])?;
    Ok(text.split_whitespace().map(str::to_owned).collect())
}

/// What `postconf` answers.
fn value(programs: &Programs, arguments: &[&str]) -> Result<String, CommandError> {
    Ok(programs.run("postconf", arguments)?.succeeded()?.text())
}

/// The files and tables that mynetworks names, read as this user may read them.
struct Tables<'a> {
    programs: &'a Programs,
}

impl Lookup for Tables<'_> {
    fn file(&self, path: &str) -> Result<String, String> {
        read(Path::new(path))
    }

    fn keys(&self, kind: &str, name: &str) -> Result<Vec<String>, String> {
        let entries = self.programs.entries(&table(kind, Path::new(name)));
        let entries = entries.map_err(|error| error.to_string())?;
        Ok(entries.into_iter().map(|(key, _)| key).collect())
    }
}

/// Reads a regular file of a sensible size.
fn read(path: &Path) -> Result<String, String> {
    let described = |error: std::io::Error| error.to_string();
    // Asked before it is opened: to open a pipe would wait for its writer.
    let metadata = std::fs::metadata(path).map_err(described)?;
    if !metadata.is_file() {
        return Err("it is not a regular file".to_owned());
    }
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(described)?;
    file.take(FILE_SIZE + 1)
        .read_to_end(&mut bytes)
        .map_err(described)?;
    if bytes.len() as u64 > FILE_SIZE {
        return Err(format!("it is larger than {} MiB", FILE_SIZE >> 20));
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
