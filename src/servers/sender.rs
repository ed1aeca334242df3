//! Who wrote an entry, and whether a definition trusts them.
//!
//! Anybody on the host can write any message under any identifier. Only the fields that journald
//! adds itself, those with a leading underscore (systemd.journal-fields(7)), say who it was. Among
//! these, `_COMM` and `_EXE` prove nothing: they can be stale, absent, or chosen by the writer.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::definition::Definition;
use ipnet::IpNet;

use crate::client::Client;

/// From this number on, users may be people who log in (login.defs(5), `UID_MIN`).
pub const FIRST_ORDINARY_USER: u32 = 1000;

/// The sender of an entry, from journald's trusted fields.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct Sender {
    /// `_UID`; always there for entries of this host's processes.
    pub uid: Option<u32>,
    /// `_SYSTEMD_UNIT`; absent if the process had gone before journald looked. Of one that was in no unit,
    /// as in a container of an engine without systemd, the path of its cgroup, which no unit is called.
    pub unit: Option<String>,
    /// `_PID`. `SYSLOG_PID` is the sender's own claim, and proves nothing.
    pub pid: Option<u32>,
}

impl Sender {
    /// The client in the name of the unit, if systemd itself made the unit for a connection:
    /// `NAME@N-LOCAL:PORT-REMOTE:PORT.service` (systemd.socket(5), `Accept=`).
    #[must_use]
    pub fn client_of_unit(&self) -> Option<Client> {
        let (_, instance) = self
            .unit
            .as_ref()?
            .strip_suffix(".service")?
            .split_once('@')?;
        let (_, remote) = instance.rsplit_once('-')?;
        let (address, port) = remote.rsplit_once(':')?;
        port.parse::<u16>().ok()?;
        address.parse().ok()
    }
}

impl fmt::Display for Sender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.uid {
            Some(uid) => write!(f, "uid {uid}")?,
            None => write!(f, "no uid")?,
        }
        match &self.unit {
            Some(unit) => write!(f, ", unit {unit}"),
            None => write!(f, ", no unit"),
        }
    }
}

/// What the configuration adds to a definition: further identifiers of its server, and who else may
/// write its entries.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Senders {
    /// Identifiers. They only select the entries to look at; users and units decide.
    pub identifiers: Vec<String>,
    /// Names or numbers of users.
    pub users: Vec<String>,
    /// Units; `*` stands for any text.
    pub units: Vec<String>,
    /// Containers, by name or tag, in which the server runs.
    pub containers: Vec<String>,
    /// Where clients of those may be although bridges are there.
    pub bridges: Vec<IpNet>,
}

impl Senders {
    /// All that these add to what is heard of a server, each in a word or two.
    #[must_use]
    pub fn heard(&self) -> BTreeSet<String> {
        let lists = [
            ("identifier", &self.identifiers),
            ("user", &self.users),
            ("unit", &self.units),
            ("container", &self.containers),
        ];
        let named = |(kind, names): (&'static str, &Vec<String>)| {
            let names = names.iter().map(move |name| format!("{kind} {name}"));
            names.collect::<Vec<_>>()
        };
        lists.into_iter().flat_map(named).collect()
    }
}

/// The identifiers that a server writes under, without duplicates: those of its definition, and those
/// that `senders` adds.
pub fn identifiers<'a>(
    definition: &'a Definition,
    senders: &'a BTreeMap<String, Senders>,
) -> BTreeSet<&'a str> {
    let more = senders.get(&definition.name);
    let more = more.into_iter().flat_map(|senders| &senders.identifiers);
    let all = definition.identifiers.iter().chain(more);
    all.map(String::as_str).collect()
}

/// The longest identifier, in bytes.
const LONGEST_IDENTIFIER: usize = 255;

/// Whether this can be the identifier of a server. A `*` would not be a wildcard.
#[must_use]
pub fn is_identifier(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= LONGEST_IDENTIFIER
        && text.trim() == text
        && !text.chars().any(|c| c.is_control() || c == '*')
}

