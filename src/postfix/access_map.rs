//! The access map: the table in which Postfix looks up whether a client may relay (access(5)).
//!
//! Built aside, proved, and renamed over the live one. Must never touch the live index in place
//! (smtpd misses a change within one second, and a failure would leave half a map), never make a
//! hard link to it (smtpd notices a change by the link count), and never hold a key that is not
//! one whole address: `unknown` or `192.0.2` would open the relay to many.

mod aside;
mod entry;
mod kind;
mod lock;
mod lookup;
mod marks;

use std::borrow::Cow;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{self, Scope, ScopedJoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use aside::{Aside, Built};
pub use entry::validate_value;
pub use kind::kind_at;
pub use lookup::LookupError;
pub use marks::{MapChange, Marks};

use super::command::{CommandError, Programs, table};
use super::map_type::MapType;
use crate::client::Client;

/// The key that proves a build. Nobody has this name (RFC 6761, section 6.4), and its value is
/// never a permit.
pub const SENTINEL: &str = "pop-before-smtp.invalid";
/// How the value of the sentinel begins in a map that was withdrawn.
const WITHDRAWN: &str = "DUNNO withdrawn";
/// Readable by Postfix, whatever the umask of this process.
const MODE: u32 = 0o644;

/// The map of one service: where it is, its type, and what it says of a listed client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessMap {
    /// The source; the index is beside it, as [`MapType::index`] says.
    pub path: PathBuf,
    /// The type of the index.
    pub kind: MapType,
    /// The right-hand side of each entry, `OK`. See [`validate_value`].
    pub value: String,
    /// Where postmap is, and how long it may take.
    pub programs: Programs,
}

/// A publication that has succeeded.
#[derive(Debug, Clone)]
pub struct Published {
    /// How many clients the map lists now.
    pub clients: usize,
    /// How long it took, waiting for another publisher included.
    pub took: Duration,
    /// By what the map is known again.
    pub marks: Box<Marks>,
}

/// Why a publication failed.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// A file could not be written, renamed or synchronised.
    #[error("{}: {action}: {source}{}", path.display(), advice(source))]
    File {
        /// The file.
        path: PathBuf,
        /// What we wanted to do with it: "can't write".
        action: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// Another publisher holds the lock for longer than a publication can take.
    #[error(
        "{}: still locked after {} s: another pop-before-smtp is publishing and seems to hang; \
         look for it with 'fuser -v {}'",
        path.display(), waited.as_secs_f64(), path.display()
    )]
    Locked {
        /// The lock file.
        path: PathBuf,
        /// How long we have waited.
        waited: Duration,
    },
    /// postmap could not be run, took too long, or failed.
    #[error(transparent)]
    Postmap(#[from] CommandError),
    /// postmap says that it has succeeded, but there is no index.
    #[error(
        "postmap {kind}:{source_file} succeeded but made no {}: does this Postfix still write the \
         type {kind}? ('postconf -m', and 'postconf non_bdb_migration_level' of Postfix 3.11). \
         Set another type in [map]",
        path.display(), source_file = source_file.display()
    )]
    NoIndex {
        /// The type asked for.
        kind: MapType,
        /// The source that postmap was given.
        source_file: PathBuf,
        /// The index that should be there.
        path: PathBuf,
    },
    /// postmap says that it has succeeded, but the index is not that of the source.
    #[error(
        "{}: the index does not hold what was written, though postmap succeeded: looking up \
         {SENTINEL} gave {found:?} instead of {expected:?}. Is the disk full?",
        path.display()
    )]
    NotProved {
        /// The index.
        path: PathBuf,
        /// The value of the sentinel in the source.
        expected: String,
        /// What postmap found in the index, and its complaint.
        found: String,
    },
}

/// What to do about an error of the system, where it is plain.
fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            " (make room; the map in place still holds)"
        }
        io::ErrorKind::PermissionDenied => {
            " (the directory must belong to the user that this runs as)"
        }
        io::ErrorKind::ReadOnlyFilesystem => {
            " (the directory must be writable: StateDirectory= or ReadWritePaths= of the unit; if \
             it was made anew, restart the service)"
        }
        io::ErrorKind::NotFound => " (the directory must exist)",
        _ => "",
    }
}

