//! One pattern of a definition: a regular expression with placeholders.
//!
//! A pattern always begins where the message begins: a match somewhere in a line is how a relay
//! daemon came to believe a sender address (CVE-2001-1075). That is so by construction, whatever
//! the definition's author wrote.

use std::collections::BTreeMap;

use regex::bytes::{Captures, Regex, RegexBuilder};

use crate::client::Client;

/// What `{client}` stands for: the characters of an address, checked by parsing it.
const CLIENT: &str = r"(?<client>\[?[0-9A-Za-z:.%]{2,64}\]?)";
/// What `{user}` stands for.
const USER: &str = "(?<user>.*)";
/// What `{session}` stands for.
const SESSION: &str = r"(?<session>[^<>\s]{1,128})";

/// What `{port}` stands for.
const PORT: &str = "(?<port>[0-9]{1,5})";

/// How large a compiled expression may become, in bytes; it bounds what a definition can cost.
const SIZE_LIMIT: usize = 1 << 20;

/// A compiled pattern.
#[derive(Debug)]
pub struct Pattern {
    expression: Regex,
    unless: Option<Regex>,
}

/// What a pattern found in a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The client's address.
    pub client: Option<Client>,
    /// The user's name, as printed; invalid UTF-8 replaced.
    pub user: Option<String>,
    /// The session's id: what the line calls it; or the client's address and port, which are
    /// nobody else's as long as the session is open.
    pub session: Option<String>,
}

/// A pattern can't be compiled.
#[derive(Debug, thiserror::Error)]
pub enum PatternError {
    /// The expression is wrong; the regex crate's message shows where.
    #[error("{0}")]
    Expression(#[from] regex::Error),
    /// A placeholder that nobody knows.
    #[error("unknown placeholder {{{name}}}: known are {known}")]
    Placeholder {
        /// Its name.
        name: String,
        /// The placeholders that there are.
        known: String,
    },
    /// Parts that contain each other.
    #[error("the parts are nested too deeply at {{{0}}}: does a part contain itself?")]
    Nesting(String),
}

impl Pattern {
    /// Compiles `pattern`; `parts` are the definition's own placeholders.
    ///
    /// Messages are bytes: `.` is any byte but a line feed, classes are ASCII.
    pub fn compile(
        pattern: &str,
        unless: Option<&str>,
        parts: &BTreeMap<String, String>,
    ) -> Result<Self, PatternError> {
        let expanded = expand(pattern.strip_prefix('^').unwrap_or(pattern), parts, 0)?;
        Ok(Pattern {
            expression: regex(&format!(r"\A(?:{expanded})"))?,
            unless: unless.map(|u| regex(&expand(u, parts, 0)?)).transpose()?,
        })
    }

    /// Whether the pattern names a group `client`.
    pub fn yields_client(&self) -> bool {
        self.expression
            .capture_names()
            .flatten()
            .any(|n| n == "client")
    }

