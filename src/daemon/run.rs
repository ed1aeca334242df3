//! Runs the service, in a runtime of its own.

use tokio::task::LocalSet;

use super::error::{RunError, system};
use super::options::Options;
use super::plan::Plan;
use super::service::Service;
use super::systemd::Sockets;

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
