//! Files are damaged at random: those of the store, and those of the journal. Whatever is left of them, the
//! program goes on, and a store lists nobody who was not in it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use jiff::SignedDuration;
use pop_before_smtp::store::{Opened, Store};

use crate::foreground::{Foreground, program};
use crate::journal_files::JournalFiles;
use crate::journal_files::entry::{Entry, export};
use crate::plan::Plan;

const SHORT: Duration = Duration::from_secs(6);
/// Whatever takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(30);

fn logins(number: u8) -> Vec<Entry> {
    let login = |n: u8| {
        let seconds = SignedDuration::from_secs(600 - i64::from(n));
        Entry::login(seconds, &format!("192.0.2.{n}"), &format!("session{n}"))
    };
    (1..=number).map(login).collect()
}

/// Damages one of the files below a directory, or removes it. Says what was done.
fn damage(plan: &mut Plan, directory: &Path) -> String {
    let mut files = files_below(directory);
    files.sort();
    let file = plan.one_of(&files);
    let mut content = fs::read(&file).unwrap();
    let name = file.strip_prefix(directory).unwrap().display().to_string();
    let at = plan.random.usize(..content.len().max(1));
    let done = match plan.random.u8(..10) {
        0 => {
            fs::remove_file(&file).unwrap();
            return format!("{name} removed");
        }
        1 => {
            content.truncate(at);
            format!("{name} cut off after {at} bytes")
        }
        2 => {
            let end = (at + 4096).min(content.len());
            content[at..end].fill(0);
            format!("{name} zeroed from {at} to {end}")
        }
        3 => {
            let end = (at + 4096).min(content.len());
            let page = content[at..end].to_vec();
            let to = plan.random.usize(..=content.len() - page.len());
            content[to..to + page.len()].copy_from_slice(&page);
            format!("{name}: what is at {at} written to {to}")
        }
        _ => {
            let number = plan.random.usize(1..16);
            for _ in 0..number {
                let at = plan.random.usize(..content.len().max(1));
                if let Some(byte) = content.get_mut(at) {
                    *byte = plan.random.u8(..);
                }
            }
            format!("{name}: {number} bytes changed")
        }
    };
    fs::write(&file, content).unwrap();
    done
}

fn files_below(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    entries
        .flat_map(|path| {
            if path.is_dir() {
                files_below(&path)
            } else {
                vec![path]
            }
        })
        .collect()
}

/// Copies a directory.
pub fn copy(from: &Path, to: &Path) {
    for file in files_below(from) {
        let to = to.join(file.strip_prefix(from).unwrap());
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(file, to).unwrap();
    }
}

/// What comes of it, unless it hangs.
fn in_time<T: Send + 'static>(what: &str, act: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, is_done) = mpsc::channel();
    thread::spawn(move || done.send(act()));
    is_done
        .recv_timeout(PATIENCE)
        .unwrap_or_else(|_| panic!("{what}: it hangs, or has panicked"))
}

#[test]
fn a_damaged_store_opens_and_lets_in_nobody_who_was_not_in_it() {
    let mut plan = Plan::new(SHORT);
    let mut service = Foreground::start(&logins(100), "permitted-networks = []\ngrace = \"1h\"");
    service.wait_for_answer("status", "100 clients");
    service.stop();
    let whole = service.path("state/store");
    let Opened { kept, store, .. } = Store::open(&whole).unwrap();
    let clients: BTreeSet<_> = kept.clients.iter().map(|(client, _)| client).collect();
    let sessions: BTreeSet<String> = kept
        .sessions
        .iter()
        .map(|(key, _)| key.id.to_owned())
        .collect();
    drop(store);
    assert_eq!((clients.len(), sessions.len()), (100, 100));
    let mut found: BTreeMap<&str, usize> = BTreeMap::new();
    while plan.goes_on() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("store");
        copy(&whole, &path);
        let said = format!("{}, {}", damage(&mut plan, &path), plan.describe());
        let opened = in_time(&said, move || Store::open(&path));
        let opened = opened.unwrap_or_else(|error| panic!("{said}: {error}"));
        let kept = &opened.kept;
        let is_known = kept
            .clients
            .iter()
            .all(|(client, _)| clients.contains(&client))
            && kept
                .sessions
                .iter()
                .all(|(key, _)| sessions.contains(key.id));
        assert!(is_known, "{said}: it lists who was not listed");
        let what = match opened.set_aside {
            Some(_) => "set aside",
            None if kept.clients.len() == clients.len() => "whole",
            None => "without some of its records",
        };
        *found.entry(what).or_default() += 1;
    }
    eprintln!("{}: {found:?}", plan.describe());
}

#[test]
fn damaged_journal_files_are_read_once_and_as_far_as_they_can_be() {
    let mut plan = Plan::new(SHORT);
    let entries = logins(100);
    let journal = JournalFiles::import(&export(&entries[..50]));
    journal.add("second.journal", &export(&entries[50..]));
    let mut found: BTreeMap<&str, usize> = BTreeMap::new();
    while plan.goes_on() {
        let directory = tempfile::tempdir().unwrap();
        copy(journal.path(), directory.path());
        let said = format!(
            "{}, {}",
            damage(&mut plan, directory.path()),
            plan.describe()
        );
        let mut command = program();
        command
            .args(["test", "--json", "--directory"])
            .arg(directory.path());
        let output = in_time(&said, move || command.output().unwrap());
        let code = output.status.code();
        assert!(matches!(code, Some(0 | 1)), "{said}: {output:?}");
        let lines = String::from_utf8(output.stdout).unwrap();
        let clients: BTreeSet<String> = lines
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
            .filter(|line| line["event"] == "login")
            .map(|line| line["client"].as_str().unwrap().to_owned())
            .collect();
        // A byte of an address may be another one, as journald keeps no sums that it checks when it reads; but
        // nothing is read twice.
        let logins = lines.lines().filter(|line| line.contains("\"login\""));
        assert!(logins.count() <= entries.len(), "{said}: {lines}");
        let what = match clients.len() {
            100 => "all logins read",
            0 => "none",
            _ => "some",
        };
        *found.entry(what).or_default() += 1;
    }
    eprintln!("{}: {found:?}", plan.describe());
}
