//! What commands print for eyes: aligned, coloured on a terminal, and never wrapped by it.
//!
//! Colours are taken away again where nobody sees them (`NO_COLOR`, a pipe, a file): by whoever
//! made the output. Everything that strangers choose must have been made visible before.

use std::io::{self, Write};

use anstyle::{AnsiColor, Style};

/// Something is as it should be.
pub const GOOD: Style = AnsiColor::Green.on_default();
/// Something should be looked at.
pub const ODD: Style = AnsiColor::Yellow.on_default();
/// Something is wrong.
pub const BAD: Style = AnsiColor::Red.on_default().bold();
/// A heading, or the name of a value.
pub const NAME: Style = Style::new().bold();
/// What matters less.
pub const ASIDE: Style = Style::new().dimmed();

/// How wide the terminal is that standard output is; none if it is none. The terminal counts and
/// not `COLUMNS`, which shells keep to themselves.
pub fn terminal_width() -> Option<usize> {
    let size = rustix::termios::tcgetwinsize(io::stdout()).ok()?;
    Some(usize::from(size.ws_col)).filter(|width| *width > 0)
}

// By hand: `comfy-table` and `tabled` hold a whole table; `list` writes its rows as they come.

/// Names with their values, one below the other: the values are broken at spaces where the
/// terminal ends.
#[derive(Debug)]
pub struct Rows {
    names: usize,
    width: Option<usize>,
}

impl Rows {
    /// Rows whose longest name has `names` characters, for a terminal of this width.
    pub fn new(names: usize, width: Option<usize>) -> Self {
        Rows { names, width }
    }

    /// Writes a row; the value's own lines stay lines.
    pub fn row(
        &self,
        out: &mut impl Write,
        name: &str,
        style: Style,
        value: &str,
    ) -> io::Result<()> {
        let indent = self.names + 2;
        let room = self.width.map(|width| width.saturating_sub(indent).max(20));
        let lines = value
            .lines()
            .flat_map(|line| wrapped(line, room.unwrap_or(usize::MAX)));
        let mut named = false;
        for line in lines {
            if named {
                write!(out, "{:indent$}", "")?;
            } else {
                write!(out, "{:>names$}: ", name, names = self.names)?;
            }
            named = true;
            writeln!(out, "{style}{line}{style:#}")?;
        }
        Ok(())
    }
}

/// `text` in lines of at most `width` characters, but for words that are longer.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let Some(line) = lines.last_mut() else {
            break;
        };
        let length = line.chars().count();
        if length == 0 {
            line.push_str(word);
        } else if length + 1 + word.chars().count() <= width {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

/// The first `width` characters of a text, with a mark if there are more.
pub fn shortened(text: String, width: usize) -> String {
    if text.chars().count() <= width {
        return text;
    }
    let mut short: String = text.chars().take(width.saturating_sub(1)).collect();
    short.push('…');
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(width: Option<usize>, value: &str) -> String {
        let mut out = Vec::new();
        Rows::new(8, width)
            .row(&mut out, "Problem", Style::new(), value)
            .unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn values_are_broken_where_the_terminal_ends_and_nowhere_else() {
        let text = "the access map can't be published: postmap is not there";
        assert_eq!(row(None, text), format!(" Problem: {text}\n"));
        assert_eq!(
            row(Some(40), text),
            " Problem: the access map can't be\n          published: postmap is not\n          there\n"
        );
        assert_eq!(row(None, "a\nb"), " Problem: a\n          b\n");
        let word = "x".repeat(100);
        assert_eq!(row(Some(40), &word), format!(" Problem: {word}\n"));
    }

    #[test]
    fn long_names_are_cut_visibly() {
        assert_eq!(shortened("alice".to_owned(), 5), "alice");
        assert_eq!(shortened("alice@example.org".to_owned(), 6), "alice…");
    }
}
