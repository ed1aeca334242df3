//! Reads ahead: the chapters of a journal, each in a thread of its own, while the one before is read.
//!
//! To read entries takes libsystemd longer than anything else that is done with them, and one
//! handle of it keeps but one processor busy. What is read is taken in in the journal's order all the
//! same: a chapter's entries come when those of the one before have come, all of them.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::thread;

use super::batch::{self, Failure};
use super::entry_channel::{self, EntrySender, NobodyListens, Read};
use super::start_position::StartPosition;
use super::{Position, Reader, Source};

/// How many chapters are read at once.
const AT_ONCE: usize = 3;
/// How many batches of a chapter may wait for those of the one before: it bounds what is in memory. So
/// many of six chapters at the very most: three that are read, and three that are on their way.
const BATCHES: usize = 64;

/// How far a chapter has been read.
#[derive(Default)]
struct Ended {
    /// Its last entry that was handed over.
    position: Option<Position>,
    /// Whether there is no more of it.
    at_end: bool,
}

/// Reads these chapters, in order, from `begin` on, and moves it behind the last entry. Stops where
/// one can't be read, or its place is not in it: whoever reads on from `begin` will see why.
///
/// # Errors
/// When nobody receives any more.
pub fn read<T: Send>(
    chapters: Vec<PathBuf>,
    identifiers: &[&str],
    begin: &mut StartPosition,
    to: &EntrySender<T>,
) -> Result<(), NobodyListens> {
    let mut first = Some(begin.clone());
    thread::scope(|scope| {
        let start = |chapter| {
            let (to, reads) = entry_channel::channel(BATCHES);
            let first = first.take();
            let reader = thread::Builder::new().name("reader".to_owned());
            let read = move || read_chapter(chapter, identifiers, first.as_ref(), &to);
            Some((reader.spawn_scoped(scope, read).ok()?, reads))
        };
        // Without a thread to be had, that was all: a chapter must never be passed over.
        let mut readers = chapters.into_iter().map_while(start).fuse();
        let mut under_way = VecDeque::new();
        loop {
            under_way.extend(readers.by_ref().take(AT_ONCE - under_way.len()));
            let Some((reader, reads)) = under_way.pop_front() else {
                return Ok(());
            };
            to.send(Read::Chapter(reads))?;
            let Ok(ended) = reader.join() else {
                return Ok(());
            };
            if let Some(position) = ended.position {
                begin.move_behind(position);
            }
            if !ended.at_end {
                return Ok(());
            }
        }
    })
}

/// Reads a chapter, the first one from its place on.
fn read_chapter<T>(
    chapter: PathBuf,
    identifiers: &[&str],
    first: Option<&StartPosition>,
    to: &EntrySender<T>,
) -> Ended {
    let mut ended = Ended::default();
    // What is wrong, whoever reads on will find too.
    let _ = try_chapter(chapter, identifiers, first, to, &mut ended);
    ended
}

fn try_chapter<T>(
    chapter: PathBuf,
    identifiers: &[&str],
    first: Option<&StartPosition>,
    to: &EntrySender<T>,
    ended: &mut Ended,
) -> Result<(), Failure> {
    let mut reader = Reader::open(&Source::Files(vec![chapter]), identifiers.iter().copied())?;
    reader.hurry()?;
    match first {
        Some(begin) => {
            if begin.go_to(&mut reader)?.is_some() {
                return Ok(());
            }
        }
        None => reader.seek_head()?,
    }
    loop {
        let batch = batch::read(&mut reader, to, false)?;
        // A file that libsystemd can't read on with, it drops, and then there is no more as well.
        ended.at_end = batch.at_end && reader.newest()?.is_some();
        if batch.position.is_some() {
            ended.position = batch.position;
        }
        if batch.at_end {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    fn read_what_is_gone(to: &EntrySender<()>) -> (Result<(), NobodyListens>, StartPosition) {
        let mut begin = StartPosition::At(Timestamp::UNIX_EPOCH);
        let chapters = vec!["/does/not/exist@1.journal".into(); 5];
        (read(chapters, &["dovecot"], &mut begin, to), begin)
    }

    #[test]
    fn a_chapter_that_is_gone_ends_it_where_it_was() {
        let (to, _reads) = entry_channel::channel(1);
        let (read, begin) = read_what_is_gone(&to);
        assert!(read.is_ok());
        assert_eq!(begin.time(), Timestamp::UNIX_EPOCH);
    }

    #[test]
    fn it_ends_when_nobody_receives() {
        let (to, reads) = entry_channel::channel(1);
        drop(reads);
        assert!(read_what_is_gone(&to).0.is_err());
    }
}
