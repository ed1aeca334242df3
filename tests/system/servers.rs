//! Every other POP3 and IMAP server that Debian packages and that can tell of its clients, with the
//! service as it is installed, all of whose definitions are on: log in, relay, log out, be refused
//! when the grace is over. Dovecot's part is in logins.rs.

use std::time::{Duration, Instant};

use crate::host::{Host, server_for, wait_until};
use crate::image::{Release, Servers};
use crate::mail::{Answer, Carriage, MailSession, Protocol, at_once, send_mail};
use crate::service::SOON;

const GRACE: Duration = Duration::from_secs(5);

const PLAIN: Carriage = Carriage::Plain;
const TLS: Carriage = Carriage::Tls;
const POP3: Protocol = Protocol::Pop3;
const IMAP: Protocol = Protocol::Imap;

/// A port where a server listens.
#[derive(Clone, Copy, Debug)]
struct Door {
    /// As its definition is called.
    server: &'static str,
    protocol: Protocol,
    carriage: Carriage,
    port: u16,
    networks: &'static [&'static str],
}

const V4: &[&str] = &["192.0.2."];
const BOTH: &[&str] = &["192.0.2.", "2001:db8::"];

const fn door(
    server: &'static str,
    protocol: Protocol,
    carriage: Carriage,
    port: u16,
    networks: &'static [&'static str],
) -> Door {
    Door {
        server,
        protocol,
        carriage,
        port,
        networks,
    }
}

