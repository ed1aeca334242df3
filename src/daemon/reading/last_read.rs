//! The entry that was read last, as long as journald may still be writing it.
//!
//! It is taken in at once, as nobody is to wait for it; but it may have lacked a field (see
//! [`crate::journal::batch`]), and only counting its fields again, once journald is done with it, tells. They
//! are counted with each look at the journal: journald tells its readers of an entry after it has written it.
//! Until then no place behind the entry is kept.
//!
//! Pure: it is told the time and what happened. Must never take an entry for settled that may still change.

use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::journal::Position;

/// How long journald may be held up while it writes an entry, which takes it some microseconds otherwise.
const HELD_UP: Duration = Duration::from_secs(10);

/// An entry that may have been read before it was whole.
#[derive(Debug)]
pub struct LastRead {
    /// Its place.
    pub position: Position,
    /// How many of its fields could be read.
    pub fields: usize,
    /// When.
    pub read: Instant,
}

impl LastRead {
    /// Whether journald, which writes one entry after the other, is done with it: by the `newest` time in the
    /// journal, or as it must be by `now`. A time ahead of the `clock`, which was set back, tells nothing.
    pub fn is_settled(&self, newest: Option<Timestamp>, clock: Timestamp, now: Instant) -> bool {
        let follows = |newest| newest > self.position.time && newest <= clock;
        newest.is_some_and(follows) || now >= self.read + HELD_UP
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_settled_once_another_follows_or_after_a_while() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let read = Instant::now();
        let entry = LastRead {
            position: Position {
                cursor: String::new(),
                time: at(7),
            },
            fields: 1,
            read,
        };
        assert!(!entry.is_settled(Some(at(7)), at(9), read));
        assert!(!entry.is_settled(None, at(9), read));
        assert!(entry.is_settled(Some(at(8)), at(9), read));
        assert!(!entry.is_settled(Some(at(10)), at(9), read));
        assert!(entry.is_settled(Some(at(7)), at(9), read + HELD_UP));
    }
}
