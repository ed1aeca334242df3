//! What a running service has published is what lies there: whatever somebody else does to the map is
//! mended at once, or told of as long as it can't be. And how a start comes to its map.

mod foreground;
mod journal_files;

use std::fs;
use std::ops::Deref;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Child, Command, Output};
use std::time::{Duration, Instant};

use foreground::Foreground;
use jiff::SignedDuration;
use journal_files::JournalFiles;
use journal_files::entry::{Entry, export};
use serde_json::Value;

/// Who is listed, and who is not.
const CLIENT: &str = "192.0.2.10";
const STRANGER: &str = "203.0.113.9";
/// What the service says of a change.
const CHANGED: &str = "somebody else";

/// A service, and how it is asked.
struct Service(Foreground);

impl Deref for Service {
    type Target = Foreground;

    fn deref(&self) -> &Foreground {
        &self.0
    }
}

fn login(client: &str) -> Entry {
    Entry::login(SignedDuration::from_secs(10), client, client)
}

#[track_caller]
fn wait_until(what: &str, mut is: impl FnMut() -> bool) {
    let patience = Instant::now() + Duration::from_secs(20);
    while !is() {
        assert!(Instant::now() < patience, "{what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_pop-before-smtp"))
}

impl Service {
    /// One that has published a map with one client.
    fn start(settings: &str) -> Self {
        let settings = format!("permitted-networks = []\n{settings}");
        Service(Foreground::start(&[login(CLIENT)], &settings))
    }

    fn ask(&self, arguments: &[&str]) -> Output {
        let mut command = program();
        command.args(arguments).arg("--socket");
        command.arg(self.path("control")).output().unwrap()
    }

    fn problems(&self) -> String {
        let status: Value =
            serde_json::from_slice(&self.ask(&["status", "--json"]).stdout).unwrap();
        let problems = status["problems"].as_array().unwrap().iter();
        problems
            .map(|problem| problem.as_str().unwrap())
            .collect::<Vec<_>>()
            .join("\n")
    }

    fn count(&self, text: &str) -> usize {
        self.log().matches(text).count()
    }

    /// How many maps it has published.
    fn publications(&self) -> usize {
        self.count("info: published ")
    }

    /// Runs a script where the map is.
    fn sh(&self, script: &str) {
        let mut shell = Command::new("sh");
        shell.args(["-ec", script]).current_dir(self.path("state"));
        assert!(shell.status().unwrap().success(), "{script}");
    }

    /// Whether the map lists a client, as postmap has it.
    fn permits(&self, client: &str) -> bool {
        let table = format!("hash:{}", self.path("state/clients").display());
        let mut postmap = Command::new("/usr/sbin/postmap");
        postmap
            .args(["-q", client, &table])
            .output()
            .unwrap()
            .stdout
            == b"OK\n"
    }

    #[track_caller]
    fn assert_whole(&self, when: &str) {
        for (name, mode) in [
            ("clients", 0o644),
            ("clients.db", 0o644),
            ("clients.lock", 0o600),
        ] {
            let found = fs::symlink_metadata(self.path("state").join(name)).unwrap();
            assert_eq!(found.mode() & 0o7777, mode, "{when}: {name}");
            assert_eq!(found.nlink(), 1, "{when}: {name}");
            let ours = fs::metadata(self.path("log")).unwrap().uid();
            assert_eq!(found.uid(), ours, "{when}: {name}");
        }
        assert!(self.permits(CLIENT), "{when}");
        assert!(!self.permits(STRANGER), "{when}");
    }
}

