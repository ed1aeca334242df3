//! Keeps the access map in step with the whitelist.
//!
//! Says when to publish and what to make of the outcome; the publisher's thread does it. An old
//! map stays whole and in place until a new one is proved. What lies there is looked at when it may
//! have changed: what somebody else has removed or changed is published again.

use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::foreign_changes::{ForeignChanges, Tell};
use super::lateness::Lateness;
use super::postmap_thread::{Job, PostmapThread};
use super::schedule::{Due, Schedule};
use super::snapshot::{PART, Snapshot};
use crate::control::protocol::PublicationStatus;
use crate::diagnostics::{self, Kept, RELOAD_POSTFIX};
use crate::postfix::access_map::{AccessMap, MapChange, Marks, PublishError, Published};
use crate::whitelist::Whitelist;

/// How long a start waits for the journal to be caught up with, which takes no longer as a rule, so as
/// to publish once and not twice.
const PATIENCE: Duration = Duration::from_secs(1);

/// How far the journal has been read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Journal {
    /// More is to come at once: logins by the thousand.
    CatchingUp,
    /// It could not be caught up with, and can't be read for now.
    Unreadable,
    /// All that there was has been read.
    CaughtUp,
}

/// The access map, and what is known of what Postfix finds in it.
#[derive(Debug)]
pub struct MapKeeper {
    publisher: PostmapThread,
    schedule: Schedule,
    /// Who is to be published, while it is gathered.
    gathered: Option<Snapshot>,
    /// None without a Postfix that could make one.
    map: Option<AccessMap>,
    /// Whether it is to list anybody.
    wanted: bool,
    /// The last generation of the whitelist in which somebody was removed.
    removal: Option<u64>,
    last: Option<PublicationStatus>,
    since: Instant,
    /// By what our last publication is known again; none while what lies there is to be replaced.
    marks: Option<Marks>,
    /// Those of the first publication, by which the directory is known.
    first_marks: Option<Marks>,
    /// Whether somebody else has changed what we have published.
    disturbed: bool,
    foreign_changes: ForeignChanges,
    trouble: Option<String>,
    lateness: Lateness,
    directory_trouble: Option<String>,
    /// That somebody changes the map again and again.
    fight: Option<String>,
}

impl MapKeeper {
    /// Keeps `map`, of which nothing is known yet.
    #[must_use]
    pub fn new(
        publisher: PostmapThread,
        map: Option<AccessMap>,
        wanted: bool,
        schedule: Schedule,
    ) -> Self {
        MapKeeper {
            publisher,
            schedule,
            gathered: None,
            wanted: wanted && map.is_some(),
            map,
            removal: None,
            last: None,
            since: Instant::now(),
            marks: None,
            first_marks: None,
            disturbed: false,
            foreign_changes: ForeignChanges::default(),
            trouble: None,
            lateness: Lateness::default(),
            directory_trouble: None,
            fight: None,
        }
    }

    /// The map, if there is a Postfix that could make one.
    #[must_use]
    pub fn map(&self) -> Option<&AccessMap> {
        self.map.as_ref()
    }

    fn exists(&self) -> bool {
        self.map.as_ref().is_some_and(AccessMap::exists)
    }

    /// The last publication that succeeded.
    #[must_use]
    pub fn last(&self) -> Option<&PublicationStatus> {
        self.last.as_ref()
    }

    /// What is wrong now.
    pub fn troubles(&self) -> impl Iterator<Item = &String> {
        let late = self.lateness.trouble().into_iter();
        late.chain(&self.trouble)
            .chain(&self.directory_trouble)
            .chain(&self.fight)
    }

    /// Somebody was removed from the whitelist, which is now at `generation`.
    pub fn note_removal(&mut self, generation: u64) {
        self.removal = Some(generation);
    }

    /// Whether somebody is still in the map, as far as we know, who may relay no more.
    fn removal_is_pending(&self) -> bool {
        self.removal
            .is_some_and(|removal| self.schedule.published().is_none_or(|p| p < removal))
    }

    /// What Postfix has until the next publication.
    fn kept(&self) -> Kept {
        match (self.exists(), self.removal_is_pending()) {
            (false, _) => Kept::Nothing,
            (true, true) => Kept::TooMuch,
            (true, false) => Kept::Old,
        }
    }

    /// Whether the map is as the whitelist was at `generation`, or later.
    #[must_use]
    pub fn has_published(&self, generation: u64) -> bool {
        !self.wanted || self.schedule.published().is_some_and(|p| p >= generation)
    }

    /// Whether the map is to list anybody.
    #[must_use]
    pub fn is_wanted(&self) -> bool {
        self.wanted
    }

