//! Where the journal is read on.

use jiff::Timestamp;

use super::{JournalError, Position, Reader, Resumed};

/// Where to begin.
#[derive(Debug, Clone)]
pub enum Begin {
    /// At the first entry that is not older.
    At(Timestamp),
    /// Behind this entry; if it is gone, at its time, but not before the other.
    Behind(Position, Timestamp),
}

impl Begin {
    /// Nothing older is read.
    pub fn time(&self) -> Timestamp {
        match self {
            Begin::At(time) => *time,
            Begin::Behind(position, _) => position.time,
        }
    }

    /// As it can be kept.
    pub fn position(&self) -> Position {
        match self {
            Begin::At(time) => Position {
                cursor: String::new(),
                time: *time,
            },
            Begin::Behind(position, _) => position.clone(),
        }
    }

    /// Moves on behind this entry.
    pub fn move_behind(&mut self, position: Position) {
        let oldest = match self {
            Begin::At(time) | Begin::Behind(_, time) => *time,
        };
        *self = Begin::Behind(position, oldest);
    }

    /// Has `reader` go there. If the place is gone, says from when on entries are read instead.
    ///
    /// # Errors
    /// When the journal can't be read.
    pub fn go_to(&self, reader: &mut Reader) -> Result<Option<Timestamp>, JournalError> {
        let (position, oldest) = match self {
            Begin::At(time) => {
                reader.seek_time(*time)?;
                return Ok(None);
            }
            Begin::Behind(position, oldest) => (position, oldest),
        };
        if reader.resume(position)? == Resumed::Exactly {
            return Ok(None);
        }
        let from = position.time.max(*oldest);
        reader.seek_time(from)?;
        Ok(Some(from))
    }
}
