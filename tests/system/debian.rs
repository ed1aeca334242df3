//! The Debian package and its source before the tools that Debian judges them by.

use std::fs;
use std::path::{Path, PathBuf};

use crate::host::Host;
use crate::image::{Release, Servers};
use crate::service::package;

/// Where the files of the source package are on a host.
const SOURCE: &str = "/opt/source";

/// Copies the source package, of `POP_BEFORE_SMTP_DSC`, into the host, and gives the .dsc's path there.
fn copy_source_in(host: &Host) -> String {
    let dsc = std::env::var_os("POP_BEFORE_SMTP_DSC").map_or_else(
        || panic!("POP_BEFORE_SMTP_DSC is not set: it names the source package, see tests/run"),
        PathBuf::from,
    );
    host.run(&["mkdir", "-p", SOURCE]);
    let files = fs::read_dir(dsc.parent().unwrap()).unwrap();
    for file in files.map(|file| file.unwrap().path()) {
        host.copy_in(&file, &in_source(&file));
    }
    in_source(&dsc)
}

fn in_source(file: &Path) -> String {
    format!("{SOURCE}/{}", file.file_name().unwrap().display())
}

/// lintian of the release has nothing to say, not even in passing, but what is overridden and explained.
fn lintian_is_content(release: Release) {
    let host = Host::boot_with(release, Servers::PackageTools);
    host.copy_in(&package(), "/opt/pop-before-smtp.deb");
    let dsc = copy_source_in(&host);
    host.write_file("/opt/lint", include_str!("../../packaging/lint"));
    let said = host.sh(&format!(
        "useradd --create-home check &&
         runuser -u check -- sh /opt/lint {dsc} /opt/pop-before-smtp.deb 2>&1"
    ));
    println!("{said}");
}

#[test]
fn lintian_is_content_on_bookworm() {
    lintian_is_content(Release::Bookworm);
}

#[test]
fn lintian_is_content_on_trixie() {
    lintian_is_content(Release::Trixie);
}

/// The tests that the source package has for the installed one: autopkgtest runs them on the host itself.
#[test]
fn the_source_packages_own_tests_pass() {
    let host = Host::boot_with(Release::any(), Servers::PackageTools);
    host.copy_in(&package(), "/opt/pop-before-smtp.deb");
    let dsc = copy_source_in(&host);
    let done = host.try_run(&[
        "autopkgtest",
        // It is thrown away afterwards.
        "--ignore-restrictions=breaks-testbed,isolation-container",
        "--no-built-binaries",
        "/opt/pop-before-smtp.deb",
        &dsc,
        "--",
        "null",
    ]);
    println!("{}", done.transcript());
    assert!(done.succeeded());
    for test in ["relay-after-login", "check-config"] {
        let passed = done
            .stdout
            .lines()
            .any(|line| line.starts_with(test) && line.split_whitespace().nth(1) == Some("PASS"));
        assert!(passed, "{test}: {}", done.stdout);
    }
}

/// uscan finds the newest release where the watch file's address is that of a page with releases.
#[test]
fn uscan_finds_a_new_release() {
    let host = Host::boot_with(Release::any(), Servers::PackageTools);
    let dsc = copy_source_in(&host);
    let version = env!("CARGO_PKG_VERSION");
    let said = host.sh(&format!(
        r#"mkdir /opt/releases && cd /opt/releases
           for version in 1.9.9 {version} {version}.1; do
               echo "<a href=\"pop-before-smtp-$version.tar.xz\">$version</a>" >>index.html
               tar --create --xz --file pop-before-smtp-$version.tar.xz /etc/hostname
           done
           systemd-run --unit releases --property WorkingDirectory=/opt/releases \
               python3 -m http.server --bind 127.0.0.1 8000
           until curl --silent --fail http://127.0.0.1:8000/ >/dev/null; do sleep 0.1; done
           cd {SOURCE} && dpkg-source --extract {dsc} unpacked >/dev/null && cd unpacked
           sed -i s,https://pop-before-smtp.invalid/releases/,http://127.0.0.1:8000/, debian/watch
           uscan --verbose --no-symlink 2>&1"#
    ));
    println!("{said}");
    let newest = format!("pop-before-smtp-{version}.1.tar.xz");
    assert!(said.contains(&format!(
        "Newest version of pop-before-smtp on remote site is {version}.1"
    )));
    host.run(&["test", "-s", &format!("{SOURCE}/{newest}")]);
}
