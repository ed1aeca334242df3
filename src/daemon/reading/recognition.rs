//! Recognition: a thread that takes in what the reader has read, and hands events to the loop.
//!
//! Apart from the reader, so that while a journal is caught up with, one reads and the other
//! recognises.

use std::sync::Arc;
use std::thread;

use super::message::FromReader;
use crate::daemon::plan::NamedSource;
use crate::intake::{Intake, Senders, Taker};
use crate::journal::entry_channel::{self, Entries, EntryReceiver, EntrySender};
use crate::servers::{Recogniser, Unknown};

pub use crate::journal::entry_channel::NobodyListens;

/// How many batches of entries may wait: it bounds what is in memory.
const BATCHES: usize = 2;

/// What the reader hands over, and what the loop is to be told.
pub type Read = entry_channel::Read<FromReader>;
/// The reader's end.
pub type ToRecognition = EntrySender<FromReader>;

/// Starts the thread, for the entries of a source. It ends when `events` or the returned end is dropped: at its next message.
///
/// # Errors
/// When there is no thread to be had.
pub fn start(
    recogniser: Arc<Recogniser>,
    source: NamedSource,
    events: tokio::sync::mpsc::Sender<FromReader>,
) -> std::io::Result<ToRecognition> {
    let (reader, reads) = entry_channel::channel(BATCHES);
    thread::Builder::new()
        .name("recognition".to_owned())
        .spawn(move || {
            let mut recognition = Recognition {
                taker: new_taker(&recogniser, &source),
                recogniser,
                source,
                events,
            };
            recognition.take_all(&reads)
        })?;
    Ok(reader)
}

struct Recognition {
    recogniser: Arc<Recogniser>,
    source: NamedSource,
    taker: Taker,
    events: tokio::sync::mpsc::Sender<FromReader>,
}

fn new_taker(recogniser: &Arc<Recogniser>, source: &NamedSource) -> Taker {
    source.taker(recogniser, Senders::Trusted, Unknown::PassOn)
}

impl Recognition {
    /// Takes in what a reader hands over, up to its end.
    fn take_all(&mut self, reads: &EntryReceiver<FromReader>) -> Result<(), NobodyListens> {
        while let Some(read) = reads.next() {
            let message = match read {
                Read::Beginning => {
                    self.taker = new_taker(&self.recogniser, &self.source);
                    continue;
                }
                Read::Before(entries) => {
                    drop(self.take(&entries));
                    reads.give_back(entries);
                    continue;
                }
                Read::Batch(entries, last) => {
                    let intakes = self.take(&entries);
                    reads.give_back(entries);
                    FromReader::Batch { intakes, last }
                }
                Read::Told(message) => message,
            };
            if self.events.blocking_send(message).is_err() {
                return Err(NobodyListens);
            }
        }
        Ok(())
    }

    fn take(&mut self, entries: &Entries) -> Vec<Intake> {
        // Most entries are events: a vector that grows is copied again and again.
        let mut intakes = Vec::with_capacity(entries.len());
        let taken = entries.iter().map(|entry| self.taker.take(entry));
        intakes
            .extend(taken.filter(|intake| !matches!(intake, Intake::Nothing | Intake::Noted(_))));
        intakes
    }
}
