//! From an entry to an event: what does the message mean, and may its writer say so?
//!
//! The only way in. The service and `pop-before-smtp test` both read entries through here, so the
//! test shows what the service does.

mod container;
mod misnamed;
mod remedy;

use container::Writer;
#[doc(hidden)]
pub use container::line_of;
pub use container::{is_an_engines, units_of_container};
pub use misnamed::{Found, Misnamed, MisnamedLogins, Unnamed, may_be_a_servers, misnamed};
pub use remedy::{NO_REMEDY, Remedy};

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::client::Client;
use crate::event::{Event, EventKind};
use crate::journal::{Container, Entry, Match};
use crate::origin::{Id, Origin};
use crate::servers::{
    Correlator, Definition, Distrust, LONGEST_MESSAGE, Meaning, Recogniser, Rest, Sender,
    Senders as Added, Server, Trust, Unknown, Users, Verdict, identifiers,
};

/// How an entry was understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Intake {
    /// As nothing of interest.
    Nothing,
    /// As a line of a server that is not an event by itself.
    Noted(Noted),
    /// As an event of a server.
    Event(Event),
    /// As somebody imitating a server.
    Refused(Refused),
}

/// A line that a definition matches, but that is not an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Noted {
    /// The server whose definition matches it.
    pub server: Arc<str>,
    /// Why it is not an event.
    pub why: NoEvent,
}

/// Why a line that a definition matches is not an event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoEvent {
    /// A client has connected.
    #[error("a connection of {0}: a login of the same process may follow")]
    Connection(Client),
    /// No login will follow on a connection.
    #[error("a failure: no login follows from this process's connection")]
    Failure,
    /// A login without its client's address, which no earlier line has told either.
    #[error(
        "a login without an address, and no line of the same process has told the client before it"
    )]
    NoConnection,
    /// The end of an unknown session.
    #[error("the end of a session whose login has not been seen")]
    NoSession,
    /// A line that was cut off, or may be the rest of one that was.
    #[error("half a line: its server cuts lines off, and this one or the one before was long")]
    Half,
    /// A line whose end journald has taken away.
    #[error(
        "its end is missing: journald has stripped it of blanks, and what is left may be a user's name"
    )]
    NoEnd,
    /// A line with a syslog header, of a server whose lines belong together.
    #[error(
        "a line that was passed on, of a server whose lines belong together: the journal does not \
         tell which process wrote it, or on which host"
    )]
    PassedOn,
    /// A line that is not an event, by a sender that may not write it.
    #[error("{why} ({sender})")]
    Untrusted {
        /// Who wrote it.
        sender: Sender,
        /// Why the sender is not trusted.
        why: Distrust,
    },
    /// Several messages or identifiers in one entry: different readers would see different ones.
    #[error("the entry has several MESSAGE or SYSLOG_IDENTIFIER fields")]
    Ambiguous,
}

/// A login or a logout whose sender may not write it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The server that it would have come from.
    pub server: Arc<str>,
    /// What it would have been.
    pub meaning: Meaning,
    /// Who wrote it.
    pub sender: Sender,
    /// Why the sender is not trusted.
    pub why: Distrust,
    /// The source that it was read from.
    pub source: Id,
    /// Whether it was written on another host, whose users have other numbers.
    pub is_elsewhere: bool,
    /// The container that it names, whoever wrote it.
    pub container: Option<String>,
}

impl Refused {
    /// The client that it names, if any.
    #[must_use]
    pub fn client(&self) -> Option<Client> {
        match &self.meaning {
            Meaning::Login { client, .. } | Meaning::Logout { client, .. } => *client,
            _ => None,
        }
    }

    /// What it would have been, for a sentence.
    #[must_use]
    pub fn what(&self) -> String {
        match (&self.meaning, self.client()) {
            (Meaning::Login { .. }, Some(client)) => format!("a login of {client}"),
            (Meaning::Login { .. }, None) => "a login".to_owned(),
            _ => "a logout".to_owned(),
        }
    }
}

