//! What an old pattern says of the message: where the address is, and what is around it.
//!
//! The old patterns let text that strangers choose stand before the address. Where they do, the
//! new one is made to take the server's own address, or nothing.

use std::collections::BTreeMap;

use regex_syntax::ast::{Ast, GroupKind, Span};

use super::header::{matches_whole, parse, regex, replace};
use crate::servers::{Pattern, PatternError};

/// A pattern of a definition.
#[derive(Debug)]
pub(super) struct Converted {
    pub(super) pattern: String,
    pub(super) unless: Option<String>,
    /// What the administrator should know.
    pub(super) note: Option<&'static str>,
}

const FIXED_END: &str = "The old pattern let any text stand before the address, also a user's name \
                         with an address in it. So the line must end as it says here.";
const SUCCESS_AT_END: &str = "The old pattern let any text stand before what tells the success, \
                              also a user's name that says the same. So the line must end as it \
                              says here.";
const ONCE: &str = "The old pattern let any text stand before the address, also a user's name with \
                    an address in it. So a line that has what stands before the address twice \
                    counts for nothing.";

/// An address, as the old patterns write it where they do not take it.
const QUAD: &str = r"(?:\\d(?:\+|\{1,3\})\\\.){3}\\d(?:\+|\{1,3\})|\(\?:\\d(?:\+|\{1,3\})\\\.\)\{3\}\\d(?:\+|\{1,3\})";
/// What takes its place: it may be an IPv6 address today.
const ANY_ADDRESS: &str = "[0-9A-Fa-f:.]+";
/// The beginning of an IPv4 address that is mapped to IPv6: `{client}` takes it along.
const MAPPINGS: [&str; 6] = [
    "[:f]*",
    "[f:]*",
    "[:fF]*",
    "(?:::ffff:)?",
    "(?:::f{4}:)?",
    "(?:::[fF]+:)?",
];
/// A user, where a text says that one follows.
const USER: &str =
    r#"((?-u:\b)[Uu]ser(?:=| )"?|(?-u:\b)for )(\\S[+*]|\.[+*]\??|\[\^(?:"| |\\s|<>)\][+*])"#;

/// A message's pattern whose first group is the client's address.
///
/// # Errors
/// Why there is no such group, or none that can be trusted.
pub(super) fn with_client(message: &str) -> Result<Converted, String> {
    let mut groups = Vec::new();
    add_groups(&parse(message)?, &mut groups);
    let Some((group, others)) = groups.split_first() else {
        return Err(
            "it has no group for the address (the second one, after the time's)".to_owned(),
        );
    };
    let (start, end) = (group.start.offset, group.end.offset);
    let taken = &message[start..end];
    let is_taken = |address: &&str| matches_whole(taken, address);
    if !["192.0.2.10", "2001:db8::10"].iter().any(is_taken) {
        return Err(format!(
            "the group {taken}, where the address should be, takes no address"
        ));
    }
    // Groups within the address's go with it.
    let behind = others.iter().filter(|other| other.start.offset >= end);
    let before = &message[..start];
    let mapping = (MAPPINGS.iter()).find_map(|mapping| before.strip_suffix(mapping));
    let before = replace(mapping.unwrap_or(before), QUAD, ANY_ADDRESS)?;
    let after = replace(&without_groups(message, behind)[end..], QUAD, ANY_ADDRESS)?;
    let named = match name_user(&before)? {
        named if named != before => anchored(&named, &after),
        _ => anchored(&before, &name_user(&after)?),
    };
    named.or_else(|_| anchored(&before, &after))
}

/// A message's pattern that tells of no address.
///
/// # Errors
/// Why it can't be one.
pub(super) fn without_client(message: &str) -> Result<Converted, String> {
    let mut groups = Vec::new();
    add_groups(&parse(message)?, &mut groups);
    let pattern = replace(&without_groups(message, groups.iter()), QUAD, ANY_ADDRESS)?;
    converted(name_user(&pattern)?, None, None)
}

/// Puts the pattern together, with an end that lets no stranger's address be taken.
fn anchored(before: &str, after: &str) -> Result<Converted, String> {
    let plain = format!("{before}{{client}}{after}");
    match compile(&plain) {
        Ok(()) if success_follows_any_text(after) => {
            return converted(format!("{plain}$"), None, Some(SUCCESS_AT_END));
        }
        Ok(()) => return converted(plain, None, None),
        Err(PatternError::Unanchored { .. } | PatternError::Lazy { .. }) => {}
        Err(error) => return Err(error.to_string()),
    }
    let (before, plain) = (&greedy(before), greedy(&plain));
    if let Some(bracket) = before.chars().next_back().filter(|c| "[(<{\"".contains(*c)) {
        return converted(format!("{plain}[^\\{bracket}]*$"), None, Some(FIXED_END));
    }
    if !after.ends_with([',', ']', ' ', ';']) {
        return converted(format!("{plain}$"), None, Some(FIXED_END));
    }
    let introduction = introduction(before);
    let unless = format!("{introduction}.*{introduction}");
    converted(format!("{plain}[^\"]*$"), Some(unless), Some(ONCE))
}

fn converted(
    pattern: String,
    unless: Option<String>,
    note: Option<&'static str>,
) -> Result<Converted, String> {
    compile(&pattern).map_err(|error| error.to_string())?;
    Ok(Converted {
        pattern,
        unless,
        note,
    })
}

