//! Where the logins of late came from: from many clients, or all through one proxy that hides them.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::Host;
use super::point::Point;
use super::systemd::SERVICE;
use crate::client::Client;
use crate::daemon::{self, Plan};
use crate::diagnostics::count;
use crate::event::EventKind;
use crate::intake::{Intake, Senders, Taker};
use crate::journal::{Entry, JournalError, Reader};
use crate::servers::Unknown;

const POINT: &str = "logins";
/// How far back logins are looked at.
const BACK: SignedDuration = SignedDuration::from_hours(1);
/// How many entries are read at most: two seconds' worth.
const ENTRIES: usize = 500_000;
/// So many people do not share one address without something between them and the server.
const CROWD: usize = 5;

/// The users that logged in, by client.
type Logins = BTreeMap<Client, BTreeSet<String>>;

/// Looks and judges. Where the journal can't be read, another point says so.
pub fn points(host: &Host) -> Option<Point> {
    let plan = host.plan.as_ref().ok()?;
    let since = host.now.checked_sub(BACK).unwrap_or(Timestamp::MIN);
    let mut logins = read(plan, since).ok()?;
    // Nobody is let in from there, whoever logs in.
    let never = crate::networks::Networks::from(plan.settings.never.clone());
    logins.retain(|client, _| {
        let address = client.address();
        !never.contains(address) && !plan.rules.permitted.contains(address)
    });
    judge(&logins)
}

fn read(plan: &Plan, since: Timestamp) -> Result<Logins, JournalError> {
    let source = daemon::source(&plan.settings);
    let mut reader = Reader::open(&source, plan.recogniser.identifiers())?;
    reader.seek_time(since)?;
    let mut taker = Taker::new(plan.recogniser.clone(), Senders::Trusted, Unknown::Drop);
    let mut entry = Entry::default();
    let mut logins = Logins::new();
    for _ in 0..ENTRIES {
        if !reader.next()? {
            break;
        }
        reader.read(&mut entry)?;
        if let Intake::Event(event) = taker.take(&entry)
            && let EventKind::Login { client, user, .. } = event.kind
        {
            logins.entry(client).or_default().extend(user);
        }
    }
    Ok(logins)
}

fn judge(logins: &Logins) -> Option<Point> {
    if logins.is_empty() {
        return None;
    }
    let clients = count(logins.len(), "client");
    match logins.first_key_value() {
        Some((client, users)) if logins.len() == 1 && users.len() >= CROWD => Some(
            Point::notice(
                POINT,
                format!(
                    "{} have logged in within an hour, all from {client}: if that is a proxy or a \
                     web mail server, a login lets in everybody behind it",
                    count(users.len(), "user")
                ),
            )
            .mend(format!(
                "# If {client} is not one person's: have the proxy pass the clients' addresses on \
                 (PROXY protocol),\n# and in any case add \"{client}\" to never in \
                 /etc/pop-before-smtp/config.toml; then:\n# systemctl reload {SERVICE}"
            )),
        ),
        _ => Some(Point::ok(POINT, format!("from {clients} within an hour"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::point::Verdict;

    fn logins(all: &[(&str, &[&str])]) -> Logins {
        let users = |users: &[&str]| users.iter().map(ToString::to_string).collect();
        let all = all.iter();
        all.map(|(client, names)| (client.parse().unwrap(), users(names)))
            .collect()
    }

    #[test]
    fn a_crowd_behind_one_address_is_told_of() {
        let crowd: &[&str] = &["a", "b", "c", "d", "e"];
        let verdict = |all: &[(&str, &[&str])]| judge(&logins(all)).map(|point| point.verdict);
        assert_eq!(verdict(&[]), None);
        assert_eq!(verdict(&[("192.0.2.1", crowd)]), Some(Verdict::Notice));
        assert_eq!(verdict(&[("192.0.2.1", &crowd[1..])]), Some(Verdict::Ok));
        let two = [("192.0.2.1", crowd), ("::1", &crowd[..1])];
        assert_eq!(verdict(&two), Some(Verdict::Ok));
    }
}
