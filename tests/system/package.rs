//! The package: installed, upgraded in place, purged.

use crate::host::{Host, NEAR};
use crate::image::Release;
use crate::mail::{Answer, fetch_mail, send_mail};
use crate::service::{STATE, opened};

/// Everything on the host that is not dpkg's own, a log, or of the moment.
pub fn files(host: &Host) -> String {
    host.sh("cd / && find . -xdev \
         \\( -path ./var/lib/dpkg -o -path ./var/lib/apt -o -path ./var/cache -o -path ./var/log \
            -o -path ./tmp -o -path ./var/tmp -o -path ./opt -o -path ./var/spool/postfix \
            -o -path ./var/lib/postfix -o -path ./root -o -path ./var/lib/systemd/catalog \
            -o -path ./home \\) -prune \
         -o -print | sort")
}

pub fn users(host: &Host) -> String {
    host.sh("getent passwd; getent group")
}

/// Installed, used, and purged, it leaves nothing.
fn leaves_nothing(release: Release) {
    let host = Host::boot(release);
    let (before, users_before) = (files(&host), users(&host));
    let said = host.install_package();
    host.obey(&said);
    let enabled = host.run(&["systemctl", "is-enabled", "pop-before-smtp.service"]);
    assert_eq!(enabled, "enabled");
    assert!(host.is_active(), "it runs as soon as it is installed");
    // The map is there before the first login, and Postfix can read it.
    assert!(host.map_clients().is_empty());
    assert_eq!(send_mail(&host, NEAR[0]), Answer::Refused);
    fetch_mail(&host, NEAR[0]);
    host.await_clients(&[NEAR[0]]);
    assert_eq!(send_mail(&host, NEAR[0]), Answer::Accepted);
    let version = host.run(&["pop-before-smtp", "--version"]);
    assert!(version.contains(env!("CARGO_PKG_VERSION")), "{version}");
    assert!(
        host.run(&["pop-before-smtp", "--help"])
            .contains("check-config")
    );

    host.run(&[
        "postconf",
        "-e",
        "smtpd_relay_restrictions = permit_mynetworks, reject_unauth_destination",
    ]);
    host.run(&["postfix", "reload"]);
    host.sh("DEBIAN_FRONTEND=noninteractive apt-get purge --yes pop-before-smtp 2>&1");
    let after = files(&host);
    let new: Vec<&str> = after
        .lines()
        .filter(|file| before.lines().all(|known| known != *file))
        .collect();
    assert!(new.is_empty(), "left behind: {new:#?}");
    assert_eq!(users(&host), users_before);
    let left = host.sh("systemctl list-units --all --no-legend 'pop-before-smtp*'
         systemctl list-unit-files --no-legend 'pop-before-smtp*'
         ls -d /run/pop-before-smtp* 2>/dev/null
         pgrep -a pop-before || true");
    assert_eq!(left, "");
    assert_eq!(host.run(&["systemctl", "is-system-running"]), "running");
}

#[test]
fn leaves_nothing_on_bookworm() {
    leaves_nothing(Release::Bookworm);
}

#[test]
fn leaves_nothing_on_trixie() {
    leaves_nothing(Release::Trixie);
}

/// Upgraded in place, it keeps its clients, its settings, and what the administrator has decided.
#[test]
fn upgraded_in_place() {
    let host = Host::with_service(Release::any(), "grace = \"10min\"\n");
    // The same package under an older number, installed over it.
    host.sh(
        "cd /opt && dpkg-deb --raw-extract pop-before-smtp.deb older &&
         sed -i 's/^Version: .*/Version: 2.0.0~before/' older/DEBIAN/control &&
         echo '# older' >>older/etc/pop-before-smtp/config.toml &&
         dpkg-deb --root-owner-group --build older older.deb",
    );
    host.install("/opt/older.deb");
    let version = "dpkg-query --show --showformat='${Version}' pop-before-smtp";
    assert_eq!(host.sh(version), "2.0.0~before");
    host.sh("grep -q '# older' /etc/pop-before-smtp/config.toml");
    host.sh("echo '# mine' >>/etc/pop-before-smtp/config.toml");
    let sockets = opened(&host);
    fetch_mail(&host, NEAR[0]);
    host.await_clients(&[NEAR[0]]);
    let before = host.list();

    let said = host.install("/opt/pop-before-smtp.deb");
    assert!(
        !said.contains("smtpd_relay_restrictions"),
        "main.cf has it: {said}"
    );
    assert!(host.is_active());
    assert_eq!(host.list(), before);
    assert!(host.map_permits(NEAR[0]));
    assert_eq!(send_mail(&host, NEAR[0]), Answer::Accepted);
    assert!(
        host.sh("cat /etc/pop-before-smtp/config.toml")
            .ends_with("# mine")
    );

    host.sh("test -e /etc/pop-before-smtp/config.toml.dpkg-dist");
    assert_eq!(opened(&host), sockets, "the sockets stay open");

    // A version that keeps its state in another form finds it in the journal.
    host.systemctl("stop");
    host.run(&[
        "systemctl",
        "stop",
        "pop-before-smtp-expire.timer",
        "pop-before-smtp-expire.service",
    ]);
    let store = host
        .directory()
        .join("root")
        .join(&STATE[1..])
        .join("store");
    let db = sled::open(&store).unwrap();
    db.open_tree("meta")
        .unwrap()
        .insert("format", "before")
        .unwrap();
    drop(db);
    host.sh(&format!("chown -R pop-before-smtp: {STATE}/store"));
    host.install("/opt/pop-before-smtp.deb");
    host.await_clients(&[NEAR[0]]);
    assert_eq!(host.list(), before);
    host.sh(&format!("ls -d {STATE}/store.*"));

    // A service that was switched off stays off, and one removed ends with its package.
    host.run(&["systemctl", "disable", "--now", "pop-before-smtp.service"]);
    host.install("/opt/pop-before-smtp.deb");
    let enabled = host.try_run(&["systemctl", "is-enabled", "pop-before-smtp.service"]);
    assert_eq!(enabled.stdout.trim(), "disabled");
    host.sh("apt-get remove --yes pop-before-smtp 2>&1");
    assert!(host.sh("pgrep pop-before || true").is_empty());
    // Postfix still has a map to read, with nobody in it for whom no grace would ever end.
    assert_eq!(send_mail(&host, NEAR[0]), Answer::Refused);
    host.sh("grep -q '# mine' /etc/pop-before-smtp/config.toml");

    // Installed again, it is as it was: switched off. The journal tells the rest.
    host.install("/opt/pop-before-smtp.deb");
    let enabled = host.try_run(&["systemctl", "is-enabled", "pop-before-smtp.service"]);
    assert_eq!(enabled.stdout.trim(), "disabled");
    host.run(&["systemctl", "enable", "--now", "pop-before-smtp.service"]);
    host.await_clients(&[NEAR[0]]);
    assert_eq!(send_mail(&host, NEAR[0]), Answer::Accepted);
}

/// The package of the Perl daemon that it replaces, as far as it matters: an init script and
/// settings.
#[test]
fn upgraded_from_the_perl_daemon() {
    let host = Host::boot(Release::any());
    host.sh(r#"
        mkdir -p /opt/perl/DEBIAN /opt/perl/etc/init.d /opt/perl/etc/pop-before-smtp /opt/perl/usr/sbin
        cd /opt/perl
        cat >DEBIAN/control <<END
Package: pop-before-smtp
Version: 1.42-1
Architecture: all
Maintainer: nobody <nobody@example.org>
Description: the Perl daemon
END
        printf '%s\n' /etc/init.d/pop-before-smtp /etc/pop-before-smtp/pop-before-smtp.conf \
            >DEBIAN/conffiles
        cat >etc/init.d/pop-before-smtp <<END
#!/bin/sh
### BEGIN INIT INFO
# Provides: pop-before-smtp
# Required-Start: \$remote_fs
# Required-Stop: \$remote_fs
# Default-Start: 2 3 4 5
# Default-Stop: 0 1 6
# Short-Description: the Perl daemon
### END INIT INFO
exit 0
END
        chmod 755 etc/init.d/pop-before-smtp
        echo '$grace = 30*60;' >etc/pop-before-smtp/pop-before-smtp.conf
        echo '#!/bin/sh' >usr/sbin/pop-before-smtp
        chmod 755 usr/sbin/pop-before-smtp
        cd /opt && dpkg-deb --root-owner-group --build perl perl.deb && dpkg --install perl.deb
        systemctl daemon-reload && systemctl start pop-before-smtp.service
    "#);
    let said = host.install_package();
    host.obey(&said);
    assert!(host.is_active());
    let version = host.sh("dpkg-query --show --showformat='${Version}' pop-before-smtp");
    assert!(version.starts_with(env!("CARGO_PKG_VERSION")), "{version}");
    let command = host.service_property("ExecStart");
    assert!(command.contains("/usr/bin/pop-before-smtp"), "{command}");
    // The end of the init script of this name is not the end of the service.
    for unit in [".service", ".socket", "-policy.socket", "-expire.timer"] {
        let unit = format!("pop-before-smtp{unit}");
        assert_eq!(host.run(&["systemctl", "is-enabled", &unit]), "enabled");
    }
    fetch_mail(&host, NEAR[0]);
    host.await_clients(&[NEAR[0]]);
    assert_eq!(send_mail(&host, NEAR[0]), Answer::Accepted);
}
