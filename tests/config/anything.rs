//! Properties of whatever a file may hold.

use std::net::IpAddr;

use pop_before_smtp::config;
use proptest::prelude::*;

use super::{load_text, settings, shipped_uncommented};

/// Whatever a text is, it is taken or refused with places that lie in it; what is taken can be
/// shown, and means the same then.
fn check_anything(text: &[u8]) -> Result<(), TestCaseError> {
    match load_text(text) {
        Ok(loaded) => {
            let shown = load_text(config::show(&loaded));
            prop_assert!(
                shown.is_ok(),
                "{}\n{}",
                config::show(&loaded),
                shown.unwrap_err()
            );
            prop_assert_eq!(settings(&loaded), settings(&shown.unwrap()));
        }
        Err(error) => {
            prop_assert!(!error.problems().is_empty());
            let text = String::from_utf8_lossy(text);
            let lines: Vec<&str> = text.split('\n').collect();
            for problem in error.problems() {
                let Some(place) = &problem.place else {
                    continue;
                };
                prop_assert!((1..=lines.len()).contains(&place.line), "{}", problem);
                prop_assert!(
                    place.line == 1
                        || place.line < lines.len()
                        || !lines[place.line - 1].is_empty()
                );
                let length = lines[place.line - 1].chars().count();
                prop_assert!((1..=length + 1).contains(&place.column), "{}", problem);
                prop_assert!(place.width >= 1);
            }
            prop_assert!(
                error
                    .to_string()
                    .chars()
                    .all(|c| c == '\n' || !c.is_control())
            );
        }
    }
    Ok(())
}

/// Values, right and wrong ones, for a key.
fn value() -> impl Strategy<Value = String> {
    let text = prop_oneof![
        (
            0..100_u32,
            prop_oneof!["s", "min", "h", "d", "ms", "w", "x"]
        )
            .prop_map(|(n, unit)| format!("{n}{unit}")),
        any::<IpAddr>().prop_map(|address| address.to_string()),
        (any::<[u8; 4]>(), 0..40_u8).prop_map(|(a, n)| format!("{}/{n}", IpAddr::from(a))),
        "/[ -~]{0,20}",
        "[a-z@*-]{0,8}[.]service",
        "postfix|auto|hash|OK|RELAY ok|dovecot|courier|",
        any::<String>(),
    ];
    let quoted = text
        .prop_map(|text| toml::Value::String(text).to_string())
        .boxed();
    let list =
        prop::collection::vec(quoted.clone(), 0..4).prop_map(|l| format!("[{}]", l.join(", ")));
    prop_oneof![3 => quoted, 3 => list, 1 => any::<i64>().prop_map(|n| n.to_string()), 1 => (1..100_u8).prop_map(|n| n.to_string()), 1 => Just("true".to_owned())]
}

/// Right values for every key, each there or not.
fn right() -> impl Strategy<Value = String> {
    let duration = |most: u64| (1..=most).prop_map(|s| format!("'{s}s'")).boxed();
    let networks = prop::collection::vec(
        prop_oneof![
            any::<IpAddr>().prop_map(|a| format!("'{a}'")),
            (any::<[u8; 3]>()).prop_map(|[a, b, c]| format!("'{a}.{b}.{c}.0/24'")),
            any::<u16>().prop_map(|n| format!("'2001:db8:{n:x}::/48'")),
        ],
        0..5,
    )
    .prop_map(|networks| format!("[{}]", networks.join(",")))
    .boxed();
    let path = "'/[a-z0-9./~#;=é-]{0,20}x'".boxed();
    let count = (1..=10_000_000_u32).prop_map(|n| n.to_string()).boxed();
    let keys = vec![
        ("grace", duration(2_592_000)),
        ("max-session", duration(2_592_000)),
        ("servers", "\\['[a-z0-9-]{1,20}'\\]".boxed()),
        ("never", networks.clone()),
        (
            "permitted-networks",
            prop_oneof![Just("'postfix'".to_owned()), networks.clone()].boxed(),
        ),
        ("publish", Just("['map', 'policy']".to_owned()).boxed()),
        ("state-directory", path.clone()),
        ("log-level", "'error'|'warn'|'info'|'debug'".boxed()),
        ("journal.directory", "'/[ -&(-~ü]{0,20}'".boxed()),
        (
            "journal.look-every",
            (1..=1000_u32).prop_map(|ms| format!("'{ms}ms'")).boxed(),
        ),
        ("map.path", path),
        ("map.type", "'auto'|'lmdb'|'cdb'|'hash'|'btree'".boxed()),
        ("map.value", "'OK'|'RELAY'|'permit'".boxed()),
        (
            "map.debounce",
            (0..=60_000_u32).prop_map(|ms| format!("'{ms}ms'")).boxed(),
        ),
        (
            "policy.ipv6-prefix",
            (48..=128_u8).prop_map(|n| n.to_string()).boxed(),
        ),
        ("policy.relays", networks.clone()),
        ("sources.store1.directory", "'/[a-z]{1,20}'".boxed()),
        (
            "sources.store1.users",
            "\\{ [a-z][a-z0-9_-]{0,9} = [1-9]{1,4} \\}".boxed(),
        ),
        ("sources.store2.namespace", "'[a-z]{1,20}'".boxed()),
        ("limits.clients", count.clone()),
        ("limits.clients-per-user", count.clone()),
        ("limits.sessions", count),
        (
            "senders.dovecot.users",
            "\\['[a-z][a-z0-9_$.\"\\\\-]{0,20}', [1-9]{1,4}\\]".boxed(),
        ),
        (
            "senders.dovecot.units",
            "\\['[a-z]{1,9}@[*][.]service', '[a-z\\\\]{1,9}a[.]scope'\\]".boxed(),
        ),
        (
            "senders.dovecot.identifiers",
            "\\['[a-z][ -&(-)+-~ü]{0,20}/imap'\\]".boxed(),
        ),
        (
            "senders.dovecot.containers",
            "\\['[a-z][a-z0-9_.-]{0,20}'\\]".boxed(),
        ),
        (
            "senders.dovecot.bridges",
            "\\['172[.]1[0-9][.]0[.]1'\\]".boxed(),
        ),
        ("senders.a-1.units", "\\[\\]|\\['a[.]service'\\]".boxed()),
    ];
    keys.into_iter()
        .map(|(key, value)| {
            prop::option::of(value).prop_map(move |value| {
                value
                    .map(|value| format!("{key} = {value}\n"))
                    .unwrap_or_default()
            })
        })
        .collect::<Vec<_>>()
        .prop_map(|lines| lines.concat())
}

