//! The service: wires the rooms together, and owns the loop.
//!
//! One thread owns whitelist, store, timers, signals and sockets. What would block it has threads
//! of its own: reading the journal, recognising what is read, and running postmap. Nothing here
//! recognises, decides on a login or builds a map: it only hands on.
//!
//! | room | job |
//! |---|---|
//! | `plan` | what a configuration decides |
//! | `reading` | the journal's reader, how far it is, and what can't be read |
//! | `clients` | who is listed; each change is told |
//! | `keeping` | what is kept on disk |
//! | `publishing` | the access map |
//! | `policy_server` | Postfix's questions |
//! | `rooms` | these together |
//! | `answering` | our own commands' questions |
//! | `start`, `reload` | puts a plan in force |
//! | `service` | the loop |
//!
//! None knows one below it. `error`, `systemd` and `alarm` are tools.

mod alarm;
mod answering;
mod clients;
mod deadline_timer;
mod error;
mod keeping;
mod options;
mod plan;
mod policy_server;
mod publishing;
mod reading;
mod reload;
mod rooms;
mod run;
mod service;
mod signals;
mod sockets;
mod start;
mod systemd;

pub use clients::crowd;
pub use deadline_timer::DeadlineTimer;
pub use error::RunError;
pub use keeping::store_path;
pub use options::Options;
pub use plan::{
    NamedSource, Plan, PlanError, check_all_examples, default_source, recogniser, source_names,
    sources,
};
pub use publishing::{DirectoryWatch, ForeignChanges, Tell};
pub use run::run;
