//! Perl as far as an old configuration needs it: strings, put together, given to variables.
//!
//! Evaluates nothing else.

use std::collections::BTreeMap;

/// The variables of the old configuration that hold patterns.
const PATTERNS: [&str; 7] = [
    "pat", "out_pat", "PID_pat", "IP_pat", "OK_pat", "FAIL_pat", "OUT_pat",
];

/// Reads a bare pattern, Perl's strings (`'…' . '…'`), or an old configuration: of that, what is
/// given to variables with patterns (`$pat = '…';`), and if nothing is, what is commented out.
/// Gives the values by the names of their variables; that of no variable has an empty name.
/// `known` are variables that may be used.
///
/// # Errors
/// What can't be understood.
pub(super) fn read(
    text: &str,
    known: &BTreeMap<String, String>,
) -> Result<Vec<(String, String)>, String> {
    let live = |line: &&str| !line.trim_start().starts_with('#');
    let is_live = text.lines().filter(live).any(|l| assigned(l).is_some());
    let code: String = text
        .lines()
        .filter(|line| !is_live || live(line))
        .map(|line| line.trim_start_matches(['#', ' ', '\t']).to_owned() + "\n")
        .collect();
    let code = code.trim();
    let mut parser = Parser {
        rest: code,
        known: known.clone(),
    };
    if code.starts_with(['\'', '"'])
        || code.lines().next().and_then(variable).is_some() && !code.contains('=')
    {
        return Ok(vec![(String::new(), parser.expression()?)]);
    }
    if !code.lines().any(|line| assigned(line).is_some()) {
        let bare = text.trim_matches(['\n', '\r']);
        return Ok(vec![(String::new(), bare.to_owned())]);
    }
    let mut values = Vec::new();
    while let Some(name) = parser.next_assigned() {
        let value = parser.expression()?;
        parser.known.insert(name.to_owned(), value.clone());
        values.push((name.to_owned(), value));
    }
    Ok(values)
}

/// Whether a variable that holds patterns is given a value, in a line that is not commented out.
pub(in crate::cli) fn gives_patterns(text: &str) -> bool {
    text.lines().any(|line| assigned(line).is_some())
}

/// The string that `code` begins with, as Perl's strings (`'…' . '…'`), and what follows it.
///
/// # Errors
/// What can't be understood.
pub(in crate::cli) fn string(code: &str) -> Result<(String, &str), String> {
    let mut parser = Parser {
        rest: code,
        known: BTreeMap::new(),
    };
    let value = parser.expression()?;
    Ok((value, parser.rest))
}

/// The variable and the expression, if a line begins with `$pat =` or the like.
fn assigned(line: &str) -> Option<(&str, &str)> {
    let line = line.trim_start();
    let name = variable(line)?;
    let after = line[1 + name.len()..].trim_start().strip_prefix('=')?;
    PATTERNS.contains(&name).then_some((name, after))
}

/// The name of the variable that `code` begins with.
fn variable(code: &str) -> Option<&str> {
    let name = code.strip_prefix('$')?;
    let end = name
        .find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .unwrap_or(name.len());
    (end > 0).then(|| &name[..end])
}

struct Parser<'a> {
    rest: &'a str,
    known: BTreeMap<String, String>,
}

