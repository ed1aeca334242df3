//! When to publish: at once, or together with what comes within the debounce, or again after a
//! failure.
//!
//! Pure: it is told the time and what happened, and says what is due.

use std::time::{Duration, Instant};

/// The pause after the first failure; it doubles with each.
const FIRST_RETRY: Duration = Duration::from_secs(1);
/// The longest pause between two tries.
const LONGEST_RETRY: Duration = Duration::from_secs(15);

/// A publication that takes longer is told of: one of a million clients takes about a second.
pub const LONG: Duration = Duration::from_secs(10);

/// What is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// Nothing.
    Nothing,
    /// To publish now.
    Now,
    /// To publish then.
    At(Instant),
}

/// The schedule of publications. A generation stands for a set of clients.
#[derive(Debug)]
pub struct Schedule {
    debounce: Duration,
    published: Option<u64>,
    /// Which generation, and since when.
    under_way: Option<(u64, Instant)>,
    /// What is under way is another map's, and will count for nothing.
    outdated: bool,
    last_start: Option<Instant>,
    failures: u32,
    retry_at: Option<Instant>,
}

impl Schedule {
    /// Nothing is known to be published.
    #[must_use]
    pub fn new(debounce: Duration) -> Self {
        Schedule {
            debounce,
            published: None,
            under_way: None,
            outdated: false,
            last_start: None,
            failures: 0,
            retry_at: None,
        }
    }

    /// Another debounce; and, if `again`, what is published counts no more, nor what is under way.
    pub fn change(&mut self, debounce: Duration, again: bool) {
        self.debounce = debounce;
        if again {
            self.published = None;
            self.retry_at = None;
            self.outdated = self.under_way.is_some();
        }
    }

    /// What was published is no longer there; it is to be published again, at `when` at the soonest.
    pub fn lost(&mut self, when: Instant) {
        self.published = None;
        self.last_start = None;
        self.retry_at = self.retry_at.max(Some(when));
    }

    /// The publication under way was given up before it came to anything; the next needs no
    /// debounce for its sake.
    pub fn given_up(&mut self) {
        self.under_way = None;
        self.outdated = false;
        self.last_start = None;
    }

    /// Somebody waits for the next publication: it needs no debounce, and no pause after a failure.
    pub fn hurry(&mut self) {
        self.last_start = None;
        self.retry_at = None;
    }

    /// What is due, if `generation` is to be published.
    #[must_use]
    pub fn due(&self, generation: u64, now: Instant) -> Due {
        if self.under_way.is_some() || self.published == Some(generation) {
            return Due::Nothing;
        }
        let debounced = self.last_start.map(|start| start + self.debounce);
        match debounced.max(self.retry_at) {
            Some(time) if time > now => Due::At(time),
            _ => Due::Now,
        }
    }

    /// A publication of `generation` has begun.
    pub fn started(&mut self, generation: u64, now: Instant) {
        self.under_way = Some((generation, now));
        self.last_start = Some(now);
    }

    /// The publication under way has succeeded.
    pub fn succeeded(&mut self) {
        let generation = self.under_way.take().map(|(generation, _)| generation);
        if !std::mem::take(&mut self.outdated) {
            self.published = generation;
        }
        self.failures = 0;
        self.retry_at = None;
    }

    /// The publication under way has failed. Returns the pause until the next try.
    pub fn failed(&mut self, now: Instant) -> Duration {
        self.under_way = None;
        self.outdated = false;
        let pause = FIRST_RETRY
            .saturating_mul(1 << self.failures.min(10))
            .min(LONGEST_RETRY);
        self.failures += 1;
        self.retry_at = Some(now + pause);
        pause
    }

    /// What is published, as far as we know.
    #[must_use]
    pub fn published(&self) -> Option<u64> {
        self.published
    }

    /// Whether a publication is under way.
    #[must_use]
    pub fn is_under_way(&self) -> bool {
        self.under_way.is_some()
    }