#[test]
fn what_somebody_else_does_to_the_map_is_mended_at_once_and_told_once() {
    let another = format!("echo '{STRANGER} OK' >other; /usr/sbin/postmap hash:other;");
    let mut cases = vec![
        ("rm clients.db".to_owned(), "clients.db is gone"),
        ("rm clients".to_owned(), "clients is gone"),
        ("rm clients.lock".to_owned(), "clients.lock is gone"),
        (
            "chmod 600 clients.db".to_owned(),
            "clients.db has the mode 600, no longer 644",
        ),
        (
            "chmod 666 clients.lock".to_owned(),
            "clients.lock has the mode 666, no longer 600",
        ),
        (
            format!("{another} mv other.db clients.db"),
            "clients.db was replaced",
        ),
        (
            format!("{another} cat other.db >clients.db"),
            "clients.db was written to",
        ),
        (
            format!("echo '{STRANGER} OK' >>clients"),
            "clients was written to",
        ),
        ("ln clients.db second".to_owned(), "another number of names"),
        (
            "ln -sf clients.db clients".to_owned(),
            "clients was replaced",
        ),
    ];
    if rustix::process::geteuid().is_root() {
        let owner = "clients.db belongs to the uid 65534 and the gid ";
        cases.push(("chown 65534 clients.db".to_owned(), owner));
    }
    for (script, said) in cases {
        // A debounce is no reason to wait.
        let service = Service::start("map.debounce = \"1min\"");
        service.wait_for("published 1 client");
        service.sh(&script);
        service.wait_for(said);
        wait_until(&script, || service.publications() == 2);
        service.assert_whole(&script);
        assert_eq!(service.problems(), "", "{script}");
        // Our own publications are not told of.
        assert!(service.ask(&["allow", "192.0.2.11"]).status.success());
        assert_eq!(service.publications(), 3, "{}", service.log());
        assert_eq!(service.count(CHANGED), 1, "{}", service.log());
    }
}

#[test]
fn a_directory_that_others_have_changed_is_a_problem_until_it_is_put_right() {
    let service = Service::start("");
    service.wait_for("published 1 client");
    let directory = service.path("state");
    let before = fs::metadata(&directory).unwrap().permissions();
    fs::set_permissions(&directory, fs::Permissions::from_mode(0o711)).unwrap();
    service.wait_for("state has the mode 711, no longer ");
    wait_until("published again", || service.publications() == 2);
    let problems = service.problems();
    assert!(
        problems.contains("state has the mode 711, no"),
        "{problems}"
    );
    fs::set_permissions(&directory, before).unwrap();
    wait_until("no problem any more", || service.problems().is_empty());
    service.assert_whole("at the end");
    assert_eq!(service.count(CHANGED), 1, "{}", service.log());
}

#[test]
fn a_directory_that_is_gone_is_a_problem_until_there_is_one() {
    let elsewhere = tempfile::tempdir().unwrap();
    let directory = elsewhere.path().join("maps");
    fs::create_dir(&directory).unwrap();
    let path = directory.join("clients");
    let service = Service::start(&format!("map.path = {path:?}"));
    service.wait_for("published 1 client");
    fs::rename(&directory, elsewhere.path().join("away")).unwrap();
    service.wait_for("maps is gone");
    service.wait_for("there is no access map");
    let problems = service.problems();
    for said in ["Postfix defers all mail", "the directory must exist"] {
        assert!(problems.contains(said), "{problems}");
    }
    fs::create_dir(&directory).unwrap();
    wait_until("published again", || service.publications() == 2);
    assert_eq!(service.problems(), "");
    // The new one is watched as the old one was.
    fs::remove_file(path.with_extension("db")).unwrap();
    wait_until("and again", || service.publications() == 3);
    assert!(path.with_extension("db").exists());
}

#[test]
fn who_changes_the_map_again_and_again_does_not_keep_the_service_busy() {
    let service = Service::start("");
    service.wait_for("published 1 client");
    let index = service.path("state/clients.db");
    wait_until("it is told of", || {
        let _ = fs::remove_file(&index);
        service.log().contains("again and again")
    });
    assert!(service.publications() <= 4, "{}", service.log());
    assert_eq!(service.count(CHANGED), 2, "{}", service.log());
    assert!(service.problems().contains("again and again (/"));
    // It is mended all the same.
    wait_until("there is a map", || index.exists());
    service.assert_whole("at the end");
}

