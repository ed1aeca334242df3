//! What administrators run beside the service: node exporter, logcheck, needrestart, reportbug.

use crate::host::{Host, NEAR, wait_until};
use crate::image::{Release, Servers};
use crate::mail::{Answer, fetch_mail, send_mail};
use crate::service::{SETTINGS, SOON};

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

/// What logcheck would report, of all that is in the journal since it looked last.
fn logcheck_reports(host: &Host) -> Vec<String> {
    // It runs as a user of its own, and prints what it would send.
    let report = host.sh("runuser -u logcheck -- /usr/sbin/logcheck -o 2>&1");
    let ours = report
        .lines()
        .filter(|line| line.contains(" pop-before-smtp["));
    ours.map(str::to_owned).collect()
}

/// logcheck is silent about what is routine, and reports what is not.
fn logcheck_reports_problems_alone(release: Release) {
    let host = Host::with_service_and(release, Servers::AdminTools, "log-level = \"debug\"\n");
    for client in NEAR {
        fetch_mail(&host, client);
    }
    host.await_clients(&NEAR);
    // A user with a name of a stranger's making.
    let login = "imap-login: Login: user=<x y; $(reboot)>, method=PLAIN, rip=198.51.100.8, lip=192.0.2.1, \
                 mpid=1, TLS, session=<s1>";
    host.as_dovecot(&[login.to_owned()]);
    wait_until("he is listed", SOON, || {
        host.listed()
            .contains(&"198.51.100.8".to_owned())
            .then_some(())
    });
    host.run(&[
        "pop-before-smtp",
        "allow",
        "198.51.100.9",
        "--for",
        "1h",
        "--note",
        "a note",
    ]);
    host.run(&["pop-before-smtp", "revoke", "--user", "tom"]);
    host.run(&["pop-before-smtp", "log-level", "info"]);
    host.systemctl("reload");
    host.systemctl("restart");
    host.systemctl("stop");
    host.systemctl("start");
    let said = host.service_journal();
    for routine in [
        "started: ",
        "caught up",
        "stopped with",
        "added ",
        "removed ",
        "allowed ",
        "revoked ",
        "published ",
    ] {
        assert!(
            said.iter().any(|line| line.contains(routine)),
            "{routine}: {said:#?}"
        );
    }
    assert_eq!(logcheck_reports(&host), [""; 0]);

    host.sh("runuser -u ann -- logger --tag dovecot 'imap-login: Login: user=<tom>, method=PLAIN, rip=198.51.100.7, lip=192.0.2.1, mpid=1, TLS, session=<x>'");
    wait_until("it is refused", SOON, || {
        let said = host.service_journal();
        said.iter()
            .any(|line| line.contains("refused a login"))
            .then_some(())
    });
    let reported = logcheck_reports(&host);
    assert_eq!(reported.len(), 1, "{reported:#?}");
    assert!(
        reported[0].contains("refused a login of 198.51.100.7"),
        "{reported:#?}"
    );
}

#[test]
fn logcheck_reports_problems_alone_on_bookworm() {
    logcheck_reports_problems_alone(Release::Bookworm);
}

#[test]
fn logcheck_reports_problems_alone_on_trixie() {
    logcheck_reports_problems_alone(Release::Trixie);
}

