//! What has changed and is yet to be told to the store: each once, in order, some at a time. However
//! much it is, nobody is held up for long.

use std::collections::BTreeSet;

/// Things that have changed.
#[derive(Debug)]
pub(super) struct UntoldChanges<T>(BTreeSet<T>);

impl<T> Default for UntoldChanges<T> {
    fn default() -> Self {
        UntoldChanges(BTreeSet::new())
    }
}

impl<T: Ord> UntoldChanges<T> {
    /// Adds another, unless it is there. Says whether it was not.
    pub(super) fn add(&mut self, item: T) -> bool {
        self.0.insert(item)
    }

    /// Removes one. Says whether it was there.
    pub(super) fn remove(&mut self, item: &T) -> bool {
        self.0.remove(item)
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Takes out the first of all, in order, `at_most` so many.
    pub(super) fn take(&mut self, at_most: usize) -> Vec<T> {
        if self.0.len() <= at_most {
            return std::mem::take(&mut self.0).into_iter().collect();
        }
        let first = std::iter::from_fn(|| self.0.pop_first());
        first.take(at_most).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn nothing_is_lost_between_two_takes(
            parts in prop::collection::vec((prop::collection::vec(0u8.., 0..20), 0..8usize), 0..10),
        ) {
            let mut changes = UntoldChanges::default();
            let mut model = Vec::new();
            for (added, at_most) in parts {
                for item in &added {
                    changes.add(*item);
                }
                model.extend(added);
                model.sort_unstable();
                model.dedup();
                let rest = model.split_off(at_most.min(model.len()));
                prop_assert_eq!(changes.take(at_most), std::mem::replace(&mut model, rest));
                prop_assert_eq!(changes.len(), model.len());
            }
        }
    }
}
