//! The release program as a process of its own, over a journal and a state directory that are made
//! for it. Stands in for systemd: hears that it is ready, and ends it.

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// The program under test.
pub const PROGRAM: &str = env!("CARGO_BIN_EXE_pop-before-smtp");

/// How long a start may take; it fails then.
const PATIENCE: Duration = Duration::from_secs(120);

/// A configuration, and a state directory that several processes may use one after the other.
pub struct Setup {
    directory: TempDir,
}

/// A running service. It is killed when this is dropped.
pub struct Running {
    child: Child,
    /// From its start until it said that it is ready.
    pub ready_after: Duration,
}

impl Setup {
    /// A service that reads the journal in this directory; `settings` stand above the first table.
    ///
    /// With a grace that does not end while we measure, and no permitted networks; everything else is
    /// as it comes.
    pub fn new(journal: &Path, settings: &str) -> Setup {
        Setup::with_grace(journal, "6h", settings)
    }

    /// One whose grace may end while we measure.
    pub fn with_grace(journal: &Path, grace: &str, settings: &str) -> Setup {
        let setup = Setup {
            directory: tempfile::tempdir().unwrap(),
        };
        let text = format!(
            "grace = {grace:?}\npermitted-networks = []\nstate-directory = {:?}\n\
             journal.directory = {journal:?}\n{settings}\n",
            setup.state(),
        );
        fs::write(setup.path("config.toml"), text).unwrap();
        setup.forget();
        setup
    }

    /// A path in its directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Its state directory.
    pub fn state(&self) -> PathBuf {
        self.path("state")
    }

    /// Empties its state directory.
    pub fn forget(&self) {
        if self.state().exists() {
            fs::remove_dir_all(self.state()).unwrap();
        }
        fs::create_dir(self.state()).unwrap();
    }

    /// One of our commands, over its configuration; nobody hears what it says.
    pub fn command(&self, command: &str) -> Command {
        let mut started = Command::new(PROGRAM);
        started
            .arg("--config")
            .arg(self.path("config.toml"))
            .arg(command)
            .env_remove("RUST_LOG")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        started
    }

    /// One of our commands, for the service that was started.
    pub fn ask(&self, command: &str) -> Command {
        let mut asking = Command::new(PROGRAM);
        asking
            .args([command, "--socket"])
            .arg(self.path("control"))
            .stdin(Stdio::null());
        asking
    }

    /// Has it catch up with the journal and publish, and says how long that took.
    pub fn once(&self) -> Duration {
        timed(self.command("run").arg("--once"))
    }

    /// Starts it, and waits until it is ready.
    pub fn start(&self) -> Running {
        let notify = self.path("notify");
        let _ = fs::remove_file(&notify);
        let notified = UnixDatagram::bind(&notify).unwrap();
        notified.set_read_timeout(Some(PATIENCE)).unwrap();
        let start = Instant::now();
        let child = self
            .command("run")
            .arg("--socket")
            .arg(self.path("control"))
            .arg("--policy-socket")
            .arg(self.path("policy"))
            .env("NOTIFY_SOCKET", &notify)
            .spawn()
            .unwrap();
        let mut running = Running {
            child,
            ready_after: Duration::ZERO,
        };
        let mut said = [0; 4096];
        loop {
            let length = notified
                .recv(&mut said)
                .unwrap_or_else(|e| panic!("{PROGRAM} has not become ready: {e}"));
            let said = String::from_utf8_lossy(&said[..length]);
            if said.lines().any(|line| line == "READY=1") {
                break;
            }
        }
        running.ready_after = start.elapsed();
        running
    }

    /// How many clients the access map permits, as postmap reads it.
    pub fn clients_in_map(&self) -> usize {
        let index = [("lmdb", "lmdb"), ("cdb", "cdb"), ("db", "hash")]
            .into_iter()
            .find(|(ending, _)| self.state().join(format!("clients.{ending}")).exists());
        let (_, kind) = index.expect("there is a map");
        let output = Command::new("/usr/sbin/postmap")
            .arg("-s")
            .arg(format!("{kind}:{}", self.state().join("clients").display()))
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        let text = String::from_utf8_lossy(&output.stdout);
        text.lines()
            .filter(|line| {
                let key = line.split('\t').next().unwrap_or_default();
                key.parse::<std::net::IpAddr>().is_ok()
            })
            .count()
    }
}

impl Running {
    /// Its anonymous memory, in bytes (RssAnon of proc(5)).
    pub fn anonymous_memory(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("RssAnon:"));
        let kilobytes = line.unwrap().trim().trim_end_matches(" kB");
        kilobytes.parse::<u64>().unwrap() * 1024
    }

    /// How often its threads have gone to sleep so far: as often as they woke.
    pub fn wakings(&self) -> u64 {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap();
        let counts = tasks.map(|task| {
            let status = fs::read_to_string(task.unwrap().path().join("status")).unwrap();
            let line = (status.lines()).find_map(|l| l.strip_prefix("voluntary_ctxt_switches:"));
            line.unwrap().trim().parse::<u64>().unwrap()
        });
        counts.sum()
    }

    /// Ends it as systemd does, and waits for its end.
    pub fn stop(mut self) {
        let process = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(process, rustix::process::Signal::TERM).unwrap();
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{PROGRAM} ended with {status}");
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a command that must succeed, and says how long it took.
pub fn timed(command: &mut Command) -> Duration {
    let start = Instant::now();
    let status = command
        .status()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let took = start.elapsed();
    assert!(status.success(), "{command:?}: {status}");
    took
}
