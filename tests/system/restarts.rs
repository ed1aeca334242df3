//! The service stops, is killed, is started by a question: the whitelist is the same as if it had
//! never been away, and grace ends in time.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::host::{Host, NEAR, wait_until};
use crate::image::Release;
use crate::mail::{Answer, Carriage, MailSession, Protocol, fetch_mail, send_mail};
use crate::service::{SETTINGS, SOON, STATE};

const TOM: (&str, &str) = ("tom", "secret");

/// Logs in again and again, from many clients, until `enough`; gives the clients.
fn log_in_until(host: &Host, enough: &AtomicBool) -> Vec<String> {
    let clients: Vec<String> = (11..=40).map(|n| format!("192.0.2.{n}")).collect();
    let mut round = 0;
    while round == 0 || !enough.load(Ordering::Relaxed) {
        for client in &clients {
            let session =
                MailSession::login(host, client, Protocol::Pop3, Carriage::Plain, TOM).unwrap();
            session.logout();
        }
        round += 1;
    }
    clients
}

/// Interrupts the service in the middle of logins, and compares what it knows afterwards with what it
/// learns from the journal alone.
fn interrupted_amid_logins(interrupt: impl Fn(&Host) + Sync) {
    let host = Host::with_service(Release::any(), "grace = \"10min\"\n");
    let kept_open = MailSession::login(&host, NEAR[0], Protocol::Imap, Carriage::Tls, TOM).unwrap();
    let left_amid = MailSession::login(&host, NEAR[1], Protocol::Imap, Carriage::Tls, TOM).unwrap();
    host.await_clients(&NEAR);
    let enough = AtomicBool::new(false);
    let mut clients = thread::scope(|scope| {
        let logins = scope.spawn(|| log_in_until(&host, &enough));
        interrupt(&host);
        left_amid.logout();
        interrupt(&host);
        interrupt(&host);
        enough.store(true, Ordering::Relaxed);
        logins.join().unwrap()
    });
    clients.extend(NEAR.map(str::to_owned));
    let clients: Vec<&str> = clients.iter().map(String::as_str).collect();
    host.await_clients(&clients);

    // When the last session has been seen to end, all entries before that have been read.
    fetch_mail(&host, "192.0.2.50");
    wait_until("the last session is listed, and over", SOON, || {
        let list = host.list();
        let last = list.iter().find(|listed| listed.client == "192.0.2.50")?;
        (last.sessions == 0).then_some(())
    });
    let interrupted = host.list();
    host.systemctl("stop");
    host.sh(&format!("rm -rf {STATE}/store"));
    host.systemctl("start");
    let from_the_journal = host.list();
    assert_eq!(interrupted, from_the_journal);
    let sessions: Vec<(&str, u32)> = interrupted
        .iter()
        .filter(|listed| listed.sessions > 0)
        .map(|listed| (listed.client.as_str(), listed.sessions))
        .collect();
    assert_eq!(sessions, [(NEAR[0], 1)]);
    drop(kept_open);
    wait_until("the last session has ended", SOON, || {
        (host.status().sessions == 0).then_some(())
    });
}

#[test]
fn restarted_amid_logins() {
    interrupted_amid_logins(|host| {
        host.run(&["systemctl", "restart", "pop-before-smtp.service"]);
    });
}

#[test]
fn killed_amid_logins() {
    interrupted_amid_logins(|host| {
        let before = host.main_process();
        host.run(&["kill", "-KILL", &before.to_string()]);
        wait_until("the service is back", SOON, || {
            (host.main_process() != before).then_some(())
        });
    });
}

const GRACE: Duration = Duration::from_secs(8);

fn await_withdrawn(host: &Host, client: &str, logged_in: Instant) {
    wait_until("the client is withdrawn", GRACE + SOON, || {
        (!host.map_permits(client)).then_some(())
    });
    let waited = logged_in.elapsed();
    assert!(
        waited < GRACE + Duration::from_secs(6),
        "withdrawn only after {waited:?}"
    );
    assert_eq!(send_mail(host, client), Answer::Refused);
}

#[test]
fn stopped() {
    let host = Host::with_service(Release::any(), "grace = \"8s\"\n");
    // Grace ends while the service is stopped, and nobody is added.
    fetch_mail(&host, NEAR[0]);
    let logged_in = Instant::now();
    host.await_clients(&[NEAR[0]]);
    host.systemctl("stop");
    assert!(host.map_permits(NEAR[0]));
    assert_eq!(send_mail(&host, NEAR[0]), Answer::Accepted);
    await_withdrawn(&host, NEAR[0], logged_in);
    fetch_mail(&host, NEAR[1]);
    assert!(!host.is_active(), "nobody has asked for it");
    assert!(!host.map_permits(NEAR[1]));

    // A question starts it, and it has missed nothing.
    host.status();
    wait_until("it has caught up", SOON, || {
        (host.status().caught_up && host.is_active()).then_some(())
    });
    host.await_clients(&[NEAR[1]]);
    assert_eq!(send_mail(&host, NEAR[1]), Answer::Accepted);
}

#[test]
fn stopped_by_its_configuration() {
    let host = Host::with_service(Release::any(), "grace = \"8s\"\n");
    fetch_mail(&host, NEAR[0]);
    let logged_in = Instant::now();
    host.await_clients(&[NEAR[0]]);
    host.write_file(
        "/etc/pop-before-smtp/config.d/60-bad.toml",
        "gracious = true\n",
    );
    let restarted = host.systemctl("restart");
    assert!(!restarted.succeeded(), "{}", restarted.transcript());
    assert_eq!(host.service_property("ExecMainStatus"), "78");
    await_withdrawn(&host, NEAR[0], logged_in);

    // Once it is mended, the service starts as if nothing had been.
    host.run(&["rm", "/etc/pop-before-smtp/config.d/60-bad.toml"]);
    let started = host.systemctl("start");
    assert!(started.succeeded(), "{}", started.transcript());
    fetch_mail(&host, NEAR[0]);
    host.await_clients(&[NEAR[0]]);
    assert!(host.sh(&format!("cat {SETTINGS}")).contains("8s"));
}
