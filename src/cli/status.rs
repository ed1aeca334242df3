//! `status`: how the service is.

use std::io::Write;

use anstyle::Style;
use jiff::{SignedDuration, Timestamp};

use super::layout::{BAD, GOOD, ODD, Rows, terminal_width};
use super::{AskArgs, CommandResult, exit, json, log_level};
use crate::control::client::Service;
use crate::control::protocol::{SourceStatus, Status};
use crate::diagnostics::{at_source, count, local_time, name_of};

/// Prints the status; fails if there are problems.
pub fn run(args: &AskArgs, out: &mut impl Write) -> CommandResult {
    let status = Service::connect(&args.socket)?.status()?;
    if args.json {
        writeln!(out, "{:#}", json::of(&status)?)?;
    } else {
        show(&status, Timestamp::now(), terminal_width(), out)?;
    }
    Ok(exit::answer(status.problems.is_empty()))
}

pub(super) fn show(
    status: &Status,
    now: Timestamp,
    width: Option<usize>,
    out: &mut impl Write,
) -> std::io::Result<()> {
    let rows = Rows::new(18, width);
    let plain = Style::new();
    let mut row = |name: &str, style: Style, value: &str| rows.row(out, name, style, value);
    row("Version", plain, &status.version)?;
    row("Running since", plain, &time(status.since, now))?;
    row("Servers", plain, &status.servers.join(", "))?;
    row("Permitted networks", plain, &status.permitted_networks)?;
    for (name, style, read) in journals(status, now) {
        row(name, style, &read)?;
    }
    let clients = count(status.clients, "client");
    let sessions = count(status.sessions, "open session");
    row("Listed", plain, &format!("{clients}, {sessions}"))?;
    let last_login = status.last_login.as_ref().map(|login| {
        let (time, user) = (time(login.time, now), name_of(login.user.as_deref()));
        let server = at_source(&login.server, login.source.as_deref());
        format!("{time}, {user} from {} to {server}", login.client)
    });
    row("Last login", plain, last_login.as_deref().unwrap_or("none"))?;
    let totals = &status.totals;
    let since_the_start = format!(
        "{} ({} of clients listed already), {}, {} listed, {} removed",
        count(totals.logins, "login"),
        totals.unchanged_logins,
        count(totals.logouts, "logout"),
        count(totals.listed, "client"),
        totals.removed
    );
    row("Since the start", plain, &since_the_start)?;
    if status.refused > 0 {
        let refused = count(status.refused, "entry or login");
        let refused = refused.replace("entry or logins", "entries and logins");
        let refused = format!("{refused} since the start; see journalctl -u pop-before-smtp");
        row("Refused", ODD, &refused)?;
    }
    if let Some(map) = &status.map {
        row("Access map", plain, &format!("{}:{}", map.kind, map.path))?;
        row("Published", plain, &published(status, now))?;
    }
    if status.policy.answered > 0 {
        let answered = count(status.policy.answered, "question");
        let answered = format!("{answered} answered, {} with OK", status.policy.granted);
        row("Policy", plain, &answered)?;
    }
    row("Log level", plain, &log_level::name(status.log_level))?;
    match status.problems.as_slice() {
        [] => row("Problems", GOOD, "none"),
        problems => problems
            .iter()
            .try_for_each(|problem| row("Problem", BAD, problem)),
    }
}

/// When the access map was published last.
fn published(status: &Status, now: Timestamp) -> String {
    let Some(last) = &status.last_publication else {
        return "not yet".to_owned();
    };
    let (time, clients) = (time(last.time, now), count(last.clients, "client"));
    let published = format!("{time}, {clients} in {} ms", last.milliseconds);
    match status.totals.publications {
        0 | 1 => published,
        number => format!("{published}; {number} since the start"),
    }
}

/// How far the journals have been read: a row for each source, where there are several.
fn journals(status: &Status, now: Timestamp) -> Vec<(&'static str, Style, String)> {
    let Some(sources) = &status.sources else {
        let (at, lag) = (status.journal_position, status.lag_milliseconds);
        let (style, read) = journal(status.caught_up, at, lag, now);
        return vec![("Journal", style, read)];
    };
    let row = |source: &SourceStatus| {
        let (at, lag) = (source.journal_position, source.lag_milliseconds);
        let (style, read) = journal(source.caught_up, at, lag, now);
        let text = format!("{} ({}): {read}", source.name, source.journal);
        match source.problems.is_empty() {
            true => ("Source", style, text),
            false => ("Source", BAD, text + "; see the problems"),
        }
    };
    sources.iter().map(row).collect()
}

/// How far a journal has been read.
fn journal(
    caught_up: bool,
    position: Option<Timestamp>,
    lag: Option<u64>,
    now: Timestamp,
) -> (Style, String) {
    match (caught_up, position) {
        (true, None) => (GOOD, "read; nothing of these servers yet".to_owned()),
        (true, Some(at)) => {
            let read = match lag.unwrap_or_default() {
                0 => String::new(),
                lag => format!(", read {lag} ms after it was written"),
            };
            (GOOD, format!("read; last entry of {}{read}", time(at, now)))
        }
        (false, None) => (ODD, "being read".to_owned()),
        (false, Some(at)) => (ODD, format!("being read, at {}", time(at, now))),
    }
}

