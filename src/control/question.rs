//! What a peer's task asks the owner of the whitelist.

use std::sync::Arc;

use tokio::sync::{broadcast, oneshot};

use super::protocol::{ClientInfo, Event, Filter, LogLevel, Status};
use super::{Allow, Allowed, Check, Checked, Fault, Peer, Revoke, Revoked};
use crate::client::Client;

/// Where an answer goes.
pub type Answer<T> = oneshot::Sender<Result<T, Fault>>;

/// A question to the owner of the whitelist. It may be answered at once or later; dropped, it
/// closes the connection.
#[derive(Debug)]
pub enum Question {
    /// How the service is.
    Status(Answer<Status>),
    /// The next listed clients.
    Clients {
        /// Whom.
        filter: Filter,
        /// Those that are greater than this one.
        after: Option<Client>,
        /// Where to.
        answer: Answer<Page>,
    },
    /// What happens from now on.
    Watch(Answer<broadcast::Receiver<Arc<Event>>>),
    /// Whether a client may relay.
    Check(Check, Answer<Checked>),
    /// To list a client.
    Allow(Allow, Peer, Answer<Allowed>),
    /// To take clients off.
    Revoke(Revoke, Peer, Answer<Revoked>),
    /// To write more or less to the journal. The answer is the former level.
    SetLogLevel(LogLevel, Peer, Answer<LogLevel>),
}

/// Some of the listed clients.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Page {
    /// Those that the filter selects.
    pub clients: Vec<ClientInfo>,
    /// The last that was looked at, if there may be others behind it.
    pub last: Option<Client>,
}
