//! Whether a store's clock is still as it was when the store was asked for its time.
//!
//! An entry that is old may only have come late, so that entries do not tell how far a clock is off. They
//! do show that it was set, and then the store is to be asked anew. Pure.

use jiff::{SignedDuration, Timestamp};

/// A clock that is off by more, in seconds, is reported.
const OFF: SignedDuration = SignedDuration::from_secs(60);
/// So long after a store was asked, it is not asked again. What it wrote while its clock was wrong may
/// then still be coming.
const ASKED_LATELY: SignedDuration = SignedDuration::from_secs(15);
/// After so long, one whose clock is off is asked again: it may have been set right unseen.
const ASK_AGAIN: SignedDuration = SignedDuration::from_mins(10);

/// A store's clock.
#[derive(Debug)]
pub struct StoreClock {
    /// When it was asked for its time, by our clock.
    asked: Timestamp,
    /// By how much it was ahead of ours.
    ahead: SignedDuration,
    /// The latest time of an entry since.
    newest: Timestamp,
}

impl StoreClock {
    /// A store has just said what time it is.
    pub fn told(time: Timestamp, now: Timestamp) -> Self {
        StoreClock {
            asked: now,
            ahead: time.duration_since(now),
            newest: Timestamp::MIN,
        }
    }

    /// By how much it is ahead of ours, in seconds; zero if that is little.
    pub fn ahead(&self) -> i64 {
        if self.ahead.abs() > OFF {
            self.ahead.as_secs()
        } else {
            0
        }
    }

    /// An entry of this time has come. Says whether the store is to be asked for its time again.
    pub fn is_in_doubt(&mut self, entry: Timestamp, now: Timestamp) -> bool {
        let was_set_back = self.newest.duration_since(entry) > OFF;
        let was_set_ahead = entry.duration_since(now) > self.ahead + OFF;
        self.newest = self.newest.max(entry);
        let asked = now.duration_since(self.asked);
        (was_set_back || was_set_ahead) && asked > ASKED_LATELY
            || self.ahead() != 0 && asked > ASK_AGAIN
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    /// Asked at 0; then an entry at each (our time, how far it is ahead).
    #[track_caller]
    fn check(ahead: i64, entries: &[(i64, i64)], expected: bool) {
        let mut clock = StoreClock::told(at(ahead), at(0));
        let (last, before) = entries.split_last().unwrap();
        for (now, ahead) in before {
            assert!(!clock.is_in_doubt(at(now + ahead), at(*now)), "{now}");
        }
        assert_eq!(clock.is_in_doubt(at(last.0 + last.1), at(last.0)), expected);
    }

    #[test]
    fn one_that_was_set_is_in_doubt() {
        // Right, then ahead, or behind.
        check(0, &[(100, -1), (200, 600)], true);
        check(0, &[(100, -1), (200, -600)], true);
        // Ahead, or behind, and then right.
        check(600, &[(100, 599), (200, -1)], true);
        check(-600, &[(100, -601), (200, -1)], true);
    }

    #[test]
    fn one_that_stays_as_it_was_is_not() {
        check(0, &[(100, -1), (200, 50)], false);
        check(600, &[(100, 599), (200, 640)], false);
        check(-600, &[(100, -601), (200, -600)], false);
    }

    #[test]
    fn what_comes_late_casts_no_doubt() {
        // It was read in order, late.
        check(0, &[(1, -5000), (100, -4000), (200, -1)], false);
        // So does what was written while the clock was wrong.
        check(0, &[(1, -5000), (1, -200), (2, -3000), (14, -2000)], false);
    }

    #[test]
    fn one_that_is_off_is_asked_again_after_a_while() {
        check(-600, &[(100, -601), (599, -600)], false);
        check(-600, &[(100, -601), (601, -600)], true);
        check(30, &[(100, 29), (601, 29)], false);
        assert_eq!(StoreClock::told(at(30), at(0)).ahead(), 0);
        assert_eq!(StoreClock::told(at(-61), at(0)).ahead(), -61);
    }
}
