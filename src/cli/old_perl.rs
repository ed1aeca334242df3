//! Perl as far as the old daemon's configuration needs it: the lines in force, what they give to
//! variables, and strings, numbers and lists.
//!
//! That configuration is a program. It is read as text and never run: what only Perl could work out
//! is an error, not guessed.

use std::collections::BTreeMap;

/// The variables that hold patterns.
const PATTERNS: [&str; 7] = [
    "$pat",
    "$out_pat",
    "$PID_pat",
    "$IP_pat",
    "$OK_pat",
    "$FAIL_pat",
    "$OUT_pat",
];

/// A line that gives a value to a variable: `$grace = 30*60;`.
pub(super) struct Assignment<'a> {
    /// The line's number, counted from 1.
    pub(super) line: usize,
    /// Whether the line is indented, and so in a block.
    pub(super) in_block: bool,
    /// The variable: `$grace`, `@mynets`, `$file_tail{'name'}`.
    pub(super) variable: &'a str,
    /// What follows the `=`, to the end of the text.
    pub(super) value: &'a str,
}

/// The text without what is commented out, is documentation (perlpod(1): from a line with `=word` to
/// one with `=cut`) or stands behind the end. Lines keep their numbers.
pub(super) fn in_force(text: &str) -> String {
    let is_word = |text: &str| text.starts_with(|c: char| c.is_ascii_alphabetic());
    let (mut documentation, mut ended) = (false, false);
    let mut kept = String::with_capacity(text.len());
    for line in text.lines() {
        if documentation {
            documentation = line.strip_prefix("=cut").is_none_or(is_word);
        } else if line.strip_prefix('=').is_some_and(is_word) {
            documentation = true;
        } else {
            ended |= matches!(line.trim_end(), "__END__" | "__DATA__");
            if !ended && !line.trim_start().starts_with('#') {
                kept.push_str(line);
            }
        }
        kept.push('\n');
    }
    kept
}

/// The assignments in a text that is in force.
pub(super) fn assignments(text: &str) -> impl Iterator<Item = Assignment<'_>> {
    let starts = std::iter::once(0).chain(text.match_indices('\n').map(|(at, _)| at + 1));
    starts.enumerate().filter_map(|(number, start)| {
        let code = text[start..].trim_start_matches([' ', '\t']);
        let (variable, rest) = variable(code)?;
        let value = rest.trim_start().strip_prefix('=')?;
        // Not a comparison.
        (!value.starts_with('=')).then(|| Assignment {
            line: number + 1,
            in_block: text[start..].len() > code.len(),
            variable,
            value: value.trim_start(),
        })
    })
}

/// Reads a bare pattern, Perl's strings (`'…' . '…'`), or an old configuration: of that, what is
/// given to variables with patterns (`$pat = '…';`), and if nothing is, what is commented out.
/// Gives the values by the names of their variables; that of no variable has an empty name.
/// `known` are variables that may be used.
///
/// # Errors
/// What can't be understood.
pub(super) fn patterns(
    text: &str,
    known: &BTreeMap<String, String>,
) -> Result<Vec<(String, String)>, String> {
    let mut code = in_force(text);
    if !gives_patterns(&code) {
        let bare = |line: &str| line.trim_start_matches(['#', ' ', '\t']).to_owned() + "\n";
        code = text.lines().map(bare).collect();
    }
    let code = code.trim();
    let is_variable = code.starts_with('$') && variable(code).is_some();
    if code.starts_with(['\'', '"']) || is_variable && !code.contains('=') {
        return Ok(vec![(String::new(), string(code, known)?.0)]);
    }
    let mut known = known.clone();
    let mut values = Vec::new();
    for assignment in assignments(code).filter(gives_pattern) {
        let (value, _) = string(assignment.value, &known)?;
        let name = assignment.variable[1..].to_owned();
        known.insert(name.clone(), value.clone());
        values.push((name, value));
    }
    if values.is_empty() {
        values.push((String::new(), text.trim_matches(['\n', '\r']).to_owned()));
    }
    Ok(values)
}

/// Whether a variable that holds patterns is given a value in a text that is in force.
pub(super) fn gives_patterns(text: &str) -> bool {
    assignments(text).any(|assignment| gives_pattern(&assignment))
}

fn gives_pattern(assignment: &Assignment<'_>) -> bool {
    PATTERNS.contains(&assignment.variable)
}

/// The string that `code` begins with, put together from Perl's strings and known variables
/// (`$PID_pat . '…'`), and what follows it.
///
/// # Errors
/// What can't be understood.
pub(super) fn string<'a>(
    code: &'a str,
    known: &BTreeMap<String, String>,
) -> Result<(String, &'a str), String> {
    let mut value = String::new();
    let mut rest = skip(code);
    loop {
        if let Some((variable, after)) = variable(rest) {
            let known = known.get(&variable[1..]);
            value += known.ok_or_else(|| {
                format!("the variable {variable} is not known here: write its value")
            })?;
            rest = after;
        } else if let Some(quote @ ('\'' | '"')) = rest.chars().next() {
            rest = literal(&rest[1..], quote, &mut value)?;
        } else {
            let shown: String = rest.chars().take(20).collect();
            return Err(format!("a string is expected at '{shown}'"));
        }
        rest = skip(rest);
        match rest.strip_prefix('.') {
            Some(after) => rest = skip(after),
            None => return Ok((value, rest)),
        }
    }
}

