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
    /// The sessions that are open, and when they began at the latest.
    open: BTreeMap<u64, SystemTime>,
    /// When those that are over began at the latest, and when they ended.
    over: Vec<(SystemTime, Between)>,
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

impl Client {
    fn ends(&self, grace: Duration) -> impl Iterator<Item = Between> {
        let grace = self.last.map(|last| last.plus(grace));
        [grace, self.allowed].into_iter().flatten()
    }

    fn surely(&self, grace: Duration, until: SystemTime) -> bool {
        !self.open.is_empty() || self.ends(grace).any(|end| end.0 > until)
    }

    fn perhaps(&self, grace: Duration, since: SystemTime) -> bool {
        !self.open.is_empty() || self.ends(grace).any(|end| end.1 > since)
    }

    fn long(&self, grace: Duration, since: SystemTime, until: SystemTime) -> bool {
        let mut open = self.open.values();
        let mut over = self.over.iter();
        open.any(|begun| *begun <= since)
            || over.any(|(begun, end)| *begun <= since && end.plus(grace).0 > until)
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
        let ended = when.0 - self.grace;
        known.over.retain(|(_, end)| end.0 > ended);
        known.open.insert(session, when.1);
        known.last = Some(when);
    }

    pub fn logout(&mut self, client: &str, session: u64, when: Between) {
        let known = self.clients.entry(client.to_owned()).or_default();
        if let Some(begun) = known.open.remove(&session) {
            known.last = Some(when);
            known.over.push((begun, when));
        }
    }

    /// The server has started anew: no session is open.
    pub fn start(&mut self, when: Between) {
        for known in self.clients.values_mut() {
            if !known.open.is_empty() {
                let open = std::mem::take(&mut known.open);
                known.over.extend(open.values().map(|begun| (*begun, when)));
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
            of.map(|(session, _)| (name.clone(), *session))
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
        self.names(|client| client.surely(self.grace, until))
    }

    /// Those who may have been relaying at some time since then.
    pub fn perhaps(&self, since: SystemTime) -> BTreeSet<String> {
        self.names(|client| client.perhaps(self.grace, since))
    }

    /// Those who may relay for sure, until then at least, by a login that is as old as that.
    pub fn long(&self, since: SystemTime, until: SystemTime) -> BTreeSet<String> {
        self.names(|client| client.long(self.grace, since, until))
    }

    /// Whether that holds for this one.
    pub fn is_long(&self, client: &str, since: SystemTime, until: SystemTime) -> bool {
        let known = self.clients.get(client);
        known.is_some_and(|client| client.long(self.grace, since, until))
    }

    /// Whether this one may have been relaying at some time since then.
    pub fn is_perhaps(&self, client: &str, since: SystemTime) -> bool {
        let known = self.clients.get(client);
        known.is_some_and(|client| client.perhaps(self.grace, since))
    }

    fn names(&self, may: impl Fn(&Client) -> bool) -> BTreeSet<String> {
        let all = self.clients.iter().filter(|(_, client)| may(client));
        all.map(|(name, _)| name.clone()).collect()
    }
}
