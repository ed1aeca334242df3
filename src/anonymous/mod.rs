//! Texts for strangers' eyes: every name and address in them has a stand-in, the same one wherever it
//! comes again.
//!
//! Pure. What is let through is what is known to be ours: the words of the vocabulary (`words.txt`, all
//! that stand in our own messages), short numbers and times. Must never let through a word because nobody
//! thought of it.

mod addresses;
mod token;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::LazyLock;

use addresses::Addresses;
pub use token::words;
use token::{Kind, Token};

/// What our own texts consist of; packaging/update-manual writes it.
const WORDS: &str = include_str!("words.txt");
/// The longest number that is let through. Longer ones can be somebody's: of a telephone, or an address.
const LONGEST_NUMBER: usize = 6;
/// The ends of files' and units' names, which may stay where the name may not.
const SUFFIXES: [&str; 10] = [
    "cf", "cdb", "conf", "db", "journal", "lmdb", "log", "service", "socket", "toml",
];
/// What a number of may be given.
const UNITS: [&str; 12] = [
    "b", "d", "h", "kb", "m", "mb", "min", "ms", "s", "sec", "us", "w",
];

/// The words that are let through, in lower case.
static VOCABULARY: LazyLock<HashSet<String>> = LazyLock::new(|| {
    let mut vocabulary: HashSet<String> = WORDS.lines().map(str::to_owned).collect();
    // What the system says of its errors.
    for number in 1..134 {
        let error = std::io::Error::from_raw_os_error(number).to_string();
        vocabulary.extend(words(&error).map(str::to_lowercase));
    }
    vocabulary.insert(env!("CARGO_PKG_VERSION").to_owned());
    vocabulary
});

/// Whose name it is that is known to be one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Of {
    /// A user of the mail servers, or of the host.
    User,
    /// A source of entries: a store.
    Source,
}

impl Of {
    fn stand_in(self) -> &'static str {
        match self {
            Of::User => "user",
            Of::Source => "source",
        }
    }
}

/// Replaces names and addresses, and remembers what by.
#[derive(Debug)]
pub struct Anonymous {
    known: HashMap<String, Of>,
    /// The lengths of the known names, in bytes.
    lengths: BTreeSet<usize>,
    stand_ins: HashMap<(&'static str, String), usize>,
    counts: HashMap<&'static str, usize>,
    addresses: Addresses,
}

impl Default for Anonymous {
    fn default() -> Self {
        Self::new()
    }
}

impl Anonymous {
    /// One that knows nobody's name yet.
    #[must_use]
    pub fn new() -> Self {
        Anonymous {
            known: HashMap::new(),
            lengths: BTreeSet::new(),
            stand_ins: HashMap::new(),
            counts: HashMap::new(),
            addresses: Addresses::default(),
        }
    }

    /// Lets this be known as a name: from now on it is replaced even where it is a word of ours.
    pub fn know(&mut self, of: Of, name: &str) {
        if name.contains(char::is_alphanumeric) {
            self.lengths.insert(name.len());
            self.known.insert(name.to_owned(), of);
        }
    }

    /// A text of ours, with the names and addresses in it replaced.
    pub fn text(&mut self, text: &str) -> String {
        self.replaced(text, false)
    }

    /// A text that quotes what others have written: no number in it is let through either.
    pub fn quotation(&mut self, text: &str) -> String {
        self.replaced(text, true)
    }

    fn replaced(&mut self, text: &str, is_quoted: bool) -> String {
        let mut replaced = String::with_capacity(text.len());
        let mut rest = text;
        // What is between known names, up to the next of them.
        let mut plain = 0;
        while plain < rest.len() {
            let before = rest[..plain].chars().next_back();
            let after_a_word = before.is_some_and(char::is_alphanumeric);
            if !after_a_word && let Some(name) = self.known_at(&rest[plain..]) {
                let end = plain + name.len();
                let of = self.known.get(&rest[plain..end]).copied();
                let stand_in = self.stand_in(of.map_or("name", Of::stand_in), &name);
                replaced += &self.tokens(&rest[..plain], is_quoted);
                replaced += &stand_in;
                (rest, plain) = (&rest[end..], 0);
                continue;
            }
            plain += rest[plain..].chars().next().map_or(1, char::len_utf8);
        }
        replaced + &self.tokens(rest, is_quoted)
    }

