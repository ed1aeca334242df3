//! How the service is, told to those who ask and to systemd. Decides nothing.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::answers::log_level;
use super::service::Service;
use super::systemd;
use crate::control::protocol::{MapStatus, PolicyStatus, Status, Totals};
use crate::diagnostics::{self, count, local_time};

/// How often systemd is told how we are, at most.
const STATUS_INTERVAL: Duration = Duration::from_secs(1);

impl Service {
    pub(super) fn describe(&self) -> Status {
        let map = self.map.map();
        let position = self.keeper.position().map(|position| position.time);
        let behind = || Some(Timestamp::now().duration_since(position?));
        let lag = if self.caught_up { self.lag } else { behind() };
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            since: self.since,
            servers: self.plan.settings.servers.clone(),
            permitted_networks: self.plan.rules.permitted.to_string(),
            clients: self.whitelist().len(),
            sessions: self.whitelist().open_sessions(),
            refused: self.refusals.total(),
            caught_up: self.caught_up,
            journal_position: position,
            lag_milliseconds: lag.map(|lag| u64::try_from(lag.as_millis()).unwrap_or_default()),
            last_login: self.activity.last_login().cloned(),
            map: MapStatus {
                path: map.path.display().to_string(),
                kind: map.kind.to_string(),
            },
            last_publication: self.map.last().cloned(),
            policy: PolicyStatus {
                answered: self.policy.answered.get(),
                granted: self.policy.granted.get(),
            },
            totals: Totals {
                refused: self.refusals.total(),
                ..self.activity.totals()
            },
            log_level: log_level(),
            problems: self.problems().map(Cow::into_owned).collect(),
        }
    }

    /// What is wrong now, the worst first.
    fn problems(&self) -> impl Iterator<Item = Cow<'_, str>> {
        let untold: Vec<_> = self.whitelist().ends().untold().collect();
        let untold = untold.into_iter();
        self.map
            .troubles()
            .chain(self.health.problems())
            .chain(self.keeper.trouble())
            .chain(self.by_hand.trouble())
            .chain(&self.reload_refused)
            .chain(self.one_address.trouble())
            .chain(&self.plan.warnings)
            .map(|problem| Cow::from(problem.as_str()))
            .chain(untold.map(|untold| Cow::from(diagnostics::untold(&untold))))
    }

    /// One line, for systemctl.
    pub(super) fn status_line(&self) -> String {
        let clients = count(self.whitelist().len(), "client");
        let sessions = count(self.whitelist().open_sessions(), "session");
        let published = match self.map.last() {
            Some(p) => format!(
                "; published {} at {} in {} ms",
                count(p.clients, "client"),
                local_time(p.time),
                p.milliseconds
            ),
            None => "; nothing published yet".to_owned(),
        };
        let problem = match self.problems().next() {
            Some(problem) => format!("; PROBLEM: {}", problem.lines().next().unwrap_or_default()),
            None => String::new(),
        };
        format!("{clients}, {sessions}{published}{problem}")
    }

    // ---- To systemd ----

    /// After a reload the service is as ready as it was before.
    pub(super) fn show_ready(&mut self) {
        if self.ready {
            self.status = self.status_line();
            systemd::ready(&self.status);
        }
    }

    /// Shows systemd how we are, if that has changed; or says when it may be told again.
    pub(super) fn show_status(&mut self) -> Option<Instant> {
        let now = Instant::now();
        let next = self.status_shown + STATUS_INTERVAL;
        let line = self.status_line();
        if self.status == line {
            return None;
        }
        if next > now {
            return Some(next);
        }
        systemd::status(&line);
        self.status = line;
        self.status_shown = now;
        None
    }

    /// Tells the watchdog that the reader and the loop are alive; there is no need to tell it with
    /// every batch. Says whether it was time.
    pub(super) fn feed_watchdog(&mut self) -> bool {
        if self.watchdog_fed.elapsed() < STATUS_INTERVAL {
            return false;
        }
        systemd::alive();
        if !self.ready {
            systemd::starting_takes_longer();
        }
        self.watchdog_fed = Instant::now();
        true
    }
}

/// So that the first status is told at once.
pub(super) fn now_minus_interval() -> Instant {
    let now = Instant::now();
    now.checked_sub(STATUS_INTERVAL).unwrap_or(now)
}
