//! `doctor`: the whole installation, point by point.
//!
//! Shows what [`crate::doctor`] found; judges nothing itself.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;

use super::layout::{ASIDE, BAD, GOOD, ODD};
use super::{CommandResult, exit};
use crate::control;
use crate::diagnostics::{count, printable};
use crate::doctor::{self, Point, Verdict};

/// How it is shown.
#[derive(Debug, Args)]
#[command(after_help = "\
Each point has a verdict: ok; notice, for what may be intended but is worth knowing; wrong, with the \
commands that fix it; and unknown, where this user could not look (run it as root to see all). \
Commands are printed in a form that a shell accepts; lines that begin with # say what no command can \
do. Run it again after a change: it checks everything again.

It changes nothing, and does not start a stopped service. It ends by itself within a minute or two, \
even if programs or the service hang.

The objects of --json have the keys: point (a name that stays the same; several objects can have \
the same one), verdict (\"ok\", \"notice\", \"wrong\", \"unknown\"), finding, and mend (text with one \
command per line, or null).

Exit status: 0 if all points are ok or notices; 1 if any is wrong or unknown.")]
pub struct DoctorArgs {
    /// Print an array of objects, for programs
    #[arg(long)]
    json: bool,
    /// Show only what is wrong or unknown
    #[arg(long, short)]
    quiet: bool,
    /// The service's control socket
    #[arg(long, value_name = "PATH", default_value = control::SOCKET)]
    socket: PathBuf,
}

/// Examines the host and prints what was found; fails unless all is well.
pub fn run(config: Option<&Path>, args: &DoctorArgs, out: &mut impl Write) -> CommandResult {
    let points = doctor::examine(config, &args.socket);
    let is_ill = |point: &&Point| matches!(point.verdict, Verdict::Wrong | Verdict::Unknown);
    let shown = points.iter().filter(|point| !args.quiet || is_ill(point));
    if args.json {
        let json = serde_json::to_string_pretty(&shown.collect::<Vec<_>>());
        writeln!(out, "{}", json.map_err(std::io::Error::from)?)?;
    } else {
        let width = points.iter().map(|point| point.point.len()).max();
        for point in shown {
            write_point(point, width.unwrap_or(0), out)?;
        }
        if !args.quiet {
            writeln!(out, "{}", summary(&points))?;
        }
    }
    Ok(exit::answer(!points.iter().any(|point| is_ill(&point))))
}

/// `  wrong  relay-restrictions  FINDING`, and below it what mends it.
fn write_point(point: &Point, width: usize, out: &mut impl Write) -> std::io::Result<()> {
    let word = word(point.verdict);
    let style = match point.verdict {
        Verdict::Ok => GOOD,
        Verdict::Notice => ODD,
        Verdict::Wrong => BAD,
        Verdict::Unknown => ASIDE,
    };
    write!(out, "{style}{word:<7}{style:#}  {:<width$}  ", point.point)?;
    let indent = " ".repeat(7 + 2 + width + 2);
    // Some findings quote what strangers wrote.
    for (number, line) in point.finding.lines().enumerate() {
        let indent = if number == 0 { "" } else { &indent };
        writeln!(out, "{indent}{}", printable(line))?;
    }
    for line in point.mend.iter().flat_map(|mend| mend.lines()) {
        writeln!(out, "{indent}  {}", printable(line))?;
    }
    Ok(())
}

/// A verdict in a word.
pub(super) fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Ok => "ok",
        Verdict::Notice => "notice",
        Verdict::Wrong => "wrong",
        Verdict::Unknown => "unknown",
    }
}

fn summary(points: &[Point]) -> String {
    let number = |verdict| points.iter().filter(|p| p.verdict == verdict).count();
    let looked = format!("{} looked at", count(points.len(), "point"));
    let (wrong, unknown) = (number(Verdict::Wrong), number(Verdict::Unknown));
    let notices = count(number(Verdict::Notice), "notice");
    match (wrong, unknown) {
        (0, 0) => format!("all is well: {looked}, {notices}"),
        (wrong, 0) => format!("{wrong} wrong: {looked}, {notices}"),
        (wrong, unknown) => format!("{wrong} wrong, {unknown} unknown: {looked}, {notices}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(verdict: Verdict, finding: &str, mend: Option<&str>) -> Point {
        Point {
            point: "a-point",
            verdict,
            finding: finding.to_owned(),
            mend: mend.map(str::to_owned),
        }
    }

    fn written(point: &Point) -> String {
        let mut out = anstream::StripStream::new(Vec::new());
        write_point(point, 9, &mut out).unwrap();
        String::from_utf8(out.into_inner()).unwrap()
    }

    #[test]
    fn a_point_is_aligned_and_nothing_of_a_strangers_reaches_the_terminal() {
        let wrong = point(Verdict::Wrong, "one\ntwo\x1b[2J", Some("# why\nmend it"));
        assert_eq!(
            written(&wrong),
            "wrong    a-point    one\n                    two\\u{1b}[2J\n\
             \x20                     # why\n                      mend it\n"
        );
        assert_eq!(
            written(&point(Verdict::Ok, "well", None)),
            "ok       a-point    well\n"
        );
    }

    #[test]
    fn the_summary_says_whether_all_is_well() {
        let points = [Verdict::Ok, Verdict::Notice].map(|v| point(v, "", None));
        assert_eq!(
            summary(&points),
            "all is well: 2 points looked at, 1 notice"
        );
        let points = [Verdict::Wrong, Verdict::Unknown].map(|v| point(v, "", None));
        assert_eq!(
            summary(&points),
            "1 wrong, 1 unknown: 2 points looked at, 0 notices"
        );
    }
}
