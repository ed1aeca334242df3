//! `run --once` over real journal files, into a real access map of the real postmap.

mod journal_files;

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use jiff::SignedDuration;
use journal_files::JournalFiles;
use journal_files::entry::{Entry, export};
use tempfile::TempDir;

fn ago(seconds: i64) -> SignedDuration {
    SignedDuration::from_secs(seconds)
}

/// A service with directories of its own, and a journal that grows.
struct Host {
    directory: TempDir,
    journal: JournalFiles,
}

impl Host {
    fn new(entries: &[Entry]) -> Self {
        Self::configured(entries, "")
    }

    fn configured(entries: &[Entry], more: &str) -> Self {
        let host = Host {
            directory: tempfile::tempdir().unwrap(),
            journal: JournalFiles::import(&export(entries)),
        };
        fs::create_dir(host.state()).unwrap();
        host.configure(more);
        host
    }

    fn configure(&self, more: &str) {
        let text = format!(
            "{more}\nstate-directory = {:?}\npermitted-networks = [\"10.0.0.0/8\"]\n\
             [journal]\ndirectory = {:?}\n[map]\ntype = \"hash\"\n",
            self.state(),
            self.journal.path(),
        );
        fs::write(self.config(), text).unwrap();
    }

    fn state(&self) -> PathBuf {
        self.directory.path().join("state")
    }

    fn config(&self) -> PathBuf {
        self.directory.path().join("config.toml")
    }

