//! What somebody on the host, with a mailbox, or on the network may try: by every way into the journal, on
//! both sockets, in every directory, and by sheer number. Nobody gets in, and whoever has logged in does.

use std::process::{Child, Stdio};
use std::time::Instant;

use crate::host::{Host, NEAR, wait_until};
use crate::image::Release;
use crate::mail::{Answer, at_once, fetch_mail, send_mail};
use crate::policy::asked;
use crate::service::{SETTINGS, SOON};

/// More than one of the service's may ever need: in kB.
const MEMORY: u64 = 48 * 1024;

const POLICY: &str = "/var/spool/postfix/pop-before-smtp/policy";
const CONTROL: &str = "/run/pop-before-smtp/control";

/// Opens this many connections to a socket, says something on each that is accepted, and holds them.
const HOLD: &str = r#"use IO::Socket::UNIX; use Time::HiRes;
my ($socket, $number, @says) = @ARGV;
$SIG{PIPE} = "IGNORE";
for my $n (1..$number) {
    my $one = IO::Socket::UNIX->new(Peer => $socket) or next;
    my $says = $says[$n % @says];
    $says =~ s/\\n/\n/g; $says =~ s/\\0/\0/g;
    $one->syswrite($says);
    push @held, $one;
}
$| = 1; print scalar(@held), "\n"; sleep 600;
"#;

/// Writes logins of ever new clients to the journal as fast as it takes them, for so many seconds.
const FLOOD: &str = r#"use Socket;
socket(my $journal, AF_UNIX, SOCK_DGRAM, 0) or die; connect($journal, sockaddr_un("/run/systemd/journal/socket")) or die $!;
my ($n, $end) = (0, time + $ARGV[0]);
while ($n % 1000 || time < $end) {
    my $a = "198.18." . ($n / 250 % 250) . "." . ($n++ % 250 + 1);
    send($journal, "SYSLOG_IDENTIFIER=dovecot\n_UID=0\nMESSAGE=imap-login: Login: user=<u$n>, method=PLAIN, rip=$a, lip=192.0.2.1, mpid=$n, TLS, session=<f$n>\n", 0);
}
print "$n\n";
"#;

fn login(user: &str, client: &str, number: u32) -> String {
    format!(
        "imap-login: Login: user=<{user}>, method=PLAIN, rip={client}, lip=192.0.2.1, \
         mpid={number}, TLS, session=<s{number}>"
    )
}

/// A program that goes on in the host until this is dropped.
struct Attacker(Child);

impl Attacker {
    fn start(host: &Host, command: &[&str]) -> Attacker {
        let mut command = host.command(command);
        Attacker(command.stdout(Stdio::piped()).spawn().unwrap())
    }

    /// The first line that it writes.
    fn says(&mut self) -> String {
        let mut line = String::new();
        let from = self.0.stdout.as_mut().unwrap();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(from), &mut line).unwrap();
        line.trim().to_owned()
    }
}

