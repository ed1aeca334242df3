//! Which identifiers, and which containers, have written to a journal: by its index, without reading
//! entries.

use std::collections::{BTreeSet, HashSet};

use jiff::Timestamp;
use systemd::journal::Journal;

use super::microseconds;

/// What entries are found by, in the journal's index.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Match {
    field: Field,
    value: String,
}

/// A field that is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Field {
    Identifier,
    ContainerName,
    ContainerTag,
}

impl Field {
    const ALL: [Field; 3] = [Field::Identifier, Field::ContainerName, Field::ContainerTag];

    fn name(self) -> &'static str {
        match self {
            Field::Identifier => "SYSLOG_IDENTIFIER",
            Field::ContainerName => "CONTAINER_NAME",
            Field::ContainerTag => "CONTAINER_TAG",
        }
    }
}

impl From<&str> for Match {
    /// This identifier.
    fn from(identifier: &str) -> Self {
        Match {
            field: Field::Identifier,
            value: identifier.to_owned(),
        }
    }
}

impl Match {
    /// Containers of this name, and those with this tag.
    #[must_use]
    pub fn of_container(name: &str) -> [Match; 2] {
        [Field::ContainerName, Field::ContainerTag].map(|field| Match {
            field,
            value: name.to_owned(),
        })
    }

    /// What is looked for.
    #[must_use]
    pub fn value(&self) -> &str {
        &self.value
    }

    /// The same as arguments of journalctl(1), in an order that says nothing.
    #[must_use]
    pub fn arguments(wanted: &[Match]) -> Vec<String> {
        let sorted: BTreeSet<&Match> = wanted.iter().collect();
        let mut arguments = Vec::new();
        let mut before = None;
        for it in sorted {
            // As in look_for().
            if before
                .replace(it.field)
                .is_some_and(|field| field != it.field)
            {
                arguments.push("+".to_owned());
            }
            arguments.push(format!("{}={}", it.field.name(), it.value));
        }
        arguments
    }

    pub(super) fn is_identifier(&self, identifier: &str) -> bool {
        self.field == Field::Identifier && self.value == identifier
    }

    pub(super) fn into_value(self) -> String {
        self.value
    }
}

/// A journal's list of identifiers is not read further than this. Anybody on the host can write
/// under ever new ones, and each is then looked up in each of its files.
const MANY: usize = 256;

/// Looks for the entries of any of these from the next seek on.
pub(super) fn look_for<'a>(
    journal: &mut Journal,
    wanted: impl IntoIterator<Item = &'a Match> + Clone,
) -> Result<(), systemd::Error> {
    journal.match_flush()?;
    // Values of one field are alternatives; those of several only with this between them
    // (sd_journal_add_match(3)).
    for field in Field::ALL {
        let of_field = wanted.clone().into_iter().filter(|it| it.field == field);
        for (n, it) in of_field.enumerate() {
            if n == 0 {
                journal.match_or()?;
            }
            journal.match_add(field.name(), it.value.as_str())?;
        }
    }
    Ok(())
}

/// Those of `wanted` that have written anything, or anything since then. Afterwards, nobody
/// knows where the journal is and what is looked for.
pub(super) fn known(
    journal: &mut Journal,
    wanted: &[Match],
    since: Option<Timestamp>,
) -> Result<Vec<Match>, systemd::Error> {
    let listed = Field::ALL.map(|field| listed(journal, field, wanted));
    let mut known = Vec::new();
    for it in wanted {
        let is_known = match (&listed[it.field as usize], since) {
            (Some(listed), _) if !listed.contains(it.value.as_bytes()) => false,
            (Some(_), None) => true,
            _ => has_written(journal, it, since)?,
        };
        if is_known {
            known.push(it.clone());
        }
    }
    Ok(known)
}

/// Whether it is certain that of `wanted` only those in `known`, which are in their order, have
/// written anything. The journal stays where it is.
pub(super) fn is_known(journal: &mut Journal, wanted: &[Match], known: &[Match]) -> bool {
    let listed = Field::ALL.map(|field| listed(journal, field, wanted));
    if listed.iter().any(Option::is_none) {
        return false;
    }
    let has_written = |it: &&Match| {
        let listed = listed[it.field as usize].as_ref();
        listed.is_some_and(|listed| listed.contains(it.value.as_bytes()))
    };
    wanted.iter().filter(has_written).eq(known)
}

/// The journal's own list: of all that have written, and perhaps of some whose entries are yet to
/// come. `None` if it is long, or can't be read to its end; empty if none is wanted.
fn listed(journal: &mut Journal, field: Field, wanted: &[Match]) -> Option<HashSet<Vec<u8>>> {
    let mut listed = HashSet::new();
    if !wanted.iter().any(|it| it.field == field) {
        return Some(listed);
    }
    journal.query_unique(field.name()).ok()?;
    while let Some(field) = journal.enumerate_unique().ok()? {
        if listed.len() == MANY {
            return None;
        }
        listed.insert(field.value()?.to_vec());
    }
    Some(listed)
}

/// One after the other costs more: in each file, even one that has never written is looked up.
fn has_written(
    journal: &mut Journal,
    wanted: &Match,
    since: Option<Timestamp>,
) -> Result<bool, systemd::Error> {
    look_for(journal, [wanted])?;
    match since {
        Some(since) => journal.seek_realtime_usec(microseconds(since))?,
        None => journal.seek_head()?,
    }
    Ok(journal.next()? > 0)
}
