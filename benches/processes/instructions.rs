//! What a login costs in instructions, from `next` on the journal to the commit in the store: a number
//! that does not depend on how busy the machine is.
//!
//! callgrind counts them for this very program, which has the library's own rooms do the work: in the
//! thread that does it and from the first entry on, as what the start takes and what sled's threads do
//! meanwhile is not the same each time. The journal is. What was counted last is in
//! `instructions.toml`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use pop_before_smtp::config::Limits;
use pop_before_smtp::intake::{Intake, Senders, Taker};
use pop_before_smtp::journal::{Entry, Reader, Source};
use pop_before_smtp::networks::Networks;
use pop_before_smtp::origin::Id;
use pop_before_smtp::servers::{BUILT_IN, Recogniser, Unknown, load};
use pop_before_smtp::store::Store;
use pop_before_smtp::whitelist::{Rules, Whitelist};
use serde::{Deserialize, Serialize};

use crate::journal::{Contents, Ends};
use crate::table::{Row, thousands};
use crate::{Bench, import};

/// Where the numbers are written down.
const WRITTEN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/instructions.toml");

/// How many entries are committed at once, as the service does it when it is busy.
const BATCH: usize = 128;

/// How much more than what is written down is not noise.
const TOLERANCE: f64 = 1.05;

/// The numbers, and what they were counted with.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Counted {
    /// Each a login, and with its logout.
    instructions: BTreeMap<String, u64>,
    /// What else decides about them.
    made_with: BTreeMap<String, String>,
}

/// Counts the instructions, and compares them with those written down; or writes them down.
pub fn instructions(bench: &Bench) -> Vec<Row> {
    let size = if bench.options.quick { 500 } else { 5_000 };
    let begin = Timestamp::UNIX_EPOCH + SignedDuration::from_hours(24 * 365 * 56);
    let kinds = [
        ("a login", Ends::None),
        ("a login and its logout", Ends::Theirs),
    ];
    let counted = kinds.map(|(what, ends)| {
        let contents = Contents {
            sessions: size,
            // Each client logs in ten times.
            clients: size / 10,
            ends,
            noise: 0,
        };
        let journal = import(contents, begin);
        let counted = count(journal.path(), contents.dovecot() as usize);
        (what.to_owned(), counted / u64::from(size))
    });
    let counted = Counted {
        instructions: counted.into_iter().collect(),
        made_with: tools(),
    };
    if bench.options.write {
        let text = toml::to_string(&counted).unwrap();
        let head = "# Instructions from `next` on the journal to the commit in the store, a login, counted by \
                    callgrind:\n# benches/run --write instructions\n";
        std::fs::write(WRITTEN, format!("{head}{text}")).unwrap();
    }
    let written: Counted = toml::from_str(&std::fs::read_to_string(WRITTEN).unwrap()).unwrap();
    let rows = counted.instructions.iter().map(|(what, now)| {
        let before = written.instructions[what];
        let ratio = *now as f64 / before as f64;
        let mut changed = String::new();
        for (tool, version) in &counted.made_with {
            if written.made_with.get(tool) != Some(version) {
                let _ = write!(changed, "; another {tool}");
            }
        }
        Row {
            what: format!("instructions from `next` to the commit: {what}"),
            measured: thousands(*now),
            peer: format!(
                "written down in instructions.toml: {}{changed}",
                thousands(before)
            ),
            ratio: format!("{ratio:.2}"),
            goal: format!("at most {TOLERANCE} times"),
            // Of so few, much is chance.
            holds: (!bench.options.quick).then_some(ratio <= TOLERANCE),
        }
    });
    rows.collect()
}

/// What the numbers depend on, beside ourselves.
fn tools() -> BTreeMap<String, String> {
    let said = |program: &str, arguments: &[&str]| {
        let output = Command::new(program).args(arguments).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.lines().next().unwrap_or_default().to_owned()
    };
    [
        ("rustc", said("rustc", &["--version"])),
        (
            "libsystemd",
            said("pkg-config", &["--modversion", "libsystemd"]),
        ),
        ("valgrind", said("valgrind", &["--version"])),
    ]
    .map(|(tool, version)| (tool.to_owned(), version))
    .into()
}

/// The instructions that [`read_to_commit`] takes for so many entries.
fn count(journal: &Path, entries: usize) -> u64 {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg("--toggle-collect=*instructions::read_to_commit*")
        .arg(std::env::current_exe().unwrap())
        .arg("--commit")
        .arg(journal)
        .arg("--entries")
        .arg(entries.to_string())
        .output()
        .expect("valgrind should be installed");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let line = said
        .lines()
        .find_map(|line| line.split_once("Collected : "));
    let counted = line.expect("callgrind tells what it has counted").1;
    let counted = counted.trim().parse().unwrap();
    assert!(counted > 0, "callgrind knows the function by name: {said}");
    counted
}

/// Takes so many entries from the journal's beginning all the way to the store.
pub fn commit(journal: PathBuf, entries: usize) {
    let all: Vec<String> = BUILT_IN
        .iter()
        .map(|(name, _)| (*name).to_owned())
        .collect();
    let definitions = load(&all, Path::new("/nonexistent")).unwrap();
    let recogniser = Arc::new(Recogniser::new(definitions, &BTreeMap::new(), |_| Some(0)));
    let mut taker = Taker::new(recogniser.clone(), Senders::Trusted, Unknown::PassOn);
    let mut whitelist = Whitelist::new(Rules {
        grace: SignedDuration::from_mins(30),
        max_session: SignedDuration::from_hours(24),
        limits: Limits {
            clients: 1_000_000,
            clients_per_user: 10_000,
            sessions: 1_000_000,
        },
        permitted: Networks::default(),
        never: Networks::default(),
    });
    let state = tempfile::tempdir().unwrap();
    let mut store = Store::open(&state.path().join("store")).unwrap().store;
    let mut reader = Reader::open(&Source::Directory(journal), recogniser.identifiers()).unwrap();
    reader.hurry().unwrap();
    reader.seek_head().unwrap();
    let events = read_to_commit(&mut reader, &mut taker, &mut whitelist, &mut store, entries);
    assert_eq!(events, entries, "each entry is an event");
}

/// What is counted. Returns how many events the entries were.
#[inline(never)]
fn read_to_commit(
    reader: &mut Reader,
    taker: &mut Taker,
    whitelist: &mut Whitelist,
    store: &mut Store,
    entries: usize,
) -> usize {
    let mut read = Entry::default();
    let mut events = 0;
    for entry in 1..=entries {
        assert!(reader.next().unwrap(), "the journal has all entries");
        reader.read(&mut read).unwrap();
        if let Intake::Event(event) = taker.take(&read) {
            whitelist.apply(&event, event.time);
            events += 1;
        }
        if entry % BATCH == 0 || entry == entries {
            let position = [(Id::DEFAULT_SOURCE, reader.position().unwrap())].into();
            let delta = whitelist.take_delta(usize::MAX);
            store
                .commit(delta.clients(), delta.sessions(), &position)
                .unwrap();
        }
    }
    events
}