impl AccessMap {
    /// The map of the installed Postfix at `path`.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>, kind: MapType, value: impl Into<String>) -> Self {
        AccessMap {
            path: path.into(),
            kind,
            value: value.into(),
            programs: Programs::installed(),
        }
    }

    /// The index that Postfix reads.
    #[must_use]
    pub fn index(&self) -> PathBuf {
        self.kind.index(&self.path)
    }

    /// Whether there is an index. Without one, Postfix answers 451 to everybody.
    #[must_use]
    pub fn exists(&self) -> bool {
        self.index().is_file()
    }

    /// The line of main.cf that makes Postfix use the map.
    #[must_use]
    pub fn main_cf_line(&self) -> String {
        format!(
            "smtpd_relay_restrictions = permit_mynetworks, permit_sasl_authenticated, \
             check_client_access {}:{}, reject_unauth_destination",
            self.kind,
            self.path.display()
        )
    }

    /// Makes the map list exactly these clients. Postfix uses it from the next connection on.
    ///
    /// Takes as long as postmap, and as another publisher that is at it.
    ///
    /// # Errors
    /// When any step fails; the map is then as it was before, and nothing is left beside it. (If
    /// it is the very last step that fails, to force the renames to the disk, the map is the new
    /// one until a power failure. To publish again is right in any case.)
    pub fn publish(&self, clients: &[Client]) -> Result<Published, PublishError> {
        let started = Instant::now();
        let _lock = lock::take(self)?;
        // Those of a whitelist are in order; a million of them need no copy.
        let clients = if clients.is_sorted_by(|a, b| a < b) {
            Cow::Borrowed(clients)
        } else {
            let mut sorted = clients.to_vec();
            sorted.sort_unstable();
            sorted.dedup();
            Cow::Owned(sorted)
        };
        let aside = Aside::new(&self.path, self.kind);
        let proof = format!("DUNNO {}", nonce());
        let built = self.build(&aside, &clients, &proof)?;
        let marks = Box::new(Marks::of_built(self, &aside));
        built.install(&self.path)?;
        Ok(Published {
            clients: clients.len(),
            took: started.elapsed(),
            marks,
        })
    }

    /// Makes the map list nobody, if there is one; without Postfix, by [`remove`].
    ///
    /// # Errors
    /// When any step fails.
    pub fn withdraw_everybody(&self) -> Result<(), PublishError> {
        if !self.programs.have_postfix() {
            return remove(&self.path);
        }
        if self.is_there()? {
            self.publish(&[])?;
        }
        Ok(())
    }

    /// The same for a map that is used no more, beside `ours`: if both are at the same path, the source is
    /// ours, and stays.
    ///
    /// # Errors
    /// When any step fails.
    pub fn withdraw_beside(&self, ours: &AccessMap) -> Result<(), PublishError> {
        if ours.path != self.path || !self.programs.have_postfix() {
            return self.withdraw_everybody();
        }
        if self.is_there()? {
            self.withdraw(self.kind)?;
        }
        Ok(())
    }

    /// Whether there is an index, for certain: one that can't be looked at may be there.
    fn is_there(&self) -> Result<bool, PublishError> {
        let index = self.index();
        match fs::metadata(&index) {
            Ok(_) => Ok(true),
            Err(error) => match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Ok(false),
                _ => Err(file_error(&index, "can't look for it")(error)),
            },
        }
    }

    /// Empties the maps of other types that are beside ours, left from before the type was
    /// changed: a main.cf that still names one admits nobody, but does not fail either.
    ///
    /// Returns the types that were emptied now; those that already are empty stay untouched.
    ///
    /// # Errors
    /// The first error; the other types have been tried all the same.
    pub fn withdraw_other_types(&self) -> Result<Vec<MapType>, PublishError> {
        let mut emptied = Vec::new();
        let mut failed = None;
        let ours = self.index();
        for kind in kind::indexes(&self.path) {
            if kind.index(&self.path) == ours {
                continue;
            }
            match self.withdraw(kind) {
                Ok(true) => emptied.push(kind),
                Ok(false) => {}
                Err(error) => failed = failed.or(Some(error)),
            }
        }
        failed.map_or(Ok(emptied), Err)
    }

    /// Empties the map of one other type; `false` if that was done before.
    fn withdraw(&self, kind: MapType) -> Result<bool, PublishError> {
        let _lock = lock::take(self)?;
        if look_up_sentinel(&self.programs, kind, &self.path)?.starts_with(WITHDRAWN) {
            return Ok(false);
        }
        let aside = Aside::new(&self.path, kind);
        let proof = format!("{WITHDRAWN} {}", nonce());
        let built = self.build(&aside, &[], &proof)?;
        built.install_index(&self.path)?;
        Ok(true)
    }

    /// Writes source and index aside, proves the index, and forces both to the disk.
    fn build<'a>(
        &self,
        aside: &'a Aside,
        clients: &[Client],
        proof: &str,
    ) -> Result<Built<'a>, PublishError> {
        aside.remove()?;
        let source = aside.write_source(|file| self.write_source(file, clients, proof))?;
        let kind = aside.kind;
        // Most of a run of postmap is its start: the one that looks the sentinel up starts beside the
        // one that builds, and opens the index when it is asked (postmap(1), -q -). The disk has its
        // time meanwhile.
        thread::scope(|threads| {
            let index = table(kind, &aside.source);
            let builder = self.programs.start("postmap", &[&index])?;
            let prover = self
                .programs
                .start("postmap", &["-q".as_ref(), "-".as_ref(), index.as_os_str()])?;
            let source_synced = start_sync(threads, source, &aside.source)?;
            builder.finish(&[])?.succeeded()?;
            let index_synced = start_sync(threads, aside.open_index()?, &aside.index)?;
            let asked = prover.finish(format!("{SENTINEL}\n").as_bytes())?;
            if asked.text() != format!("{SENTINEL}\t{proof}\n") {
                self.check_sentinel(aside, proof)?;
            }
            await_sync(source_synced)?;
            await_sync(index_synced)
        })?;
        Ok(Built { aside })
    }

    /// Looks the sentinel up, and says what was found instead.
    fn check_sentinel(&self, aside: &Aside, proof: &str) -> Result<(), PublishError> {
        let found = look_up_sentinel(&self.programs, aside.kind, &aside.source)?;
        if found == proof {
            return Ok(());
        }
        Err(PublishError::NotProved {
            path: aside.index.clone(),
            expected: proof.to_owned(),
            found,
        })
    }

    /// Writes the source: the sentinel is last, so that it proves that postmap has come to the end.
    fn write_source(&self, to: &mut impl Write, clients: &[Client], proof: &str) -> io::Result<()> {
        to.write_all(
            b"# Written by pop-before-smtp: clients that may relay now (access(5)).\n\
              # Changes made here are lost.\n",
        )?;
        for client in clients {
            writeln!(to, "{client}\t{}", self.value)?;
        }
        writeln!(to, "{SENTINEL}\t{proof}")
    }
}

