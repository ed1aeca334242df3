//! Which pattern matches a message, or how far each pattern got.
//!
//! For people who look for a login that does not count. Tries the same patterns in the same order
//! as the recogniser, and beginnings of those that do not match; decides nothing.

use std::cell::OnceCell;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use regex::bytes::{Regex, RegexBuilder};
use regex_syntax::ast::Ast;

use super::anchoring::most;
use super::header::Header;
use super::pattern::{self, Pattern};
use super::recogniser::{LONGEST_MESSAGE, Recogniser, Server, is_plain_text};

/// How much of a message is quoted, in characters.
const QUOTED: usize = 40;
/// How much of a pattern is shown, in characters.
const SHOWN: usize = 40;

/// What one server's definition made of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// The server.
    pub server: Arc<str>,
    /// Whether they were tried on what follows a syslog header.
    pub behind_header: bool,
    /// The patterns, in the order in which they were tried; the last one may have matched.
    pub attempts: Vec<Attempt>,
}

/// What one pattern made of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Its definition's file.
    pub origin: String,
    /// Its line there.
    pub line: usize,
    /// What it would mean: `login`, `connect`, `logout`, `failure`, `lost-logout`, `start`.
    pub kind: &'static str,
    /// The result.
    pub outcome: Outcome,
}

/// The result of trying a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// It matched, and the message means what it says.
    Took,
    /// It matched, and its `unless` did, too.
    Excluded,
    /// It matched, but the text in the client's place is not an address.
    NoAddress(String),
    /// It matched, but the user's name is empty; so the message is not a login.
    NoName,
    /// The message has control characters, or is not UTF-8, and so can't be of this kind.
    NotPlain,
    /// A beginning of it matched.
    Stopped {
        /// How much of the message that was, in bytes; without a repetition at its end.
        after: usize,
        /// The end of what matched, to be quoted.
        behind: String,
        /// What did not match.
        wanted: String,
        /// Whether it could have come anywhere later.
        anywhere: bool,
    },
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Outcome::Took => f.write_str("takes it"),
            Outcome::Excluded => f.write_str("matches, but so does its 'unless'"),
            Outcome::NoAddress(text) => {
                write!(
                    f,
                    "matches, but '{text}', where the client should be, is no address"
                )
            }
            Outcome::NoName => f.write_str("matches, but there is no user's name"),
            Outcome::NotPlain => {
                f.write_str("not tried: the message has control characters, or is not UTF-8")
            }
            Outcome::Stopped {
                after: 0,
                wanted,
                anywhere: false,
                ..
            } => {
                write!(f, "stops at the beginning: {wanted} is not there")
            }
            Outcome::Stopped {
                behind,
                wanted,
                anywhere,
                ..
            } => {
                let place = if *anywhere { "anywhere" } else { "right" };
                write!(
                    f,
                    "stops behind '{behind}': {wanted} does not follow {place}"
                )
            }
        }
    }
}

/// Explains messages; caches the beginnings of patterns, as there are many messages.
#[derive(Debug)]
pub struct Explainer {
    recogniser: Arc<Recogniser>,
    /// For each server, its patterns in the order in which they are tried.
    patterns: Vec<Vec<Tried>>,
}

#[derive(Debug)]
struct Tried {
    kind: &'static str,
    pattern: Pattern,
    /// The beginnings, one list for each alternative of the whole.
    beginnings: Vec<Vec<Beginning>>,
}

/// A beginning of a pattern; it ends with one item, and before byte `next` of the expression.
#[derive(Debug)]
struct Beginning {
    expression: String,
    next: usize,
    last: Item,
    compiled: OnceCell<Option<Regex>>,
}

/// What an expression is a sequence of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Item {
    /// A character.
    Literal,
    /// Something that may be long.
    Repetition,
    /// Anything else.
    Other,
}

impl Explainer {
    /// Explains what `recogniser` does.
    #[must_use]
    pub fn new(recogniser: Arc<Recogniser>) -> Self {
        let patterns = recogniser.servers.iter().map(Tried::all_of).collect();
        Explainer {
            recogniser,
            patterns,
        }
    }

    /// How the definitions treat a message under `identifier`, up to the first that matches.
    /// Empty if no server writes under it, or the message is longer than any login.
    #[must_use]
    pub fn explain(&self, identifier: &str, message: &[u8]) -> Vec<Explanation> {
        let mut explanations = Vec::new();
        if message.len() > LONGEST_MESSAGE {
            return explanations;
        }
        let recogniser = &self.recogniser;
        let places: Vec<usize> = recogniser.places_of(identifier).collect();
        if !self.try_all(places.iter().copied(), message, false, &mut explanations)
            && let Some(header) = Header::of(message)
        {
            let mut behind = Vec::new();
            let places = recogniser.places_behind(&header, &places);
            self.try_all(places, header.message, true, &mut behind);
            if !behind.is_empty() {
                return behind;
            }
        }
        explanations
    }

