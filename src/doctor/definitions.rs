//! Servers and their definitions: who writes, who is listened to, and who is turned away.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::Installation;
use super::point::{Point, as_comment, notice, ok, or_ok};
use super::systemd::{self, RELOAD, SERVICE};
use crate::config::Settings;
use crate::daemon::NamedSource;
use crate::diagnostics::{count, local_time, message_id, printable};
use crate::intake::{NO_REMEDY, wanted_of};
use crate::journal::reports::{Report, reports};
use crate::journal::{self, Match, Source};
use crate::servers::{BUILT_IN, Catalogue, identifiers};

/// More reports of refused entries than the service writes in a day.
const REPORTS: usize = 10_000;

/// A definition, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Server {
    name: String,
    identifiers: Vec<String>,
    containers: Vec<String>,
    on: bool,
}

/// The servers that are defined, and who has written lately.
#[derive(Debug)]
pub struct Servers {
    all: Vec<Server>,
    /// The identifiers and containers under which somebody has written.
    seen: BTreeSet<String>,
    /// Whether somebody has named those that are on.
    chosen: bool,
}

impl Servers {
    /// `None` where the journal can't be read; another point says so.
    pub fn look(
        settings: &Settings,
        catalogue: &Catalogue,
        sources: &[NamedSource],
        since: Timestamp,
    ) -> Option<Self> {
        let server = |definition| {
            let identifiers = identifiers(definition, &settings.senders).into_iter();
            Server {
                name: definition.name.clone(),
                identifiers: identifiers.map(str::to_owned).collect(),
                containers: (settings.senders.get(&definition.name))
                    .map(|added| added.containers.clone())
                    .unwrap_or_default(),
                on: settings.servers.contains(&definition.name),
            }
        };
        let definitions = catalogue.definitions.iter();
        let all: Vec<Server> = definitions
            .map(|loaded| server(&loaded.definition))
            .collect();
        let wanted: Vec<Match> = (catalogue.definitions.iter())
            .flat_map(|loaded| wanted_of(&loaded.definition, &settings.senders))
            .collect();
        let mut seen = None;
        for source in sources {
            if let Ok(Some(found)) = journal::seen(&source.journal, wanted.clone(), since) {
                seen.get_or_insert_with(BTreeSet::new).extend(found);
            }
        }
        let seen = seen?;
        let on: BTreeSet<&str> = settings.servers.iter().map(String::as_str).collect();
        let chosen = on != BUILT_IN.iter().map(|(name, _)| *name).collect();
        Some(Servers { all, seen, chosen })
    }

    fn on(&self) -> impl Iterator<Item = &Server> {
        self.all.iter().filter(|server| server.on)
    }

    /// Who is on has written lately, or has not.
    fn writing(&self) -> Point {
        let writes = |server: &&Server| {
            let mut names = server.identifiers.iter().chain(&server.containers);
            names.any(|name| self.seen.contains(name))
        };
        let (heard, silent): (Vec<&Server>, _) = self.on().partition(writes);
        if heard.is_empty() {
            return notice("no server that is on has written to the journal within a day").mend(
                "# Does the server log to syslog, or to a file? Its lines must reach the journal.",
            );
        }
        let finding = format!("{} writes to the journal", names(&heard));
        if self.chosen && !silent.is_empty() {
            let silent = names(&silent);
            return notice(format!("{finding}; on, but silent within a day: {silent}"));
        }
        ok(finding)
    }

    /// Several definitions share identifiers: who has one that nobody listens to?
    fn off(&self) -> Option<Point> {
        let heeded: BTreeSet<&String> = self.on().flat_map(|s| &s.identifiers).collect();
        let is_unheard = |i: &String| self.seen.contains(i) && !heeded.contains(i);
        let off = self.all.iter().filter(|server| !server.on);
        let unheard: Vec<_> = off
            .filter(|s| s.identifiers.iter().any(is_unheard))
            .collect();
        if unheard.is_empty() {
            return None;
        }
        let finding = format!(
            "something writes as {} does, which is switched off: its logins do not count",
            names(&unheard)
        );
        let all = self.on().chain(unheard);
        let all: Vec<String> = all.map(|server| format!("\"{}\"", server.name)).collect();
        Some(notice(finding).mend(format!(
            "# If its logins should count:\n\
             printf 'servers = [{}]\\n' >/etc/pop-before-smtp/config.d/90-servers.toml\n\
             {RELOAD}",
            all.join(", ")
        )))
    }
}

