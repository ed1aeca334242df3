//! Entries from the systemd journal, through libsystemd: the only place that knows sd_journal(3).
//!
//! Reads; never writes, never interprets a message. Only entries of wanted identifiers are seen,
//! by the journal's own index, so that the cost grows with the logins and not with the log.

pub mod own;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use systemd::journal::{Journal, OpenDirectoryOptions, OpenFilesOptions, OpenOptions};

use crate::servers::{LONGEST_MESSAGE, Sender};

/// Which journal is read.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Source {
    /// This host's journal, of all its boots and users.
    #[default]
    Host,
    /// A journal namespace of this host (systemd.exec(5), LogNamespace=).
    Namespace(String),
    /// The journal files of a directory, also as they come and go.
    Directory(PathBuf),
    /// These files.
    Files(Vec<PathBuf>),
}

/// A place in the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// The cursor of the last entry that was read.
    pub cursor: String,
    /// When the journal received that entry.
    pub time: Timestamp,
}

/// How a [`Reader`] found its place again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resumed {
    /// Right behind the cursor.
    Exactly,
    /// The cursor's entry is gone; at its time instead.
    CursorGone,
}

/// The journal can't be read.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// It can't be opened.
    #[error("can't open {what}: {source}")]
    Open {
        /// Which journal.
        what: String,
        /// Why.
        source: systemd::Error,
    },
    /// It is there, and this process may not read it. libsystemd would show an empty journal.
    #[error(
        "{} can't be read by this user: it needs the group systemd-journal \
         (systemctl edit the unit, or run as root)",
        path.display()
    )]
    Forbidden {
        /// A journal file.
        path: PathBuf,
    },
    /// There is nothing where a journal should be.
    #[error("{}: {reason}", path.display())]
    Missing {
        /// The directory or file.
        path: PathBuf,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Reading failed.
    #[error("reading the journal: {0}")]
    Read(#[from] systemd::Error),
}

/// Reads the entries of some identifiers, in order. Not to be sent to another thread.
pub struct Reader {
    journal: Journal,
    /// Directories of a namespace that were not there yet: libsystemd does not notice them come.
    missing: Vec<PathBuf>,
}

impl Reader {
    /// Opens the journal.
    ///
    /// # Errors
    /// When it can't be opened, or is there and may not be read.
    pub fn open<'a>(
        source: &Source,
        identifiers: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, JournalError> {
        check_readable(source)?;
        let missing = match source {
            Source::Namespace(_) => directories_of(source).filter(|d| !d.exists()).collect(),
            _ => Vec::new(),
        };
        let opened = match source {
            // No flag for "system": entries of unprivileged users are in files of their own.
            Source::Host => OpenOptions::default().local_only(true).open(),
            Source::Namespace(name) => OpenOptions::default()
                .local_only(true)
                .open_namespace(name.as_str()),
            Source::Directory(path) => {
                OpenDirectoryOptions::default().open_directory(path.as_os_str().as_encoded_bytes())
            }
            Source::Files(paths) => OpenFilesOptions::default()
                .open_files(paths.iter().map(|path| path.as_os_str().as_encoded_bytes())),
        };
        let open_error = |error| JournalError::Open {
            what: source.to_string(),
            source: error,
        };
        let mut journal = opened.map_err(open_error)?;
        // Longer messages come cut off at this length, and are seen to be too long.
        journal.set_data_threshold("MESSAGE=".len() + LONGEST_MESSAGE + 1)?;
        for identifier in identifiers {
            journal.match_add("SYSLOG_IDENTIFIER", identifier)?;
        }
        // From now on, changes are noticed: what is written while we read is not missed.
        journal.wait(Some(Duration::ZERO))?;
        Ok(Reader { journal, missing })
    }

    /// Goes to the first entry that is not older than `time`; [`Reader::next`] steps on it.
    ///
    /// # Errors
    /// When libsystemd fails.
    pub fn seek_time(&mut self, time: Timestamp) -> Result<(), JournalError> {
        let microseconds = u64::try_from(time.as_microsecond()).unwrap_or(0);
        Ok(self.journal.seek_realtime_usec(microseconds)?)
    }

    /// Goes to the beginning.
    ///
    /// # Errors
    /// When libsystemd fails.
    pub fn seek_head(&mut self) -> Result<(), JournalError> {
        Ok(self.journal.seek_head()?)
    }

    /// Goes right behind `position`, or to its time where its cursor is gone: entries of that very
    /// time are then seen again.
    ///
    /// # Errors
    /// When libsystemd fails.
    pub fn resume(&mut self, position: &Position) -> Result<Resumed, JournalError> {
        // An invalid cursor is an error here, a vanished one leads to an entry nearby.
        let found = self.journal.seek_cursor(position.cursor.as_str()).is_ok()
            && self.journal.next()? > 0
            && self.journal.test_cursor(position.cursor.as_str())?;
        if found {
            return Ok(Resumed::Exactly);
        }
        self.seek_time(position.time)?;
        Ok(Resumed::CursorGone)
    }

    /// Steps on the next entry; false at the end.
    ///
    /// # Errors
    /// When libsystemd fails: a file that is damaged, or was removed while it was read.
    #[allow(clippy::should_implement_trait)] // an entry is borrowed from the reader
    pub fn next(&mut self) -> Result<bool, JournalError> {
        Ok(self.journal.next()? > 0)
    }

    /// Waits until the journal has changed, for `limit` at most.
    ///
    /// # Errors
    /// When libsystemd fails.
    pub fn wait(&mut self, limit: Duration) -> Result<(), JournalError> {
        self.journal.wait(Some(limit))?;
        Ok(())
    }

    /// Whether there are entries that this reader can't see, and one that is opened now can: the
    /// first process of a namespace has started since.
    #[must_use]
    pub fn is_outdated(&self) -> bool {
        self.missing.iter().any(|directory| directory.exists())
    }

    /// When the journal received the entry. Senders can't choose it.
    ///
    /// # Errors
    /// When libsystemd fails.
    pub fn time(&self) -> Result<Timestamp, JournalError> {
        let microseconds = i64::try_from(self.journal.timestamp_usec()?).unwrap_or(i64::MAX);
        Ok(Timestamp::from_microsecond(microseconds).unwrap_or(Timestamp::MAX))
    }

    /// The entry's place.
    ///
    /// # Errors
    /// When libsystemd fails.
    pub fn position(&self) -> Result<Position, JournalError> {
        Ok(Position {
            cursor: self.journal.cursor()?,
            time: self.time()?,
        })
    }

    /// Copies the entry's identifier, any bytes; false if it has none.
    ///
    /// # Errors
    /// When libsystemd fails.
    pub fn identifier(&mut self, into: &mut Vec<u8>) -> Result<bool, JournalError> {
        self.copy("SYSLOG_IDENTIFIER", into)
    }

    /// Copies the entry's message, any bytes, those of its first MESSAGE field; false if it has
    /// none. One that is longer than [`LONGEST_MESSAGE`] is still longer than that here, but may be
    /// cut off.
    ///
    /// # Errors
    /// When libsystemd fails.
    pub fn message(&mut self, into: &mut Vec<u8>) -> Result<bool, JournalError> {
        self.copy("MESSAGE", into)
    }

    /// Who wrote the entry, from the fields that journald adds itself; or `None` for an entry that
    /// has not one message and one identifier: a sender can write several, of which one reader sees
    /// the one and another reader the other.
    ///
    /// # Errors
    /// When libsystemd fails.
    pub fn sender(&mut self) -> Result<Option<Sender>, JournalError> {
        let (mut messages, mut identifiers) = (0, 0);
        let mut sender = Sender::default();
        self.journal.restart_data();
        while let Some(field) = self.journal.enumerate_data()? {
            let text = || std::str::from_utf8(field_value(field.data())?).ok();
            match field.name() {
                b"MESSAGE" => messages += 1,
                b"SYSLOG_IDENTIFIER" => identifiers += 1,
                b"_UID" => sender.uid = text().and_then(|uid| uid.parse().ok()),
                b"_PID" => sender.pid = text().and_then(|pid| pid.parse().ok()),
                b"_SYSTEMD_UNIT" => sender.unit = text().map(str::to_owned),
                _ => {}
            }
        }
        Ok((messages == 1 && identifiers == 1).then_some(sender))
    }

    fn copy(&mut self, name: &str, into: &mut Vec<u8>) -> Result<bool, JournalError> {
        into.clear();
        let field = self.journal.get_data(name)?;
        let value = field.as_ref().and_then(|field| field_value(field.data()));
        into.extend_from_slice(value.unwrap_or_default());
        Ok(value.is_some())
    }

    /// Whether the reader stands on this entry.
    ///
    /// # Errors
    /// When libsystemd fails.
    pub fn is_at(&self, position: &Position) -> Result<bool, JournalError> {
        Ok(self.journal.test_cursor(position.cursor.as_str())?)
    }
}

/// Which of `identifiers` have written anything since `since`; `None` if the journal holds no
/// entries at all, so that nobody can tell.
///
/// # Errors
/// When the journal can't be opened or read, or is there and may not be read.
pub fn seen<'a>(
    source: &Source,
    identifiers: impl IntoIterator<Item = &'a str>,
    since: Timestamp,
) -> Result<Option<BTreeSet<String>>, JournalError> {
    let mut reader = Reader::open(source, [])?;
    reader.seek_head()?;
    if !reader.next()? {
        return Ok(None);
    }
    let mut seen = BTreeSet::new();
    for identifier in identifiers {
        // By the journal's own index: no entry of others is looked at.
        reader.journal.match_flush()?;
        reader.journal.match_add("SYSLOG_IDENTIFIER", identifier)?;
        reader.seek_time(since)?;
        if reader.next()? {
            seen.insert(identifier.to_owned());
        }
    }
    Ok(Some(seen))
}

