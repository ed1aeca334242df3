//! Entries in the journal's export format, one after the other: what `journalctl --output=export`
//! writes, and systemd-journal-remote(8) reads.
//!
//! <https://systemd.io/JOURNAL_EXPORT_FORMATS/>: a field is a line `NAME=value`, or a line `NAME`,
//! the length of its value in eight bytes, that value and a line feed; an empty line ends an entry.
//! Pure. Whoever writes it may be hostile: must never keep more in memory than one entry of the largest
//! size.

use std::io::{self, BufRead, Read};

use jiff::Timestamp;

use super::seen::EntryId;

/// How many bytes an entry has at the most. A login has one or two thousand. Anybody can write larger
/// ones, so that they must stop nothing: they are passed over.
const LARGEST: usize = 16 * 1024;

/// An entry, as it came.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Exported {
    /// All of it, with the empty line at its end; nothing if it is too large.
    pub bytes: Vec<u8>,
    /// Whether it is too large.
    pub is_too_large: bool,
    /// The machine that it says it was written on: `_MACHINE_ID`.
    pub machine: Option<String>,
    /// When it was written, by its own clock: `__REALTIME_TIMESTAMP`.
    pub time: Option<Timestamp>,
    /// By what it is known again: `__CURSOR`.
    pub id: Option<EntryId>,
    /// Whether it has a `MESSAGE`.
    pub has_message: bool,
    /// Whether it has a `_PID`.
    pub has_pid: bool,
}

/// It is not an export.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// It can't be read.
    #[error("can't be read: {0}")]
    Read(#[from] io::Error),
    /// It breaks off, or is something else.
    #[error("sends something that is not a journal")]
    Malformed,
}

/// Reads an entry; `None` at the end. What comes before the end of an entry is no entry.
///
/// # Errors
/// When it is not an export.
pub fn next(from: &mut impl BufRead) -> Result<Option<Exported>, ExportError> {
    let mut entry = Exported::default();
    let mut is_begun = false;
    let mut line = Vec::new();
    while read_line(from, &mut line)? {
        if line == b"\n" {
            if !is_begun {
                // Between entries there may be more than one.
                continue;
            }
            entry.add(&line);
            return Ok(Some(entry));
        }
        is_begun = true;
        entry.add(&line);
        let end = line.len().saturating_sub(1);
        match line.iter().position(|byte| *byte == b'=') {
            Some(0) => return Err(ExportError::Malformed),
            Some(at) => match (&line[..at], &line[at + 1..end.max(at + 1)]) {
                (b"_MACHINE_ID", id) => entry.machine = Some(String::from_utf8_lossy(id).into()),
                (b"__REALTIME_TIMESTAMP", time) => entry.time = microseconds(time),
                (b"__CURSOR", cursor) => entry.id = EntryId::of_cursor(cursor),
                (b"MESSAGE", _) => entry.has_message = true,
                (b"_PID", _) => entry.has_pid = true,
                _ => {}
            },
            None if line.ends_with(b"\n") => {
                entry.has_message |= line == b"MESSAGE\n";
                read_binary(from, &mut entry)?;
            }
            None => return Err(ExportError::Malformed),
        }
    }
    Ok(None)
}

/// Microseconds since the epoch, in digits.
fn microseconds(digits: &[u8]) -> Option<Timestamp> {
    let number = str::from_utf8(digits).ok()?.parse().ok()?;
    Timestamp::from_microsecond(number).ok()
}

/// Reads a line, or as much of it as an entry has room for and one byte more: the rest is passed over.
/// False if it has no end, as the other side is gone.
fn read_line(from: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    let room = LARGEST as u64 + 1;
    from.by_ref().take(room).read_until(b'\n', line)?;
    if line.ends_with(b"\n") {
        return Ok(true);
    }
    Ok(line.len() as u64 == room && from.skip_until(b'\n')? > 0)
}

/// The value of a field whose name has just been read.
fn read_binary(from: &mut impl BufRead, entry: &mut Exported) -> Result<(), ExportError> {
    let mut length = [0; 8];
    from.read_exact(&mut length)?;
    entry.add(&length);
    let length = u64::from_le_bytes(length).saturating_add(1);
    let mut rest = from.take(length);
    let mut value = Vec::new();
    rest.by_ref()
        .take(LARGEST as u64 + 1)
        .read_to_end(&mut value)?;
    entry.add(&value);
    let last = value.last().copied();
    io::copy(&mut rest, &mut io::sink())?;
    let is_whole = rest.limit() == 0;
    let is_ended = length > LARGEST as u64 || last == Some(b'\n');
    if is_whole && is_ended {
        Ok(())
    } else {
        Err(ExportError::Malformed)
    }
}

