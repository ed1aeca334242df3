//! What systemd says of its units (systemctl(1), `show`), and journald of its configuration.
//!
//! Asks; starts, loads and changes nothing. The values are texts that systemd made, and are believed
//! as far as they can be understood.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

use crate::postfix::command::{CommandError, Programs};

/// The service.
pub const SERVICE: &str = "pop-before-smtp.service";
/// The socket where it is asked about itself.
pub const CONTROL_SOCKET: &str = "pop-before-smtp.socket";
/// The socket where Postfix asks.
pub const POLICY_SOCKET: &str = "pop-before-smtp-policy.socket";
/// The socket where the Postfix of other hosts asks; off unless an administrator wants it.
pub const POLICY_INET_SOCKET: &str = "pop-before-smtp-policy-inet.socket";
/// Ends the grace of clients while the service is stopped.
pub const EXPIRE_TIMER: &str = "pop-before-smtp-expire.timer";
/// What the timer starts.
pub const EXPIRE_SERVICE: &str = "pop-before-smtp-expire.service";
/// Finds out `mynetworks` where main.cf does not set it.
pub const NETWORKS_SERVICE: &str = "pop-before-smtp-networks.service";

/// Starts the service.
pub const START: &str = "systemctl start pop-before-smtp.service";
/// Starts it anew.
pub const RESTART: &str = "systemctl restart pop-before-smtp.service";
/// Has it read its configuration.
pub const RELOAD: &str = "systemctl reload pop-before-smtp.service";

/// The properties that are asked for.
const PROPERTIES: &str = "--property=Id,LoadState,ActiveState,SubState,UnitFileState,Result,\
    ExecMainStatus,MainPID,NRestarts,NeedDaemonReload,ActiveEnterTimestamp,LogNamespace,\
    LogRateLimitIntervalUSec,LogRateLimitBurst,User,Group,SupplementaryGroups,ExecStart,ExecReload,Listen,\
    ConditionResult";

/// The properties of a unit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Unit(BTreeMap<String, String>);

/// A unit that is not there.
pub static NO_UNIT: Unit = Unit(BTreeMap::new());

impl Unit {
    /// A property; empty where the unit has none of that name.
    #[must_use]
    pub fn get(&self, property: &str) -> &str {
        self.0.get(property).map_or("", String::as_str)
    }

    /// Its name.
    #[must_use]
    pub fn id(&self) -> &str {
        self.get("Id")
    }

    /// Whether systemd has a file of it.
    #[must_use]
    pub fn is_there(&self) -> bool {
        !matches!(self.get("LoadState"), "" | "not-found")
    }

    /// Whether it runs, or listens.
    #[must_use]
    pub fn is_active(&self) -> bool {
        matches!(self.get("ActiveState"), "active" | "reloading")
    }

    /// Whether a boot starts it.
    #[must_use]
    pub fn is_enabled(&self) -> bool {
        matches!(
            self.get("UnitFileState"),
            "enabled" | "enabled-runtime" | "static" | "indirect" | "alias" | "generated"
        )
    }

    /// Since when it is active.
    #[must_use]
    pub fn active_since(&self) -> Option<Timestamp> {
        parse_time(self.get("ActiveEnterTimestamp"))
    }

    /// When systemd has last run the last command of its reload.
    #[must_use]
    pub fn reloaded(&self) -> Option<Timestamp> {
        let (_, started) = self.get("ExecReload").split_once("start_time=[")?;
        parse_time(started.split(']').next()?)
    }

    /// `active (running)`.
    #[must_use]
    pub fn state(&self) -> String {
        format!("{} ({})", self.get("ActiveState"), self.get("SubState"))
    }
}

/// A time as `--timestamp=us+utc` has it: `Tue 2026-11-24 15:02:07.25 UTC`.
fn parse_time(text: &str) -> Option<Timestamp> {
    // Without the day of the week.
    let (_, time) = text.strip_suffix(" UTC")?.split_once(' ')?;
    let time: DateTime = time.parse().ok()?;
    TimeZone::UTC.to_timestamp(time).ok()
}

#[cfg(test)]
impl Unit {
    /// A unit with these properties: `ActiveState=active Id=x.service`; a `+` in a value is a space.
    pub fn with(properties: &str) -> Self {
        let pairs = properties
            .split_whitespace()
            .filter_map(|p| p.split_once('='));
        Unit(
            pairs
                .map(|(k, v)| (k.to_owned(), v.replace('+', " ")))
                .collect(),
        )
    }
}

/// The units that matter.
#[derive(Debug, Clone, Default)]
pub struct Units {
    own: Vec<Unit>,
    /// Every service that systemd has loaded.
    pub services: Vec<Unit>,
}

