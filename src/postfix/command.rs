//! Runs one of Postfix's programs and waits for it, for a bounded time.
//!
//! The caller must never hang: not on a program that sleeps, not on a grandchild that has
//! inherited a descriptor, not on a pipe that nobody empties, not on a full disk. So output goes
//! into memory files of a fixed size, the wait is on a pidfd with a time limit, and whatever is
//! left of the program's process group is killed before the call returns. Never starts a shell.

mod started;

use std::env;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::File;
use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::fs::{Access, MemfdFlags, SealFlags, access, fcntl_add_seals, ftruncate, memfd_create};

pub use started::Started;

/// How long a program may take, unless told otherwise. A million clients take about a second.
pub const DEFAULT_LIMIT: Duration = Duration::from_secs(30);

/// Where Postfix's programs are on the distributions that we know, after `PATH`.
const DIRECTORIES: [&str; 7] = [
    "/usr/sbin",
    "/sbin",
    "/usr/lib/postfix/sbin",
    "/usr/libexec/postfix",
    "/usr/local/sbin",
    "/usr/bin",
    "/bin",
];

/// The most that a program may write to standard output: `postmap -s` of some 300,000 keys.
const STDOUT_SIZE: u64 = 16 << 20;
/// The most that a program may write to standard error; more is lost.
const STDERR_SIZE: u64 = 1 << 20;
/// A write that does not fit into a memory file fails, but may have filled it up to the last
/// whole page (of whatever size the kernel uses): this close to the end counts as full.
const NEARLY_FULL: u64 = 64 << 10;

/// Where Postfix's programs are looked for, which configuration they read, and how long each may
/// take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Programs {
    /// The directories to look in, in this order.
    pub directories: Vec<PathBuf>,
    /// The directory of main.cf (`MAIL_CONFIG`), when it is not the one built into Postfix.
    pub configuration: Option<PathBuf>,
    /// How long one run may take.
    pub limit: Duration,
}

impl Programs {
    /// The programs of the installed Postfix: those in `PATH`, then those in the usual places;
    /// the configuration that `MAIL_CONFIG` names, if it is set; [`DEFAULT_LIMIT`].
    #[must_use]
    pub fn installed() -> Self {
        let path = env::var_os("PATH").unwrap_or_default();
        let mut directories: Vec<PathBuf> = Vec::new();
        // A relative directory in PATH would let whoever owns the working directory choose the
        // program.
        let usual = DIRECTORIES.iter().map(PathBuf::from);
        for directory in env::split_paths(&path).chain(usual) {
            if directory.is_absolute() && !directories.contains(&directory) {
                directories.push(directory);
            }
        }
        Programs {
            directories,
            configuration: env::var_os("MAIL_CONFIG").map(PathBuf::from),
            limit: DEFAULT_LIMIT,
        }
    }

    /// Whether Postfix is on this host at all, set up or not.
    #[must_use]
    pub fn have_postfix(&self) -> bool {
        self.find("postconf").is_ok()
    }

    /// Runs `program` (`postmap`, `postconf`) with `arguments` and waits for its end.
    ///
    /// Its environment is `LC_ALL=C`, `PATH` and, if set, `MAIL_CONFIG`; its standard input is
    /// empty. An exit status other than 0 is not an error here: see [`Output::succeeded`].
    ///
    /// # Errors
    /// When the program is not there, can't be started, takes longer than the limit or writes
    /// more than 16 MiB.
    pub fn run<A: AsRef<OsStr>>(
        &self,
        program: &'static str,
        arguments: &[A],
    ) -> Result<Output, CommandError> {
        self.spawn(program, arguments, Stdio::null())?.finish(&[])
    }

    /// Starts `program` as [`Programs::run`] does, and does not wait for it: it is to read from its
    /// standard input, and is told by [`Started::finish`] what.
    ///
    /// # Errors
    /// When the program is not there or can't be started.
    pub fn start<A: AsRef<OsStr>>(
        &self,
        program: &'static str,
        arguments: &[A],
    ) -> Result<Started, CommandError> {
        self.spawn(program, arguments, Stdio::piped())
    }

    /// What `postmap -q` says of a key in a table (`TYPE:PATH`). It ends alike where there is no such
    /// key and where it fails: then it says why.
    ///
    /// # Errors
    /// When postmap can't be run.
    pub fn look_up(&self, table: &OsStr, key: &str) -> Result<Output, CommandError> {
        self.run("postmap", &["-q".as_ref(), key.as_ref(), table])
    }

