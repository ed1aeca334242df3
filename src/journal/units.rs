//! Entries of some units, under any identifier: for those who look for what is not read. By the
//! journal's index, as ever, unless there are too many units.

use super::{JournalError, Reader, Source};

const FIELD: &str = "_SYSTEMD_UNIT";

/// A journal's list of units is not read further than this: each session of a user is one.
const LISTED: usize = 10_000;
/// So many units are read by the index: each costs time with every step. Where there are more, all
/// entries are read.
const READ: usize = 64;

impl Reader {
    /// Opens the journal for the entries of the units that `is_wanted` names, and perhaps of others;
    /// `None` if it has none of them.
    ///
    /// # Errors
    /// When it can't be opened or read, or is there and may not be read.
    pub fn open_for_units(
        source: &Source,
        is_wanted: impl Fn(&str) -> bool,
    ) -> Result<Option<Self>, JournalError> {
        let mut reader = Reader::open(source, [""; 0])?;
        let journal = &mut reader.journal;
        let mut wanted = Vec::new();
        journal.query_unique(FIELD)?;
        for _ in 0..LISTED {
            let Some(field) = journal.enumerate_unique()? else {
                break;
            };
            let unit = field
                .value()
                .and_then(|unit| std::str::from_utf8(unit).ok());
            wanted.extend(unit.filter(|unit| is_wanted(unit)).map(str::to_owned));
        }
        if wanted.len() <= READ {
            for unit in &wanted {
                journal.match_add(FIELD, unit.as_str())?;
            }
        }
        Ok((!wanted.is_empty()).then_some(reader))
    }

    /// Goes to the end; [`Reader::previous`] steps on the last entry.
    ///
    /// # Errors
    /// When libsystemd fails.
    pub fn seek_end(&mut self) -> Result<(), JournalError> {
        Ok(self.journal.seek_tail()?)
    }

    /// Steps on the entry before; false at the beginning.
    ///
    /// # Errors
    /// When libsystemd fails.
    pub fn previous(&mut self) -> Result<bool, JournalError> {
        Ok(self.journal.previous()? > 0)
    }
}
