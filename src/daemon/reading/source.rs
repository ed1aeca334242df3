//! One source: a journal that is read, from the loop's side, and how far it is.
//!
//! Must never decide what an event means, nor know of other sources.

use std::path::Path;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use tokio::sync::mpsc;

use super::health::{JournalHealth, PATIENCE};
use super::look_requests::Asked;
use super::message::FromReader;
use super::reader::{self, Times};
use super::silence::Silence;
use crate::carrier::line::version;
use crate::carrier::state;
use crate::control::protocol::SourceStatus;
use crate::daemon::error::{RunError, system};
use crate::daemon::plan::{NamedSource, Plan};
use crate::diagnostics;
use crate::intake::{Intake, wanted};
use crate::journal::Position;
use crate::journal::start_position::StartPosition;
use crate::journal::wait::Bell;
use crate::whitelist::FUTURE_TOLERANCE;

/// How many beats a reader may be silent for.
const SILENT_BEATS: u32 = 3;

/// A source, its reader, and what that has told.
pub struct ReadSource {
    source: NamedSource,
    /// Which entries of it are read: [`version`].
    wanted: String,
    reader: Reader,
    /// What of the journal can't be read for now.
    health: JournalHealth,
    caught_up: bool,
    /// Whether the service goes on without having caught up with the journal, which takes too long.
    given_up: bool,
    /// Since when it is being caught up with.
    since: Instant,
    /// When it was heard of, if it is another host's.
    silence: Option<Silence>,
    /// By how much the clock of another host was ahead when it wrote the last entry, if that is too
    /// much. Of one that is carried here, the carrier tells.
    ahead: Option<SignedDuration>,
    /// How long after it was written the last entry was read, since the journal is caught up with.
    lag: Option<SignedDuration>,
    /// How many of those who asked for a look have had it.
    looked: u64,
    /// When the reader told something last, and how often it does at least.
    heard: Instant,
    beat: Duration,
}

/// The reader's threads, from here.
struct Reader {
    messages: mpsc::Receiver<FromReader>,
    /// Wakes it.
    bell: Bell,
}

/// What others have to do with what a reader has told.
#[derive(Debug)]
pub enum News {
    /// Entries were read.
    Entries {
        /// What they were taken for, in order.
        intakes: Vec<Intake>,
        /// The place to be kept, unless files can't be read: it is then to be read from where they could;
        /// or unless the last entry may not be whole: another place is told.
        position: Option<Position>,
    },
    /// All there was has been read.
    CaughtUp,
    /// The reader is alive, and nothing has happened.
    Alive,
    /// This place is to be kept.
    KeepPlace(Position),
    /// More can be read than could be: it is to be read again, by another reader.
    ReadAgain,
    /// Nothing that concerns others.
    Nothing,
}

/// For how long others are to wait for a journal that can't be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Patience {
    /// It is not asked for.
    NotNeeded,
    /// Until then.
    Until(Instant),
    /// It has just come to an end.
    Over,
}

impl Reader {
    fn start(
        source: &NamedSource,
        plan: &Plan,
        begin: StartPosition,
        beat: Duration,
        asked: Asked,
    ) -> Result<Self, RunError> {
        let look = plan.settings.journal.look_every;
        let times = Times {
            beat,
            // The policy asks for looks itself.
            look: look.filter(|_| plan.settings.publish.map),
        };
        let recogniser = plan.recogniser.clone();
        let (messages, bell) = reader::start(source.clone(), recogniser, begin, times, asked)
            .map_err(system("can't start a thread"))?;
        Ok(Reader { messages, bell })
    }
}

