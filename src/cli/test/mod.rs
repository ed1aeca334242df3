//! `test`: what the definitions make of a journal. Touches nothing, asks nobody.

mod explained;
pub(super) mod line;
mod misnamed;
pub(super) mod story;
pub(super) mod syslog;

use std::io::{BufRead, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use clap::Args;
use jiff::{Timestamp, ZonedDateTime};

use self::line::{Clock, Line, Show, Summary};
use self::story::Story;
use super::{CommandError, CommandResult, entries, when};
use crate::config::{self, Settings};
use crate::daemon::{self, NamedSource};
use crate::intake::{Intake, Senders, Taker, wanted};
use crate::journal::{Entry, Source};
use crate::servers::{Explainer, Recogniser, Sender, Unknown};

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
    /// Trust every sender: for journals of other hosts, whose users and units have other names
    #[arg(long)]
    any_sender: bool,
    /// Print one object per line, for programs
    #[arg(long)]
    json: bool,
    /// Show only what may be a login and does not count: entries that hold an address but match
    /// nothing, entries that are refused, and logins under identifiers that are not known as the
    /// server's, with the configuration that makes the service read them
    #[arg(long)]
    missed: bool,
    /// Show every entry, and say which pattern matched it (file and line), or how far each pattern
    /// got and why it stopped
    #[arg(long)]
    explain: bool,
    /// Read lines from standard input instead of a journal. With --identifier, each line is a whole
    /// message as in the journal. Without it, each is a line of a log file by the syslog daemon of
    /// the server's host, such as 'Nov 24 10:34:11 mail dovecot[31]: MESSAGE' (RFC 3339 time stamps
    /// and RFC 5424, too), with an identifier and a pid of its own; lines without a pid count as one
    /// process's. Lines are treated as the service would treat them in the journal of that host,
    /// but a line has no sender, so none is checked
    #[arg(
        long,
        conflicts_with_all = ["directory", "file", "namespace", "since", "until", "any_sender"]
    )]
    stdin: bool,
    /// The identifier of all lines (SYSLOG_IDENTIFIER in the journal). Use it to try a log file that
    /// is passed on to the journal, with 'tail --follow FILE | systemd-cat --identifier NAME' or from
    /// a container: a syslog header is then part of the message
    #[arg(long, value_name = "NAME", requires = "stdin")]
    identifier: Option<String>,
}

