//! The publisher: a thread that runs postmap, so that the loop never waits for a child.
//!
//! Does what it is told, one job after the other; decides nothing.

use std::sync::mpsc;
use std::thread;

use tokio::sync::mpsc as to_loop;

use crate::client::Client;
use crate::postfix::access_map::{AccessMap, PublishError, Published};

/// Something to do.
#[derive(Debug)]
pub enum Job {
    /// Make the map list these clients.
    Publish(AccessMap, Vec<Client>),
    /// Make another map list nobody. The number comes back with the outcome.
    Withdraw(u64, Withdrawal),
}

/// What is to list nobody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Withdrawal {
    /// A map that is used no more.
    Map(AccessMap),
    /// The same, while `ours` is used, which may be at the same path.
    Beside {
        /// The one that is used no more.
        map: AccessMap,
        /// The one that is.
        ours: AccessMap,
    },
    /// The maps of other types beside this one.
    OtherTypes(AccessMap),
}

impl Withdrawal {
    fn carry_out(&self) -> Result<(), PublishError> {
        match self {
            Withdrawal::Map(map) => map.withdraw_everybody(),
            Withdrawal::Beside { map, ours } => map.withdraw_beside(ours),
            Withdrawal::OtherTypes(map) => map.withdraw_other_types().map(drop),
        }
    }
}

/// What became of a job.
#[derive(Debug)]
pub enum Done {
    /// Of [`Job::Publish`].
    Published(Result<Published, PublishError>),
    /// Of [`Job::Withdraw`] with this number.
    Withdrawn(u64, Result<(), PublishError>),
}

/// The publisher's thread, from the loop's side.
#[derive(Debug, Clone)]
pub struct PostmapThread {
    jobs: mpsc::Sender<Job>,
}

impl PostmapThread {
    /// Starts the thread. It ends with the publisher, or when nobody listens any more.
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub fn start(done: to_loop::UnboundedSender<Done>) -> std::io::Result<Self> {
        let (jobs, receiver) = mpsc::channel::<Job>();
        thread::Builder::new()
            .name("publisher".to_owned())
            .spawn(move || {
                while let Ok(job) = receiver.recv() {
                    let outcome = match job {
                        Job::Publish(map, clients) => Done::Published(map.publish(&clients)),
                        Job::Withdraw(number, what) => Done::Withdrawn(number, what.carry_out()),
                    };
                    if done.send(outcome).is_err() {
                        return;
                    }
                }
            })?;
        Ok(PostmapThread { jobs })
    }

    /// One that does nothing itself.
    #[cfg(test)]
    pub fn giving_to(jobs: mpsc::Sender<Job>) -> Self {
        PostmapThread { jobs }
    }

    /// Hands over a job.
    pub fn give(&self, job: Job) {
        // The thread ends only with us.
        let _ = self.jobs.send(job);
    }
}