/// Whether this can be the name of a container, or its tag.
#[must_use]
pub fn is_container(text: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "_.-/".contains(c);
    !text.is_empty() && text.len() <= LONGEST_IDENTIFIER && text.chars().all(is_part)
}

/// The numbers of users on another host, by their names.
pub type Users = BTreeMap<String, u32>;

/// Who may write a server's entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trust {
    /// `None`: any user. The server writes as the mailbox's user, and the unit must prove it.
    users: Option<BTreeSet<u32>>,
    /// What those are called that have names.
    names: BTreeSet<String>,
    units: Vec<String>,
    /// Whether an entry without a unit proves nothing, as the users also run other programs.
    unit_required: bool,
}

/// Why a sender is not trusted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Distrust {
    /// Not one of the server's users.
    #[error("the sender's user is not one of the server's")]
    User,
    /// Not one of the server's units.
    #[error("the sender's unit is not one of the server's")]
    Unit,
    /// Neither.
    #[error("neither the sender's user nor its unit is one of the server's")]
    UserAndUnit,
    /// Only the unit can prove the server, as its users run other programs, and there is none.
    #[error("the sender's unit is unknown, and its user proves nothing for this server")]
    NoUnit,
    /// It names a container of the server's, and no container engine wrote it.
    #[error("it names a container, and no container engine of root's wrote it")]
    Engine,
    /// It names a container that is nobody's.
    #[error("it names a container that the configuration does not")]
    Container,
    /// It is a container's, and its client can be anybody behind a bridge.
    #[error(
        "all clients of a container may seem to come from that address, as from a bridge or a proxy"
    )]
    Bridge,
    /// It came from a stream, where a name can begin a line of its own.
    #[error(
        "it did not come by syslog(3), and in a stream a user's name can begin a line of its own"
    )]
    Stream,
    /// Its process has had a line cut in pieces, of which it may be one.
    #[error("a line of the same process was cut in pieces before, and this may be one of them")]
    Torn,
    /// It was written on another machine than what its source has shown before.
    #[error("it was written on another machine than the entries of this source before it")]
    Machine,
}

impl Trust {
    /// Trusts `users` (`None`: any) in `units`; in a unit's name `*` stands for any text.
    #[must_use]
    pub fn new(users: Option<BTreeSet<u32>>, units: Vec<String>) -> Self {
        let unit_required = users.is_none();
        Trust {
            users,
            names: BTreeSet::new(),
            units,
            unit_required,
        }
    }

    /// The users are called so; those that have no name are left out.
    #[must_use]
    pub fn with_names(mut self, names: impl IntoIterator<Item = String>) -> Self {
        self.names.extend(names);
        self
    }

    /// The same on another host, whose users have these numbers. What was a number here is nobody's
    /// there, and so is a name that is not among them, but for root.
    #[must_use]
    pub fn on_host_of(&self, users: &Users) -> Self {
        let number = |name: &String| match users.get(name) {
            None if name == "root" => Some(0),
            number => number.copied(),
        };
        let there = || self.names.iter().filter_map(number).collect();
        Trust {
            users: self.users.is_some().then(there),
            ..self.clone()
        }
    }

    /// The users also run other programs (`www-data`, `nobody`): without a unit, an entry can be from
    /// anybody who makes such a program write and end before journald looks.
    #[must_use]
    pub fn with_unit_required(mut self) -> Self {
        self.unit_required = true;
        self
    }

    /// Trusts these too.
    pub fn extend(
        &mut self,
        users: impl IntoIterator<Item = u32>,
        units: impl IntoIterator<Item = String>,
    ) {
        if let Some(known) = &mut self.users {
            known.extend(users);
        }
        self.units.extend(units);
    }

    /// Whether entries of this unit can be trusted.
    #[must_use]
    pub fn knows_unit(&self, unit: &str) -> bool {
        self.units.iter().any(|glob| matches_glob(glob, unit))
    }

