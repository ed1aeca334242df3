//! Postfix asks the policy socket: at once, chrooted or not, through restarts, and without harm when
//! nobody answers.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;

use crate::host::{Host, NEAR, wait_until};
use crate::image::Release;
use crate::mail::{Answer, fetch_mail, send_mail};
use crate::service::SOON;

const RESTRICTIONS: &str = "permit_mynetworks, check_policy_service { \
    unix:pop-before-smtp/policy, default_action=DUNNO, timeout=5s }, reject_unauth_destination";

/// Has smtpd run chrooted or not, and ask the policy alone.
fn ask_the_policy(host: &Host, chrooted: &str) {
    host.run(&[
        "postconf",
        &format!("smtpd_relay_restrictions={RESTRICTIONS}"),
    ]);
    host.run(&["postconf", "-F", &format!("smtp/inet/chroot={chrooted}")]);
    host.run(&["postfix", "reload"]);
}

pub fn asked(host: &Host) -> u64 {
    let status = host.run(&["pop-before-smtp", "status", "--json"]);
    let status: serde_json::Value = serde_json::from_str(&status).unwrap();
    status["policy"]["answered"].as_u64().unwrap()
}

fn postfix_asks(release: Release) {
    let host = Host::with_service(release, "publish = [\"policy\"]\n");
    let (client, other) = (NEAR[0], NEAR[1]);
    ask_the_policy(&host, "y");
    assert_eq!(send_mail(&host, client), Answer::Refused);
    fetch_mail(&host, client);
    assert_eq!(send_mail(&host, client), Answer::Accepted);
    assert!(!host.map_permits(client), "the map was to be left out");
    ask_the_policy(&host, "n");
    assert_eq!(send_mail(&host, client), Answer::Accepted);
    assert_eq!(send_mail(&host, other), Answer::Refused);
    assert!(asked(&host) >= 4);

    // systemd holds the socket: a question waits for the service that comes back.
    host.systemctl("restart");
    assert_eq!(send_mail(&host, client), Answer::Accepted);
    host.run(&[
        "systemctl",
        "kill",
        "--signal=KILL",
        "pop-before-smtp.service",
    ]);
    assert_eq!(send_mail(&host, client), Answer::Accepted);
    assert_eq!(send_mail(&host, other), Answer::Refused);
    // A stopped one is started by it.
    host.systemctl("stop");
    assert_eq!(send_mail(&host, client), Answer::Accepted);
    wait_until("it runs again", SOON, || host.is_active().then_some(()));

    // Without anybody who answers, nobody may relay, and everything else goes on.
    host.run(&[
        "systemctl",
        "stop",
        "pop-before-smtp-policy.socket",
        "pop-before-smtp.socket",
    ]);
    host.systemctl("stop");
    assert_eq!(send_mail(&host, client), Answer::Refused);
    let local = host.client(&[
        "swaks",
        "--server",
        "192.0.2.1",
        "--local-interface",
        client,
        "--from",
        "a@example.net",
        "--to",
        "tom@mail.example.org",
        "--timeout",
        "30",
    ]);
    assert!(local.succeeded(), "{}", local.transcript());
}

/// What the policy socket answers about a client that asks for the first time.
fn answer(host: &Host, client: &str) -> String {
    let socket = "root/var/spool/postfix/pop-before-smtp/policy";
    let mut stream = UnixStream::connect(host.directory().join(socket)).unwrap();
    let request = format!("request=smtpd_access_policy\nclient_address={client}\n\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    BufReader::new(stream).read_line(&mut answer).unwrap();
    answer
}

/// journald tells its readers of an entry up to a quarter of a second late; so many logins would not
/// all be known by chance.
fn a_login_counts_from_the_moment_it_is_written(release: Release) {
    let host = Host::with_service(release, "publish = [\"policy\"]\n");
    for n in 1..=20 {
        let client = format!("192.0.2.{}", 100 + n);
        assert_eq!(answer(&host, &client), "action=DUNNO\n", "{client}");
        host.as_dovecot(&[format!(
            "imap-login: Login: user=<tom>, method=PLAIN, rip={client}, lip=192.0.2.1, mpid={n}, \
             TLS, session=<s{n}>"
        )]);
        wait_until("it is written", SOON, || {
            let written = host.run(&["journalctl", "--identifier=dovecot", "--output=cat"]);
            written.contains(&format!("rip={client},")).then_some(())
        });
        assert_eq!(answer(&host, &client), "action=OK\n", "{client}");
    }
}

#[test]
fn a_login_counts_from_the_moment_it_is_written_on_bookworm() {
    a_login_counts_from_the_moment_it_is_written(Release::Bookworm);
}

#[test]
fn a_login_counts_from_the_moment_it_is_written_on_trixie() {
    a_login_counts_from_the_moment_it_is_written(Release::Trixie);
}

#[test]
fn postfix_asks_on_bookworm() {
    postfix_asks(Release::Bookworm);
}

#[test]
fn postfix_asks_on_trixie() {
    postfix_asks(Release::Trixie);
}
