//! How the service is started, and why it can't be.

use std::path::{Path, PathBuf};

use tokio::task::LocalSet;

use super::plan::{Plan, PlanError};
use super::service::Service;
use super::systemd::Sockets;
use crate::journal::JournalError;
use crate::postfix::access_map::PublishError;
use crate::store::StoreError;

/// How the service is to run.
#[derive(Debug, Clone)]
pub struct Options {
    /// The configuration; `None` for the usual files.
    pub config: Option<PathBuf>,
    /// Whether to leave once the journal has been read and the map is published.
    pub once: bool,
    /// Where to make a control socket if systemd holds none.
    pub socket: PathBuf,
    /// Where to make a policy socket if systemd holds none.
    pub policy_socket: Option<PathBuf>,
}

/// The service can't run.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The configuration can't be put in force.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The store can't be used.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// With `once`: the map could not be published.
    #[error(transparent)]
    Publication(#[from] PublishError),
    /// With `once`: the journal can't be read.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The system does not give what a service needs.
    #[error("{what}: {source}")]
    System {
        /// What we wanted.
        what: &'static str,
        /// Why not.
        source: std::io::Error,
    },
}

/// Names what the system did not give.
pub(super) fn system(what: &'static str) -> impl FnOnce(std::io::Error) -> RunError {
    move |source| RunError::System { what, source }
}

/// Runs the service until it is told to stop.
///
/// # Errors
/// When it can't start; later trouble is reported, shown by `status`, and tried again.
pub fn run(options: &Options) -> Result<(), RunError> {
    // Before any thread is started, as the environment names them.
    let sockets = Sockets::of_systemd();
    let plan = Plan::make(options.config.as_deref())?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(system("can't start the loop"))?;
    let tasks = LocalSet::new();
    let result = tasks.block_on(&runtime, Service::run(plan, options, sockets));
    // The reader may be waiting for the journal; it has nothing to lose.
    runtime.shutdown_background();
    result
}

/// Where the store is in a state directory.
#[must_use]
pub fn store_path(state_directory: &Path) -> PathBuf {
    state_directory.join("store")
}
