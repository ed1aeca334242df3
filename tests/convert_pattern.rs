//! Patterns of the Perl daemon, converted, and what the definitions make of lines of their time.
//!
//! The patterns are those that the Perl daemon's configuration offers.

use std::fs;
use std::io::Write;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

fn program(arguments: &[&str], input: &str) -> Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_pop-before-smtp"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    child.wait_with_output().unwrap()
}

/// The definition of `old` for servers.d.
fn convert(old: &str, options: &[&str]) -> String {
    let arguments = [&["convert-pattern", "--name", "mine"], options].concat();
    let output = program(&arguments, old);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{old}:\n{said}");
    String::from_utf8(output.stdout).unwrap()
}

/// What a definition makes of syslog lines: `login CLIENT USER`, …
fn events(definition: &str, lines: &str) -> Vec<String> {
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("config.toml");
    fs::write(&config, "servers = [\"mine\"]\n").unwrap();
    fs::create_dir(directory.path().join("servers.d")).unwrap();
    fs::write(directory.path().join("servers.d/mine.toml"), definition).unwrap();
    let arguments = [
        "--config",
        config.to_str().unwrap(),
        "test",
        "--stdin",
        "--json",
    ];
    // Lines of a log file name their identifiers.
    let identifier: &[&str] = match lines.starts_with("Nov ") {
        true => &[],
        false => &["--identifier", "mine"],
    };
    let output = program(&[&arguments[..], identifier].concat(), lines);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{definition}\n{said}");
    let lines = String::from_utf8(output.stdout).unwrap();
    let event = |line: &str| {
        let event: Value = serde_json::from_str(line).unwrap();
        let field = |name: &str| event[name].as_str().unwrap_or("-").to_owned();
        format!("{} {} {}", field("event"), field("client"), field("user"))
    };
    lines.lines().map(event).collect()
}

/// An old pattern, lines, and the events that the lines must yield.
struct Case {
    old: &'static str,
    lines: &'static [&'static str],
    events: &'static [&'static str],
}

