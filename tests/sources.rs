//! Several journals read at once: each by itself, at its own place and with its own troubles.

mod foreground;
mod journal_files;

use std::fs;
use std::time::{Duration, Instant};

use foreground::{Foreground, Notifications, program};
use jiff::{SignedDuration, Timestamp};
use journal_files::JournalFiles;
use journal_files::entry::{Entry, export};

const HERE: &str = "192.0.2.10";
const THERE: &str = "192.0.2.20";
const LATE: &str = "192.0.2.30";

fn ago(seconds: i64) -> SignedDuration {
    SignedDuration::from_secs(seconds)
}

fn journal(entries: &[Entry]) -> JournalFiles {
    JournalFiles::import(&export(entries))
}

/// Settings with a source `store1`.
fn with_store(journal: &JournalFiles) -> String {
    let path = journal.path();
    format!("permitted-networks = []\nsources.store1.directory = {path:?}")
}

/// A service that has read a login here, and one there.
fn two_sources() -> (Foreground, JournalFiles) {
    let store = journal(&[Entry::login(ago(300), THERE, "a")]);
    let service = Foreground::start(&[Entry::login(ago(200), HERE, "a")], &with_store(&store));
    service.wait_for("caught up with the journal: 2 clients listed, 2 sessions open");
    (service, store)
}

fn add(journal: &JournalFiles, name: &str, entry: Entry) {
    journal.add(&format!("{name}.journal"), &export(&[entry]));
}

/// How many sessions of a client are open.
#[track_caller]
fn wait_for_sessions(service: &Foreground, total: &str) {
    service.wait_for_answer("status", total);
}

#[test]
fn both_are_read_and_go_on_from_their_places() {
    let (mut service, store) = two_sources();
    let status = service.ask("status");
    for line in [
        "Source: journal (the journal directory",
        "Source: store1 (the journal",
    ] {
        assert!(status.contains(line), "{status}");
    }
    assert!(status.contains("Problems: none"), "{status}");
    // Older than what was read here, and later than what was read there.
    add(&store, "late", Entry::login(ago(250), LATE, "b"));
    service.wait_for_answer("list", LATE);
    service.stop();
    add(&store, "latest", Entry::login(ago(100), "192.0.2.40", "c"));
    service.start_again(&with_store(&store));
    service.wait_for("caught up with the journal: 4 clients listed, 4 sessions open");
    let log = service.log();
    assert!(!log.contains("does not have the entry"), "{log}");
}

