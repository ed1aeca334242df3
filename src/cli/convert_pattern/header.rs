//! The head of an old pattern: time, host, identifier and pid, which the journal keeps apart.
//!
//! Takes it off, and tells which identifiers it names.

use regex::Regex;
use regex_syntax::ast::{Ast, GroupKind, RepetitionKind};
use regex_syntax::hir::{Class, Hir, HirKind};

/// How many identifiers an expression may stand for.
const MOST: usize = 64;

/// An old pattern without its head.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Headed {
    /// The identifiers that the head names; none, where it names none.
    pub(super) identifiers: Vec<String>,
    /// Whether the head has a pid.
    pub(super) has_pid: bool,
    /// What the message begins with.
    pub(super) message: String,
    /// Whether the pattern had to match from the beginning of the line.
    pub(super) anchored: bool,
    /// What the administrator should know.
    pub(super) notes: Vec<String>,
}

/// Takes off the head of `pattern`, whose syntax is the regex crate's.
///
/// # Errors
/// Why it can't be found.
pub(super) fn take_off(pattern: &str) -> Result<Headed, String> {
    let ast = parse(pattern)?;
    let items: Vec<&Ast> = match &ast {
        Ast::Concat(concat) => concat.asts.iter().collect(),
        Ast::Alternation(_) => {
            return Err("alternatives of whole lines: convert each by itself".to_owned());
        }
        _ => vec![&ast],
    };
    let anchored = matches!(items.first(), Some(Ast::Assertion(_)));
    let start = if anchored {
        items[0].span().end.offset
    } else {
        0
    };
    let Some(time) = items.iter().find(|item| is_time(item, pattern)) else {
        return Ok(Headed {
            message: pattern[start..].to_owned(),
            anchored,
            ..Headed::nothing()
        });
    };
    let (before, rest) = (
        &pattern[start..time.span().start.offset],
        time.span().end.offset,
    );
    if let Some(host) = host(&pattern[rest..])? {
        let start = rest + host;
        let mut headed = Headed::of_identifier(pattern, &items, start)?;
        headed.anchored = anchored;
        return Ok(headed);
    }
    // A log file of the server's own: it may name itself before the time.
    let message = pattern[rest..].trim_start_matches(' ');
    let mut headed = Headed {
        message: match message.strip_prefix(".* ") {
            Some(message) => format!("(?:.* )?{message}"),
            None => message.to_owned(),
        },
        anchored,
        ..Headed::nothing()
    };
    if let Some(names) = before.strip_suffix(": ") {
        headed.add_identifiers(names);
    }
    Ok(headed)
}

impl Headed {
    fn nothing() -> Self {
        Headed {
            identifiers: Vec::new(),
            has_pid: false,
            message: String::new(),
            anchored: true,
            notes: Vec::new(),
        }
    }

    /// The identifier begins at `start`, and ends with a colon and a space.
    fn of_identifier(pattern: &str, items: &[&Ast], start: usize) -> Result<Self, String> {
        let mut headed = Headed::nothing();
        let mut at = start;
        // (?:dovecot: )?(?:imap|pop3)-login: the first may be missing, and then it is the second.
        let optional = items.iter().find_map(|item| match item {
            Ast::Repetition(repetition)
                if item.span().start.offset == start
                    && repetition.op.kind == RepetitionKind::ZeroOrOne =>
            {
                let text =
                    &pattern[repetition.ast.span().start.offset..repetition.ast.span().end.offset];
                let inner = text.strip_prefix("(?:")?.strip_suffix(": )")?;
                Some((inner, item.span().end.offset))
            }
            _ => None,
        });
        if let Some((names, end)) = optional {
            headed.add_identifiers(names);
            at = end;
        }
        let is = |item: Option<&&Ast>, wanted: char| matches!(item, Some(Ast::Literal(literal)) if literal.c == wanted);
        let colon = (0..items.len()).find(|number| {
            items[*number].span().start.offset > at
                && is(items.get(*number), ':')
                && is(items.get(number + 1), ' ')
        });
        let Some(colon) = colon else {
            return Err("no identifier with a colon and a space behind it".to_owned());
        };
        let names = &pattern[at..items[colon].span().start.offset];
        let message = &pattern[items[colon + 1].span().end.offset..];
        headed.add_identifiers(names);
        headed.message = if optional.is_some() {
            format!("(?:{names}: )?{message}")
        } else {
            message.to_owned()
        };
        Ok(headed)
    }

