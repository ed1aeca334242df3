//! The types of lookup tables that an access map can have.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A type of indexed lookup table (DATABASE_README) that smtpd notices being replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MapType {
    /// OpenLDAP LMDB.
    Lmdb,
    /// D. J. Bernstein's constant database.
    Cdb,
    /// Berkeley DB hash.
    Hash,
    /// Berkeley DB tree.
    Btree,
}

impl MapType {
    /// All of them, the best first.
    pub const ALL: [MapType; 4] = [Self::Lmdb, Self::Cdb, Self::Hash, Self::Btree];

    /// The name before the colon: `hash` in `hash:/path`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Lmdb => "lmdb",
            Self::Cdb => "cdb",
            Self::Hash => "hash",
            Self::Btree => "btree",
        }
    }

    /// The file that `postmap TYPE:PATH` makes of the source `path`.
    #[must_use]
    pub fn index(self, path: &Path) -> PathBuf {
        let extension = match self {
            Self::Lmdb => ".lmdb",
            Self::Cdb => ".cdb",
            Self::Hash | Self::Btree => ".db",
        };
        let mut index = path.as_os_str().to_owned();
        index.push(extension);
        index.into()
    }
}

impl fmt::Display for MapType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for MapType {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|t| t.name() == name).ok_or(())
    }
}
