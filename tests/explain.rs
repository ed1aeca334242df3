//! `test --explain` and `test --stdin`: why an entry is taken for what it is.

mod journal_files;

use std::fs;
use std::io::Write;
use std::process::{Command, Output, Stdio};

use jiff::SignedDuration;
use journal_files::JournalFiles;
use journal_files::entry::{Entry, export};
use serde_json::Value;
use tempfile::TempDir;

const MINE: &str = r#"name = "mine"
description = "Tells the address first"
identifiers = ["mine"]
[senders]
users = ["root"]
units = ["mine.service"]
[[connect]]
pattern = 'connect from {client}$'
[[login]]
pattern = 'welcome (?<user>[a-z]+)$'
unless = 'nobody'
[[failure]]
pattern = 'go away'
"#;

/// A configuration with Dovecot and a server that writes two lines.
fn configured() -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    let config = "servers = [\"dovecot\", \"mine\"]\n";
    fs::write(directory.path().join("config.toml"), config).unwrap();
    fs::create_dir(directory.path().join("servers.d")).unwrap();
    fs::write(directory.path().join("servers.d/mine.toml"), MINE).unwrap();
    directory
}

fn test(directory: &TempDir, arguments: &[&str], input: &[u8]) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_pop-before-smtp"))
        .arg("--config")
        .arg(directory.path().join("config.toml"))
        .arg("test")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A program that leaves at once reads nothing.
    let _ = child.stdin.take().unwrap().write_all(input);
    child.wait_with_output().unwrap()
}

