//! Keeps the store in step with the whitelist, and open as long as it can be written.
//!
//! What can't be written stays in memory and is written later, as a whole; a place in the journal
//! is never kept without what was read up to it.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::diagnostics;
use crate::journal::Position;
use crate::store::{InForce, Kept, Opened, Store, StoreError};
use crate::whitelist::Whitelist;

/// How old the stored place may become while entries go by that mean nothing.
const POSITION_AGE: Duration = Duration::from_secs(60);
/// How often the store is written while the journal is caught up with, or many clients expire: what
/// is lost is read, or done, again.
const CATCHING_UP: Duration = Duration::from_secs(5);
/// The pause after the store could not be written; it doubles with each failure.
const FIRST_RETRY: Duration = Duration::from_secs(1);
/// The longest pause.
const LONGEST_RETRY: Duration = Duration::from_secs(15);

/// The store, and how far the journal has been read.
#[derive(Debug)]
pub struct Keeper {
    path: PathBuf,
    /// None while it can't be written.
    store: Option<Store>,
    retry: Option<(Instant, Duration)>,
    in_force: InForce,
    position: Option<Position>,
    committed: Instant,
    trouble: Option<String>,
}

/// What the store held when it was opened.
#[derive(Debug)]
pub struct Found {
    /// What it kept.
    pub kept: Kept,
    /// Where a damaged store was set aside, and what was wrong with it.
    pub set_aside: Option<(PathBuf, String)>,
}

impl Keeper {
    /// Opens the store; `in_force` is what it is to remember.
    ///
    /// # Errors
    /// When it can't be opened.
    pub fn open(path: PathBuf, in_force: InForce) -> Result<(Self, Found), StoreError> {
        let Opened {
            store,
            kept,
            set_aside,
        } = Store::open(&path)?;
        let mut keeper = Keeper {
            path,
            store: Some(store),
            retry: None,
            in_force: in_force.clone(),
            position: kept.position.clone(),
            committed: Instant::now(),
            trouble: None,
        };
        keeper.put_in_force(in_force);
        Ok((keeper, Found { kept, set_aside }))
    }

    /// How far the journal has been read.
    #[must_use]
    pub fn position(&self) -> Option<&Position> {
        self.position.as_ref()
    }

    /// The journal has been read up to here, and the whitelist knows.
    pub fn advance(&mut self, position: Position) {
        self.position = Some(position);
    }

    /// Commits what has changed, if it is time, or has not been for a while; and the place in the
    /// journal with it, or alone if that is old.
    pub fn commit(&mut self, whitelist: &mut Whitelist, is_time: bool) {
        let age = self.committed.elapsed();
        if is_time || age >= CATCHING_UP {
            self.commit_now(whitelist, age >= POSITION_AGE);
        }
    }

    /// Commits what has changed; with `always`, also the place in the journal alone.
    pub fn commit_now(&mut self, whitelist: &mut Whitelist, always: bool) {
        let Some(store) = &mut self.store else { return };
        let delta = whitelist.take_delta();
        if delta.is_empty() && !always {
            return;
        }
        match store.commit(delta.clients(), delta.sessions(), self.position.as_ref()) {
            Ok(()) => self.committed = Instant::now(),
            Err(error) => self.failed(&error),
        }
    }

    /// Remembers what is in force.
    pub fn put_in_force(&mut self, in_force: InForce) {
        if let Some(store) = &self.store
            && let Err(error) = store.set_in_force(&in_force)
        {
            self.failed(&error);
        }
        self.in_force = in_force;
    }

    /// sled can't go on after an error: the store is closed, and opened again later.
    fn failed(&mut self, error: &StoreError) {
        if self.trouble.is_none() {
            diagnostics::store_trouble(error);
        }
        self.trouble = Some(format!(
            "{error}\nthe whitelist goes on in memory; it is tried again: is the disk full?"
        ));
        self.store = None;
        let pause = self
            .retry
            .map_or(FIRST_RETRY, |(_, pause)| (pause * 2).min(LONGEST_RETRY));
        self.retry = Some((Instant::now() + pause, pause));
    }

    /// When a store that could not be written is to be opened again.
    #[must_use]
    pub fn retry_at(&self) -> Option<Instant> {
        self.retry.map(|(time, _)| time)
    }

    /// Opens the store again, if it is time, and writes into it all that there is.
    pub fn reopen_if_due(&mut self, whitelist: &mut Whitelist) {
        if self.retry_at().is_none_or(|time| time > Instant::now()) {
            return;
        }
        let written = Store::open(&self.path).and_then(
            |Opened {
                 mut store, kept, ..
             }| {
                write_all(&mut store, &kept, whitelist, self.position.as_ref())?;
                store.set_in_force(&self.in_force)?;
                Ok(store)
            },
        );
        match written {
            Ok(store) => {
                // What has changed is in there: it was written as a whole.
                drop(whitelist.take_delta());
                self.store = Some(store);
                self.retry = None;
                self.trouble = None;
                self.committed = Instant::now();
                diagnostics::store_recovered();
            }
            Err(error) => self.failed(&error),
        }
    }

    /// What is wrong now.
    #[must_use]
    pub fn trouble(&self) -> Option<&String> {
        self.trouble.as_ref()
    }
}

/// Makes a store that holds `kept` hold the whitelist.
fn write_all(
    store: &mut Store,
    kept: &Kept,
    whitelist: &Whitelist,
    position: Option<&Position>,
) -> Result<(), StoreError> {
    let gone = kept.clients.iter().map(|(client, _)| client);
    let gone = gone.filter(|client| whitelist.get(*client).is_none());
    let listed = whitelist.clients();
    let ended = kept.sessions.iter().map(|(key, _)| (key, None));
    store.commit(
        gone.map(|client| (client, None))
            .chain(listed.map(|(client, listing)| (client, Some(listing)))),
        ended.chain(whitelist.sessions().map(|(key, s)| (key, Some(s)))),
        position,
    )
}
