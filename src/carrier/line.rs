//! The line to a store: ssh(1), with a key of its own and the store's known host key, to the command
//! that the store's `authorized_keys` has for this key (sshd(8), `command=`).
//!
//! What is asked for is a time, and nothing else: the store's shell gets nothing of ours to interpret
//! but digits, which it checks.

use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::diagnostics::printable;
use crate::journal::Match;
use crate::origin::Id;

/// What the store's command says first; the number is that of what follows.
const GREETING: &str = "pop-before-smtp-store 1";
/// How long what it says first is at the most.
const LONGEST_GREETING: u64 = 200;
/// How much of what ssh complains of is kept.
const LONGEST_COMPLAINT: u64 = 4096;
/// How much of its last line is shown.
const LONGEST_SHOWN: usize = 200;
/// A store that says nothing for so long does not answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// Where the store can't be reached for so long, in seconds, it is down.
const ALIVE: [&str; 3] = [
    "ConnectTimeout=10",
    "ServerAliveInterval=10",
    "ServerAliveCountMax=3",
];

/// A connection to a store.
#[derive(Debug)]
pub struct Line {
    ssh: HangUp,
    entries: BufReader<ChildStdout>,
    complaints: Option<JoinHandle<String>>,
}

/// The process of a line, which ends the line where it is killed, whoever does.
#[derive(Debug, Clone)]
pub struct HangUp(Arc<Mutex<Child>>);

impl HangUp {
    /// Hangs up a line by this process.
    pub(super) fn of(process: Child) -> Self {
        HangUp(Arc::new(Mutex::new(process)))
    }

    /// Hangs up; nothing if that was done.
    pub fn hang_up(&self) {
        let _ = self.process().kill();
    }

    pub(super) fn process(&self) -> MutexGuard<'_, Child> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a store says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Greeting {
    /// Its machine id, machine-id(5).
    pub machine: String,
    /// What its clock says.
    pub time: Timestamp,
    /// What entries it prints: [`version`].
    pub version: String,
}

impl Line {
    /// Asks a store for its entries since a time. `credentials` is the directory with the key and the
    /// host key.
    ///
    /// # Errors
    /// When there is no ssh.
    pub fn open(store: &str, credentials: &Path, since: Timestamp) -> io::Result<Self> {
        let file = |name: &str, file: &str| format!("{name}={}", credentials.join(file).display());
        let options = [
            "BatchMode=yes",
            "IdentitiesOnly=yes",
            "StrictHostKeyChecking=yes",
            "GlobalKnownHostsFile=/dev/null",
            "UpdateHostKeys=no",
            "ForwardAgent=no",
            "ClearAllForwardings=yes",
            "ControlMaster=no",
            "ControlPath=none",
            "LogLevel=ERROR",
        ];
        let files = [
            file("IdentityFile", "key"),
            file("UserKnownHostsFile", "known_hosts"),
        ];
        let options = options
            .iter()
            .chain(&ALIVE)
            .map(|option| (*option).to_owned());
        let mut ssh = Command::new("ssh");
        ssh.arg("-F")
            .arg(credentials.join("ssh_config"))
            .arg("-T")
            .args(options.chain(files).map(|option| format!("-o{option}")))
            .args(["--", store, &since.as_second().max(0).to_string()]);
        Self::of(&mut ssh)
    }

