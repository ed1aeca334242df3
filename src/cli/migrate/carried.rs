//! Decides what of the old daemon goes where, and what can't be carried over.

use std::collections::BTreeSet;
use std::time::Duration;

use ipnet::IpNet;
use toml::Value;

use super::old_map::OldMap;
use super::{Found, NAMED};
use crate::cli::convert_pattern;
use crate::client::Client;
use crate::config::duration::Humane;
use crate::postfix::access_map::validate_value;
use crate::servers::Catalogue;

/// What `$grace` was if nothing was said, in seconds; it is our own default.
const GRACE: u64 = 30 * 60;
/// The longest grace that the configuration takes, in seconds.
const LONGEST_GRACE: u64 = 30 * 24 * 60 * 60;

/// What goes where.
#[derive(Default)]
pub(super) struct Carried {
    /// Lines of config.toml.
    pub(super) keys: Vec<String>,
    /// The key `value` of `[map]`.
    pub(super) value: Option<Value>,
    /// Said of the keys that are not written.
    pub(super) same: Vec<String>,
    /// A definition for servers.d: name and text.
    pub(super) definition: Option<(String, String)>,
    /// Said of the servers.
    pub(super) servers: Vec<String>,
    /// What can't be carried over.
    pub(super) lost: Vec<String>,
}

impl Carried {
    /// Decides.
    pub(super) fn from(found: &Found) -> Self {
        let mut carried = Carried::default();
        let settings = &found.settings;
        carried.grace(settings.grace.unwrap_or(GRACE));
        carried.value(found);
        if let Some(networks) = &settings.mynets {
            carried.networks(networks);
        }
        carried.patterns(found);
        for (variable, function) in &settings.functions {
            carried.function(variable, function);
        }
        if let Some(file) = settings.texts.get("file_tail") {
            carried.servers.push(format!(
                "Logins come from the journal, not from {file}: a server with a log file of its own \
                 (Dovecot's log_path) has to log to syslog or to its standard error."
            ));
        }
        let lost = &mut carried.lost;
        if let Some(Ok(OldMap { others, .. })) = &found.map {
            let keys = others.iter().take(NAMED);
            lost.extend(keys.map(|key| format!("the old map's key '{key}': no single address")));
            if let Some(more @ 1..) = others.len().checked_sub(NAMED) {
                lost.push(format!(
                    "{more} more keys of the old map: no single addresses"
                ));
            }
        }
        let unread = settings.unread.iter();
        lost.extend(unread.map(|(line, why)| format!("line {line}: {why}")));
        if found.daemon.script.is_some() {
            lost.push(
                "options on the daemon's command line (in its init script or /etc/default) counted \
                 more than the configuration"
                    .to_owned(),
            );
        }
        carried
    }

    /// `$grace`.
    fn grace(&mut self, seconds: u64) {
        match seconds {
            GRACE => self.same.push("$grace: 30min is the default.".to_owned()),
            1..=LONGEST_GRACE => {
                let grace = Humane(Duration::from_secs(seconds));
                self.keys.push(format!("grace = \"{grace}\""));
            }
            _ => (self.lost).push(format!(
                "$grace: {seconds} seconds; grace takes from 1s to 30d"
            )),
        }
    }

    /// `$dbvalue`, or what the map itself holds.
    fn value(&mut self, found: &Found) {
        let in_map = match &found.map {
            Some(Ok(OldMap { values, .. })) if values.len() == 1 => values.first(),
            _ => None,
        };
        let Some(value) = found.settings.texts.get("dbvalue").or(in_map) else {
            return;
        };
        match validate_value(value) {
            Ok(()) if value.eq_ignore_ascii_case("ok") => {
                self.same.push("$dbvalue: OK is the default.".to_owned());
            }
            Ok(()) => self.value = Some(value.as_str().into()),
            Err(why) => self.lost.push(format!("$dbvalue: {why}")),
        }
    }

    /// `@mynets`.
    fn networks(&mut self, networks: &[String]) {
        let mut taken = BTreeSet::new();
        for network in networks {
            let address = || Some(network.parse::<Client>().ok()?.address().into());
            match network.parse::<IpNet>().ok().or_else(address) {
                Some(network) => drop(taken.insert(network.trunc())),
                None => self.lost.push(format!(
                    "@mynets: '{network}' is no network as 192.0.2.0/24 or 2001:db8::/32"
                )),
            }
        }
        let taken: Vec<String> = taken.iter().map(ToString::to_string).collect();
        (self.keys).push(format!("permitted-networks = {}", Value::from(taken)));
        self.same.push(
            "permitted-networks: leave it out, if Postfix's mynetworks says the same: that is the \
             default."
                .to_owned(),
        );
    }

    /// `$pat` and its companions.
    fn patterns(&mut self, found: &Found) {
        if found.settings.has_custom_match {
            self.lost.push(
                "custom_match, @login, @logout: patterns in code; give each to 'pop-before-smtp \
                 convert-pattern' if its server is not built in"
                    .to_owned(),
            );
        }
        let (text, definition) = match convert_pattern::from_configuration(&found.settings.in_force)
        {
            Ok(Some(converted)) => converted,
            Ok(None) => {
                return self.servers.push(
                    "No $pat is in force: the daemon's default was UW IMAP, built in as uw-imap."
                        .to_owned(),
                );
            }
            Err(why) => return self.lost.push(format!("the patterns: {why}")),
        };
        let catalogue = Catalogue::read(&found.plan.settings.servers_directory);
        let known: Vec<&str> = (catalogue.definitions.iter())
            .map(|loaded| &loaded.definition)
            .filter(|known| {
                let mut identifiers = definition.identifiers.iter();
                identifiers.any(|identifier| known.identifiers.contains(identifier))
            })
            .map(|known| known.name.as_str())
            .collect();
        if let Some(first) = known.first() {
            self.servers.push(format!(
                "$pat is for {}: built in, and on. 'servers = [\"{first}\"]' would have it alone.",
                known.join(" or ")
            ));
        } else {
            let name = definition.name;
            self.keys
                .push(format!("servers = {}", Value::from(vec![&*name])));
            self.definition = Some((name, text));
        }
    }

    /// A function that took the place of the daemon's own.
    fn function(&mut self, variable: &str, function: &str) {
        match (variable, function) {
            // What the daemon came with, for Postfix: postmap and the journal do it now.
            (
                _,
                "mynet_postfix" | "tie_BerkeleyDB" | "sync_BerkeleyDB" | "tie_DB_File"
                | "sync_DB_File",
            )
            | ("flock_func" | "tail_init_func" | "tail_getline_func" | "log_func", _) => {}
            ("mynet_func", _) => self.lost.push(format!(
                "$mynet_func: the networks that {function} finds; see permitted-networks"
            )),
            _ => self.lost.push(format!(
                "${variable}: {function}; only Postfix is told of clients, by its own kinds of maps"
            )),
        }
    }
}
