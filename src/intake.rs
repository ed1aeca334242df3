//! From an entry to an event: what does the message mean, and may its writer say so?
//!
//! The one way in. The service and `pop-before-smtp test` both read entries through here, so that
//! what the test shows is what the service does.

use crate::client::Client;
use crate::event::{Event, EventKind};
use crate::journal::{JournalError, Reader};
use crate::servers::{Distrust, Recogniser, Sender};

/// What an entry was taken for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Intake {
    /// For nothing.
    Nothing,
    /// For an event of a server.
    Event(Event),
    /// For somebody playing a server.
    Refused(Refused),
}

/// An event that its sender had no right to tell of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// What it would have been.
    pub event: Event,
    /// Who wrote it.
    pub sender: Sender,
    /// Why the sender is not trusted.
    pub why: Distrust,
}

impl Refused {
    /// The client that it names, if any.
    #[must_use]
    pub fn client(&self) -> Option<Client> {
        match &self.event.kind {
            EventKind::Login { client, .. } => Some(*client),
            EventKind::Logout { client, .. } => *client,
            EventKind::Start => None,
        }
    }

    /// What it would have been, for a sentence.
    #[must_use]
    pub fn what(&self) -> String {
        match &self.event.kind {
            EventKind::Login { client, .. } => format!("a login of {client}"),
            EventKind::Logout { .. } => "a logout".to_owned(),
            EventKind::Start => "a start".to_owned(),
        }
    }

    /// The lines of configuration that would trust the sender, if it was legitimate.
    #[must_use]
    pub fn remedy(&self) -> String {
        let mut lines = format!("[senders.{}]", self.event.server);
        let unit = self.why != Distrust::User;
        let user = self.why != Distrust::Unit && self.why != Distrust::NoUnit;
        if let Some(uid) = self.sender.uid.filter(|_| user) {
            lines.push_str(&format!(" users = [\"{uid}\"]"));
        }
        if let Some(name) = self.sender.unit.as_ref().filter(|_| unit) {
            lines.push_str(&format!(" units = [{name:?}]"));
        }
        lines
    }
}

/// Who may tell of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Senders {
    /// Those that the definitions and the configuration name.
    Trusted,
    /// Anybody: for journals of other hosts, whose users and units have other names.
    Any,
}

/// Takes in the entry that `reader` stands on.
///
/// # Errors
/// When the journal can't be read.
pub fn take(
    reader: &mut Reader,
    recogniser: &Recogniser,
    senders: Senders,
) -> Result<Intake, JournalError> {
    let Some(identifier) = reader.identifier()? else {
        return Ok(Intake::Nothing);
    };
    let Some(message) = reader.message()? else {
        return Ok(Intake::Nothing);
    };
    let Some(verdict) = recogniser.recognise(&identifier, &message) else {
        return Ok(Intake::Nothing);
    };
    if !reader.is_unambiguous()? {
        return Ok(Intake::Nothing);
    }
    let event = Event {
        time: reader.time()?,
        server: verdict.server.name.clone(),
        kind: verdict.kind,
    };
    if senders == Senders::Any {
        return Ok(Intake::Event(event));
    }
    let sender = reader.sender()?;
    match verdict.server.trust.check(&sender) {
        Ok(()) => Ok(Intake::Event(event)),
        // A start lists nobody and names nobody: there is nothing to report.
        Err(_) if event.kind == EventKind::Start => Ok(Intake::Nothing),
        Err(why) => Ok(Intake::Refused(Refused { event, sender, why })),
    }
}
