//! Names that strangers choose, in the lines of Dovecot: whatever they are, the client is the
//! connection's address, or the line is not taken.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use proptest::prelude::*;

use super::load::BUILT_IN;
use super::{Definition, Meaning, Recogniser};

fn definition() -> Definition {
    let (_, text) = BUILT_IN
        .iter()
        .find(|(name, _)| *name == "dovecot")
        .unwrap();
    Definition::parse(text).unwrap()
}

fn recogniser(definition: Definition) -> Recogniser {
    Recogniser::new(vec![definition], &BTreeMap::new(), |_| Some(0))
}

fn dovecot() -> &'static Recogniser {
    static RECOGNISER: OnceLock<Recogniser> = OnceLock::new();
    RECOGNISER.get_or_init(|| recogniser(definition()))
}

/// Without the patterns that come first because they are the fastest.
fn slow_dovecot() -> &'static Recogniser {
    static RECOGNISER: OnceLock<Recogniser> = OnceLock::new();
    RECOGNISER.get_or_init(|| {
        let mut definition = definition();
        definition.login.remove(0);
        definition.logout.remove(0);
        recogniser(definition)
    })
}

/// Names that Dovecot would print: it replaces control characters.
fn name() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[a-z@.<>(), =:]{0,12}",
        Just(">, method=PLAIN, rip=203.0.113.9, lip=192.0.2.1".to_owned()),
        Just(">, rip=203.0.113.9, session=<x".to_owned()),
        Just(">, session=<x>, rip=203.0.113.9".to_owned()),
        Just("rip=203.0.113.9, user=<".to_owned()),
        Just("): Started proxying to x: user=<".to_owned()),
        Just(">, rip=203.0.113.9".to_owned()),
        Just("\u{e9}".to_owned()),
    ];
    prop::collection::vec(piece, 0..5).prop_map(|p| p.concat())
}

/// Names that also play with what became of a login, with its mechanism, and with other names.
fn rude_name() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        name(),
        prop::sample::select(vec![
            ", method=ANONYMOUS",
            ", method=PLAIN, ",
            ">, method=PLAIN, orig_user=<",
            ">, rip=203.0.113.9, auth_user=<",
            ", user=<",
            "x): Started proxying to y",
            "): Started proxying to y (0.1 secs): ",
            "): started proxying to y: user=<",
            " (",
            " (master z",
            " (<z>) w",
            " (0.1 secs",
            ")",
            " Login",
            ", TLS Login",
        ])
        .prop_map(str::to_owned),
    ];
    prop::collection::vec(piece, 1..4).prop_map(|pieces| pieces.concat())
}

