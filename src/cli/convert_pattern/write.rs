//! The definition as text, with comments for who has to finish it.

use std::fmt::Write;

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
    let mut text = String::new();
    // Writing to a string can't fail.
    let _ = write(&mut text, args, old, heads, entries);
    text
}

fn write(
    text: &mut String,
    args: &ConvertPatternArgs,
    old: &Old,
    heads: &[Headed],
    entries: &[Entry],
) -> std::fmt::Result {
    let mut identifiers = args.identifier.clone();
    if identifiers.is_empty() {
        for identifier in heads.iter().flat_map(|head| &head.identifiers) {
            if !identifiers.contains(identifier) {
                identifiers.push(identifier.clone());
            }
        }
    }
    let derived = identifiers.first().map(|identifier| name_of(identifier));
    let name = args
        .name
        .clone()
        .or(derived)
        .unwrap_or_else(|| "my-server".to_owned());
    let named = !identifiers.is_empty();
    if !named {
        identifiers.push(name.clone());
    }

    writeln!(
        text,
        "# {name}, converted from the configuration of the Perl daemon:"
    )?;
    writeln!(text, "#")?;
    for variable in [
        "PID_pat", "pat", "out_pat", "IP_pat", "OK_pat", "FAIL_pat", "OUT_pat",
    ] {
        if let Some(pattern) = old.get(variable) {
            writeln!(text, "#     ${variable} = {}", printable(pattern))?;
        }
    }
    writeln!(text, "#")?;
    comment(
        text,
        &format!("Fill in the senders, and try it: pop-before-smtp test --explain --server {name}"),
    )?;
    writeln!(text)?;
    writeln!(text, "name = \"{}\"", escaped(&name))?;
    writeln!(
        text,
        "description = \"Converted from a pattern of the Perl daemon\""
    )?;
    if !named {
        comment(
            text,
            "The old pattern names no identifier, as it read a log file of the server's \
                       own. In the journal it is SyslogIdentifier= of the server's unit, or what \
                       systemd-cat -t says.",
        )?;
    }
    let mut notes: Vec<&str> = Vec::new();
    for head in heads {
        notes.extend(head.notes.iter().map(String::as_str));
        if !head.anchored {
            notes.push(
                "The old pattern was looked for anywhere in a line; a message must now \
                        begin with it.",
            );
        }
    }
    notes.dedup();
    for note in notes {
        comment(text, note)?;
    }
    writeln!(text, "identifiers = [{}]", list(&identifiers))?;
    if ties_lines(entries, heads) {
        comment(
            text,
            "The lines of one login, and its end, are those of one process.",
        )?;
        writeln!(text, "sessions = \"pid\"")?;
    }
    writeln!(text)?;
    let journal = format!(
        "journalctl --identifier={} --output=verbose",
        identifiers[0]
    );
    comment(
        text,
        &format!(
            "FILL IN who writes these entries: only their logins count. '{journal}' shows it as _UID \
         and _SYSTEMD_UNIT. Where the server writes as the mailbox's user, users = [\"*\"] leaves \
         the proof to the units."
        ),
    )?;
    writeln!(text, "[senders]")?;
    writeln!(text, "users = [\"root\"]")?;
    let unit = [format!("{name}.service")];
    let units = if args.unit.is_empty() {
        &unit[..]
    } else {
        &args.unit
    };
    writeln!(text, "units = [{}]", list(units))?;
    for Entry { kind, converted } in entries {
        writeln!(text)?;
        if let Some(note) = converted.note {
            comment(text, note)?;
        }
        writeln!(text, "[[{kind}]]")?;
        writeln!(text, "pattern = {}", string(&converted.pattern))?;
        if let Some(unless) = &converted.unless {
            writeln!(text, "unless = {}", string(unless))?;
        }
    }
    writeln!(text)?;
    comment(
        text,
        "Put lines of your log here, logins and others: check-config runs them.",
    )?;
    writeln!(text, "# [[example]]")?;
    writeln!(text, "# message = '…'")?;
    writeln!(
        text,
        "# login = {{ client = \"192.0.2.10\", user = \"alice\" }}"
    )
}

/// Whether the process tells which lines belong together.
fn ties_lines(entries: &[Entry], heads: &[Headed]) -> bool {
    let has = |kind: &str| entries.iter().any(|entry| entry.kind == kind);
    has("connect") || has("logout") && heads.iter().all(|head| head.has_pid)
}

/// A server's name from an identifier.
fn name_of(identifier: &str) -> String {
    let lower = identifier.to_ascii_lowercase();
    let name: String = lower
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    name.trim_matches('-').to_owned()
}

fn list(texts: &[String]) -> String {
    let quoted: Vec<_> = texts
        .iter()
        .map(|text| format!("\"{}\"", escaped(text)))
        .collect();
    quoted.join(", ")
}

/// A TOML string: as it is, if it can be.
fn string(text: &str) -> String {
    if text.chars().any(|c| c == '\'' || c.is_control()) {
        format!("\"{}\"", escaped(text))
    } else {
        format!("'{text}'")
    }
}

fn escaped(text: &str) -> String {
    let escape = |c: char| match c {
        '"' | '\\' => format!("\\{c}"),
        c if c.is_control() => format!("\\u{:04x}", u32::from(c)),
        c => c.to_string(),
    };
    text.chars().map(escape).collect()
}

/// A comment in lines of moderate length.
fn comment(text: &mut String, words: &str) -> std::fmt::Result {
    const WIDTH: usize = 98;
    let mut line = String::from("#");
    for word in words.split_whitespace() {
        if line.len() + 1 + word.len() > WIDTH {
            writeln!(text, "{line}")?;
            line = String::from("#");
        }
        line.push(' ');
        line.push_str(word);
    }
    writeln!(text, "{line}")
}
