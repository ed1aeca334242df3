//! The units in which mail servers run: those that the definitions that are on trust.

use std::collections::BTreeSet;

use super::systemd::Unit;
use crate::config::Settings;
use crate::intake::units_of_container;
use crate::servers::{Catalogue, Sender, Trust};

/// The mail units, and those of them that systemd has loaded.
#[derive(Debug)]
pub struct MailUnits {
    trust: Trust,
    /// Those that are loaded.
    pub loaded: Vec<Unit>,
}

impl MailUnits {
    /// Those of the servers that are on, among `services`.
    #[must_use]
    pub fn of(settings: &Settings, catalogue: &Catalogue, services: &[Unit]) -> Self {
        let on = settings.servers.iter();
        let defined = on.filter_map(|name| catalogue.get(name));
        let defined = defined.flat_map(|loaded| &loaded.definition.units);
        let configured = settings.senders.values().flat_map(|senders| &senders.units);
        let containers = settings
            .senders
            .values()
            .flat_map(|senders| &senders.containers);
        let of_containers = containers.flat_map(|name| units_of_container(name));
        let named = defined.chain(configured).cloned().chain(of_containers);
        Self::named(named, services)
    }

    /// Those that fit one of these patterns.
    #[must_use]
    pub fn named(patterns: impl Iterator<Item = String>, services: &[Unit]) -> Self {
        let patterns: BTreeSet<String> = patterns.collect();
        let trust = Trust::new(None, patterns.into_iter().collect());
        let mut units = MailUnits {
            trust,
            loaded: Vec::new(),
        };
        let loaded = services.iter().filter(|unit| units.is_one(unit.id()));
        units.loaded = loaded.cloned().collect();
        units
    }

    /// Whether a unit of this name is one.
    #[must_use]
    pub fn is_one(&self, name: &str) -> bool {
        let sender = Sender {
            uid: Some(0),
            unit: Some(name.to_owned()),
            pid: None,
        };
        self.trust.check(&sender).is_ok()
    }

    /// The unit of this name, if it is loaded.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Unit> {
        self.loaded.iter().find(|unit| unit.id() == name)
    }
}

/// A word for a shell.
#[must_use]
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:@+=,%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_name_units() {
        let services = ["Id=dovecot.service", "Id=pop@1.service", "Id=ssh.service"];
        let services = services.map(Unit::with);
        let patterns = ["dovecot.service", "pop@*.service"].map(str::to_owned);
        let units = MailUnits::named(patterns.into_iter(), &services);
        assert_eq!(units.loaded.len(), 2);
        assert!(units.get("pop@1.service").is_some() && units.get("ssh.service").is_none());
        assert!(units.is_one("pop@9.service") && !units.is_one("ssh.service"));
    }

    #[test]
    fn a_shell_takes_a_word_as_it_is() {
        assert_eq!(quoted("dovecot.service"), "dovecot.service");
        assert_eq!(quoted(r"a\x2d'b $c"), r"'a\x2d'\''b $c'");
        assert_eq!(quoted(""), "''");
    }
}
