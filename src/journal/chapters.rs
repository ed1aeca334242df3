//! Which files of a journal are its chapters: one is over before the next begins, whatever else the
//! journal holds, so that they can be read each by itself, and several at once.
//!
//! They are files that journald has archived, as a rule. Where that is not certain there is no
//! chapter, and the journal is read as one, which libsystemd does in the right order. Looks at what
//! files are called and when their entries begin and end; reads none.

use std::path::{Path, PathBuf};
use std::{fs, io};

use jiff::Timestamp;
use systemd::journal::OpenFilesOptions;

use super::{JournalError, Reader, Source, directories_of, timestamp};

/// With no more files that were written to since, most of what there is to read is in one of them:
/// the one before the one that is being written to.
const FEW: usize = 2;

/// A journal file, and the times of its first and its last entry.
#[derive(Debug, Clone, PartialEq, Eq)]
struct File {
    path: PathBuf,
    begin: Timestamp,
    end: Timestamp,
}

/// The first chapters of a journal from `from` on, in order: all entries of these identifiers that are
/// in its other files come behind them. None where there would be but one.
///
/// # Errors
/// When a file can't be opened.
pub fn chapters(
    source: &Source,
    identifiers: &[&str],
    from: Timestamp,
) -> Result<Vec<PathBuf>, JournalError> {
    let Some(paths) = files_of(source) else {
        return Ok(Vec::new());
    };
    let written_since = paths.iter().filter(|path| is_written_since(path, from));
    if written_since.count() <= FEW {
        return Ok(Vec::new());
    }
    let mut files = Vec::new();
    for path in &paths {
        files.extend(open(path)?.filter(|file| file.end >= from));
    }
    if files_of(source).as_ref() != Some(&paths) {
        // One was archived meanwhile, and may have been opened by its new name or not at all.
        return Ok(Vec::new());
    }
    files.sort_by_key(|file| file.begin);
    if first_chapters(&files).len() + 1 < files.len() {
        // Files of users lie across those of the system, and hardly any matters to us.
        let mut matter = Vec::new();
        for file in files {
            if has_entries(&file.path, identifiers, from)? {
                matter.push(file);
            }
        }
        files = matter;
    }
    let chapters = first_chapters(&files);
    Ok(match chapters.len() {
        1 => Vec::new(),
        _ => chapters.iter().map(|file| file.path.clone()).collect(),
    })
}

/// Those of these files, which are in the order of their beginnings, that are chapters, up to the
/// first that is none.
fn first_chapters(files: &[File]) -> &[File] {
    let is_chapter = |(n, file): (usize, &File)| {
        is_archived(&file.path) && files.get(n + 1).is_none_or(|next| file.end < next.begin)
    };
    let chapters = files
        .iter()
        .enumerate()
        .take_while(|file| is_chapter(*file));
    &files[..chapters.count()]
}

/// Whether nothing will be added to this file. journald gives such names to those that it has left
/// in good order (`journal_file_archive` in its source); others end with a `~`.
fn is_archived(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().as_encoded_bytes();
    name.contains(&b'@') && name.ends_with(b".journal")
}

fn is_written_since(path: &Path, time: Timestamp) -> bool {
    let written = fs::metadata(path).and_then(|found| found.modified());
    written.is_ok_and(|written| Timestamp::try_from(written).is_ok_and(|written| written >= time))
}

/// A file's times; `None` if it has no entries.
fn open(path: &Path) -> Result<Option<File>, JournalError> {
    let files = [path.as_os_str().as_encoded_bytes()];
    let opened = OpenFilesOptions::default().open_files(files);
    let journal = opened.map_err(|source| JournalError::Open {
        what: path.display().to_string(),
        source,
    })?;
    let times = journal.cutoff_realtime_usec()?;
    Ok(times.map(|(begin, end)| File {
        path: path.to_owned(),
        begin: timestamp(begin),
        end: timestamp(end),
    }))
}

fn has_entries(path: &Path, identifiers: &[&str], from: Timestamp) -> Result<bool, JournalError> {
    let file = Source::Files(vec![path.to_owned()]);
    let mut reader = Reader::open(&file, identifiers.iter().copied())?;
    reader.seek_time(from)?;
    reader.next()
}

