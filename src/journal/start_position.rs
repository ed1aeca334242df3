//! Where the journal is read on.

use jiff::{SignedDuration, Timestamp};

use super::{JournalError, Position, Reader, Resumed};

/// How far back entries may have escaped that were written since the clock was set back: far longer than
/// there is between two looks.
const SET_BACK: SignedDuration = SignedDuration::from_hours(24);

/// Where to begin.
#[derive(Debug, Clone)]
pub enum StartPosition {
    /// At the first entry that is not older.
    At(Timestamp),
    /// Behind this entry; if it is gone, at its time, but not before the other. If that is ahead of the
    /// clock, what followed it is older, and entries are read from the other on.
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

    /// Has `reader` go there; `now` is the clock's time. If the place is gone, says from when on entries
    /// are read instead.
    ///
    /// # Errors
    /// When the journal can't be read.
    pub fn go_to(
        &self,
        reader: &mut Reader,
        now: Timestamp,
    ) -> Result<Option<Timestamp>, JournalError> {
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
        let from = time_of_gone(position.time, *oldest, now);
        reader.seek_time(from)?;
        Ok(Some(from))
    }
}

/// From when on entries are read if the place of this time is gone. To read some twice changes nothing.
fn time_of_gone(time: Timestamp, oldest: Timestamp, now: Timestamp) -> Timestamp {
    if time <= now {
        return time.max(oldest);
    }
    // `oldest` may be by the clock as it was before, and so ahead as well.
    oldest.min(now.checked_sub(SET_BACK).unwrap_or(Timestamp::MIN))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_a_place_ahead_of_the_clock_is_older() {
        let at = |second| Timestamp::from_second(1_800_000_000 + second).unwrap();
        let day = SET_BACK.as_secs();
        assert_eq!(time_of_gone(at(10), at(0), at(10)), at(10));
        assert_eq!(time_of_gone(at(-10), at(0), at(10)), at(0));
        assert_eq!(time_of_gone(at(10), at(-2 * day), at(9)), at(-2 * day));
        assert_eq!(time_of_gone(at(10), at(0), at(9)), at(9 - day));
        assert_eq!(time_of_gone(at(9 * day), at(8 * day), at(0)), at(-day));
    }
}
