//! The base file systems of the hosts: Debian with Postfix, Dovecot and the clients' tools, made once
//! a release and kept in the laboratory's directory. Must never be written to by a running host.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A Debian release, and with it a pair of Postfix and Dovecot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Release {
    /// Debian 12: Postfix 3.7, Dovecot 2.3, systemd 252.
    Bookworm,
    /// Debian 13: Postfix 3.10, Dovecot 2.4, systemd 257.
    Trixie,
}

const PACKAGES: &[&str] = &[
    "systemd",
    "systemd-sysv",
    "dbus",
    "libpam-systemd",
    "iproute2",
    "procps",
    "strace",
    "openssl",
    "curl",
    "socat",
    "swaks",
    "libio-socket-inet6-perl",
    "postfix",
    "postfix-lmdb",
    "postfix-cdb",
    "dovecot-imapd",
    "dovecot-pop3d",
];

/// Run inside the new file system, after the packages are there.
const FURNISH: &str = r#"
useradd --create-home --shell /bin/bash --uid 1000 tom
useradd --create-home --shell /bin/bash --uid 1001 ann
openssl req -x509 -newkey rsa:2048 -nodes -days 3650 -subj /CN=mail.example.org \
    -keyout /etc/ssl/private/mail.key -out /etc/ssl/mail.pem 2>/dev/null
for user in tom ann; do
    install -d -o $user -g $user /home/$user/Maildir /home/$user/Maildir/new \
        /home/$user/Maildir/cur /home/$user/Maildir/tmp
done
"#;

impl Release {
    /// Debian's own name of the release.
    pub fn name(self) -> &'static str {
        match self {
            Release::Bookworm => "bookworm",
            Release::Trixie => "trixie",
        }
    }

    /// The configuration for this release's Dovecot: the syntax changed between 2.3 and 2.4.
    pub fn dovecot_conf(self) -> &'static str {
        match self {
            Release::Bookworm => include_str!("files/dovecot-2.3.conf"),
            Release::Trixie => include_str!("files/dovecot-2.4.conf"),
        }
    }
}

/// The laboratory's directory: base file systems, and the hosts that run now.
/// `POP_BEFORE_SMTP_LAB` puts it elsewhere.
pub fn laboratory() -> PathBuf {
    let directory = std::env::var_os("POP_BEFORE_SMTP_LAB")
        .map_or_else(|| "/var/cache/pop-before-smtp-lab".into(), PathBuf::from);
    fs::create_dir_all(&directory)
        .unwrap_or_else(|error| panic!("cannot create {}: {error}", directory.display()));
    directory
}

/// Where the base file system of a release is, made now if it is not there yet. Only one process
/// makes it, the others wait.
pub fn base(release: Release) -> PathBuf {
    let name = release.name();
    let image = laboratory().join(format!("{name}-{:016x}", recipe()));
    let lock = File::create(laboratory().join(format!("{name}.lock"))).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
    if !image.exists() {
        build(name, &image);
    }
    image
}

/// A number that changes with the contents of the images, so that an older one is not taken.
fn recipe() -> u64 {
    let mut hasher = DefaultHasher::new();
    (PACKAGES, FURNISH).hash(&mut hasher);
    hasher.finish()
}

fn build(name: &str, image: &Path) {
    eprintln!("making the base file system for {name} (about a minute)");
    let unfinished = image.with_extension("unfinished");
    if unfinished.exists() {
        fs::remove_dir_all(&unfinished).unwrap();
    }
    let made = Command::new("mmdebstrap")
        .args(["--quiet", "--variant=minbase"])
        .arg(format!("--include={}", PACKAGES.join(",")))
        .arg(format!(
            "--customize-hook=chroot \"$1\" sh -euc '{FURNISH}'"
        ))
        .arg(name)
        .arg(&unfinished)
        .output()
        .expect("mmdebstrap should be installed");
    assert!(
        made.status.success(),
        "mmdebstrap {name}: {}\n{}",
        made.status,
        String::from_utf8_lossy(&made.stderr)
    );
    fs::rename(&unfinished, image).unwrap();
}
