//! Keeps the access map in step with the whitelist.
//!
//! Says when to publish and what to make of the outcome; the publisher's thread does it. An old
//! map stays whole and in place until a new one is proved.

use std::time::Instant;

use jiff::Timestamp;

use super::publication::{Due, Schedule};
use super::publisher::{Done, Job, Publisher};
use crate::control::protocol::PublicationStatus;
use crate::diagnostics;
use crate::postfix::access_map::{AccessMap, PublishError, Published};
use crate::store::InForce;
use crate::whitelist::Whitelist;

/// The access map, and what is known of what Postfix finds in it.
#[derive(Debug)]
pub struct MapKeeper {
    publisher: Publisher,
    schedule: Schedule,
    map: AccessMap,
    /// Whether there is to be a map at all.
    wanted: bool,
    /// The last generation of the whitelist in which somebody was removed.
    removal: Option<u64>,
    last: Option<PublicationStatus>,
    /// Whether maps of other types beside ours have been seen to.
    other_types_withdrawn: bool,
    trouble: Option<String>,
    withdrawal: Option<String>,
}

impl MapKeeper {
    /// Keeps `map`, of which nothing is known yet; an unwanted one is emptied.
    #[must_use]
    pub fn new(publisher: Publisher, map: AccessMap, wanted: bool, schedule: Schedule) -> Self {
        let keeper = MapKeeper {
            publisher,
            schedule,
            map,
            wanted,
            removal: None,
            last: None,
            other_types_withdrawn: false,
            trouble: None,
            withdrawal: None,
        };
        keeper.withdraw_unwanted();
        keeper
    }

    /// The map.
    #[must_use]
    pub fn map(&self) -> &AccessMap {
        &self.map
    }

    /// The last publication that succeeded.
    #[must_use]
    pub fn last(&self) -> Option<&PublicationStatus> {
        self.last.as_ref()
    }

    /// What is wrong now.
    pub fn troubles(&self) -> impl Iterator<Item = &String> {
        self.trouble.iter().chain(&self.withdrawal)
    }

    /// Somebody was removed from the whitelist, which is now at `generation`.
    pub fn note_removal(&mut self, generation: u64) {
        self.removal = Some(generation);
    }

    /// Whether somebody is still in the map, as far as we know, who may relay no more.
    fn removal_is_pending(&self) -> bool {
        self.removal
            .is_some_and(|removal| self.schedule.published().is_none_or(|p| p < removal))
    }

    /// Whether the map is as the whitelist was at `generation`, or later.
    #[must_use]
    pub fn has_published(&self, generation: u64) -> bool {
        !self.wanted || self.schedule.published().is_some_and(|p| p >= generation)
    }

    /// Whether there is to be a map at all.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        self.wanted
    }

    /// Somebody waits for the next publication.
    pub fn hurry(&mut self) {
        self.schedule.hurry();
    }

    /// Whether a publication is under way.
    #[must_use]
    pub fn is_under_way(&self) -> bool {
        self.schedule.is_under_way()
    }

    /// Starts a publication if one is due, or says when one will be.
    pub fn publish_if_due(&mut self, whitelist: &Whitelist, caught_up: bool) -> Option<Instant> {
        // While the journal is caught up with, only removals can't wait: logins come by the
        // thousand.
        if !self.wanted || !caught_up && !self.removal_is_pending() {
            return None;
        }
        let now = Instant::now();
        match self.schedule.due(whitelist.generation(), now) {
            Due::Nothing => None,
            Due::At(time) => Some(time),
            Due::Now => {
                let clients = whitelist.addresses().collect();
                self.schedule.started(whitelist.generation(), now);
                self.publisher.give(Job::Publish(self.map.clone(), clients));
                None
            }
        }
    }

    /// The publisher is done with something.
    ///
    /// # Errors
    /// When the map could not be published. It has been reported, and will be tried again.
    pub fn done(&mut self, done: Done) -> Result<(), PublishError> {
        match done {
            Done::Published(Ok(published)) => {
                self.succeeded(published);
                Ok(())
            }
            Done::Published(Err(error)) => {
                let retry = self.schedule.failed(Instant::now());
                let pending = self.removal_is_pending();
                diagnostics::publication_failed(&error, retry, pending);
                let alarm = if pending {
                    "a client that may relay no more is still in the map: "
                } else {
                    ""
                };
                self.trouble = Some(format!(
                    "{alarm}{error}\nthe old map stays until it can; it is tried again"
                ));
                Err(error)
            }
            Done::NotWithdrawn(error) => {
                let text = format!("a former access map may still list clients: {error}");
                diagnostics::warning(&text);
                self.withdrawal = Some(text);
                Ok(())
            }
        }
    }

    fn succeeded(&mut self, Published { clients, took }: Published) {
        self.schedule.succeeded();
        self.trouble = None;
        let milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        self.last = Some(PublicationStatus {
            time: Timestamp::now(),
            clients,
            milliseconds,
        });
        diagnostics::published(clients, took);
        if !std::mem::replace(&mut self.other_types_withdrawn, true) {
            self.publisher
                .give(Job::WithdrawOtherTypes(self.map.clone()));
        }
    }

    /// Another map, or the same, is to be kept from now on.
    pub fn change(&mut self, map: AccessMap, wanted: bool, debounce: std::time::Duration) {
        let is_other = map != self.map || wanted != self.wanted;
        self.schedule.change(debounce, is_other);
        self.other_types_withdrawn &= !is_other;
        self.map = map;
        self.wanted = wanted;
        self.withdraw_unwanted();
    }

    fn withdraw_unwanted(&self) {
        if !self.wanted {
            self.publisher.give(Job::Withdraw(self.map.clone()));
        }
    }

    /// A map that was published before and is not any more must not list anybody for ever.
    pub fn withdraw_former(&self, former: Option<InForce>) {
        if let Some(InForce { path, kind, .. }) = former
            && (path != self.map.path || kind != self.map.kind)
        {
            let map = AccessMap {
                path,
                kind,
                ..self.map.clone()
            };
            self.publisher.give(Job::Withdraw(map));
        }
    }
}
