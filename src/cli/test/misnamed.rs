//! Logins that a server has written under an identifier, or in a container, that is not known as its
//! own: they are in no entry that the service reads.

use std::collections::BTreeMap;
use std::io::Write;

use super::line::Line;
use super::{CommandError, Settings, Source, Teller, TestArgs};
use crate::diagnostics::count;
use crate::intake::{MisnamedLogins, Senders, is_an_engines, may_be_a_servers, misnamed};
use crate::journal::{Entry, Reader};

/// Looks through all entries of services that may be a server's, or through all where any sender is
/// believed, and shows the first login under each identifier, and in each container.
pub(super) fn tell<W: Write>(
    args: &TestArgs,
    source: &Source,
    settings: &Settings,
    teller: &mut Teller<'_, W>,
) -> Result<(), CommandError> {
    let recogniser = teller.recogniser.clone();
    let (senders, opened) = if args.any_sender {
        (Senders::Any, Some(Reader::open(source, [""; 0])?))
    } else {
        let is_one = |unit: &str| {
            recogniser.knows_unit(unit) || may_be_a_servers(unit) || is_an_engines(unit)
        };
        (Senders::Trusted, Reader::open_for_units(source, is_one)?)
    };
    let Some(mut reader) = opened else {
        return Ok(());
    };
    match args.since {
        Some(since) => reader.seek_time(since)?,
        None => reader.seek_head()?,
    }
    let mut logins = MisnamedLogins::default();
    let mut first = BTreeMap::new();
    let mut entry = Entry::default();
    while reader.next()? {
        reader.read(&mut entry)?;
        if args.until.is_some_and(|until| entry.time > until) {
            break;
        }
        let Some(login) = misnamed(&recogniser, &entry, senders) else {
            continue;
        };
        if logins.count(&login) == 1 {
            let line = Line {
                event: "missed",
                identifier: String::from_utf8_lossy(&entry.identifier).into_owned(),
                message: String::from_utf8_lossy(&entry.message).into_owned(),
                ..Line::at(entry.time)
            };
            let line = line.of(&login.server, login.client, &login.user, &login.session);
            first.insert((login.server, login.under), line);
        }
    }
    for (server, found) in logins.servers() {
        let remedy = found.remedy(server, settings.senders.get(&**server));
        for (under, number) in &found.under {
            teller.summary.count_missed(*number);
            let Some(line) = first.remove(&(server.clone(), under.clone())) else {
                continue;
            };
            let reason = format!(
                "{} of {server} under {under}, which is not known as its own; to have them read, if it is \
                 really {server}, put into /etc/pop-before-smtp/config.toml:\n{remedy}",
                count(*number, "login")
            );
            let line = Line {
                reason: Some(reason),
                ..line
            };
            line.write(teller.json, &mut teller.clock, teller.out)?;
        }
    }
    Ok(())
}
