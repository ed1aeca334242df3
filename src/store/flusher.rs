//! Waits for the disk, on a thread that has nothing else to do: a disk that others are busy with
//! takes its time.

use std::path::PathBuf;

use sled::Db;

use super::unhurried::Unhurried;
use super::{StoreError, classify};

/// Forces to the disk what was written into a store. The store stays open as long as there is one.
#[derive(Debug)]
pub struct Flusher {
    pub(super) path: PathBuf,
    pub(super) db: Db,
}

impl Flusher {
    /// Waits until all that has been written is on the disk.
    ///
    /// # Errors
    /// When the file system fails. The store is then to be closed and opened again.
    pub fn flush(self) -> Result<(), StoreError> {
        let _unhurried = Unhurried::new();
        let flushed = self.db.flush();
        flushed.map_err(|error| classify(&self.path, error))?;
        Ok(())
    }
}
