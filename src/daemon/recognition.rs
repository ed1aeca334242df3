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
        reader.read(&mut self.room[self.len])?;
        self.len += 1;
        Ok(())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.len
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
    /// What the loop is to be told.
    Told(FromReader),
}

/// The reader's end.
pub struct ToRecognition {
    sender: SyncSender<Read>,
    emptied: Receiver<Entries>,
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

/// Starts the thread. It ends when `events` or the returned end is dropped: at its next message.
///
/// # Errors
/// When there is no thread to be had.
pub fn start(
    recogniser: Arc<Recogniser>,
    events: tokio::sync::mpsc::Sender<FromReader>,
) -> std::io::Result<ToRecognition> {
    let (sender, receiver) = mpsc::sync_channel(BATCHES);
    let (back, emptied) = mpsc::channel();
    thread::Builder::new()
        .name("recognition".to_owned())
        .spawn(move || recognise(&recogniser, &receiver, &back, &events))?;
    Ok(ToRecognition { sender, emptied })
}

fn recognise(
    recogniser: &Arc<Recogniser>,
    receiver: &Receiver<Read>,
    back: &Sender<Entries>,
    events: &tokio::sync::mpsc::Sender<FromReader>,
) {
    let new_taker = || Taker::new(recogniser.clone(), Senders::Trusted, Unknown::PassOn);
    let mut taker = new_taker();
    // A reader that has ended wants no room.
    let give_back = |mut entries: Entries| {
        entries.len = 0;
        let _ = back.send(entries);
    };
    while let Ok(read) = receiver.recv() {
        let message = match read {
            Read::Beginning => {
                taker = new_taker();
                continue;
            }
            Read::Before(entries) => {
                entries.iter().for_each(|entry| drop(taker.take(entry)));
                give_back(entries);
                continue;
            }
            Read::Batch(entries, position) => {
                // Most entries are events: a vector that grows is copied again and again.
                let mut intakes = Vec::with_capacity(entries.len());
                intakes.extend(
                    (entries.iter().map(|entry| taker.take(entry)))
                        .filter(|intake| !matches!(intake, Intake::Nothing | Intake::Noted(_))),
                );
                give_back(entries);
                FromReader::Batch { intakes, position }
            }
            Read::Told(message) => message,
        };
        if events.blocking_send(message).is_err() {
            return;
        }
    }
}