    /// What `test --missed` says.
    fn missed(&self) -> String {
        let output = Command::new(env!("CARGO_BIN_EXE_pop-before-smtp"))
            .arg("--config")
            .arg(self.config())
            .args(["test", "--missed"])
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    fn try_once(&self) -> Output {
        Command::new(env!("CARGO_BIN_EXE_pop-before-smtp"))
            .arg("--config")
            .arg(self.config())
            .args(["run", "--once"])
            .env("RUST_LOG", "debug")
            .output()
            .unwrap()
    }

    /// Runs, and returns what was said.
    fn once(&self) -> String {
        let output = self.try_once();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
        said
    }

    /// Who may relay, as Postfix sees it.
    fn listed(&self) -> Vec<String> {
        let map = format!("hash:{}", self.state().join("clients").display());
        let output = Command::new("/usr/sbin/postmap")
            .args(["-s", &map])
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        let mut listed: Vec<_> = String::from_utf8(output.stdout)
            .unwrap()
            .lines()
            .filter_map(|line| line.split_once('\t'))
            .filter(|(_, value)| *value == "OK")
            .map(|(key, _)| key.to_owned())
            .collect();
        listed.sort();
        listed
    }
}

#[test]
fn the_first_start_looks_back_one_grace() {
    let host = Host::new(&[
        Entry::login(ago(1900), "192.0.2.1", "a"),
        Entry::login(ago(1700), "192.0.2.2", "b"),
        Entry::logout(ago(1690), "b"),
        Entry::login(ago(60), "2001:DB8:0:0::10", "c"),
        Entry::login(ago(50), "::ffff:192.0.2.3", "d"),
        Entry::login(ago(40), "10.1.2.3", "e"),
        Entry::login(ago(30), "127.0.0.1", "f"),
    ]);
    let said = host.once();
    assert_eq!(host.listed(), ["192.0.2.2", "192.0.2.3", "2001:db8::10"]);
    assert!(
        said.contains("caught up with the journal: 3 clients listed, 2 sessions open"),
        "{said}"
    );
    assert!(said.contains("10.1.2.3 is not listed: alice has logged in to dovecot, but it is in a permitted network"), "{said}");
}

#[test]
fn the_journal_is_read_on_from_where_it_was_left() {
    let host = Host::new(&[Entry::login(ago(100), "192.0.2.1", "a")]);
    host.once();
    assert_eq!(host.listed(), ["192.0.2.1"]);
    host.journal.add(
        "more.journal",
        &export(&[Entry::login(ago(10), "192.0.2.2", "b")]),
    );
    let said = host.once();
    assert_eq!(host.listed(), ["192.0.2.1", "192.0.2.2"]);
    assert!(!said.contains("added 192.0.2.1:"), "{said}");
    assert!(said.contains("added 192.0.2.2:"), "{said}");
}

#[test]
fn a_login_counts_whose_client_was_told_before_the_restart() {
    let popa3d = |seconds, message: &str| {
        Entry::dovecot(ago(seconds), message)
            .but("SYSLOG_IDENTIFIER", Some("popa3d"))
            .but("_SYSTEMD_UNIT", Some("popa3d.service"))
            .with("_PID", "7")
    };
    // Before the last entry that was read, and that entry itself.
    for seconds in [100, 80] {
        let mut entries = [
            popa3d(seconds, "Session from 192.0.2.1"),
            Entry::login(ago(90), "192.0.2.2", "a"),
        ];
        if seconds < 90 {
            entries.reverse();
        }
        let host = Host::new(&entries);
        host.once();
        assert_eq!(host.listed(), ["192.0.2.2"]);
        host.journal.add(
            "more.journal",
            &export(&[popa3d(10, "Authentication passed for alice")]),
        );
        host.once();
        assert_eq!(host.listed(), ["192.0.2.1", "192.0.2.2"]);
    }
}

#[test]
fn a_place_that_is_gone_loses_no_login() {
    // The last entry of a journal is read once more: the place is that of the first.
    let host = Host::new(&[
        Entry::login(ago(110), "192.0.2.1", "a"),
        Entry::login(ago(100), "192.0.2.1", "b"),
    ]);
    host.once();
    fs::remove_file(host.journal.path().join("imported.journal")).unwrap();
    host.journal.add(
        "new.journal",
        &export(&[Entry::login(ago(10), "192.0.2.2", "b")]),
    );
    let said = host.once();
    assert!(
        said.contains("the entry that was read last is no longer in the journal"),
        "{said}"
    );
    assert_eq!(host.listed(), ["192.0.2.1", "192.0.2.2"]);
}

#[test]
fn a_damaged_store_is_rebuilt_from_the_journal() {
    // The session is older than a grace, and still open.
    let host = Host::new(&[
        Entry::login(ago(5000), "192.0.2.1", "a"),
        Entry::login(ago(5000), "192.0.2.2", "b"),
        Entry::logout(ago(4000), "b"),
        Entry::login(ago(10), "192.0.2.3", "c"),
    ]);
    host.once();
    assert_eq!(host.listed(), ["192.0.2.3"]);
    let db = host.state().join("store/db");
    let mut bytes = fs::read(&db).unwrap();
    bytes.fill(0xff);
    fs::write(&db, bytes).unwrap();
    let said = host.once();
    assert!(said.contains("/store: damaged: "), "{said}");
    assert_eq!(host.listed(), ["192.0.2.1", "192.0.2.3"]);
    assert!(host.state().join("store.damaged").is_dir());
}

#[test]
fn only_the_servers_own_entries_count() {
    let client = |n: u8| format!("203.0.113.{n}");
    let login = |n: u8| Entry::login(ago(10), &client(n), &n.to_string());
    let host = Host::new(&[
        login(1).but("_UID", Some("1000")),
        login(2).but("_SYSTEMD_UNIT", Some("run-u2.service")),
        login(3).but("_UID", None),
        login(4).but("SYSLOG_IDENTIFIER", Some("postfix/smtpd")),
        login(5)
            .but("_SYSTEMD_UNIT", Some("user@1000.service"))
            .with("_SYSTEMD_USER_UNIT", "dovecot.service"),
        login(6)
            .but("_SYSTEMD_UNIT", None)
            .with("UNIT", "dovecot.service"),
    ]);
    let said = host.once();
    // Without a unit, root is believed: a process may be gone before journald looks.
    assert_eq!(host.listed(), ["203.0.113.6"]);
    for text in [
        "refused a login of 203.0.113.1 that looks like dovecot's, written by uid 1000, unit dovecot.service",
        "[senders.dovecot]\nusers = [\"1000\"]",
        "written by uid 0, unit run-u2.service",
        "[senders.dovecot]\nunits = [\"run-u2.service\"]",
    ] {
        assert!(said.contains(text), "{text}: {said}");
    }
}

#[test]
fn odd_entries_are_never_a_login_and_never_a_crash() {
    let login = |text: &str| Entry::login(ago(10), text, "s");
    let message = "imap-login: Login: user=<a>, rip=203.0.113.1, session=<x>";
    let long = format!(
        "imap-login: Login: user=<{}>, rip=203.0.113.2",
        "a".repeat(70_000)
    );
    let longer = format!(
        "imap-login: Login: user=<a>, rip=203.0.113.3, {}",
        "b, ".repeat(2_000)
    );
    let host = Host::new(&[
        login("203.0.113.4").with("MESSAGE", "another"),
        Entry::dovecot(ago(10), "another").with("MESSAGE", message),
        login("203.0.113.5").with("SYSLOG_IDENTIFIER", "other"),
        Entry::dovecot(ago(10), long),
        Entry::dovecot(ago(10), longer),
        Entry::dovecot(
            ago(10),
            b"imap-login: Login: user=<\xff>, rip=203.0.113.6".as_slice(),
        ),
        Entry::dovecot(ago(10), "imap-login: Login: user=<a\nb>, rip=203.0.113.7"),
        Entry::dovecot(ago(10), "x\nimap-login: Login: user=<a>, rip=203.0.113.8"),
        Entry::dovecot(ago(10), "imap-login: Login: user=<a>, rip=203.0.113.9\n"),
        Entry::dovecot(ago(10), "").but("MESSAGE", None),
        Entry::dovecot(ago(10), ""),
        login("203.0.113.300"),
        login("192.0.2.77"),
    ]);
    host.once();
    assert_eq!(host.listed(), ["192.0.2.77"]);
}

#[test]
fn entries_of_the_future_list_nobody() {
    let host = Host::new(&[
        Entry::login(ago(10), "192.0.2.1", "a"),
        Entry::login(ago(-7200), "203.0.113.1", "b"),
        Entry::login(ago(-7201), "203.0.113.1", "b"),
    ]);
    host.once();
    assert_eq!(host.listed(), ["192.0.2.1"]);
    // And the place, which is in the future now, is not waited for.
    host.journal.add(
        "more.journal",
        &export(&[Entry::login(ago(1), "192.0.2.2", "c")]),
    );
    let said = host.once();
    assert!(
        said.contains("which is in the future: is the clock right?"),
        "{said}"
    );
    assert_eq!(host.listed(), ["192.0.2.1", "192.0.2.2"]);
}

#[test]
fn another_map_takes_the_place_of_the_former_which_is_emptied() {
    let host = Host::new(&[Entry::login(ago(10), "192.0.2.1", "a")]);
    host.once();
    let text = fs::read_to_string(host.config()).unwrap();
    let other = host.directory.path().join("other");
    fs::write(host.config(), format!("{text}path = {other:?}\n")).unwrap();
    host.once();
    assert!(host.listed().is_empty());
    let map = format!("hash:{}", other.display());
    let output = Command::new("/usr/sbin/postmap")
        .args(["-q", "192.0.2.1", &map])
        .output();
    assert_eq!(output.unwrap().stdout, b"OK\n");
}

#[test]
fn a_whitelist_that_changes_faster_than_a_map_is_built_is_published_all_the_same() {
    // Somebody's grace ends every 5 ms, from now on and for 10 s.
    let entries: Vec<_> = (0..2000)
        .flat_map(|n| {
            let ago = SignedDuration::from_millis(30_000 - 5 * i64::from(n));
            let client = format!("198.18.{}.{}", n / 250, n % 250);
            [
                Entry::login(ago, &client, &n.to_string()),
                Entry::logout(ago, &n.to_string()),
            ]
        })
        .collect();
    let host = Host::configured(&entries, "grace = \"30s\"");
    let said = host.once();
    assert!(
        !host.listed().is_empty(),
        "it waited until nobody was left: {said}"
    );
}

#[test]
fn a_bad_configuration_ends_with_78_and_names_the_place() {
    let host = Host::configured(&[], "grace = \"soon\"");
    let output = host.try_once();
    assert_eq!(output.status.code(), Some(78));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("config.toml:1:9: grace:"), "{said}");

