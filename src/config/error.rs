//! What is wrong with a configuration, told so that it can be put right at once: file, line,
//! column, key, what was expected, and the line itself with a mark under the culprit.
//!
//! Must never print a configuration's control characters to a terminal as they are.

use std::fmt;
use std::path::{Path, PathBuf};

/// How many characters of a source line are shown.
const EXCERPT: usize = 100;

/// A place in a configuration file.
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

/// One thing that is wrong (in a [`ConfigError`]) or odd (in [`Loaded`](super::Loaded)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file or directory at fault, if it is one.
    pub file: Option<PathBuf>,
    /// Where in the file.
    pub place: Option<Box<Place>>,
    /// The key, as a dotted path: `map.debounce`.
    pub key: Option<String>,
    /// What is wrong, and what was expected.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Problem {
    /// Something that is in no one place.
    pub(super) fn new(message: String) -> Self {
        Problem {
            file: None,
            place: None,
            key: None,
            message,
            hint: None,
        }
    }

    /// Something about a whole file or directory.
    pub(super) fn of_file(file: &Path, message: String) -> Self {
        Problem {
            file: Some(file.to_owned()),
            ..Problem::new(message)
        }
    }
}

impl fmt::Display for Problem {
    /// `FILE:LINE:COLUMN: KEY: MESSAGE`, the source line with a mark under it, and the hint; no
    /// newline at the end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(file) = &self.file {
            write!(f, "{}:", harmless(&file.to_string_lossy()))?;
            if let Some(place) = &self.place {
                write!(f, "{}:{}:", place.line, place.column)?;
            }
            f.write_str(" ")?;
        }
        if let Some(key) = &self.key {
            write!(f, "{key}: ")?;
        }
        f.write_str(&self.message)?;
        let gutter = match &self.place {
            Some(place) => {
                write_excerpt(f, place)?;
                place.line.to_string().len()
            }
            None => 1,
        };
        if let Some(hint) = &self.hint {
            write!(f, "\n {:gutter$} = {hint}", "")?;
        }
        Ok(())
    }
}

/// The source line and, under it, the mark.
// By hand: `annotate-snippets` and `ariadne` put FILE:LINE:COLUMN behind the message, not before it.
fn write_excerpt(f: &mut fmt::Formatter<'_>, place: &Place) -> fmt::Result {
    let number = place.line.to_string();
    let gutter = number.len();
    let length = place.text.chars().count();
    let before = place.column.saturating_sub(1);
    // Of a long line, the part around the culprit.
    let start = if length > EXCERPT {
        before.saturating_sub(EXCERPT / 2).min(length - EXCERPT)
    } else {
        0
    };
    let cut = if start > 0 { "…" } else { "" };
    let tail = if start + EXCERPT < length { "…" } else { "" };
    let shown: String = place
        .text
        .chars()
        .skip(start)
        .take(EXCERPT)
        .map(plain)
        .collect();
    let indent = before - start + cut.chars().count();
    let room = (start + EXCERPT).min(length).saturating_sub(before);
    let marks = "^".repeat(place.width.min(room).max(1));
    write!(f, "\n {number} | {cut}{shown}{tail}")?;
    write!(f, "\n {:gutter$} | {:indent$}{marks}", "", "")
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
pub(super) fn harmless(text: &str) -> String {
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

/// A configuration that can't be taken: everything that was found wrong with it, at least one
/// thing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct ConfigError {
    problems: Vec<Problem>,
}

impl ConfigError {
    /// What is wrong, in the order of the files and lines; never empty.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// An error if there is a problem.
    pub(super) fn unless_empty(problems: Vec<Problem>) -> Result<(), Self> {
        if problems.is_empty() {
            Ok(())
        } else {
            Err(Self { problems })
        }
    }
}

impl From<Problem> for ConfigError {
    fn from(problem: Problem) -> Self {
        Self {
            problems: vec![problem],
        }
    }
}

impl fmt::Display for ConfigError {
    /// The problems, an empty line between them; no newline at the end.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("\n\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}
