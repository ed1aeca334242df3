//! One pattern of a definition: a regular expression with placeholders.
//!
//! A pattern always begins where the message begins: matching anywhere in a line once made a relay
//! daemon trust a sender address (CVE-2001-1075). This holds by construction, whatever the
//! definition's author wrote.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use regex::bytes::{Captures, Regex, RegexBuilder};
use regex_syntax::ast::{Ast, Span};
use regex_syntax::hir::Hir;
use regex_syntax::hir::translate::TranslatorBuilder;

use super::anchoring;
use super::expansion::Expanded;
use super::pattern_error::{PatternError, Text};
use super::required::Required;
use crate::client::Client;
use crate::event::Protocol;

/// How large a compiled expression may become, in bytes; it bounds what a definition can cost.
const SIZE_LIMIT: usize = 1 << 20;

/// A compiled pattern.
#[derive(Debug, Clone)]
pub struct Pattern {
    /// The line of its definition that it is on; 0 if it is in none.
    pub line: usize,
    pub(super) expanded: Expanded,
    expression: Expression,
    /// What is in every message that it matches.
    required: Required,
    unless: Option<Expression>,
    groups: Groups,
}

/// A valid expression. Most of a server's expressions never see a message with all the text that they
/// require: each is compiled at the first that has it.
#[derive(Debug, Clone)]
struct Expression {
    text: String,
    compiled: OnceLock<Option<Regex>>,
}

/// The numbers of the groups that are needed, as looking up their names takes time.
#[derive(Debug, Clone, Copy)]
struct Groups {
    client: Option<usize>,
    user: Option<usize>,
    session: Option<usize>,
    port: Option<usize>,
    protocol: Option<usize>,
}

impl Groups {
    fn of(expression: &Regex) -> Self {
        let number = |name| expression.capture_names().position(|n| n == Some(name));
        Groups {
            client: number("client"),
            user: number("user"),
            session: number("session"),
            port: number("port"),
            protocol: number("protocol"),
        }
    }
}

/// What a pattern found in a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The client's address.
    pub client: Option<Client>,
    /// The user's name, as printed; invalid UTF-8 replaced. Empty if the message has none where
    /// it should be.
    pub user: Option<String>,
    /// The session's id: its name in the line, or the client's address and port, which nobody else
    /// can have as long as the session is open.
    pub session: Option<String>,
    /// The protocol, if the line names it.
    pub protocol: Option<Protocol>,
}

impl Found {
    /// Whether the message has no name where it should have one.
    #[must_use]
    pub fn is_nameless(&self) -> bool {
        let user = self.user.as_deref();
        user.is_some_and(str::is_empty)
    }
}

impl Pattern {
    /// Compiles `pattern`; `parts` are the definition's own placeholders.
    ///
    /// Messages are bytes: `.` is any byte but a line feed, classes are ASCII.
    ///
    /// # Errors
    /// What is wrong, and where: in the pattern, its `unless` or a part.
    pub fn compile(
        pattern: &str,
        unless: Option<&str>,
        parts: &BTreeMap<String, String>,
    ) -> Result<Self, PatternError> {
        let bare = pattern.strip_prefix('^').unwrap_or(pattern);
        let expanded = Expanded::new(bare, &Text::Pattern, pattern.len() - bare.len(), parts)?;
        let (ast, hir) = parse(&expanded)?;
        if let Some(weakness) = anchoring::weakness(&expanded.text, &ast) {
            let span = weakness.span;
            let spot = expanded.spot(span.start.offset, span.end.offset);
            return Err(if weakness.lazy {
                PatternError::Lazy { spot }
            } else {
                PatternError::Unanchored { spot }
            });
        }
        let unless = match unless {
            Some(unless) => {
                let expanded = Expanded::new(unless, &Text::Unless, 0, parts)?;
                parse(&expanded)?;
                Some(Expression::new(&expanded, expanded.text.clone())?.0)
            }
            None => None,
        };
        let text = format!(r"\A(?:{})", expanded.text);
        let (expression, regex) = Expression::new(&expanded, text)?;
        Ok(Pattern {
            line: 0,
            groups: Groups::of(&regex),
            expression,
            required: Required::by(&hir),
            unless,
            expanded,
        })
    }

    /// The pattern, with the line of its definition that it is on.
    pub(super) fn on_line(self, line: usize) -> Self {
        Pattern { line, ..self }
    }

    /// Whether the pattern names a group `client`.
    pub fn yields_client(&self) -> bool {
        self.groups.client.is_some()
    }

    /// Whether the expression matches.
    pub(super) fn is_match(&self, message: &[u8]) -> bool {
        self.expression_for(message)
            .is_some_and(|expression| expression.is_match(message))
    }

    /// Whether its `unless` matches; in case of doubt it does.
    pub(super) fn is_excluded(&self, message: &[u8]) -> bool {
        let unless = self.unless.as_ref();
        unless.is_some_and(|unless| unless.regex().is_none_or(|regex| regex.is_match(message)))
    }

    /// The expression, if it can match `message`.
    fn expression_for(&self, message: &[u8]) -> Option<&Regex> {
        self.required
            .is_in(message)
            .then(|| self.expression.regex())?
    }

