//! The journal files of a store, on this host: entries go through systemd-journal-remote(8) into one
//! of them, which is put aside when it has grown, or has become old; and what is older than anybody
//! needs is removed.
//!
//! Bounded, whatever the store sends. Must never change an entry.

use std::fs;
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use jiff::Timestamp;

use super::line::{HangUp, last_line, listen};
use crate::diagnostics;

/// Makes journal files of what it reads.
const REMOTE: &str = "/usr/lib/systemd/systemd-journal-remote";
/// The last that it says, whatever was before.
const FINISHING: &str = "Finishing after writing";
/// The file that is written to.
const CURRENT: &str = "store.journal";
/// So much is written into a file, in bytes of the export: it takes about as much.
const FULL: u64 = 32 << 20;
/// And for so long.
const OLD: Duration = Duration::from_secs(6 * 60 * 60);
/// So much room the files have on the disk, in bytes, beside the one that is written to.
const ROOM: u64 = 1 << 30;
/// After so many bytes of the export it is seen to that they keep to it: by ever new names of fields, which
/// anybody can write, systemd-journal-remote is made to begin a file of 4 MB every few kilobytes.
const STEP: u64 = 64 << 10;
/// How often it is told that files were removed that may not have been read.
const TELL: Duration = Duration::from_secs(60);

/// Where the entries of a store go.
#[derive(Debug)]
pub struct Spool {
    directory: PathBuf,
    /// How long an entry matters.
    kept_for: Duration,
    room: u64,
    /// What was written since it was seen to the room last.
    since_tidied: u64,
    told: Option<Instant>,
    writer: Option<Writer>,
    /// What brings the entries: nothing may come while nothing can be filed, and be thought to be.
    line: Option<HangUp>,
}

#[derive(Debug)]
struct Writer {
    child: Child,
    complaints: Option<JoinHandle<String>>,
    since: Instant,
    written: u64,
    end: Arc<End>,
}

/// How a writer ends.
#[derive(Debug, Default)]
struct End {
    /// It has been told to.
    is_meant: AtomicBool,
    /// By itself, as where the disk is full. What it was given last is not in the file.
    has_come: AtomicBool,
}

impl Spool {
    /// The files in this directory; what is older than `kept_for` matters to nobody.
    #[must_use]
    pub fn new(directory: &Path, kept_for: Duration) -> Self {
        Spool {
            directory: directory.to_owned(),
            kept_for,
            room: ROOM,
            since_tidied: 0,
            told: None,
            writer: None,
            line: None,
        }
    }

    /// This brings the entries from now on: it is hung up if they can't be filed any more.
    pub fn filled_by(&mut self, line: HangUp) {
        self.line = Some(line);
    }

    /// Why entries that were written may not have been filed, if that is so.
    pub fn trouble(&mut self) -> Option<String> {
        let has_ended = |writer: &mut Writer| writer.end.has_come.load(Ordering::SeqCst);
        let ended = self.writer.take_if(has_ended)?;
        Some(ended.close().said_or_ended())
    }

    /// Writes an entry.
    ///
    /// # Errors
    /// When it can't be written: a full disk, or no systemd-journal-remote.
    pub fn write(&mut self, entry: &[u8]) -> io::Result<()> {
        let is_done = |writer: &mut Writer| writer.written >= FULL || writer.since.elapsed() >= OLD;
        if self.writer.as_mut().is_some_and(is_done) {
            self.put_aside()?;
        }
        let writer = match &mut self.writer {
            Some(writer) => writer,
            none => {
                let current = self.directory.join(CURRENT);
                let written = fs::metadata(&current).map_or(0, |found| found.len());
                none.insert(Writer::start(&current, written, self.line.clone())?)
            }
        };
        let Some(to) = &mut writer.child.stdin else {
            return Err(io::Error::other("its input is closed"));
        };
        if let Err(error) = to.write_all(entry) {
            let why = self.writer.take().and_then(|writer| writer.close().said);
            return Err(why.map_or(error, io::Error::other));
        }
        let length = entry.len() as u64;
        writer.written += length;
        self.since_tidied += length;
        if self.since_tidied >= STEP {
            self.tidy()?;
        }
        Ok(())
    }

    /// Closes the file; what comes next goes into another. What is too old, or too much, is removed.
    fn put_aside(&mut self) -> io::Result<()> {
        if let Some(why) = self.trouble() {
            return Err(io::Error::other(why));
        }
        let closed = self.writer.take().map(Writer::close);
        // It may have been at the last entry until now, and have failed.
        if let Some(closed) = closed.filter(|closed| !closed.is_whole) {
            return Err(io::Error::other(closed.said_or_ended()));
        }
        let current = self.directory.join(CURRENT);
        if current.exists() {
            let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
            let name = format!(
                "store@{:020}.journal",
                since_1970.unwrap_or_default().as_micros()
            );
            fs::rename(&current, self.directory.join(name))?;
        }
        self.tidy()
    }

