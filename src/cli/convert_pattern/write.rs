//! The definition as text, with comments for who has to finish it.

use toml::Value;

use super::header::Headed;
use super::{ConvertPatternArgs, Entry, Old};
use crate::diagnostics::printable;

/// Writes the definition.
pub(super) fn definition(
    args: &ConvertPatternArgs,
    old: &Old,
    heads: &[Headed],
    entries: &[Entry],
) -> String {
    let mut identifiers = args.identifier.clone();
    if identifiers.is_empty() {
        for identifier in heads.iter().flat_map(|head| &head.identifiers) {
            if !identifiers.contains(identifier) {
                identifiers.push(identifier.clone());
            }
        }
    }
    let derived = identifiers.first().map(|identifier| name_of(identifier));
    let name = (args.name.clone().or(derived)).unwrap_or_else(|| "my-server".to_owned());
    let mut notes: Vec<&str> = Vec::new();
    if identifiers.is_empty() {
        identifiers.push(name.clone());
        notes.push(
            "The old pattern names no identifier, as it read a log file of the server's own. In \
             the journal it is SyslogIdentifier= of the server's unit, or what systemd-cat -t says.",
        );
    }
    for head in heads {
        notes.extend(head.notes.iter().map(String::as_str));
        if !head.anchored {
            notes.push(
                "The old pattern was looked for anywhere in a line; a message must now begin with \
                 it.",
            );
        }
    }
    notes.dedup();
    // Whether the process tells which lines belong together.
    let has = |kind: &str| entries.iter().any(|entry| entry.kind == kind);
    let tied = has("connect") || has("logout") && heads.iter().all(|head| head.has_pid);
    let sessions = match tied {
        true => {
            "# The lines of one login, and its end, are those of one process.\nsessions = \"pid\"\n"
        }
        false => "",
    };
    let units = match args.unit.is_empty() {
        true => vec![format!("{name}.service")],
        false => args.unit.clone(),
    };
    let variables = [
        "PID_pat", "pat", "out_pat", "IP_pat", "OK_pat", "FAIL_pat", "OUT_pat",
    ];
    let old = variables
        .iter()
        .filter_map(|name| Some(format!("#     ${name} = {}\n", printable(old.get(*name)?))));
    format!(
        "\
# {name}, converted from the configuration of the Perl daemon:
#
{old}#
{try_it}
name = {quoted_name}
description = \"Converted from a pattern of the Perl daemon\"
{notes}identifiers = {quoted_identifiers}
{sessions}
{fill_in}[senders]
users = [\"root\"]
units = {units}
{entries}
# Put lines of your log here, logins and others: check-config runs them.
# [[example]]
# message = '…'
# login = {{ client = \"192.0.2.10\", user = \"alice\" }}
",
        old = old.collect::<String>(),
        try_it = comment(&format!(
            "Fill in the senders, and try it: pop-before-smtp test --explain --server {name}"
        )),
        quoted_name = Value::from(&*name),
        notes = notes.into_iter().map(comment).collect::<String>(),
        quoted_identifiers = Value::from(identifiers.clone()),
        fill_in = comment(&format!(
            "FILL IN who writes these entries: only their logins count. 'journalctl \
             --identifier={} --output=verbose' shows it as _UID and _SYSTEMD_UNIT. Where the server \
             writes as the mailbox's user, users = [\"*\"] leaves the proof to the units.",
            identifiers[0]
        )),
        units = Value::from(units),
        entries = entries.iter().map(table).collect::<String>(),
    )
}

/// The table of an entry.
fn table(Entry { kind, converted }: &Entry) -> String {
    let note = converted.note.map(comment).unwrap_or_default();
    let pattern = string(&converted.pattern);
    let unless = converted.unless.as_deref().map(string);
    let unless = unless.map(|unless| format!("unless = {unless}\n"));
    let unless = unless.unwrap_or_default();
    format!("\n{note}[[{kind}]]\npattern = {pattern}\n{unless}")
}

/// A server's name from an identifier.
fn name_of(identifier: &str) -> String {
    let lower = identifier.to_ascii_lowercase();
    let name = lower.replace(|c: char| !c.is_ascii_alphanumeric(), "-");
    name.trim_matches('-').to_owned()
}

/// A TOML string: as it is, if it can be.
fn string(text: &str) -> String {
    match text.contains(|c: char| c == '\'' || c.is_control()) {
        true => Value::from(text).to_string(),
        false => format!("'{text}'"),
    }
}

/// A comment in lines of moderate length.
fn comment(words: &str) -> String {
    const WIDTH: usize = 98;
    let mut text = String::from("#");
    let mut length = text.len();
    for word in words.split_whitespace() {
        if length + 1 + word.len() > WIDTH {
            text += "\n#";
            length = 1;
        }
        text = text + " " + word;
        length += 1 + word.len();
    }
    text + "\n"
}
