//! `test`: what the definitions make of a journal. Touches nothing, asks nobody.

use std::collections::{HashMap, VecDeque};
use std::io::Write;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::{CommandError, when};
use crate::client::Client;
use crate::config;
use crate::daemon;
use crate::diagnostics::{count, local_time, printable};
use crate::event::{Event, EventKind, SessionKey};
use crate::intake::{Intake, Senders, Taker};
use crate::journal::{Reader, Source};
use crate::servers::{LONGEST_MESSAGE, Meaning, Unknown};

/// Which journal, and what of it is shown.
#[derive(Debug, Args)]
pub struct TestArgs {
    /// Begin here: '2026-11-24 10:30', '10:30', 'today', '1h' (ago), RFC 3339
    #[arg(long, value_name = "TIME", value_parser = when::parse, allow_hyphen_values = true)]
    since: Option<Timestamp>,
    /// End here
    #[arg(long, value_name = "TIME", value_parser = when::parse, allow_hyphen_values = true)]
    until: Option<Timestamp>,
    /// Read the journal files of this directory
    #[arg(long, value_name = "DIR", conflicts_with_all = ["file", "namespace"])]
    directory: Option<PathBuf>,
    /// Read these journal files
    #[arg(long, value_name = "FILE", num_args = 1.., conflicts_with = "namespace")]
    file: Vec<PathBuf>,
    /// Read this journal namespace of this host
    #[arg(long, value_name = "NAME")]
    namespace: Option<String>,
    /// Try these servers, instead of those that are on
    #[arg(long, value_name = "NAME", num_args = 1..)]
    server: Vec<String>,
    /// Believe every sender: for journals of other hosts, whose users and units have other names
    #[arg(long)]
    any_sender: bool,
    /// Print an object a line, for programs
    #[arg(long)]
    json: bool,
    /// Show the entries that hold an address and were taken for nothing
    #[arg(long)]
    missed: bool,
}

/// What is shown of an entry.
#[derive(Debug, Serialize)]
struct Line {
    event: &'static str,
    client: Option<Client>,
    user: Option<String>,
    server: String,
    session: Option<String>,
    time: Timestamp,
    identifier: String,
    message: String,
    reason: Option<String>,
    /// A logout whose login has not been seen, and may still come.
    #[serde(skip)]
    waits: bool,
}