impl Drop for Attacker {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Opens connections to a socket as somebody, and holds them.
fn hold(host: &Host, user: &[&str], socket: &str, number: &str, says: &[&str]) -> Attacker {
    let program = ["prlimit", "--nofile=4000", "setpriv", "--clear-groups"];
    let perl = ["--", "perl", "/usr/local/share/hold.pl", socket, number];
    let mut attacker = Attacker::start(host, &[&program, user, &perl, says].concat());
    let held: u32 = attacker.says().parse().unwrap();
    assert_eq!(held.to_string(), number, "connections to {socket}");
    attacker
}

/// The service's own memory, in kB.
fn memory(host: &Host) -> u64 {
    let status = host.sh(&format!("cat /proc/{}/status", host.main_process()));
    let mut lines = status.lines();
    let line = lines.find_map(|line| line.strip_prefix("RssAnon:"));
    line.unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap()
}

/// Somebody else logs in, and may relay before long; nobody may who has not.
fn all_is_well(host: &Host, client: &str, during: &str) {
    let start = Instant::now();
    fetch_mail(host, client);
    wait_until(during, SOON, || host.map_permits(client).then_some(()));
    println!(
        "{during}: listed after {:?}; {} kB",
        start.elapsed(),
        memory(host)
    );
    assert_eq!(send_mail(host, client), Answer::Accepted, "{during}");
    assert_eq!(send_mail(host, "192.0.2.60"), Answer::Refused, "{during}");
    assert!(memory(host) < MEMORY, "{during}: {} kB", memory(host));
    let forged =
        |client: &String| client.starts_with("198.18.") || client.starts_with("203.0.113.");
    let listed = host.listed();
    assert!(!listed.iter().any(forged), "{during}: {listed:?}");
}

/// By the ways into the journal that `trust.rs` leaves out.
fn the_journal_is_forged(host: &Host) {
    let log = host.sh("systemctl show --value --property MainPID dovecot.service");
    // The stream of a service's output, with its unit, as systemd itself opens it.
    host.write_file(
        "/var/tmp/stream",
        &format!(
            "dovecot\ndovecot.service\n22\n0\n0\n0\n0\n{}\n",
            login("tom", "203.0.113.11", 1)
        ),
    );
    host.sh(
        "runuser -u tom -- socat -u OPEN:/var/tmp/stream UNIX-CONNECT:/run/systemd/journal/stdout",
    );
    // An entry about another process, with each field twice.
    host.write_file(
        "/var/tmp/twice",
        &format!(
            "SYSLOG_IDENTIFIER=x\nSYSLOG_IDENTIFIER=dovecot\nOBJECT_PID={log}\n_PID={log}\n_UID=0\n_UID=0\n\
             _TRANSPORT=syslog\n_SYSTEMD_UNIT=dovecot.service\nMESSAGE=x\nMESSAGE={}\n",
            login("tom", "203.0.113.12", 2)
        ),
    );
    host.sh(
        "runuser -u tom -- socat -u OPEN:/var/tmp/twice UNIX-SENDTO:/run/systemd/journal/socket",
    );
    // One that is too large for a datagram, and comes in a file of the kernel's.
    host.sh(&format!(
        "{{ echo 'SYSLOG_IDENTIFIER=dovecot'; echo '_SYSTEMD_UNIT=dovecot.service'; echo '_UID=0'
            echo 'MESSAGE={}'; printf FILLER=; head -c 600000 /dev/zero | tr '\\0' x; echo
         }} | runuser -u tom -- logger --journald",
        login("tom", "203.0.113.13", 3)
    ));
    // A datagram of syslog's, with the number of Dovecot's process.
    host.write_file(
        "/var/tmp/datagram",
        &format!(
            "<22>Jan  1 00:00:00 dovecot[{log}]: {}",
            login("tom", "203.0.113.14", 4)
        ),
    );
    host.sh("runuser -u tom -- socat -u OPEN:/var/tmp/datagram UNIX-SENDTO:/dev/log");
    // A program that a mailbox's user has the server run: Sieve's pipe, or a process broken into.
    host.sh(&format!(
        "echo $$ >/sys/fs/cgroup/system.slice/dovecot.service/cgroup.procs
         (echo '{}'; sleep 1) |
             setpriv --reuid=tom --regid=tom --clear-groups logger --tag dovecot --id={log}",
        login("tom", "203.0.113.15", 5)
    ));
    wait_until("the forgers have written", SOON, || {
        // journalctl looks at the first of two texts.
        let written = host
            .sh("journalctl --quiet --output=export | grep -ac '^MESSAGE=imap-login:.* rip=203'");
        (written == "5").then_some(())
    });
    // It was read, and its unit alone did not do.
    wait_until("the last one is reported", SOON, || {
        let lines = host.service_journal();
        let told =
            |line: &String| line.contains("203.0.113.15") && line.contains("dovecot.service");
        lines.iter().any(told).then_some(())
    });
    // The kernel's own messages, and journald's files, are closed to him.
    host.sh(
        "runuser -u tom -- find /var/log/journal /run/log/journal -writable 2>/dev/null | grep . && exit 1
         test ! -c /dev/kmsg || ! runuser -u tom -- sh -c 'echo x >/dev/kmsg' 2>/dev/null",
    );
    all_is_well(host, NEAR[0], "forged entries");
}

