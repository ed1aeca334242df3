//! The program as a service in the foreground, without systemd: on journal files, in a directory of its
//! own, with both sockets.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::journal_files::JournalFiles;
use crate::journal_files::entry::{Entry, export};

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
        let directory = tempfile::tempdir().unwrap();
        let journal = JournalFiles::import(&export(entries));
        let state = directory.path().join("state");
        fs::create_dir(&state).unwrap();
        let config = directory.path().join("config.toml");
        let text = format!(
            "{settings}\nstate-directory = {state:?}\njournal.directory = {:?}\nmap.type = \"hash\"\n",
            journal.path(),
        );
        fs::write(&config, text).unwrap();
        let log = fs::File::create(directory.path().join("log")).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_pop-before-smtp"))
            .arg("--config")
            .arg(&config)
            .args(["run", "--socket"])
            .arg(directory.path().join("control"))
            .arg("--policy-socket")
            .arg(directory.path().join("policy"))
            .env_remove("RUST_LOG")
            .stderr(log)
            .spawn()
            .unwrap();
        let service = Foreground {
            directory,
            journal,
            child,
        };
        service.wait_for("caught up with the journal");
        service
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
}
