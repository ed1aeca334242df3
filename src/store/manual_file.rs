//! What was done by hand, on disk: a file of its own beside the store.
//!
//! The store is a cache of the journal, and can be lost. What an operator has done is in no
//! journal; and logins that he has revoked must not come back when the store is made anew from it.
//! Written whole, aside, and renamed; must never be left half-written.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::whitelist::Manual;

/// The format of the file. Another one is not read.
const FORMAT: u32 = 1;
/// The file is nobody's business but the service's.
const MODE: u32 = 0o600;

/// The file.
#[derive(Debug, Clone)]
pub struct ManualFile {
    path: PathBuf,
}

/// What was done by hand can't be read or written.
#[derive(Debug, thiserror::Error)]
pub enum ManualFileError {
    /// The file system failed.
    #[error("{}: {source}", path.display())]
    System {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is damaged, or of another version.
    #[error(
        "{}: what was allowed and revoked by hand can't be read and is forgotten ({reason}); \
         the file is now {}",
        path.display(),
        aside.display()
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
        /// Where it was set aside.
        aside: PathBuf,
    },
}

#[derive(Serialize, Deserialize)]
struct Content {
    format: u32,
    #[serde(flatten)]
    manual: Manual,
}

impl ManualFile {
    /// The file of a state directory.
    #[must_use]
    pub fn of(state_directory: &Path) -> Self {
        ManualFile {
            path: state_directory.join("manual.json"),
        }
    }

    /// What it holds; nothing if it is not there. Sets nothing aside.
    ///
    /// # Errors
    /// When it can't be read, or not be understood.
    pub fn read(&self) -> Result<Manual, ManualFileError> {
        let bytes = match fs::read(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Manual::default()),
            read => read.map_err(self.system())?,
        };
        let damaged = |reason| ManualFileError::Damaged {
            path: self.path.clone(),
            reason,
            aside: self.aside(),
        };
        let content: Content =
            serde_json::from_slice(&bytes).map_err(|error| damaged(error.to_string()))?;
        if content.format != FORMAT {
            return Err(damaged(format!("it is of format {}", content.format)));
        }
        Ok(content.manual)
    }

    /// Takes a file that can't be understood out of the way.
    ///
    /// # Errors
    /// When the file system fails.
    pub fn set_aside(&self) -> Result<(), ManualFileError> {
        fs::rename(&self.path, self.aside()).map_err(self.system())
    }

    /// Writes what was done by hand. When it returns, a crash of the host loses nothing of it.
    ///
    /// # Errors
    /// When the file system fails. The file is then as it was.
    pub fn write(&self, manual: &Manual) -> Result<(), ManualFileError> {
        let content = Content {
            format: FORMAT,
            manual: manual.clone(),
        };
        let new = self.path.with_extension("json.new");
        let write = || {
            let mut bytes = serde_json::to_vec_pretty(&content)?;
            bytes.push(b'\n');
            let mut file = OpenOptions::new()
                .write(true)
                .create(true)
                .truncate(true)
                .mode(MODE)
                .open(&new)?;
            file.write_all(&bytes)?;
            file.sync_all()?;
            fs::rename(&new, &self.path)?;
            let directory = self.path.parent().unwrap_or(Path::new("."));
            File::open(directory)?.sync_all()
        };
        write().map_err(self.system())
    }

    fn aside(&self) -> PathBuf {
        self.path.with_extension("json.damaged")
    }

    fn system(&self) -> impl FnOnce(io::Error) -> ManualFileError {
        let path = self.path.clone();
        move |source| ManualFileError::System { path, source }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::whitelist::{Grant, Revocation, Scope};
    use jiff::Timestamp;

    fn manual() -> Manual {
        let time = Timestamp::from_microsecond(1_800_000_000_123_456).unwrap();
        let grant = Grant {
            since: time,
            until: Timestamp::from_second(1_800_001_000).unwrap(),
            by: 0,
            note: Some("hotel, \"room\" 7\n".to_owned()),
        };
        let scopes = [
            Scope::All,
            "192.0.2.0/24".parse().unwrap(),
            Scope::User("alice \u{1b}".to_owned()),
            Scope::Server("dovecot".to_owned()),
        ];
        Manual {
            grants: [("2001:db8::10".parse().unwrap(), grant)].into(),
            revocations: scopes
                .map(|what| Revocation {
                    what,
                    time,
                    by: 0,
                    set_back: None,
                })
                .to_vec(),
        }
    }

    #[test]
    fn what_was_written_is_read_again() {
        let directory = tempfile::tempdir().unwrap();
        let file = ManualFile::of(directory.path());
        assert_eq!(file.read().unwrap(), Manual::default());
        file.write(&manual()).unwrap();
        assert_eq!(file.read().unwrap(), manual());
        file.write(&Manual::default()).unwrap();
        assert_eq!(file.read().unwrap(), Manual::default());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_damaged_file_is_no_empty_one() {
        let directory = tempfile::tempdir().unwrap();
        let file = ManualFile::of(directory.path());
        file.write(&manual()).unwrap();
        let whole = fs::read(&file.path).unwrap();
        for damaged in [&whole[..whole.len() / 2], b"", b"{\"format\":2}"] {
            fs::write(&file.path, damaged).unwrap();
            let error = file.read().unwrap_err();
            assert!(matches!(error, ManualFileError::Damaged { .. }), "{error}");
        }
        file.set_aside().unwrap();
        assert_eq!(file.read().unwrap(), Manual::default());
        assert!(directory.path().join("manual.json.damaged").exists());
    }
}
