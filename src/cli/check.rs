//! `check`: whether a client may relay, and why.

use std::io::Write;
use std::path::Path;

use anstyle::Style;
use clap::Args;
use jiff::Timestamp;
use serde::Serialize;

use super::layout::{ASIDE, BAD, GOOD, NAME, ODD, Rows, terminal_width};
use super::past::{self, About, Item};
use super::{AskArgs, CommandError, CommandResult, exit, json};
use crate::client::Client;
use crate::config::{self, Settings};
use crate::control::client::Service;
use crate::control::protocol::MapStatus;
use crate::control::{Check, Checked, GrantInfo};
use crate::diagnostics::{count, local_time, name_of, printable};
use crate::postfix::access_map::AccessMap;

/// How many of the service's messages are shown.
const MESSAGES: usize = 5;
/// How many of the entries that were refused.
const REFUSED: usize = 3;

/// Which client.
#[derive(Debug, Args)]
pub struct CheckArgs {
    /// The client's address
    #[arg(value_name = "ADDRESS")]
    client: Client,
    #[command(flatten)]
    ask: AskArgs,
}

/// What is shown: what the service says, and what can be seen beside it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Findings {
    client: Client,
    #[serde(flatten)]
    checked: Checked,
    /// What the access map says of the client.
    map_value: Option<String>,
    /// Why nobody knows.
    map_trouble: Option<String>,
    /// What the journal says of the client.
    journal: Vec<Item>,
    /// Why nobody knows.
    journal_trouble: Option<String>,
}

/// Prints the verdict. Fails if the client may not relay.
pub fn run(config: Option<&Path>, args: &CheckArgs, out: &mut impl Write) -> CommandResult {
    let client = args.client;
    let checked = Service::connect(&args.ask.socket)?.call(&Check { client })?;
    let may_relay = checked.may_relay;
    let (map_value, map_trouble) = match checked.map.as_ref().map(|map| look_up(map, client)) {
        Some(Err(trouble)) => (None, Some(trouble)),
        Some(Ok(value)) => (value, None),
        None => (None, None),
    };
    let (journal, journal_trouble) = match journal(config, client) {
        Ok(items) => (items, None),
        Err(error) => (Vec::new(), Some(error.to_string())),
    };
    let findings = Findings {
        client,
        checked,
        map_value,
        map_trouble,
        journal,
        journal_trouble,
    };
    if args.ask.json {
        writeln!(out, "{:#}", json::of(&findings)?)?;
    } else {
        show(&findings, terminal_width(), out)?;
    }
    Ok(exit::answer(may_relay))
}

/// What Postfix finds in the access map.
fn look_up(map: &MapStatus, client: Client) -> Result<Option<String>, String> {
    let kind = map.kind.parse();
    let kind = kind.map_err(|()| format!("{} is no type of map", map.kind))?;
    // Its value is not needed to look something up.
    AccessMap::new(&map.path, kind, "")
        .look_up(client)
        .map_err(|error| error.to_string())
}

/// What the service said of the client last, and who was refused for it within the last grace.
fn journal(config: Option<&Path>, client: Client) -> Result<Vec<Item>, CommandError> {
    let about = About::Client(client);
    let mut items = past::last_messages(&about, MESSAGES)?;
    let settings: Settings = config::load(config)?.settings;
    let now = Timestamp::now();
    let since = now.checked_sub(settings.grace).unwrap_or(now);
    let mut refused = Vec::new();
    past::tell_of_servers(&settings, &about, since, now, |item| {
        if item.event == "refused" {
            refused.push(item);
        }
        if refused.len() > REFUSED {
            refused.remove(0);
        }
        Ok(())
    })?;
    items.extend(refused);
    items.sort_by_key(|item| item.time);
    Ok(items)
}

fn show(
    findings: &Findings,
    width: Option<usize>,
    out: &mut impl Write,
) -> Result<(), CommandError> {
    let Findings {
        client, checked, ..
    } = findings;
    let (style, verdict) = if checked.may_relay {
        (GOOD, "may relay")
    } else {
        (BAD, "may not relay")
    };
    let reason = printable(&checked.reason);
    writeln!(
        out,
        "{NAME}{client}{NAME:#} {style}{verdict}{style:#}: {reason}"
    )?;
    let rows = Rows::new(13, width);
    let plain = Style::new();
    if let Some(listing) = &checked.listing {
        rows.row(out, "Listed since", plain, &local_time(listing.since))?;
        if let Some(time) = listing.last_login {
            let user = name_of(listing.user.as_deref());
            let login = format!("{}, {user} to {}", local_time(time), listing.server);
            rows.row(out, "Last login", plain, &login)?;
        }
        let until = match listing.until {
            Some(until) => local_time(until),
            None => {
                let sessions = count(listing.sessions, "open session");
                format!("the end of {sessions}, and for a grace from then on")
            }
        };
        rows.row(out, "Until", plain, &until)?;
    }
    if let Some(grant) = &checked.grant {
        rows.row(out, "By hand", plain, &by_hand(grant))?;
    }
    if let Some(map) = &checked.map {
        let (style, text) = access_map(findings);
        let text = format!("{text} ({}:{})", map.kind, map.path);
        rows.row(out, "Access map", style, &text)?;
    }
    if let Some(trouble) = &findings.journal_trouble {
        rows.row(out, "Journal", ODD, &printable(trouble))?;
    }
    for (n, item) in findings.journal.iter().enumerate() {
        let name = if n == 0 { "Journal" } else { "" };
        let text = format!("{}  {}", local_time(item.time), printable(&item.text));
        rows.row(out, name, ASIDE, &text)?;
    }
    Ok(())
}

