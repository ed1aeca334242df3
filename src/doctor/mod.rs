//! The whole installation, looked at and judged point by point: journal, definitions, service,
//! Postfix.
//!
//! Changes nothing: it starts nothing, writes nothing, and asks the service only while that runs, as
//! a question would start it. Looking (this file, `systemd`, `in_force`, `map`) is kept apart from
//! judging, which is pure. What can't be looked at, as it is not there or this user may not, is said
//! to be unknown; nothing is taken to be right because nobody could look.

mod access;
mod clock;
mod definitions;
mod ends;
mod gateways;
mod identifiers;
mod in_force;
mod journal;
mod leftovers;
mod logins;
mod map;
mod networks;
mod point;
mod proxies;
mod relaying;
mod service;
mod systemd;
mod units;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::client::Client;
use crate::config::{self, ConfigError, Loaded, Settings};
use crate::control::client::{AskError, Service};
use crate::control::protocol::{Filter, Status};
use crate::daemon::{Plan, PlanError};
use crate::diagnostics::message_id;
use crate::journal::Source;
use crate::journal::reports::reports;
use crate::postfix::access_map::AccessMap;
use crate::postfix::command::{CommandError, Programs, table};
use crate::postfix::configuration::Configuration;
use crate::postfix::map_type::MapType;
use crate::postfix::postconf;
use access::{Process, Want};
pub use point::{Point, Verdict};
use relaying::Offer;
use systemd::{POLICY_SOCKET, SERVICE, Unit, Units};
use units::quoted;

/// How long each program, and each answer of the service, may take. There are a dozen of them.
const LIMIT: Duration = Duration::from_secs(10);
/// How far back it is looked for what has happened lately.
const LATELY: SignedDuration = SignedDuration::from_hours(24);
/// Where the policy socket is, unless its unit says otherwise.
const POLICY: &str = "/var/spool/postfix/pop-before-smtp/policy";
/// How long a change of the list may take to be in the map, the debounce aside.
const PUBLICATION: Duration = Duration::from_secs(2);
/// How long is waited for a publication at most.
const PATIENCE: Duration = Duration::from_secs(10);
/// How many clients are looked up in a map that can't be listed.
const SAMPLE: usize = 20;

/// Looks at everything. `config`: this configuration file, instead of the usual ones; `socket`: the
/// service's control socket.
#[must_use]
pub fn examine(config: Option<&Path>, socket: &Path) -> Vec<Point> {
    let host = Host::look(config, socket);
    let mut points = Vec::new();
    points.extend(the_service(&host));
    points.extend(journal::points(&host));
    points.extend(definitions::points(&host));
    points.extend(identifiers::points(&host));
    points.extend(logins::points(&host));
    points.extend(ends::points(&host));
    points.extend(postfix(&host));
    points.extend(clock::points(&host));
    points.extend(leftovers::points(host.postfix.as_ref().ok()));
    points
}

/// What was looked at.
struct Host {
    now: Timestamp,
    programs: Programs,
    socket: PathBuf,
    loaded: Result<Loaded, ConfigError>,
    plan: Result<Plan, PlanError>,
    units: Result<Units, CommandError>,
    postfix: Result<Configuration, CommandError>,
    /// What the service says of itself, if it runs.
    asked: Option<Result<Status, AskError>>,
}

impl Host {
    fn look(config: Option<&Path>, socket: &Path) -> Self {
        let programs = Programs {
            limit: LIMIT,
            ..Programs::installed()
        };
        let units = Units::look(&programs);
        let runs = units.as_ref().is_ok_and(|u| u.get(SERVICE).is_active());
        let asked = runs.then(|| Service::connect_for(socket, LIMIT)?.status());
        Host {
            now: Timestamp::now(),
            postfix: Configuration::read(&programs),
            plan: Plan::make(config),
            loaded: config::load(config),
            socket: socket.to_owned(),
            units,
            asked,
            programs,
        }
    }

    fn settings(&self) -> Option<&Settings> {
        self.loaded.as_ref().ok().map(|loaded| &loaded.settings)
    }

    fn unit(&self, name: &str) -> Unit {
        self.units
            .as_ref()
            .map(|units| units.get(name))
            .unwrap_or_default()
    }

    fn runs(&self) -> bool {
        self.unit(SERVICE).is_active()
    }

    fn status(&self) -> Option<&Status> {
        self.asked.as_ref()?.as_ref().ok()
    }

    /// The map that is published: the plan's, or what can be told of it without one.
    fn map(&self) -> Option<AccessMap> {
        let map = match (&self.plan, self.settings()) {
            (Ok(plan), _) => plan.map.clone(),
            (Err(_), Some(settings)) => {
                let kind: MapType = match settings.map.kind {
                    Some(kind) => kind,
                    None => postconf::default_type(&self.programs).ok()?,
                };
                AccessMap::new(&settings.map.path, kind, &settings.map.value)
            }
            (Err(_), None) => return None,
        };
        Some(AccessMap {
            programs: self.programs.clone(),
            ..map
        })
    }
}