impl ReadSource {
    /// Starts to read a source. The reader tells something at least once in a `beat`, and looks when
    /// it is `asked` for it.
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub fn start(
        source: NamedSource,
        plan: &Plan,
        begin: StartPosition,
        beat: Duration,
        asked: Asked,
    ) -> Result<Self, RunError> {
        Ok(ReadSource {
            reader: Reader::start(&source, plan, begin, beat, asked)?,
            silence: source
                .users
                .is_some()
                .then(|| Silence::since(Timestamp::now())),
            source,
            wanted: version(&wanted(&plan.recogniser)),
            health: JournalHealth::default(),
            caught_up: false,
            given_up: false,
            since: Instant::now(),
            ahead: None,
            lag: None,
            looked: 0,
            heard: Instant::now(),
            beat,
        })
    }

    /// Starts another reader, perhaps of another journal; the former ends.
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub fn restart(
        &mut self,
        source: NamedSource,
        plan: &Plan,
        begin: StartPosition,
        asked: Asked,
    ) -> Result<(), RunError> {
        self.reader = Reader::start(&source, plan, begin, self.beat, asked)?;
        self.source = source;
        self.wanted = version(&wanted(&plan.recogniser));
        // It will tell what it can't read.
        self.health.recovered();
        self.health.room(None);
        self.heard = Instant::now();
        Ok(())
    }

    /// The same, as at a start: it is to catch up again.
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub fn read_again(
        &mut self,
        plan: &Plan,
        begin: StartPosition,
        asked: Asked,
    ) -> Result<(), RunError> {
        self.caught_up = false;
        self.since = Instant::now();
        diagnostics::reading_again(self.source.name(), begin.time());
        self.restart(self.source.clone(), plan, begin, asked)
    }

    /// Which source it is.
    pub fn source(&self) -> &NamedSource {
        &self.source
    }

    /// What the reader tells.
    pub fn messages(&mut self) -> &mut mpsc::Receiver<FromReader> {
        &mut self.reader.messages
    }

    /// Wakes the reader: somebody has asked for a look.
    pub fn bell(&self) -> Bell {
        self.reader.bell.clone()
    }

    /// How many of those who asked for a look have had it.
    pub fn looked(&self) -> u64 {
        self.looked
    }

    /// Whether all there was has been read.
    pub fn is_caught_up(&self) -> bool {
        self.caught_up
    }

    /// Whether nothing can be read.
    pub fn is_lost(&self) -> bool {
        self.health.is_lost()
    }

    /// Whether nobody waits for it any more, as it takes too long.
    pub fn is_given_up(&self) -> bool {
        self.given_up
    }

    fn lag(&self, kept: Option<Timestamp>) -> Option<SignedDuration> {
        if self.caught_up {
            self.lag
        } else {
            Some(Timestamp::now().duration_since(kept?))
        }
    }

    /// How it is, if the last place that was kept is of this time.
    pub fn status(&self, kept: Option<Timestamp>) -> SourceStatus {
        SourceStatus {
            name: self.source.to_string(),
            journal: self.source.journal.to_string(),
            caught_up: self.caught_up,
            journal_position: kept,
            lag_milliseconds: self
                .lag(kept)
                .map(|lag| u64::try_from(lag.as_millis()).unwrap_or_default()),
            connected: (self.source.store())
                .map(|store| state::is_connected(Path::new(state::DIRECTORY), store)),
            problems: self.problems().collect(),
        }
    }

    /// What is wrong now.
    pub fn problems(&self) -> impl Iterator<Item = String> {
        let of = diagnostics::of_source(self.source.name());
        let silent = self.heard.elapsed();
        let silence = (silent > self.beat * SILENT_BEATS).then(|| {
            format!(
                "{of}nothing was heard of its reader for {} s",
                silent.as_secs()
            )
        });
        let carrier = (self.source.store())
            .and_then(|store| {
                state::problem(Path::new(state::DIRECTORY), store, Some(&self.wanted))
            })
            .map(|problem| format!("{of}{problem}"));
        let silent = (self.silence.as_ref())
            .and_then(|silence| silence.problem(Timestamp::now()))
            .map(|problem| format!("{of}{problem}"));
        let ahead =
            (self.ahead).map(|ahead| format!("{of}{}", diagnostics::clock_off(ahead.as_secs())));
        let problems = self.health.problems();
        problems
            .map(move |problem| format!("{of}{problem}"))
            .chain(silence)
            .chain(carrier)
            .chain(ahead)
            .chain(silent)
    }

