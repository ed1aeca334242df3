//! Whether another user could open a file: found out by asking as that user, so that access control
//! lists, and whatever else the kernel goes by, count as they do for him.
//!
//! A child does (setpriv(1), test(1)); it opens nothing. Only root can become somebody else. What a
//! unit's sandbox hides is not seen.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::postfix::command::Programs;

/// How long all questions that are asked at once may take.
const LIMIT: Duration = Duration::from_secs(10);
/// So many are asked at once: a command line has its limits.
const AT_ONCE: usize = 500;
/// Answers a pair of arguments, an operator of test(1) and a file, with a line each.
const ASK: &str =
    r#"while [ $# -gt 1 ]; do if test "$1" "$2"; then echo y; else echo n; fi; shift 2; done"#;

/// A process, as far as files are concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// What it is called in a sentence.
    pub name: String,
    /// Its user.
    pub uid: u32,
    /// Its groups, of which the first is its own.
    pub gids: Vec<u32>,
}

/// What it wants to do with a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Want {
    /// Read it.
    Read,
    /// Write it, or connect to it.
    Write,
    /// Go through the directory.
    Search,
}

impl Want {
    /// As test(1) calls it.
    fn operator(self) -> &'static str {
        match self {
            Want::Read => "-r",
            Want::Write => "-w",
            Want::Search => "-x",
        }
    }
}

impl Process {
    /// The user of this name with its own groups and those `more`; `None` if there is none.
    #[must_use]
    pub fn of_user(name: &str, more: &[&str]) -> Option<Self> {
        let user = uzers::get_user_by_name(name)?;
        let own = uzers::get_user_groups(name, user.primary_group_id()).unwrap_or_default();
        let more = more.iter().filter_map(uzers::get_group_by_name);
        let mut gids = vec![user.primary_group_id()];
        gids.extend(own.iter().map(uzers::Group::gid));
        gids.extend(more.map(|group| group.gid()));
        Some(Process {
            name: name.to_owned(),
            uid: user.uid(),
            gids,
        })
    }

    /// What keeps it from doing so: the file, or a directory above that it can't go through.
    ///
    /// # Errors
    /// When this very process can't look, or can't ask.
    pub fn obstacle(&self, path: &Path, want: Want) -> io::Result<Option<PathBuf>> {
        // It is to be told apart from one that is there.
        fs::metadata(path)?;
        Ok(self.obstacles(&[path.to_owned()], want)?.into_iter().next())
    }

    /// What keeps it from doing so with each of these files, in their order; each obstacle once.
    ///
    /// # Errors
    /// When this very process can't ask.
    pub fn obstacles(&self, paths: &[PathBuf], want: Want) -> io::Result<Vec<PathBuf>> {
        let ways: Vec<_> = paths.iter().map(|path| way(path, want)).collect();
        let answers = self.ask(ways.iter().flatten())?;
        let mut obstacles = Vec::new();
        for way in &ways {
            let first = way.iter().find(|question| !answers[*question]);
            obstacles.extend(first.map(|(_, path)| *path));
        }
        let mut seen = std::collections::BTreeSet::new();
        // Journal files come and go meanwhile; what is not there any more keeps nobody from anything.
        obstacles.retain(|path| seen.insert(*path) && path.exists());
        Ok(obstacles.into_iter().map(Path::to_owned).collect())
    }

    /// Asks as this process.
    fn ask<'a>(
        &self,
        questions: impl Iterator<Item = &'a Question<'a>>,
    ) -> io::Result<BTreeMap<Question<'a>, bool>> {
        let mut answers: BTreeMap<Question<'a>, bool> = questions.map(|q| (*q, false)).collect();
        let programs = Programs {
            limit: LIMIT,
            ..Programs::installed()
        };
        let mut questions: Vec<_> = answers.iter_mut().collect();
        for some in questions.chunks_mut(AT_ONCE) {
            let (program, mut arguments) = self.child()?;
            for ((want, path), _) in &*some {
                arguments.extend([want.operator().into(), path.as_os_str().to_owned()]);
            }
            let output = programs.run(program, &arguments);
            let output = output.and_then(|output| output.succeeded());
            let text = output.map_err(io::Error::other)?.text();
            let said: Vec<&str> = text.lines().collect();
            if said.len() != some.len() {
                return Err(io::Error::other(format!("{program} has not answered")));
            }
            for ((_, answer), said) in some.iter_mut().zip(said) {
                **answer = said == "y";
            }
        }
        Ok(answers)
    }

    /// What asks: as this process, whoever we are.
    fn child(&self) -> io::Result<(&'static str, Vec<std::ffi::OsString>)> {
        let ask = ["-c", ASK, "sh"];
        let me = rustix::process::geteuid();
        if me.as_raw() == self.uid {
            return Ok(("sh", ask.map(Into::into).into()));
        }
        if !me.is_root() {
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                format!("only root can find out what the user {} may do", self.name),
            ));
        }
        let gids: Vec<String> = self.gids.iter().map(ToString::to_string).collect();
        let own = gids
            .first()
            .cloned()
            .unwrap_or_else(|| self.uid.to_string());
        let become_it = [
            format!("--reuid={}", self.uid),
            format!("--regid={own}"),
            format!("--groups={}", gids.join(",")),
            "--inh-caps=-all".to_owned(),
            "--".to_owned(),
            "sh".to_owned(),
        ];
        let arguments = become_it.into_iter().map(Into::into);
        Ok(("setpriv", arguments.chain(ask.map(Into::into)).collect()))
    }
}

