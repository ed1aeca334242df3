//! Where the logins of late came from: from many clients, or all through one proxy that hides them.

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use super::Installation;
use super::gateways::Gateways;
use super::point::{Point, notice, or_ok};
use super::systemd::RELOAD;
use crate::client::Client;
use crate::daemon::{NamedSource, Plan, crowd};
use crate::diagnostics::count;
use crate::event::EventKind;
use crate::intake::{Intake, Senders, wanted};
use crate::journal::{Entry, JournalError, Reader};
use crate::networks::Networks;
use crate::servers::Unknown;

/// How far back logins are looked at.
const BACK: SignedDuration = SignedDuration::from_hours(1);
/// How many entries are read at most: two seconds' worth.
const ENTRIES: usize = 500_000;
/// How many addresses are told of.
const TOLD: usize = 5;

/// The users that logged in, by client.
type Logins = BTreeMap<Client, BTreeSet<String>>;

/// Do many come from one address? Where the journal can't be read, another point says so.
pub fn logins(host: &Installation) -> Option<Vec<Point>> {
    let plan = host.plan()?;
    let since = host.now.checked_sub(BACK).unwrap_or(Timestamp::MIN);
    let mut logins = Logins::new();
    let mut any_read = false;
    for source in &plan.sources {
        any_read |= read(plan, source, since, &mut logins).is_ok();
    }
    if !any_read {
        return None;
    }
    // Nobody is let in from there, whoever logs in.
    let never = Networks::from(plan.settings.never.clone());
    logins.retain(|client, _| {
        let address = client.address();
        !never.contains(address) && !plan.rules.permitted.contains(address)
    });
    // What other hosts have for addresses can't be seen here.
    let gateways = if plan.sources.iter().any(NamedSource::is_of_this_host) {
        Gateways::look()
    } else {
        Gateways::default()
    };
    Some(judge(&logins, &gateways))
}

fn read(
    plan: &Plan,
    source: &NamedSource,
    since: Timestamp,
    logins: &mut Logins,
) -> Result<(), JournalError> {
    let mut reader = Reader::open(&source.journal, wanted(&plan.recogniser))?;
    reader.seek_time(since)?;
    let mut taker = source.taker(&plan.recogniser, Senders::Trusted, Unknown::Drop);
    let mut entry = Entry::default();
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
    Ok(())
}

fn judge(logins: &Logins, gateways: &Gateways) -> Vec<Point> {
    if logins.is_empty() {
        return Vec::new();
    }
    let suspicious = |(client, users): (&Client, &BTreeSet<String>)| {
        let from = if let Some(what) = gateways.what(*client) {
            format!(" from {client}, which is {what}")
        } else if logins.len() == 1 && users.len() >= crowd(*client) {
            format!(", all from {client}")
        } else {
            return None;
        };
        let finding = format!(
            "{} logged in within an hour{from}: if that is a bridge, a proxy or a webmail server, \
             a login lets in everybody behind it",
            count(users.len(), "user")
        );
        Some(notice(finding).mend(format!(
            "# If {client} is not one person's: have the clients' addresses passed on (PROXY protocol;\n\
             # in Dovecot: haproxy = yes), and in any case add \"{client}\" to never in\n\
             # /etc/pop-before-smtp/config.toml; then:\n# {RELOAD}"
        )))
    };
    let points = logins.iter().filter_map(suspicious).take(TOLD);
    let clients = count(logins.len(), "client");
    or_ok(points, format!("from {clients} within an hour"))
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
        let judged = |all: &[(&str, &[&str])]| judge(&logins(all), &Gateways::default());
        let verdict = |all: &[(&str, &[&str])]| judged(all)[0].verdict;
        assert!(judged(&[]).is_empty());
        assert_eq!(verdict(&[("192.0.2.1", crowd)]), Verdict::Notice);
        assert_eq!(verdict(&[("192.0.2.1", &crowd[1..])]), Verdict::Ok);
        assert_eq!(verdict(&[("10.0.0.5", &crowd[1..])]), Verdict::Ok);
        // Bridges have such addresses.
        assert_eq!(verdict(&[("172.17.0.1", &crowd[2..])]), Verdict::Notice);
        let two = [("192.0.2.1", crowd), ("::1", &crowd[..1])];
        assert_eq!(verdict(&two), Verdict::Ok);
    }

    #[test]
    fn whoever_comes_through_the_host_itself_is_told_of() {
        let gateways = Gateways::with_own("10.88.0.3");
        let all = logins(&[("192.0.2.7", &["a"]), ("10.88.0.3", &["b"])]);
        let points = judge(&all, &gateways);
        assert_eq!(points.len(), 1);
        assert_eq!(points[0].verdict, Verdict::Notice);
        assert!(points[0].finding.contains("this host itself"), "{points:?}");
        let mend = points[0].mend.as_ref().unwrap();
        assert!(mend.contains("add \"10.88.0.3\" to never"), "{mend}");
    }
}
