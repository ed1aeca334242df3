//! What one file says: some of the keys, each checked by itself, with its place.
//!
//! This is where the keys have their names and ranges. Must never fill in a default: what a file
//! does not say must not override what an earlier one said.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ipnet::IpNet;
use log::LevelFilter;

use super::error::Problem;
use super::source::Source;
use super::table::{Located, Reader, Table};
use super::value::{Wrong, count, duration, log_level, optional_duration};
use super::{PermittedNetworks, Publish};
use super::{map, name, network, path, sender};
use crate::postfix::map_type::MapType;

/// The most that `grace` and `max-session` can be.
const LONGEST: Duration = Duration::from_secs(30 * 24 * 60 * 60);
/// The least that they can be: the whitelist counts in seconds.
const SHORTEST: Duration = Duration::from_secs(1);
/// The most that `map.debounce` can be.
const LONGEST_DEBOUNCE: Duration = Duration::from_secs(60);
/// What `journal.look-every` can be. More often would keep a processor busy; journald itself tells
/// more often than once a second.
const LOOK_EVERY: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(1);
/// The most that a limit can be: beyond it, a limit protects no machine's memory.
const LARGEST_LIMIT: usize = 10_000_000;

/// Nobody has less than a /64 to himself, and a site seldom more than a /48.
const IPV6_PREFIXES: RangeInclusive<usize> = 48..=128;

/// What one file says.
#[derive(Debug, Default)]
pub(super) struct Fragment {
    pub(super) grace: Option<Located<Duration>>,
    pub(super) max_session: Option<Located<Duration>>,
    pub(super) servers: Option<Located<Vec<String>>>,
    pub(super) never: Option<Located<Vec<IpNet>>>,
    pub(super) permitted_networks: Option<Located<PermittedNetworks>>,
    pub(super) state_directory: Option<Located<PathBuf>>,
    pub(super) log_level: Option<Located<LevelFilter>>,
    pub(super) journal_directory: Option<Located<Option<PathBuf>>>,
    pub(super) journal_namespace: Option<Located<Option<String>>>,
    pub(super) journal_look_every: Option<Located<Option<Duration>>>,
    pub(super) publish: Option<Located<Publish>>,
    pub(super) policy_ipv6_prefix: Option<Located<usize>>,
    pub(super) map_path: Option<Located<PathBuf>>,
    pub(super) map_type: Option<Located<Option<MapType>>>,
    pub(super) map_value: Option<Located<String>>,
    pub(super) map_debounce: Option<Located<Duration>>,
    pub(super) limits_clients: Option<Located<usize>>,
    pub(super) limits_clients_per_user: Option<Located<usize>>,
    pub(super) limits_sessions: Option<Located<usize>>,
    pub(super) senders: BTreeMap<String, SendersFragment>,
}

/// What one file says in one `[senders.SERVER]`.
#[derive(Debug, Default)]
pub(super) struct SendersFragment {
    pub(super) identifiers: Option<Located<Vec<String>>>,
    pub(super) users: Option<Located<Vec<String>>>,
    pub(super) units: Option<Located<Vec<String>>>,
}

impl Fragment {
    /// Reads a file; all that is wrong with it is told.
    pub(super) fn read(source: &Arc<Source>) -> Result<Self, Vec<Problem>> {
        let mut reader = Reader::new(Arc::clone(source));
        let fragment = Self::take(&mut reader, source);
        let (_, problems) = reader.into_results();
        if problems.is_empty() {
            Ok(fragment)
        } else {
            Err(problems)
        }
    }

