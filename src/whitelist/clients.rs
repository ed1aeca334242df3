//! The clients that are listed for their logins: what is known of each, and when its grace ends.
//!
//! Compact, as there may be a million: users and servers are numbers here, and a client's deadline
//! stays where it is while its logins prolong it. Must never list a client for longer than grace
//! after its last login or logout, nor admit one: the rules have been asked before.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, HashSet};
use std::ops::RangeBounds;

use jiff::{SignedDuration, Timestamp};

use super::Listing;
use super::deadlines::Deadlines;
use super::moment::Moment;
use super::servers::{Server, Servers};
use super::untold_changes::UntoldChanges;
use super::users::{User, Users};
use crate::client::Client;
use crate::origin::{Id, Origin};

/// The clients that are listed for their logins.
#[derive(Debug, Default)]
pub struct Clients {
    records: BTreeMap<Client, Record>,
    users: Users,
    servers: Servers,
    grace: SignedDuration,
    /// One for each client that is scheduled, never later than its grace ends.
    deadlines: Deadlines<Client>,
    changed: UntoldChanges<Client>,
    /// Those of `changed` that the store is being told of.
    telling: UntoldChanges<Client>,
}

/// A [`Listing`], as it is kept.
#[derive(Debug)]
struct Record {
    since: Moment,
    last_login: Moment,
    last: Moment,
    user: Option<User>,
    server: Server,
    /// How many of its sessions have not told their end.
    open: u32,
    /// How many of `open` may be over.
    doubtful: u32,
    /// How many of `doubtful` are over. Which ones is not known: their ends did not say.
    lost: u32,
    /// Whether there is a deadline. There need be none while a session is open.
    is_scheduled: bool,
    /// Whether it is among `changed` or `telling`.
    is_changed: bool,
    /// Whether the store has been told of it.
    is_stored: bool,
}

/// What a login comes to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Login<'a> {
    pub(super) user: Option<&'a str>,
    pub(super) server: &'a str,
    /// The source that tells of it.
    pub(super) source: Id,
    pub(super) time: Moment,
    /// What grace counts from.
    pub(super) last: Moment,
    /// Whether it opens a session.
    pub(super) opens: bool,
    /// Whether that session may be over already.
    pub(super) is_doubtful: bool,
}

/// A session of a client that is over.
#[derive(Debug, Clone, Copy)]
pub(super) struct EndOfSession {
    pub(super) client: Client,
    /// When it was opened.
    pub(super) since: Moment,
    /// When it ended.
    pub(super) time: Moment,
    /// Whether it may have been over before.
    pub(super) is_doubtful: bool,
}

/// Of a listing, it does not matter on which host of a source the server runs.
fn server_of(servers: &mut Servers, source: Id, name: &str) -> Server {
    servers.hold(Origin::UNKNOWN.read_from(source), name)
}

/// Takes the clients that the store kept, one after the other; then they are a table.
#[derive(Debug, Default)]
pub struct KeptClients {
    records: Vec<(Client, Record)>,
    clients: Clients,
}

impl KeptClients {
    /// Takes another one.
    pub fn add(&mut self, client: Client, listing: &Listing<'_>) {
        let record = Record {
            since: listing.since.into(),
            last_login: listing.last_login.into(),
            last: listing.last.into(),
            user: listing.user.as_ref().map(|u| self.clients.users.add(u)),
            server: server_of(&mut self.clients.servers, listing.source, &listing.server),
            open: 0,
            doubtful: 0,
            lost: 0,
            is_scheduled: false,
            is_changed: false,
            is_stored: true,
        };
        self.records.push((client, record));
    }

    /// There are no more.
    #[must_use]
    pub fn finish(self) -> Clients {
        Clients {
            // Made at once, the tree takes half the room of one that has grown.
            records: self.records.into_iter().collect(),
            ..self.clients
        }
    }
}

impl Clients {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    /// Whether the client is one of them.
    #[must_use]
    pub fn contains(&self, client: Client) -> bool {
        self.records.contains_key(&client)
    }

