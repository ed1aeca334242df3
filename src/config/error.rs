//! What is wrong with a configuration, told so that it can be put right at once: file, line,
//! column, key, what was expected, and the line itself with a mark under the culprit.
//!
//! Must never print a configuration's control characters to a terminal as they are.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::excerpt::{Place, harmless};

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
                write!(f, "\n{place}")?;
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
