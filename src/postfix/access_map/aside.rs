//! The files of a map in the making, and their way into the place of the live ones.
//!
//! Must never write to a live file: they are only ever replaced, by rename(2).

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use super::{MODE, PublishError, file_error, with_suffix};
use crate::postfix::map_type::MapType;

/// The files of a map in the making, beside the live ones; they are removed when this is dropped.
pub(super) struct Aside {
    pub(super) kind: MapType,
    pub(super) source: PathBuf,
    pub(super) index: PathBuf,
}

/// Files aside that are complete, proved, and on the disk.
pub(super) struct Built<'a> {
    pub(super) aside: &'a Aside,
}

impl Aside {
    pub(super) fn new(path: &Path, kind: MapType) -> Self {
        let source = with_suffix(path, ".new");
        let index = kind.index(&source);
        Aside {
            kind,
            source,
            index,
        }
    }

    /// Removes all that a publication may leave behind, of whatever type.
    pub(super) fn remove(&self) -> Result<(), PublishError> {
        let mut paths: Vec<PathBuf> = MapType::ALL.map(|kind| kind.index(&self.source)).into();
        // postmap builds a cdb aside by itself, and leaves that file when it is killed.
        paths.push(with_suffix(&MapType::Cdb.index(&self.source), ".tmp"));
        // So does Berkeley DB, when the disk is full too; and it never gets over that file.
        let berkeley = MapType::Hash.index(&self.source);
        if let Some(name) = berkeley.file_name() {
            let mut temporary = OsString::from("__db.");
            temporary.push(name);
            paths.push(berkeley.with_file_name(temporary));
        }
        paths.push(self.source.clone());
        for path in &paths {
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(file_error(path, "can't remove")(error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Makes the source of what `write` writes, piece by piece: it may be large.
    pub(super) fn write_source(
        &self,
        write: impl FnOnce(&mut BufWriter<&File>) -> io::Result<()>,
    ) -> Result<File, PublishError> {
        let failed = || file_error(&self.source, "can't write");
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(MODE)
            .open(&self.source)
            .map_err(failed())?;
        file.set_permissions(Permissions::from_mode(MODE))
            .and_then(|()| {
                let mut buffered = BufWriter::with_capacity(1 << 16, &file);
                write(&mut buffered)?;
                buffered.flush()
            })
            .map_err(failed())?;
        Ok(file)
    }

    /// Opens the index that postmap has made, and makes it readable by Postfix.
    pub(super) fn open_index(&self) -> Result<File, PublishError> {
        let opened = OpenOptions::new()
            .read(true)
            .custom_flags(OFlags::NOFOLLOW.bits().cast_signed())
            .open(&self.index);
        let index = match opened {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(PublishError::NoIndex {
                    kind: self.kind,
                    source_file: self.source.clone(),
                    path: self.index.clone(),
                });
            }
            other => other.map_err(file_error(&self.index, "can't open"))?,
        };
        index
            .set_permissions(Permissions::from_mode(MODE))
            .map_err(file_error(&self.index, "can't set the mode"))?;
        Ok(index)
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        // What can't be removed now is in the way of the next publication, which reports it.
        let _ = self.remove();
    }
}

impl Built<'_> {
    /// Puts index and source into place. The index first: a source that is newer than its index
    /// would make Postfix warn.
    pub(super) fn install(self, path: &Path) -> Result<(), PublishError> {
        self.rename_index(path)?;
        fs::rename(&self.aside.source, path).map_err(file_error(path, "can't put in place"))?;
        sync_directory(path)
    }

    /// Puts the index alone into place.
    pub(super) fn install_index(self, path: &Path) -> Result<(), PublishError> {
        self.rename_index(path)?;
        sync_directory(path)
    }

    fn rename_index(&self, path: &Path) -> Result<(), PublishError> {
        let live = self.aside.kind.index(path);
        fs::rename(&self.aside.index, &live).map_err(file_error(&live, "can't put in place"))
    }
}

/// Makes the renames last.
fn sync_directory(path: &Path) -> Result<(), PublishError> {
    let directory = directory(path);
    File::open(directory)
        .and_then(|directory| directory.sync_all())
        .map_err(file_error(directory, "can't sync"))
}

/// The directory that a file is in.
pub(super) fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    }
}