/// A time, and how long ago that is.
fn time(time: Timestamp, now: Timestamp) -> String {
    format!(
        "{} ({} ago)",
        local_time(time),
        ago(now.duration_since(time))
    )
}

/// In the two largest units.
fn ago(duration: SignedDuration) -> String {
    let seconds = duration.as_secs().max(0);
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min {} s", seconds % 60),
        (0, _, _) => format!("{hours} h {} min", minutes % 60),
        _ => format!("{days} d {} h", hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn status(more: &serde_json::Value) -> Status {
        let mut status = json!({
            "version": "2.0.0",
            "since": "2026-11-24T10:00:00Z",
            "servers": ["dovecot", "popa3d"],
            "permittedNetworks": "127.0.0.0/8 192.0.2.0/24",
            "clients": 1, "sessions": 0, "refused": 0,
            "caughtUp": true,
            "map": {"path": "/var/lib/pop-before-smtp/clients", "type": "lmdb"},
            "policy": {"answered": 0, "granted": 0},
            "totals": {
                "logins": 3, "unchangedLogins": 2, "logouts": 1, "listed": 1, "removed": 0,
                "refused": 0, "publications": 1, "failedPublications": 0
            },
            "logLevel": "info",
            "problems": []
        });
        let (status_, more) = (status.as_object_mut().unwrap(), more.as_object().unwrap());
        status_.extend(more.clone());
        serde_json::from_value(status).unwrap()
    }

    fn shown(more: serde_json::Value) -> String {
        let now = "2026-11-24T12:30:05Z".parse().unwrap();
        let mut out = Vec::new();
        show(&status(&more), now, Some(60), &mut out).unwrap();
        anstream::adapter::strip_str(&String::from_utf8(out).unwrap()).to_string()
    }

    #[test]
    fn names_are_aligned_and_values_stay_in_their_column() {
        let text = shown(json!({
            "refused": 2,
            "lastLogin": {
                "time": "2026-11-24T12:30:00Z", "client": "192.0.2.10", "user": "al\u{1b}ice",
                "server": "dovecot"
            },
            "problems": ["the access map can't be published: postmap: No such file or directory"],
        }));
        for line in text.lines() {
            assert!(line.chars().count() <= 60, "{line:?}");
            assert!(
                line.chars().position(|c| c == ':') == Some(18)
                    || line.starts_with(&" ".repeat(20)),
                "{line:?}"
            );
        }
        assert!(text.contains("al\\u{1b}ice from 192.0.2.10"), "{text}");
        assert!(text.contains("2 entries and logins"), "{text}");
        assert!(
            text.contains("           Problem: the access map can't be published:\n"),
            "{text}"
        );
    }

    #[test]
    fn all_is_well() {
        let text = shown(json!({}));
        assert!(text.ends_with("          Problems: none\n"), "{text}");
        assert!(text.contains("(2 h 30 min ago)"), "{text}");
        assert!(
            text.contains("           Journal: read; nothing of these servers yet\n"),
            "{text}"
        );
        assert!(!text.contains("Refused"), "{text}");
    }

    #[test]
    fn the_place_in_the_journal_and_how_far_it_is_behind() {
        let now: Timestamp = "2026-11-24T12:00:00Z".parse().unwrap();
        let said = |more| {
            let status = status(&more);
            let (at, lag) = (status.journal_position, status.lag_milliseconds);
            journal(status.caught_up, at, lag, now).1
        };
        let at = json!("2026-11-24T11:59:00Z");
        assert!(
            said(json!({"journalPosition": at, "lagMilliseconds": 3}))
                .ends_with("(1 min 0 s ago), read 3 ms after it was written")
        );
        assert!(
            said(json!({"journalPosition": at, "lagMilliseconds": 60000, "caughtUp": false}))
                .starts_with("being read, at ")
        );
    }

    #[test]
    fn each_of_several_sources_has_a_line() {
        let source = |name: &str, problems: &[&str]| {
            json!({
                "name": name, "journal": "the journal of this host", "caughtUp": true,
                "problems": problems
            })
        };
        let sources = [source("journal", &[]), source("store1", &["it is gone"])];
        let text = shown(json!({"sources": sources}));
        assert!(!text.contains("Journal:"), "{text}");
        assert!(
            text.contains("            Source: journal (the journal of this host):"),
            "{text}"
        );
        assert!(text.contains("            Source: store1 (the"), "{text}");
        assert_eq!(text.matches("; see the").count(), 1, "{text}");
    }

    #[test]
    fn durations_in_two_units() {
        for (seconds, said) in [
            (-1, "0 s"),
            (59, "59 s"),
            (61, "1 min 1 s"),
            (3600, "1 h 0 min"),
            (90_000, "1 d 1 h"),
        ] {
            assert_eq!(ago(SignedDuration::from_secs(seconds)), said);
        }
    }
}