    /// Removes what nobody needs any more, and what there is no room for.
    ///
    /// # Errors
    /// When the file system fails.
    pub fn tidy(&mut self) -> io::Result<()> {
        self.since_tidied = 0;
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.directory)? {
            let entry = entry?;
            if entry.file_name().as_encoded_bytes().starts_with(b"store@") {
                let found = entry.metadata()?;
                files.push((found.modified()?, found.blocks() * 512, entry.path()));
            }
        }
        // The latest first.
        files.sort_by(|a, b| b.cmp(a));
        let mut room = self.room;
        let mut unread = None;
        for (written, size, path) in &files {
            let is_old = written.elapsed().is_ok_and(|age| age > self.kept_for);
            let fits = *size <= room;
            room = if fits { room - size } else { 0 };
            if is_old || !fits {
                fs::remove_file(path)?;
            }
            if !is_old && !fits {
                unread = unread.or(Some(path));
            }
        }
        let is_told = self.told.is_some_and(|told| told.elapsed() < TELL);
        if let Some(path) = unread.filter(|_| !is_told) {
            self.told = Some(Instant::now());
            let path = path.display();
            diagnostics::warning(&format!(
                "{path}: removed, and so is what is older, as a store's files may take {ROOM} bytes; if the \
                 service has not read it, its logins are lost"
            ));
        }
        Ok(())
    }
}

/// When an entry was filed last, by this host's clock; `None` if there are no files.
#[must_use]
pub fn last_written(directory: &Path) -> Option<Timestamp> {
    let files = fs::read_dir(directory).ok()?.flatten();
    let files = files.filter(|file| file.file_name().as_encoded_bytes().ends_with(b".journal"));
    let written = files.filter_map(|file| file.metadata().ok()?.modified().ok());
    Timestamp::try_from(written.max()?).ok()
}

impl Drop for Spool {
    fn drop(&mut self) {
        self.writer.take().map(Writer::close);
    }
}

impl Writer {
    fn start(file: &Path, written: u64, line: Option<HangUp>) -> io::Result<Self> {
        let mut output = std::ffi::OsString::from("--output=");
        output.push(file);
        let mut child = Command::new(REMOTE)
            .args(["--split-mode=none", "--compress=no"])
            .arg(output)
            .arg("-")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            // It complains of whatever it does not know, at each entry.
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| {
                io::Error::new(
                    error.kind(),
                    format!("{REMOTE}: {error} (apt install systemd-journal-remote)"),
                )
            })?;
        let end = Arc::new(End::default());
        let ended = end.clone();
        let then = move || {
            if !ended.is_meant.load(Ordering::SeqCst) {
                ended.has_come.store(true, Ordering::SeqCst);
                line.iter().for_each(HangUp::hang_up);
            }
        };
        let complaints = child.stderr.take().map(|from| listen(from, then));
        let complaints = complaints.transpose()?;
        Ok(Writer {
            child,
            complaints,
            since: Instant::now(),
            written,
            end,
        })
    }

    /// Ends it: at the end of its input it closes the file in order.
    fn close(mut self) -> Closed {
        self.end.is_meant.store(true, Ordering::SeqCst);
        drop(self.child.stdin.take());
        let is_whole = self.child.wait().is_ok_and(|status| status.success());
        let complaints = self
            .complaints
            .and_then(|complaints| complaints.join().ok());
        let complaints = complaints.unwrap_or_default();
        let lines: Vec<&str> = complaints
            .lines()
            .filter(|line| !line.starts_with(FINISHING))
            .collect();
        Closed {
            is_whole,
            said: last_line(&lines.join("\n")),
        }
    }
}

/// What has become of a writer.
#[derive(Debug)]
struct Closed {
    /// Whether all that it was given is in the file.
    is_whole: bool,
    /// What it has complained of last.
    said: Option<String>,
}

