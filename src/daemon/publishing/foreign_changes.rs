//! What somebody else does to the published map, counted: how soon it is published again, and what is
//! said of it.
//!
//! Pure: it is told the time. A few changes are mended at once, or nearly so. Whoever goes on to change
//! the map gets it back after growing pauses, so that two who fight over it don't keep the host busy.

use std::time::{Duration, Instant};

/// The pause after the second change: a command that touches several files is mended once.
const SHORT_PAUSE: Duration = Duration::from_millis(100);
/// A change so soon after another is the same command's, and is not told of.
const SAME_COMMAND: Duration = Duration::from_secs(1);
/// The pause once there have been too many; it doubles with each.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause: meanwhile Postfix has a wrong map, or none.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// So many changes are no accident.
const OFTEN: u32 = 4;
/// After so long without a change, the next is the first again.
const CALM: Duration = Duration::from_secs(600);

/// What is to be said of a change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tell {
    /// That it has happened.
    Change,
    /// That it happens again and again.
    Often,
    /// Nothing: it was said.
    Nothing,
}

/// The changes of late.
#[derive(Debug, Default)]
pub struct ForeignChanges {
    number: u32,
    last: Option<Instant>,
}

impl ForeignChanges {
    /// There was one. Returns the pause before the map is to be published again.
    pub fn note(&mut self, now: Instant) -> (Duration, Tell) {
        self.forget_if_calm(now);
        let is_another = self.last.is_none_or(|last| now - last >= SAME_COMMAND);
        self.number = self.number.saturating_add(1);
        self.last = Some(now);
        let tell = match self.number {
            OFTEN => Tell::Often,
            ..OFTEN if is_another => Tell::Change,
            _ => Tell::Nothing,
        };
        let pause = match self.number {
            1 => Duration::ZERO,
            ..OFTEN => SHORT_PAUSE,
            number => FIRST_PAUSE
                .saturating_mul(1 << (number - OFTEN).min(10))
                .min(LONGEST_PAUSE),
        };
        (pause, tell)
    }

    /// Forgets those that are long over; true if there are none of late.
    pub fn forget_if_calm(&mut self, now: Instant) -> bool {
        if self.last.is_some_and(|last| now - last >= CALM) {
            *self = ForeignChanges::default();
        }
        self.last.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_goes_on_gets_it_back_later_and_is_told_of_twice_in_all() {
        let mut now = Instant::now();
        let mut foreign_changes = ForeignChanges::default();
        let mut told = Vec::new();
        for _ in 0..40 {
            let (pause, tell) = foreign_changes.note(now);
            told.push((pause.as_millis(), tell));
            now += pause + Duration::from_millis(1);
        }
        let (change, often, nothing) = (Tell::Change, Tell::Often, Tell::Nothing);
        let first = [
            (0, change),
            (100, nothing),
            (100, nothing),
            (1000, often),
            (2000, nothing),
            (4000, nothing),
        ];
        assert_eq!(told[..6], first);
        assert!(told[6..].iter().all(|told| *told == (5000, nothing)));
    }

    #[test]
    fn what_is_no_fight_is_told_each_time_and_mended_without_a_pause_that_matters() {
        let mut now = Instant::now();
        let mut foreign_changes = ForeignChanges::default();
        for pause in [0, 100, 100] {
            let noted = foreign_changes.note(now);
            assert_eq!(noted, (Duration::from_millis(pause), Tell::Change));
            now += Duration::from_secs(2);
        }
        assert_eq!(foreign_changes.note(now).1, Tell::Often);
    }

    #[test]
    fn after_a_calm_the_next_is_the_first() {
        let start = Instant::now();
        let mut foreign_changes = ForeignChanges::default();
        for _ in 0..OFTEN {
            foreign_changes.note(start);
        }
        let nearly = start + CALM - Duration::from_secs(1);
        assert!(!foreign_changes.forget_if_calm(nearly));
        let second = FIRST_PAUSE.saturating_mul(2);
        assert_eq!(foreign_changes.note(nearly), (second, Tell::Nothing));
        assert!(!foreign_changes.forget_if_calm(start + CALM));
        assert!(foreign_changes.forget_if_calm(nearly + CALM));
        assert_eq!(
            foreign_changes.note(nearly + CALM),
            (Duration::ZERO, Tell::Change)
        );
    }
}
