//! `complete`: what shells offer on a command line: servers, stores, listed clients and users.
//!
//! It is run at each press of a key: it is quick, starts no stopped service, and is silent about whatever
//! fails. Users' names are strangers' texts: must print none that a shell would take for more than a word.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, ValueEnum};

use super::{CommandError, running, store};
use crate::config;
use crate::control;
use crate::control::client::{AskError, Service};
use crate::control::protocol::Filter;
use crate::servers::Catalogue;

/// How long the service may take for each answer.
const PATIENCE: Duration = Duration::from_secs(1);
/// How many are offered: more are for nobody's eyes.
const MOST: usize = 500;

/// The name of the command. It is for shells: neither the help nor the completions have it.
const NAME: &str = "complete";

/// What is asked for.
#[derive(Debug, Parser)]
struct CompleteArgs {
    what: What,
    /// How it begins
    #[arg(default_value = "", allow_hyphen_values = true)]
    begin: String,
    /// The service's control socket
    #[arg(long, value_name = "PATH", default_value = control::SOCKET)]
    socket: PathBuf,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum What {
    /// The names of the definitions.
    Servers,
    /// What `list --source` takes.
    Sources,
    Stores,
    /// The addresses that are listed.
    Clients,
    /// The users whose logins list them.
    Users,
}

/// Answers a shell that asks; `None` if none does.
pub fn answer() -> Option<ExitCode> {
    let mut arguments = std::env::args_os().skip(1).peekable();
    if arguments.peek()? != NAME {
        return None;
    }
    if let Ok(args) = CompleteArgs::try_parse_from(arguments) {
        // A shell that is gone needs no answer.
        let _ = print(&args, &mut io::stdout().lock());
    }
    Some(ExitCode::SUCCESS)
}

/// Prints them, one a line.
fn print(args: &CompleteArgs, out: &mut impl Write) -> io::Result<()> {
    let mut found = match args.what {
        What::Servers => servers(),
        What::Sources => sources(),
        What::Stores => store::names().unwrap_or_default(),
        What::Clients | What::Users => listed(args),
    };
    found.retain(|value| value.starts_with(&args.begin) && is_a_plain_word(value));
    found.sort();
    found.dedup();
    for value in found.iter().take(MOST) {
        writeln!(out, "{value}")?;
    }
    out.flush()
}

fn servers() -> Vec<String> {
    let Ok(loaded) = config::load(None) else {
        return Vec::new();
    };
    let catalogue = Catalogue::read(&loaded.settings.servers_directory);
    let definitions = catalogue.definitions.iter();
    definitions
        .map(|loaded| loaded.definition.name.to_string())
        .collect()
}

fn sources() -> Vec<String> {
    let Ok(loaded) = config::load(None) else {
        return Vec::new();
    };
    let sources = loaded.settings.sources.into_keys();
    sources.chain(["journal".to_owned()]).collect()
}

/// Of those that are listed, what is asked for, as far as there is time for it.
fn listed(args: &CompleteArgs) -> Vec<String> {
    if args.socket == Path::new(control::SOCKET) && !running::service_runs() {
        return Vec::new();
    }
    let mut found = Vec::new();
    let asked = Service::connect_for(&args.socket, PATIENCE).map_err(CommandError::Ask);
    // What has come before it failed is right all the same.
    let _ = asked.and_then(|mut service| {
        service.clients(&Filter::default(), |client| {
            let value = match args.what {
                What::Users => client.user,
                _ => Some(client.client.to_string()),
            };
            let value = value.filter(|value| value.starts_with(&args.begin));
            found.extend(value.filter(|value| is_a_plain_word(value)));
            if found.len() >= MOST * 20 {
                return Err(CommandError::Ask(AskError::Nonsense(
                    "more than enough".to_owned(),
                )));
            }
            Ok(())
        })
    });
    found
}

/// Whether every shell takes it for a word, wherever it stands, and nothing else.
fn is_a_plain_word(value: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || ".:_@+-".contains(c);
    let may_begin = |c: char| c.is_ascii_alphanumeric() || c == ':';
    value.starts_with(may_begin) && value.chars().all(is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_shell_could_take_for_more_than_a_word_is_not_offered() {
        for value in [
            "tom",
            "tom.m+x@mail-1.example",
            "192.0.2.10",
            "2001:db8::1",
            "::1",
            "a_b",
        ] {
            assert!(is_a_plain_word(value), "{value}");
        }
        for value in [
            "",
            "-rf",
            "--all",
            "~root",
            "a b",
            "a\nb",
            "a\tb",
            "$(reboot)",
            "`reboot`",
            "a;b",
            "a|b",
            "a&b",
            "a>b",
            "a'b",
            "a\"b",
            "a\\b",
            "a*b",
            "a?b",
            "[ab]",
            "{a,b}",
            "!!",
            "#a",
            "a=b",
            "%1",
            "a/b",
            "\u{1b}[2J",
            "é",
            "a\u{202e}b",
        ] {
            assert!(!is_a_plain_word(value), "{value}");
        }
    }
}
