//! Ties the lines of one connection together, if no single line tells everything.
//!
//! Some servers write the address first and the success later; some identify a session that ends
//! only by the process that served it. Such lines are tied by the pid of their sender, which
//! journald vouches for. Pids are reused: a new connect replaces the old one, and anything older
//! than [`CONNECT_LIFETIME`] ties nothing. So nobody gets another client's address.
//!
//! A server's logger may also cut a long line in two: the second half counts for nothing, as a
//! stranger may have chosen how it looks. Such a logger is torn for some moments: each of its lines may
//! be a piece. If somebody may have made the line as long as he liked, it is torn for ever.
//!
//! Some servers log that a session has ended, but not which one. Their sessions can't be followed:
//! from the first such line on, their logins open none. Others sometimes lose the name of a session:
//! that is passed on as such, as long as most ends have a name.
//!
//! Pure: it is given each line that a definition matched, and the line's own time. All lines are of
//! one origin, as a pid means nothing elsewhere.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::meaning::{Meaning, Rest};
use super::recogniser::Server;
use super::sender::Sender;
use crate::client::Client;
use crate::event::EventKind;

/// How long after its connect a login can come: servers give up on silent clients sooner.
pub const CONNECT_LIFETIME: SignedDuration = SignedDuration::from_mins(10);
/// How many connects may wait for their login; the oldest is forgotten first.
const CONNECTS: usize = 10_000;
/// How many sessions are remembered by the pid that serves them.
const SESSIONS: usize = 100_000;
/// How many processes may wait for the rest of a line that was cut. Usually few write for a server.
const CUT_LINES: usize = 10_000;
/// How long the end of a session is remembered: two lines may report it.
const END_LIFETIME: SignedDuration = SignedDuration::from_secs(60);

/// After this many ends in a row whose session is lost, the server is taken to name none.
const LOST_IN_A_ROW: u32 = 10;

/// For how long after a piece of a line that a server's logger has cut another may come out of order: such a
/// logger loses its place in what it reads, and finds it again within moments.
const OUT_OF_PLACE: SignedDuration = SignedDuration::from_secs(10);

/// The lines of a process that were cut.
#[derive(Debug)]
struct Cut {
    /// When the last piece came.
    last: Timestamp,
    /// Whether the next message is a rest.
    is_open: bool,
    rest: Rest,
}

impl Cut {
    fn may_have_pieces(&self, time: Timestamp) -> bool {
        match self.rest {
            Rest::WholeLines => false,
            Rest::PiecesForAMoment => {
                self.is_open || time.duration_since(self.last).abs() <= OUT_OF_PLACE
            }
            Rest::PiecesForEver => true,
        }
    }
}

/// A process of a server.
type Process = (Arc<str>, u32);

/// What to do with the end of a session whose login was not seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unknown {
    /// Pass it on: its login may have been seen by an earlier run of the service.
    PassOn,
    /// Drop it: there was no login.
    Drop,
}

/// Remembers what was seen of connections that are not over.
#[derive(Debug)]
pub struct Correlator {
    unknown: Unknown,
    connects: HashMap<Process, (Client, Timestamp)>,
    connected: VecDeque<(Timestamp, Process)>,
    sessions: HashMap<Process, String>,
    ended: VecDeque<(Timestamp, Arc<str>, String)>,
    /// The pids of those of which a line was cut.
    cut: HashMap<u32, Cut>,
    /// The servers whose logouts name no session. Forgotten at the server's next start, which may be
    /// of another version. Never more than there are definitions.
    unfollowed: HashSet<Arc<str>>,
    /// How many ends each server has logged in a row without knowing whose.
    lost: HashMap<Arc<str>, u32>,
}

impl Correlator {
    /// A correlator that has seen nothing.
    #[must_use]
    pub fn new(unknown: Unknown) -> Self {
        Correlator {
            unknown,
            connects: HashMap::new(),
            connected: VecDeque::new(),
            sessions: HashMap::new(),
            ended: VecDeque::new(),
            cut: HashMap::new(),
            unfollowed: HashSet::new(),
            lost: HashMap::new(),
        }
    }

    /// Whether the sender is the process that serves an open session of the server.
    #[must_use]
    pub fn serves(&self, server: &Server, sender: &Sender) -> bool {
        let is_known = |pid| self.sessions.contains_key(&(server.name.clone(), pid));
        server.sessions_by_pid && sender.pid.is_some_and(is_known)
    }

