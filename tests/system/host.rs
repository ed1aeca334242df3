//! A booted Debian host with Postfix and Dovecot, thrown away after the test. Must leave nothing
//! behind, whatever happens to the test.
//!
//! The host is a container with a systemd of its own. Clients live in a network namespace of theirs
//! inside it, joined to the host by one cable (a veth pair), so that Postfix and Dovecot see them
//! come from elsewhere:
//!
//! ```text
//! server  192.0.2.1  2001:db8::1  ──── 192.0.2.0/24, 198.51.100.0/24, 2001:db8::/64  clients
//! ```

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::image::{Release, Servers, laboratory, layers};

/// The server's addresses.
pub const SERVER: [&str; 2] = ["192.0.2.1", "2001:db8::1"];
/// A client in the server's own networks, and one in a network of its own.
pub const NEAR: [&str; 2] = ["192.0.2.10", "2001:db8::10"];
/// A client that shares no network with the server.
pub const FAR: &str = "198.51.100.7";

/// Gives the server and the clients their addresses.
const NETWORK: &str = "
set -eu
ip link set lo up
ip netns add clients
ip link add mail type veth peer name clients netns clients
ip address add 192.0.2.1/24 dev mail
ip address add 2001:db8::1/64 dev mail nodad
ip link set mail up
ip -n clients link set lo up
ip -n clients address add 192.0.2.10/24 dev clients
ip -n clients address add 2001:db8::10/64 dev clients nodad
ip -n clients link set clients up
for n in $(seq 11 60); do
    echo address add 192.0.2.$n/24 dev clients
    echo address add 2001:db8::$n/64 dev clients nodad
done | ip -n clients -batch -
ip -n clients address add 198.51.100.7/24 dev clients
ip route add 198.51.100.0/24 dev mail
";

const SUPERVISE: &str = include_str!("supervise.sh");
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A running host. It is stopped and removed when this is dropped.
pub struct Host {
    supervisor: Child,
    run: PathBuf,
    /// The host's systemd, in our own numbering.
    leader: u32,
}

/// What a command in the host came to.
#[derive(Debug)]
pub struct Finished {
    /// The exit status; None when a signal ended it.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Finished {
    pub fn succeeded(&self) -> bool {
        self.code == Some(0)
    }

    /// Both outputs, for a failed test's message.
    pub fn transcript(&self) -> String {
        format!("exit {:?}\n{}{}", self.code, self.stdout, self.stderr)
    }
}

impl Host {
    /// Boots a host with Dovecot and waits until all its services are up.
    pub fn boot(release: Release) -> Host {
        Host::boot_with(release, Servers::Dovecot)
    }