impl Line {
    fn of(
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
}

#[derive(Debug, Default)]
struct Summary {
    entries: usize,
    logins: usize,
    logouts: usize,
    starts: usize,
    refused: usize,
    missed: usize,
}

/// Runs the definitions over a journal.
pub fn run(
    config: Option<&Path>,
    args: &TestArgs,
    out: &mut impl Write,
) -> Result<ExitCode, CommandError> {
    let mut settings = config::load(config)?.settings;
    if !args.server.is_empty() {
        settings.servers.clone_from(&args.server);
    }
    let recogniser = Arc::new(daemon::recogniser(&settings)?);
    let source = match (&args.directory, &args.namespace) {
        (Some(directory), _) => Source::Directory(directory.clone()),
        (None, Some(namespace)) => Source::Namespace(namespace.clone()),
        (None, None) if !args.file.is_empty() => Source::Files(args.file.clone()),
        (None, None) => daemon::source(&settings),
    };
    let senders = if args.any_sender {
        Senders::Any
    } else {
        Senders::Trusted
    };

    let mut reader = Reader::open(&source, recogniser.identifiers())?;
    match args.since {
        Some(since) => reader.seek_time(since)?,
        None => reader.seek_head()?,
    }
    let mut taker = Taker::new(recogniser.clone(), senders, Unknown::Drop);
    let mut summary = Summary::default();
    let mut story = Story::default();
    while reader.next()? {
        let time = reader.time()?;
        if args.until.is_some_and(|until| time > until) {
            break;
        }
        summary.entries += 1;
        let intake = taker.take(&mut reader)?;
        let (identifier, message) = taker.last();
        let server = recogniser
            .servers_of(&identifier)
            .next()
            .unwrap_or_default();
        let line = Line {
            event: "missed",
            client: None,
            user: None,
            server: server.to_owned(),
            session: None,
            time,
            message,
            identifier,
            reason: None,
            waits: false,
        };
        let line = summary.count(&intake, line, args.missed);
        story.tell(&intake, line);
        while let Some(line) = story.next(time) {
            show(args, out, &line)?;
        }
    }
    while let Some(line) = story.next(Timestamp::MAX) {
        show(args, out, &line)?;
    }
    if !args.json {
        write_summary(out, &summary, &source)?;
    }
    Ok(ExitCode::SUCCESS)
}

impl Summary {
    /// Counts an entry, and says as what it is shown, if at all.
    fn count(&mut self, intake: &Intake, line: Line, show_missed: bool) -> Option<Line> {
        match intake {
            Intake::Event(event) => match event.kind {
                EventKind::Login { .. } => {
                    self.logins += 1;
                    Some(Line {
                        event: "login",
                        ..line
                    })
                }
                EventKind::Logout { .. } => {
                    self.logouts += 1;
                    Some(Line {
                        event: "logout",
                        ..line
                    })
                }
                EventKind::Start => {
                    self.starts += 1;
                    None
                }
            },
            Intake::Refused(refused) => {
                self.refused += 1;
                let (why, sender, remedy) = (&refused.why, &refused.sender, refused.remedy());
                let reason = Some(format!("{why} ({sender}); to trust it: {remedy}"));
                Some(Line {
                    event: "refused",
                    reason,
                    ..line
                })
            }
            Intake::Nothing => {
                let reason = missed(&line.message)?;
                self.missed += 1;
                show_missed.then_some(Line {
                    reason: Some(reason),
                    ..line
                })
            }
        }
    }
}

/// The lines in their order, where logouts are told whose they are.
///
/// The line of a logout often has no address: its login had. And the login can be written after
/// it, so that the lines behind such a logout wait for a while.
#[derive(Debug, Default)]
struct Story {
    sessions: HashMap<SessionKey, (Client, Option<String>)>,
    lines: VecDeque<Line>,
}

/// How long a logout waits for its login, of the journal's time.
const LOGIN_MAY_COME: SignedDuration = SignedDuration::from_secs(60);
/// How many lines may wait.
const LINES: usize = 10_000;

impl Story {
    fn tell(&mut self, intake: &Intake, line: Option<Line>) {
        if let Intake::Event(Event {
            server,
            kind: EventKind::Start,
            ..
        }) = intake
        {
            self.sessions.retain(|key, _| key.server != *server);
        }
        let Some(line) = line else { return };
        let line = match intake {
            Intake::Nothing => line,
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
                } => self.close(server, line.of(server, *client, user, session)),
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
            let key = SessionKey {
                server: server.clone(),
                id: id.clone(),
            };
            self.sessions.insert(key, (client, user.clone()));
        }
    }

    /// The line of a logout, with what its login told.
    fn close(&mut self, server: &Arc<str>, line: Line) -> Line {
        let Some(id) = line.session.clone() else {
            return line;
        };
        match self.sessions.remove(&SessionKey {
            server: server.clone(),
            id,
        }) {
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
    fn next(&mut self, now: Timestamp) -> Option<Line> {
        let first = self.lines.front()?;
        let waits = first.waits
            && now.duration_since(first.time) < LOGIN_MAY_COME
            && self.lines.len() < LINES;
        if waits { None } else { self.lines.pop_front() }
    }
}

fn show(args: &TestArgs, out: &mut impl Write, line: &Line) -> Result<(), CommandError> {
    if args.json {
        serde_json::to_writer(&mut *out, line).map_err(std::io::Error::from)?;
        writeln!(out)?;
        return Ok(());
    }
    let client = line
        .client
        .map_or_else(|| "-".to_owned(), |client| client.to_string());
    let user = line
        .user
        .as_deref()
        .map_or_else(|| "-".to_owned(), printable);
    let Line { event, server, .. } = line;
    writeln!(
        out,
        "{} {event:<7} {client:<24} {server:<10} {user}",
        local_time(line.time)
    )?;
    if let Some(reason) = &line.reason {
        writeln!(
            out,
            "    {}: {}",
            printable(&line.identifier),
            printable(&line.message)
        )?;
        writeln!(out, "    {}", printable(reason))?;
    }
    Ok(())
}

fn write_summary(
    out: &mut impl Write,
    summary: &Summary,
    source: &Source,
) -> Result<(), CommandError> {
    writeln!(
        out,
        "{} read from {source}: {}, {}, {}, {} refused, {} nearly matched{}",
        count(summary.entries, "entry"),
        count(summary.logins, "login"),
        count(summary.logouts, "logout"),
        count(summary.starts, "start"),
        summary.refused,
        summary.missed,
        if summary.missed > 0 {
            " (--missed shows them)"
        } else {
            ""
        },
    )?;
    Ok(())
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
