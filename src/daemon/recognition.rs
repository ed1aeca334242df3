//! Recognition: a thread that takes in what the reader has read, and hands events to the loop.
//!
//! Apart from the reader, as to read an entry takes libsystemd longer than all the rest: while a
//! journal is caught up with, one reads and the other recognises. Order is kept, so that whatever
//! the reader tells comes behind the entries that it read before. Room for entries goes back to the
//! reader.

use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender, SyncSender};
use std::thread;

use super::reader::FromReader;
use crate::intake::{Intake, Senders, Taker};
use crate::journal::{Entry, JournalError, Position, Reader};
use crate::servers::{Recogniser, Unknown};

/// How many batches of entries may wait: it bounds what is in memory.
const BATCHES: usize = 2;

/// Entries in their order, in room that is used again.
#[derive(Debug, Default)]
pub struct Entries {
    room: Vec<Entry>,
    len: usize,
    text: usize,
}

impl Entries {
    /// Adds the entry that `reader` stands on.
    ///
    /// # Errors
    /// When it can't be read; then it is not added.
    pub fn add(&mut self, reader: &mut Reader) -> Result<(), JournalError> {
        if self.len == self.room.len() {
            self.room.push(Entry::default());
        }
        let entry = &mut self.room[self.len];
        reader.read(entry)?;
        self.text += entry.message.len() + entry.identifier.len();
        self.len += 1;
        Ok(())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// How long their texts are, in bytes.
    pub fn text(&self) -> usize {
        self.text
    }

    fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.room[..self.len].iter()
    }
}

/// What the reader hands over.
#[derive(Debug)]
pub enum Read {
    /// Reading begins, here or anew: what was before tells nothing of what follows.
    Beginning,
    /// Entries from before the place where reading begins, for what they tell of the lines that
    /// follow. Their events have been told already.
    Before(Entries),
    /// Entries, up to this place.
    Batch(Entries, Position),
    /// All that another reader hands over comes here, up to its end.
    Chapter(Reads),
    /// What the loop is to be told.
    Told(FromReader),
}

/// A reader's end.
pub struct ToRecognition {
    sender: SyncSender<Read>,
    emptied: Receiver<Entries>,
}

/// What a reader hands over, as it comes.
#[derive(Debug)]
pub struct Reads {
    receiver: Receiver<Read>,
    back: Sender<Entries>,
}

/// Nobody receives any more.
#[derive(Debug)]
pub struct NobodyListens;

impl ToRecognition {
    /// Hands over.
    ///
    /// # Errors
    /// When nobody receives any more.
    pub fn send(&self, read: Read) -> Result<(), NobodyListens> {
        self.sender.send(read).map_err(|_| NobodyListens)
    }

    /// Room for entries.
    pub fn room(&self) -> Entries {
        self.emptied.try_recv().unwrap_or_default()
    }
}

/// A channel from a reader to recognition, in which so much may wait.
pub fn channel(most: usize) -> (ToRecognition, Reads) {
    let (sender, receiver) = mpsc::sync_channel(most);
    let (back, emptied) = mpsc::channel();
    (ToRecognition { sender, emptied }, Reads { receiver, back })
}

/// Starts the thread. It ends when `events` or the returned end is dropped: at its next message.
///
/// # Errors
/// When there is no thread to be had.
pub fn start(
    recogniser: Arc<Recogniser>,
    events: tokio::sync::mpsc::Sender<FromReader>,
) -> std::io::Result<ToRecognition> {
    let (reader, reads) = channel(BATCHES);
    thread::Builder::new()
        .name("recognition".to_owned())
        .spawn(move || {
            let mut recognition = Recognition {
                taker: new_taker(&recogniser),
                recogniser,
                events,
            };
            recognition.take_all(&reads)
        })?;
    Ok(reader)
}

struct Recognition {
    recogniser: Arc<Recogniser>,
    taker: Taker,
    events: tokio::sync::mpsc::Sender<FromReader>,
}

fn new_taker(recogniser: &Arc<Recogniser>) -> Taker {
    Taker::new(recogniser.clone(), Senders::Trusted, Unknown::PassOn)
}

impl Recognition {
    /// Takes in what a reader hands over, up to its end.
    fn take_all(&mut self, reads: &Reads) -> Result<(), NobodyListens> {
        // A reader that has ended wants no room.
        let give_back = |mut entries: Entries| {
            (entries.len, entries.text) = (0, 0);
            let _ = reads.back.send(entries);
        };
        while let Ok(read) = reads.receiver.recv() {
            let message = match read {
                Read::Beginning => {
                    self.taker = new_taker(&self.recogniser);
                    continue;
                }
                Read::Before(entries) => {
                    drop(self.take(&entries));
                    give_back(entries);
                    continue;
                }
                Read::Chapter(reads) => {
                    self.take_all(&reads)?;
                    continue;
                }
                Read::Batch(entries, position) => {
                    let intakes = self.take(&entries);
                    give_back(entries);
                    FromReader::Batch { intakes, position }
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
