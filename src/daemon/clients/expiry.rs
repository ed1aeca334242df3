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

use super::reporting::Reporting;
use crate::whitelist::Whitelist;

/// For how long the loop removes before others have a turn.
const TURN: Duration = Duration::from_micros(250);
/// How many deadlines are done between two looks at the clock.
const STEP: usize = 16;

/// Whether there is something due.
pub fn is_due(whitelist: &Whitelist, now: Timestamp) -> bool {
    let next = whitelist.next_deadline();
    next.is_some_and(|next| next <= now)
}

/// Does some of what is due, and tells of it. Says how many clients were removed.
pub fn expire_some(whitelist: &mut Whitelist, reporting: &mut Reporting, now: Timestamp) -> usize {
    let begun = Instant::now();
    let ended = whitelist.expire_manual(now);
    reporting.grants_ended(&ended, whitelist);
    let mut number = ended.len();
    loop {
        let removed = whitelist.expire(now, STEP);
        number += removed.len();
        reporting.expired(&removed, whitelist, now);
        reporting.ends_untold(&whitelist.ends_mut().take_news());
        if !is_due(whitelist, now) || begun.elapsed() >= TURN {
            return number;
        }
    }
}