    /// What is known of a client.
    #[must_use]
    pub fn get(&self, client: Client) -> Option<Listing<'_>> {
        self.records.get(&client).map(|record| self.listing(record))
    }

    /// All of them, in order.
    pub fn iter(&self) -> impl Iterator<Item = (Client, Listing<'_>)> {
        self.range(..)
    }

    /// Those of a range, in order.
    pub(super) fn range(
        &self,
        range: impl RangeBounds<Client>,
    ) -> impl Iterator<Item = (Client, Listing<'_>)> {
        let records = self.records.range(range);
        records.map(|(client, record)| (*client, self.listing(record)))
    }

    /// The addresses of a range, in order.
    pub(super) fn addresses(
        &self,
        range: impl RangeBounds<Client>,
    ) -> impl Iterator<Item = Client> {
        self.records.range(range).map(|(client, _)| *client)
    }

    fn listing(&self, record: &Record) -> Listing<'_> {
        Listing {
            since: record.since.into(),
            last_login: record.last_login.into(),
            last: record.last.into(),
            user: record.user.map(|user| self.users.name(user).into()),
            server: self.servers.name(record.server).into(),
            source: self.servers.origin(record.server).host.source,
            open: record.held(),
        }
    }

    /// Who logged in last from a client, if it is listed.
    pub(super) fn user(&self, client: Client) -> Option<Option<&str>> {
        let record = self.records.get(&client)?;
        Some(record.user.map(|user| self.users.name(user)))
    }

    /// How many clients are listed for a user.
    pub(super) fn of_user(&self, user: &str) -> usize {
        self.users.clients(user)
    }

    /// A client has logged in. Says whether it is listed only now.
    pub(super) fn login(&mut self, client: Client, login: &Login<'_>) -> bool {
        let time = login.time;
        let (record, is_new) = match self.records.entry(client) {
            Entry::Occupied(entry) => (entry.into_mut(), false),
            Entry::Vacant(entry) => {
                let record = entry.insert(Record {
                    since: time,
                    last_login: time,
                    last: login.last,
                    user: login.user.map(|user| self.users.add(user)),
                    server: server_of(&mut self.servers, login.source, login.server),
                    open: 0,
                    doubtful: 0,
                    lost: 0,
                    is_scheduled: false,
                    is_changed: false,
                    is_stored: false,
                });
                (record, true)
            }
        };
        if !is_new && time >= record.last_login {
            record.last_login = time;
            record.server = server_of(&mut self.servers, login.source, login.server);
            if record.user.map(|user| self.users.name(user)) != login.user {
                let user = login.user.map(|user| self.users.add(user));
                if let Some(before) = std::mem::replace(&mut record.user, user) {
                    self.users.remove(before);
                }
            }
        }
        record.last = record.last.max(login.last);
        // What is read late tells that it was listed earlier: a session that counts is never older.
        record.since = record.since.min(time);
        if login.opens {
            record.open += 1;
            if login.is_doubtful {
                record.doubt(1);
            }
        }
        record.changed(client, &mut self.changed);
        record.schedule(client, self.grace, &mut self.deadlines);
        is_new
    }

    /// Grace of a client counts from `time`, at least. Says whether it is listed at all.
    pub(super) fn touch(&mut self, client: Client, time: Moment) -> bool {
        self.change(client, |record| record.last = record.last.max(time))
    }

    /// A session has told its end, and grace counts from there. Says whether its client is listed at all.
    pub(super) fn session_ended(&mut self, end: EndOfSession) -> bool {
        self.change(end.client, |record| {
            record.last = record.last.max(end.time);
            record.close(end.since, end.is_doubtful);
        })
    }

    /// A session is over at the latest. If it may have been over before, and no other has held its
    /// client until now, nothing counts from here.
    pub(super) fn session_over(&mut self, end: EndOfSession) {
        self.change(end.client, |record| {
            if !end.is_doubtful || record.held() > 0 {
                record.last = record.last.max(end.time);
            }
            record.close(end.since, end.is_doubtful);
        });
    }

    /// A session is taken for none: it holds its client no longer, and grace does not count from its
    /// end, which nobody tells.
    pub(super) fn session_dropped(&mut self, end: EndOfSession) {
        self.change(end.client, |record| {
            record.close(end.since, end.is_doubtful)
        });
    }

    /// One of a client's doubtful sessions may have ended at `time`, from which on `more` of them are
    /// doubtful. Grace counts from there only if a session has held the client until now.
    pub(super) fn doubt(&mut self, client: Client, more: u32, time: Moment) {
        self.change(client, |record| {
            if record.held() > 0 {
                record.last = record.last.max(time);
            }
            record.doubt(more);
        });
    }

    fn change(&mut self, client: Client, change: impl FnOnce(&mut Record)) -> bool {
        let Some(record) = self.records.get_mut(&client) else {
            return false;
        };
        change(record);
        record.changed(client, &mut self.changed);
        record.schedule(client, self.grace, &mut self.deadlines);
        true
    }

    /// Another session of a client is open, as the store says, or may be. Says whether it is listed at
    /// all.
    pub(super) fn restore_session(
        &mut self,
        client: Client,
        since: Moment,
        is_doubtful: bool,
    ) -> bool {
        let Some(record) = self.records.get_mut(&client) else {
            return false;
        };
        // What is counted here is taken off when it ends.
        record.since = record.since.min(since);
        record.open += 1;
        // How many of the doubtful ones are over was not kept: all of them, then.
        if is_doubtful {
            record.doubt(1);
        }
        true
    }

    /// When the next deadline is to be looked at.
    pub(super) fn next_deadline(&self) -> Option<Moment> {
        self.deadlines.first()
    }

    /// Looks at the client whose deadline is next, and takes it out if its grace has ended.
    pub(super) fn expire_next(&mut self, now: Moment) -> Option<(Client, Listing<'static>)> {
        let (_, client) = self.deadlines.pop()?;
        let record = self.records.get_mut(&client)?;
        record.is_scheduled = false;
        if record.held() == 0 && record.last.plus(self.grace) <= now {
            let listing = self.get(client).map(Listing::into_owned)?;
            self.remove(client);
            return Some((client, listing));
        }
        record.schedule(client, self.grace, &mut self.deadlines);
        None
    }

    /// Takes clients out, and says how many were there.
    pub(super) fn remove_all(&mut self, clients: &HashSet<Client>) -> usize {
        let removed = clients.iter().filter(|client| self.remove(**client));
        let removed = removed.count();
        self.deadlines.retain(|_, client| !clients.contains(client));
        removed
    }

    /// Its deadline is for the caller to drop.
    fn remove(&mut self, client: Client) -> bool {
        let Some(record) = self.records.remove(&client) else {
            return false;
        };
        if let Some(user) = record.user {
            self.users.remove(user);
        }
        if record.is_stored && !record.is_changed {
            self.changed.add(client);
        }
        true
    }

    /// Nothing may have happened later than `now`. Deadlines are to be made anew.
    pub(super) fn clock_set(&mut self, now: Moment) {
        for (client, record) in &mut self.records {
            if record.last > now {
                record.last = now;
                record.last_login = record.last_login.min(now);
                record.since = record.since.min(now);
                record.changed(*client, &mut self.changed);
            }
        }
    }

    /// Makes all deadlines anew.
    pub(super) fn schedule_all(&mut self, grace: SignedDuration) {
        self.grace = grace;
        let scheduled = self.records.iter_mut().filter_map(|(client, record)| {
            record.is_scheduled = record.held() == 0;
            record
                .is_scheduled
                .then(|| (record.last.plus(grace), *client))
        });
        self.deadlines = scheduled.collect();
    }

    /// Until when a client is listed for its logins if nothing more is heard of it.
    pub(super) fn until(&self, listing: &Listing<'_>) -> Timestamp {
        Moment::from(listing.last).plus(self.grace).into()
    }

    /// The store is to be told of those that have changed since this was called last.
    pub(super) fn begin_telling(&mut self) {
        self.telling = std::mem::take(&mut self.changed);
    }

    /// How many the store is still to be told of.
    pub(super) fn to_tell(&self) -> usize {
        self.telling.len()
    }

    /// The next of those, in order. The store is told of them now.
    pub(super) fn tell(&mut self, at_most: usize) -> Vec<Client> {
        let told = self.telling.take(at_most);
        for client in &told {
            if let Some(record) = self.records.get_mut(client) {
                record.tell();
            }
        }
        told
    }

    /// Those of these that have changed since the store was told of them. It is told now.
    pub(super) fn tell_of(&mut self, clients: impl Iterator<Item = Client>) -> Vec<Client> {
        let has_changed = |client: &Client| {
            let record = self.records.get_mut(client);
            record.is_some_and(Record::tell)
        };
        clients.filter(has_changed).collect()
    }
}