/// Whose events count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Senders {
    /// Those that the definitions and the configuration name.
    Trusted,
    /// Anybody: for journals of other hosts, whose users and units have other names.
    Any,
}

/// Takes in entries, one after the other.
#[derive(Debug)]
pub struct Taker {
    recogniser: Arc<Recogniser>,
    /// One per origin: nothing is tied across origins.
    correlators: HashMap<Origin, Correlator>,
    unknown: Unknown,
    senders: Senders,
    /// Where the entries are read from.
    source: Id,
    /// Whom servers trust, by their names, if that is another host: users have other numbers there.
    elsewhere: HashMap<Arc<str>, Trust>,
    /// The machine that wrote the first trusted entry, if that is another host: a source is one host's.
    machine: Option<Id>,
}

/// What the entries of these servers are found by in a journal.
#[must_use]
pub fn wanted(recogniser: &Recogniser) -> Vec<Match> {
    let containers = recogniser.containers().flat_map(Match::of_container);
    recogniser
        .identifiers()
        .map(Match::from)
        .chain(containers)
        .collect()
}

/// What the entries of one of these are found by, with what the configuration adds to it.
#[must_use]
pub fn wanted_of(definition: &Definition, senders: &BTreeMap<String, Added>) -> Vec<Match> {
    let containers = senders.get(&definition.name).into_iter();
    let containers = containers.flat_map(|added| &added.containers);
    identifiers(definition, senders)
        .into_iter()
        .map(Match::from)
        .chain(containers.flat_map(|name| Match::of_container(name)))
        .collect()
}

/// For how many origins lines are tied at once. A journal usually holds those of one host; with more
/// than this, everything that was tied is forgotten.
const ORIGINS: usize = 1000;

impl Taker {
    /// An intake that has seen nothing yet.
    #[must_use]
    pub fn new(recogniser: Arc<Recogniser>, senders: Senders, unknown: Unknown) -> Self {
        Taker {
            recogniser,
            correlators: HashMap::new(),
            unknown,
            senders,
            source: Id::DEFAULT_SOURCE,
            elsewhere: HashMap::new(),
            machine: None,
        }
    }

    /// The same, for the entries of this source. If it is another host's, its users have these numbers.
    #[must_use]
    pub fn of_source(self, source: Id, users: Option<&Users>) -> Self {
        let there = |users| {
            let servers = self.recogniser.all().iter();
            let trusts = servers.map(|s| (s.name.clone(), s.trust.on_host_of(users)));
            trusts.collect()
        };
        Taker {
            source,
            elsewhere: users.map(there).unwrap_or_default(),
            ..self
        }
    }

    /// Whom a server trusts where the entries come from.
    fn trust<'a>(&'a self, server: &'a Server) -> &'a Trust {
        self.elsewhere.get(&server.name).unwrap_or(&server.trust)
    }

    /// Whether a server's sender, on the machine that this source is about, has written the entry.
    fn check(
        &mut self,
        server: &Server,
        entry: &Entry,
        is_passed_on: bool,
    ) -> Result<(), Distrust> {
        self.trust(server).check(&entry.sender)?;
        // Whoever passes lines on has read a stream or a file.
        if server.syslog_only && (is_passed_on || !entry.is_by_syslog) {
            return Err(Distrust::Stream);
        }
        // Whoever has written it says that it is a container's, and nobody has named that.
        if !entry.container.name.is_empty() {
            return Err(Distrust::Container);
        }
        self.check_machine(entry)
    }

    /// Whether an entry that a trusted sender wrote is of the machine that this source is about: the first
    /// one says which that is.
    fn check_machine(&mut self, entry: &Entry) -> Result<(), Distrust> {
        let machine = entry.origin.host.machine;
        let is_one_hosts = !self.elsewhere.is_empty() && entry.origin.is_known();
        if is_one_hosts && *self.machine.get_or_insert(machine) != machine {
            return Err(Distrust::Machine);
        }
        Ok(())
    }

