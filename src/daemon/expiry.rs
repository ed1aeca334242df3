//! What ends by the clock: sessions that have been open for too long, graces, what was allowed by
//! hand. A little at a time: the clients of a busy hour can expire in one second, after a suspend or
//! when the clock is set, and to remove a million of them takes seconds.
//!
//! Meanwhile the policy grants nothing to anybody whose grace has passed, removed or not. The access
//! map has to wait for its publication, and none is begun, nor are more clients gathered for one,
//! while anybody's time is up: it would hold clients that are about to go, and hold up the
//! publication without them for as long as postmap takes. That is the shorter wait, as a client is
//! removed in less time than postmap needs to write it; and it comes to an end, as there are only so
//! many clients. So an address stays in the map for no longer than the removal of those that expire
//! with it, the debounce, a publication that is under way already, and its own.

use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::service::Service;
use crate::client::Client;
use crate::diagnostics::{self, Change};
use crate::whitelist::Listing;

/// For how long the loop removes before others have a turn.
const TURN: Duration = Duration::from_micros(250);
/// How many deadlines are done between two looks at the clock.
const STEP: usize = 16;

impl Service {
    /// Does what is due, for one turn of the loop.
    pub(super) fn expire_if_due(&mut self) {
        let now = Timestamp::now();
        self.expiring = self.is_due(now);
        if self.expiring {
            self.expire(now);
            self.commit();
        }
    }

    /// Does all that is due.
    pub(super) fn expire_all(&mut self, now: Timestamp) {
        self.expiring = true;
        while self.expiring {
            self.expire(now);
        }
    }

    fn is_due(&self, now: Timestamp) -> bool {
        let next = self.whitelist().next_deadline();
        next.is_some_and(|next| next <= now)
    }

    /// Does some of what is due, and takes note of whether there is more.
    fn expire(&mut self, now: Timestamp) {
        let begun = Instant::now();
        self.expire_by_hand(now);
        loop {
            let removed = self.whitelist_mut().expire(now, STEP);
            self.tell_expired(&removed, now);
            self.note_removal(removed.len());
            self.tell_untold();
            self.expiring = self.is_due(now);
            if !self.expiring || begun.elapsed() >= TURN {
                return;
            }
        }
    }

    fn expire_by_hand(&mut self, now: Timestamp) {
        let ended = self.whitelist_mut().expire_manual(now);
        for (client, grant) in &ended {
            diagnostics::grant_ended(*client, grant);
            if self.whitelist().listed(*client).is_none() {
                let reason = "what was allowed by hand has ended";
                self.activity.removed(*client, None, reason);
            }
        }
        self.note_removal(ended.len());
    }

    fn tell_untold(&self) {
        let news = self.whitelist_mut().ends_mut().take_news();
        for untold in &news {
            diagnostics::ends_untold(untold);
        }
    }

    fn tell_expired(&mut self, removed: &[(Client, Listing<'_>)], now: Timestamp) {
        for (client, listing) in removed {
            // Who is allowed by hand stays.
            if self.whitelist().listed(*client).is_none() {
                let level = self.floods.level(Change::Removed, now);
                diagnostics::client_expired(*client, listing, level);
                let reason = "its grace has passed";
                self.activity.removed(*client, Some(listing), reason);
            }
        }
    }
}
