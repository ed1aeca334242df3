//! `metrics`: the service's numbers, for a monitoring system.
//!
//! OpenMetrics text 1.0. Of its types, only those that the older Prometheus text format has as
//! well: node exporter's textfile collector reads that one.

use std::fmt::Write as _;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use jiff::Timestamp;

use super::{CommandError, CommandResult, exit, running};
use crate::control;
use crate::control::client::{AskError, Service};
use crate::control::protocol::{SourceStatus, Status};

/// How long a service that runs may take to answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// Where the numbers go.
#[derive(Debug, Args)]
#[command(after_help = "\
For node exporter's textfile collector, every minute:
  systemctl enable --now pop-before-smtp-metrics.timer

Where the service does not answer, the file says so, and nothing else: pop_before_smtp_up is 0, \
and the command ends with 69 (with 0 where --no-start finds the service stopped). Without --output, \
nothing is printed then.")]
pub struct MetricsArgs {
    /// Write to this file, which is replaced as a whole, instead of standard output
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Do not start a stopped service: by default, as every question, this one does
    #[arg(long)]
    no_start: bool,
    /// The service's control socket
    #[arg(long, value_name = "PATH", default_value = control::SOCKET)]
    socket: PathBuf,
}

/// Prints or writes the numbers.
pub fn run(args: &MetricsArgs, out: &mut impl Write) -> CommandResult {
    if args.no_start && !running::service_runs() {
        if let Some(path) = &args.output {
            write_file(path, &without_answer())?;
            return Ok(ExitCode::SUCCESS);
        }
        return Ok(ExitCode::from(exit::UNAVAILABLE));
    }
    let status = match (status(args), &args.output) {
        (Ok(status), _) => status,
        // What an earlier run has written must not look as if it were of now.
        (Err(error), Some(path)) => {
            write_file(path, &without_answer())?;
            return Err(error.into());
        }
        (Err(error), None) => return Err(error.into()),
    };
    let text = open_metrics(&status);
    match &args.output {
        Some(path) => write_file(path, &text)?,
        None => out.write_all(text.as_bytes())?,
    }
    Ok(ExitCode::SUCCESS)
}

fn status(args: &MetricsArgs) -> Result<Status, AskError> {
    let mut service = if args.no_start {
        Service::connect_for(&args.socket, PATIENCE)?
    } else {
        Service::connect(&args.socket)?
    };
    service.status()
}

fn write_file(path: &Path, text: &str) -> Result<(), CommandError> {
    replace(path, text.as_bytes()).map_err(|source| CommandError::File {
        path: path.to_owned(),
        source,
    })
}

/// Writes a temporary file and renames it, so that a reader always finds a whole one. It is not
/// synced: it is rewritten a minute later.
fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let name = path
        .file_name()
        .ok_or_else(|| io::Error::other("names no file"))?;
    // Not a name that a collector reads: it reads *.prom.
    let new = path.with_file_name(format!(
        ".{}.{}.new",
        name.to_string_lossy(),
        std::process::id()
    ));
    let write = |mut file: File| {
        file.write_all(bytes)?;
        fs::rename(&new, path)
    };
    let options = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o644)
        .open(&new);
    let written = options.and_then(write);
    if written.is_err() {
        let _ = fs::remove_file(&new);
    }
    written
}

