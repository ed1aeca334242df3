//! `monitor`: what happens, as it happens.

use std::io::Write;
use std::process::ExitCode;

use anstyle::Style;

use super::layout::{ASIDE, BAD, GOOD, ODD};
use super::{AskArgs, CommandError, CommandResult, json};
use crate::control::client::Service;
use crate::control::protocol::{Event, EventKind};
use crate::diagnostics::{count, local_time, printable};

/// Prints a line an event until the service ends or the reader leaves.
pub fn run(args: &AskArgs, out: &mut impl Write) -> CommandResult {
    let mut service = Service::connect(&args.socket)?;
    let mut begun = false;
    service.monitor(|answer| {
        if !begun && !args.json {
            writeln!(out, "{ASIDE}watching; end it with Ctrl-C{ASIDE:#}")?;
        }
        begun = true;
        if answer.missed > 0 {
            missed(answer.missed, args.json, out)?;
        }
        for event in &answer.events {
            if args.json {
                writeln!(out, "{}", json::of(event)?)?;
            } else {
                line(event, out)?;
            }
        }
        Ok::<(), CommandError>(out.flush()?)
    })?;
    Ok(ExitCode::SUCCESS)
}

fn missed(missed: u64, json: bool, out: &mut impl Write) -> std::io::Result<()> {
    if json {
        return writeln!(
            out,
            "{}",
            serde_json::json!({"kind": "missed", "missed": missed})
        );
    }
    let events = count(missed, "event");
    writeln!(
        out,
        "{BAD}missed {events}: they came faster than they were read here{BAD:#}"
    )
}

fn line(event: &Event, out: &mut impl Write) -> std::io::Result<()> {
    let (style, name) = named(event.kind);
    let time = local_time(event.time);
    let client = event.client.map(|c| c.to_string()).unwrap_or_default();
    let rest = format!(
        "{:pad$}  {client:<24}  {}",
        "",
        told(event),
        pad = 13 - name.len()
    );
    let rest = rest.trim_end();
    writeln!(out, "{time}  {style}{name}{style:#}{rest}")
}

fn named(kind: EventKind) -> (Style, &'static str) {
    match kind {
        EventKind::Login => (Style::new(), "login"),
        EventKind::Logout => (Style::new(), "logout"),
        EventKind::Listed => (GOOD, "listed"),
        EventKind::Removed => (ODD, "removed"),
        EventKind::Refused => (BAD, "refused"),
        EventKind::Published => (ASIDE, "published"),
        EventKind::NotPublished => (BAD, "not published"),
        EventKind::Reloaded => (ASIDE, "reloaded"),
    }
}

/// What is known of it.
fn told(event: &Event) -> String {
    let mut parts = Vec::new();
    let server = event.server.as_deref();
    let server = server.map(|server| match &event.source {
        Some(source) => format!("{server}, {source}"),
        None => server.to_owned(),
    });
    match (&event.user, &server) {
        (Some(user), Some(server)) => parts.push(format!("{} ({server})", printable(user))),
        (None, Some(server)) => parts.push(format!("({server})")),
        (Some(user), None) => parts.push(printable(user)),
        (None, None) => {}
    }
    parts.extend(
        event
            .until
            .map(|until| format!("until {}", local_time(until))),
    );
    parts.extend(event.clients.map(|clients| count(clients, "client")));
    parts.extend(event.milliseconds.map(|ms| format!("in {ms} ms")));
    parts.extend(event.reason.as_deref().map(printable));
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(event: &Event) -> String {
        let mut out = Vec::new();
        line(event, &mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        anstream::adapter::strip_str(&text).to_string()
    }

    #[test]
    fn a_line_an_event_in_columns() {
        let time = jiff::Timestamp::UNIX_EPOCH;
        let said = local_time(time);
        let login = Event {
            client: Some("192.0.2.10".parse().unwrap()),
            user: Some("al\nice".to_owned()),
            server: Some("dovecot".to_owned()),
            ..Event::new(time, EventKind::Login)
        };
        assert_eq!(
            shown(&login),
            format!("{said}  login          192.0.2.10                al\\u{{a}}ice (dovecot)\n")
        );
        let published = Event {
            clients: Some(2),
            milliseconds: Some(7),
            ..Event::new(time, EventKind::Published)
        };
        assert_eq!(
            shown(&published),
            format!("{said}  published      {:24}  2 clients, in 7 ms\n", "")
        );
        let reloaded = Event::new(time, EventKind::Reloaded);
        assert_eq!(shown(&reloaded), format!("{said}  reloaded\n"));
    }

    #[test]
    fn what_was_missed_is_said() {
        let said = |json| {
            let mut out = Vec::new();
            missed(3, json, &mut out).unwrap();
            String::from_utf8(out).unwrap()
        };
        assert!(said(false).contains("missed 3 events"));
        assert_eq!(said(true), "{\"kind\":\"missed\",\"missed\":3}\n");
    }
}
