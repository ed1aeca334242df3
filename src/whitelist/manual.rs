//! What an operator has done by hand: clients allowed for a while, and logins revoked.
//!
//! Plain data with its own bounds; few records, and kept apart from the whitelist's, of which there
//! may be a million. Decides about nobody: the whitelist does.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Bound;
use std::str::FromStr;

use ipnet::IpNet;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::{FUTURE_TOLERANCE, later};
use crate::client::Client;
pub use crate::event::MANUAL;
use crate::networks::unmapped;

/// The longest that a client can be listed by hand for. Whoever needs it for longer belongs into
/// mynetworks, or behind SMTP AUTH.
pub const LONGEST_GRANT: SignedDuration = SignedDuration::from_hours(7 * 24);
/// How many clients can be listed by hand at once.
pub const GRANTS: usize = 1000;
/// How many revocations are remembered at once.
pub const REVOCATIONS: usize = 1000;
/// The longest note, in bytes.
pub const LONGEST_NOTE: usize = 200;
/// How soon a login is read, unless it is read again or late.
const SOON: SignedDuration = SignedDuration::from_secs(10);

/// A client that an operator has listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Grant {
    /// When.
    pub since: Timestamp,
    /// Until when.
    pub until: Timestamp,
    /// The uid of whoever did it.
    pub by: u32,
    /// Why, in the operator's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// Whose logins are revoked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// Everybody's.
    All,
    /// Those of the clients in a network; of one client, where the network has one address.
    Network(IpNet),
    /// Those of a user, as the server prints the name.
    User(String),
    /// Those to a server, or, of [`MANUAL`], the listings made by hand.
    Server(String),
}

/// Logins up to `time` count no more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Revocation {
    /// Whose.
    pub what: Scope,
    /// When they were revoked, by the clock of then.
    pub time: Timestamp,
    /// The uid of whoever did it.
    pub by: u32,
    /// To when the clock was set back since, if it was. Not kept: what was listed since then is taken
    /// back by a restart, rather than what was revoked listed.
    #[serde(skip)]
    pub set_back: Option<Timestamp>,
}

/// All that operators have done by hand and that still matters.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub struct Manual {
    /// The clients that are listed by hand.
    pub grants: BTreeMap<Client, Grant>,
    /// What was revoked.
    pub revocations: Vec<Revocation>,
}

/// As many revocations as can be remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "{REVOCATIONS} revocations are remembered already, and older logins could undo one that is \
     forgotten; revoke a network that holds them, or --all, which takes the place of the others"
)]
pub struct TooManyRevocations;

impl Scope {
    /// Whether it takes in a login, or what has come of one.
    #[must_use]
    pub fn takes_in(&self, client: Client, user: Option<&str>, server: &str) -> bool {
        match self {
            Scope::All => true,
            Scope::Network(network) => network.contains(&client.address()),
            Scope::User(name) => user == Some(name),
            Scope::Server(name) => server == name,
        }
    }

    /// Whoever is taken in lies between these.
    pub(super) fn bounds(&self) -> (Bound<Client>, Bound<Client>) {
        let Scope::Network(network) = self else {
            return (Bound::Unbounded, Bound::Unbounded);
        };
        let [first, last] = [network.network(), network.broadcast()].map(Client::bound);
        (Bound::Included(first), Bound::Included(last))
    }

    /// Whether whatever `other` takes in is taken in by this, too.
    fn holds(&self, other: &Scope) -> bool {
        match (self, other) {
            (Scope::All, _) => true,
            (Scope::Network(network), Scope::Network(other)) => network.contains(other),
            _ => self == other,
        }
    }
}

impl From<Client> for Scope {
    fn from(client: Client) -> Self {
        Scope::Network(IpNet::from(client.address()))
    }
}

/// What was given is neither an address nor a network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is neither an IP address nor a network such as 192.0.2.0/24 or 2001:db8::/64")]
pub struct NotANetwork(String);

impl FromStr for Scope {
    type Err = NotANetwork;

    /// Reads an address or a network, as [`network`] does.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        network(text).map(Scope::Network)
    }
}

/// Reads a network, or an address as the network that it is alone in. Bits behind the prefix are dropped.
///
/// # Errors
/// When it is neither.
pub fn network(text: &str) -> Result<IpNet, NotANetwork> {
    if let Ok(client) = text.parse::<Client>() {
        return Ok(IpNet::from(client.address()));
    }
    text.parse::<IpNet>()
        .map(|network| unmapped(network.trunc()))
        .map_err(|_| NotANetwork(text.chars().take(64).collect()))
}

