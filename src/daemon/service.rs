//! The loop of the service: what happens, and whose business it is.

use std::cell::{Cell, Ref, RefCell, RefMut};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use tokio::net::UnixListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::by_hand::ByHand;
use super::deadline::{DeadlineTimer, Woken};
use super::keeper::{Found, Keeper};
use super::map_keeper::MapKeeper;
use super::plan::{Plan, PlanError};
use super::policy_server::{self, Policy};
use super::publication::Schedule;
use super::publisher::{Done, Publisher};
use super::reader::{self, Begin, FromReader};
use super::run::{Options, RunError, store_path, system};
use super::supervisor::{self, Sockets};
use crate::client::Client;
use crate::control::server::{self, Question};
use crate::diagnostics::{self, Refusals};
use crate::event::{Event, EventKind};
use crate::intake::Intake;
use crate::journal::{Position, Source};
use crate::store::InForce;
use crate::whitelist::{Listing, Outcome, Whitelist};

/// A place in the journal that is further ahead of the clock than this is not believed.
const FUTURE_TOLERANCE: SignedDuration = SignedDuration::from_secs(60);
/// How often the reader says that it is alive where no watchdog asks.
const BEAT: Duration = Duration::from_secs(60);
/// How often systemd is told how we are, at most.
const STATUS_INTERVAL: Duration = Duration::from_secs(1);
/// How long a stopping service waits for a publication that is under way.
const LAST_PUBLICATION: Duration = Duration::from_secs(10);

pub(super) struct Service {
    pub(super) options: Options,
    pub(super) plan: Plan,
    pub(super) since: Timestamp,
    /// Who may relay, and the policy's answers, which are made of it.
    pub(super) policy: Rc<Policy>,
    pub(super) keeper: Keeper,
    pub(super) by_hand: ByHand,
    pub(super) map: MapKeeper,
    pub(super) refusals: Refusals,
    pub(super) caught_up: bool,
    /// The whitelist's generation when the journal had been read: once the map has it, it is right.
    /// Clients that come and go since then may do so faster than maps can be built.
    right_from: u64,
    ready: bool,
    status: String,
    status_shown: Instant,
    watchdog_fed: Instant,
    /// Why the journal can't be read for now.
    pub(super) journal_trouble: Option<String>,
    /// Why the last reload was refused.
    pub(super) reload_refused: Option<String>,
}

/// What the loop does after a step.
enum Next {
    GoOn,
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
        let publisher = Publisher::start(done_sender).map_err(system("can't start a thread"))?;
        let (question_sender, mut questions) = mpsc::channel(16);

        let (mut service, begin) = Self::start(plan, options.clone(), publisher)?;
        service.serve(sockets, question_sender);
        let mut journal = service.start_reader(begin)?;
        let (plan_sender, mut plans) = mpsc::channel(1);
        let mut reloading = false;
        let mut armed = None;

