//! The recogniser: what a message under an identifier means.
//!
//! Pure: it knows neither the journal nor the whitelist. It first recognises the message and then
//! asks who wrote it, so the fields of unrelated entries need never be read.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::definition::{Definition, LongestSession};
use super::header::{Header, behind_time_of_s6_log};
use super::meaning::{Meaning, Rest};
use super::pattern::{Found, Pattern, first, protocol};
use super::sender::{Senders, Trust, identifiers};
use crate::event::Protocol;
use crate::networks::Networks;

/// The longest message that can be a login, in bytes. Dovecot cuts names to 80 characters; a longer
/// message is not a genuine login. Of what Dovecot and mailutils write in several pieces, those in the
/// middle are the client's from end to end: they have 4097 bytes and more, or 8192.
pub const LONGEST_MESSAGE: usize = 4000;

/// A server that is on.
#[derive(Debug)]
pub struct Server {
    /// The name of its definition.
    pub name: Arc<str>,
    /// Who may write its entries.
    pub trust: Trust,
    /// Where its definition was read from, for messages.
    pub origin: String,
    pub(super) sessions_by_pid: bool,
    pub(super) client_of_unit: bool,
    pub(super) cut_at: Option<usize>,
    /// Whether only what came by syslog(3) counts.
    pub syslog_only: bool,
    pub(super) connect: Vec<Pattern>,
    pub(super) login: Vec<Pattern>,
    pub(super) failure: Vec<Pattern>,
    pub(super) logout: Vec<Pattern>,
    pub(super) lost_logout: Vec<Pattern>,
    pub(super) start: Vec<Pattern>,
    /// How long its sessions can last at most.
    pub(crate) longest_session: LongestSession,
    /// Where clients may be although bridges are there, for lines of containers.
    pub(crate) bridges: Networks,
}

/// What a message means, if its sender is trusted.
#[derive(Debug)]
pub struct Verdict<'a> {
    /// The server whose definition matched it.
    pub server: &'a Server,
    /// What it means.
    pub meaning: Meaning,
    /// The server's service that wrote it, if the message or the identifier says so.
    pub protocol: Option<Protocol>,
    /// The host that a syslog header before it names, if there was one: its sender has then passed it
    /// on, and the process that wrote it is unknown.
    pub passed_on: Option<String>,
}

/// Compiled definitions of all servers that are on.
#[derive(Debug)]
pub struct Recogniser {
    pub(super) servers: Vec<Server>,
    pub(super) by_identifier: HashMap<Vec<u8>, Identifier>,
    /// The servers that run in each container, by its name or tag.
    by_container: BTreeMap<Vec<u8>, Vec<usize>>,
}

/// What an identifier stands for.
#[derive(Debug, Default)]
pub(super) struct Identifier {
    /// The servers that write under it.
    pub(super) servers: Vec<usize>,
    /// The protocol that it names.
    protocol: Option<Protocol>,
}

