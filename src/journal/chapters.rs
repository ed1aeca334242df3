//! Which files of a journal are its chapters: one is over before the next begins, whatever else the
//! journal holds, so that they can be read each by itself, and several at once.
//!
//! They are files that journald has archived, as a rule. Where that is not certain there is no
//! chapter, and the journal is read as one, which libsystemd does in the right order. Looks at what
//! files are called, when their entries begin and end, and whether any is wanted.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};
use std::{fs, io};

use jiff::Timestamp;
use systemd::journal::OpenFilesOptions;

use super::{JournalError, Reader, Source, directories_of, timestamp};

/// With no more files that were written to since, most of what there is to read is in one of them:
/// the one before the one that is being written to.
const FEW: usize = 2;
/// Not longer than this it is looked for chapters: on a slow disk with very many files, they are not
/// worth it.
const LONGEST: Duration = Duration::from_secs(2);

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
    let none = Vec::new();
    let begin = Instant::now();
    let Some(paths) = files_of(source) else {
        return Ok(none);
    };
    let written_since = paths.iter().filter(|path| is_written_since(path, from));
    if written_since.count() <= FEW {
        return Ok(none);
    }
    let mut files = Vec::new();
    for path in &paths {
        files.extend(open(path)?);
    }
    files.sort_by_key(|file| file.begin);
    if !are_in_sequence(&files) {
        return Ok(none);
    }
    files.retain(|file| file.end >= from);
    if first_chapters(&files).len() + 1 < files.len() {
        // Files of users lie across those of the system, and hardly any matters to us.
        let mut matter = Vec::new();
        for file in files {
            if begin.elapsed() > LONGEST {
                return Ok(none);
            }
            if may_have_entries(&file.path, identifiers, from)? {
                matter.push(file);
            }
        }
        files = matter;
    }
    let chapters = first_chapters(&files);
    // Were one archived meanwhile, it would have been opened under its new name, or not at all.
    let are_the_same = files_of(source).is_some_and(|now| now == paths);
    if chapters.len() == 1 || !are_the_same {
        return Ok(none);
    }
    Ok(chapters.iter().map(|file| file.path.clone()).collect())
}

/// Those of these files, which are in the order of their beginnings, that are chapters, up to the
/// first that is none.
fn first_chapters(files: &[File]) -> &[File] {
    let is_chapter = |(n, file): (usize, &File)| {
        sequence(&file.path).is_some() && files.get(n + 1).is_none_or(|next| file.end < next.begin)
    };
    let chapters = files
        .iter()
        .enumerate()
        .take_while(|file| is_chapter(*file));
    &files[..chapters.count()]
}

/// Whether the order of their beginnings is that in which these files were written: libsystemd goes by
/// the numbers of entries where it can. Where it is not, the clock was set back.
fn are_in_sequence(files: &[File]) -> bool {
    let mut last = HashMap::new();
    let mut numbered = files.iter().filter_map(|file| sequence(&file.path));
    numbered.all(|(sequence, number)| {
        let former = last.insert(sequence, number);
        former.is_none_or(|former| former < number)
    })
}

