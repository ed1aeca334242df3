//! Servers that do not tell the ends of their sessions: which lines of theirs come closest to one.
//!
//! The service finds out which they are. Must never guess that itself.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::Installation;
use super::installation::read_back;
use super::point::{Point, notice, or_ok};
use crate::daemon::Plan;
use crate::diagnostics::{self, printable};
use crate::journal::{JournalError, Reader, Source};
use crate::servers::{Explainer, Outcome, Recogniser};

/// How many entries of a server are looked at, from the last one back.
const ENTRIES: usize = 20_000;
/// How many of them, at most, that no pattern takes are looked at closely.
const EXPLAINED: usize = 1000;
/// How many lines are shown.
const SHOWN: usize = 3;
/// How much of a line is shown, in characters.
const LENGTH: usize = 160;

/// Which servers does the service find not to tell them? Where it can't be asked, another point says
/// so.
pub fn session_ends(host: &Installation) -> Option<Vec<Point>> {
    let (plan, status) = (host.plan()?, host.status()?);
    let points = status.problems.iter().filter_map(|problem| {
        let server = diagnostics::untold_server(problem)?;
        Some(judge(problem, server, &read(plan, server, host.lately())))
    });
    let finding = "no server is known to leave out the ends of its sessions";
    Some(or_ok(points, finding))
}

fn judge(problem: &str, server: &str, closest: &Result<Vec<String>, JournalError>) -> Point {
    let told = problem.split(';').next().unwrap_or(problem);
    let lines = match closest {
        Ok(lines) if lines.is_empty() => {
            "none of its lines within a day looks like an end: does it log them?".to_owned()
        }
        Ok(lines) => format!(
            "the lines that come closest to an end:\n{}",
            lines.join("\n")
        ),
        Err(error) => format!("its lines can't be read: {error}"),
    };
    notice(format!("{told}\n{lines}")).mend(format!(
        "# If one of these lines is the end of a session, add a [[logout]] for it:\n\
         pop-before-smtp servers --show {server} > /etc/pop-before-smtp/servers.d/{server}.toml\n\
         # If the server logs no ends, make it log them, or make grace long enough for a session."
    ))
}

/// The lines of a server that no pattern takes and that come closest to a logout, the closest first.
fn read(plan: &Plan, server: &str, since: Timestamp) -> Result<Vec<String>, JournalError> {
    let recogniser = &plan.recogniser;
    let is_its = |identifier: &&str| recogniser.servers_of(identifier).any(|name| name == server);
    let identifiers: Vec<&str> = recogniser.identifiers().filter(is_its).collect();
    let mut closest = Closest::new(recogniser.clone(), server);
    let mut look = |source: &Source| {
        let mut reader = Reader::open(source, identifiers.iter().copied())?;
        read_back(&mut reader, since, ENTRIES, |entry| {
            let unit = entry.sender.unit.as_deref();
            if entry.is_message() && unit.is_none_or(|unit| recogniser.knows_unit(unit)) {
                closest.look(&entry.identifier, &entry.message);
            }
            closest.explained < EXPLAINED
        })
    };
    // Of one that can't be read, another point tells.
    let (first, others) = plan.sources.split_first().unzip();
    let first = first.map_or(Ok(()), |first| look(&first.journal).map(drop));
    others
        .unwrap_or_default()
        .iter()
        .for_each(|source| drop(look(&source.journal)));
    first.map(|()| closest.lines())
}

/// Finds them.
struct Closest<'a> {
    recogniser: Arc<Recogniser>,
    explainer: Explainer,
    server: &'a str,
    explained: usize,
    /// One line of each kind, by what it looks like without its numbers; and how much of it is a
    /// logout's.
    found: BTreeMap<String, (usize, String)>,
}

impl<'a> Closest<'a> {
    fn new(recogniser: Arc<Recogniser>, server: &'a str) -> Self {
        Closest {
            explainer: Explainer::new(recogniser.clone()),
            recogniser,
            server,
            explained: 0,
            found: BTreeMap::new(),
        }
    }

    fn look(&mut self, identifier: &[u8], message: &[u8]) {
        if self.recogniser.recognise(identifier, message).is_some() {
            return;
        }
        self.explained += 1;
        let identifier = String::from_utf8_lossy(identifier);
        let explanations = self.explainer.explain(&identifier, message);
        let attempts = (explanations.iter())
            .filter(|explanation| *explanation.server == *self.server)
            .flat_map(|explanation| &explanation.attempts)
            .filter(|attempt| attempt.kind.ends_with("logout"));
        let matched = attempts.filter_map(|attempt| match &attempt.outcome {
            Outcome::Stopped { after, .. } => Some(*after),
            Outcome::Excluded | Outcome::NoAddress(_) => Some(message.len()),
            _ => None,
        });
        let matched = matched.max().unwrap_or(0);
        if matched > 0 {
            let text = printable(&String::from_utf8_lossy(message));
            let text: String = text.chars().take(LENGTH).collect();
            let kind = text.chars().filter(|c| !c.is_ascii_digit()).collect();
            self.found.entry(kind).or_insert((matched, text));
        }
    }

    fn lines(self) -> Vec<String> {
        let mut found: Vec<_> = self.found.into_values().collect();
        found.sort_by(|(a, _), (b, _)| b.cmp(a));
        found
            .into_iter()
            .take(SHOWN)
            .map(|(_, text)| text)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::point::Verdict;
    use crate::servers::{BUILT_IN, Definition};

    #[test]
    fn the_lines_that_come_closest_to_an_end_are_shown_and_others_are_not() {
        let text = BUILT_IN.iter().find(|(name, _)| *name == "dovecot");
        let definition = Definition::parse(text.unwrap().1).unwrap();
        let recogniser = Recogniser::new(vec![definition], &BTreeMap::new(), |_| Some(0));
        let mut closest = Closest::new(Arc::new(recogniser), "dovecot");
        for message in [
            "imap(al)<7><Ml2YQQNh69rAAAIK>: Disconnected: Logged out in=1 out=2",
            "imap-login: Login: user=<al>, method=PLAIN, rip=192.0.2.10, session=<Ml2YQQNh69rAAAIK>",
            "imap(al)<7><Ml2YQQNh69rAAAIK>: Gone",
            "imap(al)<8><Ml2YQQNh69rAAAIK>: Gone",
            "auth: something else",
        ] {
            closest.look(b"dovecot", message.as_bytes());
        }
        assert_eq!(closest.explained, 3);
        let lines = closest.lines();
        assert_eq!(lines, ["imap(al)<7><Ml2YQQNh69rAAAIK>: Gone"]);
        let problem = "dovecot (imap) does not log the ends of its sessions (never); grace counts";
        assert_eq!(diagnostics::untold_server(problem), Some("dovecot"));
        let point = judge(problem, "dovecot", &Ok(lines));
        assert_eq!(point.verdict, Verdict::Notice);
        assert!(point.finding.ends_with(": Gone"), "{}", point.finding);
    }
}
