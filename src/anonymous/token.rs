//! Takes a text apart: addresses, words, and what is between them.
//!
//! Pure. Nothing is lost: put together again, the tokens are the text.

use std::net::IpAddr;

/// The most parts between colons that an address can have.
const MOST_PARTS: usize = 9;

/// A piece of a text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token<'a> {
    /// Spaces and signs.
    Between(&'a str),
    /// An address, and the length of its network's prefix if that follows: `/24`. The length itself is a
    /// token of its own.
    Address(IpAddr, Option<u8>),
    /// Anything else.
    Word(&'a str, Kind),
}

/// What a word looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Digits, perhaps with one point.
    Number,
    /// `2026-11-24`, `10:23:05`, `10:23`
    Time,
    /// With `@` in it.
    Mail,
    /// With points in it.
    Dotted,
    Plain,
}

/// The words of a text, as a vocabulary has them.
pub fn words(text: &str) -> impl Iterator<Item = &str> {
    tokens(text).into_iter().filter_map(|token| match token {
        Token::Word(word, Kind::Plain | Kind::Dotted | Kind::Mail) => Some(word),
        _ => None,
    })
}

/// Takes a text apart.
pub(super) fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let begin = rest.find(may_begin).unwrap_or(rest.len());
        if begin > 0 {
            tokens.push(Token::Between(&rest[..begin]));
            rest = &rest[begin..];
            continue;
        }
        let end = rest.find(|c| !may_continue(c)).unwrap_or(rest.len());
        // What ends a sentence ends its last word.
        let run = rest[..end].trim_end_matches(['.', ':', '-', '\'', '+']);
        if run.is_empty() {
            tokens.push(Token::Between(&rest[..end]));
        } else {
            // "fe80::" ends with what looks like a sentence's end.
            let whole =
                &rest[..run.len() + usize::from(rest[run.len()..end].starts_with("::")) * 2];
            take_apart(whole, &rest[whole.len()..], &mut tokens);
            tokens.push(Token::Between(&rest[whole.len()..end]));
        }
        rest = &rest[end..];
    }
    tokens.retain(|token| !matches!(token, Token::Between("")));
    tokens
}

/// An address may begin with a colon.
fn may_begin(c: char) -> bool {
    c.is_alphanumeric() || c == ':' || c == '_'
}

fn may_continue(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | ':' | '@' | '+' | '\'')
}

/// A run without spaces; `next` is what comes after it.
fn take_apart<'a>(run: &'a str, next: &str, tokens: &mut Vec<Token<'a>>) {
    if run.contains('@') {
        tokens.push(Token::Word(run, Kind::Mail));
        return;
    }
    if is_date(run) || is_clock(run) {
        tokens.push(Token::Word(run, Kind::Time));
        return;
    }
    // Where parts begin, and behind the last one.
    let mut begins = vec![0];
    begins.extend(run.match_indices(':').map(|(colon, _)| colon + 1));
    let end = |part: usize| begins.get(part + 1).map_or(run.len(), |next| next - 1);
    let mut part = 0;
    while part < begins.len() {
        let last = begins.len().min(part + MOST_PARTS);
        let address = (part..last).rev().find_map(|last| {
            let text = &run[begins[part]..end(last)];
            text.parse::<IpAddr>().ok().map(|address| (last, address))
        });
        if let Some((last, address)) = address {
            let length = (end(last) == run.len()).then(|| prefix_length(next));
            tokens.push(Token::Address(address, length.flatten()));
            part = last;
        } else {
            let last = hexadecimal(run, &begins, part, &end);
            let word = &run[begins[part]..end(last)];
            if !word.is_empty() {
                tokens.push(Token::Word(word, kind(word)));
            }
            part = last;
        }
        if end(part) < run.len() {
            tokens.push(Token::Between(&run[end(part)..=end(part)]));
        }
        part += 1;
    }
}

