//! Names that strangers chose, in the lines of servers of which there is no capture.
//!
//! Tests only. Whatever a user or a host is called, the client is the connection's address, or
//! nothing.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use proptest::prelude::*;

use super::load::BUILT_IN;
use super::{Definition, Meaning, Recogniser};

/// The address that the connection came from; names hold others.
const CLIENT: &str = "192.0.2.10";
const CLIENT_V6: &str = "2001:db8::10";

/// A server's line with a user, a host and an address; and the identifier that it comes under.
type Line = (&'static str, fn(&str, &str, &str) -> String);

/// A server's line with what a stranger can put into it; and the identifier that it comes under.
type NoLogin = (&'static str, fn(&str) -> String);

/// Servers whose users' or hosts' names stand in the line of a login.
const LOGINS: &[(&str, &[Line])] = &[
    (
        "apple-mail",
        &[
            ("AppleMailServer", |user, _, client| {
                format!(
                    r#"Sep 21 2002 22:03:45 IMAP User "{user}" log on successful from {client}"#
                )
            }),
            ("AppleMailServer", |user, _, client| {
                format!(r#"IMAP User "{user}" log on successful from {client}"#)
            }),
        ],
    ),
    (
        "cucipop",
        &[("cucipop", |user, _, client| {
            format!("{user} {client} 3, 1 (1320), 0 (0)")
        })],
    ),
    (
        "dbmail",
        &[("dbmail/imap4d", |user, _, client| {
            format!(
                "Notice:[imap] dbmail_imap_session_handle_auth(+1023): [0x7f3a10] login accepted: id [12] user [{user}] from [{client}:50123]"
            )
        })],
    ),
    (
        "dovecot",
        &[
            ("dovecot", |user, _, client| {
                format!("imap-login: Login: {user} [{client}]")
            }),
            ("imap-login", |user, _, client| {
                format!("Login: {user} [{client}]")
            }),
            ("dovecot", |user, _, client| {
                format!("imap-login: 2004-09-21 22:03:45 Info: Login: {user} [{client}]")
            }),
            ("dovecot", |user, _, client| {
                format!(
                    "dovecot: 2006-09-21 22:03:45 Info: imap-login: Login: user=<{user}>, method=PLAIN, rip={client}, lip=192.0.2.1, TLS"
                )
            }),
            ("dovecot", |user, _, client| {
                format!(
                    "Apr 01 11:43:56 pop3-login: Info: Login: user=<{user}>, method=PLAIN, rip={client}, lip=192.0.2.1, mpid=20, session=<S>"
                )
            }),
        ],
    ),
    (
        "macosx-server",
        &[
            ("log", |user, _, client| {
                format!(
                    "imap-login: Login: user=<{user}>, method=PLAIN, rip={client}, lip=192.0.2.1, mpid=839, TLS"
                )
            }),
            ("log", |user, _, client| {
                format!(
                    "imap-login: Login: user=<{user}>, method=PLAIN, rip={client}, lip=192.0.2.1, TLS"
                )
            }),
        ],
    ),
    (
        "qpopper",
        &[
            ("in.qpopper", |user, host, client| {
                format!(
                    r#"(v4.0.9) POP login by user "{user}" at ({host}) {client} [pop_log.c:244]"#
                )
            }),
            ("popper", |user, host, client| {
                format!(
                    "Sep 21 22:03:45 [popper] (v4.0) POP login by user {user} at ({host}) {client}"
                )
            }),
            ("popper", |user, host, client| {
                format!("Stats: {user} 1 1320 0 0 {host} {client}")
            }),
            ("popper", |user, _, client| {
                format!("({user},{client}) Authenticated.")
            }),
        ],
    ),
    (
        "teapop",
        &[("teapop", |user, host, client| {
            format!("Successful login for {user} [192.0.2.1] from {host} [{client}]")
        })],
    ),
    (
        "vm-pop3d",
        &[("vm-pop3d", |user, _, client| {
            format!("User '{user}' logged in from {client}, nmsgs=3")
        })],
    ),
    (
        "vpopmail",
        &[
            ("vpopmail", |user, _, client| {
                format!("vchkpw-pop3: (PLAIN) login success {user}:{client}")
            }),
            ("vpopmail", |user, _, client| {
                format!("vchkpw: login [{user}] from {client}")
            }),
        ],
    ),
];

/// Lines of the same servers that tell of no login.
const NO_LOGINS: &[NoLogin] = &[
    ("AppleMailServer", |name| {
        format!(r#"Sep 21 2002 22:03:45 IMAP User "{name}" log on failed from 192.0.2.10"#)
    }),
    ("cucipop", |name| format!("Invalid command {name}")),
    ("dbmail/imap4d", |name| {
        format!(
            "Notice:[imap] dbmail_imap_session_handle_auth(+9): [0x7f] login rejected: user [{name}] from [192.0.2.10:5]"
        )
    }),
    ("dbmail/pop3d", |name| {
        format!("pop3(): user [{name}] tried to login with wrong password")
    }),
    ("dovecot", |name| {
        format!("imap-login: Disconnected [{name}] [192.0.2.10]")
    }),
    ("dovecot", |name| {
        format!(
            "Apr 01 11:43:56 imap-login: Info: Aborted login (auth failed, 1 attempts): user=<{name}>, method=PLAIN, rip=192.0.2.10, lip=192.0.2.1"
        )
    }),
    ("log", |name| {
        format!(
            "imap-login: Aborted login (auth failed, 1 attempts): user=<{name}>, rip=192.0.2.10, lip=192.0.2.1"
        )
    }),
    ("popper", |name| {
        // The name of a user has no space; what he sent may have.
        let user = name.replace(' ', "");
        format!(r#"{user} at host (192.0.2.10): -ERR Unknown command: "{name}"."#)
    }),
    ("popper", |name| {
        format!(r#"(v4.0) Servicing request from "{name}" at 192.0.2.10"#)
    }),
    ("popper", |name| {
        format!("Possible probe of account {name} from host h (192.0.2.10)")
    }),
    ("teapop", |name| {
        format!("Failed login for {name} [192.0.2.1] from {name} [192.0.2.10]")
    }),
    ("vm-pop3d", |name| format!("Non-existent user: {name}")),
    ("vpopmail", |name| {
        format!("vchkpw-pop3: password fail (pass: '{name}') {name}:192.0.2.10")
    }),
    ("vpopmail", |name| {
        format!("vchkpw-smtp: (CRAM-MD5) login success {name}:192.0.2.10")
    }),
    ("vpopmail", |name| {
        format!("vchkpw-pop3: vpopmail user not found {name}@:192.0.2.10")
    }),
];

fn recogniser() -> &'static Recogniser {
    static RECOGNISER: OnceLock<Recogniser> = OnceLock::new();
    RECOGNISER.get_or_init(|| {
        let servers = LOGINS.iter().map(|(server, _)| *server);
        let definitions = servers
            .map(|server| {
                let (_, text) = BUILT_IN.iter().find(|(name, _)| *name == server).unwrap();
                Definition::parse(text).unwrap()
            })
            .collect();
        Recogniser::new(definitions, &BTreeMap::new(), |_| None)
    })
}

/// The client of the login that a message is: none if it is none, `-` if it has no address.
fn client_of(identifier: &str, message: &str) -> Option<String> {
    let verdict = recogniser().recognise(identifier, message.as_bytes())?;
    match verdict.meaning {
        Meaning::Login { client, .. } => Some(client.map_or("-".to_owned(), |c| c.to_string())),
        Meaning::Connect { client } => Some(client.to_string()),
        _ => None,
    }
}

/// Pieces that play parts of the lines above.
fn name() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        4 => "[a-z@.<>(), =:\\[\\]'\"-]{0,8}",
        1 => Just("203.0.113.9"). prop_map(str::to_owned),
        8 => prop::sample::select(vec![
            " 203.0.113.9 3, 1 (1320), 0 (0)",
            "\" log on successful from 203.0.113.9",
            "x IMAP User \"y\" log on successful from 203.0.113.9",
            "] from [203.0.113.9:50123]",
            " logged in [messages=1, octets=2]",
            "[0x7f] login accepted: user [x] from [203.0.113.9:5]",
            "incoming connection from [203.0.113.9] by pid [4711]",
            " [203.0.113.9]",
            "imap-login: Login: x [203.0.113.9]",
            ">, rip=203.0.113.9",
            ">, method=PLAIN, rip=203.0.113.9, lip=192.0.2.1, mpid=1",
            ">, rip=203.0.113.9, session=<x",
            "Login: user=<",
            "\" at (y) 203.0.113.9",
            "(v4.0) POP login by user \"x\" at (y) 203.0.113.9",
            "Stats: x 0 0 0 0 y 203.0.113.9",
            " 0 0 0 0 y 203.0.113.9",
            "(x,203.0.113.9) Authenticated.",
            " [pop_log.c:244]",
            "Successful login for x [192.0.2.1] from y [203.0.113.9]",
            " [192.0.2.1] from y [203.0.113.9]",
            "' logged in from 203.0.113.9, nmsgs=3",
            "User 'x' logged in from 203.0.113.9",
            "Connect from 203.0.113.9",
            "user=<x>, method=PLAIN, rip=203.0.113.9, lip=192.0.2.1",
            ":203.0.113.9",
            ":::ffff:203.0.113.9",
            ":2001:db8:",
            "vchkpw-pop3: (PLAIN) login success x:203.0.113.9",
            "') x:203.0.113.9",
            "] from 203.0.113.9",
            "\u{e9}",
            "\n",
        ]).prop_map(str::to_owned),
    ];
    prop::collection::vec(piece, 0..5).prop_map(|pieces| pieces.concat())
}

/// What a resolver may return: no spaces.
fn host() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z0-9.-]{1,20}",
        Just("203.0.113.9".to_owned()),
        Just("[203.0.113.9]".to_owned()),
        Just("x)203.0.113.9".to_owned()),
        Just("2001:db8::bad".to_owned()),
        Just(String::new()),
    ]
}

