//! Times as people write them on the command line.

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{Span, SpanRelativeTo, Timestamp, ZonedDateTime};

/// Reads a time: RFC 3339, `2026-11-24 10:30[:00]`, `2026-11-24`, `10:30` (today), `@1795516451`,
/// `now`, `today`, `yesterday`, or a duration before now: `1h`, `-1h`, `30min ago`.
///
/// # Errors
/// What may be written instead.
pub fn parse(text: &str) -> Result<Timestamp, String> {
    parse_at(text, &ZonedDateTime::now())
}

fn parse_at(text: &str, now: &ZonedDateTime) -> Result<Timestamp, String> {
    let text = text.trim();
    read(text, now).ok_or_else(|| {
        format!(
            "'{text}' is no time; write '2026-11-24 10:30', '10:30', 'today', 'yesterday', '1h' \
             (ago), '@1795516451' or RFC 3339"
        )
    })
}

fn read(text: &str, now: &ZonedDateTime) -> Option<Timestamp> {
    let zone = now.time_zone().clone();
    let local = |date: DateTime, zone: TimeZone| {
        date.to_zoned_datetime(zone)
            .ok()
            .map(|zoned| zoned.timestamp())
    };
    let midnight = |date: Date| local(date.to_datetime(Time::midnight()), zone.clone());
    match text {
        "now" => return Some(now.timestamp()),
        "today" => return midnight(now.date()),
        "yesterday" => return midnight(now.date().yesterday().ok()?),
        _ => {}
    }
    if let Some(seconds) = text.strip_prefix('@') {
        return Timestamp::from_second(seconds.parse().ok()?).ok();
    }
    if let Ok(time) = text.parse::<Timestamp>() {
        return Some(time);
    }
    if text.contains('-') && !text.starts_with('-') {
        if let Ok(date) = text.parse::<DateTime>() {
            return local(date, zone);
        }
    } else if text.contains(':') {
        return local(now.date().to_datetime(text.parse().ok()?), zone);
    }
    let ago = text.trim_end_matches("ago").trim_start_matches('-').trim();
    let span: Span = ago.parse().ok()?;
    let duration = span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?;
    now.timestamp().checked_sub(duration.abs()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_as_people_write_them() {
        let now: ZonedDateTime = "2026-11-24T12:00:00+01:00[Europe/Berlin]".parse().unwrap();
        for (text, expected) in [
            ("now", "2026-11-24T11:00:00Z"),
            ("today", "2026-11-23T23:00:00Z"),
            ("yesterday", "2026-11-22T23:00:00Z"),
            ("2026-11-24", "2026-11-23T23:00:00Z"),
            ("2026-11-24 10:30", "2026-11-24T09:30:00Z"),
            ("2026-11-24 10:30:15", "2026-11-24T09:30:15Z"),
            ("2026-11-24T10:30:15Z", "2026-11-24T10:30:15Z"),
            ("10:30", "2026-11-24T09:30:00Z"),
            ("1h", "2026-11-24T10:00:00Z"),
            ("-1h", "2026-11-24T10:00:00Z"),
            ("30 minutes ago", "2026-11-24T10:30:00Z"),
            ("1 day ago", "2026-11-23T11:00:00Z"),
            ("@1795516451", "2026-11-24T10:34:11Z"),
        ] {
            assert_eq!(
                parse_at(text, &now).unwrap().to_string(),
                expected,
                "{text}"
            );
        }
        for text in ["", "soon", "2026-13-01", "25:00", "@x", "-", "ago"] {
            assert!(parse_at(text, &now).is_err(), "{text}");
        }
    }
}
