//! Perl as far as an old configuration needs it: strings, put together, given to variables.
//!
//! Evaluates nothing else.

use std::collections::BTreeMap;

/// Reads either a bare pattern or Perl's strings (`'…' . '…'`, `$pat = '…';`, also commented out),
/// and gives the values by the names of their variables; that of no variable has an empty name.
/// `known` are variables that may be used.
///
/// # Errors
/// What can't be understood.
pub(super) fn read(
    text: &str,
    known: &BTreeMap<String, String>,
) -> Result<Vec<(String, String)>, String> {
    let code = uncomment(text);
    let code = code.trim();
    let is_perl = code.starts_with(['\'', '"']) || variable(code).is_some();
    if is_perl {
        Parser {
            rest: code,
            known: known.clone(),
        }
        .statements()
    } else {
        Ok(vec![(String::new(), text.trim().to_owned())])
    }
}

/// The lines without the `#` that switches them off, and without those that are comments.
fn uncomment(text: &str) -> String {
    let mut code = String::new();
    for line in text.lines() {
        let bare = line.trim_start().trim_start_matches('#').trim_start();
        let commented = line.trim_start().starts_with('#');
        if !commented || bare.starts_with(['\'', '"']) || variable(bare).is_some() {
            code.push_str(bare);
            code.push('\n');
        }
    }
    code
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
    fn statements(mut self) -> Result<Vec<(String, String)>, String> {
        let mut values = Vec::new();
        loop {
            self.skip();
            while self.take(";") {}
            if self.rest.is_empty() {
                return Ok(values);
            }
            let name = self.assigned().unwrap_or_default().to_owned();
            let value = self.expression()?;
            self.known.insert(name.clone(), value.clone());
            values.push((name, value));
        }
    }

    /// The variable of `$name =`, if that comes next.
    fn assigned(&mut self) -> Option<&'a str> {
        let name = variable(self.rest)?;
        let after = self.rest[1 + name.len()..].trim_start();
        self.rest = after.strip_prefix('=')?;
        Some(name)
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
