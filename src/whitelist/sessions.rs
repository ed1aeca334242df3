//! The sessions: those that are open, and those that ended a moment ago.
//!
//! Compact, as there may be a million: each is held once, and is a number in what tells its id,
//! its deadline or its end apart. Must never take one session for another whose number it has
//! taken over.

mod record;
mod remembered;
mod which;

use std::hash::{BuildHasher, RandomState};
use std::num::NonZeroU32;

use hashbrown::HashTable;
use jiff::SignedDuration;
use slab::Slab;

use super::deadlines::Deadlines;
use super::moment::Moment;
use super::servers::{Server, Servers};
use super::untold_changes::UntoldChanges;
use super::{Session, SessionKey};
use crate::client::Client;
use crate::event::Protocol;
use crate::origin::Host;
use record::{Near, Record};
use remembered::Remembered;
pub(super) use which::Which;

/// So many deadlines may mean nothing any more, and as many again as there are sessions.
const STALE: usize = 64;

/// With room for more, what has been emptied is given back.
const WORTHWHILE: usize = 1024;

/// The sessions, open or ended a moment ago.
#[derive(Debug, Default)]
pub struct Sessions {
    records: Slab<Record>,
    by_key: HashTable<Slot>,
    // Not to be foreseen by those who choose the ids.
    hasher: RandomState,
    servers: Servers,
    open: usize,
    /// How many are open of each server, by its number.
    open_of: Vec<usize>,
    max_session: SignedDuration,
    /// One for each open session, and some that mean nothing any more.
    deadlines: Deadlines<Slot>,
    tidy_at: usize,
    /// Those that have ended.
    ended: Remembered,
    changed: UntoldChanges<(Near, Slot)>,
    /// Those that the store still has.
    gone: UntoldChanges<Gone>,
    /// Those of `changed` and `gone` that the store is being told of.
    telling: UntoldChanges<(Near, Slot)>,
    telling_gone: UntoldChanges<Gone>,
}

/// The key of a session that is not here any more.
type Gone = (Server, Box<str>);

/// A session's slot in the slab; another one may come to have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Slot(u32);

/// What is known of a session.
#[derive(Debug, Clone, Copy)]
pub(super) struct Known {
    pub(super) slot: Slot,
    pub(super) client: Option<Client>,
    pub(super) since: Moment,
    pub(super) ended: Option<Moment>,
    /// Whether it may have ended before.
    pub(super) is_doubtful: bool,
}

/// A session that begins.
#[derive(Debug, Clone, Copy)]
pub(super) struct Begin {
    pub(super) client: Client,
    pub(super) since: Moment,
    pub(super) protocol: Option<Protocol>,
    /// How long it can last at the most, in seconds.
    pub(super) longest: Option<NonZeroU32>,
    /// Whether it may be over already.
    pub(super) is_doubtful: bool,
}

/// A session that is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ended {
    pub(super) client: Client,
    pub(super) since: Moment,
    pub(super) is_doubtful: bool,
    pub(super) server: Server,
    pub(super) protocol: Option<Protocol>,
}

impl Ended {
    fn of(record: &Record) -> Option<Self> {
        Some(Ended {
            client: record.client?,
            since: record.since,
            is_doubtful: record.is_doubtful,
            server: record.server,
            protocol: record.protocol,
        })
    }
}

/// What has changed of the sessions.
#[derive(Debug, Default)]
pub(super) struct Changed {
    present: Vec<Slot>,
    gone: Vec<Gone>,
}

impl Changed {
    pub(super) fn is_empty(&self) -> bool {
        self.present.is_empty() && self.gone.is_empty()
    }
}

impl Slot {
    /// There is not memory enough for a slot that would not fit.
    fn new(slot: usize) -> Self {
        Slot(u32::try_from(slot).unwrap_or(u32::MAX))
    }

    fn get(self) -> usize {
        self.0 as usize
    }
}

impl Sessions {
    /// Takes a session that the store kept.
    pub fn add(&mut self, key: SessionKey<'_>, session: &Session) {
        let ended = session.ended.map(Moment::from);
        let slot = self.put(key, session.client, session.since.into(), ended);
        let record = &mut self.records[slot.get()];
        record.protocol = session.protocol;
        record.longest = session.longest;
        record.is_doubtful = session.is_doubtful;
        record.is_stored = true;
        match ended {
            Some(ended) => self.ended.add(slot, ended, ended),
            None => self.opened(slot),
        }
    }

