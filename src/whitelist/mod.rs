//! The whitelist: the clients that may relay now, and the rules by which they come and go.
//!
//! A pure state machine: events and the time go in, outcomes come out. It reads no clock, no file
//! and no journal. Applying an event twice changes nothing.

mod by_hand;
mod clients;
mod deadlines;
mod delta;
mod ends;
mod manual;
mod moment;
mod outcome;
mod record;
mod rules;

mod servers;
mod sessions;
mod untold_changes;
mod users;

pub use by_hand::{Listed, NotAllowed};
pub use clients::{Clients, KeptClients};
pub use delta::Delta;
pub use ends::{Ends, EndsOfServer, Untold};
pub use manual::{
    Grant, LONGEST_GRANT, LONGEST_NOTE, MANUAL, Manual, NotANetwork, Revocation, Scope,
    TooManyRevocations, network,
};
pub use outcome::Outcome;
pub use record::{Listing, Session, SessionKey};
pub use rules::{Refusal, Rules};
pub use sessions::Sessions;

use std::collections::{HashMap, HashSet};

use jiff::{SignedDuration, Timestamp};

use crate::client::Client;
use crate::event::{Event, EventKind};
use crate::origin::{Host, Id, Origin};
use clients::{EndOfSession, Login};
use moment::Moment;
use record::longest_in_seconds;
use sessions::{Begin, Ended, Known, Which};

/// How far ahead of the clock an entry may be: less than this is a clock being corrected.
pub const FUTURE_TOLERANCE: SignedDuration = SignedDuration::from_secs(60);

/// How many ends of sessions are forgotten with each event: more than it can add, and not a million
/// at once.
const FORGOTTEN: usize = 4;

/// For how long a login may be written after the end of its session, where that is lost: it is the
/// time that lines of one session take to overtake each other.
const LOST_BEFORE_LOGIN: SignedDuration = SignedDuration::from_secs(5);

/// For how many hosts the last boot is remembered.
const HOSTS: usize = 1000;

/// The clients that may relay now, their sessions, and when each comes to an end.
#[derive(Debug)]
pub struct Whitelist {
    rules: Rules,
    clients: Clients,
    sessions: Sessions,
    ends: Ends,
    /// The last boot of each host that was heard of.
    boots: HashMap<Host, Origin>,
    generation: u64,
    manual: Manual,
    manual_changed: bool,
}

impl Whitelist {
    /// An empty whitelist.
    #[must_use]
    pub fn new(rules: Rules) -> Self {
        Whitelist::restore(rules, Clients::default(), Sessions::default())
    }

    /// The whitelist that the store kept. What has expired since is still in it: call
    /// [`Whitelist::set_rules`] and [`Whitelist::expire`] before anything is published.
    #[must_use]
    pub fn restore(rules: Rules, mut clients: Clients, mut sessions: Sessions) -> Self {
        sessions.restore(|client, since, is_doubtful| {
            clients.restore_session(client, since, is_doubtful)
        });
        let mut whitelist = Whitelist {
            rules,
            clients,
            sessions,
            ends: Ends::default(),
            boots: HashMap::new(),
            generation: 0,
            manual: Manual::default(),
            manual_changed: false,
        };
        whitelist.schedule_all();
        whitelist
    }