    let host = Host::configured(&[], "servers = [\"nosuch\"]");
    let output = host.try_once();
    assert_eq!(output.status.code(), Some(78));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("no definition of 'nosuch'"), "{said}");
}

#[test]
fn a_journal_that_is_not_there_is_an_error_that_names_it() {
    let host = Host::new(&[]);
    fs::remove_dir_all(host.journal.path()).unwrap();
    let output = host.try_once();
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let path = host.journal.path();
    let expected = format!("{}: does not exist", path.display());
    assert!(said.contains(&expected), "{said}");
}

#[test]
fn expire_withdraws_and_never_adds() {
    let host = Host::configured(
        &[Entry::login(ago(8), "192.0.2.1", "a")],
        "grace = \"1min\"",
    );
    host.once();
    assert_eq!(host.listed(), ["192.0.2.1"]);
    host.journal.add(
        "more.journal",
        &export(&[Entry::login(ago(0), "192.0.2.2", "b")]),
    );
    // Its session is taken to end when the service has ended: the grace counts from there.
    let expire = |more: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_pop-before-smtp"))
            .arg("--config")
            .arg(host.config())
            .arg("expire")
            .args(more)
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    };
    expire(&["--now"]);
    assert_eq!(host.listed(), ["192.0.2.1"]);
    // A configuration that has gone wrong is no excuse.
    fs::write(host.config(), "grace = 5\n").unwrap();
    host.configure("grace = \"3s\"");
    expire(&[]);
    assert!(host.listed().is_empty());
    // The service, back again, knows what it knew.
    host.configure("grace = \"1h\"");
    host.once();
    assert_eq!(host.listed(), ["192.0.2.1", "192.0.2.2"]);
}

