//! The names of the servers, each held once for all clients and sessions: there are few servers,
//! and many of those.
//!
//! Must never forget one, as others go by its number.

/// A server that has been heard of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Server(u32);

/// The servers that have been heard of.
#[derive(Debug, Default)]
pub(super) struct Servers(Vec<Box<str>>);

impl Server {
    /// They are counted from 0.
    pub(super) fn number(self) -> usize {
        self.0 as usize
    }
}

impl Servers {
    /// The server of this name, if it has been heard of.
    pub(super) fn find(&self, name: &str) -> Option<Server> {
        let place = self.0.iter().position(|known| **known == *name)?;
        // There are some dozens.
        u32::try_from(place).ok().map(Server)
    }

    /// The server of this name.
    pub(super) fn of(&mut self, name: &str) -> Server {
        self.find(name).unwrap_or_else(|| {
            self.0.push(name.into());
            Server(u32::try_from(self.0.len() - 1).unwrap_or(u32::MAX))
        })
    }

    /// What it is called.
    pub(super) fn name(&self, server: Server) -> &str {
        self.0.get(server.number()).map_or("", |name| name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_held_once() {
        let mut servers = Servers::default();
        assert_eq!(servers.find("dovecot"), None);
        let dovecot = servers.of("dovecot");
        let courier = servers.of("courier");
        assert_eq!(servers.of("dovecot"), dovecot);
        assert_eq!(servers.find("courier"), Some(courier));
        assert_eq!(servers.name(dovecot), "dovecot");
        assert_eq!(servers.0.len(), 2);
    }
}
