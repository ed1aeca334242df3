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
use crate::origin::Origin;
use crate::servers::Meaning;

/// The lines that have been read and not shown.
///
/// The line of a logout often has no address: its login had. And the login can be written after
/// it, so that the lines behind such a logout wait for a while.
#[derive(Debug, Default)]
pub(in crate::cli) struct Story {
    sessions: HashMap<Key, (Client, Option<String>)>,
    /// The logouts among the lines that wait for their logins; as how many lines were told before
    /// each.
    waiting: HashMap<Key, usize>,
    lines: VecDeque<Line>,
    /// How many lines have been told and are not here any more.
    gone: usize,
}

/// A session: where it is, its server, and its id.
pub(super) type Key = (Origin, Arc<str>, String);

/// How long a logout waits for its login, of the journal's time.
const LOGIN_MAY_COME: SignedDuration = SignedDuration::from_secs(60);
/// How many lines may wait.
const LINES: usize = 10_000;

impl Story {
    pub(in crate::cli) fn tell(&mut self, intake: &Intake, line: Option<Line>) {
        if let Intake::Event(Event {
            origin,
            server,
            kind: EventKind::Start,
            ..
        }) = intake
        {
            let is_over = |(at, of, _): &Key| at.host == origin.host && of == server;
            self.sessions.retain(|key, _| !is_over(key));
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
            Intake::Event(Event {
                origin,
                server,
                kind,
                ..
            }) => match kind {
                EventKind::Login {
                    client,
                    user,
                    session,
                } => {
                    self.open(*origin, server, *client, user, session);
                    line.of(server, Some(*client), user, session)
                }
                EventKind::Logout {
                    client,
                    user,
                    session,
                    ..
                } => self.close(*origin, server, line.of(server, *client, user, session)),
                EventKind::LostLogout => line.of(server, None, &None, &None),
                EventKind::Start => line,
            },
        };
        self.lines.push_back(line);
    }

    fn open(
        &mut self,
        origin: Origin,
        server: &Arc<str>,
        client: Client,
        user: &Option<String>,
        session: &Option<String>,
    ) {
        let Some(id) = session else { return };
        let key = (origin, server.clone(), id.clone());
        let place = self.waiting.remove(&key).map(|place| place - self.gone);
        if let Some(logout) = place.and_then(|place| self.lines.get_mut(place)) {
            logout.client = Some(client);
            logout.user.clone_from(user);
            logout.waits_for = None;
        } else {
            self.sessions.insert(key, (client, user.clone()));
        }
    }

    /// The line of a logout, with what its login told.
    fn close(&mut self, origin: Origin, server: &Arc<str>, line: Line) -> Line {
        let Some(id) = line.session.clone() else {
            return line;
        };
        let key = (origin, server.clone(), id);
        match self.sessions.remove(&key) {
            Some((client, user)) => Line {
                client: Some(client),
                user,
                ..line
            },
            None if line.client.is_some() => line,
            None => {
                let place = self.gone + self.lines.len();
                self.waiting.entry(key.clone()).or_insert(place);
                Line {
                    waits_for: Some(key),
                    ..line
                }
            }
        }
    }

    /// The next line that can be shown at the journal's time `now`.
    pub(in crate::cli) fn next(&mut self, now: Timestamp) -> Option<Line> {
        let first = self.lines.front()?;
        let waits = first.waits_for.is_some()
            && now.duration_since(first.time) < LOGIN_MAY_COME
            && self.lines.len() < LINES;
        if waits {
            return None;
        }
        let mut first = self.lines.pop_front()?;
        if let Some(key) = first.waits_for.take()
            && self.waiting.get(&key) == Some(&self.gone)
        {
            self.waiting.remove(&key);
        }
        self.gone += 1;
        Some(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(second: i64, kind: EventKind) -> (Intake, Line) {
        let time = Timestamp::from_second(second).unwrap();
        let event = Event::new(time, Origin::OF_LINES, "dovecot", kind);
        (Intake::Event(event), Line::at(time))
    }

    fn login(second: i64, client: &str, session: &str) -> (Intake, Line) {
        event(
            second,
            EventKind::Login {
                client: client.parse().unwrap(),
                user: None,
                session: Some(session.to_owned()),
            },
        )
    }

    fn logout(second: i64, session: &str) -> (Intake, Line) {
        event(
            second,
            EventKind::Logout {
                client: None,
                user: None,
                session: Some(session.to_owned()),
                login_may_follow: true,
            },
        )
    }

    /// What is shown, as `SECOND CLIENT`.
    fn shown(told: impl IntoIterator<Item = (Intake, Line)>) -> Vec<String> {
        let mut story = Story::default();
        let mut shown = Vec::new();
        let mut show = |story: &mut Story, now| {
            while let Some(line) = story.next(now) {
                let client = line.client.map_or("-".to_owned(), |c| c.to_string());
                shown.push(format!("{} {client}", line.time.as_second()));
            }
        };
        for (intake, line) in told {
            let now = line.time;
            story.tell(&intake, Some(line));
            show(&mut story, now);
        }
        show(&mut story, Timestamp::MAX);
        assert!(story.waiting.is_empty());
        shown
    }

    #[test]
    fn a_logout_waits_for_its_own_login() {
        let told = [
            logout(1, "a"),
            logout(1, "b"),
            login(2, "192.0.2.2", "b"),
            login(3, "192.0.2.3", "a"),
            logout(4, "a"),
            login(5, "192.0.2.5", "c"),
            logout(6, "c"),
            login(64, "192.0.2.64", "d"),
            // Too late.
            login(65, "192.0.2.65", "a"),
        ];
        assert_eq!(
            shown(told),
            [
                "1 192.0.2.3",
                "1 192.0.2.2",
                "2 192.0.2.2",
                "3 192.0.2.3",
                "4 -",
                "5 192.0.2.5",
                "6 192.0.2.5",
                "64 192.0.2.64",
                "65 192.0.2.65"
            ]
        );
    }

    /// Each is found at once, however many wait.
    #[test]
    fn many_logouts_may_wait() {
        let told = (0..200_000).flat_map(|n| {
            let ended = logout(1, &format!("other {n}"));
            [ended, login(1, "192.0.2.1", &format!("{n}"))]
        });
        assert_eq!(shown(told).len(), 400_000);
    }
}
