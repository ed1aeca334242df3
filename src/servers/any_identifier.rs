//! What a message would mean under another identifier, or in another container: used to find servers
//! whose names nobody has told. The service never asks.

use super::recogniser::{Identifier, Recogniser, Server, Verdict};

impl Recogniser {
    /// Whether a server that is on trusts entries of this unit.
    #[must_use]
    pub fn knows_unit(&self, unit: &str) -> bool {
        let mut servers = self.servers.iter();
        servers.any(|server| server.trust.knows_unit(unit))
    }

    /// What `message` would mean if its container were one of a server's.
    #[must_use]
    pub fn in_another_container(&self, message: &[u8]) -> Option<Verdict<'_>> {
        let all: Vec<usize> = (0..self.servers.len()).collect();
        self.recognise_among(&all, message)
    }

    /// What `message` would mean to those servers for which `may_be_its` holds if they wrote under
    /// `identifier`, which they don't.
    pub fn under_another<'a>(
        &'a self,
        identifier: &'a [u8],
        message: &'a [u8],
        may_be_its: impl Fn(&Server) -> bool + 'a,
    ) -> impl Iterator<Item = Verdict<'a>> {
        let servers = self.servers.iter().enumerate();
        servers.filter_map(move |(at, server)| {
            let is_its = |of: &Identifier| of.servers.contains(&at);
            if !may_be_its(server) || self.by_identifier.get(identifier).is_some_and(is_its) {
                return None;
            }
            let mut its_own = self.by_identifier.iter();
            its_own.find_map(|(known, of)| {
                let verdict = is_its(of).then(|| self.recognise(known, message))??;
                std::ptr::eq(verdict.server, server).then_some(verdict)
            })
        })
    }
}