    fn take(reader: &mut Reader, source: &Source) -> Self {
        let mut root = reader.document(source);
        let mut journal = reader.table(&mut root, "journal");
        let mut map_table = reader.table(&mut root, "map");
        let mut policy = reader.table(&mut root, "policy");
        let mut limits = reader.table(&mut root, "limits");
        let senders = reader.table(&mut root, "senders");
        let r = reader;
        let fragment = Self {
            grace: r.take(&mut root, "grace", duration(SHORTEST..=LONGEST)),
            max_session: r.take(&mut root, "max-session", duration(SHORTEST..=LONGEST)),
            servers: r.take(&mut root, "servers", name::servers),
            never: r.take(&mut root, "never", network::networks),
            permitted_networks: r.take(
                &mut root,
                "permitted-networks",
                network::permitted_networks,
            ),
            state_directory: r.take(&mut root, "state-directory", path::state_directory),
            log_level: r.take(&mut root, "log-level", log_level),
            journal_directory: r.take(&mut journal, "directory", path::journal_directory),
            journal_namespace: r.take(&mut journal, "namespace", name::journal_namespace),
            journal_look_every: r.take(&mut journal, "look-every", optional_duration(LOOK_EVERY)),
            publish: r.take(&mut root, "publish", map::publish),
            policy_ipv6_prefix: r.take(&mut policy, "ipv6-prefix", count(IPV6_PREFIXES)),
            map_path: r.take(&mut map_table, "path", path::map_path),
            map_type: r.take(&mut map_table, "type", map::map_type),
            map_value: r.take(&mut map_table, "value", map::map_value),
            map_debounce: r.take(
                &mut map_table,
                "debounce",
                duration(Duration::ZERO..=LONGEST_DEBOUNCE),
            ),
            limits_clients: r.take(&mut limits, "clients", count(1..=LARGEST_LIMIT)),
            limits_clients_per_user: r.take(
                &mut limits,
                "clients-per-user",
                count(1..=LARGEST_LIMIT),
            ),
            limits_sessions: r.take(&mut limits, "sessions", count(1..=LARGEST_LIMIT)),
            senders: take_senders(r, senders),
        };
        for table in [root, journal, map_table, policy, limits] {
            r.finish(table);
        }
        fragment
    }

    /// What `later` says goes before what this says, key by key.
    pub(super) fn merge(self, later: Self) -> Self {
        let mut senders = self.senders;
        for (server, later) in later.senders {
            let earlier = senders.remove(&server).unwrap_or_default();
            let merged = SendersFragment {
                identifiers: later.identifiers.or(earlier.identifiers),
                users: later.users.or(earlier.users),
                units: later.units.or(earlier.units),
            };
            senders.insert(server, merged);
        }
        Self {
            grace: later.grace.or(self.grace),
            max_session: later.max_session.or(self.max_session),
            servers: later.servers.or(self.servers),
            never: later.never.or(self.never),
            permitted_networks: later.permitted_networks.or(self.permitted_networks),
            state_directory: later.state_directory.or(self.state_directory),
            log_level: later.log_level.or(self.log_level),
            journal_directory: later.journal_directory.or(self.journal_directory),
            journal_namespace: later.journal_namespace.or(self.journal_namespace),
            journal_look_every: later.journal_look_every.or(self.journal_look_every),
            publish: later.publish.or(self.publish),
            policy_ipv6_prefix: later.policy_ipv6_prefix.or(self.policy_ipv6_prefix),
            map_path: later.map_path.or(self.map_path),
            map_type: later.map_type.or(self.map_type),
            map_value: later.map_value.or(self.map_value),
            map_debounce: later.map_debounce.or(self.map_debounce),
            limits_clients: later.limits_clients.or(self.limits_clients),
            limits_clients_per_user: later
                .limits_clients_per_user
                .or(self.limits_clients_per_user),
            limits_sessions: later.limits_sessions.or(self.limits_sessions),
            senders,
        }
    }
}

fn take_senders(reader: &mut Reader, mut senders: Table<'_>) -> BTreeMap<String, SendersFragment> {
    let mut taken = BTreeMap::new();
    for (server, span) in senders.keys() {
        let mut table = reader.table(&mut senders, &server);
        if !name::is_server_name(&server) {
            let message = format!("expected [senders.SERVER] with {}", name::SERVER_NAME);
            reader.complain(
                "senders",
                Wrong {
                    span,
                    message,
                    hint: None,
                },
            );
        }
        let fragment = SendersFragment {
            identifiers: reader.take(&mut table, "identifiers", sender::identifiers),
            users: reader.take(&mut table, "users", sender::users),
            units: reader.take(&mut table, "units", sender::units),
        };
        reader.finish(table);
        taken.insert(server, fragment);
    }
    taken
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::config::check::check;
    use crate::config::show::effective;

    /// All keys that a file can have, if it has senders for one server, `dovecot`.
    fn known_keys() -> BTreeSet<String> {
        let source = Arc::new(Source {
            path: PathBuf::from("known.toml"),
            text: "[senders.dovecot]\nusers = [0]".to_owned(),
        });
        let mut reader = Reader::new(Arc::clone(&source));
        Fragment::take(&mut reader, &source);
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
        let source = Arc::new(Source {
            path: PathBuf::from("senders.toml"),
            text: "[senders.dovecot]\nusers = [0]".to_owned(),
        });
        let fragment = Fragment::read(&source).unwrap();
        let checked = check(fragment, None, PathBuf::from("/servers.d")).unwrap();
        let shown = effective(&checked.settings, &checked.origins);
        assert_eq!(
            shown.iter().map(|key| key.key()).collect::<Vec<_>>(),
            shipped_keys()
        );
    }
}
