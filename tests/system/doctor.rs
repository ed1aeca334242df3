//! `doctor` on hosts that are well, and with one thing at a time that is not: it finds that thing, and
//! the commands that it prints mend it.

use serde::Deserialize;

use crate::host::{Host, NEAR, wait_until};
use crate::image::Release;
use crate::mail::fetch_mail;
use crate::service::{SETTINGS, SOON, STATE};

const POLICY: &str = "unix:pop-before-smtp/policy";

#[derive(Clone, Debug, Deserialize)]
pub struct Point {
    pub point: String,
    pub verdict: String,
    pub finding: String,
    pub mend: Option<String>,
}

/// Examines the host; the exit status says the same as the points.
#[track_caller]
pub fn examine(host: &Host) -> Vec<Point> {
    let asked = host.try_run(&["pop-before-smtp", "doctor", "--json"]);
    let points: Vec<Point> = serde_json::from_str(&asked.stdout)
        .unwrap_or_else(|error| panic!("doctor --json: {error}: {}", asked.transcript()));
    let is_well = |point: &Point| matches!(&*point.verdict, "ok" | "notice");
    let expected = i32::from(!points.iter().all(is_well));
    assert_eq!(asked.code, Some(expected), "{points:#?}");
    points
}

#[track_caller]
pub fn assert_well(host: &Host, when: &str) {
    let points = examine(host);
    let ill: Vec<_> = (points.iter())
        .filter(|point| point.verdict == "wrong" || point.verdict == "unknown")
        .collect();
    assert!(ill.is_empty(), "{when}: {ill:#?}");
}

/// Breaks one thing with a script, and has it mended by the commands of the point that finds it.
#[track_caller]
fn assert_found_and_mended(host: &Host, break_it: &str, name: &str, finding: &str) {
    let mend = assert_found(host, break_it, name, finding);
    println!("{name}: {mend}");
    host.sh(&format!("set -e\n{mend}"));
    assert_well(host, &format!("after {break_it:?} and {mend:?}"));
}

/// Breaks one thing with a script, and gives what the point that finds it would mend it with.
#[track_caller]
fn assert_found(host: &Host, break_it: &str, name: &str, finding: &str) -> String {
    host.sh(&format!("set -e\n{break_it}"));
    let points = examine(host);
    let found = (points.iter())
        .find(|p| p.point == name && p.verdict == "wrong" && p.finding.contains(finding));
    let Some(found) = found else {
        panic!("{break_it:?} is not found by {name}, {finding:?}: {points:#?}");
    };
    found.mend.clone().unwrap_or_default()
}

/// Sets the list that decides on relaying.
fn relay_restrictions(list: &str) -> String {
    format!("postconf -e 'smtpd_relay_restrictions = {list}'; postfix reload")
}