    /// Adds those that an expression stands for, whatever the pid.
    fn add_identifiers(&mut self, names: &str) {
        let mut bare = names.to_owned();
        let replace = |text: &mut String, expression: &str| {
            let regex = Regex::new(expression).ok();
            let replaced = regex.map(|r| r.replace_all(text, "").into_owned());
            let changed = replaced.as_ref().is_some_and(|new| new != text);
            *text = replaced.unwrap_or_default();
            changed
        };
        let pid = r"(?:\(\?:)?\\\[\(?(?:\\d|\[0-9\])[+*]\)?\\\](?:\)\?)?$";
        self.has_pid |= replace(&mut bare, pid);
        replace(&mut bare, r"\\[\[\]]\?");
        if replace(&mut bare, r"\[\^[^\]]*\][*+]|\.[*+]\??|\\S[*+]") {
            self.notes.push(format!(
                "The old pattern took any text in the identifier: {names}. Name the identifiers \
                 that your server writes under."
            ));
        }
        match parse(&bare)
            .ok()
            .and_then(|ast| strings(&translate(&bare, &ast)?))
        {
            Some(found) => {
                for identifier in found {
                    if !self.identifiers.contains(&identifier) && !identifier.is_empty() {
                        self.identifiers.push(identifier);
                    }
                }
            }
            None => self.notes.push(format!(
                "The old pattern names the identifier by {names}, which stands for too many."
            )),
        }
    }
}

/// Whether an item is the group that the time is taken from, the first of the pattern.
fn is_time(item: &Ast, pattern: &str) -> bool {
    let Ast::Group(group) = item else {
        return false;
    };
    match &group.kind {
        GroupKind::CaptureName { name, .. } => name.name == "logtime",
        // Written out: (... .. ..:..:..) or (\w\w\w +\d+ \d+:\d+:\d+).
        GroupKind::CaptureIndex(1) => {
            let text = &pattern[group.span.start.offset..group.span.end.offset];
            text.matches(':').count() >= 2
                && [
                    "Nov 24 10:34:11",
                    "Nov  4 10:34:11",
                    "2026-11-24 10:34:11",
                    "Nov 24 2026 10:34:11",
                    "Tue Nov 24 10:34:11 2026",
                ]
                .iter()
                .any(|time| matches_whole(text, time))
        }
        _ => false,
    }
}

/// How long the host's name with its spaces is, if one comes next.
fn host(text: &str) -> Result<Option<usize>, String> {
    let forms = r"^ (?:\\S[+*]\??|\[\^(?: |\\s)\][+*]|\\w[+*]|\[[^\]^]*\][+*]|\.\+\?|(?:[A-Za-z0-9_-]|\\\.)+) |^ \(\?:\\\[\|\\S\+ \)";
    let regex = Regex::new(forms).map_err(|error| error.to_string())?;
    Ok(regex.find(text).map(|found| found.end()))
}

/// Whether an old expression matches the whole of a text.
pub(super) fn matches_whole(expression: &str, text: &str) -> bool {
    regex::bytes::RegexBuilder::new(&format!("^(?:{expression})$"))
        .unicode(false)
        .build()
        .is_ok_and(|regex| regex.is_match(text.as_bytes()))
}

pub(super) fn parse(expression: &str) -> Result<Ast, String> {
    regex_syntax::ast::parse::Parser::new()
        .parse(expression)
        .map_err(|error| format!("{}: {expression}", error.kind()))
}

fn translate(expression: &str, ast: &Ast) -> Option<Hir> {
    regex_syntax::hir::translate::TranslatorBuilder::new()
        .unicode(false)
        .utf8(false)
        .build()
        .translate(expression, ast)
        .ok()
}

