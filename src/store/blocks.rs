//! Many small records in few large ones: a block is a run of records, in the order of their keys.
//!
//! sled spends more on a record than a record of ours holds, in memory and in time, and reads and
//! writes where they lie: with some dozens of records in each of its values it needs a tenth of
//! both. A block is named by the key from which on it holds records, up to the next block's; the
//! first is named by no key at all.
//!
//! Pure: bytes in, bytes out. Must never take a block that is out of order for a whole one.

use std::collections::BTreeSet;
use std::ops::Bound;

/// How many bytes make a block, at most, unless a single record is larger. sled keeps up to 16
/// values on a page, and writes it as a whole now and then.
const LARGEST: usize = 2048;

/// A record that is written, or removed.
#[derive(Debug)]
pub(super) struct Change {
    pub(super) key: Vec<u8>,
    /// `None` is removed.
    pub(super) value: Option<Vec<u8>>,
}

/// A block that is written, or removed.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct BlockChange {
    pub(super) start: Box<[u8]>,
    /// `None` is removed.
    pub(super) block: Option<Vec<u8>>,
}

/// A block is not as we have written it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a block of records can't be read")]
pub(super) struct Malformed;

/// Which blocks there are, by the keys that they start from.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    starts: BTreeSet<Box<[u8]>>,
}

impl Blocks {
    /// There is a block that starts from here.
    pub(super) fn add(&mut self, start: &[u8]) {
        self.starts.insert(start.into());
    }

    /// The block that holds `key`, or would; and the first key that is not of it.
    pub(super) fn holding(&self, key: &[u8]) -> (&[u8], Option<&[u8]>) {
        let up_to = (Bound::Unbounded, Bound::Included(key));
        let after = (Bound::Excluded(key), Bound::Unbounded);
        let start = self.starts.range::<[u8], _>(up_to).next_back();
        let end = self.starts.range::<[u8], _>(after).next();
        (start.map_or(&[], |s| &**s), end.map(|e| &**e))
    }

    /// Takes note of what [`merge`] has made.
    pub(super) fn apply(&mut self, changes: &[BlockChange]) {
        for BlockChange { start, block } in changes {
            if block.is_some() {
                self.starts.insert(start.clone());
            } else {
                self.starts.remove(start);
            }
        }
    }
}

/// The records of a block, in order.
pub(super) struct Records<'a> {
    rest: &'a [u8],
}

pub(super) fn records(block: &[u8]) -> Records<'_> {
    Records { rest: block }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<(&'a [u8], &'a [u8]), Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let record = split(self.rest);
        self.rest = record.map_or(&[], |(_, rest)| rest);
        Some(record.map(|(record, _)| record).ok_or(Malformed))
    }
}

type Record<'a> = (&'a [u8], &'a [u8]);

fn split(block: &[u8]) -> Option<(Record<'_>, &[u8])> {
    let ((key, value), rest) = postcard::take_from_bytes::<(usize, usize)>(block).ok()?;
    let (key, rest) = rest.split_at_checked(key)?;
    let (value, rest) = rest.split_at_checked(value)?;
    Some(((key, value), rest))
}

fn append(block: &mut Vec<u8>, (key, value): Record<'_>) {
    for length in [key.len(), value.len()] {
        let mut buffer = [0; 10];
        // A number always has room.
        if let Ok(bytes) = postcard::to_slice(&length, &mut buffer) {
            block.extend_from_slice(bytes);
        }
    }
    block.extend_from_slice(key);
    block.extend_from_slice(value);
}

/// What becomes of the block that starts from `start` with these changes, all of them its own and
/// in the order of their keys.
///
/// # Errors
/// When the block can't be read.
pub(super) fn merge(
    start: &[u8],
    block: &[u8],
    changes: &[Change],
) -> Result<Vec<BlockChange>, Malformed> {
    let merged = merged(block, changes)?;
    let size: usize = merged.iter().map(|(k, v)| k.len() + v.len() + 2).sum();
    if merged.is_empty() {
        return Ok(vec![BlockChange {
            start: start.into(),
            block: None,
        }]);
    }
    // All of about one size: the next records, too, may come anywhere.
    let each = size.div_ceil(size.div_ceil(LARGEST));
    let mut blocks = vec![(start, Vec::with_capacity(each))];
    for record in merged {
        if let Some((_, last)) = blocks.last_mut()
            && (last.is_empty() || last.len() + record.0.len() + record.1.len() <= each)
        {
            append(last, record);
            continue;
        }
        let mut next = Vec::with_capacity(each);
        append(&mut next, record);
        blocks.push((record.0, next));
    }
    let changes = blocks.into_iter().map(|(start, block)| BlockChange {
        start: start.into(),
        block: Some(block),
    });
    Ok(changes.collect())
}

