//! Mail servers in containers: which container wrote an entry is believed of a container engine alone.

mod foreground;
mod journal_files;

use std::fs;
use std::path::Path;

use foreground::Foreground;
use jiff::SignedDuration;
use journal_files::JournalFiles;
use journal_files::entry::{Entry, export};

const CLIENT: &str = "192.0.2.10";
const OTHER: &str = "192.0.2.20";
const SETTINGS: &str =
    "permitted-networks = []\nsenders.dovecot.containers = [\"mailserver\", \"two\"]";

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
        // The header is at the beginning, and nowhere else.
        docker(95, &format!("x {}", with_header("192.0.2.15", "f"))),
    ]);
    service.wait_for("caught up with the journal: 4 clients listed, 4 sessions open");
    let list = service.ask("list");
    for client in ["192.0.2.10", "192.0.2.11", "192.0.2.12", "192.0.2.13"] {
        assert!(list.contains(client), "{list}");
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
    ]);
    service.wait_for("caught up with the journal: 1 client listed");
    assert!(!service.log().contains("added 203.0.113."));
    service.wait_for("it names a container, and no container engine of root's wrote it");
    service.wait_for("refused a login of 203.0.113.9 that looks like dovecot's");
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

/// Real entries of podman's: two containers, each with a line as Dovecot writes it, and one with a
/// header.
#[test]
fn podmans_containers_are_heard_if_they_are_named() {
    let capture = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/captures/podman");
    let journal = JournalFiles::import(&fs::read(capture.join("journal.export")).unwrap());
    let events = |containers: &str| {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("config.toml");
        fs::write(&file, format!("senders.dovecot.containers = {containers}")).unwrap();
        let output = foreground::program()
            .arg("--config")
            .arg(&file)
            .args(["test", "--json", "--directory"])
            .arg(journal.path())
            .output()
            .unwrap();
        let lines = String::from_utf8(output.stdout).unwrap();
        let event = |line: &str| {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            let field = |name: &str| line[name].as_str().unwrap_or("-").to_owned();
            ["event", "client", "user", "session"].map(field).join("\t") + "\n"
        };
        lines.lines().map(event).collect::<String>()
    };
    let all = fs::read_to_string(capture.join("events")).unwrap();
    assert_eq!(events("[\"dovecot-mailcow\", \"two\"]"), all);
    assert_eq!(events("[\"dovecot-mailcow\"]").lines().count(), 2);
    assert_eq!(events("[\"another\"]"), "");
}
