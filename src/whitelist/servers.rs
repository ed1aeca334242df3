//! The servers of each origin, each held once for all clients and sessions: there are few servers, and
//! many of those.
//!
//! Must never forget one that others go by the number of. So a source that names ever new machines or
//! boots and keeps sessions open in each, as only a host that lies does, comes to an end.

use crate::origin::Origin;

/// A server of an origin that has been heard of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Server(u32);

/// Of so many servers and boots may one source have sessions.
const OF_A_SOURCE: usize = 1000;

/// The servers that have been heard of.
#[derive(Debug, Default)]
pub(super) struct Servers(Vec<Known>);

#[derive(Debug)]
struct Known {
    origin: Origin,
    name: Box<str>,
    /// How many go by its number.
    held: usize,
}

impl Server {
    /// The one of this number.
    pub(super) fn of_number(number: usize) -> Self {
        Server(u32::try_from(number).unwrap_or(u32::MAX))
    }

    /// They are counted from 0.
    pub(super) fn number(self) -> usize {
        self.0 as usize
    }
}

impl Servers {
    /// The server of this name, if it has been heard of.
    pub(super) fn find(&self, origin: Origin, name: &str) -> Option<Server> {
        let is_it = |known: &Known| known.origin == origin && *known.name == *name;
        // There are some dozens, as a rule.
        self.0.iter().position(is_it).map(Server::of_number)
    }

    /// Whether the server of this name has been heard of, or its source may name another one.
    pub(super) fn has_room_for(&self, origin: Origin, name: &str) -> bool {
        let source = origin.host.source;
        let is_of_source = |known: &&Known| known.held > 0 && known.origin.host.source == source;
        let of_source = self.0.iter().filter(is_of_source);
        let is_held = |known: Server| self.0.get(known.number()).is_some_and(|it| it.held > 0);
        self.find(origin, name).is_some_and(is_held) || of_source.count() < OF_A_SOURCE
    }

    /// The server of this name, for one more that goes by its number until it [lets go](Self::release).
    pub(super) fn hold(&mut self, origin: Origin, name: &str) -> Server {
        let found = self.find(origin, name);
        let server = found.unwrap_or_else(|| self.put(origin, name));
        if let Some(known) = self.0.get_mut(server.number()) {
            known.held += 1;
        }
        server
    }

    /// One less goes by its number.
    pub(super) fn release(&mut self, server: Server) {
        if let Some(known) = self.0.get_mut(server.number()) {
            known.held = known.held.saturating_sub(1);
        }
    }

    /// A new one takes the number of one that nobody goes by.
    fn put(&mut self, origin: Origin, name: &str) -> Server {
        let new = Known {
            origin,
            name: name.into(),
            held: 0,
        };
        let free = self.0.iter().position(|known| known.held == 0);
        if let Some(free) = free {
            self.0[free] = new;
        } else {
            self.0.push(new);
        }
        Server::of_number(free.unwrap_or(self.0.len() - 1))
    }

    /// What it is called.
    pub(super) fn name(&self, server: Server) -> &str {
        let known = self.0.get(server.number());
        known.map_or("", |known| &known.name)
    }

    /// Where it runs.
    pub(super) fn origin(&self, server: Server) -> Origin {
        let known = self.0.get(server.number());
        known.map_or(Origin::UNKNOWN, |known| known.origin)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_held_once() {
        let mut servers = Servers::default();
        let here = Origin::OF_LINES;
        assert_eq!(servers.find(here, "dovecot"), None);
        let dovecot = servers.hold(here, "dovecot");
        let courier = servers.hold(here, "courier");
        assert_eq!(servers.hold(here, "dovecot"), dovecot);
        assert_eq!(servers.find(here, "courier"), Some(courier));
        assert_eq!(servers.name(dovecot), "dovecot");
        assert_eq!(servers.origin(dovecot), here);
        assert_eq!(servers.0.len(), 2);
        assert_ne!(servers.hold(Origin::UNKNOWN, "dovecot"), dovecot);
    }

    #[test]
    fn a_number_that_nobody_goes_by_is_used_again() {
        let mut servers = Servers::default();
        let run = |number: usize| Origin::OF_LINES.in_container(b"mail", &number.to_be_bytes());
        for number in 0..OF_A_SOURCE {
            assert!(servers.has_room_for(run(number), "dovecot"));
            servers.hold(run(number), "dovecot");
        }
        assert!(!servers.has_room_for(run(OF_A_SOURCE), "dovecot"));
        let first = servers.hold(run(0), "dovecot");
        servers.release(first);
        assert!(!servers.has_room_for(run(OF_A_SOURCE), "dovecot"));
        servers.release(first);
        assert!(servers.has_room_for(run(OF_A_SOURCE), "dovecot"));
        assert_eq!(servers.hold(run(OF_A_SOURCE), "dovecot"), first);
        assert_eq!(servers.origin(first), run(OF_A_SOURCE));
        assert_eq!(servers.find(run(0), "dovecot"), None);
    }
}
