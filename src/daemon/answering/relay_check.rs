//! Whether a client may relay, and why. Reads, and changes nothing.

use jiff::Timestamp;

use super::client_list;
use crate::client::Client;
use crate::control::protocol::MapStatus;
use crate::control::{Checked, GrantInfo};
use crate::daemon::rooms::Rooms;
use crate::diagnostics::{at_source, local_time, printable};
use crate::whitelist::{Listed, Refusal, Scope};

/// Whether a client may relay, and why.
pub fn check(rooms: &Rooms, client: Client) -> Checked {
    let now = Timestamp::now();
    let whitelist = rooms.clients.whitelist();
    let prefix = rooms.policy.ipv6_prefix();
    let found = whitelist.may_relay(client, prefix, now);
    let (may_relay, reason) = match &found {
        Some(listed) => (true, why_listed(rooms, client, listed)),
        None => why_not_listed(rooms, client),
    };
    Checked {
        may_relay,
        reason,
        listing: found
            .as_ref()
            .map(|listed| client_list(rooms, &whitelist).info(listed)),
        grant: found
            .and_then(|listed| listed.grant)
            .map(|grant| GrantInfo {
                since: grant.since,
                until: grant.until,
                by: grant.by,
                note: grant.note.clone(),
            }),
        map: rooms
            .publishing
            .map()
            .filter(|_| rooms.publishing.is_wanted())
            .map(MapStatus::of),
    }
}

fn why_listed(rooms: &Rooms, client: Client, listed: &Listed<'_>) -> String {
    let prefix = rooms.policy.ipv6_prefix();
    let mut reason = match &listed.login {
        Some(login) => {
            let user = login.user.as_deref();
            let user = user.map_or_else(|| "somebody".to_owned(), printable);
            let source = rooms.clients.sources().name(login.source);
            format!(
                "{user} has logged in to {}",
                at_source(&login.server, source)
            )
        }
        None => "it is allowed by hand".to_owned(),
    };
    if listed.client != client {
        reason = format!(
            "{reason} from {}, and the policy takes /{prefix} networks together; the access \
             map does not",
            listed.client
        );
    }
    reason
}

fn why_not_listed(rooms: &Rooms, client: Client) -> (bool, String) {
    let whitelist = rooms.clients.whitelist();
    match rooms.plan.rules.admit(client) {
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
    if whitelist.len() >= rooms.plan.rules.limits.clients {
        reason.push_str("; limits.clients is reached, so that nobody else can be listed");
    }
    if !rooms.reading.is_caught_up() {
        reason.push_str("; the journal is still being read");
    }
    for trouble in rooms.reading.problems() {
        reason.push_str(&format!("; the journal can't be read: {trouble}"));
    }
    (false, reason)
}
