//! Whether journald has room to write: where it has none, it drops what comes, and tells nobody but the
//! kernel's log.
//!
//! Looks at the file system and at the times of the files. Must never read what is in them.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::{Source, directories_of};

/// journald makes its files longer by so much at a time, in bytes (`FILE_SIZE_INCREASE` in its source) ...
const STEP: u64 = 8 << 20;
/// ... or up to their largest size: of a file system, such a part unless journald.conf(5) has another ...
const PART: u64 = 80;
/// ... but so many bytes at least (`JOURNAL_FILE_SIZE_MIN`).
const SMALLEST: u64 = 512 << 10;

/// There is no room for a longer file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoRoom {
    directory: PathBuf,
    /// In bytes.
    free: u64,
}

impl NoRoom {
    /// Looks where journald writes this journal; `None` also where that can't be known, or another program
    /// writes it.
    #[must_use]
    pub fn look(source: &Source) -> Option<Self> {
        if !matches!(source, Source::Host | Source::Namespace(_)) {
            return None;
        }
        let written = directories_of(source)
            .filter_map(|directory| Some((last_written(&directory)?, directory)));
        let (_, directory) = written.max()?;
        let found = rustix::fs::statvfs(&directory).ok()?;
        // journald belongs to root, and may use what is kept for it.
        let free = found.f_bfree.saturating_mul(found.f_frsize);
        let size = found.f_blocks.saturating_mul(found.f_frsize);
        (free < needed(size)).then_some(NoRoom { directory, free })
    }
}

impl fmt::Display for NoRoom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (directory, free) = (self.directory.display(), self.free >> 10);
        write!(
            f,
            "{directory}: its file system is full ({free} KiB are free)\njournald drops what it can't write, \
             logins too, and nobody is listed for those; make room there"
        )
    }
}

/// How many bytes journald wants of a file system of this size.
fn needed(size: u64) -> u64 {
    (size / PART).clamp(SMALLEST, STEP)
}

/// When a file in there was written last. (journald tells of each change by setting the file's size anew.)
fn last_written(directory: &Path) -> Option<SystemTime> {
    let files = fs::read_dir(directory).ok()?.flatten();
    files
        .filter_map(|file| file.metadata().ok()?.modified().ok())
        .max()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_needed_is_a_step_or_the_largest_file_of_a_small_file_system() {
        assert_eq!(needed(0), SMALLEST);
        assert_eq!(needed(160 << 20), 2 << 20);
        assert_eq!(needed(100 << 30), STEP);
    }

    #[test]
    fn of_what_journald_does_not_write_nothing_is_said() {
        let directory = Source::Directory("/proc/self".into());
        assert_eq!(NoRoom::look(&directory), None);
        assert_eq!(
            NoRoom::look(&Source::Namespace("of-nobody".to_owned())),
            None
        );
    }
}
