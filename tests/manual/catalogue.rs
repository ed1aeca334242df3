//! The message catalogue, `packaging/catalog`, and the manual's chapter about our fields are tested
//! here against the messages that are sent.

use std::collections::{BTreeMap, BTreeSet};

const CATALOG: &str = include_str!("../../packaging/catalog/pop-before-smtp.catalog");
const IDS: &str = include_str!("../../src/diagnostics/message_id.rs");
/// The only place that words messages.
const MESSAGES: &str = concat!(
    include_str!("../../src/diagnostics/mod.rs"),
    include_str!("../../src/diagnostics/sources.rs"),
    include_str!("../../src/diagnostics/stores.rs")
);
const MANUAL: &str = include_str!("../../src/cli/manual/prose/pop-before-smtp.8");

/// The ids, by their names.
fn ids() -> BTreeMap<&'static str, &'static str> {
    let definitions = IDS.split("pub const ").skip(1);
    let ids = definitions.map(|definition| {
        let (name, rest) = definition.split_once(": &str").unwrap();
        (name, rest.split('"').nth(1).unwrap())
    });
    ids.collect()
}

/// The catalogue's entries by their ids: header lines, and text.
fn entries() -> Vec<(&'static str, &'static str, &'static str)> {
    let entries = CATALOG.split("\n-- ").skip(1);
    let entries = entries.map(|entry| {
        let (id, rest) = entry.split_once('\n').unwrap();
        let (header, text) = rest.split_once("\n\n").unwrap();
        (id, header, text)
    });
    entries.collect()
}

/// The names of our fields in a text.
fn fields(text: &str) -> BTreeSet<&str> {
    let begins = text
        .match_indices("POP_BEFORE_SMTP_")
        .map(|(begin, _)| begin);
    let fields = begins.map(|begin| {
        let end = text[begin..].find(|c: char| !c.is_ascii_uppercase() && c != '_');
        &text[begin..begin + end.unwrap_or(text.len() - begin)]
    });
    fields.collect()
}

/// Each message with the name of its id and its fields, which stand before the first semicolon.
fn messages() -> Vec<(&'static str, BTreeSet<&'static str>)> {
    let calls = MESSAGES.split("MESSAGE_ID = id::").skip(1);
    let calls = calls.map(|call| {
        let name = call.split([',', ';']).next().unwrap();
        (name, fields(call.split(';').next().unwrap()))
    });
    calls.collect()
}

#[test]
fn every_id_is_one_of_its_own() {
    let ids = ids();
    let distinct: BTreeSet<&str> = ids.values().copied().collect();
    assert_eq!(distinct.len(), ids.len());
    let hexadecimal = |c: char| matches!(c, '0'..='9' | 'a'..='f');
    for (name, id) in ids {
        assert!(
            id.len() == 32 && id.chars().all(hexadecimal),
            "{name}: {id}"
        );
    }
}

#[test]
fn every_id_has_an_entry_and_every_entry_an_id() {
    let catalogued: Vec<&str> = entries().iter().map(|(id, ..)| *id).collect();
    for (name, id) in ids() {
        let entries = catalogued
            .iter()
            .filter(|catalogued| **catalogued == id)
            .count();
        assert_eq!(
            entries, 1,
            "{name}: write an entry for {id} into packaging/catalog/pop-before-smtp.catalog"
        );
    }
    for id in catalogued {
        assert!(
            ids().values().any(|known| *known == id),
            "no message has the id {id}"
        );
    }
}

#[test]
fn every_id_is_used() {
    for name in ids().keys() {
        assert!(messages().iter().any(|(used, _)| used == name), "{name}");
    }
}

#[test]
fn every_entry_says_what_it_is_about_and_fits_a_terminal() {
    for (id, header, text) in entries() {
        let keys: Vec<&str> = header
            .lines()
            .filter_map(|line| line.split(':').next())
            .collect();
        assert_eq!(keys, ["Subject", "Defined-By", "Documentation"], "{id}");
        assert!(text.trim().len() > 30, "{id}: {text}");
        for line in text.lines() {
            assert!(line.len() <= 100, "{id}: {line}");
        }
    }
}

#[test]
fn an_entry_names_only_fields_that_each_of_its_messages_has() {
    for (name, id) in ids() {
        let found = entries().into_iter().find(|(entry, ..)| *entry == id);
        let (_, header, text) = found.unwrap_or_default();
        let named = &fields(header) | &fields(text);
        for (_, sent) in messages().into_iter().filter(|(used, _)| *used == name) {
            assert!(
                named.is_subset(&sent),
                "{name}: {named:?}, but a message has {sent:?}"
            );
        }
    }
}

#[test]
fn the_manual_documents_every_field_that_is_sent_and_no_other() {
    let entries = MANUAL
        .lines()
        .filter_map(|line| line.strip_prefix(".B POP_BEFORE_SMTP_"));
    let documented: BTreeSet<String> = entries
        .map(|name| format!("POP_BEFORE_SMTP_{}", name.trim_end_matches('=')))
        .collect();
    let sent: BTreeSet<String> = messages()
        .into_iter()
        .flat_map(|(_, fields)| fields)
        .map(ToOwned::to_owned)
        .collect();
    assert_eq!(
        documented, sent,
        "JOURNAL FIELDS in src/cli/manual/prose/pop-before-smtp.8 against src/diagnostics"
    );
}
