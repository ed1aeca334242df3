//! What a whitelist and its store cost: anonymous memory a client, time an event, time to load.
//!
//! `cargo bench --bench whitelist`. Each row is measured in a process of its own, as memory that
//! was given back by one measurement would hide what the next one takes. Figures only: nothing
//! here passes or fails.

use std::env::args;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use pop_before_smtp::client::Client;
use pop_before_smtp::config::Limits;
use pop_before_smtp::event::{Event, EventKind};
use pop_before_smtp::networks::Networks;
use pop_before_smtp::origin::Origin;
use pop_before_smtp::store::{Positions, Store};
use pop_before_smtp::whitelist::{Rules, Whitelist};

/// Whitelists of these sizes are measured.
const SIZES: [u32; 4] = [1_000, 10_000, 100_000, 1_000_000];
/// The catch-up: so many events, of so many clients.
const EVENTS: u32 = 1_000_000;
const CLIENTS: u32 = 50_000;
/// So many records are committed at once, as the service does it.
const AT_ONCE: usize = 512;

fn rules() -> Rules {
    Rules {
        grace: SignedDuration::from_mins(30),
        max_session: SignedDuration::from_hours(24),
        limits: Limits {
            sessions: 1_000_000,
            ..Limits::NONE
        },
        permitted: Networks::default(),
        never: Networks::default(),
    }
}

fn now() -> Timestamp {
    Timestamp::from_second(1_800_000_000).expect("a time")
}

/// Every second one of IPv6, as addresses are that come from everywhere.
fn client(n: u32) -> Client {
    let scattered = n.wrapping_mul(2_654_435_761);
    let address: IpAddr = if n.is_multiple_of(2) {
        let [_, b, c, d] = (n * 7).to_be_bytes();
        Ipv4Addr::new(20, b, c, d).into()
    } else {
        Ipv6Addr::from(0x2001_0db8_u128 << 96 | u128::from(scattered) << 64 | u128::from(n)).into()
    };
    Client::from(address)
}

fn login(n: u32, who: u32, sessions: bool) -> Event {
    Event::new(
        now(),
        Origin::OF_LINES,
        "dovecot",
        EventKind::Login {
            client: client(who),
            user: Some(format!("user{who}@example.com")),
            session: sessions.then(|| format!("mpyWQ{n:011x}")),
        },
    )
}

fn logout(n: u32, who: u32) -> Event {
    Event::new(
        now(),
        Origin::OF_LINES,
        "dovecot",
        EventKind::Logout {
            client: None,
            user: Some(format!("user{who}@example.com")),
            session: Some(format!("mpyWQ{n:011x}")),
            login_may_follow: true,
        },
    )
}

/// Anonymous memory of this process, in bytes.
fn anonymous() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("/proc");
    let line = status.lines().find_map(|l| l.strip_prefix("RssAnon:"));
    let kilobytes = line.expect("RssAnon").trim().trim_end_matches(" kB");
    kilobytes.parse::<f64>().expect("a number") * 1024.0
}

fn megabytes(bytes: f64) -> f64 {
    bytes / 1e6
}

/// Commits what has changed. Says how long that took at most for the records of one go: nothing
/// else is done meanwhile.
fn commit(store: &mut Store, whitelist: &mut Whitelist) -> Duration {
    let mut longest = Duration::ZERO;
    loop {
        let started = Instant::now();
        let delta = whitelist.take_delta(AT_ONCE);
        let committed = store.commit(delta.clients(), delta.sessions(), &Positions::new());
        committed.expect("commit");
        let is_last = delta.is_last();
        longest = longest.max(started.elapsed());
        if is_last {
            return longest;
        }
    }
}

