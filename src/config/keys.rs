//! The keys of the configuration: for each one its name, what it may be, its default, and how it is
//! shown.
//!
//! To add a key, give [`Settings`] a field, [`defaults`] its default, and its table here a [`Key`].
//! Must never fill in a default while a file is read: what a file does not say must not override
//! what an earlier one said.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use log::LevelFilter;

use super::error::Problem;
use super::show::{Effective, Origin, Shown};
use super::source::Source;
use super::table::{Found, Reader, Table};
use super::value::{Checked, Value, Wrong, count, duration, log_level, optional_duration};
use super::{
    JournalSettings, Limits, MapSettings, PermittedNetworks, PolicySettings, Publish, Senders,
    Settings, SourceSettings, map, name, network, path, sender,
};
use crate::servers::is_server_name;

/// What `grace` and `max-session` can be. The whitelist counts in seconds.
const SPAN: RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(30 * 24 * 60 * 60);
/// What `map.debounce` can be.
const DEBOUNCE: RangeInclusive<Duration> = Duration::ZERO..=Duration::from_secs(60);
/// What `journal.look-every` can be. More often would keep a processor busy; journald itself tells
/// more often than once a second.
const LOOK_EVERY: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(1);
/// What a limit can be. A higher one would protect no machine's memory.
const LIMIT: RangeInclusive<usize> = 1..=10_000_000;
/// Nobody has less than a /64 to himself, and a site seldom more than a /48.
const IPV6_PREFIX: RangeInclusive<u8> = 48..=128;

