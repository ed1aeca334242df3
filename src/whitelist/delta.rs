//! What has changed, for the store. Only which records: they are told one after the other, as a
//! second copy of a million of them would not fit.

use super::sessions::Changed;
use super::{Clients, Listing, Session, SessionKey, Sessions};
use crate::client::Client;

/// What has changed, or some of it: see [`Whitelist::take_delta`](super::Whitelist::take_delta).
#[derive(Debug)]
pub struct Delta<'a> {
    pub(super) all_clients: &'a Clients,
    pub(super) all_sessions: &'a Sessions,
    pub(super) clients: Vec<Client>,
    pub(super) sessions: Changed,
    pub(super) is_last: bool,
}

impl Delta<'_> {
    /// Whether nothing has changed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.clients.is_empty() && self.sessions.is_empty()
    }

    /// Whether these are all changes, or the last of them.
    #[must_use]
    pub fn is_last(&self) -> bool {
        self.is_last
    }

    /// The clients, in order; `None` is gone.
    pub fn clients(&self) -> impl Iterator<Item = (Client, Option<Listing<'_>>)> {
        let clients = self.clients.iter();
        clients.map(|client| (*client, self.all_clients.get(*client)))
    }

    /// The sessions: first those that are gone, then the others, both nearly in order.
    pub fn sessions(&self) -> impl Iterator<Item = (SessionKey<'_>, Option<Session>)> {
        self.all_sessions.changes(&self.sessions)
    }
}
