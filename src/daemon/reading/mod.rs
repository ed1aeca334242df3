//! Reads the journal: a thread that waits for it, one that recognises what is read, looks on
//! demand, and what can't be read.
//!
//! Must never decide what an event means: the loop is given what was read, in order.

mod health;
mod look_requests;
mod message;
mod reader;
mod recognition;
mod rescan;
mod where_to_begin;

use std::rc::Rc;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use tokio::sync::mpsc;

use crate::daemon::error::{RunError, system};
use crate::daemon::plan::Plan;
use crate::diagnostics;
use crate::intake::Intake;
use crate::journal::Position;
use crate::journal::start_position::StartPosition;
use health::JournalHealth;
use reader::Times;

pub use look_requests::LookRequests;
pub use message::FromReader;
pub use where_to_begin::{grace_ago, where_to_begin};

/// How often the reader says that it is alive where no watchdog asks.
const BEAT: Duration = Duration::from_secs(60);

/// The journal's reader, from the loop's side, and how far it is.
pub struct Reading {
    messages: mpsc::Receiver<FromReader>,
    /// Those who ask for looks.
    looks: Rc<LookRequests>,
    /// What of the journal can't be read for now.
    health: JournalHealth,
    caught_up: bool,
    /// Whether the service goes on without having caught up with the journal, which has been
    /// unreadable for too long.
    blind: bool,
    /// How long after it was written the last entry was read, since the journal is caught up with.
    lag: Option<SignedDuration>,
    /// How often the watchdog wants to hear of the reader.
    beat: Duration,
}

/// What others have to do with what the reader has told.
#[derive(Debug)]
pub enum News {
    /// Entries were read.
    Entries {
        /// What they were taken for, in order.
        intakes: Vec<Intake>,
        /// The place to be kept, unless files can't be read: it is then to be read from where they
        /// could.
        position: Option<Position>,
    },
    /// All there was has been read.
    CaughtUp,
    /// The reader is alive, and nothing has happened.
    Alive,
    /// Some files can't be read any more: this place is to be kept.
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

impl Reading {
    /// Starts the reader of a plan's journal. `watchdog` is how often it is to be told that we live.
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub fn start(
        plan: &Plan,
        begin: StartPosition,
        watchdog: Option<Duration>,
    ) -> Result<Self, RunError> {
        let looks = Rc::new(LookRequests::new());
        let beat = watchdog.map_or(BEAT, |limit| limit / 3);
        Ok(Reading {
            messages: start_reader(plan, begin, beat, &looks)?,
            looks,
            health: JournalHealth::default(),
            caught_up: false,
            blind: false,
            lag: None,
            beat,
        })
    }

    /// Starts another reader, perhaps of another journal; the former ends.
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub fn restart(&mut self, plan: &Plan, begin: StartPosition) -> Result<(), RunError> {
        // It will tell what it can't read.
        self.health.recovered();
        self.looks.set_blind(false);
        self.messages = start_reader(plan, begin, self.beat, &self.looks)?;
        Ok(())
    }

    /// Reads again from where all could be read, now that more can be. What is read again changes
    /// nothing in the end; until then it is as at a start.
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub fn read_again(&mut self, plan: &Plan, place: Option<Position>) -> Result<(), RunError> {
        self.caught_up = false;
        let begin = where_to_begin(&plan.rules, place, None, Timestamp::now());
        diagnostics::reading_again(begin.time());
        self.restart(plan, begin)
    }

    /// Those who ask for looks at the journal.
    pub fn looks(&self) -> Rc<LookRequests> {
        self.looks.clone()
    }

    /// Whether all there was has been read.
    pub fn is_caught_up(&self) -> bool {
        self.caught_up
    }

    /// Whether nothing can be read.
    pub fn is_lost(&self) -> bool {
        self.health.is_lost()
    }

    /// Whether nobody is to wait for the journal any more: it has been read, or can't be.
    pub fn is_done_or_given_up(&self) -> bool {
        self.caught_up || self.blind
    }

    /// How far reading is behind, if the last place that was kept is of this time.
    pub fn lag(&self, kept: Option<Timestamp>) -> Option<SignedDuration> {
        if self.caught_up {
            self.lag
        } else {
            Some(Timestamp::now().duration_since(kept?))
        }
    }

    /// What is wrong now.
    pub fn problems(&self) -> impl Iterator<Item = &String> {
        self.health.problems()
    }

    /// Waits for what the reader tells; `None` if it has ended.
    pub async fn next(&mut self) -> Option<FromReader> {
        self.messages.recv().await
    }

    /// What the reader has told already, if anything.
    pub fn try_next(&mut self) -> Option<FromReader> {
        self.messages.try_recv().ok()
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
        match message {
            FromReader::Batch { intakes, position } => {
                if self.caught_up {
                    self.lag = Some(now.duration_since(position.time));
                }
                let position = Some(position).filter(|_| self.health.is_whole());
                return Ok(News::Entries { intakes, position });
            }
            FromReader::CaughtUp => {
                self.caught_up = true;
                self.blind = false;
                self.lag = Some(SignedDuration::ZERO);
                return Ok(News::CaughtUp);
            }
            FromReader::Beat => return Ok(News::Alive),
            FromReader::Again => return Ok(News::ReadAgain),
            FromReader::Looked(number) => self.looks.done(number),
            FromReader::CursorGone(from) => diagnostics::cursor_gone(from),
            FromReader::Trouble(error) if once => return Err(error.into()),
            FromReader::Trouble(error) => {
                let error = error.to_string();
                if self.health.lost(&error, Instant::now()) {
                    diagnostics::journal_trouble(&error);
                }
                self.looks.set_blind(true);
            }
            FromReader::Recovered => {
                self.health.recovered();
                self.blind = false;
                self.looks.set_blind(false);
                diagnostics::journal_recovered();
            }
            FromReader::Files { unreadable, place } => {
                let begins_to_be_partial = self.health.is_whole() && !unreadable.is_empty();
                if let Some(told) = self.health.files(unreadable) {
                    diagnostics::journal_incomplete(told);
                }
                if begins_to_be_partial {
                    return Ok(News::KeepPlace(place));
                }
            }
        }
        Ok(News::Nothing)
    }

    /// Nobody waits without end for a journal that can't be read. Says whether that is now.
    pub fn give_up_if_due(&mut self) -> Patience {
        let ends = self.health.patience_ends();
        match ends.filter(|_| !self.is_done_or_given_up()) {
            None => Patience::NotNeeded,
            Some(time) if time > Instant::now() => Patience::Until(time),
            Some(_) => {
                self.blind = true;
                Patience::Over
            }
        }
    }
}

fn start_reader(
    plan: &Plan,
    begin: StartPosition,
    beat: Duration,
    looks: &LookRequests,
) -> Result<mpsc::Receiver<FromReader>, RunError> {
    let settings = &plan.settings;
    let look = settings.journal.look_every;
    let times = Times {
        beat,
        // The policy asks for looks itself.
        look: look.filter(|_| settings.publish.map),
    };
    let (source, recogniser) = (plan.source.clone(), plan.recogniser.clone());
    let (messages, bell) = reader::start(source, recogniser, begin, times, looks.asked())
        .map_err(system("can't start a thread"))?;
    looks.begin(bell);
    Ok(messages)
}
