//! Why the service can't run.

use super::plan::PlanError;
use crate::journal::JournalError;
use crate::postfix::access_map::PublishError;
use crate::store::StoreError;

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
pub fn system(what: &'static str) -> impl FnOnce(std::io::Error) -> RunError {
    move |source| RunError::System { what, source }
}
