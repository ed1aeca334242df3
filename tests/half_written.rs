//! An entry that is read while journald writes it. For a moment libsystemd passes over a field that is not
//! linked yet (`sd_journal_enumerate_data()` in its source): it has been seen to read an entry without its
//! message. Nobody must be lost by that.

mod foreground;
mod journal_files;

use std::fs;

use foreground::Foreground;
use jiff::SignedDuration;
use journal_files::JournalFiles;
use journal_files::entry::{Entry, export};
use journal_files::half_written::HalfWritten;

const EARLY: &str = "192.0.2.20";
const LAST: &str = "192.0.2.10";

/// A journal whose last login is not there yet.
fn journal() -> (JournalFiles, HalfWritten) {
    let early = Entry::login(SignedDuration::from_secs(200), EARLY, "a");
    let last = Entry::dovecot(SignedDuration::ZERO, message());
    let files = JournalFiles::import(&export(&[early, last]));
    let half = HalfWritten::make(&files.path().join("imported.journal"), &message());
    (files, half)
}

fn message() -> String {
    format!("imap-login: Login: user=<al>, rip={LAST}, lip=192.0.2.1, session=<b>")
}

fn start() -> (Foreground, HalfWritten) {
    let (files, half) = journal();
    let service = Foreground::start_on(files, "permitted-networks = []");
    service.wait_for("caught up with the journal: 1 client");
    (service, half)
}

#[test]
fn it_is_read_again_once_it_is_whole() {
    let (service, half) = start();
    assert!(!service.ask("list").contains(LAST));
    half.finish();
    service.wait_for_answer("list", LAST);
    assert!(service.ask("list").contains(EARLY));
}

#[test]
fn it_is_read_by_the_next_process_if_this_one_is_killed_before() {
    let (mut service, half) = start();
    service.child.kill().unwrap();
    half.finish();
    service.start_again_as(foreground::program());
    service.wait_for("caught up with the journal: 2 clients");
}

#[test]
fn the_last_entry_may_go_while_it_is_looked_at() {
    let first = Entry::login(SignedDuration::from_secs(200), EARLY, "first");
    let files = JournalFiles::import(&export(&[first]));
    let service = Foreground::start_on(files, "permitted-networks = []");
    service.wait_for("caught up with the journal: 1 client");
    // From the second time on, the service does not look for the place at once.
    let mut last = "imported.journal".to_owned();
    for number in 1..4 {
        fs::remove_file(service.journal.path().join(&last)).unwrap();
        let client = format!("192.0.2.{number}");
        let entry = Entry::login(SignedDuration::ZERO, &client, &client);
        last = format!("file{number}.journal");
        service.journal.add(&last, &export(&[entry]));
        service.wait_for_answer("list", &client);
    }
    let log = service.log();
    assert!(!log.contains("reading the journal"), "{log}");
}
