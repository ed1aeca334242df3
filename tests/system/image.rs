//! The file systems of the hosts, made once and kept in the laboratory's directory: one base a
//! release, Debian with Postfix, Dovecot and the clients' tools; and a layer over it for each set of
//! other POP3 and IMAP servers, as most of them cannot be installed together. Must never be written to
//! by a running host.

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
    /// What the next Debian will be made of, as it is today: for packaging/check-deb alone.
    Sid,
}

/// Which POP3 and IMAP servers are on a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Servers {
    /// Nothing but what is in the base.
    Dovecot,
    Courier,
    Cyrus,
    /// Standalone, as Debian has it; a second one behind a socket of systemd's.
    Popa3d,
    /// Behind inetd and tcpd, as Debian has it.
    SolidPop3d,
    /// perdition and nginx in front of a Dovecot that only they reach; and GNU mailutils, started for
    /// each connection.
    Proxies,
    /// Dovecot; and the tools that check packages, and install those of other distributions.
    PackageTools,
    /// Dovecot; and what administrators watch and keep up a host with.
    AdminTools,
    /// Dovecot; and Prometheus, which is large.
    Prometheus,
    /// Dovecot; and what carries a journal from one host to another.
    Ssh,
    /// Dovecot; and an engine for containers, and something to run in one.
    Podman,
    /// Dovecot; and no Postfix, but its packages in `/opt/postfix`, to be installed without a network.
    NoPostfix,
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

/// Makes a layer: with BASE, LAYER and SCRATCH (directories) and FURNISH (a script) set, and the
/// packages as arguments.
const LAYER: &str = include_str!("layer.sh");

impl Release {
    /// The release of a host where any will do: the oldest that the package can be installed on.
    pub fn any() -> Self {
        match std::env::var("POP_BEFORE_SMTP_RELEASE").as_deref() {
            Ok("trixie") => Release::Trixie,
            Ok("sid") => Release::Sid,
            _ => Release::Bookworm,
        }
    }

    /// Debian's own name of the release.
    pub fn name(self) -> &'static str {
        match self {
            Release::Bookworm => "bookworm",
            Release::Trixie => "trixie",
            Release::Sid => "sid",
        }
    }

    /// The configuration for this release's Dovecot: the syntax changed between 2.3 and 2.4.
    pub fn dovecot_conf(self) -> &'static str {
        match self {
            Release::Bookworm => include_str!("files/dovecot-2.3.conf"),
            Release::Trixie | Release::Sid => include_str!("files/dovecot-2.4.conf"),
        }
    }

    /// Whether its Dovecot can log what clients say of themselves: 2.4 has no `imap_id_log`.
    pub fn logs_client_ids(self) -> bool {
        self == Release::Bookworm
    }
}

