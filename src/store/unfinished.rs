//! What sled leaves of a snapshot if its process is killed while it writes one, as it does whenever a store is
//! opened: sled takes the file for a snapshot that is damaged, and the whole store for damaged with it.
//!
//! Must remove nothing while another process has the store open: it may be writing that file.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

/// Removes it from the store at `path`, unless somebody has that open.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    if snapshots(path)?.is_empty() {
        return Ok(());
    }
    // The file that sled locks.
    let db = File::open(path.join("db"))?;
    if flock(&db, FlockOperation::NonBlockingLockExclusive).is_err() {
        return Ok(());
    }
    snapshots(path)?.iter().try_for_each(fs::remove_file)
}

/// Snapshots that were not finished: sled renames one that is.
fn snapshots(path: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    let is_unfinished = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default().as_encoded_bytes();
        name.starts_with(b"snap.") && name.ends_with(b".generating")
    };
    let paths = entries.flatten().map(|entry| entry.path());
    Ok(paths.filter(is_unfinished).collect())
}
