//! How long a campaign lasts, and the numbers that it goes by: the same seed gives the same choices.

use std::time::{Duration, Instant};

/// Plays the long form: a number of rounds.
const ROUNDS: &str = "POP_BEFORE_SMTP_CAMPAIGN_ROUNDS";
/// Plays the same once more.
const SEED: &str = "POP_BEFORE_SMTP_CAMPAIGN_SEED";

/// A campaign's numbers, and its end.
pub struct Plan {
    pub random: fastrand::Rng,
    seed: u64,
    rounds: Option<usize>,
    played: usize,
    until: Instant,
}

impl Plan {
    /// For so long, unless a number of rounds is given.
    pub fn new(short: Duration) -> Self {
        let number = |name| std::env::var(name).ok().map(|text| text.parse().unwrap());
        let seed = number(SEED).unwrap_or_else(|| fastrand::u64(..1_000_000));
        let rounds = number(ROUNDS).map(|rounds| usize::try_from(rounds).unwrap());
        eprintln!("{SEED}={seed}");
        Plan {
            random: fastrand::Rng::with_seed(seed),
            seed,
            rounds,
            played: 0,
            until: Instant::now() + short,
        }
    }

    /// Whether another round is to be played.
    pub fn goes_on(&mut self) -> bool {
        let goes_on = match self.rounds {
            Some(rounds) => self.played < rounds,
            None => Instant::now() < self.until,
        };
        self.played += usize::from(goes_on);
        goes_on
    }

    /// One of these.
    pub fn one_of<T: Clone>(&mut self, all: &[T]) -> T {
        all[self.random.usize(..all.len())].clone()
    }

    /// What a failed campaign says of itself.
    pub fn describe(&self) -> String {
        format!("round {}, {SEED}={}", self.played, self.seed)
    }
}
