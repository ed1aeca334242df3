//! Real journal files for tests, made of export text by systemd-journal-remote.

#![allow(dead_code)] // each test program uses a part

pub mod entry;
pub mod half_written;

use std::io::{BufWriter, Write};
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
        let files = Self::none();
        files.add("imported.journal", export);
        files
    }

    /// A directory without a file.
    pub fn none() -> Self {
        JournalFiles {
            directory: tempfile::tempdir().unwrap(),
        }
    }

    /// Adds a file.
    pub fn add(&self, name: &str, export: &[u8]) {
        self.add_written(name, |to| to.write_all(export));
    }

    /// Adds a file of what is written, however much that is.
    pub fn add_written(
        &self,
        name: &str,
        write: impl FnOnce(&mut dyn Write) -> std::io::Result<()>,
    ) {
        let mut import = Command::new(JOURNAL_REMOTE)
            .arg("-o")
            .arg(self.directory.path().join(name))
            .arg("-")
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("systemd-journal-remote: install the package of that name");
        let mut input = BufWriter::with_capacity(1 << 16, import.stdin.take().unwrap());
        write(&mut input).unwrap();
        input.flush().unwrap();
        drop(input);
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

/// What `test --json` shows of a journal, line by line.
pub fn test_json(journal: &JournalFiles, options: &[&str]) -> Vec<serde_json::Value> {
    let output = Command::new(env!("CARGO_BIN_EXE_pop-before-smtp"))
        .args(["test", "--json", "--directory"])
        .arg(journal.path())
        .args(options)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{errors}");
    let lines = String::from_utf8(output.stdout).unwrap();
    lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}