    /// The keys and values of a table, by `postmap -s`.
    ///
    /// # Errors
    /// When postmap can't be run, or can't list it: it is of a type without a list, or too large.
    pub fn entries(&self, table: &OsStr) -> Result<Vec<(String, String)>, CommandError> {
        let listed = self.run("postmap", &["-s".as_ref(), table])?.succeeded()?;
        let entry = |line: &str| {
            let (key, value) = line.split_once('\t').unwrap_or((line, ""));
            (key.to_owned(), value.to_owned())
        };
        Ok(listed.text().lines().map(entry).collect())
    }

    fn spawn<A: AsRef<OsStr>>(
        &self,
        program: &'static str,
        arguments: &[A],
        stdin: Stdio,
    ) -> Result<Started, CommandError> {
        let executable = self.find(program)?;
        let call = Call::new(program, arguments);
        let system = |source: io::Error| CommandError::System {
            call: call.clone(),
            source,
        };
        let stdout = memory_file("stdout", STDOUT_SIZE).map_err(system)?;
        let stderr = memory_file("stderr", STDERR_SIZE).map_err(system)?;

        // The command holds copies of the memory files: until it is dropped.
        let mut command = Command::new(&executable);
        command
            .args(arguments)
            .env_clear()
            .env("LC_ALL", "C")
            .env(
                "PATH",
                env::join_paths(&self.directories).unwrap_or_default(),
            )
            .stdin(stdin)
            .stdout(stdout.try_clone().map_err(system)?)
            .stderr(stderr.try_clone().map_err(system)?)
            .process_group(0);
        if let Some(configuration) = &self.configuration {
            command.env("MAIL_CONFIG", configuration);
        }
        let child = command.spawn().map_err(system)?;
        Ok(Started::new(child, call, [stdout, stderr], self.limit))
    }

    /// The first executable file of that name.
    fn find(&self, program: &'static str) -> Result<PathBuf, CommandError> {
        self.directories
            .iter()
            .map(|directory| directory.join(program))
            .find(|file| file.is_file() && access(file, Access::EXEC_OK).is_ok())
            .ok_or_else(|| CommandError::NotFound {
                program,
                directories: self.directories.clone(),
            })
    }
}

/// A program and its arguments, for messages: `postmap lmdb:/var/lib/…`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call(String);

impl Call {
    fn new<A: AsRef<OsStr>>(program: &str, arguments: &[A]) -> Self {
        let mut words = OsString::from(program);
        for argument in arguments {
            words.push(" ");
            words.push(argument);
        }
        Call(words.to_string_lossy().escape_debug().collect())
    }
}

impl fmt::Display for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a program that has ended leaves behind.
#[derive(Debug)]
pub struct Output {
    /// What was run.
    pub call: Call,
    /// How it ended.
    pub status: ExitStatus,
    /// All that it wrote to standard output.
    pub stdout: Vec<u8>,
    /// The last 64 KiB of what it wrote to standard error.
    pub stderr: String,
}

impl Output {
    /// Itself if the exit status is 0.
    ///
    /// # Errors
    /// When it is anything else, with the beginning of what the program said about it.
    pub fn succeeded(self) -> Result<Self, CommandError> {
        if self.status.success() {
            return Ok(self);
        }
        Err(CommandError::Failed {
            call: self.call,
            status: self.status,
            stderr: self.stderr,
        })
    }

    /// Standard output as text; bytes that are not UTF-8 become `U+FFFD`.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }
}

/// Why one of Postfix's programs did not do what we asked of it.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// It is in none of the directories.
    #[error(
        "{program} not found in {}: install Postfix, or put {program} in the PATH of this service",
        directories.iter().map(|d| d.to_string_lossy()).collect::<Vec<_>>().join(":")
    )]
    NotFound {
        /// Its name.
        program: &'static str,
        /// Where we looked.
        directories: Vec<PathBuf>,
    },
    /// The system would not let us start it, or wait for it.
    #[error("{call}: can't be run: {source}")]
    System {
        /// What was to be run.
        call: Call,
        /// What the system said.
        source: io::Error,
    },
    /// It did not end in time, and was killed.
    #[error(
        "{call}: killed, as it had not ended after {}{}: is the machine overloaded, or the disk \
         hanging? Try it by hand",
        seconds(*limit), said(stderr)
    )]
    TimedOut {
        /// What was run.
        call: Call,
        /// How long it was allowed to take.
        limit: Duration,
        /// What it had written to standard error.
        stderr: String,
    },
    /// It wrote more than we are ready to read.
    #[error("{call}: wrote more than {} MiB", (STDOUT_SIZE - NEARLY_FULL) >> 20)]
    TooMuch {
        /// What was run.
        call: Call,
    },
    /// It ended with an exit status other than 0.
    #[error("{call}: {}{}", ending(*status), said(stderr))]
    Failed {
        /// What was run.
        call: Call,
        /// How it ended.
        status: ExitStatus,
        /// The last 64 KiB of what it wrote to standard error.
        stderr: String,
    },
}

