//! Why the store can't be used.

use std::path::{Path, PathBuf};

use super::{FormerMap, InForce};

/// The store can't be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has it.
    #[error(
        "{}: another pop-before-smtp has the store open; stop it first \
         (systemctl stop pop-before-smtp)",
        path.display()
    )]
    Locked {
        /// The store.
        path: PathBuf,
    },
    /// root would leave files that the service can't write.
    #[error(
        "{}: belongs to uid {owner}, and root would leave files in it that the service can't \
         write; run it as that user (runuser -u pop-before-smtp -- pop-before-smtp …)",
        path.display()
    )]
    NotOurs {
        /// The state directory.
        path: PathBuf,
        /// Who owns it.
        owner: u32,
    },
    /// The file system failed: no permission, no room.
    #[error("{}: {source}", path.display())]
    System {
        /// The store.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// What it holds is not to be believed.
    #[error("{}: damaged: {reason}", path.display())]
    Damaged {
        /// The store.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Another version has written it, in a format of its own.
    #[error("{}: another version has written it, in format {format}", path.display())]
    OtherFormat {
        /// The store.
        path: PathBuf,
        /// The number of the format, or "unknown".
        format: String,
        /// What was in force: that is of the same form in all.
        in_force: Option<Box<InForce>>,
        /// Which maps were yet to be emptied, likewise.
        former_maps: Vec<FormerMap>,
    },
}

impl StoreError {
    /// What the name of such a store ends in when it is set aside; `None` if it stays where it is.
    pub(super) fn set_aside_as(&self) -> Option<String> {
        match self {
            Self::Damaged { .. } => Some("damaged".to_owned()),
            Self::OtherFormat { format, .. } => Some(format!("format-{format}")),
            Self::Locked { .. } | Self::NotOurs { .. } | Self::System { .. } => None,
        }
    }
}

/// What an error of sled's means.
pub(super) fn classify(path: &Path, error: sled::Error) -> StoreError {
    let path = path.to_owned();
    match error {
        sled::Error::Io(source) => StoreError::System { path, source },
        other => StoreError::Damaged {
            path,
            reason: other.to_string(),
        },
    }
}
