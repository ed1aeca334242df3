//! The files of a journal, and those among them that this process may not read: libsystemd leaves
//! them out, and says nothing.
//!
//! Lists and opens them. Must never read what is in them.

use std::collections::HashSet;
use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use super::{JournalError, Source};

/// What is not mapped into a user namespace is shown as this group (user_namespaces(7)); so is each
/// but its own to a unit with PrivateUsers=.
const UNMAPPED: u32 = 65_534;

/// A file or directory that can't be looked at; if it exists, it is not what it should be.
fn missing(path: &Path, error: &io::Error, reason: &'static str) -> JournalError {
    let is_there = error.kind() != io::ErrorKind::NotFound;
    JournalError::Missing {
        path: path.to_owned(),
        reason: if is_there { reason } else { "does not exist" },
    }
}

/// A file, or a directory with files, that this process may not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// Where it is.
    pub path: PathBuf,
    /// Whatever it is called; `None` if it can't be known.
    id: Option<Id>,
    takes: Takes,
}

/// Device and inode.
type Id = (u64, u64);

/// What it takes to read it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Takes {
    /// To be in this group.
    Group(String),
    /// More than to be in its group, which is this one.
    MoreThan(String),
    /// That can't be told from here.
    Unknown,
}

const NO_FILE: &str = "is not a journal file";

/// The files of a journal, as they are when they are looked at.
#[derive(Debug, Clone, Default)]
pub struct Files {
    unreadable: Vec<Unreadable>,
    /// Those that can be read.
    readable: Vec<PathBuf>,
    /// They, and the directories, whatever they are called.
    ids: HashSet<Id>,
}

impl Files {
    /// Looks at all files of a journal.
    ///
    /// # Errors
    /// When nothing that matters can be read, or nothing is there where a journal should be.
    pub fn look(source: &Source) -> Result<Self, JournalError> {
        let mut files = Files::default();
        let is_ours = matches!(source, Source::Host | Source::Namespace(_));
        // The entries of the host's servers are in this one; each user can read one of his own.
        let matters = |path: &Path| !is_ours || path.ends_with("system.journal");
        match source {
            Source::Host | Source::Namespace(_) => {
                for directory in directories_of(source) {
                    // libsystemd finds the second by the first, and reads what is in either.
                    let above = directory.parent().unwrap_or(&directory);
                    if let Some(Ok(())) = files.add_all_in(above) {
                        let _ = files.add_all_in(&directory);
                    }
                }
            }
            Source::Directory(path) => {
                if let Some(Err(error)) = files.add_all_in(path) {
                    return Err(missing(
                        path,
                        &error,
                        "is not a directory with journal files",
                    ));
                }
                for below in machines_in(path) {
                    let _ = files.add_all_in(&below);
                }
            }
            Source::Files(paths) => {
                for path in paths {
                    match fs::metadata(path) {
                        Err(error) if is_forbidden(&error) => files.forbidden(path),
                        Err(error) => return Err(missing(path, &error, NO_FILE)),
                        Ok(file) if file.is_file() => files.add(path),
                        Ok(_) => {
                            return Err(JournalError::Missing {
                                path: path.clone(),
                                reason: NO_FILE,
                            });
                        }
                    }
                }
            }
        }
        files.unreadable.sort_by(|a, b| a.path.cmp(&b.path));
        files.readable.sort();
        let nothing = files.readable.is_empty();
        let is_blind = nothing || !files.readable.iter().any(|path| matters(path));
        let missed = |file: &&Unreadable| matters(&file.path) || file.path.is_dir();
        let missed = files.unreadable.iter().find(missed);
        match missed.or(files.unreadable.first().filter(|_| nothing)) {
            Some(file) if is_blind => Err(JournalError::Forbidden { file: file.clone() }),
            _ => Ok(files),
        }
    }

    /// Those that can be read, in the order of their names.
    #[must_use]
    pub fn readable(&self) -> &[PathBuf] {
        &self.readable
    }

    /// Those that can't be read, in the order of their names.
    #[must_use]
    pub fn unreadable(&self) -> &[Unreadable] {
        &self.unreadable
    }

