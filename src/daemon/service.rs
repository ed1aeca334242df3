//! The loop of the service.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::deadline::{DeadlineTimer, Woken};
use super::plan::{Plan, PlanError};
use super::publication::{Due, Schedule};
use super::publisher::{Done, Job, Publisher};
use super::reader::{self, Begin, FromReader};
use super::supervisor;
use crate::control::protocol::{ClientInfo, MapStatus, PublicationStatus, Status};
use crate::control::server::{self, Question};
use crate::diagnostics::{self, Refusals, count};
use crate::event::{Event, EventKind};
use crate::intake::Intake;
use crate::journal::{Position, Source};
use crate::postfix::access_map::{AccessMap, PublishError, Published};
use crate::store::{Kept, MapRecord, Opened, Store, StoreError};
use crate::whitelist::{Delta, Outcome, Refusal, Whitelist};

/// A place in the journal that is further ahead of the clock than this is not believed.
const FUTURE_TOLERANCE: SignedDuration = SignedDuration::from_secs(60);
/// How often the reader says that it is alive where no watchdog asks.
const BEAT: Duration = Duration::from_secs(60);
/// How old the stored place may become while entries go by that mean nothing.
const POSITION_AGE: Duration = Duration::from_secs(60);
/// The longest pause until the store is opened again after it could not be written.
const STORE_RETRY: Duration = Duration::from_secs(15);
/// How often systemd is told how we are, at most.
const STATUS_INTERVAL: Duration = Duration::from_secs(1);
/// How long a stopping service waits for a publication that is under way.
const LAST_PUBLICATION: Duration = Duration::from_secs(10);

/// How the service is to run.
#[derive(Debug, Clone)]
pub struct Options {
    /// The configuration; `None` for the usual files.
    pub config: Option<PathBuf>,
    /// Whether to leave once the journal has been read and the map is published.
    pub once: bool,
    /// Where to make a control socket if systemd holds none.
    pub socket: PathBuf,
}

