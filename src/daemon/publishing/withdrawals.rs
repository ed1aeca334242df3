//! Has other maps than ours list nobody: former ones, those of other types beside ours, and ours while
//! it is not wanted. What fails is told of, and tried again.
//!
//! Must never empty a map that has become ours: what is still to be tried is dropped then, and what the
//! thread has been given comes before our publication.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::postmap_thread::{Job, PostmapThread, Withdrawal};
use crate::diagnostics;
use crate::postfix::access_map::{AccessMap, PublishError};
use crate::store::FormerMap;

/// The pause after the first failure; it doubles with each.
const FIRST_RETRY: Duration = Duration::from_secs(1);
/// The longest pause, unless a try takes long.
const LONGEST_RETRY: Duration = Duration::from_secs(60);
/// A pause is as many times as long as the try before it: one that hangs keeps the thread from ours.
const PAUSES: u32 = 4;

/// The maps that are to list nobody.
#[derive(Debug)]
pub struct Withdrawals {
    publisher: PostmapThread,
    /// Our map, and whether it is wanted.
    ours: (Option<AccessMap>, bool),
    /// Whether maps of other types beside it have been seen to.
    other_types_seen_to: bool,
    pending: Vec<Pending>,
    /// How many the thread has been given.
    given: u64,
}

#[derive(Debug)]
struct Pending {
    what: Withdrawal,
    state: State,
    failures: u32,
    trouble: Option<String>,
}

#[derive(Debug, Clone, Copy)]
enum State {
    /// To be given to the thread then.
    Due(Instant),
    /// Given to the thread, with this number, then.
    Given(u64, Instant),
}

impl Withdrawals {
    /// None yet.
    pub fn new(publisher: PostmapThread) -> Self {
        Withdrawals {
            publisher,
            ours: (None, false),
            other_types_seen_to: false,
            pending: Vec::new(),
            given: 0,
        }
    }

    /// From now on this is our map, if there is one, and these are no more.
    pub fn change(&mut self, ours: Option<&AccessMap>, wanted: bool, former: Vec<FormerMap>) {
        let ours = (ours.cloned(), wanted);
        let former = former.into_iter().map(|former| {
            let map = AccessMap::new(former.path, former.kind, former.value);
            match &ours.0 {
                Some(ours) => Withdrawal::Beside {
                    map,
                    ours: ours.clone(),
                },
                None => Withdrawal::Map(map),
            }
        });
        let mut due: Vec<_> = former.collect();
        if let (Some(map), false) = &ours {
            due.push(Withdrawal::Map(map.clone()));
        }
        if ours != self.ours {
            self.other_types_seen_to = false;
            self.ours = ours;
        } else {
            let others = self.pending.iter().map(|pending| &pending.what);
            let others = others.filter(|what| matches!(what, Withdrawal::OtherTypes(_)));
            due.extend(others.cloned());
        }
        self.pending.retain(|pending| due.contains(&pending.what));
        due.into_iter().for_each(|what| self.add(what));
    }

    /// Our map has been published: Postfix need no longer look into those of other types beside it.
    pub fn published(&mut self) {
        if let (Some(map), true) = &self.ours
            && !self.other_types_seen_to
        {
            self.other_types_seen_to = true;
            self.add(Withdrawal::OtherTypes(map.clone()));
        }
    }

    /// At once; one that waits for its next try, too.
    fn add(&mut self, what: Withdrawal) {
        let now = Instant::now();
        let known = (self.pending.iter_mut()).find(|pending| pending.what == what);
        match known {
            Some(Pending { state, .. }) => {
                if let State::Due(time) = state {
                    *time = now;
                }
            }
            None => self.pending.push(Pending {
                what,
                state: State::Due(now),
                failures: 0,
                trouble: None,
            }),
        }
    }

    /// Hands over what is due. Says when there is more to do.
    pub fn give_due(&mut self, now: Instant) -> Option<Instant> {
        let mut next = None;
        for pending in &mut self.pending {
            match pending.state {
                State::Due(time) if time <= now => {
                    self.given += 1;
                    pending.state = State::Given(self.given, now);
                    let job = Job::Withdraw(self.given, pending.what.clone());
                    self.publisher.give(job);
                }
                State::Due(time) => next = next.map_or(time, |next: Instant| next.min(time)).into(),
                State::Given(..) => {}
            }
        }
        next
    }

