//! Mail servers in containers: which container wrote an entry is believed of a container engine alone.

mod foreground;
mod journal_files;

use std::fs;
use std::path::{Path, PathBuf};

use foreground::Foreground;
use jiff::SignedDuration;
use journal_files::JournalFiles;
use journal_files::entry::{Entry, export};

const CLIENT: &str = "192.0.2.10";
const OTHER: &str = "192.0.2.20";
const SETTINGS: &str = "permitted-networks = []\nsenders.dovecot.containers = [\"mailserver\", \"two\"]\n\
     senders.dovecot.units = [\"pod.service\"]";

fn ago(seconds: i64) -> SignedDuration {
    SignedDuration::from_secs(seconds)
}

/// What dockerd writes for the container `mailserver`, whose tag is its id.
fn docker(seconds: i64, message: &str) -> Entry {
    Entry::dovecot(ago(seconds), message)
        .but("SYSLOG_IDENTIFIER", Some("8f3c2ab01234"))
        .but("_SYSTEMD_UNIT", Some("docker.service"))
        .with("_PID", "700")
        .with("CONTAINER_NAME", "mailserver")
        .with("CONTAINER_TAG", "8f3c2ab01234")
        .with("CONTAINER_ID_FULL", "8f3c2ab01234")
}

/// What conmon writes for it, in a scope of its own.
fn podman(seconds: i64, message: &str) -> Entry {
    docker(seconds, message)
        .but("CONTAINER_NAME", Some("two"))
        .but("SYSLOG_IDENTIFIER", Some("two"))
        .but("CONTAINER_TAG", None)
        .but("_SYSTEMD_UNIT", Some("libpod-conmon-8f3c2ab01234.scope"))
}

fn login(client: &str, session: &str) -> String {
    format!("imap-login: Info: Login: user=<tom>, method=PLAIN, rip={client}, session=<{session}>")
}

/// With the header of a syslog daemon in the container.
fn with_header(client: &str, session: &str) -> String {
    let line = login(client, session).replace("Info: ", "");
    format!("2026-11-27T10:00:00.123456+00:00 mail dovecot: {line}")
}

fn start(entries: &[Entry]) -> Foreground {
    Foreground::start_on(JournalFiles::import(&export(entries)), SETTINGS)
}

#[test]
fn a_server_in_a_container_is_heard_whatever_stands_around_its_lines() {
    let traditional = format!(
        "Nov 27 10:00:00 8f3c2ab dovecot: {}",
        login("192.0.2.12", "c")
    );
    let service = start(&[
        docker(100, &login("192.0.2.10", "a")),
        docker(99, &with_header("192.0.2.11", "b")),
        docker(98, &traditional),
        docker(
            97,
            &format!("\u{1b}[32m{}\u{1b}[0m\r", login("192.0.2.13", "d")),
        ),
        // Other programs in the container, which say who they are.
        docker(
            96,
            &with_header("192.0.2.14", "e").replace("dovecot:", "postfix/smtpd[5]:"),
        ),
        // s6-log's time, before a header and without one.
        docker(
            96,
            &format!(
                "2026-11-27 10:00:00.123456789  {}",
                login("192.0.2.16", "g")
            ),
        ),
        docker(
            96,
            &format!(
                "@4000000067aa1c2b1a2b3c4d {}",
                with_header("192.0.2.17", "h")
            ),
        ),
        // The header is at the beginning, and nowhere else.
        docker(95, &format!("x {}", with_header("192.0.2.15", "f"))),
    ]);
    service.wait_for("caught up with the journal: 6 clients listed, 6 sessions open");
    let list = service.ask("list");
    for client in [10, 11, 12, 13, 16, 17] {
        assert!(list.contains(&format!("192.0.2.{client}")), "{list}");
    }
}

#[test]
fn who_is_no_engine_and_what_is_another_container_opens_nothing_and_is_reported() {
    let forged = |n: u8, uid: &str, unit: Option<&str>| {
        docker(100, &login(&format!("203.0.113.{n}"), &n.to_string()))
            .but("_UID", Some(uid))
            .but("_SYSTEMD_UNIT", unit)
    };
    let another = docker(99, &login("203.0.113.9", "9"))
        .but("CONTAINER_NAME", Some("web"))
        .but("CONTAINER_TAG", Some("dovecot"))
        .but("SYSLOG_IDENTIFIER", Some("dovecot"));
    let service = start(&[
        forged(1, "1000", Some("user@1000.service")),
        forged(2, "1000", Some("docker.service")),
        forged(3, "0", Some("web.service")),
        forged(4, "1000", None),
        forged(5, "0", Some("libpod-8f3c2ab01234.scope")),
        another,
        // A quadlet's unit speaks for its own name, and for no tag.
        forged(6, "0", Some("web.service"))
            .but("CONTAINER_NAME", Some("systemd-web"))
            .but("CONTAINER_TAG", Some("mailserver")),
        docker(90, &login(CLIENT, "a")),
        // A quadlet whose container has another name than its unit, which is named.
        forged(7, "0", Some("pod.service")).but("MESSAGE", Some(&login(OTHER, "b"))),
    ]);
    service.wait_for("caught up with the journal: 2 clients listed");
    assert!(!service.log().contains("added 203.0.113."));
    service.wait_for("it names a container, and no container engine of root's wrote it");
    service.wait_for("refused a login of 203.0.113.9 that looks like dovecot's");
    assert!(service.ask("list").contains(CLIENT));
}

