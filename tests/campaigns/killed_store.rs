//! A process that writes into a store as the service does, with tens of thousands of records, is killed at
//! random moments and before particular system calls, also while it opens the store. What is there then is
//! what it had written up to some moment: never a part from between, and never a store that is taken for
//! damaged.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use pop_before_smtp::client::Client;
use pop_before_smtp::journal::Position;
use pop_before_smtp::origin::{Id, Origin};
use pop_before_smtp::store::{Opened, Positions, Store};
use pop_before_smtp::whitelist::{Listing, Session, SessionKey};

use crate::damage::copy;
use crate::plan::Plan;

const SHORT: Duration = Duration::from_secs(6);
/// Tells the process that is to be killed where to write.
const STORE: &str = "POP_BEFORE_SMTP_CAMPAIGN_STORE";
/// What that process runs, and does otherwise.
const THIS: &str = "killed_store::a_store_whose_process_is_killed_is_as_it_was_at_some_moment";
/// How many sessions there are, each with a client.
const MANY: u32 = 24_000;
/// So many change together with the place in the journal ...
const TOGETHER: u32 = 1_200;
/// ... of which so many are written at once, as by the service.
const AT_ONCE: usize = 512;
/// What is not killed ends after so many steps.
const STEPS: u32 = 4;
/// The system calls before which it is killed: where something is written, becomes visible, or is forgotten.
const CALLS: &[&str] = &[
    "write",
    "pwrite64",
    "openat",
    "fsync",
    "sync_file_range",
    "rename",
    "unlink",
];
/// After so many steps, each has changed once.
const LAP: u32 = MANY / TOGETHER;

/// Where in the order of changes a number comes: neighbours change at different times.
fn place(number: u32) -> u32 {
    number * 7919 % MANY
}

/// The step that has last changed this one by `step`; none if it had not been there, or is gone.
fn last_change(number: u32, step: u32) -> Option<u32> {
    let of_lap = place(number) / TOGETHER;
    let last = step.checked_sub((step + LAP - of_lap) % LAP)?;
    is_there(number, last).then_some(last)
}

/// Whether it is there once it was changed in this step.
fn is_there(number: u32, step: u32) -> bool {
    !(number + step / LAP).is_multiple_of(3)
}

fn time(step: u32) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + i64::from(step)).unwrap()
}

fn client(number: u32) -> Client {
    Client::from(IpAddr::from(Ipv4Addr::from_bits(0x0a00_0000 + number)))
}

fn id(number: u32) -> String {
    format!("session{number}")
}

fn key(id: &str) -> SessionKey<'_> {
    SessionKey {
        origin: Origin::OF_LINES,
        server: "dovecot",
        id,
    }
}

fn session(number: u32, step: u32) -> Session {
    Session {
        client: Some(client(number)),
        since: time(step),
        ended: None,
        protocol: None,
        longest: None,
        is_doubtful: false,
    }
}

fn listing(step: u32) -> Listing<'static> {
    Listing {
        since: time(0),
        last_login: time(step),
        last: time(step),
        user: Some("tom@mail.example.org".into()),
        server: "dovecot".into(),
        source: Id::DEFAULT_SOURCE,
        open: 0,
    }
}

/// The step that a store has come to, the last of which it has all.
fn step_of(positions: &Positions) -> Option<u32> {
    let position = positions.get(&Id::DEFAULT_SOURCE)?;
    position.cursor.parse().ok()
}

