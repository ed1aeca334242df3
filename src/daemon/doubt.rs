//! When the journal's end is to be looked at anew, as an entry may be there that was not seen.
//!
//! journald counts an entry before it links it to its fields, and libsystemd does not look again at
//! a file in which their number has not changed. So an entry that was looked for while it was being
//! written is not seen until another one is written. That it was written is told, though, a moment
//! later: once the journal has been quiet after a change, its end is looked for from the last place
//! that is known. Where it is never quiet, the next entry helps; and so does this, now and then.
//!
//! Pure: it is told the time and what happened, and says what is due.

use std::time::{Duration, Instant};

/// How long the journal is quiet before it is looked at anew.
const QUIET: Duration = Duration::from_secs(1);
/// The longest that one waits for that.
const LONGEST: Duration = Duration::from_secs(20);
/// Neither comes before so many times the time that the last one took: with many files it takes
/// long, and is to cost little.
const COST: u32 = 100;

/// Whether something may have escaped us.
#[derive(Debug, Default)]
pub struct Doubt {
    /// The first and the last change since the journal was looked at anew.
    changes: Option<(Instant, Instant)>,
    took: Duration,
}

impl Doubt {
    /// The journal has changed.
    pub fn changed(&mut self, now: Instant) {
        let first = self.changes.map_or(now, |(first, _)| first);
        self.changes = Some((first, now));
    }

    /// When it is to be looked at anew, if nothing else happens.
    pub fn due(&self) -> Option<Instant> {
        let least = self.took * COST;
        self.changes
            .map(|(first, last)| (last + QUIET.max(least)).min(first + LONGEST.max(least)))
    }

    /// It was looked at anew, which took so long.
    pub fn settled(&mut self, took: Duration) {
        *self = Doubt {
            changes: None,
            took,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_journal_is_looked_at_anew_once_it_is_quiet_or_after_a_while() {
        let start = Instant::now();
        let mut doubt = Doubt::default();
        assert_eq!(doubt.due(), None);
        doubt.changed(start);
        assert_eq!(doubt.due(), Some(start + QUIET));
        doubt.changed(start + QUIET / 2);
        assert_eq!(doubt.due(), Some(start + QUIET / 2 + QUIET));
        doubt.changed(start + LONGEST - QUIET / 2);
        assert_eq!(doubt.due(), Some(start + LONGEST));
        doubt.settled(Duration::ZERO);
        assert_eq!(doubt.due(), None);
    }

    #[test]
    fn what_takes_long_is_done_seldom() {
        let start = Instant::now();
        let mut doubt = Doubt::default();
        doubt.settled(QUIET);
        doubt.changed(start);
        assert_eq!(doubt.due(), Some(start + QUIET * COST));
    }
}
