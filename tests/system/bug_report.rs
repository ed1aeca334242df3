//! `bug-report` on a host with real logins: all that is needed, and nobody's name.

use crate::host::{FAR, Host, NEAR, wait_until};
use crate::image::{Release, Servers};
use crate::mail::fetch_mail;
use crate::service::SOON;

/// Names and addresses that are on the host of the test, and in no report of it.
const SECRETS: [&str; 12] = [
    "192.0.2.10",
    "2001:db8::10",
    "198.51.100.7",
    "198.51.100.99",
    "203.0.113.0",
    "tom",
    "annabel",
    "phone",
    "vault",
    "backoffice",
    "gatekeeper",
    "192.0.2.1",
];

/// Whether a report has this in it as a word of its own.
fn holds(report: &str, name: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric();
    report.match_indices(name).any(|(begin, _)| {
        let after = report[begin + name.len()..].chars().next();
        !report[..begin].ends_with(is_word) && !after.is_some_and(is_word)
    })
}

fn tells_no_secrets(report: &str) {
    for secret in SECRETS {
        assert!(!holds(report, secret), "{secret}: {report}");
    }
}

#[test]
fn a_bug_report_has_all_but_names_and_addresses() {
    let host = Host::with_service_and(
        Release::any(),
        Servers::AdminTools,
        "never = [\"203.0.113.0/24\"]\n[sources.backoffice]\ndirectory = \"/srv/vault\"\nusers = { gatekeeper = 1234 }\n",
    );
    host.sh("mkdir -p /srv/vault");
    for client in [NEAR[0], NEAR[1], FAR] {
        fetch_mail(&host, client);
    }
    host.await_clients(&[NEAR[0], NEAR[1], FAR]);
    host.run(&[
        "pop-before-smtp",
        "allow",
        "198.51.100.99",
        "--for",
        "1h",
        "--note",
        "annabel's phone",
    ]);
    // Somebody imitates Dovecot, under a name that nobody knows.
    host.sh("runuser -u ann -- logger --tag dovecot 'imap-login: Login: user=<annabel>, method=PLAIN, rip=198.51.100.99, lip=192.0.2.1, mpid=1, TLS, session=<x>'");
    wait_until("it is reported", SOON, || {
        let said = host.service_journal();
        said.iter()
            .any(|line| line.contains("refused"))
            .then_some(())
    });

    let report = host.run(&["pop-before-smtp", "bug-report"]);
    println!("{report}");
    tells_no_secrets(&report);
    for told in [
        "== Versions\npop-before-smtp 2.",
        "== pop-before-smtp status\n           Version: 2.",
        "user-1 from ipv4-public-",
        "== pop-before-smtp doctor\nok       service: ",
        "never = [\"ipv4-public-",
        ".0/24\"]",
        "[sources.source-1]",
        "added ipv4-public-",
        "added ipv6-public-1.1: user-1 has logged in to dovecot",
        "by hand (uid 0); it may relay until ",
        "refused a login of ipv4-public-",
    ] {
        assert!(report.contains(told), "{told}: {report}");
    }

    // As reportbug does it: as the person who reports.
    host.sh(
        "chmod 755 /root; runuser -u ann -- /usr/share/reportbug/handle_bugscript \
         /usr/share/bug/pop-before-smtp/script /tmp/report </dev/null",
    );
    let report = host.sh("cat /tmp/report");
    tells_no_secrets(&report);
    assert!(
        report.contains("== pop-before-smtp show-config\n"),
        "{report}"
    );
    assert!(
        report.contains("use sudo"),
        "the person may not ask the service: {report}"
    );

    // With nobody to ask, and a configuration that is wrong, it says so, and starts nothing.
    host.systemctl("stop");
    host.write_file(
        "/etc/pop-before-smtp/config.d/60-bad.toml",
        "grace = \"annabel\"\n",
    );
    let report = host.run(&["pop-before-smtp", "bug-report"]);
    tells_no_secrets(&report);
    assert!(report.contains("the service does not run"), "{report}");
    assert!(report.contains("grace"), "{report}");
    assert!(!host.is_active());
}
