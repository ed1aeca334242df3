//! The clients that a publication makes the map list, gathered some at a time: a million of them in
//! one go would keep the loop from answering Postfix.
//!
//! Pure. A snapshot that was gathered over several turns is of no single moment, and need not be:
//!
//! - Nobody is in it who was not listed when its part was gathered.
//! - It counts as one of the whitelist's generation at its *beginning*. Whoever has come or gone since
//!   then has made a newer generation, and so another publication follows; until that has succeeded,
//!   a removal counts as pending, and whoever waits for a newer generation goes on waiting.
//! - If nobody has come or gone, it is exact.
//!
//! So a client that goes meanwhile is either not in it, or is in the map for no longer than if it
//! had gone the moment after.

use crate::client::Client;
use crate::whitelist::Whitelist;

/// How many clients are gathered in one turn of the loop: a small whitelist in one.
pub(super) const PART: usize = 4096;

/// Listed clients, in order.
#[derive(Debug)]
pub(super) struct Snapshot {
    clients: Vec<Client>,
}

impl Snapshot {
    /// One with nobody in it yet, and with room for all.
    pub(super) fn begin(whitelist: &Whitelist) -> Self {
        Snapshot {
            clients: Vec::with_capacity(whitelist.len()),
        }
    }

    /// Gathers the next clients, `at_most` so many. True once all are in it.
    pub(super) fn gather(&mut self, whitelist: &Whitelist, at_most: usize) -> bool {
        let before = self.clients.len();
        let next = whitelist.addresses_after(self.clients.last().copied());
        self.clients.extend(next.take(at_most));
        self.clients.len() - before < at_most
    }

    /// The clients.
    pub(super) fn into_clients(self) -> Vec<Client> {
        self.clients
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use jiff::{SignedDuration, Timestamp};
    use proptest::prelude::*;

    use super::*;
    use crate::config::Limits;
    use crate::event::{Event, EventKind};
    use crate::networks::Networks;
    use crate::origin::Origin;
    use crate::whitelist::{Grant, Rules, Scope};

    const GRACE: i64 = 5;

    fn rules(never: Option<Client>) -> Rules {
        Rules {
            grace: SignedDuration::from_secs(GRACE),
            max_session: SignedDuration::from_secs(1000),
            limits: Limits::NONE,
            permitted: Networks::default(),
            never: Networks::from(Vec::from_iter(never.map(|c| c.address().into()))),
        }
    }

    fn client(last: u8) -> Client {
        std::net::IpAddr::from([192, 0, 2, last]).into()
    }

    fn listed(whitelist: &Whitelist) -> BTreeSet<Client> {
        whitelist.listed_after(None).map(|l| l.client).collect()
    }

    /// What happens between two turns.
    #[derive(Debug, Clone)]
    enum Meanwhile {
        Login(u8),
        Allow(u8),
        Revoke(u8),
        RevokeLogins,
        Never(u8),
        /// So many seconds go by.
        Time(i64),
    }

    fn meanwhile() -> impl Strategy<Value = Meanwhile> {
        let number = 1..24u8;
        prop_oneof![
            6 => number.clone().prop_map(Meanwhile::Login),
            1 => number.clone().prop_map(Meanwhile::Allow),
            2 => number.clone().prop_map(Meanwhile::Revoke),
            1 => Just(Meanwhile::RevokeLogins),
            1 => number.prop_map(Meanwhile::Never),
            2 => (1..GRACE).prop_map(Meanwhile::Time),
        ]
    }

    fn happen(what: &Meanwhile, whitelist: &mut Whitelist, now: &mut i64) {
        let time = |second| Timestamp::from_second(second).unwrap();
        match what {
            Meanwhile::Login(n) => {
                let event = Event::new(
                    time(*now),
                    Origin::OF_LINES,
                    "dovecot",
                    EventKind::Login {
                        client: client(*n),
                        user: None,
                        session: None,
                    },
                );
                whitelist.apply(&event, time(*now));
            }
            Meanwhile::Allow(n) => {
                let grant = Grant {
                    since: time(*now),
                    until: time(*now + 2),
                    by: 0,
                    note: None,
                };
                let _ = whitelist.allow(client(*n), grant);
            }
            Meanwhile::Revoke(n) => {
                let _ = whitelist.revoke(&Scope::from(client(*n)), 0, time(*now));
                // The next login is a later one.
                *now += 1;
            }
            Meanwhile::RevokeLogins => {
                let _ = whitelist.revoke(&Scope::Server("dovecot".to_owned()), 0, time(*now));
                *now += 1;
            }
            Meanwhile::Never(n) => {
                whitelist.set_rules(rules(Some(client(*n))));
            }
            Meanwhile::Time(seconds) => {
                *now += seconds;
                whitelist.expire_manual(time(*now));
                whitelist.expire(time(*now), 3);
            }
        }
    }

    proptest! {
        #[test]
        fn whatever_happens_meanwhile_is_in_a_newer_generation(
            before in prop::collection::vec(meanwhile(), 0..40),
            turns in prop::collection::vec(prop::collection::vec(meanwhile(), 0..3), 0..12),
            at_most in 1..6usize,
        ) {
            let mut whitelist = Whitelist::new(rules(None));
            let mut now = 1_800_000_000;
            for what in &before {
                happen(what, &mut whitelist, &mut now);
            }
            let at_first = listed(&whitelist);
            let generation = whitelist.generation();
            let mut ever = at_first.clone();
            let mut always = at_first.clone();
            let mut turns = turns.iter();
            let mut snapshot = Snapshot::begin(&whitelist);
            loop {
                let known = snapshot.clients.len();
                let is_whole = snapshot.gather(&whitelist, at_most);
                let part = &snapshot.clients[known..];
                prop_assert!(part.len() <= at_most);
                prop_assert!(part.iter().all(|c| whitelist.listed(*c).is_some()));
                if is_whole {
                    break;
                }
                for what in turns.next().into_iter().flatten() {
                    happen(what, &mut whitelist, &mut now);
                    let listed = listed(&whitelist);
                    ever.extend(&listed);
                    always.retain(|client| listed.contains(client));
                }
            }
            let clients = snapshot.into_clients();
            prop_assert!(clients.is_sorted_by(|a, b| a < b));
            let published: BTreeSet<Client> = clients.into_iter().collect();
            prop_assert!(published.is_subset(&ever));
            prop_assert!(always.is_subset(&published));
            let at_last = listed(&whitelist);
            if whitelist.generation() == generation {
                prop_assert_eq!(&published, &at_first);
                prop_assert_eq!(&published, &at_last);
            }
        }
    }

    #[test]
    fn a_small_whitelist_is_gathered_in_one_turn() {
        let mut whitelist = Whitelist::new(rules(None));
        let mut now = 1_800_000_000;
        for n in 1..250 {
            happen(&Meanwhile::Login(n), &mut whitelist, &mut now);
        }
        let mut snapshot = Snapshot::begin(&whitelist);
        assert!(snapshot.gather(&whitelist, PART));
        assert_eq!(snapshot.into_clients().len(), whitelist.len());
        assert!(Snapshot::begin(&Whitelist::new(rules(None))).gather(&whitelist, PART));
    }
}