fn compile(pattern: &str) -> Result<(), PatternError> {
    Pattern::compile(pattern, None, &BTreeMap::new()).map(|_| ())
}

/// With repetitions of any text that take as much as they can: what is left is the last address.
fn greedy(text: &str) -> String {
    let lazy = [".*?", ".+?", r"\S*?", r"\S+?"];
    (lazy.iter()).fold(text.to_owned(), |text, lazy| {
        text.replace(lazy, lazy.trim_end_matches('?'))
    })
}

/// Whether the last thing that an expression asks for is a text, with any text before it.
fn success_follows_any_text(after: &str) -> bool {
    let any = [".*", ".+", r"\S+", r"\S*"].iter();
    let ends = any.filter_map(|any| Some(after.rfind(any)? + any.len()));
    let success = ends.max().map_or("", |end| &after[end..]);
    success.contains(|c: char| c.is_ascii_alphanumeric()) && !success.ends_with('$')
}

/// What stands right before the address: a group, or the text back to a space.
fn introduction(before: &str) -> &str {
    let Ok(Ast::Concat(ref concat)) = parse(before) else {
        return before;
    };
    let mut start = before.len();
    for item in concat.asts.iter().rev() {
        match item {
            Ast::Literal(_) => start = item.span().start.offset,
            Ast::Group(_) if start == before.len() => return &before[item.span().start.offset..],
            _ => break,
        }
        if before[start..].starts_with(' ') {
            break;
        }
    }
    &before[start..]
}

/// The capturing groups, in their order.
fn add_groups(ast: &Ast, groups: &mut Vec<Span>) {
    let mut add = |ast: &Ast| add_groups(ast, groups);
    match ast {
        Ast::Group(group) => {
            if !matches!(group.kind, GroupKind::NonCapturing(_)) {
                groups.push(group.span);
            }
            add_groups(&group.ast, groups);
        }
        Ast::Repetition(repetition) => add(&repetition.ast),
        Ast::Alternation(alternation) => alternation.asts.iter().for_each(add),
        Ast::Concat(concat) => concat.asts.iter().for_each(add),
        _ => {}
    }
}

/// `text` with these groups, given in their order, taking nothing.
fn without_groups<'a>(text: &str, groups: impl DoubleEndedIterator<Item = &'a Span>) -> String {
    let mut text = text.to_owned();
    for start in groups.rev().map(|group| group.start.offset) {
        // `(`, `(?<name>` or `(?P<name>`
        let named = (text[start..].starts_with("(?")).then(|| text[start..].find('>'));
        let opening = named.flatten().map_or(1, |end| end + 1);
        text.replace_range(start..start + opening, "(?:");
    }
    text
}

fn name_user(text: &str) -> Result<String, String> {
    Ok(regex(USER)?.replace(text, "${1}(?<user>${2})").into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADDRESS: &str = r"(\d+\.\d+\.\d+\.\d+)";

    #[test]
    fn the_address_becomes_a_placeholder_that_no_user_can_fill() {
        for (old, pattern, unless) in [
            (r"login from ADDRESS", "login from {client}", None),
            (
                r"Auth: ADDRESS->\d+\.\d+\.\d+\.\d+ ok",
                "Auth: {client}->[0-9A-Fa-f:.]+ ok",
                None,
            ),
            (
                r#"by user "[^"]+" at \([^)]+\) ADDRESS"#,
                r#"by user "(?<user>[^"]+)" at \([^)]+\) {client}"#,
                None,
            ),
            (
                r"user=\S+ host=(?:\S+ )?\[ADDRESS\]",
                r"user=(?<user>\S+) host=(?:\S+ )?\[{client}\][^\[]*$",
                None,
            ),
            (
                r"User .+? logged in from ADDRESS",
                "User (?<user>.+) logged in from {client}$",
                None,
            ),
            (
                r"Login: .*? (?:\[|rip=)[:f]*ADDRESS[\],]",
                r#"Login: .* (?:\[|rip=){client}[\],][^"]*$"#,
                Some(r"(?:\[|rip=).*(?:\[|rip=)"),
            ),
            (
                r"Login: .+? rip=[:f]*ADDRESS,",
                r#"Login: .+ rip={client},[^"]*$"#,
                Some(" rip=.* rip="),
            ),
            (
                r"Auth: ADDRESS \S+ status=ok",
                r"Auth: {client} \S+ status=ok$",
                None,
            ),
            (r"login ADDRESS (\S+)", r"login {client} (?:\S+)", None),
            (r"login ([\d.]+)", "login {client}", None),
            (
                r"login ((\d+)\.(\d+)\.(\d+)\.(\d+)) (x)",
                "login {client} (?:x)",
                None,
            ),
        ] {
            let converted = with_client(&old.replace("ADDRESS", ADDRESS)).unwrap();
            assert_eq!(converted.pattern, pattern, "{old}");
            assert_eq!(converted.unless.as_deref(), unless, "{old}");
        }
    }

    #[test]
    fn no_group_or_one_that_takes_no_address_is_an_error() {
        for (old, says) in [
            ("login from", "no group"),
            (r"login from (\w+)", "takes no address"),
            (r"(?:\S+ ADDRESS)+ .*", "any text can stand here"),
            (r"user \S+ from ADDRESS .*", "any text can stand here"),
        ] {
            let error = with_client(&old.replace("ADDRESS", ADDRESS)).unwrap_err();
            assert!(error.contains(says), "{old}: {error}");
        }
    }
}
