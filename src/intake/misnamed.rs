//! Logins that are not read, as their server writes under an unknown identifier (Dovecot's
//! `instance_name`, Cyrus's `syslog_prefix`, a renamed program) or in an unknown container.
//!
//! For `test --missed` and `doctor`. Such a login lists nobody: whether the identifier, and the unit
//! if it is as unknown, or the container, are the server's is for an administrator to say.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use super::Senders;
use super::container::{Writer, line_of, printable_name};
use super::remedy::{self, lines_of};
use crate::client::Client;
use crate::journal::{Container, Entry};
use crate::servers::{
    Distrust, FIRST_ORDINARY_USER, Meaning, Recogniser, Sender, Senders as Added, Trust, Verdict,
    is_identifier,
};

/// How many identifiers and containers are counted separately.
const IDENTIFIERS: usize = 100;

/// Where a login was written that is not read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unnamed {
    /// Under this identifier.
    Identifier(String),
    /// In the container of this name.
    Container(String),
}

impl fmt::Display for Unnamed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Unnamed::Identifier(name) => write!(f, "the identifier {name}"),
            Unnamed::Container(name) => write!(f, "the container {name}"),
        }
    }
}

/// An entry that would be a login if what it was written under were one of the server's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misnamed {
    /// The server.
    pub server: Arc<str>,
    /// What it was written under.
    pub under: Unnamed,
    /// The unit that it writes in, if that is not known as the server's either.
    pub unit: Option<String>,
    /// Where the client is, if the message says so.
    pub client: Option<Client>,
    /// Who has logged in.
    pub user: Option<String>,
    /// In which session.
    pub session: Option<String>,
}

/// Whether entries of this unit can be a server's that nobody has named: it is a service, and writes
/// for itself alone.
#[must_use]
pub fn may_be_a_servers(unit: &str) -> bool {
    unit.ends_with(".service") && !remedy::writes_for_others(unit)
}

/// Whether the entry is such a login. Unless anybody is believed, its user must be one of the
/// server's, and its unit one of the server's, too, or one that nobody has named.
#[must_use]
pub fn misnamed(recogniser: &Recogniser, entry: &Entry, senders: Senders) -> Option<Misnamed> {
    if !entry.is_message() || entry.is_ambiguous() {
        return None;
    }
    if !entry.container.name.is_empty() {
        return in_a_container(recogniser, entry, senders);
    }
    let identifier = std::str::from_utf8(&entry.identifier).ok()?;
    let (sender, message) = (&entry.sender, &entry.message);
    if !is_identifier(identifier) || recogniser.recognise(identifier, message).is_some() {
        return None;
    }
    let mut verdicts = recogniser.under_another(&entry.identifier, message, |server| {
        senders == Senders::Any || may_write(&server.trust, sender)
    });
    verdicts.find_map(|verdict| {
        let unit = unknown_unit(&verdict.server.trust, sender);
        login(verdict, Unnamed::Identifier(identifier.to_owned()), unit)
    })
}

/// Whether the entry is a login in a container that is nobody's.
fn in_a_container(recogniser: &Recogniser, entry: &Entry, senders: Senders) -> Option<Misnamed> {
    let Container { name, tag, .. } = &entry.container;
    let writer = Writer::of(&entry.sender, name);
    let tag: &[u8] = if writer == Writer::Quadlet { b"" } else { tag };
    // That of a quadlet whose container has another name.
    let unit = (entry.sender.unit.as_ref())
        .filter(|unit| writer == Writer::Other && may_be_a_servers(unit))
        .filter(|_| entry.sender.uid == Some(0));
    let may_be_one = writer != Writer::Other || unit.is_some() || senders == Senders::Any;
    if !may_be_one || recogniser.knows_container(name, tag) {
        return None;
    }
    let container = printable_name(name)?;
    let message = line_of(&entry.message);
    // By its tag, it is read, and refused.
    if recogniser.recognise(&entry.identifier, &message).is_some() {
        return None;
    }
    let verdict = recogniser.in_another_container(&message)?;
    let unit = unit
        .filter(|unit| !verdict.server.trust.knows_unit(unit))
        .cloned();
    login(verdict, Unnamed::Container(container), unit)
}

