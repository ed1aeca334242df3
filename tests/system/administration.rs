//! What administrators run beside the service: node exporter, logcheck, needrestart, reportbug.

use crate::host::{Host, NEAR, wait_until};
use crate::image::{Release, Servers};
use crate::mail::fetch_mail;
use crate::service::SOON;

const README: &str = include_str!("../../README.md");
/// What node exporter is told in.
const NUMBERS: &str = "/var/lib/prometheus/node-exporter/pop-before-smtp.prom";
const TIMER: &str = "pop-before-smtp-metrics.timer";
const WRITER: &str = "pop-before-smtp-metrics.service";

/// What node exporter tells of us, and of its reading the file.
fn exported(host: &Host) -> String {
    host.sh("curl --silent --max-time 10 localhost:9100/metrics | grep -E '^(pop_before_smtp|node_textfile)'")
}

/// Waits until node exporter has a line.
fn await_exported(host: &Host, line: &str) {
    wait_until(line, SOON * 6, || {
        exported(host)
            .lines()
            .any(|told| told == line)
            .then_some(())
    });
}

/// The timer of the README writes what node exporter takes; it starts nothing, and leaves no number of
/// before.
fn node_exporter_has_the_numbers(release: Release) {
    let host = Host::with_service_and(release, Servers::AdminTools, "");
    let enabled = host.try_run(&["systemctl", "is-enabled", TIMER]);
    assert_eq!(enabled.stdout.trim(), "disabled");
    host.sh(&format!("test ! -e {NUMBERS}"));
    fetch_mail(&host, NEAR[0]);
    host.await_clients(&[NEAR[0]]);

    let command = README.lines().find(|line| line.ends_with(TIMER));
    host.sh(command.unwrap());
    // By the timer itself.
    await_exported(&host, "pop_before_smtp_clients 1");
    let told = exported(&host);
    for line in [
        "pop_before_smtp_up 1",
        "pop_before_smtp_logins_total 1",
        "pop_before_smtp_caught_up 1",
        "node_textfile_scrape_error 0",
    ] {
        assert!(told.lines().any(|l| l == line), "{line}: {told}");
    }
    let version = format!("version=\"{}\"", env!("CARGO_PKG_VERSION"));
    assert!(told.contains(&version), "{told}");
    let file = host.sh(&format!(
        "stat --format '%U %a' {NUMBERS}; ls -A $(dirname {NUMBERS})"
    ));
    assert_eq!(file, "root 644\npop-before-smtp.prom");
    // Nothing of it is in the journal each minute.
    let said = host.sh(&format!(
        "journalctl --quiet --output=cat UNIT={WRITER} + _SYSTEMD_UNIT={WRITER}"
    ));
    assert_eq!(said, "");

    // A service that does not answer.
    host.sh("kill -STOP $(systemctl show --value --property MainPID pop-before-smtp.service)");
    let written = host.try_run(&["systemctl", "start", WRITER]);
    assert!(!written.succeeded(), "{}", written.transcript());
    assert_eq!(
        host.sh(&format!("grep -v ^# {NUMBERS}")),
        "pop_before_smtp_up 0"
    );
    host.sh("kill -CONT $(systemctl show --value --property MainPID pop-before-smtp.service)");
    host.run(&["systemctl", "start", WRITER]);
    host.sh(&format!("grep -q '^pop_before_smtp_up 1' {NUMBERS}"));

    // One that is stopped stays so.
    host.systemctl("stop");
    host.run(&["systemctl", "start", WRITER]);
    let told = exported(&host);
    assert!(told.contains("pop_before_smtp_up 0"), "{told}");
    assert!(!told.contains("pop_before_smtp_clients"), "{told}");
    assert!(told.contains("node_textfile_scrape_error 0"), "{told}");
    assert!(!host.is_active());

    // It goes with the package, and comes back with it.
    host.sh("apt-get remove --yes pop-before-smtp 2>&1");
    host.sh(&format!(
        "test ! -e {NUMBERS} && ! systemctl --quiet is-active {TIMER}"
    ));
    host.install("/opt/pop-before-smtp.deb");
    host.run(&["systemctl", "is-active", TIMER]);
    host.sh("apt-get purge --yes pop-before-smtp 2>&1");
    let left = host.sh("find /etc/systemd /var/lib/prometheus -name 'pop-before-smtp*'");
    assert_eq!(left, "");
}

#[test]
fn node_exporter_has_the_numbers_on_bookworm() {
    node_exporter_has_the_numbers(Release::Bookworm);
}

#[test]
fn node_exporter_has_the_numbers_on_trixie() {
    node_exporter_has_the_numbers(Release::Trixie);
}
