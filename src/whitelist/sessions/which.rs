//! Which sessions something happens to: it ends those of one host, never those of another.

use crate::event::Protocol;
use crate::origin::{Host, Id, Origin};

/// Which of the open sessions.
#[derive(Debug, Clone, Copy)]
pub(in crate::whitelist) enum Which<'a> {
    /// Those of a host's server, in whichever boot.
    OfServer(Host, &'a str),
    /// Those of a host in other boots than this.
    OfFormerBoots(Origin),
    /// All.
    All,
    /// Those of a host and of its containers, in whichever boot.
    OfMachine(Host),
    /// Those of all sources but these.
    OfOtherSources(&'a [Id]),
    /// Those of all servers but these, on whatever host.
    OfOtherServers(&'a [&'a str]),
    /// Those of a server of this origin, under this protocol.
    OfProtocol(Origin, &'a str, Option<Protocol>),
}

impl Which<'_> {
    pub(super) fn takes_in(self, origin: Origin, name: &str) -> bool {
        match self {
            Which::OfServer(host, server) => origin.host == host && name == server,
            Which::OfFormerBoots(now) => origin.host == now.host && origin.boot != now.boot,
            Which::All => true,
            Which::OfMachine(host) => {
                let machine = Host {
                    container: host.container,
                    ..origin.host
                };
                machine == host
            }
            Which::OfOtherSources(sources) => !sources.contains(&origin.host.source),
            Which::OfOtherServers(servers) => !servers.contains(&name),
            Which::OfProtocol(of, server, _) => origin == of && name == server,
        }
    }
}
