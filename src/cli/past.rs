//! What the journal tells of a client or a user: what servers wrote, by the same definitions that
//! the service uses, and what the service itself logged.
//!
//! Reads the journal; asks nobody, shows nothing.

use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use super::test::line::{Line, Show, Summary};
use super::test::story::Story;
use super::{CommandError, entries};
use crate::client::Client;
use crate::config::Settings;
use crate::daemon::{self, NamedSource};
use crate::diagnostics::{at_source, message_id as id, printable};
use crate::intake::{Senders, wanted};
use crate::journal::JournalError;
use crate::journal::own::{OwnMessage, OwnReader};
use crate::networks::Networks;
use crate::servers::{CONNECT_LIFETIME, Recogniser, Unknown};

/// Whose past.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum About {
    Client(Client),
    User(String),
}

/// Something that has happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Item {
    pub(super) time: Timestamp,
    /// One word: `login`, `logout` and `refused` come from a server (or from somebody who imitates
    /// one), the others from this service.
    pub(super) event: &'static str,
    pub(super) client: Option<String>,
    pub(super) user: Option<String>,
    pub(super) server: Option<String>,
    /// The source that tells of it, if there are several.
    pub(super) source: Option<String>,
    /// A sentence for people; it may hold control characters.
    pub(super) text: String,
}

impl About {
    fn field(&self) -> (&'static str, String) {
        match self {
            About::Client(client) => ("POP_BEFORE_SMTP_CLIENT", client.to_string()),
            // As the service writes it.
            About::User(name) => ("POP_BEFORE_SMTP_USER", printable(name)),
        }
    }

    fn is_meant(&self, line: &Line) -> bool {
        match self {
            About::Client(client) => line.client == Some(*client),
            About::User(name) => line.user.as_ref() == Some(name),
        }
    }
}

/// Calls `each` for everything that happened from `since` to `until`, in order.
pub(super) fn tell(
    settings: &Settings,
    about: &About,
    since: Timestamp,
    until: Timestamp,
    mut each: impl FnMut(Item) -> Result<(), CommandError>,
) -> Result<(), CommandError> {
    let mut own = Own::open(about, since, until)?;
    tell_of_servers(settings, about, since, until, |item| {
        while let Some(message) = own.take_before(item.time)? {
            each(own_item(message))?;
        }
        each(item)
    })?;
    while let Some(message) = own.take_before(Timestamp::MAX)? {
        each(own_item(message))?;
    }
    Ok(())
}

/// The last of our own messages, in order.
pub(super) fn last_messages(about: &About, most: usize) -> Result<Vec<Item>, JournalError> {
    let (field, value) = about.field();
    let mut reader = OwnReader::open(field, &value)?;
    reader.seek_end()?;
    let mut items = Vec::new();
    while items.len() < most
        && let Some(message) = reader.previous()?
    {
        items.push(own_item(message));
    }
    items.reverse();
    Ok(items)
}

/// What servers, or those who imitate one, wrote about it, in order.
pub(super) fn tell_of_servers(
    settings: &Settings,
    about: &About,
    since: Timestamp,
    until: Timestamp,
    mut each: impl FnMut(Item) -> Result<(), CommandError>,
) -> Result<(), CommandError> {
    let recogniser = Arc::new(daemon::recogniser(settings)?);
    let never = Networks::from(settings.never.clone());
    let sources = daemon::sources(settings);
    if let [source] = sources.as_slice() {
        let each = |line| each(server_item(line, None, &never));
        return tell_of_source(source, &recogniser, about, since, until, each);
    }
    // Few of the entries are about one client or user.
    let mut lines = Vec::new();
    for source in &sources {
        let take = |line| {
            lines.push((line, source));
            Ok(())
        };
        let told = tell_of_source(source, &recogniser, about, since, until, take);
        entries::or_left_out(source, told)?;
    }
    lines.sort_by_key(|(line, _): &(Line, _)| line.time);
    let item =
        |(line, source): (_, &NamedSource)| server_item(line, Some(source.to_string()), &never);
    lines.into_iter().map(item).try_for_each(&mut each)
}

