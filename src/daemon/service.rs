//! The loop of the service: what happens, and whose business it is.
//!
//! Does nothing itself: each thing that happens is handed to the rooms that it concerns.

use std::time::Instant;

use jiff::Timestamp;
use tokio::sync::mpsc;

use super::alarm::Alarm;
use super::answering;
use super::deadline_timer::Woken;
use super::error::RunError;
use super::options::Options;
use super::plan::{Plan, PlanError};
use super::publishing;
use super::reading::{self, Told};
use super::reload::{self, Reloads};
use super::rooms::Rooms;
use super::signals::{Signal, Signals};
use super::sockets;
use super::start::start;
use super::systemd::{self, Notifier, Sockets};
use crate::diagnostics;
use crate::intake::Intake;
use crate::origin::Id;

/// The rooms, and when they are ready.
pub struct Service {
    options: Options,
    rooms: Rooms,
    notifier: Notifier,
    /// The whitelist's generation when the journal had been read: once the map has it, it is right.
    /// Clients that come and go since then may do so faster than maps can be built.
    right_from: u64,
}

/// What the loop does after a step.
enum Next {
    GoOn,
    Leave,
}

impl Service {
    /// Runs until it is told to stop.
    ///
    /// # Errors
    /// When it can't start, or go on; with `once`, also when it can't do what it is to do.
    pub async fn run(plan: Plan, options: &Options, sockets: Sockets) -> Result<(), RunError> {
        let mut signals = Signals::catch()?;
        let mut alarm = Alarm::new()?;
        let mut reloads = Reloads::new();
        let (question_sender, mut questions) = mpsc::channel(16);
        let mut service = Service {
            options: options.clone(),
            rooms: start(plan)?,
            notifier: Notifier::new(),
            right_from: 0,
        };
        if !options.once {
            let policy = service.rooms.policy.clone();
            sockets::serve(sockets, options, question_sender, policy);
        }

        loop {
            let wake = service.do_what_is_due();
            alarm.set(service.rooms.clients.next_deadline())?;
            // In no order: a list of a million clients always has another question, and a journal that
            // is caught up with another batch.
            let mut journal_had_its_turn = false;
            let mut next = tokio::select! {
                signal = signals.next(!reloads.is_under_way()) => match signal {
                    Signal::Stop => Next::Leave,
                    Signal::Reload => {
                        reloads.begin(options.config.clone());
                        Next::GoOn
                    }
                },
                plan = reloads.next() => service.reload(plan)?,
                told = service.rooms.reading.next() => {
                    journal_had_its_turn = true;
                    service.journal(told)?
                }
                heard = service.rooms.publishing.next() => service.map(heard)?,
                () = service.rooms.keeping.flushed() => Next::GoOn,
                Some(question) = questions.recv() => {
                    answering::answer(question, &mut service.rooms);
                    Next::GoOn
                }
                woken = alarm.woken() => service.clock(woken),
                () = until(wake) => Next::GoOn,
            };
            // Whatever else there is to do again and again, the journal has its turn each time: Postfix
            // may be waiting for what a look has found.
            if !journal_had_its_turn
                && matches!(next, Next::GoOn)
                && let Some(told) = service.rooms.reading.try_next()
            {
                next = service.journal(told)?;
            }
            if matches!(next, Next::Leave) {
                break;
            }
            // While there is always something to do, Postfix has its answers all the same.
            tokio::task::yield_now().await;
        }
        service.stop().await;
        Ok(())
    }

    // ---- What is due ----

    /// Does what is due, some of it where it is much, and says when there will be more to do.
    fn do_what_is_due(&mut self) -> Option<Instant> {
        if self.rooms.clients.expire_if_due() {
            self.rooms.commit();
        }
        let due = [
            self.give_up_on_journal(),
            self.rooms.write_to_store(),
            self.rooms.publishing.withdraw_if_due(),
            self.rooms.publish(),
            self.rooms.publishing.give_up_if_due(),
            self.rooms.publishing.tell_if_late(),
            self.show_status(),
        ];
        due.into_iter().flatten().min()
    }

    /// Nobody waits without end for a journal that can't be read. Says when that is, if it stays so.
    fn give_up_on_journal(&mut self) -> Option<Instant> {
        let (is_over, next) = self.rooms.reading.give_up_if_due();
        if is_over {
            self.caught_up(Timestamp::now());
            self.become_ready();
        }
        next
    }

    /// Shows systemd how we are.
    fn show_status(&mut self) -> Option<Instant> {
        let line = answering::status_line(&self.rooms);
        self.notifier.show_status(line)
    }

