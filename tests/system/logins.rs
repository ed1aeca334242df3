//! Every way to log in and to leave: POP3 and IMAP, plain and TLS, IPv4 and IPv6, with a logout, a
//! dropped connection, a session that stays open past the grace.

use std::time::{Duration, Instant};

use crate::host::{Host, wait_until};
use crate::image::Release;
use crate::mail::{Answer, Carriage, MailSession, Protocol, at_once, send_mail};
use crate::service::SOON;

const GRACE: Duration = Duration::from_secs(10);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ending {
    Logout,
    Dropped,
    LeftOpen,
}

/// One client, and how it fetches its mail.
#[derive(Debug)]
struct Case {
    client: String,
    protocol: Protocol,
    carriage: Carriage,
    ending: Ending,
}

/// All combinations, each with a client of its own.
fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for protocol in [Protocol::Pop3, Protocol::Imap] {
        for carriage in [Carriage::Plain, Carriage::Tls] {
            for ending in [Ending::Logout, Ending::Dropped, Ending::LeftOpen] {
                for network in ["192.0.2.", "2001:db8::"] {
                    let client = format!("{network}{}", 11 + cases.len());
                    cases.push(Case {
                        client,
                        protocol,
                        carriage,
                        ending,
                    });
                }
            }
        }
    }
    cases
}

/// Sends mail from every client; `expected` says what Postfix should answer.
fn everybody_sends(host: &Host, cases: &[&Case], expected: Answer) {
    let answers = at_once(cases, |case| send_mail(host, &case.client));
    for (case, answer) in cases.iter().zip(answers) {
        assert_eq!(answer, expected, "{case:?}");
    }
}

fn clients<'a>(cases: &[&'a Case]) -> Vec<&'a str> {
    cases.iter().map(|case| case.client.as_str()).collect()
}

fn every_login_opens_the_relay(release: Release) {
    let host = Host::with_service(release, &format!("grace = \"{}s\"\n", GRACE.as_secs()));
    let cases = cases();
    let all: Vec<&Case> = cases.iter().collect();
    let (stay, leave): (Vec<&Case>, Vec<&Case>) =
        all.iter().partition(|case| case.ending == Ending::LeftOpen);
    everybody_sends(&host, &all, Answer::Refused);

    // Nor does what a client says of itself.
    if release.logs_client_ids() {
        introduce_at_length(&host);
    }

    // A wrong password opens nothing.
    let wrong = MailSession::login(
        &host,
        "192.0.2.60",
        Protocol::Imap,
        Carriage::Plain,
        ("tom", "wrong"),
    );
    assert!(wrong.is_err());

    let sessions = at_once(&all, |case| {
        MailSession::login(
            &host,
            &case.client,
            case.protocol,
            case.carriage,
            ("tom", "secret"),
        )
        .unwrap_or_else(|error| panic!("{case:?}: {error}"))
    });
    host.await_clients(&clients(&all));
    let status = host.status();
    assert_eq!((status.clients, status.sessions), (24, 24));
    assert!(status.caught_up && status.problems.is_empty(), "{status:?}");
    everybody_sends(&host, &all, Answer::Accepted);

    // Past the grace of the logins, the open sessions keep everybody listed.
    let mut still_open = Vec::new();
    for (mut session, case) in sessions.into_iter().zip(&cases) {
        match case.ending {
            Ending::Logout => session.logout(),
            Ending::Dropped => drop(session),
            Ending::LeftOpen => {
                session.keep_open();
                still_open.push(session);
            }
        }
    }
    let left = Instant::now();
    host.await_clients_for(&clients(&stay), GRACE + Duration::from_secs(10));
    assert_in_time(left);
    everybody_sends(&host, &leave, Answer::Refused);
    everybody_sends(&host, &stay, Answer::Accepted);
    assert_eq!(host.status().sessions, 8);

    // The grace counts from the last logout.
    drop(still_open);
    let left = Instant::now();
    host.await_clients_for(&[], GRACE + Duration::from_secs(10));
    assert_in_time(left);
    everybody_sends(&host, &stay, Answer::Refused);
}

/// Tells Dovecot so much of a client that its line is cut, and that the rest reads like a login.
fn introduce_at_length(host: &Host) {
    const FORGED: &str = "Login: rip=203.0.113.9, user=<x";
    host.write_file("/etc/dovecot/local.conf", "imap_id_log = *\n");
    host.sh("systemctl restart dovecot");
    let forged = format!("imap-login: {FORGED}: user=<>");
    wait_until("the journal has what reads like a login", SOON, || {
        // Where the line is cut depends on how many digits the process's number has. While Dovecot starts,
        // it may not take so long a line.
        for cut_at in 4086..=4091 {
            let said = self_introduction(cut_at, FORGED);
            host.write_file("/run/said", &format!("{said}b LOGOUT\r\n"));
            host.sh("socat -t5 - TCP4:127.0.0.1:143,retry=20 </run/said");
        }
        let said = host.journal(&["--identifier=dovecot"]);
        said.iter()
            .any(|line| line.starts_with(&forged))
            .then_some(())
    });
    host.sh("rm /etc/dovecot/local.conf; systemctl restart dovecot");
}

/// An ID command (RFC 2971) that is logged with the last value behind so many bytes.
fn self_introduction(before: usize, last: &str) -> String {
    // "ID sent: name=value, name=value"
    let mut missing = before - "ID sent: name=".len();
    let mut fields = String::new();
    while missing > 0 {
        let length = match missing {
            160.. => 78,
            81.. => missing / 2,
            _ => missing,
        };
        let value = "v".repeat(length - "name=, ".len());
        fields += &format!("\"name\" \"{value}\" ");
        missing -= length;
    }
    format!("a ID ({fields}\"name\" \"{last}\")\r\n")
}

/// The grace has just ended. Sessions end in a row, and a publication may wait for its debounce.
fn assert_in_time(left: Instant) {
    let waited = left.elapsed();
    let early = GRACE - Duration::from_secs(2);
    let late = GRACE + Duration::from_secs(5);
    assert!(early < waited && waited < late, "the grace took {waited:?}");
}

#[test]
fn every_login_opens_the_relay_on_bookworm() {
    every_login_opens_the_relay(Release::Bookworm);
}

#[test]
fn every_login_opens_the_relay_on_trixie() {
    every_login_opens_the_relay(Release::Trixie);
}