/// The service: its units, its configuration, and what it says.
fn the_service(host: &Host) -> Vec<Point> {
    let mut points = Vec::new();
    match &host.units {
        Ok(units) => points.extend(service::judge(units, program_changed(&host.unit(SERVICE)))),
        Err(error) => points.push(Point::unknown("systemd", systemd::reason(error))),
    }
    points.push(in_force::configuration(&host.plan));
    if let Some(since) = host.unit(SERVICE).active_since().filter(|_| host.runs())
        && let Ok(loaded) = &host.loaded
    {
        // A reload by systemctl, or by a signal, of which the service tells at most levels.
        let reloads = [host.unit(SERVICE).reloaded(), last_reload(since)];
        let read = reloads.into_iter().flatten().fold(since, Timestamp::max);
        let changed = in_force::last_changed(loaded);
        points.push(in_force::read_since(changed.as_ref(), read));
    }
    match &host.asked {
        None => {}
        Some(Ok(status)) => {
            if let Ok(plan) = &host.plan {
                points.extend(in_force::same(plan, status));
            }
            points.extend(in_force::problems(status));
        }
        Some(Err(error)) => points.push(unasked(error)),
    }
    points
}

fn unasked(error: &AskError) -> Point {
    const POINT: &str = "service-problems";
    match error {
        AskError::Connect { source, .. }
            if source.kind() == std::io::ErrorKind::PermissionDenied =>
        {
            Point::unknown(POINT, error.to_string())
        }
        error => {
            Point::wrong(POINT, error.to_string()).mend(format!("systemctl restart {SERVICE}"))
        }
    }
}

/// When the file of the program that the unit runs was put there.
fn program_changed(service: &Unit) -> Option<Timestamp> {
    let text = service.get("ExecStart");
    let path = text.split("path=").nth(1)?.split(' ').next()?;
    let file = fs::metadata(path).ok()?;
    let nanoseconds = i32::try_from(file.ctime_nsec()).ok()?;
    Timestamp::new(file.ctime(), nanoseconds).ok()
}

/// When the service has last said that it has taken its configuration anew.
fn last_reload(since: Timestamp) -> Option<Timestamp> {
    let fields = [
        ("MESSAGE_ID", message_id::RELOADED),
        ("_SYSTEMD_UNIT", SERVICE),
    ];
    let reports = reports(&Source::Host, &fields, since, 1).ok()?;
    Some(reports.last()?.time)
}

/// Postfix: how it is told, and what it finds.
fn postfix(host: &Host) -> Vec<Point> {
    const POINT: &str = "postfix";
    let postfix = match &host.postfix {
        Ok(postfix) => postfix,
        Err(error @ CommandError::NotFound { .. }) => {
            return vec![
                Point::wrong(POINT, error.to_string())
                    .mend("# Install Postfix; or, if it is elsewhere, put it into PATH."),
            ];
        }
        Err(error) => {
            return vec![
                Point::wrong(POINT, error.to_string())
                    .mend("# Change main.cf or master.cf until this is content:\npostfix check"),
            ];
        }
    };
    let mut points = vec![installed(host, postfix), networks::judge(postfix)];
    points.extend(proxies::judge(
        postfix,
        proxies::Dovecot::look(&host.programs).as_ref(),
    ));
    let Some(map) = host.map() else {
        points.push(Point::unknown(
            "relay-restrictions",
            "not without a configuration that is right",
        ));
        return points;
    };
    let publish = host.settings().map(|settings| settings.publish);
    let offer = Offer {
        kind: map.kind,
        map: map.path.clone(),
        publishes_map: publish.is_none_or(|publish| publish.map),
        policy: policy_path(&host.unit(POLICY_SOCKET)),
        publishes_policy: publish.is_none_or(|publish| publish.policy),
    };
    points.extend(relaying::judge(postfix, &offer));
    let owner = Process::of_user(postfix.value("mail_owner"), &[]);
    if offer.publishes_policy {
        points.extend(owner.as_ref().map(|owner| reachable(&offer.policy, owner)));
    }
    if offer.publishes_map {
        let service = Process::of_user(host.unit(SERVICE).get("User"), &[]);
        points.extend(service.map(|service| map::directory(&map, &service)));
        points.extend(map::files(&map, owner.as_ref(), host.runs()));
        if map.exists() {
            points.extend(contents(host, &map));
        }
    }
    points
}