fn postfix_is_looked_at(release: Release) {
    let host = Host::with_service(release, "");
    let map = format!("{}:{STATE}/clients", host.map_type());
    fetch_mail(&host, NEAR[0]);
    host.await_clients(&[NEAR[0]]);
    assert_well(&host, "on a new host");
    for (list, finding) in [
        (
            "permit_mynetworks, reject_unauth_destination".to_owned(),
            "without asking this service first",
        ),
        (
            format!("permit_mynetworks, reject_unauth_destination, check_client_access {map}"),
            "comes after what refuses",
        ),
        (
            format!("check_client_access cdb:{STATE}/clients, defer_unauth_destination"),
            "of type",
        ),
        (
            format!("check_client_access proxy:{map}, reject_unauth_destination"),
            "proxymap",
        ),
        (
            format!("check_policy_service {POLICY}, reject_unauth_destination"),
            "default_action",
        ),
        (
            "check_policy_service { unix:/var/spool/postfix/pop-before-smtp/policy, \
             default_action=DUNNO }, reject_unauth_destination"
                .to_owned(),
            "chrooted",
        ),
    ] {
        let broken = relay_restrictions(&list);
        assert_found_and_mended(&host, &broken, "relay-restrictions", finding);
    }
    // Another list refuses; and a service of master.cf has its own.
    let broken = format!(
        "{}\npostconf -e 'smtpd_recipient_restrictions = reject_unauth_destination'",
        relay_restrictions(&format!("check_client_access {map}, reject"))
    );
    assert_found_and_mended(
        &host,
        &broken,
        "relay-restrictions",
        "smtpd_recipient_restrictions refuses",
    );
    let broken = format!(
        "postconf -M submission/inet='submission inet n - y - - smtpd'
         postconf -P 'submission/inet/smtpd_relay_restrictions=permit_sasl_authenticated,\
            check_client_access,btree:{STATE}/clients,reject'
         postfix reload"
    );
    assert_found_and_mended(&host, &broken, "relay-restrictions", "submission/inet");

    // What the service mends by itself, where it can't: it finds a directory where it makes its maps.
    let index = format!("$(ls {STATE}/clients.db {STATE}/clients.lmdb 2>/dev/null)");
    for (broken, point, finding) in [
        (format!("rm {index}"), "map-file", "has not put it back"),
        (
            format!("touch -d '+1 hour' {STATE}/clients"),
            "map-file",
            "older than its source",
        ),
        (format!("chmod 600 {index}"), "map-readable", "can't read"),
        (
            format!("echo '192.0.2.99 OK' >{STATE}/clients; postmap {map}"),
            "map-contents",
            "holds no",
        ),
        (
            format!("echo '192.0.2.99 OK' >>{STATE}/clients; postmap {map}"),
            "map-and-list",
            "lets in 1 client (192.0.2.99)",
        ),
        (
            format!("sed -i /192.0.2.10/d {STATE}/clients; postmap {map}"),
            "map-and-list",
            "does not let in 1 client (192.0.2.10)",
        ),
    ] {
        let broken = format!("mkdir {STATE}/clients.new\n{broken}");
        let mend = assert_found(&host, &broken, point, finding);
        host.sh(&format!(
            "set -e\nrmdir {STATE}/clients.new\n{mend}\nsystemctl restart pop-before-smtp"
        ));
        assert_well(&host, &format!("after {broken:?} and {mend:?}"));
    }
    for (broken, point, finding) in [
        (
            format!("chmod 700 {STATE}"),
            "map-readable",
            "can't go through",
        ),
        (
            format!("chmod 777 {STATE}"),
            "map-directory",
            "by anybody on this host",
        ),
        (
            "chmod 700 /var/spool/postfix/pop-before-smtp".to_owned(),
            "policy-reachable",
            "can't go through",
        ),
        ("postfix stop".to_owned(), "postfix", "not running"),
    ] {
        assert_found_and_mended(&host, &broken, point, finding);
    }

    // What no command mends.
    let broken = "cp /etc/postfix/main.cf /root; echo nonsense >>/etc/postfix/main.cf";
    assert_found(&host, broken, "postfix", "nonsense");
    host.sh("cp /root/main.cf /etc/postfix");
    assert_well(&host, "with main.cf as before");
    host.sh("mv /usr/sbin/postconf /root");
    assert_found(&host, "", "postfix", "postconf not found");
    host.sh("mv /root/postconf /usr/sbin");
}

#[test]
fn postfix_is_looked_at_on_bookworm() {
    postfix_is_looked_at(Release::Bookworm);
}

#[test]
fn postfix_is_looked_at_on_trixie() {
    postfix_is_looked_at(Release::Trixie);
}

