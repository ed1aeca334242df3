//! `list`: the clients that may relay now.

use std::cmp::Reverse;
use std::io::Write;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use ipnet::IpNet;

use super::layout::{NAME, shortened, terminal_width};
use super::{AskArgs, CommandError, CommandResult, json};
use crate::client::Client;
use crate::control::client::Service;
use crate::control::protocol::{ClientInfo, Filter};
use crate::diagnostics::{count, local_time, printable};
use crate::whitelist::network;

/// Columns are as wide as so many first rows need; a later cell that is longer sticks out.
const MEASURED: usize = 1000;
const COLUMNS: usize = 6;
/// Its place: it is shown where there are several sources.
const SOURCE: usize = 3;
/// On a terminal, a user's name has at most so many characters.
const USER: usize = 32;

/// Which clients, and in which order.
#[derive(Debug, Args)]
pub struct ListArgs {
    /// Only this client
    #[arg(long, value_name = "ADDRESS")]
    client: Option<Client>,
    /// Only clients in this network: 192.0.2.0/24, 2001:db8::/32
    #[arg(long, value_name = "NETWORK", value_parser = network)]
    network: Option<IpNet>,
    /// Only clients that this user logged in from last
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// Only clients whose last login was to this server, or 'manual': those listed by hand
    #[arg(long, value_name = "NAME")]
    server: Option<String>,
    /// Only clients of whose last login this source tells, where there are several: a store's name,
    /// or 'journal'
    #[arg(long, value_name = "NAME")]
    source: Option<String>,
    /// What to sort by: address; user's name; last login, the latest first; the end of their time,
    /// the nearest first. Sorted by client, they are shown as they come, however many there are
    #[arg(long, value_name = "COLUMN", default_value = "client")]
    sort: Sort,
    #[command(flatten)]
    ask: AskArgs,
}

#[derive(Debug, Clone, Copy, PartialEq, ValueEnum)]
enum Sort {
    Client,
    User,
    Last,
    // Those with an open session come last.
    Until,
}

