//! Sums up what is right but comes by the thousand, so that the journal stays readable and journald
//! has no reason to drop anything of ours: logins of clients that are listed already, and clients
//! that come and go in great numbers, as in a catch-up or when the grace of many ends together.
//!
//! Pure: it is told the time, and says what is to be said. At the level debug nothing is left out.

use jiff::Timestamp;
use log::Level;

use super::counted::Counted;
use super::{flood_of_clients, logins_prolonged};

/// How many messages about clients that come, or that go, are written one by one in that time.
/// journald takes 10000 messages in 30 seconds from a service before it drops any (journald.conf(5),
/// RateLimitBurst=).
const ONE_BY_ONE: u64 = 1000;

/// What there can be a flood of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Clients are listed.
    Added,
    /// Clients are listed no more.
    Removed,
}

/// Says of each message at which level it is written, and counts those that most do not get to see.
#[derive(Debug, Default)]
pub struct Floods {
    added: Counted,
    removed: Counted,
    prolonged: Counted,
}

impl Floods {
    /// The level of a message about one client: info, until there are too many.
    pub fn level(&mut self, change: Change, now: Timestamp) -> Level {
        let count = match change {
            Change::Added => &mut self.added,
            Change::Removed => &mut self.removed,
        };
        if count.another(now) <= ONE_BY_ONE {
            Level::Info
        } else {
            Level::Debug
        }
    }

    /// Counts a login of a client that is listed already.
    pub fn prolonged(&mut self, now: Timestamp) {
        self.prolonged.another(now);
    }

    /// When [`Floods::sum_up`] has something to do; never while nothing happens.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        let counts = [&self.added, &self.removed, &self.prolonged];
        counts.iter().filter_map(|count| count.ends()).min()
    }

    /// Says what was counted in the intervals that are over; `listed` clients are listed now.
    pub fn sum_up(&mut self, now: Timestamp, listed: usize) {
        self.say(Some(now), listed);
    }

    /// Says what has been counted so far, at the end.
    pub fn finish(mut self, listed: usize) {
        self.say(None, listed);
    }

    fn say(&mut self, now: Option<Timestamp>, listed: usize) {
        for (change, count) in [
            (Change::Added, &mut self.added),
            (Change::Removed, &mut self.removed),
        ] {
            let more = count.take_if_over(now).saturating_sub(ONE_BY_ONE);
            if more > 0 {
                flood_of_clients(change, more, listed);
            }
        }
        let prolonged = self.prolonged.take_if_over(now);
        if prolonged > 0 {
            logins_prolonged(prolonged, listed);
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::SignedDuration;

    use super::*;
    use crate::diagnostics::counted::INTERVAL;

    fn start() -> Timestamp {
        Timestamp::from_second(1_800_000_000).unwrap()
    }

    #[test]
    fn clients_beyond_a_number_are_for_debug_until_the_interval_is_over() {
        let mut floods = Floods::default();
        let now = start();
        for _ in 0..ONE_BY_ONE {
            assert_eq!(floods.level(Change::Added, now), Level::Info);
        }
        assert_eq!(floods.level(Change::Added, now), Level::Debug);
        assert_eq!(floods.level(Change::Removed, now), Level::Info);
        floods.sum_up(now + INTERVAL - SignedDuration::from_nanos(1), 0);
        assert_eq!(floods.level(Change::Added, now), Level::Debug);
        assert_eq!(floods.next_deadline(), Some(now + INTERVAL));
        floods.sum_up(now + INTERVAL, 0);
        assert_eq!(floods.next_deadline(), None);
        assert_eq!(floods.level(Change::Added, now + INTERVAL), Level::Info);
    }

    #[test]
    fn a_clock_that_is_set_back_ends_an_interval() {
        let mut floods = Floods::default();
        floods.prolonged(start());
        floods.sum_up(start() - INTERVAL, 0);
        assert_eq!(floods.next_deadline(), None);
    }
}
