//! What operators do by hand: keeps it on disk.
//!
//! What can't be written is tried again with the next change; whoever has asked for it is told.

use std::path::Path;

use crate::diagnostics;
use crate::store::manual_file::{ManualFile, ManualFileError};
use crate::whitelist::{Manual, Whitelist};

/// The file of what was done by hand, and what is wrong with it.
#[derive(Debug)]
pub struct ByHand {
    file: ManualFile,
    trouble: Option<String>,
}

impl ByHand {
    /// Reads what was done by hand, and applies it to the whitelist that the store kept. A damaged
    /// file is set aside, loudly.
    #[must_use]
    pub fn open(state_directory: &Path, whitelist: &mut Whitelist) -> Self {
        let file = ManualFile::of(state_directory);
        let mut trouble = None;
        let manual = file.read().unwrap_or_else(|error| {
            diagnostics::manual_set_aside(&error);
            trouble = Some(error.to_string());
            if let ManualFileError::Damaged { .. } = error
                && let Err(error) = file.set_aside()
            {
                diagnostics::manual_trouble(&error);
            }
            Manual::default()
        });
        whitelist.set_manual(manual);
        ByHand { file, trouble }
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
    #[must_use]
    pub fn trouble(&self) -> Option<&String> {
        self.trouble.as_ref()
    }
}