/// Prints a line a client, or an array of objects.
pub fn run(args: ListArgs, out: &mut impl Write) -> CommandResult {
    let mut service = Service::connect(&args.ask.socket)?;
    let filter = Filter {
        client: args.client,
        network: args.network,
        user: args.user,
        server: args.server,
        source: args.source,
    };
    if args.ask.json {
        // Written as it comes.
        let mut separator = "[";
        sorted(&mut service, &filter, args.sort, |info| {
            write!(out, "{separator}\n  {}", json::of(&info)?)?;
            separator = ",";
            Ok(())
        })?;
        writeln!(out, "{}", if separator == "[" { "[]" } else { "\n]" })?;
    } else {
        let mut table = Table::new(terminal_width().map(|_| USER));
        sorted(&mut service, &filter, args.sort, |info| {
            Ok(table.row(&info, out)?)
        })?;
        let clients = table.finish(out)?;
        writeln!(out, "{} listed", count(clients, "client"))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Calls `each` for the clients in order. Those sorted by address are not collected: a million
/// needs no memory.
fn sorted(
    service: &mut Service,
    filter: &Filter,
    sort: Sort,
    mut each: impl FnMut(ClientInfo) -> Result<(), CommandError>,
) -> Result<(), CommandError> {
    if sort == Sort::Client {
        return service.clients(filter, each);
    }
    let mut all = Vec::new();
    service.clients(filter, |info| {
        all.push(info);
        Ok::<(), CommandError>(())
    })?;
    // Stable: by address where the rest is equal.
    match sort {
        Sort::Client => {}
        Sort::User => all.sort_by(|a, b| a.user.cmp(&b.user)),
        Sort::Last => all.sort_by_key(|info| Reverse(info.last_login)),
        Sort::Until => all.sort_by_key(|info| (info.until.is_none(), info.until)),
    }
    all.into_iter().try_for_each(&mut each)
}

const HEADING: [&str; COLUMNS] = [
    "CLIENT",
    "USER",
    "SERVER",
    "SOURCE",
    "LAST LOGIN",
    "MAY RELAY UNTIL",
];

/// A table whose columns are as wide as its first rows need.
struct Table {
    longest_user: Option<usize>,
    /// The first rows, until they are written.
    first: Vec<[String; COLUMNS]>,
    /// Whether one of them tells its source.
    has_sources: bool,
    widths: [usize; COLUMNS],
    written: usize,
}

impl Table {
    fn new(longest_user: Option<usize>) -> Self {
        Table {
            longest_user,
            first: Vec::new(),
            has_sources: false,
            widths: HEADING.map(str::len),
            written: 0,
        }
    }

    fn row(&mut self, info: &ClientInfo, out: &mut impl Write) -> std::io::Result<()> {
        let none = || "-".to_owned();
        let user = info.user.as_deref().map_or_else(none, printable);
        let row = [
            info.client.to_string(),
            match self.longest_user {
                Some(width) => shortened(user, width),
                None => user,
            },
            info.server.clone(),
            info.source.clone().unwrap_or_else(none),
            info.last_login.map_or_else(none, local_time),
            until(info),
        ];
        if self.written > 0 {
            self.written += 1;
            return self.line(&row, out);
        }
        for (width, text) in self.widths.iter_mut().zip(&row) {
            *width = (*width).max(text.chars().count());
        }
        self.has_sources |= info.source.is_some();
        self.first.push(row);
        if self.first.len() == MEASURED {
            self.write_first(out)?;
        }
        Ok(())
    }

    fn write_first(&mut self, out: &mut impl Write) -> std::io::Result<()> {
        let first = std::mem::take(&mut self.first);
        if first.is_empty() {
            return Ok(());
        }
        write!(out, "{NAME}")?;
        self.line(&HEADING.map(str::to_owned), out)?;
        write!(out, "{NAME:#}")?;
        self.written = first.len();
        first.iter().try_for_each(|row| self.line(row, out))
    }

    fn line(&self, row: &[String; COLUMNS], out: &mut impl Write) -> std::io::Result<()> {
        let [others @ .., last] = row;
        for (column, (text, width)) in others.iter().zip(self.widths).enumerate() {
            if column == SOURCE && !self.has_sources {
                continue;
            }
            write!(out, "{text:<width$}  ")?;
        }
        writeln!(out, "{last}")
    }

    /// Writes what is left, and says how many rows there were.
    fn finish(mut self, out: &mut impl Write) -> std::io::Result<usize> {
        self.write_first(out)?;
        Ok(self.written)
    }
}

fn until(info: &ClientInfo) -> String {
    match info.until {
        Some(until) => local_time(until),
        None => format!("the end of {}", count(info.sessions, "open session")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(n: u32, user: &str) -> ClientInfo {
        ClientInfo {
            client: std::net::IpAddr::from(n.to_be_bytes()).into(),
            user: Some(user.to_owned()),
            server: "dovecot".to_owned(),
            since: jiff::Timestamp::UNIX_EPOCH,
            last_login: None,
            until: None,
            sessions: 2,
            source: None,
        }
    }

    fn table(
        longest_user: Option<usize>,
        rows: impl Iterator<Item = ClientInfo>,
    ) -> (usize, String) {
        let mut table = Table::new(longest_user);
        let mut out = Vec::new();
        rows.for_each(|row| table.row(&row, &mut out).unwrap());
        let written = table.finish(&mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        (written, anstream::adapter::strip_str(&text).to_string())
    }

    #[test]
    fn columns_are_as_wide_as_they_need() {
        let (written, text) = table(
            None,
            [info(0xC000_0201, "alice"), info(0xC633_6440, "b\n")].into_iter(),
        );
        assert_eq!(written, 2);
        assert_eq!(
            text,
            "CLIENT         USER    SERVER   LAST LOGIN  MAY RELAY UNTIL\n\
             192.0.2.1      alice   dovecot  -           the end of 2 open sessions\n\
             198.51.100.64  b\\u{a}  dovecot  -           the end of 2 open sessions\n"
        );
        assert_eq!(table(None, std::iter::empty()), (0, String::new()));
        let of_store = ClientInfo {
            source: Some("store1".to_owned()),
            ..info(0xC000_0201, "alice")
        };
        let by_hand = info(0xC000_0202, "bob");
        assert_eq!(
            table(None, [of_store, by_hand].into_iter()).1,
            "CLIENT     USER   SERVER   SOURCE  LAST LOGIN  MAY RELAY UNTIL\n\
             192.0.2.1  alice  dovecot  store1  -           the end of 2 open sessions\n\
             192.0.2.2  bob    dovecot  -       -           the end of 2 open sessions\n"
        );
    }

    #[test]
    fn a_terminal_gets_no_name_without_end() {
        let long = "u".repeat(500);
        let (_, cut) = table(Some(USER), [info(1, &long)].into_iter());
        assert!(cut.lines().all(|line| line.chars().count() < 100), "{cut}");
        let (_, whole) = table(None, [info(1, &long)].into_iter());
        assert!(whole.contains(&long));
    }

    #[test]
    fn many_rows_are_written_as_they_come() {
        let mut table = Table::new(None);
        let mut out = Vec::new();
        for n in 0..5000 {
            table.row(&info(n, "alice"), &mut out).unwrap();
            assert!(table.first.len() < MEASURED);
        }
        assert_eq!(table.finish(&mut out).unwrap(), 5000);
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text.lines().filter(|l| l.contains("alice")).count(), 5000);
    }
}
