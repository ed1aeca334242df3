//! The effective configuration: every key, its value, and where it came from.
//!
//! Shown as TOML, it is a configuration that means the same.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::path::PathBuf;
use std::time::Duration;

use ipnet::IpNet;
use serde::Serialize;

use super::Loaded;
use super::duration::Humane;
use crate::excerpt::harmless;

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
    pub value: Shown,
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Shown {
    /// A text.
    Text(String),
    /// A number.
    Number(usize),
    /// A list of texts.
    List(Vec<String>),
    /// Numbers that have names.
    Numbers(BTreeMap<String, u32>),
}

impl Shown {
    pub(super) fn text(text: impl Into<String>) -> Self {
        Shown::Text(text.into())
    }

    pub(super) fn duration(duration: Duration) -> Self {
        Shown::Text(Humane(duration).to_string())
    }

    pub(super) fn networks(networks: &[IpNet]) -> Self {
        let one = |network: &IpNet| {
            // A single address needs no length.
            if network.prefix_len() == network.max_prefix_len() {
                network.addr().to_string()
            } else {
                network.to_string()
            }
        };
        Shown::List(networks.iter().map(one).collect())
    }
}

impl fmt::Display for Shown {
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
            Self::Numbers(numbers) => {
                f.write_str("{")?;
                for (index, (name, number)) in numbers.iter().enumerate() {
                    f.write_str(if index > 0 { ", " } else { " " })?;
                    write_text(f, name)?;
                    write!(f, " = {number}")?;
                }
                f.write_str(if numbers.is_empty() { "}" } else { " }" })
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
            "value": key.value,
            "origin": key.origin.to_string(),
        });
        (key.key(), entry)
    };
    serde_json::Value::Object(loaded.effective.iter().map(entry).collect())
}