    /// What the pattern finds in `message`; nothing if the client that it finds is no address.
    pub fn find(&self, message: &[u8]) -> Option<Found> {
        let captures = self.expression.captures(message)?;
        if self
            .unless
            .as_ref()
            .is_some_and(|unless| unless.is_match(message))
        {
            return None;
        }
        let client: Option<Client> = match captures.name("client") {
            Some(found) => Some(std::str::from_utf8(found.as_bytes()).ok()?.parse().ok()?),
            None => None,
        };
        let port = || Some((client?, text(&captures, "port")?));
        let endpoint = || port().map(|(client, port)| client.with_port(&port));
        Some(Found {
            client,
            user: text(&captures, "user"),
            session: text(&captures, "session").or_else(endpoint),
        })
    }
}

fn text(captures: &Captures<'_>, name: &str) -> Option<String> {
    let found = captures.name(name)?.as_bytes();
    (!found.is_empty()).then(|| String::from_utf8_lossy(found).into_owned())
}

fn regex(expression: &str) -> Result<Regex, PatternError> {
    Ok(RegexBuilder::new(expression)
        .unicode(false)
        .size_limit(SIZE_LIMIT)
        .build()?)
}

/// Replaces placeholders. Braces that hold no name (`\d{1,3}`) are left to the expression.
fn expand(
    pattern: &str,
    parts: &BTreeMap<String, String>,
    depth: u8,
) -> Result<String, PatternError> {
    let mut expanded = String::with_capacity(pattern.len() * 2);
    let mut rest = pattern;
    while let Some(open) = rest.find('{') {
        let (before, braced) = rest.split_at(open);
        expanded.push_str(before);
        let name = braced[1..].split('}').next().unwrap_or_default();
        let is_name = name.starts_with(|c: char| c.is_ascii_lowercase())
            && braced.len() > name.len() + 1
            && !before.ends_with('\\')
            && !before.ends_with("\\p")
            && !before.ends_with("\\x");
        if !is_name {
            expanded.push('{');
            rest = &braced[1..];
            continue;
        }
        match (name, parts.get(name)) {
            ("client", _) => expanded.push_str(CLIENT),
            ("user", _) => expanded.push_str(USER),
            ("session", _) => expanded.push_str(SESSION),
            ("port", _) => expanded.push_str(PORT),
            (_, Some(_)) if depth > 8 => return Err(PatternError::Nesting(name.to_owned())),
            (_, Some(part)) => expanded.push_str(&expand(part, parts, depth + 1)?),
            (_, None) => {
                return Err(PatternError::Placeholder {
                    name: name.to_owned(),
                    known: ["client", "user", "session", "port"]
                        .into_iter()
                        .chain(parts.keys().map(String::as_str))
                        .collect::<Vec<_>>()
                        .join(", "),
                });
            }
        }
        rest = &braced[name.len() + 2..];
    }
    expanded.push_str(rest);
    Ok(expanded)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn compile(pattern: &str, parts: &[(&str, &str)]) -> Result<Pattern, PatternError> {
        let parts = parts
            .iter()
            .map(|(k, v)| (k.to_string(), v.to_string()))
            .collect();
        Pattern::compile(pattern, None, &parts)
    }

    #[test]
    fn a_pattern_begins_where_the_message_begins() {
        for pattern in [
            "Login from {client}",
            "^Login from {client}",
            "nothing|Login from {client}",
        ] {
            let pattern = compile(pattern, &[]).unwrap();
            assert!(pattern.find(b"Login from 192.0.2.10").is_some());
            assert!(pattern.find(b"a Login from 192.0.2.10").is_none());
            assert!(pattern.find(b"a\nLogin from 192.0.2.10").is_none());
        }
    }

    #[test]
    fn quantifiers_are_not_placeholders() {
        let pattern = compile(r"a{2}\d{1,3} {word}\{x\} {client}", &[("word", "b+")]).unwrap();
        let found = pattern.find(b"aa123 bb{x} 192.0.2.10").unwrap();
        assert_eq!(found.client, Some("192.0.2.10".parse().unwrap()));
    }

    #[test]
    fn unknown_placeholders_and_endless_parts_are_errors() {
        let error = compile("{clinet}", &[("word", "b+")])
            .unwrap_err()
            .to_string();
        assert_eq!(
            error,
            "unknown placeholder {clinet}: known are client, user, session, port, word"
        );
        assert!(matches!(
            compile("{a}", &[("a", "{b}"), ("b", "{a}")]),
            Err(PatternError::Nesting(_))
        ));
        assert!(matches!(
            compile("(", &[]),
            Err(PatternError::Expression(_))
        ));
    }

    #[test]
    fn what_is_no_address_is_no_match() {
        let pattern = compile("from {client}$", &[]).unwrap();
        for message in [
            "from 192.0.2",
            "from 192.0.2.300",
            "from nowhere",
            "from 192.0.2.10 ",
        ] {
            assert_eq!(pattern.find(message.as_bytes()), None, "{message}");
        }
    }
}
