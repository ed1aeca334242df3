//! Where the journal is read on.

use jiff::Timestamp;

use super::{JournalError, Position, Reader, Resumed};

/// Where to begin.
#[derive(Debug, Clone)]
pub enum StartPosition {
    /// At the first entry that is not older.
    At(Timestamp),
    /// Behind this entry; if it is gone, at its time, but not before the other.
    Behind(Position, Timestamp),
}

impl StartPosition {
    /// Nothing older is read.
    pub fn time(&self) -> Timestamp {
        match self {
            StartPosition::At(time) => *time,
            StartPosition::Behind(position, _) => position.time,
        }
    }

    /// As it can be kept.
    pub fn position(&self) -> Position {
        match self {
            StartPosition::At(time) => Position {
                cursor: String::new(),
                time: *time,
            },
            StartPosition::Behind(position, _) => position.clone(),
        }
    }

    /// Moves on behind this entry.
    pub fn move_behind(&mut self, position: Position) {
        let oldest = match self {
            StartPosition::At(time) | StartPosition::Behind(_, time) => *time,
        };
        *self = StartPosition::Behind(position, oldest);
    }

    /// Has `reader` go there. If the place is gone, says from when on entries are read instead.
    ///
    /// # Errors
    /// When the journal can't be read.
    pub fn go_to(&self, reader: &mut Reader) -> Result<Option<Timestamp>, JournalError> {
        let (position, oldest) = match self {
            StartPosition::At(time) => {
                reader.seek_time(*time)?;
                return Ok(None);
            }
            StartPosition::Behind(position, oldest) => (position, oldest),
        };
        if reader.resume(position)? == Resumed::Exactly {
            return Ok(None);
        }
        let from = position.time.max(*oldest);
        reader.seek_time(from)?;
        Ok(Some(from))
    }
}