/// Adds the string whose opening quote stands before `code` (perlop(1)), and gives what follows it.
fn literal<'a>(code: &'a str, quote: char, value: &mut String) -> Result<&'a str, String> {
    let mut characters = code.char_indices();
    while let Some((at, c)) = characters.next() {
        match c {
            _ if c == quote => return Ok(&code[at + 1..]),
            '\\' => match characters.next() {
                Some((_, next)) if next == quote || next == '\\' => value.push(next),
                Some((_, next)) if quote == '\'' => value.extend(['\\', next]),
                Some((_, next)) if next.is_ascii_punctuation() => value.push(next),
                Some((_, next)) => {
                    return Err(format!(
                        "\\{next} between double quotes means something else than in a pattern: \
                         use single quotes"
                    ));
                }
                None => break,
            },
            '$' | '@' if quote == '"' && code[at + 1..].starts_with(char::is_alphabetic) => {
                return Err("a variable between double quotes: write its value".to_owned());
            }
            _ => value.push(c),
        }
    }
    Err(format!("a string has no closing {quote}"))
}

/// A string that is the whole value.
///
/// # Errors
/// What can't be understood.
pub(super) fn text(value: &str) -> Result<String, String> {
    let (text, rest) = string(value, &BTreeMap::new())?;
    ended(rest).map(|()| text)
}

/// A whole number, or some multiplied and added: `30*60`.
///
/// # Errors
/// It is something else.
pub(super) fn number(value: &str) -> Result<u64, String> {
    let factor = |text: &str| {
        let digits = text.trim().replace('_', "");
        // A leading zero is octal to Perl; and a sign is no digit.
        let decimal = digits == "0" || digits.starts_with(|c| matches!(c, '1'..='9'));
        decimal.then(|| digits.parse::<u64>().ok()).flatten()
    };
    let product = |text: &str| {
        (text.split('*').map(factor)).try_fold(1_u64, |product, f| product.checked_mul(f?))
    };
    let sum = value.split_once(';').and_then(|(expression, _)| {
        let summands = expression.trim().trim_matches(['\'', '"']).split('+');
        (summands.map(product)).try_fold(0_u64, |sum, summand| sum.checked_add(summand?))
    });
    sum.ok_or_else(|| only_perl("number"))
}

/// `('…', "…")`, or `qw( … )`.
///
/// # Errors
/// It is something else.
pub(super) fn list(value: &str) -> Result<Vec<String>, String> {
    let words = value.strip_prefix("qw").and_then(|rest| {
        let (at, open) = rest.char_indices().find(|(_, c)| !c.is_whitespace())?;
        let close = ")]}/|!".get("([{/|!".find(open)?..)?.chars().next()?;
        rest[at + 1..].split_once(close)
    });
    if let Some((words, rest)) = words {
        ended(rest)?;
        return Ok(words.split_whitespace().map(str::to_owned).collect());
    }
    let mut rest = value.strip_prefix('(').ok_or_else(|| only_perl("list"))?;
    let mut texts = Vec::new();
    loop {
        rest = skip(rest);
        if let Some(after) = rest.strip_prefix(')') {
            return ended(after).map(|()| texts);
        }
        let (text, after) = string(rest, &BTreeMap::new())?;
        texts.push(text);
        let more = after.strip_prefix(',');
        let more = more.or_else(|| after.starts_with(')').then_some(after));
        rest = more.ok_or_else(|| only_perl("list"))?;
    }
}

/// The name of a function: `\&name;`.
///
/// # Errors
/// It is something else.
pub(super) fn function(value: &str) -> Result<String, String> {
    let name = value.strip_prefix("\\&").unwrap_or_default();
    let (name, rest) = name.split_at(word(name));
    match ended(rest) {
        Ok(()) => Ok(name.to_owned()),
        Err(_) => Err("only Perl can tell which function this is".to_owned()),
    }
}

/// Nothing else may belong to the expression.
fn ended(rest: &str) -> Result<(), String> {
    let is_end = rest.trim_start().starts_with(';');
    is_end.then_some(()).ok_or_else(|| only_perl("expression"))
}

fn only_perl(what: &str) -> String {
    format!("only Perl can work out this {what}")
}

/// The variable that `code` begins with, and what follows it.
fn variable(code: &str) -> Option<(&str, &str)> {
    let name = code.strip_prefix(['$', '@'])?;
    let length = word(name);
    let element = (name[length..].starts_with('{')).then(|| name[length..].find('}'));
    let end = 1 + length + element.flatten().map_or(0, |close| close + 1);
    (length > 0).then(|| code.split_at(end))
}

/// How long the name is that `code` begins with.
fn word(code: &str) -> usize {
    code.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .unwrap_or(code.len())
}

/// Skips white space, and comments at a line's end.
fn skip(code: &str) -> &str {
    let mut rest = code.trim_start();
    while rest.starts_with('#') {
        rest = rest[rest.find('\n').unwrap_or(rest.len())..].trim_start();
    }
    rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(text: &str) -> Result<Vec<(String, String)>, String> {
        let known = [("PID_pat".to_owned(), r"^x\[(\d+)\]: ".to_owned())];
        patterns(text, &known.into())
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
        let documentation = "=pod\n$pat = 'x';\n=cut\n";
        let ended = format!("{documentation}{whole}__END__\n$pat = 'y';\n");
        assert_eq!(values(&ended).unwrap(), pat("ab"));
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
