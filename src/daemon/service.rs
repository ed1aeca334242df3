//! The loop of the service: what happens, and whose business it is.

use std::cell::{Ref, RefMut};
use std::rc::Rc;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::answering::Policy;
use super::by_hand::ByHand;
use super::clients::Activity;
use super::clients::OneAddress;
use super::deadline_timer::{DeadlineTimer, Woken};
use super::keeping::StoreKeeper;
use super::plan::Plan;
use super::publishing::DirectoryWatch;
use super::publishing::{Done, PostmapThread};
use super::publishing::{Journal, MapKeeper};
use super::reading::FromReader;
use super::reading::JournalHealth;
use super::run::{Options, RunError, system};
use super::start::where_to_begin;
use super::systemd::{self, Sockets};
use crate::client::Client;
use crate::diagnostics::{self, Change, Floods, Refusals};
use crate::event::{Event, EventKind};
use crate::intake::Intake;
use crate::journal::start_position::StartPosition;
use crate::whitelist::{Listing, Outcome, Whitelist};

/// How long a stopping service waits for a publication that is under way.
const LAST_PUBLICATION: Duration = Duration::from_secs(10);

pub(super) const WATCH: &str = "can't watch the access map";

pub(super) struct Service {
    pub(super) options: Options,
    pub(super) plan: Plan,
    pub(super) since: Timestamp,
    /// Who may relay, and the policy's answers, which are made of it.
    pub(super) policy: Rc<Policy>,
    pub(super) keeper: StoreKeeper,
    pub(super) by_hand: ByHand,
    pub(super) map: MapKeeper,
    /// Rings when the map may have been changed.
    pub(super) watch: DirectoryWatch,
    /// Whether it was told that the map can't be watched.
    pub(super) unwatched: bool,
    pub(super) refusals: Refusals,
    pub(super) floods: Floods,
    pub(super) activity: Activity,
    /// Whether all logins come through one address that hides the clients.
    pub(super) one_address: OneAddress,
    pub(super) caught_up: bool,
    /// Whether there are deadlines that have passed and are still to be done.
    pub(super) expiring: bool,
    /// How long after it was written the last entry was read, since the journal is caught up with.
    pub(super) lag: Option<SignedDuration>,
    /// The whitelist's generation when the journal had been read: once the map has it, it is right.
    /// Clients that come and go since then may do so faster than maps can be built.
    pub(super) right_from: u64,
    pub(super) ready: bool,
    pub(super) status: String,
    pub(super) status_shown: Instant,
    pub(super) watchdog_fed: Instant,
    /// What of the journal can't be read for now.
    pub(super) health: JournalHealth,
    /// Whether the service goes on without having caught up with the journal, which has been
    /// unreadable for too long.
    pub(super) blind: bool,
    /// Why the last reload was refused.
    pub(super) reload_refused: Option<String>,
}

/// What the loop does after a step.
enum Next {
    GoOn,
    /// The journal is to be read again, by another reader.
    ReadAgain,
    Leave,
}