    // ---- What has happened ----

    /// A reader has told something.
    fn journal(&mut self, told: Told) -> Result<Next, RunError> {
        let rooms = &mut self.rooms;
        let source = told.source;
        // The watchdog hears of the first reader only: one of the others that hangs is a trouble of its
        // source, and none of theirs.
        if source == Id::DEFAULT_SOURCE && self.notifier.feed_watchdog() {
            // Should nothing have rung.
            rooms.publishing.look();
        }
        let now = Timestamp::now();
        match rooms.reading.note(told, now, self.options.once)? {
            reading::News::Entries { intakes, position } => {
                for intake in intakes {
                    match intake {
                        Intake::Event(event) => rooms.clients.apply(&event, now),
                        Intake::Refused(refused) => rooms.clients.entry_refused(&refused, now),
                        Intake::Nothing | Intake::Noted(_) => {}
                    }
                }
                if let Some(position) = position {
                    rooms.keeping.advance(source, position);
                }
                rooms.commit();
            }
            reading::News::CaughtUp => {
                self.caught_up(now);
                return Ok(self.become_ready());
            }
            reading::News::Alive => rooms.commit(),
            reading::News::KeepPlace(place) => rooms.keeping.advance(source, place),
            reading::News::ReadAgain => {
                let place = rooms.keeping.position(source).cloned();
                rooms.reading.read_again(source, &rooms.plan, place)?;
            }
            reading::News::Nothing => {}
        }
        Ok(Next::GoOn)
    }

    /// A journal has been read, or was given up: the last for which the others have waited, perhaps.
    fn caught_up(&mut self, now: Timestamp) {
        if self.rooms.reading.progress() == reading::Progress::CaughtUp {
            self.right_from = self.rooms.caught_up(now);
        }
    }

    /// Something has happened to the access map.
    fn map(&mut self, heard: publishing::Heard) -> Result<Next, RunError> {
        let rooms = &mut self.rooms;
        let activity = rooms.clients.activity_mut();
        match rooms.publishing.note(heard) {
            publishing::News::NotPublished(error) if self.options.once => {
                return Err(error.into());
            }
            publishing::News::NotPublished(error) => {
                activity.not_published(&error);
                return Ok(Next::GoOn);
            }
            publishing::News::Published => {
                if let Some(publication) = rooms.publishing.last() {
                    activity.published(publication);
                }
            }
            publishing::News::Emptied(index) => rooms.keeping.map_emptied(&index),
            publishing::News::Nothing => {}
        }
        Ok(self.become_ready())
    }

    /// The next deadline has come, or the clock was set.
    fn clock(&mut self, woken: Woken) -> Next {
        let now = Timestamp::now();
        match woken {
            Woken::Spurious => return Next::GoOn,
            Woken::Deadline => {}
            Woken::ClockSet => {
                self.rooms.clients.clock_set(now);
                diagnostics::clock_set();
            }
        }
        self.rooms.clients.sum_up(now);
        self.rooms.commit();
        Next::GoOn
    }

    /// The configuration was read again.
    fn reload(&mut self, plan: Result<Plan, PlanError>) -> Result<Next, RunError> {
        reload::put_in_force(&mut self.rooms, plan)?;
        // After a reload the service is as ready as it was before.
        if self.notifier.is_ready() {
            self.notifier.ready(answering::status_line(&self.rooms));
        }
        Ok(Next::GoOn)
    }

    /// The service is ready once the journal has been read, or can't be, and the map is right.
    fn become_ready(&mut self) -> Next {
        let Rooms {
            reading,
            publishing,
            ..
        } = &self.rooms;
        if !reading.is_done_or_given_up() || !publishing.has_published(self.right_from) {
            return Next::GoOn;
        }
        if !self.notifier.is_ready() {
            self.notifier.ready(answering::status_line(&self.rooms));
        }
        if self.options.once {
            Next::Leave
        } else {
            Next::GoOn
        }
    }

    async fn stop(self) {
        systemd::stopping();
        let Rooms {
            clients,
            mut keeping,
            publishing,
            ..
        } = self.rooms;
        keeping.commit_all(&mut clients.whitelist_mut());
        publishing.finish().await;
        diagnostics::stopped(clients.finish());
    }
}

/// Waits until `wake`; for ever, if there is nothing to wait for.
async fn until(wake: Option<Instant>) {
    match wake {
        Some(time) if time <= Instant::now() => {}
        Some(time) => tokio::time::sleep_until(time.into()).await,
        None => std::future::pending().await,
    }
}