fn the_service_is_looked_at(release: Release) {
    let host = Host::with_service(release, "");
    for (broken, point, finding) in [
        (
            "systemctl disable pop-before-smtp.service",
            "service-at-boot",
            "not started",
        ),
        (
            "systemctl mask --now pop-before-smtp.service",
            "service",
            "masked",
        ),
        (
            "systemctl stop pop-before-smtp-policy.socket",
            "policy-socket",
            "does not listen",
        ),
        (
            "systemctl disable --now pop-before-smtp.socket",
            "control-socket",
            "does not listen",
        ),
        (
            "systemctl disable pop-before-smtp-expire.timer",
            "expiry",
            "not enabled",
        ),
        (
            "cp /usr/bin/pop-before-smtp /root/new; mv /root/new /usr/bin/pop-before-smtp; touch /usr/bin/pop-before-smtp",
            "service-version",
            "an older one",
        ),
        (
            "touch /lib/systemd/system/pop-before-smtp.service",
            "service-version",
            "systemd has not read it",
        ),
        (
            "echo 'grace = \"20min\"' >/etc/pop-before-smtp/config.d/70-new.toml",
            "configuration-in-force",
            "70-new.toml was changed",
        ),
        (
            // The service does not even tell of the reload.
            "echo 'log-level = \"error\"' >/etc/pop-before-smtp/config.d/71-quiet.toml",
            "configuration-in-force",
            "71-quiet.toml was changed",
        ),
        (
            "chmod 600 /etc/pop-before-smtp/config.d/70-new.toml",
            "configuration-readable",
            "can't read /etc/pop-before-smtp/config.d/70-new.toml",
        ),
        (
            "chmod 700 /etc/pop-before-smtp/config.d",
            "configuration-readable",
            "can't read /etc/pop-before-smtp/config.d",
        ),
        (
            "rm /etc/pop-before-smtp/config.d/7*.toml",
            "configuration-in-force",
            "config.d was changed",
        ),
        (
            "postconf -e 'mynetworks = 127.0.0.0/8 192.0.2.77/32'",
            "permitted-networks",
            "192.0.2.77",
        ),
    ] {
        assert_found_and_mended(&host, broken, point, finding);
    }

    // It is stopped, and so it stays.
    host.systemctl("stop");
    let points = examine(&host);
    assert!(!host.is_active(), "doctor has started the service");
    let stopped = points
        .iter()
        .find(|point| point.point == "service")
        .unwrap();
    assert_eq!(stopped.verdict, "wrong", "{points:#?}");
    host.sh(stopped.mend.as_ref().unwrap());
    assert_well(&host, "after the start");

    // A configuration that is wrong, as somebody finds it who comes to a service that has failed.
    let broken =
        format!("echo 'gracious = true' >{SETTINGS}; systemctl restart pop-before-smtp || true");
    assert_found(&host, &broken, "configuration", "gracious");
    let mend = assert_found(&host, "", "service", "configuration is wrong");
    host.sh(&format!("rm {SETTINGS}\n{mend}"));
    assert_well(&host, "with the configuration put right");

    // Somebody else sees what anybody may, is told what he can't see, and does no harm.
    let asked = host.try_run(&["runuser", "-u", "tom", "--", "pop-before-smtp", "doctor"]);
    assert_eq!(asked.code, Some(1), "{}", asked.transcript());
    assert!(asked.stdout.contains("unknown"), "{}", asked.transcript());
    assert!(!asked.stdout.contains("\x1b"), "{}", asked.transcript());
    assert!(
        asked.stdout.contains("\n0 wrong, "),
        "{}",
        asked.transcript()
    );
    assert!(host.is_active());

    // A service that hangs is not waited for without end.
    host.sh("systemctl kill --signal=STOP pop-before-smtp.service");
    assert_found(&host, "", "service-problems", "does not answer");
    host.sh("systemctl kill --signal=CONT pop-before-smtp.service");
}

#[test]
fn the_service_is_looked_at_on_bookworm() {
    the_service_is_looked_at(Release::Bookworm);
}

#[test]
fn the_service_is_looked_at_on_trixie() {
    the_service_is_looked_at(Release::Trixie);
}

/// Writes this many lines as Dovecot does, after a pause in which journald forgets what it has counted.
fn flood(lines: usize) -> String {
    format!(
        "sleep 4
         echo $$ >/sys/fs/cgroup/system.slice/dovecot.service/cgroup.procs
         for n in $(seq {lines}); do echo \"line $n\"; done | logger --tag dovecot --priority mail.info"
    )
}

