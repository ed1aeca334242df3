//! A timer for a time of the wall clock, which also says when that clock was set.
//!
//! timerfd_create(2): CLOCK_REALTIME goes on while the machine is suspended, and
//! TFD_TIMER_CANCEL_ON_SET wakes us when the clock jumps, so that deadlines are looked at again. The
//! kernel tells of each jump once: whoever reads the timer, or sets it anew.

use std::os::fd::{AsFd, OwnedFd};

use jiff::Timestamp;
use rustix::event::{PollFd, PollFlags};
use rustix::io::Errno;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use tokio::net::unix::pipe::Receiver;

/// Where there is no deadline, the timer is set for this long, for the sake of the clock.
const FAR: i64 = 10 * 365 * 86_400;

/// What woke us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Woken {
    /// The deadline has come.
    Deadline,
    /// The clock was set.
    ClockSet,
    /// Nothing has happened.
    Spurious,
}

/// The timer.
#[derive(Debug)]
pub struct DeadlineTimer {
    fd: OwnedFd,
}

impl DeadlineTimer {
    /// A timer without a deadline, which tells from now on if the clock is set.
    ///
    /// # Errors
    /// When the system has none.
    pub fn new() -> std::io::Result<Self> {
        let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
        let timer = DeadlineTimer {
            fd: timerfd_create(TimerfdClockId::Realtime, flags)?,
        };
        timer.set(None)?;
        Ok(timer)
    }

    /// Sets the timer for `deadline`; one that has passed comes at once. Says whether the clock was
    /// set since the timer told of that last: it does not tell of it again.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn set(&self, deadline: Option<Timestamp>) -> std::io::Result<bool> {
        let deadline = deadline.unwrap_or_else(|| {
            let far = jiff::SignedDuration::from_secs(FAR);
            Timestamp::now().checked_add(far).unwrap_or(Timestamp::MAX)
        });
        // Rounded up to the microsecond that a deadline has; never zero, which would disarm.
        let time = Timespec {
            tv_sec: deadline.as_second().max(1),
            tv_nsec: i64::from(deadline.subsec_nanosecond().max(0)),
        };
        let never = Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let flags = TimerfdTimerFlags::ABSTIME | TimerfdTimerFlags::CANCEL_ON_SET;
        let value = Itimerspec {
            it_interval: never,
            it_value: time,
        };
        was_clock_set(timerfd_settime(&self.fd, flags, &value).map(drop))
    }

    /// The timer, for a loop: readable when it has something to say.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn watch(&self) -> std::io::Result<TimerWatch> {
        // tokio's pipe is its safe way to wait for a descriptor of any kind.
        let receiver = Receiver::from_owned_fd_unchecked(self.fd.try_clone()?)?;
        Ok(TimerWatch { receiver })
    }

    /// Waits, without a loop, for the deadline or a set clock, or until `other` has something to say.
    pub fn wait_or(&self, other: &impl AsFd) {
        let mut poll = [
            PollFd::new(&self.fd, PollFlags::IN),
            PollFd::new(other, PollFlags::IN),
        ];
        // An interruption is as good as a deadline: the caller looks at the clock.
        let _ = rustix::event::poll(&mut poll, None);
        let _ = rustix::io::read(&self.fd, &mut [0; 8]);
    }
}

/// What timerfd_settime(2) says of the clock. With ECANCELED the timer is armed all the same; but the
/// kernel has told now, and a later read() will not (timerfd_create(2), NOTES; `timerfd_setup()` in its
/// fs/timerfd.c). No test shows the kernel's part, as there is no clock to be set for it: time
/// namespaces have none of their own for CLOCK_REALTIME.
fn was_clock_set(set: Result<(), Errno>) -> std::io::Result<bool> {
    match set {
        Ok(()) => Ok(false),
        Err(Errno::CANCELED) => Ok(true),
        Err(error) => Err(error.into()),
    }
}

/// A timer that a loop waits for.
#[derive(Debug)]
pub struct TimerWatch {
    receiver: Receiver,
}

impl TimerWatch {
    /// Waits, and says what for.
    pub async fn woken(&self) -> Woken {
        if self.receiver.readable().await.is_err() {
            return Woken::Spurious;
        }
        match self.receiver.try_read(&mut [0; 8]) {
            Ok(_) => Woken::Deadline,
            Err(e) if e.raw_os_error() == Some(Errno::CANCELED.raw_os_error()) => Woken::ClockSet,
            Err(_) => Woken::Spurious,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_was_set_is_no_error_and_not_nothing() {
        assert!(!was_clock_set(Ok(())).unwrap());
        assert!(was_clock_set(Err(Errno::CANCELED)).unwrap());
        assert!(was_clock_set(Err(Errno::INVAL)).is_err());
    }

    #[test]
    fn a_new_timer_is_armed() {
        let timer = DeadlineTimer::new().unwrap();
        let left = rustix::time::timerfd_gettime(&timer.fd).unwrap().it_value;
        assert!(left.tv_sec > FAR / 2, "{left:?}");
    }

    #[test]
    fn a_deadline_that_has_passed_comes_at_once() {
        let timer = DeadlineTimer::new().unwrap();
        let (silent, _writer) = rustix::pipe::pipe().unwrap();
        timer.set(None).unwrap();
        timer.set(Some(Timestamp::UNIX_EPOCH)).unwrap();
        timer.wait_or(&silent);
        timer
            .set(Some(
                Timestamp::now() + jiff::SignedDuration::from_millis(50),
            ))
            .unwrap();
        let before = Timestamp::now();
        timer.wait_or(&silent);
        assert!(Timestamp::now().duration_since(before).as_millis() >= 40);
    }
}
