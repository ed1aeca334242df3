//! Names: of servers, of sources, and of a journal namespace.

use std::collections::BTreeSet;
use std::ops::Range;

use crate::servers::{BUILT_IN, is_server_name};

use super::value::{Checked, Value, Wrong, list, quoted, text, wrong, wrong_type};

/// Whether a source can be called so.
#[must_use]
pub fn is_source_name(name: &str) -> bool {
    is_server_name(name) && name != DEFAULT_SOURCE
}

/// What [`is_server_name`] expects.
pub(super) const SERVER_NAME: &str =
    "the name of a server: lower-case letters, digits and hyphens, such as \"dovecot\"";

/// What `[journal]` is called among the sources.
pub(super) const DEFAULT_SOURCE: &str = "journal";

/// What the name of another source is.
pub(super) const SOURCE_NAME: &str = "the name of a source: lower-case letters, digits and hyphens, such as \"store1\"; \
     not \"journal\", which is that of [journal]";

/// What `servers` calls all built-in definitions.
const BUILT_IN_SERVERS: &str = "built-in";

/// The names of all built-in definitions. None takes a line of another's.
pub(super) fn built_in_servers() -> Vec<String> {
    BUILT_IN
        .iter()
        .map(|(name, _)| (*name).to_owned())
        .collect()
}

/// `servers`.
pub(super) fn servers(value: &Value<'_>) -> Checked<Vec<String>> {
    if value.get_ref().as_str() == Some(BUILT_IN_SERVERS) {
        return Ok(built_in_servers());
    }
    let servers = list(
        value,
        "\"built-in\", or a list of servers, such as [\"dovecot\"] or [\"built-in\", \"mine\"]",
        |element| match text(element, SERVER_NAME)? {
            BUILT_IN_SERVERS => Ok((built_in_servers(), element.span())),
            name if is_server_name(name) => Ok((vec![name.to_owned()], element.span())),
            _ => Err(wrong_type(element, SERVER_NAME)),
        },
    )?;
    let servers = servers.into_iter();
    let each = |(names, span): (Vec<String>, Range<usize>)| {
        names.into_iter().map(move |name| (name, span.clone()))
    };
    let servers: Vec<_> = servers.flat_map(each).collect();
    if servers.is_empty() {
        let message = "names no server: no login would be recognised".to_owned();
        let hint = "to let nobody in, stop the service: systemctl disable --now pop-before-smtp";
        return Err(wrong(value, message).hint(hint).into());
    }
    let mut names = BTreeSet::new();
    let twice: Vec<Wrong> = servers
        .iter()
        .filter(|(name, _)| !names.insert(name))
        .map(|(name, span)| Wrong::new(span.clone(), format!("\"{name}\" appears twice")))
        .collect();
    if twice.is_empty() {
        Ok(servers.into_iter().map(|(name, _)| name).collect())
    } else {
        Err(twice)
    }
}

/// `journal.namespace`; empty is none. The rules are systemd's `log_namespace_name_valid`.
pub(super) fn journal_namespace(value: &Value<'_>) -> Checked<Option<String>> {
    const EXPECTED: &str = "the name of a journal namespace, as in LogNamespace=";
    const LONGEST: usize = 222;
    let name = text(value, EXPECTED)?;
    if name.is_empty() {
        return Ok(None);
    }
    let plain = name
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || matches!(b, b':' | b'-' | b'_' | b'.' | b'@'));
    if plain && name.len() <= LONGEST && !matches!(name, "." | "..") {
        return Ok(Some(name.to_owned()));
    }
    let hint = match name.strip_prefix('+') {
        Some(bare) => format!("one namespace is read, and nothing else: {}", quoted(bare)),
        None if name == "*" => "one namespace is read: write its name".to_owned(),
        None => format!("letters, digits and :-_.@, at most {LONGEST} of them"),
    };
    Err(wrong_type(value, EXPECTED).hint(hint).into())
}