/// Each example does what it says.
#[test]
fn the_examples_work() {
    let examples = "/usr/share/doc/pop-before-smtp/examples";
    let host = Host::with_service_and(Release::any(), Servers::Prometheus, "");
    let all = host.run(&["ls", examples]);
    assert_eq!(
        all,
        "main.cf\npolicy-socket-container.conf\nprometheus-rules.yml\nserver.toml"
    );

    // A server of one's own: the configuration is right only with it.
    host.write_file(SETTINGS, "servers = [\"built-in\", \"minepop\"]\n");
    assert!(
        !host
            .try_run(&["pop-before-smtp", "check-config"])
            .succeeded()
    );
    host.sh(&format!(
        "cp {examples}/server.toml /etc/pop-before-smtp/servers.d/minepop.toml"
    ));
    host.run(&["pop-before-smtp", "check-config"]);
    let tried = host.sh("echo 'login ok: bob from 2001:db8::77' | pop-before-smtp test --stdin --server minepop --identifier minepop");
    assert!(tried.contains("2001:db8::77"), "{tried}");
    assert!(host.systemctl("restart").succeeded());

    // Both ways for Postfix to ask.
    host.sh(&format!("sed -i '/^smtpd_relay_restrictions/d' /etc/postfix/main.cf && cat {examples}/main.cf >>/etc/postfix/main.cf && postfix check && postfix reload"));
    assert_eq!(send_mail(&host, NEAR[0]), Answer::Refused);
    fetch_mail(&host, NEAR[0]);
    host.await_clients(&[NEAR[0]]);
    assert_eq!(send_mail(&host, NEAR[0]), Answer::Accepted);
    let asked = host.run(&["pop-before-smtp", "status"]);
    assert!(asked.contains("Policy: "), "{asked}");
    let doctor = host.try_run(&["pop-before-smtp", "doctor"]).stdout;
    let point = doctor
        .lines()
        .find(|line| line.contains("relay-restrictions"));
    assert!(
        point.is_some_and(|point| point.starts_with("ok ")),
        "{doctor}"
    );

    // The policy socket for another's Postfix.
    let drop_in = "/etc/systemd/system/pop-before-smtp-policy.socket.d/container.conf";
    host.sh(&format!(
        "mkdir -p $(dirname {drop_in}) && sed 's/chgrp 101/chgrp 3456/' {examples}/policy-socket-container.conf >{drop_in} &&
         systemctl daemon-reload && systemctl stop pop-before-smtp pop-before-smtp-policy.socket &&
         systemctl start pop-before-smtp-policy.socket pop-before-smtp"
    ));
    let socket = host.run(&[
        "stat",
        "--format=%U %g %a",
        "/var/spool/postfix/pop-before-smtp/policy",
    ]);
    assert_eq!(socket, "root 3456 660");

    // Each alert comes, and only when it should.
    host.run(&[
        "promtool",
        "check",
        "rules",
        &format!("{examples}/prometheus-rules.yml"),
    ]);
    host.write_file("/opt/alerts.yml", &ALERTS.replace("EXAMPLES", examples));
    host.run(&["promtool", "test", "rules", "/opt/alerts.yml"]);
}

/// For `promtool test rules`.
const ALERTS: &str = r#"
rule_files: [EXAMPLES/prometheus-rules.yml]
evaluation_interval: 1m
tests:
  - interval: 1m
    input_series:
      - {series: 'pop_before_smtp_up{instance="well"}', values: '1x30'}
      - {series: 'pop_before_smtp_up{instance="ill"}', values: '0x30'}
      - {series: 'pop_before_smtp_problems{instance="well"}', values: '0x30'}
      - {series: 'pop_before_smtp_problems{instance="ill"}', values: '2x30'}
      - {series: 'pop_before_smtp_refused_total{instance="well"}', values: '5x30'}
      - {series: 'pop_before_smtp_refused_total{instance="ill"}', values: '5x20 6x9'}
      - {series: 'node_textfile_mtime_seconds{instance="well",file="/x/pop-before-smtp.prom"}', values: '0+60x30'}
      - {series: 'node_textfile_mtime_seconds{instance="ill",file="/x/pop-before-smtp.prom"}', values: '0x30'}
    promql_expr_test:
      - expr: ALERTS{alertstate="firing"}
        eval_time: 25m
        exp_samples:
          - {labels: 'ALERTS{alertname="PopBeforeSmtpDown",alertstate="firing",instance="ill"}', value: 1}
          - {labels: 'ALERTS{alertname="PopBeforeSmtpProblems",alertstate="firing",instance="ill"}', value: 1}
          - {labels: 'ALERTS{alertname="PopBeforeSmtpRefused",alertstate="firing",instance="ill"}', value: 1}
          - {labels: 'ALERTS{alertname="PopBeforeSmtpNumbersOld",alertstate="firing",instance="ill",file="/x/pop-before-smtp.prom"}', value: 1}
"#;
