//! Lines of several hosts and boots in one journal: nothing is tied together across them.

mod journal_files;

use std::fs;
use std::process::Command;

use jiff::SignedDuration;
use journal_files::JournalFiles;
use journal_files::entry::{Entry, export};
use serde_json::Value;

const OTHER_MACHINE: &str = "0123456789abcdef0123456789abcdef";
const OTHER_BOOT: &str = "fedcba9876543210fedcba9876543210";

fn popa3d(ago: i64, message: &str) -> Entry {
    Entry::dovecot(SignedDuration::from_secs(ago), message)
        .but("SYSLOG_IDENTIFIER", Some("popa3d"))
        .but("_SYSTEMD_UNIT", Some("popa3d.service"))
        .with("_PID", "100")
}

/// The events that `test` finds in a journal of these entries: kind and client.
fn events(entries: &[Entry]) -> Vec<(String, Option<String>)> {
    let directory = tempfile::tempdir().unwrap();
    let journal = JournalFiles::import(&export(entries));
    let config = directory.path().join("config.toml");
    fs::write(&config, "servers = [\"dovecot\", \"popa3d\"]\n").unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_pop-before-smtp"))
        .arg("--config")
        .arg(&config)
        .args(["test", "--json", "--directory"])
        .arg(journal.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    let lines = String::from_utf8(output.stdout).unwrap();
    let text = |line: &Value, key: &str| line[key].as_str().map(str::to_owned);
    lines
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap())
        .filter_map(|line| Some((text(&line, "event")?, text(&line, "client"))))
        .collect()
}

#[test]
fn a_login_lends_no_address_from_another_host_or_boot() {
    let connect = popa3d(20, "Session from 203.0.113.66");
    let login = popa3d(10, "Authentication passed for alice");
    let found = Some("203.0.113.66".to_owned());
    let tied = events(&[connect.clone(), login.clone()]);
    assert_eq!(tied, [("login".to_owned(), found)]);
    for (field, other) in [
        ("_MACHINE_ID", Some(OTHER_MACHINE)),
        ("_BOOT_ID", Some(OTHER_BOOT)),
        ("_MACHINE_ID", None),
    ] {
        let elsewhere = login.clone().but(field, other);
        assert_eq!(events(&[connect.clone(), elsewhere]), [], "{field}");
    }
    // Nor is anything tied where neither says where it comes from.
    let nowhere = [connect, login].map(|entry| entry.but("_MACHINE_ID", None));
    assert_eq!(events(&nowhere), []);
}

#[test]
fn a_logout_is_of_the_host_that_wrote_it() {
    let ago = SignedDuration::from_secs;
    let login = |seconds, client| Entry::login(ago(seconds), client, "same");
    let found = events(&[
        login(30, "192.0.2.10"),
        login(20, "192.0.2.11").but("_MACHINE_ID", Some(OTHER_MACHINE)),
        Entry::logout(ago(10), "same"),
    ]);
    let logout = ("logout".to_owned(), Some("192.0.2.10".to_owned()));
    assert_eq!(found.last(), Some(&logout), "{found:?}");
}

/// As a unit passes on the log of several hosts.
#[test]
fn what_a_host_has_passed_on_is_of_the_host_that_wrote_it() {
    let ago = SignedDuration::from_secs;
    let passed_on = |seconds, host: &str, text: &str| {
        Entry::dovecot(
            ago(seconds),
            format!("Nov 27 10:00:00 {host} dovecot: {text}"),
        )
    };
    let login = |rip| {
        format!(
            "imap-login: Login: user=<al>, method=PLAIN, rip={rip}, lip=192.0.2.1, session=<same>"
        )
    };
    let found = events(&[
        passed_on(30, "a", &login("192.0.2.10")),
        passed_on(20, "b", &login("192.0.2.11")),
        passed_on(
            10,
            "a",
            "imap(al)<1><same>: Disconnected: Logged out in=1 out=2",
        ),
    ]);
    let logout = ("logout".to_owned(), Some("192.0.2.10".to_owned()));
    assert_eq!(found.last(), Some(&logout), "{found:?}");
}

/// journald cuts what a process writes to its standard output, after 48 KiB: a stranger who chooses a
/// long name chooses how the rest begins (journald.conf(5), LineMax=).
#[test]
fn neither_half_of_what_journald_has_cut_means_anything() {
    let ago = SignedDuration::from_secs;
    let login = |seconds| Entry::login(ago(seconds), "203.0.113.66", "a").with("_PID", "7");
    let cut = |entry: Entry, how| entry.with("_LINE_BREAK", how);
    let long = |seconds| Entry::dovecot(ago(seconds), "x".repeat(5000)).with("_PID", "7");
    assert_eq!(events(&[long(20), login(10)]).len(), 1);
    for how in ["line-max", "pid-change"] {
        assert_eq!(events(&[cut(long(20), how), login(10)]), [], "{how}");
        assert_eq!(events(&[cut(login(20), how)]), [], "{how}");
        // The rest is over.
        assert_eq!(events(&[cut(long(20), how), login(10), login(5)]).len(), 1);
    }
    // A line that was written without its end is whole.
    assert_eq!(events(&[cut(login(20), "eof")]).len(), 1);
    // What anybody cuts off says nothing of a server's lines.
    let nobodys = cut(long(20), "line-max").but("_UID", Some("1000"));
    assert_eq!(events(&[nobodys, login(10)]).len(), 1);
}
