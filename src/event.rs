//! What a journal entry means: what the recogniser tells the whitelist.
//!
//! Plain data, without any rules.

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::client::Client;
use crate::origin::Origin;

/// Takes the place of the server's name if a client was listed by hand. No server may have this name.
pub const MANUAL: &str = "manual";

/// A trusted event: its sender has been checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// When the journal received the entry.
    pub time: Timestamp,
    /// Where the entry comes from.
    pub origin: Origin,
    /// The name of the server's definition.
    pub server: Arc<str>,
    /// Which of the server's services it was, if known.
    pub protocol: Option<Protocol>,
    /// How long a session of this service can last at most, if its definition says so.
    pub longest_session: Option<SignedDuration>,
    /// What happened.
    pub kind: EventKind,
}

/// How a client fetches its mail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Protocol {
    /// IMAP (RFC 9051): a session lasts as long as the client likes.
    Imap,
    /// POP3 (RFC 1939): a session locks the mailbox, and is short.
    Pop3,
}

impl Protocol {
    /// What it is called.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Protocol::Imap => "imap",
            Protocol::Pop3 => "pop3",
        }
    }
}

/// The kinds of events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventKind {
    /// A client has logged in.
    Login {
        /// Where from.
        client: Client,
        /// The user's name, as the server prints it.
        user: Option<String>,
        /// The session that it opened, if the server names it and logs its end.
        session: Option<String>,
    },
    /// A session has ended.
    Logout {
        /// Where from, if the line says so.
        client: Option<Client>,
        /// The user's name, if the line has it.
        user: Option<String>,
        /// The session that ended.
        session: Option<String>,
        /// Whether its login may yet be written, as another process writes it.
        login_may_follow: bool,
    },
    /// A session has ended, but the server, which usually names it, has lost its name.
    LostLogout,
    /// The server has started: none of its earlier sessions is open any more.
    Start,
}

impl Event {
    /// An event of a server that does not tell its protocol.
    #[must_use]
    pub fn new(time: Timestamp, origin: Origin, server: &str, kind: EventKind) -> Self {
        Event {
            time,
            origin,
            server: server.into(),
            protocol: None,
            longest_session: None,
            kind,
        }
    }
}
