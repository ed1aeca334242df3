//! The rooms of the service, each to be entered by its own door; and what takes several of them.
//!
//! Below the loop, which owns it, and above the rooms, which know nothing of each other.

use std::rc::Rc;
use std::time::Instant;

use jiff::Timestamp;

use super::clients::Clients;
use super::keeping::Keeping;
use super::plan::{NamedSource, Plan};
use super::policy_server::Policy;
use super::publishing::{Confirm, Journal, Publishing};
use super::reading::{Progress, Reading};
use crate::control::Fault;
use crate::diagnostics;
use crate::origin::Id;

/// What the service consists of.
pub struct Rooms {
    /// The configuration that is in force.
    pub plan: Plan,
    /// Since when the service runs.
    pub since: Timestamp,
    /// The readers of the journals.
    pub reading: Reading,
    /// Who is listed.
    pub clients: Clients,
    /// What is kept on disk.
    pub keeping: Keeping,
    /// The access map.
    pub publishing: Publishing,
    /// Postfix's answers.
    pub policy: Rc<Policy>,
    /// Why the last reload was refused.
    pub reload_refused: Option<String>,
}

impl Rooms {
    /// Commits what has changed, if it is time.
    pub fn commit(&mut self) {
        // Those that expire together are committed together.
        let is_time = self.reading.progress() == Progress::CaughtUp && !self.clients.is_expiring();
        let mut whitelist = self.clients.whitelist_mut();
        self.keeping.commit(&mut whitelist, is_time);
    }

    /// Keeps what was done by hand, and confirms it as soon as Postfix knows.
    pub fn confirm(&mut self, confirm: Confirm) {
        self.commit();
        if let Some(trouble) = self.keeping.manual_trouble() {
            let reason = trouble.clone();
            confirm(Err(Fault::NotKept { reason }));
            return;
        }
        let generation = self.clients.whitelist().generation();
        self.publishing.confirm(generation, confirm);
    }

    /// Sessions do not outlive the host that they were on, if it is this one.
    pub fn end_sessions_of_former_boots(&mut self, now: Timestamp) {
        let here = self
            .plan
            .sources
            .iter()
            .filter(|source| source.is_of_this_host());
        here.for_each(|source| self.clients.end_sessions_of_former_boots(source.id(), now));
    }

    /// The plan's sources and servers are those that are heard from now on. What others told counts no more, nor
    /// what was told where another journal had a source's name, nor of servers of which more was heard: nobody
    /// will know of the ends of all their sessions.
    pub fn hear(&mut self, now: Timestamp) {
        let heard = self.plan.heard();
        let former = self.keeping.heard().cloned().unwrap_or_default();
        let sources = self.plan.sources.iter().map(NamedSource::id);
        let known: Vec<Id> = sources
            .filter(|source| former.is_same_journal(*source, &heard))
            .collect();
        self.clients.set_sources(&self.plan.sources, &known, now);
        self.keeping.forget_other_sources(&known);
        let servers = self.plan.recogniser.servers().map(|server| &**server);
        let servers: Vec<&str> = servers
            .filter(|server| former.is_still_heard(server, &heard))
            .collect();
        self.clients.set_servers(&servers, now);
        self.keeping
            .set_heard(heard, &mut self.clients.whitelist_mut());
    }

    /// The journals have been read. Returns the whitelist's generation that the map is to have.
    pub fn caught_up(&mut self, now: Timestamp) -> u64 {
        self.end_sessions_of_former_boots(now);
        self.clients.expire_all(now);
        let generation = self.clients.whitelist().generation();
        // Whoever waits for the start has waited for long enough.
        self.publishing.hurry();
        self.commit();
        let whitelist = self.clients.whitelist();
        diagnostics::caught_up(whitelist.len(), whitelist.open_sessions());
        generation
    }

    /// Goes on writing to the store. Says when there is more to do.
    pub fn write_to_store(&mut self) -> Option<Instant> {
        self.keeping.go_on(&mut self.clients.whitelist_mut())
    }

    /// Publishes, if it is due, or goes on with it. Says when there is more to do.
    pub fn publish(&mut self) -> Option<Instant> {
        if let Some(generation) = self.clients.last_removal() {
            self.publishing.note_removal(generation);
        }
        if self.clients.is_expiring() {
            return Some(Instant::now());
        }
        let journal = match self.reading.progress() {
            Progress::CaughtUp => Journal::CaughtUp,
            Progress::CatchingUp => Journal::CatchingUp,
            Progress::Unreadable => Journal::Unreadable,
        };
        let whitelist = self.clients.whitelist();
        self.publishing.publish_if_due(&whitelist, journal)
    }
}
