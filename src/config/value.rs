//! What a single value may be, in general: each function takes a TOML value and gives what it
//! means, or says what was expected, with everything that is wrong in it.
//!
//! Must never put a wrong value right in silence: what is not exactly right is refused.

use std::fmt::Display;
use std::ops::{Range, RangeInclusive};
use std::time::Duration;

use log::LevelFilter;
use toml::Spanned;
use toml::de::DeValue;

use super::duration::{self, Humane, NotADuration};
use crate::excerpt::harmless;

/// What is wrong with a value, and which bytes of the file are meant.
#[derive(Debug)]
pub(super) struct Wrong {
    pub(super) span: Range<usize>,
    pub(super) message: String,
    pub(super) hint: Option<String>,
}

/// A value, or everything that is wrong with it.
pub(super) type Checked<T> = Result<T, Vec<Wrong>>;

/// A value in a file.
pub(super) type Value<'d> = Spanned<DeValue<'d>>;

/// A value of another type than was expected.
pub(super) fn wrong_type(value: &Value<'_>, expected: &str) -> Wrong {
    let found = match value.get_ref() {
        DeValue::String(text) => format!("the text {}", quoted(text)),
        DeValue::Integer(number) => format!("the number {}", short(&number.to_string())),
        DeValue::Float(number) => format!("the number {}", short(number.as_str())),
        DeValue::Boolean(truth) => format!("{truth}"),
        DeValue::Datetime(_) => "a date or time".to_owned(),
        DeValue::Array(list) if list.is_empty() => "an empty list".to_owned(),
        DeValue::Array(_) => "a list".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    };
    wrong(value, format!("expected {expected}, found {found}"))
}

/// A value that is wrong in another way than by its type.
pub(super) fn wrong(value: &Value<'_>, message: String) -> Wrong {
    Wrong::new(value.span(), message)
}

impl From<Wrong> for Vec<Wrong> {
    fn from(wrong: Wrong) -> Self {
        vec![wrong]
    }
}

impl Wrong {
    /// Something that is wrong with these bytes of the file.
    pub(super) fn new(span: Range<usize>, message: String) -> Self {
        Wrong {
            span,
            message,
            hint: None,
        }
    }

    /// Adds what to do about it.
    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// Foreign text, short and harmless, in quotes.
pub(super) fn quoted(text: &str) -> String {
    format!("\"{}\"", short(text))
}

/// Foreign text, short and harmless: of a number, too, the parser lets through what is none of it.
fn short(text: &str) -> String {
    const SHOWN: usize = 60;
    let cut = if text.chars().nth(SHOWN).is_some() {
        "…"
    } else {
        ""
    };
    format!(
        "{}{cut}",
        harmless(&text.chars().take(SHOWN).collect::<String>())
    )
}

/// A duration within a range.
pub(super) fn duration(value: &Value<'_>, range: RangeInclusive<Duration>) -> Checked<Duration> {
    let (least, most) = (Humane(*range.start()), Humane(*range.end()));
    let expected = format!("a duration from {least} to {most}, such as \"30s\" or \"1h 30min\"");
    let no_unit = |number: &str| format!("write the unit: \"{number}s\" or \"{number}min\"");
    let text = match value.get_ref() {
        DeValue::String(text) => text,
        DeValue::Integer(number) => {
            let hint = no_unit(&number.to_string());
            return Err(wrong_type(value, &expected).hint(hint).into());
        }
        _ => return Err(wrong_type(value, &expected).into()),
    };
    match duration::parse(text) {
        Ok(duration) if range.contains(&duration) => Ok(duration),
        Ok(_) => {
            let message = format!("must be from {least} to {most}, but is {}", quoted(text));
            Err(wrong(value, message).into())
        }
        Err(reason) => {
            let hint = match reason {
                NotADuration::NoUnit => no_unit(text.trim()),
                reason => reason.to_string(),
            };
            Err(wrong_type(value, &expected).hint(hint).into())
        }
    }
}

/// A duration within a range, or an empty text for none.
pub(super) fn optional_duration(
    value: &Value<'_>,
    range: RangeInclusive<Duration>,
) -> Checked<Option<Duration>> {
    match value.get_ref().as_str() {
        Some("") => Ok(None),
        _ => duration(value, range).map(Some),
    }
}

/// An integer within a range.
pub(super) fn count<T>(value: &Value<'_>, range: RangeInclusive<T>) -> Checked<T>
where
    T: TryFrom<i128> + PartialOrd + Display,
{
    let expected = format!("a whole number from {} to {}", range.start(), range.end());
    let number = integer(value).and_then(|number| T::try_from(number).ok());
    let within = number.filter(|number| range.contains(number));
    within.ok_or_else(|| wrong_type(value, &expected).into())
}

/// `log-level`.
pub(super) fn log_level(value: &Value<'_>) -> Checked<LevelFilter> {
    const EXPECTED: &str = "\"error\", \"warn\", \"info\" or \"debug\"";
    match text(value, EXPECTED)? {
        "error" => Ok(LevelFilter::Error),
        "warn" => Ok(LevelFilter::Warn),
        "info" => Ok(LevelFilter::Info),
        "debug" => Ok(LevelFilter::Debug),
        _ => Err(wrong_type(value, EXPECTED).into()),
    }
}

/// An integer of any notation.
pub(super) fn integer(value: &Value<'_>) -> Option<i128> {
    let number = value.get_ref().as_integer()?;
    i128::from_str_radix(number.as_str(), number.radix()).ok()
}

/// A text.
pub(super) fn text<'v>(value: &'v Value<'_>, expected: &str) -> Result<&'v str, Wrong> {
    value
        .get_ref()
        .as_str()
        .ok_or_else(|| wrong_type(value, expected))
}

/// A list, each element checked; all that is wrong is told.
pub(super) fn list<T>(
    value: &Value<'_>,
    expected: &str,
    check: impl Fn(&Value<'_>) -> Result<T, Wrong>,
) -> Checked<Vec<T>> {
    let DeValue::Array(elements) = value.get_ref() else {
        let mut wrong = wrong_type(value, expected);
        if let DeValue::String(text) = value.get_ref() {
            wrong = wrong.hint(format!("write a list in brackets: [{}]", quoted(text)));
        }
        return Err(wrong.into());
    };
    let mut right = Vec::with_capacity(elements.len());
    let mut wrongs = Vec::new();
    for element in elements {
        match check(element) {
            Ok(element) => right.push(element),
            Err(wrong) => wrongs.push(wrong),
        }
    }
    if wrongs.is_empty() {
        Ok(right)
    } else {
        Err(wrongs)
    }
}