impl Recogniser {
    /// Compiles the definitions. `senders` adds users, units and identifiers, by the server's name;
    /// `uid_of` looks up a user's name, and a name that it does not know matches nobody.
    pub fn new(
        definitions: Vec<Definition>,
        senders: &BTreeMap<String, Senders>,
        uid_of: impl Fn(&str) -> Option<u32>,
    ) -> Self {
        let number = |user: &str| user.parse().ok().or_else(|| uid_of(user));
        let mut servers = Vec::new();
        let mut by_identifier: HashMap<Vec<u8>, Identifier> = HashMap::new();
        let mut by_container: BTreeMap<Vec<u8>, Vec<usize>> = BTreeMap::new();
        for definition in definitions {
            for identifier in identifiers(&definition, senders) {
                let of: &mut Identifier = by_identifier.entry(identifier.into()).or_default();
                of.servers.push(servers.len());
                of.protocol = protocol_of(identifier);
            }
            let users: Option<BTreeSet<u32>> = if definition.users.iter().any(|u| u == "*") {
                None
            } else {
                Some(definition.users.iter().filter_map(|u| number(u)).collect())
            };
            let mut trust = Trust::new(users, definition.units);
            if definition.unit_required {
                trust = trust.with_unit_required();
            }
            let more = senders.get(&definition.name);
            for container in more.into_iter().flat_map(|more| &more.containers) {
                let of = by_container.entry(container.clone().into_bytes());
                of.or_default().push(servers.len());
            }
            if let Some(more) = more {
                let users = more.users.iter().filter_map(|u| number(u));
                trust.extend(users, more.units.iter().cloned());
            }
            let users = more.into_iter().flat_map(|more| &more.users);
            let users = definition.users.iter().chain(users);
            let is_name = |user: &&String| user.parse::<u32>().is_err();
            let trust = trust.with_names(users.filter(is_name).cloned());
            servers.push(Server {
                name: definition.name.into(),
                trust,
                origin: definition.origin,
                sessions_by_pid: definition.sessions_by_pid,
                client_of_unit: definition.client_of_unit,
                cut_at: definition.cut_at,
                syslog_only: definition.syslog_only,
                connect: definition.connect,
                failure: definition.failure,
                login: definition.login,
                logout: definition.logout,
                lost_logout: definition.lost_logout,
                start: definition.start,
                longest_session: definition.longest_session,
                bridges: more
                    .map(|more| more.bridges.clone())
                    .unwrap_or_default()
                    .into(),
            });
        }
        Recogniser {
            servers,
            by_identifier,
            by_container,
        }
    }

    /// The containers whose entries are worth reading, by name or tag.
    pub fn containers(&self) -> impl Iterator<Item = &str> {
        self.by_container
            .keys()
            .filter_map(|name| std::str::from_utf8(name).ok())
    }

    /// Whether a server runs in a container that is called so, or has this tag.
    #[must_use]
    pub fn knows_container(&self, name: &[u8], tag: &[u8]) -> bool {
        !self.places_in(name, tag).is_empty()
    }

    /// The servers that run in a container that is called so, or has this tag.
    pub fn servers_in(&self, name: &[u8], tag: &[u8]) -> impl Iterator<Item = &Server> {
        let places = self.places_in(name, tag).into_iter();
        places.map(|at| &self.servers[at])
    }

    fn places_in(&self, name: &[u8], tag: &[u8]) -> Vec<usize> {
        let of = |name| self.by_container.get(name).into_iter().flatten().copied();
        let mut places: Vec<usize> = of(name).chain(of(tag)).collect();
        places.dedup();
        places
    }

