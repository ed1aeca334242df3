//! Entries from the systemd journal, through libsystemd: the only place that knows sd_journal(3).
//!
//! Reads; never writes, never interprets a message. Only entries of wanted identifiers are seen,
//! by the journal's own index, so that the cost grows with the logins and not with the log.

pub(crate) mod batch;
mod entry;
pub(crate) mod entry_channel;
mod files;
mod identifiers;
pub mod own;
pub mod reports;
mod room;
pub(crate) mod start_position;
mod units;
pub mod wait;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use systemd::journal::{
    Journal, JournalWaitResult, OpenDirectoryOptions, OpenFilesOptions, OpenOptions,
};

use crate::origin::{Id, Origin};
use crate::servers::LONGEST_MESSAGE;
use entry::lacks_end;
pub use entry::{Container, Entry};
pub use files::{Files, Unreadable, directories_of};
pub use identifiers::Match;
use identifiers::{is_known, known, look_for};
pub use room::NoRoom;
use wait::Wait;

/// How long a message usually is at most. Room for a longer one is not kept.
const USUAL: usize = 512;

/// The longest name of a container that is read.
const LONGEST_NAME: usize = 256;

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
    /// The cursor of the last entry that was read; empty if none was, and all is to be read since the
    /// time.
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
    /// It is there, and this process may read nothing of it that matters. libsystemd would show an
    /// empty journal.
    #[error("{file}")]
    Forbidden {
        /// One of its files.
        file: Unreadable,
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
    /// Waiting for it failed.
    #[error("waiting for the journal: {0}")]
    Wait(#[from] std::io::Error),
}

/// Reads the entries of some identifiers and containers, in order. Not to be sent to another thread.
pub struct Reader {
    journal: Journal,
    source: Source,
    files: Files,
    /// Directories of a namespace that were not there yet: libsystemd does not notice them come.
    missing: Vec<PathBuf>,
    wanted: Vec<Match>,
    /// Those of them that had written when it was last found out.
    known: Vec<Match>,
    looks_for: LooksFor,
    /// Whether it was told that there is no more: once is enough to catch up, and looking for all
    /// costs less each time.
    was_over: bool,
    begin: Begin,
}

/// Which identifiers are looked for. Each costs time with every step, also one that never writes.
#[derive(Debug)]
enum LooksFor {
    /// All.
    All,
    /// Those that have written, up to this entry: when it was the last, the others had written
    /// nothing.
    Known(Position),
    /// The same, and the reader stands on that entry: from here on, all; but first it is told, with
    /// less ado, if there is no more.
    KnownUpToHere(Position),
}

/// Where reading has begun.
#[derive(Debug)]
enum Begin {
    Head,
    At(Timestamp),
    Behind(Position),
}

impl Reader {
    /// Opens the journal.
    ///
    /// # Errors
    /// When it can't be opened, or nothing of it that matters may be read.
    pub fn open(
        source: &Source,
        wanted: impl IntoIterator<Item = impl Into<Match>>,
    ) -> Result<Self, JournalError> {
        let files = Files::look(source)?;
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
        // Of a longer message that is compressed, no more is unpacked.
        journal.set_data_threshold("MESSAGE=".len() + LONGEST_MESSAGE + 1)?;
        // From now on, changes are noticed: what is written while we read is not missed.
        journal.wait(Some(Duration::ZERO))?;
        let wanted: Vec<Match> = wanted.into_iter().map(Into::into).collect();
        look_for(&mut journal, &wanted)?;
        Ok(Reader {
            journal,
            source: source.clone(),
            files,
            missing,
            known: wanted.clone(),
            wanted,
            looks_for: LooksFor::All,
            was_over: false,
            begin: Begin::Head,
        })
    }

    /// Passes faster over what is there, where many identifiers are wanted and few have written.
    /// Misses nothing: behind the entry that is the last one now, all are looked for again. To be
    /// called before going to a place.
    ///
    /// # Errors
    /// When libsystemd fails.
    pub fn hurry(&mut self) -> Result<(), JournalError> {
        self.known = known(&mut self.journal, &self.wanted, None)?;
        look_for(&mut self.journal, &self.known)?;
        self.journal.seek_tail()?;
        if !self.known.is_empty() && self.journal.previous()? > 0 {
            let last = self.position()?;
            // One that first wrote in between may have done so before that entry.
            if known(&mut self.journal, &self.wanted, None)? == self.known {
                look_for(&mut self.journal, &self.known)?;
                self.looks_for = LooksFor::Known(last);
                return Ok(());
            }
        }
        self.look_for_all()
    }

    /// Those of these identifiers, all of them the reader's, that may have written before `time`:
    /// it tells without looking what [`Reader::hurry`] has found out.
    #[must_use]
    pub fn may_have_written<'a>(
        &self,
        mut identifiers: Vec<&'a str>,
        before: Timestamp,
    ) -> Vec<&'a str> {
        if let LooksFor::Known(last) | LooksFor::KnownUpToHere(last) = &self.looks_for
            && before <= last.time
        {
            identifiers.retain(|identifier| {
                self.known
                    .iter()
                    .any(|known| known.is_identifier(identifier))
            });
        }
        identifiers
    }

    /// The journal's files, as they were when it was opened.
    #[must_use]
    pub fn files(&self) -> &Files {
        &self.files
    }

    fn look_for_all(&mut self) -> Result<(), JournalError> {
        self.looks_for = LooksFor::All;
        Ok(look_for(&mut self.journal, &self.wanted)?)
    }

    /// Goes to the first entry that is not older than `time`; [`Reader::next`] steps on it.
    ///
    /// # Errors
    /// When libsystemd fails.
    pub fn seek_time(&mut self, time: Timestamp) -> Result<(), JournalError> {
        self.begin = Begin::At(time);
        self.leave();
        if matches!(&self.looks_for, LooksFor::Known(last) if last.time < time) {
            self.look_for_all()?;
        }
        Ok(self.journal.seek_realtime_usec(microseconds(time))?)
    }

    /// Goes to the beginning.
    ///
    /// # Errors
    /// When libsystemd fails.
    pub fn seek_head(&mut self) -> Result<(), JournalError> {
        self.begin = Begin::Head;
        self.leave();
        Ok(self.journal.seek_head()?)
    }

    /// Goes right behind `position`, or to its time where its cursor is gone: entries of that very
    /// time are then seen again.
    ///
    /// # Errors
    /// When libsystemd fails.
    pub fn resume(&mut self, position: &Position) -> Result<Resumed, JournalError> {
        self.leave();
        // An invalid cursor is an error here, a vanished one leads to an entry nearby.
        let found = self.journal.seek_cursor(position.cursor.as_str()).is_ok()
            && self.step()?
            && self.is_at(position)?;
        if found {
            self.begin = Begin::Behind(position.clone());
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
        if let LooksFor::KnownUpToHere(here) = &self.looks_for {
            let here = here.clone();
            let was_over = std::mem::replace(&mut self.was_over, true);
            // In this order: one that first writes later changes the journal again.
            if !was_over
                && self.journal.next()? == 0
                && is_known(&mut self.journal, &self.wanted, &self.known)
            {
                return Ok(false);
            }
            self.look_for_all()?;
            self.resume(&here)?;
        }
        if self.step()? {
            return Ok(true);
        }
        if let LooksFor::Known(_) = self.looks_for {
            // Reading began behind the last entry, or its file could not be read: everything again.
            self.look_for_all()?;
            match std::mem::replace(&mut self.begin, Begin::Head) {
                Begin::Head => self.seek_head()?,
                Begin::At(time) => self.seek_time(time)?,
                Begin::Behind(position) => {
                    self.resume(&position)?;
                }
            }
            return self.step();
        }
        Ok(false)
    }

    /// Goes elsewhere, perhaps back.
    fn leave(&mut self) {
        if let LooksFor::KnownUpToHere(last) = &self.looks_for {
            self.looks_for = LooksFor::Known(last.clone());
        }
    }

    fn step(&mut self) -> Result<bool, JournalError> {
        if self.journal.next()? == 0 {
            return Ok(false);
        }
        if let LooksFor::Known(last) = &self.looks_for
            && self.time()? == last.time
            && self.is_at(last)?
        {
            self.looks_for = LooksFor::KnownUpToHere(last.clone());
        }
        Ok(true)
    }

    /// From now on, a change of this journal ends `wait`.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn tell(&self, wait: &mut Wait) -> Result<(), JournalError> {
        let journal = self.journal.fd()?;
        Ok(match &self.source {
            Source::Host | Source::Namespace(_) => {
                wait.watch(journal, directories_of(&self.source))
            }
            Source::Directory(path) => wait.watch(journal, [path]),
            Source::Files(paths) => wait.watch(journal, paths),
        }?)
    }

    /// Waits until the journal has changed, if it tells `wait`, or its bell rings, for `limit` at
    /// most. What has been written until it returns can then be read. Says whether it was told of a
    /// change, or nobody would tell.
    ///
    /// # Errors
    /// When libsystemd fails.
    pub fn wait(&mut self, wait: &mut Wait, limit: Duration) -> Result<bool, JournalError> {
        wait.wait(limit)?;
        let changed = self.journal.process()?;
        Ok(wait.is_told_nothing() || !matches!(changed, JournalWaitResult::Nop))
    }

    /// The newest time of all entries, also of those that are not wanted; `None` if there is none. It
    /// costs next to nothing.
    ///
    /// # Errors
    /// When libsystemd fails.
    pub fn newest(&self) -> Result<Option<Timestamp>, JournalError> {
        let times = self.journal.cutoff_realtime_usec()?;
        Ok(times.map(|(_, newest)| timestamp(newest)))
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
        Ok(timestamp(self.journal.timestamp_usec()?))
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

    /// Reads the entry, in one go over its fields: to find a single one, libsystemd looks at as
    /// many.
    ///
    /// # Errors
    /// When libsystemd fails.
    pub fn read(&mut self, entry: &mut Entry) -> Result<(), JournalError> {
        entry.time = self.time()?;
        for text in [&mut entry.identifier, &mut entry.message] {
            text.clear();
            text.shrink_to(USUAL);
        }
        (entry.identifiers, entry.messages, entry.fields) = (0, 0, 0);
        (entry.origin, entry.is_cut) = (Origin::UNKNOWN, false);
        (entry.lacks_end, entry.is_by_syslog) = (false, false);
        entry.container.clear();
        let mut unit_before = std::mem::take(&mut entry.sender).unit;
        let first = |count: &mut usize, text: &mut Vec<u8>, value: &[u8]| {
            if *count == 0 {
                // Anybody can write some megabytes, again and again.
                text.extend_from_slice(&value[..value.len().min(LONGEST_MESSAGE + 1)]);
            }
            *count += 1;
        };
        let name = |to: &mut Vec<u8>, value: &[u8]| {
            if to.is_empty() {
                to.extend_from_slice(&value[..value.len().min(LONGEST_NAME)]);
            }
        };
        self.journal.restart_data();
        while let Some(field) = self.journal.enumerate_data()? {
            entry.fields += 1;
            let Some(value) = field.value() else { continue };
            let text = || std::str::from_utf8(value).ok();
            match field.name() {
                b"MESSAGE" => first(&mut entry.messages, &mut entry.message, value),
                b"SYSLOG_IDENTIFIER" => {
                    first(&mut entry.identifiers, &mut entry.identifier, value);
                }
                // What a stream wrote without an end of its line (systemd.journal-fields(7)): too much of
                // it, or up to the process that wrote on.
                b"_LINE_BREAK" => entry.is_cut = matches!(value, b"line-max" | b"pid-change"),
                b"SYSLOG_RAW" => entry.lacks_end |= lacks_end(value),
                b"_TRANSPORT" => entry.is_by_syslog = value == b"syslog",
                // Of several, the first: an engine writes one.
                b"CONTAINER_NAME" => name(&mut entry.container.name, value),
                b"CONTAINER_TAG" => name(&mut entry.container.tag, value),
                b"CONTAINER_ID_FULL" => name(&mut entry.container.id, value),
                b"CONTAINER_LOG_EPOCH" => name(&mut entry.container.epoch, value),
                b"PRIORITY" => name(&mut entry.container.priority, value),
                b"CONTAINER_PARTIAL_MESSAGE" => entry.container.is_partial = true,
                b"_MACHINE_ID" => entry.origin.host.machine = Id::parse(value),
                b"_BOOT_ID" => entry.origin.boot = Id::parse(value),
                b"_UID" => entry.sender.uid = text().and_then(|uid| uid.parse().ok()),
                b"_PID" => entry.sender.pid = text().and_then(|pid| pid.parse().ok()),
                b"_SYSTEMD_UNIT" => {
                    entry.sender.unit = text().map(|text| match unit_before.take() {
                        Some(same) if same == text => same,
                        _ => text.to_owned(),
                    });
                }
                _ => {}
            }
        }
        if entry.sender.unit.is_none() {
            entry.sender.unit = self.cgroup()?;
        }
        Ok(())
    }

    /// How many fields of the entry can be read: while journald is writing it, perhaps not all.
    ///
    /// # Errors
    /// When libsystemd fails.
    pub fn count_fields(&mut self) -> Result<usize, JournalError> {
        self.journal.restart_data();
        let mut fields = 0;
        while self.journal.enumerate_data()?.is_some() {
            fields += 1;
        }
        Ok(fields)
    }

    /// The cgroup that the entry's process was in, if journald has seen one: a path such as `/docker/8f3c`.
    fn cgroup(&mut self) -> Result<Option<String>, JournalError> {
        self.journal.restart_data();
        while let Some(field) = self.journal.enumerate_data()? {
            if field.name() == b"_SYSTEMD_CGROUP" {
                let path = field
                    .value()
                    .and_then(|path| std::str::from_utf8(path).ok());
                // The uppermost one, and those that a journald in a container can't see, say nothing.
                let path = path.filter(|path| *path != "/" && !path.contains(".."));
                return Ok(path.map(str::to_owned));
            }
        }
        Ok(None)
    }

    /// The place of the entry before, if there is one. The reader stays where it is.
    ///
    /// # Errors
    /// When libsystemd fails.
    pub fn position_before(&mut self) -> Result<Option<Position>, JournalError> {
        if self.journal.previous()? == 0 {
            return Ok(None);
        }
        let position = self.position()?;
        self.journal.next()?;
        Ok(Some(position))
    }

    /// Whether the reader stands on this entry.
    ///
    /// # Errors
    /// When libsystemd fails.
    pub fn is_at(&self, position: &Position) -> Result<bool, JournalError> {
        Ok(self.journal.test_cursor(position.cursor.as_str())?)
    }
}