fn json(directory: &TempDir, arguments: &[&str], input: &[u8]) -> Vec<Value> {
    let output = test(directory, &[arguments, &["--json"]].concat(), input);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    let lines = String::from_utf8(output.stdout).unwrap();
    lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn mine(ago: i64, pid: &str, message: &str) -> Entry {
    Entry::dovecot(SignedDuration::from_secs(ago), message)
        .but("SYSLOG_IDENTIFIER", Some("mine"))
        .but("_SYSTEMD_UNIT", Some("mine.service"))
        .with("_PID", pid)
}

#[test]
fn every_entry_says_what_became_of_it() {
    let ago = SignedDuration::from_secs;
    let entries = [
        Entry::login(ago(90), "192.0.2.10", "a"),
        Entry::login(ago(89), "192.0.2.10", "b").but("_UID", Some("1000")),
        Entry::dovecot(
            ago(88),
            "imap-login: Disconnected: user=<al>, rip=192.0.2.10",
        ),
        Entry::dovecot(ago(87), "imap-login: Login: user=<al>, rip=192.0.2.300"),
        Entry::dovecot(ago(86), "imap-login: Login: user=<a\tb>, rip=192.0.2.10"),
        mine(80, "7", "connect from 192.0.2.11"),
        mine(79, "7", "welcome al"),
        mine(78, "7", "welcome al"),
        mine(77, "8", "go away"),
        mine(76, "8", "connect from 192.0.2.12").but("_UID", Some("1000")),
        mine(75, "8", "welcome nobody"),
        mine(74, "8", "welcome").with("MESSAGE", "another"),
        mine(73, "8", "welcome al").with("SYSLOG_IDENTIFIER", "other"),
    ];
    let journal = JournalFiles::import(&export(&entries));
    let directory = configured();
    let path = journal.path().to_str().unwrap();
    let lines = json(&directory, &["--directory", path, "--explain"], b"");
    assert_eq!(lines.len(), entries.len());
    let file = directory.path().join("servers.d/mine.toml");
    let file = file.display();
    for (line, (event, client, says)) in lines.iter().zip([
        ("login", "192.0.2.10", "dovecot.toml (built in):".to_owned()),
        (
            "refused",
            "192.0.2.10",
            "the sender's user is not one of the server's".to_owned(),
        ),
        (
            "missed",
            "-",
            "stops behind 'imap-login: ': `(?:Login|Logged in): ` does not follow".to_owned(),
        ),
        (
            "nothing",
            "-",
            "'192.0.2.300', where the client should be, is no address".to_owned(),
        ),
        (
            "missed",
            "-",
            "not tried: the message has control characters".to_owned(),
        ),
        (
            "connect",
            "192.0.2.11",
            format!("{file}:8: the connect pattern of mine takes it"),
        ),
        (
            "login",
            "192.0.2.11",
            format!("{file}:10: the login pattern of mine takes it"),
        ),
        (
            "missed",
            "-",
            "no line of the same process has told the client before".to_owned(),
        ),
        (
            "failure",
            "-",
            format!("{file}:13: the failure pattern of mine takes it"),
        ),
        ("missed", "-", "(uid 1000, unit mine.service)".to_owned()),
        (
            "nothing",
            "-",
            "login, line 10: matches, but so does its 'unless'".to_owned(),
        ),
        ("nothing", "-", "stops behind 'welcome'".to_owned()),
        (
            "missed",
            "-",
            "several MESSAGE or SYSLOG_IDENTIFIER fields".to_owned(),
        ),
    ]) {
        let reason = line["reason"].as_str().unwrap();
        assert_eq!(line["event"], event, "{line}");
        assert_eq!(line["client"].as_str().unwrap_or("-"), client, "{line}");
        assert!(reason.contains(&says), "{says}\n{line}");
    }
    // Without --explain, only what matters.
    let events = |arguments: &[&str]| {
        let lines = json(&directory, arguments, b"");
        lines
            .iter()
            .map(|l| l["event"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        events(&["--directory", path]),
        ["login", "refused", "login"]
    );
    // What counts is not missed.
    let missed = events(&["--directory", path, "--missed"]);
    let number = |event| missed.iter().filter(|shown| *shown == event).count();
    assert_eq!(number("missed"), 5, "{missed:?}");
    assert_eq!(number("refused"), 1, "{missed:?}");
    assert_eq!(missed.len(), 6, "{missed:?}");
}

#[test]
fn for_eyes_the_reasons_stand_below_the_entry() {
    let message = b"imap-login: Disconnected: user=<al>, rip=192.0.2.10";
    let directory = configured();
    let output = test(
        &directory,
        &["--stdin", "--identifier", "dovecot", "--explain"],
        message,
    );
    let text = String::from_utf8(output.stdout).unwrap();
    let lines: Vec<_> = text.lines().collect();
    assert!(lines[0].contains(" missed  "), "{text}");
    assert_eq!(
        lines[1],
        "    dovecot: imap-login: Disconnected: user=<al>, rip=192.0.2.10"
    );
    assert_eq!(
        lines[2],
        "    no pattern of dovecot takes it (dovecot.toml (built in)):"
    );
    assert!(lines[3].starts_with("      login, line"), "{text}");
    assert!(
        text.contains("1 entry read from standard input: 0 logins"),
        "{text}"
    );
}

#[test]
fn lines_of_a_log_file_bring_their_identifiers() {
    let directory = configured();
    let input: &[u8] = b"Nov 24 10:34:10 mail dovecot: imap-login: Login: user=<al>, rip=192.0.2.10, session=<a>\r\n\
        \n\
        Nov 24 10:34:11 mail mine[7]: connect from 192.0.2.11\n\
        2026-11-24T10:34:12.5+00:00 mail mine[8]: connect from 192.0.2.12\n\
        <22>1 2026-11-24T10:34:13Z mail mine 7 - - welcome bob\n\
        Nov 24 10:34:13 mail dovecot: \xff\xfe\n\
        Nov 24 10:34:14 mail mine[8]: welcome carol\n\
        Nov 24 10:34:14 mail postfix/smtpd[8]: connect from x[192.0.2.12]\n";
    let lines = json(&directory, &["--stdin"], input);
    let mut told: Vec<_> = lines
        .iter()
        .map(|l| ["event", "server", "client", "user"].map(|key| l[key].as_str().unwrap()))
        .collect();
    told.sort_unstable();
    assert_eq!(
        told,
        [
            ["login", "dovecot", "192.0.2.10", "al"],
            ["login", "mine", "192.0.2.11", "bob"],
            ["login", "mine", "192.0.2.12", "carol"],
        ]
    );
    let mut keys: Vec<_> = lines[0].as_object().unwrap().keys().cloned().collect();
    keys.sort_unstable();
    assert_eq!(
        keys.join(" "),
        "client event identifier message reason server session time user"
    );
    let explained = json(&directory, &["--stdin", "--explain"], input);
    assert_eq!(explained.len(), 7);
    assert!(
        explained.iter().any(|l| {
            let reason = l["reason"].as_str().unwrap();
            reason.starts_with("no server that is on writes under 'postfix/smtpd', only under dov")
        }),
        "{explained:?}"
    );
}

/// Lines as `tail --follow FILE | systemd-cat --identifier NAME` passes them on.
const PASSED_ON: &str = "\
2026-11-27T10:00:00.123456+00:00 mail dovecot: imap-login: Login: user=<al>, method=PLAIN, rip=192.0.2.10, lip=192.0.2.1, mpid=3, session=<a>
Nov 27 10:00:00 mail dovecot[31]: imap-login: Login: user=<bo>, method=PLAIN, rip=192.0.2.11, lip=192.0.2.1, mpid=4, session=<b>
Nov 27 10:00:00 mail mine[7]: connect from 192.0.2.12
Nov 27 10:00:00 mail mine[7]: welcome eve
Nov 27 10:00:00 mail mine[7]: dan is at 192.0.2.13
Nov 27 10:00:00 mail other: dan is at 192.0.2.14
Nov 27 10:00:00 mail mine: Nov 27 10:00:00 mail mine: dan is at 192.0.2.15
x Nov 27 10:00:00 mail mine: dan is at 192.0.2.16
connect from 192.0.2.17
Nov 27 10:00:00 mail mine: go away
welcome eve
2026-11-27T10:00:00.123456+00:00 mail dovecot: imap(al)<3><a>: Disconnected: Logged out in=8 out=480
";

/// A server of which some logins say where they come from.
fn configured_to_say_more() -> TempDir {
    let directory = configured();
    let more = "[[login]]\npattern = '(?<user>[a-z]+) is at {client}$'\n[[failure]]";
    let file = directory.path().join("servers.d/mine.toml");
    fs::write(&file, MINE.replace("[[failure]]", more)).unwrap();
    directory
}

/// Event, client, user and session of each line, as far as it tells them.
fn told(lines: &[Value]) -> Vec<String> {
    let keys = ["event", "client", "user", "session"];
    let told = |line: &Value| keys.map(|key| line[key].as_str().unwrap_or("-").to_owned());
    lines.iter().map(|line| told(line).join(" ")).collect()
}

#[test]
fn what_is_behind_a_header_of_syslog_counts_if_it_needs_no_other_line() {
    let directory = configured_to_say_more();
    let lines = PASSED_ON.as_bytes();
    let of_mine = json(
        &directory,
        &["--stdin", "--identifier", "mine", "--explain"],
        lines,
    );
    assert_eq!(
        told(&of_mine),
        [
            "missed - - -",
            "missed - - -",
            "missed - - -",
            "missed - - -",
            // Which process it was is not known, and nothing else would tell its end.
            "login 192.0.2.13 dan -",
            "missed - - -",
            "missed - - -",
            "missed - - -",
            "connect 192.0.2.17 - -",
            // It ends nothing that another line began.
            "failure - - -",
            "login 192.0.2.17 eve -",
            "nothing - - -",
        ]
    );
    let reasons: Vec<_> = of_mine
        .iter()
        .map(|l| l["reason"].as_str().unwrap())
        .collect();
    for (line, says) in [
        (
            0,
            "whose 'dovecot' is none of the server's identifiers\nno pattern of mine takes it",
        ),
        (
            2,
            "the connect pattern of mine takes what is behind a header of syslog\n\
             a line that was passed on, of a server whose lines belong together",
        ),
        (
            4,
            "the login pattern of mine takes what is behind a header of syslog",
        ),
        (
            6,
            "no pattern of mine takes what is behind a header of syslog (",
        ),
        (7, "no pattern of mine takes it ("),
    ] {
        assert!(reasons[line].contains(says), "{says}\n{}", reasons[line]);
    }
    let of_dovecot = json(&directory, &["--stdin", "--identifier", "dovecot"], lines);
    assert_eq!(
        told(&of_dovecot),
        [
            "login 192.0.2.10 al a",
            "login 192.0.2.11 bo b",
            "logout 192.0.2.10 al a",
        ]
    );
}

/// Whatever `test --stdin --identifier` says of a line, it says of the journal's entry too, which the
/// service reads the same way.
#[test]
fn a_line_is_taken_for_what_the_journals_entry_is() {
    let directory = configured_to_say_more();
    for identifier in ["mine", "dovecot"] {
        let entries: Vec<Entry> = PASSED_ON
            .lines()
            .map(|line| mine(80, "7", line).but("SYSLOG_IDENTIFIER", Some(identifier)))
            .collect();
        let journal = JournalFiles::import(&export(&entries));
        let path = journal.path().to_str().unwrap();
        for how in ["--missed", "--explain"] {
            let of_journal = ["--directory", path, "--any-sender", how];
            let of_lines = ["--stdin", "--identifier", identifier, how];
            let [from_journal, from_lines] = [&of_journal[..], &of_lines].map(|arguments| {
                let mut lines = json(&directory, arguments, PASSED_ON.as_bytes());
                let forget_time = |line: &mut Value| line.as_object_mut().unwrap().remove("time");
                lines.iter_mut().for_each(|line| drop(forget_time(line)));
                // Only a journal tells who else may have written under an identifier.
                let is_other =
                    |line: &Value| line["reason"].to_string().contains("under the identifier");
                lines.retain(|line| !is_other(line));
                lines
            });
            assert_eq!(from_journal, from_lines);
        }
    }
}

/// The second half of a line that a logger has cut is what a stranger chose.
#[test]
fn nothing_is_believed_of_a_logger_that_cuts_lines_once_another_passes_them_on() {
    let directory = configured_to_say_more();
    let file = directory.path().join("servers.d/mine.toml");
    let definition = fs::read_to_string(&file).unwrap();
    fs::write(
        &file,
        definition.replace("[senders]", "cut-at = 60\n[senders]")
            + "[[failure]]\npattern = 'nobody is '\n",
    )
    .unwrap();
    let input = format!(
        "Nov 27 10:00:00 mail mine: eve is at 203.0.113.9\n\
         Nov 27 10:00:00 mail mine: dan is at 192.0.2.13\n\
         dan is at 192.0.2.14\n\
         Nov 27 10:00:00 mail mine: nobody is {}\n\
         Nov 27 10:00:00 mail other: whatever stands between\n\
         Nov 27 10:00:00 mail mine: eve is at 203.0.113.9\n\
         dan is at 192.0.2.14\n",
        "x".repeat(60)
    );
    let arguments = ["--stdin", "--identifier", "mine", "--explain"];
    let lines = json(&directory, &arguments, input.as_bytes());
    let events = [
        "missed", "missed", "login", "nothing", "nothing", "refused", "refused",
    ];
    let found: Vec<_> = lines.iter().map(|l| l["event"].as_str().unwrap()).collect();
    assert_eq!(found, events);
}

#[test]
fn a_bare_message_needs_an_identifier() {
    let directory = configured();
    let output = test(
        &directory,
        &["--stdin"],
        b"Nov 24 10:34:11 mail mine: x\nwelcome al\n",
    );
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        said.contains("line 2 of the standard input") && said.contains("--identifier"),
        "{said}"
    );
    for wrong in [&["--identifier", "mine"][..], &["--stdin", "--since", "1h"]] {
        assert_eq!(
            test(&directory, wrong, b"").status.code(),
            Some(2),
            "{wrong:?}"
        );
    }
}

#[test]
fn halves_of_lines_are_named_so() {
    let directory = configured();
    let file = directory.path().join("servers.d/mine.toml");
    let definition = MINE.replace("[senders]", "cut-at = 40\n[senders]");
    fs::write(&file, definition.replace("'go away'", "'go away '")).unwrap();
    let input = format!(
        "Nov 24 10:34:11 mail mine[7]: connect from 192.0.2.11\n\
         Nov 24 10:34:12 mail mine[7]: go away {0}\n\
         Nov 24 10:34:12 mail mine[7]: welcome al\n\
         Nov 24 10:34:33 mail mine[7]: welcome bob\n\
         Nov 24 10:34:34 mail mine[7]: welcome {0}\n\
         Nov 24 10:34:35 mail mine[7]: x\n\
         Nov 24 10:34:55 mail mine[7]: welcome al\n",
        "x".repeat(40)
    );
    let lines = json(&directory, &["--stdin", "--explain"], input.as_bytes());
    let events: Vec<_> = lines
        .iter()
        .map(|line| line["event"].as_str().unwrap())
        .collect();
    assert_eq!(
        events,
        [
            "connect", "nothing", "refused", "login", "nothing", "nothing", "refused"
        ]
    );
    let says = |line: usize, why: &str| {
        let reason = lines[line]["reason"].as_str().unwrap();
        assert!(reason.contains(why), "{reason}");
    };
    for half in [1, 4] {
        says(half, "half a line");
    }
    // The first may be the rest of a failure. What is cut last is none, which alone has an end.
    for login in [2, 6] {
        says(login, "cut in pieces");
    }
}