    /// The thread is done with what had this number. Returns the index of a map that lists nobody now.
    pub fn done(
        &mut self,
        number: u64,
        result: Result<(), PublishError>,
        now: Instant,
    ) -> Option<PathBuf> {
        let place = (self.pending.iter())
            .position(|pending| matches!(pending.state, State::Given(n, _) if n == number))?;
        match result {
            Ok(()) => match self.pending.remove(place).what {
                Withdrawal::Map(map) | Withdrawal::Beside { map, .. } => Some(map.index()),
                Withdrawal::OtherTypes(_) => None,
            },
            Err(error) => {
                self.pending[place].failed(&error, now);
                None
            }
        }
    }

    /// What is wrong now.
    pub fn troubles(&self) -> impl Iterator<Item = &String> {
        self.pending
            .iter()
            .filter_map(|pending| pending.trouble.as_ref())
    }
}

impl Pending {
    fn failed(&mut self, error: &PublishError, now: Instant) {
        let text = format!("a former access map may still list clients: {error}");
        if self.trouble.is_none() {
            diagnostics::warning(&text);
        }
        self.trouble = Some(format!(
            "{text}\nit is tried again; if main.cf no longer names that map, its files may be removed"
        ));
        let took = match self.state {
            State::Given(_, then) => now.saturating_duration_since(then),
            State::Due(_) => Duration::ZERO,
        };
        let pause = FIRST_RETRY
            .saturating_mul(1 << self.failures.min(10))
            .min(LONGEST_RETRY)
            .max(took.saturating_mul(PAUSES));
        self.failures += 1;
        self.state = State::Due(now + pause);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::postfix::map_type::MapType;

    fn lmdb(path: &str) -> AccessMap {
        AccessMap::new(path, MapType::Lmdb, "OK")
    }

    fn former(path: &str, kind: MapType) -> FormerMap {
        FormerMap {
            path: path.into(),
            kind,
            value: "OK".to_owned(),
        }
    }

    fn error() -> PublishError {
        PublishError::Locked {
            path: "/a.lock".into(),
            waited: Duration::ZERO,
        }
    }

    fn withdrawals() -> (Withdrawals, mpsc::Receiver<Job>) {
        let (jobs, given) = mpsc::channel();
        (Withdrawals::new(PostmapThread::giving_to(jobs)), given)
    }

    fn given(jobs: &mpsc::Receiver<Job>) -> Vec<(u64, Withdrawal)> {
        let withdrawn = |job| match job {
            Job::Withdraw(number, what) => (number, what),
            other @ Job::Publish(..) => panic!("{other:?}"),
        };
        jobs.try_iter().map(withdrawn).collect()
    }

    fn beside(map: AccessMap, ours: &str) -> Withdrawal {
        let ours = lmdb(ours);
        Withdrawal::Beside { map, ours }
    }

    #[test]
    fn what_fails_is_told_of_and_tried_again_after_growing_pauses() {
        let (mut withdrawals, jobs) = withdrawals();
        withdrawals.change(Some(&lmdb("/b")), true, vec![former("/a", MapType::Lmdb)]);
        let mut now = Instant::now();
        let mut pauses = Vec::new();
        for _ in 0..8 {
            assert_eq!(withdrawals.give_due(now), None);
            let (number, what) = given(&jobs).pop().unwrap();
            assert_eq!(what, beside(lmdb("/a"), "/b"));
            assert_eq!(withdrawals.done(number, Err(error()), now), None);
            assert_eq!(withdrawals.troubles().count(), 1);
            let next = withdrawals.give_due(now).unwrap();
            assert!(given(&jobs).is_empty());
            pauses.push((next - now).as_secs());
            now = next;
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60]);
        // One that takes long has a longer pause.
        withdrawals.give_due(now);
        let (number, _) = given(&jobs).pop().unwrap();
        let long = Duration::from_secs(60);
        withdrawals.done(number, Err(error()), now + long);
        let next = withdrawals.give_due(now + long);
        assert_eq!(next, Some(now + 5 * long));
        withdrawals.give_due(now + 5 * long);
        let (number, _) = given(&jobs).pop().unwrap();
        let index = withdrawals.done(number, Ok(()), now);
        assert_eq!(index, Some("/a.lmdb".into()));
        assert_eq!(withdrawals.troubles().count(), 0);
        assert_eq!(withdrawals.give_due(now + 10 * long), None);
        assert!(given(&jobs).is_empty());
    }