/// Which identifiers and containers of `wanted` have written anything since `since`; `None` if the
/// journal holds no entries at all, so that nobody can tell.
///
/// # Errors
/// When the journal can't be opened or read, or is there and may not be read.
pub fn seen(
    source: &Source,
    wanted: impl IntoIterator<Item = impl Into<Match>>,
    since: Timestamp,
) -> Result<Option<BTreeSet<String>>, JournalError> {
    let mut reader = Reader::open(source, wanted)?;
    reader.journal.match_flush()?;
    reader.seek_head()?;
    if !reader.next()? {
        return Ok(None);
    }
    let seen = known(&mut reader.journal, &reader.wanted, Some(since))?;
    Ok(Some(seen.into_iter().map(Match::into_value).collect()))
}

/// A time as libsystemd counts it.
fn timestamp(microseconds: u64) -> Timestamp {
    let microseconds = i64::try_from(microseconds).unwrap_or(i64::MAX);
    Timestamp::from_microsecond(microseconds).unwrap_or(Timestamp::MAX)
}

/// As libsystemd counts time.
fn microseconds(time: Timestamp) -> u64 {
    u64::try_from(time.as_microsecond()).unwrap_or(0)
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

/// This host, by machine-id(5).
pub fn machine() -> Id {
    let id = std::fs::read("/etc/machine-id").unwrap_or_default();
    Id::parse(id.trim_ascii())
}
