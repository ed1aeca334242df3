//! `servers`: the definitions that there are.
//!
//! Shows; switches nothing on or off.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use clap::Args;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::{CommandError, CommandResult, when};
use crate::config::{self, Settings};
use crate::daemon::{self, NamedSource};
use crate::diagnostics::{local_time, printable};
use crate::intake::wanted_of;
use crate::journal::{self, Match};
use crate::servers::{Catalogue, DefinitionError, LoadedDefinition};

/// How far back it is looked by default.
const LATELY: SignedDuration = SignedDuration::from_hours(24);

/// What is shown.
#[derive(Debug, Args)]
#[command(after_help = "\
To change a built-in definition, copy it to servers.d and edit the copy, which then replaces it:
  pop-before-smtp servers --show dovecot > /etc/pop-before-smtp/servers.d/dovecot.toml
  pop-before-smtp check-config

The objects of --json have the keys: name, description, identifiers, users, units (who may write its \
entries) and containers (in which it runs; all four include what the configuration adds), on, built-in \
(false if from servers.d), defined-in (the file, or null), followed-in-containers (false if its lines \
are tied by their process, which an engine hides), counts-in-containers (a login with an address counts \
there, if only by itself, without a session), seen-identifiers (also containers; those seen since \
--since), and seen (true, false). The last two are null if the journal can't be read.")]
pub struct ServersArgs {
    /// Print an array of objects, for programs
    #[arg(long, conflicts_with = "show")]
    json: bool,
    /// Print the definition of this server in full, ready for servers.d
    #[arg(long, value_name = "NAME")]
    show: Option<String>,
    /// Look for entries since this time: '2026-11-24 10:30', '10:30', 'today', '1h' (ago), RFC 3339;
    /// by default, for those of the last 24 hours
    #[arg(
        long,
        value_name = "TIME",
        value_parser = when::parse,
        allow_hyphen_values = true,
        conflicts_with = "show"
    )]
    since: Option<Timestamp>,
}

/// What is told of a server.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
struct Row<'a> {
    name: &'a str,
    description: &'a str,
    identifiers: Vec<&'a str>,
    users: Vec<&'a str>,
    units: Vec<&'a str>,
    containers: &'a [String],
    followed_in_containers: bool,
    counts_in_containers: bool,
    on: bool,
    built_in: bool,
    defined_in: Option<&'a Path>,
    seen_identifiers: Option<Vec<&'a str>>,
    seen: Option<bool>,
}

/// Lists the definitions, or prints one.
pub fn run(config: Option<&Path>, args: &ServersArgs, out: &mut impl Write) -> CommandResult {
    let settings = config::load(config)?.settings;
    let mut catalogue = Catalogue::read(&settings.servers_directory);
    if let Some(name) = &args.show {
        return show(catalogue, name, out);
    }
    let lately = Timestamp::now().checked_sub(LATELY);
    let since = args.since.unwrap_or(lately.unwrap_or(Timestamp::MIN));
    let definitions = catalogue
        .definitions
        .iter()
        .map(|loaded| &loaded.definition);
    let wanted: Vec<Match> = definitions
        .flat_map(|definition| wanted_of(definition, &settings.senders))
        .collect();
    let (mut seen, mut unknown) = (None, None);
    let mut looked_in = Vec::new();
    for NamedSource { journal, .. } in daemon::sources(&settings) {
        match journal::seen(&journal, wanted.clone(), since) {
            Ok(Some(found)) => {
                seen.get_or_insert_with(BTreeSet::new).extend(found);
                looked_in.push(journal.to_string());
            }
            Ok(None) => unknown = unknown.or(Some(format!("{journal} has no entries"))),
            Err(error) => unknown = unknown.or(Some(error.to_string())),
        }
    }
    let rows: Vec<Row> = (catalogue.definitions.iter())
        .map(|loaded| Row::new(loaded, &settings, seen.as_ref()))
        .collect();
    if args.json {
        let json = serde_json::to_string_pretty(&rows).map_err(std::io::Error::from)?;
        writeln!(out, "{json}")?;
    } else {
        rows.iter().try_for_each(|row| row.write(out))?;
        if seen.is_some() {
            let since = local_time(since);
            writeln!(out, "seen: in {}, since {since}", looked_in.join(" and "))?;
        }
        if let Some(why) = unknown {
            writeln!(out, "seen: unknown, as {why}")?;
        }
    }
    for name in &settings.servers {
        if catalogue.get(name).is_none() && catalogue.errors.is_empty() {
            return Err(unknown_server(&catalogue, name).into());
        }
    }
    // The rest of the list is of use all the same.
    if catalogue.errors.is_empty() {
        Ok(ExitCode::SUCCESS)
    } else {
        out.flush()?;
        Err(catalogue.errors.swap_remove(0).into())
    }
}

