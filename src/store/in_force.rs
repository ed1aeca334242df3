//! Keeps what is in force, and which access maps from before are yet to be emptied.
//!
//! Must never forget a map that may still list somebody: both are written together.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sled::{Batch, Tree};

use super::flusher::force;
use super::keys::{FORMER_MAPS, IN_FORCE};
use super::reading::{ReadError, decode};
use super::unhurried::Unhurried;
use super::{Store, StoreError, classify, encode};
use crate::postfix::map_type::MapType;

/// What is in force: the access map, which must not list anybody for ever when another takes its
/// place, and how long clients stay in it, should the configuration be unable to say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct InForce {
    /// Its path.
    pub path: PathBuf,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: MapType,
    /// What it says of a listed client.
    pub value: String,
    /// How long a client may relay after its last login or logout.
    pub grace: Duration,
    /// When a session whose logout never comes is taken to have ended.
    pub max_session: Duration,
}

/// An access map that was in force, and may still list somebody.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FormerMap {
    /// Its path.
    pub path: PathBuf,
    /// Its type.
    pub kind: MapType,
    /// What it says of a listed client.
    pub value: String,
}

impl InForce {
    /// The index that Postfix reads.
    #[must_use]
    pub fn index(&self) -> PathBuf {
        self.kind.index(&self.path)
    }
}

impl FormerMap {
    /// The index that Postfix reads: it is what makes a map another one.
    #[must_use]
    pub fn index(&self) -> PathBuf {
        self.kind.index(&self.path)
    }
}

impl From<InForce> for FormerMap {
    fn from(in_force: InForce) -> Self {
        FormerMap {
            path: in_force.path,
            kind: in_force.kind,
            value: in_force.value,
        }
    }
}

impl Store {
    /// Remembers what is in force, and the maps from before that are yet to be emptied.
    ///
    /// # Errors
    /// When the file system fails. The store is then to be closed and opened again.
    pub fn set_in_force(
        &self,
        in_force: &InForce,
        former_maps: &[FormerMap],
    ) -> Result<(), StoreError> {
        let _unhurried = Unhurried::new();
        let mut both = Batch::default();
        both.insert(IN_FORCE, encode(in_force));
        both.insert(FORMER_MAPS, encode(&former_maps));
        (self.meta.apply_batch(both))
            .and_then(|()| force(&self.db, &self.path))
            .map_err(|error| classify(&self.path, error))
    }

    /// Remembers the maps that are yet to be emptied. It lasts once it has been flushed: to empty one twice
    /// does no harm.
    ///
    /// # Errors
    /// As [`Store::set_in_force`].
    pub fn set_former_maps(&self, former_maps: &[FormerMap]) -> Result<(), StoreError> {
        let _unhurried = Unhurried::new();
        (self.meta.insert(FORMER_MAPS, encode(&former_maps)))
            .map(drop)
            .map_err(|error| classify(&self.path, error))
    }
}

/// What was in force.
pub(super) fn read(meta: &Tree) -> Result<Option<InForce>, ReadError> {
    let value = meta.get(IN_FORCE)?;
    value.map(|value| decode(&value)).transpose()
}

/// The maps that are yet to be emptied: none in a store of before there was such a list.
pub(super) fn read_former_maps(meta: &Tree) -> Result<Vec<FormerMap>, ReadError> {
    let value = meta.get(FORMER_MAPS)?;
    value.map_or_else(|| Ok(Vec::new()), |value| decode(&value))
}
