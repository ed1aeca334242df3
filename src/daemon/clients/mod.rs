//! Who is listed: logins, logouts, rules, operators and the clock change it; each change is told.
//!
//! Decides about nobody: the whitelist does. Knows neither the disk nor the access map.

mod activity;
mod expiry;
mod one_address;
mod reporting;

use std::cell::{Ref, RefCell, RefMut};
use std::rc::Rc;

use jiff::{SignedDuration, Timestamp};

use crate::client::Client;
use crate::control::{Allow, Fault, Peer};
use crate::daemon::plan::{NamedSource, source_names};
use crate::diagnostics::SourceNames;
use crate::event::Event;
use crate::intake::Refused;
use crate::journal;
use crate::origin::{Host, Id};
use crate::whitelist::{Grant, LONGEST_NOTE, Rules, Scope, Whitelist};

pub use activity::Activity;
pub use one_address::crowd;
use reporting::Reporting;

/// Who is listed, and all that is told of it.
pub struct Clients {
    /// The policy server answers from it, and changes nothing.
    whitelist: Rc<RefCell<Whitelist>>,
    reporting: Reporting,
    /// Whether there are deadlines that have passed and are still to be done.
    expiring: bool,
    /// The whitelist's generation when somebody was last removed.
    last_removal: Option<u64>,
}

impl Clients {
    /// Begins with those that were kept.
    pub fn new(whitelist: Whitelist, now: Timestamp) -> Self {
        Clients {
            reporting: Reporting::new(&whitelist, now),
            whitelist: Rc::new(RefCell::new(whitelist)),
            expiring: false,
            last_removal: None,
        }
    }

    /// The whitelist, to answer from.
    pub fn share(&self) -> Rc<RefCell<Whitelist>> {
        self.whitelist.clone()
    }

