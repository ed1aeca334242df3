//! For how long it is remembered that a session has ended.
//!
//! A short session's end can be written before its login (Dovecot's processes log through separate
//! pipes), and must end it nevertheless: also where both are read late, after an outage, or as the clock
//! of their host is behind. Must never grow without end.

use std::collections::VecDeque;

use jiff::SignedDuration;

use super::Slot;
use crate::whitelist::moment::Moment;

/// How long.
const REMEMBERED: SignedDuration = SignedDuration::from_secs(60);
/// So many that were read late. Of a journal that is caught up with, there may be millions.
const LATE: usize = 10_000;

/// The ends that are remembered, in the order in which they were read.
#[derive(Debug, Default)]
pub(super) struct Remembered(VecDeque<End>);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct End {
    read: Moment,
    ended: Moment,
    slot: Slot,
}

/// Whether an end is remembered for what was written at `time`.
pub(super) fn matters(ended: Moment, time: Moment) -> bool {
    ended.plus(REMEMBERED) > time
}

impl Remembered {
    /// An end that was read at `read`.
    pub(super) fn add(&mut self, slot: Slot, ended: Moment, read: Moment) {
        self.0.push_back(End { read, ended, slot });
    }

    /// The next that is to be forgotten, and when it was.
    pub(super) fn next_old(&mut self, now: Moment) -> Option<(Slot, Moment)> {
        let many = self.0.len() > LATE;
        let is_old = |end: &&End| !matters(if many { end.ended } else { end.read }, now);
        let End { slot, ended, .. } = *self.0.front().filter(is_old)?;
        self.0.pop_front();
        Some((slot, ended))
    }

    /// They were added in no order.
    pub(super) fn sort(&mut self) {
        self.0.make_contiguous().sort_unstable();
    }

    /// Nothing may have happened later than `now`.
    pub(super) fn clock_set(&mut self, now: Moment) {
        for end in &mut self.0 {
            (end.read, end.ended) = (end.read.min(now), end.ended.min(now));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    fn at(second: i64) -> Moment {
        Timestamp::from_second(second).unwrap().into()
    }

    #[test]
    fn what_is_read_late_is_remembered_as_long_unless_there_is_much_of_it() {
        let mut remembered = Remembered::default();
        let add = |remembered: &mut Remembered, ended| {
            remembered.add(Slot::new(0), at(ended), at(1000));
        };
        add(&mut remembered, 1);
        assert_eq!(remembered.next_old(at(1059)), None);
        assert_eq!(remembered.next_old(at(1060)), Some((Slot::new(0), at(1))));
        (0..3 * LATE).for_each(|_| add(&mut remembered, 1));
        (0..LATE).for_each(|_| add(&mut remembered, 1000));
        while remembered.next_old(at(1000)).is_some() {}
        assert_eq!(remembered.0.len(), LATE);
        while remembered.next_old(at(1059)).is_some() {}
        assert_eq!(remembered.0.len(), LATE);
    }
}