    /// The line that this command is.
    fn of(command: &mut Command) -> io::Result<Self> {
        let mut ssh = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| {
                io::Error::new(
                    error.kind(),
                    format!("ssh: {error} (apt install openssh-client)"),
                )
            })?;
        let (Some(out), Some(complaints)) = (ssh.stdout.take(), ssh.stderr.take()) else {
            return Err(io::Error::other("ssh has no output"));
        };
        let mut line = Line {
            ssh: HangUp::of(ssh),
            entries: BufReader::new(out),
            complaints: None,
        };
        line.complaints = Some(listen(complaints, || ())?);
        Ok(line)
    }

    /// What the store says first; otherwise what it has said instead. It is not waited for without end.
    ///
    /// # Errors
    /// When it can't be read.
    pub fn greeting(&mut self) -> io::Result<Result<Greeting, String>> {
        let (answered, is_answered) = mpsc::channel::<()>();
        let ssh = self.hang_up();
        let guard = thread::Builder::new().spawn(move || {
            if is_answered.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
                ssh.hang_up();
            }
        })?;
        let mut line = Vec::new();
        let mut first = self.entries.by_ref().take(LONGEST_GREETING);
        let read = first.read_until(b'\n', &mut line);
        drop(answered);
        let _ = guard.join();
        read?;
        let line = String::from_utf8_lossy(&line);
        Ok(Greeting::parse(&line).ok_or_else(|| printable(line.trim())))
    }

    /// The entries that follow.
    pub fn entries(&mut self) -> &mut impl BufRead {
        &mut self.entries
    }

    /// Hangs up, and says what ssh has complained of.
    pub fn close(mut self) -> String {
        self.end();
        let complaints = self.complaints.take().map(JoinHandle::join);
        complaints.and_then(Result::ok).unwrap_or_default()
    }

    /// Hangs it up from elsewhere: what is read of it comes to an end then.
    pub fn hang_up(&self) -> HangUp {
        self.ssh.clone()
    }

    fn end(&self) {
        self.ssh.hang_up();
        let _ = self.ssh.process().wait();
    }

    /// The store has nothing more to say: hangs up when ssh has ended, or soon. Says what that has
    /// complained of.
    pub fn ended(self) -> String {
        let begin = Instant::now();
        let lives = || matches!(self.ssh.process().try_wait(), Ok(None));
        while lives() && begin.elapsed() < Duration::from_secs(5) {
            thread::sleep(Duration::from_millis(50));
        }
        self.close()
    }
}

/// Whatever ends the use of a line, ssh does not stay: each would take one of the few processes that the
/// carrier may have.
impl Drop for Line {
    fn drop(&mut self) {
        self.end();
    }
}

impl Greeting {
    /// Reads it: the machine's id, seconds since 1970, and the version.
    fn parse(line: &str) -> Option<Self> {
        let rest = line.strip_prefix(GREETING)?.strip_prefix(' ')?;
        let words: Vec<&str> = rest.strip_suffix('\n')?.split(' ').collect();
        let &[machine, time, version] = words.as_slice() else {
            return None;
        };
        let is_id = |id: &str| id.len() == 32 && id.bytes().all(|b| b.is_ascii_hexdigit());
        let time = Timestamp::from_second(time.parse().ok()?).ok()?;
        (is_id(machine) && is_id(version)).then(|| Greeting {
            machine: machine.to_owned(),
            time,
            version: version.to_owned(),
        })
    }
}

/// Reads to the end what somebody complains of, so that he never waits for us, and keeps the beginning. Then
/// he has ended, and something is done.
pub(super) fn listen(
    mut from: impl Read + Send + 'static,
    then: impl FnOnce() + Send + 'static,
) -> io::Result<JoinHandle<String>> {
    thread::Builder::new().spawn(move || {
        let mut text = Vec::new();
        let _ = from.by_ref().take(LONGEST_COMPLAINT).read_to_end(&mut text);
        let _ = io::copy(&mut from, &mut io::sink());
        then();
        String::from_utf8_lossy(&text).into_owned()
    })
}

/// The last line of what somebody complains of, short and harmless.
pub(super) fn last_line(complaints: &str) -> Option<String> {
    let last = complaints
        .lines()
        .map(str::trim)
        .rfind(|line| !line.is_empty())?;
    Some(printable(
        &last.chars().take(LONGEST_SHOWN).collect::<String>(),
    ))
}

