//! Carries the journal of a store, a host with POP3 or IMAP servers, to this one, where the service
//! reads it as a source.
//!
//! OpenSSH brings it, systemd-journal-remote files it. A program of its own, with a user of its own:
//! it talks to the network, which the service can't. Must never judge an entry: the service does, and
//! by what the configuration says of that host.

mod ask_again;
mod clock;
pub mod export;
pub mod line;
mod seen;
mod spool;
pub mod state;

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

use crate::diagnostics::{self, printable};
use crate::journal::{JournalError, Match, Reader, Source};
use ask_again::AskAgain;
use clock::StoreClock;
use line::{Greeting, Line, explain, last_line};
use seen::{EntryId, Seen};
use spool::Spool;
use state::{State, StateFile};

/// The directory with a directory for each store: systemd makes it (`StateDirectory=`).
pub const DIRECTORY: &str = "/var/lib/pop-before-smtp-store";
/// Where the machine id is kept that a store had when it was connected first.
const MACHINE: &str = "machine";
/// So much before the last entry is asked for again: journald writes entries of one moment in any
/// order, and a store's clock is corrected now and then.
const OVERLAP: SignedDuration = SignedDuration::from_secs(60);
/// The pause after the line was lost; it doubles with each attempt.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// The longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// A store, and where its things are.
#[derive(Debug)]
pub struct Store {
    /// Its name.
    pub name: String,
    /// Its journal files.
    pub directory: PathBuf,
    /// What the carrier says of itself.
    pub runtime: PathBuf,
    /// The key, the host key and ssh_config(5).
    pub credentials: PathBuf,
    /// For how long an entry matters.
    pub kept_for: Duration,
    /// Which entries are wanted.
    pub wanted: Vec<Match>,
}

/// Why nothing is carried any more.
struct End {
    was_connected: bool,
    why: String,
}

/// Carries the journal of a store, for ever: where the line is lost, it is tried again.
///
/// # Errors
/// When it can't begin: its directories are not there, or another carrier lives.
pub fn run(store: &Store) -> io::Result<()> {
    let file = StateFile::lock(&store.runtime)
        .map_err(|error| with_path(&store.runtime, "another carrier may be running", &error))?;
    let (mut pause, mut since) = (FIRST_PAUSE, Timestamp::now());
    let mut known = "it is being connected".to_owned();
    let mut ask_again = AskAgain::default();
    say(store, &file, &State::down(since, &known));
    loop {
        let begin = Instant::now();
        let end = carry(store, &file, &mut ask_again);
        // A disk that is full, say, lets each connection end at once.
        if begin.elapsed() > LONGEST_PAUSE {
            pause = FIRST_PAUSE;
        }
        if end.was_connected {
            since = Timestamp::now();
        }
        if end.was_connected || known != end.why {
            diagnostics::carrier_lost(&store.name, &end.why);
        }
        say(store, &file, &State::down(since, &end.why));
        known = end.why;
        thread::sleep(pause);
        pause = (2 * pause).min(LONGEST_PAUSE);
    }
}

/// Carries until the line is lost.
fn carry(store: &Store, file: &StateFile, ask_again: &mut AskAgain) -> End {
    let mut was_connected = false;
    let result = try_to_carry(store, file, ask_again, &mut was_connected);
    let why = result.unwrap_or_else(|error| error.to_string());
    End { was_connected, why }
}