impl Exported {
    /// Adds a piece, as long as there is room.
    fn add(&mut self, piece: &[u8]) {
        if self.is_too_large || self.bytes.len() + piece.len() > LARGEST {
            self.is_too_large = true;
            self.bytes = Vec::new();
        } else {
            self.bytes.extend_from_slice(piece);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const LOGIN: &[u8] =
        b"__CURSOR=s=1;i=2;b=3;m=4;t=5;x=6\n__REALTIME_TIMESTAMP=5\n_MACHINE_ID=aa\nMESSAGE=hello\n\n";

    fn all(mut bytes: &[u8]) -> Result<Vec<Exported>, ExportError> {
        let mut entries = Vec::new();
        while let Some(entry) = next(&mut bytes)? {
            entries.push(entry);
        }
        Ok(entries)
    }

    #[test]
    fn entries_come_one_by_one_as_they_are() {
        let binary = [
            b"MESSAGE\n\x03\0\0\0\0\0\0\0a\n=\n_MACHINE_ID=bb\n\n".as_slice(),
            LOGIN,
        ];
        let entries = all(&binary.concat()).unwrap();
        assert_eq!(entries.len(), 2);
        assert_eq!(entries[0].machine.as_deref(), Some("bb"));
        assert_eq!(entries[1].machine.as_deref(), Some("aa"));
        assert_eq!(entries[1].bytes, LOGIN);
        assert!(
            entries
                .iter()
                .all(|entry| entry.has_message && !entry.has_pid)
        );
        assert_eq!(entries[0].time, None);
        assert_eq!(entries[1].time.unwrap().as_microsecond(), 5);
        assert_eq!(
            entries[1].id,
            EntryId::of_cursor(b"s=9;i=9;b=3;m=4;t=5;x=6")
        );
    }

    #[test]
    fn one_without_its_message_or_its_pid_is_known() {
        let entries = all(b"_PID=1\nMESSAGE_ID=x\n\n_PID=1\nMESSAGE=\n\n").unwrap();
        let has = |entry: &Exported| (entry.has_message, entry.has_pid);
        assert_eq!(
            entries.iter().map(has).collect::<Vec<_>>(),
            [(false, true), (true, true)]
        );
    }

    #[test]
    fn one_that_is_cut_off_is_none() {
        for end in 1..LOGIN.len() {
            let entries = all(&[LOGIN, &LOGIN[..end]].concat()).unwrap();
            assert_eq!(entries.len(), 1, "{end}");
        }
    }

    #[test]
    fn one_that_is_too_large_is_passed_over_and_stops_nothing() {
        let long = [b"MESSAGE=".as_slice(), &vec![b'x'; 2 * LARGEST], b"\n\n"].concat();
        let many = [b"A=1\n".repeat(LARGEST), b"\n".to_vec()].concat();
        let length = (3 * LARGEST as u64).to_le_bytes();
        let binary = [
            b"MESSAGE\n".as_slice(),
            &length,
            &vec![b'\n'; 3 * LARGEST],
            b"\n\n",
        ]
        .concat();
        for large in [long, many, binary] {
            let entries = all(&[&large, LOGIN].concat()).unwrap();
            assert_eq!(entries.len(), 2);
            assert!(entries[0].is_too_large && entries[0].bytes.is_empty());
            assert_eq!(entries[1].bytes, LOGIN);
        }
    }

    #[test]
    fn nothing_grows_without_end() {
        // It promises more than there ever is.
        let lies = b"MESSAGE\n\xff\xff\xff\xff\xff\xff\xff\xffx\n\n";
        assert!(matches!(all(lies), Err(ExportError::Malformed)));
        let no_field = vec![b'x'; 2 * LARGEST];
        assert!(all(&no_field).unwrap_or_default().is_empty());
        let mut line = Vec::new();
        let _ = read_line(&mut no_field.as_slice(), &mut line);
        assert!(line.capacity() <= 4 * LARGEST, "{}", line.capacity());
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes: Vec<u8>) {
            let _ = all(&bytes);
        }
    }
}
