//! Keeps what was heard of whom: sessions of which nothing is heard any more must not stay open, whatever a
//! restart came between.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use sled::Tree;

use super::keys::HEARD;
use super::reading::{ReadError, decode};
use super::unhurried::Unhurried;
use super::{Store, StoreError, classify, encode};
use crate::origin::Id;

/// What was heard, beside what definitions say.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heard {
    /// By the names of servers, what the configuration added to those who write for them.
    pub senders: BTreeMap<String, BTreeSet<String>>,
    /// By the sources, which journals they were.
    pub journals: BTreeMap<Id, String>,
}

impl Heard {
    /// Whether whoever wrote for a server is heard `now`, too.
    #[must_use]
    pub fn is_still_heard(&self, server: &str, now: &Heard) -> bool {
        let (before, now) = (self.senders.get(server), now.senders.get(server));
        before.is_none_or(|before| match now {
            Some(now) => before.is_subset(now),
            None => before.is_empty(),
        })
    }

    /// Whether a source is the same journal `now`, if it was one before.
    #[must_use]
    pub fn is_same_journal(&self, source: Id, now: &Heard) -> bool {
        let before = self.journals.get(&source);
        before.is_none_or(|before| now.journals.get(&source) == Some(before))
    }
}

impl Store {
    /// Remembers what is heard. It lasts once it has been flushed.
    ///
    /// # Errors
    /// When the file system fails. The store is then to be closed and opened again.
    pub fn set_heard(&self, heard: &Heard) -> Result<(), StoreError> {
        let _unhurried = Unhurried::new();
        (self.meta.insert(HEARD, encode(heard)))
            .map(drop)
            .map_err(|error| classify(&self.path, error))
    }
}

/// What was heard: unknown in a store of before this was kept.
pub(super) fn read(meta: &Tree) -> Result<Option<Heard>, ReadError> {
    let value = meta.get(HEARD)?;
    value.map(|value| decode(&value)).transpose()
}