fn show(mut catalogue: Catalogue, name: &str, out: &mut impl Write) -> CommandResult {
    if let Some(loaded) = catalogue.get(name) {
        out.write_all(loaded.text.as_bytes())?;
        return Ok(ExitCode::SUCCESS);
    }
    if catalogue.errors.is_empty() {
        let name = name.to_owned();
        let known = catalogue.names();
        Err(CommandError::NoServer { name, known })
    } else {
        Err(catalogue.errors.swap_remove(0).into())
    }
}

fn unknown_server(catalogue: &Catalogue, name: &str) -> DefinitionError {
    DefinitionError::Unknown {
        name: name.to_owned(),
        known: catalogue.names(),
    }
}

impl<'a> Row<'a> {
    fn new(
        loaded: &'a LoadedDefinition,
        settings: &'a Settings,
        seen: Option<&BTreeSet<String>>,
    ) -> Self {
        let definition = &loaded.definition;
        let configured = settings.senders.get(&definition.name);
        let with = |own: &'a [String], more: Option<&'a Vec<String>>| {
            let mut all: Vec<&str> = own.iter().map(String::as_str).collect();
            for name in more.into_iter().flatten() {
                if !all.contains(&name.as_str()) {
                    all.push(name);
                }
            }
            all
        };
        let identifiers = with(
            &definition.identifiers,
            configured.map(|senders| &senders.identifiers),
        );
        let containers = configured.map_or(&[][..], |senders| &senders.containers);
        let names = identifiers.iter().copied();
        let names = names.chain(containers.iter().map(String::as_str));
        let seen = seen.map(|seen| {
            names
                .filter(|name| seen.contains(*name))
                .collect::<Vec<_>>()
        });
        Row {
            name: &definition.name,
            description: &definition.description,
            identifiers,
            users: with(&definition.users, configured.map(|senders| &senders.users)),
            units: with(&definition.units, configured.map(|senders| &senders.units)),
            containers,
            followed_in_containers: !definition.ties_lines() && !definition.syslog_only,
            counts_in_containers: definition.cut_at.is_none() && !definition.syslog_only,
            on: settings.servers.contains(&definition.name),
            built_in: loaded.file.is_none(),
            defined_in: loaded.file.as_deref(),
            seen: seen.as_ref().map(|seen| !seen.is_empty()),
            seen_identifiers: seen,
        }
    }

    fn write(&self, out: &mut impl Write) -> std::io::Result<()> {
        let on = if self.on { "on " } else { "off" };
        let description = printable(self.description);
        writeln!(out, "{:<16} {on}  {description}", self.name)?;
        let mut line = |what: &str, text: &str| writeln!(out, "{what:>20}: {}", printable(text));
        line("identifiers", &self.identifiers.join(", "))?;
        let users = match self.users.as_slice() {
            users if users.contains(&"*") => "any user".to_owned(),
            [user] => format!("user {user}"),
            users => format!("users {}", users.join(", ")),
        };
        let units = match self.units.as_slice() {
            [] => String::new(),
            units => format!(", in {}", units.join(", ")),
        };
        line("written by", &format!("{users}{units}"))?;
        match (self.containers, self.followed_in_containers) {
            ([], true) => {}
            (containers, true) => line("containers", &containers.join(", "))?,
            (containers, false) => {
                let names = match containers {
                    [] => "if any".to_owned(),
                    names => names.join(", "),
                };
                let what = if self.counts_in_containers {
                    "a login with an address counts, without a session"
                } else {
                    "no line counts: it has to log by syslog(3)"
                };
                line("containers", &format!("{names}; {what}"))?;
            }
        }
        if let Some(file) = self.defined_in {
            line("defined in", &file.display().to_string())?;
        }
        match &self.seen_identifiers {
            None => line("seen", "unknown"),
            Some(seen) if seen.is_empty() => line("seen", "no"),
            Some(seen) => line("seen", &seen.join(", ")),
        }
    }
}
