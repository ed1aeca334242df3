//! Many things to be taken out in order, some at a time, without ever sorting all of them in one go:
//! a million would take too long.
//!
//! They lie in runs, each of which is in order; whoever takes some merges them.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// How many make a run: they are sorted in about a millisecond.
const RUN: usize = 16 * 1024;

/// Things in no order yet.
#[derive(Debug)]
pub(super) struct Runs<T> {
    /// Each is in order, the first last.
    runs: Vec<Vec<T>>,
    recent: Vec<T>,
}

impl<T> Default for Runs<T> {
    fn default() -> Self {
        Runs {
            runs: Vec::new(),
            recent: Vec::new(),
        }
    }
}

impl<T: Ord> Runs<T> {
    /// Adds another.
    pub(super) fn push(&mut self, item: T) {
        self.recent.push(item);
        if self.recent.len() == RUN {
            self.finish_run();
        }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.runs.iter().map(Vec::len).sum::<usize>() + self.recent.len()
    }

    fn finish_run(&mut self) {
        let mut run = std::mem::take(&mut self.recent);
        run.sort_unstable_by(|a, b| b.cmp(a));
        self.runs.push(run);
    }

    /// Takes out the first of all, in order, `at_most` so many.
    pub(super) fn take(&mut self, at_most: usize) -> Vec<T> {
        if self.runs.is_empty() && self.recent.len() <= at_most {
            let mut all = std::mem::take(&mut self.recent);
            all.sort_unstable();
            return all;
        }
        if !self.recent.is_empty() {
            self.finish_run();
        }
        let mut first = BinaryHeap::with_capacity(self.runs.len());
        for (n, run) in self.runs.iter_mut().enumerate() {
            first.extend(run.pop().map(|item| Reverse((item, n))));
        }
        let mut taken = Vec::with_capacity(at_most.min(RUN));
        while taken.len() < at_most
            && let Some(Reverse((item, n))) = first.pop()
        {
            taken.push(item);
            first.extend(self.runs[n].pop().map(|item| Reverse((item, n))));
        }
        for Reverse((item, n)) in first {
            self.runs[n].push(item);
        }
        self.runs.retain(|run| !run.is_empty());
        taken
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn many_come_in_order_some_at_a_time() {
        let mut runs = Runs::default();
        let number = 5 * RUN / 2;
        for n in 0..number {
            // Each once: an odd number is prime to a power of two, and to 5 where 5 is no part of it.
            runs.push(n * 7919 % number);
        }
        let mut taken = Vec::new();
        while runs.len() > 0 {
            let some = runs.take(1000);
            assert!((1..=1000).contains(&some.len()));
            taken.extend(some);
        }
        assert_eq!(taken, Vec::from_iter(0..number));
    }

    proptest! {
        #[test]
        fn nothing_is_lost_between_two_takes(
            parts in prop::collection::vec((prop::collection::vec(0u8.., 0..20), 0..8usize), 0..10),
        ) {
            let mut runs = Runs::default();
            let mut model = Vec::new();
            for (added, at_most) in parts {
                added.iter().for_each(|item| runs.push(*item));
                model.extend(added);
                model.sort_unstable();
                let rest = model.split_off(at_most.min(model.len()));
                prop_assert_eq!(runs.take(at_most), std::mem::replace(&mut model, rest));
                prop_assert_eq!(runs.len(), model.len());
            }
        }
    }
}