    /// Takes other rules: clients that they do not admit are removed, deadlines move.
    pub fn set_rules(&mut self, rules: Rules) -> Vec<(Client, Refusal)> {
        self.rules = rules;
        let refused: Vec<_> = self
            .addresses()
            .filter_map(|client| Some((client, self.rules.admit(client).err()?)))
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
        let (event_time, now) = (Moment::from(event.time), Moment::from(now));
        self.sessions.forget_ends(now, FORGOTTEN);
        let time = event_time.min(now);
        self.hear_of_boot(event.origin, time);
        match &event.kind {
            EventKind::Login {
                client,
                user,
                session,
            } => {
                if event_time > now.plus(FUTURE_TOLERANCE) {
                    return Outcome::Refused(*client, Refusal::Future);
                }
                match self.login(
                    event,
                    *client,
                    user.as_deref(),
                    session.as_deref(),
                    time,
                    now,
                ) {
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
                self.ends.told(event, time);
                match key_of(event, session.as_deref()) {
                    Some(key) => self.logout(key, time, now, *login_may_follow),
                    None => self.unnamed_logout(event, *client, time),
                }
            }
            // One that is read again has been told already.
            EventKind::LostLogout if !self.ends.lost(event, time) => Outcome::Nothing,
            EventKind::LostLogout => self.lost_logout(event, time),
            EventKind::Start => match self.end_opened_by(time, of_server(event)) {
                0 => Outcome::Nothing,
                ended => Outcome::Restarted(ended),
            },
        }
    }

    /// A host that speaks from another boot has started anew: no session is older than that.
    fn hear_of_boot(&mut self, origin: Origin, time: Moment) {
        // What is forgotten is looked for once more. Whoever may pass lines on can name ever new hosts.
        if self.boots.len() >= HOSTS && !self.boots.contains_key(&origin.host) {
            self.boots.clear();
        }
        if origin.is_known() && self.boots.insert(origin.host, origin) != Some(origin) {
            self.end_opened_by(time, Which::OfFormerBoots(origin));
        }
    }

    fn login(
        &mut self,
        event: &Event,
        client: Client,
        user: Option<&str>,
        session: Option<&str>,
        time: Moment,
        now: Moment,
    ) -> Result<Outcome, Refusal> {
        let (server, protocol) = (&*event.server, event.protocol);
        // One whose end nobody will tell would stay open.
        let key = key_of(event, session).filter(|_| !self.ends.are_untold(event));
        self.rules.admit(client)?;
        let revoked = (self.manual).revoked(client, user, server, event.time, now.into());
        if revoked.is_some() {
            return Err(Refusal::Revoked);
        }
        // What this login is good for: how long it counts, and whether it opens a session.
        let known = key.and_then(|key| self.sessions.get(key, time));
        let (last, opens) = match known {
            // It is read again.
            Some(Known {
                ended: Some(ended),
                client: Some(of),
                is_doubtful: false,
                ..
            }) if of == client && time <= ended => (ended, false),
            // Its end was written before it; or the id has been used anew since, and it is read again.
            Some(Known {
                ended: Some(ended),
                client: of,
                ..
            }) if of.is_none() || time <= ended => (time, false),
            Some(Known {
                ended: None, since, ..
            }) if time <= since => (time, false),
            // A new session, or one under an id that is used anew (a pid).
            _ => {
                // One that would be over by now, read late: its logout comes later still, and can
                // have been at any time.
                let longest = event.longest_session.unwrap_or(self.rules.max_session);
                let is_over = time.plus(longest.min(self.rules.max_session)) <= now;
                let has_room = self.sessions.open() < self.rules.limits.sessions;
                let has_room = has_room && key.is_some_and(|key| self.sessions.has_room_for(key));
                (time, has_room && !is_over)
            }
        };
        let listed = self.clients.user(client);
        if listed.is_none() {
            if !opens && last.plus(self.rules.grace) <= now {
                return Err(Refusal::Stale);
            }
            if self.clients.len() >= self.rules.limits.clients {
                return Err(Refusal::TooManyClients);
            }
        }
        if let Some(user) = user
            && listed != Some(Some(user))
            && self.clients.of_user(user) >= self.rules.limits.clients_per_user
        {
            return Err(Refusal::TooManyClientsOfUser);
        }
        if let Some(known) = known.filter(|_| opens) {
            self.end(known.slot, time);
        }
        let is_doubtful = opens && self.ends.was_lost_before(event, time);
        let login = Login {
            user,
            server,
            source: event.origin.host.source,
            time,
            last,
            opens,
            is_doubtful,
        };
        let is_new = self.clients.login(client, &login);
        if let Some(key) = key.filter(|_| opens) {
            let begin = Begin {
                client,
                since: time,
                protocol,
                longest: longest_in_seconds(event.longest_session),
                is_doubtful,
            };
            self.sessions.begin(key, begin);
            self.ends.opened(event);
        }
        if is_new {
            self.generation += 1;
            Ok(Outcome::Added(client))
        } else {
            Ok(Outcome::Prolonged(client))
        }
    }

    /// A session has ended, and its server does not say which. All that it has open end: what is
    /// left of them can't be told from what has ended, and grace counts from now.
    fn unnamed_logout(&mut self, event: &Event, client: Option<Client>, time: Moment) -> Outcome {
        let ended = self.end_opened_by(time, of_server(event));
        match client.filter(|client| self.clients.touch(*client, time)) {
            Some(client) => Outcome::Ended(client),
            None if ended > 0 => Outcome::Unfollowed(ended),
            None => Outcome::Nothing,
        }
    }

    /// A session has ended, and its server has lost its name. Each that is open under its protocol may
    /// be the one, and only one of them is: a client stays held by all of its sessions but one, and
    /// grace of whoever is held by none counts from now. When one of them tells that it has ended only
    /// later, grace counts from then.
    fn lost_logout(&mut self, event: &Event, time: Moment) -> Outcome {
        let which = Which::OfProtocol(event.origin, &event.server, event.protocol);
        let doubtful = self.sessions.doubt(which, time);
        let mut of_clients: HashMap<Client, u32> = HashMap::new();
        for (client, is_new) in &doubtful {
            *of_clients.entry(*client).or_default() += u32::from(*is_new);
        }
        for (client, more) in of_clients {
            self.clients.doubt(client, more, time);
        }
        match doubtful.len() {
            0 => Outcome::Nothing,
            sessions => Outcome::Doubtful(sessions),
        }
    }

    fn logout(
        &mut self,
        key: SessionKey<'_>,
        time: Moment,
        now: Moment,
        login_may_follow: bool,
    ) -> Outcome {
        match self.sessions.get(key, time) {
            Some(known) => self
                .end(known.slot, time)
                .map_or(Outcome::Nothing, Outcome::Ended),
            // Of a client that is never listed, say. What comes next under this id is another session.
            None if !login_may_follow || !self.sessions.has_room_for(key) => Outcome::Nothing,
            None => {
                self.sessions.remember_end(key, time, now);
                Outcome::Nothing
            }
        }
    }

    /// Ends a session at `time`, if it is open. Says whose it was.
    fn end(&mut self, session: sessions::Slot, time: Moment) -> Option<Client> {
        let ended = self.sessions.end(session, time)?;
        self.clients.session_ended(end_of(ended, time));
        Some(ended.client)
    }

    fn presume_over(&mut self, session: sessions::Slot, time: Moment) {
        if let Some(ended) = self.sessions.end(session, time) {
            self.clients.session_over(end_of(ended, time));
        }
    }

    /// Ends the open sessions among these that were opened by `time`.
    fn end_opened_by(&mut self, time: Moment, which: Which<'_>) -> usize {
        let open = self.sessions.opened_by(time, which);
        for session in &open {
            self.presume_over(*session, time);
        }
        open.len()
    }

    /// A host has started at `boot`: none of its sessions is older than that, and none of its containers'.
    /// Returns how many ended.
    /// By the time, as a sandbox may show another id of the boot than journald writes.
    pub fn end_sessions_before(&mut self, boot: Timestamp, host: Host) -> usize {
        self.end_opened_by(boot.into(), Which::OfMachine(host))
    }

    /// Other sources than these are no longer read, and nobody hears of the ends of their sessions:
    /// grace counts from their logins. Returns how many ended.
    pub fn forget_other_sources(&mut self, sources: &[Id], now: Timestamp) -> usize {
        self.ends.forget_other_sources(sources);
        self.drop_sessions(Which::OfOtherSources(sources), now.into())
    }

    /// Other servers than these are no longer heard, or not all that they write: the same for their sessions.
    pub fn forget_other_servers(&mut self, servers: &[&str], now: Timestamp) -> usize {
        self.ends.forget_other_servers(servers);
        self.drop_sessions(Which::OfOtherServers(servers), now.into())
    }

    fn drop_sessions(&mut self, which: Which<'_>, now: Moment) -> usize {
        let open = self.sessions.opened_by(now, which);
        for session in &open {
            if let Some(ended) = self.sessions.forget(*session) {
                self.clients.session_dropped(end_of(ended, now));
            }
        }
        open.len()
    }

    /// Nobody hears of logouts any more: all sessions end.
    pub fn end_all_sessions(&mut self, now: Timestamp) {
        self.end_opened_by(now.into(), Which::All);
    }

    /// Does what is due at `now`, and returns the clients that are no longer listed. It is done
    /// after `at_most` deadlines, so that a million that come at once hold up nothing else for
    /// long: while more is due, [`Whitelist::next_deadline`] is not later than `now`.
    pub fn expire(&mut self, now: Timestamp, at_most: usize) -> Vec<(Client, Listing<'static>)> {
        let now = Moment::from(now);
        self.sessions.forget_ends(now, at_most);
        let mut removed = Vec::new();
        for _ in 0..at_most {
            let is_due = |time: &Moment| *time <= now;
            let session = self.sessions.next_deadline().filter(is_due);
            let client = self.clients.next_deadline().filter(is_due);
            match (session, client) {
                (None, None) => break,
                // Sessions before clients: the end of one may be what a client's grace counts from.
                (Some(session), client) if client.is_none_or(|client| session <= client) => {
                    if let Some((time, ended)) = self.sessions.expire_next() {
                        self.session_ran_out(ended, time);
                    }
                }
                _ => removed.extend(self.clients.expire_next(now)),
            }
        }
        self.generation += removed.len() as u64;
        removed
    }

    /// A session has lasted for as long as it can. A server that has told no end meanwhile, of this
    /// session or another, again and again, tells none: what seems to be open there is nothing.
    fn session_ran_out(&mut self, ended: Ended, time: Moment) {
        self.clients.session_over(end_of(ended, time));
        let (host, server) = self.sessions.server(ended.server);
        let is_untold = !ended.is_doubtful
            && (self.ends).ran_out(host, server, ended.protocol, ended.since, time);
        if !is_untold {
            return;
        }
        let server = server.to_owned();
        let which = Which::OfServer(host, &server);
        for slot in self.sessions.opened_by(time, which) {
            if let Some(other) = self.sessions.end_if_of(slot, ended.protocol, time) {
                self.clients.session_dropped(end_of(other, time));
            }
        }
    }

    /// What is known of the servers that don't tell the ends of their sessions.
    #[must_use]
    pub fn ends(&self) -> &Ends {
        &self.ends
    }

    /// The same, to be told of it, or to take it to the store.
    pub fn ends_mut(&mut self) -> &mut Ends {
        &mut self.ends
    }

    /// The clock was set: nothing may have happened later than `now`, or it would count for longer
    /// than grace.
    pub fn clock_set(&mut self, now: Timestamp) {
        self.ends.clock_set(now.into());
        self.clients.clock_set(now.into());
        self.sessions.clock_set(now.into());
        self.manual_changed |= self.manual.clock_set(now);
        self.schedule_all();
    }

    /// When [`Whitelist::expire`] or [`Whitelist::expire_manual`] is to be called next: there may
    /// be nothing to do then, but before that there is not.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        let logins = self.sessions.next_deadline().into_iter();
        let logins = logins.chain(self.clients.next_deadline()).map(Into::into);
        logins.chain(self.manual.next_deadline()).min()
    }

