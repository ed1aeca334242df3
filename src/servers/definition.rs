//! A server definition: one TOML file that says what a server's logins look like.
//!
//! Reads and checks definitions; compiles nothing that it does not keep, opens no file.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::ops::Range;

use serde::Deserialize;
use toml::Spanned;

use super::pattern::Pattern;

/// A definition, read from TOML and checked.
#[derive(Debug)]
pub struct Definition {
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
    /// Whether an entry without a unit is nobody's, as the users run other programs, too.
    pub unit_required: bool,
    /// What tells a client's address before its login, where the login does not.
    pub connect: Vec<Pattern>,
    /// What a login looks like.
    pub login: Vec<Pattern>,
    /// What ends the hope for a login after a connect.
    pub failure: Vec<Pattern>,
    /// What the end of a session looks like.
    pub logout: Vec<Pattern>,
    /// What the start of the server looks like.
    pub start: Vec<Pattern>,
    /// Whether lines are tied by the pid of their sender, as they name no session.
    pub sessions_by_pid: bool,
    /// Whether the unit's name tells the client, where no line does.
    pub client_of_unit: bool,
    /// From which length on, in bytes, the server's own logger has cut a message in two, so that
    /// the next one of the same process may be the rest of it, and mean nothing.
    pub cut_at: Option<usize>,
    /// Messages, and what each must yield.
    pub examples: Vec<Example>,
}

/// A message and what it must yield; nothing, where it names no event.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Example {
    /// The message.
    pub message: String,
    /// The login that it is.
    pub login: Option<ExampleEvent>,
    /// The logout that it is.
    pub logout: Option<ExampleEvent>,
    /// The client that connects; a login without an address may follow.
    pub connect: Option<String>,
    /// Whether it ends the hope for a login.
    #[serde(default)]
    pub failure: bool,
    /// Whether it is the server's start.
    #[serde(default)]
    pub start: bool,
    /// The identifier, where the definition has several and it matters.
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

/// What is wrong with a definition, and where in its text.
#[derive(Debug)]
pub struct Fault {
    /// The bytes of the text that are at fault, where they are known.
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
    parts: BTreeMap<String, String>,
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
    start: Vec<PatternText>,
    #[serde(default)]
    example: Vec<Example>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct SendersText {
    users: Vec<String>,
    units: Vec<String>,
    #[serde(default)]
    unit_required: bool,
}

/// How lines are tied where they name no session.
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

impl Definition {
    /// Reads a definition.
    ///
    /// # Errors
    /// The first fault, with its place in `text`.
    pub fn parse(text: &str) -> Result<Self, Fault> {
        let read: DefinitionText = toml::from_str(text).map_err(|e| Fault {
            span: e.span(),
            message: e.message().to_owned(),
        })?;
        let fault = |span, message: &str| Fault {
            span: Some(span),
            message: message.to_owned(),
        };

        let name = read.name.get_ref();
        if name.is_empty()
            || !name
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        {
            return Err(fault(
                read.name.span(),
                "a server's name is of lower-case letters, digits and hyphens",
            ));
        }
        let identifiers = read.identifiers.get_ref();
        if identifiers.is_empty() || identifiers.iter().any(String::is_empty) {
            return Err(fault(
                read.identifiers.span(),
                "name at least one SYSLOG_IDENTIFIER that the server writes under",
            ));
        }
        let senders = read.senders.get_ref();
        let any_user = senders.users.iter().any(|user| user == "*");
        if senders.users.is_empty() {
            return Err(fault(
                read.senders.span(),
                "senders.users: name the users that write the server's entries, or [\"*\"] where \
                 it writes as the mailbox's user",
            ));
        }
        if any_user && senders.units.is_empty() || senders.units.iter().any(|unit| unit == "*") {
            return Err(fault(
                read.senders.span(),
                "senders: users = [\"*\"] needs units, and no unit may be \"*\": somebody must \
                 prove that an entry is the server's",
            ));
        }
        if read.login.is_empty() {
            return Err(Fault {
                span: None,
                message: "a definition needs at least one [[login]] with a pattern".to_owned(),
            });
        }
        let compile_all = |patterns: &[PatternText]| {
            patterns
                .iter()
                .map(|p| compile(p, &read.parts))
                .collect::<Result<Vec<_>, _>>()
        };
        let login = compile_all(&read.login)?;
        let connect = compile_all(&read.connect)?;
        let told_elsewhere = !connect.is_empty() || read.client_of_unit;
        let needs_client = (read.login.iter().zip(&login).filter(|_| !told_elsewhere))
            .chain(read.connect.iter().zip(&connect));
        for (pattern, compiled) in needs_client {
            if !compiled.yields_client() {
                return Err(fault(
                    pattern.pattern.span(),
                    "the pattern must say where the client's address is: write {client}; or a \
                     [[connect]] must, whose line comes before the login's",
                ));
            }
        }
        Ok(Definition {
            connect,
            failure: compile_all(&read.failure)?,
            sessions_by_pid: read.sessions == Some(SessionsText::Pid),
            client_of_unit: read.client_of_unit,
            cut_at: read.cut_at.map(NonZeroUsize::get),
            logout: compile_all(&read.logout)?,
            start: compile_all(&read.start)?,
            login,
            name: read.name.into_inner(),
            description: read.description,
            identifiers: read.identifiers.into_inner(),
            unit_required: read.senders.get_ref().unit_required,
            users: read.senders.get_ref().users.clone(),
            units: read.senders.into_inner().units,
            examples: read.example,
        })
    }
}

fn compile(text: &PatternText, parts: &BTreeMap<String, String>) -> Result<Pattern, Fault> {
    let unless = text.unless.as_ref().map(|u| u.get_ref().as_str());
    Pattern::compile(text.pattern.get_ref(), unless, parts).map_err(|e| Fault {
        span: Some(text.pattern.span()),
        message: e.to_string(),
    })
}
