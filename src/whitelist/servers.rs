//! The servers of each origin, each held once for all clients and sessions: there are few servers, and
//! many of those.
//!
//! Must never forget one, as others go by its number. So a source that names ever new machines or
//! boots, as only a host that lies does, comes to an end.

use crate::origin::Origin;

/// A server of an origin that has been heard of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Server(u32);

/// So many servers and boots may one source name: a host that starts anew each day has three years.
const OF_A_SOURCE: usize = 1000;

/// The servers that have been heard of.
#[derive(Debug, Default)]
pub(super) struct Servers(Vec<(Origin, Box<str>)>);

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
        let is_it = |(of, known): &(Origin, Box<str>)| *of == origin && **known == *name;
        let place = self.0.iter().position(is_it)?;
        // There are some dozens, as a rule.
        u32::try_from(place).ok().map(Server)
    }

    /// Whether the server of this name has been heard of, or its source may name another one.
    pub(super) fn has_room_for(&self, origin: Origin, name: &str) -> bool {
        let source = origin.host.source;
        let of_source = self.0.iter().filter(|(of, _)| of.host.source == source);
        self.find(origin, name).is_some() || of_source.count() < OF_A_SOURCE
    }

    /// The server of this name.
    pub(super) fn of(&mut self, origin: Origin, name: &str) -> Server {
        self.find(origin, name).unwrap_or_else(|| {
            self.0.push((origin, name.into()));
            Server(u32::try_from(self.0.len() - 1).unwrap_or(u32::MAX))
        })
    }

    /// What it is called.
    pub(super) fn name(&self, server: Server) -> &str {
        self.0.get(server.number()).map_or("", |(_, name)| name)
    }

    /// Where it runs.
    pub(super) fn origin(&self, server: Server) -> Origin {
        let known = self.0.get(server.number());
        known.map_or(Origin::UNKNOWN, |(origin, _)| *origin)
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
        let dovecot = servers.of(here, "dovecot");
        let courier = servers.of(here, "courier");
        assert_eq!(servers.of(here, "dovecot"), dovecot);
        assert_eq!(servers.find(here, "courier"), Some(courier));
        assert_eq!(servers.name(dovecot), "dovecot");
        assert_eq!(servers.origin(dovecot), here);
        assert_eq!(servers.0.len(), 2);
        assert_ne!(servers.of(Origin::UNKNOWN, "dovecot"), dovecot);
    }
}
