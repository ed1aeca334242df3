//! What a journal entry means: the words between the recogniser and the whitelist.
//!
//! Plain data; no rule lives here.

use std::sync::Arc;

use jiff::Timestamp;

use crate::client::Client;

/// What stands for the server where a client was listed by hand. No server may have this name.
pub const MANUAL: &str = "manual";

/// An event, believed: its sender has been checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// When the journal received the entry.
    pub time: Timestamp,
    /// The name of the server's definition.
    pub server: Arc<str>,
    /// What happened.
    pub kind: EventKind,
}

/// The kinds of events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventKind {
    /// A client has proved itself.
    Login {
        /// Where from.
        client: Client,
        /// As whom, as the server prints it.
        user: Option<String>,
        /// The session that it opened, where the server names it and tells its end.
        session: Option<String>,
    },
    /// A session has ended.
    Logout {
        /// Where from, if the line says so.
        client: Option<Client>,
        /// Whose, if the line says so.
        user: Option<String>,
        /// The session that ended.
        session: Option<String>,
        /// Whether its login may be written only now, as another process writes it.
        login_may_follow: bool,
    },
    /// The server has started: none of its earlier sessions is open any more.
    Start,
}