impl Servers {
    fn name(self) -> &'static str {
        match self {
            Servers::Dovecot => "dovecot",
            Servers::Courier => "courier",
            Servers::Cyrus => "cyrus",
            Servers::Popa3d => "popa3d",
            Servers::SolidPop3d => "solid-pop3d",
            Servers::Proxies => "proxies",
            Servers::PackageTools => "package-tools",
            Servers::AdminTools => "admin-tools",
            Servers::Prometheus => "prometheus",
            Servers::Ssh => "ssh",
            Servers::Podman => "podman",
            Servers::NoPostfix => "no-postfix",
        }
    }

    /// What is installed over the base; a package with a "-" behind its name is removed.
    fn packages(self) -> &'static [&'static str] {
        match self {
            Servers::Dovecot => &[],
            Servers::Courier => &["courier-imap", "courier-pop", "dovecot-core-"],
            Servers::Cyrus => &["cyrus-imapd", "cyrus-pop3d", "sasl2-bin", "dovecot-core-"],
            Servers::Popa3d => &["popa3d", "dovecot-core-"],
            Servers::SolidPop3d => &["solid-pop3d", "openbsd-inetd", "tcpd", "dovecot-core-"],
            Servers::Proxies => &[
                "perdition",
                "nginx",
                "libnginx-mod-mail",
                "mailutils-pop3d",
                "mailutils-imap4d",
                "openbsd-inetd",
                "tcpd",
            ],
            Servers::PackageTools => &[
                "lintian",
                "autopkgtest",
                "devscripts",
                "dpkg-dev",
                "rpm",
                "rpmlint",
            ],
            Servers::AdminTools => &[
                "prometheus-node-exporter",
                "logcheck",
                "logcheck-database",
                "needrestart",
                "reportbug",
                "unattended-upgrades",
            ],
            Servers::Prometheus => &["prometheus"],
            Servers::Ssh => &["openssh-server", "openssh-client", "systemd-journal-remote"],
            Servers::Podman => &["podman", "crun", "busybox-static"],
            Servers::NoPostfix => &["postfix-", "postfix-lmdb-", "postfix-cdb-"],
        }
    }

    /// Run inside the file system when the packages are there: the servers' configuration, where
    /// Debian's will not do.
    fn furnish(self) -> &'static str {
        match self {
            Servers::Dovecot
            | Servers::Podman
            | Servers::PackageTools
            | Servers::Courier
            | Servers::SolidPop3d => "",
            // No report goes out by itself.
            Servers::AdminTools => "rm -f /etc/cron.d/logcheck",
            // Only its tools are wanted.
            Servers::Prometheus => "systemctl disable prometheus",
            // Debian's waits for the port of uploads.
            Servers::Ssh => "systemctl disable systemd-journal-remote.socket || true",
            Servers::NoPostfix => include_str!("files/no-postfix.sh"),
            Servers::Cyrus => include_str!("files/cyrus.sh"),
            Servers::Popa3d => include_str!("files/popa3d.sh"),
            Servers::Proxies => include_str!("files/proxies.sh"),
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

/// The directories of a host's file system, the uppermost first, made now if they are not there yet.
pub fn layers(release: Release, servers: Servers) -> Vec<PathBuf> {
    let name = release.name();
    let base = image(name, recipe((PACKAGES, FURNISH)), |to| build(name, to));
    if servers == Servers::Dovecot {
        return vec![base];
    }
    let recipe = recipe((&base, LAYER, servers.packages(), servers.furnish()));
    let layer = image(&format!("{name}-{}", servers.name()), recipe, |to| {
        build_layer(servers, &base, to);
    });
    vec![layer, base]
}

/// A finished image. Only one process makes it, the others wait.
fn image(name: &str, recipe: u64, build: impl FnOnce(&Path)) -> PathBuf {
    let image = laboratory().join(format!("{name}-{recipe:016x}"));
    let lock = File::create(laboratory().join(format!("{name}.lock"))).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
    if !image.exists() {
        let unfinished = image.with_extension("unfinished");
        if unfinished.exists() {
            fs::remove_dir_all(&unfinished).unwrap();
        }
        eprintln!("making the file system {name}");
        build(&unfinished);
        fs::rename(&unfinished, &image).unwrap();
    }
    image
}

/// A number that changes with the contents of an image, so that an older one is not taken.
fn recipe(contents: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    contents.hash(&mut hasher);
    hasher.finish()
}

/// How this machine's apt reaches the network, and what it is told about the age of what it finds there.
const OUTSIDE: &str = "apt-config dump | grep -E '^Acquire::(https?::Proxy|Check-)' || true";

fn build(name: &str, image: &Path) {
    let outside = Command::new("sh").args(["-c", OUTSIDE]).output().unwrap();
    let outside = String::from_utf8(outside.stdout).unwrap();
    let made = Command::new("mmdebstrap")
        .args(["--quiet", "--variant=minbase"])
        .args(outside.lines().map(|line| format!("--aptopt={line}")))
        .arg(format!("--include={}", PACKAGES.join(",")))
        .arg(format!(
            "--customize-hook=chroot \"$1\" sh -euc '{FURNISH}'"
        ))
        .arg(name)
        .arg(image)
        .output()
        .expect("mmdebstrap should be installed");
    assert!(
        made.status.success(),
        "mmdebstrap {name}: {}\n{}",
        made.status,
        String::from_utf8_lossy(&made.stderr)
    );
}

/// Installs the servers over the base, so that the layer holds only what came with them.
fn build_layer(servers: Servers, base: &Path, layer: &Path) {
    let scratch = layer.with_extension("scratch");
    if scratch.exists() {
        fs::remove_dir_all(&scratch).unwrap();
    }
    for part in ["work", "root"] {
        fs::create_dir_all(scratch.join(part)).unwrap();
    }
    fs::create_dir_all(layer).unwrap();
    // In a mount namespace of its own: nothing stays mounted, however this ends.
    let made = Command::new("unshare")
        .args(["--mount", "--propagation=private", "bash", "-c", LAYER])
        .arg("layer")
        .args(servers.packages())
        .env("BASE", base)
        .env("LAYER", layer)
        .env("SCRATCH", &scratch)
        .env("FURNISH", servers.furnish())
        .output()
        .unwrap();
    assert!(
        made.status.success(),
        "{}: {}\n{}{}",
        layer.display(),
        made.status,
        String::from_utf8_lossy(&made.stdout),
        String::from_utf8_lossy(&made.stderr)
    );
    fs::remove_dir_all(&scratch).unwrap();
}
