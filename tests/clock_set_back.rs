//! What is read of a journal after the clock was set back: the entries that were read last are ahead of it.

mod foreground;
mod journal_files;

use std::fs;

use foreground::Foreground;
use jiff::SignedDuration;
use journal_files::JournalFiles;
use journal_files::entry::{Entry, export};
use journal_files::half_written::HalfWritten;

fn ago(seconds: i64) -> SignedDuration {
    SignedDuration::from_secs(seconds)
}

/// Two entries, so many seconds ahead of the clock: the place is that of the first, as the last of a
/// journal is read once more.
fn ahead(seconds: i64) -> [Entry; 2] {
    [
        Entry::login(ago(-seconds), "192.0.2.1", "a"),
        Entry::login(ago(-seconds - 5), "192.0.2.1", "b"),
    ]
}

/// Entries that were written after the clock was set back: another clock has gone on meanwhile.
fn set_back(entries: &[Entry]) -> Vec<u8> {
    let text = String::from_utf8(export(entries)).unwrap();
    let lines = text.lines().map(|line| {
        let (name, value) = line.split_once('=').unwrap_or((line, ""));
        match name {
            "__MONOTONIC_TIMESTAMP" => {
                let microseconds: u64 = value.parse().unwrap();
                format!("{name}={}\n", microseconds + 7_200_000_000)
            }
            _ => format!("{line}\n"),
        }
    });
    lines.collect::<String>().into_bytes()
}

/// The file with the place goes, and another one comes with two logins.
fn vacuum(service: &Foreground) {
    fs::remove_file(service.journal.path().join("imported.journal")).unwrap();
    let entries = [
        Entry::login(ago(10), "192.0.2.2", "c"),
        Entry::login(ago(5), "192.0.2.3", "d"),
    ];
    service.journal.add("new.journal", &set_back(&entries));
}

const GONE: &str = "the entry that was read last is no longer in the journal";

#[test]
fn a_place_ahead_of_the_clock_that_is_gone_loses_no_login() {
    // By an hour, its logins do not count. What seems to be in the future by less is believed.
    for seconds in [3600, 45] {
        let service = Foreground::start(&ahead(seconds), "permitted-networks = []");
        vacuum(&service);
        service.wait_for_answer("list", "192.0.2.2");
        service.wait_for_answer("list", "192.0.2.3");
        assert_eq!(service.log().matches(GONE).count(), 1, "{}", service.log());
    }
}

#[test]
fn nor_does_one_that_goes_while_the_service_is_away() {
    let mut service = Foreground::start(&ahead(45), "permitted-networks = []");
    service.stop();
    vacuum(&service);
    service.start_again("permitted-networks = []");
    service.wait_for("caught up with the journal: 3 clients");
    assert_eq!(service.log().matches(GONE).count(), 1, "{}", service.log());
}

#[test]
fn an_entry_that_is_half_written_then_is_read_again_once_it_is_whole() {
    let message = "imap-login: Login: user=<al>, rip=192.0.2.10, lip=192.0.2.1, session=<z>";
    let last = Entry::dovecot(ago(0), message);
    let files = JournalFiles::import(&export(&[Entry::login(ago(200), "192.0.2.2", "c"), last]));
    // Nobody's, but the newest.
    let other = Entry::dovecot(ago(-3600), "tick").but("SYSLOG_IDENTIFIER", Some("cron"));
    files.add("ahead.journal", &export(&[other]));
    let half = HalfWritten::make(&files.path().join("imported.journal"), message);
    let service = Foreground::start_on(files, "permitted-networks = []");
    service.wait_for("caught up with the journal: 1 client");
    half.finish();
    service.wait_for_answer("list", "192.0.2.10");
}