/// The numbers of a status.
fn open_metrics(status: &Status) -> String {
    let mut text = Families(String::new());
    let totals = &status.totals;
    let last_login = status.last_login.as_ref().map(|login| login.time);
    let published = status.last_publication.as_ref();
    text.up(true);
    text.family("build_info", "gauge", "", "The version that runs.");
    let _ = writeln!(
        text.0,
        "pop_before_smtp_build_info{{version=\"{}\"}} 1",
        status.version
    );
    text.time("start", "When the service was started.", Some(status.since));
    text.gauge("clients", "Clients that may relay now.", status.clients);
    text.gauge(
        "sessions",
        "POP3 and IMAP sessions that are open.",
        status.sessions,
    );
    text.gauge(
        "problems",
        "What is wrong now; 'pop-before-smtp status' says what.",
        status.problems.len(),
    );
    text.gauge(
        "caught_up",
        "Whether the journal has been read up to now.",
        u8::from(status.caught_up),
    );
    text.time(
        "journal_position",
        "When the entry was written that was read last.",
        status.journal_position,
    );
    text.seconds(
        "journal_lag",
        "How long after it was written the last entry was read; while catching up with the \
         journal, how far reading is behind now.",
        status.lag_milliseconds,
    );
    if let Some(sources) = &status.sources {
        of_sources(&mut text, sources);
    }
    text.time("last_login", "The last login that was read.", last_login);
    text.time(
        "last_publication",
        "When the access map was published last.",
        published.map(|p| p.time),
    );
    text.seconds(
        "last_publication_duration",
        "How long the last publication took.",
        published.map(|p| p.milliseconds),
    );
    if let Some(published) = published {
        text.gauge(
            "published_clients",
            "Clients in the access map.",
            published.clients,
        );
    }
    for (name, help, value) in [
        ("logins", "Logins.", totals.logins),
        (
            "unchanged_logins",
            "Logins of clients that were listed already.",
            totals.unchanged_logins,
        ),
        ("logouts", "Sessions that have ended.", totals.logouts),
        ("listed", "Clients that were listed.", totals.listed),
        ("removed", "Clients that were removed.", totals.removed),
        (
            "refused",
            "Entries by untrusted senders, and logins over a limit.",
            totals.refused,
        ),
        (
            "publications",
            "Publications of the access map.",
            totals.publications,
        ),
        (
            "failed_publications",
            "Publications of the access map that failed.",
            totals.failed_publications,
        ),
        (
            "policy_answers",
            "Postfix's questions that were answered.",
            status.policy.answered,
        ),
        (
            "policy_grants",
            "Postfix's questions that were answered with OK.",
            status.policy.granted,
        ),
    ] {
        text.counter(name, help, value);
    }
    text.0 += "# EOF\n";
    text.0
}

/// All that is known of a service that does not answer.
fn without_answer() -> String {
    let mut text = Families(String::new());
    text.up(false);
    text.0 + "# EOF\n"
}

fn of_sources(text: &mut Families, sources: &[SourceStatus]) {
    let caught_up = (
        "source_caught_up",
        "",
        "Whether a source has been read up to now.",
    );
    text.sources(sources, caught_up, |source| {
        Some(u8::from(source.caught_up))
    });
    let position = (
        "source_position_timestamp_seconds",
        "seconds",
        "When the entry of a source was written that was read last.",
    );
    text.sources(sources, position, |source| {
        Some(source.journal_position?.as_second())
    });
    let connected = ("source_connected", "", "Whether a store is connected.");
    text.sources(sources, connected, |source| source.connected.map(u8::from));
    let problems = ("source_problems", "", "What is wrong with a source now.");
    text.sources(sources, problems, |source| Some(source.problems.len()));
}

/// Metric families, in OpenMetrics text.
// By hand: `prometheus-client` brings a second parking_lot beside sled's, which deny.toml forbids.
struct Families(String);

impl Families {
    fn family(&mut self, name: &str, kind: &str, unit: &str, help: &str) {
        let name = format!("pop_before_smtp_{name}");
        self.0 += &format!("# TYPE {name} {kind}\n");
        if !unit.is_empty() {
            self.0 += &format!("# UNIT {name} {unit}\n");
        }
        self.0 += &format!("# HELP {name} {help}\n");
    }

    fn up(&mut self, answers: bool) {
        let help = "Whether the service answers.";
        self.gauge("up", help, u8::from(answers));
    }

    fn gauge(&mut self, name: &str, help: &str, value: impl std::fmt::Display) {
        self.family(name, "gauge", "", help);
        self.0 += &format!("pop_before_smtp_{name} {value}\n");
    }

    /// The same of each source, where there are several; nothing of those of which it is unknown.
    fn sources<V: std::fmt::Display>(
        &mut self,
        sources: &[SourceStatus],
        (name, unit, help): (&str, &str, &str),
        value: impl Fn(&SourceStatus) -> Option<V>,
    ) {
        let known: Vec<_> = (sources.iter())
            .filter_map(|source| Some((&source.name, value(source)?)))
            .collect();
        if known.is_empty() {
            return;
        }
        self.family(name, "gauge", unit, help);
        for (source, value) in known {
            self.0 += &format!("pop_before_smtp_{name}{{source=\"{source}\"}} {value}\n");
        }
    }

