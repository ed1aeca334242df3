//! Waits until a journal changes, or until somebody rings who can't wait for that.
//!
//! journald collects what it writes for up to a quarter of a second before it tells its readers
//! (`POST_CHANGE_TIMER_INTERVAL_USEC` in its source), though each entry can be read at once. And
//! nobody can interrupt sd_journal_wait(3): so this waits for the journal's descriptor itself, as
//! sd_journal_get_fd(3) says. Must never look at an entry.

use std::io;
use std::os::fd::RawFd;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token, Waker};

const JOURNAL: Token = Token(0);
const BELL: Token = Token(1);

/// What other machines write on these file systems, nobody tells us (statfs(2)): NFS, SMB in its
/// three forms, AFS, Ceph, GFS2, OCFS2, 9P, and whatever comes through FUSE.
const WITHOUT_NOTICE: [u32; 10] = [
    0x6969,
    0x517B,
    0xFF53_4D42,
    0xFE53_4D42,
    0x5346_414F,
    0x00C3_6400,
    0x0116_1970,
    0x7461_636F,
    0x0102_1997,
    0x6573_5546,
];

/// How long at most one waits there; so does libsystemd.
const RECHECK: Duration = Duration::from_secs(2);

/// One who waits, in a thread of his own.
#[derive(Debug)]
pub struct Wait {
    poll: Poll,
    events: Events,
    longest: Duration,
}

/// Ends a wait, from any thread: the one that is under way, or else the next.
#[derive(Debug, Clone)]
pub struct Bell(Arc<Waker>);

impl Wait {
    /// What waits, and what wakes it.
    ///
    /// # Errors
    /// When the system is out of descriptors.
    pub fn new() -> io::Result<(Self, Bell)> {
        let poll = Poll::new()?;
        let bell = Bell(Arc::new(Waker::new(poll.registry(), BELL)?));
        let wait = Wait {
            poll,
            events: Events::with_capacity(2),
            longest: Duration::MAX,
        };
        Ok((wait, bell))
    }

    /// From now on, changes of this journal end a wait; `places` are where its files are. One that
    /// was watched before is forgotten when it is closed.
    pub(super) fn watch(
        &mut self,
        journal: RawFd,
        places: impl IntoIterator<Item: AsRef<Path>>,
    ) -> io::Result<()> {
        let unnoticed = places
            .into_iter()
            .any(|place| is_without_notice(place.as_ref()));
        self.longest = if unnoticed { RECHECK } else { Duration::MAX };
        let registry = self.poll.registry();
        registry.register(&mut SourceFd(&journal), JOURNAL, Interest::READABLE)
    }

    /// Whether nobody tells of changes, and whatever is waited for may have happened.
    pub(super) fn is_told_nothing(&self) -> bool {
        self.longest < Duration::MAX
    }

    /// Waits, for `limit` at most. What has changed is then to be taken from the journal's
    /// descriptor, all of it.
    pub(super) fn wait(&mut self, limit: Duration) -> io::Result<()> {
        let limit = limit.min(self.longest);
        match self.poll.poll(&mut self.events, Some(limit)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            waited => waited,
        }
    }
}

impl Bell {
    /// Rings.
    pub fn ring(&self) {
        // It fails only where nobody is left who waits.
        let _ = self.0.wake();
    }
}

fn is_without_notice(place: &Path) -> bool {
    // The types are of 32 bits, whatever the machine keeps them in.
    let kind = |place| rustix::fs::statfs(place).map(|found| found.f_type as u32);
    kind(place).is_ok_and(|kind| WITHOUT_NOTICE.contains(&kind))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;
    use std::time::Instant;

    #[test]
    fn the_bell_ends_a_wait_whether_it_rings_before_or_meanwhile() {
        let (mut wait, bell) = Wait::new().unwrap();
        let long = Duration::from_secs(60);
        let begin = Instant::now();
        bell.ring();
        bell.ring();
        wait.wait(long).unwrap();
        thread::scope(|threads| {
            threads.spawn(|| {
                thread::sleep(Duration::from_millis(20));
                bell.ring();
            });
            wait.wait(long).unwrap();
        });
        assert!(begin.elapsed() < long / 2);
        // Those before it were of one and the same wait.
        let limit = Duration::from_millis(30);
        let begin = Instant::now();
        wait.wait(limit).unwrap();
        assert!(begin.elapsed() >= limit);
    }

    #[test]
    fn a_local_file_system_tells_of_changes() {
        assert!(!is_without_notice(Path::new("/proc")));
        assert!(!is_without_notice(Path::new("/does/not/exist")));
    }
}