    /// What a message means that was written in a container: that of the server that runs there, or of
    /// the one that a syslog header before it names, if several do.
    #[must_use]
    pub fn recognise_in(&self, name: &[u8], tag: &[u8], message: &[u8]) -> Option<Verdict<'_>> {
        self.recognise_among(&self.places_in(name, tag), message)
    }

    /// What a message of a container means in which these servers run.
    pub(super) fn recognise_among(&self, places: &[usize], message: &[u8]) -> Option<Verdict<'_>> {
        if message.len() > LONGEST_MESSAGE {
            return None;
        }
        let message = behind_time_of_s6_log(message);
        match Header::of(message) {
            Some(header) => {
                let named = self.by_identifier.get(header.identifier.as_bytes())?;
                let places: Vec<usize> = self.places_behind(&header, places).collect();
                self.first_of(&places, named.protocol, header.message, None)
            }
            None => self.first_of(places, None, message, None),
        }
    }

    /// The identifiers whose entries are worth reading.
    pub fn identifiers(&self) -> impl Iterator<Item = &str> {
        self.by_identifier
            .keys()
            .filter_map(|name| std::str::from_utf8(name).ok())
    }

    /// The servers that are on, in the order of the configuration.
    #[must_use]
    pub fn all(&self) -> &[Server] {
        &self.servers
    }

    /// The names of the servers that are on, in the order of the configuration.
    pub fn servers(&self) -> impl Iterator<Item = &Arc<str>> {
        self.servers.iter().map(|s| &s.name)
    }

    /// The identifiers of servers whose lines have to be tied together.
    #[must_use]
    pub fn identifiers_of_tied_lines(&self) -> Vec<&str> {
        let ties = |identifier: &str| {
            let mut places = self.places_of(identifier);
            places.any(|at| self.servers[at].ties_lines())
        };
        self.identifiers().filter(|name| ties(name)).collect()
    }

    /// The names of the servers that write under `identifier`.
    pub fn servers_of(&self, identifier: &str) -> impl Iterator<Item = &str> {
        self.places_of(identifier).map(|at| &*self.servers[at].name)
    }

    /// The servers that write under `identifier`.
    pub fn known_under(&self, identifier: &str) -> impl Iterator<Item = &Server> {
        self.places_of(identifier).map(|at| &self.servers[at])
    }

    /// Which of the servers write under `identifier`.
    pub(super) fn places_of(&self, identifier: &str) -> impl Iterator<Item = usize> {
        let of = self.by_identifier.get(identifier.as_bytes());
        of.into_iter().flat_map(|of| &of.servers).copied()
    }

    /// What `message` under `identifier` means. If servers share an identifier, the first definition
    /// that matches decides. If none does, the text after a syslog header is tried, if the header
    /// names an identifier of the same server.
    #[must_use]
    pub fn recognise(&self, identifier: impl AsRef<[u8]>, message: &[u8]) -> Option<Verdict<'_>> {
        if message.len() > LONGEST_MESSAGE {
            return None;
        }
        let of = self.by_identifier.get(identifier.as_ref())?;
        self.first_of(&of.servers, of.protocol, message, None)
            .or_else(|| {
                let header = Header::of(message)?;
                let places: Vec<usize> = self.places_behind(&header, &of.servers).collect();
                let named = self.by_identifier.get(header.identifier.as_bytes());
                let protocol = named.and_then(|named| named.protocol);
                self.first_of(&places, protocol, header.message, Some(header.host))
            })
    }

    fn first_of(
        &self,
        places: &[usize],
        of_identifier: Option<Protocol>,
        message: &[u8],
        passed_on: Option<&str>,
    ) -> Option<Verdict<'_>> {
        let servers = places.iter().map(|at| &self.servers[*at]);
        servers.into_iter().find_map(|server| {
            let (meaning, protocol) = server.recognise(message)?;
            Some(Verdict {
                server,
                meaning,
                protocol: protocol.or(of_identifier),
                passed_on: passed_on.map(str::to_owned),
            })
        })
    }

    /// Which of these servers may have written the text after such a header.
    pub(super) fn places_behind<'a>(
        &'a self,
        header: &Header<'_>,
        places: impl IntoIterator<Item = &'a usize> + 'a,
    ) -> impl Iterator<Item = usize> + 'a {
        let named = self.by_identifier.get(header.identifier.as_bytes());
        let is_named = move |at: &usize| named.is_some_and(|named| named.servers.contains(at));
        places.into_iter().copied().filter(is_named)
    }
}

impl Server {
    fn recognise(&self, message: &[u8]) -> Option<(Meaning, Option<Protocol>)> {
        if self.cut_at.is_some_and(|length| message.len() >= length) {
            let rest = self.rest_of(message);
            return Some((Meaning::CutOff { rest }, None));
        }
        if is_plain_text(message) {
            // A login without a name proves nothing about a user.
            let login = first(&self.login, message);
            if let Some(Found {
                client,
                user,
                session,
                protocol,
            }) = login.filter(|found| !found.is_nameless())
            {
                let login = Meaning::Login {
                    client,
                    user,
                    session,
                };
                return Some((login, protocol));
            }
            if let Some(Found {
                client: Some(client),
                ..
            }) = first(&self.connect, message)
            {
                return Some((Meaning::Connect { client }, None));
            }
        }
        // The server's own prefix of a session's last line may contain the user's name unfiltered.
        // It can only end a session that the server itself has named, so any bytes are accepted.
        if let Some(Found {
            client,
            user,
            session,
            protocol,
        }) = first(&self.logout, message)
        {
            let logout = Meaning::Logout {
                client,
                user: user.filter(|name| !name.is_empty()),
                session,
            };
            return Some((logout, protocol));
        }
        if first(&self.failure, message).is_some() {
            return Some((Meaning::Failure, None));
        }
        if let Some(found) = first(&self.lost_logout, message) {
            return Some((Meaning::LostLogout, found.protocol));
        }
        first(&self.start, message).map(|_| (Meaning::Start, None))
    }

