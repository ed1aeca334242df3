//! From what the files say to the settings: defaults filled in, keys checked against each other.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use log::LevelFilter;

use super::error::{Problem, harmless};
use super::fragment::{Fragment, SendersFragment};
use super::name::built_in_servers;
use super::path::unfit_for_main_cf;
use super::sender::matches_user_units;
use super::table::Located;
use super::value::quoted;
use super::{
    JournalSettings, Limits, MapSettings, Origin, PermittedNetworks, PolicySettings, Publish,
    Senders, Settings,
};

/// `grace`, unless a file says otherwise.
const GRACE: Duration = Duration::from_secs(30 * 60);
/// `max-session`, unless a file says otherwise.
const MAX_SESSION: Duration = Duration::from_secs(24 * 60 * 60);
/// `state-directory`, when systemd names none.
const STATE_DIRECTORY: &str = "/var/lib/pop-before-smtp";

/// The store's directory in the state directory.
const STORE: &str = "store";
/// The access map in the state directory, unless `map.path` says otherwise.
const MAP: &str = "clients";

/// The settings, where each key that is no default came from, and what is odd.
pub(super) struct Checked {
    pub(super) settings: Settings,
    pub(super) origins: BTreeMap<String, Origin>,
    pub(super) warnings: Vec<Problem>,
}

/// Makes settings of all that the files say. `state_directory` is `$STATE_DIRECTORY`.
pub(super) fn check(
    fragment: Fragment,
    state_directory: Option<&OsStr>,
    servers_directory: PathBuf,
) -> Result<Checked, Problem> {
    exclusive(&fragment)?;
    let warnings = warnings(&fragment);
    let mut origins = Origins::default();
    let (default_state, default_origin) = default_state_directory(state_directory)?;
    if fragment.state_directory.is_none() {
        origins
            .0
            .insert("state-directory".to_owned(), default_origin);
    }
    let state_directory = origins.take("state-directory", fragment.state_directory, default_state);
    if let Some(path) = &fragment.map_path {
        apart(path, &state_directory)?;
    }
    let map_path = state_directory.join(MAP);
    let settings = Settings {
        grace: origins.take("grace", fragment.grace, GRACE),
        max_session: origins.take("max-session", fragment.max_session, MAX_SESSION),
        servers: origins.take("servers", fragment.servers, built_in_servers()),
        never: origins.take("never", fragment.never, Vec::new()),
        permitted_networks: origins.take(
            "permitted-networks",
            fragment.permitted_networks,
            PermittedNetworks::Postfix,
        ),
        log_level: origins.take("log-level", fragment.log_level, LevelFilter::Info),
        journal: JournalSettings {
            directory: origins.take("journal.directory", fragment.journal_directory, None),
            namespace: origins.take("journal.namespace", fragment.journal_namespace, None),
            look_every: origins.take(
                "journal.look-every",
                fragment.journal_look_every,
                Some(Duration::from_millis(2)),
            ),
        },
        publish: origins.take(
            "publish",
            fragment.publish,
            Publish {
                map: true,
                policy: true,
            },
        ),
        policy: PolicySettings {
            ipv6_prefix: origins
                .take("policy.ipv6-prefix", fragment.policy_ipv6_prefix, 128)
                .try_into()
                .unwrap_or(128),
        },
        map: MapSettings {
            path: origins.take("map.path", fragment.map_path, map_path),
            kind: origins.take("map.type", fragment.map_type, None),
            value: origins.take("map.value", fragment.map_value, "OK".to_owned()),
            debounce: origins.take(
                "map.debounce",
                fragment.map_debounce,
                Duration::from_secs(1),
            ),
        },
        limits: Limits {
            clients: origins.take("limits.clients", fragment.limits_clients, 1_000_000),
            clients_per_user: origins.take(
                "limits.clients-per-user",
                fragment.limits_clients_per_user,
                10_000,
            ),
            sessions: origins.take("limits.sessions", fragment.limits_sessions, 1_000_000),
        },
        senders: senders(fragment.senders, &mut origins),
        state_directory,
        servers_directory,
    };
    Ok(Checked {
        settings,
        origins: origins.0,
        warnings,
    })
}

/// Notes where values came from, while they are taken.
#[derive(Default)]
struct Origins(BTreeMap<String, Origin>);

impl Origins {
    fn take<T>(&mut self, key: &str, located: Option<Located<T>>, default: T) -> T {
        let Some(located) = located else {
            return default;
        };
        let file = located.source().path.clone();
        self.0.insert(
            key.to_owned(),
            Origin::File {
                file,
                line: located.line(),
            },
        );
        located.value
    }
}