fn login(verdict: Verdict<'_>, under: Unnamed, unit: Option<String>) -> Option<Misnamed> {
    let Meaning::Login {
        client,
        user,
        session,
    } = verdict.meaning
    else {
        return None;
    };
    Some(Misnamed {
        server: verdict.server.name.clone(),
        under,
        unit,
        client,
        user,
        session,
    })
}

fn may_write(trust: &Trust, sender: &Sender) -> bool {
    let Some(unit) = &sender.unit else {
        return false;
    };
    match trust.check(sender) {
        Ok(()) => true,
        // Of a user whom only the unit could prove, it proves nothing.
        Err(Distrust::Unit) => {
            may_be_a_servers(unit) && sender.uid.is_some_and(|uid| uid < FIRST_ORDINARY_USER)
        }
        Err(_) => false,
    }
}

fn unknown_unit(trust: &Trust, sender: &Sender) -> Option<String> {
    let unit = sender.unit.as_ref();
    unit.filter(|unit| !trust.knows_unit(unit) && may_be_a_servers(unit))
        .cloned()
}

/// How many such logins there were, by server.
#[derive(Debug, Default)]
pub struct MisnamedLogins(BTreeMap<Arc<str>, Found>);

/// The misnamed logins of one server.
#[derive(Debug, Default)]
pub struct Found {
    /// How many it has written under what.
    pub under: BTreeMap<Unnamed, usize>,
    /// The units that are not known as its own.
    pub units: BTreeSet<String>,
}

impl MisnamedLogins {
    /// Counts one. Returns how many there were under the same, or 0 if there is too much to count.
    pub fn count(&mut self, login: &Misnamed) -> usize {
        let known: usize = self.0.values().map(|found| found.under.len()).sum();
        let found = self.0.entry(login.server.clone()).or_default();
        if known >= IDENTIFIERS && !found.under.contains_key(&login.under) {
            return 0;
        }
        if found.units.len() < IDENTIFIERS {
            found.units.extend(login.unit.clone());
        }
        let number = found.under.entry(login.under.clone()).or_default();
        *number += 1;
        *number
    }

    /// The servers that have such logins.
    pub fn servers(&self) -> impl Iterator<Item = (&Arc<str>, &Found)> {
        self.0.iter()
    }
}

