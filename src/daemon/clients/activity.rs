//! What happens: counted since the service runs, and told to those who watch.
//!
//! Keeps nothing of the past but numbers and the last login. A watcher that is too slow misses
//! events and learns how many; it holds up nobody.

use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::broadcast;

use crate::client::Client;
use crate::control::protocol::{Event, EventKind, LoginStatus, PublicationStatus, Totals};
use crate::diagnostics::{SourceNames, count};
use crate::event;
use crate::intake::Refused;
use crate::whitelist::{Listing, MANUAL, Outcome, Whitelist};

/// How many events a watcher may be behind.
const BEHIND: usize = 1024;

/// What has happened.
#[derive(Debug)]
pub struct Activity {
    totals: Totals,
    last_login: Option<LoginStatus>,
    sources: SourceNames,
    watchers: broadcast::Sender<Arc<Event>>,
}

impl Activity {
    /// Begins with a whitelist that may know of logins before.
    pub fn new(whitelist: &Whitelist) -> Self {
        let last = whitelist
            .clients()
            .max_by_key(|(_, listing)| listing.last_login);
        Activity {
            totals: Totals::default(),
            last_login: last.map(|(client, listing)| LoginStatus {
                time: listing.last_login,
                client,
                user: listing.user.as_deref().map(str::to_owned),
                server: listing.server.to_string(),
                source: None,
            }),
            sources: SourceNames::default(),
            watchers: broadcast::channel(BEHIND).0,
        }
    }

    /// These are the sources from now on.
    pub fn name_sources(&mut self, sources: SourceNames) {
        self.sources = sources;
    }

    /// What has been counted.
    pub fn totals(&self) -> Totals {
        self.totals
    }

    /// The last login that was heard of.
    pub fn last_login(&self) -> Option<&LoginStatus> {
        self.last_login.as_ref()
    }

    /// All that happens from now on.
    pub fn watch(&self) -> broadcast::Receiver<Arc<Event>> {
        self.watchers.subscribe()
    }

    /// Tells the watchers, if there are any: nothing is made for nobody.
    fn tell(&self, event: impl FnOnce() -> Event) {
        if self.watchers.receiver_count() > 0 {
            // Those who have left since miss nothing.
            let _ = self.watchers.send(Arc::new(event()));
        }
    }

    /// The whitelist has been told of an event, and this came of it.
    pub fn applied(&mut self, event: &event::Event, outcome: &Outcome, whitelist: &Whitelist) {
        match &event.kind {
            event::EventKind::Login { client, user, .. } => {
                self.login(event, *client, user.as_deref(), outcome, whitelist);
            }
            event::EventKind::Logout { .. }
            | event::EventKind::LostLogout
            | event::EventKind::Start => {
                self.logout(event, outcome, whitelist);
            }
        }
    }

    fn login(
        &mut self,
        event: &event::Event,
        client: Client,
        user: Option<&str>,
        outcome: &Outcome,
        whitelist: &Whitelist,
    ) {
        let source = self.sources.owned(event.origin.host.source);
        let happened = |kind, time| Event {
            client: Some(client),
            user: user.map(str::to_owned),
            server: Some(event.server.to_string()),
            source: source.clone(),
            ..Event::new(time, kind)
        };
        if let Outcome::Refused(_, why) = outcome
            && why.is_limit()
        {
            self.tell(|| Event {
                reason: Some(why.reason().to_owned()),
                ..happened(EventKind::Refused, event.time)
            });
            return;
        }
        self.totals.logins += 1;
        let login = || LoginStatus {
            time: event.time,
            client,
            user: user.map(str::to_owned),
            server: event.server.to_string(),
            source: source.clone(),
        };
        if self
            .last_login
            .as_ref()
            .is_none_or(|l| l.time <= event.time)
        {
            self.last_login = Some(login());
        }
        self.tell(|| Event {
            reason: match outcome {
                Outcome::Refused(_, why) => Some(why.reason().to_owned()),
                _ => None,
            },
            ..happened(EventKind::Login, event.time)
        });
        match outcome {
            Outcome::Prolonged(_) => self.totals.unchanged_logins += 1,
            Outcome::Added(_) => {
                self.totals.listed += 1;
                self.tell(|| Event {
                    until: whitelist.get(client).map(|l| whitelist.until(&l)),
                    ..happened(EventKind::Listed, Timestamp::now())
                });
            }
            _ => {}
        }
    }

    fn logout(&mut self, event: &event::Event, outcome: &Outcome, whitelist: &Whitelist) {
        let (client, sessions, reason) = match outcome {
            Outcome::Ended(client) => (Some(*client), 1, None),
            Outcome::Restarted(n) => (None, *n, Some("the server has started anew")),
            Outcome::Unfollowed(n) => (
                None,
                *n,
                Some("the server does not say which session has ended"),
            ),
            Outcome::Doubtful(_) => (None, 1, Some("the server has lost which session has ended")),
            _ => return,
        };
        self.totals.logouts += u64::try_from(sessions).unwrap_or(u64::MAX);
        self.tell(|| {
            let listing = client.and_then(|client| whitelist.get(client));
            Event {
                client,
                until: listing.as_ref().map(|listing| whitelist.until(listing)),
                user: listing.and_then(|listing| Some(listing.user?.into_owned())),
                server: Some(event.server.to_string()),
                source: self.sources.owned(event.origin.host.source),
                reason: reason.map(|why| format!("{why}: {} ended", count(sessions, "session"))),
                ..Event::new(event.time, EventKind::Logout)
            }
        });
    }

    /// A client is listed by hand that was not listed.
    pub fn listed_by_hand(&mut self, client: Client, until: Timestamp) {
        self.totals.listed += 1;
        self.tell(|| Event {
            client: Some(client),
            server: Some(MANUAL.to_owned()),
            until: Some(until),
            ..Event::new(Timestamp::now(), EventKind::Listed)
        });
    }

    /// A client is listed no more.
    pub fn removed(&mut self, client: Client, listing: Option<&Listing<'_>>, reason: &str) {
        self.totals.removed += 1;
        self.tell(|| Event {
            client: Some(client),
            user: listing.and_then(|listing| listing.user.as_deref().map(str::to_owned)),
            server: listing.map(|listing| listing.server.to_string()),
            source: listing.and_then(|listing| self.sources.owned(listing.source)),
            reason: Some(reason.to_owned()),
            ..Event::new(Timestamp::now(), EventKind::Removed)
        });
    }

    /// An entry by an untrusted sender was refused.
    pub fn refused(&self, refused: &Refused) {
        self.tell(|| Event {
            client: refused.client(),
            server: Some(refused.server.to_string()),
            source: self.sources.owned(refused.source),
            reason: Some(format!("written by {}: {}", refused.sender, refused.why)),
            ..Event::new(Timestamp::now(), EventKind::Refused)
        });
    }

    /// The access map has been published.
    pub fn published(&mut self, publication: &PublicationStatus) {
        self.totals.publications += 1;
        self.tell(|| Event {
            clients: Some(publication.clients),
            milliseconds: Some(publication.milliseconds),
            ..Event::new(publication.time, EventKind::Published)
        });
    }

    /// The access map could not be published.
    pub fn not_published(&mut self, error: &dyn std::fmt::Display) {
        self.totals.failed_publications += 1;
        self.tell(|| Event {
            reason: Some(error.to_string()),
            ..Event::new(Timestamp::now(), EventKind::NotPublished)
        });
    }

    /// Another configuration is in force.
    pub fn reloaded(&self) {
        self.tell(|| Event::new(Timestamp::now(), EventKind::Reloaded));
    }
}
