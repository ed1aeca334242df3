//! Catching up with a journal: beside journalctl, which reads the same entries and prints them;
//! beside fail2ban, which looks for one pattern in them; and where most of a journal is of others.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use std::{fs, io};

use crate::journal::{Contents, Ends};
use crate::process::{Setup, timed};
use crate::table::{Row, in_turn, median, seconds, thousands};
use crate::{Bench, Options};

/// The pattern for fail2ban: what the built-in definition of Dovecot wants of a login's line, as far
/// as one pattern can say it. The rest of the line is left to the definition.
const PATTERN: &str = "^\\s*\\S+ dovecot\\[\\d+\\]: (?:imap|pop3)-login: Logged in: user=<[^>]*>, \
                       method=\\S+, rip=<ADDR>, lip=";

/// The journal of the first two rows: half logins, half logouts.
pub fn contents(options: &Options) -> Contents {
    let (sessions, clients) = if options.quick {
        (5_000, 500)
    } else {
        (500_000, 50_000)
    };
    Contents {
        sessions,
        clients,
        ends: Ends::Theirs,
        noise: 0,
    }
}

/// How long it takes from nothing to a published map.
fn catch_up(setup: &Setup) -> Duration {
    setup.forget();
    setup.once()
}

/// A service that catches up with this journal, having shown that it finds all clients there.
fn prepared(journal: &Path, contents: Contents) -> Setup {
    let setup = Setup::new(journal, "");
    catch_up(&setup);
    assert_eq!(setup.clients_in_map(), contents.clients as usize);
    setup
}

/// How long journalctl takes to print Dovecot's entries.
pub fn printed(journal: &Path) -> Duration {
    timed(
        journalctl(journal)
            .arg("--output=cat")
            .stdout(Stdio::null()),
    )
}

fn journalctl(directory: &Path) -> Command {
    let mut command = Command::new("journalctl");
    command
        .arg("--directory")
        .arg(directory)
        .args(["--quiet", "--identifier=dovecot"]);
    command
}

/// Against journalctl.
pub fn against_journalctl(bench: &Bench) -> Vec<Row> {
    let contents = contents(&bench.options);
    let journal = bench.journal(contents);
    let setup = prepared(journal.path(), contents);
    let (ours, theirs) = in_turn(
        bench.options.runs,
        || catch_up(&setup),
        || printed(journal.path()),
    );
    vec![Row::at_most(
        format!(
            "catch up with {} entries of Dovecot, half of them logins, {} clients, until the map is \
             published",
            thousands(contents.dovecot().into()),
            thousands(contents.clients.into())
        ),
        ours,
        ("`journalctl -t dovecot -o cat >/dev/null`", theirs),
        1.2,
    )]
}

/// Against fail2ban-regex, from the journal and from a text file: the quicker one counts.
pub fn against_fail2ban(bench: &Bench) -> Vec<Row> {
    let contents = contents(&bench.options);
    let journal = bench.journal(contents);
    let setup = prepared(journal.path(), contents);
    let text = setup.path("mail.log");
    let lines = fs::File::create(&text).unwrap();
    timed(
        journalctl(journal.path())
            .arg("--output=short")
            .stdout(lines),
    );
    let files = format!(
        "systemd-journal[journalfiles='{}/*.journal', journalflags=0]",
        journal.path().display()
    );
    let from_text = fail2ban(bench, text.as_os_str().to_str().unwrap(), contents);
    let from_journal = fail2ban(bench, &files, contents);
    let theirs = from_text.min(from_journal);
    let ours: Vec<Duration> = (0..bench.options.runs).map(|_| catch_up(&setup)).collect();
    let ours = median(&ours);
    let faster = theirs.as_secs_f64() / ours.as_secs_f64();
    vec![Row {
        what: "the same, against one pattern of fail2ban's".to_owned(),
        measured: seconds(ours),
        peer: format!(
            "`fail2ban-regex`: {} from a text file, {} from the journal (once)",
            seconds(from_text),
            seconds(from_journal)
        ),
        ratio: format!("{faster:.1} times faster"),
        goal: "at least 5 times faster".to_owned(),
        holds: Some(faster >= 5.0),
    }]
}

/// How long fail2ban-regex takes over these entries; it must find every login.
fn fail2ban(bench: &Bench, log: &str, contents: Contents) -> Duration {
    let root: PathBuf = bench
        .options
        .fail2ban
        .clone()
        .expect("--fail2ban, which benches/run gives");
    let said = tempfile::NamedTempFile::new().unwrap();
    // Its program names the interpreter that it is run by.
    let took = timed(
        Command::new("/usr/bin/python3")
            .arg(root.join("usr/bin/fail2ban-regex"))
            .arg("--config")
            .arg(root.join("etc/fail2ban"))
            .args(["--usedns=no", "--print-no-missed", "--print-no-ignored"])
            .args(["--journalmatch", "SYSLOG_IDENTIFIER=dovecot"])
            .args([log, PATTERN])
            .env("PYTHONPATH", root.join("usr/lib/python3/dist-packages"))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdout(said.reopen().unwrap()),
    );
    let said = fs::read_to_string(said.path()).unwrap();
    let found = format!("{} matched", contents.sessions);
    assert!(said.contains(&found), "not {found}: {said}");
    took
}

/// Where one entry in twenty is Dovecot's, against a journal of just those; and how much journalctl,
/// which has libsystemd read the same entries and does nothing else, is held up by the others.
///
/// In both states that a journal can be in memory: as its writer has left it, in single pages, each
/// of which costs those who map it; and as it is read from a disk, in larger pieces.
pub fn among_others(bench: &Bench) -> Vec<Row> {
    let (sessions, clients) = if bench.options.quick {
        (500, 500)
    } else {
        (25_000, 5_000)
    };
    let alone = Contents {
        sessions,
        clients,
        ends: Ends::Theirs,
        noise: 0,
    };
    let among = Contents { noise: 19, ..alone };
    let journals = bench.journals(&[among, alone]);
    let [many, few] = [0, 1].map(|n| journals[n].path());
    let [among_setup, alone_setup] = [many, few].map(|journal| prepared(journal, alone));
    let measure = |state: &str| {
        // They are short.
        let runs = bench.options.runs * 5;
        let (among_took, alone_took) =
            in_turn(runs, || catch_up(&among_setup), || catch_up(&alone_setup));
        let (among_printed, alone_printed) = in_turn(runs, || printed(many), || printed(few));
        let dovecot = thousands(alone.dovecot().into());
        let mut row = Row::at_most(
            format!(
                "catch up with a journal of {} entries, {dovecot} of them Dovecot's, {state}",
                thousands(among.entries().into())
            ),
            among_took,
            (&format!("with just those {dovecot}"), alone_took),
            1.3,
        );
        let ratio = among_printed.as_secs_f64() / alone_printed.as_secs_f64();
        row.peer += &format!(
            "; `journalctl -t dovecot -o cat`: {} and {}, ratio {ratio:.2}",
            seconds(among_printed),
            seconds(alone_printed)
        );
        row
    };
    let written = measure("just written");
    read_from_disk(many);
    read_from_disk(few);
    vec![written, measure("read from disk before")]
}

/// Has the files of this directory read from the disk, so that they are in memory like this.
fn read_from_disk(directory: &Path) {
    for entry in fs::read_dir(directory).unwrap() {
        let mut file = fs::File::open(entry.unwrap().path()).unwrap();
        file.sync_all().unwrap();
        rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed).unwrap();
        io::copy(&mut file, &mut io::sink()).unwrap();
    }
}
