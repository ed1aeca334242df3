//! What programs have reported: entries found by fields, from the journal's own index.
//!
//! Few are kept, however many there are. The fields to match must include one that journald vouches
//! for (`_UID`, `_TRANSPORT`, `_SYSTEMD_UNIT`), or anybody can have written what is found.

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;

use super::{JournalError, Reader, Source};

/// An entry, with those of its fields that are text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// When the journal received it.
    pub time: Timestamp,
    fields: BTreeMap<String, String>,
}

impl Report {
    /// The value of a field; empty if the entry has none of that name.
    #[must_use]
    pub fn get(&self, field: &str) -> &str {
        self.fields.get(field).map_or("", String::as_str)
    }
}

#[cfg(test)]
impl Report {
    /// An entry with these fields.
    pub fn of(time: Timestamp, fields: &[(&str, &str)]) -> Self {
        let fields = fields.iter();
        Report {
            time,
            fields: fields
                .map(|(k, v)| (k.to_string(), v.to_string()))
                .collect(),
        }
    }
}

/// The last `most` entries since `since` in which each field has the value that is given for it;
/// values of the same field are alternatives.
///
/// # Errors
/// When the journal can't be opened or read, or is there and may not be read.
pub fn reports(
    source: &Source,
    fields: &[(&str, &str)],
    since: Timestamp,
    most: usize,
) -> Result<Vec<Report>, JournalError> {
    let mut reader = Reader::open(source, [""; 0])?;
    for &(name, value) in fields {
        reader.journal.match_add(name, value)?;
    }
    reader.seek_time(since)?;
    let mut reports = VecDeque::new();
    while reader.next()? {
        let time = reader.time()?;
        if reports.len() >= most {
            reports.pop_front();
        }
        reports.push_back(Report {
            time,
            fields: reader.fields()?,
        });
    }
    Ok(reports.into())
}

/// When the last entry of a journal was received; `None` if there is none.
///
/// # Errors
/// When the journal can't be opened or read, or is there and may not be read.
pub fn end(source: &Source) -> Result<Option<Timestamp>, JournalError> {
    let mut reader = Reader::open(source, [""; 0])?;
    reader.journal.seek_tail()?;
    let found = reader.journal.previous()? > 0;
    found.then(|| reader.time()).transpose()
}

impl Reader {
    fn fields(&mut self) -> Result<BTreeMap<String, String>, JournalError> {
        let mut fields = BTreeMap::new();
        self.journal.restart_data();
        while let Some(field) = self.journal.enumerate_data()? {
            let value = field.value().and_then(|v| std::str::from_utf8(v).ok());
            if let (Ok(name), Some(value)) = (std::str::from_utf8(field.name()), value) {
                fields.insert(name.to_owned(), value.to_owned());
            }
        }
        Ok(fields)
    }
}