/// Nothing that the service or its commands write to can be written to, replaced or held.
fn the_files_are_sought(host: &Host) {
    let places = "/var/lib/pop-before-smtp /var/lib/pop-before-smtp-store /run/pop-before-smtp \
         /run/pop-before-smtp-networks /run/pop-before-smtp-store /etc/pop-before-smtp \
         /var/spool/postfix/pop-before-smtp";
    let writable =
        format!("find $(ls -d {places} /tmp 2>/dev/null) -writable ! -type l 2>/dev/null || true");
    for user in ["tom", "postfix", "dovecot"] {
        let found = host.run(&["runuser", "-u", user, "--", "sh", "-c", &writable]);
        let found: Vec<&str> = found
            .lines()
            .filter(|path| !path.starts_with("/tmp/"))
            .collect();
        // Its own socket is Postfix's.
        let expected = if user == "postfix" {
            vec!["/tmp", POLICY]
        } else {
            vec!["/tmp"]
        };
        assert_eq!(found, expected, "{user}");
    }
    // The lock, and whatever could be a door in a directory of everybody's.
    let map = host.map_index();
    host.sh(&format!(
        "cd /var/lib/pop-before-smtp && ! runuser -u tom -- flock --nonblock clients.lock true 2>/dev/null
         ! runuser -u tom -- mv {map} /tmp/ 2>/dev/null
         for name in clients clients.lock {map} {map}.new mynetworks pop-before-smtp; do
             for directory in /tmp /var/tmp /run/lock /dev/shm; do
                 runuser -u tom -- ln -sf /etc/passwd $directory/$name
             done
         done
         sha256sum /etc/passwd >/run/passwd.sum"
    ));
    host.systemctl("reload");
    host.systemctl("restart");
    let seen = host.sh(&format!(
        "ls -A /proc/{0}/root/tmp /proc/{0}/root/var/tmp",
        host.main_process()
    ));
    assert!(!seen.contains("clients"), "{seen}");
    all_is_well(host, "192.0.2.11", "links in directories of everybody's");
    host.run(&["sha256sum", "--check", "--quiet", "/run/passwd.sum"]);
}

/// By a member of the control socket's group, and by somebody who has taken Postfix's user.
fn the_sockets_are_held(host: &Host) {
    for socket in [CONTROL, POLICY] {
        let opened = host.try_run(&[
            "runuser",
            "-u",
            "tom",
            "--",
            "socat",
            "-u",
            "/dev/null",
            &format!("UNIX-CONNECT:{socket}"),
        ]);
        assert!(
            opened.stderr.contains("Permission denied"),
            "{}",
            opened.transcript()
        );
    }
    let listed = host.try_run(&["runuser", "-u", "tom", "--", "pop-before-smtp", "list"]);
    assert!(!listed.succeeded(), "{}", listed.transcript());

    let member = ["--reuid=ann", "--regid=pop-before-smtp"];
    let monitor = r#"{"method":"org.pop-before-smtp.Monitor","more":true}\0"#;
    // All the places that others than root have, by watchers who do not read.
    let _watchers = hold(host, &member, CONTROL, "64", &[monitor]);
    let _half = hold(
        host,
        &member,
        CONTROL,
        "3000",
        &[r#"{"method""#, "junk\\0", monitor],
    );
    let revoke = host.try_run(&[
        "runuser",
        "-u",
        "ann",
        "-g",
        "pop-before-smtp",
        "--",
        "pop-before-smtp",
        "allow",
        "203.0.113.99",
    ]);
    assert!(!revoke.succeeded(), "{}", revoke.transcript());
    let request = "request=smtpd_access_policy\\nclient_address=192.0.2.60\\n";
    let says = [
        "",
        request,
        "no request\\n\\n",
        "client_address=203.0.113.9\\nclient_address=192.0.2.10\\n\\n",
    ];
    let _smtpd = hold(
        host,
        &["--reuid=postfix", "--regid=postfix"],
        POLICY,
        "3000",
        &says,
    );
    all_is_well(host, "192.0.2.12", "thousands of connections");
    // More than a watcher's room, for those who do not read.
    let lines: Vec<String> = (1..=3000)
        .map(|n| login("ann", &format!("192.0.2.{}", n % 20 + 70), n))
        .collect();
    host.as_dovecot(&lines);
    all_is_well(host, "192.0.2.13", "watchers who do not read");
}

/// A user who writes as fast as journald takes it, and whom no limit of journald's concerns.
fn the_journal_is_flooded(host: &Host) {
    let flood = [
        "runuser",
        "-u",
        "tom",
        "--",
        "perl",
        "/usr/local/share/flood.pl",
        "4",
    ];
    let mut floods = [Attacker::start(host, &flood), Attacker::start(host, &flood)];
    let before = host.service_journal().len();
    all_is_well(host, "192.0.2.14", "a flood");
    let written = floods.each_mut().map(|flood| flood.says());
    println!("the flood: {written:?} entries in 4 s");
    all_is_well(host, "192.0.2.15", "after the flood");
    let lines = host.service_journal().len() - before;
    assert!(lines < 60, "{lines} lines of the service about a flood");
}

/// What a client may say to Postfix, so that it reads like another one's address.
fn postfix_is_told_lies(host: &Host) {
    host.run(&[
        "postconf",
        "smtpd_relay_restrictions=permit_mynetworks, check_policy_service { \
         unix:pop-before-smtp/policy, default_action=DUNNO, timeout=5s }, reject_unauth_destination",
    ]);
    host.run(&["postfix", "reload"]);
    assert_eq!(send_mail(host, NEAR[0]), Answer::Accepted);
    let before = asked(host);
    let greetings = [
        "EHLO [192.0.2.10]",
        "EHLO client_address=192.0.2.10",
        "EHLO x\\rclient_address=192.0.2.10",
        "EHLO x\\0\\nclient_address=192.0.2.10",
        "EHLO x\\r\\nXCLIENT ADDR=192.0.2.10",
        "EHLO x\\r\\nXFORWARD ADDR=192.0.2.10",
    ];
    let senders = [
        "tom@mail.example.org",
        "\"a\\rclient_address=192.0.2.10\"@x.example",
        "client_address=192.0.2.10",
    ];
    let all: Vec<(&str, &str)> = greetings
        .iter()
        .flat_map(|greeting| senders.map(|sender| (*greeting, sender)))
        .collect();
    let answers = at_once(&all, |(greeting, sender)| {
        host.sh(&format!(
            "(sleep 1; printf '{greeting}\\r\\n'; sleep 0.3; printf 'MAIL FROM:<{sender}>\\r\\n'; sleep 0.3
              printf 'RCPT TO:<friend@example.com>\\r\\nQUIT\\r\\n'; sleep 1) |
             ip netns exec clients socat -t5 - TCP4:192.0.2.1:25,bind=192.0.2.60"
        ))
    });
    for (said, answers) in all.iter().zip(answers) {
        // Refused to relay, or no recipient was taken as no sender was.
        let is_refused = answers.contains("554 5.7.1 ") || answers.contains("503 5.5.1 ");
        assert!(is_refused, "{said:?}: {answers}");
        assert!(!answers.contains("250 2.1.5"), "{said:?}: {answers}");
    }
    assert!(asked(host) > before + 5, "the policy was asked");
}

