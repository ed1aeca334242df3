//! Whether all logins seem to come through one address that hides the clients: a bridge's in front of
//! a container, a gateway's, a front end's. One login then lets everybody behind it relay.
//!
//! Pure, and small: it remembers one client, a few users and a time. It only speaks; nobody is listed
//! or left out for it. What is evidence for it:
//!
//! - The address is private. Behind a public one, an office shares its router by right.
//! - Several users have logged in from there: fewer are enough where the address looks like a gateway's.
//! - Nobody has been listed from anywhere else for some days. Where clients of several addresses are
//!   seen, one with many mailboxes is only that.

use std::hash::{BuildHasher, Hasher, RandomState};

use jiff::{SignedDuration, Timestamp};

use crate::client::Client;

/// So many people do not share one address without something between them and the server.
const CROWD: usize = 5;
/// So many, where the address looks like that something's.
const CROWD_BEHIND_A_GATEWAY: usize = 3;
/// For how long others are remembered: an office may be empty for a long weekend.
const REMEMBERED: SignedDuration = SignedDuration::from_hours(4 * 24);

/// How many users of one address, and nobody from anywhere else, tell that it hides who they are.
#[must_use]
pub fn crowd(client: Client) -> usize {
    if client.is_private() && client.looks_like_a_gateway() {
        CROWD_BEHIND_A_GATEWAY
    } else {
        CROWD
    }
}

/// What is remembered of the logins that listed somebody.
#[derive(Debug, Default)]
pub struct OneAddress {
    latest: Option<Latest>,
    /// When somebody else was last heard of.
    others: Option<Timestamp>,
    /// What is said of it.
    trouble: Option<String>,
    names: RandomState,
}

/// The client of the last login, and its logins since it was another's.
#[derive(Debug)]
struct Latest {
    client: Client,
    users: [u64; CROWD],
    known: usize,
    last: Timestamp,
}

impl OneAddress {
    /// Several clients are listed already.
    pub fn with_others(mut self, now: Timestamp) -> Self {
        self.others = Some(now);
        self
    }

    /// Somebody has logged in, and is listed. If this makes it evident, it says how many users have.
    pub fn login(&mut self, client: Client, user: Option<&str>, time: Timestamp) -> Option<usize> {
        let user = self.person(user.unwrap_or_default());
        let latest = match &mut self.latest {
            Some(latest) if latest.client == client => latest,
            latest => {
                self.others = self.others.max(latest.as_ref().map(|latest| latest.last));
                self.trouble = None;
                latest.insert(Latest {
                    client,
                    users: [0; CROWD],
                    known: 0,
                    last: time,
                })
            }
        };
        latest.last = latest.last.max(time);
        if latest.known < CROWD && !latest.users[..latest.known].contains(&user) {
            latest.users[latest.known] = user;
            latest.known += 1;
        }
        let is_alone = (self.others).is_none_or(|others| time.duration_since(others) > REMEMBERED);
        let is_evident = latest.known >= crowd(client) && client.is_private() && is_alone;
        (is_evident && self.trouble.is_none()).then_some(latest.known)
    }

    /// This is said of it, until it is no longer so.
    pub fn say(&mut self, trouble: String) {
        self.trouble = Some(trouble);
    }

    /// What is said of it.
    pub fn trouble(&self) -> Option<&String> {
        self.trouble.as_ref()
    }

    /// Other rules are in force: whoever is not admitted any more is no trouble.
    pub fn keep_if(&mut self, is_admitted: impl FnOnce(Client) -> bool) {
        let out = self.latest.take_if(|latest| !is_admitted(latest.client));
        if out.is_some() {
            self.trouble = None;
        }
    }

