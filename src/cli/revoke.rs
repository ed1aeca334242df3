//! `revoke`: takes clients off the whitelist.

use std::io::Write;
use std::process::ExitCode;

use clap::Args;

use super::{AskArgs, CommandResult, json};
use crate::control::Revoke;
use crate::control::client::Service;
use crate::diagnostics::{count, printable};
use crate::whitelist::Scope;

/// How many clients are named for eyes.
const NAMED: usize = 20;

/// Whom to take off.
#[derive(Debug, Args)]
pub struct RevokeArgs {
    #[command(flatten)]
    whom: Whom,
    #[command(flatten)]
    ask: AskArgs,
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Whom {
    /// A client's address, or a network with all clients in it
    #[arg(value_name = "ADDRESS|NETWORK")]
    network: Option<Scope>,
    /// The clients whose last login was this user's, by the name that the server logs
    #[arg(long, value_name = "NAME")]
    user: Option<String>,
    /// The clients whose last login was to this server; 'manual': those allowed by hand
    #[arg(long, value_name = "NAME")]
    server: Option<String>,
    /// All clients
    #[arg(long)]
    all: bool,
}

impl Whom {
    fn scope(&self) -> Scope {
        let user = self.user.clone().map(Scope::User);
        let server = self.server.clone().map(Scope::Server);
        // clap sees to it that there is one, and not two.
        let all = self.all.then_some(Scope::All);
        let one = self.network.clone().or(user).or(server).or(all);
        // Nobody has the name of nobody.
        one.unwrap_or_else(|| Scope::User(String::new()))
    }
}

/// Takes the clients off, and waits until Postfix knows.
pub fn run(args: &RevokeArgs, out: &mut impl Write) -> CommandResult {
    let scope = args.whom.scope();
    let mut service = Service::connect(&args.ask.socket)?;
    let revoked = service.call(&Revoke::from(scope.clone()))?;
    if args.ask.json {
        writeln!(out, "{:#}", json::of(&revoked)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let removed = count(revoked.removed, "client");
    let scope = printable(&scope.to_string());
    writeln!(out, "revoked {scope}: {removed} removed")?;
    for client in revoked.clients.iter().take(NAMED) {
        writeln!(out, "  {client}")?;
    }
    let more = revoked.removed.saturating_sub(NAMED);
    if more > 0 {
        writeln!(out, "  and {more} more")?;
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        args: RevokeArgs,
    }

    fn scope(words: &[&str]) -> Option<Scope> {
        let line = ["revoke"].iter().chain(words);
        let line = Line::try_parse_from(line).ok()?;
        Some(line.args.whom.scope())
    }

    #[test]
    fn everybody_is_never_meant_by_mistake() {
        assert_eq!(scope(&["--all"]), Some(Scope::All));
        assert_eq!(
            scope(&["192.0.2.0/24"]),
            Some("192.0.2.0/24".parse().unwrap())
        );
        assert_eq!(
            scope(&["--user", "tom", "--json"]),
            Some(Scope::User("tom".to_owned()))
        );
        for words in [
            &[][..],
            &["--json"],
            &["tom"],
            &["192.0.2.1", "192.0.2.2"],
            &["192.0.2.1", "--all"],
            &["--user", "tom", "--server", "dovecot"],
        ] {
            assert_eq!(scope(words), None, "{words:?}");
        }
    }
}
