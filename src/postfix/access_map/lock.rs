//! The lock of all publishers of a map.
//!
//! Must never be open to others: whoever can open it can lock it, and keep us from ever withdrawing a
//! client.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, OFlags, flock};
use rustix::io::Errno;
use rustix::process::geteuid;

use super::{AccessMap, PublishError, file_error, with_suffix};

/// Between two tries to get the lock. flock(2) has no time limit of its own.
const RETRY: Duration = Duration::from_millis(20);
const MODE: u32 = 0o600;

/// Where the lock of a map is.
pub(super) fn path(map: &AccessMap) -> PathBuf {
    with_suffix(&map.path, ".lock")
}

/// Takes the lock; it is released when the result is dropped.
pub(super) fn take(map: &AccessMap) -> Result<File, PublishError> {
    let path = path(map);
    let started = Instant::now();
    // A publication runs postmap twice.
    let limit = map.programs.limit.saturating_mul(2);
    let mut lock = open(&path, map.directory())?;
    loop {
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) if is_in_place(&lock, &path) => return Ok(lock),
            _ if started.elapsed() >= limit => {
                return Err(PublishError::Locked {
                    path,
                    waited: limit,
                });
            }
            // Whoever comes after us would lock another file.
            Ok(()) => lock = open(&path, map.directory())?,
            Err(Errno::WOULDBLOCK | Errno::INTR) => thread::sleep(RETRY),
            Err(errno) => return Err(file_error(&path, "can't lock")(errno.into())),
        }
    }
}

/// Opens the lock, and sets its owner and mode right. One that is not ours gives way to a new one.
fn open(path: &Path, directory: &Path) -> Result<File, PublishError> {
    let failed = |error| file_error(path, "can't open the lock")(error);
    let obstacle = match try_open(path, directory) {
        Ok(Some(lock)) => return Ok(lock),
        Ok(None) => None,
        Err(error) if is_of_another_kind(&error) => Some(error),
        Err(error) => return Err(failed(error)),
    };
    fs::remove_file(path).map_err(|error| match obstacle {
        // There is none: it is the directory that keeps us out.
        Some(obstacle) if error.kind() == io::ErrorKind::NotFound => failed(obstacle),
        _ => file_error(path, "can't replace the lock")(error),
    })?;
    try_open(path, directory)
        .and_then(|lock| lock.ok_or_else(|| io::Error::other("something else is replacing it too")))
        .map_err(failed)
}

/// `None` if it is not one of our own making.
fn try_open(path: &Path, directory: &Path) -> io::Result<Option<File>> {
    // Not to wait for the other end of a pipe.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let lock = OpenOptions::new()
        .write(true)
        .create(true)
        .mode(MODE)
        .custom_flags(flags.bits().cast_signed())
        .open(path)?;
    let found = lock.metadata()?;
    let user = geteuid();
    let is_ours = user.is_root() || found.uid() == user.as_raw();
    if !is_ours || !found.is_file() || found.nlink() != 1 || found.len() != 0 {
        return Ok(None);
    }
    if found.mode() & 0o7777 != MODE {
        lock.set_permissions(Permissions::from_mode(MODE))?;
    }
    if user.is_root() {
        // One made by root must be no obstacle to the service.
        let owner = fs::metadata(directory)?;
        fchown(&lock, Some(owner.uid()), Some(owner.gid()))?;
    }
    Ok(Some(lock))
}

/// Whether there is something that we can't open, and may be able to remove.
fn is_of_another_kind(error: &io::Error) -> bool {
    let errno = Errno::from_io_error(error);
    matches!(errno, Some(Errno::ACCESS | Errno::LOOP | Errno::NXIO))
}

/// Whether the lock is the one that others find.
fn is_in_place(lock: &File, path: &Path) -> bool {
    let identity = |found: fs::Metadata| (found.dev(), found.ino());
    let ours = lock.metadata().map(identity);
    let there = fs::symlink_metadata(path).map(identity);
    matches!((ours, there), (Ok(ours), Ok(there)) if ours == there)
}
