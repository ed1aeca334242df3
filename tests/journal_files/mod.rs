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
