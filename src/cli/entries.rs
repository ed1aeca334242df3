//! All entries of a journal, in order, for commands that tell what is in it.
//!
//! Reads as the service does when it catches up: in a thread of its own. Takes nothing for anything.

use std::thread;

use jiff::Timestamp;

use super::CommandError;
use crate::daemon::NamedSource;
use crate::diagnostics;
use crate::journal::batch::{self, End, Failure};
use crate::journal::entry_channel::{self, EntryReceiver, EntrySender, Read};
use crate::journal::{Entry, Match, Reader, Source};

/// How many batches of entries may wait: it bounds what is in memory.
const BATCHES: usize = 16;

/// Calls `take` for each of these entries that is not older than `from` and not newer than
/// `until`.
pub(super) fn each(
    source: &Source,
    wanted: &[Match],
    from: Timestamp,
    until: Timestamp,
    mut take: impl FnMut(&Entry) -> Result<(), CommandError>,
) -> Result<(), CommandError> {
    let (to, reads) = entry_channel::channel(BATCHES);
    thread::scope(|scope| {
        let reader = thread::Builder::new()
            .name("reader".to_owned())
            .spawn_scoped(scope, move || read(source, wanted, from, &to))
            .map_err(CommandError::Thread)?;
        let taken = take_all(&reads, until, &mut take);
        // Who has seen enough lets the reader end.
        drop(reads);
        let read = reader.join();
        taken?;
        match read {
            Ok(Err(Failure::Journal(error))) => Err(error.into()),
            Ok(Err(Failure::NobodyListens) | Ok(())) => Ok(()),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    })
}

/// Takes in what a reader hands over.
fn take_all(
    reads: &EntryReceiver<()>,
    until: Timestamp,
    take: &mut impl FnMut(&Entry) -> Result<(), CommandError>,
) -> Result<(), CommandError> {
    while let Some(read) = reads.next() {
        if let Read::Batch(entries, _) = read {
            for entry in entries.iter() {
                if entry.time > until {
                    return Ok(());
                }
                take(entry)?;
            }
            reads.give_back(entries);
        }
    }
    Ok(())
}

/// Hands over all there is.
fn read(
    source: &Source,
    wanted: &[Match],
    from: Timestamp,
    to: &EntrySender<()>,
) -> Result<(), Failure> {
    let mut reader = Reader::open(source, wanted.iter().cloned())?;
    for file in reader.files().unreadable() {
        leave_out(&file.to_string());
    }
    reader.hurry()?;
    reader.seek_time(from)?;
    while batch::read(&mut reader, to, false)?.end != End::OfJournal {}
    Ok(())
}

/// Another source than that of `[journal]` is left out if it can't be read: those that can are of use
/// all the same.
pub(super) fn or_left_out(
    source: &NamedSource,
    read: Result<(), CommandError>,
) -> Result<(), CommandError> {
    match (&source.name, read) {
        (Some(name), Err(CommandError::Journal(error))) => {
            leave_out(&format!("source {name}: {error}"));
            Ok(())
        }
        (_, read) => read,
    }
}

/// Says that this can't be read. A command says nothing on standard error unless it begins to.
fn leave_out(what: &str) {
    diagnostics::install();
    diagnostics::warning(&format!("{what}; it is left out"));
}
