//! `history`: what the journal tells of a client or a user.

use std::collections::VecDeque;
use std::io::Write;
use std::path::Path;

use clap::Args;
use jiff::{SignedDuration, Timestamp};

use super::past::{self, About, Item};
use super::{CommandResult, exit, when};
use crate::client::Client;
use crate::config;
use crate::daemon;
use crate::diagnostics::{count, local_time, printable};
use crate::journal::own::beginning;

/// How far back it goes if nobody says.
const A_DAY: SignedDuration = SignedDuration::from_hours(24);

/// Whose history, and how much of it.
#[derive(Debug, Args)]
pub struct HistoryArgs {
    #[command(flatten)]
    whose: Whose,
    /// Begin here, instead of a day ago: '2026-11-24 10:30', '10:30', 'today', '1h' (ago), RFC 3339
    #[arg(long, value_name = "TIME", value_parser = when::parse, allow_hyphen_values = true)]
    since: Option<Timestamp>,
    /// End here
    #[arg(long, value_name = "TIME", value_parser = when::parse, allow_hyphen_values = true)]
    until: Option<Timestamp>,
    /// Show this many lines, the last ones
    #[arg(long, value_name = "N", default_value_t = 1000)]
    lines: usize,
    /// Print one object per line, for programs
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Whose {
    /// The client's address
    #[arg(value_name = "ADDRESS")]
    client: Option<Client>,
    /// A user instead of a client, by the name that the server logs
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
}

/// Prints a line for each thing that happened. Fails if nothing did.
pub fn run(config: Option<&Path>, args: &HistoryArgs, out: &mut impl Write) -> CommandResult {
    let settings = config::load(config)?.settings;
    let about = match (&args.whose.client, &args.whose.user) {
        (Some(client), _) => About::Client(*client),
        (None, user) => About::User(user.clone().unwrap_or_default()),
    };
    let now = Timestamp::now();
    let a_day_ago = now.checked_sub(A_DAY).unwrap_or(Timestamp::MIN);
    let since = args.since.unwrap_or(a_day_ago);
    let until = args.until.unwrap_or(Timestamp::MAX);
    let mut last: VecDeque<Item> = VecDeque::new();
    let mut all = 0;
    past::tell(&settings, &about, since, until, |item| {
        all += 1;
        last.push_back(item);
        if last.len() > args.lines {
            last.pop_front();
        }
        Ok(())
    })?;
    if args.json {
        for item in &last {
            serde_json::to_writer(&mut *out, item).map_err(std::io::Error::from)?;
            writeln!(out)?;
        }
        return Ok(exit::answer(all > 0));
    }
    for item in &last {
        let (time, text) = (local_time(item.time), printable(&item.text));
        writeln!(out, "{time}  {:<10}  {text}", item.event)?;
    }
    let mut whole = String::new();
    for source in daemon::sources(&settings) {
        let journal = &source.journal;
        match beginning(journal) {
            Ok(Some(first)) if first > since => {
                let first = local_time(first);
                whole += &format!("; {journal} goes back no further than {first}");
            }
            Ok(Some(_)) => {}
            Ok(None) => whole += &format!("; {journal} holds nothing at all"),
            // It was left out, and that was said.
            Err(_) if source.name.is_some() => {}
            Err(error) => return Err(error.into()),
        }
    }
    let left_out = all - last.len();
    let more = match left_out {
        0 => String::new(),
        n => format!(", {n} before them left out (--lines)"),
    };
    let shown = count(last.len(), "line");
    writeln!(out, "{shown} since {}{more}{whole}", local_time(since))?;
    Ok(exit::answer(all > 0))
}