/// The last of three or more parts that read like a piece of an address, or of a network card's, and
/// should stay together; or else the part itself.
fn hexadecimal(run: &str, begins: &[usize], part: usize, end: &impl Fn(usize) -> usize) -> usize {
    let is_hexadecimal = |part: &usize| {
        let text = &run[begins[*part]..end(*part)];
        (1..=4).contains(&text.len()) && text.chars().all(|c| c.is_ascii_hexdigit())
    };
    let count = (part..begins.len()).take_while(is_hexadecimal).count();
    if count >= 3 { part + count - 1 } else { part }
}

fn kind(word: &str) -> Kind {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    match word.split_once('.') {
        None if is_number(word) => Kind::Number,
        None => Kind::Plain,
        Some((whole, part)) if is_number(whole) && is_number(part) => Kind::Number,
        Some(_) => Kind::Dotted,
    }
}

fn has_shape(text: &str, shape: &str) -> bool {
    let fits = |(byte, form): (u8, u8)| match form {
        b'0' => byte.is_ascii_digit(),
        form => byte == form,
    };
    text.len() == shape.len() && text.bytes().zip(shape.bytes()).all(fits)
}

fn is_date(text: &str) -> bool {
    has_shape(text, "0000-00-00")
}

fn is_clock(text: &str) -> bool {
    has_shape(text, "00:00:00") || has_shape(text, "00:00")
}

/// Of `/24`, or of Postfix's `]/64`.
fn prefix_length(next: &str) -> Option<u8> {
    let length = next.strip_prefix(']').unwrap_or(next).strip_prefix('/')?;
    let end = length.find(|c: char| !c.is_ascii_digit());
    length[..end.unwrap_or(length.len())].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Vec<String> {
        let tokens = tokens(text).into_iter().filter_map(|token| match token {
            Token::Between(_) => None,
            Token::Address(address, None) => Some(format!("<{address}>")),
            Token::Address(address, Some(length)) => Some(format!("<{address}/{length}>")),
            Token::Word(word, kind) => Some(format!("{word} {kind:?}")),
        });
        tokens.collect()
    }

    #[test]
    fn a_text_is_taken_apart() {
        for (text, expected) in [
            ("can't, tom.", &["can't Plain", "tom Plain"][..]),
            (
                "added 192.0.2.10: tom",
                &["added Plain", "<192.0.2.10>", "tom Plain"],
            ),
            (
                "rip=2001:db8::1, x",
                &["rip Plain", "<2001:db8::1>", "x Plain"],
            ),
            ("2001:db8::1: tom", &["<2001:db8::1>", "tom Plain"]),
            ("192.0.2.10:25", &["<192.0.2.10>", "25 Number"]),
            ("[IPv6:2001:DB8::1]", &["IPv6 Plain", "<2001:db8::1>"]),
            ("::ffff:192.0.2.10", &["<::ffff:192.0.2.10>"]),
            ("[2001:db8::]/64", &["<2001:db8::/64>", "64 Number"]),
            ("fe80::1%eth0", &["<fe80::1>", "eth0 Plain"]),
            ("::1", &["<::1>"]),
            ("10.0.0.0/8 x", &["<10.0.0.0/8>", "8 Number", "x Plain"]),
            (
                "10.2.0.192.in-addr.arpa",
                &["10.2.0.192.in-addr.arpa Dotted"],
            ),
            ("192.000.002.010", &["192.000.002.010 Dotted"]),
            ("2001:db8:1:2 x", &["2001:db8:1:2 Plain", "x Plain"]),
            ("00:16:3e:00:00:01", &["00:16:3e:00:00:01 Plain"]),
            (
                "2026-11-24 10:23:05 0.5",
                &["2026-11-24 Time", "10:23:05 Time", "0.5 Number"],
            ),
            ("hash:/var/lib", &["hash Plain", "var Plain", "lib Plain"]),
            ("<o'brien+x@example.org>", &["o'brien+x@example.org Mail"]),
            ("config.toml:12", &["config.toml Dotted", "12 Number"]),
        ] {
            assert_eq!(shown(text), expected, "{text}");
        }
    }
}