    /// Takes in an entry.
    pub fn take(&mut self, entry: &Entry) -> Intake {
        if !entry.is_message() {
            return Intake::Nothing;
        }
        let recogniser = self.recogniser.clone();
        let Container { name, tag, .. } = &entry.container;
        if !name.is_empty() && recogniser.knows_container(name, tag) {
            return self.take_from_container(&recogniser, entry);
        }
        if entry.is_cut || entry.container.is_partial {
            return self.take_half(&recogniser, entry, |_| true);
        }
        if entry.lacks_end {
            // How long it was can't be known.
            let half = self.take_half(&recogniser, entry, Server::cuts_lines);
            if half != Intake::Nothing {
                return half;
            }
        }
        let message = if name.is_empty() {
            Cow::Borrowed(&*entry.message)
        } else {
            container::line_of(&entry.message)
        };
        match recogniser.recognise(&entry.identifier, &message) {
            Some(verdict) if entry.is_ambiguous() => noted(verdict.server, NoEvent::Ambiguous),
            Some(verdict) if entry.lacks_end && verdict.meaning.lets_in() => {
                noted(verdict.server, NoEvent::NoEnd)
            }
            Some(verdict) => self.judge(verdict, entry),
            None => {
                if !entry.is_ambiguous()
                    && let Some(correlator) = self.correlators.get_mut(&entry.origin)
                {
                    correlator.pass_over(&entry.sender, entry.time);
                }
                Intake::Nothing
            }
        }
    }

    /// Takes in what a container wrote. The process that handed it to journald is the engine, for all
    /// connections of the server, or all containers.
    fn take_from_container(&mut self, recogniser: &Recogniser, entry: &Entry) -> Intake {
        let Container { name, tag, .. } = &entry.container;
        let writer = match self.senders {
            Senders::Any => Writer::Engine,
            Senders::Trusted => Writer::of(&entry.sender, name),
        };
        let tag: &[u8] = if writer == Writer::Quadlet { b"" } else { tag };
        // What a server may write by itself, and what root may write in its units.
        let is_its_own = |trust: &Trust| {
            let of_root = entry
                .sender
                .unit
                .as_ref()
                .filter(|_| entry.sender.uid == Some(0));
            trust.check(&entry.sender).is_ok() || of_root.is_some_and(|unit| trust.knows_unit(unit))
        };
        let may_write = writer != Writer::Other
            || (recogniser.servers_in(name, tag)).any(|server| is_its_own(self.trust(server)));
        let run = container::run_of(&entry.container, &entry.sender);
        let is_half = may_write && self.is_half_of_container(entry, &run);
        let message = container::line_of(&entry.message);
        let Some(verdict) = recogniser.recognise_in(name, tag, &message) else {
            return Intake::Nothing;
        };
        let Verdict {
            server,
            meaning,
            protocol,
            ..
        } = verdict;
        if entry.is_ambiguous() {
            return noted(server, NoEvent::Ambiguous);
        }
        let believed = match writer {
            _ if self.senders == Senders::Any => Ok(()),
            Writer::Engine | Writer::Quadlet => self.check_machine(entry),
            Writer::Other if is_its_own(self.trust(server)) => self.check_machine(entry),
            Writer::Other => Err(Distrust::Engine),
        };
        // An engine reads a stream, and so has whatever wrote into it.
        let believed = match believed {
            Ok(()) if server.syslog_only && self.senders == Senders::Trusted => {
                Err(Distrust::Stream)
            }
            believed => believed,
        };
        if let Err(why) = believed {
            return self.refuse(server, meaning, entry, why);
        }
        if is_half {
            return noted(server, NoEvent::Half);
        }
        if entry.lacks_end && meaning.lets_in() {
            return noted(server, NoEvent::NoEnd);
        }
        if hides_its_client(server, &meaning) {
            return self.refuse(server, meaning, entry, Distrust::Bridge);
        }
        let origin = entry.origin.in_container(name, &run);
        // What ties the lines of a server is the process that writes them.
        let kind = if server.ties_lines() || !entry.origin.is_known() {
            alone(server, meaning)
        } else {
            let otherwise = NoEvent::NoSession;
            let tied = self
                .correlator(origin)
                .tie(server, meaning, &entry.sender, entry.time);
            tied.ok_or(otherwise)
        };
        match kind {
            Ok(kind) => Intake::Event(Event {
                time: entry.time,
                origin: origin.read_from(self.source),
                server: server.name.clone(),
                protocol,
                longest_session: server.longest_session.of(protocol),
                kind,
            }),
            Err(why) => noted(server, why),
        }
    }

