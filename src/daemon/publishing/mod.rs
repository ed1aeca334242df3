//! Publishes the access map: when, with whom, by a thread that runs postmap; and notices what
//! somebody else does to it.
//!
//! Decides about nobody: it is given the whitelist.

mod directory_watch;
mod foreign_changes;
mod lateness;
mod map_keeper;
mod postmap_thread;
mod schedule;
mod snapshot;
mod waiters;
mod withdrawals;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::control::protocol::PublicationStatus;
use crate::daemon::error::{RunError, system};
use crate::diagnostics;
use crate::postfix::access_map::{AccessMap, PublishError};
use crate::store::FormerMap;
use crate::whitelist::Whitelist;
use directory_watch::Bell;
use map_keeper::MapKeeper;
use postmap_thread::{Done, PostmapThread};
use schedule::Schedule;
use waiters::Waiters;
use withdrawals::Withdrawals;

pub use directory_watch::DirectoryWatch;
pub use foreign_changes::{ForeignChanges, Tell};
pub use map_keeper::Journal;
pub use waiters::Confirm;

/// How long a stopping service waits for a publication that is under way.
const LAST_PUBLICATION: Duration = Duration::from_secs(10);

const WATCH: &str = "can't watch the access map";

/// The access map, whoever changes it, and those who wait for it.
pub struct Publishing {
    map: MapKeeper,
    withdrawals: Withdrawals,
    done: mpsc::UnboundedReceiver<Done>,
    /// Rings when the map may have been changed.
    watch: DirectoryWatch,
    bell: Bell,
    /// Whether it was told that the map can't be watched.
    unwatched: bool,
    waiters: Waiters,
}

/// What the loop hears.
#[derive(Debug)]
pub enum Heard {
    /// The thread is done with something.
    Done(Done),
    /// The map may have been changed.
    MapMayHaveChanged,
}

/// What has become of the map.
#[derive(Debug)]
pub enum News {
    /// It has been published.
    Published,
    /// It could not be; that has been reported, and is tried again.
    NotPublished(PublishError),
    /// The map with this index, which is not ours or not wanted, lists nobody.
    Emptied(PathBuf),
    /// Nothing that matters to others.
    Nothing,
}

impl Publishing {
    /// Begins to keep `map`, of which nothing is known yet; an unwanted one is emptied, and so are former ones.
    ///
    /// # Errors
    /// When the system does not give what it takes.
    pub fn start(
        map: Option<AccessMap>,
        wanted: bool,
        debounce: Duration,
        former: Vec<FormerMap>,
    ) -> Result<Self, RunError> {
        let (sender, done) = mpsc::unbounded_channel();
        let thread = PostmapThread::start(sender).map_err(system("can't start a thread"))?;
        let watch = DirectoryWatch::new().map_err(system(WATCH))?;
        let mut withdrawals = Withdrawals::new(thread.clone());
        withdrawals.change(map.as_ref(), wanted, former);
        Ok(Publishing {
            withdrawals,
            map: MapKeeper::new(thread, map, wanted, Schedule::new(debounce)),
            done,
            bell: watch.bell().map_err(system(WATCH))?,
            watch,
            unwatched: false,
            waiters: Waiters::default(),
        })
    }

    /// The map, if there is a Postfix that could make one.
    pub fn map(&self) -> Option<&AccessMap> {
        self.map.map()
    }

    /// Whether the map is to list anybody.
    pub fn is_wanted(&self) -> bool {
        self.map.is_wanted()
    }

    /// The last publication that succeeded.
    pub fn last(&self) -> Option<&PublicationStatus> {
        self.map.last()
    }

    /// Whether the map is as the whitelist was at `generation`, or later.
    pub fn has_published(&self, generation: u64) -> bool {
        self.map.has_published(generation)
    }

    /// What is wrong now.
    pub fn troubles(&self) -> impl Iterator<Item = &String> {
        self.map.troubles().chain(self.withdrawals.troubles())
    }

