//! Wakes the loop at the next deadline, and when the clock was set.

use jiff::Timestamp;

use super::deadline_timer::{DeadlineTimer, TimerWatch, Woken};
use super::error::{RunError, system};

/// The timer, and what it is set for.
pub struct Alarm {
    timer: DeadlineTimer,
    watch: TimerWatch,
    /// None if it is to be set anew.
    set_for: Option<Option<Timestamp>>,
}

impl Alarm {
    /// One that is not set yet.
    ///
    /// # Errors
    /// When the system has none.
    pub fn new() -> Result<Self, RunError> {
        let timer = DeadlineTimer::new().map_err(system("can't make a timer"))?;
        Ok(Alarm {
            watch: timer.watch().map_err(system("can't wait for a timer"))?,
            timer,
            set_for: None,
        })
    }

    /// Sets it, unless it is set for that already.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn set(&mut self, deadline: Option<Timestamp>) -> Result<(), RunError> {
        if self.set_for != Some(deadline) {
            let set = self.timer.set(deadline);
            set.map_err(system("can't set the timer"))?;
            self.set_for = Some(deadline);
        }
        Ok(())
    }

    /// Waits, and says what for. It is then to be set anew.
    pub async fn woken(&mut self) -> Woken {
        let woken = self.watch.woken().await;
        self.set_for = None;
        woken
    }
}
