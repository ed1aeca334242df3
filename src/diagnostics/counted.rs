//! How often something comes within a minute, so that it can be said once.

use jiff::{SignedDuration, Timestamp};

/// How long is counted before it is said.
pub(super) const INTERVAL: SignedDuration = SignedDuration::from_secs(60);

/// What is counted since when.
#[derive(Debug, Default)]
pub(super) struct Counted {
    since: Option<Timestamp>,
    all: u64,
}

impl Counted {
    /// Counts one more, and says how many there are in this interval.
    pub(super) fn another(&mut self, now: Timestamp) -> u64 {
        self.since.get_or_insert(now);
        self.all += 1;
        self.all
    }

    /// When the interval is over, if anything is counted.
    pub(super) fn ends(&self) -> Option<Timestamp> {
        let ends = |since: Timestamp| since.checked_add(INTERVAL).unwrap_or(Timestamp::MAX);
        self.since.map(ends)
    }

    /// How many there were in an interval that is over, or that the clock has left; without a time,
    /// in any.
    pub(super) fn take_if_over(&mut self, now: Option<Timestamp>) -> u64 {
        match (self.since, now) {
            (Some(since), Some(now)) if now.duration_since(since).abs() < INTERVAL => 0,
            _ => std::mem::take(self).all,
        }
    }
}
