//! The whitelist: the clients that may relay now, and the rules by which they come and go.
//!
//! A pure state machine: events and the time go in, outcomes come out. It reads no clock, no file
//! and no journal. Applying an event twice changes nothing.

mod by_hand;
mod deadlines;
mod manual;
mod outcome;
mod record;
mod rules;
mod users;

pub use by_hand::{Listed, NotAllowed};
pub use manual::{
    Grant, LONGEST_GRANT, LONGEST_NOTE, MANUAL, Manual, NotANetwork, Revocation, Scope,
    TooManyRevocations,
};
pub use outcome::{Delta, Outcome};
pub use record::{Listing, Session};
pub use rules::{Refusal, Rules};

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::client::Client;
use crate::event::{Event, EventKind, SessionKey};
use deadlines::{Deadline, Deadlines};
use users::Users;

/// How far ahead of the clock an entry may be: less than this is a clock being corrected.
const FUTURE_TOLERANCE: SignedDuration = SignedDuration::from_secs(60);

/// How long the end of a session is remembered. A short session's end can be written before its
/// login (Dovecot's processes log through separate pipes), and must end it nevertheless.
const END_REMEMBERED: SignedDuration = SignedDuration::from_secs(60);

/// The clients that may relay now, their sessions, and when each comes to an end.
#[derive(Debug)]
pub struct Whitelist {
    rules: Rules,
    clients: BTreeMap<Client, Listing>,
    sessions: HashMap<SessionKey, Session>,
    open_sessions: usize,
    users: Users,
    deadlines: Deadlines,
    ended: VecDeque<(Timestamp, SessionKey)>,
    generation: u64,
    changed_clients: HashSet<Client>,
    changed_sessions: HashSet<SessionKey>,
    manual: Manual,
    manual_changed: bool,
}

