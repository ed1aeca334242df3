//! Those who wait until Postfix knows what they have done.
//!
//! Nobody waits without end: each is told that it is published, or why not.

use std::time::{Duration, Instant};

use crate::control::Fault;

/// How long a publication may take until whoever waits for it is told that it has not come: half
/// of what our commands wait.
const PATIENCE: Duration = Duration::from_secs(30);

/// Answers: with success, or why not.
pub type Confirm = Box<dyn FnOnce(Result<(), Fault>)>;

struct Waiter {
    /// The whitelist's generation that the map must have.
    generation: u64,
    until: Instant,
    confirm: Confirm,
}

/// Those who wait.
#[derive(Default)]
pub struct Waiters(Vec<Waiter>);

impl Waiters {
    /// Another one, who waits for a map of `generation`.
    pub fn add(&mut self, generation: u64, confirm: Confirm) {
        let until = Instant::now() + PATIENCE;
        self.0.push(Waiter {
            generation,
            until,
            confirm,
        });
    }

    /// Tells those whose generation has been published.
    pub fn published(&mut self, is_published: impl Fn(u64) -> bool) {
        for done in self
            .0
            .extract_if(.., |waiter| is_published(waiter.generation))
        {
            (done.confirm)(Ok(()));
        }
    }

    /// Tells all that the publication has failed.
    pub fn failed(&mut self, error: &dyn std::fmt::Display) {
        for waiter in self.0.drain(..) {
            (waiter.confirm)(Err(Fault::NotPublished {
                reason: error.to_string(),
            }));
        }
    }

    /// Tells those who have waited for too long; says when the next will have.
    pub fn give_up_if_due(&mut self) -> Option<Instant> {
        let now = Instant::now();
        for late in self.0.extract_if(.., |waiter| waiter.until <= now) {
            let seconds = PATIENCE.as_secs();
            (late.confirm)(Err(Fault::NotPublished {
                reason: format!(
                    "the access map was not published within {seconds} s (is the journal still \
                     being read? see 'pop-before-smtp status')"
                ),
            }));
        }
        self.0.iter().map(|waiter| waiter.until).min()
    }
}
