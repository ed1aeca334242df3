//! What is left of the Perl daemon on this host: its files and its processes. Only looks.

use std::path::Path;

use crate::doctor::perl_daemon_processes;

/// What starts it.
const SCRIPT: &str = "/etc/init.d/pop-before-smtp";
/// The daemon.
const PROGRAMS: [&str; 2] = [
    "/usr/sbin/pop-before-smtp",
    "/usr/local/sbin/pop-before-smtp",
];

/// What is left of the Perl daemon.
#[derive(Debug, Default)]
pub(super) struct OldDaemon {
    /// Its init script, if there is one.
    pub(super) script: Option<&'static str>,
    /// The program, if it is there.
    pub(super) program: Option<&'static str>,
    /// The processes that run it now.
    pub(super) processes: Vec<u32>,
}

impl OldDaemon {
    /// Looks for it on this host.
    pub(super) fn look() -> Self {
        let there = |path: &&str| Path::new(path).exists();
        OldDaemon {
            script: Some(SCRIPT).filter(there),
            program: PROGRAMS.into_iter().find(there),
            processes: perl_daemon_processes().collect(),
        }
    }
}