    /// Whether its logger cuts long lines: the rest of one then looks like a line of its own.
    #[must_use]
    pub fn cuts_lines(&self) -> bool {
        self.cut_at.is_some()
    }

    /// What can follow a line that its logger has cut. A failure has two pieces: servers limit what somebody
    /// has them write who has not logged in.
    #[must_use]
    pub fn rest_of(&self, message: &[u8]) -> Rest {
        let line = Header::of(message).map_or(message, |header| header.message);
        match first(&self.failure, line) {
            _ if !self.cuts_lines() => Rest::WholeLines,
            Some(_) => Rest::PiecesForAMoment,
            None => Rest::PiecesForEver,
        }
    }

    /// Whether a line of this server may need another to make an event.
    #[must_use]
    pub fn ties_lines(&self) -> bool {
        self.ties_to_processes() || self.cuts_lines()
    }

    /// Whether lines are tied by the process that wrote them.
    pub(super) fn ties_to_processes(&self) -> bool {
        self.sessions_by_pid || self.client_of_unit || !self.connect.is_empty()
    }

    /// Whether the ends of this server's sessions are known.
    #[must_use]
    pub fn tells_logouts(&self) -> bool {
        !self.logout.is_empty()
    }
}

/// The protocol that an identifier names, as `courierpop3d` and `cyrus/imaps` do.
fn protocol_of(identifier: &str) -> Option<Protocol> {
    let place = |name| identifier.to_ascii_lowercase().rfind(name);
    let at = place("imap").max(place("pop"))?;
    protocol(&identifier.as_bytes()[at..])
}

/// Whether a message can be a login at all: UTF-8, one line, no control character.
pub(super) fn is_plain_text(message: &[u8]) -> bool {
    // Nearly every message is ASCII: checking that without a branch per byte is fast.
    let odd = (message.iter()).fold(false, |odd, byte| odd | !(b' '..=b'~').contains(byte));
    if !odd {
        return true;
    }
    std::str::from_utf8(message).is_ok_and(|text| !text.chars().any(char::is_control))
}

#[cfg(test)]
mod tests {
    use super::super::examples::check_examples;
    use super::super::load::BUILT_IN;
    use super::*;
    use crate::servers::Sender;

