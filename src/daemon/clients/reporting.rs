//! What becomes of clients, told: written to the journal, counted, and shown to those who watch.
//!
//! Changes nothing of the whitelist. However much happens, the journal is not flooded.

use jiff::Timestamp;

use super::activity::Activity;
use super::one_address::OneAddress;
use crate::client::Client;
use crate::diagnostics::{self, Change, Floods, Refusals, SourceNames};
use crate::event::{Event, EventKind};
use crate::intake::Refused;
use crate::whitelist::{Grant, Listing, Outcome, Refusal, Scope, Untold, Whitelist};

/// For so many clients that are revoked at once each is told of in the journal; beyond that, their
/// number is.
const TOLD: usize = 1000;

/// All that is told of clients.
pub struct Reporting {
    activity: Activity,
    refusals: Refusals,
    floods: Floods,
    sources: SourceNames,
    /// Whether all logins come through one address that hides the clients.
    one_address: OneAddress,
}

impl Reporting {
    /// Begins with a whitelist that may know of logins before.
    pub fn new(whitelist: &Whitelist, now: Timestamp) -> Self {
        let mut one_address = OneAddress::default();
        if whitelist.clients().nth(1).is_some() {
            one_address = one_address.with_others(now);
        }
        Reporting {
            activity: Activity::new(whitelist),
            refusals: Refusals::default(),
            floods: Floods::default(),
            sources: SourceNames::default(),
            one_address,
        }
    }

    /// These are the sources from now on.
    pub fn name_sources(&mut self, sources: SourceNames) {
        self.activity.name_sources(sources.clone());
        self.sources = sources;
    }

    /// What the sources are called.
    pub fn sources(&self) -> &SourceNames {
        &self.sources
    }

    /// What has been counted, and who watches.
    pub fn activity(&self) -> &Activity {
        &self.activity
    }

    /// The same, to be told what else happens.
    pub fn activity_mut(&mut self) -> &mut Activity {
        &mut self.activity
    }

    /// How many entries and logins were refused.
    pub fn refused(&self) -> u64 {
        self.refusals.total()
    }

    /// That all logins come through one address, if they do.
    pub fn trouble(&self) -> Option<&String> {
        self.one_address.trouble()
    }

    /// An entry by an untrusted sender was refused.
    pub fn entry_refused(&mut self, refused: &Refused, now: Timestamp) {
        self.activity.refused(refused);
        self.refusals.entry(refused, &self.sources, now);
    }

    /// The whitelist has been told of an event, and this came of it.
    pub fn applied(
        &mut self,
        event: &Event,
        outcome: Outcome,
        whitelist: &Whitelist,
        now: Timestamp,
    ) {
        self.activity.applied(event, &outcome, whitelist);
        self.look_for_one_address(event, &outcome);
        match outcome {
            Outcome::Added(client) => {
                let level = self.floods.level(Change::Added, now);
                self.tell(whitelist, client, |client, listing, source, until| {
                    diagnostics::client_added(client, listing, source, until, level);
                });
            }
            Outcome::Prolonged(client) => {
                self.floods.prolonged(now);
                self.tell(whitelist, client, diagnostics::login_prolonged);
            }
            Outcome::Ended(client) => self.tell(whitelist, client, diagnostics::session_ended),
            Outcome::Restarted(sessions) => {
                diagnostics::server_restarted(&event.server, sessions);
            }
            Outcome::Unfollowed(sessions) => {
                diagnostics::sessions_unfollowed(&event.server, sessions);
            }
            Outcome::Doubtful(sessions) => {
                diagnostics::session_lost(&event.server, sessions);
            }
            Outcome::Refused(client, why) => {
                let user = match &event.kind {
                    EventKind::Login { user, .. } => user.as_deref(),
                    _ => None,
                };
                let (server, source) = (&event.server, event.origin.host.source);
                let source = self.sources.name(source);
                if why.is_limit() {
                    (self.refusals).limit(client, user, server, source, why, now);
                } else {
                    diagnostics::login_ignored(client, user, server, source, why);
                }
            }
            Outcome::Nothing => {}
        }
    }

