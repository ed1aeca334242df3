//! Batches of entries: what is handed over at once, and ends at a place from which reading can go on.
//!
//! The newest entry may be read while journald is still writing it. journald links an entry to its fields one
//! after the other, and libsystemd passes over a field that is half linked at that moment
//! (`sd_journal_enumerate_data()` in its source): even its message may be missing. So such an entry is the
//! last of its batch, and told as one that is not settled.

use jiff::Timestamp;

use super::entry_channel::{EntrySender, Last, NobodyListens, Read, Unsettled};
use super::{JournalError, Reader};

/// How many entries make a batch, at most: it bounds what is in memory and what is read again.
pub const SIZE: usize = 64;
/// And how much text, in bytes: that of many entries which are not what they usually are.
const TEXT: usize = 1 << 15;

/// What has been read.
pub struct Batch {
    /// The last entry; `None` if there was none.
    pub last: Option<Last>,
    /// Why it was the last.
    pub end: End,
}

/// What ends a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// There are no more entries.
    OfJournal,
    /// There were as many as a batch holds.
    Full,
    /// journald may still be writing the last of them, of which so many fields could be read.
    Unsettled(usize),
}

/// Why none could be handed over.
#[derive(Debug)]
pub enum Failure {
    /// Nothing of it has been handed over.
    Journal(JournalError),
    /// Nobody receives any more.
    NobodyListens,
}

/// Reads to the end, or for a batch, and hands over. With `skip`, entries that can't be read are left
/// out.
///
/// # Errors
/// When the journal can't be read, or nobody receives any more.
pub fn read<T>(reader: &mut Reader, to: &EntrySender<T>, skip: bool) -> Result<Batch, Failure> {
    // journald is done with whatever is older.
    let newest = reader.newest()?;
    // By a newest time ahead of the clock, which was set back, nobody can tell: only by the next entry.
    let is_ahead = newest.is_some_and(|newest| newest > Timestamp::now());
    let mut entries = to.room();
    let mut read = 0;
    // What could be read of the last entry, if it may be unsettled though it is older than the newest.
    let mut doubtful = None;
    let end = loop {
        if !reader.next()? {
            break doubtful.map_or(End::OfJournal, End::Unsettled);
        }
        read += 1;
        doubtful = None;
        match entries.add(reader) {
            // The whole batch is read again: the last place that is known is before it, and events
            // that come twice change nothing.
            Err(error) if !skip => return Err(error.into()),
            Ok(last) if newest.is_none_or(|newest| last.time >= newest) => {
                break End::Unsettled(last.fields);
            }
            Ok(last) if is_ahead => doubtful = Some(last.fields),
            _ => {}
        }
        if read == SIZE || entries.text() >= TEXT {
            break doubtful.map_or(End::Full, End::Unsettled);
        }
    };
    if read == 0 {
        return Ok(Batch { last: None, end });
    }
    let position = reader.position()?;
    let unsettled = match end {
        End::Unsettled(fields) => {
            let before = (read > 1).then(|| reader.position_before()).transpose()?;
            let before = before.flatten();
            Some(Unsettled { fields, before })
        }
        _ => None,
    };
    let last = Last {
        position,
        unsettled,
    };
    to.send(Read::Batch(entries, last.clone()))?;
    let last = Some(last);
    Ok(Batch { last, end })
}

impl From<JournalError> for Failure {
    fn from(error: JournalError) -> Self {
        Failure::Journal(error)
    }
}

impl From<NobodyListens> for Failure {
    fn from(NobodyListens: NobodyListens) -> Self {
        Failure::NobodyListens
    }
}
