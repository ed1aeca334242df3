//! When each session and each listed client comes to an end, in the order in which they do.
//!
//! Compact: there is one of these for every client that is listed. Must never decide when that is.

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::client::Client;
use crate::event::SessionKey;

/// What ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Deadline {
    /// The session is taken to have ended.
    Session(SessionKey),
    /// The client's grace has passed.
    Client(Client),
}

/// A time and a client, without the room that a [`Timestamp`] leaves empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct OfClient {
    // In this order: the sign of both parts is the same, so that they compare as the time does.
    second: i64,
    nanosecond: i32,
    client: Client,
}

impl OfClient {
    fn new(time: Timestamp, client: Client) -> Self {
        OfClient {
            second: time.as_second(),
            nanosecond: time.subsec_nanosecond(),
            client,
        }
    }

    fn time(self) -> Timestamp {
        // It was a time. Were it none, the client would be better off the list.
        Timestamp::new(self.second, self.nanosecond).unwrap_or(Timestamp::MIN)
    }
}

/// All that is to end.
#[derive(Debug, Default)]
pub(super) struct Deadlines {
    sessions: BTreeSet<(Timestamp, SessionKey)>,
    clients: BTreeSet<OfClient>,
}

impl Deadlines {
    pub(super) fn new(
        sessions: impl Iterator<Item = (Timestamp, SessionKey)>,
        clients: impl Iterator<Item = (Timestamp, Client)>,
    ) -> Self {
        Deadlines {
            sessions: sessions.collect(),
            clients: clients
                .map(|(t, client)| OfClient::new(t, client))
                .collect(),
        }
    }

    pub(super) fn add_session(&mut self, time: Timestamp, key: SessionKey) {
        self.sessions.insert((time, key));
    }

    pub(super) fn remove_session(&mut self, time: Timestamp, key: SessionKey) {
        self.sessions.remove(&(time, key));
    }

    pub(super) fn add_client(&mut self, time: Timestamp, client: Client) {
        self.clients.insert(OfClient::new(time, client));
    }

    pub(super) fn remove_client(&mut self, time: Timestamp, client: Client) {
        self.clients.remove(&OfClient::new(time, client));
    }

    /// When something ends next.
    pub(super) fn first(&self) -> Option<Timestamp> {
        let session = self.sessions.first().map(|(time, _)| *time);
        let client = self.clients.first().map(|c| c.time());
        session.into_iter().chain(client).min()
    }

    /// Takes out what ends first, if it does by `now`. Sessions before clients: the end of one may
    /// be what a client's grace counts from.
    pub(super) fn pop_due(&mut self, now: Timestamp) -> Option<(Timestamp, Deadline)> {
        let first = self.first().filter(|time| *time <= now)?;
        if self
            .sessions
            .first()
            .is_some_and(|(time, _)| *time == first)
        {
            let (time, key) = self.sessions.pop_first()?;
            return Some((time, Deadline::Session(key)));
        }
        let client = self.clients.pop_first()?;
        Some((client.time(), Deadline::Client(client.client)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn time(nanosecond: i64) -> Timestamp {
        Timestamp::from_nanosecond(nanosecond.into()).unwrap()
    }

    #[test]
    fn a_client_takes_little_room() {
        assert_eq!(size_of::<OfClient>(), 32);
    }

    proptest! {
        #[test]
        fn clients_end_in_the_order_of_time(times: Vec<i64>, near in prop::collection::vec(-3_000_000_000i64..3_000_000_000, 0..20)) {
            let client: Client = "192.0.2.10".parse().unwrap();
            let mut expected: Vec<_> = times.iter().chain(&near).map(|t| time(*t)).collect();
            let mut deadlines = Deadlines::default();
            for time in &expected {
                deadlines.add_client(*time, client);
            }
            expected.sort();
            expected.dedup();
            let mut ended = Vec::new();
            while let Some((time, _)) = deadlines.pop_due(Timestamp::MAX) {
                ended.push(time);
            }
            prop_assert_eq!(ended, expected);
        }
    }
}