fn write(store: &mut Store, step: u32) {
    let begin = step % LAP * TOGETHER;
    let mut changed: Vec<u32> = (0..MANY)
        .filter(|number| (begin..begin + TOGETHER).contains(&place(*number)))
        .collect();
    changed.sort_by_key(|number| id(*number));
    let position = Position {
        cursor: step.to_string(),
        time: time(step),
    };
    let mut parts = changed.chunks(AT_ONCE).peekable();
    while let Some(part) = parts.next() {
        let ids: Vec<String> = part.iter().map(|number| id(*number)).collect();
        let there = |number: u32| is_there(number, step);
        let clients = part
            .iter()
            .map(|n| (client(*n), there(*n).then(|| listing(step))));
        let sessions = part
            .iter()
            .zip(&ids)
            .map(|(n, id)| (key(id), there(*n).then(|| session(*n, step))));
        let mut positions = Positions::new();
        if parts.peek().is_none() {
            positions.insert(Id::DEFAULT_SOURCE, position.clone());
        }
        store.write(clients, sessions, &positions).unwrap();
    }
    store.flusher().flush().unwrap();
}

/// Writes some steps into a store, and says how many there are.
fn fill(path: &Path) {
    let Opened {
        mut store, kept, ..
    } = Store::open(path).unwrap();
    let next = step_of(&kept.positions).map_or(0, |step| step + 1);
    (next..next + STEPS).for_each(|step| write(&mut store, step));
}

/// What there is of a tree is what there was after this step, or partly already after the next.
#[track_caller]
fn assert_whole(found: &BTreeMap<u32, u32>, step: Option<u32>, what: &str) {
    let next = step.map_or(0, |step| step + 1);
    for number in 0..MANY {
        let found = found.get(&number).copied();
        let now = step.and_then(|step| last_change(number, step));
        let wrong = found != now && found != last_change(number, next);
        assert!(
            !wrong,
            "{what}: {number} of {found:?}, and not {now:?}; {step:?}"
        );
    }
}

#[test]
fn a_store_whose_process_is_killed_is_as_it_was_at_some_moment() {
    // It is this one that is to be killed.
    if let Ok(path) = std::env::var(STORE) {
        return fill(Path::new(&path));
    }
    let mut plan = Plan::new(SHORT);
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    fill(&path);
    let mut steps = None;
    while plan.goes_on() {
        let program = std::env::current_exe().unwrap();
        let before = plan.random.bool().then(|| plan.one_of(CALLS));
        let mut writer = match before {
            None => Command::new(program),
            Some(call) => {
                let number = plan.random.u32(1..10);
                let mut strace = Command::new("strace");
                strace
                    .args(["--follow-forks", "--output=/dev/null"])
                    .arg(format!("--trace={call}"))
                    .arg(format!("--inject={call}:signal=KILL:when={number}"))
                    .arg(program);
                strace
            }
        };
        let mut writer = writer
            .args(["--exact", THIS, "--nocapture"])
            .env(STORE, &path)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        if before.is_none() {
            thread::sleep(Duration::from_millis(plan.random.u64(..1000)));
            writer.kill().unwrap();
        }
        writer.wait().unwrap();

        // A copy: the next process finds it as this one has left it.
        let copied = tempfile::tempdir().unwrap();
        let copied_store = copied.path().join("store");
        copy(&path, &copied_store);
        let Opened {
            kept, set_aside, ..
        } = Store::open(&copied_store).unwrap();
        assert_eq!(set_aside, None, "{}", plan.describe());
        let step = step_of(&kept.positions);
        assert!(step >= steps, "{}: {step:?} {steps:?}", plan.describe());
        steps = step;
        let number = |client: Client| match client.address() {
            IpAddr::V4(ip) => ip.to_bits() - 0x0a00_0000,
            IpAddr::V6(ip) => panic!("{ip}"),
        };
        let second = |time: Timestamp| u32::try_from(time.as_second() - 1_800_000_000).unwrap();
        let clients = kept.clients.iter();
        let clients = clients.map(|(client, l)| (number(client), second(l.last)));
        assert_whole(
            &clients.collect(),
            step,
            &format!("{}: clients", plan.describe()),
        );
        let sessions = kept.sessions.iter();
        let sessions = sessions.map(|(_, s)| (number(s.client.unwrap()), second(s.since)));
        assert_whole(
            &sessions.collect(),
            step,
            &format!("{}: sessions", plan.describe()),
        );
    }
    eprintln!("{}: killed, {steps:?} steps written", plan.describe());
}
