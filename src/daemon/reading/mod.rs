//! Reads the journals: for each source, a thread that waits for it, one that recognises what is
//! read, looks on demand, and what can't be read.
//!
//! Must never decide what an event means: the loop is given what was read, in order of each source. A
//! source that is absent, late or broken holds up none of the others.

mod health;
mod last_read;
mod look_requests;
mod message;
mod reader;
mod recognition;
mod rescan;
mod silence;
mod source;
mod where_to_begin;

use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use crate::control::protocol::SourceStatus;
use crate::daemon::error::RunError;
use crate::daemon::plan::{NamedSource, Plan};
use crate::journal::Position;
use crate::journal::start_position::StartPosition;
use crate::origin::Id;
use source::{Patience, ReadSource};

pub use look_requests::LookRequests;
pub use message::FromReader;
pub use source::News;
pub use where_to_begin::{grace_ago, oldest, where_to_begin};

/// How often a reader says that it is alive where no watchdog asks.
const BEAT: Duration = Duration::from_secs(60);

/// All sources that are read.
pub struct Reading {
    /// The first is the one that needs no name.
    sources: Vec<ReadSource>,
    /// Which one is asked first for what it has to tell: each has its turn.
    turn: usize,
    /// Those who ask for looks.
    looks: Rc<LookRequests>,
    /// How often the watchdog wants to hear of the readers.
    beat: Duration,
}

/// How far the journals have been read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Up to now.
    CaughtUp,
    /// One is being caught up with.
    CatchingUp,
    /// One can't be read, and nobody waits for the others.
    Unreadable,
}

/// What a reader has told.
pub struct Told {
    place: usize,
    /// Which source it reads.
    pub source: Id,
    message: Option<FromReader>,
}

impl Reading {
    /// Starts to read all sources of a plan, each from where it begins. `watchdog` is how often it is
    /// to be told that we live.
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub fn start(
        plan: &Plan,
        begins: impl FnMut(&NamedSource) -> StartPosition,
        watchdog: Option<Duration>,
    ) -> Result<Self, RunError> {
        let mut reading = Reading {
            sources: Vec::new(),
            turn: 0,
            looks: Rc::new(LookRequests::new()),
            beat: watchdog.map_or(BEAT, |limit| limit / 3),
        };
        reading.restart(plan, begins)?;
        Ok(reading)
    }

    /// Starts other readers, of the sources of this plan; the former end. The others do not wait for a
    /// source that is new among them.
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub fn restart(
        &mut self,
        plan: &Plan,
        mut begins: impl FnMut(&NamedSource) -> StartPosition,
    ) -> Result<(), RunError> {
        let mut former = std::mem::take(&mut self.sources);
        let are_others = !former.is_empty();
        for source in &plan.sources {
            let (source, begin, asked) = (source.clone(), begins(source), self.looks.asked());
            let known = former
                .iter()
                .position(|former| former.source().id() == source.id());
            let started = match known.map(|place| former.swap_remove(place)) {
                Some(mut known) => {
                    known.restart(source, plan, begin, asked)?;
                    known
                }
                None => {
                    let mut new = ReadSource::start(source, plan, begin, self.beat, asked)?;
                    if are_others {
                        new.give_up();
                    }
                    new
                }
            };
            self.sources.push(started);
        }
        self.connect_looks();
        Ok(())
    }

    /// Reads a source again from where all could be read, now that more can be. What is read again
    /// changes nothing in the end; until then it is as at a start.
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub fn read_again(
        &mut self,
        source: Id,
        plan: &Plan,
        place: Option<Position>,
    ) -> Result<(), RunError> {
        let asked = self.looks.asked();
        for read in self
            .sources
            .iter_mut()
            .filter(|read| read.source().id() == source)
        {
            let now = Timestamp::now();
            let begin = where_to_begin(read.source(), &plan.rules, place.clone(), now);
            read.read_again(plan, begin, asked.clone())?;
        }
        self.connect_looks();
        Ok(())
    }

    /// Those who ask for looks at the journals.
    pub fn looks(&self) -> Rc<LookRequests> {
        self.looks.clone()
    }

    /// Whether all there was has been read.
    pub fn is_caught_up(&self) -> bool {
        self.sources.iter().all(ReadSource::is_caught_up)
    }

