//! Rings when something in a directory, or the directory itself, may have changed (inotify(7)). It
//! costs nothing as long as nothing does.
//!
//! It says no more than that it is time to look: what has happened may be our own doing, or nothing,
//! and a ring may be missed where a directory above is renamed.

use std::cell::Cell;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
use tokio::net::unix::pipe::Receiver;

/// The watch. It watches one directory at a time, and none at first.
#[derive(Debug)]
pub struct DirectoryWatch {
    fd: OwnedFd,
    watched: Cell<Option<i32>>,
}

impl DirectoryWatch {
    /// A watch that watches nothing yet.
    ///
    /// # Errors
    /// When the system has none left.
    pub fn new() -> io::Result<Self> {
        Ok(DirectoryWatch {
            fd: inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?,
            watched: Cell::new(None),
        })
    }

    /// Watches the directory that is there now, and no other any more.
    ///
    /// # Errors
    /// When it is not there, or the system has no watch left.
    pub fn watch(&self, directory: &Path) -> io::Result<()> {
        // Not what reads: Postfix does all the time.
        let changes = WatchFlags::ATTRIB
            | WatchFlags::CLOSE_WRITE
            | WatchFlags::CREATE
            | WatchFlags::DELETE
            | WatchFlags::MOVE
            | WatchFlags::DELETE_SELF
            | WatchFlags::MOVE_SELF
            | WatchFlags::ONLYDIR;
        let new = inotify::add_watch(&self.fd, directory, changes);
        let former = self.watched.replace(new.ok());
        if let Some(former) = former.filter(|former| new.ok() != Some(*former)) {
            // One whose directory is gone is gone with it.
            let _ = inotify::remove_watch(&self.fd, former);
        }
        Ok(new.map(drop)?)
    }

    /// Forgets all rings so far.
    pub fn silence(&self) {
        let mut events = [0; 4096];
        while rustix::io::read(&self.fd, &mut events).is_ok_and(|length| length > 0) {}
    }

    /// The watch, for a loop.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn bell(&self) -> io::Result<Bell> {
        // tokio's pipe is its safe way to wait for a descriptor of any kind.
        let receiver = Receiver::from_owned_fd_unchecked(self.fd.try_clone()?)?;
        Ok(Bell { receiver })
    }
}

impl AsFd for DirectoryWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// A watch that a loop waits for.
#[derive(Debug)]
pub struct Bell {
    receiver: Receiver,
}

impl Bell {
    /// Waits for a ring; several at once are one.
    pub async fn rung(&self) {
        let mut events = [0; 4096];
        loop {
            if self.receiver.readable().await.is_err() {
                return std::future::pending().await;
            }
            let mut rung = false;
            while self.receiver.try_read(&mut events).is_ok_and(|n| n > 0) {
                rung = true;
            }
            if rung {
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::Duration;

    use super::*;

    /// Whether it rings now.
    async fn rings(bell: &Bell) -> bool {
        tokio::time::timeout(Duration::from_millis(50), bell.rung())
            .await
            .is_ok()
    }

    #[tokio::test(flavor = "current_thread")]
    async fn what_changes_rings_and_what_reads_does_not() {
        let above = tempfile::tempdir().unwrap();
        let (directory, file) = (above.path().join("a"), above.path().join("a/file"));
        let watch = DirectoryWatch::new().unwrap();
        let bell = watch.bell().unwrap();
        assert!(watch.watch(&directory).is_err());
        fs::create_dir(&directory).unwrap();
        watch.watch(&directory).unwrap();
        assert!(!rings(&bell).await);
        fs::write(&file, "x").unwrap();
        assert!(rings(&bell).await);
        assert!(!rings(&bell).await);
        fs::read(&file).unwrap();
        fs::read_dir(&directory).unwrap().next();
        assert!(!rings(&bell).await);
        watch.watch(&directory).unwrap();
        fs::remove_file(&file).unwrap();
        assert!(rings(&bell).await);
        // Another directory of the same name.
        fs::rename(&directory, above.path().join("b")).unwrap();
        assert!(rings(&bell).await);
        fs::create_dir(&directory).unwrap();
        watch.watch(&directory).unwrap();
        watch.silence();
        fs::write(above.path().join("b/file"), "x").unwrap();
        assert!(!rings(&bell).await);
        fs::remove_dir(&directory).unwrap();
        assert!(rings(&bell).await);
    }
}