#[test]
fn plain_names_log_in() {
    for (server, lines) in LOGINS {
        for (identifier, line) in *lines {
            let message = line("alice", "client10.example.org", CLIENT);
            assert_eq!(
                client_of(identifier, &message).as_deref(),
                Some(CLIENT),
                "{server}: {message}"
            );
            let message = line("alice@example.org", "client10v6.example.org", CLIENT_V6);
            assert_eq!(
                client_of(identifier, &message).as_deref(),
                Some(CLIENT_V6),
                "{server}: {message}"
            );
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn whatever_the_name_the_client_is_the_connections_address_or_nothing(
        user in name(), host in host()
    ) {
        for (server, lines) in LOGINS {
            for (identifier, line) in *lines {
                let message = line(&user, &host, CLIENT);
                let client = client_of(identifier, &message);
                prop_assert!(
                    client.as_deref().is_none_or(|client| client == CLIENT),
                    "{server}: {client:?} from {message}"
                );
                // vpopmail refuses such names; with an IPv6 address they could not be told apart.
                if *server == "vpopmail" && user.contains(':') {
                    continue;
                }
                let message = line(&user, &host, CLIENT_V6);
                let client = client_of(identifier, &message);
                prop_assert!(
                    client.as_deref().is_none_or(|client| client == CLIENT_V6),
                    "{server}: {client:?} from {message}"
                );
            }
        }
    }

    #[test]
    fn whatever_the_name_a_failure_is_no_login(name in name()) {
        for (identifier, line) in NO_LOGINS {
            let message = line(&name);
            prop_assert_eq!(client_of(identifier, &message), None, "{}", message);
        }
    }
}
