//! The head of an old pattern: time, host, identifier and pid, which the journal keeps apart.
//!
//! Takes it off, and tells which identifiers it names.

use regex_syntax::ast::Ast;
use regex_syntax::hir::literal::Extractor;

/// What `[LOGTIME]` becomes when a pattern is translated: a group that can be found again.
pub(super) const LOGTIME: &str = "(?<logtime>x)";
/// How many identifiers an expression may stand for.
const MOST: usize = 64;
/// A host's name with its spaces, as the old patterns write it.
const HOST: &str = r"^ (?:\\S[+*]\??|\[\^(?: |\\s)\][+*]|\\w[+*]|\[[^\]^]*\][+*]|\.\+\?|(?:[A-Za-z0-9_-]|\\\.)+) |^ \(\?:\\\[\|\\S\+ \)";
/// A pid behind an identifier.
const PID: &str = r"(?:\(\?:)?\\\[\(?(?:\\d|\[0-9\])[+*]\)?\\\](?:\)\?)?$";
/// Any text in an identifier.
const ANY: &str = r"\[\^[^\]]*\][*+]|\.[*+]\??|\\S[*+]";

/// An old pattern without its head.
#[derive(Debug, Default)]
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
    let asts = match &ast {
        Ast::Concat(concat) => &concat.asts[..],
        Ast::Alternation(_) => {
            return Err("alternatives of whole lines: convert each by itself".to_owned());
        }
        _ => std::slice::from_ref(&ast),
    };
    // Where each item of the pattern begins, and its text.
    let place = |item: &Ast| (item.span().start.offset, item.span().end.offset);
    let items: Vec<(usize, &str)> = (asts.iter().map(place))
        .map(|(start, end)| (start, &pattern[start..end]))
        .collect();
    let mut headed = Headed {
        anchored: matches!(asts.first(), Some(Ast::Assertion(_))),
        ..Headed::default()
    };
    let start = if headed.anchored { items[0].1.len() } else { 0 };
    let Some((time_at, time)) = items.iter().find(|(_, item)| is_time(item)) else {
        headed.message = pattern[start..].to_owned();
        return Ok(headed);
    };
    let host_at = time_at + time.len();
    let Some(host) = regex(HOST)?.find(&pattern[host_at..]) else {
        // A log file of the server's own: it may name itself before the time.
        let message = pattern[host_at..].trim_start_matches(' ');
        headed.message = match message.strip_prefix(".* ") {
            Some(message) => format!("(?:.* )?{message}"),
            None => message.to_owned(),
        };
        if let Some(names) = pattern[start..*time_at].strip_suffix(": ") {
            headed.add_identifiers(names)?;
        }
        return Ok(headed);
    };
    let mut at = host_at + host.end();
    // (?:dovecot: )?(?:imap|pop3)-login: the first may be missing, and then it is the second.
    let first = items.iter().find(|(start, _)| *start == at);
    let optional = first.and_then(|(_, item)| item.strip_prefix("(?:")?.strip_suffix(": )?"));
    if let Some(names) = optional {
        headed.add_identifiers(names)?;
        at += "(?:".len() + names.len() + ": )?".len();
    }
    let colon = (items.windows(2))
        .find(|pair| pair[0].0 > at && pair[0].1 == ":" && pair[1].1 == " ")
        .ok_or("no identifier with a colon and a space behind it")?;
    let (names, message) = (&pattern[at..colon[0].0], &pattern[colon[1].0 + 1..]);
    headed.add_identifiers(names)?;
    headed.message = match optional {
        Some(_) => format!("(?:{names}: )?{message}"),
        None => message.to_owned(),
    };
    Ok(headed)
}

impl Headed {
    /// Adds those that an expression stands for, whatever the pid.
    fn add_identifiers(&mut self, names: &str) -> Result<(), String> {
        let without_pid = replace(names, PID, "")?;
        self.has_pid |= without_pid != names;
        let open = replace(&without_pid, r"\\[\[\]]\?", "")?;
        let bare = replace(&open, ANY, "")?;
        if bare != open {
            self.notes.push(format!(
                "The old pattern took any text in the identifier: {names}. Name the identifiers \
                 that your server writes under."
            ));
        }
        let Some(found) = strings(&bare) else {
            self.notes.push(format!(
                "The old pattern names the identifier by {names}, which stands for too many."
            ));
            return Ok(());
        };
        for identifier in found {
            if !self.identifiers.contains(&identifier) && !identifier.is_empty() {
                self.identifiers.push(identifier);
            }
        }
        Ok(())
    }
}

/// Whether an item is the group that the time is taken from: `[LOGTIME]`, or written out as
/// `(... .. ..:..:..)` or `(\w\w\w +\d+ \d+:\d+:\d+)`.
fn is_time(item: &str) -> bool {
    let times = [
        "Nov 24 10:34:11",
        "Nov  4 10:34:11",
        "2026-11-24 10:34:11",
        "Nov 24 2026 10:34:11",
        "Tue Nov 24 10:34:11 2026",
    ];
    let takes = item.starts_with('(') && item.ends_with(')') && !item.starts_with("(?");
    item == LOGTIME
        || takes
            && item.matches(':').count() >= 2
            && times.iter().any(|time| matches_whole(item, time))
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

pub(super) fn regex(expression: &str) -> Result<regex::Regex, String> {
    regex::Regex::new(expression).map_err(|error| error.to_string())
}

/// `text` with `by` in the place of all that `expression` matches.
pub(super) fn replace(text: &str, expression: &str, by: &str) -> Result<String, String> {
    Ok(regex(expression)?.replace_all(text, by).into_owned())
}

/// All texts that an expression matches, if they are few; those without what may be missing first.
fn strings(expression: &str) -> Option<Vec<String>> {
    let mut parser = regex_syntax::ParserBuilder::new();
    let parser = parser.unicode(false).utf8(false).swap_greed(true);
    let hir = parser.build().parse(expression).ok()?;
    let mut extractor = Extractor::new();
    extractor.limit_class(MOST).limit_total(MOST);
    let found = extractor.extract(&hir);
    let literals = found.literals().filter(|_| found.is_exact())?;
    let text = |literal: &[u8]| String::from_utf8(literal.to_vec()).ok();
    (literals.iter().map(|literal| text(literal.as_bytes()))).collect()
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