#[test]
fn where_no_map_is_wanted_nobody_looks_after_one() {
    let service = Service::start("publish = [\"policy\"]");
    service.sh("touch clients.db; rm clients.db");
    assert!(service.ask(&["allow", "192.0.2.11"]).status.success());
    assert_eq!(service.publications(), 0, "{}", service.log());
    assert_eq!(service.count(CHANGED), 0, "{}", service.log());
}

/// Kills it when this is dropped.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn expire(config: &Path) -> Command {
    let mut command = program();
    command.arg("--config").arg(config).arg("expire");
    command
}

#[test]
fn while_the_service_is_stopped_the_map_is_looked_after_too() {
    let mut service = Service::start("");
    service.wait_for("published 1 client");
    service.0.stop();
    let log = fs::File::create(service.path("log")).unwrap();
    let mut expire = expire(&service.path("config.toml"));
    let _expire = Killed(expire.stderr(log).spawn().unwrap());
    service.wait_for("published 1 client");
    service.sh("rm clients.db");
    service.wait_for("clients.db is gone");
    wait_until("published again", || service.publications() == 2);
    service.assert_whole("after a removal");
    assert_eq!(service.count(CHANGED), 1, "{}", service.log());
}

#[test]
fn the_stopped_service_lists_nobody_who_was_not_in_the_map() {
    let mut service = Service::start("");
    service.wait_for("published 1 client");
    service.0.stop();
    service.sh("cp -r store before");
    let ended = Entry::logout(SignedDuration::from_secs(5), CLIENT);
    service.journal.add("more.journal", &export(&[ended]));
    let settings = "permitted-networks = []\ngrace = \"1s\"";
    service.0.start_again(settings);
    service.wait_for("published 0 clients");
    service.0.child.kill().unwrap();
    service.0.child.wait().unwrap();
    // The store could not be written since, and does not know of the end of the session.
    service.sh("rm -r store; mv before store");
    let mut expire = expire(&service.path("config.toml"));
    let expired = expire.arg("--now").output().unwrap();
    assert!(expired.status.success(), "{expired:?}");
    assert!(!service.permits(CLIENT), "{expired:?}");
}

#[test]
fn where_no_map_is_wanted_the_stopped_service_leaves_one_that_lists_nobody() {
    let mut service = Service::start("publish = [\"policy\"]");
    service.0.stop();
    let expired = expire(&service.path("config.toml")).output().unwrap();
    assert!(expired.status.success(), "{expired:?}");
    // Postfix, if it is still told to read it, would defer all mail without.
    assert!(service.path("state/clients.db").exists());
    assert!(!service.permits(CLIENT));
}

#[test]
fn a_start_amid_traffic_publishes_once_and_does_not_wait_for_the_debounce() {
    let mut service = Service::start("");
    service.wait_for("published 1 client");
    service.0.stop();
    let more = export(&[login("192.0.2.11"), login("192.0.2.12")]);
    service.journal.add("more.journal", &more);
    // Somebody is to be removed, and others have come.
    let settings =
        format!("permitted-networks = []\nnever = [\"{CLIENT}\"]\nmap.debounce = \"1min\"");
    service.0.start_again(&settings);
    service.wait_for("published 2 clients");
    assert_eq!(service.publications(), 1, "{}", service.log());
    assert!(!service.permits(CLIENT));
}

#[test]
fn a_journal_that_can_not_be_read_keeps_nobody_in_the_map_and_nobody_without_one() {
    let journal = JournalFiles::none();
    fs::remove_dir(journal.path()).unwrap();
    let service = Service(Foreground::start_on(journal, "permitted-networks = []"));
    service.wait_for("published 0 clients");
    assert!(service.path("state/clients.db").exists());

    let mut service = Service::start("");
    service.wait_for("published 1 client");
    service.0.stop();
    fs::remove_dir_all(service.journal.path()).unwrap();
    // As after a damage that nobody can mend from the journal.
    fs::remove_dir_all(service.path("state/store")).unwrap();
    service.0.start_again("permitted-networks = []");
    service.wait_for("published 0 clients");
    assert!(!service.permits(CLIENT));
}
