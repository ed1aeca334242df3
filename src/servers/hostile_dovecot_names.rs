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
        prop_assert!(
            client.as_deref() == Some("192.0.2.10"),
            "{client:?} from {message}"
        );
    }

    #[test]
    fn without_a_success_text_there_is_no_login(name in name(), what in
        "Disconnected: Aborted login|Login aborted: Logged out|Login failed|Aborted login|Logged|login|LOGIN"
    ) {
        let message = format!("imap-login: {what} (auth failed, 1 attempts in 4 secs): user=<{name}>, method=PLAIN, rip=192.0.2.10, lip=192.0.2.1, session=<S>");
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