    /// Whether nobody is to wait for a journal any more: each has been read, or can't be.
    pub fn is_done_or_given_up(&self) -> bool {
        let is_done = |read: &ReadSource| read.is_caught_up() || read.is_given_up();
        self.sources.iter().all(is_done)
    }

    /// How far the journals have been read. One that was given up counts only if there is no other.
    pub fn progress(&self) -> Progress {
        let some_are_read = self.sources.iter().any(ReadSource::is_caught_up);
        let mut counting = (self.sources.iter())
            .filter(|read| !(read.is_caught_up() || some_are_read && read.is_given_up()))
            .peekable();
        if counting.peek().is_none() {
            Progress::CaughtUp
        } else if counting.all(ReadSource::is_lost) {
            Progress::Unreadable
        } else {
            Progress::CatchingUp
        }
    }

    /// How far reading of the first source is behind, and all of them if there are several; the last
    /// place that was `kept` of each is asked for.
    pub fn status(
        &self,
        mut kept: impl FnMut(Id) -> Option<Timestamp>,
    ) -> (Option<SourceStatus>, Option<Vec<SourceStatus>>) {
        let status = |read: &ReadSource| read.status(kept(read.source().id()));
        let all: Vec<_> = self.sources.iter().map(status).collect();
        (all.first().cloned(), (all.len() > 1).then_some(all))
    }

    /// What is wrong now.
    pub fn problems(&self) -> impl Iterator<Item = String> {
        self.sources.iter().flat_map(ReadSource::problems)
    }

    /// Waits for what a reader tells. Each has its turn.
    pub async fn next(&mut self) -> Told {
        let number = self.sources.len();
        poll_fn(|context| {
            for place in (self.turn..number).chain(0..self.turn.min(number)) {
                let source = &mut self.sources[place];
                if let Poll::Ready(message) = source.messages().poll_recv(context) {
                    self.turn = place + 1;
                    let source = source.source().id();
                    return Poll::Ready(Told {
                        place,
                        source,
                        message,
                    });
                }
            }
            Poll::Pending
        })
        .await
    }

    /// What a reader has told already, if anything.
    pub fn try_next(&mut self) -> Option<Told> {
        let number = self.sources.len();
        let mut places = (self.turn..number).chain(0..self.turn.min(number));
        let (place, message) = places.find_map(|place| {
            let message = self.sources[place].messages().try_recv().ok()?;
            Some((place, message))
        })?;
        self.turn = place + 1;
        Some(Told {
            place,
            source: self.sources[place].source().id(),
            message: Some(message),
        })
    }

    /// Takes note of what a reader has told, at `now`. With `once`, nobody waits for a journal that
    /// can't be read.
    ///
    /// # Errors
    /// When the reader has ended; with `once`, when the journal can't be read.
    pub fn note(&mut self, told: Told, now: Timestamp, once: bool) -> Result<News, RunError> {
        let Some(read) = self.sources.get_mut(told.place) else {
            return Ok(News::Nothing);
        };
        let news = read.note(told.message, now, once);
        self.serve_looks();
        news
    }

    /// Nobody waits without end for a journal that can't be read, nor for one of several. Says whether
    /// that is now, for one of them, or when it will be.
    pub fn give_up_if_due(&mut self) -> (bool, Option<Instant>) {
        let (mut is_over, mut next) = (false, None);
        let is_only = self.sources.len() == 1;
        for read in &mut self.sources {
            match read.give_up_if_due(is_only) {
                Patience::NotNeeded => {}
                Patience::Until(time) => next = next.into_iter().chain([time]).min(),
                Patience::Over => is_over = true,
            }
        }
        (is_over, next)
    }

    /// Has those who ask for looks wake the readers of now.
    fn connect_looks(&mut self) {
        let bells = self.sources.iter().map(ReadSource::bell).collect();
        self.looks.wake(bells);
        self.serve_looks();
    }

    /// A look is had when all journals have been looked at that can be read. Where some have been
    /// caught up with, nobody waits for those that have not.
    fn serve_looks(&self) {
        let some_are_read = self
            .sources
            .iter()
            .any(|read| read.is_caught_up() && !read.is_lost());
        let waited_for =
            |read: &&ReadSource| !read.is_lost() && (read.is_caught_up() || !some_are_read);
        let looked = self
            .sources
            .iter()
            .filter(waited_for)
            .map(ReadSource::looked);
        self.looks.served(looked.min());
    }
}
