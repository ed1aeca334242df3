//! Logins that are not read, as their server writes under an identifier that nobody has named:
//! Dovecot's `instance_name`, Cyrus's `syslog_prefix`, a renamed program.
//!
//! For `test --missed` and `doctor`. Such a login lists nobody: whether the identifier is the
//! server's is for an administrator to say.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Senders;
use crate::client::Client;
use crate::journal::Entry;
use crate::servers::{Meaning, Recogniser, is_identifier};

/// How many identifiers are told apart.
const IDENTIFIERS: usize = 100;

/// A login that would be one, if its identifier was one of the server's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misnamed {
    /// The server.
    pub server: Arc<str>,
    /// The identifier that it writes under.
    pub identifier: String,
    /// Where the client is, if the message says so.
    pub client: Option<Client>,
    /// Who has logged in.
    pub user: Option<String>,
    /// In which session.
    pub session: Option<String>,
}

/// Whether the entry is such a login. Unless anybody is believed, its unit must prove that it is the
/// server's.
#[must_use]
pub fn misnamed(recogniser: &Recogniser, entry: &Entry, senders: Senders) -> Option<Misnamed> {
    if !entry.is_message() || entry.is_ambiguous() {
        return None;
    }
    let identifier = std::str::from_utf8(&entry.identifier).ok()?;
    let (sender, message) = (&entry.sender, &entry.message);
    if !is_identifier(identifier) || recogniser.recognise(identifier, message).is_some() {
        return None;
    }
    let mut verdicts = recogniser.under_another(&entry.identifier, message, |server| {
        senders == Senders::Any || (sender.unit.is_some() && server.trust.check(sender).is_ok())
    });
    verdicts.find_map(|verdict| match verdict.meaning {
        Meaning::Login {
            client,
            user,
            session,
        } => Some(Misnamed {
            server: verdict.server.name.clone(),
            identifier: identifier.to_owned(),
            client,
            user,
            session,
        }),
        _ => None,
    })
}

/// How many such logins there were, by server and identifier.
#[derive(Debug, Default)]
pub struct MisnamedLogins(BTreeMap<Arc<str>, BTreeMap<String, usize>>);

impl MisnamedLogins {
    /// Counts one. Says how many there were under its identifier, or 0 if too many are told apart.
    pub fn count(&mut self, login: &Misnamed) -> usize {
        let known: usize = self.0.values().map(BTreeMap::len).sum();
        let of_server = self.0.entry(login.server.clone()).or_default();
        if known >= IDENTIFIERS && !of_server.contains_key(&login.identifier) {
            return 0;
        }
        let number = of_server.entry(login.identifier.clone()).or_default();
        *number += 1;
        *number
    }

    /// The servers, and how many logins they have written under which identifiers.
    pub fn servers(&self) -> impl Iterator<Item = (&Arc<str>, &BTreeMap<String, usize>)> {
        self.0.iter()
    }

    /// The configuration that would have the logins of a server read; `known` are the identifiers that
    /// the configuration gives it already.
    #[must_use]
    pub fn remedy(&self, server: &str, known: &[String]) -> String {
        let found = self.0.get(server).into_iter().flat_map(BTreeMap::keys);
        let all: BTreeSet<&str> = known.iter().chain(found).map(String::as_str).collect();
        let list = toml::Value::from(all.into_iter().collect::<Vec<_>>());
        format!("[senders.{server}] identifiers = {list}")
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
    fn logins_of_trusted_units_are_found_under_any_identifier() {
        let recogniser = recogniser(&[]);
        let cyrus = "login: [192.0.2.10] alice plaintext User logged in";
        let dovecot = Some("dovecot.service");
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
            // Another server's identifier is none of its own.
            ("imapd", LOGIN, 0, dovecot, Some("dovecot")),
            // Not trusted, or not proved to be.
            ("dovecot-proxy", LOGIN, 1000, dovecot, None),
            ("dovecot-proxy", LOGIN, 0, Some("docker.service"), None),
            ("dovecot-proxy", LOGIN, 0, None, None),
            // No login.
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
        let remedy = logins.remedy("dovecot", &["a\"b".to_owned()]);
        assert_eq!(
            remedy,
            r#"[senders.dovecot] identifiers = ['a"b', "dovecot-proxy"]"#
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
    fn few_identifiers_are_kept() {
        let mut logins = MisnamedLogins::default();
        let mut login = misnamed(
            &recogniser(&[]),
            &entry("x", LOGIN, 0, Some("dovecot.service")),
            Senders::Trusted,
        )
        .unwrap();
        for number in 0..1000 {
            login.identifier = format!("y{number}");
            logins.count(&login);
        }
        let kept: usize = logins.servers().map(|(_, found)| found.len()).sum();
        assert_eq!(kept, IDENTIFIERS);
    }
}
