//! A journal file whose last entry journald has not finished yet.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// A journal file as it is while its last message is being linked.
pub struct HalfWritten {
    path: PathBuf,
    /// Where the file has how many entries have the message.
    number: u64,
}

impl HalfWritten {
    /// Makes it one. Systemd's JOURNAL_FILE_FORMAT.md has the offsets.
    pub fn make(path: &Path, message: &str) -> Self {
        let bytes = fs::read(path).unwrap();
        let payload = format!("MESSAGE={message}");
        let mut found = (0..bytes.len()).filter(|at| bytes[*at..].starts_with(payload.as_bytes()));
        let payload = found.next().unwrap();
        assert_eq!(found.next(), None);
        let is_compact = bytes[12] & 1 << 4 != 0;
        let number = payload - if is_compact { 16 } else { 8 };
        assert_eq!(bytes[number], 1);
        let half = HalfWritten {
            path: path.to_owned(),
            number: number.try_into().unwrap(),
        };
        half.write(0);
        half
    }

    fn write(&self, entries: u8) {
        let file = File::options().write(true).open(&self.path).unwrap();
        file.write_all_at(&[entries], self.number).unwrap();
    }

    /// journald goes on.
    pub fn finish(self) {
        self.write(1);
    }
}
