//! The commands that ask a running service, over a real control socket.

#[path = "control/definition.rs"]
mod definition;
mod foreground;
mod journal_files;
#[path = "control/server.rs"]
mod server;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::ops::Deref;
use std::os::unix::net::UnixStream;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use foreground::Foreground;
use jiff::SignedDuration;
use journal_files::entry::{Entry, export};
use serde_json::Value;

/// A service, and how it is asked.
struct Service(Foreground);

impl Deref for Service {
    type Target = Foreground;

    fn deref(&self) -> &Foreground {
        &self.0
    }
}

fn ago(seconds: i64) -> SignedDuration {
    SignedDuration::from_secs(seconds)
}

fn login(seconds: i64, client: &str, user: &str) -> Entry {
    let message = format!(
        "imap-login: Login: user=<{user}>, method=PLAIN, rip={client}, lip=192.0.2.1, mpid=1, TLS, \
         session=<{user}{client}>"
    );
    Entry::dovecot(ago(seconds), message)
}

impl Service {
    fn start(entries: &[Entry]) -> Self {
        let settings = "grace = \"10min\"\npermitted-networks = [\"10.0.0.0/8\"]";
        let service = Service(Foreground::start(entries, settings));
        service.wait_for("published ");
        service
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pop-before-smtp"));
        command
            .args(arguments)
            .arg("--socket")
            .arg(self.path("control"))
            .stdin(Stdio::null());
        command
    }

