//! Reading real journal files while they are written.

mod journal_files;

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use journal_files::JournalFiles;
use journal_files::entry::{Entry, export};
use pop_before_smtp::journal::wait::Wait;
use pop_before_smtp::journal::{self, Reader, Resumed, Source};
use pop_before_smtp::servers::LONGEST_MESSAGE;

const WANTED: [&str; 4] = ["dovecot", "imapd", "pop3d", "never"];

fn says(seconds_ago: i64, identifier: &str, message: &str) -> Entry {
    Entry::dovecot(SignedDuration::from_secs(seconds_ago), message)
        .but("SYSLOG_IDENTIFIER", Some(identifier))
}

fn reader(journal: &JournalFiles) -> Reader {
    let mut reader = Reader::open(&Source::Directory(journal.path().into()), WANTED).unwrap();
    reader.hurry().unwrap();
    reader
}

fn next(reader: &mut Reader) -> Option<String> {
    let mut entry = journal::Entry::default();
    reader.next().unwrap().then(|| {
        reader.read(&mut entry).unwrap();
        String::from_utf8(entry.message).unwrap()
    })
}

/// Appends to the file that is there, as journald does.
fn append(journal: &JournalFiles, entries: &[Entry]) {
    journal.add("imported.journal", &export(entries));
}

#[test]
fn an_identifier_that_first_writes_while_the_reader_hurries_is_not_missed() {
    let journal = JournalFiles::import(&export(&[
        says(90, "dovecot", "a"),
        says(80, "cron", "not wanted"),
        says(70, "dovecot", "b"),
        says(60, "cron", "not wanted"),
    ]));
    let mut reader = reader(&journal);
    reader.seek_head().unwrap();
    assert_eq!(next(&mut reader).unwrap(), "a");
    append(
        &journal,
        &[
            says(50, "imapd", "c"),
            says(40, "dovecot", "d"),
            says(30, "pop3d", "e"),
        ],
    );
    let rest: Vec<_> = std::iter::from_fn(|| next(&mut reader)).collect();
    assert_eq!(rest, ["b", "c", "d", "e"]);
    // In another file, which a reader sees only once it has waited.
    let (mut wait, _bell) = Wait::new().unwrap();
    reader.tell(&mut wait).unwrap();
    journal.add("other.journal", &export(&[says(20, "never", "f")]));
    reader.wait(&mut wait, Duration::from_secs(5)).unwrap();
    assert_eq!(next(&mut reader).unwrap(), "f");
    assert_eq!(next(&mut reader), None);
}

#[test]
fn where_reading_begins_behind_the_last_entry_nothing_is_missed() {
    let journal = JournalFiles::import(&export(&[says(90, "dovecot", "a")]));
    let mut reader = reader(&journal);
    reader
        .seek_time(Timestamp::now() - SignedDuration::from_secs(50))
        .unwrap();
    append(
        &journal,
        &[says(40, "imapd", "b"), says(30, "dovecot", "c")],
    );
    let read: Vec<_> = std::iter::from_fn(|| next(&mut reader)).collect();
    assert_eq!(read, ["b", "c"]);
}

#[test]
fn reading_goes_on_behind_the_last_entry() {
    let journal = JournalFiles::import(&export(&[
        says(90, "dovecot", "a"),
        says(80, "dovecot", "b"),
    ]));
    let mut reader = reader(&journal);
    reader.seek_head().unwrap();
    assert!(reader.next().unwrap() && reader.next().unwrap());
    let last = reader.position().unwrap();
    // From the last entry back to the first.
    reader.seek_head().unwrap();
    assert_eq!(next(&mut reader).unwrap(), "a");
    assert_eq!(reader.resume(&last).unwrap(), journal::Resumed::Exactly);
    append(
        &journal,
        &[says(40, "imapd", "c"), says(30, "dovecot", "d")],
    );
    let read: Vec<_> = std::iter::from_fn(|| next(&mut reader)).collect();
    assert_eq!(read, ["c", "d"]);
}

#[test]
fn who_first_writes_when_all_has_been_read_is_not_missed() {
    for first in ["dovecot", "imapd"] {
        let journal = JournalFiles::import(&export(&[says(90, "dovecot", "a")]));
        let mut reader = reader(&journal);
        reader.seek_head().unwrap();
        assert_eq!(next(&mut reader).unwrap(), "a");
        assert_eq!(next(&mut reader), None);
        append(&journal, &[says(80, "cron", "not wanted")]);
        assert_eq!(next(&mut reader), None);
        append(
            &journal,
            &[
                says(70, first, "b"),
                says(60, "imapd", "c"),
                says(50, "dovecot", "d"),
                says(40, "pop3d", "e"),
            ],
        );
        let read: Vec<_> = std::iter::from_fn(|| next(&mut reader)).collect();
        assert_eq!(read, ["b", "c", "d", "e"]);
    }
}

