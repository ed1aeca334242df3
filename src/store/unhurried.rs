//! sled starts seven threads, for good, that look for work once a second each, also when there is
//! none. A thread inherits the timer slack of the one that starts it (prctl(2),
//! PR_SET_TIMERSLACK): with a long one, they wake for work at once, as before, and for a time-out
//! hardly ever. So an idle service is idle.
//!
//! Only around calls of sled: a pause of our own would be as long.

use std::num::NonZeroU64;

use rustix::thread::set_current_timer_slack;

/// While it lives, threads that this thread starts are in no hurry to wake from their sleep.
pub(super) struct Unhurried;

/// The slack of sled's threads, in nanoseconds: an hour.
const SLACK: u64 = 3_600_000_000_000;

impl Unhurried {
    pub(super) fn new() -> Self {
        // Without it, the threads wake once a second: nothing worse.
        let _ = set_current_timer_slack(NonZeroU64::new(SLACK));
        Unhurried
    }
}

impl Drop for Unhurried {
    fn drop(&mut self) {
        // Back to what this thread began with.
        let _ = set_current_timer_slack(None);
    }
}