    fn try_ask(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    #[track_caller]
    fn ask(&self, arguments: &[&str]) -> String {
        let output = self.try_ask(arguments);
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// The clients that `list` shows, in its order.
    fn listed(&self, arguments: &[&str]) -> Vec<String> {
        let json = self.ask(&[&["list", "--json"], arguments].concat());
        let list: Vec<Value> = serde_json::from_str(&json).unwrap();
        list.iter()
            .map(|client| client["client"].as_str().unwrap().to_owned())
            .collect()
    }
}

fn logins() -> Vec<Entry> {
    vec![
        login(120, "192.0.2.9", "carol"),
        login(60, "192.0.2.10", "bob"),
        login(50, "2001:db8::1", "alice"),
        login(40, "198.51.100.7", "alice"),
        login(30, "192.0.2.10", "bob"),
        login(20, "10.1.2.3", "mallory"),
        Entry::dovecot(
            ago(10),
            "imap(carol)<1><carol192.0.2.9>: Disconnected: Logged out in=1 out=2",
        ),
    ]
}

#[test]
fn a_list_is_filtered_and_sorted() {
    let service = Service::start(&logins());
    let by_address = ["192.0.2.9", "192.0.2.10", "198.51.100.7", "2001:db8::1"];
    assert_eq!(service.listed(&[]), by_address);
    for (filter, expected) in [
        (vec!["--network", "192.0.2.0/24"], &by_address[..2]),
        (vec!["--user", "alice"], &by_address[2..]),
        (
            vec!["--server", "dovecot", "--client", "::ffff:192.0.2.9"],
            &by_address[..1],
        ),
        (
            vec!["--user", "alice", "--network", "2001:db8::/32"],
            &by_address[3..],
        ),
        (vec!["--server", "courier"], &[]),
        (
            vec!["--sort", "last"],
            &["192.0.2.10", "198.51.100.7", "2001:db8::1", "192.0.2.9"],
        ),
        (
            vec!["--sort", "user"],
            &["198.51.100.7", "2001:db8::1", "192.0.2.10", "192.0.2.9"],
        ),
        // The others have an open session.
        (vec!["--sort", "until"], &by_address[..]),
    ] {
        assert_eq!(service.listed(&filter), expected, "{filter:?}");
    }
    let text = service.ask(&["list"]);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 6, "{text}");
    let column = lines[0].find("USER").unwrap();
    assert!(lines[1][column..].starts_with("carol  "), "{text}");
    assert!(lines[4][column..].starts_with("alice  "), "{text}");
    assert_eq!(lines[5], "4 clients listed");
    assert!(!text.contains('\u{1b}'), "colours go to a pipe: {text:?}");
    assert_eq!(
        service.ask(&["list", "--client", "192.0.2.1"]),
        "0 clients listed\n"
    );
    assert_eq!(
        service
            .try_ask(&["list", "--network", "192.0.2"])
            .status
            .code(),
        Some(2)
    );
}

#[test]
fn the_status_tells_what_has_happened() {
    let service = Service::start(&logins());
    let status: Value = serde_json::from_str(&service.ask(&["status", "--json"])).unwrap();
    assert_eq!(status["clients"], 4);
    assert_eq!(status["sessions"], 3);
    assert_eq!(status["caught-up"], true);
    assert_eq!(status["problems"].as_array().unwrap().len(), 0, "{status}");
    assert_eq!(status["last-login"]["user"], "mallory");
    assert_eq!(status["last-login"]["client"], "10.1.2.3");
    assert_eq!(status["log-level"], "info");
    for (count, expected) in [
        ("logins", 6),
        ("unchanged-logins", 1),
        ("logouts", 1),
        ("listed", 4),
        ("removed", 0),
        ("refused", 0),
        ("failed-publications", 0),
    ] {
        assert_eq!(status["totals"][count], expected, "{count}: {status}");
    }
    assert!(status["totals"]["publications"].as_u64() >= Some(1));
    assert_eq!(status["last-publication"]["clients"], 4);

    // What comes while the service runs is read at once.
    service
        .journal
        .add("more.journal", &export(&[login(0, "203.0.113.1", "dave")]));
    service.wait_for("added 203.0.113.1");
    let status: Value = serde_json::from_str(&service.ask(&["status", "--json"])).unwrap();
    assert_eq!(status["last-login"]["user"], "dave");
    assert!(
        status["lag-milliseconds"].as_u64().unwrap() < 20_000,
        "{status}"
    );
    let text = service.ask(&["status"]);
    assert!(text.contains("\n        Last login: "), "{text}");
    assert!(text.contains("dave from 203.0.113.1 to dovecot"), "{text}");
    assert!(text.ends_with("          Problems: none\n"), "{text}");
}

#[test]
fn a_watcher_sees_what_happens() {
    let service = Service::start(&[]);
    let mut json = Watcher::of(&service, &["monitor", "--json"]);
    let mut text = Watcher::of(&service, &["monitor"]);
    assert!(text.line().contains("watching"));
    service.journal.add(
        "more.journal",
        &export(&[
            login(2, "192.0.2.10", "alice"),
            login(1, "10.1.2.3", "bob").but("_UID", Some("1000")),
            Entry::dovecot(
                ago(0),
                "imap(alice)<1><alice192.0.2.10>: Disconnected: Logged out in=1 out=2",
            ),
        ]),
    );
    let mut kinds = Vec::new();
    while kinds.len() < 5 {
        let event: Value = serde_json::from_str(&json.line()).unwrap();
        let kind = event["kind"].as_str().unwrap().to_owned();
        match kind.as_str() {
            "login" | "listed" | "logout" => assert_eq!(event["client"], "192.0.2.10", "{event}"),
            "refused" => assert_eq!(event["client"], "10.1.2.3", "{event}"),
            "published" => assert_eq!(event["clients"], 1, "{event}"),
            _ => panic!("{event}"),
        }
        kinds.push(kind);
    }
    assert_eq!(kinds[..4], ["login", "listed", "refused", "logout"]);
    assert_eq!(kinds[4], "published");
    for kind in kinds {
        let line = text.line();
        assert_eq!(
            line.find(&kind),
            Some("2026-11-24 10:00:00  ".len()),
            "{line}"
        );
    }
    // It does not hang when the service ends.
    drop(service);
    let status = json.child.wait().unwrap();
    assert_eq!(status.code(), Some(69));
}

/// A command that is read line by line.
struct Watcher {
    child: Child,
    lines: BufReader<std::process::ChildStdout>,
}

impl Watcher {
    /// It watches already when this returns.
    fn of(service: &Service, arguments: &[&str]) -> Self {
        let mut child = service
            .command(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap());
        let watcher = Watcher { child, lines };
        // The kernel tells of the connection, and the service takes the calls in order.
        let patience = Instant::now() + Duration::from_secs(20);
        let fds = format!("/proc/{}/fd", watcher.child.id());
        let connected = || {
            fs::read_dir(&fds).is_ok_and(|mut fds| {
                fds.any(|fd| {
                    let target = fd.and_then(|fd| fs::read_link(fd.path()));
                    target.is_ok_and(|t| t.to_string_lossy().starts_with("socket:"))
                })
            })
        };
        while !connected() {
            assert!(Instant::now() < patience);
            std::thread::sleep(Duration::from_millis(10));
        }
        service.ask(&["status"]);
        watcher
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).unwrap();
        line
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What prometheus-client's parser makes of standard input, and what is wrong with it otherwise.
const PARSER: &str = "
import json, sys
from prometheus_client.openmetrics import parser
from prometheus_client import parser as prometheus
text = sys.stdin.read()
samples = {s.name: s.value for f in parser.text_string_to_metric_families(text) for s in f.samples}
older = {s.name: s.value for f in prometheus.text_string_to_metric_families(text) for s in f.samples}
assert samples == older, (samples, older)
print(json.dumps(samples))
";

fn parsed(text: &str) -> Value {
    let mut python = Command::new("/usr/bin/python3")
        .args(["-c", PARSER])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = python.stdin.take().unwrap();
    input.write_all(text.as_bytes()).unwrap();
    drop(input);
    let output = python.wait_with_output().unwrap();
    assert!(
        output.status.success(),
        "{}\n{text}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn the_numbers_are_open_metrics() {
    let service = Service::start(&logins());
    let numbers = parsed(&service.ask(&["metrics"]));
    for (name, expected) in [
        ("clients", 4.0),
        ("sessions", 3.0),
        ("caught_up", 1.0),
        ("problems", 0.0),
        ("published_clients", 4.0),
        ("logins_total", 6.0),
        ("refused_total", 0.0),
        ("build_info", 1.0),
    ] {
        assert_eq!(
            numbers[format!("pop_before_smtp_{name}")],
            expected,
            "{name}"
        );
    }
    let started = numbers["pop_before_smtp_start_timestamp_seconds"].as_f64();
    assert!(started > Some(1.7e9), "{numbers}");

    let file = service.path("pop-before-smtp.prom");
    let to_file = ["metrics", "--output", file.to_str().unwrap()];
    assert_eq!(service.ask(&to_file), "");
    let written = parsed(&fs::read_to_string(&file).unwrap());
    assert_eq!(written["pop_before_smtp_clients"], 4.0);
}

#[test]
fn the_log_level_is_set_while_it_runs() {
    let service = Service::start(&[]);
    if !rustix::process::geteuid().is_root() {
        let output = service.try_ask(&["log-level", "debug"]);
        assert_eq!(output.status.code(), Some(77), "{output:?}");
        return;
    }
    assert_eq!(service.ask(&["log-level"]), "info\n");
    assert_eq!(service.ask(&["log-level", "debug"]), "debug, was info\n");
    assert_eq!(service.ask(&["log-level"]), "debug\n");
    // Until a reload.
    let process = rustix::process::Pid::from_child(&service.child);
    rustix::process::kill_process(process, rustix::process::Signal::HUP).unwrap();
    service.wait_for("reloaded: ");
    assert_eq!(service.ask(&["log-level", "debug"]), "debug, was info\n");
    service
        .journal
        .add("a.journal", &export(&[login(0, "10.1.2.3", "bob")]));
    service.wait_for("debug: 10.1.2.3 is not listed");
    assert_eq!(service.ask(&["log-level", "error"]), "error, was debug\n");
    service
        .journal
        .add("b.journal", &export(&[login(0, "192.0.2.20", "bob")]));
    while service.listed(&[]).is_empty() {}
    assert!(
        !service.log().contains("added 192.0.2.20"),
        "{}",
        service.log()
    );
    assert_eq!(
        service.try_ask(&["log-level", "loud"]).status.code(),
        Some(2)
    );
}

#[test]
fn who_allows_a_client_is_told_when_postfix_does_not_know_it_yet() {
    let service = Service::start(&[]);
    if !rustix::process::geteuid().is_root() {
        return;
    }
    // A directory where the next map is to be made.
    let in_the_way = service.path("state/clients.new");
    fs::create_dir(&in_the_way).unwrap();
    let output = service.try_ask(&["allow", "192.0.2.20"]);
    assert_eq!(output.status.code(), Some(75), "{output:?}");
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(said.contains("clients.new"), "{said}");
    assert_eq!(service.listed(&[]), ["192.0.2.20"]);
    fs::remove_dir(&in_the_way).unwrap();
    service.wait_for("published 1 client");
}

#[test]
fn a_service_that_is_not_there_is_told_from_one_that_says_no() {
    let directory = tempfile::tempdir().unwrap();
    let none = directory.path().join("none");
    let output = Command::new(env!("CARGO_BIN_EXE_pop-before-smtp"))
        .args(["status", "--socket"])
        .arg(&none)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(69));
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(
        said.contains("systemctl enable --now pop-before-smtp.socket"),
        "{said}"
    );
}

#[test]
fn hostile_peers_do_not_keep_others_from_their_answers() {
    let service = Service::start(&logins());
    let mut peers = Vec::new();
    // Fewer than root is allowed: these are as hostile as they are trusted.
    for n in 0..50 {
        let mut peer = UnixStream::connect(service.path("control")).unwrap();
        match n % 3 {
            0 => {}
            1 => peer.write_all(b"{\"method\":\"org.pop-bef").unwrap(),
            _ => peer
                .write_all(b"{\"method\":\"org.pop-before-smtp.Monitor\",\"more\":true}\0")
                .unwrap(),
        }
        peers.push(peer);
    }
    let start = Instant::now();
    assert_eq!(service.listed(&[]).len(), 4);
    service.ask(&["status"]);
    assert!(
        start.elapsed() < Duration::from_secs(10),
        "{:?}",
        start.elapsed()
    );
}
