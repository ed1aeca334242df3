//! Keeps the store in step with the whitelist, and open as long as it can be written.
//!
//! What can't be written stays in memory and is written later, as a whole; a place in the journal
//! is never kept without what was read up to it. Nothing here waits for the disk, which may be busy:
//! another thread does, and what changes meanwhile is committed together.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use tokio::task::{JoinHandle, spawn_blocking};

use super::maps::Maps;
use crate::diagnostics;
use crate::journal::Position;
use crate::origin::Id;
use crate::store::{FormerMap, Heard, InForce, Kept, Opened, Positions, Store, StoreError, Told};
use crate::whitelist::{EndsOfServer, Whitelist};

/// How old the stored place may become while entries go by that mean nothing.
const POSITION_AGE: Duration = Duration::from_secs(60);
/// How often the store is written while the journal is caught up with, or many clients expire: what
/// is lost is read, or done, again.
const CATCHING_UP: Duration = Duration::from_secs(5);
/// How many records are committed at once, where many have changed: the loop has other things to do.
const AT_ONCE: usize = 512;
/// A way to the disk that takes longer is told of.
const LONG: Duration = Duration::from_secs(10);
/// The pause after the store could not be written; it doubles with each failure.
const FIRST_RETRY: Duration = Duration::from_secs(1);
/// The longest pause.
const LONGEST_RETRY: Duration = Duration::from_secs(15);

/// The store, and how far the journal has been read.
#[derive(Debug)]
pub struct StoreKeeper {
    path: PathBuf,
    /// None while it can't be written.
    store: Option<Store>,
    retry: Option<(Instant, Duration)>,
    maps: Maps,
    heard: Option<Heard>,
    positions: Positions,
    under_way: Option<UnderWay>,
    /// What was written is on its way to the disk, which another thread waits for.
    flushing: Option<JoinHandle<Result<(), StoreError>>>,
    /// Whether it was told that this takes too long.
    is_slow: bool,
    /// Whether there is more to be committed as soon as that is done.
    again: bool,
    committed: Instant,
    trouble: Option<String>,
}

/// What has changed is being committed, some at a time.
#[derive(Debug)]
struct UnderWay {
    /// How far the journals had been read when it began: that is kept with the last of it.
    positions: Positions,
    /// Which servers told the ends of their sessions by then, if that had changed. What comes later is read
    /// again if this process is killed, and must be new then.
    ends: Option<Vec<EndsOfServer>>,
}

impl UnderWay {
    fn told(&self) -> Told<'_> {
        Told {
            positions: &self.positions,
            ends: self.ends.as_deref(),
        }
    }
}

/// What the store held when it was opened.
#[derive(Debug)]
pub struct Found {
    /// What it kept.
    pub kept: Kept,
    /// Where a store that can't be used was set aside, and why.
    pub set_aside: Option<(PathBuf, String)>,
}

impl StoreKeeper {
    /// Opens the store; `in_force` is what it is to remember.
    ///
    /// # Errors
    /// When it can't be opened.
    pub fn open(path: PathBuf, in_force: Option<InForce>) -> Result<(Self, Found), StoreError> {
        let Opened {
            store,
            kept,
            set_aside,
        } = Store::open(&path)?;
        let mut keeper = StoreKeeper {
            path,
            store: Some(store),
            retry: None,
            maps: Maps::kept(kept.in_force.clone(), kept.former_maps.clone()),
            heard: kept.heard.clone(),
            positions: kept.positions.clone(),
            under_way: None,
            flushing: None,
            is_slow: false,
            again: false,
            committed: Instant::now(),
            trouble: None,
        };
        keeper.put_in_force(in_force);
        Ok((keeper, Found { kept, set_aside }))
    }

    /// How far the journal of a source has been read.
    #[must_use]
    pub fn position(&self, source: Id) -> Option<&Position> {
        self.positions.get(&source)
    }

    /// The journal of a source has been read up to here, and the whitelist knows.
    pub fn advance(&mut self, source: Id, position: Position) {
        self.positions.insert(source, position);
    }

