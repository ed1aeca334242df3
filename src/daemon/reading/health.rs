//! What of the journal can't be read, or not be written, for how long, and what is said of it.
//!
//! Pure: it is told what happened and when. Must never take a journal for whole that is not: the
//! place in it that is kept stays where all could be read (see [`JournalHealth::is_whole`]).

use std::time::{Duration, Instant};

use crate::journal::{NoRoom, Unreadable};

/// After so long, a service that can't read its journal goes on without: whoever has started it is
/// told, and what is known otherwise is published. So it does where one of several is slow.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// So many files are named.
const NAMED: usize = 3;
/// It looks with rights that the service does not have.
const WHAT_TO_DO: &str = "'pop-before-smtp doctor', as root, says what to do";

/// What is wrong with the journal.
#[derive(Debug, Default)]
pub struct JournalHealth {
    /// Why nothing can, and since when.
    trouble: Option<(Instant, String)>,
    /// Which files can't.
    unreadable: Vec<Unreadable>,
    of_files: Option<String>,
    /// Why it can't be written.
    no_room: Option<String>,
}

impl JournalHealth {
    /// Nothing can be read. Says whether that is new.
    pub fn lost(&mut self, error: &str, now: Instant) -> bool {
        let text = format!(
            "{error}\nnobody is listed until it can be read; it is tried again; {WHAT_TO_DO}"
        );
        let since = self.trouble.as_ref().map(|(since, _)| *since);
        self.trouble = Some((since.unwrap_or(now), text));
        since.is_none()
    }

    /// The journal can be read again.
    pub fn recovered(&mut self) {
        self.trouble = None;
    }

    /// These of its files can't be read. Says what is to be told, if there is any that could be.
    pub fn files(&mut self, unreadable: Vec<Unreadable>) -> Option<&str> {
        let is_new = |file: &Unreadable| !self.unreadable.iter().any(|old| old.path == file.path);
        let any_is_new = unreadable.iter().any(is_new);
        self.of_files = describe(&unreadable);
        self.unreadable = unreadable;
        self.of_files.as_deref().filter(|_| any_is_new)
    }

    /// journald has no room to write, or has it again.
    pub fn room(&mut self, no_room: Option<&NoRoom>) {
        self.no_room = no_room.map(ToString::to_string);
    }

    /// Whether all files can be read. As long as they can't, no place in the journal is kept beyond
    /// the one where they could: what they hold is to be read when they can be again.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.unreadable.is_empty()
    }

    /// Whether nothing can be read.
    #[must_use]
    pub fn is_lost(&self) -> bool {
        self.trouble.is_some()
    }

    /// When nobody is to wait for the journal any more, if it stays as it is.
    #[must_use]
    pub fn patience_ends(&self) -> Option<Instant> {
        self.trouble.as_ref().map(|(since, _)| *since + PATIENCE)
    }

    /// What is wrong now.
    pub fn problems(&self) -> impl Iterator<Item = &String> {
        let trouble = self.trouble.iter().map(|(_, text)| text);
        trouble.chain(&self.no_room).chain(&self.of_files)
    }
}

/// One file a line, some of them.
fn describe(files: &[Unreadable]) -> Option<String> {
    if files.is_empty() {
        return None;
    }
    let named = files.iter().take(NAMED).map(ToString::to_string);
    let mut lines: Vec<String> = named.collect();
    if files.len() > NAMED {
        lines.push(format!(
            "and {} more files of the journal",
            files.len() - NAMED
        ));
    }
    lines.push(format!(
        "all other files are read; the logins and logouts in these count as soon as they can be; \
         {WHAT_TO_DO}"
    ));
    Some(lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patience_is_counted_from_when_it_was_lost() {
        let mut health = JournalHealth::default();
        let begin = Instant::now();
        assert_eq!(health.patience_ends(), None);
        assert!(health.lost("gone", begin));
        assert!(!health.lost("still gone", begin + PATIENCE));
        assert_eq!(health.patience_ends(), Some(begin + PATIENCE));
        assert!(
            health
                .problems()
                .next()
                .unwrap()
                .starts_with("still gone\n")
        );
        health.recovered();
        assert_eq!(health.patience_ends(), None);
        assert!(health.lost("gone", begin + 2 * PATIENCE));
        assert_eq!(health.patience_ends(), Some(begin + 3 * PATIENCE));
    }
}
