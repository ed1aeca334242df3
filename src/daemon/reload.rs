//! Another configuration, put in force while the service runs.

use jiff::Timestamp;

use super::plan::{Plan, PlanError};
use super::service::Service;
use super::start::{earlier, where_to_begin};
use crate::diagnostics;
use crate::journal::start_position::StartPosition;
use crate::store::InForce;

impl Service {
    /// Puts another plan in force, if it is right, and says where the journal is to be read from
    /// then on.
    pub(super) fn reload(&mut self, plan: Result<Plan, PlanError>) -> Option<StartPosition> {
        let refused = match plan {
            Ok(plan) if plan.settings.state_directory != self.plan.settings.state_directory => {
                "state-directory: can only be changed by a restart".to_owned()
            }
            Ok(plan) => return Some(self.take(plan)),
            Err(error) => error.to_string(),
        };
        diagnostics::reload_refused(&refused);
        self.reload_refused = Some(format!(
            "the last reload was refused: {refused}\nmend it, then 'systemctl reload pop-before-smtp'"
        ));
        self.show_ready();
        None
    }

    fn take(&mut self, plan: Plan) -> StartPosition {
        let former = in_force(&self.plan);
        let same_source = plan.source == self.plan.source;
        let same_rules = plan.rules == self.plan.rules;
        self.plan = plan;
        self.reload_refused = None;
        // Whoever wanted more to be written for a while has had it.
        diagnostics::set_level(diagnostics::level_for(self.plan.settings.log_level));
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
        // They have been asked about everybody who is listed.
        if !same_rules {
            self.refuse_by_rules();
            let rules = &self.plan.rules;
            self.one_address.keep_if(|client| {
                let address = client.address();
                !rules.never.contains(address) && !rules.permitted.contains(address)
            });
        }
        self.commit();
        self.activity.reloaded();
        diagnostics::reloaded(
            &self.plan.settings.servers.join(", "),
            &self.plan.rules.permitted.to_string(),
        );
        self.show_ready();
        let now = Timestamp::now();
        match self.keeper.position().cloned() {
            place @ Some(_) if same_source => where_to_begin(&self.plan, place, None, now),
            _ => StartPosition::At(earlier(now, self.plan.rules.grace)),
        }
    }
}

/// What the store is to remember of a plan.
pub(super) fn in_force(plan: &Plan) -> InForce {
    let Plan { map, settings, .. } = plan;
    InForce {
        path: map.path.clone(),
        kind: map.kind,
        value: map.value.clone(),
        grace: settings.grace,
        max_session: settings.max_session,
    }
}
