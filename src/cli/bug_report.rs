//! `bug-report`: what those who look for a mistake need to know of this host, without anybody's name or
//! address.
//!
//! Changes nothing, starts nothing, asks nobody but the service, and sends nothing anywhere. Must print
//! nothing that has not gone through [`Anonymous`], but versions.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use super::{CommandError, CommandResult, doctor, running, status};
use crate::anonymous::{Anonymous, Of};
use crate::config;
use crate::control;
use crate::control::client::{AskError, Service};
use crate::control::protocol::{Filter, Status};
use crate::diagnostics::{local_time, printable};
use crate::doctor::Verdict;
use crate::journal::JournalError;
use crate::journal::own::{OwnMessage, OwnReader};
use crate::postfix::command::Programs;

/// How long the service may take for each answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// The numbers of people, as Debian and others give them (login.defs(5)).
const PEOPLE: std::ops::Range<u32> = 1000..65534;

/// What the source is called that every host has; nobody's name.
const OWN_JOURNAL: &str = "journal";

/// What is in it.
#[derive(Debug, Args)]
#[command(after_help = "\
It holds the versions of what is installed, 'status', 'doctor', 'show-config', and the last messages of \
the service. Users, hosts, stores, mail addresses and addresses are replaced, the same one always by the \
same: user-1, host-1, source-1, mail-1, ipv4-public-1.2 (the second host of the first network), \
ipv6-private-1.1. So is every other word that does not stand in this program's own messages: name-1; and \
long numbers. 127.0.0.1, ::1, 10.0.0.0/8 and the like stay.

A word that is also one of our own, such as 'mail', is let through where nothing says that it is a name. \
Read the report before you send it.

It changes nothing and starts nothing. What can't be found out, as the service is stopped or this user \
may not, it says; run it as root to have all. It takes a minute or two where something hangs.

Debian's reportbug puts it into reports by itself.")]
pub struct BugReportArgs {
    /// How many of the last messages
    #[arg(long, value_name = "N", default_value_t = 100)]
    lines: usize,
    /// The service's control socket
    #[arg(long, value_name = "PATH", default_value = control::SOCKET)]
    socket: PathBuf,
}

/// Prints the report.
pub fn run(config: Option<&Path>, args: &BugReportArgs, out: &mut impl Write) -> CommandResult {
    let mut anonymous = Anonymous::new();
    // Names first: a text may name somebody of whom only a later one says that it is a name.
    let loaded = config::load(config);
    let messages = last_messages(args.lines);
    let asked = ask(&args.socket, &mut anonymous);
    know_names(&mut anonymous, loaded.as_ref().ok(), messages.as_ref().ok());

    writeln!(
        out,
        "Report about pop-before-smtp. Names and addresses are replaced; read it before you send it."
    )?;
    chapter(out, "Versions")?;
    for (what, version) in versions() {
        writeln!(out, "{what} {version}")?;
    }

    chapter(out, "pop-before-smtp status")?;
    match &asked {
        Asked::Answered(status) => {
            let mut text = anstream::StripStream::new(Vec::new());
            status::show(status, jiff::Timestamp::now(), None, &mut text)?;
            let text = String::from_utf8_lossy(&text.into_inner()).into_owned();
            out.write_all(anonymous.text(&text).as_bytes())?;
        }
        Asked::Stopped => writeln!(out, "the service does not run")?,
        Asked::Failed(error) => writeln!(out, "{}", anonymous.text(&error.to_string()))?,
    }

    chapter(out, "pop-before-smtp doctor")?;
    write_points(config, &args.socket, &mut anonymous, out)?;

    chapter(out, "pop-before-smtp show-config")?;
    match &loaded {
        Ok(loaded) => {
            for line in config::show(loaded).lines() {
                writeln!(out, "{}", config_line(&mut anonymous, line))?;
            }
        }
        // It quotes what is wrong.
        Err(error) => writeln!(out, "{}", anonymous.quotation(&error.to_string()))?,
    }

    chapter(out, "The last messages")?;
    match &messages {
        Ok(messages) => {
            for message in messages {
                let text = anonymous.text(&printable(&message.text));
                writeln!(out, "{} {text}", local_time(message.time))?;
            }
        }
        Err(error) => writeln!(out, "{}", anonymous.text(&error.to_string()))?,
    }
    Ok(ExitCode::SUCCESS)
}

fn chapter(out: &mut impl Write, title: &str) -> std::io::Result<()> {
    writeln!(out, "\n== {title}")
}

/// What came of asking the service.
enum Asked {
    Answered(Box<Status>),
    /// A question would start it.
    Stopped,
    Failed(AskError),
}

/// Asks the service how it is, and learns the names of those that it lists.
fn ask(socket: &Path, anonymous: &mut Anonymous) -> Asked {
    if socket == Path::new(control::SOCKET) && !running::service_runs() {
        return Asked::Stopped;
    }
    let asked = Service::connect_for(socket, PATIENCE).and_then(|mut service| {
        let status = service.status()?;
        service.clients(&Filter::default(), |client| {
            let user = client.user.as_deref().unwrap_or_default();
            anonymous.know(Of::User, &printable(user));
            Ok::<(), AskError>(())
        })?;
        Ok(status)
    });
    match asked {
        Ok(status) => {
            let login = status.last_login.as_ref();
            let user = login.and_then(|login| login.user.as_deref());
            anonymous.know(Of::User, &printable(user.unwrap_or_default()));
            Asked::Answered(Box::new(status))
        }
        Err(error) => Asked::Failed(error),
    }
}