/// The value of the sentinel in the text of a map's source, which ends with it.
#[must_use]
pub fn proof_in(source: &str) -> Option<&str> {
    (source.lines().last()?.strip_prefix(SENTINEL)?).strip_prefix('\t')
}

/// Removes the map that a Postfix which is gone has left at `path`, of whatever type: nobody could ever
/// take a client out of it again.
///
/// # Errors
/// When a file can't be removed.
pub fn remove(path: &Path) -> Result<(), PublishError> {
    let indexes = MapType::ALL.map(|kind| kind.index(path));
    for file in indexes.iter().map(PathBuf::as_path).chain([path]) {
        match fs::remove_file(file) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(file_error(file, "can't remove")(error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// What an index says of the sentinel: its value, or why there is none.
fn look_up_sentinel(
    programs: &Programs,
    kind: MapType,
    path: &Path,
) -> Result<String, CommandError> {
    let output = programs.look_up(&table(kind, path), SENTINEL)?;
    Ok(if output.status.success() {
        output.text().trim_end_matches('\n').to_owned()
    } else {
        output.stderr.trim().to_owned()
    })
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Begins to force a file to the disk.
fn start_sync<'scope>(
    threads: &'scope Scope<'scope, '_>,
    file: File,
    path: &'scope Path,
) -> Result<Syncing<'scope>, PublishError> {
    let sync = move || file.sync_all().map_err(file_error(path, "can't sync"));
    let started = thread::Builder::new().spawn_scoped(threads, sync);
    started.map_err(file_error(path, "can't sync"))
}

type Syncing<'scope> = ScopedJoinHandle<'scope, Result<(), PublishError>>;

fn await_sync(syncing: Syncing<'_>) -> Result<(), PublishError> {
    let synced = syncing.join();
    synced.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

fn file_error<'a>(
    path: &'a Path,
    action: &'static str,
) -> impl FnOnce(io::Error) -> PublishError + 'a {
    move |source| PublishError::File {
        path: path.to_owned(),
        action,
        source,
    }
}

/// A text that no earlier build has used.
fn nonce() -> String {
    static BUILDS: AtomicU64 = AtomicU64::new(0);
    let build = BUILDS.fetch_add(1, Ordering::Relaxed);
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    format!("{:x}-{:x}-{build:x}", now.as_nanos(), process::id())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_of_main_cf() {
        let map = AccessMap::new("/var/lib/pop-before-smtp/clients", MapType::Lmdb, "OK");
        assert_eq!(
            map.main_cf_line(),
            "smtpd_relay_restrictions = permit_mynetworks, permit_sasl_authenticated, \
             check_client_access lmdb:/var/lib/pop-before-smtp/clients, reject_unauth_destination"
        );
    }

    #[test]
    fn a_map_that_postfix_has_left_behind_is_removed() {
        let directory = tempfile::tempdir().unwrap();
        let mut map = AccessMap::new(directory.path().join("clients"), MapType::Lmdb, "OK");
        map.programs.directories.clear();
        for file in ["clients", "clients.lmdb", "clients.db"] {
            fs::write(directory.path().join(file), "192.0.2.1 OK\n").unwrap();
        }
        map.withdraw_everybody().unwrap();
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
        map.withdraw_everybody().unwrap();
    }
}