    fn counter(&mut self, name: &str, help: &str, value: u64) {
        self.family(name, "counter", "", help);
        self.0 += &format!("pop_before_smtp_{name}_total {value}\n");
    }

    /// A length of time; nothing, where it is unknown.
    fn seconds(&mut self, name: &str, help: &str, milliseconds: Option<u64>) {
        let Some(milliseconds) = milliseconds else {
            return;
        };
        let name = format!("{name}_seconds");
        self.family(&name, "gauge", "seconds", help);
        let (seconds, rest) = (milliseconds / 1000, milliseconds % 1000);
        self.0 += &format!("pop_before_smtp_{name} {seconds}.{rest:03}\n");
    }

    /// A point in time, in seconds since 1970; nothing, where it is unknown.
    fn time(&mut self, name: &str, help: &str, time: Option<Timestamp>) {
        let since = time.and_then(|time| u64::try_from(time.as_millisecond()).ok());
        self.seconds(&format!("{name}_timestamp"), help, since);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn status() -> Status {
        serde_json::from_value(json!({
            "version": "2.0.0", "since": "2026-11-24T10:00:00.5Z", "servers": [],
            "permittedNetworks": "", "clients": 3, "sessions": 1, "refused": 0, "caughtUp": true,
            "journalPosition": "2026-11-24T10:00:00Z", "lagMilliseconds": 42,
            "sources": [
                {"name": "journal", "journal": "", "caughtUp": true, "problems": []},
                {
                    "name": "store1", "journal": "", "caughtUp": false, "connected": true,
                    "journalPosition": "2026-11-24T10:00:00Z", "problems": ["x"]
                }
            ],
            "lastLogin": {"time": "2026-11-24T10:00:00Z", "client": "192.0.2.1", "server": "x"},
            "map": {"path": "", "type": ""},
            "lastPublication": {
                "time": "2026-11-24T10:00:00Z", "clients": 3, "milliseconds": 1234
            },
            "policy": {"answered": 9, "granted": 8},
            "totals": {
                "logins": 7, "unchangedLogins": 4, "logouts": 6, "listed": 3, "removed": 1,
                "refused": 2, "publications": 5, "failedPublications": 1
            },
            "logLevel": "info", "problems": ["x"]
        }))
        .unwrap()
    }

    #[test]
    fn numbers_in_open_metrics() {
        let text = open_metrics(&status());
        for line in [
            "pop_before_smtp_build_info{version=\"2.0.0\"} 1",
            "pop_before_smtp_start_timestamp_seconds 1795514400.500",
            "pop_before_smtp_clients 3",
            "pop_before_smtp_journal_lag_seconds 0.042",
            "pop_before_smtp_last_publication_duration_seconds 1.234",
            "# TYPE pop_before_smtp_logins counter",
            "pop_before_smtp_logins_total 7",
            "pop_before_smtp_policy_grants_total 8",
            "pop_before_smtp_source_caught_up{source=\"store1\"} 0",
            "# UNIT pop_before_smtp_source_position_timestamp_seconds seconds",
            "pop_before_smtp_source_position_timestamp_seconds{source=\"store1\"} 1795514400",
            "pop_before_smtp_source_connected{source=\"store1\"} 1",
            "pop_before_smtp_source_problems{source=\"journal\"} 0",
        ] {
            assert!(text.lines().any(|l| l == line), "{line}: {text}");
        }
        assert!(!text.contains("source_connected{source=\"journal\"}"));
        assert!(text.ends_with("\n# EOF\n"));
        assert!(!text.contains("\n\n"));
    }

    #[test]
    fn the_file_is_replaced_as_a_whole() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pop-before-smtp.prom");
        for text in ["first", "second"] {
            replace(&path, text.as_bytes()).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), text);
        }
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
        assert!(replace(&directory.path().join("none/x.prom"), b"").is_err());
        assert!(replace(Path::new("/"), b"").is_err());
    }
}