/// The sequence that an archived file's entries are of, and the number of the first; `None` for one
/// that is being written to, or was left in disorder.
///
/// journald, and systemd-journal-remote, put them into the name of a file when nothing will be added
/// to it any more (`journal_file_archive` in their source): `system@SEQUENCE-NUMBER-TIME.journal`.
fn sequence(path: &Path) -> Option<(u128, u64)> {
    let name = path.file_name()?.to_str()?.strip_suffix(".journal")?;
    let (_, tail) = name.rsplit_once('@')?;
    let parts: Vec<&str> = tail.split('-').collect();
    let &[sequence, number, time] = parts.as_slice() else {
        return None;
    };
    if [sequence, number, time].map(str::len) != [32, 16, 16] {
        return None;
    }
    let number = u64::from_str_radix(number, 16).ok()?;
    Some((u128::from_str_radix(sequence, 16).ok()?, number))
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

fn may_have_entries(
    path: &Path,
    identifiers: &[&str],
    from: Timestamp,
) -> Result<bool, JournalError> {
    let file = Source::Files(vec![path.to_owned()]);
    let mut reader = Reader::open(&file, identifiers.iter().copied())?;
    reader.seek_time(from)?;
    // One that can't be read, libsystemd drops: then there is no newest entry.
    Ok(reader.next()? || reader.newest()?.is_none())
}

/// All files that libsystemd reads for this journal, in the order of their names; `None` if there may
/// be others.
fn files_of(source: &Source) -> Option<Vec<PathBuf>> {
    let mut files = Vec::new();
    match source {
        Source::Files(paths) => files.extend_from_slice(paths),
        Source::Directory(path) => {
            // It reads those in it too that are named like a machine's.
            if !add_files_in(path, &mut files)?.is_empty() {
                return None;
            }
        }
        Source::Host | Source::Namespace(_) => {
            for directory in directories_of(source) {
                let root = directory.parent()?;
                let beside = add_files_in(root, &mut files)?;
                // Below /run, all are taken for this machine's.
                if root.starts_with("/run") && beside.iter().any(|other| *other != directory) {
                    return None;
                }
                add_files_in(&directory, &mut files)?;
            }
        }
    }
    files.sort();
    Some(files)
}

/// Adds the journal files in this directory, if it is there, and gives the directories in it.
fn add_files_in(directory: &Path, files: &mut Vec<PathBuf>) -> Option<Vec<PathBuf>> {
    let mut directories = Vec::new();
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Some(directories),
        entries => entries.ok()?,
    };
    for entry in entries {
        let path = entry.ok()?.path();
        let name = path.file_name()?.as_encoded_bytes();
        if path.is_dir() {
            directories.push(path);
        } else if name.ends_with(b".journal") || name.ends_with(b".journal~") {
            files.push(path);
        }
    }
    Some(directories)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// As journald calls an archived file whose first entry has this number.
    fn archived(prefix: &str, number: u64) -> String {
        let sequence = "5ccdc1592f5943dabd4e499c577f32f8";
        format!("{prefix}@{sequence}-{number:016x}-00066136d0336739.journal")
    }

    fn file(name: &str, begin: i64, end: i64) -> File {
        File {
            path: name.into(),
            begin: Timestamp::from_second(begin).unwrap(),
            end: Timestamp::from_second(end).unwrap(),
        }
    }

    fn sorted(mut files: Vec<File>) -> Vec<File> {
        files.sort_by_key(|file| file.begin);
        files
    }

    fn chapters_of(files: Vec<File>) -> Vec<String> {
        let files = sorted(files);
        let chapters = first_chapters(&files).iter();
        let names = chapters.map(|file| file.path.display().to_string());
        names.collect()
    }

    #[test]
    fn what_is_over_before_the_rest_begins_is_a_chapter() {
        let [one, two, three] = [1, 2, 3].map(|n| archived("system", n));
        let files = vec![
            file("system.journal", 50, 60),
            file(&three, 30, 49),
            file(&one, 10, 19),
            file(&two, 20, 20),
        ];
        assert_eq!(chapters_of(files), [one.clone(), two.clone(), three]);
        // All of them, where nothing is written to.
        let files = vec![file(&two, 20, 30), file(&one, 10, 19)];
        assert_eq!(chapters_of(files), [one, two]);
    }

    #[test]
    fn what_is_written_to_or_was_left_in_disorder_or_lies_across_ends_them() {
        let [one, three] = [1, 3].map(|n| archived("system", n));
        for between in [
            file("user-1000.journal", 25, 26),
            file("system@00066136d0336739-00066136d0336739.journal~", 25, 26),
            file("pop@example.org.journal", 25, 26),
            file(&archived("user-1000", 2), 25, 35),
            file(&archived("user-1000", 2), 25, 30),
        ] {
            let files = vec![
                file(&one, 10, 19),
                file(&three, 30, 39),
                file("system.journal", 40, 50),
                between,
            ];
            assert_eq!(chapters_of(files), [one.as_str()]);
        }
        let files = vec![file(&one, 10, 19), file("system.journal", 19, 30)];
        assert!(chapters_of(files).is_empty());
    }

    #[test]
    fn where_the_clock_was_set_back_the_numbers_of_entries_tell() {
        let in_sequence = |files| are_in_sequence(&sorted(files));
        let [one, two, three] = [1, 2, 3].map(|n| archived("system", n));
        let user = archived("user-1000", 4);
        assert!(in_sequence(vec![
            file(&one, 10, 19),
            file("system.journal", 40, 50),
            file(&two, 20, 29),
            file(&user, 25, 35),
        ]));
        assert!(!in_sequence(vec![
            file(&one, 110, 119),
            file(&two, 20, 29),
            file(&three, 30, 39),
        ]));
        // Sequences have nothing to do with each other.
        let other = one.replace("5ccd", "0000");
        assert!(in_sequence(vec![
            file(&three, 10, 19),
            file(&other, 20, 29)
        ]));
    }

    proptest! {
        #[test]
        fn all_other_entries_come_behind_a_chapter(
            spans in prop::collection::vec((0i64..100, 0i64..10, any::<bool>()), 0..12)
        ) {
            let of_span = |(begin, length, is_archived): (i64, i64, bool)| {
                let name = match is_archived {
                    true => archived("system", 1),
                    false => "system.journal".to_owned(),
                };
                file(&name, begin, begin + length)
            };
            let files = sorted(spans.into_iter().map(of_span).collect());
            let chapters = first_chapters(&files);
            for (n, chapter) in chapters.iter().enumerate() {
                prop_assert!(sequence(&chapter.path).is_some());
                prop_assert!(files[n + 1..].iter().all(|other| chapter.end < other.begin));
            }
            // And the next is none, for a reason.
            if let Some(next) = files.get(chapters.len()) {
                let others = &files[chapters.len() + 1..];
                prop_assert!(
                    sequence(&next.path).is_none()
                        || others.iter().any(|other| other.begin <= next.end)
                );
            }
        }
    }
}