fn tell_of_source(
    source: &NamedSource,
    recogniser: &Arc<Recogniser>,
    about: &About,
    since: Timestamp,
    until: Timestamp,
    mut each: impl FnMut(Line) -> Result<(), CommandError>,
) -> Result<(), CommandError> {
    let wanted = wanted(recogniser);
    // An earlier line can name the client of one that counts.
    let begin = since.checked_sub(CONNECT_LIFETIME);
    let begin = begin.unwrap_or(Timestamp::MIN);
    let mut taker = source.taker(recogniser, Senders::Trusted, Unknown::Drop);
    let mut summary = Summary::default();
    let mut story = Story::default();
    let mut told = |story: &mut Story, now| {
        while let Some(line) = story.next(now) {
            if line.time >= since && about.is_meant(&line) {
                each(line)?;
            }
        }
        Ok::<(), CommandError>(())
    };
    entries::each(&source.journal, &wanted, begin, until, |entry| {
        let intake = taker.take(entry);
        let line = summary.count(&intake, Line::at(entry.time), Show::Events);
        story.tell(&intake, line);
        told(&mut story, entry.time)
    })?;
    told(&mut story, Timestamp::MAX)
}

/// The service's own messages, read one ahead.
struct Own {
    reader: OwnReader,
    next: Option<OwnMessage>,
    until: Timestamp,
}

impl Own {
    fn open(about: &About, since: Timestamp, until: Timestamp) -> Result<Self, JournalError> {
        let (field, value) = about.field();
        let mut reader = OwnReader::open(field, &value)?;
        reader.seek_time(since)?;
        let next = reader.next()?;
        Ok(Own {
            reader,
            next,
            until,
        })
    }

    fn take_before(&mut self, time: Timestamp) -> Result<Option<OwnMessage>, JournalError> {
        let time = time.min(self.until);
        let Some(message) = self.next.take_if(|message| message.time <= time) else {
            return Ok(None);
        };
        self.next = self.reader.next()?;
        Ok(Some(message))
    }
}

/// Whoever is in `never` logs in to no effect.
fn server_item(line: Line, source: Option<String>, never: &Networks) -> Item {
    let is_kept_out = (line.client).is_some_and(|client| never.contains(client.address()));
    let client = line.client.map(|client| client.to_string());
    let from = client.as_deref().unwrap_or("an unknown address");
    let user = line.user.as_deref().unwrap_or("somebody");
    let server = at_source(&line.server, source.as_deref());
    let text = match (line.event, &line.reason) {
        ("login", _) if is_kept_out => {
            format!("{user} logged in to {server} from {from}; 'never' keeps it off the list")
        }
        ("login", _) => format!("{user} logged in to {server} from {from}"),
        ("logout", _) => format!("{user} logged out of {server}, from {from}"),
        (_, Some(reason)) => format!("{user} to {server} from {from}: {reason}"),
        (_, None) => format!("{user} to {server} from {from}"),
    };
    Item {
        time: line.time,
        event: line.event,
        client,
        user: line.user,
        server: Some(line.server),
        source,
        text,
    }
}

fn own_item(message: OwnMessage) -> Item {
    Item {
        time: message.time,
        event: event_of(&message.id),
        client: message.client,
        user: message.user,
        server: message.server,
        source: message.source,
        text: message.text,
    }
}

/// What one of the service's messages is about, in one word.
pub(super) fn event_of(message_id: &str) -> &'static str {
    match message_id {
        id::CLIENT_ADDED => "listed",
        id::CLIENT_REMOVED => "removed",
        id::CLIENT_ALLOWED => "allowed",
        id::REVOKED => "revoked",
        id::LOGIN_PROLONGED => "prolonged",
        id::SESSION_ENDED => "ended",
        id::ENTRY_REFUSED => "distrusted",
        id::LIMIT_REACHED => "limit",
        id::LOGIN_IGNORED => "ignored",
        id::RELAY_GRANTED => "relayed",
        _ => "notice",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_login_that_lists_nobody_says_why() {
        let never = Networks::from(vec!["192.0.2.0/24".parse().unwrap()]);
        let told = |client: &str| {
            let line = Line {
                event: "login",
                ..Line::at(Timestamp::UNIX_EPOCH)
            };
            let client = Some(client.parse().unwrap());
            server_item(line.of("dovecot", client, &None, &None), None, &never).text
        };
        assert_eq!(
            told("192.0.2.10"),
            "somebody logged in to dovecot from 192.0.2.10; 'never' keeps it off the list"
        );
        assert_eq!(
            told("198.51.100.7"),
            "somebody logged in to dovecot from 198.51.100.7"
        );
    }
}
