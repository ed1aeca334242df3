//! The program as a service in the foreground, without systemd: on journal files, in a directory of its
//! own, with both sockets.

#![allow(dead_code)] // each test program uses a part

use std::fs;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::journal_files::JournalFiles;
use crate::journal_files::entry::{Entry, export};

/// Far more than anything takes.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// A running service. It is killed when this is dropped.
pub struct Foreground {
    directory: TempDir,
    /// What it reads, and what may be added.
    pub journal: JournalFiles,
    /// Its process.
    pub child: Child,
}

impl Drop for Foreground {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Foreground {
    /// Starts it on these entries, and waits until it has read them. `settings` stand above the first
    /// table of the configuration.
    pub fn start(entries: &[Entry], settings: &str) -> Self {
        let journal = JournalFiles::import(&export(entries));
        let service = Self::start_on(journal, settings);
        service.wait_for("caught up with the journal");
        service
    }

    /// Starts it on a journal, and waits for nothing.
    pub fn start_on(journal: JournalFiles, settings: &str) -> Self {
        Self::start_as(program(), journal, settings)
    }

    /// Starts it by this command on a journal, and waits for nothing.
    pub fn start_as(command: Command, journal: JournalFiles, settings: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("state")).unwrap();
        configure(directory.path(), &journal, settings);
        let child = run(command, directory.path());
        Foreground {
            directory,
            journal,
            child,
        }
    }

    /// Stops it as systemd would.
    pub fn stop(&mut self) {
        let process = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(process, rustix::process::Signal::TERM).unwrap();
        self.child.wait().unwrap();
    }

    /// Has a running one read other settings.
    pub fn reload(&self, settings: &str) {
        configure(self.directory.path(), &self.journal, settings);
        let process = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(process, rustix::process::Signal::HUP).unwrap();
    }

    /// Starts a stopped one again with other settings and a new log, and waits for nothing.
    pub fn start_again(&mut self, settings: &str) {
        configure(self.directory.path(), &self.journal, settings);
        self.child = run(program(), self.directory.path());
    }

    /// Kills it, and starts it again by this command; its log begins anew.
    pub fn start_again_as(&mut self, command: Command) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.start_again_by(command);
    }

    /// Starts a stopped one again by this command; its log begins anew.
    pub fn start_again_by(&mut self, command: Command) {
        self.child = run(command, self.directory.path());
    }

    /// A file or socket of its directory: `log`, `control`, `policy`, `state`.
    pub fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        fs::read_to_string(self.path("log")).unwrap()
    }

    /// Waits until it has logged this.
    pub fn wait_for(&self, text: &str) {
        let patience = Instant::now() + Duration::from_secs(20);
        while !self.log().contains(text) {
            assert!(Instant::now() < patience, "no {text:?} in {}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// What a command says of it.
    pub fn ask(&self, command: &str) -> String {
        self.ask_with(command, &[])
    }

    /// The same, with more arguments.
    pub fn ask_with(&self, command: &str, arguments: &[&str]) -> String {
        let output = program()
            .args([command, "--socket"])
            .arg(self.path("control"))
            .args(arguments)
            .output()
            .unwrap();
        String::from_utf8(output.stdout).unwrap()
    }

    /// Waits until a command says this, among other things.
    #[track_caller]
    pub fn wait_for_answer(&self, command: &str, part: &str) {
        let patience = Instant::now() + PATIENCE;
        while !self.ask(command).contains(part) {
            let (answer, log) = (self.ask(command), self.log());
            assert!(Instant::now() < patience, "no {part:?}: {answer}\n{log}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// What a service tells systemd (sd_notify(3)).
pub struct Notifications {
    directory: TempDir,
    socket: UnixDatagram,
}

impl Notifications {
    /// Of a service that is yet to be started by this command.
    pub fn of(command: &mut Command) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let address = directory.path().join("notify");
        let socket = UnixDatagram::bind(&address).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        command.env("NOTIFY_SOCKET", &address);
        Notifications { directory, socket }
    }

    /// Waits until the service is ready, and gives what it says then.
    pub fn wait_until_ready(&self) -> String {
        assert!(self.directory.path().exists());
        loop {
            let mut room = [0; 4096];
            let length = self.socket.recv(&mut room).unwrap();
            let told = String::from_utf8_lossy(&room[..length]).into_owned();
            if told.contains("READY=1") {
                return told;
            }
        }
    }
}

/// The program itself.
pub fn program() -> Command {
    Command::new(env!("CARGO_BIN_EXE_pop-before-smtp"))
}

/// Writes the configuration.
fn configure(directory: &Path, journal: &JournalFiles, settings: &str) {
    let text = format!(
        "{settings}\nstate-directory = {:?}\njournal.directory = {:?}\nmap.type = \"hash\"\n",
        directory.join("state"),
        journal.path(),
    );
    fs::write(directory.join("config.toml"), text).unwrap();
}

fn run(mut command: Command, directory: &Path) -> Child {
    let log = fs::File::create(directory.join("log")).unwrap();
    command
        .arg("--config")
        .arg(directory.join("config.toml"))
        .args(["run", "--socket"])
        .arg(directory.join("control"))
        .arg("--policy-socket")
        .arg(directory.join("policy"))
        .env_remove("RUST_LOG")
        .stderr(log)
        .spawn()
        .unwrap()
}
