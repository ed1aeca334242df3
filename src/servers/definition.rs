//! A server definition: one TOML file that says what a server's logins look like.
//!
//! Reads and checks definitions; compiles nothing that it does not keep, opens no file.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::ops::Range;

use jiff::SignedDuration;
use serde::Deserialize;
use toml::Spanned;

use super::literal;
use super::pattern::Pattern;
use super::pattern_error::{PatternError, Text};
use crate::event::{MANUAL, Protocol};

/// A definition, read from TOML and checked.
#[derive(Debug, Clone)]
pub struct Definition {
    /// Where it was read from, for messages: a file's path, or `NAME.toml (built in)`.
    pub origin: String,
    /// The server's name: lower-case letters, digits and hyphens.
    pub name: String,
    /// One line about the server and its versions.
    pub description: String,
    /// The `SYSLOG_IDENTIFIER`s that it writes under.
    pub identifiers: Vec<String>,
    /// The users that write its entries, by name or number; `*` is any user.
    pub users: Vec<String>,
    /// The units that write its entries; `*` in a name stands for any text.
    pub units: Vec<String>,
    /// Whether an entry without a unit is not trusted, as the users also run other programs.
    pub unit_required: bool,
    /// Whether only what came by syslog(3) counts: a name may hold a line feed, and in a stream each line is an
    /// entry; or the length of a line matters, and journald takes the blanks from the end of a stream's lines.
    pub syslog_only: bool,
    /// The line that tells a client's address before its login, if the login does not.
    pub connect: Vec<Pattern>,
    /// What a login looks like.
    pub login: Vec<Pattern>,
    /// A line after which no login follows a connect.
    pub failure: Vec<Pattern>,
    /// What the end of a session looks like.
    pub logout: Vec<Pattern>,
    /// What the end of a session looks like if the server has lost its name.
    pub lost_logout: Vec<Pattern>,
    /// What the start of the server looks like.
    pub start: Vec<Pattern>,
    /// How long a session can last at most.
    pub longest_session: LongestSession,
    /// Whether lines are tied by the pid of their sender, as they name no session.
    pub sessions_by_pid: bool,
    /// Whether the unit's name tells the client, as no line does.
    pub client_of_unit: bool,
    /// The length in bytes from which on the server's own logger has cut a message in two. The next
    /// one of the same process may be the rest of it, and counts for nothing. For a moment its logins are
    /// refused; if the message is not a failure, for ever.
    pub cut_at: Option<usize>,
    /// Messages, and what each must yield.
    pub examples: Vec<Example>,
}

/// A message and what it must yield; nothing, if it names no event.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Example {
    /// The line that it begins on.
    #[serde(skip)]
    pub line: usize,
    /// The message.
    pub message: String,
    /// The login that it is.
    pub login: Option<ExampleEvent>,
    /// The logout that it is.
    pub logout: Option<ExampleEvent>,
    /// The client that connects; a login without an address may follow.
    pub connect: Option<String>,
    /// Whether no login follows after it.
    #[serde(default)]
    pub failure: bool,
    /// Whether it is the end of a session whose name the server has lost.
    #[serde(default)]
    pub lost_logout: bool,
    /// Whether it is the server's start.
    #[serde(default)]
    pub start: bool,
    /// The identifier, if the definition has several and it matters.
    pub identifier: Option<String>,
}

/// What an example's event holds.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExampleEvent {
    /// The client's address.
    pub client: Option<String>,
    /// The user.
    pub user: Option<String>,
    /// The session.
    pub session: Option<String>,
}

/// How long a session can last at most, by its protocol: if its end is lost, it is over by then.
/// `max-session` of the configuration is the limit for all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LongestSession {
    /// With IMAP, whose sessions last as long as the client likes.
    pub imap: Option<SignedDuration>,
    /// With POP3: a session locks the mailbox, and its server ends it when it is idle (RFC 1939).
    pub pop3: Option<SignedDuration>,
}

impl Default for LongestSession {
    fn default() -> Self {
        LongestSession {
            imap: None,
            pop3: Some(SignedDuration::from_hours(1)),
        }
    }
}

impl LongestSession {
    /// The limit for a protocol.
    #[must_use]
    pub fn of(&self, protocol: Option<Protocol>) -> Option<SignedDuration> {
        match protocol? {
            Protocol::Imap => self.imap,
            Protocol::Pop3 => self.pop3,
        }
    }
}

