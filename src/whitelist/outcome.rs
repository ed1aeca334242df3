//! What comes out of the whitelist: what an event did, and what the store has to keep.

use super::{Listing, Refusal, Session};
use crate::client::Client;
use crate::event::SessionKey;

/// What an event did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The client is listed now and was not before.
    Added(Client),
    /// The client was listed already, and stays so for longer.
    Prolonged(Client),
    /// The login lists nobody.
    Refused(Client, Refusal),
    /// A session of the client ended.
    Ended(Client),
    /// Sessions of the server ended with its start.
    Restarted(usize),
    /// Sessions of the server are taken to have ended, as it does not say which of them has.
    Unfollowed(usize),
    /// Nothing.
    Nothing,
}

/// What has changed since the last [`Whitelist::take_delta`](super::Whitelist::take_delta); `None` is gone.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Delta {
    /// Clients.
    pub clients: Vec<(Client, Option<Listing>)>,
    /// Sessions.
    pub sessions: Vec<(SessionKey, Option<Session>)>,
}

impl Delta {
    /// Whether nothing has changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.clients.is_empty() && self.sessions.is_empty()
    }
}
