//! What the administrator changes while the service runs.

use jiff::{SignedDuration, Timestamp};

use crate::host::{FAR, Host, NEAR};
use crate::image::Release;
use crate::mail::{Answer, fetch_mail, send_mail};
use crate::service::{Listed, SETTINGS};

/// How long a client may relay after its last login, as the service has it.
fn grace_of(host: &Host, client: &str) -> SignedDuration {
    let list = host.list();
    let listed: &Listed = list.iter().find(|listed| listed.client == client).unwrap();
    let until: Timestamp = listed.until.unwrap();
    until.duration_since(listed.last_login.unwrap())
}

/// The session is over at once, so that the grace counts from about the login.
fn assert_grace(host: &Host, client: &str, expected: SignedDuration) {
    let grace = grace_of(host, client);
    let off = (grace - expected).abs();
    assert!(
        off <= SignedDuration::from_secs(5),
        "{client} has {grace:?}"
    );
}

#[test]
fn reloaded() {
    let host = Host::with_service(Release::any(), "grace = \"30min\"\n");
    let process = host.main_process();
    fetch_mail(&host, NEAR[0]);
    host.await_clients(&[NEAR[0]]);
    assert_grace(&host, NEAR[0], SignedDuration::from_mins(30));

    // A good configuration is taken, by the same process.
    host.write_file(SETTINGS, "grace = \"10min\"\n");
    let reloaded = host.systemctl("reload");
    assert!(reloaded.succeeded(), "{}", reloaded.transcript());
    fetch_mail(&host, NEAR[1]);
    host.await_clients(&NEAR);
    assert_grace(&host, NEAR[1], SignedDuration::from_mins(10));

    // A bad one is refused, with its file, line and key; the service goes on with the one before.
    host.write_file(SETTINGS, "grace = \"20min\"\ngracious = true\n");
    let reloaded = host.systemctl("reload");
    assert!(!reloaded.succeeded(), "a bad configuration was taken");
    let checked = host.try_run(&["pop-before-smtp", "check-config"]);
    assert_eq!(checked.code, Some(78), "{}", checked.transcript());
    for part in ["50-test.toml", ":2", "gracious"] {
        assert!(checked.stderr.contains(part), "{part}: {}", checked.stderr);
    }
    // Also when only the signal comes.
    host.run(&["kill", "-HUP", &process.to_string()]);
    fetch_mail(&host, FAR);
    host.await_clients(&[NEAR[0], NEAR[1], FAR]);
    assert_grace(&host, FAR, SignedDuration::from_mins(10));
    assert_eq!(host.main_process(), process);

    // `never` takes a client out at once, and keeps it out.
    host.write_file(
        SETTINGS,
        &format!("never = [\"{}\", \"198.51.100.0/24\"]\n", NEAR[0]),
    );
    let reloaded = host.systemctl("reload");
    assert!(reloaded.succeeded(), "{}", reloaded.transcript());
    host.await_clients(&[NEAR[1]]);
    fetch_mail(&host, NEAR[0]);
    fetch_mail(&host, FAR);
    fetch_mail(&host, "192.0.2.11");
    host.await_clients(&[NEAR[1], "192.0.2.11"]);
    assert_eq!(send_mail(&host, NEAR[0]), Answer::Refused);
    assert_eq!(host.main_process(), process);
}

/// Postfix computes mynetworks where it is not set, from interfaces that the service cannot see from
/// within its sandbox.
fn permitted_networks_are_postfixs_own(release: Release) {
    let host = Host::with_service(release, "");
    fetch_mail(&host, NEAR[0]);
    fetch_mail(&host, FAR);
    host.await_clients(&[NEAR[0], FAR]);

    // The networks that the host is in: the near clients may relay anyway, and are not listed.
    host.run(&["postconf", "-X", "mynetworks"]);
    host.run(&["postconf", "-e", "mynetworks_style = subnet"]);
    host.run(&["postfix", "reload"]);
    let reloaded = host.systemctl("reload");
    assert!(reloaded.succeeded(), "{}", reloaded.transcript());
    host.await_clients(&[FAR]);
    fetch_mail(&host, NEAR[0]);
    fetch_mail(&host, NEAR[1]);
    fetch_mail(&host, "192.0.2.11");
    fetch_mail(&host, FAR);
    host.await_clients(&[FAR]);
    for client in [NEAR[0], NEAR[1], FAR] {
        assert_eq!(send_mail(&host, client), Answer::Accepted, "{client}");
    }

    // The host alone, which is Postfix's default; known from the start on.
    host.run(&["postconf", "-X", "mynetworks_style"]);
    host.run(&["postfix", "reload"]);
    host.systemctl("stop");
    host.run(&["systemctl", "stop", "pop-before-smtp-networks.service"]);
    host.systemctl("start");
    fetch_mail(&host, NEAR[0]);
    fetch_mail(&host, NEAR[1]);
    host.sh("curl --silent --show-error --max-time 20 --user tom:secret pop3://192.0.2.1/1");
    fetch_mail(&host, "192.0.2.12");
    // NEAR[0] and NEAR[1] logged in before, too, but in a network that was permitted.
    let expected = [NEAR[0], NEAR[1], FAR, "192.0.2.12"];
    host.await_clients(&expected);
    for client in expected {
        assert_eq!(send_mail(&host, client), Answer::Accepted, "{client}");
    }

    // Set again, to a file of networks.
    host.write_file(
        "/etc/postfix/networks",
        "# ours\n!192.0.2.10\n192.0.2.0/24\n",
    );
    host.run(&[
        "postconf",
        "-e",
        "mynetworks = 127.0.0.0/8 /etc/postfix/networks",
    ]);
    host.run(&["postfix", "reload"]);
    let reloaded = host.systemctl("reload");
    assert!(reloaded.succeeded(), "{}", reloaded.transcript());
    host.await_clients(&[NEAR[0], NEAR[1], FAR]);
    assert_eq!(send_mail(&host, "192.0.2.12"), Answer::Accepted);
}

#[test]
fn permitted_networks_are_postfixs_own_on_bookworm() {
    permitted_networks_are_postfixs_own(Release::Bookworm);
}

#[test]
fn permitted_networks_are_postfixs_own_on_trixie() {
    permitted_networks_are_postfixs_own(Release::Trixie);
}
