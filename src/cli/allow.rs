//! `allow`: lists a client by hand.

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use jiff::Timestamp;

use super::layout::{GOOD, NAME};
use super::{AskArgs, CommandResult, json, when};
use crate::client::Client;
use crate::config::duration;
use crate::control::Allow;
use crate::control::client::Service;
use crate::diagnostics::local_time;
use crate::whitelist::LONGEST_NOTE;

/// Which client, and for how long.
#[derive(Debug, Args)]
pub struct AllowArgs {
    /// The client's address
    #[arg(value_name = "ADDRESS")]
    client: Client,
    /// For this long from now, instead of one grace: '30min', '2h', '3d'; at most 7 days
    #[arg(long = "for", value_name = "DURATION", value_parser = duration::parse, conflicts_with = "until")]
    duration: Option<Duration>,
    /// Until this time: '2026-11-24 18:00', '18:00', RFC 3339; at most 7 days from now
    #[arg(long, value_name = "TIME", value_parser = when::parse)]
    until: Option<Timestamp>,
    /// The reason: kept with the listing, and written to the journal
    #[arg(long, value_name = "TEXT", value_parser = note)]
    note: Option<String>,
    #[command(flatten)]
    ask: AskArgs,
}

fn note(text: &str) -> Result<String, String> {
    if text.len() > LONGEST_NOTE {
        return Err(format!("a note has {LONGEST_NOTE} bytes at most"));
    }
    Ok(text.to_owned())
}

/// Lists the client, and waits until Postfix knows.
pub fn run(args: &AllowArgs, out: &mut impl Write) -> CommandResult {
    let end = |duration| Timestamp::now().checked_add(duration);
    let for_so_long = args.duration.map(|d| end(d).unwrap_or(Timestamp::MAX));
    let allowed = Service::connect(&args.ask.socket)?.call(&Allow {
        client: args.client,
        until: for_so_long.or(args.until),
        note: args.note.clone(),
    })?;
    if args.ask.json {
        writeln!(out, "{:#}", json::of(&allowed.listing)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let until = match allowed.listing.until {
        Some(until) => local_time(until),
        None => "the end of its sessions, at least".to_owned(),
    };
    let client = args.client;
    writeln!(
        out,
        "{NAME}{client}{NAME:#} {GOOD}may relay{GOOD:#} until {until}"
    )?;
    Ok(ExitCode::SUCCESS)
}
