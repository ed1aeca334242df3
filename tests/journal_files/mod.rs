//! Real journal files for tests, made of export text by systemd-journal-remote.

#![allow(dead_code)] // each test program uses a part

pub mod entry;

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// Where Debian has it.
const JOURNAL_REMOTE: &str = "/lib/systemd/systemd-journal-remote";

/// A directory with one journal file.
pub struct JournalFiles {
    directory: TempDir,
}

impl JournalFiles {
    /// Imports entries in the Journal Export Format.
    pub fn import(export: &[u8]) -> Self {
        let files = JournalFiles {
            directory: tempfile::tempdir().unwrap(),
        };
        files.add("imported.journal", export);
        files
    }

    /// Adds a file.
    pub fn add(&self, name: &str, export: &[u8]) {
        let mut import = Command::new(JOURNAL_REMOTE)
            .arg("-o")
            .arg(self.directory.path().join(name))
            .arg("-")
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("systemd-journal-remote: install the package of that name");
        import.stdin.take().unwrap().write_all(export).unwrap();
        let output = import.wait_with_output().unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }
}