#[test]
fn what_one_tells_ends_nothing_of_the_other() {
    let (service, store) = two_sources();
    // The same machine, boot, server and session, as far as the entries say.
    let start = "master: Dovecot v2.3.19.1 (9b53102964) starting up for imap, pop3";
    add(&store, "start", Entry::dovecot(ago(100), start));
    wait_for_sessions(&service, "2 clients, 1 open session");
    let boot = Entry::login(ago(90), LATE, "b");
    let boot = boot.but("_BOOT_ID", Some("fedcba9876543210fedcba9876543210"));
    add(&store, "boot", boot);
    wait_for_sessions(&service, "3 clients, 2 open sessions");
    add(&store, "end", Entry::logout(ago(80), "a"));
    add(
        &store,
        "lost",
        Entry::dovecot(ago(70), "imap: Disconnected: Logged out in=1 out=2"),
    );
    add(&store, "more", Entry::login(ago(60), "192.0.2.40", "c"));
    service.wait_for_answer("list", "192.0.2.40");
    let list = service.ask("list");
    let here = list.lines().find(|line| line.contains(HERE)).unwrap();
    assert!(here.contains("session"), "{list}");
    // Its own end does.
    add(&service.journal, "end", Entry::logout(ago(50), "a"));
    let is_open = |list: &str| {
        let here = list.lines().find(|line| line.contains(HERE));
        here.is_some_and(|here| here.contains("session"))
    };
    let patience = Instant::now() + foreground::PATIENCE;
    while is_open(&service.ask("list")) {
        assert!(Instant::now() < patience, "{}", service.ask("list"));
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn one_that_is_absent_holds_up_nobody_and_is_read_when_it_comes() {
    let store = journal(&[Entry::login(ago(300), THERE, "a")]);
    let aside = store.path().with_extension("aside");
    fs::rename(store.path(), &aside).unwrap();
    let here = journal(&[Entry::login(ago(200), HERE, "a")]);
    let mut command = program();
    let notifications = Notifications::of(&mut command);
    let service = Foreground::start_as(command, here, &with_store(&store));
    let told = notifications.wait_until_ready();
    assert!(told.contains("1 client, 1 session"), "{told}");
    assert!(told.contains("PROBLEM: source store1: "), "{told}");
    service.wait_for("caught up with the journal: 1 client listed");
    let status = service.ask("status");
    assert!(status.contains("; see the problems"), "{status}");
    // The others go on meanwhile.
    add(&service.journal, "late", Entry::login(ago(0), LATE, "b"));
    service.wait_for_answer("list", LATE);
    fs::rename(&aside, store.path()).unwrap();
    service.wait_for_answer("list", THERE);
    service.wait_for_answer("status", "Problems: none");
    service.wait_for("source store1: the journal can be read again");
}

#[test]
fn a_damaged_one_is_a_trouble_of_its_own() {
    let store = JournalFiles::none();
    fs::write(store.path().join("system.journal"), [0; 4096]).unwrap();
    let here = journal(&[Entry::login(ago(200), HERE, "a")]);
    let service = Foreground::start_on(here, &with_store(&store));
    service.wait_for("caught up with the journal: 1 client listed");
    add(&store, "good", Entry::login(ago(300), THERE, "a"));
    service.wait_for_answer("list", THERE);
    assert!(service.ask("list").contains(HERE));
}

#[test]
fn one_that_is_no_longer_read_holds_no_session() {
    let (service, store) = two_sources();
    service.reload("permitted-networks = []");
    service.wait_for_answer("status", "2 clients, 1 open session");
    assert!(!service.ask("status").contains("Source:"));
    // What comes back is read as one that is new: its login is within grace.
    service.reload(&with_store(&store));
    service.wait_for_answer("status", "2 clients, 2 open sessions");
    add(&store, "late", Entry::login(ago(0), LATE, "b"));
    service.wait_for_answer("list", LATE);
}

#[test]
fn another_journal_under_the_same_name_is_another_source() {
    let (mut service, former) = two_sources();
    // Written before what was read of the former one, and within grace.
    let other = journal(&[Entry::login(ago(400), LATE, "b")]);
    service.reload(&with_store(&other));
    service.wait_for_answer("status", "3 clients, 2 open sessions");
    let list = service.ask("list");
    let there = list.lines().find(|line| line.contains(THERE)).unwrap();
    assert!(!there.contains("session"), "{list}");
    // Nor is its place taken for one of the new one's.
    service.stop();
    service.start_again(&with_store(&other));
    service.wait_for("caught up with the journal: 3 clients listed, 2 sessions open");
    assert!(!service.log().contains("does not have the entry"));
    // Nor where a restart comes between.
    add(&former, "early", Entry::login(ago(350), "192.0.2.40", "c"));
    service.stop();
    service.start_again(&with_store(&former));
    // The session that it tells of is open again, and the other one's is not.
    service.wait_for("caught up with the journal: 4 clients listed, 3 sessions open");
    let log = service.log();
    assert!(!log.contains("does not have the entry"), "{log}");
}

#[test]
fn commands_read_all_and_say_what_they_leave_out() {
    let here = journal(&[Entry::login(ago(20), HERE, "a")]);
    let there = journal(&[Entry::login(ago(300), THERE, "a")]);
    let directory = tempfile::tempdir().unwrap();
    let config = directory.path().join("config.toml");
    let text = format!(
        "journal.directory = {:?}\nsources.store1.directory = {:?}\n\
         sources.store2.directory = \"/does/not/exist\"\n",
        here.path(),
        there.path()
    );
    fs::write(&config, text).unwrap();
    let mut command = program();
    let output = command.arg("--config").arg(&config).arg("test").output();
    let output = output.unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let warned = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}{warned}");
    assert!(said.contains(HERE) && said.contains(THERE), "{said}");
    assert!(
        warned.contains("source store2: /does/not/exist"),
        "{warned}"
    );
}

#[test]
fn one_that_a_reload_adds_holds_up_nobody() {
    let here = journal(&[Entry::login(ago(200), HERE, "a")]);
    let service = Foreground::start_on(here, "permitted-networks = []");
    service.wait_for("caught up with the journal: 1 client listed");
    let nowhere = JournalFiles::none();
    let settings = with_store(&nowhere);
    drop(nowhere);
    service.reload(&settings);
    service.wait_for_answer("status", "Source: store1");
    add(&service.journal, "late", Entry::login(ago(0), LATE, "b"));
    // In the map, and not only in the list.
    service.wait_for("published 2 clients");
}

#[test]
fn it_is_told_which_of_them_tells_of_a_login() {
    let (service, store) = two_sources();
    service
        .wait_for("added 192.0.2.20: alice has logged in to dovecot (source store1); it may relay");
    let list = service.ask("list");
    let line = |client: &str| {
        let line = list.lines().find(|line| line.starts_with(client)).unwrap();
        line.split_whitespace()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    assert_eq!(line("CLIENT")[3], "SOURCE", "{list}");
    assert_eq!(line(THERE)[..4], [THERE, "alice", "dovecot", "store1"]);
    assert_eq!(line(HERE)[..4], [HERE, "alice", "dovecot", "journal"]);
    let of_store = service.ask_with("list", &["--source", "store1"]);
    assert!(of_store.contains("1 client listed"), "{of_store}");
    assert!(
        service
            .ask("status")
            .contains("to dovecot (source journal)")
    );
    // It is kept.
    let mut service = service;
    service.stop();
    service.start_again(&with_store(&store));
    service.wait_for("caught up with the journal: 2 clients listed");
    assert_eq!(service.ask("list"), list);
}

/// What a file claims of its machine is compared, and never believed.
#[test]
fn a_source_is_one_machines() {
    let store = journal(&[Entry::login(ago(300), THERE, "a")]);
    let settings = with_store(&store) + "\nsenders.dovecot.containers = [\"mailserver\"]";
    let service = Foreground::start(&[Entry::login(ago(200), HERE, "a")], &settings);
    let other = Entry::login(ago(90), LATE, "b");
    let other = other.but("_MACHINE_ID", Some("fedcba9876543210fedcba9876543210"));
    add(&store, "other", other);
    service.wait_for("source store1: refused a login of 192.0.2.30 that looks like dovecot's");
    // Nor in a container.
    let in_container = Entry::login(ago(80), LATE, "b")
        .but("_MACHINE_ID", Some("fedcba9876543210fedcba9876543210"))
        .but("_SYSTEMD_UNIT", Some("docker.service"))
        .with("CONTAINER_NAME", "mailserver");
    add(&store, "container", in_container);
    service.wait_for("it was written on another machine than the entries of this source before it");
    add(&store, "more", Entry::login(ago(60), "192.0.2.40", "c"));
    service.wait_for_answer("list", "192.0.2.40");
    assert!(!service.ask("list").contains(LATE));
}

/// What the README says of stores whose clocks are wrong.
#[test]
fn a_clock_that_is_ahead_lets_nobody_in_and_one_that_is_behind_takes_from_the_grace() {
    let (service, store) = two_sources();
    let written = [
        Entry::login(ago(-600), LATE, "b"),
        Entry::login(ago(600), "192.0.2.40", "c"),
        Entry::logout(ago(599), "c"),
        Entry::login(ago(10), "192.0.2.41", "d"),
    ];
    store.add("written.journal", &export(&written));
    service.wait_for_answer("list", "192.0.2.41");
    let list = service.ask_with("list", &["--json"]);
    assert!(!list.contains(LATE), "{list}");
    let all: Vec<serde_json::Value> = serde_json::from_str(&list).unwrap();
    let behind = all.iter().find(|info| info["client"] == "192.0.2.40");
    let until = behind.unwrap()["until"].as_str().unwrap();
    let left = until
        .parse::<Timestamp>()
        .unwrap()
        .duration_since(Timestamp::now());
    assert!((1190..=1201).contains(&left.as_secs()), "{list}");
}

#[test]
fn a_clock_that_is_ahead_is_told_of_with_the_amount() {
    let (service, store) = two_sources();
    add(&store, "ahead", Entry::login(ago(-600), LATE, "b"));
    let problem = "s ahead of this host's: its logins are in the future, and do not count";
    service.wait_for(&format!("source store1: its clock is 599 {problem}"));
    let status = service.ask("status");
    assert!(status.contains(problem), "{status}");
}

/// The users of a store have the numbers of its own passwd, which says nothing of ours.
#[test]
fn who_may_write_is_known_by_the_numbers_of_that_host() {
    let mine = |user: &str, client: &str| {
        let message = format!(
            "imap-login: Login: user=<joe>, method=PLAIN, rip={client}, session=<{client}>"
        );
        Entry::dovecot(ago(100), &message).but("_UID", Some(user))
    };
    // A user of this host's by number, one by a name that is known here, and one of the store's own.
    let store = journal(&[
        mine("0", "192.0.2.50"),
        mine("112", "192.0.2.51"),
        mine("2", "192.0.2.52"),
        mine("107", "192.0.2.53"),
    ]);
    let more = "\nsenders.dovecot.users = [112, \"bin\", \"vmail\"]\n\
        sources.store1.users = { vmail = 107 }";
    let here = journal(&[mine("112", "192.0.2.61"), mine("2", "192.0.2.62")]);
    let settings = format!("{}{more}", with_store(&store));
    let service = Foreground::start_on(here, &settings);
    service.wait_for("caught up with the journal: 4 clients listed");
    let list = service.ask("list");
    for (client, is_listed) in [
        ("192.0.2.50", true),
        ("192.0.2.51", false),
        ("192.0.2.52", false),
        ("192.0.2.53", true),
        ("192.0.2.61", true),
        ("192.0.2.62", true),
    ] {
        assert_eq!(list.contains(client), is_listed, "{client}\n{list}");
    }
    service.wait_for("it was written on another host, where uid 112 may be anybody");
}