/// What is wrong with a definition, and where in its text.
#[derive(Debug)]
pub struct Fault {
    /// The bytes of the text that are at fault, if known.
    pub span: Option<Range<usize>>,
    /// What is wrong and what is expected.
    pub message: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct DefinitionText {
    name: Spanned<String>,
    description: String,
    identifiers: Spanned<Vec<String>>,
    senders: Spanned<SendersText>,
    #[serde(default)]
    parts: BTreeMap<String, Spanned<String>>,
    sessions: Option<SessionsText>,
    #[serde(default)]
    client_of_unit: bool,
    cut_at: Option<NonZeroUsize>,
    #[serde(default)]
    connect: Vec<PatternText>,
    #[serde(default)]
    failure: Vec<PatternText>,
    #[serde(default)]
    login: Vec<PatternText>,
    #[serde(default)]
    logout: Vec<PatternText>,
    #[serde(default)]
    lost_logout: Vec<PatternText>,
    #[serde(default)]
    start: Vec<PatternText>,
    longest_session: Option<Spanned<LongestSession>>,
    #[serde(default)]
    example: Vec<Spanned<Example>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct SendersText {
    users: Vec<String>,
    units: Vec<String>,
    #[serde(default)]
    unit_required: bool,
    #[serde(default)]
    syslog_only: bool,
}

/// How lines are tied if they name no session.
#[derive(Deserialize, PartialEq)]
#[serde(rename_all = "kebab-case")]
enum SessionsText {
    Pid,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PatternText {
    pattern: Spanned<String>,
    unless: Option<Spanned<String>>,
}

/// What the origin of a built-in definition ends with.
pub(super) const BUILT_IN_MARK: &str = " (built in)";

impl Definition {
    /// Whether a line may need another of the same process to make an event.
    #[must_use]
    pub fn ties_lines(&self) -> bool {
        self.sessions_by_pid
            || self.client_of_unit
            || self.cut_at.is_some()
            || !self.connect.is_empty()
    }

    /// Whether it came with the program.
    #[must_use]
    pub fn is_built_in(&self) -> bool {
        self.origin.ends_with(BUILT_IN_MARK)
    }

    /// Reads a definition.
    ///
    /// # Errors
    /// Its faults, with their places in `text`.
    pub fn parse(text: &str) -> Result<Self, Vec<Fault>> {
        let read: DefinitionText = toml::from_str(text).map_err(|e| {
            vec![Fault {
                span: e.span(),
                message: e.message().to_owned(),
            }]
        })?;
        let mut faults = read.faults();
        let mut compiler = Compiler::new(text, &read.parts);
        let connect = compiler.compile_all(&read.connect);
        let failure = compiler.compile_all(&read.failure);
        let login = compiler.compile_all(&read.login);
        let logout = compiler.compile_all(&read.logout);
        let lost_logout = compiler.compile_all(&read.lost_logout);
        let start = compiler.compile_all(&read.start);

        let told_elsewhere = !read.connect.is_empty() || read.client_of_unit;
        let logins = read.login.iter().zip(&login).filter(|_| !told_elsewhere);
        for (pattern, compiled) in logins.chain(read.connect.iter().zip(&connect)) {
            if compiled.as_ref().is_some_and(|c| !c.yields_client()) {
                compiler.faults.push(Fault::at(
                    pattern.pattern.span(),
                    "the pattern must say where the client's address is: write {client}; or a \
                     [[connect]] must, whose line comes before the login's",
                ));
            }
        }
        faults.append(&mut compiler.faults);
        if !faults.is_empty() {
            faults.sort_by_key(|fault| fault.span.as_ref().map_or(0, |span| span.start));
            return Err(faults);
        }
        let examples = read.example.into_iter().map(|example| Example {
            line: line_of(text, example.span().start),
            ..example.into_inner()
        });
        let senders = read.senders.into_inner();
        Ok(Definition {
            origin: format!("{}.toml", read.name.get_ref()),
            name: read.name.into_inner(),
            description: read.description,
            identifiers: read.identifiers.into_inner(),
            unit_required: senders.unit_required,
            syslog_only: senders.syslog_only,
            users: senders.users,
            units: senders.units,
            connect: connect.into_iter().flatten().collect(),
            failure: failure.into_iter().flatten().collect(),
            login: login.into_iter().flatten().collect(),
            logout: logout.into_iter().flatten().collect(),
            lost_logout: lost_logout.into_iter().flatten().collect(),
            start: start.into_iter().flatten().collect(),
            longest_session: (read.longest_session)
                .map(Spanned::into_inner)
                .unwrap_or_default(),
            sessions_by_pid: read.sessions == Some(SessionsText::Pid),
            client_of_unit: read.client_of_unit,
            cut_at: read.cut_at.map(NonZeroUsize::get),
            examples: examples.collect(),
        })
    }
}

/// Whether this can be the name of a server's definition.
#[must_use]
pub fn is_server_name(name: &str) -> bool {
    let is_fit = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
    !name.is_empty() && name.len() <= 64 && name.bytes().all(is_fit)
}

impl Fault {
    fn at(span: Range<usize>, message: &str) -> Self {
        Fault {
            span: Some(span),
            message: message.to_owned(),
        }
    }
}

impl DefinitionText {
    /// What is wrong with everything but the patterns.
    fn faults(&self) -> Vec<Fault> {
        let mut faults = Vec::new();
        let name = self.name.get_ref();
        if !is_server_name(name) {
            faults.push(Fault::at(
                self.name.span(),
                "a server's name is of lower-case letters, digits and hyphens, 64 of them at most",
            ));
        }
        if name == MANUAL {
            faults.push(Fault::at(
                self.name.span(),
                "manual stands for clients that were let in by hand: choose another name",
            ));
        }
        let identifiers = self.identifiers.get_ref();
        if identifiers.is_empty() || identifiers.iter().any(String::is_empty) {
            faults.push(Fault::at(
                self.identifiers.span(),
                "name at least one SYSLOG_IDENTIFIER that the server writes under",
            ));
        }
        let senders = self.senders.get_ref();
        let any_user = senders.users.iter().any(|user| user == "*");
        if senders.users.is_empty() {
            faults.push(Fault::at(
                self.senders.span(),
                "senders.users: name the users that write the server's entries, or [\"*\"] where \
                 it writes as the mailbox's user",
            ));
        }
        if any_user && senders.units.is_empty() || senders.units.iter().any(|unit| unit == "*") {
            faults.push(Fault::at(
                self.senders.span(),
                "senders: users = [\"*\"] needs units, and no unit may be \"*\": somebody must \
                 prove that an entry is the server's",
            ));
        }
        if let Some(longest) = &self.longest_session {
            let LongestSession { imap, pop3 } = longest.get_ref();
            if imap
                .iter()
                .chain(pop3)
                .any(|longest| !longest.is_positive())
            {
                faults.push(Fault::at(
                    longest.span(),
                    "a session lasts for some time: write a duration such as \"1h\"",
                ));
            }
        }
        if self.login.is_empty() {
            faults.push(Fault {
                span: None,
                message: "a definition needs at least one [[login]] with a pattern".to_owned(),
            });
        }
        faults
    }
}

/// Compiles the patterns of a definition, and collects what is wrong with them.
struct Compiler<'a> {
    text: &'a str,
    written: &'a BTreeMap<String, Spanned<String>>,
    parts: BTreeMap<String, String>,
    faults: Vec<Fault>,
}

impl<'a> Compiler<'a> {
    fn new(text: &'a str, written: &'a BTreeMap<String, Spanned<String>>) -> Self {
        let parts = written
            .iter()
            .map(|(name, part)| (name.clone(), part.get_ref().clone()));
        Compiler {
            text,
            written,
            parts: parts.collect(),
            faults: Vec::new(),
        }
    }

    fn compile_all(&mut self, patterns: &[PatternText]) -> Vec<Option<Pattern>> {
        patterns.iter().map(|text| self.compile(text)).collect()
    }

    fn compile(&mut self, pattern: &PatternText) -> Option<Pattern> {
        let unless = pattern.unless.as_ref().map(|u| u.get_ref().as_str());
        let line = line_of(self.text, pattern.pattern.span().start);
        match Pattern::compile(pattern.pattern.get_ref(), unless, &self.parts) {
            Ok(compiled) => Some(compiled.on_line(line)),
            Err(error) => {
                let fault = self.fault(&error, pattern, line);
                // A wrong part is wrong in every pattern that uses it.
                if !self.faults.iter().any(|known| known.span == fault.span) {
                    self.faults.push(fault);
                }
                None
            }
        }
    }

    fn fault(&self, error: &PatternError, pattern: &PatternText, line: usize) -> Fault {
        let spot = error.spot();
        let (string, whose) = match &spot.text {
            Text::Pattern => (pattern.pattern.span(), String::new()),
            Text::Unless => {
                let unless = pattern.unless.as_ref().unwrap_or(&pattern.pattern);
                (unless.span(), String::new())
            }
            Text::Part(name) => match self.written.get(name) {
                Some(part) => (part.span(), format!(" (in the pattern of line {line})")),
                None => (pattern.pattern.span(), String::new()),
            },
        };
        Fault {
            span: Some(literal::place(self.text, &string, &spot.span)),
            message: format!("{error}{whose}"),
        }
    }
}

/// The line of the byte `at`, counted from 1.
fn line_of(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|byte| *byte == b'\n').count() + 1
}