    fn tell(
        &self,
        whitelist: &Whitelist,
        client: Client,
        message: impl FnOnce(Client, &Listing<'_>, Option<&str>, Timestamp),
    ) {
        if let Some(listing) = whitelist.get(client) {
            let source = self.sources.name(listing.source);
            message(client, &listing, source, whitelist.until(&listing));
        }
    }

    fn look_for_one_address(&mut self, event: &Event, outcome: &Outcome) {
        if let EventKind::Login { client, user, .. } = &event.kind
            && let Outcome::Added(_) | Outcome::Prolonged(_) = outcome
            && let user = user.as_deref()
            && let Some(users) = self.one_address.login(*client, user, event.time)
        {
            let said = diagnostics::one_address(*client, users);
            self.one_address.say(said);
        }
    }

    /// Clients whose grace has passed were removed.
    pub fn expired(
        &mut self,
        removed: &[(Client, Listing<'_>)],
        whitelist: &Whitelist,
        now: Timestamp,
    ) {
        for (client, listing) in removed {
            // Who is allowed by hand stays.
            if whitelist.listed(*client).is_none() {
                let level = self.floods.level(Change::Removed, now);
                let source = self.sources.name(listing.source);
                diagnostics::client_expired(*client, listing, source, level);
                let reason = "its grace has passed";
                self.activity.removed(*client, Some(listing), reason);
            }
        }
    }

    /// What was allowed by hand has ended.
    pub fn grants_ended(&mut self, ended: &[(Client, Grant)], whitelist: &Whitelist) {
        for (client, grant) in ended {
            diagnostics::grant_ended(*client, grant);
            if whitelist.listed(*client).is_none() {
                let reason = "what was allowed by hand has ended";
                self.activity.removed(*client, None, reason);
            }
        }
    }

    /// Servers do not tell when sessions end.
    pub fn ends_untold(&self, news: &[Untold]) {
        for untold in news {
            diagnostics::ends_untold(untold, self.sources.name(untold.host.source));
        }
    }

    /// Other rules are in force, and these clients are listed no more.
    pub fn refused_by_rules(&mut self, removed: &[(Client, Refusal)], now: Timestamp) {
        for (client, why) in removed {
            let level = self.floods.level(Change::Removed, now);
            diagnostics::client_refused_by_rules(*client, *why, level);
            self.activity.removed(*client, None, why.reason());
        }
    }

    /// Other rules are in force: whoever is not admitted any more is no trouble.
    pub fn forget_trouble_unless(&mut self, is_admitted: impl FnOnce(Client) -> bool) {
        self.one_address.keep_if(is_admitted);
    }

    /// An operator has allowed a client.
    pub fn allowed(&mut self, client: Client, grant: &Grant, was_listed: bool) {
        diagnostics::client_allowed(client, grant);
        if !was_listed {
            self.activity.listed_by_hand(client, grant.until);
        }
    }

    /// An operator has revoked clients.
    pub fn revoked(&mut self, scope: &Scope, by: u32, clients: &[Client]) {
        diagnostics::revoked(scope, by, clients.len());
        for (n, client) in clients.iter().enumerate() {
            if n < TOLD {
                diagnostics::client_revoked(*client, scope);
            }
            let reason = "it was revoked by hand";
            self.activity.removed(*client, None, reason);
        }
    }

    /// When there is something to sum up.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        let refusals = self.refusals.next_deadline();
        refusals
            .into_iter()
            .chain(self.floods.next_deadline())
            .min()
    }

    /// Tells in one message what was too much to be told one by one.
    pub fn sum_up(&mut self, listed: usize, now: Timestamp) {
        self.refusals.sum_up(&self.sources, now);
        self.floods.sum_up(now, listed);
    }

    /// The same, at the end.
    pub fn finish(self, listed: usize) {
        self.floods.finish(listed);
    }
}
