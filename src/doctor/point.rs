//! A point of an examination: what was found, and the command that mends it.

use serde::Serialize;

/// How a point is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// As it may be, and worth knowing.
    Notice,
    /// Not as it should be.
    Wrong,
    /// Nobody could look: not this user, or not here.
    Unknown,
}

/// One point of the examination.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Point {
    /// What was looked at: a name that stays the same.
    pub point: &'static str,
    /// How it is.
    pub verdict: Verdict,
    /// What was found; several lines where it quotes somebody.
    pub finding: String,
    /// What mends it: commands for a shell, a line each. Lines that begin with `#` say what no
    /// command can do.
    pub mend: Option<String>,
}

impl Point {
    /// All is well.
    pub fn ok(point: &'static str, finding: impl Into<String>) -> Self {
        Point {
            point,
            verdict: Verdict::Ok,
            finding: finding.into(),
            mend: None,
        }
    }

    /// Worth knowing.
    pub fn notice(point: &'static str, finding: impl Into<String>) -> Self {
        Point {
            verdict: Verdict::Notice,
            ..Point::ok(point, finding)
        }
    }

    /// Something is wrong.
    pub fn wrong(point: &'static str, finding: impl Into<String>) -> Self {
        Point {
            verdict: Verdict::Wrong,
            ..Point::ok(point, finding)
        }
    }

    /// Nobody knows.
    pub fn unknown(point: &'static str, finding: impl Into<String>) -> Self {
        Point {
            verdict: Verdict::Unknown,
            ..Point::ok(point, finding)
        }
    }

    /// With what mends it.
    #[must_use]
    pub fn mend(self, mend: impl Into<String>) -> Self {
        Point {
            mend: Some(mend.into()),
            ..self
        }
    }
}