/// All files that libsystemd reads for this journal, in the order of their names; `None` if there may
/// be others.
fn files_of(source: &Source) -> Option<Vec<PathBuf>> {
    let mut files = Vec::new();
    match source {
        Source::Files(paths) => files.extend_from_slice(paths),
        Source::Directory(path) => {
            // It reads those in it too that are named like a machine's.
            if add_files_in(path, &mut files)? {
                return None;
            }
        }
        Source::Host | Source::Namespace(_) => {
            for directory in directories_of(source) {
                add_files_in(directory.parent()?, &mut files)?;
                add_files_in(&directory, &mut files)?;
            }
        }
    }
    files.sort();
    Some(files)
}

/// Adds the journal files in this directory, if it is there. Says whether it has directories in it.
fn add_files_in(directory: &Path, files: &mut Vec<PathBuf>) -> Option<bool> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Some(false),
        entries => entries.ok()?,
    };
    let mut has_directories = false;
    for entry in entries {
        let path = entry.ok()?.path();
        let name = path.file_name()?.as_encoded_bytes();
        if path.is_dir() {
            has_directories = true;
        } else if name.ends_with(b".journal") || name.ends_with(b".journal~") {
            files.push(path);
        }
    }
    Some(has_directories)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn file(name: &str, begin: i64, end: i64) -> File {
        File {
            path: name.into(),
            begin: Timestamp::from_second(begin).unwrap(),
            end: Timestamp::from_second(end).unwrap(),
        }
    }

    fn chapters_of(mut files: Vec<File>) -> Vec<String> {
        files.sort_by_key(|file| file.begin);
        let chapters = first_chapters(&files).iter();
        chapters
            .map(|file| file.path.display().to_string())
            .collect()
    }

    #[test]
    fn what_is_over_before_the_rest_begins_is_a_chapter() {
        let files = vec![
            file("system.journal", 50, 60),
            file("system@3.journal", 30, 49),
            file("system@1.journal", 10, 19),
            file("system@2.journal", 20, 20),
        ];
        let chapters = ["system@1.journal", "system@2.journal", "system@3.journal"];
        assert_eq!(chapters_of(files), chapters);
        // All of them, where nothing is written to.
        let files = vec![file("a@2.journal", 20, 30), file("a@1.journal", 10, 19)];
        assert_eq!(chapters_of(files), ["a@1.journal", "a@2.journal"]);
    }

    #[test]
    fn what_is_written_to_or_was_left_in_disorder_or_lies_across_ends_them() {
        for between in [
            file("user-1000.journal", 25, 26),
            file("system@2.journal~", 25, 26),
            file("user-1000@1.journal", 25, 35),
            file("user-1000@1.journal", 25, 30),
        ] {
            let files = vec![
                file("system@1.journal", 10, 19),
                file("system@3.journal", 30, 39),
                file("system.journal", 40, 50),
                between,
            ];
            assert_eq!(chapters_of(files), ["system@1.journal"]);
        }
        let files = vec![
            file("system@1.journal", 10, 19),
            file("system.journal", 19, 30),
        ];
        assert!(chapters_of(files).is_empty());
    }

    proptest! {
        #[test]
        fn all_other_entries_come_behind_a_chapter(
            spans in prop::collection::vec((0i64..100, 0i64..10, any::<bool>()), 0..12)
        ) {
            let name = |n: usize, archived: bool| if archived { format!("a@{n}.journal") } else { format!("{n}.journal") };
            let mut files: Vec<File> = spans
                .iter()
                .enumerate()
                .map(|(n, (begin, length, archived))| file(&name(n, *archived), *begin, begin + length))
                .collect();
            files.sort_by_key(|file| file.begin);
            let chapters = first_chapters(&files);
            for (n, chapter) in chapters.iter().enumerate() {
                prop_assert!(is_archived(&chapter.path));
                prop_assert!(files[n + 1..].iter().all(|other| chapter.end < other.begin));
            }
            // And the next is none, for a reason.
            if let Some(next) = files.get(chapters.len()) {
                let others = &files[chapters.len() + 1..];
                prop_assert!(
                    !is_archived(&next.path) || others.iter().any(|other| other.begin <= next.end)
                );
            }
        }
    }
}