/// The last of the service's own messages, in order.
fn last_messages(most: usize) -> Result<Vec<OwnMessage>, JournalError> {
    let mut reader = OwnReader::open_all()?;
    reader.seek_end()?;
    let mut messages = Vec::new();
    while messages.len() < most
        && let Some(message) = reader.previous()?
    {
        messages.push(message);
    }
    messages.reverse();
    Ok(messages)
}

/// Learns the names that the configuration, the messages and the host tell of.
fn know_names(
    anonymous: &mut Anonymous,
    loaded: Option<&config::Loaded>,
    messages: Option<&Vec<OwnMessage>>,
) {
    let sources = loaded
        .iter()
        .flat_map(|loaded| loaded.settings.sources.keys());
    let mut sources: Vec<&str> = sources.map(String::as_str).collect();
    for message in messages.into_iter().flatten() {
        anonymous.know(Of::User, message.user.as_deref().unwrap_or_default());
        sources.extend(message.source.as_deref());
    }
    for source in sources {
        if source != OWN_JOURNAL {
            anonymous.know(Of::Source, source);
        }
    }
    // passwd(5)
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    for line in passwd.lines() {
        let mut fields = line.split(':');
        if let (Some(name), Some(uid)) = (fields.next(), fields.nth(1))
            && uid.parse().is_ok_and(|uid| PEOPLE.contains(&uid))
        {
            anonymous.know(Of::User, name);
        }
    }
}

/// What is installed, as far as it can be told.
fn versions() -> Vec<(&'static str, String)> {
    let programs = Programs::installed();
    let said = |program, arguments: &[&str]| {
        let output = programs
            .run(program, arguments)
            .and_then(|output| output.succeeded());
        output.map(|output| output.text()).unwrap_or_default()
    };
    let release = fs::read_to_string("/etc/os-release").unwrap_or_default();
    let of_release = |key: &str| {
        let value = release.lines().find_map(|line| line.strip_prefix(key));
        value.unwrap_or_default().trim_matches('"').to_owned()
    };
    let system = format!("{} {}", of_release("ID="), of_release("VERSION_ID="));
    // "systemd 252 (252.39-1~deb12u1)"
    let systemd = said("systemctl", &["--version"]);
    let systemd = systemd.split_whitespace().nth(1).unwrap_or_default();
    let kernel = rustix::system::uname();
    vec![
        ("pop-before-smtp", env!("CARGO_PKG_VERSION").to_owned()),
        ("system", plain(&system)),
        ("linux", version(&kernel.release().to_string_lossy())),
        ("machine", plain(&kernel.machine().to_string_lossy())),
        ("systemd", version(systemd)),
        (
            "postfix",
            version(&said("postconf", &["-h", "mail_version"])),
        ),
    ]
}

/// Of a version, what no administrator has added: `6.1.0` of `6.1.0-tom`.
fn version(text: &str) -> String {
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.');
    match &text[..end.unwrap_or(text.len())] {
        "" => "unknown".to_owned(),
        version => version.to_owned(),
    }
}

/// A short name of a system or a processor.
fn plain(text: &str) -> String {
    let is_plain = |c: &char| c.is_ascii_alphanumeric() || matches!(c, ' ' | '.' | '_');
    text.chars().filter(is_plain).take(30).collect()
}

/// A line of the configuration. The name of a table may hold one that somebody has chosen.
fn config_line(anonymous: &mut Anonymous, line: &str) -> String {
    // What nobody has written is nobody's.
    if line.ends_with("  # default") {
        return line.to_owned();
    }
    match line.split_once('.') {
        Some((table, name)) if line.starts_with('[') => {
            format!("{}.{}", anonymous.text(table), anonymous.text(name))
        }
        _ => anonymous.text(line),
    }
}

fn write_points(
    config: Option<&Path>,
    socket: &Path,
    anonymous: &mut Anonymous,
    out: &mut impl Write,
) -> Result<(), CommandError> {
    for point in crate::doctor::examine(config, socket) {
        // Below its first line a finding quotes what others have written.
        let (first, more) = point
            .finding
            .split_once('\n')
            .unwrap_or((&point.finding, ""));
        let mut finding = anonymous.text(&printable(first));
        for line in more.lines() {
            finding += "\n    ";
            finding += &anonymous.quotation(&printable(line));
        }
        writeln!(
            out,
            "{:<7}  {}: {finding}",
            doctor::word(point.verdict),
            point.point
        )?;
        if matches!(point.verdict, Verdict::Wrong | Verdict::Unknown) {
            for line in point.mend.iter().flat_map(|mend| mend.lines()) {
                writeln!(out, "    {}", anonymous.text(&printable(line)))?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_hold_nothing_that_somebody_has_added() {
        assert_eq!(version("6.1.0-18-amd64"), "6.1.0");
        assert_eq!(version("tom"), "unknown");
        assert_eq!(plain("debian 12\u{1b}[2J"), "debian 122J");
        for (what, version) in versions() {
            assert!(!version.is_empty(), "{what}");
        }
    }

    #[test]
    fn a_table_keeps_its_kind() {
        let mut anonymous = Anonymous::new();
        anonymous.know(Of::Source, "backoffice");
        for (line, expected) in [
            ("[sources.backoffice]", "[sources.source-1]"),
            ("[senders.dovecot]", "[senders.dovecot]"),
            (
                "clients = 1000000  # default",
                "clients = 1000000  # default",
            ),
            (
                "never = [\"192.0.2.10\", \"10.0.0.0/8\"]  # /etc/pop-before-smtp/config.toml:3",
                "never = [\"ipv4-public-1.1\", \"10.0.0.0/8\"]  # /etc/pop-before-smtp/config.toml:3",
            ),
        ] {
            assert_eq!(config_line(&mut anonymous, line), expected);
        }
    }
}