/// The service can't run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The configuration can't be put in force.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The store can't be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// With `once`: the map could not be published.
    #[error(transparent)]
    Publication(#[from] PublishError),
    /// With `once`: the journal can't be read.
    #[error(transparent)]
    Journal(#[from] crate::journal::JournalError),
    /// The system does not give what a service needs.
    #[error("{what}: {source}")]
    System {
        /// What we wanted.
        what: &'static str,
        /// Why not.
        source: std::io::Error,
    },
}

fn system(what: &'static str) -> impl FnOnce(std::io::Error) -> RunError {
    move |source| RunError::System { what, source }
}

/// Runs the service until it is told to stop.
///
/// # Errors
/// When it can't start; later trouble is reported, shown by `status`, and tried again.
pub fn run(options: &Options) -> Result<(), RunError> {
    let plan = Plan::make(options.config.as_deref())?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(system("can't start the loop"))?;
    let result = runtime.block_on(Service::run(plan, options));
    // The reader may be waiting for the journal; it has nothing to lose.
    runtime.shutdown_background();
    result
}

/// What is wrong now. Each is told once when it begins, and shown by `status` until it ends.
#[derive(Debug, Default)]
struct Troubles {
    journal: Option<String>,
    store: Option<String>,
    publication: Option<String>,
    withdrawal: Option<String>,
    reload: Option<String>,
    configuration: Vec<String>,
}

impl Troubles {
    fn list(&self) -> Vec<String> {
        let now = [
            &self.journal,
            &self.store,
            &self.publication,
            &self.withdrawal,
            &self.reload,
        ];
        now.into_iter()
            .flatten()
            .chain(&self.configuration)
            .cloned()
            .collect()
    }
}

struct Service {
    options: Options,
    plan: Plan,
    since: Timestamp,
    whitelist: Whitelist,
    /// None while it can't be written.
    store: Option<Store>,
    store_retry: Option<(Instant, Duration)>,
    position: Option<Position>,
    position_committed: Instant,
    publisher: Publisher,
    schedule: Schedule,
    /// The last generation in which somebody was removed.
    removal: Option<u64>,
    last_publication: Option<PublicationStatus>,
    /// Whether maps of other types beside ours have been seen to.
    other_types_withdrawn: bool,
    refusals: Refusals,
    caught_up: bool,
    ready: bool,
    status: String,
    status_shown: Instant,
    watchdog_fed: Instant,
    troubles: Troubles,
}

/// What the loop does after a step.
enum Next {
    GoOn,
    Leave,
}

impl Service {
    async fn run(plan: Plan, options: &Options) -> Result<(), RunError> {
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
        service.serve_control(question_sender);
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
            let wake = service
                .publish_if_due()
                .into_iter()
                .chain(service.store_retry_at())
                .chain(service.show_status())
                .min();
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
                () = wake_up => {
                    service.reopen_store();
                    Next::GoOn
                }
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
        let Opened {
            store,
            kept,
            set_aside,
        } = Store::open(&store_path(&plan.settings.state_directory))?;
        let Kept {
            clients,
            sessions,
            position,
            map,
        } = kept;
        let oldest = earlier(earlier(now, plan.rules.max_session), plan.rules.grace);
        let one_grace = earlier(now, plan.rules.grace);
        let begin = match position.clone() {
            Some(place) if place.time > later(now, FUTURE_TOLERANCE) => {
                diagnostics::cursor_in_the_future(place.time, oldest);
                Begin::At(oldest)
            }
            Some(place) => Begin::Behind(place, oldest),
            None => match &set_aside {
                Some((aside, reason)) => {
                    diagnostics::store_set_aside(aside, reason, oldest);
                    Begin::At(oldest)
                }
                None => Begin::At(one_grace),
            },
        };
        diagnostics::started(
            &plan.settings.servers.join(", "),
            &plan.rules.permitted.to_string(),
            &plan.map.main_cf_line(),
        );
        let mut service = Service {
            options,
            since: now,
            whitelist: Whitelist::restore(plan.rules.clone(), clients, sessions),
            store: Some(store),
            store_retry: None,
            position,
            position_committed: Instant::now(),
            publisher,
            schedule: Schedule::new(plan.settings.map.debounce),
            removal: None,
            last_publication: None,
            other_types_withdrawn: false,
            refusals: Refusals::default(),
            caught_up: false,
            ready: false,
            status: String::new(),
            status_shown: Instant::now(),
            watchdog_fed: Instant::now(),
            troubles: Troubles::default(),
            plan,
        };
        service.take_warnings();
        service.withdraw_former_maps(map);
        // A clock that was set while the service was away must lend nobody time.
        service.whitelist.clock_set(now);
        service.refuse_by_rules();
        service.end_sessions_of_former_boots(now);
        service.expire(now);
        service.commit();
        Ok((service, begin))
    }

    fn serve_control(&mut self, questions: mpsc::Sender<Question>) {
        let socket = match supervisor::control_socket() {
            Some(socket) => Ok(socket),
            None if self.options.once => return,
            None => supervisor::own_control_socket(&self.options.socket),
        };
        match socket.and_then(tokio::net::UnixListener::from_std) {
            Ok(listener) => {
                tokio::spawn(server::serve(listener, questions));
            }
            Err(error) => diagnostics::warning(&format!(
                "{}: no control socket: {error}; 'list' and 'status' can't ask this service",
                self.options.socket.display()
            )),
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
        self.whitelist
            .next_deadline()
            .into_iter()
            .chain(self.refusals.next_deadline())
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
                self.position = Some(position);
                self.expire(now);
                self.commit();
                if !self.ready {
                    supervisor::starting_takes_longer();
                }
            }
            Some(FromReader::CaughtUp) => {
                self.end_sessions_of_former_boots(now);
                self.expire(now);
                self.caught_up = true;
                self.commit();
                diagnostics::caught_up(self.whitelist.len(), self.whitelist.open_sessions());
            }
            Some(FromReader::Beat) => self.commit(),
            Some(FromReader::CursorGone(from)) => diagnostics::cursor_gone(from),
            Some(FromReader::Trouble(error)) => {
                if self.options.once {
                    return Err(error.into());
                }
                if self.troubles.journal.is_none() {
                    diagnostics::journal_trouble(&error.to_string());
                }
                self.troubles.journal = Some(error.to_string());
            }
            Some(FromReader::Recovered) => {
                self.troubles.journal = None;
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
        let outcome = self.whitelist.apply(event, now);
        match outcome {
            Outcome::Added(client) => self.tell(client, diagnostics::client_added),
            Outcome::Prolonged(client) => self.tell(client, diagnostics::login_prolonged),
            Outcome::Ended(client) => self.tell(client, diagnostics::session_ended),
            Outcome::Restarted(sessions) => {
                diagnostics::server_restarted(&event.server, sessions);
            }
            Outcome::Refused(client, why) => {
                let user = match &event.kind {
                    EventKind::Login { user, .. } => user.as_deref(),
                    _ => None,
                };
                self.login_refused(client, user, &event.server, why, now);
            }
            Outcome::Nothing => {}
        }
    }

    fn login_refused(
        &mut self,
        client: crate::client::Client,
        user: Option<&str>,
        server: &str,
        why: Refusal,
        now: Timestamp,
    ) {
        if why.is_limit() {
            self.refusals.limit(client, user, server, why, now);
        } else {
            diagnostics::login_ignored(client, user, server, why);
        }
    }

    fn tell(
        &self,
        client: crate::client::Client,
        message: fn(crate::client::Client, &crate::whitelist::Listing, Timestamp),
    ) {
        if let Some(listing) = self.whitelist.get(client) {
            message(client, listing, self.whitelist.until(listing));
        }
    }

    // ---- Time ----

    fn timer(&mut self, woken: Woken) {
        if woken == Woken::Spurious {
            return;
        }
        let now = Timestamp::now();
        if woken == Woken::ClockSet {
            self.whitelist.clock_set(now);
        }
        let removed = self.expire(now);
        if woken == Woken::ClockSet {
            diagnostics::clock_set(removed);
        }
        self.refusals.sum_up(now);
        self.commit();
    }

    fn expire(&mut self, now: Timestamp) -> usize {
        let removed = self.whitelist.expire(now);
        for (client, listing) in &removed {
            diagnostics::client_expired(*client, listing);
        }
        if !removed.is_empty() {
            self.removal = Some(self.whitelist.generation());
        }
        removed.len()
    }

    fn refuse_by_rules(&mut self) {
        let removed = self.whitelist.set_rules(self.plan.rules.clone());
        for (client, why) in &removed {
            diagnostics::client_refused_by_rules(*client, *why);
        }
        if !removed.is_empty() {
            self.removal = Some(self.whitelist.generation());
        }
    }

    /// Sessions do not outlive the host that they were on, if it is this one.
    fn end_sessions_of_former_boots(&mut self, now: Timestamp) {
        if matches!(self.plan.source, Source::Directory(_) | Source::Files(_)) {
            return;
        }
        let up = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        self.whitelist
            .end_sessions_before(earlier(now, SignedDuration::from_secs(up.tv_sec)));
    }

    // ---- The store ----

    /// Commits what has changed; and the place in the journal, if something has or it is old.
    fn commit(&mut self) {
        let Some(store) = &self.store else { return };
        let delta = self.whitelist.take_delta();
        if delta.is_empty() && self.position_committed.elapsed() < POSITION_AGE {
            return;
        }
        match store.commit(&delta, self.position.as_ref()) {
            Ok(()) => self.position_committed = Instant::now(),
            Err(error) => self.store_failed(&error),
        }
    }

    /// sled can't go on after an error: the store is closed, and opened again later.
    fn store_failed(&mut self, error: &StoreError) {
        if self.troubles.store.is_none() {
            diagnostics::store_trouble(error);
        }
        self.troubles.store = Some(error.to_string());
        self.store = None;
        let pause = self
            .store_retry
            .map_or(Duration::from_secs(1), |(_, pause)| {
                (pause * 2).min(STORE_RETRY)
            });
        self.store_retry = Some((Instant::now() + pause, pause));
    }

    fn store_retry_at(&self) -> Option<Instant> {
        self.store_retry
            .filter(|_| self.store.is_none())
            .map(|(time, _)| time)
    }

    /// Opens the store again, if it is time, and writes into it all that there is.
    fn reopen_store(&mut self) {
        if self
            .store_retry_at()
            .is_none_or(|time| time > Instant::now())
        {
            return;
        }
        let path = store_path(&self.plan.settings.state_directory);
        let written = Store::open(&path).and_then(|Opened { store, kept, .. }| {
            let delta = difference(&kept, &self.whitelist);
            store.commit(&delta, self.position.as_ref())?;
            store.set_map(&record(&self.plan.map))?;
            Ok(store)
        });
        match written {
            Ok(store) => {
                // What has changed is in there: it was written as a whole.
                self.whitelist.take_delta();
                self.store = Some(store);
                self.store_retry = None;
                self.troubles.store = None;
                self.position_committed = Instant::now();
                diagnostics::store_recovered();
            }
            Err(error) => self.store_failed(&error),
        }
    }

    // ---- The access map ----

    /// Starts a publication if one is due, or says when one will be.
    fn publish_if_due(&mut self) -> Option<Instant> {
        let generation = self.whitelist.generation();
        // While it catches up, only removals can't wait: logins come by the thousand.
        if !self.caught_up && !self.removal_is_pending() {
            return None;
        }
        let now = Instant::now();
        match self.schedule.due(generation, now) {
            Due::Nothing => None,
            Due::At(time) => Some(time),
            Due::Now => {
                let clients = self.whitelist.clients().map(|(client, _)| client).collect();
                self.schedule.started(generation, now);
                self.publisher
                    .give(Job::Publish(self.plan.map.clone(), clients));
                None
            }
        }
    }

    /// Whether somebody is still in the map, as far as we know, who may relay no more.
    fn removal_is_pending(&self) -> bool {
        self.removal
            .is_some_and(|removal| self.schedule.published().is_none_or(|p| p < removal))
    }

    fn publication_done(&mut self, done: Done) -> Result<Next, RunError> {
        match done {
            Done::Published(Ok(Published { clients, took })) => {
                self.schedule.succeeded();
                self.troubles.publication = None;
                let milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
                let time = Timestamp::now();
                self.last_publication = Some(PublicationStatus {
                    time,
                    clients,
                    milliseconds,
                });
                diagnostics::published(clients, took);
                if !std::mem::replace(&mut self.other_types_withdrawn, true) {
                    let map = self.plan.map.clone();
                    self.publisher.give(Job::WithdrawOtherTypes(map));
                }
                return Ok(self.become_ready());
            }
            Done::Published(Err(error)) if self.options.once => return Err(error.into()),
            Done::Published(Err(error)) => {
                let retry = self.schedule.failed(Instant::now());
                let pending = self.removal_is_pending();
                diagnostics::publication_failed(&error, retry, pending);
                let alarm = if pending {
                    "a client whose grace has passed may still relay: "
                } else {
                    ""
                };
                self.troubles.publication = Some(format!("{alarm}{error}"));
            }
            Done::NotWithdrawn(error) => {
                let text = format!("a former access map still lists clients: {error}");
                diagnostics::warning(&text);
                self.troubles.withdrawal = Some(text);
            }
        }
        Ok(Next::GoOn)
    }

    /// The service is ready once the journal has been read and the map is right.
    fn become_ready(&mut self) -> Next {
        if !self.caught_up || self.schedule.published() != Some(self.whitelist.generation()) {
            return Next::GoOn;
        }
        if !self.ready {
            self.ready = true;
            self.status = self.status_line();
            supervisor::ready(&self.status);
        }
        if self.options.once {
            Next::Leave
        } else {
            Next::GoOn
        }
    }

    /// A map that the service published before and does not any more must list nobody for ever.
    fn withdraw_former_maps(&mut self, former: Option<MapRecord>) {
        let map = &self.plan.map;
        if let Some(former) = former
            && (former.path != map.path || former.kind != map.kind)
        {
            let (path, kind) = (former.path, former.kind);
            self.publisher.give(Job::Withdraw(AccessMap {
                path,
                kind,
                ..map.clone()
            }));
        }
        if let Some(store) = &self.store
            && let Err(error) = store.set_map(&record(&self.plan.map))
        {
            self.store_failed(&error);
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
        self.troubles.reload = Some(format!("the last reload was refused: {refused}"));
        self.show_ready();
        None
    }

    fn take(&mut self, plan: Plan) -> Begin {
        let former = record(&self.plan.map);
        let same_map = plan.map == self.plan.map;
        let same_source = plan.source == self.plan.source;
        self.plan = plan;
        self.troubles.reload = None;
        self.take_warnings();
        self.schedule
            .change(self.plan.settings.map.debounce, !same_map);
        self.withdraw_former_maps(Some(former));
        self.other_types_withdrawn &= same_map;
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
        match &self.position {
            Some(position) if same_source => Begin::Behind(position.clone(), one_grace),
            _ => Begin::At(one_grace),
        }
    }

    /// After a reload the service is as ready as it was before.
    fn show_ready(&mut self) {
        if self.ready {
            self.status = self.status_line();
            supervisor::ready(&self.status);
        }
    }

    fn take_warnings(&mut self) {
        for warning in &self.plan.warnings {
            diagnostics::warning(warning);
        }
        self.troubles.configuration.clone_from(&self.plan.warnings);
    }

    // ---- To those who ask ----

    fn answer(&mut self, question: Question) {
        // Whoever has asked and left gets nothing.
        match question {
            Question::Status(reply) => {
                let _ = reply.send(self.describe());
            }
            Question::Clients {
                after,
                limit,
                reply,
            } => {
                let page = self.whitelist.clients_after(after).take(limit);
                let _ = reply.send(
                    page.map(|(client, listing)| ClientInfo {
                        client,
                        user: listing.user.clone(),
                        server: listing.server.to_string(),
                        since: listing.since,
                        last_login: listing.last_login,
                        until: (listing.open == 0).then(|| self.whitelist.until(listing)),
                        sessions: listing.open,
                    })
                    .collect(),
                );
            }
        }
    }

    fn describe(&self) -> Status {
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            since: self.since,
            servers: self.plan.settings.servers.clone(),
            permitted_networks: self.plan.rules.permitted.to_string(),
            clients: self.whitelist.len(),
            sessions: self.whitelist.open_sessions(),
            refused: self.refusals.total(),
            caught_up: self.caught_up,
            journal_position: self.position.as_ref().map(|position| position.time),
            map: MapStatus {
                path: self.plan.map.path.display().to_string(),
                kind: self.plan.map.kind.to_string(),
            },
            last_publication: self.last_publication.clone(),
            problems: self.troubles.list(),
        }
    }

    fn status_line(&self) -> String {
        let clients = count(self.whitelist.len(), "client");
        let sessions = count(self.whitelist.open_sessions(), "session");
        let published = match &self.last_publication {
            Some(p) => format!(
                "; published {} at {} in {} ms",
                count(p.clients, "client"),
                diagnostics::local_time(p.time),
                p.milliseconds
            ),
            None => "; nothing published yet".to_owned(),
        };
        let problem = match self.troubles.list().first() {
            Some(problem) => format!("; PROBLEM: {}", problem.lines().next().unwrap_or_default()),
            None => String::new(),
        };
        format!("{clients}, {sessions}{published}{problem}")
    }

    /// Shows systemd how we are, if that has changed; or says when it may be told again.
    fn show_status(&mut self) -> Option<Instant> {
        let line = self.status_line();
        if self.status == line {
            return None;
        }
        let now = Instant::now();
        let next = self.status_shown + STATUS_INTERVAL;
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
            self.watchdog_fed = Instant::now();
        }
    }

    // ---- The end ----

    async fn stop(mut self, done: &mut mpsc::UnboundedReceiver<Done>) {
        supervisor::stopping();
        self.position_committed = Instant::now() - POSITION_AGE;
        self.commit();
        if self.schedule.is_under_way() {
            // Its outcome no longer matters to us; that it is whole does, and it always is.
            let _ = tokio::time::timeout(LAST_PUBLICATION, done.recv()).await;
        }
        diagnostics::stopped(self.whitelist.len());
    }
}

fn record(map: &AccessMap) -> MapRecord {
    MapRecord {
        path: map.path.clone(),
        kind: map.kind,
        value: map.value.clone(),
    }
}

/// What makes a store that holds `kept` hold the whitelist.
fn difference(kept: &Kept, whitelist: &Whitelist) -> Delta {
    let mut delta = Delta::default();
    let gone = kept
        .clients
        .iter()
        .filter(|(client, _)| whitelist.get(*client).is_none());
    delta
        .clients
        .extend(gone.map(|(client, _)| (*client, None)));
    delta.clients.extend(
        whitelist
            .clients()
            .map(|(client, listing)| (client, Some(listing.clone()))),
    );
    delta
        .sessions
        .extend(kept.sessions.iter().map(|(key, _)| (key.clone(), None)));
    delta.sessions.extend(
        whitelist
            .sessions()
            .map(|(key, s)| (key.clone(), Some(s.clone()))),
    );
    delta
}

fn earlier(time: Timestamp, by: SignedDuration) -> Timestamp {
    time.checked_sub(by).unwrap_or(Timestamp::MIN)
}

fn later(time: Timestamp, by: SignedDuration) -> Timestamp {
    time.checked_add(by).unwrap_or(Timestamp::MAX)
}

/// Where the store is in a state directory.
#[must_use]
pub fn store_path(state_directory: &Path) -> PathBuf {
    state_directory.join("store")
}
