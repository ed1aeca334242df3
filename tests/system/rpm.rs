//! The package for rpm, on a host that has rpm's tools beside its own: inspected, installed, upgraded,
//! removed. The host is Debian, so that its dependencies by name, and SELinux, are not tried.

use std::path::PathBuf;

use crate::host::{Host, NEAR};
use crate::image::{Release, Servers};
use crate::mail::{Answer, fetch_mail, send_mail};
use crate::service::{STATE, opened, package};

/// rpm's database is empty here, and bookworm's rpm would rather not touch a Debian. A plugin that trixie
/// has and Fedora offers takes the network away from scriptlets: Postfix's own commands don't work then,
/// and the package says that the service is to be started first.
const RPM: &str = "rpm $(rpm --force-debian --version >/dev/null 2>&1 && echo --force-debian) \
                   --noplugins --nodeps --verbose";

/// Copies a package of rpm's that tests/run has built into the host, under its own name.
fn copy_in(host: &Host, variable: &str) -> String {
    let package = std::env::var_os(variable)
        .unwrap_or_else(|| panic!("{variable} is not set: it names a package, see tests/run"));
    let package = PathBuf::from(package);
    let path = format!("/opt/{}", package.file_name().unwrap().display());
    host.copy_in(&package, &path);
    path
}

#[test]
fn works_with_rpm() {
    let host = Host::boot_with(Release::any(), Servers::PackageTools);
    let this = copy_in(&host, "POP_BEFORE_SMTP_RPM");
    let next = copy_in(&host, "POP_BEFORE_SMTP_NEXT_RPM");
    host.copy_in(&package(), "/opt/this.deb");
    host.write_file(
        "/opt/rpmlint.toml",
        include_str!("../../packaging/rpm/rpmlint.toml"),
    );
    let lint = host.sh(&format!("rpmlint --config /opt/rpmlint.toml {this}"));
    assert!(lint.contains("0 errors, 0 warnings"), "{lint}");

    // Both packages have the same files, but for what only one of them knows.
    let files = |list: &str| {
        host.sh(&format!(
            "{list} | sed 's,zsh/vendor-completions,zsh/site-functions,' | grep -v -e /share/doc/ \
             -e /share/licenses/ -e /share/lintian/ -e /share/bug/ -e '/$' -e '/etc/.*[^l]$' | sort"
        ))
    };
    assert_eq!(
        files(&format!("rpm --query --list --package {this}")),
        files("dpkg-deb --fsys-tarfile /opt/this.deb | tar --list | sed 's,^[.],,'")
    );

    let said = host.sh(&format!("{RPM} --install {this} 2>&1"));
    host.obey(&said);
    for unit in [".service", ".socket", "-policy.socket", "-expire.timer"] {
        let unit = format!("pop-before-smtp{unit}");
        assert_eq!(host.run(&["systemctl", "is-enabled", &unit]), "enabled");
    }
    // Not started yet, but the map is there: Postfix reads it, and goes on to refuse.
    assert!(!host.is_active());
    assert_eq!(send_mail(&host, NEAR[0]), Answer::Refused);
    host.run(&["systemctl", "start", "pop-before-smtp"]);
    fetch_mail(&host, NEAR[0]);
    host.await_clients(&[NEAR[0]]);
    assert_eq!(send_mail(&host, NEAR[0]), Answer::Accepted);

    let (before, since) = (host.list(), opened(&host));
    let process = host.service_property("MainPID");
    host.sh("echo '# mine' >>/etc/pop-before-smtp/config.toml");
    host.sh(&format!("{RPM} --upgrade {next} 2>&1"));
    assert_eq!(
        host.sh("rpm --query --queryformat='%{release}' pop-before-smtp"),
        "2"
    );
    assert!(host.is_active());
    assert_ne!(host.service_property("MainPID"), process);
    assert_eq!(opened(&host), since, "the sockets stay open");
    assert_eq!(host.list(), before);
    assert_eq!(send_mail(&host, NEAR[0]), Answer::Accepted);
    host.sh("grep -q '# mine' /etc/pop-before-smtp/config.toml");

    // A package of Postfix that comes after this one: all that it has here is its name.
    host.write_file(
        "/opt/postfix.spec",
        "Name: postfix\nVersion: 1\nRelease: 1\nSummary: -\nLicense: -\nBuildArch: noarch\n\
         %description\n-\n%files\n",
    );
    host.sh(&format!(
        "set -e; rpmbuild -bb --define '_topdir /opt/rpm' /opt/postfix.spec 2>&1
         systemctl stop pop-before-smtp-policy.socket
         {RPM} --install /opt/rpm/RPMS/noarch/postfix-*.rpm 2>&1
         systemctl is-active pop-before-smtp-policy.socket"
    ));

    host.sh(&format!("{RPM} --erase pop-before-smtp 2>&1"));
    assert_eq!(host.sh("pgrep pop-before || true"), "");
    assert_eq!(
        host.sh(
            "systemctl list-units --all --no-legend 'pop-before-smtp*' | grep -v not-found || true"
        ),
        ""
    );
    // Postfix still has a map to read, with nobody in it for whom no grace would ever end.
    assert_eq!(send_mail(&host, NEAR[0]), Answer::Refused);
    host.sh(&format!("ls {STATE}/clients.*"));
    host.sh("grep -q '# mine' /etc/pop-before-smtp/config.toml.rpmsave");
    assert_eq!(host.run(&["systemctl", "is-system-running"]), "running");
}
