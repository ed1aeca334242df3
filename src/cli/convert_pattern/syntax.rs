//! From Perl's regular expressions, perlre(1), to those of the regex crate.
//!
//! What the crate has, too, is carried over as it is or written otherwise; what it can't have is
//! named with its place.

use super::header::{LOGTIME, regex};

/// Something that can't be carried over.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Problem {
    /// Its place in the old pattern, in characters.
    pub(super) at: usize,
    /// What it is, and what to do.
    pub(super) message: String,
}

const LOOKAHEAD: &str = "a lookahead: the regex crate has none. For what must not be in the line, \
                         'unless' takes another expression";
const LOOKBEHIND: &str = "a lookbehind: the regex crate has none. For what must not be in the line, \
                          'unless' takes another expression";
const ATOMIC: &str = "an atomic group: write (?: instead, as nothing is tried twice anyway";

/// What is carried over at once, outside of classes and in them.
const OUTSIDE: &str =
    r"(?s)\\.?|\[LOGTIME\]|\[\^?\]?|\(\?#(?:[^)]*\))?|\(\?(?:<[=!]|P<|.)?|\{[0-9]+(?:,[0-9]*)?\}|.";
const INSIDE: &str = r"(?s)\\.?|\[:.*?:\]|.";

/// Writes a pattern of the Perl daemon as the regex crate has it.
///
/// # Errors
/// The first thing that can't be carried over.
pub(super) fn translate(pattern: &str) -> Result<String, Problem> {
    let problem = |at: usize, message: String| Problem {
        at: pattern[..at].chars().count(),
        message,
    };
    let compile = |tokens| regex(tokens).map_err(|message| problem(0, message));
    let (outside, inside) = (compile(OUTSIDE)?, compile(INSIDE)?);
    let mut new = String::with_capacity(pattern.len() + 16);
    let mut at = 0;
    // Where the class begins that we are in.
    let mut class = None;
    let mut quantified = false;
    while let Some(token) = class.map_or(&outside, |_| &inside).find_at(pattern, at) {
        let token = token.as_str();
        let was_quantified = std::mem::take(&mut quantified);
        let written = match token {
            _ if token.starts_with('\\') => escape(token, class.is_some()),
            "]" => {
                class = None;
                Ok(token.to_owned())
            }
            // Alone, these begin a class in the class, or an operation on classes.
            "[" | "&" | "~" if class.is_some() => Ok(format!("\\{token}")),
            _ if class.is_some() => Ok(token.to_owned()),
            "[LOGTIME]" => Ok(LOGTIME.to_owned()),
            "[" | "[^" | "[]" | "[^]" => {
                class = Some(at);
                Ok(token.replace(']', "\\]"))
            }
            "(?=" | "(?!" => Err(LOOKAHEAD.to_owned()),
            "(?<=" | "(?<!" => Err(LOOKBEHIND.to_owned()),
            "(?>" => Err(ATOMIC.to_owned()),
            "(?#" => Err("a comment that is not closed".to_owned()),
            _ if token.starts_with("(?#") => Ok(String::new()),
            "(?:" | "(?<" | "(?P<" | "(?i" | "(?m" | "(?s" | "(?x" | "(?-" => Ok(token.to_owned()),
            _ if token.starts_with("(?") => {
                Err("a construct that the regex crate does not have".to_owned())
            }
            "+" if was_quantified => {
                Err("a possessive quantifier: try it without this +".to_owned())
            }
            "{" | "}" => Ok(format!("\\{token}")),
            _ if token.starts_with(['*', '+', '?', '{']) => {
                quantified = true;
                Ok(token.to_owned())
            }
            "$" if pattern[at + 1..].starts_with(|c: char| c.is_ascii_alphabetic()) => {
                Err("a variable: write its value".to_owned())
            }
            _ => Ok(token.to_owned()),
        };
        new += &written.map_err(|message| problem(at, message))?;
        at += token.len();
    }
    match class {
        Some(start) => Err(problem(start, "a class that is not closed".to_owned())),
        None => Ok(new),
    }
}

/// An escape, as the crate has it.
fn escape(token: &str, in_class: bool) -> Result<String, String> {
    let next = token.chars().nth(1).ok_or("a backslash at the end")?;
    Ok(match next {
        '1'..='9' | 'g' | 'k' => {
            return Err("a back reference: the regex crate has none".to_owned());
        }
        'h' if in_class => " \\t".to_owned(),
        'h' => "[ \\t]".to_owned(),
        'H' if !in_class => "[^ \\t]".to_owned(),
        'Z' if !in_class => "$".to_owned(),
        'e' => "\\x1b".to_owned(),
        'A' | 'z' | 'b' | 'B' if !in_class => token.to_owned(),
        _ if "dDwWsSntrfax.+*?()|[]{}^$\\#&-~".contains(next) => token.to_owned(),
        _ if next.is_ascii_alphanumeric() => {
            return Err(format!("{token}: the regex crate has no such thing"));
        }
        // The crate takes \< and \> for the ends of words.
        _ => next.to_string(),
    })
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
