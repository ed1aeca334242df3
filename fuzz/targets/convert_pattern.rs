//! Patterns of the Perl daemon: what becomes of one is a definition that can be read, and that takes no
//! address out of a name, or it is an error.
//!
//! The first byte chooses what the rest is: a configuration ("0"), a pattern ("1"), or what stands in a
//! pattern between the host and the address ("2").

use std::collections::BTreeMap;

use pop_before_smtp::cli::definition_of_old;
use pop_before_smtp::servers::{Definition, Meaning, Recogniser};

fn convert(old: &str) {
    let Ok(Some((text, definition))) = definition_of_old(old) else {
        return;
    };
    let read = Definition::parse(&text);
    let read = read.unwrap_or_else(|faults| panic!("{text}\n{faults:?}"));
    assert_eq!(read.name, definition.name);
    assert!(!definition.login.is_empty());
    let identifiers = definition.identifiers.clone();
    let recogniser = Recogniser::new(vec![definition], &BTreeMap::new(), |_| None);
    for identifier in &identifiers {
        for line in LINES {
            let Some(verdict) = recogniser.recognise(identifier, line.as_bytes()) else {
                continue;
            };
            if let Meaning::Login {
                client: Some(client),
                ..
            } = verdict.meaning
            {
                assert!(line.contains(&client.to_string()), "{line}: {client}");
            }
        }
    }
}

/// Lines of servers that the Perl daemon knew.
const LINES: [&str; 4] = [
    "Login user=alice host=c.example [192.0.2.10]",
    "User alice logged in with mailbox /var/mail/alice from 192.0.2.10",
    "LOGIN, user=alice, ip=[::ffff:192.0.2.10], protocol=POP3",
    "imap-login: Login: user=<alice>, method=PLAIN, rip=192.0.2.10, lip=192.0.2.1",
];

/// See the top.
pub fn run(data: &[u8]) {
    let Some((how, rest)) = data.split_first() else {
        return;
    };
    let text = String::from_utf8_lossy(rest);
    let escaped = text.replace('\\', "\\\\").replace('\'', "\\'");
    convert(&match how % 3 {
        0 => text.into_owned(),
        1 => format!("$pat = '{escaped}';"),
        _ => format!("$pat = '^[LOGTIME] \\S+ {escaped} (\\d+\\.\\d+\\.\\d+\\.\\d+)';"),
    });
}