fn the_journal_is_looked_at(release: Release) {
    let host = Host::with_service(release, "");
    fetch_mail(&host, NEAR[0]);
    assert_well(&host, "on a new host");

    // A real rate limit, really exceeded; the mend really ends it.
    host.write_file(
        "/etc/systemd/journald.conf.d/limit.conf",
        "[Journal]\nRateLimitIntervalSec=3s\nRateLimitBurst=5\n",
    );
    host.run(&["systemctl", "restart", "systemd-journald"]);
    host.sh(&flood(2000));
    // journald tells of what it has dropped with the unit's next entry after the interval, unless an
    // entry of another unit makes it forget first: so there are more entries, and more floods.
    let told = "journalctl --quiet MESSAGE_ID=a596d6fe7bfa4994828e72309e95d61e \
                OBJECT_SYSTEMD_UNIT=dovecot.service | grep --quiet .";
    let broken = format!(
        "echo $$ >/sys/fs/cgroup/system.slice/dovecot.service/cgroup.procs
         for flood in 1 2 3 4 5; do
             for n in $(seq 100); do echo x; done | logger --tag dovecot
             for n in $(seq 40); do sleep 0.1; echo y | logger --tag dovecot; done
             journalctl --sync
             if {told}; then break; fi
         done"
    );
    assert_found_and_mended(&host, &broken, "journal-rate-limit", "of dovecot.service");
    let kept = || {
        host.journal(&["--identifier=dovecot", "--grep=^line"])
            .len()
    };
    let before = kept();
    host.sh(&flood(2000));
    assert_eq!(kept() - before, 2000, "the limit is still there");
    host.sh("rm /etc/systemd/journald.conf.d/limit.conf; systemctl restart systemd-journald");

    for (broken, point, finding) in [
        (
            "mkdir -p /etc/systemd/journald.conf.d
             printf '[Journal]\\nMaxLevelStore=warning\\n' >/etc/systemd/journald.conf.d/x.conf
             systemctl restart systemd-journald",
            "journal-level",
            "MaxLevelStore=warning",
        ),
        (
            "chgrp root /var/log/journal/*/system.journal
             setfacl --remove-all /var/log/journal/*/system.journal 2>/dev/null || true
             chmod 600 /var/log/journal/*/system.journal",
            "journal-access",
            "can't read",
        ),
        (
            "mkdir -p /etc/systemd/system/dovecot.service.d
             printf '[Service]\\nLogNamespace=mail\\n' >/etc/systemd/system/dovecot.service.d/n.conf
             systemctl daemon-reload; systemctl restart dovecot",
            "journal-namespace",
            "dovecot.service writes to the namespace mail",
        ),
        (
            "rm /etc/systemd/system/dovecot.service.d/n.conf
             systemctl daemon-reload; systemctl restart dovecot",
            "journal-namespace",
            "dovecot.service writes to the default namespace",
        ),
    ] {
        assert_found_and_mended(&host, broken, point, finding);
    }
    // It counts again, where it is written now.
    fetch_mail(&host, NEAR[1]);
    host.await_clients(&NEAR);

    // Worth knowing, and not wrong.
    let notice = |name: &str, part: &str| {
        let points = examine(&host);
        let found = points
            .iter()
            .find(|p| p.point == name && p.finding.contains(part));
        let found = found.unwrap_or_else(|| panic!("no {name} with {part:?}: {points:#?}"));
        assert_eq!(found.verdict, "notice", "{found:?}");
        found.mend.clone().unwrap_or_default()
    };
    host.sh(
        // The writer lives until journald has looked at it: without a unit nothing would be proposed.
        "forge() {
             (echo \"$1\"; sleep 1) |
                 systemd-run --quiet --wait --pipe --uid=tom logger --tag dovecot
         }
         forge 'imap-login: Login: user=<tom>, method=PLAIN, \
            rip=192.0.2.66, lip=192.0.2.1, mpid=1, session=<abcdefghijk>'
         forge 'imap-login: Logged in: user=<tom>, method=PLAIN, \
            rip=192.0.2.66, lip=192.0.2.1, mpid=1, session=<abcdefghijk>'",
    );
    wait_until("the forged login is refused", SOON, || {
        let said = host.service_journal();
        said.iter()
            .any(|line| line.contains("192.0.2.66"))
            .then_some(())
    });
    let mend = notice("refused-entries", "192.0.2.66");
    assert!(mend.contains("[senders.dovecot]"), "{mend}");
    host.write_file(
        SETTINGS,
        "servers = [\"courier\"]\n[senders.courier]\nunits = [\"nowhere.service\"]\n",
    );
    host.systemctl("reload");
    notice("senders", "nowhere.service");
    let mend = notice("servers-off", "dovecot");
    host.sh(&format!("set -e\n{mend}"));
    notice("servers", "dovecot writes to the journal; on, but silent");
    assert_well(&host, "with the servers put right");
}

