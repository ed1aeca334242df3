//! Who may relay, by the lines that a server has written and by what was asked for by hand: the rules of
//! the README once more, in the simplest words, and nothing of the service's own.
//!
//! A line is in the journal at some time between two, and a command has its effect somewhere while it
//! runs. So a client may relay for sure, may not for sure, or nobody can tell.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

/// A time between these two.
#[derive(Clone, Copy, Debug)]
pub struct Between(pub SystemTime, pub SystemTime);

/// What is known of a client.
#[derive(Debug, Default)]
struct Client {
    /// The sessions that are open.
    open: BTreeSet<u64>,
    /// Its last login, or the last end of a session.
    last: Option<Between>,
    /// Until when it was allowed by hand.
    allowed: Option<Between>,
}

/// Everybody who has ever been heard of.
pub struct Entitled {
    grace: Duration,
    clients: BTreeMap<String, Client>,
}

impl Between {
    /// Around something that is done now.
    pub fn around<T>(act: impl FnOnce() -> T) -> (T, Between) {
        let begin = SystemTime::now();
        let done = act();
        (done, Between(begin, SystemTime::now()))
    }

    fn plus(self, duration: Duration) -> Self {
        Between(self.0 + duration, self.1 + duration)
    }
}

impl Entitled {
    pub fn new(grace: Duration) -> Self {
        Entitled {
            grace,
            clients: BTreeMap::new(),
        }
    }

    pub fn login(&mut self, client: &str, session: u64, when: Between) {
        let known = self.clients.entry(client.to_owned()).or_default();
        known.open.insert(session);
        known.last = Some(when);
    }

    pub fn logout(&mut self, client: &str, session: u64, when: Between) {
        let known = self.clients.entry(client.to_owned()).or_default();
        if known.open.remove(&session) {
            known.last = Some(when);
        }
    }

    /// The server has started anew: no session is open.
    pub fn start(&mut self, when: Between) {
        for known in self.clients.values_mut() {
            if !known.open.is_empty() {
                known.open.clear();
                known.last = Some(when);
            }
        }
    }

    pub fn allow(&mut self, client: &str, for_: Duration, when: Between) {
        let known = self.clients.entry(client.to_owned()).or_default();
        known.allowed = Some(when.plus(for_));
    }

    pub fn revoke(&mut self, client: &str) {
        self.clients.insert(client.to_owned(), Client::default());
    }

    /// The open sessions, each with its client.
    pub fn sessions(&self) -> Vec<(String, u64)> {
        let sessions = |(name, client): (&String, &Client)| {
            let of = client.open.iter();
            of.map(|session| (name.clone(), *session))
                .collect::<Vec<_>>()
        };
        self.clients.iter().flat_map(sessions).collect()
    }

    /// How long nothing has happened to a client.
    pub fn quiet_for(&self, client: &str) -> Duration {
        let last = self.clients.get(client).and_then(|known| known.last);
        last.and_then(|last| last.1.elapsed().ok())
            .unwrap_or(Duration::MAX)
    }

    /// Those who may relay for sure, until then at least.
    pub fn surely(&self, until: SystemTime) -> BTreeSet<String> {
        let may = |client: &Client| {
            let grace = client.last.map(|last| last.plus(self.grace));
            let ends = [grace, client.allowed].into_iter().flatten();
            !client.open.is_empty() || ends.into_iter().any(|end| end.0 > until)
        };
        self.names(may)
    }

    /// Those who may have been relaying at some time since then.
    pub fn perhaps(&self, since: SystemTime) -> BTreeSet<String> {
        let may = |client: &Client| {
            let grace = client.last.map(|last| last.plus(self.grace));
            let ends = [grace, client.allowed].into_iter().flatten();
            !client.open.is_empty() || ends.into_iter().any(|end| end.1 > since)
        };
        self.names(may)
    }

    fn names(&self, may: impl Fn(&Client) -> bool) -> BTreeSet<String> {
        let all = self.clients.iter().filter(|(_, client)| may(client));
        all.map(|(name, _)| name.clone()).collect()
    }
}