/// The usual four ports.
const fn usual(server: &'static str, networks: &'static [&'static str]) -> [Door; 4] {
    [
        door(server, POP3, PLAIN, 110, networks),
        door(server, IMAP, PLAIN, 143, networks),
        door(server, POP3, TLS, 995, networks),
        door(server, IMAP, TLS, 993, networks),
    ]
}

/// A client with its address, and where it fetches its mail.
#[derive(Debug)]
struct Visitor {
    client: String,
    /// Different for each network, as some POP3 servers let nobody in twice at a time.
    user: &'static str,
    door: Door,
}

impl Visitor {
    fn login(&self, host: &Host, password: &str) -> Result<MailSession, String> {
        let Door {
            protocol,
            carriage,
            port,
            ..
        } = self.door;
        let user = (self.user, password);
        let server = (server_for(&self.client), port);
        MailSession::login_at(host, &self.client, protocol, carriage, server, user)
            .map_err(|error| format!("{self:?}: {error}"))
    }
}

/// One visitor for each door and network, with addresses that end in `first` and the following.
fn visitors(doors: &[Door], first: usize) -> Vec<Visitor> {
    let entrances = doors
        .iter()
        .flat_map(|door| door.networks.iter().map(move |network| (door, network)));
    entrances
        .enumerate()
        .map(|(nth, (door, network))| Visitor {
            client: format!("{network}{}", first + nth),
            user: if network.contains(':') { "ann" } else { "tom" },
            door: *door,
        })
        .collect()
}

/// Every second client has a name: some servers write it to their log.
fn name_some(host: &Host, visitors: &[Visitor]) {
    let names: Vec<String> = visitors
        .iter()
        .enumerate()
        .step_by(2)
        .map(|(nth, visitor)| format!("{} client{nth}.example.org", visitor.client))
        .collect();
    host.write_file("/run/names", &(names.join("\n") + "\n"));
    host.sh("cat /run/names >>/etc/hosts");
}

/// Cyrus makes a user's mailbox at the first login, and of two first logins at once it may refuse one
/// ("Mailbox already exists"). These come from the host itself, which is never listed.
fn make_mailboxes(host: &Host) {
    for user in ["tom", "ann"] {
        let session = format!(r"a LOGIN {user} secret\r\nb SELECT INBOX\r\nc LOGOUT\r\n");
        let answer = host.sh(&format!(
            "printf '{session}' | socat -t10 - TCP4:127.0.0.1:143"
        ));
        assert!(answer.contains("b OK"), "{answer}");
    }
}

fn everybody_sends(host: &Host, visitors: &[Visitor], expected: Answer) {
    let answers = at_once(visitors, |visitor| send_mail(host, &visitor.client));
    for (visitor, answer) in visitors.iter().zip(answers) {
        assert_eq!(answer, expected, "{visitor:?}");
    }
}

fn a_login_opens_the_relay(release: Release, servers: Servers, doors: &[Door]) {
    let settings = format!("grace = \"{}s\"\n", GRACE.as_secs());
    let host = Host::with_service_and(release, servers, &settings);
    if servers == Servers::Cyrus {
        make_mailboxes(&host);
    }
    let guests = visitors(doors, 11);
    let strangers = visitors(doors, 11 + guests.len());
    name_some(&host, &guests);
    name_some(&host, &strangers);
    everybody_sends(&host, &guests, Answer::Refused);

    // A wrong password opens nothing: below, nobody is listed who has not logged in. Nor does a name.
    if servers == Servers::Courier {
        send_forged_name(&host, &strangers[0].client);
    }
    for refused in at_once(&strangers, |stranger| stranger.login(&host, "wrong")) {
        assert!(refused.is_err());
    }

    let sessions: Vec<MailSession> = at_once(&guests, |guest| guest.login(&host, "secret"))
        .into_iter()
        .collect::<Result<_, _>>()
        .unwrap_or_else(|error| panic!("{error}"));
    let clients: Vec<&str> = guests.iter().map(|guest| guest.client.as_str()).collect();
    host.await_clients(&clients);
    let list = host.list();
    for guest in &guests {
        let listed = list.iter().find(|listed| listed.client == guest.client);
        let listed = listed.unwrap();
        assert_eq!(listed.server.as_deref(), Some(guest.door.server));
        assert_eq!(listed.user.as_deref(), Some(guest.user), "{guest:?}");
        assert_eq!(listed.sessions, 1, "{guest:?}");
    }
    let status = host.status();
    assert!(status.caught_up && status.problems.is_empty(), "{status:?}");
    everybody_sends(&host, &guests, Answer::Accepted);

    // The grace counts from the logout, of which each of these servers tells.
    let left = Instant::now();
    at_once_logout(sessions);
    wait_until("every session has ended", SOON, || {
        (host.status().sessions == 0).then_some(())
    });
    host.await_clients_for(&[], GRACE + Duration::from_secs(10));
    let waited = left.elapsed();
    assert!(
        waited > GRACE - Duration::from_secs(1) && waited < GRACE + Duration::from_secs(6),
        "the grace took {waited:?}"
    );
    everybody_sends(&host, &guests, Answer::Refused);
    everybody_sends(&host, &strangers, Answer::Refused);
    assert!(host.status().problems.is_empty(), "{:?}", host.status());
}

/// Tries to log in to Courier with a name of many blanks. Its line is cut after 1023 bytes, and courierlogger makes
/// a line of each 511 of them; journald takes away their blanks, and what is left of one reads like a login.
fn send_forged_name(host: &Host, client: &str) {
    let forged = "LOGIN, user=x, ip=[::ffff:203.0.113.9], port=[40000]";
    let name = format!("A{:485}{forged}{:470}A", "", "");
    // The second piece comes once there is another line.
    for name in [&*name, "nobody"] {
        assert!(MailSession::login(host, client, POP3, PLAIN, (name, "x")).is_err());
    }
    wait_until("the journal has what reads like a login", SOON, || {
        let said = host.journal(&["--identifier=pop3d"]);
        said.iter().any(|line| line == forged).then_some(())
    });
    // For ten seconds logins are refused behind such a line.
    std::thread::sleep(Duration::from_secs(11));
}

fn at_once_logout(sessions: Vec<MailSession>) {
    std::thread::scope(|scope| {
        for session in sessions {
            scope.spawn(|| session.logout());
        }
    });
}

/// popa3d as packaged has no IPv6; behind a socket of systemd's it does.
const POPA3D: [Door; 2] = [
    door("popa3d", POP3, PLAIN, 110, V4),
    door("popa3d", POP3, PLAIN, 1110, BOTH),
];

const SOLID_POP3D: [Door; 1] = [door("solid-pop3d", POP3, PLAIN, 110, BOTH)];

/// perdition as packaged has no IPv6.
const PROXIES: [Door; 6] = [
    door("perdition", POP3, PLAIN, 110, V4),
    door("perdition", IMAP, PLAIN, 143, V4),
    door("nginx", POP3, PLAIN, 1110, BOTH),
    door("nginx", IMAP, PLAIN, 1143, BOTH),
    door("mailutils", POP3, PLAIN, 3110, BOTH),
    door("mailutils", IMAP, PLAIN, 3143, BOTH),
];

#[test]
fn courier_on_bookworm() {
    a_login_opens_the_relay(Release::Bookworm, Servers::Courier, &usual("courier", BOTH));
}

#[test]
fn courier_on_trixie() {
    a_login_opens_the_relay(Release::Trixie, Servers::Courier, &usual("courier", BOTH));
}

#[test]
fn cyrus_on_bookworm() {
    a_login_opens_the_relay(Release::Bookworm, Servers::Cyrus, &usual("cyrus", BOTH));
}

#[test]
fn cyrus_on_trixie() {
    a_login_opens_the_relay(Release::Trixie, Servers::Cyrus, &usual("cyrus", BOTH));
}

#[test]
fn popa3d_on_bookworm() {
    a_login_opens_the_relay(Release::Bookworm, Servers::Popa3d, &POPA3D);
}

#[test]
fn popa3d_on_trixie() {
    a_login_opens_the_relay(Release::Trixie, Servers::Popa3d, &POPA3D);
}

#[test]
fn solid_pop3d_on_bookworm() {
    a_login_opens_the_relay(Release::Bookworm, Servers::SolidPop3d, &SOLID_POP3D);
}

#[test]
fn solid_pop3d_on_trixie() {
    a_login_opens_the_relay(Release::Trixie, Servers::SolidPop3d, &SOLID_POP3D);
}

#[test]
fn proxies_and_mailutils_on_bookworm() {
    a_login_opens_the_relay(Release::Bookworm, Servers::Proxies, &PROXIES);
}

#[test]
fn proxies_and_mailutils_on_trixie() {
    a_login_opens_the_relay(Release::Trixie, Servers::Proxies, &PROXIES);
}
