//! `list`: the clients that may relay now.

use std::io::Write;
use std::process::ExitCode;

use super::{AskArgs, CommandError, json};
use crate::control::client::Service;
use crate::control::protocol::{ClientInfo, Filter};
use crate::diagnostics::{count, local_time, printable};

/// Prints a line a client, or an array of objects.
pub fn run(args: &AskArgs, out: &mut impl Write) -> Result<ExitCode, CommandError> {
    let mut service = Service::connect(&args.socket)?;
    if args.json {
        return list_json(&mut service, out);
    }
    let mut clients = 0;
    service.clients(&Filter::default(), |info| {
        if clients == 0 {
            line(
                out,
                ["CLIENT", "USER", "SERVER", "LAST LOGIN", "MAY RELAY UNTIL"],
            )?;
        }
        clients += 1;
        let user = info
            .user
            .as_deref()
            .map_or_else(|| "-".to_owned(), printable);
        let last_login = info.last_login.map_or_else(|| "-".to_owned(), local_time);
        line(
            out,
            [
                &info.client.to_string(),
                &user,
                &info.server,
                &last_login,
                &until(&info),
            ],
        )
    })?;
    writeln!(out, "{} listed", count(clients, "client"))?;
    Ok(ExitCode::SUCCESS)
}

fn until(info: &ClientInfo) -> String {
    match info.until {
        Some(until) => local_time(until),
        None => format!(
            "the end of {}",
            count(info.sessions as usize, "open session")
        ),
    }
}

/// The widest IPv6 address has 39 characters, but most lists have none.
fn line(out: &mut impl Write, columns: [&str; 5]) -> Result<(), CommandError> {
    let [client, user, server, last_login, until] = columns;
    Ok(writeln!(
        out,
        "{client:<24} {user:<24} {server:<10} {last_login:<19}  {until}"
    )?)
}

/// Written as it comes, so that a million clients need no memory.
fn list_json(service: &mut Service, out: &mut impl Write) -> Result<ExitCode, CommandError> {
    let mut separator = "[";
    service.clients(&Filter::default(), |info| {
        write!(out, "{separator}\n  {}", json::of(&info)?)?;
        separator = ",";
        Ok::<(), CommandError>(())
    })?;
    writeln!(out, "{}", if separator == "[" { "[]" } else { "\n]" })?;
    Ok(ExitCode::SUCCESS)
}
