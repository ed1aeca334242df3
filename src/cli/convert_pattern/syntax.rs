//! From Perl's regular expressions, perlre(1), to those of the regex crate.
//!
//! What the crate has, too, is carried over as it is or written otherwise; what it can't have is
//! named with its place.

/// Something that can't be carried over.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Problem {
    /// Its place in the old pattern, in characters.
    pub(super) at: usize,
    /// What it is, and what to do.
    pub(super) message: String,
}

/// What `[LOGTIME]` becomes: a group that can be found again.
const LOGTIME: &str = "(?<logtime>x)";

/// Writes a pattern of the Perl daemon as the regex crate has it.
///
/// # Errors
/// The first thing that can't be carried over.
pub(super) fn translate(pattern: &str) -> Result<String, Problem> {
    let mut translator = Translator {
        old: pattern.chars().collect(),
        at: 0,
        new: String::with_capacity(pattern.len() + 16),
    };
    while translator.at < translator.old.len() {
        translator.step()?;
    }
    Ok(translator.new)
}

struct Translator {
    old: Vec<char>,
    at: usize,
    new: String,
}

impl Translator {
    fn peek(&self, ahead: usize) -> Option<char> {
        self.old.get(self.at + ahead).copied()
    }

    fn starts_with(&self, text: &str) -> bool {
        let mut characters = text.chars().enumerate();
        characters.all(|(ahead, c)| self.peek(ahead) == Some(c))
    }

    fn problem(&self, message: impl Into<String>) -> Problem {
        Problem {
            at: self.at,
            message: message.into(),
        }
    }

    fn copy(&mut self, count: usize) {
        let end = (self.at + count).min(self.old.len());
        self.new.extend(&self.old[self.at..end]);
        self.at = end;
    }

    fn step(&mut self) -> Result<(), Problem> {
        if self.starts_with("[LOGTIME]") {
            self.new.push_str(LOGTIME);
            self.at += "[LOGTIME]".len();
            return Ok(());
        }
        match self.old[self.at] {
            '\\' => self.escape(false),
            '[' => self.class(),
            '(' => self.group(),
            '{' => {
                self.brace();
                self.possessive()
            }
            '}' => {
                self.new.push_str("\\}");
                self.at += 1;
                Ok(())
            }
            '*' | '+' | '?' => {
                self.copy(1);
                self.possessive()
            }
            '$' if self.peek(1).is_some_and(|c| c.is_ascii_alphabetic()) => {
                Err(self.problem("a variable: write its value"))
            }
            _ => {
                self.copy(1);
                Ok(())
            }
        }
    }

    /// Behind a quantifier.
    fn possessive(&self) -> Result<(), Problem> {
        if self.peek(0) == Some('+') {
            return Err(self.problem("a possessive quantifier: try it without this +"));
        }
        Ok(())
    }

    fn brace(&mut self) {
        let inside: String = self.old[self.at + 1..]
            .iter()
            .take_while(|c| **c != '}')
            .collect();
        let is_number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        let is_quantifier = match inside.split_once(',') {
            Some((least, most)) => is_number(least) && (most.is_empty() || is_number(most)),
            None => is_number(&inside),
        };
        if is_quantifier && self.peek(inside.len() + 1) == Some('}') {
            self.copy(inside.len() + 2);
        } else {
            self.new.push_str("\\{");
            self.at += 1;
        }
    }

    fn escape(&mut self, in_class: bool) -> Result<(), Problem> {
        let Some(next) = self.peek(1) else {
            return Err(self.problem("a backslash at the end"));
        };
        let written = match next {
            '1'..='9' | 'g' | 'k' => {
                return Err(self.problem("a back reference: the regex crate has none"));
            }
            'h' if in_class => " \\t".to_owned(),
            'h' => "[ \\t]".to_owned(),
            'H' if !in_class => "[^ \\t]".to_owned(),
            'Z' if !in_class => "$".to_owned(),
            'e' => "\\x1b".to_owned(),
            'A' | 'z' | 'b' | 'B' if !in_class => format!("\\{next}"),
            'd' | 'D' | 'w' | 'W' | 's' | 'S' | 'n' | 't' | 'r' | 'f' | 'a' | 'x' => {
                format!("\\{next}")
            }
            _ if next.is_ascii_alphanumeric() => {
                return Err(self.problem(format!("\\{next}: the regex crate has no such thing")));
            }
            _ if ".+*?()|[]{}^$\\#&-~".contains(next) => format!("\\{next}"),
            // The crate takes \< and \> for the ends of words.
            _ => next.to_string(),
        };
        self.new.push_str(&written);
        self.at += 2;
        Ok(())
    }

