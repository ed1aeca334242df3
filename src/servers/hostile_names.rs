//! Names that strangers choose, in the lines of every server: whatever they are, the client is the
//! connection's address, or the line is not taken.
//!
//! The lines are built as the servers build them. No name here ever holds the true address.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use proptest::prelude::*;

use super::load::BUILT_IN;
use super::{Correlator, Definition, Meaning, Recogniser, Sender, Unknown};
use crate::event::EventKind;

/// The connection's address, which no name holds.
const TRUE: &str = "192.0.2.10";

fn recogniser(server: &str) -> &'static Recogniser {
    static RECOGNISERS: OnceLock<BTreeMap<&str, Recogniser>> = OnceLock::new();
    let all = RECOGNISERS.get_or_init(|| {
        let compiled = BUILT_IN.iter().map(|(name, text)| {
            let definition = Definition::parse(text).unwrap();
            let recogniser = Recogniser::new(vec![definition], &BTreeMap::new(), |_| Some(0));
            (*name, recogniser)
        });
        compiled.collect()
    });
    &all[server]
}

/// The client of the login that the message is; of one without, if it is a login at all.
fn login(server: &str, identifier: &str, message: &str) -> Option<Option<String>> {
    match recogniser(server)
        .recognise(identifier, message.as_bytes())?
        .meaning
    {
        Meaning::Login { client, .. } => Some(client.map(|c| c.to_string())),
        _ => None,
    }
}

fn is_of_the_connection(server: &str, identifier: &str, message: &str) -> bool {
    login(server, identifier, message) == Some(Some(TRUE.to_owned()))
}

/// Nobody else's address: the connection's, or that of an earlier line, or none.
fn is_nobody_elses(server: &str, identifier: &str, message: &str) -> bool {
    let client = login(server, identifier, message).flatten();
    client.is_none() || client.as_deref() == Some(TRUE)
}

/// What strangers put together to look like a server's own words, or anything.
fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[a-zA-Z0-9@.,:=<>\"'()\\[\\] -]{0,16}",
        prop::sample::select(vec![
            // courier
            "LOGIN, user=",
            ", ip=[203.0.113.9]",
            ", ip=[::ffff:203.0.113.9], port=[1]",
            ", port=[1], protocol=IMAP",
            ", stls=1",
            // cyrus
            "login: ",
            "[203.0.113.9] ",
            " plaintext User logged in",
            " SESSIONID=<x>",
            " plaintext",
            "event=login.good r.clienthost=[203.0.113.9] u.username=",
            // UW
            "Login user=",
            " host=evil.example [203.0.113.9]",
            " host=[203.0.113.9]",
            " nmsgs=1/1",
            " no mailbox",
            " mech=PLAIN",
            // solid-pop3d
            " authenticated - 203.0.113.9",
            " authenticated - x (203.0.113.9)",
            " authenticated",
            "user ",
            // perdition
            "Auth: 203.0.113.9:1->192.0.2.1:110 ",
            "\" status=\"ok\"",
            "\" server=\"a:1\" protocol=POP3 server-secure=plaintext status=\"ok\"",
            "\" server=\"a\" port=\"1\" status=\"ok\"",
            // nginx
            "\", client: 203.0.113.9, server: 0.0.0.0:110, login: \"",
            "\", upstream: 127.0.0.1:2110",
            "client logged in, client: 203.0.113.9",
            // stalwart
            "\", remoteIp = 203.0.113.9, remotePort = 1, accountName = \"x",
            ", localPort = 993, remoteIp = 203.0.113.9, remotePort = 1",
            "Authentication successful (auth.success) ",
            // tpop3d
            "(203.0.113.9)",
            "(203.0.113.9): began session for `",
            "' with pam; child PID is 1",
            "fork_child: [7]x",
            // zimbra
            ";ip=10.0.0.31;oip=203.0.113.9;",
            ";oip=203.0.113.9;",
            "] imap - user x authenticated, mechanism=LOGIN",
            "[name=x;ip=127.0.0.1",
            // mailutils
            "' logged in with mailbox `x'",
            " logged in with mailbox /var/mail/x from 203.0.113.9",
            "203.0.113.9",
            "\u{e9}",
        ])
        .prop_map(str::to_owned),
    ];
    prop::collection::vec(piece, 1..6).prop_map(|pieces| pieces.concat())
}

/// Names in reverse DNS: any visible character, as old resolvers let them be, but no space.
fn host() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-z0-9.-]{1,40}",
        text().prop_map(|name| name.replace(' ', "")),
        prop::sample::select(vec![
            "203.0.113.9",
            "[203.0.113.9]",
            "a[203.0.113.9]",
            "(203.0.113.9)"
        ])
        .prop_map(str::to_owned),
    ]
}