impl Service {
    /// Runs until it is told to stop.
    pub(super) async fn run(
        plan: Plan,
        options: &Options,
        sockets: Sockets,
    ) -> Result<(), RunError> {
        let mut hangup = signal(SignalKind::hangup()).map_err(system("can't catch SIGHUP"))?;
        let mut terminate =
            signal(SignalKind::terminate()).map_err(system("can't catch SIGTERM"))?;
        let mut interrupt =
            signal(SignalKind::interrupt()).map_err(system("can't catch SIGINT"))?;
        let timer = DeadlineTimer::new().map_err(system("can't make a timer"))?;
        let watch = timer.watch().map_err(system("can't wait for a timer"))?;
        let (done_sender, mut done) = mpsc::unbounded_channel();
        let publisher =
            PostmapThread::start(done_sender).map_err(system("can't start a thread"))?;
        let (question_sender, mut questions) = mpsc::channel(16);

        let (mut service, begin) = Self::start(plan, options.clone(), publisher)?;
        service.serve(sockets, question_sender);
        let mut journal = service.start_reader(begin)?;
        let bell = service.watch.bell().map_err(system(WATCH))?;
        let (plan_sender, mut plans) = mpsc::channel(1);
        let mut reloading = false;
        let mut armed = None;

        loop {
            let wake = service.do_what_is_due();
            let deadline = service.next_deadline();
            if armed != Some(deadline) {
                timer.set(deadline).map_err(system("can't set the timer"))?;
                armed = Some(deadline);
            }
            let wake_up = async {
                match wake {
                    Some(time) if time <= Instant::now() => {}
                    Some(time) => tokio::time::sleep_until(time.into()).await,
                    None => std::future::pending().await,
                }
            };
            // In no order: a list of a million clients always has another question, and a journal that
            // is caught up with another batch.
            let mut heard = false;
            let mut next = tokio::select! {
                _ = terminate.recv() => Next::Leave,
                _ = interrupt.recv() => Next::Leave,
                Some(finished) = done.recv() => service.publication_done(finished)?,
                woken = watch.woken() => {
                    armed = None;
                    service.timer(woken);
                    Next::GoOn
                }
                Some(question) = questions.recv() => {
                    service.answer(question);
                    Next::GoOn
                }
                _ = hangup.recv(), if !reloading => {
                    reloading = true;
                    systemd::reloading();
                    let (config, sender) = (service.options.config.clone(), plan_sender.clone());
                    tokio::task::spawn_blocking(move || {
                        // The loop takes it as long as it lives.
                        let _ = sender.blocking_send(Plan::make(config.as_deref()));
                    });
                    Next::GoOn
                }
                Some(plan) = plans.recv() => {
                    reloading = false;
                    if let Some(begin) = service.reload(plan) {
                        journal = service.start_reader(begin)?;
                    }
                    Next::GoOn
                }
                message = journal.recv() => {
                    heard = true;
                    service.hear(message)?
                }
                // A publication of our own rings, too.
                () = bell.rung(), if !service.map.is_under_way() => {
                    service.map.look();
                    Next::GoOn
                }
                () = service.keeper.flushed() => Next::GoOn,
                () = wake_up => Next::GoOn,
            };
            // Whatever else there is to do again and again, the journal has its turn each time: Postfix
            // may be waiting for what a look has found.
            if !heard
                && matches!(next, Next::GoOn)
                && let Ok(message) = journal.try_recv()
            {
                next = service.hear(Some(message))?;
            }
            match next {
                Next::GoOn => {}
                Next::ReadAgain => {
                    let begin = service.read_again();
                    journal = service.start_reader(begin)?;
                }
                Next::Leave => break,
            }
            // While there is always something to do, Postfix has its answers all the same.
            tokio::task::yield_now().await;
        }
        service.stop(&mut done).await;
        Ok(())
    }

