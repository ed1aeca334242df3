//! The effective configuration: every key, its value, and where it came from.
//!
//! Shown as TOML, it is a configuration that means the same.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::path::{Path, PathBuf};

use ipnet::IpNet;

use super::duration::Humane;
use super::error::harmless;
use super::load::Loaded;
use super::{PermittedNetworks, Settings};

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// No file says anything about it.
    Default,
    /// An environment variable of this name.
    Environment(&'static str),
    /// A file, and the line of the key in it, from 1.
    File {
        /// The file.
        file: PathBuf,
        /// The line.
        line: usize,
    },
}

impl fmt::Display for Origin {
    /// `default`, `$VARIABLE` or `FILE:LINE`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Environment(name) => write!(f, "${name}"),
            Self::File { file, line } => {
                write!(f, "{}:{line}", harmless(&file.to_string_lossy()))
            }
        }
    }
}

/// A key of the effective configuration.
#[derive(Debug, Clone, PartialEq)]
pub struct Effective {
    /// Its table, as a dotted path; empty for none.
    pub table: String,
    /// Its name in the table.
    pub name: &'static str,
    /// Its value.
    pub value: Value,
    /// Where it came from.
    pub origin: Origin,
}

impl Effective {
    /// The dotted path: `map.debounce`.
    #[must_use]
    pub fn key(&self) -> String {
        if self.table.is_empty() {
            self.name.to_owned()
        } else {
            format!("{}.{}", self.table, self.name)
        }
    }
}

/// The value of a key, as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A text.
    Text(String),
    /// A number.
    Number(usize),
    /// A list of texts.
    List(Vec<String>),
}

impl fmt::Display for Value {
    /// As TOML, on one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => write_text(f, text),
            Self::Number(number) => write!(f, "{number}"),
            Self::List(texts) => {
                f.write_str("[")?;
                for (index, text) in texts.iter().enumerate() {
                    if index > 0 {
                        f.write_str(", ")?;
                    }
                    write_text(f, text)?;
                }
                f.write_str("]")
            }
        }
    }
}

/// A basic string of TOML.
fn write_text(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_char('"')?;
    for character in text.chars() {
        match character {
            '"' | '\\' => write!(f, "\\{character}")?,
            c if c.is_control() => write!(f, "\\u{:04x}", u32::from(c))?,
            c => f.write_char(c)?,
        }
    }
    f.write_char('"')
}

impl From<&Value> for serde_json::Value {
    fn from(value: &Value) -> Self {
        match value {
            Value::Text(text) => text.as_str().into(),
            Value::Number(number) => (*number).into(),
            Value::List(texts) => texts.as_slice().into(),
        }
    }
}

/// Every key of the settings, in the order of the shipped file. What `origins` does not name is a
/// default.
pub(super) fn effective(settings: &Settings, origins: &BTreeMap<String, Origin>) -> Vec<Effective> {
    let mut keys = Vec::new();
    let mut put = |table: &str, name, value| {
        keys.push(Effective {
            table: table.to_owned(),
            name,
            value,
            origin: Origin::Default,
        });
    };
    let Settings {
        grace,
        max_session,
        servers,
        never,
        permitted_networks,
        ..
    } = settings;
    put("", "grace", Value::Text(Humane(*grace).to_string()));
    put(
        "",
        "max-session",
        Value::Text(Humane(*max_session).to_string()),
    );
    put("", "servers", Value::List(servers.clone()));
    put("", "never", networks(never));
    let permitted = match permitted_networks {
        PermittedNetworks::Postfix => Value::Text("postfix".to_owned()),
        PermittedNetworks::List(list) => networks(list),
    };
    put("", "permitted-networks", permitted);
    let ways = [
        ("map", settings.publish.map),
        ("policy", settings.publish.policy),
    ];
    let ways = ways
        .iter()
        .filter(|(_, on)| *on)
        .map(|(name, _)| (*name).to_owned());
    put("", "publish", Value::List(ways.collect()));
    put("", "state-directory", path(&settings.state_directory));
    let level = settings.log_level.as_str().to_lowercase();
    put("", "log-level", Value::Text(level));
    let journal = &settings.journal;
    let directory = journal
        .directory
        .as_deref()
        .map_or(Value::Text(String::new()), path);
    put("journal", "directory", directory);
    put(
        "journal",
        "namespace",
        Value::Text(journal.namespace.clone().unwrap_or_default()),
    );
    let look_every = journal.look_every.map(|every| Humane(every).to_string());
    put(
        "journal",
        "look-every",
        Value::Text(look_every.unwrap_or_default()),
    );
    let map = &settings.map;
    put("map", "path", path(&map.path));
    let kind = map
        .kind
        .map_or_else(|| "auto".to_owned(), |kind| kind.to_string());
    put("map", "type", Value::Text(kind));
    put("map", "value", Value::Text(map.value.clone()));
    put(
        "map",
        "debounce",
        Value::Text(Humane(map.debounce).to_string()),
    );
    let prefix = usize::from(settings.policy.ipv6_prefix);
    put("policy", "ipv6-prefix", Value::Number(prefix));
    let limits = &settings.limits;
    put("limits", "clients", Value::Number(limits.clients));
    put(
        "limits",
        "clients-per-user",
        Value::Number(limits.clients_per_user),
    );
    put("limits", "sessions", Value::Number(limits.sessions));
    for (server, senders) in &settings.senders {
        let table = format!("senders.{server}");
        put(
            &table,
            "identifiers",
            Value::List(senders.identifiers.clone()),
        );
        put(&table, "users", Value::List(senders.users.clone()));
        put(&table, "units", Value::List(senders.units.clone()));
    }
    for key in &mut keys {
        if let Some(origin) = origins.get(&key.key()) {
            key.origin = origin.clone();
        }
    }
    keys
}

fn networks(networks: &[IpNet]) -> Value {
    let one = |network: &IpNet| {
        // A single address needs no length.
        if network.prefix_len() == network.max_prefix_len() {
            network.addr().to_string()
        } else {
            network.to_string()
        }
    };
    Value::List(networks.iter().map(one).collect())
}

fn path(path: &Path) -> Value {
    Value::Text(path.to_string_lossy().into_owned())
}

/// The effective configuration as TOML, every key with a comment that says where it came from:
/// `FILE:LINE`, `$VARIABLE` or `default`.
#[must_use]
pub fn show(loaded: &Loaded) -> String {
    let mut text = String::new();
    let mut table = "";
    for key in &loaded.effective {
        if key.table != table {
            table = &key.table;
            text += &format!("\n[{table}]\n");
        }
        text += &format!("{} = {}  # {}\n", key.name, key.value, key.origin);
    }
    text
}

/// The effective configuration as one JSON object: from each key's dotted path to an object of its
/// `value` and `origin`, the latter as [`Origin`] prints it.
#[must_use]
pub fn show_json(loaded: &Loaded) -> serde_json::Value {
    let entry = |key: &Effective| {
        let entry = serde_json::json!({
            "value": serde_json::Value::from(&key.value),
            "origin": key.origin.to_string(),
        });
        (key.key(), entry)
    };
    serde_json::Value::Object(loaded.effective.iter().map(entry).collect())
}