fn client_of(message: &str) -> Option<String> {
    match dovecot().recognise("dovecot", message.as_bytes())?.meaning {
        Meaning::Login { client, .. } => client.map(|c| c.to_string()),
        _ => None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn whatever_the_name_the_client_is_the_connections_address(
        name in name(), verb in "Login|Logged in", order in 0..7,
    ) {
        let message = match order {
            0 => format!("imap-login: {verb}: user=<{name}>, method=PLAIN, rip=192.0.2.10, lip=192.0.2.1, mpid=1, TLS, session=<S>"),
            1 => format!("pop3-login: {verb}: user=<{name}>, rip=192.0.2.10"),
            2 => format!("imap-login: {verb}: rip=192.0.2.10, user=<{name}>, TLS, session=<S>"),
            3 => format!("imap-login: {verb}: session=<S>, method=PLAIN, rip=192.0.2.10, user=<{name}>"),
            4 => format!("imap-login: {verb}: user=<{name}>, session=<S>, rip=192.0.2.10, TLS"),
            5 => format!("imap-login: proxy(u,127.0.0.1:143): Started proxying to remote host (0.1 secs): user=<{name}>, method=PLAIN, rip=192.0.2.10, lip=192.0.2.1, session=<S>"),
            _ => format!("imap-login: proxy({name},127.0.0.1:143): Started proxying to <127.0.0.1> (0.1 secs): user=<u>, method=PLAIN, rip=192.0.2.10, lip=192.0.2.1, session=<S>"),
        };
        let client = client_of(&message);
        // A proxy's failures print the name in the same place: such a name is nobody's there.
        // What reads as an empty name is what stands there before a login.
        let is_empty = message.contains("user=<>") || name.contains(": ");
        // A second address, session or user could be in a field that the client has chosen.
        let has_second = ["rip=", "session=", "user=<"].iter().any(|text| name.contains(text));
        let may_be_missed = name.is_empty()
            || is_empty
            || has_second
            || order > 4 && name.contains(['<', '>', '(', ')', ':']);
        prop_assert!(
            client.as_deref() == Some("192.0.2.10") || client.is_none() && may_be_missed,
            "{client:?} from {message}"
        );
    }

    #[test]
    fn with_other_names_beside_the_users_the_client_is_the_connections_or_nobody(
        name in rude_name(), other in rude_name(), order in 0..6,
    ) {
        let message = match order {
            0 => format!("imap-login: Login: user=<{name}>, orig_user=<{other}>, method=PLAIN, rip=192.0.2.10, lip=192.0.2.1, TLS, session=<S>"),
            1 => format!("imap-login: Login: user=<{name}>, method=PLAIN, rip=192.0.2.10, auth_user=<{other}>, session=<S>"),
            2 => format!("imap-login: Login: auth_user=<{other}>, user=<{name}>, rip=192.0.2.10"),
            3 => format!("imap-login: Login: session=<S>, user=<{name}>, rip=192.0.2.10, auth_user=<{other}>"),
            4 => format!("imap-login: user=<{name}>, orig_user=<{other}>, rip=192.0.2.10, TLS Login"),
            _ => format!("imap-login: proxy({name},127.0.0.1:143): Started proxying to <127.0.0.1> (0.1 secs): user=<{name}>, orig_user=<{other}>, rip=192.0.2.10, session=<S>"),
        };
        let client = client_of(&message);
        prop_assert!(
            client.is_none() || client.as_deref() == Some("192.0.2.10"),
            "{client:?} from {message}"
        );
    }

    #[test]
    fn with_the_text_at_the_end_the_client_is_the_connections_or_nobody(
        name in rude_name(), what in "Login|Logged in", proxied: bool,
    ) {
        let fields = format!("user=<{name}>, method=PLAIN, rip=192.0.2.10, lip=192.0.2.1, TLS, session=<S>");
        let message = if proxied {
            format!("imap-login: {fields} proxy({name},127.0.0.1:143): Started proxying to <127.0.0.1> (0.1 secs)")
        } else {
            format!("imap-login: {fields} {what}")
        };
        let client = client_of(&message);
        prop_assert!(
            client.is_none() || client.as_deref() == Some("192.0.2.10"),
            "{client:?} from {message}"
        );
    }

    #[test]
    fn with_a_name_of_the_clients_choice_in_a_field_the_client_is_the_connections_or_nobody(
        // What a client calls the server in TLS (%{local_name}), which 2.3 takes as it comes.
        sni in rude_name(), what in "local_name=|sni=|mpid=|", order in 0..9,
        mech in "PLAIN|ANONYMOUS",
    ) {
        let sni = format!("{what}{sni}");
        let m = format!("method={mech}");
        let message = match order {
            0 => format!("imap-login: Login: user=<tom>, {m}, rip=192.0.2.10, lip=192.0.2.1, mpid=1, TLS, session=<S>, {sni}"),
            1 => format!("imap-login: Login: user=<tom>, {m}, rip=192.0.2.10, lip=192.0.2.1, {sni}, mpid=1, TLS, session=<S>"),
            2 => format!("imap-login: Login: user=<tom>, {sni}, {m}, rip=192.0.2.10, lip=192.0.2.1, mpid=1, TLS, session=<S>"),
            3 => format!("imap-login: Login: {sni}, user=<tom>, {m}, rip=192.0.2.10, TLS, session=<S>"),
            4 => format!("imap-login: Login: {sni}, rip=192.0.2.10, user=<tom>, {m}, TLS, session=<S>"),
            5 => format!("pop3-login: Login: rip=192.0.2.10, {sni}, user=<tom>, {m}, TLS"),
            6 => format!("pop3-login: Login: session=<S>, rip=192.0.2.10, user=<tom>, {sni}, {m}, TLS"),
            7 => format!("imap-login: user=<tom>, {m}, rip=192.0.2.10, {sni}, TLS, session=<S> Login"),
            _ => format!("imap-login: proxy(tom,127.0.0.1:143): Started proxying to <127.0.0.1> (0.1 secs): user=<tom>, {m}, rip=192.0.2.10, {sni}, session=<S>"),
        };
        let client = client_of(&message);
        prop_assert!(
            client.is_none() || mech == "PLAIN" && client.as_deref() == Some("192.0.2.10"),
            "{client:?} from {message}"
        );
    }

    #[test]
    fn whatever_the_name_anonymous_proves_nothing(name in rude_name(), order in 0..9, mech in
        "ANONYMOUS|anonymous|Anonymous|aNoNyMoUs"
    ) {
        let m = format!("method={mech}");
        let proxied = "imap-login: proxy(u,127.0.0.1:143): Started proxying to <127.0.0.1> (0.1 secs)";
        let message = match order {
            0 => format!("imap-login: Login: user=<{name}>, {m}, rip=192.0.2.10, lip=192.0.2.1, mpid=1, TLS, session=<S>"),
            1 => format!("pop3-login: Logged in: user=<{name}>, rip=192.0.2.10, {m}"),
            2 => format!("imap-login: Login: rip=192.0.2.10, user=<{name}>, {m}, TLS, session=<S>"),
            3 => format!("imap-login: Login: session=<S>, {m}, rip=192.0.2.10, user=<{name}>"),
            4 => format!("imap-login: Login: user=<{name}>, session=<S>, rip=192.0.2.10, {m}"),
            5 => format!("{proxied}: user=<{name}>, {m}, rip=192.0.2.10, lip=192.0.2.1, session=<S>"),
            6 => format!("imap-login: Login: user=<{name}>, auth_user=<a>, {m}, rip=192.0.2.10, session=<S>"),
            7 => format!("imap-login: user=<{name}>, {m}, rip=192.0.2.10, lip=192.0.2.1, TLS Login"),
            _ => format!("imap-login: user=<{name}>, rip=192.0.2.10, session=<S>, {m} Login"),
        };
        prop_assert_eq!(client_of(&message), None, "{}", message);
    }

    #[test]
    fn a_login_that_a_backend_refused_is_none(name in rude_name(), old: bool, last: bool, order in 0..3) {
        let proxy = if old { format!("proxy({name})") } else { format!("proxy({name},127.0.0.1:143)") };
        let what = format!("{proxy}: Login failed: [AUTHENTICATIONFAILED] no");
        let fields = match order {
            0 => format!("user=<{name}>, method=PLAIN, rip=192.0.2.10, lip=192.0.2.1, session=<S>"),
            1 => format!("rip=192.0.2.10, user=<{name}>, TLS"),
            _ => format!("method=PLAIN, user=<{name}>, rip=192.0.2.10"),
        };
        let message = if last {
            format!("imap-login: {fields} {what}")
        } else {
            format!("imap-login: {what}: {fields}")
        };
        prop_assert_eq!(client_of(&message), None, "{}", message);
    }

    #[test]
    fn without_a_success_text_there_is_no_login(name in name(), what in
        "Disconnected: Aborted login|Login aborted: Logged out|Login failed|Aborted login|Logged|login|LOGIN"
    ) {
        let message = format!("imap-login: {what} (auth failed, 1 attempts in 4 secs): user=<{name}>, method=PLAIN, rip=192.0.2.10, lip=192.0.2.1, session=<S>");
        prop_assert_eq!(client_of(&message), None);
        let message = format!("imap-login: user=<{name}>, method=PLAIN, rip=192.0.2.10, lip=192.0.2.1, TLS {what} (auth failed)");
        prop_assert_eq!(client_of(&message), None);
        let message = format!("auth: passwd-file({name},192.0.2.10,<S>): unknown user");
        prop_assert_eq!(client_of(&message), None);
    }

    #[test]
    fn the_patterns_that_come_first_take_lines_for_what_the_others_do(
        name in name(), verb in "Login|Logged in", ip in "192\\.0\\.2\\.10|2001:db8::10|192\\.0\\.2",
        pid in "mpid=1, |", how in "TLS, |secured, |TLS: x, |", session in "S|S-<x>|",
        end in "Disconnected: Logged out in=1|Logged out|Info: Disconnected|Error: x",
    ) {
        // The others take this for what stands there before a login.
        prop_assume!(!name.contains(": "));
        let protocol = if verb.len() == 5 { "imap" } else { "pop3" };
        for message in [
            format!("{protocol}-login: {verb}: user=<{name}>, method=PLAIN, rip={ip}, lip=192.0.2.1, {pid}{how}session=<{session}>"),
            format!("{protocol}({name})<1><{session}>: {end}"),
        ] {
            let of = |recogniser: &Recogniser| {
                recogniser.recognise("dovecot", message.as_bytes()).map(|verdict| verdict.meaning)
            };
            prop_assert_eq!(of(dovecot()), of(slow_dovecot()), "{}", message);
        }
    }

    #[test]
    fn no_bytes_make_it_panic(message: Vec<u8>) {
        let _ = dovecot().recognise("dovecot", &message);
        let _ = dovecot().recognise("dovecot", &[b"imap-login: Login: ", &message[..]].concat());
    }
}

fn assert_meanings(expected: &[(&str, &str)]) {
    for (message, says) in expected {
        let verdict = dovecot().recognise("dovecot", message.as_bytes());
        let meaning = verdict.map_or_else(String::new, |verdict| verdict.meaning.to_string());
        assert_eq!(meaning, *says, "{message}");
    }
}

#[rustfmt::skip]
#[test]
fn the_mechanism_is_what_dovecot_says_and_not_what_a_name_says() {
    assert_meanings(&[
        ("imap-login: Logged in: user=<anonymous>, method=anonymous, rip=192.0.2.10, lip=192.0.2.1, mpid=1, session=<Ml2YQQNh69rAAAIK>", ""),
        ("imap-login: Login: rip=192.0.2.10, user=<joe>, method=ANONYMOUS", ""),
        ("imap-login: Login: user=<joe>, rip=192.0.2.10, lip=192.0.2.1, session=<Ml2YQQNh69rAAAIK>, method=ANONYMOUS", ""),
        ("imap-login: Login: user=<joe>, ANONYMOUS, rip=192.0.2.10", ""),
        ("imap-login: Login: user=<joe>, mech=<ANONYMOUS>, rip=192.0.2.10", ""),
        ("imap-login: Login: rip=192.0.2.10, user=<x>y, method=PLAIN>, method=ANONYMOUS, session=<Ml2YQQNh69rAAAIK>", ""),
        ("imap-login: Login: method=ANONYMOUS, rip=192.0.2.10, user=<x>, method=PLAIN, rip=192.0.2.10>", ""),
        ("imap-login: Login: user=<x>, method=PLAIN, orig_user=<y>, method=ANONYMOUS, rip=192.0.2.10, session=<Ml2YQQNh69rAAAIK>", ""),
        ("imap-login: user=<joe>, method=ANONYMOUS, rip=192.0.2.10, lip=192.0.2.1, TLS Login", ""),
        ("imap-login: user=<joe>, rip=192.0.2.10, method=ANONYMOUS Login", ""),
        ("imap-login: Login: anonymous [192.0.2.10]", ""),
        ("imap-login: Login: user=<x, method=ANONYMOUS, y>, rip=192.0.2.10", "a login of 192.0.2.10, user x, method=ANONYMOUS, y"),
        ("imap-login: Login: user=<x>, method=ANONYMOUS>, method=PLAIN, rip=192.0.2.10, lip=192.0.2.1, session=<Ml2YQQNh69rAAAIK>", "a login of 192.0.2.10, user x>, method=ANONYMOUS, session Ml2YQQNh69rAAAIK"),
        ("imap-login: Login: user=<anonymous>, method=PLAIN, rip=192.0.2.10, lip=192.0.2.1, mpid=1, session=<Ml2YQQNh69rAAAIK>", "a login of 192.0.2.10, user anonymous, session Ml2YQQNh69rAAAIK"),
    ]);
}

#[rustfmt::skip]
#[test]
fn where_a_line_can_be_read_in_two_ways_nobody_has_logged_in() {
    assert_meanings(&[
        ("imap-login: Login: rip=192.0.2.10, user=<>, TLS, session=<Ml2YQQNh69rAAAIK>", ""),
        ("pop3-login: Login: user=<x>, method=PLAIN, rip=203.0.113.9, lip=192.0.2.1>, method=PLAIN, rip=2001:db8::10, lip=2001:db8::1, mpid=274, session=<cxNVVANhjYwgAQ24AAAAAAAAAAAAAAAQ>", ""),
        ("imap-login: user=<>, method=PLAIN, rip=192.0.2.10, TLS Login", ""),
        ("imap-login: Login: user=<alice>, rip=192.0.2.10, auth_user=<x>, rip=203.0.113.9, session=<y>", ""),
        ("imap-login: Login: auth_user=<x>, user=<y>, rip=203.0.113.9, z=<w>, user=<alice>, rip=192.0.2.10", ""),
        ("imap-login: Login: user=<alice>, sni=x, rip=203.0.113.9, rip=192.0.2.10, session=<Ml2YQQNh69rAAAIK>", ""),
        ("imap-login: proxy(x): started proxying to y: user=<z,127.0.0.1:143): Login failed: [AUTH] no: user=<x): started proxying to y: user=<z>, method=PLAIN, rip=192.0.2.10, lip=192.0.2.1, session=<Ml2YQQNh69rAAAIK>", ""),
        ("imap-login: proxy(x): started proxying to y (,127.0.0.1:143): Login failed: no, no: method=PLAIN, user=<x): started proxying to y (>, rip=192.0.2.10", ""),
    ]);
}
