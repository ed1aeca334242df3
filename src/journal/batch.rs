//! Batches of entries: what is handed over at once, and ends at a place from which reading can go on.

use super::entry_channel::{EntrySender, NobodyListens, Read};
use super::{JournalError, Position, Reader};

/// How many entries make a batch, at most: it bounds what is in memory and what is read again.
pub const SIZE: usize = 64;
/// And how much text, in bytes: that of many entries which are not what they usually are.
const TEXT: usize = 1 << 15;

/// What has been read.
pub struct Batch {
    /// The last entry; `None` if there was none.
    pub position: Option<Position>,
    /// Whether that was all there is.
    pub at_end: bool,
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
    let mut entries = to.room();
    let mut read = 0;
    let at_end = loop {
        if !reader.next()? {
            break true;
        }
        match entries.add(reader) {
            // The whole batch is read again: the last place that is known is before it, and events
            // that come twice change nothing.
            Err(error) if !skip => return Err(error.into()),
            _ => read += 1,
        }
        if read == SIZE || entries.text() >= TEXT {
            break false;
        }
    };
    let position = (read > 0).then(|| reader.position()).transpose()?;
    if let Some(position) = &position {
        to.send(Read::Batch(entries, position.clone()))?;
    }
    Ok(Batch { position, at_end })
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