/// `30 s`, `0.5 s`.
fn seconds(time: Duration) -> String {
    format!("{} s", time.as_secs_f64())
}

/// `exit code 1`, `killed by signal 9`.
fn ending(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit code {code}"),
        (None, Some(signal)) => format!("killed by signal {signal}"),
        (None, None) => status.to_string(),
    }
}

/// What Postfix's programs complain of where the inet families are closed to them, as they are to the
/// service and its children: it says nothing of what is wrong.
const CLOSED_FAMILY: &str = "warning: inet_protocols: disabling";

/// The first lines of what a program wrote to standard error, on one line of ours.
fn said(stderr: &str) -> String {
    const LINES: usize = 3;
    const CHARACTERS: usize = 600;
    let lines: Vec<&str> = stderr
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.contains(CLOSED_FAMILY))
        .take(LINES)
        .collect();
    if lines.is_empty() {
        return String::new();
    }
    let text: String = lines.join(" | ").chars().take(CHARACTERS).collect();
    format!(": {}", text.escape_debug())
}

/// A file in memory that can't grow beyond `size`: a write that does not fit fails.
fn memory_file(name: &str, size: u64) -> io::Result<File> {
    let file = memfd_create(name, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
    ftruncate(&file, size)?;
    fcntl_add_seals(&file, SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL)?;
    Ok(File::from(file))
}

/// The argument `TYPE:PATH`, whatever bytes the path is made of.
pub(crate) fn table(kind: impl fmt::Display, path: &Path) -> OsString {
    let mut argument = OsString::from(format!("{kind}:"));
    argument.push(path);
    argument
}

#[cfg(test)]
mod tests {
    use super::started::STDERR_TAIL;
    use super::*;
    use std::process::Command as Process;
    use std::thread;
    use std::time::Instant;

    /// Programs in a directory of our own. The scripts are written by another process: a
    /// descriptor open for writing, inherited by a program that another test starts at the same
    /// moment, would make exec fail with ETXTBSY.
    fn programs(script: &str, limit: Duration) -> (tempfile::TempDir, Programs) {
        let directory = tempfile::tempdir().unwrap();
        let status = Process::new("sh")
            .arg("-c")
            .arg(r#"printf '%s\n' '#!/bin/sh' "$2" >"$1/postmap" && chmod 755 "$1/postmap""#)
            .arg("sh")
            .arg(directory.path())
            .arg(script)
            .status()
            .unwrap();
        assert!(status.success());
        let programs = Programs {
            directories: vec![
                directory.path().to_owned(),
                "/usr/bin".into(),
                "/bin".into(),
            ],
            configuration: None,
            limit,
        };
        (directory, programs)
    }

    const LONG: Duration = Duration::from_secs(30);
    const NONE: [&str; 0] = [];

    #[test]
    fn output_and_status_come_back() {
        let (_directory, programs) = programs("echo out \"$1\"; echo err >&2; exit 3", LONG);
        let output = programs.run("postmap", &["a b"]).unwrap();
        assert_eq!(output.text(), "out a b\n");
        assert_eq!(output.stderr, "err\n");
        assert_eq!(output.status.code(), Some(3));
        let error = output.succeeded().unwrap_err().to_string();
        assert_eq!(error, "postmap a b: exit code 3: err");
    }

    #[test]
    fn what_is_our_own_doing_does_not_hide_what_is_wrong() {
        let closed = |family| {
            format!(
                "postmap: warning: inet_protocols: disabling IPv{family} name/address support: \
                 Address family not supported by protocol"
            )
        };
        let stderr = format!("{}\n{}\none\ntwo\nthree\nfour\n", closed(6), closed(4));
        assert_eq!(said(&stderr), ": one | two | three");
    }

    #[test]
    fn one_that_was_started_waits_for_what_it_reads() {
        let (_directory, programs) = programs("read line; echo \"$1 $line\"; cat", LONG);
        let started = programs.start("postmap", &["got"]).unwrap();
        let output = started.finish(b"a\nb\n").unwrap();
        assert_eq!(output.succeeded().unwrap().text(), "got a\nb\n");
        let (_directory, programs) = self::programs("exit 4", LONG);
        let ended = programs.start("postmap", &NONE).unwrap();
        let output = ended.finish(b"nobody reads this").unwrap();
        assert_eq!(output.status.code(), Some(4));
    }

    #[test]
    fn one_that_is_wanted_no_more_is_killed() {
        let (directory, programs) = programs("echo $$ >\"$1\"; sleep 1000", LONG);
        let note = directory.path().join("pid");
        let started = programs.start("postmap", &[&note]).unwrap();
        while !std::fs::read_to_string(&note).is_ok_and(|pid| pid.ends_with('\n')) {
            thread::yield_now();
        }
        drop(started);
        assert_gone(&note);
    }

    #[test]
    fn the_environment_is_clean() {
        let (_directory, mut programs) = programs("env; cat", LONG);
        programs.configuration = Some("/etc/somewhere".into());
        let text = programs.run("postmap", &NONE).unwrap().text();
        let mut names: Vec<&str> = text
            .lines()
            .filter_map(|line| line.split('=').next())
            .filter(|name| !["PWD", "OLDPWD", "SHLVL", "_"].contains(name))
            .collect();
        names.sort_unstable();
        assert_eq!(names, ["LC_ALL", "MAIL_CONFIG", "PATH"]);
        assert!(text.contains("LC_ALL=C\n"));
        assert!(text.contains("MAIL_CONFIG=/etc/somewhere\n"));
    }

    #[test]
    fn a_missing_program_is_named_with_where_we_looked() {
        let programs = Programs {
            directories: vec!["/nonexistent/a".into(), "/nonexistent/b".into()],
            configuration: None,
            limit: LONG,
        };
        let error = programs.run("postconf", &NONE).unwrap_err().to_string();
        assert!(
            error.starts_with("postconf not found in /nonexistent/a:/nonexistent/b: install"),
            "{error}"
        );
    }

    #[test]
    fn one_that_hangs_is_killed_with_its_children() {
        // The grandchild holds the output open, and ignores what can be ignored.
        let (directory, programs) = programs(
            "trap '' TERM INT HUP; sleep 1000 & echo $! >\"$1\"; echo waiting >&2; wait",
            Duration::from_millis(300),
        );
        let note = directory.path().join("pid");
        let started = Instant::now();
        let error = programs.run("postmap", &[&note]).unwrap_err();
        assert!(
            started.elapsed() < Duration::from_secs(10),
            "{:?}",
            started.elapsed()
        );
        let text = error.to_string();
        assert!(matches!(error, CommandError::TimedOut { .. }), "{text}");
        assert!(
            text.contains("killed, as it had not ended after 0.3 s: waiting"),
            "{text}"
        );
        assert_gone(&note);
    }

    #[test]
    fn a_child_left_in_the_background_neither_delays_nor_survives() {
        let (directory, programs) = programs("sleep 1000 & echo $! >\"$1\"; echo done", LONG);
        let note = directory.path().join("pid");
        let started = Instant::now();
        let output = programs.run("postmap", &[&note]).unwrap();
        assert!(started.elapsed() < Duration::from_secs(10));
        assert_eq!(output.text(), "done\n");
        assert_gone(&note);
    }

    /// The process whose id is in the file is dead, or as good as (a zombie that its new parent
    /// has yet to reap).
    fn assert_gone(note: &Path) {
        let pid = std::fs::read_to_string(note).unwrap();
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let status = std::fs::read_to_string(format!("/proc/{}/status", pid.trim()));
            let alive = status.is_ok_and(|s| !s.contains("State:\tZ") && !s.contains("State:\tX"));
            if !alive {
                return;
            }
            assert!(Instant::now() < deadline, "{pid} is still there");
            thread::yield_now();
        }
    }

    #[test]
    fn more_output_than_fits_is_an_error_and_more_messages_are_cut() {
        let (_directory, programs) =
            programs("head -c 20000000 /dev/zero 2>/dev/null; exit 0", LONG);
        let error = programs.run("postmap", &NONE).unwrap_err();
        assert!(matches!(error, CommandError::TooMuch { .. }), "{error}");

        let (_directory, programs) =
            self::programs("head -c 900000 /dev/zero >&2; echo end >&2", LONG);
        let output = programs.run("postmap", &NONE).unwrap();
        assert_eq!(output.stderr.len() as u64, STDERR_TAIL);
        assert!(output.stderr.ends_with("end\n"));
    }

    #[test]
    fn one_killed_by_a_signal_says_so() {
        let (_directory, programs) = programs("kill -9 $$", LONG);
        let error = programs
            .run("postmap", &NONE)
            .unwrap()
            .succeeded()
            .unwrap_err();
        assert_eq!(error.to_string(), "postmap: killed by signal 9");
    }
}
