//! Whether a source of another host is silent for longer than it ever was: something may be broken that
//! nobody sees.
//!
//! Pure: it is told the time.

use jiff::{SignedDuration, Timestamp};

use crate::diagnostics::local_time;

/// A shorter silence means nothing: a night.
const LEAST: SignedDuration = SignedDuration::from_hours(12);

/// When a source was heard of.
#[derive(Debug)]
pub struct Silence {
    last: Timestamp,
    longest: SignedDuration,
}

impl Silence {
    /// It is listened to since `now`.
    #[must_use]
    pub fn since(now: Timestamp) -> Self {
        Silence {
            last: now,
            longest: SignedDuration::ZERO,
        }
    }

    /// An entry has come at `now` that was written at `time`, by its own clock.
    pub fn heard(&mut self, time: Timestamp, now: Timestamp) {
        let time = time.min(now);
        self.longest = self.longest.max(time.duration_since(self.last));
        self.last = self.last.max(time);
    }

    /// What is to be said of it at `now`.
    #[must_use]
    pub fn problem(&self, now: Timestamp) -> Option<String> {
        let last = self.last;
        let is_odd = now.duration_since(last) > self.longest.max(LEAST);
        is_odd.then(|| {
            format!(
                "nothing has come from it since {}: for longer than ever before; does its server \
                 still write to its journal?",
                local_time(last)
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hour: i64) -> Timestamp {
        Timestamp::from_second(hour * 3600).unwrap()
    }

    #[test]
    fn what_was_as_long_before_is_no_reason_to_worry() {
        let mut silence = Silence::since(at(0));
        assert_eq!(silence.problem(at(12)), None);
        assert!(silence.problem(at(13)).is_some());
        // A weekend.
        silence.heard(at(60), at(60));
        silence.heard(at(61), at(61));
        assert_eq!(silence.problem(at(121)), None);
        assert!(silence.problem(at(122)).is_some());
        // A clock that is wrong makes no silence, and ends none.
        silence.heard(at(10), at(61));
        silence.heard(at(1000), at(61));
        assert_eq!(silence.problem(at(121)), None);
        assert!(silence.problem(at(122)).is_some());
    }
}