/// A key of a table of `S`.
struct Key<S> {
    /// Its name in its table.
    name: &'static str,
    /// Checks what a file says, and takes it.
    take: fn(&mut S, &Value<'_>) -> Checked<()>,
    /// As it is written.
    show: fn(&S) -> Shown,
}

/// What no file says anything about. `servers_directory` is no key; the paths that depend on each
/// other are filled in when all files are read.
pub(super) fn defaults(servers_directory: PathBuf) -> Settings {
    Settings {
        grace: Duration::from_secs(30 * 60),
        max_session: Duration::from_secs(24 * 60 * 60),
        servers: name::built_in_servers(),
        never: Vec::new(),
        permitted_networks: PermittedNetworks::Postfix,
        publish: Publish {
            map: true,
            policy: true,
        },
        state_directory: PathBuf::new(),
        log_level: LevelFilter::Info,
        journal: JournalSettings {
            directory: None,
            namespace: None,
            look_every: Some(Duration::from_millis(2)),
        },
        map: MapSettings {
            path: PathBuf::new(),
            kind: None,
            value: "OK".to_owned(),
            debounce: Duration::from_secs(1),
        },
        policy: PolicySettings {
            ipv6_prefix: 128,
            relays: Vec::new(),
        },
        limits: Limits {
            clients: 1_000_000,
            clients_per_user: 10_000,
            sessions: 1_000_000,
        },
        sources: BTreeMap::new(),
        senders: BTreeMap::new(),
        servers_directory,
    }
}

/// The keys of each table, but for those of `[sources.NAME]` and `[senders.SERVER]`, in the order of
/// the shipped file. The first, without a name, has those that are in no table.
const TABLES: [(&str, &[Key<Settings>]); 5] = [
    (
        "",
        &[
            Key {
                name: "grace",
                take: |to, value| set(&mut to.grace, duration(value, SPAN)),
                show: |of| Shown::duration(of.grace),
            },
            Key {
                name: "max-session",
                take: |to, value| set(&mut to.max_session, duration(value, SPAN)),
                show: |of| Shown::duration(of.max_session),
            },
            Key {
                name: "servers",
                take: |to, value| set(&mut to.servers, name::servers(value)),
                show: |of| Shown::List(of.servers.clone()),
            },
            Key {
                name: "never",
                take: |to, value| set(&mut to.never, network::networks(value)),
                show: |of| Shown::networks(&of.never),
            },
            Key {
                name: "permitted-networks",
                take: |to, value| {
                    set(
                        &mut to.permitted_networks,
                        network::permitted_networks(value),
                    )
                },
                show: |of| match &of.permitted_networks {
                    PermittedNetworks::Postfix => Shown::text("postfix"),
                    PermittedNetworks::List(list) => Shown::networks(list),
                },
            },
            Key {
                name: "publish",
                take: |to, value| set(&mut to.publish, map::publish(value)),
                show: |of| Shown::List(map::ways(of.publish)),
            },
            Key {
                name: "state-directory",
                take: |to, value| set(&mut to.state_directory, path::state_directory(value)),
                show: |of| Shown::text(of.state_directory.to_string_lossy()),
            },
            Key {
                name: "log-level",
                take: |to, value| set(&mut to.log_level, log_level(value)),
                show: |of| Shown::text(of.log_level.as_str().to_lowercase()),
            },
        ],
    ),
    (
        "journal",
        &[
            Key {
                name: "directory",
                take: |to, value| set(&mut to.journal.directory, path::journal_directory(value)),
                show: |of| show_directory(of.journal.directory.as_deref()),
            },
            Key {
                name: "namespace",
                take: |to, value| set(&mut to.journal.namespace, name::journal_namespace(value)),
                show: |of| Shown::text(of.journal.namespace.as_deref().unwrap_or_default()),
            },
            Key {
                name: "look-every",
                take: |to, value| {
                    set(
                        &mut to.journal.look_every,
                        optional_duration(value, LOOK_EVERY),
                    )
                },
                show: |of| {
                    of.journal
                        .look_every
                        .map_or(Shown::text(""), Shown::duration)
                },
            },
        ],
    ),
    (
        "map",
        &[
            Key {
                name: "path",
                take: |to, value| set(&mut to.map.path, path::map_path(value)),
                show: |of| Shown::text(of.map.path.to_string_lossy()),
            },
            Key {
                name: "type",
                take: |to, value| set(&mut to.map.kind, map::map_type(value)),
                show: |of| match of.map.kind {
                    Some(kind) => Shown::text(kind.name()),
                    None => Shown::text(map::AUTO),
                },
            },
            Key {
                name: "value",
                take: |to, value| set(&mut to.map.value, map::map_value(value)),
                show: |of| Shown::text(&*of.map.value),
            },
            Key {
                name: "debounce",
                take: |to, value| set(&mut to.map.debounce, duration(value, DEBOUNCE)),
                show: |of| Shown::duration(of.map.debounce),
            },
        ],
    ),
    (
        "policy",
        &[
            Key {
                name: "ipv6-prefix",
                take: |to, value| set(&mut to.policy.ipv6_prefix, count(value, IPV6_PREFIX)),
                show: |of| Shown::Number(of.policy.ipv6_prefix.into()),
            },
            Key {
                name: "relays",
                take: |to, value| set(&mut to.policy.relays, network::networks(value)),
                show: |of| Shown::networks(&of.policy.relays),
            },
        ],
    ),
    (
        "limits",
        &[
            Key {
                name: "clients",
                take: |to, value| set(&mut to.limits.clients, count(value, LIMIT)),
                show: |of| Shown::Number(of.limits.clients),
            },
            Key {
                name: "clients-per-user",
                take: |to, value| set(&mut to.limits.clients_per_user, count(value, LIMIT)),
                show: |of| Shown::Number(of.limits.clients_per_user),
            },
            Key {
                name: "sessions",
                take: |to, value| set(&mut to.limits.sessions, count(value, LIMIT)),
                show: |of| Shown::Number(of.limits.sessions),
            },
        ],
    ),
];

/// The keys of `[sources.NAME]`.
const SOURCES: [Key<SourceSettings>; 3] = [
    Key {
        name: "directory",
        take: |to, value| set(&mut to.directory, path::journal_directory(value)),
        show: |of| show_directory(of.directory.as_deref()),
    },
    Key {
        name: "namespace",
        take: |to, value| set(&mut to.namespace, name::journal_namespace(value)),
        show: |of| Shown::text(of.namespace.as_deref().unwrap_or_default()),
    },
    Key {
        name: "users",
        take: |to, value| set(&mut to.users, sender::users_elsewhere(value)),
        show: |of| Shown::Numbers(of.users.clone()),
    },
];

/// The keys of `[senders.SERVER]`.
const SENDERS: [Key<Senders>; 5] = [
    Key {
        name: "identifiers",
        take: |to, value| set(&mut to.identifiers, sender::identifiers(value)),
        show: |of| Shown::List(of.identifiers.clone()),
    },
    Key {
        name: "users",
        take: |to, value| set(&mut to.users, sender::users(value)),
        show: |of| Shown::List(of.users.clone()),
    },
    Key {
        name: "units",
        take: |to, value| set(&mut to.units, sender::units(value)),
        show: |of| Shown::List(of.units.clone()),
    },
    Key {
        name: "containers",
        take: |to, value| set(&mut to.containers, sender::containers(value)),
        show: |of| Shown::List(of.containers.clone()),
    },
    Key {
        name: "bridges",
        take: |to, value| set(&mut to.bridges, network::networks(value)),
        show: |of| Shown::List(of.bridges.iter().map(ToString::to_string).collect()),
    },
];

fn show_directory(directory: Option<&Path>) -> Shown {
    directory.map_or(Shown::text(""), |path| Shown::text(path.to_string_lossy()))
}

fn set<T>(field: &mut T, checked: Checked<T>) -> Checked<()> {
    *field = checked?;
    Ok(())
}

/// Takes what a file says into `settings`, where it goes before what they had, and into `found`
/// where it stands. Everything that is wrong with the file is told.
pub(super) fn take(
    source: &Arc<Source>,
    settings: &mut Settings,
    found: &mut Found,
) -> Vec<Problem> {
    let mut reader = Reader::new(Arc::clone(source), found);
    take_all(&mut reader, source, settings);
    reader.into_results().1
}

fn take_all(reader: &mut Reader<'_>, source: &Source, settings: &mut Settings) {
    let mut root = reader.document(source);
    let [(_, top_level), in_tables @ ..] = &TABLES;
    let tables = in_tables
        .each_ref()
        .map(|(name, keys)| (reader.table(&mut root, name), keys));
    let Settings {
        sources, senders, ..
    } = &mut *settings;
    let is_source = name::is_source_name;
    let expected = format!("[sources.NAME] with {}", name::SOURCE_NAME);
    take_named(
        reader,
        &mut root,
        "sources",
        (is_source, &expected),
        &SOURCES,
        sources,
    );
    let expected = format!("[senders.SERVER] with {}", name::SERVER_NAME);
    take_named(
        reader,
        &mut root,
        "senders",
        (is_server_name, &expected),
        &SENDERS,
        senders,
    );
    for (mut table, keys) in [(root, top_level)].into_iter().chain(tables) {
        for key in *keys {
            reader.take(&mut table, key.name, |value| (key.take)(settings, value));
        }
        reader.finish(table);
    }
}

/// Takes the tables in a table: `[senders.dovecot]`. Their names are to be what is expected.
fn take_named<T: Default>(
    reader: &mut Reader<'_>,
    root: &mut Table<'_>,
    table: &str,
    (is_expected, expected): (impl Fn(&str) -> bool, &str),
    keys: &[Key<T>],
    settings: &mut BTreeMap<String, T>,
) {
    let mut tables = reader.table(root, table);
    for (name, span) in tables.keys() {
        let mut of_name = reader.table(&mut tables, &name);
        if !is_expected(&name) {
            reader.complain(table, Wrong::new(span, format!("expected {expected}")));
        }
        let of = settings.entry(name).or_default();
        for key in keys {
            reader.take(&mut of_name, key.name, |value| (key.take)(of, value));
        }
        reader.finish(of_name);
    }
}

/// Every key of the settings, in the order of the shipped file. What is not in `found` is a default,
/// that of the state directory of `state_directory`.
pub(super) fn effective(
    settings: &Settings,
    found: &Found,
    state_directory: &Origin,
) -> Vec<Effective> {
    let origin = |key: &str| match found.get(key) {
        Some(place) => place.origin(),
        None if key == "state-directory" => state_directory.clone(),
        None => Origin::Default,
    };
    let effective = |table: &str, name, value| {
        let key = Effective {
            table: table.to_owned(),
            name,
            value,
            origin: Origin::Default,
        };
        Effective {
            origin: origin(&key.key()),
            ..key
        }
    };
    let mut all = Vec::new();
    for (table, keys) in &TABLES {
        all.extend(
            keys.iter()
                .map(|key| effective(table, key.name, (key.show)(settings))),
        );
    }
    for (name, source) in &settings.sources {
        let table = format!("sources.{name}");
        let shown = SOURCES
            .iter()
            .map(|key| effective(&table, key.name, (key.show)(source)));
        all.extend(shown);
    }
    for (server, senders) in &settings.senders {
        let table = format!("senders.{server}");
        let shown = SENDERS
            .iter()
            .map(|key| effective(&table, key.name, (key.show)(senders)));
        all.extend(shown);
    }
    all
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::config::check::check;

    /// A file that has a source, `store1`, and senders for one server, `dovecot`.
    fn with_names() -> Arc<Source> {
        let text = "[sources.store1]\ndirectory = '/x'\n[senders.dovecot]\nusers = [0]";
        Arc::new(Source {
            path: PathBuf::from("names.toml"),
            text: text.to_owned(),
        })
    }

    /// All keys that a file can have, if it has those names.
    fn known_keys() -> BTreeSet<String> {
        let source = with_names();
        let mut found = Found::default();
        let mut reader = Reader::new(Arc::clone(&source), &mut found);
        take_all(&mut reader, &source, &mut defaults(PathBuf::new()));
        let (known, problems) = reader.into_results();
        assert_eq!(problems, []);
        let is_table = |path: &String| known.iter().any(|key| key.starts_with(&format!("{path}.")));
        known
            .iter()
            .filter(|path| !is_table(path))
            .cloned()
            .collect()
    }

    /// The keys in the shipped file: lines `#key = value`, below their `[table]` or `#[table]`.
    fn shipped_keys() -> Vec<String> {
        let mut table = String::new();
        let mut keys = Vec::new();
        for line in include_str!("../../packaging/config.toml").lines() {
            let line = line.strip_prefix('#').unwrap_or(line);
            if let Some(header) = line.strip_prefix('[') {
                table = header.trim_end_matches(']').to_owned() + ".";
            } else if let Some((key, _)) = line.split_once(" = ").filter(|_| !line.starts_with(' '))
            {
                keys.push(table.clone() + key);
            }
        }
        keys
    }

    #[test]
    fn the_shipped_file_has_every_key_once_and_no_other() {
        let shipped = shipped_keys();
        let set: BTreeSet<String> = shipped.iter().cloned().collect();
        assert_eq!(set, known_keys());
        assert_eq!(set.len(), shipped.len());
    }

    #[test]
    fn every_key_is_shown_in_the_order_of_the_shipped_file() {
        let mut settings = defaults(PathBuf::from("/servers.d"));
        let mut found = Found::default();
        assert_eq!(take(&with_names(), &mut settings, &mut found), []);
        let (origin, _) = check(&mut settings, &found, None).unwrap();
        let shown = effective(&settings, &found, &origin);
        assert_eq!(
            shown.iter().map(|key| key.key()).collect::<Vec<_>>(),
            shipped_keys()
        );
    }
}
