//! The service: wires the rooms together, and owns the loop.
//!
//! One thread owns whitelist, store, timers, signals and sockets. What would block it has threads
//! of its own: reading the journal, recognising what is read, and running postmap. Nothing here
//! recognises, decides on a login or builds a map: it only hands on.

mod answering;
mod answers;
mod by_hand;
mod clients;
mod deadline_timer;
mod expiry;
mod keeping;
mod plan;
mod publishing;
mod reading;
mod reload;
mod report;
mod run;
mod service;
mod start;
mod systemd;
mod verdict;

pub use clients::crowd;
pub use deadline_timer::DeadlineTimer;
pub use plan::{Plan, PlanError, check_all_examples, recogniser, source};
pub use publishing::{DirectoryWatch, ForeignChanges, Tell};
pub use run::{Options, RunError, run, store_path};
