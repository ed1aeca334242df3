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
    /// Whether the clock was set, and nobody has been woken for it yet.
    clock_set: bool,
}

impl Alarm {
    /// One without a deadline. From now on no set clock escapes it.
    ///
    /// # Errors
    /// When the system has none.
    pub fn new() -> Result<Self, RunError> {
        let timer = DeadlineTimer::new().map_err(system("can't make a timer"))?;
        Ok(Alarm {
            watch: timer.watch().map_err(system("can't wait for a timer"))?,
            timer,
            set_for: None,
            clock_set: false,
        })
    }

    /// Sets it, unless it is set for that already.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn set(&mut self, deadline: Option<Timestamp>) -> Result<(), RunError> {
        if self.set_for != Some(deadline) {
            let clock_set = self.timer.set(deadline);
            self.clock_set |= clock_set.map_err(system("can't set the timer"))?;
            self.set_for = Some(deadline);
        }
        Ok(())
    }

    /// Waits, and says what for. It is then to be set anew.
    pub async fn woken(&mut self) -> Woken {
        let woken = if std::mem::take(&mut self.clock_set) {
            Woken::ClockSet
        } else {
            self.watch.woken().await
        };
        self.set_for = None;
        woken
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_clock_that_was_set_before_the_alarm_was_wakes_once() {
        let mut alarm = Alarm::new().unwrap();
        alarm.set(None).unwrap();
        // As the timer says where the clock was set in between.
        alarm.clock_set = true;
        alarm.set(Some(Timestamp::UNIX_EPOCH)).unwrap();
        assert_eq!(alarm.woken().await, Woken::ClockSet);
        alarm.set(Some(Timestamp::UNIX_EPOCH)).unwrap();
        assert_eq!(alarm.woken().await, Woken::Deadline);
    }
}
