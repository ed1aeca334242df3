//! A host without Postfix, which asks from a container or from another host: the package is installed,
//! used and purged there. And a Postfix that comes after the package, or in one run with it.

use crate::doctor::{assert_well, examine};
use crate::host::{Finished, Host, NEAR, wait_until};
use crate::image::{Release, Servers};
use crate::mail::{Answer, fetch_mail, send_mail};
use crate::package::{files, users};
use crate::service::{SETTINGS, SOON, STATE, package};

const POLICY: &str = "/var/spool/postfix/pop-before-smtp/policy";
/// The number of Postfix's group in a container. This host has none of that number.
const GROUP: &str = "3456";
const MAIN_CF: &str = include_str!("files/main.cf");

/// Asks the policy socket as somebody of this group.
fn ask(host: &Host, group: &str, client: &str) -> Finished {
    host.try_run(&[
        "bash",
        "-c",
        &format!(
            "printf 'request=smtpd_access_policy\\nclient_address={client}\\n\\n' |
             setpriv --reuid=2345 --regid={group} --clear-groups socat -t 10 - UNIX-CONNECT:{POLICY}"
        ),
    ])
}

/// The drop-in for a Postfix in a container, as the unit's own comment has it.
fn drop_in(host: &Host) -> String {
    let unit = host.run(&["systemctl", "cat", "pop-before-smtp-policy.socket"]);
    let lines = unit.lines().filter_map(|line| line.strip_prefix("#   "));
    let text: String = lines.map(|line| format!("{line}\n")).collect();
    assert!(text.contains(" 101 "), "{unit}");
    text.replace(" 101 ", &format!(" {GROUP} "))
}

#[track_caller]
fn assert_nothing_has_failed(host: &Host) {
    let state = host.try_run(&["systemctl", "is-system-running"]);
    let failed = host.run(&["systemctl", "--failed", "--no-legend"]);
    assert_eq!(state.stdout.trim(), "running", "{failed}");
}

fn is_active(host: &Host, unit: &str) -> bool {
    let state = host.try_run(&["systemctl", "is-active", unit]);
    state.succeeded()
}

#[track_caller]
fn assert_silent_about_postfix(said: &str) {
    for word in ["ostfix", "postmap", "postconf", "WARNING"] {
        assert!(!said.contains(word), "{said}");
    }
}

