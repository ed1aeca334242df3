//! Publishes the access map: when, with whom, by a thread that runs postmap; and notices what
//! somebody else does to it.

mod directory_watch;
mod foreign_changes;
mod map_keeper;
mod postmap_thread;
mod schedule;
mod snapshot;

pub use directory_watch::DirectoryWatch;
pub use foreign_changes::{ForeignChanges, Tell};
pub use map_keeper::{Journal, MapKeeper};
pub use postmap_thread::{Done, PostmapThread};
pub use schedule::Schedule;