proptest! {
    #[test]
    fn any_bytes_are_taken_or_refused(text in prop::collection::vec(any::<u8>(), 0..200)) {
        check_anything(&text)?;
    }

    #[test]
    fn any_text_is_taken_or_refused(text in "([a-z.-]{1,8}|[ =\\[\\]{},'\"#\n\t\r\\\\é0-9_]|\u{feff}){0,60}") {
        check_anything(text.as_bytes())?;
    }

    #[test]
    fn any_damage_to_a_right_file_is_taken_or_refused(
        at: prop::sample::Index,
        removed in 0..40_usize,
        inserted in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..8),
            "[]\\[={}'\"#\n,.0-9a-z]{0,8}".prop_map(String::into_bytes),
        ],
    ) {
        let mut text = shipped_uncommented().into_bytes();
        let start = at.index(text.len());
        let end = (start + removed).min(text.len());
        text.splice(start..end, inserted);
        check_anything(&text)?;
    }

    #[test]
    fn any_value_of_any_key_is_taken_or_refused(
        values in prop::collection::vec((prop::sample::select(KEYS), value()), 1..6),
    ) {
        let lines = values.iter().map(|(key, value)| format!("{key} = {value}\n"));
        check_anything(lines.collect::<String>().as_bytes())?;
    }

    #[test]
    fn what_is_shown_means_the_same(text in right()) {
        match load_text(&text) {
            Ok(loaded) => {
                let shown = load_text(config::show(&loaded)).unwrap();
                prop_assert_eq!(settings(&loaded), settings(&shown));
                prop_assert_eq!(config::show_json(&loaded).as_object().unwrap().len(), loaded.effective.len());
            }
            // The only thing that can be wrong with it: that the map is where other things are.
            Err(error) => {
                let said = error.to_string();
                prop_assert!(said.contains("map.path: is "), "{}\n{}", text, said);
            }
        }
    }
}

#[test]
fn values_are_tried_for_every_key() {
    let all = "sources.store1.directory = '/x'\nsenders.dovecot.users = [0]";
    let loaded = load_text(all).unwrap();
    for key in loaded.effective.iter().map(config::Effective::key) {
        assert!(KEYS.contains(&&*key), "{key}");
    }
}

/// Keys for which values are tried.
const KEYS: &[&str] = &[
    "grace",
    "max-session",
    "servers",
    "never",
    "permitted-networks",
    "publish",
    "state-directory",
    "log-level",
    "journal.directory",
    "journal.namespace",
    "journal.look-every",
    "map.path",
    "map.type",
    "map.value",
    "map.debounce",
    "policy.ipv6-prefix",
    "policy.relays",
    "limits.clients",
    "limits.clients-per-user",
    "limits.sessions",
    "sources.store1.directory",
    "sources.store1.namespace",
    "sources.store1.users",
    "senders.dovecot.users",
    "senders.dovecot.units",
    "senders.dovecot.identifiers",
    "senders.dovecot.containers",
    "senders.dovecot.bridges",
    "senders",
    "map",
    "journal.x",
];
