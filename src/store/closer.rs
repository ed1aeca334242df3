//! Closes sled. It forces its file to the disk when the last of it goes, and panics where that fails: a
//! disk that is broken must end no service.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use sled::Db;

/// To be dropped after all else that is of the same database.
pub(super) struct Closer(Option<Db>);

impl Closer {
    pub(super) fn of(db: &Db) -> Self {
        Closer(Some(db.clone()))
    }
}

impl Drop for Closer {
    fn drop(&mut self) {
        let db = self.0.take();
        // What is not on the disk is read again from the journal.
        let _ = catch_unwind(AssertUnwindSafe(|| drop(db)));
    }
}

impl fmt::Debug for Closer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Closer")
    }
}