    /// Whether an entry of a container is a part of a line: too long, cut by the engine, or the rest of one
    /// that was. Output and errors are two streams, which the engine tells apart by their priorities.
    fn is_half_of_container(&mut self, entry: &Entry, run: &[u8]) -> bool {
        let Container {
            name,
            priority,
            is_partial,
            ..
        } = &entry.container;
        let stream = [run, b" ".as_slice(), priority].concat();
        let origin = entry.origin.in_container(name, &stream);
        let correlator = self.correlators.get(&origin);
        let is_rest = correlator.is_some_and(|known| known.expects_a_rest_of(&entry.sender));
        let is_cut = *is_partial || entry.is_cut;
        if is_cut {
            self.correlator(origin)
                .cut_off(&entry.sender, Rest::WholeLines, entry.time);
        } else if is_rest {
            self.correlator(origin).pass_over(&entry.sender, entry.time);
        }
        is_rest || is_cut || entry.message.len() > LONGEST_MESSAGE
    }

    /// Refuses what somebody wrote who may not: a report, if it would have meant something.
    fn refuse(&self, server: &Server, meaning: Meaning, entry: &Entry, why: Distrust) -> Intake {
        let sender = entry.sender.clone();
        // Other lines neither list nor name anybody: there is nothing to report.
        let is_event = matches!(
            meaning,
            Meaning::Login { .. } | Meaning::Logout { .. } | Meaning::LostLogout
        );
        if !is_event {
            return noted(server, NoEvent::Untrusted { sender, why });
        }
        Intake::Refused(Refused {
            server: server.name.clone(),
            meaning,
            sender,
            why,
            source: self.source,
            is_elsewhere: !self.elsewhere.is_empty(),
            container: container::printable_name(&entry.container.name),
        })
    }

    /// Takes in an entry that was cut off, by journald, a container's engine or, for all we know, by the
    /// logger of one of these servers: neither it nor its rest counts, as a stranger who chooses a long text
    /// chooses how the rest begins.
    fn take_half(
        &mut self,
        recogniser: &Recogniser,
        entry: &Entry,
        is_one: impl Fn(&Server) -> bool,
    ) -> Intake {
        let Ok(identifier) = std::str::from_utf8(&entry.identifier) else {
            return Intake::Nothing;
        };
        let is_believed = |server: &&Server| {
            self.senders == Senders::Any || self.trust(server).check(&entry.sender).is_ok()
        };
        let mut servers = recogniser.known_under(identifier).filter(|s| is_one(s));
        let Some(server) = servers.find(is_believed) else {
            return Intake::Nothing;
        };
        // journald and engines say of each of their pieces whether there is another.
        let rest = if entry.is_cut || entry.container.is_partial {
            Rest::WholeLines
        } else {
            server.rest_of(&entry.message)
        };
        self.correlator(entry.origin)
            .cut_off(&entry.sender, rest, entry.time);
        noted(server, NoEvent::Half)
    }

