//! Whether a stranger's text could be taken for the client's address.
//!
//! User names, host names and banners are chosen by strangers. An expression that allows any text
//! before the address can be made to match an address inside that text, unless everything after the
//! address, up to the end of the line, is fixed: then the last address is taken, the server's own.
//!
//! Looks at an expression that has been parsed; neither compiles nor matches anything.

use regex_syntax::ast::{self, Ast, RepetitionKind, RepetitionRange, Span};
use regex_syntax::hir::translate::{Translator, TranslatorBuilder};
use regex_syntax::hir::{Class, Hir, HirKind};

/// The printable characters of ASCII but the space.
const GRAPHIC: std::ops::RangeInclusive<u8> = b'!'..=b'~';
/// A class with this many of the 94 matches whatever a stranger writes, except what delimits it.
const NEARLY_ALL: usize = 84;
/// A repetition of at most this many characters has no room for an address and what must precede it.
const FEW: u32 = 8;

/// Where a stranger's text can be taken for the client's address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Weakness {
    /// The repetition that matches it.
    pub(super) span: Span,
    /// Whether the end of the line would be fixed enough if the repetition were greedy.
    pub(super) lazy: bool,
}

/// The weakness of an expression, if there is one. `expression` is what `ast` was parsed from.
pub(super) fn weakness(expression: &str, ast: &Ast) -> Option<Weakness> {
    let checker = Checker { expression };
    let mut path = Path::default();
    if !path.find_client(ast) {
        return None;
    }
    if let Some(span) = path.repeated {
        return Some(Weakness { span, lazy: false });
    }
    let mut wide = Vec::new();
    for (ast, next) in &path.before {
        checker.find_wide(ast, next, Wide::Undelimited, &mut wide);
    }
    let first = wide.first()?;
    let holds = |which| {
        let mut found = Vec::new();
        for ast in &path.after {
            checker.find_wide(ast, &[], which, &mut found);
        }
        !found.is_empty()
    };
    if !path.after.last().is_some_and(|last| ends_the_line(last)) || holds(Wide::AnyText) {
        let span = first.span;
        return Some(Weakness { span, lazy: false });
    }
    // A greedy repetition leaves the last address. A lazy one leaves the first, and what follows may
    // match the server's.
    let lazy = wide.iter().find(|repetition| !repetition.greedy)?;
    holds(Wide::Address).then_some(Weakness {
        span: lazy.span,
        lazy: true,
    })
}

/// What comes before and after the client.
#[derive(Default)]
struct Path<'a> {
    /// In order; each with what may follow it.
    before: Vec<(&'a Ast, Vec<&'a Ast>)>,
    after: Vec<&'a Ast>,
    /// A repetition around the client: which of its addresses is the server's?
    repeated: Option<Span>,
}

impl<'a> Path<'a> {
    fn find_client(&mut self, ast: &'a Ast) -> bool {
        match ast {
            Ast::Group(group) => is_client(group) || self.find_client(&group.ast),
            Ast::Repetition(repetition) => {
                let found = self.find_client(&repetition.ast);
                if found && most(&repetition.op.kind) != Some(1) {
                    self.repeated = Some(repetition.span);
                }
                found
            }
            Ast::Alternation(alternation) => alternation.asts.iter().any(|a| self.find_client(a)),
            Ast::Concat(concat) => {
                let Some(at) = concat.asts.iter().position(contains_client) else {
                    return false;
                };
                for (number, before) in concat.asts[..at].iter().enumerate() {
                    let next = concat.asts[number + 1..].iter().collect();
                    self.before.push((before, next));
                }
                self.find_client(&concat.asts[at]);
                self.after.extend(&concat.asts[at + 1..]);
                true
            }
            _ => false,
        }
    }
}

fn is_client(group: &ast::Group) -> bool {
    matches!(&group.kind, ast::GroupKind::CaptureName { name, .. } if name.name == "client")
}

fn contains_client(ast: &Ast) -> bool {
    Path::default().find_client(ast)
}

/// How often something may be repeated.
pub(super) fn most(kind: &RepetitionKind) -> Option<u32> {
    match kind {
        RepetitionKind::ZeroOrOne => Some(1),
        RepetitionKind::ZeroOrMore | RepetitionKind::OneOrMore => None,
        RepetitionKind::Range(RepetitionRange::AtLeast(_)) => None,
        RepetitionKind::Range(
            RepetitionRange::Exactly(most) | RepetitionRange::Bounded(_, most),
        ) => Some(*most),
    }
}