    /// Decides on a sender.
    ///
    /// # Errors
    /// Which part of the sender is not trusted.
    pub fn check(&self, sender: &Sender) -> Result<(), Distrust> {
        let unit = sender.unit.as_ref().map(|unit| self.knows_unit(unit));
        let user = match &self.users {
            Some(users) => sender.uid.is_some_and(|uid| users.contains(&uid)),
            None => sender.uid.is_some(),
        };
        // Whatever people run as an ordinary user can write and end before journald looks.
        let is_ordinary = sender.uid.is_some_and(|uid| uid >= FIRST_ORDINARY_USER);
        match (user, unit) {
            (true, None) if self.unit_required || is_ordinary => Err(Distrust::NoUnit),
            (true, Some(true) | None) => Ok(()),
            (false, Some(false)) => Err(Distrust::UserAndUnit),
            (false, _) => Err(Distrust::User),
            (true, Some(false)) => Err(Distrust::Unit),
        }
    }
}

/// Whether `text` is `glob`, whose `*` stand for any text.
// By hand: `wildmatch` gives `?` a meaning; `globset` also `[`, `{` and the `\` of unit names.
#[must_use]
pub fn matches_glob(glob: &str, text: &str) -> bool {
    let mut pieces = glob.split('*');
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let Some(last) = pieces.next_back() else {
        return rest.is_empty();
    };
    for piece in pieces {
        match rest.find(piece) {
            Some(at) => rest = &rest[at + piece.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sender(uid: Option<u32>, unit: Option<&str>) -> Sender {
        Sender {
            uid,
            unit: unit.map(str::to_owned),
            pid: None,
        }
    }

    #[test]
    fn a_server_with_users_of_its_own() {
        let trust = Trust::new(Some([0].into()), vec!["dovecot.service".into()]);
        for (uid, unit, expected) in [
            (Some(0), Some("dovecot.service"), Ok(())),
            (Some(0), None, Ok(())),
            (Some(0), Some("run-u7.service"), Err(Distrust::Unit)),
            (Some(1000), Some("dovecot.service"), Err(Distrust::User)),
            (
                Some(1000),
                Some("user@1000.service"),
                Err(Distrust::UserAndUnit),
            ),
            (Some(1000), None, Err(Distrust::User)),
            (None, Some("dovecot.service"), Err(Distrust::User)),
            (None, None, Err(Distrust::User)),
        ] {
            assert_eq!(
                trust.check(&sender(uid, unit)),
                expected,
                "{uid:?} {unit:?}"
            );
        }
    }

    #[test]
    fn a_server_that_writes_as_the_mailbox_user_needs_its_unit() {
        let trust = Trust::new(
            None,
            vec!["popa3d.service".into(), "popa3d@*.service".into()],
        );
        for (uid, unit, expected) in [
            (Some(1000), Some("popa3d.service"), Ok(())),
            (
                Some(1000),
                Some("popa3d@1-192.0.2.1:110-192.0.2.10:5.service"),
                Ok(()),
            ),
            (Some(1000), None, Err(Distrust::NoUnit)),
            (Some(0), None, Err(Distrust::NoUnit)),
            (Some(1000), Some("session-3.scope"), Err(Distrust::Unit)),
            (None, Some("popa3d.service"), Err(Distrust::User)),
        ] {
            assert_eq!(
                trust.check(&sender(uid, unit)),
                expected,
                "{uid:?} {unit:?}"
            );
        }
    }

    #[test]
    fn a_server_whose_users_run_other_programs_needs_its_unit() {
        let trust = Trust::new(Some([33].into()), vec!["nginx.service".into()]);
        assert_eq!(trust.check(&sender(Some(33), None)), Ok(()));
        let trust = trust.with_unit_required();
        for (uid, unit, expected) in [
            (Some(33), Some("nginx.service"), Ok(())),
            (Some(33), None, Err(Distrust::NoUnit)),
            (Some(33), Some("php-fpm.service"), Err(Distrust::Unit)),
            (Some(0), None, Err(Distrust::User)),
        ] {
            assert_eq!(
                trust.check(&sender(uid, unit)),
                expected,
                "{uid:?} {unit:?}"
            );
        }
    }

    #[test]
    fn a_user_who_can_be_a_person_needs_the_servers_unit() {
        let mut trust = Trust::new(Some([0].into()), vec!["dovecot.service".into()]);
        trust.extend([110, 1000], []);
        for (uid, unit, expected) in [
            (110, None, Ok(())),
            (1000, Some("dovecot.service"), Ok(())),
            (1000, None, Err(Distrust::NoUnit)),
            (1000, Some("user@1000.service"), Err(Distrust::Unit)),
        ] {
            assert_eq!(trust.check(&sender(Some(uid), unit)), expected, "{uid}");
        }
    }

    #[test]
    fn a_number_is_one_hosts() {
        let here = Trust::new(Some([0, 33, 112, 5000].into()), vec!["mail.service".into()]);
        let here = here.with_names(["root", "www-data", "cyrus"].map(str::to_owned));
        let there = here.on_host_of(&[("cyrus".to_owned(), 107)].into());
        for (uid, is_trusted) in [
            (0, true),
            (107, true),
            (33, false),
            (112, false),
            (5000, false),
        ] {
            let sender = sender(Some(uid), Some("mail.service"));
            assert_eq!(there.check(&sender).is_ok(), is_trusted, "{uid}");
        }
        // Where root is called otherwise, root has the number that is said.
        let there = here.on_host_of(&[("root".to_owned(), 7)].into());
        assert!(there.check(&sender(Some(0), None)).is_err());
        let any = Trust::new(None, vec!["popa3d.service".into()]).on_host_of(&Users::new());
        assert!(
            any.check(&sender(Some(1000), Some("popa3d.service")))
                .is_ok()
        );
    }

    #[test]
    fn a_unit_made_for_a_connection_names_its_client() {
        for (unit, client) in [
            (
                "popa3d-s@0-2001:db8::1:1110-2001:db8::10:52655.service",
                Some("2001:db8::10"),
            ),
            (
                "popa3d@1-192.0.2.1:1110-192.0.2.10:49259.service",
                Some("192.0.2.10"),
            ),
            (
                "popa3d@1-192.0.2.1:1110-192.0.2.10:49259-192.0.2.1.service",
                None,
            ),
            ("popa3d@192.0.2.10.service", None),
            ("popa3d@1-2.service", None),
            ("popa3d.service", None),
            ("run-u1-192.0.2.10:1.service", None),
        ] {
            let client = client.map(|c| c.parse().unwrap());
            assert_eq!(sender(None, Some(unit)).client_of_unit(), client, "{unit}");
        }
    }

    #[test]
    fn globs() {
        for (glob, text, expected) in [
            ("dovecot.service", "dovecot.service", true),
            ("dovecot.service", "dovecot.service2", false),
            ("dovecot.service", "xdovecot.service", false),
            ("a@*.service", "a@.service", true),
            ("a@*.service", "a@1.service", true),
            ("a@*.service", "a@1.socket", false),
            ("a*b*c", "abc", true),
            ("a*b*c", "a1b2c", true),
            ("a*b*c", "a1c2b", false),
            ("a*a", "a", false),
            ("abc", "abc", true),
            ("abc", "abcd", false),
            ("*", "", true),
            ("a*", "a", true),
            ("a*c", "abbc", true),
            ("a*c", "ab", false),
            ("*b*", "abc", true),
            ("a*b*c*d", "axbxcxd", true),
            ("a*b*c*d", "axcxbxd", false),
            ("*aab", "aaab", true),
            ("*ab*ab", "ab", false),
            ("a**b", "ab", true),
        ] {
            assert_eq!(matches_glob(glob, text), expected, "{glob} {text}");
        }
    }
}
