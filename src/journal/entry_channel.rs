//! Hands entries from the thread that reads them to the one that takes them in.
//!
//! To read an entry takes libsystemd longer than all the rest: so one reads while the other takes in.
//! Order is kept, so that whatever a reader tells comes behind the entries that it read before. Room
//! for entries goes back to the reader. Must never look into an entry.

use std::sync::mpsc::{self, Receiver, Sender, SyncSender};

use super::{Entry, JournalError, Position, Reader};

/// Entries in their order, in room that is used again.
#[derive(Debug, Default)]
pub struct Entries {
    room: Vec<Entry>,
    len: usize,
    text: usize,
}

impl Entries {
    /// Adds the entry that `reader` stands on, and returns it.
    ///
    /// # Errors
    /// When it can't be read; then it is not added.
    pub fn add(&mut self, reader: &mut Reader) -> Result<&Entry, JournalError> {
        if self.len == self.room.len() {
            self.room.push(Entry::default());
        }
        let entry = &mut self.room[self.len];
        reader.read(entry)?;
        self.text += entry.message.len() + entry.identifier.len();
        self.len += 1;
        Ok(entry)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// How long their texts are, in bytes.
    pub fn text(&self) -> usize {
        self.text
    }

    /// The entries.
    pub fn iter(&self) -> impl Iterator<Item = &Entry> {
        self.room[..self.len].iter()
    }
}

/// The last entry of those that are handed over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Last {
    /// Its place.
    pub position: Position,
    /// Set if journald may still be writing it.
    pub unsettled: Option<Unsettled>,
}

/// What is known of an entry that journald may still be writing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsettled {
    /// How many of its fields could be read.
    pub fields: usize,
    /// The place of the one before it, if that is handed over with it.
    pub before: Option<Position>,
}

/// What a reader hands over; beside entries, it can tell a `T`.
#[derive(Debug)]
pub enum Read<T> {
    /// Reading begins, here or anew: what was before tells nothing of what follows.
    Beginning,
    /// Entries from before the place where reading begins, for what they tell of the lines that
    /// follow. Their events have been told already.
    Before(Entries),
    /// Entries, up to this one.
    Batch(Entries, Last),
    /// What else there is to tell.
    Told(T),
}

/// A reader's end.
pub struct EntrySender<T> {
    sender: SyncSender<Read<T>>,
    emptied: Receiver<Entries>,
}

/// What a reader hands over, as it comes.
#[derive(Debug)]
pub struct EntryReceiver<T> {
    receiver: Receiver<Read<T>>,
    back: Sender<Entries>,
}

/// Nobody receives any more.
#[derive(Debug)]
pub struct NobodyListens;

impl<T> EntrySender<T> {
    /// Hands over.
    ///
    /// # Errors
    /// When nobody receives any more.
    pub fn send(&self, read: Read<T>) -> Result<(), NobodyListens> {
        self.sender.send(read).map_err(|_| NobodyListens)
    }

    /// Room for entries.
    pub fn room(&self) -> Entries {
        self.emptied.try_recv().unwrap_or_default()
    }
}

impl<T> EntryReceiver<T> {
    /// What comes next; none when the reader has ended.
    pub fn next(&self) -> Option<Read<T>> {
        self.receiver.recv().ok()
    }

    /// Gives room back to the reader.
    pub fn give_back(&self, mut entries: Entries) {
        (entries.len, entries.text) = (0, 0);
        // A reader that has ended wants none.
        let _ = self.back.send(entries);
    }
}

/// From a reader to who takes its entries in; so much may wait.
pub fn channel<T>(most: usize) -> (EntrySender<T>, EntryReceiver<T>) {
    let (sender, receiver) = mpsc::sync_channel(most);
    let (back, emptied) = mpsc::channel();
    (
        EntrySender { sender, emptied },
        EntryReceiver { receiver, back },
    )
}