fn senders(
    fragments: BTreeMap<String, SendersFragment>,
    origins: &mut Origins,
) -> BTreeMap<String, Senders> {
    let mut senders = BTreeMap::new();
    for (server, fragment) in fragments {
        let taken = Senders {
            identifiers: origins.take(
                &format!("senders.{server}.identifiers"),
                fragment.identifiers,
                Vec::new(),
            ),
            users: origins.take(
                &format!("senders.{server}.users"),
                fragment.users,
                Vec::new(),
            ),
            units: origins.take(
                &format!("senders.{server}.units"),
                fragment.units,
                Vec::new(),
            ),
        };
        // Empty lists say nothing, as if they were not there.
        if taken != Senders::default() {
            senders.insert(server, taken);
        }
    }
    senders
}

/// A journal directory has no namespaces: sd_journal_open_directory(3).
fn exclusive(fragment: &Fragment) -> Result<(), Problem> {
    let directory = fragment
        .journal_directory
        .as_ref()
        .filter(|d| d.value.is_some());
    let namespace = fragment
        .journal_namespace
        .as_ref()
        .filter(|n| n.value.is_some());
    let (Some(directory), Some(namespace)) = (directory, namespace) else {
        return Ok(());
    };
    let message = format!(
        "can't be set together with `journal.directory`, which is set in {}:{}",
        harmless(&directory.source().path.to_string_lossy()),
        directory.line()
    );
    let hint = "remove one of them, or set it to \"\" in a later file";
    Err(namespace.problem("journal.namespace", message, Some(hint.to_owned())))
}

/// The map must not be where the service keeps other things.
fn apart(map: &Located<PathBuf>, state_directory: &Path) -> Result<(), Problem> {
    let message = if map.value.starts_with(state_directory.join(STORE)) {
        "is where the service keeps its store"
    } else if state_directory.starts_with(&map.value) {
        "is a directory: the state directory, or one above it"
    } else {
        return Ok(());
    };
    let example = state_directory.join(MAP);
    let hint = format!("for example: {}", quoted(&example.to_string_lossy()));
    Err(map.problem("map.path", message.to_owned(), Some(hint)))
}

/// `$STATE_DIRECTORY` of systemd.exec(5): the first of the directories that it names.
fn default_state_directory(variable: Option<&OsStr>) -> Result<(PathBuf, Origin), Problem> {
    let Some(variable) = variable.filter(|value| !value.is_empty()) else {
        return Ok((PathBuf::from(STATE_DIRECTORY), Origin::Default));
    };
    let text = variable.to_string_lossy();
    let first = text.split(':').next().unwrap_or_default();
    let fit = variable.to_str().is_some() && Path::new(first).is_absolute();
    if fit && unfit_for_main_cf(first).is_none() {
        Ok((PathBuf::from(first), Origin::Environment("STATE_DIRECTORY")))
    } else {
        Err(general(&format!(
            "the environment variable STATE_DIRECTORY must name a directory that main.cf can name, but is \"{}\"",
            harmless(&text)
        )))
    }
}

/// What is odd, but taken.
fn warnings(fragment: &Fragment) -> Vec<Problem> {
    let mut warnings = Vec::new();
    let (grace, session) = (&fragment.grace, &fragment.max_session);
    if value_or(session, MAX_SESSION) < value_or(grace, GRACE) {
        let message = "with a `max-session` shorter than `grace`, \
                       whether a session is open makes no difference";
        let problem = session
            .as_ref()
            .map(|s| s.problem("max-session", message.to_owned(), None));
        let or_grace = || {
            grace
                .as_ref()
                .map(|g| g.problem("grace", message.to_owned(), None))
        };
        warnings.extend(problem.or_else(or_grace));
    }
    let servers = fragment.servers.as_ref();
    let servers = servers.map_or_else(built_in_servers, |servers| servers.value.clone());
    for (server, senders) in &fragment.senders {
        let key = |name: &str| format!("senders.{server}.{name}");
        if !servers.contains(server) {
            let message = format!("has no effect: `servers` does not name \"{server}\"");
            let lists = [
                ("identifiers", &senders.identifiers),
                ("users", &senders.users),
                ("units", &senders.units),
            ];
            let first = lists
                .iter()
                .find_map(|(name, list)| Some((name, list.as_ref()?)));
            warnings.extend(first.map(|(name, list)| list.problem(&key(name), message, None)));
        }
        if let Some(units) = &senders.units {
            for unit in units.value.iter().filter(|unit| matches_user_units(unit)) {
                let message = format!(
                    "\"{unit}\" lets in units in which the programs of ordinary users run: they can forge logins"
                );
                warnings.push(units.problem(&key("units"), message, None));
            }
        }
    }
    warnings
}

fn value_or<T: Copy>(located: &Option<Located<T>>, default: T) -> T {
    located.as_ref().map_or(default, |located| located.value)
}

/// A problem that no one place has.
fn general(message: &str) -> Problem {
    Problem {
        file: None,
        place: None,
        key: None,
        message: message.to_owned(),
        hint: None,
    }
}
