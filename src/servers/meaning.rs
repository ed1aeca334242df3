//! What one message means: what the recogniser tells the correlator.
//!
//! Plain data, without any rules.

use std::fmt;

use crate::client::Client;

/// What one message means; several may be needed for an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Meaning {
    /// A client has connected, but has not logged in yet.
    Connect {
        /// Where from.
        client: Client,
    },
    /// A client has logged in.
    Login {
        /// Where from, if the message says so.
        client: Option<Client>,
        /// The user's name.
        user: Option<String>,
        /// The session, if the message names it.
        session: Option<String>,
    },
    /// No login will follow on a connection.
    Failure,
    /// A session has ended.
    Logout {
        /// Where from, if the message says so.
        client: Option<Client>,
        /// The user's name, if the message has it.
        user: Option<String>,
        /// Which one, if the message names it.
        session: Option<String>,
    },
    /// A session has ended whose name the server has lost.
    LostLogout,
    /// The server has started.
    Start,
    /// The server's logger has cut this message: the next of its process may be the rest of it.
    CutOff {
        /// What can follow.
        rest: Rest,
    },
}

/// What can follow half a message, beside the rest of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rest {
    /// Whole lines.
    WholeLines,
    /// Pieces of any line, until the logger has found its place again.
    PiecesForAMoment,
    /// Pieces of this one, as many as somebody likes.
    PiecesForEver,
}

impl Meaning {
    /// Whether it may let a client in, by itself or with a line that follows.
    #[must_use]
    pub fn lets_in(&self) -> bool {
        matches!(self, Meaning::Login { .. } | Meaning::Connect { .. })
    }
}

impl fmt::Display for Meaning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |client: &Option<Client>| client.map(|client| client.to_string());
        match self {
            Meaning::Connect { client } => write!(f, "a connection of {client}"),
            Meaning::Login {
                client,
                user,
                session,
            } => event(
                f,
                "a login",
                text(client).as_deref(),
                user.as_deref(),
                session.as_deref(),
            ),
            Meaning::Failure => f.write_str("a failure"),
            Meaning::Logout {
                client,
                user,
                session,
            } => event(
                f,
                "a logout",
                text(client).as_deref(),
                user.as_deref(),
                session.as_deref(),
            ),
            Meaning::LostLogout => f.write_str("a logout whose session is lost"),
            Meaning::Start => f.write_str("a start"),
            Meaning::CutOff { .. } => f.write_str("half a line"),
        }
    }
}

/// An event for a sentence: `a login of 192.0.2.10, user alice, session 12`.
pub(super) fn event(
    f: &mut fmt::Formatter<'_>,
    what: &str,
    client: Option<&str>,
    user: Option<&str>,
    session: Option<&str>,
) -> fmt::Result {
    f.write_str(what)?;
    for (name, value) in [(" of", client), (", user", user), (", session", session)] {
        if let Some(value) = value {
            write!(f, "{name} {value}")?;
        }
    }
    Ok(())
}