    /// Boots a host with these POP3 and IMAP servers and waits until all its services are up.
    pub fn boot_with(release: Release, servers: Servers) -> Host {
        assert!(
            rustix::process::geteuid().is_root(),
            "a system test boots a container, and only root can: see tests/run"
        );
        remove_leftovers();
        let lower: Vec<String> = layers(release, servers)
            .iter()
            .map(|layer| layer.display().to_string())
            .collect();
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "popb4smtp-{}-{}",
            std::process::id(),
            COUNT.fetch_add(1, Ordering::Relaxed)
        );
        let run = laboratory().join("running").join(&name);
        for part in ["upper", "work", "root"] {
            fs::create_dir_all(run.join(part)).unwrap();
        }
        configure(release, servers, &run.join("upper"));
        let cgroup = cgroup(&name);
        let supervisor = supervisor(&run, &cgroup)
            .env("LOWER", lower.join(":"))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(File::create(run.join("supervisor")).unwrap())
            .spawn()
            .unwrap();
        let mut host = Host {
            supervisor,
            run,
            leader: 0,
        };
        host.leader = host.await_systemd(&cgroup);
        wait_until("the host is up", Duration::from_secs(60), || {
            // Before systemd listens, the question fails at once; later it waits for the answer.
            let state = host.try_run(&["systemctl", "is-system-running", "--wait"]);
            match state.stdout.trim() {
                "running" => Some(()),
                "degraded" => panic!("{}", host.run(&["systemctl", "--failed", "--full"])),
                _ => None,
            }
        });
        host.sh(NETWORK);
        host.sh("install -o tom -g tom /var/tmp/greeting.eml /home/tom/Maildir/new/1.mail");
        host
    }

    /// The process that everything in the host descends from.
    fn await_systemd(&mut self, cgroup: &Path) -> u32 {
        let processes = cgroup.join("payload/init.scope/cgroup.procs");
        let started = look_until(Duration::from_secs(60), || {
            let over = self.supervisor.try_wait().unwrap().is_some();
            if over || self.run.join("ended").exists() {
                return Some(None);
            }
            let leader = fs::read_to_string(&processes).ok()?;
            leader.lines().next()?.parse().ok().map(Some)
        });
        started.flatten().unwrap_or_else(|| {
            let said = |file| fs::read_to_string(self.run.join(file)).unwrap_or_default();
            panic!(
                "no systemd has started in the container: {}{}",
                said("supervisor"),
                said("console")
            )
        })
    }

    /// Where the host's files are while it runs.
    pub fn directory(&self) -> &Path {
        &self.run
    }

    /// The network that the clients are in (network_namespaces(7)), for a thread that enters it.
    #[allow(dead_code, reason = "the benchmarks have clients of their own")]
    pub fn clients_network(&self) -> File {
        File::open(format!("/proc/{}/root/run/netns/clients", self.leader)).unwrap()
    }

    /// The network that the host itself is in.
    #[allow(dead_code, reason = "the benchmarks ask from there")]
    pub fn network(&self) -> File {
        File::open(format!("/proc/{}/ns/net", self.leader)).unwrap()
    }

    /// Joins hosts by a network of their own, `lan`, and gives each its addresses there. This one has the
    /// switch.
    pub fn join(&self, address: &str, others: &[(&Host, &[&str])]) {
        self.sh(&format!(
            "ip link add lan type bridge && ip address add {address}/24 dev lan && ip link set lan up"
        ));
        for (number, (other, addresses)) in others.iter().enumerate() {
            let port = format!("port{number}");
            let cable = Command::new("ip")
                .args(["link", "add", "name", &port, "netns"])
                .arg(self.leader.to_string())
                .args(["type", "veth", "peer", "name", "lan", "netns"])
                .arg(other.leader.to_string())
                .output()
                .unwrap();
            assert!(cable.status.success(), "{cable:?}");
            self.sh(&format!("ip link set {port} master lan up"));
            for address in *addresses {
                other.sh(&format!("ip address add {address}/24 dev lan"));
            }
            other.sh("ip link set lan up");
        }
    }

    /// A file or socket of the running host, for us to open.
    pub fn path(&self, path: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{path}", self.leader))
    }

    /// Runs a command that must succeed, and gives its standard output without the last newline.
    #[track_caller]
    pub fn run(&self, command: &[&str]) -> String {
        let finished = self.try_run(command);
        assert!(
            finished.succeeded(),
            "{command:?} failed: {}",
            finished.transcript()
        );
        finished.stdout.trim_end().to_owned()
    }

    /// Runs a command that may fail.
    pub fn try_run(&self, command: &[&str]) -> Finished {
        finish(self.command(command).stdin(Stdio::null()))
    }

    /// Runs a shell script that must succeed, and gives its standard output.
    #[track_caller]
    pub fn sh(&self, script: &str) -> String {
        self.run(&["bash", "-c", script])
    }

    /// Runs a command where the clients are, with whatever comes of it.
    pub fn client(&self, command: &[&str]) -> Finished {
        self.try_run(&[&["ip", "netns", "exec", "clients"], command].concat())
    }

    /// A command that is to run in the host, for a caller who wants to talk to it.
    pub fn command(&self, command: &[&str]) -> Command {
        let mut entered = Command::new("nsenter");
        entered
            .arg(format!("--target={}", self.leader))
            .args([
                "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--",
            ])
            .args(command)
            .env_clear()
            .envs([("PATH", PATH), ("HOME", "/root"), ("LANG", "C.UTF-8")]);
        entered
    }

    /// Writes a file, and the directories above it.
    #[track_caller]
    pub fn write_file(&self, path: &str, content: &str) {
        let script = r#"mkdir -p "$(dirname "$1")" && cat >"$1""#;
        let mut child = self
            .command(&["bash", "-c", script, "bash", path])
            .stdin(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        input.write_all(content.as_bytes()).unwrap();
        drop(input);
        assert!(child.wait().unwrap().success(), "cannot write {path}");
    }

    /// The messages of the journal that `matches` selects (journalctl's own options and matches).
    pub fn journal(&self, matches: &[&str]) -> Vec<String> {
        let command = [&["journalctl", "--quiet", "--output=cat"], matches].concat();
        self.run(&command).lines().map(str::to_owned).collect()
    }

    /// Copies a file of ours into the host.
    pub fn copy_in(&self, from: &Path, to: &str) {
        let content = fs::read(from)
            .unwrap_or_else(|error| panic!("cannot read {}: {error}", from.display()));
        let target = self.run.join("root").join(to.trim_start_matches('/'));
        fs::write(target, content).unwrap();
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        if std::thread::panicking() && self.leader != 0 {
            self.tell_what_happened();
        }
        drop(self.supervisor.stdin.take());
        if let Err(error) = self.supervisor.wait() {
            eprintln!("the supervisor of {}: {error}", self.run.display());
        }
    }
}