const ONE_LINE: &[Case] = &[
    // UW, with the ends of sessions.
    Case {
        old: r"#$pat = '^[LOGTIME] \S+ (?:ipop3s?d|imaps?d)\[\d+\]: ' .
#  '(?:Login|Authenticated|Auth|APOP) user=\S+ ' .
#  'host=(?:\S+ )?\[(\d+\.\d+\.\d+\.\d+)\]';
#$out_pat = '^[LOGTIME] \S+ (?:ipop3s?d|imaps?d)\[\d+\]: ' .
#  '(?:Logout|Autologout|Killed.*?|Command stream end of file.*?) user=\S+ host=(?:\S+ )?\[(\d+\.\d+\.\d+\.\d+)\]';",
        lines: &[
            "Nov 24 10:34:11 mail imapd[7]: Login user=alice host=client.example [192.0.2.10]",
            "Nov 24 10:34:11 mail ipop3sd[8]: APOP user=bob host=[2001:db8::10]",
            "Nov 24 10:34:11 mail imapd[9]: Login failed user=carol auth=carol host=[192.0.2.11]",
            "Nov 24 10:34:11 mail imapd[9]: Login user=x host=[203.0.113.9] host=[192.0.2.11]",
            "Nov 24 10:34:12 mail imapd[7]: Killed (lost mailbox lock) user=alice host=client.example [192.0.2.10]",
        ],
        events: &[
            "login 192.0.2.10 alice",
            "login 2001:db8::10 bob",
            "logout 192.0.2.10 alice",
        ],
    },
    // UW, with the time written out, as the configuration has it by default.
    Case {
        old: r"$pat = '^(... .. ..:..:..) \S+ (?:ipop3s?d|imaps?d)\[\d+\]: ' . '(?:Login|Authenticated|Auth|APOP) user=\S+ ' . 'host=(?:\S+ )?\[(\d+\.\d+\.\d+\.\d+)\]';",
        lines: &["Nov 24 10:34:11 mail imapd[7]: Auth user=alice host=[192.0.2.10]"],
        events: &["login 192.0.2.10 alice"],
    },
    // UW, with something between brackets before.
    Case {
        old: r"^[LOGTIME] \S+ (?:ipop3s?d|imaps?d)\[\d+\]: \[[^]]+\](?:Login|Authenticated|Auth|APOP) user=\S+ host=(?:\S+ )?\[(\d+\.\d+\.\d+\.\d+)\]",
        lines: &[
            "Nov 24 10:34:11 mail imapd[7]: [ID 234876 mail.info]Login user=alice host=a.example [192.0.2.10]",
        ],
        events: &["login 192.0.2.10 alice"],
    },
    // GNU pop3d
    Case {
        old: r"^[LOGTIME] \S+ gnu-pop3d\[\d+\]: User .+ logged in with mailbox .+ from (\d+\.\d+\.\d+\.\d+)",
        lines: &[
            "Nov 24 10:34:11 mail gnu-pop3d[7]: User alice logged in with mailbox /var/mail/alice from 192.0.2.10",
            "Nov 24 10:34:11 mail gnu-pop3d[7]: User x logged in with mailbox a from 203.0.113.9 logged in with mailbox b from 192.0.2.10",
        ],
        events: &[
            "login 192.0.2.10 alice",
            "login 192.0.2.10 x logged in with mailbox a from 203.0.113.9",
        ],
    },
    // Qpopper, by syslog and by itself.
    Case {
        old: r#"'^[LOGTIME] \S+ (?:in\.q|q)?popper[^[]*\[\d+\]: \([^)]*\) ' . 'POP login by user "[^"]+" at \([^)]+\) (\d+\.\d+\.\d+\.\d+)'"#,
        lines: &[
            r#"Nov 24 10:34:11 mail in.qpopper[7]: (v4.0.9) POP login by user "alice" at (client.example) 192.0.2.10 [pop_log.c:244]"#,
        ],
        events: &["login 192.0.2.10 alice"],
    },
    Case {
        old: r#"^[LOGTIME] \[popper\] \([^)]*\) POP login by user (?:"[^"]+"|\S+) at \([^)]+\) (\d+\.\d+\.\d+\.\d+)"#,
        lines: &[
            r#"[popper] (v4.0.9) POP login by user "alice" at (client.example) 192.0.2.10"#,
            r#"[popper] (v4.0.9) POP login by user bob at (client.example) 2001:db8::10"#,
        ],
        events: &["login 192.0.2.10 -", "login 2001:db8::10 -"],
    },
    Case {
        old: r"^[LOGTIME] \S+ (?:in\.q|q)?popper\[\d+\]: Stats: \S+ \d+ \d+ \d+ \d+ (?:\S+ )?(\d+\.\d+\.\d+\.\d+)",
        lines: &[
            "Nov 24 10:34:11 mail qpopper[7]: Stats: alice 0 0 1 137 client.example 192.0.2.10",
        ],
        events: &["login 192.0.2.10 -"],
    },
    Case {
        old: r"#$logtime_pat = '(... ... .. \d+:\d+:\d+ \d{4})';
#$pat = '^[LOGTIME] \[\d+\] Stats:\s+\w+ ' . '\d \d \d \d [\w\.]+ (\d+\.\d+\.\d+\.\d+)';",
        lines: &["[7] Stats: alice 0 0 1 2 client.example 192.0.2.10"],
        events: &["login 192.0.2.10 -"],
    },
    // Cyrus
    Case {
        old: r"^[LOGTIME] \S+ (?:cyrus/)?(?:pop3|imap)[ds]?\[\d+\]: login: .*?\[[:f]*(\d+\.\d+\.\d+\.\d+)\]",
        lines: &[
            "Nov 24 10:34:11 mail cyrus/imap[7]: login: client.example [192.0.2.10] alice plaintext User logged in",
            "Nov 24 10:34:11 mail pop3d[7]: login: [::ffff:192.0.2.11] bob plaintext",
        ],
        events: &["login 192.0.2.10 -", "login 192.0.2.11 -"],
    },
    // Courier
    Case {
        old: r"#$pat = '^[LOGTIME] (?:\[|\S+ )(?:pop3|imap|couriertcp)(?:d|d-ssl|login)\]?: ' .
#  'LOGIN, user=\S+, ip=\[[:f]*(\d+\.\d+\.\d+\.\d+)\]';
#$out_pat = '^[LOGTIME] (?:\[|\S+ )(?:pop3|imap|couriertcp)(?:d|d-ssl|login)\]?: ' .
#  '(?:LOGOUT|DISCONNECTED), user=\S+, ip=\[[:f]*(\d+\.\d+\.\d+\.\d+)\]';",
        lines: &[
            "Nov 24 10:34:11 mail imaplogin: LOGIN, user=alice, ip=[::ffff:192.0.2.10], protocol=IMAP",
            "Nov 24 10:34:11 mail pop3d-ssl: LOGIN FAILED, user=alice, ip=[::ffff:192.0.2.11]",
            "Nov 24 10:34:11 mail pop3d: LOGOUT, user=alice, ip=[::ffff:192.0.2.10], top=0, retr=0",
        ],
        events: &["login 192.0.2.10 alice", "logout 192.0.2.10 alice"],
    },
    // vpopmail
    Case {
        old: r"^[LOGTIME] \S+ vpopmail\[\d+\]: vchkpw: login \[\S+\] from (\d+\.\d+\.\d+\.\d+)",
        lines: &[
            "Nov 24 10:34:11 mail vpopmail[7]: vchkpw: login [alice@example.org] from 192.0.2.10",
        ],
        events: &["login 192.0.2.10 -"],
    },
    // cucipop
    Case {
        old: r"^[LOGTIME] \S+ cucipop\[\d+\]: \S+ (\d+\.\d+\.\d+\.\d+) \d+, \d+ \(\d+\), \d+ \(\d+\)",
        lines: &["Nov 24 10:34:11 mail cucipop[7]: alice 192.0.2.10 0, 0 (0), 1 (137)"],
        events: &["login 192.0.2.10 -"],
    },
    // vm-pop3d
    Case {
        old: r"^[LOGTIME] \S+ vm-pop3d\[\d+\]: User .+? logged in from (\d+\.\d+\.\d+\.\d+)",
        lines: &["Nov 24 10:34:11 mail vm-pop3d[7]: User 'alice' logged in from 192.0.2.10"],
        events: &["login 192.0.2.10 'alice'"],
    },
    // popa3d with a patch
    Case {
        old: r"^[LOGTIME] \S+ popa3d\[\d+\]: Authentication passed for \S+ -- \[(\d+\.\d+\.\d+\.\d+)\]",
        lines: &["Nov 24 10:34:11 mail popa3d[7]: Authentication passed for alice -- [192.0.2.10]"],
        events: &["login 192.0.2.10 alice"],
    },
    // Perdition
    Case {
        old: r#"'^[LOGTIME] \S+ perdition\[\d+\]: ' . 'Auth: (\d+\.\d+\.\d+\.\d+)\-\>\d+\.\d+\.\d+\.\d+ ' . 'user=\"\S+\" server=\"\S+\" port=\"\S+\" status=\"ok\"'"#,
        lines: &[
            r#"Nov 24 10:34:11 mail perdition[7]: Auth: 2001:db8::10->2001:db8::1 user="alice" server="backend" port="143" status="ok""#,
        ],
        events: &["login 2001:db8::10 alice"],
    },
    // Solid POP3 server
    Case {
        old: r"^[LOGTIME] \S+ spop3d\[\d+\]: user \S+ authenticated - (\d+\.\d+\.\d+\.\d+)",
        lines: &["Nov 24 10:34:11 mail spop3d[7]: user alice authenticated - 192.0.2.10"],
        events: &["login 192.0.2.10 alice"],
    },
    // teapop
    Case {
        old: r"^[LOGTIME] \S+ teapop\[\d+\]: Successful login for .+? \[(\d+\.\d+\.\d+\.\d+)\]",
        lines: &["Nov 24 10:34:11 mail teapop[7]: Successful login for alice [192.0.2.10]"],
        events: &["login 192.0.2.10 alice"],
    },
    // Dovecot: by syslog, by itself, and by itself formerly.
    Case {
        old: r"#$pat = '^[LOGTIME] \S+ (?:dovecot: )?(?:imap|pop3)-login: ' .
#  'Login: .*? (?:\[|rip=)[:f]*(\d+\.\d+\.\d+\.\d+)[],]';
#$out_pat = '^[LOGTIME] \S+ (?:dovecot: )?(?:imap|pop3)-login: ' .
#  'Disconnected.*? (?:\[|rip=)[:f]*(\d+\.\d+\.\d+\.\d+)[],]';",
        lines: &[
            "Nov 24 10:34:11 mail dovecot: imap-login: Login: user=<alice>, method=PLAIN, rip=192.0.2.10, lip=192.0.2.1, TLS",
            "Nov 24 10:34:11 mail pop3-login: Login: alice [::ffff:192.0.2.11]",
            "Nov 24 10:34:11 mail dovecot: imap-login: Login: user=<x, rip=203.0.113.9,>, rip=192.0.2.10, lip=192.0.2.1",
            "Nov 24 10:34:11 mail dovecot: pop3-login: Disconnected: user=<alice>, method=PLAIN, rip=192.0.2.10, lip=192.0.2.1",
        ],
        events: &[
            "login 192.0.2.10 -",
            "login 192.0.2.11 -",
            "logout 192.0.2.10 -",
        ],
    },
    Case {
        old: r"##$logtime_pat = '(\d\d\d\d-\d+-\d+ \d+:\d+:\d+)';
#$pat = '^dovecot: [LOGTIME] Info: (?:imap|pop3)-login: ' .
#  'Login: .+? rip=[:f]*(\d+\.\d+\.\d+\.\d+),';
#$out_pat = '^dovecot: [LOGTIME] Info: (?:imap|pop3)-login: ' .
#  'Disconnected.*? rip=[:f]*(\d+\.\d+\.\d+\.\d+),';",
        lines: &[
            "Nov 24 10:34:11 mail dovecot: Info: imap-login: Login: user=<alice>, method=PLAIN, rip=::ffff:192.0.2.10, lip=192.0.2.1",
        ],
        events: &["login 192.0.2.10 -"],
    },
    Case {
        old: r"#$pat = '^(?:imap|pop3)-login: [LOGTIME] Info: ' .
#  'Login: \S+ \[[:f]*(\d+\.\d+\.\d+\.\d+)\]';
#$out_pat = '^(?:imap|pop3)-login: [LOGTIME] Info: ' .
#  'Disconnected.*? \[[:f]*(\d+\.\d+\.\d+\.\d+)\]';",
        lines: &["Nov 24 10:34:11 mail imap-login: Info: Login: alice [192.0.2.10]"],
        events: &["login 192.0.2.10 -"],
    },
    // Apple's mail server
    Case {
        old: r#"#$logtime_pat = '(\w\w\w +\d+ \d\d\d\d \d+:\d+:\d+)';
#$pat = '^[LOGTIME].* IMAP User "[^"]+" ' . 'log on successful from (\d+\.\d+\.\d+\.\d+)';"#,
        lines: &[r#"IMAP User "alice" log on successful from 192.0.2.10"#],
        events: &["login 192.0.2.10 alice"],
    },
];

const TWO_LINES: &[Case] = &[
    // vm-pop3d, formerly
    Case {
        old: r"#$PID_pat = '^[LOGTIME] \S+ vm-pop3d\[(\d+)\]: ';
#$IP_pat = $PID_pat . 'Connect from (\d+\.\d+\.\d+\.\d+)';
#$OK_pat = $PID_pat . 'User .+? logged in';",
        lines: &[
            "Nov 24 10:34:11 mail vm-pop3d[7]: Connect from 192.0.2.10",
            "Nov 24 10:34:11 mail vm-pop3d[8]: Connect from 192.0.2.11",
            "Nov 24 10:34:12 mail vm-pop3d[7]: User 'alice' logged in",
            "Nov 24 10:34:12 mail vm-pop3d[8]: Something else",
            "Nov 24 10:34:12 mail vm-pop3d[8]: User 'bob' logged in",
        ],
        events: &["login 192.0.2.10 'alice'"],
    },
    // popa3d
    Case {
        old: r"#$PID_pat = '^[LOGTIME] \S+ popa3d\[(\d+)\]: ';
#$IP_pat = $PID_pat . 'Session from (\d+\.\d+\.\d+\.\d+)';
#$OK_pat = $PID_pat . 'Authentication passed for ';",
        lines: &[
            "Nov 24 10:34:11 mail popa3d[7]: Session from 192.0.2.10",
            "Nov 24 10:34:11 mail popa3d[7]: Authentication passed for alice",
        ],
        events: &["login 192.0.2.10 -"],
    },
    // Solid POP3 server
    Case {
        old: r"#$PID_pat = '^[LOGTIME] \S+ spop3d\[(\d+)\]: ';
#$IP_pat = $PID_pat . 'connect from (\d+\.\d+\.\d+\.\d+)';
#$OK_pat = $PID_pat . 'user \S+ authenticated';",
        lines: &[
            "Nov 24 10:34:11 mail spop3d[7]: connect from 192.0.2.10",
            "Nov 24 10:34:11 mail spop3d[7]: user alice authenticated",
        ],
        events: &["login 192.0.2.10 alice"],
    },
];

#[test]
fn every_pattern_of_the_perl_daemon_is_converted_and_works() {
    for Case {
        old,
        lines,
        events: expected,
    } in ONE_LINE.iter().chain(TWO_LINES)
    {
        let definition = convert(old, &[]);
        let found = events(&definition, &lines.join("\n"));
        assert_eq!(found, *expected, "{old}\n{definition}");
    }
}

#[test]
fn the_options_do_what_the_variables_do() {
    let definition = convert(
        "",
        &[
            "--pid-pattern",
            r"^[LOGTIME] \S+ popa3d\[(\d+)\]: ",
            "--ip-pattern",
            r"$PID_pat . 'Session from (\d+\.\d+\.\d+\.\d+)'",
            "--ok-pattern",
            "Authentication passed for ",
            "--fail-pattern",
            "failed",
            "--out-pattern",
            "deleted.*left|Premature",
            "--unit",
            "popa3d.service",
            "--unit",
            "popa3d@*.service",
        ],
    );
    assert!(
        definition.contains(r#"units = ["popa3d.service", "popa3d@*.service"]"#),
        "{definition}"
    );
    let lines = "Nov 24 10:34:11 mail popa3d[7]: Session from 192.0.2.10\n\
                 Nov 24 10:34:11 mail popa3d[7]: Hello\n\
                 Nov 24 10:34:11 mail popa3d[7]: Authentication passed for alice\n\
                 Nov 24 10:34:12 mail popa3d[7]: 0 (0) deleted, 1 (137) left\n\
                 Nov 24 10:34:11 mail popa3d[8]: Session from 192.0.2.11\n\
                 Nov 24 10:34:12 mail popa3d[8]: Authentication failed for bob\n\
                 Nov 24 10:34:12 mail popa3d[8]: Authentication passed for bob\n";
    assert_eq!(
        events(&definition, lines),
        ["login 192.0.2.10 -", "logout 192.0.2.10 -"]
    );
    let definition = convert(
        "",
        &[r"^login (\S+)", "--identifier", "a", "--identifier", "b"],
    );
    assert!(
        definition.contains(r#"identifiers = ["a", "b"]"#),
        "{definition}"
    );
}

#[test]
fn a_whole_old_configuration_is_read() {
    let old = r"# A comment
use strict;
$grace = 30*60;
$pat = '^[LOGTIME] \S+ imapd\[\d+\]: Login (\d+\.\d+\.\d+\.\d+)'; # ours
#$pat = '^[LOGTIME] \S+ popd\[\d+\]: Login (\d+\.\d+\.\d+\.\d+)';
1;
";
    let definition = convert(old, &[]);
    assert!(
        definition.contains(r#"identifiers = ["imapd"]"#),
        "{definition}"
    );
}

#[test]
fn what_cant_be_carried_over_is_said_with_its_place() {
    let quad = r"(\d+\.\d+\.\d+\.\d+)";
    for (old, says) in [
        (r"^[LOGTIME] \S+ a\[\d+\]: (?!x)QUAD", "a lookahead"),
        (r"^[LOGTIME] \S+ a\[\d+\]: (?<=x)QUAD", "a lookbehind"),
        (r"^[LOGTIME] \S+ a\[\d+\]: (x)\2 QUAD", "a back reference"),
        (
            r"^[LOGTIME] \S+ a\[\d+\]: Login",
            "no group for the address",
        ),
        (r"^[LOGTIME] \S+ a\[\d+\]: Login (\w+)", "takes no address"),
        (
            r"^[LOGTIME] \S+ a\[\d+\]: .* QUAD .*",
            "any text can stand here",
        ),
        (r"^[LOGTIME] \S+ a\[\d+\] Login QUAD", "no identifier"),
        (r"^[LOGTIME] a QUAD|b", "alternatives"),
        (r"^[LOGTIME] \S+ a: (QUAD", "unclosed group"),
        ("$pat = $other . 'a'", "$other is not known"),
        ("$pat = 'a';\n$pat = 'b';", "given twice"),
        ("$IP_pat = 'a';", "neither a $pat nor a $PID_pat"),
        ("$PID_pat = 'a';", "needs $IP_pat"),
        ("", "no group"),
    ] {
        let output = program(&["convert-pattern"], &old.replace("QUAD", quad));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{old}: {said}");
        assert!(output.stdout.is_empty(), "{old}");
        assert!(said.contains(says), "{old}: {said}");
    }
    let output = program(&["convert-pattern", "^a (?!x)"], "");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("\n    ^a (?!x)\n       ^\n"), "{said}");
}
