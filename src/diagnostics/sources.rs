//! What is said of sources: that one can't be read, and from where on it is; and what they are called in
//! other messages, where there are several.
//!
//! Must never call a source by the name of another.

use std::collections::BTreeMap;

use jiff::Timestamp;
use log::{debug, info, warn};

use super::{clock_off, local_time, message_id as id};
use crate::origin::Id;

/// The names of the sources; of none if there is only one.
#[derive(Debug, Clone, Default)]
pub struct SourceNames(BTreeMap<Id, String>);

impl SourceNames {
    /// Those of all sources that are read.
    pub fn new(names: impl IntoIterator<Item = (Id, String)>) -> Self {
        let names: BTreeMap<Id, String> = names.into_iter().collect();
        match names.len() {
            1 => SourceNames::default(),
            _ => SourceNames(names),
        }
    }

    /// What a source is called; `None` if it is the only one, or is read no more.
    #[must_use]
    pub fn name(&self, source: Id) -> Option<&str> {
        self.0.get(&source).map(String::as_str)
    }

    /// The same, to be kept.
    #[must_use]
    pub fn owned(&self, source: Id) -> Option<String> {
        self.name(source).map(str::to_owned)
    }
}

/// An entry was read while journald was writing it, and not all of it was there.
pub fn read_too_early(written: Timestamp) {
    debug!(
        "the entry of {} was read before journald had written all of it; reading it again",
        local_time(written)
    );
}

/// The place in the journal is gone: vacuumed, or of another journal.
pub fn cursor_gone(source: Option<&str>, from: Timestamp) {
    let of = of_source(source);
    warn!(
        MESSAGE_ID = id::CURSOR_GONE, POP_BEFORE_SMTP_SOURCE = source;
        "{of}the entry that was read last is no longer in the journal (vacuumed?); reading from {}",
        local_time(from)
    );
}

/// The place in the journal is in the future: the clock was wrong, then or now.
pub fn cursor_in_the_future(source: Option<&str>, position: Timestamp, from: Timestamp) {
    let of = of_source(source);
    warn!(
        MESSAGE_ID = id::CURSOR_GONE, POP_BEFORE_SMTP_SOURCE = source;
        "{of}the journal was read up to {}, which is in the future: is the clock right? Reading from \
         {}", local_time(position), local_time(from)
    );
}

/// Another host's clock is so many seconds ahead: more than is allowed for.
pub fn source_ahead(source: Option<&str>, seconds: i64) {
    let of = of_source(source);
    warn!(
        MESSAGE_ID = id::NOTICE, POP_BEFORE_SMTP_SOURCE = source;
        "{of}{}", clock_off(seconds)
    );
}

/// How a message begins that is about a source which has a name.
pub fn of_source(name: Option<&str>) -> String {
    name.map(|name| format!("source {name}: "))
        .unwrap_or_default()
}

/// A server in a sentence, with the source that tells of it, if there are several.
pub fn at_source(server: &str, source: Option<&str>) -> String {
    match source {
        Some(source) => format!("{server} (source {source})"),
        None => server.to_owned(),
    }
}

/// The journal can't be read for now.
pub fn journal_trouble(source: Option<&str>, error: &str) {
    let of = of_source(source);
    warn!(
        MESSAGE_ID = id::JOURNAL_TROUBLE, POP_BEFORE_SMTP_SOURCE = source;
        "{of}{error}; trying again"
    );
}

/// The journal can be read again.
pub fn journal_recovered(source: Option<&str>) {
    let of = of_source(source);
    info!(
        MESSAGE_ID = id::JOURNAL_RECOVERED, POP_BEFORE_SMTP_SOURCE = source;
        "{of}the journal can be read again"
    );
}

/// Some of the journal's files can't be read.
pub fn journal_incomplete(source: Option<&str>, files: &str) {
    let of = of_source(source);
    warn!(
        MESSAGE_ID = id::JOURNAL_INCOMPLETE, POP_BEFORE_SMTP_SOURCE = source;
        "{of}{files}"
    );
}

/// Files of the journal can be read that could not.
pub fn reading_again(source: Option<&str>, from: Timestamp) {
    let of = of_source(source);
    info!(
        MESSAGE_ID = id::JOURNAL_RECOVERED, POP_BEFORE_SMTP_SOURCE = source;
        "{of}files of the journal can be read that could not be; reading it again from {}",
        local_time(from)
    );
}
