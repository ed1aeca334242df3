//! The reader: a thread that waits for the journal, recognises, and hands over events.
//!
//! The journal handle can't leave its thread, and waiting for it blocks. The thread keeps no
//! state of its own but its place; whatever it can't read it tries again, from where it was.

use std::cell::Cell;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::mpsc;

use crate::intake::{Intake, Senders, Taker};
use crate::journal::{Entry, JournalError, Position, Reader, Resumed, Source};
use crate::servers::{CONNECT_LIFETIME, Recogniser, Unknown};

/// How many entries make a batch, at most: it bounds what is in memory and what is read again.
const BATCH: usize = 128;
/// How many batches may wait for the loop.
const BATCHES: usize = 64;
/// The pause after the first trouble with the journal; it doubles with each.
const FIRST_RETRY: Duration = Duration::from_millis(100);
/// A wait of no time at all would return at once, again and again.
const SHORTEST_WAIT: Duration = Duration::from_millis(10);
/// After so many failures in a row, an entry that can't be read is taken for damaged and left out:
/// better to lose that one than to be deaf.
const UNREADABLE: u32 = 3;
/// The longest pause between two tries.
const LONGEST_RETRY: Duration = Duration::from_secs(5);

/// Where to begin.
#[derive(Debug, Clone)]
pub enum Begin {
    /// At the first entry that is not older.
    At(Timestamp),
    /// Behind this entry; if it is gone, at its time, but not before the other.
    Behind(Position, Timestamp),
}

/// What the reader tells the loop.
#[derive(Debug)]
pub enum FromReader {
    /// Entries were read up to `position`.
    Batch {
        /// What they were taken for, in order.
        intakes: Vec<Intake>,
        /// The last of them, whatever it was taken for.
        position: Position,
    },
    /// All there was has been read.
    CaughtUp,
    /// The reader is alive, and nothing has happened.
    Beat,
    /// The place in the journal is gone; it reads from here.
    CursorGone(Timestamp),
    /// The journal can't be read for now.
    Trouble(JournalError),
    /// The journal can be read again.
    Recovered,
}

/// Starts a reader. It ends when nobody receives any more: at its next message, or within `beat`.
///
/// # Errors
/// When there is no thread to be had.
pub fn start(
    source: Source,
    recogniser: Arc<Recogniser>,
    begin: Begin,
    beat: Duration,
) -> std::io::Result<mpsc::Receiver<FromReader>> {
    let (sender, receiver) = mpsc::channel(BATCHES);
    thread::Builder::new()
        .name("reader".to_owned())
        .spawn(move || {
            let taker = Taker::new(recogniser.clone(), Senders::Trusted, Unknown::PassOn);
            let mut thread = Thread {
                source,
                recogniser,
                taker,
                entry: Entry::default(),
                begin,
                beat,
                sender,
                caught_up: false,
                told: Cell::new(Instant::now()),
            };
            let mut failures = 0;
            // The loop has left when a message finds no receiver.
            loop {
                let error = match thread.read(&mut failures) {
                    Err(Stop::Journal(error)) => error,
                    Err(Stop::Outdated) => continue,
                    Err(Stop::NobodyListens) | Ok(()) => return,
                };
                let pause = FIRST_RETRY
                    .saturating_mul(1 << failures.min(10))
                    .min(LONGEST_RETRY);
                failures += 1;
                if thread.tell(FromReader::Trouble(error)).is_err() {
                    return;
                }
                thread::sleep(pause);
            }
        })?;
    Ok(receiver)
}

struct Thread {
    source: Source,
    recogniser: Arc<Recogniser>,
    taker: Taker,
    /// The entry that was read last; kept for its room.
    entry: Entry,
    begin: Begin,
    beat: Duration,
    sender: mpsc::Sender<FromReader>,
    caught_up: bool,
    /// When the loop was told something last.
    told: Cell<Instant>,
}

/// Why reading stopped.
enum Stop {
    Journal(JournalError),
    /// The journal is to be opened again, as there is more of it.
    Outdated,
    NobodyListens,
}

impl From<JournalError> for Stop {
    fn from(error: JournalError) -> Self {
        Stop::Journal(error)
    }
}