/// It can write to the host's /dev/log: journald has seen its cgroup, and that this is no unit's.
#[test]
fn root_in_a_container_without_a_unit_is_no_server_of_the_host() {
    let outside = |client: &str, cgroup: &str| {
        Entry::login(ago(100), client, client)
            .but("_SYSTEMD_UNIT", None)
            .but("_UID", Some("0"))
            .with("_SYSTEMD_CGROUP", cgroup)
    };
    let service = start(&[
        outside("203.0.113.1", "/docker/8f3c2ab01234"),
        // Gone before journald looked, as servers' processes can be.
        Entry::login(ago(99), CLIENT, "a").but("_SYSTEMD_UNIT", None),
    ]);
    service.wait_for("caught up with the journal: 1 client listed");
    service.wait_for("refused a login of 203.0.113.1");
    assert!(service.ask("list").contains(CLIENT));
}

#[test]
fn the_next_container_of_a_name_ends_the_sessions_of_the_one_before() {
    let next = |entry: Entry| entry.but("CONTAINER_ID_FULL", Some("0123456789ab"));
    let service = start(&[
        docker(100, &login(CLIENT, "a")),
        docker(99, &login(OTHER, "b")),
        docker(
            98,
            "imap(tom)<5><b>: Info: Disconnected: Logged out in=1 out=2",
        ),
    ]);
    service.wait_for("caught up with the journal: 2 clients listed, 1 session open");
    let entry = next(docker(50, &login("192.0.2.30", "a")));
    service.journal.add("next.journal", &export(&[entry]));
    service.wait_for_answer("status", "3 clients, 1 open session");
}

/// It has the same id then. Docker's daemon tells the runs apart by a field; each of podman's has its own
/// conmon.
#[test]
fn a_container_that_is_restarted_ends_its_sessions() {
    let docker = |seconds, epoch: &str, client: &str| {
        docker(seconds, &login(client, client)).with("CONTAINER_LOG_EPOCH", epoch)
    };
    let podman = |seconds, conmon: &str, client: &str| {
        podman(seconds, &login(client, client)).but("_PID", Some(conmon))
    };
    let service = start(&[
        docker(100, "6845af5b79aa", CLIENT),
        docker(99, "6845af5b79aa", OTHER),
        podman(98, "700", "192.0.2.30"),
        podman(97, "700", "192.0.2.31"),
    ]);
    service.wait_for("caught up with the journal: 4 clients listed, 4 sessions open");
    let next = [
        docker(50, "04819d45be10", "192.0.2.40"),
        podman(49, "800", "192.0.2.41"),
    ];
    service.journal.add("next.journal", &export(&next));
    service.wait_for_answer("status", "6 clients, 2 open sessions");
}

/// A container whose logins seem to come from a bridge would list everybody behind it.
#[test]
fn a_bridges_address_is_not_listed_unless_it_is_asked_for() {
    let entries = [
        docker(100, &login("172.18.0.1", "a")),
        docker(99, &with_header("fd00:17::1", "b")),
        docker(98, &login("192.168.1.1", "c")),
        docker(97, &login("10.0.0.2", "f")),
        docker(97, &login("192.168.1.20", "d")),
        // A server of the host sees who connects.
        Entry::dovecot(ago(96), login("10.0.0.1", "e").replace("Info: ", "")),
    ];
    let service = start(&entries);
    service.wait_for("caught up with the journal: 2 clients listed");
    service.wait_for("refused a login of 172.18.0.1 that looks like dovecot's");
    service.wait_for("all clients of a container may seem to come from that address");
    service.wait_for("name it in senders.dovecot.bridges");
    let settings = format!("{SETTINGS}\nsenders.dovecot.bridges = [\"192.168.1.0/24\"]");
    let asked_for = Foreground::start_on(JournalFiles::import(&export(&entries)), &settings);
    asked_for.wait_for("caught up with the journal: 3 clients listed");
    assert!(asked_for.ask("list").contains("192.168.1.1"));
}

