//! The policy socket of a running service: its answers are those of the whitelist, at once.

mod foreground;
mod journal_files;

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::ops::Deref;
use std::os::unix::fs::{FileExt, symlink};
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::time::Duration;

use foreground::Foreground;
use jiff::SignedDuration;
use journal_files::JournalFiles;
use journal_files::entry::{Entry, export};

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

impl Service {
    fn start(entries: &[Entry], settings: &str) -> Self {
        let settings = format!("log-level = \"debug\"\npermitted-networks = []\n{settings}");
        Service(Foreground::start(entries, &settings))
    }

    fn connect(&self) -> UnixStream {
        let stream = UnixStream::connect(self.path("policy")).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        stream
    }

    fn ask(&self, client: &str) -> String {
        let mut stream = self.connect();
        stream.write_all(request(client).as_bytes()).unwrap();
        reply(&mut stream)
    }
}

fn request(client: &str) -> String {
    format!(
        "request=smtpd_access_policy\nprotocol_state=RCPT\nclient_address={client}\n\
         sender=a@example.org\nrecipient=b@example.net\nqueue_id=4cFz\n\n"
    )
}

/// One reply, or what came before the connection was closed.
fn reply(stream: &mut impl Read) -> String {
    let mut reply = Vec::new();
    let mut byte = [0];
    while !reply.ends_with(b"\n\n") && stream.read(&mut byte).unwrap() == 1 {
        reply.push(byte[0]);
    }
    String::from_utf8(reply).unwrap()
}

const OK: &str = "action=OK\n\n";
const DUNNO: &str = "action=DUNNO\n\n";

#[test]
fn the_answer_is_right_the_moment_the_entry_is_written() {
    let logins = [
        Entry::login(ago(10), "192.0.2.10", "a"),
        Entry::login(ago(10), "2001:db8:0:1::10", "b"),
    ];
    let service = Service::start(&logins, "policy.ipv6-prefix = 64");
    for (client, expected) in [
        ("192.0.2.10", OK),
        ("192.0.2.11", DUNNO),
        ("2001:db8:0:1::10", OK),
        ("2001:db8:0:1::11", OK),
        ("2001:db8:0:2::10", DUNNO),
        ("unknown", DUNNO),
        ("", DUNNO),
    ] {
        assert_eq!(service.ask(client), expected, "{client}");
    }
    let mut held = service.connect();
    held.write_all(request("192.0.2.12").as_bytes()).unwrap();
    assert_eq!(reply(&mut held), DUNNO);
    let login = Entry::login(ago(0), "192.0.2.12", "c");
    service.journal.add("more.journal", &export(&[login]));
    held.write_all(request("192.0.2.12").as_bytes()).unwrap();
    assert_eq!(reply(&mut held), OK);
    service.wait_for(
        "192.0.2.12 may relay from <a@example.org> to <b@example.net>, queue id 4cFz: alice",
    );
}

/// systemd's own tool passes the sockets on, as systemd does; the service starts with the first question.
#[test]
fn relays_on_other_hosts_ask_over_tcp_at_each_address() {
    let free = || {
        TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap()
    };
    let addresses = [free(), free()];
    let relays = "policy.relays = [\"127.0.0.0/8\"]";
    let mut service = Service::start(&[Entry::login(ago(10), "192.0.2.10", "a")], relays);
    let mut command = Command::new("systemd-socket-activate");
    for address in &addresses {
        command.arg(format!("--listen={address}"));
    }
    command.args([
        "--fdname=policy-inet:policy-inet",
        env!("CARGO_BIN_EXE_pop-before-smtp"),
    ]);
    service.0.start_again_as(command);
    for address in addresses {
        let mut relay = loop {
            match TcpStream::connect(address) {
                Ok(relay) => break relay,
                Err(_) => std::thread::sleep(Duration::from_millis(10)),
            }
        };
        for (client, expected) in [("192.0.2.10", OK), ("192.0.2.11", DUNNO)] {
            relay.write_all(request(client).as_bytes()).unwrap();
            assert_eq!(reply(&mut relay), expected, "{client}: {}", service.log());
        }
        // What is no question ends the connection, and nothing else.
        let mut stranger = TcpStream::connect(address).unwrap();
        stranger.write_all(b"GET / HTTP/1.1\r\n\r\n\n\n").unwrap();
        assert_eq!(reply(&mut stranger), "");
        relay.write_all(request("192.0.2.10").as_bytes()).unwrap();
        assert_eq!(reply(&mut relay), OK);
    }
    assert_eq!(service.ask("192.0.2.10"), OK);

    // A relay that is one no more has no answer, however long its connection has stood.
    let mut former = TcpStream::connect(addresses[0]).unwrap();
    former.write_all(request("192.0.2.10").as_bytes()).unwrap();
    assert_eq!(reply(&mut former), OK);
    service.reload("policy.relays = []");
    service.wait_for("reloaded: ");
    former.write_all(request("192.0.2.10").as_bytes()).unwrap();
    assert_eq!(reply(&mut former), "");
}

#[test]
fn after_much_was_caught_up_with_nothing_is_missed() {
    let popa3d = |seconds, message: &str| {
        Entry::dovecot(ago(seconds), message)
            .but("SYSLOG_IDENTIFIER", Some("popa3d"))
            .but("_SYSTEMD_UNIT", Some("popa3d.service"))
            .with("_PID", "7")
    };
    let logins = (0..500).map(|n| Entry::login(ago(600 - n), &format!("192.0.2.{}", n % 200), "a"));
    let connection = popa3d(50, "Session from 198.51.100.1");
    let last = Entry::login(ago(40), "192.0.2.10", "b");
    let entries: Vec<Entry> = logins.chain([connection, last]).collect();
    let service = Service::start(&entries, "");
    for client in ["192.0.2.0", "192.0.2.10", "192.0.2.199"] {
        assert_eq!(service.ask(client), OK, "{client}");
    }
    assert_eq!(service.ask("198.51.100.1"), DUNNO);
    let login = popa3d(0, "Authentication passed for alice");
    service.journal.add("more.journal", &export(&[login]));
    assert_eq!(service.ask("198.51.100.1"), OK);
}

