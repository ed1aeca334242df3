//! `status`: how the service is.

use std::io::Write;
use std::process::ExitCode;

use super::{AskArgs, CommandError, exit, json};
use crate::control::client::Service;
use crate::control::protocol::Status;
use crate::diagnostics::{count, local_time};

/// Prints the status; fails if there are problems.
pub fn run(args: &AskArgs, out: &mut impl Write) -> Result<ExitCode, CommandError> {
    let status = Service::connect(&args.socket)?.status()?;
    if args.json {
        writeln!(out, "{:#}", json::of(&status)?)?;
    } else {
        show(&status, out)?;
    }
    Ok(exit::answer(status.problems.is_empty()))
}

fn show(status: &Status, out: &mut impl Write) -> std::io::Result<()> {
    let mut row = |name: &str, value: &str| writeln!(out, "{name:>18}: {value}");
    row("Version", &status.version)?;
    row("Running since", &local_time(status.since))?;
    row("Servers", &status.servers.join(", "))?;
    row("Permitted networks", &status.permitted_networks)?;
    let place = match (status.caught_up, status.journal_position) {
        (true, None) => "read; nothing of these servers yet".to_owned(),
        (true, Some(time)) => format!("read; last entry of {}", local_time(time)),
        (false, None) => "being read".to_owned(),
        (false, Some(time)) => format!("being read, at {}", local_time(time)),
    };
    row("Journal", &place)?;
    let clients = count(status.clients, "client");
    row(
        "Listed",
        &format!("{clients}, {}", count(status.sessions, "open session")),
    )?;
    if status.refused > 0 {
        row("Refused", &format!("{} since the start", status.refused))?;
    }
    row(
        "Access map",
        &format!("{}:{}", status.map.kind, status.map.path),
    )?;
    let published = match &status.last_publication {
        Some(p) => format!(
            "{}, {} in {} ms",
            local_time(p.time),
            count(p.clients, "client"),
            p.milliseconds
        ),
        None => "not yet".to_owned(),
    };
    row("Published", &published)?;
    if status.policy.answered > 0 {
        let answered = count(
            usize::try_from(status.policy.answered).unwrap_or(usize::MAX),
            "question",
        );
        row(
            "Policy",
            &format!("{answered} answered, {} with OK", status.policy.granted),
        )?;
    }
    match status.problems.as_slice() {
        [] => row("Problems", "none"),
        problems => problems
            .iter()
            .try_for_each(|problem| row("Problem", problem)),
    }
}
