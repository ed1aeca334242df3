//! Journal files that the service may not read: it reads the others, says so, and reads these as soon
//! as it may.

mod foreground;
mod journal_files;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use foreground::{Foreground, Notifications, PATIENCE};
use jiff::SignedDuration;
use journal_files::JournalFiles;
use journal_files::entry::{Entry, export};

const EARLY: &str = "192.0.2.20";
const LATE: &str = "192.0.2.10";

/// The program, as a process that modes keep out: root without the capabilities that override them.
fn program() -> Command {
    let program = env!("CARGO_BIN_EXE_pop-before-smtp");
    if !rustix::process::geteuid().is_root() {
        return Command::new(program);
    }
    let mut command = Command::new("setpriv");
    command.args([
        "--bounding-set=-dac_override,-dac_read_search",
        "--",
        program,
    ]);
    command
}

fn file(name: &str, seconds_ago: i64, client: &str) -> (String, Vec<u8>) {
    let ago = SignedDuration::from_secs(seconds_ago);
    let entry = Entry::login(ago, client, name);
    (format!("{name}.journal"), export(&[entry]))
}

/// A file that can't be read, and one that can, with a later login.
fn two_files() -> JournalFiles {
    let journal = JournalFiles::none();
    for (name, text) in [file("early", 300, EARLY), file("late", 200, LATE)] {
        journal.add(&name, &text);
    }
    set_mode(&journal.path().join("early.journal"), 0o000);
    journal
}

fn set_mode(file: &Path, mode: u32) {
    fs::set_permissions(file, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn one_of_two_stops_nothing_and_is_read_when_it_can_be() {
    let service = Foreground::start_as(program(), two_files(), "permitted-networks = []");
    service.wait_for("caught up with the journal: 1 client");
    let listed = service.ask("list");
    assert!(listed.contains(LATE) && !listed.contains(EARLY), "{listed}");
    let status = service.ask("status");
    let early = service.journal.path().join("early.journal");
    let named = format!("{} can't be read by this user", early.display());
    assert!(status.contains(&named), "{status}");
    // What is written meanwhile is read.
    let (name, text) = file("latest", 100, "192.0.2.30");
    service.journal.add(&name, &text);
    service.wait_for_answer("list", "192.0.2.30");
    // And what has been passed by is, as soon as it can be.
    set_mode(&early, 0o600);
    service.wait_for_answer("list", EARLY);
    service.wait_for_answer("status", "Problems: none");
    let log = service.log();
    assert_eq!(log.matches(&named).count(), 1, "{log}");
    assert!(log.contains("reading it again from"), "{log}");
}

#[test]
fn a_file_that_becomes_readable_while_the_service_is_away_is_read() {
    let mut service = Foreground::start_as(program(), two_files(), "permitted-networks = []");
    service.wait_for("caught up with the journal: 1 client");
    // Also what has come since is in no place that is kept.
    let (name, text) = file("latest", 100, "192.0.2.30");
    service.journal.add(&name, &text);
    service.wait_for_answer("list", "192.0.2.30");
    let pid = service.child.id().to_string();
    Command::new("kill").arg(pid).status().unwrap();
    service.child.wait().unwrap();
    set_mode(&service.journal.path().join("early.journal"), 0o600);
    service.start_again_as(program());
    service.wait_for("caught up with the journal: 3 clients");
    service.wait_for_answer("status", "Problems: none");
}

#[test]
fn a_file_that_can_not_be_read_from_the_start_of_it_is_noticed() {
    let entry = Entry::login(SignedDuration::from_secs(200), LATE, "a");
    let journal = JournalFiles::import(&export(&[entry]));
    let service = Foreground::start_as(program(), journal, "permitted-networks = []");
    service.wait_for("caught up with the journal: 1 client");
    let aside = JournalFiles::none();
    let (name, text) = file("new", 1, EARLY);
    aside.add(&name, &text);
    let (aside, new) = (aside.path().join(&name), service.journal.path().join(&name));
    set_mode(&aside, 0o000);
    fs::rename(&aside, &new).unwrap();
    // As other files are written, which is what wakes the reader.
    let patience = Instant::now() + PATIENCE;
    for n in 0.. {
        let (name, text) = file(&format!("other{n}"), 0, LATE);
        service.journal.add(&name, &text);
        if service.ask("status").contains("new.journal can't be read") {
            break;
        }
        assert!(Instant::now() < patience, "{}", service.log());
        std::thread::sleep(Duration::from_secs(1));
    }
    assert!(!service.ask("list").contains(EARLY));
    set_mode(&new, 0o600);
    service.wait_for_answer("list", EARLY);
}

#[test]
fn where_nothing_can_be_read_the_service_is_ready_all_the_same_and_says_so() {
    let journal = two_files();
    set_mode(&journal.path().join("late.journal"), 0o000);
    let mut command = program();
    let notifications = Notifications::of(&mut command);
    let service = Foreground::start_as(command, journal, "permitted-networks = []");
    let told = notifications.wait_until_ready();
    assert!(told.contains("PROBLEM"), "{told}");
    assert!(told.contains("early.journal can't be read"), "{told}");
    // There is a map for Postfix to read, and nobody in it.
    assert!(service.path("state").join("clients.db").exists());
    assert!(!service.ask("list").contains("192.0.2."));
    for name in ["early", "late"] {
        set_mode(
            &service.journal.path().join(format!("{name}.journal")),
            0o600,
        );
    }
    service.wait_for("caught up with the journal: 2 clients");
    service.wait_for_answer("status", "Problems: none");
}