impl fmt::Display for Scope {
    /// For a sentence: `192.0.2.10`, `192.0.2.0/24`, `the user alice`, `the server dovecot`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Scope::All => f.write_str("everybody"),
            Scope::Network(network) if network.prefix_len() == network.max_prefix_len() => {
                Client::from(network.addr()).fmt(f)
            }
            Scope::Network(network) => network.fmt(f),
            Scope::User(name) => write!(f, "the user {name}"),
            Scope::Server(name) => write!(f, "the server {name}"),
        }
    }
}

impl Revocation {
    /// Whether it was before a login that it seems to take away, as the clock was set back in between. A
    /// login of before may have the same time, and be read again: this one must be of just now.
    fn precedes(&self, time: Timestamp, now: Timestamp) -> bool {
        let age = now.duration_since(time);
        let is_new = !age.is_negative() && age <= SOON;
        is_new && self.set_back.is_some_and(|set_back| time > set_back)
    }

    /// The clock was set. If by a little, it is waited for: what is of just now may be from before.
    fn clock_set(&mut self, now: Timestamp) {
        if self.time.duration_since(now) > FUTURE_TOLERANCE || self.set_back.is_some() {
            self.set_back = Some(self.set_back.map_or(now, |set_back| set_back.min(now)));
        }
    }
}

impl Manual {
    /// When the next listing ends.
    pub(super) fn next_deadline(&self) -> Option<Timestamp> {
        self.grants.values().map(|grant| grant.until).min()
    }

    /// Takes out what has ended.
    pub(super) fn expire(&mut self, now: Timestamp) -> Vec<(Client, Grant)> {
        if self.next_deadline().is_none_or(|next| next > now) {
            return Vec::new();
        }
        let ended = self.grants.iter().filter(|(_, grant)| grant.until <= now);
        let ended: Vec<_> = ended.map(|(c, grant)| (*c, grant.clone())).collect();
        self.grants.retain(|_, grant| grant.until > now);
        ended
    }

    /// The revocation of a login that was written at `time` and is read at `now`, if it was revoked.
    pub(super) fn revoked(
        &self,
        client: Client,
        user: Option<&str>,
        server: &str,
        time: Timestamp,
        now: Timestamp,
    ) -> Option<&Revocation> {
        self.revocations
            .iter()
            .rev() // they are in the order of their times: the last login is hardly older
            .take_while(|revocation| revocation.time >= time.min(now))
            .filter(|revocation| !revocation.precedes(time, now))
            .find(|revocation| revocation.what.takes_in(client, user, server))
    }

    /// Remembers a revocation, and forgets those that it holds, unless they are of a clock that was
    /// ahead, and those older than `oldest`.
    pub(super) fn revoke(
        &mut self,
        revocation: Revocation,
        oldest: Timestamp,
    ) -> Result<(), TooManyRevocations> {
        let is_held =
            |old: &Revocation| old.time <= revocation.time && revocation.what.holds(&old.what);
        let matters = |old: &Revocation| old.time > oldest && !is_held(old);
        if self.revocations.iter().filter(|old| matters(old)).count() >= REVOCATIONS {
            return Err(TooManyRevocations);
        }
        self.revocations.retain(matters);
        self.revocations.push(revocation);
        self.revocations.sort_by_key(|revocation| revocation.time);
        Ok(())
    }

    /// The clock was set: no grant may have begun later than `now`. True if one had. Revocations keep
    /// their time, as what they revoked may be read again with its own.
    pub(super) fn clock_set(&mut self, now: Timestamp) -> bool {
        let mut changed = false;
        for grant in self.grants.values_mut() {
            let ahead = grant.since.duration_since(now);
            if ahead.is_positive() {
                grant.since = now;
                grant.until = later(grant.until, -ahead);
                changed = true;
            }
        }
        for revocation in &mut self.revocations {
            revocation.clock_set(now);
        }
        changed
    }

    /// Forgets revocations that no login can be old enough for. True if there were some.
    pub(super) fn forget(&mut self, oldest: Timestamp) -> bool {
        let before = self.revocations.len();
        self.revocations.retain(|old| old.time > oldest);
        before != self.revocations.len()
    }
}
