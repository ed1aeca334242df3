//! A line of a file that somebody has written, with a mark under what is wrong in it.
//!
//! Must never print control characters to a terminal as they are.

use std::fmt;
use std::ops::Range;

/// How many characters of a line are shown.
const SHOWN: usize = 100;

/// A place in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1; at the end of a line, one more than it has.
    pub column: usize,
    /// How many characters of the line are meant, at least 1.
    pub width: usize,
    /// The line, without its end.
    pub text: String,
}

impl Place {
    /// The place of a span of bytes. Spans outside the text are moved into it.
    #[must_use]
    pub fn of(text: &str, span: &Range<usize>) -> Self {
        let mut start = span.start.min(text.len());
        if start == text.len() && text.ends_with('\n') {
            // The end of the file is shown at the end of its last line, not on a line after it.
            start -= 1;
        }
        while !text.is_char_boundary(start) {
            start -= 1;
        }
        let line_start = text[..start].rfind('\n').map_or(0, |newline| newline + 1);
        let line = text[line_start..].split('\n').next().unwrap_or_default();
        let line = line.strip_suffix('\r').unwrap_or(line);
        let line_end = line_start + line.len();
        start = start.min(line_end);
        let mut end = span.end.clamp(start, line_end);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        Place {
            line: text[..line_start].matches('\n').count() + 1,
            column: text[line_start..start].chars().count() + 1,
            width: text[start..end].chars().count().max(1),
            text: line.to_owned(),
        }
    }
}

impl fmt::Display for Place {
    /// ` LINE | TEXT`, and a mark under what is meant on the next line; no newline at the end.
    // By hand: `annotate-snippets` and `ariadne` put FILE:LINE:COLUMN behind the message, not before it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = self.line.to_string();
        let gutter = number.len();
        let length = self.text.chars().count();
        let before = self.column.saturating_sub(1);
        // Of a long line, the part around the culprit.
        let start = if length > SHOWN {
            before.saturating_sub(SHOWN / 2).min(length - SHOWN)
        } else {
            0
        };
        let cut = if start > 0 { "…" } else { "" };
        let tail = if start + SHOWN < length { "…" } else { "" };
        let shown: String = self
            .text
            .chars()
            .skip(start)
            .take(SHOWN)
            .map(plain)
            .collect();
        let indent = before - start + cut.chars().count();
        let room = (start + SHOWN).min(length).saturating_sub(before);
        let marks = "^".repeat(self.width.min(room).max(1));
        write!(f, " {number} | {cut}{shown}{tail}")?;
        write!(f, "\n {:gutter$} | {:indent$}{marks}", "", "")
    }
}

/// A character that moves no cursor and is one column wide, so that the mark stands right.
fn plain(character: char) -> char {
    match character {
        '\t' => ' ',
        c if is_harmful(c) => char::REPLACEMENT_CHARACTER,
        c => c,
    }
}

/// Whether a character would act on a terminal: controls, and what reorders text.
fn is_harmful(character: char) -> bool {
    character.is_control()
        || matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Foreign text within a message: control characters escaped.
#[must_use]
pub fn harmless(text: &str) -> String {
    let mut harmless = String::with_capacity(text.len());
    for character in text.chars() {
        if is_harmful(character) {
            harmless.extend(character.escape_default());
        } else {
            harmless.push(character);
        }
    }
    harmless
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn places_lie_in_the_lines_of_the_file() {
        for (text, span, line, column, width, shown) in [
            ("", 0..0, 1, 1, 1, ""),
            ("ab", 2..2, 1, 3, 1, "ab"),
            ("ab\n", 3..3, 1, 3, 1, "ab"),
            ("ab\r\n", 3..3, 1, 3, 1, "ab"),
            ("ab\r\ncd", 4..6, 2, 1, 2, "cd"),
            ("ab\ncd\n", 1..5, 1, 2, 1, "ab"),
            ("äb\ncd", 2..3, 1, 2, 1, "äb"),
            ("äb", 1..1, 1, 1, 1, "äb"),
            ("ab", 7..9, 1, 3, 1, "ab"),
        ] {
            let expected = Place {
                line,
                column,
                width,
                text: shown.to_owned(),
            };
            assert_eq!(Place::of(text, &span), expected, "{text:?} {span:?}");
        }
    }

    proptest! {
        #[test]
        fn no_span_is_outside(text in "[aä\r\n]{0,12}", start in 0..30_usize, end in 0..30_usize) {
            let place = Place::of(&text, &(start..end));
            let lines: Vec<&str> = text.lines().collect();
            prop_assert!(place.line <= lines.len().max(1));
            prop_assert!(place.column <= place.text.chars().count() + 1);
            prop_assert!(place.width <= place.text.chars().count().max(1) + 1);
        }
    }
}
