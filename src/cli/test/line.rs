//! What is shown of an entry, and how many of which kind there were.
//!
//! Words and counts; decides nothing about an entry.

use std::io::{self, Write};
use std::net::IpAddr;

use jiff::Timestamp;
use serde::Serialize;

use super::story::Key;
use crate::client::Client;
use crate::diagnostics::{count, local_time, printable};
use crate::event::EventKind;
use crate::intake::{Intake, NoEvent};
use crate::servers::LONGEST_MESSAGE;

/// What is shown of an entry.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct Line {
    pub(in crate::cli) event: &'static str,
    pub(in crate::cli) client: Option<Client>,
    pub(in crate::cli) user: Option<String>,
    pub(in crate::cli) server: String,
    pub(in crate::cli) session: Option<String>,
    pub(in crate::cli) time: Timestamp,
    pub(in crate::cli) identifier: String,
    pub(in crate::cli) message: String,
    pub(in crate::cli) reason: Option<String>,
    /// Of a logout whose login has not been seen, and may still come: server and session.
    #[serde(skip)]
    pub(in crate::cli) waits_for: Option<Key>,
}

impl Line {
    /// The line of an entry of which nothing but its time is known yet.
    pub(in crate::cli) fn at(time: Timestamp) -> Self {
        Line {
            event: "nothing",
            client: None,
            user: None,
            server: String::new(),
            session: None,
            time,
            identifier: String::new(),
            message: String::new(),
            reason: None,
            waits_for: None,
        }
    }

    /// The line, with what its event tells.
    pub(in crate::cli) fn of(
        self,
        server: &str,
        client: Option<Client>,
        user: &Option<String>,
        session: &Option<String>,
    ) -> Self {
        let (server, user, session) = (server.to_owned(), user.clone(), session.clone());
        Line {
            server,
            client,
            user,
            session,
            ..self
        }
    }

    /// Prints it: for programs an object on a line, for eyes a line and its reasons.
    pub(in crate::cli) fn write(
        &self,
        json: bool,
        clock: &mut Clock,
        out: &mut impl Write,
    ) -> io::Result<()> {
        if json {
            serde_json::to_writer(&mut *out, self)?;
            return writeln!(out);
        }
        let client = self
            .client
            .map_or_else(|| "-".to_owned(), |client| client.to_string());
        let user = self
            .user
            .as_deref()
            .map_or_else(|| "-".to_owned(), printable);
        let Line { event, server, .. } = self;
        writeln!(
            out,
            "{} {event:<7} {client:<24} {server:<10} {user}",
            clock.local(self.time)
        )?;
        if let Some(reason) = &self.reason {
            let (identifier, message) = (printable(&self.identifier), printable(&self.message));
            writeln!(out, "    {identifier}: {message}")?;
            for line in reason.lines() {
                writeln!(out, "    {}", printable(line))?;
            }
        }
        Ok(())
    }
}

/// Times for eyes. Most lines are of the same second as the one before.
#[derive(Debug, Default)]
pub(in crate::cli) struct Clock {
    second: Option<i64>,
    text: String,
}

impl Clock {
    fn local(&mut self, time: Timestamp) -> &str {
        let second = Some(time.as_second());
        if self.second != second {
            self.second = second;
            self.text = local_time(time);
        }
        &self.text
    }
}

/// Which entries are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::cli) enum Show {
    /// Those that mean something, and those that are refused.
    Events,
    /// Those that might mean something, and come to nothing: they hold an address, or are refused.
    Missed,
    /// All entries.
    Everything,
}

/// How many entries there were of which kind.
#[derive(Debug, Default)]
pub(in crate::cli) struct Summary {
    entries: usize,
    logins: usize,
    logouts: usize,
    starts: usize,
    refused: usize,
    missed: usize,
}