    fn judge(&mut self, verdict: Verdict<'_>, entry: &Entry) -> Intake {
        let Verdict {
            server,
            meaning,
            protocol,
            passed_on,
        } = verdict;
        // A line that was passed on belongs to the host that its header names, and to no other.
        let origin = match &passed_on {
            Some(host) if entry.origin.is_known() => entry.origin.passed_on_from(host),
            _ => entry.origin,
        };
        let Entry { time, sender, .. } = entry;
        // Nothing else is seen here, so that only what leaves has to say it.
        let origin_of_event = origin.read_from(self.source);
        let event = |kind| Event {
            time: *time,
            origin: origin_of_event,
            server: server.name.clone(),
            protocol,
            longest_session: server.longest_session.of(protocol),
            kind,
        };
        let is_alone = passed_on.is_some() && server.ties_lines() || !origin.is_known();
        // A line is cut by the process that hands it to this journal.
        // Nothing is kept for whoever may not write: a thousand made-up hosts would push out what is.
        let of = |origin| self.correlators.get(origin);
        let logger = of(&entry.origin);
        let is_rest = logger.is_some_and(|known| known.expects_a_rest_of(sender));
        let is_torn = logger.is_some_and(|known| known.is_torn(sender, *time));
        let serves = of(&origin).is_some_and(|known| known.serves(server, sender));
        if self.senders == Senders::Trusted
            && let Err(why) = self.check(server, entry, passed_on.is_some())
            && (is_alone || !ends_its_own_session(&meaning, &why, serves))
        {
            return self.refuse(server, meaning, entry, why);
        }
        // The end of a session lets nobody in.
        if is_torn && meaning.lets_in() {
            self.correlator(entry.origin).pass_over(sender, *time);
            return self.refuse(server, meaning, entry, Distrust::Torn);
        }
        if passed_on.is_some() || is_alone {
            self.correlator(entry.origin).pass_over(sender, *time);
            if is_rest {
                return noted(server, NoEvent::Half);
            }
        }
        if is_alone {
            return match alone(server, meaning) {
                Ok(kind) => Intake::Event(event(kind)),
                Err(why) => noted(server, why),
            };
        }
        let otherwise = match &meaning {
            Meaning::CutOff { .. } => NoEvent::Half,
            _ if is_rest => NoEvent::Half,
            Meaning::Connect { client } => NoEvent::Connection(*client),
            Meaning::Failure | Meaning::Start => NoEvent::Failure,
            Meaning::Login { .. } => NoEvent::NoConnection,
            Meaning::Logout { .. } | Meaning::LostLogout => NoEvent::NoSession,
        };
        match self.correlator(origin).tie(server, meaning, sender, *time) {
            Some(kind) => Intake::Event(event(kind)),
            None => noted(server, otherwise),
        }
    }

    fn correlator(&mut self, origin: Origin) -> &mut Correlator {
        if self.correlators.len() >= ORIGINS && !self.correlators.contains_key(&origin) {
            self.correlators.clear();
        }
        let unknown = self.unknown;
        let correlator = self.correlators.entry(origin);
        correlator.or_insert_with(|| Correlator::new(unknown))
    }
}

/// Whether this is the end of a session, from the process that served it, which was gone before
/// journald looked for its unit. The pid is enough: whoever has it now, that session is over.
fn ends_its_own_session(meaning: &Meaning, why: &Distrust, serves: bool) -> bool {
    *why == Distrust::NoUnit && matches!(meaning, Meaning::Logout { .. }) && serves
}

/// The meaning of a line that must not be tied to another: it was passed on, by one process for all
/// connections of a server whose lines belong together; or it does not say which host it comes from.
/// A login with its own client address counts, and opens no session. With a logger that cuts lines no
/// line counts, as each may be the rest of another, with a text that a stranger chose.
fn alone(server: &Server, meaning: Meaning) -> Result<EventKind, NoEvent> {
    match meaning {
        Meaning::Login {
            client: Some(client),
            user,
            ..
        } if !server.cuts_lines() => Ok(EventKind::Login {
            client,
            user,
            session: None,
        }),
        Meaning::Failure | Meaning::Start => Err(NoEvent::Failure),
        _ => Err(NoEvent::PassedOn),
    }
}

/// Whether a line of a container is a login from where all of its clients may seem to come from: one
/// would open the relay to all.
fn hides_its_client(server: &Server, meaning: &Meaning) -> bool {
    let Meaning::Login {
        client: Some(client),
        ..
    } = meaning
    else {
        return false;
    };
    container::may_be_a_bridges(*client) && !server.bridges.contains(client.address())
}

fn noted(server: &Server, why: NoEvent) -> Intake {
    Intake::Noted(Noted {
        server: server.name.clone(),
        why,
    })
}
