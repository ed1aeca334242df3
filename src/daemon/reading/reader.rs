//! The reader: a thread that waits for the journal, and hands over entries to be recognised.
//!
//! The journal handle can't leave its thread, and waiting for it blocks. The thread keeps no
//! state of its own but its place; whatever it can't read it tries again, from where it was.

use std::cell::Cell;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use tokio::sync::mpsc;

use super::last_read::LastRead;
use super::look_requests::Asked;
use super::message::FromReader;
use super::recognition::{self, NobodyListens, Read, ToRecognition};
use super::rescan::{Rescan, Signs};
use crate::daemon::plan::NamedSource;
use crate::diagnostics;
use crate::intake::wanted;
use crate::journal::batch::{self, End};
use crate::journal::entry_channel::{Last, Unsettled};
use crate::journal::start_position::StartPosition;
use crate::journal::wait::{Bell, Wait};
use crate::journal::{Files, JournalError, NoRoom, Reader, Resumed, Source};
use crate::servers::{CONNECT_LIFETIME, Recogniser};

/// What a look from a known place counts as that has not found the place: entries of its time are
/// then read again, which changes nothing and must not be done often. The place may be gone, or
/// libsystemd passes it by, where the clock was wrong at a boot (systemd issue 31516).
const DISPLACED: Duration = Duration::from_secs(1);
/// How long after an entry another one is expected.
const LIVELY: Duration = Duration::from_secs(10);
/// How many batches may wait for the loop.
const BATCHES: usize = 32;
/// The pause after the first trouble with the journal; it doubles with each.
const FIRST_RETRY: Duration = Duration::from_millis(100);
/// A wait of no time at all would return at once, again and again.
const SHORTEST_WAIT: Duration = Duration::from_millis(10);
/// After so many failures in a row, an entry that can't be read is taken for damaged and left out:
/// better to lose that one than to be deaf.
const UNREADABLE: u32 = 3;
/// The longest pause between two tries.
const LONGEST_RETRY: Duration = Duration::from_secs(5);
/// How often at most it is looked whether all files can be read; and at least, while some can't.
const LOOK_AT_FILES: Duration = Duration::from_secs(5);

/// When a reader does something though it is told of nothing new.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// After so long without anything else to say, it says that it is alive.
    pub beat: Duration,
    /// So often it looks at the journal, if at all, as long as servers write.
    pub look: Option<Duration>,
}

