//! Servers that write under an identifier, or in a container, which nobody has named: their logins are not
//! even read.

use jiff::Timestamp;

use super::Installation;
use super::installation::read_back;
use super::point::{Point, as_comment, notice, or_ok};
use super::systemd::RELOAD;
use crate::config::Settings;
use crate::daemon::{NamedSource, Plan};
use crate::diagnostics::{count, printable};
use crate::intake::{Found, MisnamedLogins, Senders, is_an_engines, may_be_a_servers, misnamed};
use crate::journal::{JournalError, Reader};

/// How many entries of servers' units are looked at, from the last one back: a second's worth.
const ENTRIES: usize = 100_000;

/// Do servers write under others? Where the journal can't be read, or the configuration is wrong,
/// another point says so.
pub fn identifiers(host: &Installation) -> Option<Vec<Point>> {
    let plan = host.plan()?;
    let mut logins = MisnamedLogins::default();
    let mut any_read = false;
    for source in &plan.sources {
        any_read |= read(plan, source, host.lately(), &mut logins).is_ok();
    }
    any_read.then(|| judge(&logins, &plan.settings))
}

fn read(
    plan: &Plan,
    source: &NamedSource,
    since: Timestamp,
    logins: &mut MisnamedLogins,
) -> Result<(), JournalError> {
    let recogniser = &plan.recogniser;
    let is_known = |unit: &str| recogniser.knows_unit(unit);
    let is_unknown = |unit: &str| !recogniser.knows_unit(unit) && may_be_a_servers(unit);
    // Apart: services that write much must not leave the servers' own unread.
    let of_units = [
        Reader::open_for_units(&source.journal, is_known)?,
        Reader::open_for_units(&source.journal, is_unknown)?,
        Reader::open_for_units(&source.journal, is_an_engines)?,
    ];
    for mut reader in of_units.into_iter().flatten() {
        read_back(&mut reader, since, ENTRIES, |entry| {
            if let Some(login) = misnamed(recogniser, entry, Senders::Trusted) {
                logins.count(&login);
            }
            true
        })?;
    }
    Ok(())
}

fn judge(logins: &MisnamedLogins, settings: &Settings) -> Vec<Point> {
    let point = |(server, found): (&str, &Found)| {
        let names = found
            .under
            .keys()
            .map(|under| printable(&under.to_string()));
        let finding = format!(
            "{server} has written {} within a day under what is not known as its own: {}. They do not \
             count",
            count(found.under.values().sum::<usize>(), "login"),
            names.collect::<Vec<_>>().join(", ")
        );
        let remedy = as_comment(&found.remedy(server, settings.senders.get(server)));
        let only_if = match found.units.is_empty() {
            true => "Add",
            false => "Only if it was the server itself, add",
        };
        notice(finding).mend(format!(
            "# {only_if} to /etc/pop-before-smtp/config.toml:\n{remedy}# and then: {RELOAD}"
        ))
    };
    let servers = logins.servers();
    let points = servers.map(|(server, found)| point((&**server, found)));
    or_ok(points, "servers write under those that are known as theirs")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::point::Verdict;
    use crate::intake::{Misnamed, Unnamed};

    #[test]
    fn what_has_such_logins_read_is_told() {
        let loaded = crate::config::load_directory(std::path::Path::new("/nonexistent"), None);
        let mut settings = loaded.unwrap().settings;
        let mut logins = MisnamedLogins::default();
        assert_eq!(judge(&logins, &settings)[0].verdict, Verdict::Ok);
        for identifier in ["dovecot-proxy", "dovecot-proxy", "two"] {
            logins.count(&Misnamed {
                server: "dovecot".into(),
                under: Unnamed::Identifier(identifier.to_owned()),
                unit: None,
                client: None,
                user: None,
                session: None,
            });
        }
        let added = crate::config::Senders {
            identifiers: vec!["one".to_owned()],
            ..Default::default()
        };
        settings.senders.insert("dovecot".to_owned(), added);
        let points = judge(&logins, &settings);
        assert_eq!((points.len(), points[0].verdict), (1, Verdict::Notice));
        let finding = &points[0].finding;
        assert!(
            finding.ends_with(
                "its own: the identifier dovecot-proxy, the identifier two. They do not count"
            ),
            "{finding}"
        );
        let mend = points[0].mend.as_ref().unwrap();
        let lines =
            "#   [senders.dovecot]\n#   identifiers = [\"dovecot-proxy\", \"one\", \"two\"]\n";
        assert!(mend.contains(lines), "{mend}");
        assert!(mend.lines().all(|line| line.starts_with('#')), "{mend}");
    }
}