    /// Who is listed now.
    pub fn whitelist(&self) -> Ref<'_, Whitelist> {
        self.whitelist.borrow()
    }

    /// The same, to take from it what is to be kept.
    pub fn whitelist_mut(&self) -> RefMut<'_, Whitelist> {
        self.whitelist.borrow_mut()
    }

    /// What has been counted, and who watches.
    pub fn activity(&self) -> &Activity {
        self.reporting.activity()
    }

    /// The same, to be told what else happens.
    pub fn activity_mut(&mut self) -> &mut Activity {
        self.reporting.activity_mut()
    }

    /// How many entries and logins were refused.
    pub fn refused(&self) -> u64 {
        self.reporting.refused()
    }

    /// What is wrong with the clients' addresses, if anything.
    pub fn trouble(&self) -> Option<&String> {
        self.reporting.trouble()
    }

    /// The whitelist's generation when somebody was last removed.
    pub fn last_removal(&self) -> Option<u64> {
        self.last_removal
    }

    // ---- From the journal ----

    /// Applies an event.
    pub fn apply(&mut self, event: &Event, now: Timestamp) {
        let mut whitelist = self.whitelist.borrow_mut();
        let outcome = whitelist.apply(event, now);
        self.reporting.applied(event, outcome, &whitelist, now);
    }

    /// An entry by an untrusted sender was refused.
    pub fn entry_refused(&mut self, refused: &Refused, now: Timestamp) {
        self.reporting.entry_refused(refused, now);
    }

    /// Sessions do not outlive the host that they were on: this one, as a source shows it.
    pub fn end_sessions_of_former_boots(&mut self, source: Id, now: Timestamp) {
        let up = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        let boot = now.checked_sub(SignedDuration::from_secs(up.tv_sec));
        let boot = boot.unwrap_or(Timestamp::MIN);
        let host = Host {
            source,
            machine: journal::machine(),
            container: Id::NONE,
        };
        self.whitelist_mut().end_sessions_before(boot, host);
    }

    /// What the sources are called, where there are several.
    pub fn sources(&self) -> &SourceNames {
        self.reporting.sources()
    }

    /// These are the sources from now on. What others than those that are `known` told of sessions counts no
    /// more.
    pub fn set_sources(&mut self, sources: &[NamedSource], known: &[Id], now: Timestamp) {
        self.whitelist_mut().forget_other_sources(known, now);
        self.reporting.name_sources(source_names(sources));
    }

    /// These are the servers that are heard as before. What others told of sessions counts no more.
    pub fn set_servers(&mut self, servers: &[&str], now: Timestamp) {
        self.whitelist_mut().forget_other_servers(servers, now);
    }

    // ---- By rules ----

    /// Puts rules in force: whoever they do not admit is listed no more.
    pub fn set_rules(&mut self, rules: Rules) {
        let removed = self.whitelist_mut().set_rules(rules);
        self.reporting.refused_by_rules(&removed, Timestamp::now());
        self.note_removal(removed.len());
    }

    /// Puts other rules in force than those so far.
    pub fn change_rules(&mut self, rules: &Rules) {
        self.set_rules(rules.clone());
        self.reporting.forget_trouble_unless(|client| {
            let address = client.address();
            !rules.never.contains(address) && !rules.permitted.contains(address)
        });
    }

    // ---- By hand ----

    /// Lists a client by hand; if nothing else is said, for `grace`.
    ///
    /// # Errors
    /// When it may not be listed.
    pub fn allow(&mut self, allow: &Allow, grace: SignedDuration, peer: Peer) -> Result<(), Fault> {
        let (client, note) = (allow.client, allow.note.clone());
        if note.as_ref().is_some_and(|note| note.len() > LONGEST_NOTE) {
            let parameter = "note".to_owned();
            return Err(Fault::InvalidParameter { parameter });
        }
        let now = Timestamp::now();
        let grant = Grant {
            since: now,
            until: allow
                .until
                .unwrap_or_else(|| now.checked_add(grace).unwrap_or(Timestamp::MAX)),
            by: peer.uid,
            note,
        };
        let was_listed = self.whitelist().listed(client).is_some();
        let allowed = self.whitelist_mut().allow(client, grant.clone()).map(drop);
        allowed.map_err(|why| Fault::NotAdmitted {
            client,
            reason: why.to_string(),
        })?;
        self.reporting.allowed(client, &grant, was_listed);
        Ok(())
    }

    /// Takes clients off, and says which.
    ///
    /// # Errors
    /// When that can't be remembered.
    pub fn revoke(&mut self, scope: &Scope, peer: Peer) -> Result<Vec<Client>, Fault> {
        let now = Timestamp::now();
        let revoked = self.whitelist_mut().revoke(scope, peer.uid, now);
        let clients = revoked.map_err(|error| Fault::NotRevoked {
            reason: error.to_string(),
        })?;
        self.reporting.revoked(scope, peer.uid, &clients);
        self.note_removal(clients.len());
        Ok(clients)
    }

    // ---- By the clock ----

    /// When the timer is to wake us; not for what is being done already.
    pub fn next_deadline(&self) -> Option<Timestamp> {
        let expiry = self.whitelist().next_deadline();
        let expiry = expiry.filter(|_| !self.expiring);
        let reporting = self.reporting.next_deadline();
        expiry.into_iter().chain(reporting).min()
    }

    /// Whether there is more to expire than was done in one turn.
    pub fn is_expiring(&self) -> bool {
        self.expiring
    }

    /// Does what is due, for one turn of the loop; false if nothing was.
    pub fn expire_if_due(&mut self) -> bool {
        let now = Timestamp::now();
        let is_due = expiry::is_due(&self.whitelist(), now);
        self.expiring = is_due;
        if is_due {
            self.expire_some(now);
        }
        is_due
    }

    /// Does all that is due.
    pub fn expire_all(&mut self, now: Timestamp) {
        self.expiring = true;
        while self.expiring {
            self.expire_some(now);
        }
    }

    fn expire_some(&mut self, now: Timestamp) {
        let mut whitelist = self.whitelist.borrow_mut();
        let removed = expiry::expire_some(&mut whitelist, &mut self.reporting, now);
        self.expiring = expiry::is_due(&whitelist, now);
        drop(whitelist);
        self.note_removal(removed);
    }

    /// The clock was set: that must lend nobody time.
    pub fn clock_set(&mut self, now: Timestamp) {
        self.whitelist_mut().clock_set(now);
    }

    /// Tells in one message what was too much to be told one by one.
    pub fn sum_up(&mut self, now: Timestamp) {
        let listed = self.whitelist().len();
        self.reporting.sum_up(listed, now);
    }

    /// The same, at the end. Says how many are listed.
    pub fn finish(self) -> usize {
        let listed = self.whitelist().len();
        self.reporting.finish(listed);
        listed
    }

    fn note_removal(&mut self, removed: usize) {
        if removed > 0 {
            let generation = self.whitelist().generation();
            self.last_removal = Some(generation);
        }
    }
}