#[test]
fn a_second_server_is_found_among_many_services() {
    let other = |n: u32| {
        Entry::dovecot(ago(20), "a line of its own")
            .but("SYSLOG_IDENTIFIER", Some("other"))
            .but("_SYSTEMD_UNIT", Some(&format!("a{n}.service")))
    };
    // A journal names the units that it has known for the shortest time first.
    let second = Entry::login(ago(30), "203.0.113.1", "1")
        .but("SYSLOG_IDENTIFIER", Some("dovecot2"))
        .but("_SYSTEMD_UNIT", Some("dovecot2.service"));
    let entries: Vec<Entry> = [second].into_iter().chain((0..100).map(other)).collect();
    let host = Host::new(&entries);
    let said = host.missed();
    let lines =
        "[senders.dovecot]\n    identifiers = [\"dovecot2\"]\n    units = [\"dovecot2.service\"]\n";
    assert!(said.contains(lines), "{said}");
}

/// A session of each of these clients in turn, every two seconds, all over at the end; each lasts
/// for a while.
fn sessions(number: i64) -> Vec<Entry> {
    let mut entries = Vec::new();
    for n in 0..number {
        let begin = 2 * (number - n) + 100;
        let client = format!("192.0.2.{}", n % 20);
        entries.push((begin, Entry::login(ago(begin), &client, &n.to_string())));
        entries.push((begin - 31, Entry::logout(ago(begin - 31), &n.to_string())));
    }
    entries.sort_by_key(|(ago, _)| -ago);
    entries.into_iter().map(|(_, entry)| entry).collect()
}

/// As journald calls an archived file whose first entry has this number.
fn archived(number: usize) -> String {
    format!("system@5ccdc1592f5943dabd4e499c577f32f8-{number:016x}-00066136d0336739.journal")
}

/// Puts entries in so many files, one after the other, all but the last of them archived.
fn archive(host: &Host, entries: &[Entry], files: usize) {
    let chunks = entries.chunks(entries.len().div_ceil(files));
    for (n, chunk) in chunks.enumerate() {
        let name = match n + 1 == files {
            true => "system.journal".to_owned(),
            false => archived(n),
        };
        host.journal.add(&name, &export(chunk));
    }
}

/// What was said of logins and sessions, and of the clients at the end.
fn told(said: &str) -> Vec<&str> {
    let lines = said.lines();
    lines
        .filter(|line| line.contains("192.0.2.") || line.contains("caught up"))
        .collect()
}

#[test]
fn archived_files_tell_what_a_single_file_tells() {
    let entries = sessions(300);
    let single = Host::new(&entries);
    let single_said = single.once();
    assert_eq!(single.listed().len(), 20);

    let host = Host::new(&[]);
    archive(&host, &entries, 7);
    let said = host.once();
    assert_eq!(host.listed(), single.listed());
    assert_eq!(told(&said), told(&single_said));
}

#[test]
fn reading_goes_on_in_the_midst_of_an_archived_file() {
    let entries = sessions(300);
    let (before, after) = entries.split_at(150);
    let (first, rest) = after.split_at(100);
    let host = Host::new(&[]);
    archive(&host, before, 3);
    host.once();
    // What was written to goes on, and is archived.
    host.journal.add("system.journal", &export(first));
    let path = |name: &str| host.journal.path().join(name);
    fs::rename(path("system.journal"), path(&archived(2))).unwrap();
    for (n, chunk) in rest.chunks(100).enumerate() {
        host.journal.add(&archived(n + 3), &export(chunk));
    }
    let said = host.once();

    let single = Host::new(before);
    single.once();
    single.journal.add("imported.journal", &export(after));
    let single_said = single.once();
    assert_eq!(host.listed(), single.listed());
    assert_eq!(told(&said), told(&single_said));
}

#[test]
fn files_of_users_lie_across_archived_ones() {
    let entries = sessions(200);
    let lying_across = |identifier| {
        let of_a_user = |n: i64| {
            Entry::login(ago(n), "192.0.2.99", &format!("u{n}"))
                .but("SYSLOG_IDENTIFIER", Some(identifier))
        };
        [of_a_user(450), of_a_user(110)]
    };
    for identifier in ["a-program", "dovecot"] {
        let across = lying_across(identifier);
        let host = Host::new(&across);
        fs::rename(
            host.journal.path().join("imported.journal"),
            host.journal.path().join("user-1000.journal"),
        )
        .unwrap();
        archive(&host, &entries, 5);
        let said = host.once();

        let single = Host::new(&entries);
        single.journal.add("user.journal", &export(&across));
        let single_said = single.once();
        assert_eq!(host.listed(), single.listed());
        assert_eq!(told(&said), told(&single_said));
    }
}