/// What is wrong, by what ssh has complained of, and what to do. A part of it may be the store's own
/// text.
#[must_use]
pub fn explain(store: &str, complaints: &str) -> String {
    let Some(last) = last_line(complaints) else {
        return "the connection has ended".to_owned();
    };
    let advice = if last.contains("Host key verification failed") {
        format!(
            "the store shows another host key than the one that was confirmed. If it is really the \
             store (it was installed anew): pop-before-smtp store remove {store}, and store add"
        )
    } else if last.contains("Permission denied") {
        format!(
            "the store does not accept this relay's key: 'pop-before-smtp store show {store}' prints \
             the line for its authorized_keys"
        )
    } else if last.contains("Could not resolve hostname") {
        format!("correct HostName in /etc/pop-before-smtp/stores/{store}/ssh_config")
    } else {
        return last;
    };
    format!("{last}: {advice}")
}

/// What entries a command prints, in a word.
#[must_use]
pub fn version(wanted: &[Match]) -> String {
    Id::of_name(&Match::arguments(wanted).join(" ")).to_string()
}

/// What the store is to run for this relay's key: a command for a POSIX shell, in one line. It takes a
/// time, in seconds since 1970, and prints these entries since then, for ever.
///
/// `journalctl --follow` shows the present boot alone, so that what is there is printed first, without
/// it; a few seconds come twice.
#[must_use]
pub fn command(wanted: &[Match]) -> String {
    let matches = Match::arguments(wanted).join(" ");
    let journalctl = "journalctl --quiet --no-pager --output=export";
    format!(
        "s=$SSH_ORIGINAL_COMMAND; case $s in ''|*[!0-9]*) echo 'this key is for pop-before-smtp' >&2; \
         exit 2;; esac; n=$(date +%s); echo {GREETING} $(cat /etc/machine-id) $n {}; \
         j='{journalctl}'; m='{matches}'; $j --since=@$s $m || exit; \
         exec $j --follow --no-tail --since=@$((n-10)) $m",
        version(wanted)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_is_not_closed_leaves_no_process() {
        let line = Line::of(Command::new("sleep").arg("1000")).unwrap();
        let process = format!("/proc/{}", line.ssh.process().id());
        assert!(Path::new(&process).exists());
        drop(line);
        assert!(!Path::new(&process).exists());
    }

    #[test]
    fn a_greeting_is_of_one_form() {
        let id = "15f594f33c494af59fa3cdf33c2aa578";
        let greeting = Greeting::parse(&format!("{GREETING} {id} 1764300000 {id}\n")).unwrap();
        assert_eq!(greeting.machine, id);
        assert_eq!(greeting.time.as_second(), 1_764_300_000);
        for other in [
            String::new(),
            format!("{GREETING} {id} 1764300000 {id}"),
            format!("{GREETING}0 {id} 1764300000 {id}\n"),
            format!("{GREETING} {id} now {id}\n"),
            format!("{GREETING} {id} 1\n"),
            format!("{GREETING} {id} 1 {id} 2\n"),
            format!("{GREETING} ../../etc 1 {id}\n"),
            format!("welcome\n{GREETING} {id} 1 {id}\n"),
        ] {
            assert_eq!(Greeting::parse(&other), None, "{other:?}");
        }
    }

    #[test]
    fn a_command_prints_the_entries_of_identifiers_and_of_containers() {
        let dovecot = Match::from("dovecot");
        let said = command(&[dovecot.clone(), "imapd".into()]);
        assert!(
            said.contains("m='SYSLOG_IDENTIFIER=dovecot SYSLOG_IDENTIFIER=imapd'"),
            "{said}"
        );
        let [name, tag] = Match::of_container("mail");
        let said = command(&[name, dovecot, tag]);
        let matches = "m='SYSLOG_IDENTIFIER=dovecot + CONTAINER_NAME=mail + CONTAINER_TAG=mail'";
        assert!(said.contains(matches), "{said}");
    }

    #[test]
    fn what_is_wrong_is_said_with_what_to_do() {
        let said = explain("store1", "store@store1: Permission denied (publickey).\r\n");
        assert!(said.contains("store show store1"), "{said}");
        assert_eq!(explain("store1", " \n"), "the connection has ended");
        // What the store says itself does no harm to a terminal or to the journal.
        let said = explain("store1", &format!("\x1b[2J{}", "x".repeat(5000)));
        assert!(said.len() < 300 && !said.contains('\x1b'), "{said}");
    }
}
