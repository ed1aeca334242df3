//! How the service is to run, as the command line says.

use std::path::PathBuf;

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
