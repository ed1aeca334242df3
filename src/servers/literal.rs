//! Where a byte of a string is in the TOML text that the string was written in.
//!
//! Follows toml.io/en/v1.0.0#string; the text has been parsed already, and is valid.

use std::ops::Range;

/// Where the bytes `inside` of a string are in `text`. The string, quotes included, is the bytes
/// `string` of `text`.
pub(super) fn place(text: &str, string: &Range<usize>, inside: &Range<usize>) -> Range<usize> {
    let Some(raw) = text.get(string.clone()) else {
        return string.clone();
    };
    let quote = if raw.starts_with("'''") || raw.starts_with("\"\"\"") {
        let newline = ["\r\n", "\n"].into_iter().find(|n| raw[3..].starts_with(n));
        3 + newline.map_or(0, str::len)
    } else {
        1
    };
    let escapes = raw.starts_with('"');
    let find = |wanted: usize| {
        let mut rest = &raw[quote..];
        let mut decoded = 0;
        while decoded < wanted && !rest.is_empty() {
            let (written, means) = if escapes { first(rest) } else { plain(rest) };
            decoded += means;
            rest = &rest[written..];
        }
        string.start + raw.len() - rest.len()
    };
    find(inside.start)..find(inside.end)
}

/// How many bytes the first character takes in the text, and how many it has itself.
fn plain(rest: &str) -> (usize, usize) {
    let length = rest.chars().next().map_or(1, char::len_utf8);
    (length, length)
}

/// The same if a backslash begins an escape.
fn first(rest: &str) -> (usize, usize) {
    let hexadecimal = |digits: usize| {
        let number = rest.get(2..2 + digits);
        let character = number
            .and_then(|number| u32::from_str_radix(number, 16).ok())
            .and_then(char::from_u32);
        (2 + digits, character.map_or(1, char::len_utf8))
    };
    match rest.as_bytes() {
        [b'\\', b'x', ..] => hexadecimal(2),
        [b'\\', b'u', ..] => hexadecimal(4),
        [b'\\', b'U', ..] => hexadecimal(8),
        [b'\\', next, ..] if next.is_ascii_whitespace() => {
            let after = rest[1..].trim_start();
            (rest.len() - after.len(), 0)
        }
        [b'\\', ..] => (2.min(rest.len()), 1),
        _ => plain(rest),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use toml::Spanned;

    #[test]
    fn a_place_in_a_string_is_found_in_its_text() {
        for text in [
            "k = 'ab>>X'",
            "k = '''\nab>>X'''",
            "k = \"ab>>X\"",
            "k = \"\\\\\\\"\\u00e4>>X\"",
            "k = \"\"\"\na\\n\\\n    b>>X\"\"\"",
            "k = 'äö>>X'",
        ] {
            let read: BTreeMap<String, Spanned<String>> = toml::from_str(text).unwrap();
            let at = read["k"].get_ref().find("X").unwrap();
            let place = place(text, &read["k"].span(), &(at..at + 1));
            assert_eq!(&text[place], "X", "{text}");
        }
    }
}