impl Closed {
    fn said_or_ended(self) -> String {
        self.said.unwrap_or_else(|| format!("{REMOTE} has ended"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::{Pid, Signal, kill_process};
    use std::fs::File;

    /// The ages of the files that are left of ten, each of this size.
    fn left(kept_for: Duration, size: u64) -> Vec<u64> {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        let name = |age: u64| format!("store@{age:020}-0.journal");
        for age in 0..10 {
            let file = File::create(path(&name(age))).unwrap();
            rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, size).unwrap();
            let written = SystemTime::now() - Duration::from_secs(age);
            file.set_modified(written).unwrap();
        }
        let others = [CURRENT, "machine"];
        others
            .iter()
            .for_each(|other| drop(File::create(path(other)).unwrap()));
        Spool::new(directory.path(), kept_for).tidy().unwrap();
        assert!(others.iter().all(|other| path(other).exists()));
        (0..10).filter(|age| path(&name(*age)).exists()).collect()
    }

    const ENTRY: &[u8] = b"__REALTIME_TIMESTAMP=1764300000000000\n__MONOTONIC_TIMESTAMP=1\n\
        _BOOT_ID=15f594f33c494af59fa3cdf33c2aa578\nMESSAGE=hello\n\n";

    /// A spool with an entry, and what fills it.
    fn filled(directory: &Path) -> (Spool, HangUp) {
        let mut spool = Spool::new(directory, Duration::from_secs(1000));
        let line = HangUp::of(Command::new("sleep").arg("1000").spawn().unwrap());
        spool.filled_by(line.clone());
        spool.write(ENTRY).unwrap();
        (spool, line)
    }

    #[test]
    fn where_nothing_can_be_filed_any_more_nothing_comes_and_it_is_said() {
        let directory = tempfile::tempdir().unwrap();
        let (mut spool, line) = filled(directory.path());
        assert_eq!(spool.trouble(), None);
        spool.writer.as_mut().unwrap().child.kill().unwrap();
        while line.process().try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
        // What it was given last is to be asked for again.
        assert!(spool.put_aside().is_err());
    }

    #[test]
    fn what_fails_while_a_file_is_put_aside_is_said() {
        let directory = tempfile::tempdir().unwrap();
        let (mut spool, line) = filled(directory.path());
        let writer = spool.writer.as_ref().unwrap();
        let (process, end) = (Pid::from_child(&writer.child), writer.end.clone());
        kill_process(process, Signal::STOP).unwrap();
        let killer = std::thread::spawn(move || {
            while !end.is_meant.load(Ordering::SeqCst) {
                std::thread::yield_now();
            }
            kill_process(process, Signal::KILL).unwrap();
        });
        assert!(spool.put_aside().is_err());
        killer.join().unwrap();
        line.hang_up();
        line.process().wait().unwrap();
    }

    #[test]
    fn a_file_that_is_put_aside_hangs_up_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let (mut spool, line) = filled(directory.path());
        spool.put_aside().unwrap();
        spool.write(ENTRY).unwrap();
        drop(spool);
        assert!(line.process().try_wait().unwrap().is_none());
        line.hang_up();
        line.process().wait().unwrap();
    }

    #[test]
    fn the_last_file_that_was_written_to_tells_when() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(last_written(directory.path()), None);
        fs::write(directory.path().join("machine"), "").unwrap();
        assert_eq!(last_written(directory.path()), None);
        for (name, second) in [("store@1.journal", 100), (CURRENT, 50)] {
            let file = fs::File::create(directory.path().join(name)).unwrap();
            let time = SystemTime::UNIX_EPOCH + Duration::from_secs(second);
            file.set_modified(time).unwrap();
        }
        let last = last_written(directory.path()).unwrap();
        assert_eq!(last.as_second(), 100);
    }

    #[test]
    fn names_of_fields_without_end_take_no_more_room() {
        const MIB: u64 = 1 << 20;
        let directory = tempfile::tempdir().unwrap();
        let mut spool = Spool::new(directory.path(), Duration::from_secs(1000));
        spool.room = 16 * MIB;
        for number in 0..40 {
            let names = (0..900).map(|name| format!("F{name}X{number}=\n"));
            let fields = names.collect::<String>().into_bytes();
            spool.write(&[&fields, ENTRY].concat()).unwrap();
        }
        drop(spool);
        let files = fs::read_dir(directory.path()).unwrap();
        let sizes = files.map(|file| file.unwrap().metadata().unwrap().blocks() * 512);
        let total = sizes.sum::<u64>() / MIB;
        assert!(total < 100, "{total} MiB");
    }

    #[test]
    fn files_have_room_and_none_is_older_than_it_matters() {
        let long = Duration::from_secs(1000);
        assert_eq!(left(long, 4096), Vec::from_iter(0..10));
        assert_eq!(left(long, ROOM / 4 - 4096), [0, 1, 2, 3]);
        assert_eq!(left(Duration::from_millis(4500), 4096), [0, 1, 2, 3, 4]);
    }
}