    /// Forgets how far the journals of other sources had been read.
    pub fn forget_other_sources(&mut self, sources: &[Id]) {
        self.positions.retain(|source, _| sources.contains(source));
        if let Some(under_way) = &mut self.under_way {
            (under_way.positions).retain(|source, _| sources.contains(source));
        }
        if let Some(store) = &self.store
            && let Err(error) = store.forget_other_sources(sources)
        {
            self.failed(&error);
        }
    }

    /// Commits what has changed, if it is time, or has not been for a while; and the place in the
    /// journal with it, or alone if that is old.
    pub fn commit(&mut self, whitelist: &mut Whitelist, is_time: bool) {
        if self.under_way.is_some() || self.flushing.is_some() {
            self.again |= is_time;
            return;
        }
        let age = self.committed.elapsed();
        if is_time || age >= CATCHING_UP {
            self.commit_some(whitelist, AT_ONCE, age >= POSITION_AGE);
        }
    }

    /// Commits all that has changed, at once; with `always`, also the place in the journal alone.
    pub fn commit_now(&mut self, whitelist: &mut Whitelist, always: bool) {
        // What is under way is of a former place in the journal.
        while self.under_way.is_some() {
            self.commit_some(whitelist, usize::MAX, false);
        }
        self.commit_some(whitelist, usize::MAX, always);
        if let Some(store) = &self.store
            && let Err(error) = store.flusher().flush()
        {
            self.failed(&error);
        }
    }

    fn commit_some(&mut self, whitelist: &mut Whitelist, at_most: usize, always: bool) {
        let Some(store) = &mut self.store else { return };
        let begins = self.under_way.is_none();
        let under_way = self.under_way.take().unwrap_or_else(|| UnderWay {
            positions: self.positions.clone(),
            ends: whitelist.ends_mut().take_change().map(<[_]>::to_vec),
        });
        let delta = whitelist.take_delta(at_most);
        let is_last = delta.is_last();
        let is_nothing = delta.is_empty() && under_way.ends.is_none();
        if begins && is_nothing && is_last && !always {
            return;
        }
        let none = Positions::new();
        let told = if is_last {
            under_way.told()
        } else {
            (&none).into()
        };
        match store.write(delta.clients(), delta.sessions(), told) {
            Ok(()) if is_last => {
                let flusher = store.flusher();
                self.flushing = Some(spawn_blocking(move || flusher.flush()));
                self.committed = Instant::now();
            }
            Ok(()) => self.under_way = Some(under_way),
            Err(error) => self.failed(&error),
        }
    }

    /// Goes on with what is under way, or opens again a store that could not be written, if it is
    /// time. Says when there is more to do.
    pub fn go_on(&mut self, whitelist: &mut Whitelist) -> Option<Instant> {
        self.reopen_if_due(whitelist);
        let may_begin = self.under_way.is_none() && self.flushing.is_none();
        if self.under_way.is_some() || may_begin && std::mem::take(&mut self.again) {
            self.commit_some(whitelist, AT_ONCE, false);
        }
        match self.under_way {
            Some(_) => Some(Instant::now()),
            None => self.tell_if_slow().or(self.retry.map(|(time, _)| time)),
        }
    }

    /// Tells of a disk that takes too long. Says when it will.
    fn tell_if_slow(&mut self) -> Option<Instant> {
        let slow_from = self.committed + LONG;
        if self.flushing.is_none() || self.is_slow {
            return None;
        }
        if Instant::now() < slow_from {
            return Some(slow_from);
        }
        self.is_slow = true;
        let (path, seconds) = (self.path.display(), LONG.as_secs());
        let text = format!("{path}: has not reached the disk within {seconds} s (is it hanging?)");
        diagnostics::store_trouble(&text);
        self.trouble = Some(text);
        None
    }

    /// Waits until what was committed is on the disk; what has changed meanwhile is then committed
    /// together.
    pub async fn flushed(&mut self) {
        let Some(flushing) = &mut self.flushing else {
            return std::future::pending().await;
        };
        let flushed = flushing.await;
        self.flushing = None;
        if std::mem::take(&mut self.is_slow) && flushed.as_ref().is_ok_and(Result::is_ok) {
            self.trouble = None;
            diagnostics::store_recovered();
        }
        let flushed = flushed.unwrap_or_else(|panic| {
            Err(StoreError::System {
                path: self.path.clone(),
                source: panic.into(),
            })
        });
        if let Err(error) = flushed {
            self.failed(&error);
        }
    }