/// A journal file of which nobody is told when it grows: those who watch its directory see no more
/// than a link.
fn untold(service: &Service) -> JournalFiles {
    let elsewhere = JournalFiles::import(&export(&[Entry::login(ago(5), "192.0.2.20", "x")]));
    let file = elsewhere.path().join("imported.journal");
    symlink(file, service.journal.path().join("untold.journal")).unwrap();
    service.wait_for("added 192.0.2.20");
    elsewhere
}

#[test]
fn the_journal_is_looked_at_before_the_answer_is_no() {
    let service = Service::start(&[], "journal.look-every = \"\"");
    let journal = untold(&service);
    journal.add(
        "imported.journal",
        &export(&[Entry::login(ago(0), "192.0.2.21", "y")]),
    );
    assert_eq!(service.ask("192.0.2.22"), DUNNO);
    assert_eq!(service.ask("192.0.2.21"), OK);
}

/// journald counts an entry, and tells its time, before it links it to its fields; and libsystemd does
/// not look again at a file whose count is the same. Somebody always asks in between.
#[test]
fn a_login_is_found_that_was_looked_for_while_it_was_written() {
    let service = Service::start(&[], "journal.look-every = \"\"");
    let journal = untold(&service);
    let name = "imported.journal";
    let file = journal.path().join(name);
    let before = fs::read(&file).unwrap();
    let written = JournalFiles::none();
    fs::write(written.path().join(name), &before).unwrap();
    let login = Entry::login(ago(0), "192.0.2.21", "y");
    written.add(name, &export(&[login]));
    let after = fs::read(written.path().join(name)).unwrap();
    assert_eq!(before.len(), after.len());
    let live = fs::File::options().write(true).open(&file).unwrap();
    // n_entries and tail_entry_realtime (<https://systemd.io/JOURNAL_FILE_FORMAT>).
    for field in [152..160, 192..200] {
        assert_ne!(before[field.clone()], after[field.clone()]);
        live.write_all_at(&after[field.clone()], field.start as u64)
            .unwrap();
    }
    assert_eq!(service.ask("192.0.2.21"), DUNNO);
    live.write_all_at(&after, 0).unwrap();
    assert_eq!(service.ask("192.0.2.21"), OK);
}

#[test]
fn the_journal_is_looked_at_while_servers_write() {
    let service = Service::start(&[], "");
    let journal = untold(&service);
    journal.add(
        "imported.journal",
        &export(&[Entry::login(ago(0), "192.0.2.21", "y")]),
    );
    service.wait_for("added 192.0.2.21");
}

#[test]
fn requests_may_be_pipelined_and_cut_and_others_may_be_silent() {
    let service = Service::start(&[Entry::login(ago(10), "192.0.2.10", "a")], "");
    let silent: Vec<_> = (0..300).map(|_| service.connect()).collect();
    let mut stream = service.connect();
    let requests: String = (0..500)
        .map(|n| {
            request(if n % 2 == 0 {
                "192.0.2.10"
            } else {
                "192.0.2.11"
            })
        })
        .collect();
    for piece in requests.as_bytes().chunks(1001) {
        stream.write_all(piece).unwrap();
    }
    for n in 0..500 {
        assert_eq!(
            reply(&mut stream),
            if n % 2 == 0 { OK } else { DUNNO },
            "{n}"
        );
    }
    let mut broken = service.connect();
    broken.write_all(b"HELO\n\n").unwrap();
    assert_eq!(reply(&mut broken), "");
    let mut endless = service.connect();
    let _ = endless.write_all(&[b'a'; 70_000]);
    let mut rest = Vec::new();
    // Closed with bytes of ours unread, which some systems call a reset.
    let _ = endless.read_to_end(&mut rest);
    assert!(rest.is_empty());
    assert_eq!(service.ask("192.0.2.10"), OK);
    drop(silent);
}

#[test]
fn map_and_policy_can_each_be_left_out() {
    let login = Entry::login(ago(10), "192.0.2.10", "a");
    let in_map = |service: &Service| {
        let map = format!("hash:{}", service.path("state/clients").display());
        let output = Command::new("/usr/sbin/postmap")
            .args(["-q", "192.0.2.10", &map])
            .output();
        output.unwrap().status.success()
    };
    let service = Service::start(std::slice::from_ref(&login), "publish = [\"map\"]");
    service.wait_for("published 1 client");
    assert!(in_map(&service));
    assert_eq!(service.ask("192.0.2.10"), DUNNO);
    let service = Service::start(&[login], "publish = [\"policy\"]");
    assert_eq!(service.ask("192.0.2.10"), OK);
    assert!(!in_map(&service));
}

#[test]
fn a_client_is_refused_when_its_grace_has_passed() {
    let service = Service::start(
        &[
            Entry::login(ago(1), "192.0.2.10", "a"),
            Entry::logout(ago(1), "a"),
        ],
        "grace = \"9s\"",
    );
    assert_eq!(service.ask("192.0.2.10"), OK);
    service.wait_for("removed 192.0.2.10");
    assert_eq!(service.ask("192.0.2.10"), DUNNO);
}
