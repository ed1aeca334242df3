//! Which entries have been carried already. A journal is asked for by time, and a little more than is
//! needed: so entries come twice, and are kept once.
//!
//! Pure.

use std::collections::HashSet;

/// By what an entry is known again in another file: its cursor without the names of the file and of
/// the place in it (`sd_journal_get_cursor(3)`; their form is that of libsystemd).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct EntryId(Vec<u8>);

/// Those of libsystemd have some 150 bytes.
const LONGEST_CURSOR: usize = 256;

impl EntryId {
    /// That of a cursor; `None` if it is none.
    #[must_use]
    pub fn of_cursor(cursor: &[u8]) -> Option<Self> {
        if cursor.len() > LONGEST_CURSOR {
            return None;
        }
        let parts = cursor.split(|byte| *byte == b';');
        let kept = |part: &&[u8]| {
            [b"b=", b"m=", b"t=", b"x="]
                .iter()
                .any(|of| part.starts_with(*of))
        };
        let parts: Vec<&[u8]> = parts.filter(kept).collect();
        (parts.len() == 4).then(|| EntryId(parts.join(&b';')))
    }
}

/// The entries that may come again.
#[derive(Debug, Default)]
pub struct Seen {
    recent: HashSet<EntryId>,
    before: HashSet<EntryId>,
}

/// How many are remembered for certain. So many come again at the most: those of some seconds.
const REMEMBERED: usize = 20_000;

impl Seen {
    /// Takes note of an entry. Says whether it is new.
    pub fn is_new(&mut self, id: EntryId) -> bool {
        if self.before.contains(&id) || !self.recent.insert(id) {
            return false;
        }
        if self.recent.len() > REMEMBERED {
            self.before = std::mem::take(&mut self.recent);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: usize) -> EntryId {
        let cursor = format!("s=1;i={number};b=3;m=4;t={number};x=6");
        EntryId::of_cursor(cursor.as_bytes()).unwrap()
    }

    #[test]
    fn the_file_does_not_matter_and_all_else_does() {
        let of = |cursor: &str| EntryId::of_cursor(cursor.as_bytes());
        assert_eq!(of("s=1;i=2;b=3;m=4;t=5;x=6"), of("s=a;i=b;b=3;m=4;t=5;x=6"));
        for other in ["s=1;i=2;b=4;m=4;t=5;x=6", "s=1;i=2;b=3;m=4;t=5;x=7"] {
            assert_ne!(of("s=1;i=2;b=3;m=4;t=5;x=6"), of(other));
        }
        let long = format!("b=3;m=4;t=5;x={}", "6".repeat(LONGEST_CURSOR));
        for none in ["", "s=1;i=2", "b=3;m=4;t=5", &long] {
            assert_eq!(of(none), None);
        }
    }

    #[test]
    fn what_came_lately_is_known_and_memory_has_an_end() {
        let mut seen = Seen::default();
        for number in 0..5 * REMEMBERED {
            assert!(seen.is_new(id(number)));
            assert!(!seen.is_new(id(number.saturating_sub(REMEMBERED / 2))));
        }
        assert!(seen.recent.len() + seen.before.len() <= 2 * REMEMBERED + 2);
    }
}
