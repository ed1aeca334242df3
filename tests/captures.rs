//! The captured journals of real servers: exactly their logins and logouts, and nothing else.

mod journal_files;

use std::fs;
use std::path::{Path, PathBuf};

use jiff::SignedDuration;
use journal_files::entry::{Entry, export};
use journal_files::{JournalFiles, test_json};
use pop_before_smtp::servers::BUILT_IN;
use serde_json::Value;

fn capture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/captures")
        .join(name)
}

fn events(lines: &[Value]) -> String {
    let field = |line: &Value, name: &str| line[name].as_str().unwrap_or("-").to_owned();
    let event = |line: &Value| {
        ["event", "client", "user", "session"]
            .map(|name| field(line, name))
            .join("\t")
            + "\n"
    };
    lines.iter().map(event).collect()
}

/// Reads a capture with one server on. `uid` is what the server's user had on the captured host,
/// where it is neither root's nor the mailbox's user's: here the user has another number, or none.
fn yields_its_events_of(server: &str, uid: Option<u32>, name: &str) {
    let journal = JournalFiles::import(&fs::read(capture(name).join("journal.export")).unwrap());
    let expected = fs::read_to_string(capture(name).join("events")).unwrap();
    let configuration = tempfile::tempdir().unwrap();
    let file = configuration.path().join("config.toml");
    let text = uid.map(|uid| format!("[senders.{server}]\nusers = [\"{uid}\"]\n"));
    fs::write(&file, text.unwrap_or_default()).unwrap();
    let file = file.to_str().unwrap();
    // Alone, and with all others on: identifiers are shared, lines are not.
    let all: Vec<_> = BUILT_IN.iter().map(|(name, _)| *name).collect();
    for on in [&[server][..], &all] {
        let options = [&["--config", file, "--server"], on].concat();
        let lines = test_json(&journal, &options);
        assert_eq!(events(&lines), expected, "{name}");
        assert!(lines.iter().all(|line| line["server"] == server));
    }
}

fn yields_its_events(name: &str) {
    let journal = JournalFiles::import(&fs::read(capture(name).join("journal.export")).unwrap());
    let expected = fs::read_to_string(capture(name).join("events")).unwrap();
    assert!(!expected.is_empty());
    let lines = test_json(&journal, &[]);
    assert_eq!(events(&lines), expected, "{name}");
    let keys = [
        "client",
        "event",
        "identifier",
        "message",
        "reason",
        "server",
        "session",
        "time",
        "user",
    ];
    for line in lines {
        let mut found: Vec<_> = line.as_object().unwrap().keys().cloned().collect();
        found.sort();
        assert_eq!(found, keys);
        line["time"]
            .as_str()
            .unwrap()
            .parse::<jiff::Timestamp>()
            .unwrap();
    }
}

#[test]
fn dovecot_2_3() {
    yields_its_events("dovecot-2.3");
}

#[test]
fn dovecot_2_3_verbose() {
    yields_its_events("dovecot-2.3-verbose");
}

#[test]
fn dovecot_2_4() {
    yields_its_events("dovecot-2.4");
}

#[test]
fn dovecot_2_4_verbose() {
    yields_its_events("dovecot-2.4-verbose");
}

#[test]
fn courier_5_0() {
    yields_its_events_of("courier", None, "courier-bookworm");
}

#[test]
fn courier_5_2() {
    yields_its_events_of("courier", None, "courier-trixie");
}

#[test]
fn cyrus_3_6() {
    yields_its_events_of("cyrus", Some(102), "cyrus-bookworm");
}

#[test]
fn cyrus_3_10() {
    yields_its_events_of("cyrus", Some(101), "cyrus-trixie");
}

#[test]
fn mailutils_as_daemons_tell_no_address() {
    yields_its_events_of("mailutils", None, "mailutils-bookworm");
}

#[test]
fn mailutils_with_tcpd() {
    yields_its_events_of("mailutils", None, "mailutils-inetd");
}

#[test]
fn nginx() {
    yields_its_events_of("nginx", Some(33), "nginx-mail");
}

#[test]
fn perdition() {
    yields_its_events_of("perdition", Some(65534), "perdition");
}

#[test]
fn popa3d_standalone() {
    yields_its_events_of("popa3d", None, "popa3d");
}

#[test]
fn popa3d_for_each_connection() {
    yields_its_events_of("popa3d", None, "popa3d-inetd");
}

#[test]
fn solid_pop3d() {
    yields_its_events_of("solid-pop3d", None, "solid-pop3d");
}

#[test]
fn uw_imap() {
    yields_its_events_of("uw-imap", None, "uw-imap");
}

#[test]
fn the_user_of_a_server_must_be_its_own() {
    let journal =
        JournalFiles::import(&fs::read(capture("cyrus-trixie").join("journal.export")).unwrap());
    let configuration = tempfile::NamedTempFile::new().unwrap();
    let file = configuration.path().to_str().unwrap();
    let lines = test_json(&journal, &["--server", "cyrus", "--config", file]);
    assert!(lines.len() > 50);
    assert!(lines.iter().all(|line| line["event"] == "refused"));
}