    /// Whether the sender's last message was cut off.
    #[must_use]
    pub fn expects_a_rest_of(&self, sender: &Sender) -> bool {
        self.is_cut(sender, |cut| cut.is_open)
    }

    /// Whether any message of the sender may be a piece of one that was cut off.
    #[must_use]
    pub fn is_torn(&self, sender: &Sender, time: Timestamp) -> bool {
        self.is_cut(sender, |cut| cut.may_have_pieces(time))
    }

    fn is_cut(&self, sender: &Sender, is_so: impl FnOnce(&Cut) -> bool) -> bool {
        // If there are more than can be remembered, each message may be one.
        let is_full = self.cut.len() >= CUT_LINES;
        sender
            .pid
            .is_some_and(|pid| is_full || self.cut.get(&pid).is_some_and(is_so))
    }

    /// Takes in half a message.
    pub fn cut_off(&mut self, sender: &Sender, rest: Rest, time: Timestamp) {
        let Some(pid) = sender.pid else {
            return;
        };
        let former = self.cut.get(&pid);
        let rest = match former {
            // The rest of a message does not tell what message it is of.
            Some(cut) if cut.is_open => cut.rest.max(rest.min(Rest::PiecesForAMoment)),
            Some(cut) => cut.rest.max(rest),
            None if self.cut.len() >= CUT_LINES => return,
            None => rest,
        };
        let cut = Cut {
            last: time,
            is_open: true,
            rest,
        };
        self.cut.insert(pid, cut);
    }

    /// Takes in a message that no definition matches.
    pub fn pass_over(&mut self, sender: &Sender, time: Timestamp) {
        let Some(pid) = sender.pid else {
            return;
        };
        let Some(cut) = self.cut.get_mut(&pid) else {
            return;
        };
        if std::mem::take(&mut cut.is_open) {
            cut.last = time;
        }
        if !cut.may_have_pieces(time) {
            self.cut.remove(&pid);
        }
    }

    /// Takes in a line, and returns the event that it completes, if any.
    pub fn tie(
        &mut self,
        server: &Server,
        meaning: Meaning,
        sender: &Sender,
        time: Timestamp,
    ) -> Option<EventKind> {
        if self.is_half_a_line(&meaning, sender, time) {
            return None;
        }
        match &meaning {
            Meaning::LostLogout => return Some(self.lost_logout(server)),
            Meaning::Logout {
                session: Some(_), ..
            } => drop(self.lost.remove(&server.name)),
            _ => {}
        }
        if !server.ties_to_processes() {
            return self.plain(server, meaning);
        }
        self.forget(time);
        let process = (server.name.clone(), sender.pid?);
        match meaning {
            Meaning::CutOff { .. } | Meaning::LostLogout => None,
            Meaning::Connect { client } => {
                self.connected.push_back((time, process.clone()));
                let ended = self.serves_another(&process, time);
                self.connects.insert(process, (client, time));
                ended
            }
            Meaning::Failure => {
                self.connects.remove(&process);
                self.serves_another(&process, time)
            }
            Meaning::Login {
                client,
                user,
                session,
            } => {
                let connect = self.connects.remove(&process);
                // A clock that was set back keeps those before it from being forgotten in time.
                let is_near = |since| time.duration_since(since).abs() <= CONNECT_LIFETIME;
                let connect = connect.and_then(|(client, since)| is_near(since).then_some(client));
                let client = client.or(connect).or_else(|| {
                    if server.client_of_unit {
                        sender.client_of_unit()
                    } else {
                        None
                    }
                })?;
                let session = self.open(server, process, session);
                Some(EventKind::Login {
                    client,
                    user,
                    session,
                })
            }
            Meaning::Logout {
                client,
                user,
                session,
            } => {
                let session = self.close(server, &process, session, time)?;
                Some(EventKind::Logout {
                    client,
                    user,
                    session: Some(session),
                    login_may_follow: !server.sessions_by_pid,
                })
            }
            Meaning::Start => {
                self.connects.retain(|(name, _), _| *name != server.name);
                self.sessions.retain(|(name, _), _| *name != server.name);
                Some(EventKind::Start)
            }
        }
    }

