//! A publication that takes too long: nothing bounds the start of a program, or the way to the disk,
//! where a file system hangs. It is told of, and goes on.
//!
//! Pure, but for what it says: it is told the time.

use std::time::Instant;

use super::schedule::LONG;
use crate::diagnostics::{self, Kept};

/// What was said of the publication under way.
#[derive(Debug, Default)]
pub struct Lateness {
    told: Option<(Kept, String)>,
}

impl Lateness {
    /// Tells of a publication that is late from then on, and again when somebody's grace has passed
    /// meanwhile. Says when there will be something to tell.
    pub fn tell(&mut self, late_from: Instant, kept: Kept, now: Instant) -> Option<Instant> {
        if now < late_from {
            return Some(late_from);
        }
        if self.told.as_ref().is_none_or(|(told, _)| *told != kept) {
            self.told = Some((kept, diagnostics::publication_late(LONG, kept)));
        }
        None
    }

    /// It has come to its end.
    pub fn over(&mut self) {
        self.told = None;
    }

    /// What is wrong now.
    pub fn trouble(&self) -> Option<&String> {
        self.told.as_ref().map(|(_, text)| text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_told_when_it_is_late_and_when_a_client_stays_in_for_it() {
        let late_from = Instant::now();
        let mut lateness = Lateness::default();
        let soon = late_from.checked_sub(LONG).unwrap();
        assert_eq!(lateness.tell(late_from, Kept::Old, soon), Some(late_from));
        assert_eq!(lateness.trouble(), None);
        assert_eq!(lateness.tell(late_from, Kept::Old, late_from), None);
        assert!(lateness.trouble().unwrap().contains("the old one is kept"));
        assert_eq!(lateness.tell(late_from, Kept::TooMuch, late_from), None);
        let trouble = lateness.trouble().unwrap();
        assert!(
            trouble.contains("a client that may no longer relay"),
            "{trouble}"
        );
        lateness.over();
        assert_eq!(lateness.trouble(), None);
    }
}
