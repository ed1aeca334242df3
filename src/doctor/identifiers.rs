//! Servers that write under an identifier which nobody has named: their logins are not even read.

use super::point::Point;
use super::systemd::SERVICE;
use super::{Host, LATELY};
use crate::config::Settings;
use crate::daemon::{self, Plan};
use crate::diagnostics::{count, printable};
use crate::intake::{MisnamedLogins, Senders, misnamed};
use crate::journal::{Entry, JournalError, Reader};

use jiff::Timestamp;

const POINT: &str = "identifiers";
/// How many entries of servers' units are looked at, from the last one back: a second's worth.
const ENTRIES: usize = 100_000;

/// Looks and judges. Where the journal can't be read, or the configuration is wrong, another point
/// says so.
pub fn points(host: &Host) -> Vec<Point> {
    let Ok(plan) = &host.plan else {
        return Vec::new();
    };
    let since = host.now.checked_sub(LATELY).unwrap_or(Timestamp::MIN);
    match read(plan, since) {
        Ok(logins) => judge(&logins, &plan.settings),
        Err(_) => Vec::new(),
    }
}

fn read(plan: &Plan, since: Timestamp) -> Result<MisnamedLogins, JournalError> {
    let source = daemon::source(&plan.settings);
    let recogniser = &plan.recogniser;
    let mut logins = MisnamedLogins::default();
    let opened = Reader::open_for_units(&source, |unit| recogniser.knows_unit(unit))?;
    let Some(mut reader) = opened else {
        return Ok(logins);
    };
    reader.seek_end()?;
    let mut entry = Entry::default();
    for _ in 0..ENTRIES {
        if !reader.previous()? || reader.time()? < since {
            break;
        }
        reader.read(&mut entry)?;
        if let Some(login) = misnamed(recogniser, &entry, Senders::Trusted) {
            logins.count(&login);
        }
    }
    Ok(logins)
}

fn judge(logins: &MisnamedLogins, settings: &Settings) -> Vec<Point> {
    let point = |(server, identifiers): (&_, &std::collections::BTreeMap<String, usize>)| {
        let server: &str = server;
        let names: Vec<String> = identifiers.keys().map(|name| printable(name)).collect();
        let finding = format!(
            "{server} has written {} within a day under {}, which is not known as its own: they do \
             not count",
            count(identifiers.values().sum(), "login"),
            names.join(", ")
        );
        let configured = settings.senders.get(server);
        let known = configured.map_or(&[][..], |senders| &senders.identifiers);
        let remedy = printable(&logins.remedy(server, known)).replace("] identi", "]\n#   identi");
        Point::notice(POINT, finding).mend(format!(
            "# Add to /etc/pop-before-smtp/config.toml:\n#   {remedy}\n\
             # and then: systemctl reload {SERVICE}"
        ))
    };
    let points: Vec<Point> = logins
        .servers()
        .map(|(server, found)| point((&**server, found)))
        .collect();
    if points.is_empty() {
        return vec![Point::ok(
            POINT,
            "servers write under those that are known as theirs",
        )];
    }
    points
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::point::Verdict;
    use crate::intake::Misnamed;

    #[test]
    fn what_has_such_logins_read_is_told() {
        let loaded = crate::config::load_directory(std::path::Path::new("/nonexistent"), None);
        let mut settings = loaded.unwrap().settings;
        let mut logins = MisnamedLogins::default();
        assert_eq!(judge(&logins, &settings)[0].verdict, Verdict::Ok);
        for identifier in ["dovecot-proxy", "dovecot-proxy", "two"] {
            logins.count(&Misnamed {
                server: "dovecot".into(),
                identifier: identifier.to_owned(),
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
            finding.contains("3 logins within a day under dovecot-proxy, two"),
            "{finding}"
        );
        let mend = points[0].mend.as_ref().unwrap();
        let lines =
            "#   [senders.dovecot]\n#   identifiers = [\"dovecot-proxy\", \"one\", \"two\"]\n";
        assert!(mend.contains(lines), "{mend}");
        assert!(mend.lines().all(|line| line.starts_with('#')), "{mend}");
    }
}