    /// Whether a message was cut, or may be the rest of its process's last one, if that was cut.
    fn is_half_a_line(&mut self, meaning: &Meaning, sender: &Sender, time: Timestamp) -> bool {
        if sender.pid.is_none() {
            return false;
        }
        let is_rest = self.expects_a_rest_of(sender);
        if let Meaning::CutOff { rest } = meaning {
            self.cut_off(sender, *rest, time);
            return true;
        }
        self.pass_over(sender, time);
        is_rest
    }

    /// The session of a login, remembered by its process.
    fn open(
        &mut self,
        server: &Server,
        process: Process,
        session: Option<String>,
    ) -> Option<String> {
        if !server.tells_logouts() {
            return None;
        }
        if !server.sessions_by_pid {
            return session;
        }
        let session = session.unwrap_or_else(|| process.1.to_string());
        if self.sessions.len() < SESSIONS {
            self.sessions.insert(process, session.clone());
        }
        Some(session)
    }

    /// The end of the session that a process has served so far: it now has another client.
    fn serves_another(&mut self, process: &Process, time: Timestamp) -> Option<EventKind> {
        let session = self.sessions.remove(process)?;
        self.ended
            .push_back((time, process.0.clone(), session.clone()));
        Some(EventKind::Logout {
            client: None,
            user: None,
            session: Some(session),
            login_may_follow: false,
        })
    }

    /// The session that has ended, if one has.
    fn close(
        &mut self,
        server: &Server,
        process: &Process,
        session: Option<String>,
        time: Timestamp,
    ) -> Option<String> {
        self.connects.remove(process);
        if !server.sessions_by_pid {
            return session;
        }
        let known = self.sessions.remove(process);
        let session = match (session, known) {
            (Some(session), known) => {
                let told =
                    |(_, name, id): &(_, Arc<str>, String)| *name == server.name && *id == session;
                let is_known = known.as_ref() == Some(&session);
                if !is_known && (self.unknown == Unknown::Drop || self.ended.iter().any(told)) {
                    return None;
                }
                session
            }
            (None, Some(known)) => known,
            (None, None) if self.unknown == Unknown::Drop => return None,
            (None, None) => process.1.to_string(),
        };
        self.ended
            .push_back((time, server.name.clone(), session.clone()));
        Some(session)
    }

    /// A server whose lines each stand for themselves.
    fn plain(&mut self, server: &Server, meaning: Meaning) -> Option<EventKind> {
        match meaning {
            Meaning::Login {
                client,
                user,
                session,
            } => {
                // Without a line for its end, no session is opened: it would stay open.
                let is_followed = server.tells_logouts() && !self.unfollowed.contains(&server.name);
                Some(EventKind::Login {
                    client: client?,
                    user,
                    session: session.filter(|_| is_followed),
                })
            }
            Meaning::Logout {
                client,
                user,
                session,
            } => {
                if session.is_none() {
                    self.unfollowed.insert(server.name.clone());
                }
                Some(EventKind::Logout {
                    client,
                    user,
                    session,
                    login_may_follow: true,
                })
            }
            Meaning::Start => {
                self.unfollowed.remove(&server.name);
                Some(EventKind::Start)
            }
            Meaning::Connect { .. }
            | Meaning::Failure
            | Meaning::LostLogout
            | Meaning::CutOff { .. } => None,
        }
    }

    /// An end whose session the server has lost. If all its ends are like that, it names no sessions.
    fn lost_logout(&mut self, server: &Server) -> EventKind {
        let in_a_row = self.lost.entry(server.name.clone()).or_default();
        *in_a_row = in_a_row.saturating_add(1);
        if *in_a_row < LOST_IN_A_ROW {
            return EventKind::LostLogout;
        }
        self.unfollowed.insert(server.name.clone());
        EventKind::Logout {
            client: None,
            user: None,
            session: None,
            login_may_follow: true,
        }
    }

    fn forget(&mut self, now: Timestamp) {
        let old = |time: Timestamp, lifetime| now.duration_since(time) > lifetime;
        while self
            .connected
            .front()
            .is_some_and(|(time, _)| old(*time, CONNECT_LIFETIME))
            || self.connected.len() > CONNECTS
        {
            if let Some((time, process)) = self.connected.pop_front()
                && self
                    .connects
                    .get(&process)
                    .is_some_and(|(_, since)| *since <= time)
            {
                self.connects.remove(&process);
            }
        }
        while self
            .ended
            .front()
            .is_some_and(|(time, ..)| old(*time, END_LIFETIME))
        {
            self.ended.pop_front();
        }
    }
}

#[cfg(test)]
mod tests;
