//! The configuration: /etc/pop-before-smtp/config.toml and its drop-ins.
//!
//! Reads, merges and checks; an error names file, line, column and key and says what was
//! expected. Never half takes a configuration: it is whole and right, or it is an error.
//!
//! Each file is read (`source`) and taken apart key by key (`table`, `keys`); each value is checked
//! by itself (`value` and the files of its kinds) and put into the [`Settings`], over what an earlier
//! file said. These are checked as a whole (`check`).

mod check;
pub mod duration;
mod error;
mod keys;
mod load;
mod map;
mod name;
mod nearest;
mod network;
mod path;
mod sender;
mod show;
mod source;
mod table;
mod value;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use log::LevelFilter;

use crate::postfix::map_type::MapType;

pub use crate::excerpt::Place;
pub use crate::servers::{Senders, Users};
pub use error::{ConfigError, Problem};
pub use load::{DIRECTORY, load, load_directory, load_file};
pub use name::is_source_name;
pub use show::{Effective, Origin, Shown, show, show_json};

/// A configuration that has been read and found right.
#[derive(Debug, Clone, PartialEq)]
pub struct Loaded {
    /// The settings.
    pub settings: Settings,
    /// Every key with its value and where it came from, in the order of the shipped file.
    pub effective: Vec<Effective>,
    /// The files that were read, in this order.
    pub files: Vec<PathBuf>,
    /// What is odd, but taken.
    pub warnings: Vec<Problem>,
}

/// The effective configuration: every key has a value, every value has been checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// `grace`: how long a client may relay after its last login or logout.
    pub grace: Duration,
    /// `max-session`: when a session whose logout never comes is taken to have ended.
    pub max_session: Duration,
    /// `servers`: the names of the definitions that are on.
    pub servers: Vec<String>,
    /// `never`: clients that are never listed (load balancers, NAT gateways).
    pub never: Vec<IpNet>,
    /// `permitted-networks`: clients that Postfix lets relay anyway, and that are never listed.
    pub permitted_networks: PermittedNetworks,
    /// `state-directory`: where the store and, by default, the access map are.
    pub state_directory: PathBuf,
    /// `log-level`: how much is written to the journal.
    pub log_level: LevelFilter,
    /// `[journal]`.
    pub journal: JournalSettings,
    /// `publish`: how Postfix is told.
    pub publish: Publish,
    /// `[map]`.
    pub map: MapSettings,
    /// `[policy]`.
    pub policy: PolicySettings,
    /// `[limits]`.
    pub limits: Limits,
    /// `[sources.NAME]`: journals that are read beside that of `[journal]`.
    pub sources: BTreeMap<String, SourceSettings>,
    /// `[senders.SERVER]`: under which identifiers else a server writes, and who else may write its
    /// entries, by the server's name.
    pub senders: BTreeMap<String, Senders>,
    /// Where own definitions are: `servers.d` beside the configuration file.
    pub servers_directory: PathBuf,
}

/// `permitted-networks`.
#[derive(Debug, Clone, PartialEq)]
pub enum PermittedNetworks {
    /// `"postfix"`: what Postfix's `mynetworks` says.
    Postfix,
    /// A list of networks.
    List(Vec<IpNet>),
}

/// `[journal]`: which journal is read, and when.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct JournalSettings {
    /// `directory`: the journal files in this directory, instead of this host's journal.
    pub directory: Option<PathBuf>,
    /// `namespace`: a journal namespace, systemd.exec(5) LogNamespace=.
    pub namespace: Option<String>,
    /// `look-every`: how often it is looked at besides when journald tells, for the map's sake, while
    /// servers write; `None` is never.
    pub look_every: Option<Duration>,
}

/// `[sources.NAME]`: a journal that is read beside that of `[journal]`; one of the two.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SourceSettings {
    /// `directory`: the journal files in this directory.
    pub directory: Option<PathBuf>,
    /// `namespace`: a journal namespace of this host.
    pub namespace: Option<String>,
    /// `users`: the numbers of users on the host whose files are in that directory.
    pub users: Users,
}

/// `publish`: how Postfix is told; at least one way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Publish {
    /// `"map"`: by the access map.
    pub map: bool,
    /// `"policy"`: by answers on the policy socket.
    pub policy: bool,
}

/// `[policy]`: the answers on the policy socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicySettings {
    /// `ipv6-prefix`: how many bits of an IPv6 address are one client's; 128 is each by itself.
    pub ipv6_prefix: u8,
    /// `relays`: who may ask over TCP.
    pub relays: Vec<IpNet>,
}

/// `[map]`: the access map.
#[derive(Debug, Clone, PartialEq)]
pub struct MapSettings {
    /// `path`: without the extension of its type.
    pub path: PathBuf,
    /// `type`: `None` is `"auto"`, what this Postfix supports best.
    pub kind: Option<MapType>,
    /// `value`: the right-hand side for a listed client, access(5).
    pub value: String,
    /// `debounce`: changes closer together than this are published together.
    pub debounce: Duration,
}

/// `[limits]`: beyond them, clients are refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// `clients`: on the whitelist at once.
    pub clients: usize,
    /// `clients-per-user`: listed at once for one user.
    pub clients_per_user: usize,
    /// `sessions`: open at once; a login beyond it counts, but its session is not followed.
    pub sessions: usize,
}

impl Limits {
    /// Nobody is refused for them.
    pub const NONE: Limits = Limits {
        clients: usize::MAX,
        clients_per_user: usize::MAX,
        sessions: usize::MAX,
    };
}