fn installed(host: &Host, postfix: &Configuration) -> Point {
    const POINT: &str = "postfix";
    let version = postfix.value("mail_version");
    let units = ["postfix.service", "postfix@-.service"].map(|name| host.unit(name));
    let there = units.iter().any(Unit::is_there);
    // On Debian 12, postfix.service is a shell around the other one, and always active.
    let runs = match &units {
        [_, instance] if instance.is_active() => true,
        [service, _] => service.is_active() && service.get("SubState") == "running",
    };
    if there && !runs {
        return Point::wrong(POINT, format!("version {version}, and does not run"))
            .mend("systemctl start postfix");
    }
    if postfix.complaints.is_empty() {
        Point::ok(POINT, format!("version {version}"))
    } else {
        let complaints = postfix.complaints.join("\n");
        Point::notice(POINT, format!("version {version}; {complaints}"))
    }
}

/// The path that systemd listens on.
fn policy_path(socket: &Unit) -> PathBuf {
    match socket.get("Listen").split(' ').next() {
        Some(path) if path.starts_with('/') => path.into(),
        _ => POLICY.into(),
    }
}

/// Whether smtpd, which connects as this user, gets to the policy socket.
fn reachable(path: &Path, smtpd: &Process) -> Point {
    const POINT: &str = "policy-reachable";
    match smtpd.obstacle(path, Want::Write) {
        Ok(None) => Point::ok(
            POINT,
            format!("{} can connect to {}", smtpd.name, path.display()),
        ),
        Ok(Some(obstacle)) if obstacle == path => {
            let finding = format!("{} may not connect to {}", smtpd.name, path.display());
            Point::wrong(POINT, finding).mend(format!(
                "# Set SocketGroup={} and SocketMode=0660: systemctl edit {POLICY_SOCKET}\n\
                 systemctl restart {SERVICE}",
                smtpd.name
            ))
        }
        Ok(Some(obstacle)) => {
            let finding = format!("{} can't go through {}", smtpd.name, obstacle.display());
            Point::wrong(POINT, finding)
                .mend(format!("chmod 755 {}", quoted(&obstacle.to_string_lossy())))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let finding = format!("{} is not there", path.display());
            Point::wrong(POINT, finding).mend(format!("systemctl restart {SERVICE}"))
        }
        Err(error) => Point::unknown(POINT, format!("{}: {error}", path.display())),
    }
}

/// What the map says, by itself and against the service's list.
fn contents(host: &Host, map: &AccessMap) -> Vec<Point> {
    let contents = match map::read(map) {
        Ok(contents) => contents,
        Err(error) => return vec![Point::unknown("map-contents", error.to_string())],
    };
    let mut points = vec![map::whole(&contents)];
    if host.status().is_some()
        && let Some(settings) = host.settings()
    {
        let wait = settings
            .map
            .debounce
            .saturating_add(PUBLICATION)
            .min(PATIENCE);
        points.push(match compare(host, map, wait) {
            Ok((missing, left)) => map::agreement(&missing, &left),
            Err(why) => Point::unknown("map-and-list", why),
        });
    }
    points
}

type Clients = BTreeSet<Client>;

/// What differs between list and map, and goes on to: a change that is on its way is none.
fn compare(host: &Host, map: &AccessMap, wait: Duration) -> Result<(Clients, Clients), String> {
    let first = compare_once(host, map)?;
    if first.0.is_empty() && first.1.is_empty() {
        return Ok(first);
    }
    thread::sleep(wait);
    let second = compare_once(host, map)?;
    Ok((&first.0 & &second.0, &first.1 & &second.1))
}

fn compare_once(host: &Host, map: &AccessMap) -> Result<(Clients, Clients), String> {
    let list = || -> Result<Clients, AskError> {
        let mut clients = Clients::new();
        Service::connect_for(&host.socket, LIMIT)?.clients(&Filter::default(), |info| {
            clients.insert(info.client);
            Ok::<_, AskError>(())
        })?;
        Ok(clients)
    };
    let failed = |error: AskError| error.to_string();
    let before = list().map_err(failed)?;
    let contents = map::read(map).map_err(|error| error.to_string())?;
    let Some(in_map) = contents.clients else {
        let mut missing = Clients::new();
        for client in before.iter().take(SAMPLE) {
            let arguments = [
                "-q".into(),
                client.to_string().into(),
                table(map.kind, &map.path),
            ];
            let found = map.programs.run("postmap", &arguments);
            if !found.map_err(|error| error.to_string())?.status.success() {
                missing.insert(*client);
            }
        }
        return Ok((missing, Clients::new()));
    };
    // Who came or went meanwhile may be in the map or not.
    let after = list().map_err(failed)?;
    let (missing, _) = map::differences(&(&before & &after), &in_map);
    let (_, left) = map::differences(&(&before | &after), &in_map);
    Ok((missing, left))
}
