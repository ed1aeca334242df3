//! The types of lookup tables that an access map can have.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
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

    /// Whether it takes a Postfix with Berkeley DB.
    #[must_use]
    pub fn is_berkeley_db(self) -> bool {
        matches!(self, Self::Hash | Self::Btree)
    }

    /// Whether a file of Berkeley DB is a hash or a tree, which share their extension; `None` if it
    /// is neither. The mark stands behind the first three words, or in version 1.85 at the
    /// beginning, in the order of the machine that wrote it (magic(5)).
    ///
    /// # Errors
    /// When the file can't be read, or is shorter than that.
    pub fn of_berkeley_db(index: &Path) -> io::Result<Option<Self>> {
        /// DB_HASHMAGIC and DB_BTREEMAGIC of db.h.
        const MARKS: [(u32, MapType); 2] =
            [(0x0006_1561, MapType::Hash), (0x0005_3162, MapType::Btree)];
        let mut head = [0; 16];
        File::open(index)?.read_exact(&mut head)?;
        let found = [12, 0].into_iter().find_map(|at| {
            let mark = u32::from_le_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
            MARKS
                .into_iter()
                .find(|(known, _)| mark == *known || mark.swap_bytes() == *known)
        });
        Ok(found.map(|(_, kind)| kind))
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