/// Whether nothing can follow.
fn ends_the_line(ast: &Ast) -> bool {
    match ast {
        Ast::Assertion(assertion) => matches!(
            assertion.kind,
            ast::AssertionKind::EndLine | ast::AssertionKind::EndText
        ),
        Ast::Group(group) => ends_the_line(&group.ast),
        Ast::Concat(concat) => concat.asts.last().is_some_and(ends_the_line),
        Ast::Alternation(alternation) => alternation.asts.iter().all(ends_the_line),
        _ => false,
    }
}

/// Which repetitions are looked for.
#[derive(Clone, Copy, PartialEq)]
enum Wide {
    /// Those that can match an address.
    Address,
    /// Those that can match any text.
    AnyText,
    /// Also those that can match nearly any text, if what follows does not delimit them.
    Undelimited,
}

struct Checker<'a> {
    expression: &'a str,
}

impl Checker<'_> {
    /// Finds the repetitions in `ast` that are too wide, in their order; `next` is what follows.
    fn find_wide<'b>(
        &self,
        ast: &'b Ast,
        next: &[&'b Ast],
        which: Wide,
        found: &mut Vec<&'b ast::Repetition>,
    ) {
        match ast {
            Ast::Group(group) => self.find_wide(&group.ast, next, which, found),
            Ast::Alternation(alternation) => {
                for branch in &alternation.asts {
                    self.find_wide(branch, next, which, found);
                }
            }
            Ast::Concat(concat) => {
                for (number, item) in concat.asts.iter().enumerate() {
                    let rest = concat.asts[number + 1..].iter();
                    let next: Vec<&Ast> = rest.chain(next.iter().copied()).collect();
                    self.find_wide(item, &next, which, found);
                }
            }
            Ast::Repetition(repetition) => {
                if most(&repetition.op.kind).is_none_or(|most| most > FEW)
                    && self.is_wide(repetition, next, which)
                {
                    found.push(repetition);
                    return;
                }
                let body = &*repetition.ast;
                let again = (most(&repetition.op.kind) != Some(1)).then_some(body);
                let next: Vec<&Ast> = again.into_iter().chain(next.iter().copied()).collect();
                self.find_wide(body, &next, which, found);
            }
            _ => {}
        }
    }

    fn is_wide(&self, repetition: &ast::Repetition, next: &[&Ast], which: Wide) -> bool {
        let Some(hir) = self.translate(&repetition.ast) else {
            return true;
        };
        let bytes = Bytes::anywhere_in(&hir);
        match which {
            Wide::Address => bytes.hold_an_address(),
            Wide::AnyText => bytes.graphic() == GRAPHIC.count(),
            Wide::Undelimited => {
                bytes.graphic() == GRAPHIC.count()
                    || is_class(&hir)
                        && bytes.graphic() >= NEARLY_ALL
                        && !self.delimits(next, &bytes)
            }
        }
    }

    /// Whether whatever follows begins with none of `bytes`.
    fn delimits(&self, next: &[&Ast], bytes: &Bytes) -> bool {
        for ast in next {
            let Some(hir) = self.translate(ast) else {
                return false;
            };
            let mut first = Bytes::default();
            let may_be_empty = first.add_first_of(&hir);
            if first.meets(bytes) {
                return false;
            }
            if !may_be_empty {
                return true;
            }
        }
        false
    }

    fn translate(&self, ast: &Ast) -> Option<Hir> {
        translator().translate(self.expression, ast).ok()
    }
}

fn translator() -> Translator {
    TranslatorBuilder::new().unicode(false).utf8(false).build()
}

fn is_class(hir: &Hir) -> bool {
    match hir.kind() {
        HirKind::Class(_) => true,
        HirKind::Capture(capture) => is_class(&capture.sub),
        _ => false,
    }
}

/// A set of bytes.
struct Bytes([bool; 256]);

impl Default for Bytes {
    fn default() -> Self {
        Bytes([false; 256])
    }
}

impl Bytes {
    /// All bytes that may occur anywhere in a match.
    fn anywhere_in(hir: &Hir) -> Self {
        let mut bytes = Bytes::default();
        bytes.add_all_of(hir);
        bytes
    }

    fn graphic(&self) -> usize {
        GRAPHIC.filter(|byte| self.0[usize::from(*byte)]).count()
    }

    fn hold_an_address(&self) -> bool {
        let holds = |byte: u8| self.0[usize::from(byte)];
        (b'0'..=b'9').all(holds) && (holds(b'.') || holds(b':'))
    }

    fn meets(&self, other: &Bytes) -> bool {
        self.0.iter().zip(&other.0).any(|(a, b)| *a && *b)
    }

    fn add_class(&mut self, class: &Class) {
        let ranges: Vec<(usize, usize)> = match class {
            Class::Bytes(class) => (class.iter())
                .map(|range| (range.start().into(), range.end().into()))
                .collect(),
            Class::Unicode(class) => (class.iter())
                .map(|range| (range.start() as usize, range.end() as usize))
                .collect(),
        };
        for (start, end) in ranges {
            if start < self.0.len() {
                self.0[start..=end.min(255)].fill(true);
            }
        }
    }

