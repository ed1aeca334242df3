//! Whether another user could open a file: by owner, group and mode of it and of every directory
//! above.
//!
//! Access control lists and security modules are not looked at.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// A process, as far as files are concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// What it is called in a sentence.
    pub name: String,
    /// Its user.
    pub uid: u32,
    /// Its groups.
    pub gids: Vec<u32>,
}

/// What it wants to do with a file. The number is that of one class in a mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Want {
    /// Read it.
    Read = 0o4,
    /// Write it, or connect to it.
    Write = 0o2,
    /// Go through the directory.
    Search = 0o1,
}

impl Process {
    /// The user of this name with its own group and those `more` groups; `None` if there is none.
    #[must_use]
    pub fn of_user(name: &str, more: &[&str]) -> Option<Self> {
        let user = uzers::get_user_by_name(name)?;
        let more = more.iter().filter_map(uzers::get_group_by_name);
        Some(Process {
            name: name.to_owned(),
            uid: user.uid(),
            gids: std::iter::once(user.primary_group_id())
                .chain(more.map(|group| group.gid()))
                .collect(),
        })
    }

    /// Whether it may do so with a file of this mode, user and group.
    #[must_use]
    pub fn may(&self, want: Want, mode: u32, uid: u32, gid: u32) -> bool {
        if self.uid == 0 {
            return want != Want::Search || mode & 0o111 != 0;
        }
        let class = if self.uid == uid {
            6
        } else if self.gids.contains(&gid) {
            3
        } else {
            0
        };
        mode >> class & want as u32 != 0
    }

    /// What keeps it from doing so: the file, or a directory above that it can't go through.
    ///
    /// # Errors
    /// When this very process can't look.
    pub fn obstacle(&self, path: &Path, want: Want) -> io::Result<Option<PathBuf>> {
        let mut above: Vec<&Path> = path.ancestors().skip(1).collect();
        above.reverse();
        let all = above
            .into_iter()
            .map(|directory| (directory, Want::Search))
            .chain([(path, want)]);
        for (path, want) in all {
            let path = if path.as_os_str().is_empty() {
                Path::new(".")
            } else {
                path
            };
            let file = fs::metadata(path)?;
            if !self.may(want, file.mode(), file.uid(), file.gid()) {
                return Ok(Some(path.to_owned()));
            }
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn process(uid: u32, gids: &[u32]) -> Process {
        Process {
            name: "x".to_owned(),
            uid,
            gids: gids.to_vec(),
        }
    }

    #[test]
    fn the_first_class_that_fits_decides() {
        let (owner, member, other) = (process(5, &[1]), process(6, &[7]), process(8, &[9]));
        let may = |p: &Process, want, mode| p.may(want, mode, 5, 7);
        assert!(may(&owner, Want::Read, 0o400) && !may(&owner, Want::Read, 0o044));
        assert!(may(&member, Want::Write, 0o020) && !may(&member, Want::Write, 0o602));
        assert!(may(&other, Want::Search, 0o001) && !may(&other, Want::Read, 0o660));
        assert!(may(&process(0, &[]), Want::Read, 0));
    }

    #[test]
    fn the_obstacle_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let inner = directory.path().join("inner");
        fs::create_dir(&inner).unwrap();
        let file = inner.join("file");
        fs::write(&file, "x").unwrap();
        let set = |path: &Path, mode| {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        };
        set(directory.path(), 0o755);
        set(&inner, 0o755);
        set(&file, 0o644);
        let other = process(65_000, &[65_000]);
        assert_eq!(other.obstacle(&file, Want::Read).unwrap(), None);
        assert_eq!(
            other.obstacle(&file, Want::Write).unwrap(),
            Some(file.clone())
        );
        set(&inner, 0o700);
        assert_eq!(other.obstacle(&file, Want::Read).unwrap(), Some(inner));
        assert!(
            other
                .obstacle(&directory.path().join("none"), Want::Read)
                .is_err()
        );
    }
}
