//! How what is done by hand and what comes of logins make one whitelist.
//!
//! A client is listed until the later of the two. A logout takes nothing from what an operator has
//! given, and a login gives back nothing of what he has taken if it was before that.

use std::collections::HashSet;
use std::net::IpAddr;
use std::ops::Bound::{Excluded, Unbounded};
use std::ops::RangeBounds;

use ipnet::Ipv6Net;
use jiff::Timestamp;

use super::manual::{GRANTS, Grant, LONGEST_GRANT, Manual, Revocation, TooManyRevocations};
use super::{Listing, MANUAL, Refusal, Scope, Whitelist, later};
use crate::client::Client;

/// Why a client can't be listed by hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAllowed {
    /// The rules refuse it.
    #[error("{}", .0.reason())]
    Rules(Refusal),
    /// It would end before it began.
    #[error("that time has passed")]
    Past,
    /// It would last for longer than [`LONGEST_GRANT`].
    #[error("no client can be listed by hand for more than 7 days")]
    TooLong,
    /// As many clients as [`GRANTS`] are listed by hand.
    #[error("{GRANTS} clients are listed by hand already")]
    TooMany,
}

/// A listed client: why, and until when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed<'a> {
    /// Its address.
    pub client: Client,
    /// Its listing for its logins; none if it is only listed by hand.
    pub login: Option<Listing<'a>>,
    /// What an operator has given it.
    pub grant: Option<&'a Grant>,
}

impl Listed<'_> {
    /// Who logged in last.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.login.as_ref()?.user.as_deref()
    }

    /// The server of the last login, or [`MANUAL`].
    #[must_use]
    pub fn server(&self) -> &str {
        self.login.as_ref().map_or(MANUAL, |login| &login.server)
    }

    /// Since when it is listed.
    #[must_use]
    pub fn since(&self) -> Timestamp {
        let login = self.login.as_ref().map(|login| login.since);
        let grant = self.grant.map(|grant| grant.since);
        login.into_iter().chain(grant).min().unwrap_or_default()
    }

    /// How many of its sessions are certainly open.
    #[must_use]
    pub fn sessions(&self) -> u32 {
        self.login.as_ref().map_or(0, |login| login.open)
    }
}

impl Whitelist {
    /// What has been done by hand.
    #[must_use]
    pub fn manual(&self) -> &Manual {
        &self.manual
    }

    /// What has been done by hand, if it has changed since the last call.
    pub fn take_manual_change(&mut self) -> Option<&Manual> {
        std::mem::take(&mut self.manual_changed).then_some(&self.manual)
    }

    /// What has been done by hand could not be kept: it counts as changed still.
    pub fn keep_manual_change(&mut self) {
        self.manual_changed = true;
    }

    /// Takes what was done by hand before, and applies it to a restored whitelist. Returns the
    /// clients that are listed no more: a revocation that the store had not heard of.
    pub fn set_manual(&mut self, manual: Manual) -> Vec<Client> {
        self.manual = manual;
        self.manual
            .revocations
            .sort_by_key(|revocation| revocation.time);
        self.generation += 1;
        let revoked: HashSet<Client> = self
            .clients()
            .filter(|(client, l)| {
                let user = l.user.as_deref();
                self.manual
                    .revoked(*client, user, &l.server, l.last_login, Timestamp::MAX)
                    .is_some()
            })
            .map(|(client, _)| client)
            .collect();
        self.unlist_whole(&revoked);
        revoked.into_iter().collect()
    }

