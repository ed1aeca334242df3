//! Takes the keys out of a TOML document one by one, and finds everything that is wrong with it in
//! one go: wrong values, and what is left over, which are keys that nobody knows.
//!
//! What is known is what was asked for: there is no second list of keys to keep in step.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::error::Problem;
use super::nearest::nearest;
use super::show::Origin;
use super::source::Source;
use super::value::{Checked, Value, Wrong, wrong_type};
use crate::excerpt::harmless;

/// Where a key and its value stand.
#[derive(Debug)]
pub(super) struct Located {
    source: Arc<Source>,
    path: String,
    key: Range<usize>,
    span: Range<usize>,
}

/// Where each key stands that files say, by its dotted path.
pub(super) type Found = BTreeMap<String, Located>;

impl Located {
    /// The file, and the line of the key.
    pub(super) fn origin(&self) -> Origin {
        Origin::File {
            file: self.source.path.clone(),
            line: self.source.line(self.key.start),
        }
    }

    /// Something about this value.
    pub(super) fn problem(&self, message: String, hint: Option<String>) -> Problem {
        let wrong = Wrong {
            span: self.span.clone(),
            message,
            hint,
        };
        self.source.problem(Some(self.path.clone()), wrong)
    }
}

/// How many mistakes are told in one file.
const TOLD: usize = 50;

/// Something to be told; made into a [`Problem`] only when it is.
enum Mistake {
    /// Something is wrong with a key, if it is known which.
    Wrong(Option<String>, Wrong),
    /// A key that nobody asked for: its table, its name, its place.
    Unknown(String, String, Range<usize>),
}

impl Mistake {
    fn start(&self) -> usize {
        match self {
            Self::Wrong(_, wrong) => wrong.span.start,
            Self::Unknown(.., span) => span.start,
        }
    }
}

/// What reading one file has found out so far.
pub(super) struct Reader<'f> {
    source: Arc<Source>,
    found: &'f mut Found,
    known: Vec<String>,
    mistakes: Vec<Mistake>,
}

/// A table of the document, from which keys are taken.
pub(super) struct Table<'d> {
    path: String,
    entries: BTreeMap<String, (Range<usize>, Spanned<DeValue<'d>>)>,
}

impl<'f> Reader<'f> {
    pub(super) fn new(source: Arc<Source>, found: &'f mut Found) -> Self {
        Self {
            source,
            found,
            known: Vec::new(),
            mistakes: Vec::new(),
        }
    }