fn names(servers: &[&Server]) -> String {
    let names: Vec<&str> = servers.iter().map(|server| &*server.name).collect();
    names.join(", ")
}

/// Who has written lately, and who has not?
pub fn writing(host: &Installation) -> Option<Point> {
    host.servers.as_ref().map(Servers::writing)
}

/// Who writes and is not on?
pub fn off(host: &Installation) -> Option<Point> {
    host.servers.as_ref()?.off()
}

/// Whom the configuration trusts beside the definitions: are they there?
pub fn senders(host: &Installation) -> Option<Vec<Point>> {
    let mut points = Vec::new();
    for (server, senders) in &host.settings()?.senders {
        let users = senders.users.iter().filter(|user| {
            user.parse::<u32>().is_err() && uzers::get_user_by_name(user.as_str()).is_none()
        });
        points.extend(users.map(|user| absent(server, "users", user)));
        let units = senders.units.iter().map(String::as_str);
        let named: Vec<&str> = units.filter(|unit| !unit.contains('*')).collect();
        if named.is_empty() {
            continue;
        }
        let found = systemd::show(&host.programs, &named).unwrap_or_default();
        let missing = found.iter().filter(|unit| !unit.is_there());
        points.extend(missing.map(|unit| absent(server, "units", unit.id())));
    }
    Some(points)
}

fn absent(server: &str, key: &str, who: &str) -> Point {
    notice(format!(
        "senders.{server}.{key} trusts {who}, which does not exist: anybody who creates it can let \
         in any client"
    ))
    .mend(format!(
        "# Take it out of the configuration, unless you are about to create it; then:\n{RELOAD}"
    ))
}

/// What has the service turned away lately?
pub fn refused_entries(host: &Installation) -> Option<Vec<Point>> {
    host.settings()?;
    let fields = [
        ("MESSAGE_ID", message_id::ENTRY_REFUSED),
        ("_SYSTEMD_UNIT", SERVICE),
    ];
    let reports = reports(&Source::Host, &fields, host.lately(), REPORTS).ok()?;
    Some(refused(&reports))
}

/// By what would have it let in.
fn refused(reports: &[Report]) -> Vec<Point> {
    let mut of_senders: BTreeMap<&str, (usize, Timestamp, &str)> = BTreeMap::new();
    for report in reports {
        let message = report.get("MESSAGE");
        let remedy = message
            .find(NO_REMEDY)
            .or_else(|| message.find("[senders."));
        if let Some(at) = remedy {
            let found = of_senders.entry(&message[at..]).or_default();
            *found = (found.0 + 1, report.time, message);
        }
    }
    let point = |(remedy, (number, last, message)): (&str, (usize, Timestamp, &str))| {
        let (number, last) = (count(number, "report"), local_time(last));
        let point = notice(format!(
            "{number} within a day, the last at {last}: {message}"
        ));
        if remedy.starts_with(NO_REMEDY) {
            return point.mend(format!("# {}.", printable(remedy)));
        }
        point.mend(format!(
            "# Only if it was the server itself, add to /etc/pop-before-smtp/config.toml:\n\
             {}# and then: {RELOAD}",
            as_comment(remedy)
        ))
    };
    or_ok(of_senders.into_iter().map(point), "none within a day")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::found;
    use crate::doctor::point::Verdict;
    use crate::doctor::systemd::Units;

    fn server(name: &str, identifiers: &[&str], on: bool) -> Server {
        Server {
            name: name.to_owned(),
            identifiers: identifiers.iter().map(ToString::to_string).collect(),
            containers: Vec::new(),
            on,
        }
    }

    fn writing(servers: &[Server], seen: &BTreeSet<String>, chosen: bool) -> Vec<Point> {
        let servers = Servers {
            all: servers.to_vec(),
            seen: seen.clone(),
            chosen,
        };
        let host = Installation {
            servers: Some(servers),
            ..Installation::with_units(Units::default(), None)
        };
        found(&host, &["servers", "servers-off"])
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
            "refused a login: put into it:\n[senders.dovecot]\nusers = [\"1000\"]\nunits = [\"a\"]";
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
