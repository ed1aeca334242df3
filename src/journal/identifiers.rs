//! Which identifiers have written to a journal: by its index, without reading entries.

use std::collections::HashSet;

use jiff::Timestamp;
use systemd::journal::Journal;

use super::microseconds;

const FIELD: &str = "SYSLOG_IDENTIFIER";

/// A journal's list of identifiers is not read further than this. Anybody on the host can write
/// under ever new ones, and each is then looked up in each of its files.
const MANY: usize = 256;

/// Looks for the entries of these identifiers from the next seek on.
pub(super) fn look_for<'a>(
    journal: &mut Journal,
    identifiers: impl IntoIterator<Item = &'a String>,
) -> Result<(), systemd::Error> {
    journal.match_flush()?;
    for identifier in identifiers {
        journal.match_add(FIELD, identifier.as_str())?;
    }
    Ok(())
}

/// Those of `identifiers` that have written anything, or anything since then. Afterwards, nobody
/// knows where the journal is and what is looked for.
pub(super) fn known(
    journal: &mut Journal,
    identifiers: &[String],
    since: Option<Timestamp>,
) -> Result<Vec<String>, systemd::Error> {
    let listed = listed(journal);
    let mut known = Vec::new();
    for identifier in identifiers {
        let is_known = match (&listed, since) {
            (Some(listed), _) if !listed.contains(identifier.as_bytes()) => false,
            (Some(_), None) => true,
            _ => has_written(journal, identifier, since)?,
        };
        if is_known {
            known.push(identifier.clone());
        }
    }
    Ok(known)
}

/// Whether it is certain that of `identifiers` only those in `known`, which are in their order, have
/// written anything. The journal stays where it is.
pub(super) fn is_known(journal: &mut Journal, identifiers: &[String], known: &[String]) -> bool {
    let Some(listed) = listed(journal) else {
        return false;
    };
    let have_written = identifiers.iter().filter(|i| listed.contains(i.as_bytes()));
    have_written.eq(known)
}

/// The journal's own list: of all that have written, and perhaps of some whose entries are yet to
/// come. `None` if it is long, or can't be read to its end.
fn listed(journal: &mut Journal) -> Option<HashSet<Vec<u8>>> {
    let mut listed = HashSet::new();
    journal.query_unique(FIELD).ok()?;
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
    identifier: &String,
    since: Option<Timestamp>,
) -> Result<bool, systemd::Error> {
    look_for(journal, [identifier])?;
    match since {
        Some(since) => journal.seek_realtime_usec(microseconds(since))?,
        None => journal.seek_head()?,
    }
    Ok(journal.next()? > 0)
}
