//! Whatever happens to the journal, no login is lost.

use std::time::Duration;

use crate::host::{Host, NEAR};
use crate::image::Release;
use crate::mail::fetch_mail;

/// Every client logs in once, and something happens to the journal after each.
fn no_login_is_lost(release: Release) {
    let host = Host::with_service(release, "log-level = \"debug\"");
    let clients: Vec<String> = (11..=42).map(|n| format!("192.0.2.{n}")).collect();
    let clients: Vec<&str> = clients.iter().map(String::as_str).collect();
    let (live, rest) = clients.split_at(16);
    let (later, archived) = rest.split_at(8);
    let mishaps = [
        "journalctl --quiet --rotate",
        "journalctl --quiet --vacuum-time=1s",
        "journalctl --quiet --rotate --vacuum-files=1",
        "systemctl restart systemd-journald",
    ];
    let before = host.main_process();
    for (n, client) in live.iter().enumerate() {
        fetch_mail(&host, client);
        // A vacuum may take away what has just been written: not before it has been read. The other
        // mishaps do not wait.
        if mishaps[n % 4].contains("vacuum") {
            host.await_clients(&live[..=n]);
        }
        host.sh(mishaps[n % 4]);
    }
    host.await_clients(live);
    // It was the same process all the time.
    assert_eq!(host.main_process(), before);

    // The entry where the service left off is gone when it comes back.
    host.systemctl("stop");
    let left_off = host.sh("journalctl --quiet --identifier=dovecot --lines=1 --show-cursor");
    let cursor = left_off
        .lines()
        .find_map(|line| line.strip_prefix("-- cursor: "));
    host.sh("journalctl --quiet --rotate");
    // The files are archived now; the vacuum takes those whose last entry is older than a second.
    std::thread::sleep(Duration::from_millis(1500));
    host.sh("journalctl --quiet --vacuum-time=1s");
    let left = host.journal(&["--identifier=dovecot"]);
    assert!(left.is_empty(), "{cursor:?} is still there: {left:#?}");
    for client in later {
        fetch_mail(&host, client);
    }
    host.systemctl("start");
    host.await_clients(&clients[..24]);

    // And where it comes back, there are several archived files.
    host.systemctl("stop");
    for pair in archived.chunks(2) {
        for client in pair {
            fetch_mail(&host, client);
        }
        host.sh("journalctl --quiet --rotate");
    }
    host.systemctl("start");
    host.await_clients(&clients);
}

#[test]
fn no_login_is_lost_on_bookworm() {
    no_login_is_lost(Release::Bookworm);
}

#[test]
fn no_login_is_lost_on_trixie() {
    no_login_is_lost(Release::Trixie);
}

/// A server whose unit has a journal namespace of its own is not in the default journal at all.
#[test]
fn a_namespace_is_read() {
    let host = Host::with_service(Release::any(), "[journal]\nnamespace = \"mail\"\n");
    host.write_file(
        "/etc/systemd/system/dovecot.service.d/namespace.conf",
        "[Service]\nLogNamespace=mail\n",
    );
    host.sh("systemctl daemon-reload && systemctl restart dovecot.service");
    fetch_mail(&host, NEAR[0]);
    host.await_clients(&[NEAR[0]]);
    let default = host.journal(&["--identifier=dovecot"]).join("\n");
    assert!(!default.contains("Login: user=<tom>"), "{default}");
}
