//! Keeps on disk what a restart must not forget: the whitelist, the place in the journal, and what
//! operators do by hand.

mod manual_keeper;
mod maps;
mod store_keeper;

use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::journal::Position;
use crate::origin::Id;
use crate::store::{FormerMap, Heard, InForce, StoreError};
use crate::whitelist::Whitelist;
use manual_keeper::ManualKeeper;
use store_keeper::StoreKeeper;

pub use store_keeper::Found;

/// Where the store is in a state directory.
#[must_use]
pub fn store_path(state_directory: &Path) -> PathBuf {
    state_directory.join("store")
}

/// All that is kept.
pub struct Keeping {
    store: StoreKeeper,
    manual: ManualKeeper,
}

impl Keeping {
    /// Opens the store of a state directory; `in_force` is what it is to remember.
    ///
    /// # Errors
    /// When it can't be opened.
    pub fn open(
        state_directory: &Path,
        in_force: Option<InForce>,
    ) -> Result<(Self, Found), StoreError> {
        let (store, found) = StoreKeeper::open(store_path(state_directory), in_force)?;
        let manual = ManualKeeper::of(state_directory);
        Ok((Keeping { store, manual }, found))
    }

    /// Applies what was done by hand to the whitelist that the store kept.
    pub fn apply_manual(&mut self, whitelist: &mut Whitelist) {
        self.manual.apply(whitelist);
    }

    /// How far the journal of a source has been read.
    pub fn position(&self, source: Id) -> Option<&Position> {
        self.store.position(source)
    }

    /// The journal of a source has been read up to here, and the whitelist knows.
    pub fn advance(&mut self, source: Id, position: Position) {
        self.store.advance(source, position);
    }

    /// Forgets how far the journals of other sources had been read.
    pub fn forget_other_sources(&mut self, sources: &[Id]) {
        self.store.forget_other_sources(sources);
    }

    /// Writes what was done by hand, and commits what else has changed, if it is time.
    pub fn commit(&mut self, whitelist: &mut Whitelist, is_time: bool) {
        self.manual.keep(whitelist);
        self.store.commit(whitelist, is_time);
    }

    /// The same, all of it and at once.
    pub fn commit_all(&mut self, whitelist: &mut Whitelist) {
        self.manual.keep(whitelist);
        self.store.commit_now(whitelist, true);
    }

    /// Goes on with what is under way. Says when there is more to do.
    pub fn go_on(&mut self, whitelist: &mut Whitelist) -> Option<Instant> {
        self.store.go_on(whitelist)
    }

    /// Waits until what was committed is on the disk.
    pub async fn flushed(&mut self) {
        self.store.flushed().await;
    }

    /// Remembers what is in force, and what was as one to be emptied.
    pub fn put_in_force(&mut self, in_force: Option<InForce>) {
        self.store.put_in_force(in_force);
    }

    /// The maps that are to list nobody any more.
    pub fn maps_to_empty(&self) -> Vec<FormerMap> {
        self.store.maps_to_empty()
    }

    /// The map with this index lists nobody any more.
    pub fn map_emptied(&mut self, index: &Path) {
        self.store.map_emptied(index);
    }

    /// What was heard of whom, as far as that is known.
    pub fn heard(&self) -> Option<&Heard> {
        self.store.heard()
    }

    /// Remembers what is heard from now on, once what that has changed of the whitelist is kept.
    pub fn set_heard(&mut self, heard: Heard, whitelist: &mut Whitelist) {
        self.store.set_heard(heard, whitelist);
    }

    /// What is wrong now.
    pub fn troubles(&self) -> impl Iterator<Item = &String> {
        let store = self.store.trouble().into_iter();
        store.chain(self.manual.trouble())
    }

    /// Why what was done by hand is not on disk, if it is not.
    pub fn manual_trouble(&self) -> Option<&String> {
        self.manual.trouble()
    }
}