    fn text_of(server: &str) -> &'static str {
        BUILT_IN.iter().find(|(name, _)| *name == server).unwrap().1
    }

    fn dovecot() -> Recogniser {
        let definition = Definition::parse(text_of("dovecot")).unwrap();
        Recogniser::new(vec![definition], &BTreeMap::new(), |u| {
            (u == "root").then_some(0)
        })
    }

    #[test]
    fn the_built_in_definitions_are_in_the_order_of_their_names() {
        assert!(BUILT_IN.is_sorted_by(|(a, _), (b, _)| a < b));
    }

    #[test]
    fn every_example_of_every_built_in_definition_holds() {
        for (name, text) in BUILT_IN {
            let definition = Definition::parse(text).unwrap();
            assert_eq!(definition.name, *name);
            assert!(
                check_examples(&definition).unwrap() > 0,
                "{name} has no examples"
            );
        }
    }

    #[test]
    fn an_example_that_does_not_hold_is_an_error() {
        let text =
            text_of("dovecot").replacen(r#"client = "192.0.2.10""#, r#"client = "192.0.2.11""#, 1);
        let broken = check_examples(&Definition::parse(&text).unwrap()).unwrap_err();
        let line = 1 + text.lines().position(|l| l == "[[example]]").unwrap();
        assert_eq!(broken.len(), 1);
        assert_eq!(broken[0].line, line);
        assert_eq!(
            broken[0].to_string().split_once("\nmust yield ").unwrap().1,
            "a login of 192.0.2.11, user alice, session mpyWQQNhtdPAAAIK, \
             but yields a login of 192.0.2.10, user alice, session mpyWQQNhtdPAAAIK"
        );
    }

    #[test]
    fn who_has_no_name_has_not_logged_in() {
        for (name, text) in BUILT_IN {
            let definition = Definition::parse(text).unwrap();
            let examples = definition.examples.clone();
            let first = definition.identifiers[0].clone();
            let recogniser = Recogniser::new(vec![definition], &BTreeMap::new(), |_| None);
            for example in examples {
                let Some(user) = example.login.and_then(|login| login.user) else {
                    continue;
                };
                let message = example.message.replace(&user, "");
                let identifier = example.identifier.as_ref().unwrap_or(&first);
                let verdict = recogniser.recognise(identifier, message.as_bytes());
                let nameless = matches!(
                    verdict.map(|verdict| verdict.meaning),
                    Some(Meaning::Login { user, .. }) if user.as_deref().is_none_or(str::is_empty)
                );
                assert!(!nameless, "{name}: {message}");
            }
        }
    }

    #[test]
    fn what_is_not_plain_text_is_no_login_but_may_be_a_logout() {
        let recogniser = dovecot();
        let login = |name: &[u8]| {
            [
                b"imap-login: Login: user=<",
                name,
                b">, rip=192.0.2.10, session=<a>",
            ]
            .concat()
        };
        let is_login = |message: &[u8]| recogniser.recognise("dovecot", message).is_some();
        assert!(is_login(&login("ünï".as_bytes())));
        for name in [
            &b"a\nb"[..],
            b"a\rb",
            b"a\x1b[31mb",
            b"a\x00b",
            b"\xff\xfe",
            b"a\xc2\x85b",
        ] {
            assert!(!is_login(&login(name)), "{name:?}");
        }
        assert!(!is_login(&login(&[b'a'; LONGEST_MESSAGE])));
        let logout = b"imap(bad\xff\xfe\rutf)<308><FZBzVQNhG7bAAAIK>: Disconnected: Logged out";
        assert!(matches!(
            recogniser.recognise("dovecot", logout).unwrap().meaning,
            Meaning::Logout { session: Some(s), .. } if s == "FZBzVQNhG7bAAAIK"
        ));
        assert!(recogniser.recognise("postfix", &login(b"alice")).is_none());
    }

    #[test]
    fn configured_senders_are_trusted_beside_the_definitions() {
        let definition = Definition::parse(text_of("dovecot")).unwrap();
        let more = Senders {
            identifiers: vec!["dovecot-proxy".into(), "dovecot".into()],
            users: vec!["vmail".into(), "7".into()],
            units: vec!["m.service".into()],
            ..Senders::default()
        };
        let senders = [("dovecot".to_owned(), more)].into();
        let recogniser = Recogniser::new(vec![definition], &senders, |u| match u {
            "root" => Some(0),
            "vmail" => Some(5000),
            _ => None,
        });
        let places = |identifier| recogniser.places_of(identifier).collect::<Vec<_>>();
        for identifier in ["dovecot", "pop3-login", "dovecot-proxy"] {
            assert_eq!(places(identifier), [0], "{identifier}");
        }
        assert!(places("dovecot-2").is_empty());
        let trust = &recogniser.servers[0].trust;
        for (uid, unit, expected) in [
            (0, "m.service", true),
            (5000, "dovecot.service", true),
            (7, "m.service", true),
            (8, "m.service", false),
            (0, "n.service", false),
        ] {
            let sender = Sender {
                uid: Some(uid),
                unit: Some(unit.into()),
                pid: None,
            };
            assert_eq!(trust.check(&sender).is_ok(), expected, "{uid} {unit}");
        }
    }
}