fn merged<'a>(block: &'a [u8], changes: &'a [Change]) -> Result<Vec<Record<'a>>, Malformed> {
    let mut merged = Vec::new();
    let mut changes = changes.iter().peekable();
    for record in records(block) {
        let (key, value) = record?;
        while let Some(change) = changes.next_if(|change| *change.key < *key) {
            merged.extend(change.value.as_ref().map(|v| (&*change.key, &**v)));
        }
        match changes.next_if(|change| *change.key == *key) {
            Some(change) => merged.extend(change.value.as_ref().map(|v| (key, &**v))),
            None => merged.push((key, value)),
        }
    }
    for change in changes {
        merged.extend(change.value.as_ref().map(|v| (&*change.key, &**v)));
    }
    Ok(merged)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    /// Records in blocks, as the store keeps them.
    #[derive(Default)]
    struct Kept {
        blocks: Blocks,
        values: BTreeMap<Box<[u8]>, Vec<u8>>,
    }

    impl Kept {
        fn write(&mut self, changes: Vec<Change>) {
            for change in changes {
                let start: Box<[u8]> = self.blocks.holding(&change.key).0.into();
                let old = self.values.get(&start).cloned().unwrap_or_default();
                let made = merge(&start, &old, &[change]).unwrap();
                self.blocks.apply(&made);
                for BlockChange { start, block } in made {
                    match block {
                        Some(block) => self.values.insert(start, block),
                        None => self.values.remove(&start),
                    };
                }
            }
        }

        fn read(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
            assert!(self.values.keys().eq(&self.blocks.starts));
            let mut all = Vec::new();
            for (start, block) in &self.values {
                for record in records(block) {
                    let (key, value) = record.unwrap();
                    assert!(*key >= **start, "{key:?} before its block {start:?}");
                    all.push((key.to_vec(), value.to_vec()));
                }
            }
            all
        }
    }

    proptest! {
        #[test]
        fn blocks_hold_what_a_map_holds(
            changes in prop::collection::vec(
                (prop::collection::vec(any::<u8>(), 1..4), prop::option::of(0usize..900)),
                1..200
            )
        ) {
            let mut kept = Kept::default();
            let mut model = BTreeMap::new();
            for (key, value) in changes {
                let value = value.map(|length| vec![length as u8; length]);
                match &value {
                    Some(value) => model.insert(key.clone(), value.clone()),
                    None => model.remove(&key),
                };
                kept.write(vec![Change { key, value }]);
            }
            prop_assert_eq!(kept.read(), model.into_iter().collect::<Vec<_>>());
            for block in kept.values.values() {
                prop_assert!(!block.is_empty());
                prop_assert!(block.len() <= LARGEST + 32, "{}", block.len());
            }
        }

        #[test]
        fn no_bytes_make_it_panic(block: Vec<u8>) {
            let _ = merge(b"", &block, &[]);
        }
    }

    #[test]
    fn many_changes_at_once_make_even_blocks() {
        let changes: Vec<Change> = (0..200u32)
            .map(|n| Change {
                key: n.to_be_bytes().to_vec(),
                value: Some(vec![1; 60]),
            })
            .collect();
        let made = merge(b"", b"", &changes).unwrap();
        assert_eq!(&*made[0].start, b"");
        let length = |change: &BlockChange| change.block.as_ref().unwrap().len();
        let (last, others) = made.split_last().unwrap();
        assert!(length(last) <= LARGEST);
        for block in others {
            assert!(
                (1500..=LARGEST).contains(&length(block)),
                "{}",
                length(block)
            );
        }
    }

    #[test]
    fn a_block_that_is_cut_off_is_not_read() {
        let mut block = Vec::new();
        append(&mut block, (b"key", b"value"));
        assert_eq!(records(&block).count(), 1);
        for end in 1..block.len() {
            let read: Result<Vec<_>, _> = records(&block[..end]).collect();
            assert_eq!(read, Err(Malformed), "{end}");
        }
    }
}