    /// Whether any can be read that could not when they were looked at `before`.
    #[must_use]
    pub fn can_read_more_than(&self, before: &Files) -> bool {
        let is_readable = |file: &Unreadable| match file.id {
            Some(id) => self.ids.contains(&id),
            None => !self.unreadable.iter().any(|now| now.path == file.path),
        };
        before.unreadable.iter().any(is_readable)
    }

    /// Adds the journal files in a directory. An error if that can't be read for another reason than
    /// that it is not allowed; nothing if it is not allowed.
    fn add_all_in(&mut self, directory: &Path) -> Option<io::Result<()>> {
        let entries = match fs::read_dir(directory) {
            Err(error) if is_forbidden(&error) => {
                self.forbidden(directory);
                return None;
            }
            Err(error) => return Some(Err(error)),
            Ok(entries) => entries,
        };
        self.ids.extend(id_of(fs::metadata(directory)));
        for entry in entries.flatten() {
            let name = entry.file_name();
            let name = name.as_encoded_bytes();
            if name.ends_with(b".journal") || name.ends_with(b".journal~") {
                self.add(&entry.path());
            }
        }
        Some(Ok(()))
    }

    fn add(&mut self, path: &Path) {
        // It may be anything that somebody has put there.
        let flags = OFlags::NONBLOCK.bits().cast_signed();
        let opened = OpenOptions::new().read(true).custom_flags(flags).open(path);
        match opened {
            Ok(file) => {
                self.ids.extend(id_of(file.metadata()));
                self.readable.push(path.to_owned());
            }
            Err(error) if is_forbidden(&error) => self.forbidden(path),
            // It has just gone, say: it will be looked at again.
            Err(_) => {}
        }
    }

    fn forbidden(&mut self, path: &Path) {
        let found = fs::metadata(path);
        self.unreadable.push(Unreadable {
            takes: found.as_ref().map_or(Takes::Unknown, Takes::of),
            id: id_of(found),
            path: path.to_owned(),
        });
    }
}

fn is_forbidden(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::PermissionDenied
}

fn id_of(found: io::Result<fs::Metadata>) -> Option<Id> {
    found.ok().map(|found| (found.dev(), found.ino()))
}

impl Takes {
    fn of(file: &fs::Metadata) -> Self {
        if file.gid() == UNMAPPED {
            return Takes::Unknown;
        }
        let name = uzers::get_group_by_gid(file.gid()).map_or_else(
            || file.gid().to_string(),
            |group| group.name().to_string_lossy().into_owned(),
        );
        let needed = if file.is_dir() { 0o050 } else { 0o040 };
        if file.mode() & needed == needed {
            Takes::Group(name)
        } else {
            Takes::MoreThan(name)
        }
    }
}

impl std::fmt::Display for Unreadable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} can't be read by this user", self.path.display())?;
        match &self.takes {
            Takes::Group(group) => write!(f, ": it takes the group {group}, or root"),
            Takes::MoreThan(group) => write!(f, ", nor by its group {group}: it takes root"),
            Takes::Unknown => f.write_str(": it takes another group, or root"),
        }
    }
}

/// Where the journal of this host, or of a namespace of it, is (systemd-journald.service(8)): the
/// directory of one that is kept, and that of one that a boot forgets. They need not be there.
pub fn directories_of(source: &Source) -> impl Iterator<Item = PathBuf> {
    let suffix = match source {
        Source::Namespace(name) => format!(".{name}"),
        _ => String::new(),
    };
    let name = format!("{}{suffix}", super::machine());
    ["/var/log/journal", "/run/log/journal"]
        .map(|root| Path::new(root).join(&name))
        .into_iter()
}

/// The directories in this one that are named like machines: libsystemd reads those too.
fn machines_in(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let is_machine = |path: &PathBuf| {
        let name = path.file_name().map(std::ffi::OsStr::as_encoded_bytes);
        name.is_some_and(|name| name.len() == 32 && name.iter().all(u8::is_ascii_hexdigit))
    };
    entries
        .map(|entry| entry.path())
        .filter(|path| is_machine(path) && path.is_dir())
        .collect()
}