/// Runs the definitions over a journal, or over lines.
pub fn run(config: Option<&Path>, args: &TestArgs, out: &mut impl Write) -> CommandResult {
    let mut settings = config::load(config)?.settings;
    if !args.server.is_empty() {
        settings.servers.clone_from(&args.server);
    }
    let recogniser = Arc::new(daemon::recogniser(&settings)?);
    let mut teller = Teller {
        show: match (args.explain, args.missed) {
            (true, _) => Show::Everything,
            (false, true) => Show::Missed,
            (false, false) => Show::Events,
        },
        json: args.json,
        explainer: args.explain.then(|| Explainer::new(recogniser.clone())),
        recogniser,
        summary: Summary::default(),
        story: Story::default(),
        clock: Clock::default(),
        out,
    };
    let source = if args.stdin {
        read_lines(args, &mut teller)?;
        "standard input".to_owned()
    } else {
        let sources = sources(args, &settings);
        for source in &sources {
            let read = read_journal(args, source, &mut teller);
            entries::or_left_out(source, read)?;
        }
        let journals: Vec<String> = sources.iter().map(|s| s.journal.to_string()).collect();
        journals.join(" and ")
    };
    teller.tell_until(Timestamp::MAX)?;
    if args.missed && !args.stdin {
        for source in sources(args, &settings) {
            let told = misnamed::tell(args, &source.journal, &settings, &mut teller);
            entries::or_left_out(&source, told)?;
        }
    }
    if !args.json {
        teller.summary.write(&source, teller.show, teller.out)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The journals that are meant.
fn sources(args: &TestArgs, settings: &Settings) -> Vec<NamedSource> {
    let journal = match (&args.directory, &args.namespace) {
        (Some(directory), _) => Source::Directory(directory.clone()),
        (None, Some(namespace)) => Source::Namespace(namespace.clone()),
        (None, None) if !args.file.is_empty() => Source::Files(args.file.clone()),
        (None, None) => return daemon::sources(settings),
    };
    vec![NamedSource {
        name: None,
        journal,
        users: None,
    }]
}

fn read_journal<W: Write>(
    args: &TestArgs,
    source: &NamedSource,
    teller: &mut Teller<'_, W>,
) -> Result<(), CommandError> {
    let senders = if args.any_sender {
        Senders::Any
    } else {
        Senders::Trusted
    };
    let recogniser = teller.recogniser.clone();
    let wanted = wanted(&recogniser);
    let from = args.since.unwrap_or(Timestamp::MIN);
    let until = args.until.unwrap_or(Timestamp::MAX);
    let mut taker = source.taker(&recogniser, senders, Unknown::Drop);
    entries::each(&source.journal, &wanted, from, until, |entry| {
        teller.tell(&taker.take(entry), entry)
    })?;
    // What another source tells comes behind.
    teller.tell_until(Timestamp::MAX)
}

fn read_lines<W: Write>(args: &TestArgs, teller: &mut Teller<'_, W>) -> Result<(), CommandError> {
    let mut taker = Taker::new(teller.recogniser.clone(), Senders::Any, Unknown::Drop);
    for (number, line) in std::io::stdin().lock().split(b'\n').enumerate() {
        let line = line.map_err(CommandError::Input)?;
        let line = line.strip_suffix(b"\r").unwrap_or(&line);
        if line.is_empty() {
            continue;
        }
        let sender = |pid: Option<u32>| Sender {
            pid: Some(pid.unwrap_or(0)),
            ..Sender::default()
        };
        let entry = match &args.identifier {
            // As it is: whatever it begins with, the service sees too.
            Some(identifier) => Entry::new(Timestamp::now(), identifier, line, sender(None)),
            None => {
                let parsed = syslog::parse(line, &ZonedDateTime::now());
                let parsed = parsed.ok_or(CommandError::NoIdentifier { line: number + 1 })?;
                let sender = sender(parsed.pid);
                Entry::new(parsed.time, &parsed.identifier, parsed.message, sender)
            }
        };
        teller.tell(&taker.take(&entry), &entry)?;
    }
    Ok(())
}

/// Tells of entries, in their order.
struct Teller<'a, W> {
    show: Show,
    json: bool,
    recogniser: Arc<Recogniser>,
    explainer: Option<Explainer>,
    summary: Summary,
    story: Story,
    clock: Clock,
    out: &'a mut W,
}

impl<W: Write> Teller<'_, W> {
    fn tell(&mut self, intake: &Intake, entry: &Entry) -> Result<(), CommandError> {
        let identifier = &*String::from_utf8_lossy(&entry.identifier);
        let message = entry.message.as_slice();
        let mut line = Line::at(entry.time);
        // Of an event that is shown in a line, nobody sees them, and most entries are events.
        if self.json || self.explainer.is_some() || !matches!(intake, Intake::Event(_)) {
            let server = self.recogniser.servers_of(identifier).next();
            line.server = server.unwrap_or_default().to_owned();
            line.message = String::from_utf8_lossy(message).into_owned();
            line.identifier = identifier.to_owned();
        }
        let mut line = self.summary.count(intake, line, self.show);
        if let (Some(explainer), Some(line)) = (&self.explainer, &mut line) {
            let explanations = explainer.explain(identifier, message);
            line.reason = Some(explained::reason(
                &explanations,
                line.reason.as_deref(),
                identifier,
                message,
                &self.recogniser,
            ));
        }
        self.story.tell(intake, line);
        self.tell_until(entry.time)
    }

    fn tell_until(&mut self, time: Timestamp) -> Result<(), CommandError> {
        while let Some(line) = self.story.next(time) {
            line.write(self.json, &mut self.clock, self.out)?;
        }
        Ok(())
    }
}
