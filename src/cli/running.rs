//! Whether the service runs, for commands that must not start it: systemd starts a stopped service as soon
//! as somebody asks at its socket.

use std::time::Duration;

use crate::postfix::command::Programs;

/// How long systemd may take to say so.
const LIMIT: Duration = Duration::from_secs(5);

/// Whether systemd says that the service runs; not while it starts or stops.
pub(super) fn service_runs() -> bool {
    let programs = Programs {
        limit: LIMIT,
        ..Programs::installed()
    };
    let arguments = ["is-active", "--quiet", "pop-before-smtp.service"];
    let asked = programs.run("systemctl", &arguments);
    asked.is_ok_and(|output| output.succeeded().is_ok())
}
