//! Which servers tell the ends of their sessions.
//!
//! A logout is a promise that a log makes and does not always keep: its format may be unknown, lines
//! may be dropped or lost. A server of which no end is recognised while its sessions last for as long
//! as they can, again and again, does not tell them. Its logins open no session from then on, until
//! an end is recognised: grace counts from the login.
//!
//! Knows no client. Must never let a session hold longer than it would without this.

use std::collections::VecDeque;

use jiff::Timestamp;
use jiff::fmt::serde::timestamp::microsecond::optional;
use serde::{Deserialize, Serialize};

use super::LOST_BEFORE_LOGIN;
use super::moment::Moment;
use crate::event::{Event, Protocol};
use crate::origin::{Host, Id, Origin};

/// So many sessions must have lasted for as long as they can, without an end told meanwhile.
const RAN_OUT: u32 = 3;
/// How far what the store knows of the last end may be behind.
const BEHIND: jiff::SignedDuration = jiff::SignedDuration::from_mins(1);
/// Of so many servers a source may tell.
const OF_A_SOURCE: usize = 1000;
/// How many lost ends are remembered for the few seconds in which a login may follow.
const LOST: usize = 1000;

/// What is known of the ends of all servers.
#[derive(Debug, Default)]
pub struct Ends {
    servers: Vec<EndsOfServer>,
    lost: VecDeque<(Moment, Origin, Box<str>, Option<Protocol>)>,
    has_changed: bool,
    news: Vec<Untold>,
}

/// What is known of the ends of the sessions of one host's server, under one protocol.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndsOfServer {
    host: Host,
    server: String,
    protocol: Option<Protocol>,
    /// When the last end was told.
    #[serde(with = "optional")]
    last: Option<Timestamp>,
    /// How many sessions have lasted for as long as they can since.
    ran_out: u32,
    /// Since when it is known not to tell ends.
    #[serde(with = "optional")]
    untold_since: Option<Timestamp>,
    /// When the last end was told whose session is lost.
    #[serde(with = "optional")]
    lost: Option<Timestamp>,
    /// The last end that the store knows of.
    #[serde(skip)]
    kept: Option<Timestamp>,
}

/// A server that does not tell the ends of its sessions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Untold {
    /// The host that it runs on.
    pub host: Host,
    /// The name of its definition.
    pub server: String,
    /// Under which protocol.
    pub protocol: Option<Protocol>,
    /// When the last end was told, if one ever was.
    pub last: Option<Timestamp>,
    /// Since when this is known.
    pub since: Timestamp,
}

impl Ends {
    /// Those that the store kept.
    #[must_use]
    pub fn restore(servers: Vec<EndsOfServer>) -> Self {
        Ends {
            servers,
            ..Ends::default()
        }
    }

    /// What the store is to keep, if it has changed since the last call.
    pub fn take_change(&mut self) -> Option<&[EndsOfServer]> {
        std::mem::take(&mut self.has_changed).then_some(&self.servers)
    }

    /// What could not be kept counts as changed still.
    pub fn keep_change(&mut self) {
        self.has_changed = true;
    }

    /// All that is known.
    #[must_use]
    pub fn servers(&self) -> &[EndsOfServer] {
        &self.servers
    }

    /// What is known of servers that other sources than these told of is forgotten.
    pub(super) fn forget_other_sources(&mut self, sources: &[Id]) {
        let known = self.servers.len();
        (self.servers).retain(|ends| sources.contains(&ends.host.source));
        self.has_changed |= self.servers.len() < known;
    }

    /// The same of other servers than these.
    pub(super) fn forget_other_servers(&mut self, servers: &[&str]) {
        let known = self.servers.len();
        (self.servers).retain(|ends| servers.contains(&&*ends.server));
        self.has_changed |= self.servers.len() < known;
    }

    /// The servers that do not tell the ends of their sessions.
    pub fn untold(&self) -> impl Iterator<Item = Untold> {
        self.servers.iter().filter_map(EndsOfServer::untold)
    }

    /// Those that were found to be such since the last call.
    pub fn take_news(&mut self) -> Vec<Untold> {
        std::mem::take(&mut self.news)
    }

    /// Whether its source may name another server.
    fn has_room_for(&self, host: Host) -> bool {
        let of_source = |ends: &&EndsOfServer| ends.host.source == host.source;
        self.servers.iter().filter(of_source).count() < OF_A_SOURCE
    }

    /// A session of the event's server is open now.
    pub(super) fn opened(&mut self, event: &Event) {
        let host = event.origin.host;
        if self.find(host, &event.server, event.protocol).is_none() && self.has_room_for(host) {
            self.servers.push(EndsOfServer {
                host,
                server: event.server.to_string(),
                protocol: event.protocol,
                last: None,
                ran_out: 0,
                untold_since: None,
                lost: None,
                kept: None,
            });
            self.has_changed = true;
        }
    }