    /// Adds how these servers' definitions treat a message, and returns whether one matches.
    fn try_all(
        &self,
        places: impl Iterator<Item = usize>,
        message: &[u8],
        behind_header: bool,
        explanations: &mut Vec<Explanation>,
    ) -> bool {
        let plain = is_plain_text(message);
        for at in places {
            let server = &self.recogniser.servers[at];
            if server.cut_at.is_some_and(|length| message.len() >= length) {
                return true;
            }
            let mut attempts = Vec::new();
            let mut nameless = false;
            for tried in &self.patterns[at] {
                let outcome = match tried.kind {
                    "login" if nameless => continue,
                    "login" | "connect" if !plain => Outcome::NotPlain,
                    _ => tried.outcome(message),
                };
                nameless |= outcome == Outcome::NoName;
                let taken = outcome == Outcome::Took;
                attempts.push(Attempt {
                    origin: server.origin.clone(),
                    line: tried.pattern.line,
                    kind: tried.kind,
                    outcome,
                });
                if taken {
                    break;
                }
            }
            let taken = attempts.last().is_some_and(|a| a.outcome == Outcome::Took);
            explanations.push(Explanation {
                server: server.name.clone(),
                behind_header,
                attempts,
            });
            if taken {
                return true;
            }
        }
        false
    }
}

impl Tried {
    /// In the order of `Server::recognise`.
    fn all_of(server: &Server) -> Vec<Self> {
        let kinds = [
            ("login", &server.login),
            ("connect", &server.connect),
            ("logout", &server.logout),
            ("failure", &server.failure),
            ("lost-logout", &server.lost_logout),
            ("start", &server.start),
        ];
        let of_kind = |(kind, patterns): (&'static str, &Vec<Pattern>)| {
            let tried = patterns.iter().map(|pattern| Tried {
                kind,
                pattern: pattern.clone(),
                beginnings: beginnings(pattern),
            });
            tried.collect::<Vec<_>>()
        };
        kinds.into_iter().flat_map(of_kind).collect()
    }

    fn outcome(&self, message: &[u8]) -> Outcome {
        match self.pattern.find(message) {
            Some(found) if self.kind == "login" && found.is_nameless() => return Outcome::NoName,
            Some(_) => return Outcome::Took,
            None => {}
        }
        if self.pattern.is_match(message) {
            return match self.pattern.client_text(message) {
                _ if self.pattern.is_excluded(message) => Outcome::Excluded,
                text => Outcome::NoAddress(text.unwrap_or_default()),
            };
        }
        let stops = self.beginnings.iter().map(|list| stop(list, message));
        let furthest = stops.max_by_key(|stop| stop.after);
        let stop = furthest.unwrap_or_default();
        Outcome::Stopped {
            after: stop.after,
            behind: last_characters(&message[..stop.after]),
            wanted: first_characters(
                &self
                    .pattern
                    .expanded
                    .shown(stop.wanted.start, stop.wanted.end),
            ),
            anywhere: stop.anywhere,
        }
    }
}

/// Where a pattern stops in a message.
#[derive(Default)]
struct Stop {
    /// How much of the message the longest beginning matches, without a repetition at its end.
    after: usize,
    /// What does not follow: these bytes of the expression.
    wanted: Range<usize>,
    /// Whether it could have come anywhere later.
    anywhere: bool,
}

fn stop(beginnings: &[Beginning], message: &[u8]) -> Stop {
    // A beginning of one that matches does match, too.
    let matching = beginnings.partition_point(|b| b.end(message).is_some());
    let (matched, rest) = beginnings.split_at(matching);
    let fixed = matched.iter().rfind(|b| b.last != Item::Repetition);
    let literals = rest.iter().skip(1).take_while(|b| b.last == Item::Literal);
    let start = matched.last().map_or(0, |b| b.next);
    Stop {
        after: fixed.and_then(|b| b.end(message)).unwrap_or(0),
        wanted: start..literals.last().or(rest.first()).map_or(start, |b| b.next),
        anywhere: matched.last().is_some_and(|b| b.last == Item::Repetition),
    }
}

impl Beginning {
    fn end(&self, message: &[u8]) -> Option<usize> {
        let compiled = self.compiled.get_or_init(|| {
            RegexBuilder::new(&format!(r"\A(?:{})", self.expression))
                .unicode(false)
                .build()
                .ok()
        });
        Some(compiled.as_ref()?.find(message)?.end())
    }
}