    /// Lists a client by hand: `grant.until` is when that ends, at the latest.
    ///
    /// # Errors
    /// Why it can't be listed, or not for so long.
    pub fn allow(&mut self, client: Client, grant: Grant) -> Result<Listed<'_>, NotAllowed> {
        self.rules.admit(client).map_err(NotAllowed::Rules)?;
        if grant.until <= grant.since {
            return Err(NotAllowed::Past);
        }
        if grant.until > later(grant.since, LONGEST_GRANT) {
            return Err(NotAllowed::TooLong);
        }
        if !self.manual.grants.contains_key(&client) {
            if self.manual.grants.len() >= GRANTS {
                return Err(NotAllowed::TooMany);
            }
            if self.get(client).is_none() {
                if self.len() >= self.rules.limits.clients {
                    return Err(NotAllowed::Rules(Refusal::TooManyClients));
                }
                self.generation += 1;
            }
        }
        self.manual.grants.insert(client, grant);
        self.manual_changed = true;
        Ok(Listed {
            client,
            login: self.clients.get(client),
            grant: self.manual.grants.get(&client),
        })
    }

    /// Takes clients from the whitelist, with all their sessions, and remembers that logins up to
    /// now count no more. Returns the clients that were listed.
    ///
    /// # Errors
    /// When too many revocations are remembered; then nothing has changed.
    pub fn revoke(
        &mut self,
        what: &Scope,
        by: u32,
        now: Timestamp,
    ) -> Result<Vec<Client>, TooManyRevocations> {
        let revocation = Revocation {
            what: what.clone(),
            time: now,
            by,
            set_back: None,
        };
        let oldest = self.oldest_that_matters(now);
        self.manual.revoke(revocation, oldest)?;
        self.manual_changed = true;
        let taken_in = |listed: &Listed<'_>| {
            let login = listed.login.as_ref();
            let login =
                login.is_some_and(|l| what.takes_in(listed.client, l.user.as_deref(), &l.server));
            login || listed.grant.is_some() && what.takes_in(listed.client, None, MANUAL)
        };
        // Of what names a server, the other reason to be listed stays: the logins, or the hand's.
        let keeps_login = *what == Scope::Server(MANUAL.to_owned());
        let keeps_grant = matches!(what, Scope::User(_) | Scope::Server(_)) && !keeps_login;
        let found: HashSet<Client> = self
            .listed_in(what.bounds())
            .filter(taken_in)
            .map(|listed| listed.client)
            .collect();
        if !keeps_grant {
            self.manual
                .grants
                .retain(|client, _| !found.contains(client));
        }
        if !keeps_login {
            self.unlist_whole(&found);
            // Whoever is held by none of his doubtful sessions has gone without them. What is revoked
            // can't be told from what is not: their ends shall count for nobody who comes back.
            let clients = &self.clients;
            self.sessions.remove_of(|client| !clients.contains(client));
        }
        if !found.is_empty() {
            self.generation += 1;
        }
        Ok(found
            .into_iter()
            .filter(|client| self.listed(*client).is_none())
            .collect())
    }

    /// Takes out the clients whose time by hand has ended; returns those that are listed no more.
    pub fn expire_manual(&mut self, now: Timestamp) -> Vec<(Client, Grant)> {
        let oldest = self.oldest_that_matters(now);
        self.manual_changed |= self.manual.forget(oldest);
        let ended = self.manual.expire(now);
        if ended.is_empty() {
            return ended;
        }
        self.manual_changed = true;
        self.generation += 1;
        let gone = ended.into_iter();
        gone.filter(|(client, _)| self.get(*client).is_none())
            .collect()
    }

    /// The listed clients from the first that is greater than `after`, in order, whatever they are
    /// listed for.
    pub fn listed_after(&self, after: Option<Client>) -> impl Iterator<Item = Listed<'_>> {
        self.listed_in((after.map_or(Unbounded, Excluded), Unbounded))
    }

    /// The listed clients of a range, in order.
    pub(super) fn listed_in(
        &self,
        range: impl RangeBounds<Client> + Clone,
    ) -> impl Iterator<Item = Listed<'_>> {
        let mut logins = self.clients.range(range.clone()).peekable();
        let mut grants = self.manual.grants.range(range).peekable();
        std::iter::from_fn(move || {
            let login = logins.peek().map(|(client, _)| *client);
            let grant = grants.peek().map(|(client, _)| **client);
            let client = login.into_iter().chain(grant).min()?;
            Some(Listed {
                client,
                login: logins.next_if(|(c, _)| *c == client).map(|(_, l)| l),
                grant: grants.next_if(|(c, _)| **c == client).map(|(_, g)| g),
            })
        })
    }

    /// The addresses of all listed clients, in order: cheaper than to look at each.
    pub fn addresses(&self) -> impl Iterator<Item = Client> {
        self.addresses_after(None)
    }

    /// Those from the first that is greater than `after`.
    pub fn addresses_after(&self, after: Option<Client>) -> impl Iterator<Item = Client> {
        let range = (after.map_or(Unbounded, Excluded), Unbounded);
        let mut logins = self.clients.addresses(range).peekable();
        let mut grants = self.manual.grants.range(range).peekable();
        std::iter::from_fn(move || {
            let grant = grants.peek().map(|(client, _)| **client);
            let client = logins.peek().copied().into_iter().chain(grant).min()?;
            logins.next_if_eq(&client);
            grants.next_if(|(c, _)| **c == client);
            Some(client)
        })
    }

    /// What is known of a client that is listed, for whatever.
    #[must_use]
    pub fn listed(&self, client: Client) -> Option<Listed<'_>> {
        let login = self.get(client);
        let grant = self.manual.grants.get(&client);
        (login.is_some() || grant.is_some()).then_some(Listed {
            client,
            login,
            grant,
        })
    }

    /// Why `client` may relay at `now`, if it may: it is listed itself, or another address of the
    /// first `ipv6_prefix` bits of its IPv6 address is.
    #[must_use]
    pub fn may_relay(&self, client: Client, ipv6_prefix: u8, now: Timestamp) -> Option<Listed<'_>> {
        let valid = |listed: &Listed<'_>| self.listed_until(listed).is_none_or(|until| until > now);
        if let Some(listed) = self.listed(client).filter(valid) {
            return Some(listed);
        }
        let IpAddr::V6(address) = client.address() else {
            return None;
        };
        if ipv6_prefix >= 128 || self.rules.admit(client).is_err() {
            return None;
        }
        let network = Ipv6Net::new(address, ipv6_prefix).ok()?;
        let [first, last] = [network.network(), network.broadcast()].map(IpAddr::V6);
        // The bounds are not normalised: they are no clients, but the ends of a range of them.
        self.listed_in(Client::bound(first)..=Client::bound(last))
            .find(valid)
    }

    /// Whether a login of this client's could list it, or an address beside it.
    #[must_use]
    pub fn may_be_listed(&self, client: Client) -> bool {
        self.rules.admit(client).is_ok()
    }

    /// Until when a client is listed if nothing more is heard of it; `None` while a session is
    /// open.
    #[must_use]
    pub fn listed_until(&self, listed: &Listed<'_>) -> Option<Timestamp> {
        if listed.sessions() > 0 {
            return None;
        }
        let login = listed.login.as_ref().map(|login| self.until(login));
        let grant = listed.grant.map(|grant| grant.until);
        Some(login.into_iter().chain(grant).max().unwrap_or_default())
    }

    /// The last revocation that a login of this client's, had it come at `time`, would fall under.
    #[must_use]
    pub fn revoked(
        &self,
        client: Client,
        user: Option<&str>,
        server: &str,
        time: Timestamp,
    ) -> Option<&Revocation> {
        self.manual.revoked(client, user, server, time, time)
    }

    /// Clients of whom nothing shall be left: their logouts mean nothing any more.
    pub(super) fn unlist_whole(&mut self, clients: &HashSet<Client>) {
        if clients.is_empty() {
            return;
        }
        self.sessions.remove_of(|client| clients.contains(&client));
        self.generation += self.clients.remove_all(clients) as u64;
    }

    /// A login that is older lists nobody, revoked or not.
    fn oldest_that_matters(&self, now: Timestamp) -> Timestamp {
        now.checked_sub(self.rules.max_session)
            .and_then(|time| time.checked_sub(self.rules.grace))
            .unwrap_or(Timestamp::MIN)
    }
}