#[test]
fn a_journal_without_wanted_entries_is_read_as_well() {
    let journal = JournalFiles::import(&export(&[says(90, "cron", "a")]));
    let mut reader = reader(&journal);
    reader.seek_head().unwrap();
    assert_eq!(next(&mut reader), None);
    append(&journal, &[says(40, "imapd", "b")]);
    assert_eq!(next(&mut reader).unwrap(), "b");
}

#[test]
fn among_very_many_identifiers_nothing_is_missed() {
    let mut entries = vec![says(5_000, "dovecot", "a"), says(4_900, "never", "b")];
    entries.extend((0..400).map(|n| says(4_000 - n, &format!("tag{n}"), "not wanted")));
    entries.push(says(90, "dovecot", "c"));
    let journal = JournalFiles::import(&export(&entries));
    let mut reader = reader(&journal);
    reader.seek_head().unwrap();
    append(&journal, &[says(60, "imapd", "d")]);
    let read: Vec<_> = std::iter::from_fn(|| next(&mut reader)).collect();
    assert_eq!(read, ["a", "b", "c", "d"]);
}

#[test]
fn who_has_written_is_known_from_the_index() {
    let some = [
        says(90, "dovecot", "a"),
        says(80, "cron", "not wanted"),
        says(30, "imapd", "b"),
    ];
    let others = (0..400).map(|n| says(20, &format!("tag{n}"), "not wanted"));
    let few = JournalFiles::import(&export(&some));
    let many: Vec<Entry> = some.iter().cloned().chain(others).collect();
    let many = JournalFiles::import(&export(&many));
    let ago = |seconds| Timestamp::now() - SignedDuration::from_secs(seconds);
    for journal in [few, many] {
        let source = Source::Directory(journal.path().into());
        let seen = |since| journal::seen(&source, WANTED, since).unwrap().unwrap();
        assert_eq!(Vec::from_iter(seen(ago(100))), ["dovecot", "imapd"]);
        assert_eq!(Vec::from_iter(seen(ago(60))), ["imapd"]);

        let reader = reader(&journal);
        let before = |time| reader.may_have_written(WANTED.to_vec(), time);
        assert_eq!(before(ago(60)), ["dovecot", "imapd"]);
        // That one was not looked for.
        assert_eq!(before(ago(10)), WANTED);
    }
}

/// journald counts an entry before it links it to its fields, and libsystemd does not look again at
/// a file in which their number has not changed. So one that is looked for at the wrong moment is not
/// seen until another is written; or until it is looked for from a place that is known.
#[test]
fn an_entry_that_was_looked_for_while_it_was_written_is_found_anew() {
    let journal = JournalFiles::import(&export(&[says(90, "dovecot", "first")]));
    let mut reader = reader(&journal);
    reader.seek_head().unwrap();
    assert_eq!(next(&mut reader).unwrap(), "first");
    let mut position = reader.position().unwrap();
    journal.add_written("imported.journal", |to| {
        for n in 0..100 {
            let message = n.to_string();
            to.write_all(&export(&[says(10, "dovecot", &message)]))?;
            to.flush()?;
            let written = Instant::now() + Duration::from_millis(100);
            let patience = Instant::now() + Duration::from_secs(20);
            loop {
                let found = next(&mut reader);
                if found.is_some() {
                    assert_eq!(found, Some(message));
                    break;
                }
                assert!(Instant::now() < patience, "{message} is not found");
                if Instant::now() > written {
                    assert_eq!(reader.resume(&position).unwrap(), Resumed::Exactly);
                }
            }
            position = reader.position().unwrap();
        }
        Ok(())
    });
}

#[test]
fn of_a_huge_message_no_more_is_taken_than_shows_that_it_is_too_long() {
    // What can't be compressed, libsystemd hands over whole.
    let mut state = 1u64;
    let huge: Vec<u8> = std::iter::repeat_with(|| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 56) as u8
    })
    .take(1 << 20)
    .collect();
    let journal = JournalFiles::import(&export(&[
        Entry::dovecot(SignedDuration::from_secs(20), &huge).with("SYSLOG_IDENTIFIER", &huge),
        says(10, "dovecot", "short"),
    ]));
    let mut reader = reader(&journal);
    reader.seek_head().unwrap();
    let mut entry = journal::Entry::default();
    assert!(reader.next().unwrap());
    reader.read(&mut entry).unwrap();
    assert_eq!(entry.message.len(), LONGEST_MESSAGE + 1);
    assert!(huge.starts_with(&entry.message));
    assert!(entry.is_ambiguous() && entry.identifier.len() <= LONGEST_MESSAGE + 1);
    // Nor is the room kept for the next one.
    assert!(reader.next().unwrap());
    reader.read(&mut entry).unwrap();
    assert_eq!(entry.message, b"short");
    assert!(entry.message.capacity() < LONGEST_MESSAGE);
}
