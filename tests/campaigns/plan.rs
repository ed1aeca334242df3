//! How long a campaign lasts, and the numbers that it goes by: the same seed gives the same choices.

use std::time::{Duration, Instant};

/// Plays the long form: a number of rounds.
const ROUNDS: &str = "POP_BEFORE_SMTP_CAMPAIGN_ROUNDS";
/// Or for so many minutes.
const MINUTES: &str = "POP_BEFORE_SMTP_CAMPAIGN_MINUTES";
/// Plays the same once more.
const SEED: &str = "POP_BEFORE_SMTP_CAMPAIGN_SEED";

/// A campaign's numbers, and its end.
pub struct Plan {
    pub random: fastrand::Rng,
    seed: u64,
    rounds: Option<usize>,
    played: usize,
    is_long: bool,
    begin: Instant,
    lasts: Duration,
}

impl Plan {
    /// For so long, unless a number of rounds or of minutes is given.
    pub fn new(short: Duration) -> Self {
        let number = |name| std::env::var(name).ok().map(|text| text.parse().unwrap());
        let seed = number(SEED).unwrap_or_else(|| fastrand::u64(..1_000_000));
        let rounds = number(ROUNDS).map(|rounds| usize::try_from(rounds).unwrap());
        let minutes = number(MINUTES).map(|minutes| Duration::from_secs(60 * minutes));
        eprintln!("{SEED}={seed}");
        Plan {
            random: fastrand::Rng::with_seed(seed),
            seed,
            rounds,
            played: 0,
            is_long: rounds.is_some() || minutes.is_some(),
            begin: Instant::now(),
            lasts: minutes.unwrap_or(short),
        }
    }

    /// Whether another round is to be played.
    pub fn goes_on(&mut self) -> bool {
        let goes_on = self.share() < 1.0;
        self.played += usize::from(goes_on);
        goes_on
    }

    /// How much of it is over, from 0 to 1.
    pub fn share(&self) -> f64 {
        match self.rounds {
            Some(rounds) => self.played as f64 / rounds as f64,
            None => self.begin.elapsed().as_secs_f64() / self.lasts.as_secs_f64(),
        }
    }

    /// Whether it is the long form.
    pub fn is_long(&self) -> bool {
        self.is_long
    }

    /// What has to be made ready is ready: the time counts from now.
    pub fn begins(&mut self) {
        self.begin = Instant::now();
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
