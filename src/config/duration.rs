//! Durations as people write them: `30min`, `1h 30min`, `24h`.
//!
//! Must never guess a unit: a bare number is refused.

use std::fmt;
use std::time::Duration;

use jiff::SpanRelativeTo;
use jiff::fmt::friendly::SpanParser;

/// A text is not a duration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotADuration {
    /// A number and nothing else.
    #[error("it has no unit")]
    NoUnit,
    /// Months and years have no fixed length.
    #[error("months and years differ in length: use days or hours")]
    NotFixed,
    /// Less than nothing.
    #[error("it is negative")]
    Negative,
    /// Anything else.
    #[error("it is not a number with a unit")]
    Syntax,
}

/// Reads a duration in jiff's friendly format: numbers with units from `ns` to weeks, a day being
/// 24 hours. `m` is minutes, as in systemd.time(7).
///
/// # Errors
/// [`NotADuration`] says why.
pub fn parse(text: &str) -> Result<Duration, NotADuration> {
    let text = text.trim();
    if !text.is_empty()
        && text
            .bytes()
            .all(|b| b.is_ascii_digit() || b == b'.' || b == b'_')
    {
        return Err(NotADuration::NoUnit);
    }
    let span = SpanParser::new()
        .parse_span(text)
        .map_err(|_| NotADuration::Syntax)?;
    if span.is_negative() {
        return Err(NotADuration::Negative);
    }
    if span.get_months() != 0 || span.get_years() != 0 {
        return Err(NotADuration::NotFixed);
    }
    span.to_duration(SpanRelativeTo::days_are_24_hours())
        .ok()
        .and_then(|duration| Duration::try_from(duration).ok())
        .ok_or(NotADuration::Syntax)
}

/// Prints a duration as [`parse`] reads it, exactly, in the largest units that fit: `30min`,
/// `24h`, `1h 30min`, `1s 500ms`, `2d`. Whole days are days from two days on.
// By hand: jiff prints minutes as `m`, `mins` or `minutes`, never as `min`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Humane(pub Duration);

impl fmt::Display for Humane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const DAY: u64 = 24 * 60 * 60;
        let seconds = self.0.as_secs();
        let nanoseconds = self.0.subsec_nanos();
        let text = if nanoseconds == 0 && seconds >= 2 * DAY && seconds.is_multiple_of(DAY) {
            format!("{}d", seconds / DAY)
        } else {
            [
                (seconds / 3600, "h"),
                (seconds / 60 % 60, "min"),
                (seconds % 60, "s"),
                (u64::from(nanoseconds / 1_000_000), "ms"),
                (u64::from(nanoseconds / 1_000 % 1_000), "us"),
                (u64::from(nanoseconds % 1_000), "ns"),
            ]
            .into_iter()
            .filter(|(number, _)| *number > 0)
            .map(|(number, unit)| format!("{number}{unit}"))
            .collect::<Vec<_>>()
            .join(" ")
        };
        f.pad(if text.is_empty() { "0s" } else { &text })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_people_write_is_understood() {
        for (text, seconds) in [
            ("30min", 1800),
            ("30m", 1800),
            ("30 minutes", 1800),
            ("1h 30min", 5400),
            ("1h30m", 5400),
            ("1.5h", 5400),
            ("90s", 90),
            ("90 seconds", 90),
            ("24h", 86400),
            ("1d", 86400),
            ("1w", 604_800),
            ("0s", 0),
            (" 5s ", 5),
        ] {
            assert_eq!(parse(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        assert_eq!(parse("250ms"), Ok(Duration::from_millis(250)));
    }

    #[test]
    fn what_is_no_duration_is_refused_with_its_reason() {
        for (text, reason) in [
            ("1800", NotADuration::NoUnit),
            ("1.5", NotADuration::NoUnit),
            ("1 month", NotADuration::NotFixed),
            ("1y", NotADuration::NotFixed),
            ("-30min", NotADuration::Negative),
            ("30min ago", NotADuration::Negative),
            ("", NotADuration::Syntax),
            ("min", NotADuration::Syntax),
            ("30 parsecs", NotADuration::Syntax),
            ("30min\0", NotADuration::Syntax),
            ("PT30M", NotADuration::Syntax),
        ] {
            assert_eq!(parse(text), Err(reason), "{text:?}");
        }
    }

    #[test]
    fn it_is_printed_as_people_write_it() {
        for (seconds, text) in [
            (0, "0s"),
            (1, "1s"),
            (90, "1min 30s"),
            (1800, "30min"),
            (5400, "1h 30min"),
            (86400, "24h"),
            (90000, "25h"),
            (172_800, "2d"),
            (30 * 86400, "30d"),
        ] {
            assert_eq!(Humane(Duration::from_secs(seconds)).to_string(), text);
        }
        assert_eq!(Humane(Duration::from_millis(1500)).to_string(), "1s 500ms");
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_again(seconds in 0..400_000_000_u64, nanos in 0..1_000_000_000_u32) {
            let duration = Duration::new(seconds, nanos);
            prop_assert_eq!(parse(&Humane(duration).to_string()), Ok(duration));
        }

        #[test]
        fn no_text_makes_it_panic(text: String) {
            let _ = parse(&text);
        }
    }
}
