//! When a look at the journal has to begin from the last place that is known, as an entry may have
//! escaped the looks before it.
//!
//! journald counts an entry, then tells its time, and only then links it to its fields; and libsystemd
//! does not look again at a file whose count is the same. So who looks for an entry while it is being
//! written does not see it then, nor later, until another one is written. Whether something was
//! written just now, the journal's newest time tells, of whatever entry it is: a look is as good as
//! the last one from a known place, once that time has been the same for two looks.
//!
//! Pure: it is told the time and what happened, and says what is to be done.

use std::time::{Duration, Instant};

use jiff::Timestamp;

/// journald tells of an entry within half a second, and so there will be another look. Where it
/// does not, there is one after this time.
const UNTOLD: Duration = Duration::from_secs(1);
/// No look from a known place comes before so many times the time that the last one took: with many
/// files it takes long.
const COST: u32 = 50;

/// Whether something may have escaped us.
#[derive(Debug)]
pub struct Doubt {
    /// The newest time in the journal when it was last looked at.
    newest: Option<Timestamp>,
    /// Whether there may be an entry that was being written then.
    in_doubt: bool,
    looked: Instant,
    /// Before that, nothing is looked for from a known place.
    rest: Instant,
}

impl Doubt {
    /// Nothing has been looked at.
    pub fn new(now: Instant) -> Self {
        Doubt {
            newest: None,
            in_doubt: false,
            looked: now,
            rest: now,
        }
    }

    /// The journal, whose newest time is now `newest`, is looked at. Says whether that has to be done
    /// from a known place.
    pub fn look(&mut self, newest: Option<Timestamp>, clock: Timestamp, now: Instant) -> bool {
        self.looked = now;
        // While it is ahead of the clock, which was set back, it tells nothing of new entries.
        let is_ahead = newest.is_some_and(|newest| newest > clock);
        let has_moved = std::mem::replace(&mut self.newest, newest) != newest || is_ahead;
        let was_in_doubt = std::mem::replace(&mut self.in_doubt, has_moved);
        if !has_moved && !was_in_doubt {
            return false;
        }
        let is_done = now >= self.rest;
        self.in_doubt |= !is_done;
        is_done
    }

    /// That took so long.
    pub fn took(&mut self, long: Duration, now: Instant) {
        self.rest = now + long * COST;
    }

    /// When there is to be another look, if nothing else happens.
    pub fn due(&self) -> Option<Instant> {
        self.in_doubt.then(|| self.rest.max(self.looked + UNTOLD))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(microsecond: i64) -> Option<Timestamp> {
        Some(Timestamp::from_microsecond(microsecond).unwrap())
    }

    const CLOCK: Timestamp = Timestamp::MAX;

    #[test]
    fn a_look_is_good_once_nothing_is_written_any_more() {
        let start = Instant::now();
        let mut doubt = Doubt::new(start);
        assert!(!doubt.look(None, CLOCK, start));
        assert_eq!(doubt.due(), None);
        // An entry has been written, or still is.
        assert!(doubt.look(time(1), CLOCK, start));
        assert_eq!(doubt.due(), Some(start + UNTOLD));
        assert!(doubt.look(time(1), CLOCK, start));
        assert_eq!(doubt.due(), None);
        assert!(!doubt.look(time(1), CLOCK, start));
        for n in 2..5 {
            assert!(doubt.look(time(n), CLOCK, start));
        }
        assert!(doubt.look(time(4), CLOCK, start));
        assert!(!doubt.look(time(4), CLOCK, start));
    }

    #[test]
    fn what_takes_long_is_put_off_and_not_forgotten() {
        let start = Instant::now();
        let mut doubt = Doubt::new(start);
        assert!(doubt.look(time(1), CLOCK, start));
        doubt.took(UNTOLD, start);
        let rest = start + UNTOLD * COST;
        for _ in 0..3 {
            assert!(!doubt.look(time(1), CLOCK, start + UNTOLD));
            assert_eq!(doubt.due(), Some(rest));
        }
        assert!(doubt.look(time(1), CLOCK, rest));
        assert_eq!(doubt.due(), None);
    }

    #[test]
    fn a_clock_that_was_set_back_leaves_no_look_without_doubt() {
        let now = Instant::now();
        let mut doubt = Doubt::new(now);
        let clock = Timestamp::UNIX_EPOCH;
        for _ in 0..3 {
            assert!(doubt.look(time(1), clock, now));
        }
        assert!(doubt.look(time(1), CLOCK, now));
        assert!(!doubt.look(time(1), CLOCK, now));
    }
}
