//! Entries that a store sends, in pieces: where they are cut must not matter, no entry is larger than it
//! may be, and what is filed is what came.

use pop_before_smtp::carrier::export::{self, Exported};

use super::pieces::Pieces;

/// As in `src/carrier/export.rs`; that is the promise.
const LARGEST: usize = 16 * 1024;

/// The entries, and whether it is an export as far as it goes.
fn all(mut from: Pieces<'_>) -> (Vec<Exported>, bool) {
    let mut entries = Vec::new();
    loop {
        match export::next(&mut from) {
            Ok(Some(entry)) => entries.push(entry),
            Ok(None) => return (entries, true),
            Err(_) => return (entries, false),
        }
    }
}

/// See the top.
pub fn run(data: &[u8]) {
    let pieces = Pieces::of(data);
    let mut rest = pieces.whole();
    let at_once = all(Pieces::of(&[&[0], rest].concat()));
    assert_eq!(all(pieces), at_once, "cut");
    for entry in at_once.0 {
        assert!(entry.bytes.len() <= LARGEST, "larger than may be");
        assert_eq!(entry.bytes.is_empty(), entry.is_too_large);
        if entry.is_too_large {
            assert!(rest.len() > LARGEST, "too large, and is not");
        }
        assert!(entry.is_too_large || entry.bytes.ends_with(b"\n"));
        // Each is in the input, behind the one before.
        let at = rest
            .windows(entry.bytes.len().max(1))
            .position(|part| entry.bytes.is_empty() || part == entry.bytes)
            .expect("an entry that did not come");
        rest = &rest[at + entry.bytes.len()..];
        if !entry.is_too_large {
            let alone = all(Pieces::of(&[&[0], &*entry.bytes].concat()));
            assert_eq!(alone, (vec![entry], true), "the same alone");
        }
    }
}
