//! Keeps what operators do by hand in its file.
//!
//! Decides about nobody: the whitelist's rules do. What can't be written is tried again with the
//! next change.

use std::path::Path;

use crate::diagnostics;
use crate::store::manual_file::{ManualFile, ManualFileError};
use crate::whitelist::{Manual, Whitelist};

/// The file, and what is wrong with it.
pub struct ManualKeeper {
    file: ManualFile,
    trouble: Option<String>,
}

impl ManualKeeper {
    /// That of a state directory. Nothing is read yet.
    pub fn of(state_directory: &Path) -> Self {
        ManualKeeper {
            file: ManualFile::of(state_directory),
            trouble: None,
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
            if let ManualFileError::Damaged { .. } = error
                && let Err(error) = self.file.set_aside()
            {
                diagnostics::manual_trouble(&error);
            }
            Manual::default()
        });
        whitelist.set_manual(manual);
    }

    /// Writes what has been done by hand since, if anything.
    pub fn keep(&mut self, whitelist: &mut Whitelist) {
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
