//! When something is to be looked at again, the earliest first.
//!
//! Compact, and lazy: a deadline that moves stays where it is. Whoever comes for what is due finds
//! that it is not, and adds it anew; that is cheaper than to move it at each login, as most move
//! many times before they are due. Must never decide when anything is.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::moment::Moment;

/// Below this, room that is not used is not worth giving back.
const WORTHWHILE: usize = 1024;

/// Times, and what is to be looked at then.
#[derive(Debug)]
pub(super) struct Deadlines<T> {
    heap: BinaryHeap<Reverse<(Moment, T)>>,
}

impl<T: Ord> Default for Deadlines<T> {
    fn default() -> Self {
        Deadlines {
            heap: BinaryHeap::new(),
        }
    }
}

impl<T: Ord> Deadlines<T> {
    pub(super) fn add(&mut self, time: Moment, what: T) {
        self.heap.push(Reverse((time, what)));
    }

    /// How many there are, those with it that mean nothing any more.
    pub(super) fn len(&self) -> usize {
        self.heap.len()
    }

    /// When the first is due.
    pub(super) fn first(&self) -> Option<Moment> {
        self.heap.peek().map(|Reverse((time, _))| *time)
    }

    /// Takes out the first.
    pub(super) fn pop(&mut self) -> Option<(Moment, T)> {
        let Reverse(first) = self.heap.pop()?;
        // A million that were due at once leave much room.
        if self.heap.capacity() > WORTHWHILE.max(4 * self.heap.len()) {
            self.heap.shrink_to(2 * self.heap.len());
        }
        Some(first)
    }

    /// None of them means anything any more.
    pub(super) fn clear(&mut self) {
        self.heap.clear();
        self.heap.shrink_to(WORTHWHILE);
    }

    /// Drops those that mean nothing any more.
    pub(super) fn retain(&mut self, is_meant: impl Fn(Moment, &T) -> bool) {
        self.heap
            .retain(|Reverse((time, what))| is_meant(*time, what));
    }
}

impl<T: Ord> FromIterator<(Moment, T)> for Deadlines<T> {
    fn from_iter<I: IntoIterator<Item = (Moment, T)>>(all: I) -> Self {
        Deadlines {
            heap: all.into_iter().map(Reverse).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Client;
    use jiff::Timestamp;
    use proptest::prelude::*;

    fn time(second: i64) -> Moment {
        Timestamp::from_second(second).unwrap().into()
    }

    #[test]
    fn a_client_takes_little_room() {
        assert_eq!(size_of::<Reverse<(Moment, Client)>>(), 32);
    }

    #[test]
    fn room_is_given_back() {
        let mut deadlines: Deadlines<u32> = (0..100_000).map(|n| (time(n.into()), n)).collect();
        while deadlines.len() > 10 {
            deadlines.pop();
        }
        assert!(deadlines.heap.capacity() <= WORTHWHILE);
    }

    proptest! {
        #[test]
        fn they_come_in_the_order_of_time(times in prop::collection::vec((-9i64..9, any::<u32>()), 0..50)) {
            let mut expected: Vec<_> = times.iter().map(|(t, n)| (time(*t), *n)).collect();
            let (some, others) = expected.split_at(times.len() / 2);
            let mut deadlines: Deadlines<u32> = some.iter().copied().collect();
            for (time, n) in others {
                deadlines.add(*time, *n);
            }
            expected.sort();
            prop_assert_eq!(deadlines.first(), expected.first().map(|(time, _)| *time));
            let popped: Vec<_> = std::iter::from_fn(|| deadlines.pop()).collect();
            prop_assert_eq!(popped, expected);
        }
    }
}