    /// Empties other maps, if it is due. Says when there is more to do.
    pub fn withdraw_if_due(&mut self) -> Option<Instant> {
        self.withdrawals.give_due(Instant::now())
    }

    /// Starts a publication if one is due, or goes on with it. Says when there is more to do.
    pub fn publish_if_due(&mut self, whitelist: &Whitelist, journal: Journal) -> Option<Instant> {
        self.map.publish_if_due(whitelist, journal)
    }

    /// Somebody was last removed from the whitelist when it came to this generation.
    pub fn note_removal(&mut self, generation: u64) {
        self.map.note_removal(generation);
    }

    /// Somebody waits for the next publication.
    pub fn hurry(&mut self) {
        self.map.hurry();
    }

    /// Confirms something as soon as the map is as the whitelist was at `generation`.
    pub fn confirm(&mut self, generation: u64, confirm: Confirm) {
        if self.has_published(generation) {
            confirm(Ok(()));
            return;
        }
        self.hurry();
        self.waiters.add(generation, confirm);
    }

    /// Tells those who have waited for too long; says when the next will have.
    pub fn give_up_if_due(&mut self) -> Option<Instant> {
        self.waiters.give_up_if_due()
    }

    /// Tells of a publication that takes too long; says when one may.
    pub fn tell_if_late(&mut self) -> Option<Instant> {
        self.map.tell_if_late()
    }

    /// Waits until something has happened.
    pub async fn next(&mut self) -> Heard {
        let is_under_way = self.map.is_under_way();
        tokio::select! {
            Some(done) = self.done.recv() => Heard::Done(done),
            // A publication of our own rings, too.
            () = self.bell.rung(), if !is_under_way => Heard::MapMayHaveChanged,
            else => std::future::pending().await,
        }
    }

    /// Takes note of what has happened.
    pub fn note(&mut self, heard: Heard) -> News {
        let done = match heard {
            Heard::MapMayHaveChanged => {
                self.look();
                return News::Nothing;
            }
            Heard::Done(Done::Withdrawn(number, result)) => {
                let emptied = self.withdrawals.done(number, result, Instant::now());
                return emptied.map_or(News::Nothing, News::Emptied);
            }
            Heard::Done(Done::Published(done)) => self.map.done(done),
        };
        if self.map.is_known() {
            self.withdrawals.published();
        }
        self.watch();
        if let Err(error) = done {
            self.waiters.failed(&error);
            return News::NotPublished(error);
        }
        let map = &self.map;
        self.waiters
            .published(|generation| map.has_published(generation));
        News::Published
    }

    /// Looks whether what was published still lies there.
    pub fn look(&mut self) {
        self.map.look();
    }

    /// Watches the directory of the map, and looks at what has happened before.
    fn watch(&mut self) {
        if let Some(directory) = self.map.map().map(AccessMap::directory)
            && let Err(error) = self.watch.watch(directory)
            && self.map.is_known()
            && !std::mem::replace(&mut self.unwatched, true)
        {
            diagnostics::warning(&format!(
                "{}: can't be watched: {error}; what somebody else does to the access map is noticed \
                 later",
                directory.display()
            ));
        }
        self.look();
    }

    /// Another map, or the same, is to be kept from now on; former ones are to list nobody.
    pub fn change(
        &mut self,
        map: Option<AccessMap>,
        wanted: bool,
        debounce: Duration,
        former: Vec<FormerMap>,
    ) {
        self.withdrawals.change(map.as_ref(), wanted, former);
        self.map.change(map, wanted, debounce);
    }

    /// Waits, not for long, for a publication that is under way.
    pub async fn finish(mut self) {
        if !self.map.is_under_way() {
            return;
        }
        // Its outcome no longer matters to us; that it is whole does, and it always is. What is to list
        // nobody is remembered.
        let published = async { while let Some(Done::Withdrawn(..)) = self.done.recv().await {} };
        let _ = timeout(LAST_PUBLICATION, published).await;
    }
}
