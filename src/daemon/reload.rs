//! Another configuration, read and put in force while the service runs.

use std::path::PathBuf;

use jiff::Timestamp;
use tokio::sync::mpsc;

use super::error::RunError;
use super::plan::{NamedSource, Plan, PlanError};
use super::reading::{grace_ago, where_to_begin};
use super::rooms::Rooms;
use super::systemd;
use crate::diagnostics;

/// Reads configurations in a thread of its own: Postfix is asked, and that takes its time.
pub struct Reloads {
    plans: mpsc::Receiver<Result<Plan, PlanError>>,
    sender: mpsc::Sender<Result<Plan, PlanError>>,
    under_way: bool,
}

impl Reloads {
    /// None yet.
    pub fn new() -> Self {
        let (sender, plans) = mpsc::channel(1);
        Reloads {
            plans,
            sender,
            under_way: false,
        }
    }

    /// Whether a configuration is being read.
    pub fn is_under_way(&self) -> bool {
        self.under_way
    }

    /// Begins to read the configuration (`file`, or the usual files).
    pub fn begin(&mut self, file: Option<PathBuf>) {
        self.under_way = true;
        systemd::reloading();
        let sender = self.sender.clone();
        tokio::task::spawn_blocking(move || {
            // The loop takes it as long as it lives.
            let _ = sender.blocking_send(Plan::make(file.as_deref()));
        });
    }

    /// Waits for one that has been read.
    pub async fn next(&mut self) -> Result<Plan, PlanError> {
        // We hold a sender ourselves, so that there is always one to come.
        let Some(plan) = self.plans.recv().await else {
            return std::future::pending().await;
        };
        self.under_way = false;
        plan
    }
}

/// Puts another plan in force, if it is right.
///
/// # Errors
/// When the system does not give what that takes. A plan that is wrong is refused, and told.
pub fn put_in_force(rooms: &mut Rooms, plan: Result<Plan, PlanError>) -> Result<(), RunError> {
    let refused = match plan {
        Ok(plan) if plan.settings.state_directory != rooms.plan.settings.state_directory => {
            "state-directory: can only be changed by a restart".to_owned()
        }
        Ok(plan) => return take(rooms, plan),
        Err(error) => error.to_string(),
    };
    diagnostics::reload_refused(&refused);
    rooms.reload_refused = Some(format!(
        "the last reload was refused: {refused}\nmend it, then 'systemctl reload pop-before-smtp'"
    ));
    Ok(())
}

fn take(rooms: &mut Rooms, plan: Plan) -> Result<(), RunError> {
    let same_rules = plan.rules == rooms.plan.rules;
    let former = std::mem::replace(&mut rooms.plan, plan);
    rooms.reload_refused = None;
    let Rooms { plan, .. } = rooms;
    // Whoever wanted more to be written for a while has had it.
    plan.put_log_level_in_force();
    plan.tell_warnings();
    let settings = &plan.settings;
    rooms.policy.configure(settings);
    let (map, publish) = (plan.map.clone(), settings.publish.map);
    // Kept before anything is published: whoever is killed finds what is to be emptied.
    rooms.keeping.put_in_force(plan.in_force());
    let (debounce, former_maps) = (settings.map.debounce, rooms.keeping.maps_to_empty());
    rooms.publishing.change(map, publish, debounce, former_maps);
    // They have been asked about everybody who is listed.
    if !same_rules {
        rooms.clients.change_rules(&plan.rules);
    }
    rooms.commit();
    rooms.clients.activity_mut().reloaded();
    diagnostics::reloaded(
        &rooms.plan.settings.servers.join(", "),
        &rooms.plan.rules.permitted.to_string(),
    );
    let now = Timestamp::now();
    rooms.hear(now);
    let Rooms {
        plan,
        keeping,
        reading,
        ..
    } = rooms;
    let begin = |source: &NamedSource| match keeping.position(source.id()).cloned() {
        place @ Some(_) if former.sources.contains(source) => {
            where_to_begin(source, &plan.rules, place, now)
        }
        _ => grace_ago(&plan.rules, now),
    };
    reading.restart(plan, begin)
}