    /// The text in the place of the client's address.
    pub(super) fn client_text(&self, message: &[u8]) -> Option<String> {
        text(
            &self.expression_for(message)?.captures(message)?,
            self.groups.client,
        )
    }

    /// What the pattern finds in `message`; nothing if the client that it finds is not an address.
    pub fn find(&self, message: &[u8]) -> Option<Found> {
        let captures = self.expression_for(message)?.captures(message)?;
        if self.is_excluded(message) {
            return None;
        }
        let client: Option<Client> = match group(&captures, self.groups.client) {
            Some(found) => Some(std::str::from_utf8(found).ok()?.parse().ok()?),
            None => None,
        };
        let port = || Some((client?, text(&captures, self.groups.port)?));
        let endpoint = || port().map(|(client, port)| client.with_port(&port));
        Some(Found {
            client,
            user: group(&captures, self.groups.user).map(lossy),
            session: text(&captures, self.groups.session).or_else(endpoint),
            protocol: group(&captures, self.groups.protocol).and_then(protocol),
        })
    }
}

impl Expression {
    /// Checks it, and returns the compiled expression.
    fn new(expanded: &Expanded, text: String) -> Result<(Self, Regex), PatternError> {
        let regex = compile(&text).map_err(|error| PatternError::Expression {
            message: error.to_string(),
            spot: expanded.spot(0, expanded.text.len()),
        })?;
        let compiled = OnceLock::new();
        Ok((Expression { text, compiled }, regex))
    }

    /// It can't be `None`, as it was compiled before.
    fn regex(&self) -> Option<&Regex> {
        let compiled = self.compiled.get_or_init(|| compile(&self.text).ok());
        compiled.as_ref()
    }
}

/// What the first of these patterns that matches `message` finds in it.
pub(super) fn first(patterns: &[Pattern], message: &[u8]) -> Option<Found> {
    patterns.iter().find_map(|pattern| pattern.find(message))
}

fn group<'m>(captures: &Captures<'m>, number: Option<usize>) -> Option<&'m [u8]> {
    Some(captures.get(number?)?.as_bytes())
}

/// A protocol, by the server's name for it: `imap`, `IMAP4S`, `pop3`.
pub(super) fn protocol(name: &[u8]) -> Option<Protocol> {
    let begins = |with: &[u8]| {
        let first = name.get(..with.len());
        first.is_some_and(|first| first.eq_ignore_ascii_case(with))
    };
    if begins(b"imap") {
        Some(Protocol::Imap)
    } else if begins(b"pop") {
        Some(Protocol::Pop3)
    } else {
        None
    }
}

fn text(captures: &Captures<'_>, number: Option<usize>) -> Option<String> {
    let found = group(captures, number)?;
    (!found.is_empty()).then(|| lossy(found))
}

fn lossy(found: &[u8]) -> String {
    String::from_utf8_lossy(found).into_owned()
}

/// Parses an expression as [`compile`] will.
pub(super) fn parse(expanded: &Expanded) -> Result<(Ast, Hir), PatternError> {
    let fault = |message: String, span: &Span| PatternError::Expression {
        message,
        spot: expanded.spot(span.start.offset, span.end.offset),
    };
    let ast = regex_syntax::ast::parse::Parser::new()
        .parse(&expanded.text)
        .map_err(|error| fault(error.kind().to_string(), error.span()))?;
    let mut translator = TranslatorBuilder::new().unicode(false).utf8(false).build();
    let hir = translator
        .translate(&expanded.text, &ast)
        .map_err(|error| fault(error.kind().to_string(), error.span()))?;
    Ok((ast, hir))
}

fn compile(expression: &str) -> Result<Regex, regex::Error> {
    RegexBuilder::new(expression)
        .unicode(false)
        .size_limit(SIZE_LIMIT)
        .build()
}

#[cfg(test)]
mod tests {
    use super::super::definition::Definition;
    use super::super::load::BUILT_IN;
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
    fn a_pattern_takes_every_example_that_its_expression_matches() {
        let definition = |(_, text): &(_, &str)| Definition::parse(text).unwrap();
        let definitions: Vec<_> = BUILT_IN.iter().map(definition).collect();
        let examples = definitions.iter().flat_map(|it| &it.examples);
        let messages: Vec<_> = examples.map(|example| example.message.as_bytes()).collect();
        for Definition {
            name,
            login,
            logout,
            failure,
            ..
        } in &definitions
        {
            for pattern in login.iter().chain(logout).chain(failure) {
                let regex = pattern.expression.regex().unwrap();
                for message in &messages {
                    let is_match = regex.is_match(message);
                    assert_eq!(
                        pattern.is_match(message),
                        is_match,
                        "{name}:{}",
                        pattern.line
                    );
                }
            }
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
            "unknown placeholder {clinet}: known are client, user, session, port, protocol, word"
        );
        assert!(matches!(
            compile("{a}", &[("a", "{b}"), ("b", "{a}")]),
            Err(PatternError::Nesting { .. })
        ));
        assert!(matches!(
            compile("(", &[]),
            Err(PatternError::Expression { .. })
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