/// Who has mailboxes lets in no more than the limits say, and takes nothing from those who are in.
fn ever_new_clients_log_in(host: &Host) {
    host.write_file(
        SETTINGS,
        "[limits]\nclients = 300\nclients-per-user = 100\n",
    );
    host.write_file(
        "/etc/systemd/journald.conf.d/test.conf",
        "[Journal]\nRateLimitIntervalSec=0\n",
    );
    host.run(&["systemctl", "restart", "systemd-journald"]);
    host.systemctl("restart");
    let before = host.listed();
    let logins = |users: u32| -> Vec<String> {
        let client = |n: u32| format!("198.19.{}.{}", n / 250, n % 250 + 1);
        (0..20_000)
            .map(|n| login(&format!("user{}", n % users), &client(n), n))
            .collect()
    };
    for (users, allowed) in [(1, before.len() + 100), (1000, 300)] {
        host.as_dovecot(&logins(users));
        let listed = wait_until("the logins are read", SOON, || {
            let status = host.run(&["pop-before-smtp", "status", "--json"]);
            let status: serde_json::Value = serde_json::from_str(&status).unwrap();
            let is_read = status["refused"].as_u64().unwrap() >= 19_000;
            is_read.then(|| host.listed())
        });
        assert_eq!(listed.len(), allowed, "{users} users");
        assert!(
            before.iter().all(|client| listed.contains(client)),
            "{listed:?}"
        );
        assert!(memory(host) < MEMORY, "{} kB", memory(host));
        assert_eq!(send_mail(host, NEAR[0]), Answer::Accepted);
    }
}

#[test]
fn nobody_gets_in_or_stops_the_service() {
    let host = Host::with_service(Release::any(), "");
    host.write_file("/usr/local/share/hold.pl", HOLD);
    host.write_file("/usr/local/share/flood.pl", FLOOD);
    the_journal_is_forged(&host);
    the_files_are_sought(&host);
    the_sockets_are_held(&host);
    the_journal_is_flooded(&host);
    postfix_is_told_lies(&host);
    ever_new_clients_log_in(&host);
}
