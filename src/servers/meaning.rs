//! What one message means: the words between the recogniser and what ties lines together.
//!
//! Plain data; no rule lives here.

use std::fmt;

use crate::client::Client;

/// What one message means; several may be needed for an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Meaning {
    /// A client has connected; it has proved nothing yet.
    Connect {
        /// Where from.
        client: Client,
    },
    /// A client has proved itself.
    Login {
        /// Where from, if the message says so.
        client: Option<Client>,
        /// As whom.
        user: Option<String>,
        /// In which session, if the message names it.
        session: Option<String>,
    },
    /// A connection will come to no login.
    Failure,
    /// A session has ended.
    Logout {
        /// Where from, if the message says so.
        client: Option<Client>,
        /// Whose, if the message says so.
        user: Option<String>,
        /// Which, if the message names it.
        session: Option<String>,
    },
    /// A session has ended whose name the server has lost.
    LostLogout,
    /// The server has started.
    Start,
    /// The server's logger has cut this message: the next of its process may be the rest of it.
    CutOff,
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
            Meaning::CutOff => f.write_str("half a line"),
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