/// All texts that an expression matches, if they are few.
fn strings(hir: &Hir) -> Option<Vec<String>> {
    let texts = match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => vec![String::new()],
        HirKind::Literal(literal) => vec![String::from_utf8(literal.0.to_vec()).ok()?],
        HirKind::Class(Class::Bytes(class)) => (class.iter())
            .flat_map(|range| range.start()..=range.end())
            .filter(u8::is_ascii_graphic)
            .map(|byte| char::from(byte).to_string())
            .collect(),
        HirKind::Class(Class::Unicode(class)) => (class.iter())
            .flat_map(|range| range.start()..=range.end())
            .take(MOST + 1)
            .map(String::from)
            .collect(),
        HirKind::Repetition(repetition) => {
            let once = strings(&repetition.sub)?;
            let mut all = Vec::new();
            for times in repetition.min..=repetition.max? {
                let mut texts = vec![String::new()];
                for _ in 0..times {
                    texts = product(&texts, &once)?;
                }
                all.extend(texts);
            }
            all
        }
        HirKind::Capture(capture) => strings(&capture.sub)?,
        HirKind::Concat(items) => {
            let mut texts = vec![String::new()];
            for item in items {
                texts = product(&texts, &strings(item)?)?;
            }
            texts
        }
        HirKind::Alternation(items) => {
            let mut texts = Vec::new();
            for item in items {
                texts.extend(strings(item)?);
            }
            texts
        }
    };
    (texts.len() <= MOST).then_some(texts)
}

fn product(left: &[String], right: &[String]) -> Option<Vec<String>> {
    if left.len() * right.len() > MOST {
        return None;
    }
    let pairs = left
        .iter()
        .flat_map(|l| right.iter().map(move |r| format!("{l}{r}")));
    Some(pairs.collect())
}

#[cfg(test)]
mod tests {
    use super::super::syntax::translate;
    use super::*;

    #[test]
    fn the_head_names_identifiers_and_is_taken_off() {
        for (old, identifiers, message, has_pid) in [
            (
                r"^[LOGTIME] \S+ (?:ipop3s?d|imaps?d)\[\d+\]: Login user=\S+",
                "ipop3d ipop3sd imapd imapsd",
                r"Login user=\S+",
                true,
            ),
            (
                r"^(... .. ..:..:..) \S+ gnu-pop3d\[\d+\]: User",
                "gnu-pop3d",
                "User",
                true,
            ),
            (
                r"^[LOGTIME] \S+ (?:cyrus/)?(?:pop3|imap)[ds]?\[\d+\]: login",
                "pop3 pop3d pop3s imap imapd imaps cyrus/pop3 cyrus/pop3d cyrus/pop3s cyrus/imap cyrus/imapd cyrus/imaps",
                "login",
                true,
            ),
            (
                r"^[LOGTIME] (?:\[|\S+ )(?:pop3|imap)(?:d|d-ssl)\]?: LOGIN",
                "pop3d pop3d-ssl imapd imapd-ssl",
                "LOGIN",
                false,
            ),
            (
                r"^[LOGTIME] \S+ (?:dovecot: )?(?:imap|pop3)-login: Login",
                "dovecot imap-login pop3-login",
                "(?:(?:imap|pop3)-login: )?Login",
                false,
            ),
            (
                r"^dovecot: [LOGTIME] Info: (?:imap|pop3)-login: Login",
                "dovecot",
                "Info: (?:imap|pop3)-login: Login",
                false,
            ),
            (
                r"^(?:imap|pop3)-login: [LOGTIME] Info: Login",
                "imap-login pop3-login",
                "Info: Login",
                false,
            ),
            (
                r"^[LOGTIME] \[popper\] \([^)]*\) POP login",
                "",
                r"\[popper\] \([^)]*\) POP login",
                false,
            ),
            (r"^[LOGTIME].* IMAP User", "", "(?:.* )?IMAP User", false),
            (
                r"^[LOGTIME] mail\.example vpopmail\[(\d+)\]: vchkpw: login",
                "vpopmail",
                "vchkpw: login",
                true,
            ),
            (r"^Login from", "", "Login from", false),
        ] {
            let headed = take_off(&translate(old).unwrap()).unwrap();
            let mut expected: Vec<&str> = identifiers.split_whitespace().collect();
            let mut found: Vec<&str> = headed.identifiers.iter().map(String::as_str).collect();
            expected.sort_unstable();
            found.sort_unstable();
            assert_eq!(found, expected, "{old}");
            assert_eq!(headed.message, message, "{old}");
            assert_eq!(headed.has_pid, has_pid, "{old}");
            assert!(headed.anchored && headed.notes.is_empty(), "{old}");
        }
        let popper = translate(r"[LOGTIME] \S+ (?:in\.q|q)?popper[^[]*\[\d+\]: \(").unwrap();
        let headed = take_off(&popper).unwrap();
        assert_eq!(headed.identifiers, ["popper", "in.qpopper", "qpopper"]);
        assert_eq!(headed.notes.len(), 1);
        assert!(!headed.anchored);
    }
}
