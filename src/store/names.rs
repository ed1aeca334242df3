//! The servers' names, each held once for all records that are read: there are few servers, and
//! many records. Must never change a name.

use std::collections::HashSet;
use std::sync::Arc;

/// The names that were read.
#[derive(Default)]
pub(super) struct Names(HashSet<Arc<str>>);

impl Names {
    /// Puts the one that was read first in the place of an equal `name`.
    pub(super) fn share(&mut self, name: &mut Arc<str>) {
        if let Some(known) = self.0.get(name) {
            *name = known.clone();
        } else {
            self.0.insert(name.clone());
        }
    }
}
