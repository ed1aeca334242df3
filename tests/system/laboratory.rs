//! The laboratory itself, without the service: what the other stories rely on.

use std::fs;

use crate::host::{FAR, Host, NEAR, wait_until};
use crate::image::{Release, laboratory};
use crate::mail::{Answer, Carriage, MailSession, Protocol, fetch_mail, send_mail};

/// Without the service, nobody but Postfix's access map decides who may relay.
fn an_access_map_decides(host: &Host) {
    for client in [NEAR[0], NEAR[1], FAR] {
        assert_eq!(send_mail(host, client), Answer::Refused, "{client}");
    }
    host.write_file("/etc/postfix/by-hand", "192.0.2.10 OK\n2001:db8::10 OK\n");
    host.run(&["postmap", "lmdb:/etc/postfix/by-hand"]);
    host.run(&[
        "postconf",
        "-e",
        "smtpd_relay_restrictions = permit_mynetworks, check_client_access \
         lmdb:/etc/postfix/by-hand, reject_unauth_destination",
    ]);
    host.run(&["postfix", "reload"]);
    for client in NEAR {
        assert_eq!(send_mail(host, client), Answer::Accepted, "{client}");
    }
    assert_eq!(send_mail(host, FAR), Answer::Refused);
}

/// Dovecot tells the journal of every login and of its end.
fn dovecot_tells_of_logins(host: &Host) {
    for client in [NEAR[0], NEAR[1], FAR] {
        for protocol in [Protocol::Pop3, Protocol::Imap] {
            for carriage in [Carriage::Plain, Carriage::Tls] {
                let right = ("tom", "secret");
                let mut session =
                    MailSession::login(host, client, protocol, carriage, right).unwrap();
                session.keep_open();
                session.logout();
            }
        }
        let logins = host.journal(&[
            "--identifier=dovecot",
            &format!("--grep=(Login|Logged in): user=<tom>.* rip={client},"),
        ]);
        assert_eq!(logins.len(), 4, "{logins:#?}");
    }
    let wrong = MailSession::login(host, FAR, Protocol::Imap, Carriage::Tls, ("tom", "wrong"));
    assert!(wrong.is_err());
    assert!(fetch_mail(host, FAR).contains("Subject: Good morning"));
}

fn works(release: Release) {
    let host = Host::boot(release);
    an_access_map_decides(&host);
    dovecot_tells_of_logins(&host);
}

#[test]
fn works_on_bookworm() {
    works(Release::Bookworm);
}

#[test]
fn works_on_trixie() {
    works(Release::Trixie);
}

/// A test that panics takes its host with it.
#[test]
fn a_host_leaves_nothing_behind() {
    let panicked = std::panic::catch_unwind(|| {
        let host = Host::boot(Release::Bookworm);
        host.sh("test -d /run/systemd/system");
        let run = host.directory().to_owned();
        std::panic::panic_any(run);
    });
    let run = *panicked
        .unwrap_err()
        .downcast::<std::path::PathBuf>()
        .unwrap();
    let mounts = fs::read_to_string("/proc/mounts").unwrap();
    assert!(!mounts.contains(run.to_str().unwrap()));
    assert!(!run.exists());
    let name = run.file_name().unwrap().to_str().unwrap();
    let processes = fs::read_dir("/proc")
        .unwrap()
        .filter_map(|process| fs::read_to_string(process.ok()?.path().join("cmdline")).ok());
    assert_eq!(processes.filter(|line| line.contains(name)).count(), 0);
    wait_until(
        "the cgroup is gone",
        std::time::Duration::from_secs(5),
        || {
            let left = std::process::Command::new("find")
                .args(["/sys/fs/cgroup", "-maxdepth", "2", "-name", name])
                .output()
                .unwrap();
            left.stdout.is_empty().then_some(())
        },
    );
    assert!(laboratory().join("running").exists());
}
