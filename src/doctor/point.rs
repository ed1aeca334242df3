//! A point of an examination: what was found, and the command that mends it.

use std::io;
use std::path::Path;

use serde::Serialize;

use crate::diagnostics::printable;

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
    /// What was looked at: a name that stays the same. The table of checks gives it.
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
    /// A point that the table of checks is to name, and that nothing mends.
    pub fn new(verdict: Verdict, finding: impl Into<String>) -> Self {
        Point {
            point: "",
            verdict,
            finding: finding.into(),
            mend: None,
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

/// All is well.
pub fn ok(finding: impl Into<String>) -> Point {
    Point::new(Verdict::Ok, finding)
}

/// Worth knowing.
pub fn notice(finding: impl Into<String>) -> Point {
    Point::new(Verdict::Notice, finding)
}

/// Something is wrong, and this mends it.
pub fn wrong(finding: impl Into<String>, mend: impl Into<String>) -> Point {
    Point::new(Verdict::Wrong, finding).mend(mend)
}

/// Nobody knows.
pub fn unknown(finding: impl Into<String>) -> Point {
    Point::new(Verdict::Unknown, finding)
}

/// A file at which this process could not look: it is wrong if it is not there, and unknown
/// otherwise.
pub fn unseen(path: &Path, error: &io::Error, finding: &str, mend: &str) -> Point {
    let name = path.display();
    match error.kind() {
        io::ErrorKind::NotFound => wrong(format!("{name} {finding}"), mend),
        _ => unknown(format!("{name}: {error}")),
    }
}

/// Lines of configuration as comments of a shell: one that was none would be a command for whoever
/// pastes it.
pub fn as_comment(lines: &str) -> String {
    let comment = |line| format!("#   {}\n", printable(line));
    lines.lines().map(comment).collect()
}

/// These points; where there are none, all is well.
pub fn or_ok(points: impl IntoIterator<Item = Point>, finding: impl Into<String>) -> Vec<Point> {
    let points: Vec<Point> = points.into_iter().collect();
    if points.is_empty() {
        return vec![ok(finding)];
    }
    points
}
