//! When the journal is to be scanned again from the last place that is known, as an entry may have
//! escaped the looks before it.
//!
//! journald counts an entry, then tells its time, and only then links it to its fields; and libsystemd
//! does not look again at a file whose count is the same. So who looks for an entry while it is being
//! written does not see it then, nor later, until another one is written. That something is being
//! written, the journal's newest time tells, of whatever entry it is; and when journald tells its
//! readers of a change, up to half a second later, it is done with it.
//!
//! Pure: it is told the time and what happened, and says what is to be done.

use std::time::{Duration, Instant};

use jiff::Timestamp;

/// How long it may take to write an entry: some microseconds, unless journald is held up.
const WRITING: Duration = Duration::from_millis(20);
/// journald tells of an entry within half a second, and so there will be another look. Where it
/// does not, there is one after this time.
const UNTOLD: Duration = Duration::from_secs(1);
/// With many files, a look from a known place takes long. The next comes no sooner than so many times
/// as long after it, and at once if somebody waits for it: then half of the time is enough.
const COST: u32 = 50;

/// Whether something may have escaped us.
#[derive(Debug)]
pub struct Rescan {
    /// The newest time in the journal when it was last looked at.
    newest: Option<Timestamp>,
    /// When something was seen to have been written, unless there has been a look from a known place
    /// that must have found it.
    since: Option<Instant>,
    looked: Instant,
    /// When the last look from a known place was over, and how long it took.
    last: (Instant, Duration),
}

/// What is known of a journal that is about to be looked at.
#[derive(Debug, Clone, Copy)]
pub struct Signs {
    /// Whether it has told of a change.
    pub told: bool,
    /// Whether somebody waits for what is found.
    pub asked: bool,
    /// Its newest time.
    pub newest: Option<Timestamp>,
    /// The clock's time.
    pub clock: Timestamp,
}

impl Rescan {
    /// Nothing has been looked at.
    pub fn new(now: Instant) -> Self {
        Rescan {
            newest: None,
            since: None,
            looked: now,
            last: (now, Duration::ZERO),
        }
    }

    /// The journal is looked at. Says whether that has to be done from a known place.
    pub fn look(&mut self, sign: Signs, now: Instant) -> bool {
        self.looked = now;
        // While it is ahead of the clock, which was set back, it tells nothing of new entries.
        let is_ahead = sign.newest.is_some_and(|newest| newest > sign.clock);
        let has_moved = std::mem::replace(&mut self.newest, sign.newest) != sign.newest;
        if has_moved || is_ahead || sign.told {
            self.since = Some(now);
        }
        let (over, took) = self.last;
        let rest = over + took * if sign.asked { 1 } else { COST };
        let Some(since) = self.since.filter(|_| now >= rest) else {
            return false;
        };
        if now >= since + WRITING {
            self.since = None;
        }
        true
    }

    /// That took so long.
    pub fn took(&mut self, long: Duration, now: Instant) {
        self.last = (now, long);
    }

    /// When there is to be another look, if nothing else happens.
    pub fn due(&self) -> Option<Instant> {
        let (over, took) = self.last;
        self.since
            .map(|_| (over + took * COST).max(self.looked + UNTOLD))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(microsecond: i64) -> Signs {
        Signs {
            told: false,
            asked: false,
            newest: Some(Timestamp::from_microsecond(microsecond).unwrap()),
            clock: Timestamp::MAX,
        }
    }

    #[test]
    fn a_look_is_good_once_nothing_is_written_any_more() {
        let start = Instant::now();
        let mut rescan = Rescan::new(start);
        let empty = Signs {
            newest: None,
            ..at(0)
        };
        assert!(!rescan.look(empty, start));
        assert_eq!(rescan.due(), None);
        // An entry has been written, or still is.
        for after in [Duration::ZERO, WRITING / 2, WRITING] {
            assert!(rescan.look(at(1), start + after));
            let due = (after < WRITING).then_some(start + after + UNTOLD);
            assert_eq!(rescan.due(), due);
        }
        assert!(!rescan.look(at(1), start + WRITING));
        for n in 2..5 {
            assert!(rescan.look(at(n), start + 2 * WRITING));
        }
        assert!(rescan.look(at(4), start + 4 * WRITING));
        assert!(!rescan.look(at(4), start + 5 * WRITING));
        // It took journald longer than that.
        let told = Signs {
            told: true,
            ..at(4)
        };
        assert!(rescan.look(told, start + 5 * WRITING));
    }

    #[test]
    fn what_takes_long_is_put_off_and_not_forgotten() {
        let start = Instant::now();
        let mut rescan = Rescan::new(start);
        assert!(rescan.look(at(1), start));
        rescan.took(UNTOLD, start);
        let rest = start + UNTOLD * COST;
        for _ in 0..3 {
            assert!(!rescan.look(at(1), start + UNTOLD));
            assert_eq!(rescan.due(), Some(rest));
        }
        let asked = Signs {
            asked: true,
            ..at(1)
        };
        assert!(!rescan.look(asked, start + UNTOLD / 2));
        assert!(rescan.look(asked, start + UNTOLD));
        assert_eq!(rescan.due(), None);
    }

    #[test]
    fn a_clock_that_was_set_back_leaves_no_look_without_doubt() {
        let start = Instant::now();
        let mut rescan = Rescan::new(start);
        let behind = Signs {
            clock: Timestamp::UNIX_EPOCH,
            ..at(1)
        };
        for n in 0..3 {
            assert!(rescan.look(behind, start + n * WRITING));
        }
        assert!(rescan.look(at(1), start + 3 * WRITING));
        assert!(!rescan.look(at(1), start + 4 * WRITING));
    }
}