impl Units {
    /// Asks for ours, and for all services.
    ///
    /// # Errors
    /// When there is no systemd to ask.
    pub fn look(programs: &Programs) -> Result<Self, CommandError> {
        let own = [
            SERVICE,
            CONTROL_SOCKET,
            POLICY_SOCKET,
            POLICY_INET_SOCKET,
            EXPIRE_TIMER,
            EXPIRE_SERVICE,
            NETWORKS_SERVICE,
            "postfix.service",
            "postfix@-.service",
        ];
        Ok(Units {
            own: show(programs, &own)?,
            services: show(programs, &["*.service"])?,
        })
    }

    /// A unit of ours, or of Postfix's; one that systemd does not know is not there.
    #[must_use]
    pub fn get(&self, name: &str) -> &Unit {
        let found = self.own.iter().find(|unit| unit.id() == name);
        found.unwrap_or(&NO_UNIT)
    }
}

#[cfg(test)]
impl Units {
    /// These units, and no other.
    pub fn of(own: Vec<Unit>) -> Self {
        Units {
            services: own.clone(),
            own,
        }
    }
}

/// Asks for units by their names or patterns; of a pattern, those that are loaded.
///
/// # Errors
/// When there is no systemd to ask.
pub fn show(programs: &Programs, names: &[&str]) -> Result<Vec<Unit>, CommandError> {
    let mut arguments = vec!["show", "--timestamp=us+utc", PROPERTIES, "--"];
    arguments.extend(names);
    let text = programs.run("systemctl", &arguments)?.succeeded()?.text();
    Ok(parse_units(&text))
}

/// `name=value`, one a line; an empty line between units. Of a name that comes again, as those of
/// commands do, the last is kept.
fn parse_units(text: &str) -> Vec<Unit> {
    let units = text.split("\n\n").map(|block| {
        let pairs = block.lines().filter_map(|line| line.split_once('='));
        Unit(pairs.map(|(k, v)| (k.to_owned(), v.to_owned())).collect())
    });
    units.filter(|unit: &Unit| !unit.id().is_empty()).collect()
}

/// What journald is told to do: the last value of each key of its files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct JournaldConfiguration(BTreeMap<String, String>);

impl JournaldConfiguration {
    /// Reads journald.conf and its drop-ins, those of a namespace's journald if it has one.
    ///
    /// # Errors
    /// When there is no systemd-analyze, or no such configuration.
    pub fn look(programs: &Programs, namespace: Option<&str>) -> Result<Self, CommandError> {
        let name = match namespace {
            Some(namespace) => format!("systemd/journald@{namespace}.conf"),
            None => "systemd/journald.conf".to_owned(),
        };
        let run = programs.run("systemd-analyze", &["--no-pager", "cat-config", &name])?;
        Ok(Self::parse(&run.succeeded()?.text()))
    }

    pub(super) fn parse(text: &str) -> Self {
        let lines = text.lines().map(str::trim);
        let pairs = lines
            .filter(|line| !line.starts_with(['#', ';']))
            .filter_map(|line| line.split_once('='))
            .map(|(key, value)| (key.trim().to_owned(), value.trim().to_owned()));
        JournaldConfiguration(pairs.collect())
    }

    /// What a key says; empty for its default.
    #[must_use]
    pub fn get(&self, key: &str) -> &str {
        self.0.get(key).map_or("", String::as_str)
    }
}

/// The error of a program, where the program is the point: systemd need not be there.
#[must_use]
pub fn reason(error: &CommandError) -> String {
    match error {
        CommandError::NotFound { program, .. } => format!("{program} is not installed"),
        // Our question is long, and does not matter.
        CommandError::Failed { stderr, .. } if !stderr.trim().is_empty() => {
            stderr.lines().next().unwrap_or_default().to_owned()
        }
        error => error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_are_told_apart() {
        let units = parse_units(
            "Id=a.service\nActiveState=active\nActiveEnterTimestamp=Tue 2026-11-24 15:02:07.25 UTC\n\
             ExecReload={ path=/bin/a ; start_time=[n/a] ; pid=0 }\n\
             ExecReload={ path=/bin/b ; start_time=[Tue 2026-11-24 15:02:07.5 UTC] ; pid=9 }\n\n\
             LogNamespace=\nId=b.socket\nLoadState=not-found\nnonsense\n\n\n",
        );
        assert_eq!(units.len(), 2);
        assert!(units[0].is_active() && !units[0].is_there());
        let since = units[0].active_since().unwrap();
        assert_eq!(since.as_millisecond(), 1_795_532_527_250);
        assert!(!units[1].is_active() && !units[1].is_there());
        assert_eq!(units[0].reloaded().unwrap().as_second(), 1_795_532_527);
        assert_eq!(units[1].reloaded(), None);
        assert_eq!(units[1].active_since(), None);
        assert_eq!(parse_units(""), []);
    }

    #[test]
    fn the_last_value_of_a_key_counts() {
        let journald = JournaldConfiguration::parse(
            "# /etc/x\n#Storage=none\n[Journal]\nStorage=volatile\n Storage = persistent\n",
        );
        assert_eq!(journald.get("Storage"), "persistent");
        assert_eq!(journald.get("MaxLevelStore"), "");
    }
}