fn works_without_postfix(release: Release) {
    let host = Host::boot_with(release, Servers::NoPostfix);
    host.sh("! command -v postconf && ! getent group postfix && test ! -e /var/spool/postfix");
    let (before, users_before) = (files(&host), users(&host));
    let said = host.install_package();
    assert!(!said.contains("pop-before-smtp: "), "{said}");
    assert!(host.is_active());
    assert_nothing_has_failed(&host);
    for unit in ["policy.socket", "networks.service"] {
        let unit = format!("pop-before-smtp-{unit}");
        let state = host.try_run(&["systemctl", "is-active", &unit]);
        assert_eq!(state.stdout.trim(), "inactive", "{unit}");
    }
    host.sh(&format!(
        "! ls {STATE}/clients* && test ! -e /var/spool/postfix"
    ));

    // Unless it is configured, it says what is to be done; and goes on.
    let status = host.status();
    assert!(status.map.is_none());
    let [map, networks] = &status.problems[..] else {
        panic!("{status:?}");
    };
    assert!(map.starts_with("publish: ") && map.contains(r#"publish = ["policy"]"#));
    assert!(networks.starts_with("permitted-networks: "));
    let mut points = examine(&host);
    points.retain(|point| point.verdict == "wrong" || point.verdict == "unknown");
    let names: Vec<&str> = points.iter().map(|point| &*point.point).collect();
    let expected = ["service-problems", "service-problems", "postfix"];
    assert_eq!(names, expected, "{points:#?}");
    assert!(
        points[2]
            .mend
            .as_ref()
            .unwrap()
            .contains("publish = [\"policy\"]")
    );

    host.write_file(
        SETTINGS,
        "publish = [\"policy\"]\npermitted-networks = []\n",
    );
    host.run(&["systemctl", "restart", "pop-before-smtp.service"]);
    fetch_mail(&host, NEAR[0]);
    wait_until("it is listed", SOON, || {
        (host.listed() == [NEAR[0]]).then_some(())
    });
    assert!(host.status().problems.is_empty());
    assert_well(&host, "without a Postfix that asks");
    let invocation = format!(
        "_SYSTEMD_INVOCATION_ID={}",
        host.service_property("InvocationID")
    );
    assert_silent_about_postfix(&host.journal(&[&invocation]).join("\n"));
    for command in ["status", "check-config"] {
        assert_silent_about_postfix(&host.run(&["pop-before-smtp", command]));
    }
    assert_silent_about_postfix(&host.install("/opt/pop-before-smtp.deb"));
    assert_nothing_has_failed(&host);

    // Stopped, there is nothing to keep right.
    host.sh("systemctl stop pop-before-smtp.socket pop-before-smtp.service");
    wait_until("expiry is done", SOON, || {
        let done = "systemctl show --property=ExecMainExitTimestampMonotonic --value";
        let ended = host.sh(&format!("{done} pop-before-smtp-expire.service"));
        (ended != "0").then_some(())
    });
    wait_until("expiry is over", SOON, || {
        (!is_active(&host, "pop-before-smtp-expire.service")).then_some(())
    });
    assert_nothing_has_failed(&host);
    host.systemctl("start");

    // A Postfix in a container, which has the socket's directory.
    let directory = "/etc/systemd/system/pop-before-smtp-policy.socket.d";
    host.write_file(&format!("{directory}/container.conf"), &drop_in(&host));
    host.run(&["systemctl", "daemon-reload"]);
    host.run(&["systemctl", "restart", "pop-before-smtp"]);
    assert_nothing_has_failed(&host);
    let socket = host.run(&["stat", "--format=%U %g %a", POLICY]);
    assert_eq!(socket, format!("root {GROUP} 660"));
    assert_eq!(ask(&host, GROUP, NEAR[0]).stdout, "action=OK\n\n");
    assert_eq!(ask(&host, GROUP, NEAR[1]).stdout, "action=DUNNO\n\n");
    assert!(!ask(&host, "3457", NEAR[0]).succeeded());
    assert!(host.status().problems.is_empty());
    assert_well(&host, "with a Postfix in a container");
    let points = examine(&host);
    let postfix = points
        .iter()
        .find(|point| point.point == "postfix")
        .unwrap();
    assert!(
        postfix.verdict == "ok" && postfix.finding.contains(GROUP),
        "{postfix:?}"
    );
    // Where it is not what it says, that is found.
    host.sh(&format!(
        "sed -i 's/chgrp/false/' {directory}/*.conf && systemctl daemon-reload"
    ));
    host.sh("systemctl stop pop-before-smtp-policy.socket && systemctl restart pop-before-smtp");
    let points = examine(&host);
    let socket = points
        .iter()
        .find(|point| point.point == "policy-socket")
        .unwrap();
    assert_eq!(socket.verdict, "wrong", "{socket:?}");
    host.sh("systemctl reset-failed");

    let said = host.sh("DEBIAN_FRONTEND=noninteractive apt-get purge --yes pop-before-smtp 2>&1");
    assert!(!said.contains("pop-before-smtp: "), "{said}");
    host.sh(&format!(
        "rm -r {directory} && systemctl daemon-reload && test ! -e /var/spool/postfix"
    ));
    let after = files(&host);
    let new: Vec<&str> = after
        .lines()
        .filter(|file| before.lines().all(|known| known != *file))
        .collect();
    assert!(new.is_empty(), "left behind: {new:#?}");
    assert_eq!(users(&host), users_before);
    assert_nothing_has_failed(&host);
}

#[test]
fn works_without_postfix_on_bookworm() {
    works_without_postfix(Release::Bookworm);
}

#[test]
fn works_without_postfix_on_trixie() {
    works_without_postfix(Release::Trixie);
}

fn apt(host: &Host, arguments: &str) -> String {
    host.sh(&format!(
        "DEBIAN_FRONTEND=noninteractive apt-get --yes --quiet --option Dpkg::Use-Pty=0 {arguments} 2>&1"
    ))
}

/// Everything that Postfix asks is there, without anybody having done anything.
#[track_caller]
fn assert_postfix_is_served(host: &Host, said: &str) {
    assert!(said.contains("\nsmtpd_relay_restrictions = "), "{said}");
    assert_nothing_has_failed(host);
    for unit in [".service", "-policy.socket", "-networks.service"] {
        assert!(is_active(host, &format!("pop-before-smtp{unit}")), "{unit}");
    }
    let status = host.status();
    assert!(status.problems.is_empty(), "{status:?}");
    assert!(host.map_clients().is_empty() || host.map_permits(NEAR[0]));
    let answer = host.sh(&format!(
        "printf 'request=smtpd_access_policy\\nclient_address=192.0.2.99\\n\\n' |
         runuser -u postfix -- socat -t 10 - UNIX-CONNECT:{POLICY}"
    ));
    assert_eq!(answer.trim(), "action=DUNNO");
}

fn postfix_comes_later(release: Release) {
    let host = Host::boot_with(release, Servers::NoPostfix);
    host.install_package();
    fetch_mail(&host, NEAR[0]);
    wait_until("it is listed", SOON, || {
        (host.listed() == [NEAR[0]]).then_some(())
    });
    let said = apt(&host, "install /opt/postfix/*.deb");
    assert_postfix_is_served(&host, &said);
    host.await_clients(&[NEAR[0]]);
    host.write_file("/etc/postfix/main.cf", MAIN_CF);
    host.obey(&said);
    host.run(&["systemctl", "restart", "postfix", "pop-before-smtp"]);
    host.await_clients(&[NEAR[0]]);
    assert_eq!(send_mail(&host, NEAR[0]), Answer::Accepted);
    assert_eq!(send_mail(&host, NEAR[1]), Answer::Refused);
    assert_well(&host, "with a Postfix that came later");

    // An upgrade of Postfix is none of our business.
    let process = host.main_process();
    let said = apt(&host, "install --reinstall /opt/postfix/*.deb");
    assert!(!said.contains("smtpd_relay_restrictions = "), "{said}");
    assert_eq!(host.main_process(), process);

    // It goes, and the package stays. Whom nobody can take out of the map any more is in no map that
    // another Postfix finds.
    apt(&host, "purge postfix postfix-lmdb");
    assert!(host.is_active());
    assert_nothing_has_failed(&host);
    let revoked = host.try_run(&["pop-before-smtp", "revoke", NEAR[0]]);
    assert_eq!(revoked.code, Some(75), "{}", revoked.transcript());
    host.run(&["systemctl", "restart", "pop-before-smtp"]);
    assert!(host.status().map.is_none());
    wait_until("the map is gone", SOON, || {
        let left = format!("ls {STATE}/clients {STATE}/clients.db {STATE}/clients.lmdb");
        let left = host.try_run(&["bash", "-c", &left]);
        left.stdout.is_empty().then_some(())
    });
    let said = apt(&host, "install /opt/postfix/*.deb");
    assert_postfix_is_served(&host, &said);
    assert!(host.map_clients().is_empty());
}

#[test]
fn postfix_comes_later_on_bookworm() {
    postfix_comes_later(Release::Bookworm);
}

#[test]
fn postfix_comes_later_on_trixie() {
    postfix_comes_later(Release::Trixie);
}

/// Both in one run, in whatever order they are taken.
fn postfix_comes_together(release: Release) {
    let host = Host::boot_with(release, Servers::NoPostfix);
    host.copy_in(&package(), "/opt/pop-before-smtp.deb");
    let said = apt(&host, "install /opt/pop-before-smtp.deb /opt/postfix/*.deb");
    assert_postfix_is_served(&host, &said);
    let (this, postfix) = ("/opt/pop-before-smtp.deb", "/opt/postfix/postfix_*.deb");
    for (unpacked, configured) in [
        ([this, postfix], "pop-before-smtp postfix"),
        ([postfix, this], "pop-before-smtp postfix"),
        ([postfix, this], "postfix pop-before-smtp"),
    ] {
        start_over(&host);
        let unpacked =
            unpacked.map(|package| format!("dpkg --no-triggers --unpack {package} 2>&1"));
        let said = host.sh(&format!(
            "set -e; export DEBIAN_FRONTEND=noninteractive
             {}
             dpkg --configure {configured} 2>&1",
            unpacked.join("\n")
        ));
        assert_postfix_is_served(&host, &said);
    }

    // One that is not configured in the same run.
    start_over(&host);
    let said = host.sh(&format!(
        "set -e; dpkg --unpack {postfix} 2>&1; dpkg --install {this} 2>&1"
    ));
    let then = "once it has: systemctl restart pop-before-smtp";
    assert!(said.contains(then), "{said}");
    assert_nothing_has_failed(&host);
    host.sh("DEBIAN_FRONTEND=noninteractive dpkg --configure postfix 2>&1");
    host.run(&["systemctl", "restart", "pop-before-smtp"]);
    assert!(host.status().problems.is_empty());
    assert_nothing_has_failed(&host);
}

/// Both packages go, and all that was theirs.
fn start_over(host: &Host) {
    apt(host, "purge pop-before-smtp postfix postfix-lmdb");
    host.sh("rm -rf /etc/postfix /var/spool/postfix");
}

#[test]
fn postfix_comes_together_on_bookworm() {
    postfix_comes_together(Release::Bookworm);
}

#[test]
fn postfix_comes_together_on_trixie() {
    postfix_comes_together(Release::Trixie);
}