/// Says why it has ended.
fn try_to_carry(
    store: &Store,
    file: &StateFile,
    ask_again: &mut AskAgain,
    was_connected: &mut bool,
) -> io::Result<String> {
    let now = Timestamp::now();
    let kept_for = SignedDuration::try_from(store.kept_for).unwrap_or(SignedDuration::MAX);
    let oldest = now.checked_sub(kept_for).unwrap_or(Timestamp::MIN);
    let again = |error: JournalError| {
        let directory = store.directory.display();
        diagnostics::warning(&format!(
            "{directory}: {error}; what may be there already is carried again"
        ));
    };
    let mut begin = where_to_begin(store, oldest).unwrap_or_else(|error| {
        again(error);
        oldest
    });
    let mut spool = Spool::new(&store.directory, store.kept_for);
    spool.tidy()?;
    let (mut line, greeting) = loop {
        let mut line = Line::open(&store.name, &store.credentials, begin)?;
        let greeting = match line.greeting()? {
            Ok(greeting) => greeting,
            Err(said) if said.is_empty() => return Ok(explain(&store.name, &line.ended())),
            Err(said) => {
                drop(line.close());
                return Ok(format!("it does not answer as a store does, but: {said}"));
            }
        };
        if greeting.time >= begin || begin <= oldest {
            break (line, greeting);
        }
        // Its clock was set back: what it has written since has earlier times.
        drop(line.close());
        begin = oldest.min(greeting.time);
    };
    if let Err(why) = is_the_same_machine(store, &greeting)? {
        drop(line.close());
        return Ok(why);
    }
    spool.filled_by(line.hang_up());
    *was_connected = true;
    let mut clock = StoreClock::told(greeting.time, Timestamp::now());
    diagnostics::carrier_connected(&store.name, clock.ahead());
    let state = State {
        since: Timestamp::now(),
        trouble: None,
        clock_ahead: clock.ahead(),
        version: greeting.version,
    };
    say(store, file, &state);
    let mut seen = carried(store, begin).unwrap_or_else(|error| {
        again(error);
        Seen::default()
    });
    let ended = |complaints: String| {
        let last = last_line(&complaints).map(|last| format!(": {last}"));
        format!("the connection has ended{}", last.unwrap_or_default())
    };
    loop {
        let next = export::next(line.entries());
        if let Some(why) = spool.trouble() {
            return Err(not_filed(store, &io::Error::other(why)));
        }
        let entry = match next {
            Ok(Some(entry)) => entry,
            Ok(None) => return Ok(ended(line.ended())),
            Err(error) => return Ok(format!("{error}; {}", ended(line.close()))),
        };
        if entry.machine.as_deref() != Some(&*greeting.machine) {
            drop(line.close());
            let why = "it sent an entry of another machine: what has come since is not read";
            return Ok(why.to_owned());
        }
        if entry.is_too_large || !entry.id.is_none_or(|id| seen.is_new(id)) {
            continue;
        }
        let is_whole = entry.has_message && entry.has_pid;
        if !is_whole && ask_again.now(Instant::now()) {
            drop(line.close());
            return Ok(
                "it sent an entry too early, not whole: it is asked for it again".to_owned(),
            );
        }
        spool
            .write(&entry.bytes)
            .map_err(|error| not_filed(store, &error))?;
        let in_doubt = |time| clock.is_in_doubt(time, Timestamp::now());
        if entry.time.is_some_and(in_doubt) {
            drop(line.close());
            return Ok("its clock may have been set: it is asked for its time".to_owned());
        }
    }
}

/// A reader of what is here of a store.
fn reader(store: &Store) -> Result<Reader, JournalError> {
    let source = Source::Directory(store.directory.clone());
    Reader::open(&source, store.wanted.iter().cloned())
}

/// From when on a store is to be asked, unless its clock was set back.
fn where_to_begin(store: &Store, oldest: Timestamp) -> Result<Timestamp, JournalError> {
    let Some(newest) = reader(store)?.newest()? else {
        return Ok(oldest);
    };
    // By our clock: the store's may have been ahead, and have been set right since.
    let filed = spool::last_written(&store.directory).unwrap_or(newest);
    let was_ahead = newest.duration_since(filed) > OVERLAP;
    let begin = newest.checked_sub(OVERLAP).ok().filter(|_| !was_ahead);
    Ok(begin.unwrap_or(oldest).max(oldest))
}

/// Which entries that a store has written since `begin` are here.
fn carried(store: &Store, begin: Timestamp) -> Result<Seen, JournalError> {
    let mut seen = Seen::default();
    let mut reader = reader(store)?;
    reader.seek_time(begin)?;
    while reader.next()? {
        let cursor = reader.position()?.cursor;
        if let Some(id) = EntryId::of_cursor(cursor.as_bytes()) {
            seen.is_new(id);
        }
    }
    Ok(seen)
}

/// Whether a store is the machine that it was when it was connected first; if not, what to say.
fn is_the_same_machine(store: &Store, greeting: &Greeting) -> io::Result<Result<(), String>> {
    let file = store.directory.join(MACHINE);
    let known = match fs::read_to_string(&file) {
        Ok(known) => known,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let aside = file.with_extension("new");
            let mut new = fs::File::create(&aside)?;
            new.write_all(greeting.machine.as_bytes())?;
            new.sync_all()?;
            fs::rename(&aside, &file)?;
            return Ok(Ok(()));
        }
        Err(error) => return Err(with_path(&file, "can't be read", &error)),
    };
    let is_it = known == greeting.machine;
    Ok(is_it.then_some(()).ok_or_else(|| {
        format!(
            "it is another machine than before ({} instead of {}): nothing of it is read. If that is \
             meant: rm '{}' && systemctl reload pop-before-smtp",
            greeting.machine,
            printable(&known),
            file.display()
        )
    }))
}

fn say(store: &Store, file: &StateFile, state: &State) {
    if let Err(error) = file.write(state) {
        let error = with_path(&store.runtime, "the state can't be written", &error);
        diagnostics::warning(&error.to_string());
    }
}

fn not_filed(store: &Store, error: &io::Error) -> io::Error {
    with_path(&store.directory, "an entry could not be filed", error)
}

fn with_path(path: &Path, what: &str, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {what}: {error}", path.display()))
}