fn by_hand(grant: &GrantInfo) -> String {
    let note = grant.note.as_deref().map(printable);
    format!(
        "since {}, until {}, by uid {}{}",
        local_time(grant.since),
        local_time(grant.until),
        grant.by,
        note.map(|note| format!(": {note}")).unwrap_or_default()
    )
}

/// Whether the map says the same as the service.
fn access_map(findings: &Findings) -> (Style, String) {
    let Findings {
        client, checked, ..
    } = findings;
    if let Some(trouble) = &findings.map_trouble {
        return (ODD, format!("can't be read: {}", printable(trouble)));
    }
    let listed = checked
        .listing
        .as_ref()
        .is_some_and(|l| l.client == *client);
    let plain = Style::new();
    match (&findings.map_value, listed) {
        (Some(value), true) => (plain, format!("lists it: {}", printable(value))),
        (None, false) => (plain, "does not list it".to_owned()),
        (Some(_), false) => (BAD, "STILL lists it".to_owned()),
        (None, true) => (ODD, "does not list it yet".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::protocol::ClientInfo;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).unwrap()
    }

    fn listed() -> Findings {
        let client: Client = "192.0.2.10".parse().unwrap();
        Findings {
            client,
            checked: Checked {
                may_relay: true,
                reason: "to\u{1b}m has logged in to dovecot".to_owned(),
                listing: Some(ClientInfo {
                    client,
                    user: Some("to\u{1b}m".to_owned()),
                    server: "dovecot".to_owned(),
                    since: at(0),
                    last_login: Some(at(60)),
                    until: Some(at(1860)),
                    sessions: 0,
                    source: None,
                }),
                grant: Some(GrantInfo {
                    since: at(0),
                    until: at(600),
                    by: 0,
                    note: Some("a\nnote".to_owned()),
                }),
                map: Some(MapStatus {
                    path: "/map".to_owned(),
                    kind: "lmdb".to_owned(),
                }),
            },
            map_value: Some("OK".to_owned()),
            map_trouble: None,
            journal: vec![Item {
                time: at(0),
                event: "listed",
                client: None,
                user: None,
                server: None,
                source: None,
                text: "added\u{7}".to_owned(),
            }],
            journal_trouble: None,
        }
    }

    fn shown(findings: &Findings) -> String {
        let mut out = anstream::StripStream::new(Vec::new());
        show(findings, None, &mut out).unwrap();
        String::from_utf8(out.into_inner()).unwrap()
    }

    #[test]
    fn nothing_of_strangers_reaches_a_terminal_as_it_is() {
        let text = shown(&listed());
        let time = |second| local_time(at(second));
        let expected = [
            "192.0.2.10 may relay: to\\u{1b}m has logged in to dovecot".to_owned(),
            format!(" Listed since: {}", time(0)),
            format!("   Last login: {}, to\\u{{1b}}m to dovecot", time(60)),
            format!("        Until: {}", time(1860)),
            format!(
                "      By hand: since {}, until {}, by uid 0: a\\u{{a}}note",
                time(0),
                time(600)
            ),
            "   Access map: lists it: OK (lmdb:/map)".to_owned(),
            format!("      Journal: {}  added\\u{{7}}", time(0)),
        ];
        assert_eq!(text.lines().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn a_map_that_disagrees_is_shown() {
        let other = |value: Option<&str>, listed_too: bool, trouble: Option<&str>| {
            let mut findings = listed();
            findings.map_value = value.map(str::to_owned);
            findings.map_trouble = trouble.map(str::to_owned);
            if !listed_too {
                findings.checked.listing = None;
            }
            access_map(&findings).1
        };
        assert_eq!(other(None, true, None), "does not list it yet");
        assert_eq!(other(None, false, None), "does not list it");
        assert_eq!(other(Some("OK"), false, None), "STILL lists it");
        assert_eq!(other(None, true, Some("no map")), "can't be read: no map");
    }

    #[test]
    fn programs_get_it_all() {
        let value = json::of(&listed()).unwrap();
        assert_eq!(value["may-relay"], true);
        assert_eq!(value["client"], "192.0.2.10");
        assert_eq!(value["listing"]["last-login"], at(60).to_string());
        assert_eq!(value["grant"]["note"], "a\nnote");
        assert_eq!(value["map-value"], "OK");
        assert_eq!(value["journal"][0]["event"], "listed");
    }
}
