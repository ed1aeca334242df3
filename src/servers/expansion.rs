//! Placeholders: what each stands for, and where every byte of an expression was written.
//!
//! Replaces and remembers; judges no expression.

use std::collections::BTreeMap;

use super::pattern_error::{PatternError, Spot, Text};

/// What `{client}` stands for: the characters of an address, checked by parsing it.
const CLIENT: &str = r"(?<client>\[?[0-9A-Za-z:.%]{2,64}\]?)";
/// What `{user}` stands for.
const USER: &str = "(?<user>.*)";
/// What `{session}` stands for.
const SESSION: &str = r"(?<session>[^<>\s]{1,128})";
/// What `{port}` stands for.
const PORT: &str = "(?<port>[0-9]{1,5})";
/// What `{protocol}` stands for.
const PROTOCOL: &str = "(?<protocol>imap|pop3)";

/// How deep parts may be nested.
const DEEPEST: u8 = 8;

/// An expression whose placeholders have been replaced.
#[derive(Debug, Clone)]
pub struct Expanded {
    /// The expression.
    pub text: String,
    pieces: Vec<Piece>,
}

/// A run of the expression that was written in one place.
#[derive(Debug, Clone)]
struct Piece {
    at: usize,
    spot: Spot,
    /// The placeholder that it replaces, if it is not written there literally.
    placeholder: Option<&'static str>,
}

impl Expanded {
    /// Replaces the placeholders of `pattern`, which stands in `text` from byte `offset` on.
    /// Braces that hold no name (`\d{1,3}`) are left to the expression.
    ///
    /// # Errors
    /// An unknown placeholder, or parts that contain each other.
    pub fn new(
        pattern: &str,
        text: &Text,
        offset: usize,
        parts: &BTreeMap<String, String>,
    ) -> Result<Self, PatternError> {
        let mut expanded = Expanded {
            text: String::with_capacity(pattern.len() * 2),
            pieces: Vec::new(),
        };
        expanded.add(pattern, text, offset, parts, 0)?;
        Ok(expanded)
    }

    fn add(
        &mut self,
        pattern: &str,
        text: &Text,
        offset: usize,
        parts: &BTreeMap<String, String>,
        depth: u8,
    ) -> Result<(), PatternError> {
        let mut at = 0;
        while let Some(open) = pattern[at..].find('{').map(|found| found + at) {
            let (before, braced) = pattern.split_at(open);
            let name = braced[1..].split('}').next().unwrap_or_default();
            let is_name = name.starts_with(|c: char| c.is_ascii_lowercase())
                && braced.len() > name.len() + 1
                && !before.ends_with('\\')
                && !before.ends_with("\\p")
                && !before.ends_with("\\x");
            if !is_name {
                self.verbatim(&pattern[at..=open], text, offset + at);
                at = open + 1;
                continue;
            }
            self.verbatim(&pattern[at..open], text, offset + at);
            at = open + name.len() + 2;
            let spot = Spot {
                text: text.clone(),
                span: offset + open..offset + at,
            };
            match (name, parts.get(name)) {
                ("client", _) => self.placeholder("{client}", CLIENT, spot),
                ("user", _) => self.placeholder("{user}", USER, spot),
                ("session", _) => self.placeholder("{session}", SESSION, spot),
                ("protocol", None) => self.placeholder("{protocol}", PROTOCOL, spot),
                ("port", _) => self.placeholder("{port}", PORT, spot),
                (_, Some(_)) if depth > DEEPEST => {
                    return Err(PatternError::Nesting {
                        name: name.to_owned(),
                        spot,
                    });
                }
                (_, Some(part)) => {
                    self.add(part, &Text::Part(name.to_owned()), 0, parts, depth + 1)?;
                }
                (_, None) => {
                    let known = ["client", "user", "session", "port", "protocol"];
                    let known = known.into_iter().chain(parts.keys().map(String::as_str));
                    return Err(PatternError::Placeholder {
                        name: name.to_owned(),
                        known: known.collect::<Vec<_>>().join(", "),
                        spot,
                    });
                }
            }
        }
        self.verbatim(&pattern[at..], text, offset + at);
        Ok(())
    }

    fn verbatim(&mut self, piece: &str, text: &Text, at: usize) {
        if piece.is_empty() {
            return;
        }
        if let Some(last) = self.pieces.last_mut()
            && last.placeholder.is_none()
            && last.spot.text == *text
            && last.spot.span.end == at
        {
            last.spot.span.end += piece.len();
            self.text.push_str(piece);
            return;
        }
        self.pieces.push(Piece {
            at: self.text.len(),
            spot: Spot {
                text: text.clone(),
                span: at..at + piece.len(),
            },
            placeholder: None,
        });
        self.text.push_str(piece);
    }

    fn placeholder(&mut self, name: &'static str, stands_for: &str, spot: Spot) {
        self.pieces.push(Piece {
            at: self.text.len(),
            spot,
            placeholder: Some(name),
        });
        self.text.push_str(stands_for);
    }

    /// Where the bytes `at..until` of the expression were written; if that is in several texts, where
    /// in the first.
    #[must_use]
    pub fn spot(&self, at: usize, until: usize) -> Spot {
        let first = self.spot_of(at);
        let last = self.spot_of(until.saturating_sub(1).max(at));
        if last.text == first.text && last.span.end >= first.span.end {
            Spot {
                text: first.text,
                span: first.span.start..last.span.end,
            }
        } else {
            first
        }
    }

    /// Where one byte was written: itself, or the placeholder that it comes from.
    fn spot_of(&self, at: usize) -> Spot {
        let after = self.pieces.partition_point(|piece| piece.at <= at);
        let Some(piece) = self.pieces[..after].last() else {
            return Spot {
                text: Text::Pattern,
                span: 0..0,
            };
        };
        let Spot { text, span } = piece.spot.clone();
        if piece.placeholder.is_some() {
            return Spot { text, span };
        }
        let start = (span.start + (at - piece.at)).min(span.end);
        Spot {
            text,
            span: start..(start + 1).min(span.end),
        }
    }
}

impl Expanded {
    /// The bytes `from..until` of the expression, with its placeholders: `rip={client}, {user}`.
    #[must_use]
    pub fn shown(&self, from: usize, until: usize) -> String {
        let mut shown = String::new();
        for (number, piece) in self.pieces.iter().enumerate() {
            let end = self
                .pieces
                .get(number + 1)
                .map_or(self.text.len(), |p| p.at);
            if end <= from || piece.at >= until {
                continue;
            }
            match piece.placeholder {
                Some(name) => shown.push_str(name),
                None => shown.push_str(&self.text[piece.at.max(from)..end.min(until)]),
            }
        }
        shown
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_traced_to_where_it_was_written() {
        let parts = [("word".to_owned(), "b+{user}".to_owned())].into();
        let expanded = Expanded::new(r"a{2}{word} x {client}$", &Text::Pattern, 1, &parts).unwrap();
        let at = |text: &str| {
            let at = expanded.text.find(text).unwrap();
            expanded.spot(at, at + text.len())
        };
        let pattern = |span| Spot {
            text: Text::Pattern,
            span,
        };
        assert_eq!(at("a{2}"), pattern(1..5));
        assert_eq!(at(" x "), pattern(11..14));
        assert_eq!(at("0-9A-Z"), pattern(14..22));
        assert_eq!(at("$"), pattern(22..23));
        assert_eq!(at("b+").text, Text::Part("word".to_owned()));
        assert_eq!(at(".*").span, 2..8);
        let from = expanded.text.find("+").unwrap();
        assert_eq!(expanded.shown(from, usize::MAX), "+{user} x {client}$");
    }
}