impl Summary {
    /// Counts an entry, and says as what it is shown, if at all.
    pub(in crate::cli) fn count(
        &mut self,
        intake: &Intake,
        line: Line,
        show: Show,
    ) -> Option<Line> {
        self.entries += 1;
        let (event, reason, least) = match intake {
            Intake::Event(event) => match event.kind {
                EventKind::Login { .. } => {
                    self.logins += 1;
                    ("login", None, Show::Events)
                }
                EventKind::Logout { .. } | EventKind::LostLogout => {
                    self.logouts += 1;
                    ("logout", None, Show::Events)
                }
                EventKind::Start => {
                    self.starts += 1;
                    ("start", None, Show::Everything)
                }
            },
            Intake::Refused(refused) => {
                self.refused += 1;
                let (why, sender) = (&refused.why, &refused.sender);
                let reason = format!("{why} ({sender}). {}", refused.advice());
                ("refused", Some(reason), Show::Events)
            }
            Intake::Noted(noted) => {
                let reason = Some(noted.why.to_string());
                match &noted.why {
                    NoEvent::Connection(client) => {
                        let client = Some(*client);
                        let line = line.of(&noted.server, client, &None, &None);
                        return (show == Show::Everything).then_some(Line {
                            event: "connect",
                            reason,
                            ..line
                        });
                    }
                    NoEvent::Failure => ("failure", reason, Show::Everything),
                    NoEvent::NoSession | NoEvent::Half => ("nothing", reason, Show::Everything),
                    NoEvent::NoConnection
                    | NoEvent::PassedOn
                    | NoEvent::NoEnd
                    | NoEvent::Untrusted { .. }
                    | NoEvent::Ambiguous => {
                        self.missed += 1;
                        ("missed", reason, Show::Missed)
                    }
                }
            }
            Intake::Nothing => match missed(&line.message) {
                Some(reason) => {
                    self.missed += 1;
                    ("missed", Some(reason), Show::Missed)
                }
                None => ("nothing", None, Show::Everything),
            },
        };
        let line = Line {
            event,
            reason,
            ..line
        };
        let is_shown = match show {
            Show::Events => least == Show::Events,
            Show::Missed => matches!(event, "missed" | "refused"),
            Show::Everything => true,
        };
        is_shown.then_some(line)
    }

    /// Counts logins that are not read.
    pub(in crate::cli) fn count_missed(&mut self, logins: usize) {
        self.missed += logins;
    }

    /// Prints the counts of what was read from `source`.
    pub(in crate::cli) fn write(
        &self,
        source: &str,
        show: Show,
        out: &mut impl Write,
    ) -> io::Result<()> {
        let hint = if self.missed > 0 && show == Show::Events {
            " (--missed shows them)"
        } else {
            ""
        };
        writeln!(
            out,
            "{} read from {source}: {}, {}, {}, {} refused, {} nearly matched{hint}",
            count(self.entries, "entry"),
            count(self.logins, "login"),
            count(self.logouts, "logout"),
            count(self.starts, "start"),
            self.refused,
            self.missed,
        )
    }
}

/// Why a message that was taken for nothing is worth a look: it holds an address.
fn missed(message: &str) -> Option<String> {
    if message.len() > LONGEST_MESSAGE {
        return Some(format!(
            "longer than {LONGEST_MESSAGE} bytes: never a login"
        ));
    }
    let is_address = |word: &str| {
        let bare = word.trim_end_matches('.').trim_end_matches(':');
        (bare.contains('.') || bare.matches(':').count() > 1) && bare.parse::<IpAddr>().is_ok()
    };
    message
        .split(|c: char| !(c.is_ascii_alphanumeric() || c == ':' || c == '.'))
        .any(is_address)
        .then(|| "holds an address, and no pattern takes it".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_with_an_address_are_worth_a_look() {
        for (message, expected) in [
            (
                "Login aborted: user=<>, rip=192.0.2.10, lip=192.0.2.1",
                true,
            ),
            ("connect from 2001:db8::10.", true),
            ("LOGIN FAILED, ip=[::ffff:192.0.2.10]", true),
            ("Session from 192.0.2.10: refused", true),
            ("v2.3.19.1 starting at 10:34:11", false),
            ("state :: 12 and 1.2.3", false),
        ] {
            assert_eq!(missed(message).is_some(), expected, "{message}");
        }
    }
}
