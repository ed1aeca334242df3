//! The patterns of one kind, of which the first that takes a message counts.
//!
//! Costs little where none does: most lines of a server are neither logins nor anything else. Must
//! never come to another result than trying them one after the other.

use std::ops::Deref;

use regex::bytes::{RegexSet, RegexSetBuilder};

use super::pattern::{Found, Pattern, SIZE_LIMIT};

/// Of more patterns, none is made: one go over Dovecot's would take 11 MB of memory.
const MOST: usize = 7;

/// Patterns in the order in which they are tried.
#[derive(Debug)]
pub struct Alternatives {
    patterns: Vec<Pattern>,
    /// Whether one of those behind the first matches, found in one go.
    others: Option<RegexSet>,
}

impl Alternatives {
    /// Makes one go of many.
    pub(super) fn new(patterns: Vec<Pattern>) -> Self {
        let some = 2..=MOST;
        let others = patterns
            .get(1..)
            .filter(|others| some.contains(&others.len()));
        let others = others.and_then(|others| {
            // One that can't be built, as it would be too large, saves nothing.
            RegexSetBuilder::new(others.iter().map(Pattern::expression))
                .unicode(false)
                .size_limit(SIZE_LIMIT * others.len())
                .build()
                .ok()
        });
        Alternatives { patterns, others }
    }

    /// What the first pattern finds that takes `message`.
    pub(super) fn find(&self, message: &[u8]) -> Option<Found> {
        let (first, others) = self.patterns.split_first()?;
        first.find(message).or_else(|| {
            let possible = self.others.as_ref().is_none_or(|set| set.is_match(message));
            let others = others.iter().filter(|_| possible);
            others.into_iter().find_map(|pattern| pattern.find(message))
        })
    }
}

impl Deref for Alternatives {
    type Target = [Pattern];

    fn deref(&self) -> &[Pattern] {
        &self.patterns
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    #[test]
    fn the_first_that_takes_a_message_counts() {
        let compile = |pattern| Pattern::compile(pattern, None, &BTreeMap::new()).unwrap();
        let written = [
            "a {user}$",
            "b {user}$",
            "b {user} x$",
            "c\\d+$",
            "c(?<user>.*)",
        ];
        let patterns: Vec<_> = written.into_iter().map(compile).collect();
        for taken in 1..=patterns.len() {
            let patterns = &patterns[..taken];
            let alternatives = Alternatives::new(patterns.to_vec());
            for message in ["a x", "b y x", "b", "c1", "cx", "d", "xa x"] {
                let one_by_one = patterns.iter().find_map(|p| p.find(message.as_bytes()));
                assert_eq!(
                    alternatives.find(message.as_bytes()),
                    one_by_one,
                    "{message}"
                );
            }
        }
        assert_eq!(Alternatives::new(Vec::new()).find(b"a x"), None);
    }
}
