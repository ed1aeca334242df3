//! How the service is, told to those who ask. Reads, and changes nothing.

use jiff::Timestamp;

use super::service::Service;
use crate::control::protocol::{ClientInfo, MapStatus, PolicyStatus, Status};
use crate::control::server::Question;
use crate::diagnostics::{count, local_time};
use crate::whitelist::Listed;

impl Service {
    pub(super) fn answer(&self, question: Question) {
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
                let whitelist = self.whitelist();
                let page = whitelist.listed_after(after).take(limit);
                let page = page.map(|listed| client_info(&listed, whitelist.listed_until(&listed)));
                let _ = reply.send(page.collect());
            }
        }
    }

    fn describe(&self) -> Status {
        let map = self.map.map();
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            since: self.since,
            servers: self.plan.settings.servers.clone(),
            permitted_networks: self.plan.rules.permitted.to_string(),
            clients: self.whitelist().len(),
            sessions: self.whitelist().open_sessions(),
            refused: self.refusals.total(),
            caught_up: self.caught_up,
            journal_position: self.keeper.position().map(|position| position.time),
            map: MapStatus {
                path: map.path.display().to_string(),
                kind: map.kind.to_string(),
            },
            last_publication: self.map.last().cloned(),
            policy: PolicyStatus {
                answered: self.policy.answered.get(),
                granted: self.policy.granted.get(),
            },
            problems: self.problems().cloned().collect(),
        }
    }

    /// What is wrong now, the worst first.
    fn problems(&self) -> impl Iterator<Item = &String> {
        self.map
            .troubles()
            .chain(&self.journal_trouble)
            .chain(self.keeper.trouble())
            .chain(self.by_hand.trouble())
            .chain(&self.reload_refused)
            .chain(&self.plan.warnings)
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
}

fn client_info(listed: &Listed<'_>, until: Option<Timestamp>) -> ClientInfo {
    let last_login = listed.login.map(|login| login.last_login);
    ClientInfo {
        client: listed.client,
        user: listed.user().map(str::to_owned),
        server: listed.server().to_owned(),
        since: listed.since(),
        last_login,
        until,
        sessions: listed.sessions(),
    }
}