impl Host {
    /// The end of the host's journal, for a failed test's output.
    fn tell_what_happened(&self) {
        let journal = self.try_run(&[
            "journalctl",
            "--quiet",
            "--no-pager",
            "--lines=150",
            "--output=short-precise",
            "--no-hostname",
        ]);
        eprintln!("--- the host's journal ---\n{}---", journal.stdout);
    }
}

/// Waits for what `look` finds, and fails the test when it is not there in time.
#[track_caller]
pub fn wait_until<T>(what: &str, timeout: Duration, look: impl FnMut() -> Option<T>) -> T {
    look_until(timeout, look).unwrap_or_else(|| panic!("not within {timeout:?}: {what}"))
}

/// Waits for what `look` finds; None when it is not there in time.
pub fn look_until<T>(timeout: Duration, mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let start = Instant::now();
    loop {
        let found = look();
        if found.is_some() || start.elapsed() >= timeout {
            return found;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// The server's address of the same family as `client`.
pub fn server_for(client: &str) -> &'static str {
    match client.parse().unwrap() {
        IpAddr::V4(_) => SERVER[0],
        IpAddr::V6(_) => SERVER[1],
    }
}

fn finish(command: &mut Command) -> Finished {
    let output = command.output().unwrap();
    Finished {
        code: output.status.code(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// Puts the mail servers' configuration over the base file system. Directories get the mode that
/// they have there.
fn configure(release: Release, servers: Servers, upper: &Path) {
    let files = [
        ("etc/dovecot/dovecot.conf", release.dovecot_conf()),
        ("etc/dovecot/users", include_str!("files/dovecot-users")),
        ("etc/postfix/main.cf", include_str!("files/main.cf")),
        ("etc/hostname", "mail\n"),
        ("var/tmp/greeting.eml", include_str!("files/greeting.eml")),
    ];
    for (path, content) in files {
        if servers == Servers::NoPostfix && path.starts_with("etc/postfix") {
            continue;
        }
        let path = upper.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }
}

fn supervisor(run: &Path, cgroup: &Path) -> Command {
    let mut command = Command::new("setsid");
    command
        .args(["bash", "-c", SUPERVISE, "supervise"])
        .env("NAME", run.file_name().unwrap())
        .env("RUN", run)
        .env("CGROUP", cgroup);
    command
}

/// The host's own cgroup, in the version 2 hierarchy wherever that is mounted.
fn cgroup(name: &str) -> PathBuf {
    let unified = Path::new("/sys/fs/cgroup/unified");
    let root = if unified.join("cgroup.procs").exists() {
        unified
    } else {
        Path::new("/sys/fs/cgroup")
    };
    assert!(
        root.join("cgroup.procs").exists(),
        "no cgroup version 2 hierarchy is mounted in /sys/fs/cgroup"
    );
    root.join(name)
}

/// Removes hosts whose supervisor was killed: nobody holds their lock.
fn remove_leftovers() {
    let running = laboratory().join("running");
    let entries = match fs::read_dir(&running) {
        Ok(entries) => entries,
        Err(error) if error.kind() == ErrorKind::NotFound => return,
        Err(error) => panic!("cannot read {}: {error}", running.display()),
    };
    for run in entries {
        let run = run.unwrap().path();
        // A directory without a lock is one that another test is just making.
        if !run.join("lock").exists() {
            continue;
        }
        let cgroup = cgroup(&run.file_name().unwrap().to_string_lossy());
        // Ends with 1 at once where the lock is held: that host is in use.
        let mut remover = supervisor(&run, &cgroup);
        remover.arg("remove").stdin(Stdio::null());
        finish(&mut remover);
    }
}