/// Its engine, which podman starts outside of any unit, is root: but of which container?
#[test]
fn a_container_that_nobody_has_named_is_not_believed_for_its_tag() {
    let tagged = docker(100, &login("203.0.113.1", "a"))
        .but("CONTAINER_NAME", Some("web"))
        .but("CONTAINER_TAG", Some("dovecot"))
        .but("SYSLOG_IDENTIFIER", Some("dovecot"))
        .but("_SYSTEMD_UNIT", None);
    let in_its_unit = docker(99, &login("203.0.113.2", "c"))
        .but("CONTAINER_NAME", Some("dovecot"))
        .but("SYSLOG_IDENTIFIER", Some("dovecot"))
        .but("_SYSTEMD_UNIT", Some("dovecot.service"));
    let service = start(&[tagged, in_its_unit, docker(90, &login(CLIENT, "b"))]);
    service.wait_for("caught up with the journal: 1 client listed");
    service.wait_for("it names a container that the configuration does not");
    service.wait_for("refused a login of 203.0.113.2");
    service.wait_for("containers = [\"web\"]");
    assert!(service.ask("list").contains(CLIENT));
}

#[test]
fn what_the_engine_has_cut_is_no_login() {
    let begin = docker(100, &"x".repeat(200)).with("CONTAINER_PARTIAL_MESSAGE", "true");
    let service = start(&[
        begin,
        docker(99, &login("203.0.113.1", "a")),
        docker(98, &login("203.0.113.2", "b")).with("CONTAINER_PARTIAL_MESSAGE", "true"),
        // A line of the other stream in between.
        docker(97, "y").with("PRIORITY", "3"),
        docker(97, &login("203.0.113.3", "d")),
        docker(96, &login(CLIENT, "c")),
        // What is too long is no line, whatever may be taken off its end.
        docker(
            95,
            &format!("{}{}\r more", login("203.0.113.4", "e"), " ".repeat(4096)),
        ),
    ]);
    service.wait_for("caught up with the journal: 1 client listed");
    assert!(service.ask("list").contains(CLIENT));
}

/// What is made of a capture if Dovecot runs in these containers.
fn events(capture: &str, containers: &str) -> String {
    let json = test(capture, containers, &["--json"]);
    let event = |line: &str| {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let field = |name: &str| line[name].as_str().unwrap_or("-").to_owned();
        ["event", "client", "user", "session"].map(field).join("\t") + "\n"
    };
    json.lines().map(event).collect()
}

fn test(capture: &str, containers: &str, options: &[&str]) -> String {
    let journal = JournalFiles::import(&fs::read(file_of(capture, "journal.export")).unwrap());
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config.toml");
    let settings = format!("senders.dovecot.containers = {containers}");
    fs::write(&file, settings).unwrap();
    let output = foreground::program()
        .arg("--config")
        .arg(&file)
        .args(["test", "--directory"])
        .arg(journal.path())
        .args(options)
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap()
}

fn file_of(capture: &str, name: &str) -> PathBuf {
    let captures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/captures");
    captures.join(capture).join(name)
}

/// Real entries of podman's: two containers, each with a line as Dovecot writes it, and one with a
/// header.
#[test]
fn podmans_containers_are_heard_if_they_are_named() {
    let all = fs::read_to_string(file_of("podman", "events")).unwrap();
    assert_eq!(events("podman", "[\"dovecot-mailcow\", \"two\"]"), all);
    assert_eq!(events("podman", "[\"dovecot-mailcow\"]").lines().count(), 4);
    let another = events("podman", "[\"another\"]");
    assert!(!another.contains("login"), "{another}");
}

/// Entries with the fields that Docker documents and its daemon is seen to write; none of them was made by
/// Docker.
#[test]
fn dockers_containers_are_heard_if_they_are_named() {
    let named = "[\"mailserver\", \"mailcowdockerized-dovecot-mailcow-1\"]";
    let all = fs::read_to_string(file_of("docker", "events")).unwrap();
    assert_eq!(events("docker", named), all);
    // Nobody has named any: what would have them read is told.
    let said = test("docker", "[]", &["--missed"]);
    for line in [
        "2 logins of dovecot under the container mailserver, which is not known as its own",
        "containers = [\"mailcowdockerized-dovecot-mailcow-1\", \"mailserver\"]",
        // By its tag, it is read, and refused.
        "containers = [\"web\"]",
    ] {
        assert!(said.contains(line), "{said}");
    }
}