    /// The longest known name that a text begins with, as a word of its own.
    fn known_at(&self, text: &str) -> Option<String> {
        let fits = |length: &usize| {
            let name = text.get(..*length)?;
            let next = text[*length..].chars().next();
            let ends = !next.is_some_and(char::is_alphanumeric);
            (ends && self.known.contains_key(name)).then(|| name.to_owned())
        };
        self.lengths.iter().rev().find_map(fits)
    }

    fn tokens(&mut self, text: &str, is_quoted: bool) -> String {
        let mut replaced = String::with_capacity(text.len());
        for token in token::tokens(text) {
            match token {
                Token::Between(text) => replaced += text,
                Token::Address(address, length) => {
                    replaced += &self.addresses.stand_in(address, length);
                }
                Token::Word(word, kind) => replaced += &self.word(word, kind, is_quoted),
            }
        }
        replaced
    }

    fn word(&mut self, word: &str, kind: Kind, is_quoted: bool) -> String {
        let lower = word.to_lowercase();
        match kind {
            Kind::Number if !is_quoted && word.len() <= LONGEST_NUMBER => word.to_owned(),
            Kind::Time if !is_quoted => word.to_owned(),
            Kind::Number | Kind::Time => self.stand_in("number", &lower),
            _ if VOCABULARY.contains(&lower) => word.to_owned(),
            Kind::Mail => self.mail(word, &lower),
            Kind::Dotted => self.dotted(word, &lower),
            Kind::Plain if !is_quoted && is_quantity(&lower) => word.to_owned(),
            Kind::Plain => self.stand_in("name", &lower),
        }
    }

    /// Somebody's address, or a unit's name: `store@NAME.service`.
    fn mail(&mut self, word: &str, lower: &str) -> String {
        let template = word.split_once('@').and_then(|(template, rest)| {
            let (instance, suffix) = rest.rsplit_once('.')?;
            let is_unit = matches!(suffix, "service" | "socket" | "timer");
            let is_ours = VOCABULARY.contains(template) || template == "user";
            (is_unit && is_ours).then_some((template, instance, suffix))
        });
        match template {
            Some((template, instance, suffix)) => {
                let of = self.known.get(instance).copied();
                let instance = self.stand_in(of.map_or("name", Of::stand_in), instance);
                format!("{template}@{instance}.{suffix}")
            }
            None => self.stand_in("mail", lower),
        }
    }

    /// A host's name, or a file's.
    fn dotted(&mut self, word: &str, lower: &str) -> String {
        match word.rsplit_once('.') {
            Some((stem, suffix)) if SUFFIXES.contains(&suffix) => {
                let stem = if VOCABULARY.contains(&stem.to_lowercase()) {
                    stem.to_owned()
                } else {
                    self.stand_in("name", &stem.to_lowercase())
                };
                format!("{stem}.{suffix}")
            }
            _ => self.stand_in("host", lower),
        }
    }

    /// `user-1` for the first user, and always for this one.
    fn stand_in(&mut self, kind: &'static str, original: &str) -> String {
        let next = self.counts.get(kind).map_or(1, |count| count + 1);
        let key = (kind, original.to_owned());
        let number = *self.stand_ins.entry(key).or_insert(next);
        if number == next {
            self.counts.insert(kind, next);
        }
        format!("{kind}-{number}")
    }
}

/// `30min`
fn is_quantity(word: &str) -> bool {
    let unit = word.trim_start_matches(|c: char| c.is_ascii_digit());
    let digits = word.len() - unit.len();
    (1..=LONGEST_NUMBER).contains(&digits) && UNITS.contains(&unit)
}