    /// A user, however he writes his name: `Tom` and `tom@example.org` are the same one.
    fn person(&self, name: &str) -> u64 {
        let mut hasher = self.names.build_hasher();
        let local = name.bytes().take_while(|byte| *byte != b'@');
        local.for_each(|byte| hasher.write_u8(byte.to_ascii_lowercase()));
        hasher.finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3600;
    const BRIDGE: &str = "172.17.0.1";

    /// When it is evident, after logins of (hours, client, user).
    fn evident(logins: &[(i64, &str, &str)]) -> Vec<usize> {
        let mut all = OneAddress::default();
        let evident = logins.iter().map(|(hours, client, user)| {
            let time = Timestamp::from_second(1_800_000_000 + hours * HOUR).unwrap();
            let found = all.login(client.parse().unwrap(), Some(user), time);
            found.inspect(|_| all.say("said".to_owned()))
        });
        let evident: Vec<bool> = evident.map(|found| found.is_some()).collect();
        (0..evident.len()).filter(|at| evident[*at]).collect()
    }

    #[test]
    fn a_crowd_of_one_private_address_is_evident_once() {
        let crowd =
            |client: &'static str| ["a", "b", "c", "d", "e", "f", "g"].map(|u| (0, client, u));
        for (client, at) in [
            (BRIDGE, &[2][..]),
            ("192.168.1.254", &[2]),
            ("fd00:17::1", &[2]),
            ("fe80::1", &[2]),
            ("10.0.0.5", &[4]),
            ("100.64.3.7", &[4]),
            ("169.254.10.20", &[4]),
            ("fd00::be:5", &[4]),
            // An office, or a provider's gateway.
            ("192.0.2.1", &[]),
            ("2001:db8::1", &[]),
            ("172.32.0.1", &[]),
            ("100.128.0.1", &[]),
        ] {
            assert_eq!(evident(&crowd(client)), at, "{client}");
        }
    }

    #[test]
    fn one_person_and_a_small_office_are_none() {
        let same = [
            (0, BRIDGE, "tom"),
            (1, BRIDGE, "Tom"),
            (2, BRIDGE, "tom@example.org"),
            (3, BRIDGE, "tom@example.net"),
        ];
        assert!(evident(&same).is_empty());
        let mut office = Vec::new();
        for day in 0..10 {
            for (hour, client) in [(8, "192.168.1.10"), (9, "192.168.1.11"), (9, "192.168.1.1")] {
                office.push((day * 24 + hour, client, "tom"));
            }
            // One who stays late has many mailboxes.
            for user in ["a", "b", "c", "d", "e", "f", "tom"] {
                office.push((day * 24 + 20, "192.168.1.1", user));
            }
        }
        // A long weekend.
        for user in ["a", "b", "c", "d", "e", "f"] {
            office.push((12 * 24, "192.168.1.1", user));
        }
        assert!(evident(&office).is_empty());
    }

    #[test]
    fn others_are_forgotten_after_some_days_and_end_the_trouble() {
        let others = [
            (0, "192.0.2.10", "x"),
            (1, BRIDGE, "a"),
            (1, BRIDGE, "b"),
            (1, BRIDGE, "c"),
            (90, BRIDGE, "a"),
            (97, BRIDGE, "a"),
            (98, BRIDGE, "d"),
        ];
        assert_eq!(evident(&others), [5]);
        let mut all = OneAddress::default();
        let time = Timestamp::from_second(1_800_000_000).unwrap();
        let bridge: Client = BRIDGE.parse().unwrap();
        for (user, users) in [("a", None), ("b", None), ("c", Some(3))] {
            assert_eq!(all.login(bridge, Some(user), time), users);
        }
        all.say("trouble".to_owned());
        assert_eq!(all.login(bridge, Some("d"), time), None);
        all.keep_if(|_| true);
        assert!(all.trouble().is_some());
        all.login("192.0.2.10".parse().unwrap(), Some("a"), time);
        assert_eq!(all.trouble(), None);
        for user in ["a", "b", "c"] {
            assert_eq!(
                all.login(bridge, Some(user), time),
                None,
                "others are remembered"
            );
        }
    }

    #[test]
    fn who_is_in_never_by_now_is_no_trouble() {
        let time = Timestamp::from_second(1_800_000_000).unwrap();
        let mut all = OneAddress::default();
        for user in ["a", "b", "c"] {
            all.login(BRIDGE.parse().unwrap(), Some(user), time);
        }
        all.say("trouble".to_owned());
        all.keep_if(|_| false);
        assert_eq!(all.trouble(), None);
        let mut known = OneAddress::default().with_others(time);
        for user in ["a", "b", "c"] {
            assert_eq!(known.login(BRIDGE.parse().unwrap(), Some(user), time), None);
        }
    }
}