    /// How many are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether none is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// All that are remembered, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (SessionKey<'_>, Session)> {
        let records = self.records.iter();
        records.map(|(slot, record)| (self.key(record), self.session(Slot::new(slot))))
    }

    /// How many are open.
    pub(super) fn open(&self) -> usize {
        self.open
    }

    /// Whether there is room for a session: its server is known, or may become so.
    pub(super) fn has_room_for(&self, key: SessionKey<'_>) -> bool {
        self.servers.has_room_for(key.origin, key.server)
    }

    fn key<'a>(&'a self, record: &'a Record) -> SessionKey<'a> {
        SessionKey {
            origin: self.servers.origin(record.server),
            server: self.servers.name(record.server),
            id: &record.id,
        }
    }

    fn session(&self, slot: Slot) -> Session {
        let record = &self.records[slot.get()];
        Session {
            client: record.client,
            since: record.since.into(),
            ended: record.ended.map(Into::into),
            protocol: record.protocol,
            longest: record.longest,
            is_doubtful: record.is_doubtful,
        }
    }

    fn slot_of(&self, key: SessionKey<'_>) -> Option<Slot> {
        let server = self.servers.find(key.origin, key.server)?;
        let hash = self.hasher.hash_one((server, key.id));
        let is_it = |slot: &Slot| {
            let record = &self.records[slot.get()];
            record.server == server && *record.id == *key.id
        };
        self.by_key.find(hash, is_it).copied()
    }

    /// What is known of a session of which something was written at `time`.
    pub(super) fn get(&self, key: SessionKey<'_>, time: Moment) -> Option<Known> {
        let slot = self.slot_of(key)?;
        let record = &self.records[slot.get()];
        // It may wait to be forgotten.
        let is_known = |ended| remembered::matters(ended, time);
        record.ended.is_none_or(is_known).then_some(Known {
            slot,
            client: record.client,
            since: record.since,
            ended: record.ended,
            is_doubtful: record.is_doubtful,
        })
    }

    /// A session is open since `since`. One of this key that was open before must have been ended.
    pub(super) fn begin(&mut self, key: SessionKey<'_>, begin: Begin) {
        let slot = self.put(key, Some(begin.client), begin.since, None);
        let record = &mut self.records[slot.get()];
        record.protocol = begin.protocol;
        record.longest = begin.longest;
        record.is_doubtful = begin.is_doubtful;
        let deadline = record.deadline(self.max_session);
        self.changed(slot);
        self.opened(slot);
        self.deadlines.add(deadline, slot);
        if self.deadlines.len() > self.tidy_at {
            let (records, max_session) = (&self.records, self.max_session);
            self.deadlines.retain(|time, slot| {
                let record = records.get(slot.get());
                record.is_some_and(|record| record.ends_at(time, max_session))
            });
            self.tidy_at = 2 * self.deadlines.len() + STALE;
        }
    }

    /// A session has ended of which nothing else is known; it is `now` that this is read.
    pub(super) fn remember_end(&mut self, key: SessionKey<'_>, time: Moment, now: Moment) {
        let slot = self.put(key, None, time, Some(time));
        self.changed(slot);
        self.ended.add(slot, time, now);
    }

    /// Ends a session that is open. Says what it was.
    pub(super) fn end(&mut self, slot: Slot, time: Moment) -> Option<Ended> {
        let record = self.records.get_mut(slot.get())?;
        if record.ended.is_some() {
            return None;
        }
        record.ended = Some(time);
        let ended = Ended::of(record);
        self.closed(slot);
        self.ended.add(slot, time, time);
        self.changed(slot);
        ended
    }

    /// Forgets a session that is open, as if nothing had been told of it. Says what it was.
    pub(super) fn forget(&mut self, slot: Slot) -> Option<Ended> {
        let open = self.records.get(slot.get());
        let forgotten = Ended::of(open.filter(|record| record.ended.is_none())?);
        self.closed(slot);
        self.remove(slot);
        forgotten
    }

    /// Ends a session that is open, if it is one of this protocol.
    pub(super) fn end_if_of(
        &mut self,
        slot: Slot,
        protocol: Option<Protocol>,
        time: Moment,
    ) -> Option<Ended> {
        let record = self.records.get(slot.get())?;
        (record.protocol == protocol)
            .then(|| self.end(slot, time))
            .flatten()
    }

    /// The host that a server runs on, and its name.
    pub(super) fn server(&self, server: Server) -> (Host, &str) {
        (self.servers.origin(server).host, self.servers.name(server))
    }

    /// An end was told of one of these, and not of which: they are doubtful from now on. Says of each
    /// whose it is, and whether it had not been doubtful before.
    pub(super) fn doubt(&mut self, which: Which<'_>, time: Moment) -> Vec<(Client, bool)> {
        let mut doubtful = Vec::new();
        for slot in self.opened_by(time, which) {
            let record = &mut self.records[slot.get()];
            let Some(client) = record.client else {
                continue;
            };
            doubtful.push((client, !record.is_doubtful));
            if !std::mem::replace(&mut record.is_doubtful, true) {
                self.changed(slot);
            }
        }
        doubtful
    }

    /// Those that are open, and were opened by `time`.
    pub(super) fn opened_by(&self, time: Moment, which: Which<'_>) -> Vec<Slot> {
        // A server that does not name its sessions tells of many ends, and has none here.
        let taken_in: Vec<bool> = (self.open_of.iter().enumerate())
            .map(|(number, open)| {
                let server = Server::of_number(number);
                let (origin, name) = (self.servers.origin(server), self.servers.name(server));
                *open > 0 && which.takes_in(origin, name)
            })
            .collect();
        if !taken_in.contains(&true) {
            return Vec::new();
        }
        let is_of_protocol = |record: &Record| match which {
            Which::OfProtocol(.., Some(protocol)) => {
                record.protocol.is_none_or(|of| of == protocol)
            }
            _ => true,
        };
        self.records
            .iter()
            .filter(|(_, s)| s.ended.is_none() && s.since <= time)
            .filter(|(_, s)| taken_in.get(s.server.number()) == Some(&true) && is_of_protocol(s))
            .map(|(slot, _)| Slot::new(slot))
            .collect()
    }

    /// When the next deadline is to be looked at.
    pub(super) fn next_deadline(&self) -> Option<Moment> {
        self.deadlines.first()
    }

    /// Looks at the session whose deadline is next: it has ended then, unless it had before. Says
    /// when, and what it was.
    pub(super) fn expire_next(&mut self) -> Option<(Moment, Ended)> {
        let (time, slot) = self.deadlines.pop()?;
        let record = self.records.get(slot.get())?;
        if !record.ends_at(time, self.max_session) {
            return None;
        }
        self.end(slot, time).map(|ended| (time, ended))
    }

    /// Forgets sessions that ended a while ago; so many are looked at.
    pub(super) fn forget_ends(&mut self, now: Moment, at_most: usize) {
        for _ in 0..at_most {
            let Some((slot, ended)) = self.ended.next_old(now) else {
                break;
            };
            // Another session may have taken its id, or its slot.
            let record = self.records.get(slot.get());
            if record.is_some_and(|record| record.ended == Some(ended)) {
                self.remove(slot);
            }
        }
        if self.records.is_empty() && self.records.capacity() > WORTHWHILE {
            self.give_back();
        }
    }

    /// Forgets the open sessions of these clients.
    pub(super) fn remove_of(&mut self, mut which: impl FnMut(Client) -> bool) {
        self.remove_open(|record| record.client.is_some_and(&mut which));
    }

    /// Says of each open session whose it is, since when, and whether it is doubtful; and forgets it if its client
    /// is not listed. For what was taken from the store, which is in no order of time.
    pub(super) fn restore(&mut self, mut is_listed: impl FnMut(Client, Moment, bool) -> bool) {
        self.remove_open(|record| {
            let client = record.client;
            client.is_none_or(|client| !is_listed(client, record.since, record.is_doubtful))
        });
        self.ended.sort();
    }

    fn opened(&mut self, slot: Slot) {
        let server = self.records[slot.get()].server.number();
        if self.open_of.len() <= server {
            self.open_of.resize(server + 1, 0);
        }
        self.open_of[server] += 1;
        self.open += 1;
    }

    fn closed(&mut self, slot: Slot) {
        self.open_of[self.records[slot.get()].server.number()] -= 1;
        self.open -= 1;
        if self.open == 0 {
            self.deadlines.clear();
        }
    }

    fn remove_open(&mut self, mut which: impl FnMut(&Record) -> bool) {
        let open = self.records.iter().filter(|(_, s)| s.ended.is_none());
        let removed = open.filter(|(_, s)| which(s));
        let removed: Vec<Slot> = removed.map(|(slot, _)| Slot::new(slot)).collect();
        for slot in removed {
            self.closed(slot);
            self.remove(slot);
        }
    }

    /// Nothing may have happened later than `now`. Deadlines are to be made anew.
    pub(super) fn clock_set(&mut self, now: Moment) {
        for (slot, record) in &mut self.records {
            if record.since > now || record.ended.is_some_and(|ended| ended > now) {
                record.since = record.since.min(now);
                record.ended = record.ended.map(|ended| ended.min(now));
                record.changed(Slot::new(slot), &mut self.changed);
            }
        }
        self.ended.clock_set(now);
    }

    /// Makes all deadlines anew.
    pub(super) fn schedule_all(&mut self, max_session: SignedDuration) {
        self.max_session = max_session;
        let open = self.records.iter().filter(|(_, s)| s.ended.is_none());
        let scheduled = open.map(|(slot, s)| (s.deadline(max_session), Slot::new(slot)));
        self.deadlines = scheduled.collect();
        self.tidy_at = 2 * self.deadlines.len() + STALE;
    }

    /// The store is to be told of what has changed since this was called last.
    pub(super) fn begin_telling(&mut self) {
        self.telling = std::mem::take(&mut self.changed);
        self.telling_gone = std::mem::take(&mut self.gone);
    }

    /// How many the store is still to be told of.
    pub(super) fn to_tell(&self) -> usize {
        self.telling_gone.len() + self.telling.len()
    }

    /// The next of those. The store is told of them now, before anything else happens to a session.
    pub(super) fn tell(&mut self, at_most: usize) -> Changed {
        let mut gone = self.telling_gone.take(at_most);
        let rest = at_most - gone.len();
        for (server, _) in &gone {
            self.servers.release(*server);
        }
        let mut present = Vec::new();
        // One that is here again is told of as it is now.
        gone.retain(|gone| match self.slot_of(self.key_of_gone(gone)) {
            Some(slot) => {
                present.push((self.records[slot.get()].near(), slot));
                false
            }
            None => true,
        });
        present.extend(self.telling.take(rest));
        present.retain(|(near, slot)| {
            let record = self.records.get_mut(slot.get());
            // Another session may have taken its slot, and is told of in its own.
            let Some(record) = record.filter(|record| record.near() == *near) else {
                return false;
            };
            record.is_stored = true;
            // Of a slot that is told of twice, once is enough.
            std::mem::take(&mut record.is_changed)
        });
        let present = present.into_iter().map(|(_, slot)| slot).collect();
        Changed { present, gone }
    }

    /// What has changed, with the keys.
    pub(super) fn changes<'a>(
        &'a self,
        changed: &'a Changed,
    ) -> impl Iterator<Item = (SessionKey<'a>, Option<Session>)> {
        let gone = changed.gone.iter();
        let present = changed.present.iter();
        gone.map(|gone| (self.key_of_gone(gone), None))
            .chain(present.map(|slot| {
                let key = self.key(&self.records[slot.get()]);
                (key, Some(self.session(*slot)))
            }))
    }

    /// Whose the sessions are that have changed.
    pub(super) fn clients_of(&self, changed: &Changed) -> impl Iterator<Item = Client> {
        let present = changed.present.iter();
        present.filter_map(|slot| self.records[slot.get()].client)
    }

    fn key_of_gone<'a>(&'a self, (server, id): &'a Gone) -> SessionKey<'a> {
        SessionKey {
            origin: self.servers.origin(*server),
            server: self.servers.name(*server),
            id,
        }
    }

    /// Puts a session in the slot of the one of this key, or in a new one.
    fn put(
        &mut self,
        key: SessionKey<'_>,
        client: Option<Client>,
        since: Moment,
        ended: Option<Moment>,
    ) -> Slot {
        if let Some(slot) = self.slot_of(key) {
            let record = &mut self.records[slot.get()];
            (record.client, record.since, record.ended) = (client, since, ended);
            return slot;
        }
        let server = self.servers.hold(key.origin, key.server);
        let slot = Slot::new(self.records.insert(Record {
            id: key.id.into(),
            since,
            ended,
            client,
            server,
            protocol: None,
            longest: None,
            is_doubtful: false,
            is_changed: false,
            is_stored: false,
        }));
        let Self {
            records,
            by_key,
            hasher,
            ..
        } = self;
        let hash = |record: &Record| hasher.hash_one((record.server, &*record.id));
        by_key.insert_unique(hasher.hash_one((server, key.id)), slot, |slot| {
            hash(&records[slot.get()])
        });
        slot
    }

    fn changed(&mut self, slot: Slot) {
        self.records[slot.get()].changed(slot, &mut self.changed);
    }

    fn remove(&mut self, slot: Slot) {
        let record = self.records.remove(slot.get());
        let hash = self.hasher.hash_one((record.server, &*record.id));
        if let Ok(entry) = self.by_key.find_entry(hash, |other| *other == slot) {
            entry.remove();
        }
        // If the store is being told of it, it hears of this, too: with the last that it is told, the place in
        // the journal moves on.
        let gone = if self.telling.remove(&(record.near(), slot)) {
            &mut self.telling_gone
        } else {
            &mut self.gone
        };
        // What is gone goes by the server's number until the store has been told.
        if !record.is_stored || !gone.add((record.server, record.id)) {
            self.servers.release(record.server);
        }
    }

    /// There is no session: nothing that is left means anything.
    fn give_back(&mut self) {
        self.records = Slab::new();
        self.by_key = HashTable::new();
        self.ended = Remembered::default();
        self.changed = UntoldChanges::default();
        self.telling = UntoldChanges::default();
    }
}

#[cfg(test)]
mod tests;