impl Record {
    /// How many sessions hold the client: those that are open for certain.
    fn held(&self) -> u32 {
        self.open - self.lost
    }

    /// One end has been told, and not whose: so many sessions more are doubtful, and one of those
    /// that are may be over.
    fn doubt(&mut self, more: u32) {
        self.doubtful = (self.doubtful + more).min(self.open);
        self.lost = (self.lost + 1).min(self.doubtful);
    }

    /// A session is over that was opened at `since`.
    fn close(&mut self, since: Moment, is_doubtful: bool) {
        // One from before this listing was not counted: it was doubtful when the client went.
        if since < self.since {
            return;
        }
        self.open = self.open.saturating_sub(1);
        self.doubtful = self.doubtful.saturating_sub(u32::from(is_doubtful));
        self.doubtful = self.doubtful.min(self.open);
        self.lost = self.lost.min(self.doubtful);
    }

    /// The store is told of it now. Says whether it has changed since it was told last.
    fn tell(&mut self) -> bool {
        self.is_stored = true;
        std::mem::take(&mut self.is_changed)
    }

    fn changed(&mut self, client: Client, changed: &mut UntoldChanges<Client>) {
        if !std::mem::replace(&mut self.is_changed, true) {
            changed.add(client);
        }
    }

    fn schedule(
        &mut self,
        client: Client,
        grace: SignedDuration,
        deadlines: &mut Deadlines<Client>,
    ) {
        if self.held() == 0 && !std::mem::replace(&mut self.is_scheduled, true) {
            deadlines.add(self.last.plus(grace), client);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_client_takes_little_room() {
        assert_eq!(size_of::<Record>(), 48);
    }

    /// However often it logs in.
    #[test]
    fn a_client_has_one_deadline() {
        let mut clients = Clients::default();
        clients.schedule_all(SignedDuration::from_secs(1800));
        let client = "192.0.2.10".parse().unwrap();
        let time = |second: i64| Moment::from(Timestamp::from_second(second).unwrap());
        let login = |second, opens| Login {
            user: Some("alice"),
            server: "dovecot",
            source: Id::DEFAULT_SOURCE,
            time: time(second),
            last: time(second),
            opens,
            is_doubtful: false,
        };
        let end = |second| EndOfSession {
            client,
            since: time(second),
            time: time(second),
            is_doubtful: false,
        };
        for second in 0..10 {
            clients.login(client, &login(second, false));
            clients.login(client, &login(second, true));
            clients.session_ended(end(second));
        }
        assert_eq!(clients.deadlines.len(), 1);
        // It comes early, and is put off.
        assert_eq!(clients.next_deadline(), Some(time(1800)));
        assert_eq!(clients.expire_next(time(1808)), None);
        assert_eq!(clients.next_deadline(), Some(time(1809)));
        // A session is open when it is due: the session's end makes another one.
        clients.login(client, &login(1000, true));
        assert_eq!(clients.expire_next(time(5000)), None);
        assert_eq!(clients.next_deadline(), None);
        clients.session_ended(end(6000));
        assert_eq!(clients.next_deadline(), Some(time(7800)));
        assert!(clients.expire_next(time(7800)).is_some());
        assert_eq!(clients.deadlines.len(), 0);
        assert!(clients.is_empty());
    }

    /// Tells the store of some of what has changed. Says whether that was the last.
    fn tell(
        clients: &mut Clients,
        stored: &mut BTreeMap<Client, Listing<'static>>,
        at_most: usize,
    ) -> bool {
        if clients.to_tell() == 0 {
            clients.begin_telling();
        }
        for client in clients.tell(at_most) {
            match clients.get(client) {
                Some(listing) => stored.insert(client, listing.into_owned()),
                None => stored.remove(&client),
            };
        }
        clients.to_tell() == 0
    }

    proptest! {
        #[test]
        fn the_store_hears_of_all_whatever_changes_meanwhile(
            steps in prop::collection::vec((0..9u8, 0..4u8), 0..80)
        ) {
            let mut clients = Clients::default();
            let mut stored = BTreeMap::new();
            for (second, (what, n)) in (0..).zip(steps) {
                let client: Client = format!("192.0.2.{n}").parse().unwrap();
                let time = Moment::from(Timestamp::from_second(second).unwrap());
                let user = ["alice", "bob"][usize::from(n % 2)];
                let login = Login {
                    user: (what > 0).then_some(user),
                    server: "dovecot",
            source: Id::DEFAULT_SOURCE,
                    time,
                    last: time,
                    opens: false,
                    is_doubtful: false,
                };
                match what {
                    0..4 => {
                        clients.login(client, &login);
                    }
                    4 => {
                        clients.touch(client, time);
                    }
                    5 => {
                        clients.remove_all(&[client].into());
                    }
                    _ => {
                        tell(&mut clients, &mut stored, n.into());
                    }
                }
            }
            while !tell(&mut clients, &mut stored, 1) {}
            tell(&mut clients, &mut stored, usize::MAX);
            let there = clients.iter().map(|(client, l)| (client, l.into_owned()));
            prop_assert_eq!(there.collect::<BTreeMap<_, _>>(), stored);
            let users = clients.users.clients("alice") + clients.users.clients("bob");
            prop_assert_eq!(users, clients.iter().filter(|(_, l)| l.user.is_some()).count());
            prop_assert_eq!(clients.deadlines.len(), clients.len());
        }
    }
}
