//! Whether a client may relay, and why: told to whoever asks. Reads, and changes nothing.

use jiff::Timestamp;

use super::answers::client_info;
use super::service::Service;
use crate::client::Client;
use crate::control::protocol::MapStatus;
use crate::control::{Checked, GrantInfo};
use crate::diagnostics::{local_time, printable};
use crate::whitelist::{Listed, Refusal, Scope};

impl Service {
    /// The verdict on a client.
    pub(super) fn check(&self, client: Client) -> Checked {
        let now = Timestamp::now();
        let whitelist = self.whitelist();
        let prefix = self.policy.ipv6_prefix.get();
        let found = whitelist.may_relay(client, prefix, now);
        let map = self.map.map();
        let (may_relay, reason) = match &found {
            Some(listed) => (true, self.why_listed(client, listed)),
            None => self.why_not_listed(client),
        };
        Checked {
            may_relay,
            reason,
            listing: found.as_ref().map(|listed| client_info(&whitelist, listed)),
            grant: found
                .and_then(|listed| listed.grant)
                .map(|grant| GrantInfo {
                    since: grant.since,
                    until: grant.until,
                    by: grant.by,
                    note: grant.note.clone(),
                }),
            map: self.map.is_wanted().then(|| MapStatus {
                path: map.path.display().to_string(),
                kind: map.kind.to_string(),
            }),
        }
    }

    fn why_listed(&self, client: Client, listed: &Listed<'_>) -> String {
        let mut reason = match &listed.login {
            Some(login) => {
                let user = login.user.as_deref();
                let user = user.map_or_else(|| "somebody".to_owned(), printable);
                format!("{user} has logged in to {}", login.server)
            }
            None => "it is allowed by hand".to_owned(),
        };
        if listed.client != client {
            let prefix = self.policy.ipv6_prefix.get();
            reason = format!(
                "{reason} from {}, and the policy takes /{prefix} networks together; the access \
                 map does not",
                listed.client
            );
        }
        reason
    }

    fn why_not_listed(&self, client: Client) -> (bool, String) {
        let whitelist = self.whitelist();
        match self.plan.rules.admit(client) {
            Err(Refusal::Permitted) => {
                let reason = "it is in a permitted network: Postfix lets it relay anyway";
                return (true, reason.to_owned());
            }
            Err(why) => return (false, why.reason().to_owned()),
            Ok(()) => {}
        }
        let mut reason = "it is not listed".to_owned();
        // Who would log in there, and to which server, nobody knows.
        let revoked = whitelist.manual().revocations.iter().rev().find(|r| {
            matches!(r.what, Scope::All | Scope::Network(_)) && r.what.takes_in(client, None, "")
        });
        if let Some(revocation) = revoked {
            reason.push_str(&format!(
                "; the logins of {} up to {} are revoked",
                revocation.what,
                local_time(revocation.time)
            ));
        }
        if whitelist.len() >= self.plan.rules.limits.clients {
            reason.push_str("; limits.clients is reached, so that nobody else can be listed");
        }
        if !self.caught_up {
            reason.push_str("; the journal is still being read");
        }
        for trouble in self.health.problems() {
            reason.push_str(&format!("; the journal can't be read: {trouble}"));
        }
        (false, reason)
    }
}
