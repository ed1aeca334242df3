//! An access map that is used no more lists nobody in the end, whatever comes between: a kill, a fault,
//! or a service that is stopped and never reads which map is the next.

mod foreground;
mod journal_files;

use std::fs;
use std::ops::Deref;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use foreground::{Foreground, PATIENCE, program};
use jiff::SignedDuration;
use journal_files::entry::Entry;
use pop_before_smtp::postfix::access_map::AccessMap;
use pop_before_smtp::postfix::map_type::MapType;
use rustix::fs::{FlockOperation, flock};

const CLIENT: &str = "192.0.2.10";
/// What `status` says of a map that could not be emptied.
const MAY_LIST: &str = "a former access map may still list clients";

/// A service whose map has listed a client.
struct Service(Foreground);

impl Deref for Service {
    type Target = Foreground;

    fn deref(&self) -> &Foreground {
        &self.0
    }
}

#[track_caller]
fn wait_until(what: &str, mut is: impl FnMut() -> bool) {
    let patience = Instant::now() + PATIENCE;
    while !is() {
        assert!(Instant::now() < patience, "{what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

impl Service {
    fn start() -> Self {
        let entries = [
            Entry::login(SignedDuration::from_secs(20), CLIENT, "a"),
            Entry::logout(SignedDuration::from_secs(10), "a"),
        ];
        let service = Service(Foreground::start(&entries, &settings("")));
        service.wait_until_lists("clients");
        service
    }

    fn map(&self, name: &str) -> PathBuf {
        self.path("state").join(name)
    }

    /// Settings that name another map than the first one.
    fn with_map(&self, name: &str) -> String {
        settings(&format!("map.path = {:?}", self.map(name)))
    }

    /// Whether Postfix finds the client in a map.
    fn lists(&self, name: &str) -> bool {
        let map = format!("hash:{}", self.map(name).display());
        let postmap = Command::new("/usr/sbin/postmap")
            .args(["-q", CLIENT, &map])
            .output();
        postmap.unwrap().stdout == b"OK\n"
    }

    #[track_caller]
    fn wait_until_lists(&self, name: &str) {
        wait_until(&self.log(), || self.lists(name));
    }

    #[track_caller]
    fn wait_until_empty(&self, name: &str) {
        wait_until(&self.log(), || !self.lists(name));
    }

    /// Nobody can publish the first map until it is [`Service::mend`]ed.
    fn break_lock(&self) {
        // The service notices, and may be quicker.
        let lock = self.map("clients.lock");
        while fs::create_dir(&lock).is_err() {
            fs::remove_file(&lock).unwrap();
        }
    }

    fn mend(&self) {
        fs::remove_dir(self.map("clients.lock")).unwrap();
    }

    #[track_caller]
    fn wait_until_content(&self) {
        wait_until(&self.log(), || !self.ask("status").contains(MAY_LIST));
    }

    fn kill(&mut self) {
        self.0.child.kill().unwrap();
        self.0.child.wait().unwrap();
    }

    /// Changes the map, and kills the service before the first one is emptied.
    fn kill_before_it_is_emptied(&mut self) {
        self.0.stop();
        let lock = fs::File::options()
            .write(true)
            .open(self.map("clients.lock"))
            .unwrap();
        flock(&lock, FlockOperation::LockExclusive).unwrap();
        let other = self.with_map("other");
        self.0.start_again(&other);
        self.wait_for("caught up with the journal");
        self.kill();
        assert!(self.lists("clients"));
    }

    fn expire(&self) -> Output {
        let output = program()
            .arg("--config")
            .arg(self.path("config.toml"))
            .args(["expire", "--now"])
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        output
    }
}

fn settings(more: &str) -> String {
    format!("permitted-networks = []\n{more}")
}

#[test]
fn one_that_a_kill_has_left_is_emptied_by_the_next_start() {
    let mut service = Service::start();
    service.kill_before_it_is_emptied();
    let other = service.with_map("other");
    service.0.start_again(&other);
    service.wait_until_lists("other");
    service.wait_until_empty("clients");
    service.wait_until_content();
}

#[test]
fn one_that_a_kill_has_left_is_emptied_by_expire() {
    let mut service = Service::start();
    service.kill_before_it_is_emptied();
    service.expire();
    assert!(!service.lists("clients"));
}

#[test]
fn one_that_can_not_be_emptied_is_told_of_and_tried_again() {
    let service = Service::start();
    service.break_lock();
    service.reload(&service.with_map("other"));
    service.wait_until_lists("other");
    service.wait_for_answer("status", MAY_LIST);
    service.mend();
    service.wait_until_empty("clients");
    service.wait_until_content();
    assert!(service.lists("other"));
}

#[test]
fn one_that_can_not_be_emptied_is_not_forgotten_by_restarts() {
    let mut service = Service::start();
    service.break_lock();
    let other = service.with_map("other");
    service.reload(&other);
    service.wait_for_answer("status", MAY_LIST);
    let third = service.with_map("third");
    for settings in [&other, &third] {
        service.0.stop();
        service.0.start_again(settings);
        service.wait_for("caught up with the journal");
        service.wait_for_answer("status", MAY_LIST);
    }
    service.wait_until_lists("third");
    service.wait_until_empty("other");
    service.mend();
    service.wait_until_empty("clients");
    service.wait_until_content();
    // Nor is it touched again.
    service.0.stop();
    fs::remove_file(service.map("clients")).unwrap();
    service.0.start_again(&third);
    service.wait_until_lists("third");
    service.wait_for("caught up with the journal");
    service.wait_until_content();
    assert!(!service.map("clients").exists());
}

#[test]
fn one_that_is_used_again_is_not_emptied() {
    let service = Service::start();
    service.break_lock();
    service.reload(&service.with_map("other"));
    service.wait_for_answer("status", MAY_LIST);
    service.reload(&settings(""));
    service.wait_until_empty("other");
    service.wait_until_content();
    service.mend();
    service.wait_until_lists("clients");
    service.wait_until_content();
}

#[test]
fn one_that_is_not_wanted_any_more_is_tried_again_too() {
    let service = Service::start();
    service.break_lock();
    service.reload(&settings("publish = [\"policy\"]"));
    service.wait_for_answer("status", MAY_LIST);
    service.mend();
    service.wait_until_empty("clients");
    service.wait_until_content();
}

#[test]
fn while_the_service_is_stopped_the_map_that_it_had_is_seen_to() {
    let mut service = Service::start();
    service.0.stop();
    // Read by nobody: main.cf still names the one that was in force.
    let unread = format!("grace = \"1s\"\n{}", service.with_map("other"));
    fs::write(
        service.path("config.toml"),
        format!(
            "{unread}\nstate-directory = {:?}\njournal.directory = {:?}\nmap.type = \"hash\"\n",
            service.path("state"),
            service.journal.path(),
        ),
    )
    .unwrap();
    service.expire();
    assert!(!service.lists("clients"));
    // Postfix, should it be told of the other one already, does not find it missing.
    assert!(service.map("other.db").exists());
    assert!(!service.lists("other"));
}

#[test]
fn one_at_the_path_of_ours_loses_its_index_alone() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str, kind| AccessMap::new(directory.path().join(name), kind, "OK");
    let listed = [CLIENT.parse().unwrap()];
    let (ours, former) = (at("a", MapType::Lmdb), at("a", MapType::Hash));
    let elsewhere = at("b", MapType::Hash);
    for map in [&former, &elsewhere, &ours] {
        map.publish(&listed).unwrap();
    }
    let lists = |map: &AccessMap| map.look_up(listed[0]).unwrap().is_some();
    let source = fs::read(&ours.path).unwrap();
    for map in [&former, &elsewhere] {
        assert!(lists(map));
        map.withdraw_beside(&ours).unwrap();
        assert!(!lists(map));
    }
    assert!(lists(&ours));
    assert_eq!(fs::read(&ours.path).unwrap(), source);
    assert_ne!(fs::read(&elsewhere.path).unwrap(), source);
}

#[test]
fn one_that_is_gone_lists_nobody_and_one_that_can_not_be_looked_at_may() {
    let directory = tempfile::tempdir().unwrap();
    let ours = AccessMap::new(directory.path().join("a"), MapType::Hash, "OK");
    fs::write(directory.path().join("file"), "").unwrap();
    for gone in ["none", "no/directory", "file/name"] {
        let gone = AccessMap::new(directory.path().join(gone), MapType::Hash, "OK");
        gone.withdraw_beside(&ours).unwrap();
    }
    let long = AccessMap::new(directory.path().join("x".repeat(300)), MapType::Hash, "OK");
    let error = long.withdraw_beside(&ours).unwrap_err().to_string();
    assert!(error.contains("can't look for it"), "{error}");
}