    /// Remembers what is in force, and what was as one to be emptied.
    pub fn put_in_force(&mut self, in_force: Option<InForce>) {
        let is_any = in_force.is_some();
        self.maps.put_in_force(in_force);
        if is_any
            && let (Some(store), Some((in_force, former))) = (&self.store, self.maps.to_keep())
            && let Err(error) = store.set_in_force(in_force, former)
        {
            self.failed(&error);
        }
    }

    /// What was heard of whom, as far as that is known.
    pub fn heard(&self) -> Option<&Heard> {
        self.heard.as_ref()
    }

    /// Remembers what is heard from now on, once what that has changed of the whitelist is kept.
    pub fn set_heard(&mut self, heard: Heard, whitelist: &mut Whitelist) {
        if self.heard.as_ref() == Some(&heard) {
            return;
        }
        self.commit_now(whitelist, false);
        if let Some(store) = &self.store
            && let Err(error) = store.set_heard(&heard)
        {
            self.failed(&error);
        }
        self.heard = Some(heard);
    }

    /// The maps that are to list nobody any more.
    pub fn maps_to_empty(&self) -> Vec<FormerMap> {
        self.maps.to_empty()
    }

    /// The map with this index lists nobody any more.
    pub fn map_emptied(&mut self, index: &Path) {
        if self.maps.emptied(index)
            && let Some(store) = &self.store
            && let Err(error) = store.set_former_maps(self.maps.former())
        {
            self.failed(&error);
        }
    }

    /// sled can't go on after an error: the store is closed, and opened again later.
    fn failed(&mut self, error: &StoreError) {
        if self.trouble.is_none() {
            diagnostics::store_trouble(error);
        }
        self.trouble = Some(format!(
            "{error}\nthe whitelist goes on in memory; it is tried again: is the disk full?"
        ));
        // What is opened again is written as a whole.
        self.store = None;
        self.under_way = None;
        self.flushing = None;
        self.is_slow = false;
        self.again = false;
        let pause = self
            .retry
            .map_or(FIRST_RETRY, |(_, pause)| (pause * 2).min(LONGEST_RETRY));
        self.retry = Some((Instant::now() + pause, pause));
    }

