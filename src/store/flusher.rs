//! Waits for the disk, on a thread that has nothing else to do: a disk that others are busy with
//! takes its time.

use std::fs::File;
use std::path::{Path, PathBuf};

use sled::Db;

use super::closer::Closer;
use super::unhurried::Unhurried;
use super::{StoreError, classify};

/// Forces to the disk what was written into a store. The store stays open as long as there is one.
#[derive(Debug)]
pub struct Flusher {
    pub(super) path: PathBuf,
    pub(super) db: Db,
    /// The last one to go.
    pub(super) _closer: Closer,
}

impl Flusher {
    /// Waits until all that has been written is on the disk.
    ///
    /// # Errors
    /// When the file system fails. The store is then to be closed and opened again.
    pub fn flush(self) -> Result<(), StoreError> {
        let _unhurried = Unhurried::new();
        force(&self.db, &self.path).map_err(|error| classify(&self.path, error))
    }
}

/// Has the disk keep all that was written. sled's own flush ends with sync_file_range(2), which forces
/// neither the length of the file nor what the drive itself holds back: after a cut of the power, half of
/// it may be there.
pub(super) fn force(db: &Db, path: &Path) -> Result<(), sled::Error> {
    db.flush()?;
    File::open(path.join("db"))?.sync_all()?;
    Ok(())
}
