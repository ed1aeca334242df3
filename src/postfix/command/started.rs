//! A program that runs, and its end: waited for, or brought about. Must never wait for longer than the
//! limit, nor leave anything of its process group behind.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::process::{Child, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};

use super::{Call, CommandError, NEARLY_FULL, Output, STDOUT_SIZE};

/// How much of the end of standard error is kept.
pub(super) const STDERR_TAIL: u64 = 64 << 10;
/// How long a program that was killed may take to be gone. Only one that hangs in the kernel
/// (a dead network file system) takes any time at all.
const DEATH_LIMIT: Duration = Duration::from_secs(2);

/// A program that runs. It is killed when this is dropped.
#[derive(Debug)]
pub struct Started {
    /// Until it has ended.
    child: Option<Child>,
    call: Call,
    stdout: File,
    stderr: File,
    limit: Duration,
}

impl Started {
    /// `child`, whose standard output and standard error go into these files.
    pub(super) fn new(
        child: Child,
        call: Call,
        [stdout, stderr]: [File; 2],
        limit: Duration,
    ) -> Self {
        Started {
            child: Some(child),
            call,
            stdout,
            stderr,
            limit,
        }
    }

    /// Gives it `input` to read, which must be less than a pipe takes (4 KiB at the least), and waits
    /// for its end. The limit begins now.
    ///
    /// # Errors
    /// When the program takes longer than the limit or writes more than 16 MiB.
    pub fn finish(mut self, input: &[u8]) -> Result<Output, CommandError> {
        let started = Instant::now();
        let child = self.child.take();
        let call = self.call.clone();
        let system = |source: io::Error| CommandError::System {
            call: self.call.clone(),
            source,
        };
        let mut status = None;
        if let Some(mut child) = child {
            if let Some(mut stdin) = child.stdin.take() {
                // One that has ended reads nothing, and its status says why.
                let _ = stdin.write_all(input);
            }
            status = wait(child, started, self.limit).map_err(system)?;
        }
        let stderr = read_tail(&self.stderr, STDERR_TAIL).map_err(system)?;
        let stderr = String::from_utf8_lossy(&stderr).into_owned();
        let Some(status) = status else {
            return Err(CommandError::TimedOut {
                call,
                limit: self.limit,
                stderr,
            });
        };
        let stdout = read_tail(&self.stdout, STDOUT_SIZE).map_err(system)?;
        if stdout.len() as u64 + NEARLY_FULL > STDOUT_SIZE {
            return Err(CommandError::TooMuch { call });
        }
        Ok(Output {
            call,
            status,
            stdout,
            stderr,
        })
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        if let Some(child) = self.child.take() {
            // Nobody is left to be told of its end.
            let _ = wait(child, Instant::now(), Duration::ZERO);
        }
    }
}

/// Waits until the program has ended, and kills what is left of its process group; `None` when
/// the limit came first.
fn wait(mut child: Child, started: Instant, limit: Duration) -> io::Result<Option<ExitStatus>> {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or(Errno::SRCH)?;
    let pidfd = match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(pidfd) => pidfd,
        Err(error) => {
            // Without it we can't wait for a bounded time, so we don't wait.
            let _ = kill_process_group(pid, Signal::KILL);
            child.wait()?;
            return Err(error.into());
        }
    };
    let ended = ends_before(&pidfd, started.checked_add(limit));
    // The program is not reaped yet, so its id can't belong to anybody else. ESRCH: all are gone.
    let _ = kill_process_group(pid, Signal::KILL);
    if ended? {
        return child.wait().map(Some);
    }
    if ends_before(&pidfd, Instant::now().checked_add(DEATH_LIMIT))? {
        child.wait()?;
    } else {
        // It hangs in the kernel. It is reaped when the kernel lets go of it.
        thread::Builder::new()
            .name("reaper".to_owned())
            .spawn(move || child.wait())?;
    }
    Ok(None)
}

/// Whether the process has ended by then; `None`: however long it takes.
fn ends_before(pidfd: &OwnedFd, deadline: Option<Instant>) -> io::Result<bool> {
    loop {
        let left = deadline.map(|at| at.saturating_duration_since(Instant::now()));
        let timeout = left.and_then(|left| Timespec::try_from(left).ok());
        let mut fds = [PollFd::new(pidfd, PollFlags::IN)];
        match poll(&mut fds, timeout.as_ref()) {
            Ok(0) | Err(Errno::INTR) => {
                if left.is_some_and(|left| left.is_zero()) {
                    return Ok(false);
                }
            }
            Ok(_) => return Ok(true),
            Err(error) => return Err(error.into()),
        }
    }
}

/// The last bytes, `most` at most, of what was written to a memory file.
///
/// The program shares the file's offset with us, which is how we know how far it has come.
fn read_tail(file: &File, most: u64) -> io::Result<Vec<u8>> {
    let written = rustix::fs::tell(file)?;
    let start = written.saturating_sub(most);
    let mut bytes = vec![0; usize::try_from(written - start).unwrap_or(0)];
    file.read_exact_at(&mut bytes, start)?;
    Ok(bytes)
}
