//! Servers and their definitions: who writes, who is listened to, and who is turned away.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::point::Point;
use super::systemd::{self, SERVICE};
use super::{Host, LATELY};
use crate::config::Settings;
use crate::daemon;
use crate::diagnostics::{count, local_time, message_id, printable};
use crate::intake::NO_REMEDY;
use crate::journal::reports::{Report, reports};
use crate::journal::{self, Source};
use crate::servers::{BUILT_IN, Catalogue, identifiers};

/// More reports of refused entries than the service writes in a day.
const REPORTS: usize = 10_000;

/// A definition, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Server {
    name: String,
    identifiers: Vec<String>,
    on: bool,
}

/// Looks and judges.
pub fn points(host: &Host) -> Vec<Point> {
    // Without a configuration, another point says so.
    let Some(settings) = host.settings() else {
        return Vec::new();
    };
    let catalogue = Catalogue::read(&settings.servers_directory);
    let servers: Vec<Server> = (catalogue.definitions.iter())
        .map(|loaded| Server {
            name: loaded.definition.name.clone(),
            identifiers: (identifiers(&loaded.definition, &settings.senders).into_iter())
                .map(str::to_owned)
                .collect(),
            on: settings.servers.contains(&loaded.definition.name),
        })
        .collect();
    let since = host.now.checked_sub(LATELY).unwrap_or(Timestamp::MIN);
    let source = daemon::source(settings);
    let names = servers.iter().flat_map(|server| &server.identifiers);
    let mut points = Vec::new();
    // Where the journal can't be read, another point says so.
    if let Ok(Some(seen)) = journal::seen(&source, names.map(String::as_str), since) {
        points.extend(writing(&servers, &seen, is_chosen(settings)));
    }
    points.extend(trusted(host, settings));
    let fields = [
        ("MESSAGE_ID", message_id::ENTRY_REFUSED),
        ("_SYSTEMD_UNIT", SERVICE),
    ];
    if let Ok(reports) = reports(&Source::Host, &fields, since, REPORTS) {
        points.extend(refused(&reports));
    }
    points
}

/// Whether somebody has named the servers that are on.
fn is_chosen(settings: &Settings) -> bool {
    let on: BTreeSet<&str> = settings.servers.iter().map(String::as_str).collect();
    on != BUILT_IN.iter().map(|(name, _)| *name).collect()
}

/// Who has written lately, and who has not.
fn writing(servers: &[Server], seen: &BTreeSet<String>, chosen: bool) -> Vec<Point> {
    const POINT: &str = "servers";
    let writes = |server: &&Server| server.identifiers.iter().any(|i| seen.contains(i));
    let names = |servers: &[&Server]| {
        let names: Vec<&str> = servers.iter().map(|server| &*server.name).collect();
        names.join(", ")
    };
    let on = || servers.iter().filter(|server| server.on);
    let heard: Vec<&Server> = on().filter(writes).collect();
    let silent: Vec<&Server> = on().filter(|server| !writes(server)).collect();
    let mut points = vec![if heard.is_empty() {
        Point::notice(
            POINT,
            "no server that is on has written to the journal within a day",
        )
        .mend("# Does the server log to syslog, or to a file? Its lines belong into the journal.")
    } else if chosen && !silent.is_empty() {
        let finding = format!(
            "{} writes to the journal; on, but silent within a day: {}",
            names(&heard),
            names(&silent)
        );
        Point::notice(POINT, finding)
    } else {
        Point::ok(POINT, format!("{} writes to the journal", names(&heard)))
    }];
    // Several definitions share identifiers: who has one that nobody listens to?
    let heeded: BTreeSet<&String> = on().flat_map(|server| &server.identifiers).collect();
    let unheard: Vec<&Server> = servers
        .iter()
        .filter(|server| !server.on)
        .filter(|server| {
            let mut identifiers = server.identifiers.iter();
            identifiers.any(|i| seen.contains(i) && !heeded.contains(i))
        })
        .collect();
    if !unheard.is_empty() {
        let names: Vec<String> = on()
            .chain(unheard.iter().copied())
            .map(|server| format!("\"{}\"", server.name))
            .collect();
        let finding = format!(
            "something writes as {} does, which is not on: its logins do not count",
            unheard
                .iter()
                .map(|server| &*server.name)
                .collect::<Vec<_>>()
                .join(", ")
        );
        points.push(Point::notice("servers-off", finding).mend(format!(
            "# If its logins should count:\n\
             printf 'servers = [{}]\\n' >/etc/pop-before-smtp/config.d/90-servers.toml\n\
             systemctl reload {SERVICE}",
            names.join(", ")
        )));
    }
    points
}

/// Whom the configuration trusts beside the definitions: are they there?
fn trusted(host: &Host, settings: &Settings) -> Vec<Point> {
    let mut points = Vec::new();
    for (server, senders) in &settings.senders {
        let users = senders.users.iter().filter(|user| {
            user.parse::<u32>().is_err() && uzers::get_user_by_name(user.as_str()).is_none()
        });
        points.extend(users.map(|user| absent(server, "users", user)));
        let named: Vec<&str> = (senders.units.iter().map(String::as_str))
            .filter(|unit| !unit.contains('*'))
            .collect();
        if named.is_empty() {
            continue;
        }
        let Ok(found) = systemd::show(&host.programs, &named) else {
            continue;
        };
        let missing = found.iter().filter(|unit| !unit.is_there());
        points.extend(missing.map(|unit| absent(server, "units", unit.id())));
    }
    points
}

