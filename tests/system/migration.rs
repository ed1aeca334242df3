//! From the Perl daemon, put there by hand as its instructions said, to the service: what `migrate`
//! says is done, and no client is listed for ever in a map that nobody tends.

use crate::host::{Host, NEAR};
use crate::image::Release;
use crate::mail::{Answer, fetch_mail, send_mail};
use crate::service::STATE;

/// The commands of a report's section, by its number.
fn commands(report: &str, section: &str) -> Vec<String> {
    let (_, rest) = report.split_once(&format!("\n{section}. ")).unwrap();
    let lines = rest.lines().take_while(|line| !line.is_empty());
    let indented = lines.filter_map(|line| line.strip_prefix("     "));
    indented.map(str::to_owned).collect()
}

#[test]
fn what_migrate_says_replaces_the_old_daemon() {
    let host = Host::boot(Release::any());
    host.write_file(
        "/etc/pop-before-smtp-conf.pl",
        include_str!("../migrate/pop-before-smtp-conf.pl"),
    );
    // A daemon that does nothing but be there, and the map that it has left.
    host.write_file("/usr/sbin/pop-before-smtp", "sleep 1 while 1;\n");
    host.write_file(
        "/etc/init.d/pop-before-smtp",
        "#!/bin/sh
### BEGIN INIT INFO
# Provides: pop-before-smtp
# Required-Start: $remote_fs
# Required-Stop: $remote_fs
# Default-Start: 2 3 4 5
# Default-Stop: 0 1 6
# Short-Description: the Perl daemon
### END INIT INFO
case $1 in
start) setsid perl /usr/sbin/pop-before-smtp & echo $! >/run/old-daemon.pid ;;
stop) kill $(cat /run/old-daemon.pid) ;;
esac
",
    );
    host.write_file("/etc/postfix/pop-before-smtp", "192.0.2.11 relay\n");
    host.sh(
        "chmod 755 /etc/init.d/pop-before-smtp /usr/sbin/pop-before-smtp
         /etc/init.d/pop-before-smtp start </dev/null >/dev/null 2>&1
         postmap hash:/etc/postfix/pop-before-smtp && rm /etc/postfix/pop-before-smtp",
    );
    host.run(&[
        "postconf",
        "-e",
        "smtpd_recipient_restrictions = permit_mynetworks, \
         check_client_access hash:/etc/postfix/pop-before-smtp, reject_unauth_destination",
        "smtpd_relay_restrictions = permit_mynetworks, \
         check_client_access hash:/etc/postfix/pop-before-smtp, reject_unauth_destination",
    ]);
    host.run(&["postfix", "reload"]);
    assert_eq!(send_mail(&host, "192.0.2.11"), Answer::Accepted);

    // Nothing runs the old program, which comes first in PATH.
    let said = host.install_package();
    assert!(said.contains("smtpd_relay_restrictions = "), "{said}");
    let report = host.run(&["/usr/bin/pop-before-smtp", "migrate"]);
    println!("{report}");
    assert!(report.contains("hash:/etc/postfix/pop-before-smtp, 1 client"));
    assert!(report.contains("It runs now, as process "));
    assert!(report.contains("if not at once: 192.0.2.11\n"));
    assert!(
        host.sh("pgrep --full '[p]erl /usr/sbin/pop-before-smtp'")
            .parse::<u32>()
            .is_ok()
    );

    for command in commands(&report, "1") {
        host.sh(&command);
    }
    assert_eq!(
        host.sh("pgrep --full '[p]erl /usr/sbin/pop-before-smtp' || true"),
        ""
    );
    let keys = commands(&report, "2").join("\n");
    host.write_file("/etc/pop-before-smtp/config.d/50-migrated.toml", &keys);
    host.systemctl("reload");

    let lines = commands(&report, "4");
    let (old, new): (Vec<_>, Vec<_>) = lines
        .iter()
        .filter(|line| line.contains(" = "))
        .partition(|line| line.contains("/etc/postfix/pop-before-smtp"));
    assert_eq!((old.len(), new.len()), (2, 1), "{lines:#?}");
    for line in old {
        let rest = line.replace(
            "check_client_access hash:/etc/postfix/pop-before-smtp, ",
            "",
        );
        host.run(&["postconf", "-e", &rest]);
    }
    host.run(&["postconf", "-e", new[0]]);
    // The old list of restrictions, where the old daemon wanted its map, would refuse all the same.
    host.run(&["postconf", "-X", "smtpd_recipient_restrictions"]);
    host.run(&["postfix", "reload"]);
    for command in lines.iter().filter(|line| line.starts_with("rm ")) {
        host.sh(command);
    }
    assert_eq!(send_mail(&host, "192.0.2.11"), Answer::Refused);
    fetch_mail(&host, NEAR[0]);
    host.await_clients(&[NEAR[0]]);
    assert_eq!(send_mail(&host, NEAR[0]), Answer::Accepted);
    let kind = host.map_type();
    let value = host.run(&["postmap", "-q", NEAR[0], &format!("{kind}:{STATE}/clients")]);
    assert_eq!(value, "relay");
    let shown = host.run(&["pop-before-smtp", "show-config"]);
    assert!(shown.contains("grace = \"45min\""), "{shown}");

    // Asked again, it finds what is left to do.
    let report = host.run(&["pop-before-smtp", "migrate"]);
    assert!(
        report.contains("It is not on this host any more"),
        "{report}"
    );
    assert!(report.contains("It names the new map"), "{report}");
}