    /// From when on the publication under way takes too long.
    #[must_use]
    pub fn late_from(&self) -> Option<Instant> {
        self.under_way.map(|(_, start)| start + LONG)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEBOUNCE: Duration = Duration::from_secs(1);

    #[test]
    fn the_first_change_goes_out_at_once_and_the_next_ones_together() {
        let start = Instant::now();
        let mut schedule = Schedule::new(DEBOUNCE);
        assert_eq!(schedule.due(1, start), Due::Now);
        schedule.started(1, start);
        assert_eq!(schedule.due(2, start), Due::Nothing);
        schedule.succeeded();
        assert_eq!(schedule.due(1, start), Due::Nothing);
        assert_eq!(schedule.due(2, start), Due::At(start + DEBOUNCE));
        assert_eq!(schedule.due(3, start + DEBOUNCE), Due::Now);
        schedule.started(3, start + DEBOUNCE);
        schedule.succeeded();
        let later = start + 10 * DEBOUNCE;
        assert_eq!(schedule.due(3, later), Due::Nothing);
        assert_eq!(schedule.due(4, later), Due::Now);
    }

    #[test]
    fn failures_are_tried_again_after_growing_pauses() {
        let mut now = Instant::now();
        let mut schedule = Schedule::new(DEBOUNCE);
        let mut pauses = Vec::new();
        for _ in 0..7 {
            assert_eq!(schedule.due(1, now), Due::Now);
            schedule.started(1, now);
            let pause = schedule.failed(now);
            assert_eq!(schedule.due(1, now), Due::At(now + pause.max(DEBOUNCE)));
            pauses.push(pause.as_secs());
            now += pause.max(DEBOUNCE);
        }
        assert_eq!(pauses, [1, 2, 4, 8, 15, 15, 15]);
        schedule.started(1, now);
        schedule.succeeded();
        schedule.started(2, now);
        assert_eq!(schedule.failed(now), FIRST_RETRY);
    }

    #[test]
    fn nothing_holds_up_who_waits() {
        let now = Instant::now();
        let mut schedule = Schedule::new(DEBOUNCE);
        schedule.started(1, now);
        schedule.succeeded();
        schedule.hurry();
        assert_eq!(schedule.due(1, now), Due::Nothing);
        assert_eq!(schedule.due(2, now), Due::Now);
        schedule.started(2, now);
        schedule.hurry();
        assert_eq!(schedule.due(3, now), Due::Nothing);
        schedule.failed(now);
        schedule.hurry();
        assert_eq!(schedule.due(3, now), Due::Now);
    }

    #[test]
    fn another_map_is_published_even_if_nobody_came_or_went() {
        let now = Instant::now();
        let mut schedule = Schedule::new(Duration::ZERO);
        schedule.started(1, now);
        schedule.succeeded();
        assert_eq!(schedule.published(), Some(1));
        schedule.change(Duration::ZERO, true);
        assert_eq!(schedule.due(1, now), Due::Now);
    }

    #[test]
    fn a_publication_of_the_former_map_says_nothing_of_another() {
        let now = Instant::now();
        let mut schedule = Schedule::new(Duration::ZERO);
        schedule.started(1, now);
        schedule.change(Duration::ZERO, true);
        assert_eq!(schedule.due(1, now), Due::Nothing);
        schedule.succeeded();
        assert_eq!(schedule.published(), None);
        assert_eq!(schedule.due(1, now), Due::Now);
        schedule.started(1, now);
        schedule.succeeded();
        assert_eq!(schedule.published(), Some(1));
        // The same map with another debounce.
        schedule.started(2, now);
        schedule.change(DEBOUNCE, false);
        schedule.succeeded();
        assert_eq!(schedule.published(), Some(2));
    }

    #[test]
    fn what_was_lost_is_published_again_without_a_debounce() {
        let now = Instant::now();
        let mut schedule = Schedule::new(DEBOUNCE);
        schedule.started(1, now);
        schedule.succeeded();
        schedule.lost(now);
        assert_eq!(schedule.published(), None);
        assert_eq!(schedule.due(1, now), Due::Now);
        schedule.started(1, now);
        schedule.succeeded();
        let pause = Duration::from_millis(10);
        schedule.lost(now + pause);
        assert_eq!(schedule.due(1, now), Due::At(now + pause));
        assert_eq!(schedule.due(2, now + pause), Due::Now);
        // A failure's pause holds.
        schedule.started(2, now);
        schedule.failed(now);
        schedule.lost(now);
        assert_eq!(schedule.due(2, now), Due::At(now + FIRST_RETRY));
    }

    #[test]
    fn one_under_way_is_late_after_a_while_whoever_is_in_a_hurry() {
        let now = Instant::now();
        let mut schedule = Schedule::new(DEBOUNCE);
        assert_eq!(schedule.late_from(), None);
        schedule.started(1, now);
        schedule.hurry();
        schedule.change(DEBOUNCE, true);
        assert_eq!(schedule.late_from(), Some(now + LONG));
        schedule.succeeded();
        assert_eq!(schedule.late_from(), None);
    }

    #[test]
    fn one_that_was_given_up_begins_anew_at_once() {
        let now = Instant::now();
        let mut schedule = Schedule::new(DEBOUNCE);
        schedule.started(1, now);
        schedule.given_up();
        assert_eq!(schedule.published(), None);
        assert_eq!(schedule.due(1, now), Due::Now);
    }
}
