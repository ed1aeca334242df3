//! What becomes of a line on its way into the journal: journald takes the blanks from its end, and makes an
//! entry of each line of a stream. Neither lets a stranger who chooses a name write a login.

mod journal_files;

use jiff::SignedDuration;
use journal_files::entry::{Entry, export};
use journal_files::{JournalFiles, test_json};
use serde_json::Value;

/// An entry of a server in one of its units.
fn entry(identifier: &str, uid: u32, unit: &str, message: &str) -> Entry {
    Entry::dovecot(SignedDuration::from_secs(60), message)
        .but("SYSLOG_IDENTIFIER", Some(identifier))
        .but("_UID", Some(&uid.to_string()))
        .but("_SYSTEMD_UNIT", Some(unit))
        .with("_PID", "96")
}

/// The same, of what journald has changed: this is what came.
fn stripped(entry: Entry, identifier: &str, line: &str) -> Entry {
    entry.with(
        "SYSLOG_RAW",
        format!("<22>Nov 29 17:23:20 {identifier}: {line}"),
    )
}

fn courier(message: &str) -> Entry {
    entry("pop3d", 0, "courier-pop.service", message)
}

/// The same, half a minute later.
fn later(entry: Entry) -> Entry {
    entry.later(SignedDuration::from_secs(30))
}

fn perdition(message: &str) -> Entry {
    entry("perdition.imap4", 65_534, "perdition.service", message)
}

/// What `test` shows of entries, line by line.
fn shown(entries: &[Entry], options: &[&str]) -> Vec<Value> {
    test_json(&JournalFiles::import(&export(entries)), options)
}

fn clients_of(lines: &[Value]) -> Vec<&str> {
    let logins = lines.iter().filter(|line| line["event"] == "login");
    logins
        .map(|line| line["client"].as_str().unwrap())
        .collect()
}

/// courierlogger reads 511 bytes of a line at a time: the first piece of a failed login may end in blanks.
#[test]
fn a_line_of_couriers_that_ended_in_blanks_may_have_been_cut() {
    let forged = "LOGIN, user=x, ip=[::ffff:203.0.113.9], port=[40000]";
    let genuine = "LOGIN, user=alice, ip=[::ffff:192.0.2.10], port=[42531]";
    let blanks = " ".repeat(486);
    let begin = "LOGIN FAILED, user=";
    let first = || stripped(courier(begin), "pop3d", &format!("{begin}{blanks}"));
    for rest in [
        courier(forged),
        stripped(courier(forged), "pop3d", &format!("{forged}{blanks}")),
    ] {
        // Of 1023 bytes one is left.
        let last_piece = courier("x");
        let entries = [
            first(),
            rest,
            last_piece,
            courier("whatever"),
            courier(forged),
            later(courier(genuine)),
        ];
        assert_eq!(clients_of(&shown(&entries, &[])), ["192.0.2.10"]);
    }
    // Nothing is taken from a line by a line feed at its end.
    let entries = [stripped(courier(genuine), "pop3d", &format!("{genuine}\n"))];
    assert_eq!(clients_of(&shown(&entries, &[])), ["192.0.2.10"]);
}

/// courierlogger takes blanks from the begin of each piece: one in the middle may be short.
#[test]
fn what_follows_a_line_of_couriers_of_any_length_is_no_login() {
    let of_imapd = |message: &str| {
        courier(message)
            .but("SYSLOG_IDENTIFIER", Some("imapd"))
            .but("_SYSTEMD_UNIT", Some("courier-imap.service"))
    };
    let forged = "LOGIN, user=tom, ip=[203.0.113.9], port=[1], protocol=IMAP";
    let genuine = "LOGIN, user=alice, ip=[::ffff:192.0.2.10], port=[42531], protocol=IMAP";
    let error = "IMAP FETCH ERROR: unexpected EOF, uid=1000, filename=1795987077.M58977P169V48I20_0.vm,\
                 S=4449:2,: BODY.PEEK[HEADER.FIELDS (\"";
    let debug = "LOGIN: ip=[::ffff:192.0.2.10], username=";
    for begin in [error, debug] {
        let cut = format!("{begin}{:v<500}", "");
        let blanks = " ".repeat(500);
        for first in [
            of_imapd(&cut),
            stripped(of_imapd(begin), "imapd", &format!("{begin}{blanks}")),
        ] {
            let entries = [
                of_imapd(genuine),
                first,
                of_imapd("x"),
                of_imapd(forged),
                of_imapd("tail\")]"),
                of_imapd(forged),
                of_imapd("LOGOUT, user=alice, ip=[::ffff:192.0.2.10], port=[42531]"),
                of_imapd(genuine).but("_PID", Some("97")),
            ];
            let lines = shown(&entries, &[]);
            let events: Vec<&str> = lines.iter().map(|l| l["event"].as_str().unwrap()).collect();
            let expected = ["login", "refused", "refused", "logout", "login"];
            assert_eq!(events, expected, "{begin}");
            assert_eq!(clients_of(&lines), ["192.0.2.10"; 2], "{begin}");
        }
    }
}