impl Thread {
    fn tell(&self, message: FromReader) -> Result<(), Stop> {
        self.told.set(Instant::now());
        self.sender
            .blocking_send(message)
            .map_err(|_| Stop::NobodyListens)
    }

    /// Opens the journal and reads it until there is trouble.
    fn read(&mut self, failures: &mut u32) -> Result<(), Stop> {
        let mut reader = Reader::open(&self.source, self.recogniser.identifiers())?;
        reader.hurry()?;
        let recogniser = self.recogniser.clone();
        self.taker = Taker::new(recogniser, Senders::Trusted, Unknown::PassOn);
        self.look_back(&mut reader)?;
        match &self.begin {
            Begin::At(time) => reader.seek_time(*time)?,
            Begin::Behind(position, oldest) => {
                if reader.resume(position)? == Resumed::CursorGone {
                    let from = position.time.max(*oldest);
                    reader.seek_time(from)?;
                    self.tell(FromReader::CursorGone(from))?;
                }
            }
        }
        loop {
            let at_end = self.read_batch(&mut reader, *failures >= UNREADABLE)?;
            if *failures > 0 {
                *failures = 0;
                self.tell(FromReader::Recovered)?;
            }
            if at_end {
                if !self.caught_up {
                    self.caught_up = true;
                    self.tell(FromReader::CaughtUp)?;
                }
                // Other entries wake us too; the loop need not hear of them.
                let silent = self.told.get().elapsed();
                if silent >= self.beat {
                    self.tell(FromReader::Beat)?;
                }
                reader.wait(self.beat.saturating_sub(silent).max(SHORTEST_WAIT))?;
                if reader.is_outdated() {
                    return Err(Stop::Outdated);
                }
            }
        }
    }

    /// Reads what came shortly before the place where reading begins, for what it tells of the
    /// lines that follow. Its events have been told already.
    fn look_back(&mut self, reader: &mut Reader) -> Result<(), JournalError> {
        let (begin, place) = match &self.begin {
            Begin::At(time) => (*time, None),
            Begin::Behind(position, _) => (position.time, Some(position.clone())),
        };
        if !self.taker.ties_lines() {
            return Ok(());
        }
        reader.seek_time(
            begin
                .checked_sub(CONNECT_LIFETIME)
                .unwrap_or(Timestamp::MIN),
        )?;
        while reader.next()? {
            let time = reader.time()?;
            if time > begin || (place.is_none() && time == begin) {
                break;
            }
            // What can't be read tells nothing.
            if reader.read(&mut self.entry).is_ok() {
                self.taker.take(&self.entry);
            }
            if let Some(place) = &place
                && reader.is_at(place)?
            {
                break;
            }
        }
        Ok(())
    }

    /// Reads to the end, or for a batch. True at the end.
    ///
    /// With `skip`, entries that can't be read are left out.
    fn read_batch(&mut self, reader: &mut Reader, skip: bool) -> Result<bool, Stop> {
        let mut intakes = Vec::new();
        let mut read = 0;
        let at_end = loop {
            // After an error the whole batch is read again: the last place that is known is
            // before it, and events that come twice change nothing.
            match self.read_entry(reader, skip)? {
                None => break true,
                Some(Intake::Nothing | Intake::Noted(_)) => {}
                Some(intake) => intakes.push(intake),
            }
            read += 1;
            if read == BATCH {
                break false;
            }
        };
        if read > 0 {
            let position = reader.position()?;
            let oldest = match self.begin {
                Begin::At(time) | Begin::Behind(_, time) => time,
            };
            self.begin = Begin::Behind(position.clone(), oldest);
            self.tell(FromReader::Batch { intakes, position })?;
        }
        Ok(at_end)
    }

    fn read_entry(
        &mut self,
        reader: &mut Reader,
        skip: bool,
    ) -> Result<Option<Intake>, JournalError> {
        if !reader.next()? {
            return Ok(None);
        }
        match reader.read(&mut self.entry) {
            Err(_) if skip => Ok(Some(Intake::Nothing)),
            Err(error) => Err(error),
            Ok(()) => Ok(Some(self.taker.take(&self.entry))),
        }
    }
}