    /// Takes note of what the reader has told, at `now`. With `once`, nobody waits for a journal that
    /// can't be read.
    ///
    /// # Errors
    /// When the reader has ended; with `once`, when the journal can't be read.
    pub fn note(
        &mut self,
        message: Option<FromReader>,
        now: Timestamp,
        once: bool,
    ) -> Result<News, RunError> {
        let Some(message) = message else {
            let ended = std::io::Error::other("its thread has ended");
            return Err(system("reading the journal")(ended));
        };
        self.heard = Instant::now();
        let name = self.source.name();
        match message {
            FromReader::Batch { intakes, last } => {
                let time = last.position.time;
                if let Some(silence) = &mut self.silence {
                    silence.heard(time, now);
                }
                self.note_time(time.duration_since(now));
                if self.caught_up {
                    self.lag = Some(now.duration_since(time));
                }
                let is_kept = last.unsettled.is_none() && self.health.is_whole();
                let position = is_kept.then_some(last.position);
                return Ok(News::Entries { intakes, position });
            }
            FromReader::Place(place) if self.health.is_whole() => {
                return Ok(News::KeepPlace(place));
            }
            FromReader::Place(_) => {}
            FromReader::CaughtUp => {
                self.caught_up = true;
                self.given_up = false;
                self.lag = Some(SignedDuration::ZERO);
                return Ok(News::CaughtUp);
            }
            FromReader::Beat => return Ok(News::Alive),
            FromReader::Again => return Ok(News::ReadAgain),
            FromReader::Looked(number) => self.looked = number,
            FromReader::CursorGone(from) => diagnostics::cursor_gone(name, from),
            FromReader::Trouble(error) if once => return Err(error.into()),
            FromReader::Trouble(error) => {
                let error = error.to_string();
                if self.health.lost(&error, Instant::now()) {
                    diagnostics::journal_trouble(name, &error);
                }
            }
            FromReader::Recovered => {
                self.health.recovered();
                diagnostics::journal_recovered(name);
            }
            FromReader::Room(no_room) => self.health.room(no_room.as_ref()),
            FromReader::Files { unreadable, place } => {
                let begins_to_be_partial = self.health.is_whole() && !unreadable.is_empty();
                if let Some(told) = self.health.files(unreadable) {
                    diagnostics::journal_incomplete(name, told);
                }
                if begins_to_be_partial {
                    return Ok(News::KeepPlace(place));
                }
            }
        }
        Ok(News::Nothing)
    }

    /// The last entry is of a time so far ahead of now.
    fn note_time(&mut self, ahead: SignedDuration) {
        let is_anothers = self.source.users.is_some() && self.source.store().is_none();
        let is_wrong = is_anothers && ahead > FUTURE_TOLERANCE;
        if is_wrong && self.ahead.is_none() {
            diagnostics::source_ahead(self.source.name(), ahead.as_secs());
        }
        self.ahead = is_wrong.then_some(ahead);
    }

    /// Nobody waits without end for a journal that can't be read, nor for one of several, where this
    /// is not the only one. Says whether that is now.
    pub fn give_up_if_due(&mut self, is_only: bool) -> Patience {
        if self.caught_up || self.given_up {
            return Patience::NotNeeded;
        }
        let slow = (!is_only).then_some(self.since + PATIENCE);
        match self.health.patience_ends().into_iter().chain(slow).min() {
            None => Patience::NotNeeded,
            Some(time) if time > Instant::now() => Patience::Until(time),
            Some(_) => {
                self.given_up = true;
                Patience::Over
            }
        }
    }

    /// Nobody waits for it, from the beginning.
    pub fn give_up(&mut self) {
        self.given_up = true;
    }
}