    /// The event tells an end: of a session of its protocol, or of any if it does not say.
    pub(super) fn told(&mut self, event: &Event, time: Moment) {
        let of_event = |ends: &&mut EndsOfServer| {
            ends.host == event.origin.host
                && *ends.server == *event.server
                && (ends.protocol == event.protocol
                    || ends.protocol.is_none()
                    || event.protocol.is_none())
        };
        for ends in self.servers.iter_mut().filter(of_event) {
            let time = Timestamp::from(time);
            ends.last = ends.last.max(Some(time));
            let is_behind = ends
                .kept
                .is_none_or(|kept| time.duration_since(kept) >= BEHIND);
            // One that is read again says nothing of what was found out since.
            let is_new = ends.untold_since.is_none_or(|since| since < time);
            if is_new && (is_behind || ends.ran_out > 0 || ends.untold_since.is_some()) {
                (ends.ran_out, ends.untold_since) = (0, None);
                ends.kept = ends.last;
                self.has_changed = true;
            }
        }
    }

    /// The event tells an end whose session is lost. Says whether it has not been told before.
    pub(super) fn lost(&mut self, event: &Event, time: Moment) -> bool {
        if !self.is_new_loss(event, time) {
            return false;
        }
        self.told(event, time);
        if self.lost.len() == LOST {
            self.lost.pop_front();
        }
        let server = Box::from(&*event.server);
        (self.lost).push_back((time, event.origin, server, event.protocol));
        true
    }

    /// Whether no lost end of this time, or a later one, has been told of these sessions.
    fn is_new_loss(&mut self, event: &Event, time: Moment) -> bool {
        let time = Timestamp::from(time);
        let of_event = |ends: &&mut EndsOfServer| {
            ends.host == event.origin.host
                && *ends.server == *event.server
                && (ends.protocol == event.protocol || event.protocol.is_none())
        };
        let mut known = self.servers.iter_mut().filter(of_event).peekable();
        // Without any, there are no sessions either.
        let mut is_new = known.peek().is_none();
        for ends in known {
            is_new |= ends.lost.is_none_or(|lost| lost < time);
            ends.lost = ends.lost.max(Some(time));
        }
        is_new
    }

    /// Whether an end was lost so shortly before this login that it may be the end of its session.
    pub(super) fn was_lost_before(&self, event: &Event, login: Moment) -> bool {
        // By time, as other sources may tell of another day.
        (self.lost.iter()).any(|(time, origin, server, protocol)| {
            (*time <= login && login <= time.plus(LOST_BEFORE_LOGIN))
                && *origin == event.origin
                && **server == *event.server
                && (protocol.is_none() || *protocol == event.protocol)
        })
    }

    /// Whether the event's server is known not to tell the end of a session that it opens.
    pub(super) fn are_untold(&self, event: &Event) -> bool {
        let known = self.find(event.origin.host, &event.server, event.protocol);
        known.is_some_and(|ends| ends.untold_since.is_some())
    }

    /// A session that was opened at `since` has lasted for as long as it can. Says whether it is found
    /// out by that that its server tells no ends.
    pub(super) fn ran_out(
        &mut self,
        host: Host,
        server: &str,
        protocol: Option<Protocol>,
        since: Moment,
        now: Moment,
    ) -> bool {
        let is_it = |ends: &&mut EndsOfServer| {
            ends.host == host && ends.server == server && ends.protocol == protocol
        };
        let Some(ends) = self.servers.iter_mut().find(is_it) else {
            return false;
        };
        let is_told = ends.last.is_some_and(|last| Moment::from(last) >= since);
        if is_told || ends.untold_since.is_some() {
            return false;
        }
        self.has_changed = true;
        ends.ran_out += 1;
        if ends.ran_out < RAN_OUT {
            return false;
        }
        ends.untold_since = Some(now.into());
        self.news.extend(ends.untold());
        true
    }

    /// Nothing may have happened later than `now`.
    pub(super) fn clock_set(&mut self, now: Moment) {
        self.lost.clear();
        for ends in &mut self.servers {
            let last = ends.last.min(Some(now.into()));
            self.has_changed |= last != ends.last;
            ends.last = last;
            ends.lost = ends.lost.min(Some(now.into()));
        }
    }

    fn find(&self, host: Host, server: &str, protocol: Option<Protocol>) -> Option<&EndsOfServer> {
        let is_it = |ends: &&EndsOfServer| {
            ends.host == host && ends.server == server && ends.protocol == protocol
        };
        self.servers.iter().find(is_it)
    }
}

impl EndsOfServer {
    fn untold(&self) -> Option<Untold> {
        Some(Untold {
            host: self.host,
            server: self.server.clone(),
            protocol: self.protocol,
            last: self.last,
            since: self.untold_since?,
        })
    }
}