    /// The document. If its syntax is wrong, it is taken for empty: half a document would only
    /// give rise to more complaints.
    pub(super) fn document<'d>(&mut self, source: &'d Source) -> Table<'d> {
        let (document, errors) = DeTable::parse_recoverable(&source.text);
        let syntax = errors.is_empty();
        let mut last = 0..0;
        for error in errors {
            let span = error.span().unwrap_or(0..0);
            // Recovery from one mistake tends to find several on its line.
            let between = last.start.min(span.start)..last.start.max(span.start);
            let same_line = last.end > 0 && !source.text[between].contains('\n');
            last = span.start..span.end.max(1);
            if !same_line {
                let message = match source.text.get(span.clone()) {
                    Some(key) if error.message() == "duplicate key" => {
                        format!("the key `{}` appears twice", harmless(key))
                    }
                    _ => format!("TOML syntax: {}", harmless(error.message())),
                };
                let wrong = Wrong::new(span, message);
                self.mistakes.push(Mistake::Wrong(None, wrong));
            }
        }
        let document = if syntax {
            document.into_inner()
        } else {
            DeTable::new()
        };
        table(String::new(), document)
    }

    /// Takes a key, if it is there, and gives its value to `take`, which checks it.
    pub(super) fn take(
        &mut self,
        table: &mut Table<'_>,
        key: &str,
        take: impl FnOnce(&Value<'_>) -> Checked<()>,
    ) {
        let path = table.path_of(key);
        self.known.push(path.clone());
        let Some((key, value)) = table.entries.remove(key) else {
            return;
        };
        if let Err(wrongs) = take(&value) {
            wrongs
                .into_iter()
                .for_each(|wrong| self.complain(&path, wrong));
        }
        let place = Located {
            source: Arc::clone(&self.source),
            path: path.clone(),
            key,
            span: value.span(),
        };
        self.found.insert(path, place);
    }

    /// Takes a table; an empty one if it is not there.
    pub(super) fn table<'d>(&mut self, parent: &mut Table<'d>, key: &str) -> Table<'d> {
        let path = parent.path_of(key);
        let entry = parent.entries.remove(key);
        self.known.push(path.clone());
        let entries = match entry {
            None => DeTable::new(),
            Some((_, value)) => {
                let span = value.span();
                match value.into_inner() {
                    DeValue::Table(entries) => entries,
                    other => {
                        let other = Spanned::new(span, other);
                        let mut wrong = wrong_type(&other, &format!("a table [{path}]"));
                        if matches!(other.get_ref(), DeValue::Array(_)) {
                            wrong =
                                wrong.hint(format!("there is only one: [{path}], not [[{path}]]"));
                        }
                        self.complain(&path, wrong);
                        DeTable::new()
                    }
                }
            }
        };
        table(path, entries)
    }

    /// Something is wrong with a key's name or value.
    pub(super) fn complain(&mut self, key: &str, wrong: Wrong) {
        self.mistakes
            .push(Mistake::Wrong(Some(key.to_owned()), wrong));
    }

    /// Everything known has been taken from this table.
    pub(super) fn finish(&mut self, table: Table<'_>) {
        let left = table.entries.into_iter();
        let unknown = left.map(|(key, (span, _))| Mistake::Unknown(table.path.clone(), key, span));
        self.mistakes.extend(unknown);
    }

    /// The paths of all known keys and tables, and what was wrong, in the order of the file; of a
    /// file that is no configuration at all, the first mistakes and how many more there are.
    pub(super) fn into_results(mut self) -> (Vec<String>, Vec<Problem>) {
        let mut mistakes = std::mem::take(&mut self.mistakes);
        mistakes.sort_by_key(Mistake::start);
        let more = mistakes.len().saturating_sub(TOLD);
        mistakes.truncate(TOLD);
        let mut problems: Vec<Problem> = mistakes
            .into_iter()
            .map(|mistake| self.problem(mistake))
            .collect();
        if more > 0 {
            let message = format!("{more} more mistakes follow");
            problems.push(Problem::of_file(&self.source.path, message));
        }
        (self.known, problems)
    }

    fn problem(&self, mistake: Mistake) -> Problem {
        let (key, wrong) = match mistake {
            Mistake::Wrong(key, wrong) => (key, wrong),
            Mistake::Unknown(table, key, span) => {
                let hint = match nearest(&table, &key, self.known.iter().map(String::as_str)) {
                    Some(known) => format!("did you mean `{known}`?"),
                    None => format!("known keys here: {}", self.known_in(&table)),
                };
                let wrong = Wrong::new(span, "there is no such key".to_owned());
                (Some(dotted(&table, &key)), wrong.hint(hint))
            }
        };
        self.source.problem(key, wrong)
    }

    fn known_in(&self, table: &str) -> String {
        let here = self.known.iter().filter_map(|path| {
            let (its_table, key) = path.rsplit_once('.').unwrap_or(("", path));
            (its_table == table).then(|| format!("`{key}`"))
        });
        here.collect::<Vec<_>>().join(", ")
    }
}

impl Table<'_> {
    /// The keys that are left, and where they are.
    pub(super) fn keys(&self) -> Vec<(String, Range<usize>)> {
        self.entries
            .iter()
            .map(|(key, (span, _))| (key.clone(), span.clone()))
            .collect()
    }

    fn path_of(&self, key: &str) -> String {
        dotted(&self.path, key)
    }
}

fn table(path: String, entries: DeTable<'_>) -> Table<'_> {
    let entries = entries
        .into_iter()
        .map(|(key, value)| {
            let span = key.span();
            (key.into_inner().into_owned(), (span, value))
        })
        .collect();
    Table { path, entries }
}

/// `table.key`, a key that is not bare in quotes, as in TOML.
fn dotted(table: &str, key: &str) -> String {
    let bare = !key.is_empty()
        && key
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    let key = if bare {
        key.to_owned()
    } else {
        format!("\"{}\"", harmless(key))
    };
    if table.is_empty() {
        key
    } else {
        format!("{table}.{key}")
    }
}