    fn add_all_of(&mut self, hir: &Hir) {
        match hir.kind() {
            HirKind::Empty | HirKind::Look(_) => {}
            HirKind::Literal(literal) => {
                for byte in &literal.0 {
                    self.0[usize::from(*byte)] = true;
                }
            }
            HirKind::Class(class) => self.add_class(class),
            HirKind::Repetition(repetition) => self.add_all_of(&repetition.sub),
            HirKind::Capture(capture) => self.add_all_of(&capture.sub),
            HirKind::Concat(items) | HirKind::Alternation(items) => {
                items.iter().for_each(|item| self.add_all_of(item));
            }
        }
    }

    /// Adds the bytes that a match may begin with; says whether it may be empty.
    fn add_first_of(&mut self, hir: &Hir) -> bool {
        match hir.kind() {
            HirKind::Empty | HirKind::Look(_) => true,
            HirKind::Literal(literal) => {
                if let Some(byte) = literal.0.first() {
                    self.0[usize::from(*byte)] = true;
                }
                false
            }
            HirKind::Class(class) => {
                self.add_class(class);
                false
            }
            HirKind::Repetition(repetition) => {
                self.add_first_of(&repetition.sub) || repetition.min == 0
            }
            HirKind::Capture(capture) => self.add_first_of(&capture.sub),
            HirKind::Concat(items) => items.iter().all(|item| self.add_first_of(item)),
            HirKind::Alternation(items) => {
                let mut may_be_empty = false;
                for item in items {
                    may_be_empty |= self.add_first_of(item);
                }
                may_be_empty
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::pattern::Pattern;
    use super::super::pattern_error::PatternError;
    use std::collections::BTreeMap;

    fn weak(pattern: &str) -> Option<String> {
        match Pattern::compile(pattern, None, &BTreeMap::new()) {
            Ok(_) => None,
            Err(PatternError::Unanchored { spot } | PatternError::Lazy { spot }) => {
                Some(pattern[spot.span].to_owned())
            }
            Err(error) => panic!("{pattern}: {error}"),
        }
    }

    #[test]
    fn any_text_before_the_client_is_a_weakness() {
        for (pattern, at) in [
            ("Login .*{client}", ".*"),
            (".+ from {client}", ".+"),
            (r"user=\S+ from {client}", r"\S+"),
            (r"user=\S+ from {client}, ", r"\S+"),
            ("user={user} from {client}", "{user}"),
            ("user={user} from {client} .*$", "{user}"),
            (r"user={user} from {client}(?: \S+)?$", "{user}"),
            ("user=.{1,200} from {client}", ".{1,200}"),
            ("user=(?:.|x)* from {client}", "(?:.|x)*"),
            ("user=(?:[^,]*, )*from {client}", "(?:[^,]*, )*"),
            ("user=[^ ]+ from {client}", "[^ ]+"),
            (r"user=[\S\s]* from {client}", r"[\S\s]*"),
            ("user=[^~]* from {client}", "[^~]*"),
            (r#"user=[^"]* from {client}"#, r#"[^"]*"#),
            (r#"user="[^"]*"? from {client}"#, r#"[^"]*"#),
            ("user=(?:.*|x) from (?:{client}|nowhere)", ".*"),
            (r"user=.*? \[{client}\](?:, [^,<>]*)*$", ".*?"),
            (r"a .* user=.+? {client}[^~]*$", ".+?"),
            (r"from (?:\d+|{client} )+", r"(?:\d+|{client} )+"),
            ("user=.* from (?:{client}|{port}$)", ".*"),
        ] {
            assert_eq!(weak(pattern).as_deref(), Some(at), "{pattern}");
        }
    }

    #[test]
    fn text_that_is_delimited_or_behind_the_client_is_none() {
        for pattern in [
            "from {client} user=.*",
            "from {client}, user={user}",
            r#"user="[^"]*" from {client}"#,
            "user=<[^<>]*>, rip={client}",
            r"login: (?:[^\s\[\]]+ ?)?\[{client}\]",
            "(?:[^,<>]*, )*?rip={client}",
            "user={user} from {client}$",
            r"user=\S+ from {client}\z",
            r"user=.* \[{client}\](?:, [^,<>]*)*$",
            "user=.* from (?:{client}|x)(?:$|, port={port}$)",
            r"user=.*? \[{client}\](?:, [a-z]+)*$",
            "user=.* from (?:{client}$|{port})",
            r"v\S+ starting",
            r"\d+ \w+ .{8} from {client}",
            "nothing .*|from {client}",
        ] {
            assert_eq!(weak(pattern), None, "{pattern}");
        }
    }
}
