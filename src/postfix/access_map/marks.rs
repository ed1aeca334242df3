//! By what the files of a published map are known again: whether what lies there is still what was
//! put there.
//!
//! Looks; changes nothing and reads no contents. The time of a file's last change of state (ctime) is
//! left out: a backup, or a new label, sets it and changes nothing that matters to Postfix.

use std::fmt;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::aside::Aside;
use super::{AccessMap, aside, lock};

/// The files of a map, and the directory that they are in, as they were at one moment.
#[derive(Debug, Clone, Copy)]
pub struct Marks {
    directory: Option<Mark>,
    index: Option<Mark>,
    source: Option<Mark>,
    lock: Option<Mark>,
}

/// Something of a map that is not as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MapChange {
    /// The file, or the directory.
    pub path: PathBuf,
    what: String,
    leaves_no_map: bool,
}

impl MapChange {
    /// Whether Postfix finds no map since.
    #[must_use]
    pub fn leaves_no_map(&self) -> bool {
        self.leaves_no_map
    }
}

impl fmt::Display for MapChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.path.display(), self.what)
    }
}

/// One file, or the directory. Of a directory, what is in it does not count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mark {
    /// Device and inode.
    identity: (u64, u64),
    size: u64,
    modified: (i64, i64),
    links: u64,
    rights: Rights,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Rights {
    owner: (u32, u32),
    /// With the type of the file.
    mode: u32,
}

impl Mark {
    fn of_file(path: &Path) -> Option<Self> {
        let found = fs::symlink_metadata(path).ok()?;
        Some(Mark {
            size: found.len(),
            modified: (found.mtime(), found.mtime_nsec()),
            links: found.nlink(),
            ..Mark::of(&found)
        })
    }

    /// The directory may be a link to one.
    fn of_directory(path: &Path) -> Option<Self> {
        fs::metadata(path).ok().as_ref().map(Mark::of)
    }

    fn of(found: &Metadata) -> Self {
        Mark {
            identity: (found.dev(), found.ino()),
            size: 0,
            modified: (0, 0),
            links: 0,
            rights: Rights {
                owner: (found.uid(), found.gid()),
                mode: found.mode(),
            },
        }
    }
}

impl Rights {
    /// What has become of them.
    fn change(self, now: Rights) -> Option<String> {
        let permissions = |rights: Rights| rights.mode & 0o7777;
        if self.owner != now.owner {
            let ((uid, gid), (new_uid, new_gid)) = (self.owner, now.owner);
            Some(format!(
                "belongs to the uid {new_uid} and the gid {new_gid}, no longer to {uid} and {gid}"
            ))
        } else if self.mode != now.mode {
            Some(format!(
                "has the mode {:o}, no longer {:o}",
                permissions(now),
                permissions(self)
            ))
        } else {
            None
        }
    }
}

impl Marks {
    /// How the files of a map are now.
    #[must_use]
    pub fn of(map: &AccessMap) -> Self {
        Marks {
            directory: Mark::of_directory(map.directory()),
            index: Mark::of_file(&map.index()),
            source: Mark::of_file(&map.path),
            lock: Mark::of_file(&lock::path(map)),
        }
    }

    /// How they are to be once what was built is in place: taken before it is, or what somebody else
    /// does in that moment would be taken for our own.
    pub(super) fn of_built(map: &AccessMap, aside: &Aside) -> Self {
        Marks {
            index: Mark::of_file(&aside.index),
            source: Mark::of_file(&aside.source),
            ..Marks::of(map)
        }
    }

    /// What of `map` has changed from these marks to `now`.
    #[must_use]
    pub fn changes(&self, now: &Marks, map: &AccessMap) -> Vec<MapChange> {
        let directory =
            change(self.directory, now.directory).map(|what| (map.directory().to_owned(), what));
        // Whoever takes the directory away takes the files with it.
        if let Some((path, what)) = directory.clone()
            && now.directory.is_none()
        {
            return vec![MapChange {
                path,
                what,
                leaves_no_map: true,
            }];
        }
        let files = [
            (map.index(), change(self.index, now.index)),
            (map.path.clone(), change(self.source, now.source)),
            (lock::path(map), change(self.lock, now.lock)),
        ];
        let files = files
            .into_iter()
            .filter_map(|(path, what)| Some((path, what?)));
        let all = directory.into_iter().chain(files);
        all.map(|(path, what)| MapChange {
            leaves_no_map: now.index.is_none() && path == map.index(),
            path,
            what,
        })
        .collect()
    }

    /// The same, but with the owner and the mode of the directory that was `found`.
    #[must_use]
    pub fn with_directory_of(mut self, found: &Marks) -> Self {
        if let (Some(directory), Some(found)) = (&mut self.directory, found.directory) {
            directory.rights = found.rights;
        }
        self
    }

    /// How the owner or the mode of the directory differs from what they are `now`.
    #[must_use]
    pub fn directory_change(&self, now: &Marks) -> Option<String> {
        self.directory?.rights.change(now.directory?.rights)
    }
}

/// What has become of a file.
fn change(before: Option<Mark>, now: Option<Mark>) -> Option<String> {
    match (before, now) {
        // Even if it was gone before we could look at what we had put there.
        (_, None) => Some("is gone".to_owned()),
        (before, now) if before == now => None,
        (Some(before), Some(now)) if before.identity == now.identity => {
            Some(before.rights.change(now.rights).unwrap_or_else(|| {
                // A second name keeps smtpd from noticing when the file is replaced.
                let what = if before.links == now.links {
                    "was written to"
                } else {
                    "has another number of names (hard links)"
                };
                what.to_owned()
            }))
        }
        (_, Some(_)) => Some("was replaced".to_owned()),
    }
}

impl AccessMap {
    /// The directory that the map is in.
    #[must_use]
    pub fn directory(&self) -> &Path {
        aside::directory(&self.path)
    }
}