        loop {
            let deadline = service.next_deadline();
            if armed != Some(deadline) {
                timer.set(deadline).map_err(system("can't set the timer"))?;
                armed = Some(deadline);
            }
            let wake = service.do_what_is_due();
            let wake_up = async {
                match wake {
                    Some(time) => tokio::time::sleep_until(time.into()).await,
                    None => std::future::pending().await,
                }
            };
            let next = tokio::select! {
                biased;
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
                    supervisor::reloading();
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
                message = journal.recv() => service.hear(message)?,
                () = wake_up => Next::GoOn,
            };
            if matches!(next, Next::Leave) {
                break;
            }
        }
        service.stop(&mut done).await;
        Ok(())
    }

    /// Opens the store, puts the whitelist in order, and says where the journal is to be read.
    fn start(
        plan: Plan,
        options: Options,
        publisher: Publisher,
    ) -> Result<(Self, Begin), RunError> {
        let now = Timestamp::now();
        let path = store_path(&plan.settings.state_directory);
        let (keeper, Found { kept, set_aside }) = Keeper::open(path, in_force(&plan))?;
        let begin = where_to_begin(&plan, kept.position, set_aside, now);
        diagnostics::started(
            &plan.settings.servers.join(", "),
            &plan.rules.permitted.to_string(),
            &plan.map.main_cf_line(),
        );
        let schedule = Schedule::new(plan.settings.map.debounce);
        let map = MapKeeper::new(
            publisher,
            plan.map.clone(),
            plan.settings.publish.map,
            schedule,
        );
        map.withdraw_former(kept.in_force);
        let mut whitelist = Whitelist::restore(plan.rules.clone(), kept.clients, kept.sessions);
        let by_hand = ByHand::open(&plan.settings.state_directory, &mut whitelist);
        let mut service = Service {
            options,
            since: now,
            policy: Rc::new(Policy {
                whitelist: Rc::new(RefCell::new(whitelist)),
                ipv6_prefix: Cell::new(plan.settings.policy.ipv6_prefix),
                enabled: Cell::new(plan.settings.publish.policy),
                answered: Cell::new(0),
                granted: Cell::new(0),
            }),
            keeper,
            by_hand,
            map,
            refusals: Refusals::default(),
            caught_up: false,
            right_from: 0,
            ready: false,
            status: String::new(),
            status_shown: now_minus_interval(),
            watchdog_fed: Instant::now(),
            journal_trouble: None,
            reload_refused: None,
            plan,
        };
        service
            .plan
            .warnings
            .iter()
            .for_each(|warning| diagnostics::warning(warning));
        // A clock that was set while the service was away must lend nobody time.
        service.whitelist_mut().clock_set(now);
        service.refuse_by_rules();
        service.end_sessions_of_former_boots(now);
        service.expire(now);
        Ok((service, begin))
    }

    pub(super) fn whitelist(&self) -> Ref<'_, Whitelist> {
        self.policy.whitelist.borrow()
    }

    pub(super) fn whitelist_mut(&self) -> RefMut<'_, Whitelist> {
        self.policy.whitelist.borrow_mut()
    }

    fn serve(&self, sockets: Sockets, questions: mpsc::Sender<Question>) {
        if self.options.once {
            return;
        }
        let Options {
            socket,
            policy_socket,
            ..
        } = &self.options;
        let control = sockets
            .control
            .map_or_else(|| supervisor::own_socket(socket), Ok);
        match control.and_then(UnixListener::from_std) {
            Ok(listener) => {
                tokio::spawn(server::serve(listener, questions));
            }
            Err(error) => diagnostics::warning(&format!(
                "{}: no control socket: {error}; 'list' and 'status' can't ask this service",
                socket.display()
            )),
        }
        let own = || policy_socket.as_deref().map(supervisor::own_socket);
        match sockets
            .policy
            .map(Ok)
            .or_else(own)
            .map(|s| s.and_then(UnixListener::from_std))
        {
            Some(Ok(listener)) => {
                tokio::task::spawn_local(policy_server::serve(listener, self.policy.clone()));
            }
            Some(Err(error)) => {
                diagnostics::warning(&format!("no policy socket: {error}"));
            }
            None => {}
        }
    }

    fn start_reader(&self, begin: Begin) -> Result<mpsc::Receiver<FromReader>, RunError> {
        let beat = supervisor::watchdog().map_or(BEAT, |limit| limit / 3);
        reader::start(
            self.plan.source.clone(),
            self.plan.recogniser.clone(),
            begin,
            beat,
        )
        .map_err(system("can't start a thread"))
    }

    fn next_deadline(&self) -> Option<Timestamp> {
        let expiry = self.whitelist().next_deadline();
        expiry
            .into_iter()
            .chain(self.refusals.next_deadline())
            .min()
    }

    /// Does what is due by the monotonic clock, and says when the next of it will be.
    fn do_what_is_due(&mut self) -> Option<Instant> {
        let mut whitelist = self.policy.whitelist.borrow_mut();
        self.keeper.reopen_if_due(&mut whitelist);
        let publication = self.map.publish_if_due(&whitelist, self.caught_up);
        drop(whitelist);
        let store = self.keeper.retry_at();
        publication
            .into_iter()
            .chain(store)
            .chain(self.show_status())
            .min()
    }

    // ---- From the journal ----

    fn hear(&mut self, message: Option<FromReader>) -> Result<Next, RunError> {
        self.feed_watchdog();
        let now = Timestamp::now();
        match message {
            Some(FromReader::Batch { intakes, position }) => {
                for intake in intakes {
                    match intake {
                        Intake::Event(event) => self.apply(&event, now),
                        Intake::Refused(refused) => self.refusals.entry(&refused, now),
                        Intake::Nothing | Intake::Noted(_) => {}
                    }
                }
                self.keeper.advance(position);
                self.expire(now);
                self.commit();
            }
            Some(FromReader::CaughtUp) => {
                self.end_sessions_of_former_boots(now);
                self.expire(now);
                self.caught_up = true;
                let generation = self.whitelist().generation();
                self.right_from = generation;
                self.commit();
                let whitelist = self.whitelist();
                diagnostics::caught_up(whitelist.len(), whitelist.open_sessions());
                drop(whitelist);
                return Ok(self.become_ready());
            }
            Some(FromReader::Beat) => self.commit(),
            Some(FromReader::CursorGone(from)) => diagnostics::cursor_gone(from),
            Some(FromReader::Trouble(error)) => {
                if self.options.once {
                    return Err(error.into());
                }
                if self.journal_trouble.is_none() {
                    diagnostics::journal_trouble(&error.to_string());
                }
                self.journal_trouble = Some(error.to_string());
            }
            Some(FromReader::Recovered) => {
                self.journal_trouble = None;
                diagnostics::journal_recovered();
            }
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

    fn apply(&mut self, event: &Event, now: Timestamp) {
        let outcome = self.whitelist_mut().apply(event, now);
        match outcome {
            Outcome::Added(client) => self.tell(client, diagnostics::client_added),
            Outcome::Prolonged(client) => self.tell(client, diagnostics::login_prolonged),
            Outcome::Ended(client) => self.tell(client, diagnostics::session_ended),
            Outcome::Restarted(sessions) => {
                diagnostics::server_restarted(&event.server, sessions);
            }
            Outcome::Unfollowed(sessions) => {
                diagnostics::sessions_unfollowed(&event.server, sessions);
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

    fn tell(&self, client: Client, message: fn(Client, &Listing, Timestamp)) {
        let whitelist = self.whitelist();
        if let Some(listing) = whitelist.get(client) {
            message(client, listing, whitelist.until(listing));
        }
    }

    pub(super) fn commit(&mut self) {
        let mut whitelist = self.policy.whitelist.borrow_mut();
        self.by_hand.keep(&mut whitelist);
        self.keeper.commit(&mut whitelist, self.caught_up);
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
        }
        let removed = self.expire(now);
        if woken == Woken::ClockSet {
            diagnostics::clock_set(removed);
        }
        self.refusals.sum_up(now);
        self.commit();
    }

    fn expire(&mut self, now: Timestamp) -> usize {
        let ended = self.whitelist_mut().expire_manual(now);
        for (client, grant) in &ended {
            diagnostics::grant_ended(*client, grant);
        }
        let removed = self.whitelist_mut().expire(now);
        for (client, listing) in &removed {
            // Who is allowed by hand stays.
            if self.whitelist().listed(*client).is_none() {
                diagnostics::client_expired(*client, listing);
            }
        }
        let number = ended.len() + removed.len();
        self.note_removal(number);
        number
    }

    fn refuse_by_rules(&mut self) {
        let removed = self.whitelist_mut().set_rules(self.plan.rules.clone());
        for (client, why) in &removed {
            diagnostics::client_refused_by_rules(*client, *why);
        }
        self.note_removal(removed.len());
    }

    pub(super) fn note_removal(&mut self, removed: usize) {
        if removed > 0 {
            let generation = self.whitelist().generation();
            self.map.note_removal(generation);
        }
    }

    /// Sessions do not outlive the host that they were on, if it is this one.
    fn end_sessions_of_former_boots(&mut self, now: Timestamp) {
        if matches!(self.plan.source, Source::Directory(_) | Source::Files(_)) {
            return;
        }
        let up = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let boot = earlier(now, SignedDuration::from_secs(up.tv_sec));
        self.whitelist_mut().end_sessions_before(boot);
    }

    // ---- The access map ----

    fn publication_done(&mut self, done: Done) -> Result<Next, RunError> {
        match self.map.done(done) {
            Err(error) if self.options.once => Err(error.into()),
            Err(_) => Ok(Next::GoOn),
            Ok(()) => Ok(self.become_ready()),
        }
    }

    /// The service is ready once the journal has been read and the map is right.
    fn become_ready(&mut self) -> Next {
        if !self.caught_up || !self.map.has_published(self.right_from) {
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

    // ---- The configuration ----

    /// Puts another plan in force, if it is right, and says where the journal is to be read from
    /// then on.
    fn reload(&mut self, plan: Result<Plan, PlanError>) -> Option<Begin> {
        let refused = match plan {
            Ok(plan) if plan.settings.state_directory != self.plan.settings.state_directory => {
                "state-directory: can only be changed by a restart".to_owned()
            }
            Ok(plan) => return Some(self.take(plan)),
            Err(error) => error.to_string(),
        };
        diagnostics::reload_refused(&refused);
        self.reload_refused = Some(format!("the last reload was refused: {refused}"));
        self.show_ready();
        None
    }

    fn take(&mut self, plan: Plan) -> Begin {
        let former = in_force(&self.plan);
        let same_source = plan.source == self.plan.source;
        self.plan = plan;
        self.reload_refused = None;
        self.plan
            .warnings
            .iter()
            .for_each(|warning| diagnostics::warning(warning));
        let settings = &self.plan.settings;
        self.policy.ipv6_prefix.set(settings.policy.ipv6_prefix);
        self.policy.enabled.set(settings.publish.policy);
        self.map.change(
            self.plan.map.clone(),
            settings.publish.map,
            settings.map.debounce,
        );
        self.map.withdraw_former(Some(former));
        self.keeper.put_in_force(in_force(&self.plan));
        self.refuse_by_rules();
        let now = Timestamp::now();
        self.expire(now);
        self.commit();
        diagnostics::reloaded(
            &self.plan.settings.servers.join(", "),
            &self.plan.rules.permitted.to_string(),
        );
        self.show_ready();
        let one_grace = earlier(now, self.plan.rules.grace);
        match self.keeper.position() {
            Some(position) if same_source => Begin::Behind(position.clone(), one_grace),
            _ => Begin::At(one_grace),
        }
    }

    // ---- To systemd ----

    /// After a reload the service is as ready as it was before.
    fn show_ready(&mut self) {
        if self.ready {
            self.status = self.status_line();
            supervisor::ready(&self.status);
        }
    }

    /// Shows systemd how we are, if that has changed; or says when it may be told again.
    fn show_status(&mut self) -> Option<Instant> {
        let now = Instant::now();
        let next = self.status_shown + STATUS_INTERVAL;
        let line = self.status_line();
        if self.status == line {
            return None;
        }
        if next > now {
            return Some(next);
        }
        supervisor::status(&line);
        self.status = line;
        self.status_shown = now;
        None
    }

    /// Tells the watchdog that the reader and the loop are alive; there is no need to tell it with
    /// every batch.
    fn feed_watchdog(&mut self) {
        if self.watchdog_fed.elapsed() >= STATUS_INTERVAL {
            supervisor::alive();
            if !self.ready {
                supervisor::starting_takes_longer();
            }
            self.watchdog_fed = Instant::now();
        }
    }

    // ---- The end ----

    async fn stop(mut self, done: &mut mpsc::UnboundedReceiver<Done>) {
        supervisor::stopping();
        self.commit_all();
        let listed = self.whitelist().len();
        if self.map.is_under_way() {
            // Its outcome no longer matters to us; that it is whole does, and it always is.
            let _ = tokio::time::timeout(LAST_PUBLICATION, done.recv()).await;
        }
        diagnostics::stopped(listed);
    }
}

/// Where the journal is to be read first.
fn where_to_begin(
    plan: &Plan,
    position: Option<Position>,
    set_aside: Option<(PathBuf, String)>,
    now: Timestamp,
) -> Begin {
    // Whatever is older matters to nobody: its session would have ended, and its grace passed.
    let oldest = earlier(earlier(now, plan.rules.max_session), plan.rules.grace);
    match (position, set_aside) {
        (Some(place), _) if place.time > later(now, FUTURE_TOLERANCE) => {
            diagnostics::cursor_in_the_future(place.time, oldest);
            Begin::At(oldest)
        }
        (Some(place), _) => Begin::Behind(place, oldest),
        (None, Some((aside, reason))) => {
            diagnostics::store_set_aside(&aside, &reason, oldest);
            Begin::At(oldest)
        }
        (None, None) => Begin::At(earlier(now, plan.rules.grace)),
    }
}

/// What the store is to remember of a plan.
fn in_force(plan: &Plan) -> InForce {
    let Plan { map, settings, .. } = plan;
    InForce {
        path: map.path.clone(),
        kind: map.kind,
        value: map.value.clone(),
        grace: settings.grace,
        max_session: settings.max_session,
    }
}

/// So that the first status is told at once.
fn now_minus_interval() -> Instant {
    let now = Instant::now();
    now.checked_sub(STATUS_INTERVAL).unwrap_or(now)
}

fn earlier(time: Timestamp, by: SignedDuration) -> Timestamp {
    time.checked_sub(by).unwrap_or(Timestamp::MIN)
}

fn later(time: Timestamp, by: SignedDuration) -> Timestamp {
    time.checked_add(by).unwrap_or(Timestamp::MAX)
}
