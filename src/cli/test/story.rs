//! The lines in their order, where logouts are told whose they are.
//!
//! Shows nothing, reads nothing.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::line::Line;
use crate::client::Client;
use crate::event::{Event, EventKind};
use crate::intake::Intake;
use crate::servers::Meaning;

/// The lines that have been read and not shown.
///
/// The line of a logout often has no address: its login had. And the login can be written after
/// it, so that the lines behind such a logout wait for a while.
#[derive(Debug, Default)]
pub(in crate::cli) struct Story {
    /// By server and id.
    sessions: HashMap<(Arc<str>, String), (Client, Option<String>)>,
    lines: VecDeque<Line>,
}

/// How long a logout waits for its login, of the journal's time.
const LOGIN_MAY_COME: SignedDuration = SignedDuration::from_secs(60);
/// How many lines may wait.
const LINES: usize = 10_000;

impl Story {
    pub(in crate::cli) fn tell(&mut self, intake: &Intake, line: Option<Line>) {
        if let Intake::Event(Event {
            server,
            kind: EventKind::Start,
            ..
        }) = intake
        {
            self.sessions.retain(|(of, _), _| of != server);
        }
        let Some(line) = line else { return };
        let line = match intake {
            Intake::Nothing | Intake::Noted(_) => line,
            Intake::Refused(refused) => match &refused.meaning {
                Meaning::Login {
                    client,
                    user,
                    session,
                }
                | Meaning::Logout {
                    client,
                    user,
                    session,
                } => line.of(&refused.server, *client, user, session),
                _ => line,
            },
            Intake::Event(Event { server, kind, .. }) => match kind {
                EventKind::Login {
                    client,
                    user,
                    session,
                } => {
                    self.open(server, *client, user, session);
                    line.of(server, Some(*client), user, session)
                }
                EventKind::Logout {
                    client,
                    user,
                    session,
                    ..
                } => self.close(server, line.of(server, *client, user, session)),
                EventKind::LostLogout => line.of(server, None, &None, &None),
                EventKind::Start => line,
            },
        };
        self.lines.push_back(line);
    }

    fn open(
        &mut self,
        server: &Arc<str>,
        client: Client,
        user: &Option<String>,
        session: &Option<String>,
    ) {
        let Some(id) = session else { return };
        let waiting = self.lines.iter_mut().find(|line| {
            line.waits && line.session.as_ref() == Some(id) && line.server == **server
        });
        if let Some(logout) = waiting {
            logout.client = Some(client);
            logout.user.clone_from(user);
            logout.waits = false;
        } else {
            let key = (server.clone(), id.clone());
            self.sessions.insert(key, (client, user.clone()));
        }
    }

    /// The line of a logout, with what its login told.
    fn close(&mut self, server: &Arc<str>, line: Line) -> Line {
        let Some(id) = line.session.clone() else {
            return line;
        };
        match self.sessions.remove(&(server.clone(), id.to_string())) {
            Some((client, user)) => Line {
                client: Some(client),
                user,
                ..line
            },
            None => Line {
                waits: line.client.is_none(),
                ..line
            },
        }
    }

    /// The next line that can be shown at the journal's time `now`.
    pub(in crate::cli) fn next(&mut self, now: Timestamp) -> Option<Line> {
        let first = self.lines.front()?;
        let waits = first.waits
            && now.duration_since(first.time) < LOGIN_MAY_COME
            && self.lines.len() < LINES;
        if waits { None } else { self.lines.pop_front() }
    }
}
