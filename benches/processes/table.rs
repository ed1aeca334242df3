//! What was measured, as a table: medians, ratios, and whether the goals hold.

use std::time::Duration;

/// A line of the table.
#[derive(Debug, Clone, Default)]
pub struct Row {
    /// What was done.
    pub what: String,
    /// What it took.
    pub measured: String,
    /// What something else took in the same run, to measure it by.
    pub peer: String,
    /// The one by the other.
    pub ratio: String,
    /// What it should be.
    pub goal: String,
    /// Whether it is; unknown where there is no goal.
    pub holds: Option<bool>,
}

impl Row {
    /// A row whose goal is a ratio: at most `limit` times `peer`.
    pub fn at_most(
        what: impl Into<String>,
        measured: Duration,
        peer: (&str, Duration),
        limit: f64,
    ) -> Row {
        let ratio = measured.as_secs_f64() / peer.1.as_secs_f64();
        Row {
            what: what.into(),
            measured: seconds(measured),
            peer: format!("{}: {}", peer.0, seconds(peer.1)),
            ratio: format!("{ratio:.2}"),
            goal: format!("at most {limit} times"),
            holds: Some(ratio <= limit),
        }
    }

    fn cells(&self) -> [&str; 6] {
        let holds = match self.holds {
            Some(true) => "yes",
            Some(false) => "**no**",
            None => "",
        };
        [
            &self.what,
            &self.measured,
            &self.peer,
            &self.ratio,
            &self.goal,
            holds,
        ]
    }
}

/// Prints the rows as a Markdown table.
pub fn print(rows: &[Row]) {
    println!("| what | measured | peer in the same run | ratio | goal | holds |");
    println!("|---|---|---|---|---|---|");
    for row in rows {
        println!("| {} |", row.cells().join(" | "));
    }
}

/// A duration in the unit that suits it, with three digits or so.
pub fn seconds(duration: Duration) -> String {
    let seconds = duration.as_secs_f64();
    if seconds >= 10.0 {
        format!("{seconds:.1} s")
    } else if seconds >= 0.1 {
        format!("{seconds:.2} s")
    } else if seconds >= 1e-4 {
        format!("{:.2} ms", seconds * 1e3)
    } else {
        format!("{:.1} µs", seconds * 1e6)
    }
}

/// A number with its thousands apart.
pub fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let mut apart = String::new();
    for (n, digit) in digits.chars().enumerate() {
        if n > 0 && (digits.len() - n).is_multiple_of(3) {
            apart.push(',');
        }
        apart.push(digit);
    }
    apart
}

/// What the middle one of several took.
pub fn median<T: Copy + PartialOrd>(values: &[T]) -> T {
    share(values, 0.5)
}

/// What this share of several took at most: 0.5 is the median, 0.99 all but one in a hundred.
pub fn share<T: Copy + PartialOrd>(values: &[T], share: f64) -> T {
    let mut sorted = values.to_vec();
    sorted.sort_by(|a, b| a.partial_cmp(b).expect("no NaN is measured"));
    let place = (sorted.len() as f64 * share).ceil() as usize;
    sorted[place.clamp(1, sorted.len()) - 1]
}

/// Measures two things in turn, after each of them was done once for nothing, and gives the medians.
pub fn in_turn(
    runs: usize,
    mut one: impl FnMut() -> Duration,
    mut other: impl FnMut() -> Duration,
) -> (Duration, Duration) {
    one();
    other();
    let measured: Vec<(Duration, Duration)> = (0..runs).map(|_| (one(), other())).collect();
    let (one, other): (Vec<_>, Vec<_>) = measured.into_iter().unzip();
    (median(&one), median(&other))
}