    /// Opens the store again, if it is time, and writes into it all that there is.
    fn reopen_if_due(&mut self, whitelist: &mut Whitelist) {
        if self.retry.is_none_or(|(time, _)| time > Instant::now()) {
            return;
        }
        let written = Store::open(&self.path).and_then(
            |Opened {
                 mut store, kept, ..
             }| {
                write_all(&mut store, &kept, whitelist, &self.positions)?;
                let sources: Vec<Id> = self.positions.keys().copied().collect();
                store.forget_other_sources(&sources)?;
                if let Some((in_force, former)) = self.maps.to_keep() {
                    store.set_in_force(in_force, former)?;
                }
                if let Some(heard) = &self.heard {
                    store.set_heard(heard)?;
                }
                Ok(store)
            },
        );
        match written {
            Ok(store) => {
                // What has changed is in there: it was written as a whole.
                while !whitelist.take_delta(usize::MAX).is_last() {}
                whitelist.ends_mut().keep_change();
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
    positions: &Positions,
) -> Result<(), StoreError> {
    let gone = kept.clients.iter().map(|(client, _)| client);
    let gone = gone.filter(|client| whitelist.get(*client).is_none());
    let listed = whitelist.clients();
    let ended = kept.sessions.iter().map(|(key, _)| (key, None));
    store.commit(
        gone.map(|client| (client, None))
            .chain(listed.map(|(client, listing)| (client, Some(listing)))),
        ended.chain(whitelist.sessions().map(|(key, s)| (key, Some(s)))),
        positions,
    )
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use jiff::{SignedDuration, Timestamp};

    use super::*;
    use crate::client::Client;
    use crate::config::Limits;
    use crate::event::{Event, EventKind};
    use crate::networks::Networks;
    use crate::origin::Origin;
    use crate::postfix::map_type::MapType;
    use crate::whitelist::Rules;

    fn keeper(path: &Path) -> (StoreKeeper, Kept) {
        let in_force = InForce {
            path: "/var/lib/x/clients".into(),
            kind: MapType::Lmdb,
            value: "OK".to_owned(),
            grace: Duration::from_secs(1800),
            max_session: Duration::from_secs(86_400),
        };
        let (keeper, found) = StoreKeeper::open(path.to_owned(), Some(in_force)).unwrap();
        (keeper, found.kept)
    }

    #[test]
    fn a_former_map_is_kept_with_the_next_one_until_it_is_emptied() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("store");
        let (keeper, kept) = keeper(&path);
        assert!(keeper.maps_to_empty().is_empty());
        assert!(kept.in_force.is_none());
        drop(keeper);
        let in_force = kept_in(&path).in_force.unwrap();
        let next = InForce {
            path: "/var/lib/x/next".into(),
            ..in_force.clone()
        };
        // Whoever opens it is killed before the former map is emptied.
        drop(StoreKeeper::open(path.clone(), Some(next.clone())).unwrap());
        let kept = kept_in(&path);
        assert_eq!(kept.in_force.as_ref(), Some(&next));
        assert_eq!(kept.former_maps, [in_force.clone().into()]);
        let (mut keeper, _) = StoreKeeper::open(path.clone(), Some(next)).unwrap();
        assert_eq!(keeper.maps_to_empty(), [in_force.clone().into()]);
        keeper.map_emptied(&in_force.index());
        drop(keeper);
        assert_eq!(kept_in(&path).former_maps, []);
    }

    /// What the store keeps that nobody has open.
    fn kept_in(path: &Path) -> Kept {
        Store::open(path).unwrap().kept
    }

    fn whitelist(rules: Rules, kept: Kept) -> Whitelist {
        Whitelist::restore(rules, kept.clients, kept.sessions)
    }

    fn rules() -> Rules {
        Rules {
            grace: SignedDuration::from_mins(30),
            max_session: SignedDuration::from_hours(24),
            limits: Limits::NONE,
            permitted: Networks::default(),
            never: Networks::default(),
        }
    }

    fn log_in(whitelist: &mut Whitelist, n: u32) {
        let address = Ipv4Addr::from(0x1400_0000 + n.wrapping_mul(2_654_435_761) % 0x0100_0000);
        let time = Timestamp::from_second(1_800_000_000).unwrap();
        let kind = EventKind::Login {
            client: Client::from(std::net::IpAddr::from(address)),
            user: Some(format!("user{n}")),
            session: Some(format!("session{n}")),
        };
        let outcome = whitelist.apply(&Event::new(time, Origin::OF_LINES, "dovecot", kind), time);
        assert!(matches!(outcome, crate::whitelist::Outcome::Added(_)));
    }

    const HERE: Id = Id::DEFAULT_SOURCE;

    fn position(n: u32) -> Position {
        Position {
            cursor: format!("i={n}"),
            time: Timestamp::from_second(1_800_000_000).unwrap(),
        }
    }

    async fn go_on(keeper: &mut StoreKeeper, whitelist: &mut Whitelist) -> usize {
        let mut turns = 0;
        loop {
            turns += 1;
            let next = keeper.go_on(whitelist);
            if next.is_some_and(|next| next <= Instant::now()) {
                continue;
            }
            if keeper.flushing.is_none() {
                return turns;
            }
            keeper.flushed().await;
        }
    }

    const MANY: u32 = 3 * AT_ONCE as u32 + 100;

    /// With a store at `path`, into which more is being committed than goes at once.
    fn committing_many(path: &Path) -> (StoreKeeper, Whitelist) {
        let (mut keeper, kept) = self::keeper(path);
        let mut whitelist = self::whitelist(rules(), kept);
        (0..MANY).for_each(|n| log_in(&mut whitelist, n));
        keeper.advance(HERE, position(1));
        keeper.commit(&mut whitelist, true);
        (keeper, whitelist)
    }

    #[tokio::test]
    async fn many_changes_are_committed_some_at_a_time_and_the_place_with_the_last() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("store");
        let (mut keeper, mut whitelist) = committing_many(&path);
        // Another login comes meanwhile, and is committed next.
        log_in(&mut whitelist, MANY);
        keeper.advance(HERE, position(2));
        keeper.commit(&mut whitelist, true);
        drop(keeper);
        let (mut keeper, kept) = self::keeper(&path);
        assert_eq!((kept.clients.len(), kept.positions.len()), (AT_ONCE, 0));

        // All of it anew, to its end.
        let mut whitelist = Whitelist::new(rules());
        (0..MANY).for_each(|n| log_in(&mut whitelist, n));
        keeper.advance(HERE, position(1));
        keeper.commit(&mut whitelist, true);
        log_in(&mut whitelist, MANY);
        keeper.advance(HERE, position(2));
        keeper.commit(&mut whitelist, true);
        // A client and a session each, of which some have been committed; then what came meanwhile,
        // and then there is nothing.
        let turns = (2 * MANY as usize).div_ceil(AT_ONCE) - 1 + 2;
        assert_eq!(go_on(&mut keeper, &mut whitelist).await, turns);
        drop(keeper);
        let (mut keeper, kept) = self::keeper(&path);
        assert_eq!(kept.positions, [(HERE, position(2))].into());
        let again = self::whitelist(rules(), kept);
        assert!(again.clients().eq(whitelist.clients()));
        assert_eq!(again.open_sessions(), MANY as usize + 1);
        // And there is nothing left to do.
        assert_eq!(keeper.go_on(&mut whitelist), None);
    }

    #[tokio::test]
    async fn the_place_of_a_source_that_is_forgotten_does_not_come_back() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("store");
        // It is forgotten while what was read up to it is being committed.
        let (mut keeper, mut whitelist) = committing_many(&path);
        assert!(keeper.under_way.is_some());
        keeper.forget_other_sources(&[]);
        keeper.commit_now(&mut whitelist, true);
        drop(keeper);
        assert_eq!(kept_in(&path).positions, Positions::new());

        // And while the store can't be written.
        let (mut keeper, _) = self::keeper(&path);
        keeper.advance(HERE, position(2));
        keeper.commit_now(&mut whitelist, true);
        keeper.failed(&StoreError::System {
            path: path.clone(),
            source: std::io::ErrorKind::StorageFull.into(),
        });
        keeper.forget_other_sources(&[]);
        keeper.retry = Some((Instant::now(), FIRST_RETRY));
        go_on(&mut keeper, &mut whitelist).await;
        assert!(keeper.trouble().is_none());
        drop(keeper);
        assert_eq!(kept_in(&path).positions, Positions::new());
    }

    #[tokio::test]
    async fn the_place_that_is_kept_is_no_further_than_what_was_committed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("store");
        let (mut keeper, mut whitelist) = committing_many(&path);
        log_in(&mut whitelist, MANY);
        keeper.advance(HERE, position(2));
        // It is not time for what comes meanwhile.
        go_on(&mut keeper, &mut whitelist).await;
        drop(keeper);
        let (mut keeper, kept) = self::keeper(&path);
        assert_eq!(kept.positions, [(HERE, position(1))].into());
        assert_eq!(kept.clients.len(), MANY as usize);
        // At the end, all is committed at once.
        keeper.advance(HERE, position(3));
        let mut whitelist = self::whitelist(rules(), kept);
        (MANY..2 * MANY).for_each(|n| log_in(&mut whitelist, n));
        keeper.commit(&mut whitelist, true);
        log_in(&mut whitelist, 2 * MANY);
        keeper.advance(HERE, position(4));
        keeper.commit_now(&mut whitelist, true);
        drop(keeper);
        let (_, kept) = self::keeper(&path);
        assert_eq!(kept.positions, [(HERE, position(4))].into());
        assert_eq!(kept.clients.len(), 2 * MANY as usize + 1);
    }
}