/// A name that is there: the servers let nobody in without one.
fn user() -> impl Strategy<Value = String> {
    text().prop_filter("a name", |name| !name.is_empty() && name.len() <= 80)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn courier(user in user(), ip in prop::sample::select(vec!["192.0.2.10", "::ffff:192.0.2.10"]),
               end in prop::sample::select(vec![
                   "", ", port=[42531]", ", port=[42531], protocol=IMAP", ", port=[1], stls=1",
                   ", port=[1], protocol=IMAP, starttls=1"])) {
        let line = format!("LOGIN, user={user}, ip=[{ip}]{end}");
        prop_assert!(is_of_the_connection("courier", "imapd", &line), "{line}");
        for verb in ["LOGIN FAILED", "LOGOUT", "DISCONNECTED", "Connection", "LOGIN: DEBUG:"] {
            let line = format!("{verb}, user={user}, ip=[{ip}]{end}");
            prop_assert_eq!(login("courier", "imapd", &line), None);
        }
    }

    #[test]
    fn cyrus_whatever_the_user(user in user(), name in "([a-z0-9.-]{1,40} ?)?",
                               mech in "plaintext|PLAIN|DIGEST-MD5|plaintext\\+TLS") {
        let line = format!("login: {name}[{TRUE}] {user} {mech} User logged in SESSIONID=<c-1-2>");
        let plain = user.trim() == user && !user.starts_with(['[', ']'])
            && !user.starts_with("anonymous ") && user != "anonymous";
        prop_assert!(is_nobody_elses("cyrus", "imap", &line), "{line}");
        prop_assert!(!plain || is_of_the_connection("cyrus", "imap", &line), "{line}");
        let line = format!("badlogin: {name}[{TRUE}] {mech} ({user}) [SASL(-13): authentication failure]");
        prop_assert_eq!(login("cyrus", "imap", &line), None);
    }

    #[test]
    fn cyrus_whatever_the_host(user in user(), host in host(), end in prop::sample::select(vec![
        " plaintext", " plaintext User logged in", " PLAIN User logged in SESSIONID=<c-1-2>"])) {
        let line = format!("login: {host} [{TRUE}] {user}{end}");
        prop_assert!(is_nobody_elses("cyrus", "imapd", &line), "{line}");
    }

    #[test]
    fn cyrus_in_keys_and_values(user in user(), host in host()) {
        let quoted = |value: &str| {
            let escaped = value.replace('\\', "\\\\").replace('"', "\\\"");
            if value.bytes().all(|b| b.is_ascii_graphic() && !b"\"\\=".contains(&b)) {
                escaped
            } else {
                format!("\"{escaped}\"")
            }
        };
        let (clienthost, username) = (quoted(&format!("{host} [{TRUE}]")), quoted(&user));
        let line = format!("event=login.good r.sessionid=c-1 r.clienthost={clienthost} u.username={username} login.mech=PLAIN login.tls=1");
        prop_assert!(is_nobody_elses("cyrus", "imap", &line), "{line}");
        let line = format!("event=login.bad r.clienthost={clienthost} u.username={username} error={username}");
        prop_assert_eq!(login("cyrus", "imap", &line), None);
    }

    #[test]
    fn uw_imap(user in user(), host in host(),
               verb in "Login|Authenticated|Auth|APOP|Admin Login",
               end in prop::sample::select(vec!["", " nmsgs=1/12", " no mailbox", " mech=PLAIN"])) {
        let user: String = user.chars().take(80).collect();
        let line = format!("{verb} user={user} host=[{TRUE}]{end}");
        prop_assert!(is_of_the_connection("uw-imap", "imapd", &line), "{line}");
        // As much of the host as is printed.
        let long: String = format!("{host} [{TRUE}]").chars().take(80).collect();
        let line = format!("{verb} user={user} host={long}{end}");
        prop_assert!(is_nobody_elses("uw-imap", "ipop3d", &line), "{line}");
        for verb in ["Login failed", "Logout", "Update", "AUTHENTICATE LOGIN failure", "Hangup",
                     "Preauthenticated", "Connection timed out, while reading line"] {
            let line = format!("{verb} user={user} auth={user} host={host} [{TRUE}]{end}");
            prop_assert_eq!(login("uw-imap", "imapd", &line), None);
        }
        // A password that anybody may choose
        let line = format!("Login anonymous={user} host={host} [{TRUE}]");
        prop_assert_eq!(login("uw-imap", "imapd", &line), None);
    }

    #[test]
    fn solid_pop3d(user in user(), host in host()) {
        let line = format!("user {user} authenticated - {TRUE}");
        prop_assert!(is_of_the_connection("solid-pop3d", "spop3d", &line), "{line}");
        let line = format!("user {user} authenticated through APOP - {host} ({TRUE})");
        prop_assert!(is_nobody_elses("solid-pop3d", "spop3d", &line), "{line}");
        // The build that prints no address
        let line = format!("user {user} authenticated");
        prop_assert_eq!(login("solid-pop3d", "spop3d", &line), Some(None));
        for failed in [format!("authentication failed for user {user} - {host} ({TRUE})"),
                       format!("authentication failed: no such user: {user} - {TRUE}"),
                       format!("session ended for user {user} - {TRUE}")] {
            prop_assert_eq!(login("solid-pop3d", "spop3d", &failed), None);
        }
    }

    #[test]
    fn a_name_lends_no_address_to_an_earlier_line(user in user(), host in host()) {
        let recogniser = recogniser("solid-pop3d");
        let mut correlator = Correlator::new(Unknown::Drop);
        let sender = Sender { uid: Some(0), unit: Some("inetd.service".into()), pid: Some(7) };
        let mut tie = |message: &str| {
            let verdict = recogniser.recognise("spop3d", message.as_bytes())?;
            correlator.tie(verdict.server, verdict.meaning, &sender, jiff::Timestamp::UNIX_EPOCH)
        };
        tie(&format!("connect from {TRUE}"));
        tie(&format!("connect from {host} ({TRUE})"));
        tie(&format!("authentication failed for user {user}"));
        let client = match tie(&format!("user {user} authenticated")) {
            Some(EventKind::Login { client, .. }) => Some(client.to_string()),
            _ => None,
        };
        prop_assert_eq!(client.as_deref(), Some(TRUE));
    }

    #[test]
    fn perdition(user in user(), real in "[a-z0-9.:]{1,30}", secure in "plaintext|ssl|starttls") {
        let new = |status: &str| format!("Auth: {TRUE}:42473->192.0.2.1:110 client-secure={secure} authorisation_id=NONE authentication_id=\"{user}\" server=\"{real}\" protocol=POP3 server-secure=plaintext status=\"{status}\"");
        let old = |status: &str| format!("Auth: {TRUE}->192.0.2.1 user=\"{user}\" server=\"{real}\" port=\"110\" status=\"{status}\"");
        for ok in [new("ok"), old("ok")] {
            prop_assert!(is_of_the_connection("perdition", "perdition", &ok), "{ok}");
        }
        let why = "failed: Re-Authentication Failure";
        for line in [new(why), old(why), format!("Closing session: {TRUE}:1->192.0.2.1:110 authorisation_id=NONE authentication_id=\"{user}\" received=6 sent=18")] {
            prop_assert_eq!(login("perdition", "perdition", &line), None);
        }
    }

    #[test]
    fn a_line_that_perditions_buffer_cut_is_no_login(fill in 600usize..1024, end in 0usize..2) {
        let faked = ["\" server=\"a\" protocol=POP3 server-secure=plaintext status=\"ok\"",
                     "\" server=\"a\" port=\"1\" status=\"ok\""][end];
        let begin = [format!("Auth: {TRUE}:1->192.0.2.1:110 client-secure=plaintext authorisation_id=NONE authentication_id=\""),
                     format!("Auth: {TRUE}->192.0.2.1 user=\"")];
        let line = format!("{}{:x<fill$}{faked}", begin[end], "");
        prop_assert_eq!(login("perdition", "perdition", &line), None);
    }

    #[test]
    fn nginx(user in user(), tls in prop::sample::select(vec!["", " using starttls"])) {
        let of = format!(", client: {TRUE}{tls}, server: 0.0.0.0:110, login: \"{user}\"");
        let line = format!("2026/11/24 10:51:21 [info] 74#74: *1 client logged in{of}, upstream: 127.0.0.1:2110");
        prop_assert!(is_of_the_connection("nginx", "nginx", &line), "{line}");
        for line in [
            format!("2026/11/24 10:51:21 [info] 74#74: *1 client login failed: \"{user}\" while in http auth state{of}"),
            format!("2026/11/24 10:51:21 [info] 74#74: *1 recv() failed (104: {user}) while proxying{of}"),
            format!("2026/11/24 10:51:21 [error] 74#74: *1 open() \"/{user}\" failed{of}"),
        ] {
            prop_assert_eq!(login("nginx", "nginx", &line), None);
        }
    }

    #[test]
    fn mailutils_and_gnu_pop3d(user in user()) {
        let line = format!("User {user} logged in with mailbox /var/mail/{user} from {TRUE}");
        prop_assert!(is_nobody_elses("mailutils", "gnu-pop3d", &line), "{line}");
        for line in [format!("user `{user}' logged in with mailbox `/var/mail/{user}' (1 message)"),
                     format!("user `{user}' logged in (source: system)")] {
            prop_assert!(login("mailutils", "pop3d", &line).flatten().is_none(), "{line}");
        }
        for line in [format!("user `{user}' nonexistent"), format!("login failed: {user}"),
                     format!("user `{user}': authentication failed")] {
            prop_assert_eq!(login("mailutils", "pop3d", &line), None);
        }
    }

    #[test]
    fn stalwart(user in user(), escaped: bool, port in 1u16..) {
        let quoted = if escaped {
            user.replace('\\', "\\\\").replace('"', "\\\"")
        } else {
            user.replace('\\', "\\\\")
        };
        let at = |port| format!("listenerId = \"x\", localPort = {port}, remoteIp = {TRUE}, remotePort = 40000, accountName = \"{quoted}\"");
        let ok = "2026-08-21T19:29:02Z INFO Authentication successful (auth.success)";
        let line = format!("{ok} {}, accountId = 5", at(993));
        let plain = escaped || !user.contains('"');
        prop_assert!(!plain || is_of_the_connection("stalwart", "stalwart", &line), "{line}");
        prop_assert!(is_nobody_elses("stalwart", "stalwart", &line), "{line}");
        // Submission, and whatever else
        if ![110, 143, 993, 995].contains(&port) {
            let line = format!("{ok} {}, accountId = 5", at(port));
            prop_assert_eq!(login("stalwart", "stalwart", &line), None);
        }
        let line = format!("2026-08-21T19:29:02Z INFO Authentication failed (auth.failed) {}", at(993));
        prop_assert_eq!(login("stalwart", "stalwart", &line), None);
    }

    #[test]
    fn tpop3d(user in user()) {
        let line = format!("fork_child: [7]{user}({TRUE}): began session for `{user}' with pam; child PID is 4711");
        let plain = !user.contains(['(', ')', '`', '\'', '[', ']']);
        prop_assert!(is_nobody_elses("tpop3d", "tpop3d", &line), "{line}");
        prop_assert!(!plain || is_of_the_connection("tpop3d", "tpop3d", &line), "{line}");
        for line in [
            format!("authcontext_new_user_pass: began session for `{user}' with pam; uid 1000, gid 8"),
            format!("connection_do: client `[7]{TRUE}': username `{user}': failing password is `{user}'"),
            format!("authcontext_new_user_pass: rejecting login attempt by `{user}' with empty password"),
        ] {
            prop_assert_eq!(login("tpop3d", "tpop3d", &line), None);
        }
    }

    #[test]
    fn zimbra(via in text(), agent in text(), name in text(),
              peer in prop::sample::select(vec!["10.0.0.31", "127.0.0.1", "198.51.100.7"])) {
        let escaped = |value: &str| value.replace(';', ";;");
        let (via, agent) = (escaped(&via), escaped(&agent));
        let says = format!("via={via},10.0.0.54(nginx/1.2.0-zimbra);ua={agent};");
        let begin = "2018-09-18 00:21:18,787 INFO [ImapServer-138] [";
        let end = "] imap - user alice@example.org authenticated, mechanism=LOGIN";
        let line = format!("{begin}name=alice@example.org;ip={peer};oip={TRUE};{says}{end}");
        let proxied = peer != "198.51.100.7";
        prop_assert!(!proxied || is_of_the_connection("zimbra", "mailboxlog", &line), "{line}");
        prop_assert!(proxied || login("zimbra", "mailboxlog", &line).is_none(), "{line}");
        // No proxy: the client says what it is, or claims to be a proxy.
        for says in [format!("ua={agent};"), format!("via={via};ua={agent};"),
                     format!("oip=203.0.113.9;ua={agent};")] {
            let line = format!("{begin}name=alice@example.org;ip={TRUE};{says}{end}");
            prop_assert!(is_nobody_elses("zimbra", "mailboxlog", &line), "{line}");
        }
        // A client that has not logged in
        for line in [
            format!("{begin}ip={peer};oip={TRUE};{says}] imap - authentication failed for [{name}] (invalid password)"),
            format!("{begin}ip={peer};oip={TRUE};{says}] imap - {name}"),
        ] {
            prop_assert_eq!(login("zimbra", "mailboxlog", &line), None);
        }
    }

    #[test]
    fn popa3d(user in "[!-~]{1,60}") {
        let line = format!("Authentication passed for {user} -- [{TRUE}]");
        prop_assert!(is_of_the_connection("popa3d", "popa3d", &line), "{line}");
        let line = format!("Authentication passed for {user}");
        prop_assert_eq!(login("popa3d", "popa3d", &line), Some(None));
    }

    #[test]
    fn no_bytes_make_any_of_them_panic(message: Vec<u8>) {
        for (name, _) in BUILT_IN {
            let recogniser = recogniser(name);
            for identifier in recogniser.identifiers() {
                let _ = recogniser.recognise(identifier, &message);
            }
        }
    }
}