impl Found {
    /// The configuration that would have these logins of a server read; `known` is what the
    /// configuration adds to it already.
    #[must_use]
    pub fn remedy(&self, server: &str, known: Option<&Added>) -> String {
        let known = known.cloned().unwrap_or_default();
        let (mut identifiers, mut containers) = (BTreeSet::new(), BTreeSet::new());
        for under in self.under.keys() {
            match under {
                Unnamed::Identifier(name) => identifiers.insert(name.clone()),
                Unnamed::Container(name) => containers.insert(name.clone()),
            };
        }
        let with = |found: &BTreeSet<String>, known: Vec<String>| {
            let known = known.into_iter().filter(|_| !found.is_empty());
            let all: BTreeSet<String> = known.chain(found.iter().cloned()).collect();
            all.into_iter().collect()
        };
        lines_of(
            server,
            &Added {
                identifiers: with(&identifiers, known.identifiers),
                units: with(&self.units, known.units),
                containers: with(&containers, known.containers),
                ..Added::default()
            },
        )
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use jiff::Timestamp;

    use super::*;
    use crate::servers::{BUILT_IN, Definition, Sender, Senders as Added};

    const LOGIN: &str = "imap-login: Login: user=<alice>, method=PLAIN, rip=192.0.2.10, \
                         lip=192.0.2.1, mpid=1, TLS, session=<50tOVgNhCafAAAIK>";

    fn recogniser(added: &[(&str, Added)]) -> Recogniser {
        let all = BUILT_IN.iter().map(|(_, text)| Definition::parse(text));
        let added: BTreeMap<String, Added> = (added.iter())
            .map(|(server, added)| ((*server).to_owned(), added.clone()))
            .collect();
        let uid = |user: &str| match user {
            "root" => Some(0),
            "cyrus" => Some(111),
            _ => None,
        };
        Recogniser::new(all.collect::<Result<_, _>>().unwrap(), &added, uid)
    }

    fn entry(identifier: &str, message: &str, uid: u32, unit: Option<&str>) -> Entry {
        let sender = Sender {
            uid: Some(uid),
            unit: unit.map(str::to_owned),
            pid: Some(1),
        };
        let time = Timestamp::from_second(1_800_000_000).unwrap();
        Entry::new(time, identifier, message.as_bytes(), sender)
    }

    #[test]
    fn logins_of_a_servers_users_are_found_under_any_identifier() {
        let recogniser = recogniser(&[]);
        let cyrus = "login: [192.0.2.10] alice plaintext User logged in";
        let courier = "LOGIN, user=alice, ip=[::ffff:192.0.2.10], protocol=IMAP";
        let (dovecot, proxy) = (Some("dovecot.service"), Some("dovecot-proxy.service"));
        for (identifier, message, uid, unit, server) in [
            ("dovecot-proxy", LOGIN, 0, dovecot, Some("dovecot")),
            (
                "sloti30t15/imap",
                cyrus,
                111,
                Some("cyrus-imapd.service"),
                Some("cyrus"),
            ),
            // It is read.
            ("dovecot", LOGIN, 0, dovecot, None),
            // Another server's identifier is not one of its own.
            ("imapd", LOGIN, 0, dovecot, Some("dovecot")),
            // Nobody has named its unit either.
            ("dovecot-proxy", LOGIN, 0, proxy, Some("dovecot")),
            // Its unit alone could prove a server that writes as the mailbox's user.
            (
                "imap-two",
                courier,
                0,
                Some("imap-two.service"),
                Some("courier"),
            ),
            ("imap-two", courier, 1000, Some("imap-two.service"), None),
            // Not trusted, or not proved to be.
            ("dovecot-proxy", LOGIN, 1000, dovecot, None),
            ("dovecot-proxy", LOGIN, 1000, proxy, None),
            ("dovecot-proxy", LOGIN, 0, Some("session-4.scope"), None),
            ("dovecot-proxy", LOGIN, 0, Some("cron.service"), None),
            ("dovecot-proxy", LOGIN, 0, Some("docker.service"), None),
            ("dovecot-proxy", LOGIN, 0, None, None),
            // Not a login.
            (
                "dovecot-proxy",
                "imap-login: Aborted login",
                0,
                dovecot,
                None,
            ),
            // What no configuration can name.
            ("dovecot\u{7}", LOGIN, 0, dovecot, None),
            ("*", LOGIN, 0, dovecot, None),
        ] {
            let entry = entry(identifier, message, uid, unit);
            let found = misnamed(&recogniser, &entry, Senders::Trusted);
            let found = found.as_ref().map(|login| &*login.server);
            assert_eq!(found, server, "{identifier} {unit:?}");
        }
        let elsewhere = entry("mailserver", LOGIN, 7, Some("docker.service"));
        let found = misnamed(&recogniser, &elsewhere, Senders::Any).unwrap();
        assert_eq!(
            (&*found.server, found.user),
            ("dovecot", Some("alice".to_owned()))
        );
    }

    #[test]
    fn what_was_found_is_read_once_the_remedy_is_in_force() {
        let proxy = entry("dovecot-proxy", LOGIN, 0, Some("dovecot.service"));
        let mut logins = MisnamedLogins::default();
        for _ in 0..2 {
            logins.count(&misnamed(&recogniser(&[]), &proxy, Senders::Trusted).unwrap());
        }
        let known = Added {
            identifiers: vec!["a\"b".to_owned()],
            units: vec!["x.service".to_owned()],
            ..Added::default()
        };
        let (_, found) = logins.servers().next().unwrap();
        let remedy = found.remedy("dovecot", Some(&known));
        assert_eq!(
            remedy,
            "[senders.dovecot]\nidentifiers = ['a\"b', \"dovecot-proxy\"]"
        );
        let added = Added {
            identifiers: vec!["dovecot-proxy".to_owned()],
            ..Added::default()
        };
        let recogniser = recogniser(&[("dovecot", added)]);
        assert_eq!(misnamed(&recogniser, &proxy, Senders::Trusted), None);
        assert!(
            recogniser
                .recognise("dovecot-proxy", LOGIN.as_bytes())
                .is_some()
        );
    }

    #[test]
    fn a_server_whose_unit_nobody_has_named_is_read_once_the_remedy_is_in_force() {
        let second = entry("dovecot2", LOGIN, 0, Some("dovecot2.service"));
        let mut logins = MisnamedLogins::default();
        logins.count(&misnamed(&recogniser(&[]), &second, Senders::Trusted).unwrap());
        let (_, found) = logins.servers().next().unwrap();
        let remedy = found.remedy("dovecot", None);
        let lines =
            "[senders.dovecot]\nidentifiers = [\"dovecot2\"]\nunits = [\"dovecot2.service\"]";
        assert_eq!(remedy, lines);
        let added = Added {
            identifiers: vec!["dovecot2".to_owned()],
            units: vec!["dovecot2.service".to_owned()],
            ..Added::default()
        };
        let recogniser = recogniser(&[("dovecot", added)]);
        let verdict = recogniser.recognise("dovecot2", LOGIN.as_bytes()).unwrap();
        assert_eq!(verdict.server.trust.check(&second.sender), Ok(()));
    }

    #[test]
    fn a_container_that_nobody_has_named_is_read_once_the_remedy_is_in_force() {
        let of = |uid, unit, message: &str| {
            let mut entry = entry("8f3c2ab01234", message, uid, unit);
            entry.container.name = b"mailserver".to_vec();
            entry
        };
        let with_header = format!("Nov 27 10:00:00 8f3c2ab dovecot: {LOGIN}");
        let docker = of(0, Some("docker.service"), &with_header);
        let login = misnamed(&recogniser(&[]), &docker, Senders::Trusted).unwrap();
        assert_eq!(login.under, Unnamed::Container("mailserver".to_owned()));
        for other in [
            of(1000, Some("user@1000.service"), LOGIN),
            of(0, Some("cron.service"), LOGIN),
            of(0, Some("docker.service"), "imap-login: Aborted login"),
        ] {
            assert_eq!(misnamed(&recogniser(&[]), &other, Senders::Trusted), None);
        }
        // A quadlet's whose container has another name.
        let mail = misnamed(
            &recogniser(&[]),
            &of(0, Some("mail.service"), LOGIN),
            Senders::Trusted,
        );
        assert_eq!(mail.unwrap().unit, Some("mail.service".to_owned()));
        let mut logins = MisnamedLogins::default();
        logins.count(&login);
        let (_, found) = logins.servers().next().unwrap();
        let remedy = found.remedy("dovecot", None);
        assert_eq!(remedy, "[senders.dovecot]\ncontainers = [\"mailserver\"]");
        let added = Added {
            containers: vec!["mailserver".to_owned()],
            ..Added::default()
        };
        let recogniser = recogniser(&[("dovecot", added)]);
        assert_eq!(misnamed(&recogniser, &docker, Senders::Trusted), None);
        assert!(recogniser.knows_container(b"mailserver", b""));
    }

    #[test]
    fn few_identifiers_are_kept() {
        let mut logins = MisnamedLogins::default();
        let mut login = misnamed(
            &recogniser(&[]),
            &entry("x", LOGIN, 0, Some("dovecot.service")),
            Senders::Trusted,
        )
        .unwrap();
        for number in 0..1000 {
            login.under = Unnamed::Identifier(format!("y{number}"));
            login.unit = Some(format!("y{number}.service"));
            logins.count(&login);
        }
        let (_, found) = logins.servers().next().unwrap();
        assert_eq!(found.under.len(), IDENTIFIERS);
        assert_eq!(found.units.len(), IDENTIFIERS);
    }
}
