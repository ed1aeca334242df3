//! How the carrier of a store is, for the service to read: a file that only the carrier writes, and
//! that it locks as long as it lives. Whoever finds it unlocked knows that nothing is carried.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use crate::diagnostics::{clock_off, local_time};

/// The directory with a directory for each carrier: systemd makes it (`RuntimeDirectory=`).
pub const DIRECTORY: &str = "/run/pop-before-smtp-store";
const FILE: &str = "state";
/// No state of ours is larger.
const LARGEST: u64 = 4096;

/// What the carrier says of itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// Since when it is so.
    pub since: Timestamp,
    /// Why nothing is carried; `None` if the store is connected.
    pub trouble: Option<String>,
    /// By how much the store's clock is ahead of ours, in seconds.
    pub clock_ahead: i64,
    /// Which entries the store prints: [`version`](super::line::version).
    pub version: String,
}

impl State {
    /// Nothing is carried.
    pub(super) fn down(since: Timestamp, why: &str) -> Self {
        State {
            since,
            trouble: Some(why.to_owned()),
            clock_ahead: 0,
            version: String::new(),
        }
    }

    /// Whether the store prints other entries than those that are wanted, as far as that is known.
    #[must_use]
    pub fn is_outdated(&self, wanted: Option<&str>) -> bool {
        self.trouble.is_none() && wanted.is_some_and(|wanted| wanted != self.version)
    }
}

/// The carrier's end.
#[derive(Debug)]
pub struct StateFile {
    path: PathBuf,
    /// Held as long as it lives.
    _lock: File,
}

impl StateFile {
    /// Locks the state of this store's carrier.
    ///
    /// # Errors
    /// When there is no directory for it, or another carrier lives.
    pub fn lock(directory: &Path) -> io::Result<Self> {
        let lock = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(directory.join("lock"))?;
        // Whoever looks at it holds it for a moment.
        let mut attempts = 20;
        while let Err(error) = flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            attempts -= 1;
            if attempts == 0 {
                return Err(error.into());
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        Ok(StateFile {
            path: directory.join(FILE),
            _lock: lock,
        })
    }

    /// Says how it is.
    ///
    /// # Errors
    /// When it can't be written.
    pub fn write(&self, state: &State) -> io::Result<()> {
        let aside = self.path.with_extension("new");
        let mut file = File::create(&aside)?;
        file.write_all(&serde_json::to_vec(state)?)?;
        fs::rename(aside, &self.path)
    }
}

/// Whether the store is connected.
#[must_use]
pub fn is_connected(directory: &Path, store: &str) -> bool {
    matches!(look(directory, store), Carrier::Lives(state) if state.trouble.is_none())
}

/// What is known of a carrier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Carrier {
    /// It has said this, and lives.
    Lives(State),
    /// It does not run; if it has said anything, this was the last.
    IsGone(Option<State>),
}

/// Looks how the carrier of a store is, below [`DIRECTORY`].
#[must_use]
pub fn look(directory: &Path, store: &str) -> Carrier {
    let directory = directory.join(store);
    let said = read(&directory.join(FILE));
    let lives = OpenOptions::new()
        .read(true)
        .open(directory.join("lock"))
        .is_ok_and(|lock| flock(&lock, FlockOperation::NonBlockingLockShared).is_err());
    match (lives, said) {
        (true, Some(state)) => Carrier::Lives(state),
        (_, said) => Carrier::IsGone(said),
    }
}

/// What is said of one that is gone.
#[must_use]
pub fn not_running(store: &str) -> String {
    format!("its carrier does not run: systemctl status pop-before-smtp-store@{store}")
}

/// What is wrong with the carrier of a store of which these entries are `wanted`.
#[must_use]
pub fn problem(directory: &Path, store: &str, wanted: Option<&str>) -> Option<String> {
    problem_of(&look(directory, store), store, wanted)
}

/// What is wrong with a carrier that is like this.
#[must_use]
pub fn problem_of(carrier: &Carrier, store: &str, wanted: Option<&str>) -> Option<String> {
    match carrier {
        Carrier::IsGone(_) => Some(not_running(store)),
        Carrier::Lives(state) => match &state.trouble {
            Some(why) => Some(format!(
                "not connected since {}: {why}",
                local_time(state.since)
            )),
            None if state.is_outdated(wanted) => Some(format!(
                "its authorized_keys names other identifiers or containers than are read here: do what \
                 'pop-before-smtp store show {store}' prints now"
            )),
            None => (state.clock_ahead != 0).then(|| clock_off(state.clock_ahead)),
        },
    }
}

fn read(path: &Path) -> Option<State> {
    let is_small = fs::metadata(path).is_ok_and(|found| found.is_file() && found.len() <= LARGEST);
    let text = fs::read(path).ok().filter(|_| is_small)?;
    serde_json::from_slice(&text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_has_ended_does_not_pass_for_one_that_lives() {
        let directory = tempfile::tempdir().unwrap();
        let of_store = directory.path().join("store1");
        assert_eq!(look(directory.path(), "store1"), Carrier::IsGone(None));
        fs::create_dir(&of_store).unwrap();
        let file = StateFile::lock(&of_store).unwrap();
        assert!(StateFile::lock(&of_store).is_err());
        let state = State {
            since: Timestamp::UNIX_EPOCH,
            trouble: None,
            clock_ahead: -3,
            version: "1".to_owned(),
        };
        file.write(&state).unwrap();
        assert_eq!(
            look(directory.path(), "store1"),
            Carrier::Lives(state.clone())
        );
        let problem = |wanted| problem(directory.path(), "store1", wanted).unwrap();
        assert!(problem(Some("1")).contains("its clock is 3 s behind"));
        assert!(problem(Some("2")).contains("names other identifiers"));
        drop(file);
        assert_eq!(
            look(directory.path(), "store1"),
            Carrier::IsGone(Some(state))
        );
    }
}
