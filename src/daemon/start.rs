//! How the service starts: from the store to rooms that are ready for the loop.

use std::rc::Rc;

use jiff::Timestamp;

use super::clients::Clients;
use super::error::RunError;
use super::keeping::{Found, Keeping};
use super::plan::{NamedSource, Plan};
use super::policy_server::Policy;
use super::publishing::Publishing;
use super::reading::{Reading, oldest, where_to_begin};
use super::rooms::Rooms;
use super::systemd;
use crate::diagnostics;
use crate::journal::start_position::StartPosition;
use crate::origin::Id;
use crate::whitelist::Whitelist;

/// Opens the store, puts the whitelist in order, and begins to read the journals.
///
/// # Errors
/// When the store can't be opened, or the system does not give what a service needs.
pub fn start(plan: Plan) -> Result<Rooms, RunError> {
    plan.put_log_level_in_force();
    let settings = &plan.settings;
    let opened = Keeping::open(&settings.state_directory, plan.in_force())?;
    let (mut keeping, Found { kept, set_aside }) = opened;
    // Another process may have had the store for a while.
    let now = Timestamp::now();
    if let Some((aside, reason)) = &set_aside {
        diagnostics::store_set_aside(aside, reason, oldest(&plan.rules, now));
    }
    diagnostics::started(
        &settings.servers.join(", "),
        &plan.rules.permitted.to_string(),
        plan.map.as_ref(),
    );
    let (map, publish) = (plan.map.clone(), &settings.publish);
    let former = keeping.maps_to_empty();
    let publishing = Publishing::start(map, publish.map, settings.map.debounce, former)?;

    let mut whitelist = Whitelist::restore(plan.rules.clone(), kept.clients, kept.sessions);
    *whitelist.ends_mut() = kept.ends;
    keeping.apply_manual(&mut whitelist);
    let clients = Clients::new(whitelist, now);
    plan.tell_warnings();

    let (heard, former) = (plan.heard(), kept.heard.unwrap_or_default());
    let place = |source: Id| {
        let place = kept.positions.get(&source).cloned();
        place.filter(|_| former.is_same_journal(source, &heard))
    };
    let begin = |source: &NamedSource| match place(source.id()) {
        None if set_aside.is_some() => StartPosition::At(oldest(&plan.rules, now)),
        position => where_to_begin(source, &plan.rules, position, now),
    };
    let reading = Reading::start(&plan, begin, systemd::watchdog())?;
    let policy = Policy::new(clients.share(), reading.looks(), settings);
    let mut rooms = Rooms {
        since: now,
        reading,
        clients,
        keeping,
        publishing,
        policy: Rc::new(policy),
        reload_refused: None,
        plan,
    };
    // A clock that was set while the service was away must lend nobody time.
    let now = Timestamp::now();
    rooms.clients.clock_set(now);
    rooms.clients.set_rules(rooms.plan.rules.clone());
    rooms.end_sessions_of_former_boots(now);
    rooms.hear(now);
    rooms.clients.expire_all(now);
    Ok(rooms)
}
