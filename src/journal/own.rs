//! What this service itself has written about a client or a user.
//!
//! Only entries count of which journald says that they came from one of our units: everybody can
//! write whatever message under whatever identifier. Reads this host's own journal; never writes.

use jiff::Timestamp;
use systemd::journal::{Journal, OpenOptions};

use super::{Files, JournalError, Source, microseconds};

/// The units that we run in.
const UNITS: [&str; 2] = ["pop-before-smtp.service", "pop-before-smtp-expire.service"];

/// One of our messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnMessage {
    /// When the journal received it.
    pub time: Timestamp,
    /// Its message id.
    pub id: String,
    /// `POP_BEFORE_SMTP_CLIENT`: whom it is about.
    pub client: Option<String>,
    /// `POP_BEFORE_SMTP_USER`.
    pub user: Option<String>,
    /// `POP_BEFORE_SMTP_SERVER`.
    pub server: Option<String>,
    /// `POP_BEFORE_SMTP_SOURCE`.
    pub source: Option<String>,
    /// The message itself.
    pub text: String,
}

/// Reads our messages in order. Not to be sent to another thread.
pub struct OwnReader {
    journal: Journal,
}

impl OwnReader {
    /// Opens this host's journal for those of our messages whose `field` is `value`.
    ///
    /// # Errors
    /// When it can't be opened, or is there and may not be read.
    pub fn open(field: &str, value: &str) -> Result<Self, JournalError> {
        let mut reader = Self::open_all()?;
        reader.journal.match_add(field, value)?;
        Ok(reader)
    }

    /// Opens this host's journal for all of our messages.
    ///
    /// # Errors
    /// When it can't be opened, or is there and may not be read.
    pub fn open_all() -> Result<Self, JournalError> {
        Files::look(&Source::Host)?;
        let opened = OpenOptions::default().local_only(true).open();
        let mut journal = opened.map_err(|source| JournalError::Open {
            what: Source::Host.to_string(),
            source,
        })?;
        // Alike fields are alternatives (sd_journal_add_match(3)).
        for unit in UNITS {
            journal.match_add("_SYSTEMD_UNIT", unit)?;
        }
        Ok(OwnReader { journal })
    }

    /// Goes to the first message that is not older than `time`; [`OwnReader::next`] reads it.
    ///
    /// # Errors
    /// When libsystemd fails.
    pub fn seek_time(&mut self, time: Timestamp) -> Result<(), JournalError> {
        Ok(self.journal.seek_realtime_usec(microseconds(time))?)
    }

    /// Goes behind the last message; [`OwnReader::previous`] reads it.
    ///
    /// # Errors
    /// When libsystemd fails.
    pub fn seek_end(&mut self) -> Result<(), JournalError> {
        Ok(self.journal.seek_tail()?)
    }

    /// The next message; none at the end.
    ///
    /// # Errors
    /// When libsystemd fails.
    #[allow(clippy::should_implement_trait)] // it can fail
    pub fn next(&mut self) -> Result<Option<OwnMessage>, JournalError> {
        let found = self.journal.next()? > 0;
        found.then(|| self.message()).transpose()
    }

    /// The message before; none at the beginning.
    ///
    /// # Errors
    /// When libsystemd fails.
    pub fn previous(&mut self) -> Result<Option<OwnMessage>, JournalError> {
        let found = self.journal.previous()? > 0;
        found.then(|| self.message()).transpose()
    }

    fn message(&mut self) -> Result<OwnMessage, JournalError> {
        let microseconds = i64::try_from(self.journal.timestamp_usec()?).unwrap_or(i64::MAX);
        Ok(OwnMessage {
            time: Timestamp::from_microsecond(microseconds).unwrap_or(Timestamp::MAX),
            id: self.field("MESSAGE_ID")?.unwrap_or_default(),
            client: self.field("POP_BEFORE_SMTP_CLIENT")?,
            user: self.field("POP_BEFORE_SMTP_USER")?,
            server: self.field("POP_BEFORE_SMTP_SERVER")?,
            source: self.field("POP_BEFORE_SMTP_SOURCE")?,
            text: self.field("MESSAGE")?.unwrap_or_default(),
        })
    }

    fn field(&mut self, name: &str) -> Result<Option<String>, JournalError> {
        let field = self.journal.get_data(name)?;
        let value = field.as_ref().and_then(|field| field.value());
        let text = value.map(|value| String::from_utf8_lossy(value).into_owned());
        Ok(text.filter(|text| !text.is_empty()))
    }
}

/// When the oldest entry of a journal was written; `None` if there is none.
///
/// # Errors
/// When the journal can't be opened or read, or is there and may not be read.
pub fn beginning(source: &Source) -> Result<Option<Timestamp>, JournalError> {
    let mut reader = super::Reader::open(source, [""; 0])?;
    reader.seek_head()?;
    reader.next()?.then(|| reader.time()).transpose()
}