#[test]
fn a_process_that_is_gone_ends_its_session_but_opens_none() {
    let popa3d = |message: &str, unit| {
        Entry::dovecot(SignedDuration::from_secs(60), message)
            .but("SYSLOG_IDENTIFIER", Some("popa3d"))
            .but("_SYSTEMD_UNIT", unit)
            .with("_PID", "7")
    };
    let unit = Some("popa3d.service");
    let entries = [
        popa3d("Session from 192.0.2.10", unit),
        popa3d("Authentication passed for alice", None),
        popa3d("Premature disconnect", None),
        popa3d("Session from 192.0.2.10", unit),
        popa3d("Authentication passed for alice", unit),
        popa3d("Premature disconnect", Some("session-3.scope")),
        popa3d("Premature disconnect", None),
        popa3d("Premature disconnect", None),
    ];
    let journal = JournalFiles::import(&export(&entries));
    let lines = test_json(&journal, &["--server", "popa3d"]);
    let kinds: Vec<_> = lines
        .iter()
        .map(|line| line["event"].as_str().unwrap())
        .collect();
    assert_eq!(
        kinds,
        [
            "refused", "refused", "login", "refused", "logout", "refused"
        ]
    );
}

fn courier(seconds_ago: i64, pid: u32, message: impl AsRef<[u8]>) -> Entry {
    Entry::dovecot(SignedDuration::from_secs(seconds_ago), message)
        .but("SYSLOG_IDENTIFIER", Some("pop3d"))
        .but("_SYSTEMD_UNIT", Some("courier-pop.service"))
        .with("_PID", pid.to_string())
}

/// What courierlogger 5.0.13 makes of a failed login under a long name: both halves are lines.
fn cut_line(rest: &str) -> [String; 2] {
    let begin = format!("{:A<505}", "LOGIN FAILED, user=");
    let rest = format!("{rest}, ip=[::ffff:203.0.113.9], port=[40000]");
    [begin, rest]
}

#[test]
fn the_rest_of_a_line_that_couriers_logger_cut_is_no_login() {
    let login = "LOGIN, user=alice, ip=[::ffff:192.0.2.10], port=[42531]";
    let [begin, rest] = cut_line("LOGIN, user=bob");
    let entries = [
        courier(90, 96, &begin),
        // Another process's line comes between.
        courier(90, 97, login),
        courier(90, 96, &rest),
        // The logger may have lost its place in what it reads.
        courier(85, 96, &rest),
        courier(60, 96, login.replace("alice", "carol")),
        courier(60, 96, &begin),
        courier(60, 96, &cut_line("whatever")[1]),
        courier(30, 96, login.replace("alice", "dave")),
    ];
    let lines = test_json(
        &JournalFiles::import(&export(&entries)),
        &["--server", "courier"],
    );
    let found = lines
        .iter()
        .map(|line| (line["event"].as_str(), line["user"].as_str()));
    let expected = [
        ("login", "alice"),
        ("refused", "bob"),
        ("refused", "bob"),
        ("login", "carol"),
        ("login", "dave"),
    ];
    let expected = expected.map(|(event, user)| (Some(event), Some(user)));
    assert_eq!(found.collect::<Vec<_>>(), expected);
}

#[test]
fn forged_entries_are_refused() {
    yields_its_events("forged");
    let export = fs::read(capture("forged").join("journal.export")).unwrap();
    let journal = JournalFiles::import(&export);
    let reasons: Vec<_> = test_json(&journal, &[])
        .iter()
        .map(|line| line["reason"].as_str().unwrap().to_owned())
        .collect();
    assert!(
        reasons[0].contains("uid 1000, unit run-u2.service"),
        "{reasons:?}"
    );
    assert!(
        reasons[0].contains("[senders.dovecot]\nusers = [\"1000\"]\nunits"),
        "{reasons:?}"
    );
    assert!(
        reasons[4].contains("(uid 0, unit run-u7.service)"),
        "{reasons:?}"
    );
    // Whoever brings a journal from another host can't check its senders.
    let any = test_json(&journal, &["--any-sender"]);
    assert!(any.iter().all(|line| line["event"] == "login"), "{any:?}");
}

#[test]
fn entries_that_come_near_are_shown_on_demand() {
    let export = fs::read(capture("dovecot-2.3").join("journal.export")).unwrap();
    let lines = test_json(&JournalFiles::import(&export), &["--missed"]);
    let missed: Vec<_> = lines
        .iter()
        .filter(|line| line["event"] == "missed")
        .collect();
    assert_eq!(missed.len(), 13);
    assert!(
        missed
            .iter()
            .all(|line| line["client"].is_null() && !line["reason"].is_null())
    );
    assert!(
        missed
            .iter()
            .any(|l| l["message"].as_str().unwrap().contains("Aborted login"))
    );
}
