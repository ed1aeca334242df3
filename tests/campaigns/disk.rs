//! What a disk holds after the power was cut: what was forced to it, and of the rest anything.
//!
//! As journalling file systems promise: names change in the order in which they were changed, and what
//! forces a file to the disk forces all changes of names before it. Of content that was not forced,
//! each page may be there or not, whatever came after it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use crate::recording::Act;

const PAGE: u64 = 4096;

/// A file, whatever it is called by then.
type Inode = usize;

/// The files and directories, and what they are called.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    names: BTreeMap<PathBuf, Name>,
    contents: Vec<Vec<u8>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Name {
    Directory,
    File(Inode),
}

/// A change of content.
#[derive(Clone, Debug)]
enum Change {
    Write(u64, Vec<u8>),
    Truncate(u64),
}

impl Disk {
    /// What is there if nothing is lost.
    pub fn after(acts: &[Act]) -> Self {
        Self::cut(acts, &mut |_| true)
    }

    /// What is there if the power is cut after these; `is_kept` decides on what was not forced: for how
    /// sure it is, a text says what it is about.
    pub fn cut(acts: &[Act], is_kept: &mut dyn FnMut(&str) -> bool) -> Self {
        let mut now: BTreeMap<PathBuf, Name> = BTreeMap::new();
        // All changes of names; and of the content of each file, those forced and those that are not.
        let mut renamings: Vec<&Act> = Vec::new();
        let mut inodes_of: Vec<Option<Inode>> = Vec::new();
        let mut changes: Vec<(Vec<Change>, usize)> = Vec::new();
        let mut forced_names = 0;
        for act in acts {
            match act {
                Act::Make(path) => {
                    if !now.contains_key(path) {
                        now.insert(path.clone(), Name::File(changes.len()));
                        renamings.push(act);
                        inodes_of.push(Some(changes.len()));
                        changes.push((Vec::new(), 0));
                    }
                }
                Act::MakeDirectory(path) => {
                    now.insert(path.clone(), Name::Directory);
                    renamings.push(act);
                    inodes_of.push(None);
                }
                Act::Rename(from, to) => {
                    rename(&mut now, from, to);
                    renamings.push(act);
                    inodes_of.push(None);
                }
                Act::Remove(path) => {
                    now.remove(path);
                    renamings.push(act);
                    inodes_of.push(None);
                }
                Act::Write(path, at, data) => {
                    if let Some(Name::File(inode)) = now.get(path) {
                        changes[*inode].0.push(Change::Write(*at, data.clone()));
                    }
                }
                Act::Truncate(path, length) => {
                    if let Some(Name::File(inode)) = now.get(path) {
                        changes[*inode].0.push(Change::Truncate(*length));
                    }
                }
                Act::Sync(path) => {
                    forced_names = renamings.len();
                    if let Some(Name::File(inode)) = now.get(path) {
                        changes[*inode].1 = changes[*inode].0.len();
                    }
                }
            }
        }
        let mut kept_names = forced_names;
        while kept_names < renamings.len() && is_kept("a name") {
            kept_names += 1;
        }
        let mut names = BTreeMap::new();
        for (act, inode) in renamings[..kept_names].iter().zip(&inodes_of) {
            match act {
                Act::Make(path) => drop(names.insert(path.clone(), Name::File(inode.unwrap()))),
                Act::MakeDirectory(path) => drop(names.insert(path.clone(), Name::Directory)),
                Act::Rename(from, to) => rename(&mut names, from, to),
                Act::Remove(path) => drop(names.remove(path)),
                _ => {}
            }
        }
        let contents = changes.iter().map(|(changes, forced)| {
            let mut content = Vec::new();
            for (number, change) in changes.iter().enumerate() {
                let is_forced = number < *forced;
                match change {
                    Change::Truncate(length) => {
                        if is_forced || is_kept("a length") {
                            content.resize(*length as usize, 0);
                        }
                    }
                    Change::Write(at, data) => {
                        for (at, page) in pages(*at, data) {
                            if is_forced || is_kept("a page") {
                                put(&mut content, at, page);
                            }
                        }
                    }
                }
            }
            content
        });
        Disk {
            names,
            contents: contents.collect(),
        }
    }

    /// The content of a file, if it is there.
    pub fn content(&self, path: &Path) -> Option<&[u8]> {
        match self.names.get(path)? {
            Name::File(inode) => Some(&self.contents[*inode]),
            Name::Directory => None,
        }
    }

    /// Makes these files and directories below this one.
    pub fn put_below(&self, directory: &Path) {
        // A directory comes before what is in it.
        for (path, name) in &self.names {
            let path = directory.join(path);
            match name {
                Name::Directory => fs::create_dir_all(path).unwrap(),
                Name::File(inode) => {
                    fs::create_dir_all(path.parent().unwrap()).unwrap();
                    let file = File::create(path).unwrap();
                    file.write_all_at(&self.contents[*inode], 0).unwrap();
                }
            }
        }
    }
}

/// A directory takes along what is in it.
fn rename(names: &mut BTreeMap<PathBuf, Name>, from: &Path, to: &Path) {
    let moved: Vec<PathBuf> = names
        .keys()
        .filter(|path| path.starts_with(from))
        .cloned()
        .collect();
    for path in moved {
        let name = names.remove(&path).unwrap();
        let rest = path.strip_prefix(from).unwrap();
        let new = if rest.as_os_str().is_empty() {
            to.to_owned()
        } else {
            to.join(rest)
        };
        names.insert(new, name);
    }
}

fn put(content: &mut Vec<u8>, at: u64, data: &[u8]) {
    let (at, end) = (at as usize, at as usize + data.len());
    if content.len() < end {
        content.resize(end, 0);
    }
    content[at..end].copy_from_slice(data);
}

/// What a write is to each page of the file.
fn pages(mut at: u64, mut data: &[u8]) -> Vec<(u64, &[u8])> {
    let mut pages = Vec::new();
    while !data.is_empty() {
        let room = (PAGE - at % PAGE).min(data.len() as u64);
        let (page, rest) = data.split_at(room as usize);
        pages.push((at, page));
        (at, data) = (at + room, rest);
    }
    pages
}
