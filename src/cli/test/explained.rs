//! Explanations in words: which pattern took an entry, or how far each came.

use crate::servers::{Attempt, Explanation, Header, Outcome, Recogniser};

/// How many different reasons of one definition are shown.
const SHOWN: usize = 6;

/// Lines that say why an entry was taken for what it was; `known` is what is known beside.
pub(super) fn reason(
    explanations: &[Explanation],
    known: Option<&str>,
    identifier: &str,
    message: &[u8],
    recogniser: &Recogniser,
) -> String {
    let mut lines = Vec::new();
    let taking = explanations.iter().find_map(|e| {
        let last = e.attempts.last()?;
        (last.outcome == Outcome::Took).then_some((e, last))
    });
    match taking {
        Some((explanation, attempt)) => {
            let Attempt {
                origin, line, kind, ..
            } = attempt;
            lines.push(format!(
                "{origin}:{line}: the {kind} pattern of {} takes {}",
                explanation.server,
                what(explanation)
            ));
            lines.extend(known.map(str::to_owned));
        }
        None if recogniser.servers_of(identifier).next().is_none() => {
            let mut on: Vec<&str> = recogniser.identifiers().collect();
            on.sort_unstable();
            lines.push(format!(
                "no server that is on writes under '{identifier}', only under {}",
                on.join(", ")
            ));
        }
        // Longer than any login, or cut off.
        None if explanations.is_empty() => lines.extend(known.map(str::to_owned)),
        None => {
            if !explanations.iter().any(|e| e.behind_header)
                && let Some(header) = Header::of(message)
            {
                lines.push(format!(
                    "it begins with a header of syslog, whose '{}' is none of the server's identifiers",
                    header.identifier
                ));
            }
            explanations.iter().for_each(|e| lines.extend(untaken(e)));
        }
    }
    lines.join("\n")
}

/// What the patterns were tried on.
fn what(explanation: &Explanation) -> &'static str {
    if explanation.behind_header {
        "what is behind a header of syslog"
    } else {
        "it"
    }
}

/// How far the patterns of a definition came: the furthest first, those that did alike together.
fn untaken(explanation: &Explanation) -> Vec<String> {
    let Some(first) = explanation.attempts.first() else {
        return Vec::new();
    };
    let mut alike: Vec<(&Attempt, Vec<String>)> = Vec::new();
    let mut at_the_beginning = 0;
    for attempt in &explanation.attempts {
        if matches!(
            &attempt.outcome,
            Outcome::Stopped {
                after: 0,
                anywhere: false,
                ..
            }
        ) {
            at_the_beginning += 1;
            continue;
        }
        let line = attempt.line.to_string();
        let same = |known: &&mut (&Attempt, Vec<String>)| {
            known.0.kind == attempt.kind && known.0.outcome == attempt.outcome
        };
        match alike.iter_mut().find(same) {
            Some((_, lines)) => lines.push(line),
            None => alike.push((attempt, vec![line])),
        }
    }
    alike.sort_by_key(|(attempt, _)| std::cmp::Reverse(distance(&attempt.outcome)));
    let more = alike.len().saturating_sub(SHOWN);
    let mut said = vec![format!(
        "no pattern of {} takes {} ({}):",
        explanation.server,
        what(explanation),
        first.origin
    )];
    for (attempt, lines) in alike.iter().take(SHOWN) {
        let place = if lines.len() == 1 { "line" } else { "lines" };
        let (kind, outcome) = (attempt.kind, &attempt.outcome);
        said.push(format!("  {kind}, {place} {}: {outcome}", lines.join(", ")));
    }
    if more > 0 {
        said.push(format!("  and {more} that came less far"));
    }
    if at_the_beginning > 0 {
        said.push(format!("  {at_the_beginning} match not even its beginning"));
    }
    said
}

/// For sorting: how far a pattern came.
fn distance(outcome: &Outcome) -> usize {
    match outcome {
        Outcome::Took | Outcome::Excluded | Outcome::NoAddress(_) | Outcome::NoName => usize::MAX,
        Outcome::Stopped { after, .. } => *after,
        Outcome::NotPlain => 0,
    }
}