    #[test]
    fn what_has_become_ours_is_not_emptied_and_an_old_outcome_counts_for_nothing() {
        let (mut withdrawals, jobs) = withdrawals();
        let now = Instant::now() + Duration::from_secs(1);
        let of = |path| vec![former(path, MapType::Lmdb)];
        withdrawals.change(Some(&lmdb("/b")), true, of("/a"));
        withdrawals.give_due(now);
        let (first, _) = given(&jobs).pop().unwrap();
        withdrawals.done(first, Err(error()), now);
        withdrawals.change(Some(&lmdb("/a")), true, of("/b"));
        withdrawals.give_due(now + LONGEST_RETRY);
        let jobs_given = given(&jobs);
        assert_eq!(jobs_given.len(), 1);
        let (second, what) = &jobs_given[0];
        assert_eq!(*what, beside(lmdb("/b"), "/a"));
        // It was given before /b was ours for a while, and says nothing of what is in /b now.
        withdrawals.change(Some(&lmdb("/b")), true, of("/a"));
        withdrawals.change(Some(&lmdb("/a")), true, of("/b"));
        assert_eq!(withdrawals.done(*second, Ok(()), now), None);
        withdrawals.give_due(now);
        let (third, what) = given(&jobs).pop().unwrap();
        assert_eq!(what, beside(lmdb("/b"), "/a"));
        let index = withdrawals.done(third, Ok(()), now);
        assert_eq!(index, Some("/b.lmdb".into()));
    }

    #[test]
    fn other_types_are_seen_to_once_ours_is_there_and_tried_again() {
        let (mut withdrawals, jobs) = withdrawals();
        let now = Instant::now() + Duration::from_secs(1);
        let ours = lmdb("/a");
        withdrawals.change(Some(&ours), true, Vec::new());
        withdrawals.give_due(now);
        assert!(given(&jobs).is_empty());
        withdrawals.published();
        withdrawals.published();
        withdrawals.give_due(now);
        let (number, what) = given(&jobs).pop().unwrap();
        assert_eq!(what, Withdrawal::OtherTypes(ours.clone()));
        withdrawals.done(number, Err(error()), now);
        // A reload tries it at once, and forgets nothing.
        withdrawals.change(Some(&ours), true, Vec::new());
        assert_eq!(withdrawals.troubles().count(), 1);
        withdrawals.give_due(now);
        let (number, _) = given(&jobs).pop().unwrap();
        withdrawals.done(number, Ok(()), now);
        withdrawals.published();
        assert_eq!(withdrawals.troubles().count(), 0);
        withdrawals.give_due(now);
        assert!(given(&jobs).is_empty());
    }

    #[test]
    fn an_unwanted_map_is_emptied_and_so_is_the_last_one_where_none_can_be_made() {
        let (mut withdrawals, jobs) = withdrawals();
        let now = Instant::now() + Duration::from_secs(1);
        withdrawals.change(Some(&lmdb("/a")), false, Vec::new());
        withdrawals.published();
        withdrawals.give_due(now);
        let (_, what) = given(&jobs).pop().unwrap();
        assert_eq!(what, Withdrawal::Map(lmdb("/a")));
        withdrawals.change(None, true, vec![former("/a", MapType::Lmdb)]);
        withdrawals.give_due(now);
        // The thread has it already.
        assert!(given(&jobs).is_empty());
        withdrawals.change(None, true, vec![former("/b", MapType::Hash)]);
        withdrawals.give_due(now);
        let (_, what) = given(&jobs).pop().unwrap();
        assert_eq!(
            what,
            Withdrawal::Map(AccessMap::new("/b", MapType::Hash, "OK"))
        );
    }
}
