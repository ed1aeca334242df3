//! The signals that the service heeds.

use tokio::signal::unix::{self, SignalKind};

use super::error::{RunError, system};

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// To stop (SIGTERM, SIGINT).
    Stop,
    /// To read the configuration again (SIGHUP).
    Reload,
}

/// All of them.
pub struct Signals {
    hangup: unix::Signal,
    terminate: unix::Signal,
    interrupt: unix::Signal,
}

impl Signals {
    /// Catches them from now on.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn catch() -> Result<Self, RunError> {
        let catch = |kind, what| unix::signal(kind).map_err(system(what));
        Ok(Signals {
            hangup: catch(SignalKind::hangup(), "can't catch SIGHUP")?,
            terminate: catch(SignalKind::terminate(), "can't catch SIGTERM")?,
            interrupt: catch(SignalKind::interrupt(), "can't catch SIGINT")?,
        })
    }

    /// Waits for the next. While it `may_reload` not, that one waits, too.
    pub async fn next(&mut self, may_reload: bool) -> Signal {
        tokio::select! {
            _ = self.terminate.recv() => Signal::Stop,
            _ = self.interrupt.recv() => Signal::Stop,
            _ = self.hangup.recv(), if may_reload => Signal::Reload,
        }
    }
}