/// Starts a reader, and what recognises its entries. They end when nobody receives any more: with
/// their next messages, or within two beats. It looks at the journal whenever it changes, or the
/// bell rings, and then says for whom.
///
/// # Errors
/// When there is no thread to be had.
pub fn start(
    source: NamedSource,
    recogniser: Arc<Recogniser>,
    begin: StartPosition,
    times: Times,
    asked: Asked,
) -> std::io::Result<(mpsc::Receiver<FromReader>, Bell)> {
    let (sender, receiver) = mpsc::channel(BATCHES);
    let (wait, bell) = Wait::new()?;
    let recognition = recognition::start(recogniser.clone(), source.clone(), sender)?;
    thread::Builder::new()
        .name("reader".to_owned())
        .spawn(move || {
            let mut thread = Thread {
                source: source.journal,
                recogniser,
                begin,
                unsettled: None,
                times,
                recognition,
                wait,
                asked,
                caught_up: false,
                told: Cell::new(Instant::now()),
                last_read: None,
                is_gone: false,
                files: None,
                no_room: None,
            };
            let mut failures = 0;
            // The loop has left when a message finds no receiver.
            loop {
                let error = match thread.read(&mut failures) {
                    Err(Stop::Journal(error)) => error,
                    Err(Stop::Reopen) => continue,
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
    Ok((receiver, bell))
}

struct Thread {
    source: Source,
    recogniser: Arc<Recogniser>,
    /// Whatever is before has been read whole.
    begin: StartPosition,
    /// What was read last, unless that was whole for certain.
    unsettled: Option<LastRead>,
    times: Times,
    recognition: ToRecognition,
    wait: Wait,
    asked: Asked,
    caught_up: bool,
    /// When the loop was told something last.
    told: Cell<Instant>,
    /// When an entry was read last.
    last_read: Option<Instant>,
    /// Whether the loop was told that the place is gone, and none has been found since.
    is_gone: bool,
    /// What the journal's files were when they were looked at.
    files: Option<Looked>,
    /// What the loop knows of journald's having no room.
    no_room: Option<NoRoom>,
}

/// What was found when the journal's files were looked at.
struct Looked {
    files: Files,
    when: Instant,
    /// How far the journal had been read.
    place: StartPosition,
}

/// Why reading stopped.
enum Stop {
    Journal(JournalError),
    /// The journal is to be opened again.
    Reopen,
    NobodyListens,
}

impl From<JournalError> for Stop {
    fn from(error: JournalError) -> Self {
        Stop::Journal(error)
    }
}

impl From<batch::Failure> for Stop {
    fn from(failure: batch::Failure) -> Self {
        match failure {
            batch::Failure::Journal(error) => Stop::Journal(error),
            batch::Failure::NobodyListens => Stop::NobodyListens,
        }
    }
}

impl From<NobodyListens> for Stop {
    fn from(NobodyListens: NobodyListens) -> Self {
        Stop::NobodyListens
    }
}

impl Thread {
    fn tell(&self, message: FromReader) -> Result<(), Stop> {
        self.told.set(Instant::now());
        Ok(self.recognition.send(Read::Told(message))?)
    }

    /// Opens the journal and reads it until there is trouble.
    fn read(&mut self, failures: &mut u32) -> Result<(), Stop> {
        self.unsettled = None;
        let mut reader = Reader::open(&self.source, wanted(&self.recogniser))?;
        reader.tell(&mut self.wait)?;
        self.heed(reader.files().clone())?;
        // Who asks from now on asks for another look: what is written later may escape this one.
        let mut asked = self.asked.number();
        let mut served = 0;
        reader.hurry()?;
        self.recognition.send(Read::Beginning)?;
        self.look_back(&mut reader)?;
        self.go_to(self.begin.clone(), &mut reader)?;
        let mut rescan = Rescan::new(Instant::now());
        let mut much = false;
        loop {
            let end = self.read_batch(&mut reader, *failures >= UNREADABLE)?;
            much |= end == End::Full;
            if *failures > 0 {
                *failures = 0;
                self.tell(FromReader::Recovered)?;
            }
            if end != End::OfJournal {
                continue;
            }
            if !self.caught_up {
                self.caught_up = true;
                self.tell(FromReader::CaughtUp)?;
                if much {
                    // What libsystemd has gone through stays mapped, up to half a gigabyte.
                    return Err(Stop::Reopen);
                }
            }
            if asked > served {
                served = asked;
                self.tell(FromReader::Looked(asked))?;
            }
            let told = self.await_look(&mut reader, rescan.due())?;
            asked = self.asked.number();
            let sign = Signs {
                told,
                asked: asked > served,
                newest: reader.newest()?,
                clock: Timestamp::now(),
            };
            let begin = Instant::now();
            if rescan.look(sign, begin) {
                let gone = self.go_back(&mut reader)?;
                let now = Instant::now();
                rescan.took(gone.map_or(now - begin, |_| DISPLACED), now);
            }
        }
    }

    /// Waits until the journal is to be looked at, at `due` at the latest. Says whether it has told of
    /// a change.
    fn await_look(&mut self, reader: &mut Reader, due: Option<Instant>) -> Result<bool, Stop> {
        // Other entries wake us too; the loop need not hear of them.
        let silent = self.told.get().elapsed();
        if silent >= self.times.beat {
            self.tell(FromReader::Beat)?;
        }
        let until_beat = self.times.beat.saturating_sub(silent);
        let until_due = due.map_or(Duration::MAX, |due| {
            due.saturating_duration_since(Instant::now())
        });
        let limit = until_beat.min(until_due).max(SHORTEST_WAIT);
        let look = self.times.look.filter(|_| self.is_lively());
        let limit = limit.min(look.unwrap_or(Duration::MAX));
        let limit = limit.min(self.until_look_at_files());
        let told = reader.wait(&mut self.wait, limit)?;
        if reader.is_outdated() {
            return Err(Stop::Reopen);
        }
        self.look_at_files()?;
        Ok(told)
    }

    /// How long it may be waited before files are looked at that can't be read.
    fn until_look_at_files(&self) -> Duration {
        match &self.files {
            Some(last) if !last.files.unreadable().is_empty() => LOOK_AT_FILES
                .saturating_sub(last.when.elapsed())
                .max(SHORTEST_WAIT),
            _ => Duration::MAX,
        }
    }

    /// Looks at the files again, if it is time.
    fn look_at_files(&mut self) -> Result<(), Stop> {
        let is_time = |last: &Looked| last.when.elapsed() >= LOOK_AT_FILES;
        if !self.files.as_ref().is_some_and(is_time) {
            return Ok(());
        }
        let files = Files::look(&self.source)?;
        self.heed(files)?;
        self.look_for_room()
    }

    /// Tells whether journald has room, if that has changed.
    fn look_for_room(&mut self) -> Result<(), Stop> {
        let no_room = NoRoom::look(&self.source);
        if no_room == self.no_room {
            return Ok(());
        }
        self.no_room.clone_from(&no_room);
        self.tell(FromReader::Room(no_room))
    }

    /// Tells which files can't be read, if that has changed.
    fn heed(&mut self, files: Files) -> Result<(), Stop> {
        let looked = Looked {
            files: files.clone(),
            when: Instant::now(),
            place: self.begin.clone(),
        };
        let former = self.files.replace(looked);
        let place = match former {
            Some(former) if files.can_read_more_than(&former.files) => {
                self.tell(FromReader::Again)?;
                return Err(Stop::NobodyListens);
            }
            Some(former) if former.files.unreadable() == files.unreadable() => return Ok(()),
            // What has come since may be in files that can't be read.
            Some(former) => former.place,
            None => self.begin.clone(),
        };
        let unreadable = files.unreadable().to_vec();
        let place = place.position();
        self.tell(FromReader::Files { unreadable, place })
    }

    fn is_lively(&self) -> bool {
        self.last_read.is_some_and(|read| read.elapsed() < LIVELY)
    }

    /// Reads what came shortly before the place where reading begins, for what it tells of the
    /// lines that follow. Its events have been told already.
    fn look_back(&mut self, reader: &mut Reader) -> Result<(), Stop> {
        let (begin, place) = match &self.begin {
            StartPosition::At(time) => (*time, None),
            StartPosition::Behind(position, _) => (position.time, Some(position)),
        };
        let tied = self.recogniser.identifiers_of_tied_lines();
        let tied = reader.may_have_written(tied, begin);
        if tied.is_empty() {
            return Ok(());
        }
        let mut before = Reader::open(&self.source, tied)?;
        before.hurry()?;
        before.seek_time(
            begin
                .checked_sub(CONNECT_LIFETIME)
                .unwrap_or(Timestamp::MIN),
        )?;
        let mut entries = self.recognition.room();
        while before.next()? && before.time()? < begin {
            // What can't be read tells nothing.
            if entries.add(&mut before).is_ok() && entries.len() == batch::SIZE {
                self.recognition.send(Read::Before(entries))?;
                entries = self.recognition.room();
            }
        }
        if let Some(place) = place {
            // Those of the place's own time: the place is among them, whatever its identifier.
            reader.seek_time(begin)?;
            while reader.next()? && reader.time()? <= begin {
                let _ = entries.add(reader);
                if reader.is_at(place)? {
                    break;
                }
            }
        }
        Ok(self.recognition.send(Read::Before(entries))?)
    }

    /// Reads to the end, or for a batch.
    fn read_batch(&mut self, reader: &mut Reader, skip: bool) -> Result<End, Stop> {
        if !self.settle(reader)? {
            return Ok(End::OfJournal);
        }
        let batch = batch::read(reader, &self.recognition, skip)?;
        if let Some(Last {
            position,
            unsettled,
        }) = batch.last
        {
            let now = Instant::now();
            self.told.set(now);
            self.last_read = Some(now);
            match unsettled {
                None => self.begin.move_behind(position),
                Some(Unsettled { fields, before }) => {
                    self.unsettled = Some(LastRead {
                        position,
                        fields,
                        read: now,
                    });
                    if let Some(before) = before {
                        self.begin.move_behind(before);
                    }
                    self.tell(FromReader::Place(self.begin.position()))?;
                }
            }
        }
        Ok(batch.end)
    }

    /// Looks again at the entry that was read last, unless that was whole for certain. Says whether there may
    /// be more to be read.
    fn settle(&mut self, reader: &mut Reader) -> Result<bool, Stop> {
        let Some(last) = self.unsettled.take() else {
            return Ok(true);
        };
        // In this order: what is counted after it was settled is right.
        let is_settled = last.is_settled(reader.newest()?, Timestamp::now(), Instant::now());
        let mut more = is_settled || reader.next()?;
        // It stands nowhere once the file has gone.
        let is_there = matches!(reader.is_at(&last.position), Ok(true))
            || reader.resume(&last.position)? == Resumed::Exactly;
        if is_there && reader.count_fields()? != last.fields {
            diagnostics::read_too_early(last.position.time);
            return Err(Stop::Reopen);
        }
        // Nobody will know more of one that is gone.
        more |= !is_there;
        if more {
            self.begin.move_behind(last.position.clone());
            self.tell(FromReader::Place(last.position))?;
        } else {
            self.unsettled = Some(last);
        }
        Ok(more)
    }

    /// Goes back to where the reader was last. If that place is gone, says from when on entries are read
    /// instead.
    fn go_back(&mut self, reader: &mut Reader) -> Result<Option<Timestamp>, Stop> {
        let mut place = self.begin.clone();
        if let Some(last) = &self.unsettled {
            place.move_behind(last.position.clone());
        }
        self.go_to(place, reader)
    }

    /// Goes to a place. If it is gone, says, and tells the loop, from when on entries are read instead.
    fn go_to(
        &mut self,
        place: StartPosition,
        reader: &mut Reader,
    ) -> Result<Option<Timestamp>, Stop> {
        let gone = place.go_to(reader, Timestamp::now())?;
        match (gone, place) {
            (Some(from), _) => {
                // It may be in what can't be read.
                Files::look(&self.source)?;
                self.unsettled = None;
                // Where nothing is there to be read, this is the place from now on.
                self.begin = StartPosition::At(from);
                // libsystemd may pass the places by again and again.
                if !std::mem::replace(&mut self.is_gone, true) {
                    self.tell(FromReader::CursorGone(from))?;
                }
            }
            (None, StartPosition::Behind(..)) => self.is_gone = false,
            (None, StartPosition::At(_)) => {}
        }
        Ok(gone)
    }
}