/// Lists `size` clients, one event after the other, and commits them.
fn grow(size: u32, sessions: bool, path: &Path) {
    let mut store = Store::open(path).expect("a store").store;
    let empty = anonymous();
    let mut whitelist = Whitelist::new(rules());
    for n in 0..size {
        whitelist.apply(&login(n, n, sessions), now());
    }
    let listed = anonymous();
    let started = Instant::now();
    let longest = commit(&mut store, &mut whitelist);
    let took = started.elapsed();
    let stored = anonymous();
    println!(
        "{size:>9} {:>8} {:>7.1} {:>9.0} {:>9.1} {:>9.0} {:>9.2} s {:>10.1} ms",
        if sessions { "one each" } else { "none" },
        megabytes(empty),
        (listed - empty) / f64::from(size),
        megabytes(stored),
        stored / f64::from(size),
        took.as_secs_f64(),
        longest.as_secs_f64() * 1e3,
    );
}

/// Loads what [`grow`] has stored.
fn load(path: &Path) {
    let started = Instant::now();
    let opened = Store::open(path).expect("a store");
    let whitelist = Whitelist::restore(rules(), opened.kept.clients, opened.kept.sessions);
    let took = started.elapsed();
    let loaded = anonymous();
    println!(
        "{:>9} {:>8} {:>7} {:>9} {:>9.1} {:>9.0} {:>9.2} s",
        "",
        "loaded",
        "",
        "",
        megabytes(loaded),
        loaded / whitelist.len() as f64,
        took.as_secs_f64()
    );
}

/// A million events of fifty thousand clients, and one commit: what the loop does in a catch-up.
fn catch_up(kind: &str, path: &Path) {
    let events: Vec<Event> = (0..EVENTS)
        .map(|n| match kind {
            "prolong" => login(n, n % CLIENTS, false),
            "open" => login(n, n % CLIENTS, true),
            // Every session ends a while after it began.
            _ if n % 2 == 0 => login(n / 2, n / 2 % CLIENTS, true),
            _ => logout((n / 2).saturating_sub(100), n / 2 % CLIENTS),
        })
        .collect();
    let mut store = Store::open(path).expect("a store").store;
    let before = anonymous();
    let mut whitelist = Whitelist::new(rules());
    let started = Instant::now();
    for event in &events {
        whitelist.apply(event, now());
    }
    let applied = started.elapsed();
    commit(&mut store, &mut whitelist);
    let committed = started.elapsed() - applied;
    let each = |time: Duration| time.as_secs_f64() * 1e9 / f64::from(EVENTS);
    println!(
        "{kind:<9} {:>12.0} {:>12.0} {:>12.0} {:>10.1}",
        each(applied),
        each(committed),
        each(applied + committed),
        megabytes(anonymous() - before),
    );
}

fn ourselves(arguments: &[&str], path: &Path) {
    let program = std::env::current_exe().expect("our own name");
    let status = Command::new(program).args(arguments).arg(path).status();
    assert!(status.expect("a process").success());
}

fn main() {
    let arguments: Vec<String> = args().skip(1).filter(|a| a != "--bench").collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments.as_slice() {
        ["grow", size, sessions, path] => {
            let size = size.parse().expect("a number");
            return grow(size, *sessions == "sessions", Path::new(path));
        }
        ["load", path] => return load(Path::new(path)),
        ["catch-up", kind, path] => return catch_up(kind, Path::new(path)),
        _ => {}
    }
    let directory = tempfile::tempdir().expect("a directory");
    let new_store = || -> PathBuf {
        let path = directory.path().join("store");
        let _ = std::fs::remove_dir_all(&path);
        path
    };
    println!(
        "{:>9} {:>8} {:>7} {:>9} {:>9} {:>9} {:>11} {:>13}",
        "clients",
        "sessions",
        "MB empty",
        "B/client",
        "MB stored",
        "B/client",
        "time",
        "longest turn"
    );
    for sessions in ["none", "sessions"] {
        for size in SIZES {
            let path = new_store();
            ourselves(&["grow", &size.to_string(), sessions], &path);
            ourselves(&["load"], &path);
        }
    }
    println!(
        "\n{:<9} {:>12} {:>12} {:>12} {:>10}",
        "catch-up", "apply ns", "commit ns", "ns an event", "MB"
    );
    for kind in ["prolong", "open", "close"] {
        ourselves(&["catch-up", kind], &new_store());
    }
}