impl Whitelist {
    /// An empty whitelist.
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        Whitelist {
            rules,
            clients: BTreeMap::new(),
            sessions: HashMap::new(),
            open_sessions: 0,
            users: Users::default(),
            deadlines: Deadlines::default(),
            ended: VecDeque::new(),
            generation: 0,
            changed_clients: HashSet::new(),
            changed_sessions: HashSet::new(),
            manual: Manual::default(),
            manual_changed: false,
        }
    }

    /// The whitelist that the store kept. What has expired since is still in it: call
    /// [`Whitelist::set_rules`] and [`Whitelist::expire`] before anything is published.
    pub fn restore(
        rules: Rules,
        clients: impl IntoIterator<Item = (Client, Listing)>,
        sessions: impl IntoIterator<Item = (SessionKey, Session)>,
    ) -> Self {
        let mut whitelist = Whitelist::new(rules);
        for (client, mut listing) in clients {
            listing.open = 0;
            listing.user = listing.user.map(|user| whitelist.users.name(&user));
            whitelist.users.add(listing.user.as_ref());
            whitelist.clients.insert(client, listing);
        }
        for (key, session) in sessions {
            match (session.ended, session.client) {
                (Some(ended), _) => whitelist.ended.push_back((ended, key.clone())),
                (None, client) => {
                    // An open session keeps its client listed; one without a client is nobody's.
                    let Some(listing) = client.and_then(|c| whitelist.clients.get_mut(&c)) else {
                        whitelist.changed_sessions.insert(key);
                        continue;
                    };
                    listing.open += 1;
                    whitelist.open_sessions += 1;
                }
            }
            whitelist.sessions.insert(key, session);
        }
        whitelist.ended.make_contiguous().sort();
        whitelist.schedule_all();
        whitelist
    }

    /// Takes other rules: clients that they do not admit are removed, deadlines move.
    pub fn set_rules(&mut self, rules: Rules) -> Vec<(Client, Refusal)> {
        self.rules = rules;
        let refused: Vec<_> = self
            .listed_after(None)
            .filter_map(|l| Some((l.client, self.rules.admit(l.client).err()?)))
            .collect();
        let clients: HashSet<Client> = refused.iter().map(|(client, _)| *client).collect();
        self.unlist_whole(&clients);
        let by_hand = self.manual.grants.len();
        self.manual.grants.retain(|c, _| !clients.contains(c));
        if by_hand != self.manual.grants.len() {
            self.manual_changed = true;
            self.generation += 1;
        }
        self.schedule_all();
        refused
    }

    /// Applies an event; `now` is the clock's time.
    pub fn apply(&mut self, event: &Event, now: Timestamp) -> Outcome {
        self.forget_ends(now);
        let time = event.time.min(now);
        match &event.kind {
            EventKind::Login {
                client,
                user,
                session,
            } => {
                if event.time > later(now, FUTURE_TOLERANCE) {
                    return Outcome::Refused(*client, Refusal::Future);
                }
                let key = session.as_ref().map(|id| SessionKey {
                    server: event.server.clone(),
                    id: id.as_str().into(),
                });
                match self.login(*client, user.as_deref(), &event.server, key, time, now) {
                    Ok(outcome) => outcome,
                    Err(refusal) => Outcome::Refused(*client, refusal),
                }
            }
            EventKind::Logout {
                client,
                session,
                login_may_follow,
                ..
            } => {
                let key = session.as_ref().map(|id| SessionKey {
                    server: event.server.clone(),
                    id: id.as_str().into(),
                });
                match key {
                    Some(key) => self.logout(&key, time, *login_may_follow),
                    None => self.unnamed_logout(*client, &event.server, time),
                }
            }
            EventKind::Start => {
                let ended = self.end_sessions(time, |key| key.server == event.server);
                if ended == 0 {
                    Outcome::Nothing
                } else {
                    Outcome::Restarted(ended)
                }
            }
        }
    }

    fn login(
        &mut self,
        client: Client,
        user: Option<&str>,
        server: &Arc<str>,
        key: Option<SessionKey>,
        time: Timestamp,
        now: Timestamp,
    ) -> Result<Outcome, Refusal> {
        self.rules.admit(client)?;
        if self.manual.revoked(client, user, server, time).is_some() {
            return Err(Refusal::Revoked);
        }
        // What this login is good for: how long it counts, and whether it opens a session.
        let known = key.as_ref().and_then(|key| self.sessions.get(key));
        let (last, opens) = match known {
            // Its end was written before it, or it is read again.
            Some(Session {
                ended: Some(ended),
                client,
                ..
            }) if client.is_none() || time <= *ended => (time.max(*ended), false),
            Some(Session {
                ended: None, since, ..
            }) if time <= *since => (time, false),
            // A new session, or one under an id that is used anew (a pid).
            _ => {
                // One that would be over by now, read late: its logout comes later still, and can
                // have been at any time.
                let is_over = later(time, self.rules.max_session) <= now;
                let has_room = self.open_sessions < self.rules.limits.sessions;
                (time, key.is_some() && has_room && !is_over)
            }
        };
        let is_new = !self.clients.contains_key(&client);
        if is_new {
            if !opens && later(last, self.rules.grace) <= now {
                return Err(Refusal::Stale);
            }
            if self.clients.len() >= self.rules.limits.clients {
                return Err(Refusal::TooManyClients);
            }
        }
        let of_same_user = self
            .clients
            .get(&client)
            .is_some_and(|l| l.user.as_deref() == user);
        if let Some(user) = user
            && !of_same_user
            && self.users.clients(user) >= self.rules.limits.clients_per_user
        {
            return Err(Refusal::TooManyClientsOfUser);
        }

        let name = user
            .filter(|_| !of_same_user)
            .map(|user| self.users.name(user));
        if let Some(key) = key.as_ref().filter(|_| opens) {
            self.end(key, time);
        }
        self.unschedule(client);
        let listing = self.clients.entry(client).or_insert_with(|| Listing {
            since: time,
            last_login: time,
            last,
            user: None,
            server: server.clone(),
            open: 0,
        });
        let mut previous_user = None;
        if is_new || time >= listing.last_login {
            listing.last_login = time;
            if listing.server != *server {
                listing.server = server.clone();
            }
            if listing.user.as_deref() != user {
                previous_user = Some(std::mem::replace(&mut listing.user, name.clone()));
            }
        }
        listing.last = listing.last.max(last);
        if opens {
            listing.open += 1;
        }
        if let Some(previous) = previous_user {
            self.users.remove(previous.as_ref());
            self.users.add(name.as_ref());
        }
        if let Some(key) = key.filter(|_| opens) {
            self.open_sessions += 1;
            let ends = later(time, self.rules.max_session);
            self.deadlines.add_session(ends, key.clone());
            self.changed_sessions.insert(key.clone());
            self.sessions.insert(
                key,
                Session {
                    client: Some(client),
                    since: time,
                    ended: None,
                },
            );
        }
        self.changed_clients.insert(client);
        self.schedule(client);
        if is_new {
            self.generation += 1;
            Ok(Outcome::Added(client))
        } else {
            Ok(Outcome::Prolonged(client))
        }
    }

    /// A session has ended, and its server does not say which. All that it has open end: what is
    /// left of them can't be told from what has ended, and grace counts from now.
    fn unnamed_logout(
        &mut self,
        client: Option<Client>,
        server: &Arc<str>,
        time: Timestamp,
    ) -> Outcome {
        let ended = self.end_sessions(time, |key| key.server == *server);
        match client.filter(|client| self.touch(*client, time, 0)) {
            Some(client) => Outcome::Ended(client),
            None if ended > 0 => Outcome::Unfollowed(ended),
            None => Outcome::Nothing,
        }
    }

    fn logout(&mut self, key: &SessionKey, time: Timestamp, login_may_follow: bool) -> Outcome {
        match self.sessions.get(key) {
            Some(Session {
                ended: None,
                client,
                ..
            }) => {
                let client = *client;
                self.end(key, time);
                client.map_or(Outcome::Nothing, Outcome::Ended)
            }
            // Of a client that is never listed, say. What comes next under this id is another session.
            None if !login_may_follow => Outcome::Nothing,
            Some(_) => Outcome::Nothing,
            None => {
                self.remember_end(
                    key,
                    Session {
                        client: None,
                        since: time,
                        ended: Some(time),
                    },
                );
                Outcome::Nothing
            }
        }
    }

    /// Ends an open session at `time`.
    fn end(&mut self, key: &SessionKey, time: Timestamp) {
        let open = self.sessions.get(key).filter(|s| s.ended.is_none());
        let Some(mut session) = open.cloned() else {
            return;
        };
        let scheduled = later(session.since, self.rules.max_session);
        self.deadlines.remove_session(scheduled, key.clone());
        self.open_sessions -= 1;
        session.ended = Some(time);
        if let Some(client) = session.client {
            self.touch(client, time, 1);
        }
        self.remember_end(key, session);
    }

    fn remember_end(&mut self, key: &SessionKey, session: Session) {
        self.ended
            .push_back((session.ended.unwrap_or(session.since), key.clone()));
        self.changed_sessions.insert(key.clone());
        self.sessions.insert(key.clone(), session);
    }

    /// Grace of a listed client counts from `time`, and `ended` of its sessions are over.
    fn touch(&mut self, client: Client, time: Timestamp, ended: u32) -> bool {
        self.unschedule(client);
        let Some(listing) = self.clients.get_mut(&client) else {
            return false;
        };
        listing.last = listing.last.max(time);
        listing.open = listing.open.saturating_sub(ended);
        self.changed_clients.insert(client);
        self.schedule(client);
        true
    }

    /// Ends the open sessions that `which` names and that were opened before `time`.
    fn end_sessions(&mut self, time: Timestamp, which: impl Fn(&SessionKey) -> bool) -> usize {
        let keys: Vec<_> = self
            .sessions
            .iter()
            .filter(|(key, s)| s.ended.is_none() && s.since <= time && which(key))
            .map(|(key, _)| key.clone())
            .collect();
        for key in &keys {
            self.end(key, time);
        }
        keys.len()
    }

    /// The host has started at `boot`: no session is older than that. Returns how many ended.
    pub fn end_sessions_before(&mut self, boot: Timestamp) -> usize {
        self.end_sessions(boot, |_| true)
    }

    /// Does what is due at `now`, and returns the clients that are no longer listed. It is done
    /// after `at_most` deadlines, so that a million that come at once hold up nothing else for
    /// long: while more is due, [`Whitelist::next_deadline`] is not later than `now`.
    pub fn expire(&mut self, now: Timestamp, at_most: usize) -> Vec<(Client, Listing)> {
        self.forget_ends(now);
        let mut removed = Vec::new();
        for _ in 0..at_most {
            let Some((time, deadline)) = self.deadlines.pop_due(now) else {
                break;
            };
            match deadline {
                Deadline::Session(key) => self.end(&key, time),
                Deadline::Client(client) => {
                    if let Some(listing) = self.unlist(client) {
                        removed.push((client, listing));
                    }
                }
            }
        }
        removed
    }

    /// The clock was set: nothing may have happened later than `now`, or it would count for longer
    /// than grace.
    pub fn clock_set(&mut self, now: Timestamp) {
        for (client, listing) in &mut self.clients {
            if listing.last > now {
                listing.last = now;
                listing.last_login = listing.last_login.min(now);
                listing.since = listing.since.min(now);
                self.changed_clients.insert(*client);
            }
        }
        for (key, session) in &mut self.sessions {
            if session.since > now || session.ended.is_some_and(|ended| ended > now) {
                session.since = session.since.min(now);
                session.ended = session.ended.map(|ended| ended.min(now));
                self.changed_sessions.insert(key.clone());
            }
        }
        for (ended, _) in &mut self.ended {
            *ended = (*ended).min(now);
        }
        self.manual_changed |= self.manual.clock_set(now);
        self.schedule_all();
    }

    /// When [`Whitelist::expire`] or [`Whitelist::expire_manual`] has something to do next.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        let first = self.deadlines.first();
        first.into_iter().chain(self.manual.next_deadline()).min()
    }

    /// Until when a client is listed for its logins if nothing more is heard of it.
    #[must_use]
    pub fn until(&self, listing: &Listing) -> Timestamp {
        later(listing.last, self.rules.grace)
    }

    /// The clients that are listed for their logins, in order.
    pub fn clients(&self) -> impl Iterator<Item = (Client, &Listing)> {
        self.clients
            .iter()
            .map(|(client, listing)| (*client, listing))
    }

    /// Those from the first that is greater than `after`, in order.
    pub fn clients_after(&self, after: Option<Client>) -> impl Iterator<Item = (Client, &Listing)> {
        use std::ops::Bound::{Excluded, Unbounded};
        let start = after.map_or(Unbounded, Excluded);
        self.clients
            .range((start, Unbounded))
            .map(|(client, listing)| (*client, listing))
    }

    /// What the logins of a client have come to, if they list it.
    #[must_use]
    pub fn get(&self, client: Client) -> Option<&Listing> {
        self.clients.get(&client)
    }

    /// All sessions that are remembered, open or ended a moment ago.
    pub fn sessions(&self) -> impl Iterator<Item = (&SessionKey, &Session)> {
        self.sessions.iter()
    }

    /// How many clients are listed.
    #[must_use]
    pub fn len(&self) -> usize {
        let by_hand = self.manual.grants.keys();
        self.clients.len() + by_hand.filter(|c| !self.clients.contains_key(c)).count()
    }

    /// Whether nobody is listed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.clients.is_empty() && self.manual.grants.is_empty()
    }

    /// How many sessions are open.
    #[must_use]
    pub fn open_sessions(&self) -> usize {
        self.open_sessions
    }

    /// Grows whenever the set of listed clients changes.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// What has changed since the last call, for the store.
    pub fn take_delta(&mut self) -> Delta {
        let clients = std::mem::take(&mut self.changed_clients);
        let sessions = std::mem::take(&mut self.changed_sessions);
        Delta {
            clients: clients
                .into_iter()
                .map(|client| (client, self.clients.get(&client).cloned()))
                .collect(),
            sessions: sessions
                .into_iter()
                .map(|key| {
                    let session = self.sessions.get(&key).cloned();
                    (key, session)
                })
                .collect(),
        }
    }

    /// The deadline of a client itself: none while a session of its is open.
    fn deadline_of(&self, client: Client) -> Option<Timestamp> {
        let listing = self
            .clients
            .get(&client)
            .filter(|listing| listing.open == 0)?;
        Some(self.until(listing))
    }

    fn schedule(&mut self, client: Client) {
        if let Some(deadline) = self.deadline_of(client) {
            self.deadlines.add_client(deadline, client);
        }
    }

    fn unschedule(&mut self, client: Client) {
        if let Some(deadline) = self.deadline_of(client) {
            self.deadlines.remove_client(deadline, client);
        }
    }

    fn schedule_all(&mut self) {
        let clients = self
            .clients
            .keys()
            .filter_map(|client| Some((self.deadline_of(*client)?, *client)));
        let sessions = self
            .sessions
            .iter()
            .filter(|(_, s)| s.ended.is_none())
            .map(|(key, s)| (later(s.since, self.rules.max_session), key.clone()));
        self.deadlines = Deadlines::new(sessions, clients);
    }

    fn unlist(&mut self, client: Client) -> Option<Listing> {
        self.unschedule(client);
        let listing = self.clients.remove(&client)?;
        self.users.remove(listing.user.as_ref());
        self.changed_clients.insert(client);
        self.generation += 1;
        Some(listing)
    }

    fn forget_ends(&mut self, now: Timestamp) {
        while let Some((ended, _)) = self.ended.front()
            && later(*ended, END_REMEMBERED) <= now
        {
            if let Some((_, key)) = self.ended.pop_front()
                && self.sessions.get(&key).is_some_and(|s| s.ended.is_some())
            {
                self.sessions.remove(&key);
                self.changed_sessions.insert(key);
            }
        }
    }
}

/// `time` plus `duration`, or the end of time.
fn later(time: Timestamp, duration: SignedDuration) -> Timestamp {
    time.checked_add(duration).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests;
