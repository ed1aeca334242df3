//! How the service starts: from the store and the journal's end, or its beginning, to the loop.

use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use tokio::net::UnixListener;
use tokio::sync::mpsc;

use super::answering::{self, Policy};
use super::by_hand::ByHand;
use super::clients::Activity;
use super::clients::OneAddress;
use super::keeping::{Found, StoreKeeper};
use super::plan::Plan;
use super::publishing::DirectoryWatch;
use super::publishing::MapKeeper;
use super::publishing::PostmapThread;
use super::publishing::Schedule;
use super::reading::JournalHealth;
use super::reading::LookRequests;
use super::reading::{self, FromReader, Times};
use super::reload::in_force;
use super::report::now_minus_interval;
use super::run::{Options, RunError, store_path, system};
use super::service::{Service, WATCH};
use super::systemd::{self, Sockets};
use crate::control::Question;
use crate::control::server;
use crate::diagnostics::{self, Floods, Refusals};
use crate::journal::start_position::StartPosition;
use crate::journal::{self, Position, Source};
use crate::whitelist::Whitelist;

/// How often the reader says that it is alive where no watchdog asks.
const BEAT: Duration = Duration::from_secs(60);
/// A place in the journal that is further ahead of the clock than this is not believed.
const FUTURE_TOLERANCE: SignedDuration = SignedDuration::from_secs(60);

impl Service {
    /// Opens the store, puts the whitelist in order, and says where the journal is to be read.
    pub(super) fn start(
        plan: Plan,
        options: Options,
        publisher: PostmapThread,
    ) -> Result<(Self, StartPosition), RunError> {
        diagnostics::set_level(diagnostics::level_for(plan.settings.log_level));
        let now = Timestamp::now();
        let path = store_path(&plan.settings.state_directory);
        let (keeper, Found { kept, set_aside }) = StoreKeeper::open(path, in_force(&plan))?;
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
        *whitelist.ends_mut() = kept.ends;
        let by_hand = ByHand::open(&plan.settings.state_directory, &mut whitelist);
        let mut one_address = OneAddress::default();
        if whitelist.clients().nth(1).is_some() {
            one_address = one_address.with_others(now);
        }
        let mut service = Service {
            options,
            since: now,
            activity: Activity::new(&whitelist),
            one_address,
            policy: Rc::new(Policy {
                whitelist: Rc::new(RefCell::new(whitelist)),
                ipv6_prefix: Cell::new(plan.settings.policy.ipv6_prefix),
                enabled: Cell::new(plan.settings.publish.policy),
                answered: Cell::new(0),
                granted: Cell::new(0),
                looks: LookRequests::new(),
            }),
            keeper,
            by_hand,
            map,
            watch: DirectoryWatch::new().map_err(system(WATCH))?,
            unwatched: false,
            refusals: Refusals::default(),
            floods: Floods::default(),
            lag: None,
            caught_up: false,
            expiring: false,
            right_from: 0,
            ready: false,
            status: String::new(),
            status_shown: now_minus_interval(),
            watchdog_fed: Instant::now(),
            health: JournalHealth::default(),
            blind: false,
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
        service.expire_all(now);
        Ok((service, begin))
    }

    pub(super) fn serve(&self, sockets: Sockets, questions: mpsc::Sender<Question>) {
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
            .map_or_else(|| systemd::own_socket(socket), Ok);
        match control.and_then(UnixListener::from_std) {
            Ok(listener) => {
                tokio::spawn(server::serve(listener, questions));
            }
            Err(error) => diagnostics::warning(&format!(
                "{}: no control socket: {error}; 'list' and 'status' can't ask this service",
                socket.display()
            )),
        }
        let own = || policy_socket.as_deref().map(systemd::own_socket);
        match sockets
            .policy
            .map(Ok)
            .or_else(own)
            .map(|s| s.and_then(UnixListener::from_std))
        {
            Some(Ok(listener)) => {
                tokio::task::spawn_local(answering::serve(listener, self.policy.clone()));
            }
            Some(Err(error)) => {
                diagnostics::warning(&format!("no policy socket: {error}"));
            }
            None => {}
        }
    }

    pub(super) fn start_reader(
        &mut self,
        begin: StartPosition,
    ) -> Result<mpsc::Receiver<FromReader>, RunError> {
        // It will tell what it can't read.
        self.health.recovered();
        self.policy.looks.set_blind(false);
        let settings = &self.plan.settings;
        let look = settings.journal.look_every;
        let times = Times {
            beat: systemd::watchdog().map_or(BEAT, |limit| limit / 3),
            // The policy asks for looks itself.
            look: look.filter(|_| settings.publish.map),
        };
        let looks = &self.policy.looks;
        let (reader, bell) = reading::start(
            self.plan.source.clone(),
            self.plan.recogniser.clone(),
            begin,
            times,
            looks.asked(),
        )
        .map_err(system("can't start a thread"))?;
        looks.begin(bell);
        Ok(reader)
    }

    /// Sessions do not outlive the host that they were on, if it is this one.
    pub(super) fn end_sessions_of_former_boots(&mut self, now: Timestamp) {
        if matches!(self.plan.source, Source::Directory(_) | Source::Files(_)) {
            return;
        }
        let up = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let boot = earlier(now, SignedDuration::from_secs(up.tv_sec));
        let machine = journal::machine();
        self.whitelist_mut().end_sessions_before(boot, machine);
    }
}

/// Where the journal is to be read first.
pub(super) fn where_to_begin(
    plan: &Plan,
    position: Option<Position>,
    set_aside: Option<(PathBuf, String)>,
    now: Timestamp,
) -> StartPosition {
    // Whatever is older matters to nobody: its session would have ended, and its grace passed.
    let oldest = earlier(earlier(now, plan.rules.max_session), plan.rules.grace);
    match (position, set_aside) {
        (Some(place), _) if place.time > later(now, FUTURE_TOLERANCE) => {
            diagnostics::cursor_in_the_future(place.time, oldest);
            StartPosition::At(oldest)
        }
        // So old where files of the journal could not be read for long.
        (Some(place), _) if place.cursor.is_empty() || place.time < oldest => {
            StartPosition::At(place.time.max(oldest))
        }
        (Some(place), _) => StartPosition::Behind(place, oldest),
        (None, Some((aside, reason))) => {
            diagnostics::store_set_aside(&aside, &reason, oldest);
            StartPosition::At(oldest)
        }
        (None, None) => StartPosition::At(earlier(now, plan.rules.grace)),
    }
}

pub(super) fn earlier(time: Timestamp, by: SignedDuration) -> Timestamp {
    time.checked_sub(by).unwrap_or(Timestamp::MIN)
}

pub(super) fn later(time: Timestamp, by: SignedDuration) -> Timestamp {
    time.checked_add(by).unwrap_or(Timestamp::MAX)
}