impl<'a> Parser<'a> {
    /// Goes behind the next `$pat =` or the like at the beginning of a line.
    fn next_assigned(&mut self) -> Option<&'a str> {
        loop {
            if let Some((name, after)) = assigned(self.rest) {
                self.rest = after;
                return Some(name);
            }
            let newline = self.rest.find('\n')?;
            self.rest = &self.rest[newline + 1..];
        }
    }

    fn expression(&mut self) -> Result<String, String> {
        let mut value = String::new();
        loop {
            self.skip();
            if let Some(name) = variable(self.rest) {
                let known = self.known.get(name).ok_or_else(|| {
                    format!("the variable ${name} is not known here: write its value")
                })?;
                value.push_str(known);
                self.rest = &self.rest[1 + name.len()..];
            } else if self.take("'") {
                self.string('\'', &mut value)?;
            } else if self.take("\"") {
                self.string('"', &mut value)?;
            } else {
                let shown: String = self.rest.chars().take(20).collect();
                return Err(format!("a string is expected at '{shown}'"));
            }
            self.skip();
            if !self.take(".") {
                return Ok(value);
            }
        }
    }

    /// The rest of a string whose opening quote has been taken: perlop(1).
    fn string(&mut self, quote: char, value: &mut String) -> Result<(), String> {
        let mut characters = self.rest.char_indices();
        while let Some((at, c)) = characters.next() {
            match c {
                _ if c == quote => {
                    self.rest = &self.rest[at + 1..];
                    return Ok(());
                }
                '\\' => match characters.next() {
                    Some((_, next)) if next == quote || next == '\\' => value.push(next),
                    Some((_, next)) if quote == '\'' => value.extend(['\\', next]),
                    Some((_, next @ ('$' | '@'))) => value.push(next),
                    Some((_, next)) if next.is_ascii_punctuation() => value.push(next),
                    Some((_, next)) => {
                        return Err(format!(
                            "\\{next} between double quotes means something else than in a \
                             pattern: use single quotes"
                        ));
                    }
                    None => break,
                },
                '$' | '@'
                    if quote == '"' && self.rest[at + 1..].starts_with(char::is_alphabetic) =>
                {
                    return Err("a variable between double quotes: write its value".to_owned());
                }
                _ => value.push(c),
            }
        }
        Err(format!("a string has no closing {quote}"))
    }

    fn take(&mut self, token: &str) -> bool {
        self.skip();
        match self.rest.strip_prefix(token) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }

    /// Skips white space, and comments at a line's end.
    fn skip(&mut self) {
        self.rest = self.rest.trim_start();
        while self.rest.starts_with('#') {
            let end = self.rest.find('\n').unwrap_or(self.rest.len());
            self.rest = self.rest[end..].trim_start();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(text: &str) -> Result<Vec<(String, String)>, String> {
        let known = [("PID_pat".to_owned(), r"^x\[(\d+)\]: ".to_owned())];
        read(text, &known.into())
    }

    #[test]
    fn strings_are_put_together() {
        for (text, name, value) in [
            (r"^[LOGTIME] \S+ a: '(x)", "", r"^[LOGTIME] \S+ a: '(x)"),
            (r"'^a\d\\d\'' . 'b'", "", r"^a\d\d'b"),
            ("#$pat = '^a' .\n#  'b'; # UW\n", "pat", "^ab"),
            ("# For UW\n##$out_pat='^a' ;", "out_pat", "^a"),
            (
                "$IP_pat = $PID_pat . 'from (x)'",
                "IP_pat",
                r"^x\[(\d+)\]: from (x)",
            ),
            (r#""a\\d \"x\" .""#, "", r#"a\d "x" ."#),
        ] {
            assert_eq!(
                values(text).unwrap(),
                [(name.to_owned(), value.to_owned())],
                "{text}"
            );
        }
        let two = values("$pat = 'a';\n$out_pat = $pat . 'b';").unwrap();
        assert_eq!(two[1], ("out_pat".to_owned(), "ab".to_owned()));
        let pid = values("$PID_pat . 'b'").unwrap();
        assert_eq!(pid, [(String::new(), r"^x\[(\d+)\]: b".to_owned())]);
    }

    #[test]
    fn of_a_configuration_what_is_in_force_counts() {
        let whole =
            "use strict;\n$debug = 1; # a\n  $pat = 'a' .\n  # more\n  'b';\n#$pat = 'c';\n";
        let pat = |value: &str| [("pat".to_owned(), value.to_owned())];
        assert_eq!(values(whole).unwrap(), pat("ab"));
        let commented = whole.replace("  $pat", "# Two\n  ##$Pat");
        assert_eq!(values(&commented).unwrap(), pat("c"));
    }

    #[test]
    fn what_is_no_string_is_an_error() {
        for (text, says) in [
            ("'a' . qr/b/", "a string is expected at 'qr/b/'"),
            ("'a", "no closing '"),
            ("$pat = $other . 'a'", "$other is not known"),
            (r#""a\d""#, "single quotes"),
            (r#""a$b""#, "a variable between double quotes"),
        ] {
            let error = values(text).unwrap_err();
            assert!(error.contains(says), "{text}: {error}");
        }
    }
}