    pub(super) fn whitelist(&self) -> Ref<'_, Whitelist> {
        self.policy.whitelist.borrow()
    }

    pub(super) fn whitelist_mut(&self) -> RefMut<'_, Whitelist> {
        self.policy.whitelist.borrow_mut()
    }

    /// When the timer is to wake us; not for what is being done already.
    fn next_deadline(&self) -> Option<Timestamp> {
        let expiry = self.whitelist().next_deadline();
        let expiry = expiry.filter(|_| !self.expiring);
        expiry
            .into_iter()
            .chain(self.refusals.next_deadline())
            .chain(self.floods.next_deadline())
            .min()
    }

    /// Does what is due, some of it where it is much, and says when there will be more to do.
    fn do_what_is_due(&mut self) -> Option<Instant> {
        self.expire_if_due();
        let blind = self.go_on_blind_if_due();
        let mut whitelist = self.policy.whitelist.borrow_mut();
        let store = self.keeper.go_on(&mut whitelist);
        let next = if self.expiring {
            Some(Instant::now())
        } else {
            let journal = if self.caught_up {
                Journal::CaughtUp
            } else if self.health.is_lost() {
                Journal::Unreadable
            } else {
                Journal::CatchingUp
            };
            self.map.publish_if_due(&whitelist, journal)
        };
        drop(whitelist);
        next.into_iter()
            .chain(store)
            .chain(blind)
            .chain(self.by_hand.give_up_if_due())
            .chain(self.show_status())
            .min()
    }

    // ---- From the journal ----

    fn hear(&mut self, message: Option<FromReader>) -> Result<Next, RunError> {
        if self.feed_watchdog() {
            // Should nothing have rung.
            self.map.look();
        }
        let now = Timestamp::now();
        match message {
            Some(FromReader::Batch { intakes, position }) => {
                for intake in intakes {
                    match intake {
                        Intake::Event(event) => self.apply(&event, now),
                        Intake::Refused(refused) => {
                            self.activity.refused(&refused);
                            self.refusals.entry(&refused, now);
                        }
                        Intake::Nothing | Intake::Noted(_) => {}
                    }
                }
                if self.caught_up {
                    self.lag = Some(now.duration_since(position.time));
                }
                if self.health.is_whole() {
                    self.keeper.advance(position);
                }
                self.commit();
            }
            Some(FromReader::CaughtUp) => {
                self.end_sessions_of_former_boots(now);
                self.expire_all(now);
                self.caught_up = true;
                self.blind = false;
                self.lag = Some(SignedDuration::ZERO);
                let generation = self.whitelist().generation();
                self.right_from = generation;
                // Whoever waits for the start has waited for long enough.
                self.map.hurry();
                self.commit();
                let whitelist = self.whitelist();
                diagnostics::caught_up(whitelist.len(), whitelist.open_sessions());
                drop(whitelist);
                return Ok(self.become_ready());
            }
            Some(FromReader::Looked(number)) => self.policy.looks.done(number),
            Some(FromReader::Beat) => self.commit(),
            Some(FromReader::CursorGone(from)) => diagnostics::cursor_gone(from),
            Some(FromReader::Trouble(error)) => {
                if self.options.once {
                    return Err(error.into());
                }
                let error = error.to_string();
                if self.health.lost(&error, Instant::now()) {
                    diagnostics::journal_trouble(&error);
                }
                self.policy.looks.set_blind(true);
            }
            Some(FromReader::Recovered) => {
                self.health.recovered();
                self.blind = false;
                self.policy.looks.set_blind(false);
                diagnostics::journal_recovered();
            }
            Some(FromReader::Files { unreadable, place }) => {
                if self.health.is_whole() && !unreadable.is_empty() {
                    self.keeper.advance(place);
                }
                if let Some(told) = self.health.files(unreadable) {
                    diagnostics::journal_incomplete(told);
                }
            }
            Some(FromReader::Again) => return Ok(Next::ReadAgain),
            None => {
                let source = std::io::Error::other("its thread has ended");
                return Err(RunError::System {
                    what: "reading the journal",
                    source,
                });
            }
        }
        Ok(Next::GoOn)
    }

    /// Says where the journal is to be read from, now that more of it can be. What is read again
    /// changes nothing in the end; until then it is as at a start.
    fn read_again(&mut self) -> StartPosition {
        self.caught_up = false;
        let place = self.keeper.position().cloned();
        let begin = where_to_begin(&self.plan, place, None, Timestamp::now());
        diagnostics::reading_again(begin.time());
        begin
    }

    /// Nobody waits without end for a journal that can't be read. Says when that is, if it stays so.
    fn go_on_blind_if_due(&mut self) -> Option<Instant> {
        let time = self
            .health
            .patience_ends()
            .filter(|_| !self.caught_up && !self.blind)?;
        if time > Instant::now() {
            return Some(time);
        }
        self.blind = true;
        self.become_ready();
        None
    }

    fn apply(&mut self, event: &Event, now: Timestamp) {
        let outcome = self.whitelist_mut().apply(event, now);
        let whitelist = self.policy.whitelist.borrow();
        self.activity.applied(event, &outcome, &whitelist);
        drop(whitelist);
        self.look_for_one_address(event, &outcome);
        match outcome {
            Outcome::Added(client) => {
                let level = self.floods.level(Change::Added, now);
                self.tell(client, |client, listing, until| {
                    diagnostics::client_added(client, listing, until, level);
                });
            }
            Outcome::Prolonged(client) => {
                self.floods.prolonged(now);
                self.tell(client, diagnostics::login_prolonged);
            }
            Outcome::Ended(client) => self.tell(client, diagnostics::session_ended),
            Outcome::Restarted(sessions) => {
                diagnostics::server_restarted(&event.server, sessions);
            }
            Outcome::Unfollowed(sessions) => {
                diagnostics::sessions_unfollowed(&event.server, sessions);
            }
            Outcome::Doubtful(sessions) => {
                diagnostics::session_lost(&event.server, sessions);
            }
            Outcome::Refused(client, why) => {
                let user = match &event.kind {
                    EventKind::Login { user, .. } => user.as_deref(),
                    _ => None,
                };
                if why.is_limit() {
                    self.refusals.limit(client, user, &event.server, why, now);
                } else {
                    diagnostics::login_ignored(client, user, &event.server, why);
                }
            }
            Outcome::Nothing => {}
        }
    }

    fn look_for_one_address(&mut self, event: &Event, outcome: &Outcome) {
        if let EventKind::Login { client, user, .. } = &event.kind
            && let Outcome::Added(_) | Outcome::Prolonged(_) = outcome
            && let user = user.as_deref()
            && let Some(users) = self.one_address.login(*client, user, event.time)
        {
            let said = diagnostics::one_address(*client, users);
            self.one_address.say(said);
        }
    }

    fn tell(&self, client: Client, message: impl FnOnce(Client, &Listing<'_>, Timestamp)) {
        let whitelist = self.whitelist();
        if let Some(listing) = whitelist.get(client) {
            message(client, &listing, whitelist.until(&listing));
        }
    }

    pub(super) fn commit(&mut self) {
        let mut whitelist = self.policy.whitelist.borrow_mut();
        self.by_hand.keep(&mut whitelist);
        // Those that expire together are committed together.
        let is_time = self.caught_up && !self.expiring;
        self.keeper.commit(&mut whitelist, is_time);
    }

    fn commit_all(&mut self) {
        let mut whitelist = self.policy.whitelist.borrow_mut();
        self.by_hand.keep(&mut whitelist);
        self.keeper.commit_now(&mut whitelist, true);
    }

    // ---- Time ----

    fn timer(&mut self, woken: Woken) {
        if woken == Woken::Spurious {
            return;
        }
        let now = Timestamp::now();
        if woken == Woken::ClockSet {
            self.whitelist_mut().clock_set(now);
            diagnostics::clock_set();
        }
        self.refusals.sum_up(now);
        let listed = self.whitelist().len();
        self.floods.sum_up(now, listed);
        self.commit();
    }

    pub(super) fn refuse_by_rules(&mut self) {
        let removed = self.whitelist_mut().set_rules(self.plan.rules.clone());
        let now = Timestamp::now();
        for (client, why) in &removed {
            let level = self.floods.level(Change::Removed, now);
            diagnostics::client_refused_by_rules(*client, *why, level);
            self.activity.removed(*client, None, why.reason());
        }
        self.note_removal(removed.len());
    }

    pub(super) fn note_removal(&mut self, removed: usize) {
        if removed > 0 {
            let generation = self.whitelist().generation();
            self.map.note_removal(generation);
        }
    }

    // ---- The access map ----

    fn publication_done(&mut self, done: Done) -> Result<Next, RunError> {
        let is_publication = matches!(done, Done::Published(_));
        let done = self.map.done(done);
        if is_publication {
            self.watch_map();
        }
        match done {
            Err(error) if self.options.once => Err(error.into()),
            Err(error) => {
                self.by_hand.published(&self.map, Some(&error));
                self.activity.not_published(&error);
                Ok(Next::GoOn)
            }
            Ok(()) => {
                self.by_hand.published(&self.map, None);
                if let Some(publication) = self.map.last().filter(|_| is_publication) {
                    self.activity.published(publication);
                }
                Ok(self.become_ready())
            }
        }
    }

    /// Watches the directory of the map, and looks at what has happened before.
    fn watch_map(&mut self) {
        if let Err(error) = self.watch.watch(self.map.map().directory())
            && self.map.is_known()
            && !std::mem::replace(&mut self.unwatched, true)
        {
            diagnostics::warning(&format!(
                "{}: can't be watched: {error}; what somebody else does to the access map is noticed \
                 later",
                self.map.map().directory().display()
            ));
        }
        self.map.look();
    }

    /// The service is ready once the journal has been read, or can't be, and the map is right.
    fn become_ready(&mut self) -> Next {
        if !(self.caught_up || self.blind) || !self.map.has_published(self.right_from) {
            return Next::GoOn;
        }
        if !self.ready {
            self.ready = true;
            self.show_ready();
        }
        if self.options.once {
            Next::Leave
        } else {
            Next::GoOn
        }
    }

    // ---- The end ----

    async fn stop(mut self, done: &mut mpsc::UnboundedReceiver<Done>) {
        systemd::stopping();
        self.commit_all();
        let listed = self.whitelist().len();
        if self.map.is_under_way() {
            // Its outcome no longer matters to us; that it is whole does, and it always is.
            let _ = tokio::time::timeout(LAST_PUBLICATION, done.recv()).await;
        }
        self.floods.finish(listed);
        diagnostics::stopped(listed);
    }
}
