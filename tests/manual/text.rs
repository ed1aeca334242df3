//! From the texts of the command line and of the configuration file to roff, man(7).
//!
//! The texts are plain: paragraphs are separated by empty lines, what is printed as it stands is
//! indented by two spaces, and `backticks` are around what is typed.

/// A text in a line of roff.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::new();
    for c in text.chars() {
        match c {
            '\\' => escaped += "\\e",
            '-' => escaped += "\\-",
            '\'' => escaped += "\\(aq",
            '`' => escaped += "\\(ga",
            '^' => escaped += "\\(ha",
            '~' => escaped += "\\(ti",
            '"' => escaped += "\\(dq",
            c => escaped.push(c),
        }
    }
    escaped
}

/// A line that does not read as a request of roff's.
fn line_of(text: &str) -> String {
    let escaped = escape(text);
    if escaped.starts_with('.') {
        format!("\\&{escaped}")
    } else {
        escaped
    }
}

/// A line in which what is in backticks is bold.
fn inline(text: &str) -> String {
    let mut line = String::new();
    for (index, piece) in text.split('`').enumerate() {
        match index % 2 {
            _ if piece.is_empty() => {}
            0 if index == 0 => line += &line_of(piece),
            0 => line += &escape(piece),
            _ => line += &format!("\\fB{}\\fR", escape(piece)),
        }
    }
    line
}

/// Paragraphs, each begun by `.PP` except for the first, which follows whatever stands before.
pub(super) fn paragraphs(text: &str) -> String {
    let mut roff = String::new();
    let mut literal = false;
    let mut after_gap = false;
    // An empty line ends what is literal, at the end of the text too.
    for line in text.lines().chain([""]) {
        let is_empty = line.trim().is_empty();
        let indented = line.strip_prefix("  ").filter(|_| !is_empty);
        if indented.is_none() && literal {
            roff += ".EE\n.RE\n";
            literal = false;
            after_gap = true;
        }
        if is_empty {
            after_gap = !roff.is_empty();
            continue;
        }
        match indented {
            Some(code) => {
                if !literal {
                    // Nothing needs to be parted from a heading.
                    roff += if roff.is_empty() {
                        ".RS 4\n.EX\n"
                    } else {
                        ".PP\n.RS 4\n.EX\n"
                    };
                    literal = true;
                }
                roff += &line_of(code);
            }
            None => {
                if after_gap {
                    roff += ".PP\n";
                }
                roff += &inline(line);
            }
        }
        after_gap = false;
        roff.push('\n');
    }
    roff
}

#[test]
fn texts_become_roff() {
    assert_eq!(
        paragraphs("It is `grace-full`.\n\nSo:\n  a 'b'\n  .c\nEnd\n"),
        "It is \\fBgrace\\-full\\fR.\n.PP\nSo:\n.PP\n.RS 4\n.EX\na \\(aqb\\(aq\n\\&.c\n.EE\n.RE\n\
         .PP\nEnd\n"
    );
}
