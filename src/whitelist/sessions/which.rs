//! Which sessions something happens to: it ends those of one host, never those of another.

use crate::event::Protocol;
use crate::origin::{Id, Origin};

/// Which of the open sessions.
#[derive(Debug, Clone, Copy)]
pub(in crate::whitelist) enum Which<'a> {
    /// Those of a machine's server, in whichever boot.
    OfServer(Id, &'a str),
    /// Those of a machine in other boots than this.
    OfFormerBoots(Origin),
    /// All.
    All,
    /// Those of a machine, in whichever boot.
    OfMachine(Id),
    /// Those of a server of this origin, under this protocol.
    OfProtocol(Origin, &'a str, Option<Protocol>),
}

impl Which<'_> {
    pub(super) fn takes_in(self, origin: Origin, name: &str) -> bool {
        match self {
            Which::OfServer(machine, server) => origin.machine == machine && name == server,
            Which::OfFormerBoots(now) => origin.machine == now.machine && origin.boot != now.boot,
            Which::All => true,
            Which::OfMachine(machine) => origin.machine == machine,
            Which::OfProtocol(of, server, _) => origin == of && name == server,
        }
    }
}
