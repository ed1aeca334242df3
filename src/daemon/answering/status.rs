//! How the service is, told to those who ask and to systemd. Decides nothing.

use std::borrow::Cow;

use super::log_level::log_level;
use crate::control::protocol::{MapStatus, PolicyStatus, Status, Totals};
use crate::daemon::rooms::Rooms;
use crate::diagnostics::{self, count, local_time};

/// How the service is.
pub fn describe(rooms: &Rooms) -> Status {
    let kept = |source| Some(rooms.keeping.position(source)?.time);
    let (first, sources) = rooms.reading.status(kept);
    let whitelist = rooms.clients.whitelist();
    Status {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        since: rooms.since,
        servers: rooms.plan.settings.servers.clone(),
        permitted_networks: rooms.plan.rules.permitted.to_string(),
        clients: whitelist.len(),
        sessions: whitelist.open_sessions(),
        refused: rooms.clients.refused(),
        caught_up: rooms.reading.is_caught_up(),
        journal_position: first.as_ref().and_then(|first| first.journal_position),
        lag_milliseconds: first.as_ref().and_then(|first| first.lag_milliseconds),
        sources,
        last_login: rooms.clients.activity().last_login().cloned(),
        map: rooms.publishing.map().map(MapStatus::of),
        last_publication: rooms.publishing.last().cloned(),
        policy: PolicyStatus {
            answered: rooms.policy.answered(),
            granted: rooms.policy.granted(),
        },
        totals: Totals {
            refused: rooms.clients.refused(),
            ..rooms.clients.activity().totals()
        },
        log_level: log_level(),
        problems: problems(rooms).map(Cow::into_owned).collect(),
    }
}

const JOURNALD_HANGS: &str = "journald takes no messages\nno login is written to the journal, and nobody \
    is listed for one, until it does; see 'systemctl status systemd-journald'";

/// What is wrong now, the worst first.
fn problems(rooms: &Rooms) -> impl Iterator<Item = Cow<'_, str>> {
    let untold: Vec<_> = rooms.clients.whitelist().ends().untold().collect();
    let untold = untold.into_iter();
    let others = (rooms.keeping.troubles())
        .chain(&rooms.reload_refused)
        .chain(rooms.clients.trouble())
        .chain(&rooms.plan.warnings);
    (rooms
        .publishing
        .troubles()
        .map(|problem| Cow::from(problem.as_str())))
    .chain(diagnostics::journald_hangs().then_some(Cow::from(JOURNALD_HANGS)))
    .chain(rooms.reading.problems().map(Cow::from))
    .chain(others.map(|problem| Cow::from(problem.as_str())))
    .chain(untold.map(|untold| {
        let source = rooms.clients.sources().name(untold.host.source);
        Cow::from(diagnostics::untold(&untold, source))
    }))
}

/// One line, for systemctl.
pub fn status_line(rooms: &Rooms) -> String {
    let whitelist = rooms.clients.whitelist();
    let clients = count(whitelist.len(), "client");
    let sessions = count(whitelist.open_sessions(), "session");
    let published = match rooms.publishing.last() {
        Some(p) => format!(
            "; published {} at {} in {} ms",
            count(p.clients, "client"),
            local_time(p.time),
            p.milliseconds
        ),
        None if rooms.publishing.is_wanted() => "; nothing published yet".to_owned(),
        None => String::new(),
    };
    let problem = match problems(rooms).next() {
        Some(problem) => format!("; PROBLEM: {}", problem.lines().next().unwrap_or_default()),
        None => String::new(),
    };
    format!("{clients}, {sessions}{published}{problem}")
}
