//! What the reader tells the loop.

use jiff::Timestamp;

use crate::intake::Intake;
use crate::journal::entry_channel::Last;
use crate::journal::{JournalError, NoRoom, Position, Unreadable};

/// What the reader tells the loop.
#[derive(Debug)]
pub enum FromReader {
    /// Entries were read.
    Batch {
        /// What they were taken for, in order.
        intakes: Vec<Intake>,
        /// The last of them, whatever it was taken for.
        last: Last,
    },
    /// All has been read whole up to here, though perhaps not the last entry.
    Place(Position),
    /// All there was has been read.
    CaughtUp,
    /// All has been read that there was when so many looks had been asked for.
    Looked(u64),
    /// The reader is alive, and nothing has happened.
    Beat,
    /// The place in the journal is gone; it reads from here.
    CursorGone(Timestamp),
    /// The journal can't be read for now.
    Trouble(JournalError),
    /// The journal can be read again.
    Recovered,
    /// These of its files can't be read, from now on. All before `place` has been read of all files.
    Files {
        /// None of them, if all can be read.
        unreadable: Vec<Unreadable>,
        /// Where reading was to begin when that was found out, or where it was when all could still
        /// be read.
        place: Position,
    },
    /// journald has no room to write it, or has it again.
    Room(Option<NoRoom>),
    /// Some can be read that could not. The reader ends: what they hold may be older than what it has
    /// read, and libsystemd passes it over. Another is to begin where all could be read last.
    Again,
}