fn absent(server: &str, key: &str, who: &str) -> Point {
    let finding = format!(
        "senders.{server}.{key} trusts {who}, and there is none: whoever makes one may let in \
         whom he likes"
    );
    Point::notice("senders", finding).mend(format!(
        "# Take it out of the configuration, unless it is yet to come; then:\n\
         systemctl reload {SERVICE}"
    ))
}

/// What the service has turned away lately, by what would have it let in.
fn refused(reports: &[Report]) -> Vec<Point> {
    const POINT: &str = "refused-entries";
    let mut of_senders: BTreeMap<&str, (usize, Timestamp, &str)> = BTreeMap::new();
    for report in reports {
        let message = report.get("MESSAGE");
        let found = message
            .find(NO_REMEDY)
            .or_else(|| message.find("[senders."));
        let Some(at) = found else {
            continue;
        };
        let (_, remedy) = message.split_at(at);
        let (number, last, text) = of_senders
            .entry(remedy)
            .or_insert((0, report.time, message));
        *number += 1;
        (*last, *text) = (report.time, message);
    }
    if of_senders.is_empty() {
        return vec![Point::ok(POINT, "none within a day")];
    }
    let point = |(remedy, (number, last, message)): (&str, (usize, Timestamp, &str))| {
        let finding = format!(
            "{} within a day, the last at {}: {message}",
            count(number, "report"),
            local_time(last)
        );
        // A line of it that were no comment would be a command for whoever pastes it.
        let remedy = printable(remedy);
        if remedy.starts_with(NO_REMEDY) {
            return Point::notice(POINT, finding).mend(format!("# {remedy}."));
        }
        let remedy = remedy
            .replace("] users", "]\n#   users")
            .replace("] units", "]\n#   units");
        Point::notice(POINT, finding).mend(format!(
            "# Only if it was the server itself, add to /etc/pop-before-smtp/config.toml:\n\
             #   {remedy}\n# and then: systemctl reload {SERVICE}"
        ))
    };
    of_senders.into_iter().map(point).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::point::Verdict;

    fn server(name: &str, identifiers: &[&str], on: bool) -> Server {
        Server {
            name: name.to_owned(),
            identifiers: identifiers.iter().map(ToString::to_string).collect(),
            on,
        }
    }

    #[test]
    fn who_writes_and_is_not_on_is_told_apart_from_who_shares_a_name() {
        let servers = [
            server("courier", &["imapd", "pop3d"], true),
            server("uw-imap", &["imapd", "ipop3d"], false),
            server("dovecot", &["dovecot"], false),
        ];
        let judged = |seen: &[&str], chosen| {
            let seen = seen.iter().map(ToString::to_string).collect();
            writing(&servers, &seen, chosen)
        };
        let points = judged(&["imapd"], true);
        assert_eq!(points.len(), 1, "{points:?}");
        assert_eq!(points[0].verdict, Verdict::Ok);

        let points = judged(&["dovecot"], true);
        assert_eq!(points[0].verdict, Verdict::Notice);
        assert_eq!(points[1].point, "servers-off");
        let mend = points[1].mend.as_ref().unwrap();
        assert!(
            mend.contains(r#"servers = ["courier", "dovecot"]"#),
            "{mend}"
        );

        let mut servers = servers.clone();
        servers[2].on = true;
        let seen = ["dovecot".to_owned()].into();
        assert_eq!(writing(&servers, &seen, false)[0].verdict, Verdict::Ok);
        let chosen = writing(&servers, &seen, true).remove(0);
        assert!(
            chosen.finding.ends_with("silent within a day: courier"),
            "{chosen:?}"
        );
    }

    #[test]
    fn refusals_are_summed_up_by_what_would_end_them() {
        let time = Timestamp::from_second(1000).unwrap();
        let report = |message: &str| Report::of(time, &[("MESSAGE", message)]);
        let one =
            "refused a login: put into it: [senders.dovecot] users = [\"1000\"] units = [\"a\"]";
        let points = refused(&[report(one), report(one), report("refused 7 more")]);
        assert_eq!(points.len(), 1);
        assert!(points[0].finding.starts_with("2 reports"), "{points:?}");
        let mend = points[0].mend.as_ref().unwrap();
        assert!(
            mend.contains("#   [senders.dovecot]\n#   users = [\"1000\"]\n#   units = [\"a\"]\n"),
            "{mend}"
        );
        let hostile = refused(&[report("x: [senders.a] units = [\"\nrm -rf /\"]")]);
        let mend = hostile[0].mend.as_ref().unwrap();
        assert!(mend.lines().all(|line| line.starts_with('#')), "{mend}");
        let docker =
            format!("refused a login: {NO_REMEDY}docker.service writes for every container");
        let points = refused(&[report(&docker), report(one)]);
        assert_eq!(points.len(), 2);
        let mend = points[0].mend.as_ref().unwrap();
        assert!(
            mend.starts_with("# No line") && !mend.contains("reload"),
            "{mend}"
        );
        assert_eq!(refused(&[])[0].verdict, Verdict::Ok);
    }
}
