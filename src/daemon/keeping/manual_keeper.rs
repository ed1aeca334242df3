//! Keeps what operators do by hand in its file.
//!
//! Decides about nobody: the whitelist's rules do. What can't be written is tried again with the
//! next change. Must never write over a file that could not be read: what it holds may still matter.

use std::path::Path;

use crate::diagnostics;
use crate::store::manual_file::{ManualFile, ManualFileError};
use crate::whitelist::{Manual, Whitelist};

/// The file, and what is wrong with it.
pub struct ManualKeeper {
    file: ManualFile,
    trouble: Option<String>,
    /// Whether there is a file that could not be read, nor set aside.
    is_unread: bool,
}

impl ManualKeeper {
    /// That of a state directory. Nothing is read yet.
    pub fn of(state_directory: &Path) -> Self {
        ManualKeeper {
            file: ManualFile::of(state_directory),
            trouble: None,
            is_unread: false,
        }
    }

    /// Reads what was done by hand, and applies it to the whitelist that the store kept. A damaged
    /// file is set aside, loudly.
    pub fn apply(&mut self, whitelist: &mut Whitelist) {
        let manual = self.file.read().unwrap_or_else(|error| {
            let text = match error {
                ManualFileError::Damaged { .. } => error.to_string(),
                ManualFileError::System { .. } => format!(
                    "{error}: what was allowed and revoked by hand is not in force; put the file right, \
                     and restart the service"
                ),
            };
            diagnostics::manual_set_aside(&text);
            self.trouble = Some(text);
            self.is_unread = match error {
                ManualFileError::System { .. } => true,
                ManualFileError::Damaged { .. } => {
                    let set_aside = self.file.set_aside();
                    set_aside.inspect_err(|error| diagnostics::manual_trouble(error)).is_err()
                }
            };
            Manual::default()
        });
        whitelist.set_manual(manual);
    }

    /// Writes what has been done by hand since, if anything. Where the file could not be read, nothing is
    /// written until the service is restarted, and the trouble stays.
    pub fn keep(&mut self, whitelist: &mut Whitelist) {
        if self.is_unread {
            return;
        }
        let Some(manual) = whitelist.take_manual_change() else {
            return;
        };
        match self.file.write(manual) {
            Ok(()) => self.trouble = None,
            Err(error) => {
                if self.trouble.is_none() {
                    diagnostics::manual_trouble(&error);
                }
                self.trouble = Some(error.to_string());
                whitelist.keep_manual_change();
            }
        }
    }

    /// What is wrong now.
    pub fn trouble(&self) -> Option<&String> {
        self.trouble.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use jiff::{SignedDuration, Timestamp};

    use super::*;
    use crate::config::Limits;
    use crate::networks::Networks;
    use crate::whitelist::{Rules, Scope};

    fn whitelist() -> Whitelist {
        Whitelist::new(Rules {
            grace: SignedDuration::from_mins(30),
            max_session: SignedDuration::from_hours(24),
            limits: Limits::NONE,
            permitted: Networks::default(),
            never: Networks::default(),
        })
    }

    fn revoke(whitelist: &mut Whitelist, user: &str) {
        let user = Scope::User(user.to_owned());
        whitelist.revoke(&user, 0, Timestamp::now()).unwrap();
    }

    #[test]
    fn a_file_that_cannot_be_read_is_not_written_over() {
        let directory = tempfile::tempdir().unwrap();
        let [state, disk, gone] = ["state", "disk", "gone"].map(|name| directory.path().join(name));
        fs::create_dir(&state).unwrap();
        fs::create_dir(&disk).unwrap();
        let mut former = whitelist();
        revoke(&mut former, "alice");
        ManualFile::of(&disk).write(former.manual()).unwrap();
        symlink(disk.join("manual.json"), state.join("manual.json")).unwrap();

        // What root may read as well can't be found now: ENOTDIR.
        fs::rename(&disk, &gone).unwrap();
        fs::write(&disk, "").unwrap();
        let (mut keeper, mut now) = (ManualKeeper::of(&state), whitelist());
        keeper.apply(&mut now);
        revoke(&mut now, "bob");
        keeper.keep(&mut now);
        keeper.keep(&mut now);
        let trouble = keeper.trouble().unwrap();
        assert!(trouble.contains("restart the service"), "{trouble}");

        fs::remove_file(&disk).unwrap();
        fs::rename(&gone, &disk).unwrap();
        let (mut keeper, mut again) = (ManualKeeper::of(&state), whitelist());
        keeper.apply(&mut again);
        assert_eq!(again.manual(), former.manual());
        revoke(&mut again, "bob");
        keeper.keep(&mut again);
        assert_eq!(keeper.trouble(), None);
        assert_eq!(&ManualFile::of(&state).read().unwrap(), again.manual());
    }
}
