//! Who wrote it decides: what looks like a login but comes from somebody else opens nothing, and is
//! reported.

use crate::host::{Host, NEAR, wait_until};
use crate::image::Release;
use crate::mail::{Answer, fetch_mail, send_mail};
use crate::service::SOON;

fn forged(client: &str) -> String {
    format!(
        "imap-login: Login: user=<tom>, method=PLAIN, rip={client}, lip=192.0.2.1, mpid=4242, \
         session=<{client}>"
    )
}

/// What the clients' addresses begin with that forgers name.
pub const FORGED: [&str; 2] = ["203.0.113.", "198.18."];

/// Each forger writes a login of a client of its own, by every way that an account on the host has.
pub fn forge(host: &Host) {
    let as_tom_in_a_unit =
        "systemd-run --quiet --wait --pipe --uid=tom --setenv=XDG_RUNTIME_DIR=/run/user/1000";
    let logger = "logger --tag dovecot --priority mail.info";
    // By logger, from a unit of his and from none.
    host.sh(&format!(
        "{as_tom_in_a_unit} {logger} '{}'",
        forged("203.0.113.1")
    ));
    host.sh(&format!(
        "runuser -u tom -- {logger} '{}'",
        forged("203.0.113.2")
    ));
    // By a program whose output goes to the journal.
    host.sh(&format!(
        "runuser -u tom -- systemd-cat --identifier=dovecot echo '{}'",
        forged("203.0.113.3")
    ));
    // By the native socket, which lets the writer choose all but the trusted fields.
    host.write_file(
        "/var/tmp/forged",
        &format!(
            "SYSLOG_IDENTIFIER=dovecot\nSYSLOG_FACILITY=2\nPRIORITY=6\n_UID=0\n\
             _SYSTEMD_UNIT=dovecot.service\n_COMM=log\nMESSAGE={}\n",
            forged("203.0.113.4")
        ),
    );
    host.sh(
        "runuser -u tom -- socat -u OPEN:/var/tmp/forged UNIX-SENDTO:/run/systemd/journal/socket",
    );
    // By a user unit with the server's name.
    host.write_file(
        "/home/tom/.config/systemd/user/dovecot.service",
        &format!(
            "[Service]\nType=oneshot\nExecStart={logger} '{}'\n",
            forged("203.0.113.5").replace('%', "%%")
        ),
    );
    host.sh(&format!(
        "chown -R tom: /home/tom/.config
         systemctl start user@1000.service
         {as_tom_in_a_unit} systemctl --user start dovecot.service"
    ));
    // By root, whose unit is another. It stays until journald has looked: root without a unit is believed.
    host.sh(&format!(
        "systemd-run --quiet --wait bash -c \"(echo '{}'; sleep 1) | {logger}\"",
        forged("203.0.113.6")
    ));
    // And five hundred times more by tom.
    let many: Vec<String> = (1..=250)
        .flat_map(|n| {
            [
                forged(&format!("198.18.0.{n}")),
                forged(&format!("198.18.1.{n}")),
            ]
        })
        .collect();
    host.write_file("/var/tmp/many", &many.join("\n"));
    host.sh(&format!("{as_tom_in_a_unit} {logger} --file /var/tmp/many"));
    wait_until("the forgers have written", SOON, || {
        let written = host.journal(&["--identifier=dovecot", "--grep=mpid=4242"]);
        (written.len() == 506).then_some(())
    });
}

fn forged_entries_open_nothing(release: Release) {
    let host = Host::with_service(release, "");
    forge(&host);
    // A true login after them: when it is listed, they have all been read.
    fetch_mail(&host, NEAR[0]);
    host.await_clients(&[NEAR[0]]);
    assert_eq!(send_mail(&host, NEAR[0]), Answer::Accepted);
    assert_eq!(send_mail(&host, NEAR[1]), Answer::Refused);

    let reports: Vec<String> = host
        .service_journal()
        .into_iter()
        .filter(|line| line.contains("203.0.113.") || line.contains("senders"))
        .collect();
    let said = |word: &str| reports.iter().any(|line| line.contains(word));
    assert!(said("1000"), "the writer's uid is told: {reports:#?}");
    assert!(said(".service"), "the writer's unit is told: {reports:#?}");
    assert!(said("senders"), "what would allow it is told: {reports:#?}");
    let lines = host.service_journal().len();
    assert!(lines < 50, "{lines} lines about 506 forged entries");
}

#[test]
fn forged_entries_open_nothing_on_bookworm() {
    forged_entries_open_nothing(Release::Bookworm);
}

#[test]
fn forged_entries_open_nothing_on_trixie() {
    forged_entries_open_nothing(Release::Trixie);
}
