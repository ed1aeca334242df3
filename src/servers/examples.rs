//! The examples that a definition carries: whether each yields what it must.
//!
//! Runs them through the recogniser; recognises nothing itself.

use std::collections::BTreeMap;
use std::fmt;

use super::definition::{Definition, Example, ExampleEvent};
use super::meaning::{Meaning, event};
use super::recogniser::Recogniser;
use crate::client::Client;

/// An example of a definition does not yield what it must.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{file}:{line}: the example does not hold: the message\n    {message}\nmust yield {expected}, but yields {yields}"
)]
pub struct BrokenExample {
    /// The definition's file.
    pub file: String,
    /// The line of the example.
    pub line: usize,
    /// The message.
    pub message: String,
    /// What it must yield.
    pub expected: String,
    /// What it yields.
    pub yields: String,
}

/// Runs the examples of a definition. Returns how many there are.
///
/// # Errors
/// Those that do not yield what they say.
pub fn check_examples(definition: &Definition) -> Result<usize, Vec<BrokenExample>> {
    let recogniser = Recogniser::new(vec![definition.clone()], &BTreeMap::new(), |_| None);
    let first = definition.identifiers.first();
    let broken: Vec<_> = (definition.examples.iter())
        .filter_map(|example| {
            let identifier = example.identifier.as_ref().or(first)?;
            let meaning = recogniser
                .recognise(identifier, example.message.as_bytes())
                .map(|verdict| verdict.meaning);
            (!example.is_met_by(meaning.as_ref())).then(|| BrokenExample {
                file: definition.origin.clone(),
                line: example.line,
                message: example.message.clone(),
                expected: example.to_string(),
                yields: meaning.map_or_else(|| "nothing".to_owned(), |m| m.to_string()),
            })
        })
        .collect();
    if broken.is_empty() {
        Ok(definition.examples.len())
    } else {
        Err(broken)
    }
}

impl fmt::Display for Example {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut of = |what, e: &ExampleEvent| {
            event(
                f,
                what,
                e.client.as_deref(),
                e.user.as_deref(),
                e.session.as_deref(),
            )
        };
        match (&self.login, &self.logout, &self.connect) {
            (Some(login), ..) => of("a login", login),
            (_, Some(logout), _) => of("a logout", logout),
            (.., Some(client)) => write!(f, "a connection of {client}"),
            _ if self.failure => f.write_str("a failure"),
            _ if self.lost_logout => f.write_str("a logout whose session is lost"),
            _ if self.start => f.write_str("a start"),
            _ => f.write_str("nothing"),
        }
    }
}

impl Example {
    fn is_met_by(&self, meaning: Option<&Meaning>) -> bool {
        let expected = [
            self.login.is_some(),
            self.logout.is_some(),
            self.connect.is_some(),
            self.failure,
            self.lost_logout,
            self.start,
        ];
        match meaning {
            None | Some(Meaning::CutOff { .. }) => expected == [false; 6],
            Some(Meaning::Login {
                client,
                user,
                session,
            }) => self
                .login
                .as_ref()
                .is_some_and(|event| event.is(*client, user, session)),
            Some(Meaning::Logout {
                client,
                user,
                session,
            }) => self
                .logout
                .as_ref()
                .is_some_and(|event| event.is(*client, user, session)),
            Some(Meaning::Connect { client }) => self.connect == Some(client.to_string()),
            Some(Meaning::Failure) => self.failure,
            Some(Meaning::LostLogout) => self.lost_logout,
            Some(Meaning::Start) => self.start,
        }
    }
}

impl ExampleEvent {
    fn is(&self, client: Option<Client>, user: &Option<String>, session: &Option<String>) -> bool {
        self.client == client.map(|c| c.to_string())
            && self.user == *user
            && self.session == *session
    }
}
