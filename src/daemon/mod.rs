//! The service: wires the rooms together, and owns the loop.
//!
//! One thread owns whitelist, store, timers, signals and sockets; the reader waits for the
//! journal, and has others read ahead where there is much; recognition takes in what is read, and
//! the publisher waits for postmap, each in a thread of its own. Nothing here recognises, decides
//! on a login or builds a map: it only hands on.

mod answers;
mod by_hand;
mod chronicle;
mod deadline;
mod directory_watch;
mod disturbance;
mod doubt;
mod expiry;
mod keeper;
mod looks;
mod map_keeper;
mod one_address;
mod plan;
mod policy_server;
mod publication;
mod publisher;
mod reader;
mod recognition;
mod reload;
mod report;
mod run;
mod service;
mod sight;
mod snapshot;
mod start;
mod supervisor;
mod verdict;

use crate::journal::{ahead, batch, place};

pub use deadline::DeadlineTimer;
pub use directory_watch::DirectoryWatch;
pub use disturbance::{Disturbances, Tell};
pub use one_address::crowd;
pub use plan::{Plan, PlanError, check_all_examples, recogniser, source};
pub use run::{Options, RunError, run, store_path};