    /// Until when a client is listed for its logins if nothing more is heard of it.
    #[must_use]
    pub fn until(&self, listing: &Listing<'_>) -> Timestamp {
        self.clients.until(listing)
    }

    /// The clients that are listed for their logins, in order.
    pub fn clients(&self) -> impl Iterator<Item = (Client, Listing<'_>)> {
        self.clients.iter()
    }

    /// What the logins of a client have come to, if they list it.
    #[must_use]
    pub fn get(&self, client: Client) -> Option<Listing<'_>> {
        self.clients.get(client)
    }

    /// All sessions that are remembered, open or ended a moment ago.
    pub fn sessions(&self) -> impl Iterator<Item = (SessionKey<'_>, Session)> {
        self.sessions.iter()
    }

    /// How many clients are listed.
    #[must_use]
    pub fn len(&self) -> usize {
        let by_hand = self.manual.grants.keys();
        self.clients.len() + by_hand.filter(|c| !self.clients.contains(**c)).count()
    }

    /// Whether nobody is listed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.clients.is_empty() && self.manual.grants.is_empty()
    }

    /// How many sessions are open.
    #[must_use]
    pub fn open_sessions(&self) -> usize {
        self.sessions.open()
    }

    /// Grows whenever the set of listed clients changes.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// What has changed since the last call, for the store. If that is more than `at_most` records,
    /// the first of them, in their order; calls that follow yield the others, as they are then, and
    /// nothing that changes meanwhile, until one says that it is the last.
    ///
    /// A session comes in none before its client, and with it if that has changed since: where its end is
    /// known, it is known of its client. These may be as many again as `at_most`.
    pub fn take_delta(&mut self, at_most: usize) -> Delta<'_> {
        if self.clients.to_tell() + self.sessions.to_tell() == 0 {
            self.clients.begin_telling();
            self.sessions.begin_telling();
        }
        let mut clients = self.clients.tell(at_most);
        let sessions = self.sessions.tell(at_most - clients.len());
        let of_sessions = self.clients.tell_of(self.sessions.clients_of(&sessions));
        clients.extend(of_sessions);
        clients.sort_unstable();
        Delta {
            is_last: self.clients.to_tell() + self.sessions.to_tell() == 0,
            all_clients: &self.clients,
            all_sessions: &self.sessions,
            clients,
            sessions,
        }
    }

    fn schedule_all(&mut self) {
        self.clients.schedule_all(self.rules.grace);
        self.sessions.schedule_all(self.rules.max_session);
    }
}

fn key_of<'a>(event: &'a Event, session: Option<&'a str>) -> Option<SessionKey<'a>> {
    let (origin, server) = (event.origin, &*event.server);
    session.map(|id| SessionKey { origin, server, id })
}

/// The sessions of an event's server, in whichever boot of its host they were opened.
fn of_server(event: &Event) -> Which<'_> {
    Which::OfServer(event.origin.host, &event.server)
}

fn end_of(ended: Ended, time: Moment) -> EndOfSession {
    EndOfSession {
        client: ended.client,
        since: ended.since,
        time,
        is_doubtful: ended.is_doubtful,
    }
}

/// `time` plus `duration`, or the end of time.
fn later(time: Timestamp, duration: SignedDuration) -> Timestamp {
    time.checked_add(duration).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests;
