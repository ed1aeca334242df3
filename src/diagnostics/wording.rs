//! How names, times and numbers read in a sentence.
//!
//! Must never let a stranger's text act on a terminal.

use std::fmt::Display;

use jiff::Timestamp;

/// A text of a stranger's, with every control character made visible.
#[must_use]
pub fn printable(text: &str) -> String {
    let mut visible = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() || c == '\u{2028}' || c == '\u{2029}' {
            visible.extend(c.escape_unicode());
        } else {
            visible.push(c);
        }
    }
    visible
}

/// A user's name for a sentence.
#[must_use]
pub fn name_of(user: Option<&str>) -> String {
    user.map_or_else(|| "an unnamed user".to_owned(), printable)
}

/// A time for a sentence: local, to the second.
#[must_use]
pub fn local_time(time: Timestamp) -> String {
    let zone = jiff::tz::TimeZone::system();
    time.to_zoned_datetime(zone)
        .strftime("%Y-%m-%d %H:%M:%S")
        .to_string()
}

/// `1 client`, `2 clients`, `0 entries`.
#[must_use]
pub fn count<N: Display + PartialEq + From<u8>>(n: N, noun: &str) -> String {
    match noun.strip_suffix('y') {
        _ if n == N::from(1) => format!("1 {noun}"),
        Some(stem) => format!("{n} {stem}ies"),
        None => format!("{n} {noun}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_texts_are_made_visible() {
        assert_eq!(
            printable("a\nb\u{1b}[31m\u{85}é"),
            "a\\u{a}b\\u{1b}[31m\\u{85}é"
        );
    }

    #[test]
    fn counts_read_as_english() {
        assert_eq!(count(0, "client"), "0 clients");
        assert_eq!(count(1, "entry"), "1 entry");
        assert_eq!(count(2, "entry"), "2 entries");
    }
}