/// The value of `NAME=value`.
fn field_value(data: &[u8]) -> Option<&[u8]> {
    let equals = data.iter().position(|byte| *byte == b'=')?;
    Some(&data[equals + 1..])
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Source::Host => f.write_str("the journal of this host"),
            Source::Namespace(name) => write!(f, "the journal namespace {name}"),
            Source::Directory(path) => write!(f, "the journal directory {}", path.display()),
            Source::Files(paths) => {
                f.write_str("the journal files")?;
                paths
                    .iter()
                    .try_for_each(|path| write!(f, " {}", path.display()))
            }
        }
    }
}

/// Where the journal of this host, or of a namespace of it, is (systemd-journald.service(8)).
fn directories_of(source: &Source) -> impl Iterator<Item = PathBuf> {
    let suffix = match source {
        Source::Namespace(name) => format!(".{name}"),
        _ => String::new(),
    };
    let machine = std::fs::read_to_string("/etc/machine-id").ok();
    let name = machine.map(|machine| format!("{}{suffix}", machine.trim()));
    let below = |root| name.clone().map(|name| Path::new(root).join(name));
    ["/var/log/journal", "/run/log/journal"]
        .map(below)
        .into_iter()
        .flatten()
}

/// Finds out what libsystemd does not tell: without permission, it shows an empty journal.
fn check_readable(source: &Source) -> Result<(), JournalError> {
    match source {
        Source::Host | Source::Namespace(_) => directories_of(source)
            .try_for_each(|directory| check_file(&directory.join("system.journal"))),
        Source::Directory(path) => match std::fs::read_dir(path) {
            Ok(entries) => entries
                .flatten()
                .map(|entry| entry.path())
                .try_for_each(|file| {
                    if file.extension().is_some_and(|e| e == "journal") {
                        check_file(&file)
                    } else {
                        Ok(())
                    }
                }),
            Err(e) if e.kind() == std::io::ErrorKind::PermissionDenied => {
                Err(JournalError::Forbidden { path: path.clone() })
            }
            Err(_) => Err(JournalError::Missing {
                path: path.clone(),
                reason: "is not a directory with journal files",
            }),
        },
        Source::Files(paths) => paths.iter().try_for_each(|path| {
            if path.is_file() {
                check_file(path)
            } else {
                Err(JournalError::Missing {
                    path: path.clone(),
                    reason: "is not a journal file",
                })
            }
        }),
    }
}

fn check_file(path: &Path) -> Result<(), JournalError> {
    match std::fs::File::open(path) {
        Err(e) if e.kind() == std::io::ErrorKind::PermissionDenied => {
            Err(JournalError::Forbidden {
                path: path.to_owned(),
            })
        }
        _ => Ok(()),
    }
}
