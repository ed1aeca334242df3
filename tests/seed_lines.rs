//! Every pattern of the old daemon's configuration: a line of its style, what definition takes it,
//! and what it tells. The manual's table (pop-before-smtp-servers(5)) has a row for each.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use jiff::Timestamp;
use pop_before_smtp::event::EventKind;
use pop_before_smtp::servers::{
    BUILT_IN, Correlator, Definition, LONGEST_MESSAGE, Recogniser, Sender, Unknown, check_examples,
};

/// A pattern of the old daemon, by the comment above it, and lines of its style.
struct Style {
    pattern: &'static str,
    server: &'static str,
    identifier: &'static str,
    /// The lines of one process, in their order.
    lines: &'static [&'static str],
    /// What they tell in the end.
    tells: Tells,
}

enum Tells {
    /// A login of this user.
    Login(&'static str),
    /// A login, and the end of its session.
    LoginAndLogout(&'static str),
    /// Nothing: the old pattern was wrong to take it.
    Nothing,
}
use Tells::{Login, LoginAndLogout, Nothing};

const CLIENT: &str = "192.0.2.10";

const STYLES: &[Style] = &[
    Style {
        pattern: "Qpopper, syslog",
        server: "qpopper",
        identifier: "in.qpopper",
        lines: &[r#"(v4.0.5) POP login by user "joe" at (pc.example.org) 192.0.2.10"#],
        tells: Login("joe"),
    },
    Style {
        pattern: "Qpopper, own log",
        server: "qpopper",
        identifier: "popper",
        lines: &[
            r#"Sep 21 22:03:45 [popper] (v4.0.5) POP login by user joe at (pc.example.org) 192.0.2.10"#,
        ],
        tells: Login("joe"),
    },
    Style {
        pattern: "Qpopper, Stats",
        server: "qpopper",
        identifier: "popper",
        lines: &["Stats: joe 1 1320 0 0 pc.example.org 192.0.2.10"],
        tells: Login("joe"),
    },
    Style {
        pattern: "Qpopper 3.0b29 on Solaris, own log",
        server: "qpopper",
        identifier: "popper",
        lines: &["Thu Sep 21 22:03:45 2006 [1234] Stats:  joe 0 0 0 0 pc.example.org 192.0.2.10"],
        tells: Login("joe"),
    },
    Style {
        pattern: "qmail's pop3d",
        server: "vpopmail",
        identifier: "vpopmail",
        lines: &["vchkpw: login [joe@example.org] from 192.0.2.10"],
        tells: Login("joe@example.org"),
    },
    Style {
        pattern: "cucipop",
        server: "cucipop",
        identifier: "cucipop",
        lines: &["joe 192.0.2.10 2, 1 (1320), 0 (0)"],
        tells: Login("joe"),
    },
    Style {
        pattern: "vm-pop3d, one line",
        server: "vm-pop3d",
        identifier: "vm-pop3d",
        lines: &[
            "User 'joe@example.org' logged in from 192.0.2.10, nmsgs=3",
            "Session ended for user: 'joe@example.org' from 192.0.2.10, nmsgs=3, ndel=0",
        ],
        tells: LoginAndLogout("joe@example.org"),
    },
    Style {
        pattern: "vm-pop3d, two lines",
        server: "vm-pop3d",
        identifier: "vm-pop3d",
        lines: &[
            "Connect from 192.0.2.10",
            "User 'joe' of 'example.org' logged in",
            "Session ended for user: joe",
        ],
        tells: LoginAndLogout("joe"),
    },
    Style {
        pattern: "teapop",
        server: "teapop",
        identifier: "teapop",
        lines: &["Successful login for joe [192.0.2.1] from pc.example.org [192.0.2.10]"],
        tells: Login("joe"),
    },
    Style {
        pattern: "Dovecot, syslog",
        server: "dovecot",
        identifier: "imap-login",
        lines: &["Login: joe [::ffff:192.0.2.10]"],
        tells: Login("joe"),
    },
    Style {
        pattern: "Dovecot, syslog",
        server: "dovecot",
        identifier: "dovecot",
        lines: &[
            "pop3-login: Login: user=<joe>, method=PLAIN, rip=::ffff:192.0.2.10, lip=::ffff:192.0.2.1, TLS",
        ],
        tells: Login("joe"),
    },
    Style {
        pattern: "Dovecot, syslog: $out_pat",
        server: "dovecot",
        identifier: "dovecot",
        lines: &[
            "pop3-login: Disconnected: user=<joe>, method=PLAIN, rip=192.0.2.10, lip=192.0.2.1",
        ],
        tells: Nothing,
    },
    Style {
        pattern: "Dovecot, own log",
        server: "dovecot",
        identifier: "dovecot",
        lines: &[
            "dovecot: 2006-09-21 22:03:45 Info: imap-login: Login: user=<joe>, method=PLAIN, rip=192.0.2.10, lip=192.0.2.1, TLS",
        ],
        tells: Login("joe"),
    },
    Style {
        pattern: "Dovecot, own log: $out_pat",
        server: "dovecot",
        identifier: "dovecot",
        lines: &[
            "dovecot: 2006-09-21 22:33:45 Info: imap-login: Disconnected: user=<joe>, method=PLAIN, rip=192.0.2.10, lip=192.0.2.1, TLS",
        ],
        tells: Nothing,
    },
    Style {
        pattern: "Dovecot, older own log",
        server: "dovecot",
        identifier: "dovecot",
        lines: &["imap-login: 2004-09-21 22:03:45 Info: Login: joe [192.0.2.10]"],
        tells: Login("joe"),
    },
    Style {
        pattern: "Dovecot, older own log: $out_pat",
        server: "dovecot",
        identifier: "dovecot",
        lines: &["imap-login: 2004-09-21 22:33:45 Info: Disconnected [192.0.2.10]"],
        tells: Nothing,
    },
    Style {
        pattern: "Apple IMAP Mail Server",
        server: "apple-mail",
        identifier: "AppleMailServer",
        lines: &[r#"Sep 21 2006 22:03:45 IMAP User "joe" log on successful from 192.0.2.10"#],
        tells: Login("joe"),
    },
    Style {
        pattern: "UW (the default)",
        server: "uw-imap",
        identifier: "ipop3d",
        lines: &["Login user=joe host=pc.example.org [192.0.2.10] nmsgs=1/1"],
        tells: Login("joe"),
    },
    Style {
        pattern: "UW: $out_pat",
        server: "uw-imap",
        identifier: "imapd",
        lines: &[
            "Authenticated user=joe host=[192.0.2.10]",
            "Logout user=joe host=[192.0.2.10]",
        ],
        tells: LoginAndLogout("joe"),
    },
    Style {
        pattern: "UW: $out_pat",
        server: "uw-imap",
        identifier: "ipop3d",
        lines: &[
            "APOP user=joe host=pc.example.org [192.0.2.10]",
            "Autologout user=joe host=pc.example.org [192.0.2.10]",
        ],
        tells: LoginAndLogout("joe"),
    },
    Style {
        pattern: "UW: $out_pat",
        server: "uw-imap",
        identifier: "imapd",
        lines: &[
            "Auth user=joe host=pc.example.org [192.0.2.10]",
            "Killed (lost mailbox lock) user=joe host=pc.example.org [192.0.2.10]",
        ],
        tells: LoginAndLogout("joe"),
    },
    Style {
        pattern: "UW: $out_pat",
        server: "uw-imap",
        identifier: "imapd",
        lines: &[
            "Login user=joe host=pc.example.org [192.0.2.10]",
            "Command stream end of file, while reading line user=joe host=pc.example.org [192.0.2.10]",
        ],
        tells: LoginAndLogout("joe"),
    },
    Style {
        pattern: "UW, with [..] before the verb",
        server: "uw-imap",
        identifier: "imapd",
        lines: &["[ID 210418 mail.info]Login user=joe host=pc.example.org [192.0.2.10]"],
        tells: Login("joe"),
    },
    Style {
        pattern: "GNU pop3d",
        server: "mailutils",
        identifier: "gnu-pop3d",
        lines: &["User joe logged in with mailbox /var/mail/joe from 192.0.2.10"],
        tells: Login("joe"),
    },
    Style {
        pattern: "Cyrus",
        server: "cyrus",
        identifier: "cyrus/imap",
        lines: &["login: pc.example.org [192.0.2.10] joe plaintext User logged in"],
        tells: Login("joe"),
    },
    Style {
        pattern: "Courier POP3 and IMAP",
        server: "courier",
        identifier: "pop3d",
        lines: &["LOGIN, user=joe, ip=[::ffff:192.0.2.10]"],
        tells: Login("joe"),
    },
    Style {
        pattern: "Courier POP3 and IMAP",
        server: "courier",
        identifier: "imaplogin",
        lines: &["LOGIN, user=joe, ip=[::ffff:192.0.2.10]"],
        tells: Login("joe"),
    },
    Style {
        pattern: "Courier POP3 and IMAP: $out_pat",
        server: "courier",
        identifier: "pop3d-ssl",
        lines: &[
            "LOGIN, user=joe, ip=[::ffff:192.0.2.10], port=[49249]",
            "LOGOUT, user=joe, ip=[::ffff:192.0.2.10], port=[49249], top=0, retr=0, rcvd=6, sent=30, time=0",
        ],
        tells: LoginAndLogout("joe"),
    },
    Style {
        pattern: "Courier POP3 and IMAP: $out_pat",
        server: "courier",
        identifier: "imapd",
        lines: &[
            "LOGIN, user=joe, ip=[::ffff:192.0.2.10], port=[49249], protocol=IMAP",
            "DISCONNECTED, user=joe, ip=[::ffff:192.0.2.10], port=[49249], headers=0, body=0, rcvd=6, sent=30, time=0",
        ],
        tells: LoginAndLogout("joe"),
    },
    Style {
        pattern: "popa3d, two lines",
        server: "popa3d",
        identifier: "popa3d",
        lines: &["Session from 192.0.2.10", "Authentication passed for joe"],
        tells: Login("joe"),
    },
    Style {
        pattern: "popa3d, patched",
        server: "popa3d",
        identifier: "popa3d",
        lines: &["Authentication passed for joe -- [192.0.2.10]"],
        tells: Login("joe"),
    },
    Style {
        pattern: "Perdition",
        server: "perdition",
        identifier: "perdition",
        lines: &[
            r#"Auth: 192.0.2.10->192.0.2.1 user="joe" server="mail.example.org" port="110" status="ok""#,
        ],
        tells: Login("joe"),
    },
    Style {
        pattern: "Solid POP3, extended log",
        server: "solid-pop3d",
        identifier: "spop3d",
        lines: &["user joe authenticated - 192.0.2.10"],
        tells: Login("joe"),
    },
    Style {
        pattern: "Solid POP3, two lines",
        server: "solid-pop3d",
        identifier: "spop3d",
        lines: &["connect from 192.0.2.10", "user joe authenticated"],
        tells: Login("joe"),
    },
];

fn definition_of(server: &str) -> &'static str {
    let built_in = BUILT_IN.iter().find(|(name, _)| *name == server);
    built_in.map(|(_, text)| *text).unwrap()
}

/// What the lines of one process tell, under the definition of `server` alone.
fn events(server: &str, identifier: &str, lines: &[&str]) -> Vec<EventKind> {
    let definition = Definition::parse(definition_of(server)).unwrap();
    let recogniser = Recogniser::new(vec![definition], &BTreeMap::new(), |_| Some(0));
    let mut correlator = Correlator::new(Unknown::Drop);
    let sender = Sender {
        uid: Some(0),
        unit: Some("mail.service".to_owned()),
        pid: Some(4711),
    };
    let time = Timestamp::from_second(1_800_000_000).unwrap();
    lines
        .iter()
        .filter_map(|line| {
            assert!(line.len() < LONGEST_MESSAGE);
            let verdict = recogniser.recognise(identifier, line.as_bytes())?;
            correlator.tie(verdict.server, verdict.meaning, &sender, time)
        })
        .collect()
}

fn check(style: &Style) {
    let what = format!("{} ({})", style.pattern, style.server);
    let events = events(style.server, style.identifier, style.lines);
    let (name, logs_out) = match style.tells {
        Nothing => return assert_eq!(events, [], "{what}"),
        Login(name) => (name, false),
        LoginAndLogout(name) => (name, true),
    };
    let opened = match events.first() {
        Some(EventKind::Login {
            client,
            user,
            session,
        }) => {
            assert_eq!(client.to_string(), CLIENT, "{what}");
            assert_eq!(user.as_deref(), Some(name), "{what}");
            session
        }
        other => panic!("{what}: no login, but {other:?}"),
    };
    match events.get(1) {
        Some(EventKind::Logout { session, .. }) if logs_out => {
            assert!(session.is_some(), "{what}");
            assert_eq!(session, opened, "{what}");
        }
        None if !logs_out => {}
        other => panic!("{what}: {other:?}"),
    }
    assert_eq!(events.len(), if logs_out { 2 } else { 1 }, "{what}");
}

#[test]
fn every_pattern_of_the_old_daemon_has_a_definition() {
    STYLES.iter().for_each(check);
}

#[test]
fn dbmail_ties_pop3_logins_only_where_a_process_serves_one_client() {
    let login = "Notice:[pop3] pop3.c,pop3(+301): user joe logged in [messages=1, octets=1320]";
    let connect = "incoming connection from [192.0.2.10] by pid [4711]";
    let tied = events("dbmail", "dbmail/pop3d", &[connect, login, login]);
    assert!(
        matches!(&tied[..], [EventKind::Login { client, .. }] if client.to_string() == CLIENT),
        "{tied:?}"
    );
    for connect in [
        "Notice:[clientbase] client_init(+130): incoming connection from [192.0.2.10:50123]",
        "incoming connection from [192.0.2.10:50123] by pid [4711]",
    ] {
        assert_eq!(events("dbmail", "dbmail/pop3d", &[connect, login]), []);
    }
}

#[test]
fn who_has_shown_no_password_is_not_let_in() {
    for (server, identifier, lines) in [
        (
            "uw-imap",
            "imapd",
            &["Preauthenticated user=joe host=pc.example.org [192.0.2.10]"][..],
        ),
        (
            "uw-imap",
            "imapd",
            &["Login anonymous=joe host=pc.example.org [192.0.2.10]"],
        ),
        (
            "uw-imap",
            "imapd",
            &["Authenticated user=ANONYMOUS host=[192.0.2.10] mech=PLAIN"],
        ),
        (
            "uw-imap",
            "imapd",
            &["Authenticated user=joe host=[192.0.2.10] mech=ANONYMOUS"],
        ),
        (
            "cyrus",
            "imap",
            &["login: [192.0.2.10] guest ANONYMOUS User logged in"],
        ),
        (
            "mailutils",
            "imap4d",
            &[
                "connect from 192.0.2.10 (192.0.2.10)",
                "anonymous user joe@example.org logged in",
                "user `guest' logged in (source: system)",
            ],
        ),
        (
            "perdition",
            "perdition",
            &[r#"Auth: 192.0.2.10->192.0.2.1 user="anonymous" server="a" port="143" status="ok""#],
        ),
        (
            "nginx",
            "nginx",
            &[
                r#"2026/11/24 10:51:21 [info] 7#7: *1 client logged in, client: 192.0.2.10, server: 0.0.0.0:143, login: "Anonymous", upstream: 127.0.0.1:2143"#,
            ],
        ),
    ] {
        let told = events(server, identifier, lines);
        assert!(
            !told
                .iter()
                .any(|event| matches!(event, EventKind::Login { .. })),
            "{server}: {lines:?}: {told:?}"
        );
    }
}

#[test]
fn every_end_of_uw_imap_ends_the_session_of_its_process() {
    let login = "Login user=joe host=pc.example.org [192.0.2.10]";
    for end in [
        "Logout",
        "Autologout",
        "Hangup",
        "Killed",
        "Killed (lost mailbox lock)",
        "Mailbox closed (a=b)",
        "Connection timed out, while reading line",
        "Connection timed out while reading line",
        "No route to host, while reading literal",
        "Network is unreachable, while flushing line",
    ] {
        let end = format!("{end} user=joe host=pc.example.org [192.0.2.10]");
        let told = events("uw-imap", "imapd", &[login, &end]);
        assert!(
            matches!(
                &told[..],
                [EventKind::Login { .. }, EventKind::Logout { .. }]
            ),
            "{end}: {told:?}"
        );
    }
}

fn manual() -> String {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/man/pop-before-smtp-servers.5");
    let text = fs::read_to_string(path).unwrap();
    text.replace(r"\-", "-")
        .replace(r"\(aq", "'")
        .replace(r"\e", r"\")
}

fn between<'a>(text: &'a str, begin: &str, end: &str) -> &'a str {
    let (_, rest) = text.split_once(begin).unwrap();
    rest.split_once(end).unwrap().0
}

#[test]
fn the_manual_has_a_row_for_every_pattern() {
    let manual = manual();
    let table = between(&manual, "definition;versions\n_\n", ".TE\n");
    let rows: BTreeSet<_> = table
        .lines()
        .map(|row| {
            let cells: Vec<_> = row.split(';').collect();
            assert_eq!(cells.len(), 3, "{row}");
            (cells[0].trim_end_matches(" (1)"), cells[1])
        })
        .collect();
    let styles = STYLES.iter().map(|style| (style.pattern, style.server));
    let styles: BTreeSet<_> = styles.collect();
    assert_eq!(rows, styles);
}

#[test]
fn the_manual_names_every_definition() {
    let manual = manual();
    for (server, _) in BUILT_IN {
        assert!(manual.contains(&format!("\n.It {server}\n")), "{server}");
    }
}

#[test]
fn the_manuals_example_holds() {
    let manual = manual();
    let example = between(&manual, "example: begin\n.Bd -literal\n", ".Ed\n");
    let definition = Definition::parse(example).unwrap();
    assert_eq!(definition.name, "example-pop");
    assert_eq!(check_examples(&definition).unwrap(), 5);
}
