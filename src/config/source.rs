//! A configuration file as it was read, and the places in it.
//!
//! Must never read what anybody on this machine may write: the configuration decides who may
//! relay.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use super::error::Problem;
use super::value::Wrong;
use crate::excerpt::Place;

/// A larger file is no configuration, but a mistake.
const MAX_BYTES: u64 = 1 << 20;

/// Writable for everybody.
const WORLD_WRITABLE: u32 = 0o002;

/// A configuration file's text.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) path: PathBuf,
    pub(super) text: String,
}

impl Source {
    /// Reads a file. What is odd about it goes to `warnings`.
    pub(super) fn read(path: &Path, warnings: &mut Vec<Problem>) -> Result<Self, Problem> {
        let file = open(path).map_err(|error| unreadable(path, &error))?;
        let metadata = file.metadata().map_err(|error| unreadable(path, &error))?;
        if metadata.is_dir() {
            return Err(Problem::of_file(
                path,
                "is a directory, not a file".to_owned(),
            ));
        }
        if !metadata.is_file() {
            return Err(Problem::of_file(path, "is not a regular file".to_owned()));
        }
        check_writers(path, &metadata)?;
        warnings.extend(foreign_owner(path, &metadata));
        let mut bytes = Vec::new();
        file.take(MAX_BYTES + 1)
            .read_to_end(&mut bytes)
            .map_err(|error| unreadable(path, &error))?;
        if bytes.len() as u64 > MAX_BYTES {
            let message = "is larger than 1 MiB: this is not a configuration file".to_owned();
            return Err(Problem::of_file(path, message));
        }
        match String::from_utf8(bytes) {
            Ok(text) => Ok(Self {
                path: path.to_owned(),
                // A byte order mark is no column.
                text: text
                    .strip_prefix('\u{feff}')
                    .map(str::to_owned)
                    .unwrap_or(text),
            }),
            Err(error) => Err(not_utf8(
                path,
                error.utf8_error().valid_up_to(),
                error.as_bytes(),
            )),
        }
    }

    /// What is wrong with a span of bytes, which belongs to a key if it is known to which.
    pub(super) fn problem(&self, key: Option<String>, wrong: Wrong) -> Problem {
        Problem {
            place: Some(Box::new(Place::of(&self.text, &wrong.span))),
            key,
            hint: wrong.hint,
            ..Problem::of_file(&self.path, wrong.message)
        }
    }

    /// The line of a byte, from 1.
    pub(super) fn line(&self, byte: usize) -> usize {
        Place::of(&self.text, &(byte..byte)).line
    }
}

/// Refuses a directory into which anybody may put configuration.
pub(super) fn check_directory(path: &Path) -> Result<(), Problem> {
    match std::fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => check_writers(path, &metadata),
        Ok(_) => Err(Problem::of_file(path, "is not a directory".to_owned())),
        Err(error) => Err(unreadable(path, &error)),
    }
}

/// Opens without waiting for anybody, should it be a FIFO.
fn open(path: &Path) -> io::Result<File> {
    let flags = i32::try_from(OFlags::NONBLOCK.bits()).unwrap_or(0);
    OpenOptions::new().read(true).custom_flags(flags).open(path)
}

fn check_writers(path: &Path, metadata: &Metadata) -> Result<(), Problem> {
    if metadata.mode() & WORLD_WRITABLE == 0 {
        return Ok(());
    }
    let message = "is world-writable, but decides who may relay".to_owned();
    let hint = format!("check what is in it, then: chmod o-w '{}'", path.display());
    Err(Problem {
        hint: Some(hint),
        ..Problem::of_file(path, message)
    })
}

/// The owner decides who may relay; that should be root, or whoever runs this program.
fn foreign_owner(path: &Path, metadata: &Metadata) -> Option<Problem> {
    let owner = metadata.uid();
    if owner == 0 || owner == rustix::process::geteuid().as_raw() {
        return None;
    }
    let message = format!("belongs to uid {owner}, who thereby decides who may relay");
    let hint = format!("unless that is meant: chown root '{}'", path.display());
    Some(Problem {
        hint: Some(hint),
        ..Problem::of_file(path, message)
    })
}

/// A file or directory that can't be read.
pub(super) fn unreadable(path: &Path, error: &io::Error) -> Problem {
    Problem::of_file(path, format!("can't be read: {error}"))
}

fn not_utf8(path: &Path, valid_up_to: usize, bytes: &[u8]) -> Problem {
    // One byte that is not UTF-8 becomes one replacement character, which is what is marked.
    let text = String::from_utf8_lossy(bytes);
    let first = bytes[valid_up_to];
    Problem {
        place: Some(Box::new(Place::of(&text, &(valid_up_to..valid_up_to + 1)))),
        hint: Some(format!("the first byte that is not is {first:#04x}")),
        ..Problem::of_file(path, "is not UTF-8".to_owned())
    }
}