    /// Whether what lies there is what we have published, as far as we know.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.marks.is_some()
    }

    /// Somebody waits for the next publication.
    pub fn hurry(&mut self) {
        self.schedule.hurry();
    }

    /// Whether the publisher is at a publication.
    #[must_use]
    pub fn is_under_way(&self) -> bool {
        self.schedule.is_under_way() && self.gathered.is_none()
    }

    /// Starts a publication if one is due, goes on with one that has started, or says when there is
    /// something to do next: at once, while clients are gathered.
    pub fn publish_if_due(&mut self, whitelist: &Whitelist, journal: Journal) -> Option<Instant> {
        let now = Instant::now();
        let mut gathered = match self.gathered.take() {
            Some(gathered) => gathered,
            None if !self.wanted => return None,
            None => match self.schedule.due(whitelist.generation(), now) {
                Due::Nothing => return None,
                _ if journal != Journal::CaughtUp && !self.can_not_wait(journal) => return None,
                _ if journal != Journal::CaughtUp && now < self.since + PATIENCE => {
                    return Some(self.since + PATIENCE);
                }
                Due::At(time) => return Some(time),
                Due::Now => {
                    self.schedule.started(whitelist.generation(), now);
                    Snapshot::begin(whitelist)
                }
            },
        };
        if !gathered.gather(whitelist, PART) {
            self.gathered = Some(gathered);
            return Some(now);
        }
        let clients = gathered.into_clients();
        self.publisher
            .give(Job::Publish(self.map.clone()?, clients));
        None
    }

    /// Whether to publish though the journal is not caught up with: for logins, which come by the
    /// thousand, it is not.
    fn can_not_wait(&self, journal: Journal) -> bool {
        journal == Journal::Unreadable
            || self.removal_is_pending()
            || self.disturbed
            || !self.exists()
    }

    /// Tells of a publication that takes too long. Says when there may be something to tell.
    pub fn tell_if_late(&mut self) -> Option<Instant> {
        let (late_from, kept) = (self.schedule.late_from()?, self.kept());
        self.lateness.tell(late_from, kept, Instant::now())
    }

    /// Looks whether what was published still lies there; if not, it is due again.
    pub fn look(&mut self) {
        let now = Instant::now();
        if self.foreign_changes.forget_if_calm(now) {
            self.fight = None;
        }
        let Some(map) = self.map.as_ref() else {
            return;
        };
        let found = Marks::of(map);
        self.directory_trouble = self.directory_trouble(map, &found);
        // What is being published now changes the files, and puts them right.
        if self.schedule.is_under_way() {
            return;
        }
        let Some(mut published) = self.marks else {
            return;
        };
        if self.directory_trouble.is_none() {
            // Put right again, it may be.
            published = published.with_directory_of(&found);
            self.marks = Some(published);
        }
        let changes = published.changes(&found, map);
        if !changes.is_empty() {
            self.was_changed(&changes, now);
        }
    }

    /// We can publish anew, but not give the directory back to its owner; and it may be meant so.
    fn directory_trouble(&self, map: &AccessMap, found: &Marks) -> Option<String> {
        let change = self.first_marks.as_ref()?.directory_change(found)?;
        Some(format!(
            "{} {change}\nput it right; if it is meant so, 'systemctl reload pop-before-smtp'",
            map.directory().display()
        ))
    }

    fn was_changed(&mut self, changes: &[MapChange], now: Instant) {
        self.marks = None;
        self.disturbed = true;
        let (pause, tell) = self.foreign_changes.note(now);
        self.schedule.lost(now + pause);
        if !self.exists() {
            self.trouble = Some(format!(
                "there is no access map, and Postfix defers all mail where main.cf names it: somebody \
                 else has removed it\nit is published again in a moment; {RELOAD_POSTFIX}"
            ));
        }
        match tell {
            Tell::Change => diagnostics::map_changed(changes),
            Tell::Often => {
                diagnostics::map_changed_often(changes);
                let path = changes.first().map(|change| change.path.display());
                let what = path.map(|path| path.to_string()).unwrap_or_default();
                self.fight = Some(format!(
                    "somebody else changes the access map again and again ({what})\nfind out who, \
                     and stop it: it is published again after a pause each time"
                ));
            }
            Tell::Nothing => {}
        }
    }

    /// The publisher is done with a publication.
    ///
    /// # Errors
    /// When the map could not be published. It has been reported, and will be tried again.
    pub fn done(&mut self, done: Result<Published, PublishError>) -> Result<(), PublishError> {
        self.lateness.over();
        match done {
            Ok(published) => {
                self.succeeded(published);
                Ok(())
            }
            Err(error) => {
                let retry = self.schedule.failed(Instant::now());
                // Some of it may be in place.
                self.marks = None;
                let kept = self.kept();
                diagnostics::publication_failed(&error, retry, kept);
                self.trouble = Some(match kept {
                    Kept::Nothing => format!(
                        "there is no access map, and Postfix defers all mail where main.cf names \
                         it: {error}\nit is tried again; {RELOAD_POSTFIX}"
                    ),
                    Kept::TooMuch => format!(
                        "a client that may relay no more is still in the map: {error}\nthe old map \
                         stays until it can; it is tried again"
                    ),
                    Kept::Old => {
                        format!("{error}\nthe old map stays until it can; it is tried again")
                    }
                });
                Err(error)
            }
        }
    }

    fn succeeded(&mut self, published: Published) {
        let Published {
            clients,
            took,
            marks,
        } = published;
        self.schedule.succeeded();
        self.trouble = None;
        self.disturbed = false;
        // None of another map's.
        self.marks = self.schedule.published().map(|_| *marks);
        self.first_marks = self.first_marks.or(self.marks);
        let milliseconds = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        self.last = Some(PublicationStatus {
            time: Timestamp::now(),
            clients,
            milliseconds,
        });
        diagnostics::published(clients, took);
    }

    /// Another map, or the same, is to be kept from now on.
    pub fn change(&mut self, map: Option<AccessMap>, wanted: bool, debounce: Duration) {
        let wanted = wanted && map.is_some();
        let is_other = map != self.map || wanted != self.wanted;
        self.schedule.change(debounce, is_other);
        if self.gathered.take().is_some() {
            self.schedule.given_up();
        }
        if is_other {
            self.marks = None;
            self.disturbed = false;
        }
        // As the directory is now, it is meant to be.
        self.first_marks = self.marks;
        self.directory_trouble = None;
        self.map = map;
        self.wanted = wanted;
        if !wanted {
            self.trouble = None;
            self.fight = None;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;
    use crate::config::Limits;
    use crate::event::{Event, EventKind};
    use crate::networks::Networks;
    use crate::origin::Origin;
    use crate::postfix::map_type::MapType;
    use crate::whitelist::Rules;
    use jiff::SignedDuration;

    /// 198.18.0.0.
    const FIRST: u32 = 0xC612_0000;

    fn rules(never: Networks) -> Rules {
        Rules {
            grace: SignedDuration::from_mins(30),
            max_session: SignedDuration::from_hours(24),
            limits: Limits::NONE,
            permitted: Networks::default(),
            never,
        }
    }

    fn map(path: &str) -> AccessMap {
        AccessMap::new(path, MapType::Lmdb, "OK")
    }

    /// A keeper whose jobs come to us, and a whitelist that takes two turns and a half to gather.
    fn two_and_a_half_parts() -> (MapKeeper, mpsc::Receiver<Job>, Whitelist) {
        let (jobs, given) = mpsc::channel();
        let schedule = Schedule::new(Duration::from_secs(3600));
        let thread = PostmapThread::giving_to(jobs);
        let keeper = MapKeeper::new(thread, Some(map("/a")), true, schedule);
        let mut whitelist = Whitelist::new(rules(Networks::default()));
        for n in 0..u32::try_from(PART).unwrap() * 5 / 2 {
            log_in(&mut whitelist, FIRST + n);
        }
        (keeper, given, whitelist)
    }

    fn log_in(whitelist: &mut Whitelist, address: u32) {
        let now = Timestamp::now();
        let event = Event::new(
            now,
            Origin::OF_LINES,
            "dovecot",
            EventKind::Login {
                client: std::net::IpAddr::from(address.to_be_bytes()).into(),
                user: None,
                session: None,
            },
        );
        whitelist.apply(&event, now);
    }

    fn published(given: &mpsc::Receiver<Job>) -> (AccessMap, usize) {
        match given.try_recv().unwrap() {
            Job::Publish(map, clients) => (map, clients.len()),
            other @ Job::Withdraw(..) => panic!("{other:?}"),
        }
    }

    /// Goes on until the publisher has been given its job.
    fn gather(keeper: &mut MapKeeper, whitelist: &Whitelist) {
        while keeper
            .publish_if_due(whitelist, Journal::CaughtUp)
            .is_some()
        {}
    }

    fn succeed(keeper: &mut MapKeeper, clients: usize) {
        let took = Duration::ZERO;
        let marks = Box::new(Marks::of(keeper.map().unwrap()));
        let published = Published {
            clients,
            took,
            marks,
        };
        keeper.done(Ok(published)).unwrap();
    }

    #[test]
    fn who_comes_while_clients_are_gathered_is_published_next() {
        let (mut keeper, given, mut whitelist) = two_and_a_half_parts();
        let (generation, number) = (whitelist.generation(), whitelist.len());
        for _ in 0..2 {
            let next = keeper.publish_if_due(&whitelist, Journal::CaughtUp);
            assert!(next.is_some_and(|next| next <= Instant::now()));
            assert!(given.try_recv().is_err());
        }
        // Its place has been passed.
        log_in(&mut whitelist, FIRST - 1);
        assert_eq!(keeper.publish_if_due(&whitelist, Journal::CaughtUp), None);
        assert_eq!(published(&given), (map("/a"), number));
        succeed(&mut keeper, number);
        assert!(keeper.has_published(generation));
        assert!(!keeper.has_published(whitelist.generation()));
        keeper.hurry();
        gather(&mut keeper, &whitelist);
        assert_eq!(published(&given), (map("/a"), number + 1));
        succeed(&mut keeper, number + 1);
        assert!(keeper.has_published(whitelist.generation()));
    }

    #[test]
    fn who_goes_while_clients_are_gathered_is_still_to_be_removed() {
        let (mut keeper, given, mut whitelist) = two_and_a_half_parts();
        let next = keeper.publish_if_due(&whitelist, Journal::CaughtUp);
        assert!(next.is_some());
        let first = vec!["198.18.0.0/32".parse().unwrap()];
        whitelist.set_rules(rules(first.into()));
        keeper.note_removal(whitelist.generation());
        gather(&mut keeper, &whitelist);
        let (_, number) = published(&given);
        assert_eq!(number, whitelist.len() + 1);
        succeed(&mut keeper, number);
        assert!(keeper.removal_is_pending());
        keeper.hurry();
        gather(&mut keeper, &whitelist);
        succeed(&mut keeper, whitelist.len());
        assert!(!keeper.removal_is_pending());
    }

    #[test]
    fn while_the_journal_is_caught_up_with_only_what_can_not_wait_is_published() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("clients");
        let map = map(&path.to_string_lossy());
        let (jobs, given) = mpsc::channel();
        let schedule = Schedule::new(Duration::from_secs(3600));
        let publisher = PostmapThread::giving_to(jobs);
        let mut keeper = MapKeeper::new(publisher, Some(map.clone()), true, schedule);
        let mut whitelist = Whitelist::new(rules(Networks::default()));
        log_in(&mut whitelist, FIRST);

        // Without a map, Postfix defers all mail; but the journal may be read in no time.
        let patience = keeper.since + PATIENCE;
        for journal in [Journal::CatchingUp, Journal::Unreadable] {
            assert_eq!(keeper.publish_if_due(&whitelist, journal), Some(patience));
        }
        std::fs::write(map.index(), "").unwrap();
        assert_eq!(keeper.publish_if_due(&whitelist, Journal::CatchingUp), None);
        let unreadable = keeper.publish_if_due(&whitelist, Journal::Unreadable);
        assert_eq!(unreadable, Some(patience));
        keeper.since = Instant::now().checked_sub(PATIENCE).unwrap();
        assert_eq!(keeper.publish_if_due(&whitelist, Journal::CatchingUp), None);
        assert!(given.try_recv().is_err());
        keeper.note_removal(whitelist.generation());
        assert_eq!(keeper.publish_if_due(&whitelist, Journal::CatchingUp), None);
        assert_eq!(published(&given), (map, 1));
        succeed(&mut keeper, 1);

        // What somebody else has changed meanwhile can't wait either.
        log_in(&mut whitelist, FIRST + 1);
        assert_eq!(keeper.publish_if_due(&whitelist, Journal::CatchingUp), None);
        std::fs::write(keeper.map().unwrap().index(), "another").unwrap();
        keeper.look();
        assert_eq!(keeper.publish_if_due(&whitelist, Journal::CatchingUp), None);
        assert_eq!(published(&given).1, 2);
    }

    #[test]
    fn another_map_is_gathered_for_anew() {
        let (mut keeper, given, whitelist) = two_and_a_half_parts();
        let next = keeper.publish_if_due(&whitelist, Journal::CaughtUp);
        assert!(next.is_some());
        assert!(!keeper.is_under_way());
        keeper.change(Some(map("/b")), true, Duration::from_secs(3600));
        gather(&mut keeper, &whitelist);
        assert!(keeper.is_under_way());
        assert_eq!(published(&given), (map("/b"), whitelist.len()));
        // None is wanted any more: nothing is gathered.
        keeper.change(Some(map("/b")), false, Duration::ZERO);
        succeed(&mut keeper, whitelist.len());
        assert_eq!(keeper.publish_if_due(&whitelist, Journal::CaughtUp), None);
        assert!(given.try_recv().is_err());
        // Nor can any be made.
        keeper.change(None, true, Duration::ZERO);
        assert!(!keeper.is_wanted() && keeper.has_published(whitelist.generation()));
        assert_eq!(keeper.publish_if_due(&whitelist, Journal::CaughtUp), None);
    }
}
