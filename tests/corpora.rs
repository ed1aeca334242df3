//! What is fuzzed, in short: each target with its corpus, and for a moment with what comes of changing
//! that. `fuzz/README.md` says how to do it at length.

#[allow(missing_docs, reason = "a crate of its own")]
#[path = "../fuzz/targets/mod.rs"]
mod targets;

use std::fs;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use targets::{ALL, Run};

/// For how long a target is given changed inputs.
const MOMENT: Duration = Duration::from_secs(1);
/// The longest changed input.
const LONGEST: usize = 8192;

fn corpus(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz/corpus")
        .join(target)
}

fn inputs(target: &str) -> Vec<Vec<u8>> {
    let directory = corpus(target);
    let entries = fs::read_dir(&directory).unwrap_or_else(|error| panic!("{directory:?}: {error}"));
    let mut files: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(!files.is_empty(), "{directory:?} is empty");
    files.iter().map(|file| fs::read(file).unwrap()).collect()
}

/// Numbers that seem to be random (xorshift64*): the same for a seed, everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    /// Less than `end`, or 0.
    fn below(&mut self, end: usize) -> usize {
        self.next() as usize % end.max(1)
    }

    fn part<'a>(&mut self, of: &'a [u8]) -> &'a [u8] {
        let from = self.below(of.len());
        let length = self.below(of.len() - from + 1);
        &of[from..from + length]
    }
}

/// An input with some changes.
fn changed(random: &mut Random, inputs: &[Vec<u8>]) -> Vec<u8> {
    let mut input = inputs[random.below(inputs.len())].clone();
    for _ in 0..=random.below(4) {
        let at = random.below(input.len());
        let end = at + random.below((input.len() - at).min(16));
        let other = &inputs[random.below(inputs.len())];
        match random.below(6) {
            0 => drop(input.drain(at..end)),
            1 => input.insert(at, random.next() as u8),
            2 => {
                let part = random.part(other).to_vec();
                drop(input.splice(at..end, part));
            }
            3 => {
                let part = input[at..].to_vec();
                input.extend_from_slice(&part);
            }
            _ if input.is_empty() => {}
            4 => input[at] = random.next() as u8,
            _ => input[at] ^= 1 << random.below(8),
        }
    }
    input.truncate(LONGEST);
    input
}

fn replays(target: &str) {
    let (_, run): (_, Run) = *ALL.iter().find(|(name, _)| *name == target).unwrap();
    let shown = |input: &[u8]| format!("{target}: b\"{}\"", input.escape_ascii());
    let inputs = inputs(target);
    for input in &inputs {
        let result = catch_unwind(AssertUnwindSafe(|| run(input)));
        assert!(result.is_ok(), "an input of the corpus: {}", shown(input));
    }
    let seed = 20_261_128;
    let mut random = Random(seed);
    let begin = Instant::now();
    let mut tried = 0;
    while begin.elapsed() < MOMENT {
        let input = changed(&mut random, &inputs);
        let result = catch_unwind(AssertUnwindSafe(|| run(&input)));
        assert!(
            result.is_ok(),
            "seed {seed}, change {tried}: {}",
            shown(&input)
        );
        tried += 1;
    }
    assert!(tried > 0);
}

/// They are in the repository, and given to the targets with each change.
#[test]
fn the_corpora_are_small() {
    let all: Vec<Vec<u8>> = ALL.iter().flat_map(|(target, _)| inputs(target)).collect();
    let bytes: usize = all.iter().map(Vec::len).sum();
    assert!(all.len() <= 120, "{} files", all.len());
    assert!(bytes <= 300_000, "{bytes} bytes");
}

/// A test for each target.
macro_rules! tests {
    ($($target:ident),*) => {
        $(#[test]
        fn $target() {
            replays(stringify!($target));
        })*

        #[test]
        fn each_target_has_a_test() {
            let tested = [$(stringify!($target)),*];
            assert_eq!(ALL.map(|(name, _)| name), tested);
        }
    };
}

tests!(
    configuration,
    convert_pattern,
    definitions,
    headers,
    journal_export,
    messages,
    mynetworks,
    policy,
    postfix_files,
    records,
    varlink
);