    fn class(&mut self) -> Result<(), Problem> {
        let start = self.problem("a class that is not closed");
        self.copy(1);
        if self.peek(0) == Some('^') {
            self.copy(1);
        }
        if self.peek(0) == Some(']') {
            self.new.push_str("\\]");
            self.at += 1;
        }
        while let Some(c) = self.peek(0) {
            match c {
                ']' => {
                    self.copy(1);
                    return Ok(());
                }
                '\\' => self.escape(true)?,
                '[' if self.peek(1) == Some(':') => {
                    let close = self.old[self.at..].windows(2).position(|w| w == [':', ']']);
                    self.copy(close.map_or(1, |close| close + 2));
                }
                // Alone, these begin a class in the class, or an operation on classes.
                '[' | '&' | '~' => {
                    self.new.extend(['\\', c]);
                    self.at += 1;
                }
                _ => self.copy(1),
            }
        }
        Err(start)
    }

    fn group(&mut self) -> Result<(), Problem> {
        if self.peek(1) != Some('?') {
            self.copy(1);
            return Ok(());
        }
        let after: String = self.old[self.at + 2..].iter().take(3).collect();
        let what = if after.starts_with(['=', '!']) {
            "a lookahead: the regex crate has none. For what must not be in the line, 'unless' \
             takes another expression"
        } else if after.starts_with("<=") || after.starts_with("<!") {
            "a lookbehind: the regex crate has none. For what must not be in the line, 'unless' \
             takes another expression"
        } else if after.starts_with('>') {
            "an atomic group: write (?: instead, as nothing is tried twice anyway"
        } else if after.starts_with('#') {
            match self.old[self.at..].iter().position(|c| *c == ')') {
                Some(close) => {
                    self.at += close + 1;
                    return Ok(());
                }
                None => "a comment that is not closed",
            }
        } else if after.starts_with([':', '<', 'i', 'm', 's', 'x', '-']) || after.starts_with("P<")
        {
            self.copy(2);
            return Ok(());
        } else {
            "a construct that the regex crate does not have"
        };
        Err(self.problem(what))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_both_have_is_carried_over() {
        for (old, new) in [
            (
                r"^[LOGTIME] \S+ a\[\d+\]: ",
                r"^(?<logtime>x) \S+ a\[\d+\]: ",
            ),
            (r"[^[]*[],][^]]+[&~]", r"[^\[]*[\],][^\]]+[\&\~]"),
            (r#"\-\>\<\"\@\/\."#, r#"\-><"@/\."#),
            (r"a{2}{x}{,3}{1,}", r"a{2}\{x\}\{,3\}{1,}"),
            (r"(?#note)(?:a)(?i:b)(?<n>c)\Z", r"(?:a)(?i:b)(?<n>c)$"),
            (r"[[:alpha:]_]\h[\h]", r"[[:alpha:]_][ \t][ \t]"),
            (r"a*?b+?", r"a*?b+?"),
        ] {
            assert_eq!(translate(old).as_deref(), Ok(new), "{old}");
        }
    }

    #[test]
    fn what_the_crate_lacks_is_named_with_its_place() {
        for (old, at, says) in [
            (r"a(?=b)", 1, "lookahead"),
            (r"a(?!b)", 1, "lookahead"),
            (r"(?<!b)", 0, "lookbehind"),
            (r"(?<=b)", 0, "lookbehind"),
            (r"(a)\1", 3, "back reference"),
            (r"(a)\g{1}", 3, "back reference"),
            (r"(?>a)", 0, "atomic"),
            (r"(?(1)a)", 0, "does not have"),
            (r"a++", 2, "possessive"),
            (r"ä\Kb", 1, r"\K"),
            (r"$host b", 0, "variable"),
            (r"[ab", 0, "not closed"),
        ] {
            let problem = translate(old).unwrap_err();
            assert_eq!(problem.at, at, "{old}");
            assert!(problem.message.contains(says), "{old}: {}", problem.message);
        }
    }
}