/// The beginnings of a pattern, shortest first, for each alternative of the whole.
fn beginnings(pattern: &Pattern) -> Vec<Vec<Beginning>> {
    let text = &pattern.expanded.text;
    let Ok((ast, _)) = pattern::parse(&pattern.expanded) else {
        return Vec::new();
    };
    let whole = [&ast];
    let alternatives: Vec<&Ast> = match &ast {
        Ast::Alternation(alternation) => alternation.asts.iter().collect(),
        _ => whole.to_vec(),
    };
    let of_alternative = |alternative: &Ast| {
        let mut list = Vec::new();
        add_beginnings(
            text,
            alternative,
            alternative.span().start.offset,
            0,
            &mut list,
        );
        list
    };
    alternatives.into_iter().map(of_alternative).collect()
}

/// Adds those that end in `ast`, which is inside `depth` groups.
fn add_beginnings(text: &str, ast: &Ast, start: usize, depth: usize, list: &mut Vec<Beginning>) {
    match ast {
        Ast::Concat(concat) => {
            for item in &concat.asts {
                add_beginnings(text, item, start, depth, list);
            }
        }
        Ast::Group(group) if !matches!(&*group.ast, Ast::Alternation(_)) => {
            add_beginnings(text, &group.ast, start, depth + 1, list);
            if let Some(last) = list.last_mut() {
                last.next = last.next.max(group.span.end.offset);
            }
        }
        _ => {
            let end = ast.span().end.offset;
            list.push(Beginning {
                expression: text[start..end].to_owned() + &")".repeat(depth),
                next: end,
                last: match ast {
                    Ast::Literal(_) => Item::Literal,
                    Ast::Repetition(r) if most(&r.op.kind) != Some(1) => Item::Repetition,
                    _ => Item::Other,
                },
                compiled: OnceCell::new(),
            });
        }
    }
}

fn last_characters(message: &[u8]) -> String {
    let text = String::from_utf8_lossy(message);
    let length = text.chars().count();
    let end: String = text.chars().skip(length.saturating_sub(QUOTED)).collect();
    if length > QUOTED {
        format!("…{end}")
    } else {
        end
    }
}

fn first_characters(pattern: &str) -> String {
    if pattern.is_empty() {
        return "the end".to_owned();
    }
    let first: String = pattern.chars().take(SHOWN).collect();
    if first.len() < pattern.len() {
        format!("`{first}…`")
    } else {
        format!("`{first}`")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::servers::Definition;
    use std::collections::BTreeMap;

    const MINE: &str = r#"name = "mine"
description = "My own server"
identifiers = ["mine"]
[senders]
users = ["root"]
units = ["mine.service"]
[parts]
verb = '(?:Login|Auth)'
[[login]]
pattern = '{verb} user=(?<user>[^<> ]*) host=\[{client}\]$'
unless = 'ATTACK'
[[logout]]
pattern = 'Logout session=<{session}>$'
"#;

    fn outcome(message: &[u8]) -> String {
        let definition = Definition::parse(MINE).unwrap();
        let recogniser = Recogniser::new(vec![definition], &BTreeMap::new(), |_| Some(0));
        let explainer = Explainer::new(Arc::new(recogniser));
        let explanations = explainer.explain("mine", message);
        assert_eq!(explanations.len(), 1);
        let of = |a: &Attempt| format!("{}:{} {}: {}", a.origin, a.line, a.kind, a.outcome);
        let lines: Vec<_> = explanations[0].attempts.iter().map(of).collect();
        lines.join("\n")
    }

    #[test]
    fn each_pattern_says_how_far_it_came() {
        for (message, says) in [
            (
                "Login user=al host=[192.0.2.10]",
                "mine.toml:10 login: takes it",
            ),
            (
                "Login user=ATTACK host=[192.0.2.10]",
                "mine.toml:10 login: matches, but so does its 'unless'",
            ),
            (
                "Login user= host=[192.0.2.10]",
                "mine.toml:10 login: matches, but there is no user's name",
            ),
            (
                "Login user=al host=[192.0.2]",
                "matches, but '192.0.2', where the client should be, is no address",
            ),
            (
                "Auth user=al host=[192.0.2.10] x",
                r"stops behind 'Auth user=al host=[192.0.2.10]': `$` does not follow right",
            ),
            (
                "Login user=al ip=[192.0.2.10]",
                r"stops behind 'Login user=al ': `host=\[` does not follow right",
            ),
            (
                "Login user=al",
                r"stops behind 'Login user=': ` host=\[` does not follow anywhere",
            ),
            (
                "Loggin user=al",
                r"mine.toml:10 login: stops at the beginning: `(?:Login|Auth) user=` is not there",
            ),
            (
                "Loggin",
                "mine.toml:13 logout: stops behind 'Log': `out session=<` does not follow right",
            ),
            ("Logout session=<12>", "mine.toml:13 logout: takes it"),
            (
                "Login user=a\tb host=[192.0.2.10]",
                "login: not tried: the message has control",
            ),
        ] {
            let explained = outcome(message.as_bytes());
            assert!(explained.contains(says), "{message}:\n{explained}");
        }
        assert!(outcome(b"\xff").contains("login: not tried"));
    }
}