#[test]
fn a_damaged_archived_file_costs_no_more_than_its_entries() {
    let host = Host::new(&[]);
    archive(&host, &sessions(300), 7);
    // In the midst of its entries.
    let path = host.journal.path().join(archived(3));
    let mut bytes = fs::read(&path).unwrap();
    let client = b"rip=192.0.2.";
    let mut clients = bytes.windows(client.len()).enumerate();
    let mut place_of = || clients.find(|(_, text)| text == client).unwrap().0;
    let place = (0..20).map(|_| place_of()).last().unwrap();
    bytes[place..place + 4096].fill(0xff);
    fs::write(&path, bytes).unwrap();
    let said = host.once();
    let lines = told(&said).len();
    assert!((450..601).contains(&lines), "{lines} lines");
}

#[test]
fn where_the_clock_was_set_back_nothing_is_lost() {
    let host = Host::new(&[]);
    archive(&host, &sessions(300), 7);
    // So that the numbers of the entries say otherwise than their times.
    let path = |number| host.journal.path().join(archived(number));
    fs::rename(path(1), path(9)).unwrap();
    host.once();
    assert_eq!(host.listed().len(), 20);
}

#[test]
fn identifiers_of_the_configuration_are_read_and_prove_nothing() {
    let proxy = |n: u8, unit: &str| {
        Entry::login(ago(10), &format!("203.0.113.{n}"), &n.to_string())
            .but("SYSLOG_IDENTIFIER", Some("dovecot-proxy"))
            .but("_SYSTEMD_UNIT", Some(unit))
    };
    let entries = [
        proxy(1, "dovecot.service"),
        proxy(2, "dovecot-proxy.service"),
        proxy(3, "docker.service"),
        Entry::login(ago(10), "203.0.113.4", "4"),
    ];
    let host = Host::new(&entries);
    host.once();
    assert_eq!(host.listed(), ["203.0.113.4"]);

    // What would have them read is told.
    let said = host.missed();
    for text in [
        "missed  203.0.113.1 ",
        "    dovecot-proxy: imap-login: Login: ",
        "2 logins of dovecot under the identifier dovecot-proxy, which is not known as its own",
        "[senders.dovecot]\n    identifiers = [\"dovecot-proxy\"]\n    units = [\"dovecot-proxy.service\"]\n",
        "0 refused, 2 nearly matched",
    ] {
        assert!(said.contains(text), "{text}: {said}");
    }
    assert!(
        !said.contains("203.0.113.3") && !said.contains("docker.service"),
        "{said}"
    );

    let host = Host::configured(
        &entries,
        "senders.dovecot = { identifiers = [\"dovecot-proxy\"], units = [\"dovecot-proxy.service\"] }",
    );
    let said = host.once();
    assert_eq!(host.listed(), ["203.0.113.1", "203.0.113.2", "203.0.113.4"]);
    assert!(
        said.contains(
            "No line of configuration would be safe: docker.service writes for every container"
        ),
        "{said}"
    );
    assert!(!said.contains("units = [\"docker.service\"]"), "{said}");
}

#[test]
fn a_crowd_from_one_private_address_is_told_of_once() {
    let login = |n: i64, client: &str, user: &str| {
        let text = format!("imap-login: Login: user=<{user}>, rip={client}, session=<{n}>");
        Entry::dovecot(ago(100 - n), &text)
    };
    let bridge = ["a", "b", "c", "d", "e", "f"];
    let bridge = (0..)
        .zip(bridge)
        .map(|(n, user)| login(n, "172.17.0.1", user));
    let mut entries: Vec<Entry> = bridge.collect();
    let said = Host::new(&entries).once();
    let told = "all logins come from 172.17.0.1, a private address, by now of 3 users";
    assert_eq!(said.matches(told).count(), 1, "{said}");
    assert!(said.contains("add \"172.17.0.1\" to never"), "{said}");
    let never = Host::configured(&entries, "never = [\"172.17.0.0/16\"]").once();
    assert!(!never.contains("all logins come from"), "{never}");
    // One who comes from elsewhere, before them.
    entries.insert(0, login(-10, "192.0.2.10", "x"));
    let said = Host::new(&entries).once();
    assert!(!said.contains("all logins come from"), "{said}");
}