type Question<'a> = (Want, &'a Path);

/// What it takes to get to a file, from the root on.
fn way(path: &Path, want: Want) -> Vec<Question<'_>> {
    let mut above: Vec<&Path> = path.ancestors().skip(1).collect();
    above.reverse();
    above
        .into_iter()
        .map(|directory| (Want::Search, directory))
        .chain([(want, path)])
        .filter(|(_, path)| !path.as_os_str().is_empty())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{PermissionsExt, chown};

    /// Somebody whom modes keep out: anybody else, if this is root, or else this very user.
    fn somebody(more: &[u32]) -> Process {
        let me = rustix::process::geteuid();
        let uid = if me.is_root() { 65_000 } else { me.as_raw() };
        Process {
            name: "x".to_owned(),
            uid,
            gids: [&[uid], more].concat(),
        }
    }

    fn set(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn the_obstacle_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let inner = directory.path().join("in ner");
        fs::create_dir(&inner).unwrap();
        let [file, other] = ["file", "-r"].map(|name| inner.join(name));
        fs::write(&file, "x").unwrap();
        fs::write(&other, "x").unwrap();
        set(directory.path(), 0o755);
        set(&inner, 0o755);
        set(&file, 0o444);
        let somebody = somebody(&[]);
        assert_eq!(somebody.obstacle(&file, Want::Read).unwrap(), None);
        let write = somebody.obstacle(&file, Want::Write).unwrap();
        assert_eq!(write.as_ref(), Some(&file));
        set(&other, 0o000);
        let both = [file.clone(), other.clone()];
        assert_eq!(somebody.obstacles(&both, Want::Read).unwrap(), [other]);
        assert!(somebody.obstacle(&inner.join("none"), Want::Read).is_err());
        set(&inner, 0o000);
        let found = somebody.obstacles(&both, Want::Read).unwrap();
        set(&inner, 0o755);
        assert_eq!(found, [inner]);
    }

    #[test]
    fn groups_and_access_control_lists_count() {
        if !rustix::process::geteuid().is_root() {
            // Nobody else can give files away. Continuous integration runs as root.
            return;
        }
        let directory = tempfile::tempdir().unwrap();
        set(directory.path(), 0o755);
        let file = directory.path().join("file");
        fs::write(&file, "x").unwrap();
        set(&file, 0o640);
        chown(&file, Some(0), Some(65_001)).unwrap();
        let may = |process: Process| process.obstacle(&file, Want::Read).unwrap().is_none();
        assert!(!may(somebody(&[])) && may(somebody(&[65_002, 65_001])));
        // acl(5), as the kernel keeps it: a version, then tag, permissions and id of each entry. The
        // user 65000 may do nothing, whatever his groups.
        let acl: [(u16, u16, u32); 5] = [
            (0x01, 6, u32::MAX),
            (0x02, 0, 65_000),
            (0x04, 4, u32::MAX),
            (0x10, 4, u32::MAX),
            (0x20, 0, u32::MAX),
        ];
        let mut bytes = 2u32.to_le_bytes().to_vec();
        for (tag, permissions, id) in acl {
            bytes.extend(tag.to_le_bytes());
            bytes.extend(permissions.to_le_bytes());
            bytes.extend(id.to_le_bytes());
        }
        let flags = rustix::fs::XattrFlags::empty();
        rustix::fs::setxattr(&file, "system.posix_acl_access", &bytes, flags).unwrap();
        assert!(!may(somebody(&[65_002, 65_001])));
        // By its mode it is as before.
        assert_eq!(
            fs::metadata(&file).unwrap().permissions().mode() & 0o777,
            0o640
        );
    }
}
