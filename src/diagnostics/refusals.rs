//! Sums up what is refused, so that nobody can flood the journal through us, and nothing is
//! silent.
//!
//! Pure: it is told the time, and says what is to be said.

use std::collections::HashMap;

use jiff::Timestamp;

use super::counted::Counted;
use super::{
    SourceNames, entry_refused, login_ignored, more_entries_refused, more_refused_by_limits,
};
use crate::client::Client;
use crate::intake::Refused;
use crate::origin::Id;
use crate::servers::Sender;
use crate::whitelist::Refusal;

/// How many senders are told apart; the rest are taken together.
const SENDERS: usize = 64;

/// Reports refusals: the first of a kind at once, its like once a minute as a number.
#[derive(Debug, Default)]
pub struct Refusals {
    /// Of each sender how many, and the last.
    senders: HashMap<(Id, String, Sender), (Counted, Refused)>,
    limits: Counted,
    total: u64,
}

impl Refusals {
    /// Reports an entry by an untrusted sender.
    pub fn entry(&mut self, refused: &Refused, sources: &SourceNames, now: Timestamp) {
        self.total += 1;
        // Not by the pid: each line of a flood can have another.
        let mut key = (
            refused.source,
            refused.server.to_string(),
            Sender {
                pid: None,
                ..refused.sender.clone()
            },
        );
        if !self.senders.contains_key(&key) && self.senders.len() >= SENDERS {
            key.2 = Sender::default();
        }
        let new = || (Counted::default(), refused.clone());
        let (counted, last) = self.senders.entry(key).or_insert_with(new);
        if counted.another(now) == 1 {
            entry_refused(refused, sources.name(refused.source));
        }
        *last = refused.clone();
    }

    /// Reports a login that a limit refuses.
    pub fn limit(
        &mut self,
        client: Client,
        user: Option<&str>,
        server: &str,
        source: Option<&str>,
        why: Refusal,
        now: Timestamp,
    ) {
        self.total += 1;
        if self.limits.another(now) == 1 {
            login_ignored(client, user, server, source, why);
        }
    }

    /// When [`Refusals::sum_up`] has something to do; never while nothing is refused.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Timestamp> {
        let senders = self.senders.values().map(|(counted, _)| counted);
        let all = senders.chain([&self.limits]);
        all.filter_map(Counted::ends).min()
    }

    /// Says how many were refused in the minutes that are over.
    pub fn sum_up(&mut self, sources: &SourceNames, now: Timestamp) {
        self.senders.retain(|_, (counted, last)| {
            let all = counted.take_if_over(Some(now));
            if all > 1 {
                more_entries_refused(all - 1, last, sources.name(last.source));
            }
            all == 0
        });
        let all = self.limits.take_if_over(Some(now));
        if all > 1 {
            more_refused_by_limits(all - 1);
        }
    }

    /// How many were refused since the start.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnostics::counted::INTERVAL;
    use crate::servers::{Distrust, Meaning};
    use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

    static COUNTER: AtomicU32 = AtomicU32::new(1);

    fn refused(uid: u32) -> Refused {
        Refused {
            server: "dovecot".into(),
            meaning: Meaning::Failure,
            sender: Sender {
                uid: Some(uid),
                unit: None,
                pid: Some(COUNTER.fetch_add(1, Relaxed)),
            },
            why: Distrust::User,
            source: Id::DEFAULT_SOURCE,
            is_elsewhere: false,
            container: None,
        }
    }

    #[test]
    fn a_flood_is_counted_and_forgotten_after_its_minute() {
        let (mut refusals, sources) = (Refusals::default(), SourceNames::default());
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        assert_eq!(refusals.next_deadline(), None);
        for uid in 0..1000 {
            for _ in 0..3 {
                refusals.entry(&refused(uid), &sources, now);
            }
        }
        assert_eq!(refusals.total(), 3000);
        assert!(refusals.senders.len() <= SENDERS + 1);
        assert_eq!(refusals.next_deadline(), Some(now + INTERVAL));
        refusals.sum_up(&sources, now);
        assert!(!refusals.senders.is_empty());
        refusals.sum_up(&sources, now + INTERVAL);
        assert_eq!(refusals.next_deadline(), None);
    }
}
