//! Whether a store is asked again for an entry that came without a field that each line of a server has.
//!
//! The store's journalctl may have read the entry while journald was writing it; a moment later, it is whole.
//! But anybody on the store can write an entry that never has the field, so this is done once in a while only.
//! Pure.

use std::time::{Duration, Instant};

/// How often it is done at most: it ends the connection.
const PAUSE: Duration = Duration::from_secs(60);

/// When a store was asked again.
#[derive(Debug, Default)]
pub struct AskAgain {
    last: Option<Instant>,
}

impl AskAgain {
    /// Whether the store is asked again now. If so, it is not the next time, for a while.
    pub fn now(&mut self, now: Instant) -> bool {
        let lately = |last: Instant| now.duration_since(last) < PAUSE;
        if self.last.is_some_and(lately) {
            return false;
        }
        self.last = Some(now);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_is_asked_again_once_a_minute() {
        let begin = Instant::now();
        let mut ask_again = AskAgain::default();
        let asked = [0, 1, 59, 60, 61, 119, 120, 1000]
            .map(|second| ask_again.now(begin + Duration::from_secs(second)));
        assert_eq!(asked, [true, false, false, true, false, false, true, true]);
    }
}