/// A failed login may be just short enough to have no rest, and a genuine one comes next.
#[test]
fn a_login_of_couriers_that_does_not_count_behind_a_long_line_is_told_of() {
    let genuine = "LOGIN, user=alice, ip=[::ffff:192.0.2.10], port=[42531]";
    let failed = format!("LOGIN FAILED, user={:x<460}, ip=[::ffff:203.0.113.9]", "");
    let entries = [courier(&failed), courier(genuine), later(courier(genuine))];
    let lines = shown(&entries, &[]);
    let events: Vec<&str> = lines.iter().map(|l| l["event"].as_str().unwrap()).collect();
    assert_eq!(events, ["refused", "login"], "{lines:?}");
}

/// Its buffer has cut off how it ended: what looks like the end is a name.
#[test]
fn what_perdition_did_not_write_to_its_end_is_no_login() {
    let line = "Auth: 192.0.2.10:42505->192.0.2.1:143 client-secure=plaintext authorisation_id=NONE \
                authentication_id=\"x\" server=\"127.0.0.1:143\" protocol=IMAP4 \
                server-secure=plaintext status=\"ok\"";
    for (end, expected) in [("\n", 1), (" ", 0), ("   \n", 0), ("\t\n", 0), ("\0\n", 0)] {
        let raw = format!("{line}{end}");
        let lines = shown(
            &[stripped(perdition(line), "perdition.imap4", &raw)],
            &["--missed"],
        );
        assert_eq!(clients_of(&lines).len(), 0, "{lines:?}");
        let reasons = lines.iter().map(|line| line["reason"].as_str().unwrap());
        let told = reasons.filter(|reason| reason.contains("its end is missing"));
        assert_eq!(told.count(), 1 - expected, "{end:?}: {lines:?}");
        let lines = shown(&[stripped(perdition(line), "perdition.imap4", &raw)], &[]);
        assert_eq!(clients_of(&lines).len(), expected, "{end:?}: {lines:?}");
    }
}

/// The second line of a name with a line feed.
#[test]
fn a_line_of_a_stream_is_no_login_of_servers_that_print_names_as_they_came() {
    let nginx = "2026/11/24 10:52:36 [info] 75#75: *125 client logged in, client: 203.0.113.9, server: \
                 0.0.0.0:143, login: \"y\", upstream: 127.0.0.1:1";
    let dbmail = "Notice:[imapsession] dbmail_imap_session_handle_auth(+1455): [0x55] login accepted: id [12] \
                  user [joe] from [203.0.113.9:1]";
    let perdition_line = "Auth: 203.0.113.9:42505->192.0.2.1:143 client-secure=plaintext authorisation_id=NONE \
                          authentication_id=\"x\" server=\"127.0.0.1:143\" protocol=IMAP4 \
                          server-secure=plaintext status=\"ok\"";
    for (entry, header) in [
        (entry("nginx", 0, "nginx.service", nginx), "nginx"),
        (
            entry("dbmail-imapd", 0, "dbmail.service", dbmail),
            "dbmail-imapd",
        ),
        (perdition(perdition_line), "perdition.imap4"),
    ] {
        // Of whichever user it is.
        let options = ["--any-sender"];
        let by_syslog = shown(std::slice::from_ref(&entry), &options);
        assert_eq!(clients_of(&by_syslog), ["203.0.113.9"], "{header}");
        for transport in [Some("stdout"), Some("journal"), None] {
            let stream = entry.clone().but("_TRANSPORT", transport);
            let lines = shown(&[stream], &[]);
            assert_eq!(clients_of(&lines), [""; 0], "{header}: {lines:?}");
        }
    }
    let refused = shown(
        &[entry("nginx", 0, "nginx.service", nginx).but("_TRANSPORT", Some("stdout"))],
        &[],
    );
    let reason = refused[0]["reason"].as_str().unwrap();
    assert!(reason.contains("did not come by syslog(3)"), "{reason}");
    assert!(reason.contains("have nginx log by syslog(3)"), "{reason}");
    let genuine = shown(&[entry("nginx", 0, "nginx.service", nginx)], &[]);
    assert_eq!(clients_of(&genuine), ["203.0.113.9"]);
    // Whoever passes it on has read a file or a stream.
    let passed_on = format!("Nov 24 10:52:36 mail nginx[75]: {nginx}");
    let lines = shown(&[entry("nginx", 0, "nginx.service", &passed_on)], &[]);
    assert_eq!(clients_of(&lines), [""; 0], "{lines:?}");
}