#[test]
fn the_journal_is_looked_at_on_bookworm() {
    the_journal_is_looked_at(Release::Bookworm);
}

#[test]
fn the_journal_is_looked_at_on_trixie() {
    the_journal_is_looked_at(Release::Trixie);
}

fn files_of_other_groups_are_looked_at(release: Release) {
    let host = Host::with_service(release, "");
    fetch_mail(&host, NEAR[0]);
    host.await_clients(&[NEAR[0]]);

    // One of a user's can't be read: it is named, and the system's is read all the same.
    let mend = assert_found(
        &host,
        "runuser -u tom -- logger hello; journalctl --sync
         chgrp root /var/log/journal/*/user-1000.journal
         chmod 600 /var/log/journal/*/user-1000.journal
         timeout 30 systemctl restart pop-before-smtp",
        "journal-access",
        "user-1000.journal",
    );
    fetch_mail(&host, NEAR[1]);
    host.await_clients(&NEAR);
    let problems = host.status().problems;
    assert!(problems[0].contains("user-1000.journal"), "{problems:#?}");
    host.sh(&format!("set -e\n{mend}"));
    assert_well(&host, "with the user's file put right");

    // What came from another host, as systemd-journal-remote leaves it; one of two files can be read.
    host.sh("set -e
         groupadd --system systemd-journal-remote || true
         systemctl stop pop-before-smtp
         rm -rf /var/lib/pop-before-smtp/store
         mkdir /var/log/journal/remote
         journalctl --rotate
         cp $(ls /var/log/journal/*/system@*.journal | tail -n 1) /var/log/journal/remote/a.journal
         journalctl --sync
         cp /var/log/journal/*/system.journal /var/log/journal/remote/b.journal
         chgrp systemd-journal-remote /var/log/journal/remote/a.journal
         chgrp systemd-journal /var/log/journal/remote/b.journal
         chmod 640 /var/log/journal/remote/*.journal
         chmod 755 /var/log/journal/remote");
    host.write_file(
        SETTINGS,
        "[journal]\ndirectory = \"/var/log/journal/remote\"\n",
    );
    host.sh("timeout 30 systemctl start pop-before-smtp");
    assert!(host.listed().is_empty());
    let problems = host.status().problems;
    assert!(problems[0].contains("remote/a.journal"), "{problems:#?}");
    let mend = assert_found(
        &host,
        "",
        "journal-access",
        "a.journal (group systemd-journal-remote, mode 0640)",
    );
    host.sh(&format!("set -e\n{mend}"));
    host.await_clients(&NEAR);
    assert!(host.status().problems.is_empty());
    let points = examine(&host);
    let access = points.iter().find(|point| point.point == "journal-access");
    assert_eq!(access.unwrap().verdict, "ok", "{access:#?}");

    // Nothing can be read: the service is ready all the same, and reads them once it may.
    host.sh("chmod 600 /var/log/journal/remote/*.journal
         timeout 60 systemctl restart pop-before-smtp");
    let problems = host.status().problems;
    assert!(problems[0].contains("nobody is listed"), "{problems:#?}");
    assert_found(&host, "", "journal-access", "b.journal");
    host.sh("chmod 640 /var/log/journal/remote/*.journal");
    wait_until("all can be read", SOON, || {
        host.status().problems.is_empty().then_some(())
    });
    host.await_clients(&NEAR);
}

#[test]
fn files_of_other_groups_are_looked_at_on_bookworm() {
    files_of_other_groups_are_looked_at(Release::Bookworm);
}

#[test]
fn files_of_other_groups_are_looked_at_on_trixie() {
    files_of_other_groups_are_looked_at(Release::Trixie);
}

fn the_surroundings_are_looked_at(release: Release) {
    let host = Host::with_service(release, "");
    let map = format!("{}:{STATE}/clients", host.map_type());
    let ours = format!("check_client_access {map}, reject_unauth_destination");
    for (broken, point, finding) in [
        (
            "postconf -e 'mynetworks = 127.0.0.0/8 0.0.0.0/0'; postfix reload
             systemctl reload pop-before-smtp"
                .to_owned(),
            "mynetworks",
            "0.0.0.0/0",
        ),
        (
            "postconf -X mynetworks; postconf -e 'mynetworks_style = class'; postfix reload
             systemctl reload pop-before-smtp"
                .to_owned(),
            "mynetworks",
            "class",
        ),
        (
            // As the Perl daemon was put in front.
            format!(
                "echo '192.0.2.99 ok' >/etc/postfix/pop-before-smtp
                 postmap hash:/etc/postfix/pop-before-smtp
                 postconf -e 'smtpd_recipient_restrictions = permit_mynetworks, \
                    check_client_access hash:/etc/postfix/pop-before-smtp, {ours}'
                 postfix reload"
            ),
            "perl-daemon",
            "still asks the old map",
        ),
        (
            "mkdir -p /root/old; echo 'sleep 1000' >/root/old/pop-before-smtp
             setsid perl /root/old/pop-before-smtp </dev/null >/dev/null 2>&1 &
             until pgrep --full /root/old/pop-before-smtp >/dev/null; do sleep 0.1; done"
                .to_owned(),
            "perl-daemon",
            "runs as process",
        ),
    ] {
        assert_found_and_mended(&host, &broken, point, finding);
    }
    if release.logs_client_ids() {
        let id_log =
            "printf 'imap_id_log = *\nlogin_log_format = %%s %%$\n' >/etc/dovecot/local.conf";
        assert_found(&host, id_log, "dovecot-login-lines", "imap_id_log = *");
        let utf8 = "echo 'mail_location = maildir:~/Maildir:UTF-8' >/etc/dovecot/local.conf";
        assert_found(&host, utf8, "dovecot-login-lines", "has UTF-8");
    }
    let any_name = "echo 'auth_username_chars =' >/etc/dovecot/local.conf";
    assert_found(
        &host,
        any_name,
        "dovecot-login-lines",
        "auth_username_chars",
    );
    host.sh("rm /etc/dovecot/local.conf");
    host.sh("postconf -e smtpd_authorized_xclient_hosts=192.0.2.3; postfix reload");
    let points = examine(&host);
    let told = |name: &str, part: &str| {
        assert!(
            (points.iter())
                .any(|p| p.point == name && p.verdict == "notice" && p.finding.contains(part)),
            "no {name} with {part:?}: {points:#?}"
        );
    };
    told("proxies", "192.0.2.3");
    told("perl-daemon", "nothing uses it");
}

#[test]
fn the_surroundings_are_looked_at_on_bookworm() {
    the_surroundings_are_looked_at(Release::Bookworm);
}

#[test]
fn the_surroundings_are_looked_at_on_trixie() {
    the_surroundings_are_looked_at(Release::Trixie);
}
