//! The fixed text that a message must contain if an expression is to match it.
//!
//! Most lines of a server are neither logins nor anything else that counts, and match none of its
//! many patterns. To see that some words are missing is faster than to run an expression, and takes
//! no memory. Must never rule out a message that the expression matches.

use memchr::memmem::Finder;
use regex_syntax::hir::{Hir, HirKind};

/// More alternatives than this are not looked for.
const MOST: usize = 8;

/// Texts that must follow each other in a message. One text of each step is enough.
#[derive(Debug, Clone, Default)]
pub(super) struct Required(Vec<Step>);

type Step = Vec<Finder<'static>>;

impl Required {
    /// What an expression requires.
    pub(super) fn by(expression: &Hir) -> Self {
        let finder = |text: &[u8]| Finder::new(text).into_owned();
        let finders = |step: Vec<&[u8]>| step.into_iter().map(finder).collect();
        Required(steps(expression).into_iter().map(finders).collect())
    }

    /// Whether all of it is in `message`.
    pub(super) fn is_in(&self, message: &[u8]) -> bool {
        let mut rest = message;
        self.0.iter().all(|step| {
            // The one that ends first leaves the most for the next steps.
            let end = |text: &Finder| Some(text.find(rest)? + text.needle().len());
            let behind = step.iter().filter_map(end).min();
            rest = behind.map_or(&[], |behind| &rest[behind..]);
            behind.is_some()
        })
    }
}

/// The steps of an expression.
fn steps(expression: &Hir) -> Vec<Vec<&[u8]>> {
    match expression.kind() {
        HirKind::Literal(text) => vec![vec![&text.0]],
        HirKind::Capture(group) => steps(&group.sub),
        HirKind::Repetition(repetition) if repetition.min > 0 => steps(&repetition.sub),
        HirKind::Concat(parts) => parts.iter().flat_map(steps).collect(),
        // One step of each alternative, as one of them must be there. The longest rules out most.
        HirKind::Alternation(alternatives) => {
            let shortest = |step: &Vec<&[u8]>| step.iter().map(|text| text.len()).min();
            let of_each = alternatives
                .iter()
                .map(|it| steps(it).into_iter().max_by_key(shortest));
            let step = of_each
                .collect::<Option<Vec<_>>>()
                .map(|steps| steps.concat());
            step.into_iter().filter(|step| step.len() <= MOST).collect()
        }
        HirKind::Repetition(_) | HirKind::Empty | HirKind::Look(_) | HirKind::Class(_) => {
            Vec::new()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use regex_syntax::ParserBuilder;

    fn required(expression: &str) -> Required {
        let mut parser = ParserBuilder::new().unicode(false).utf8(false).build();
        Required::by(&parser.parse(expression).unwrap())
    }

    #[test]
    fn all_texts_are_required_in_their_order() {
        let required = required(r"a(?:bc|d\d)+.*(?i:x)?ef{2}(?<user>gh)?\.");
        for message in ["abc eff.", "ad1d2 eff ..", "abc xeffgh."] {
            assert!(required.is_in(message.as_bytes()), "{message}");
        }
        for message in ["", "abc", "bc a eff.", "abc . eff", "a eff."] {
            assert!(!required.is_in(message.as_bytes()), "{message}");
        }
        assert!(Required::default().is_in(b""));
    }

    fn expressions() -> impl Strategy<Value = String> {
        let leaf = prop::sample::select(vec![
            "a", "b", "ab", "ba", "[ab]", ".", "(?i:a)", "^", "$", r"\b", "",
        ]);
        leaf.prop_map(str::to_owned)
            .prop_recursive(4, 24, 4, |inner| {
                let times = prop::sample::select(vec!["", "?", "*", "+", "{2}", "{0,2}", "*?"]);
                prop_oneof![
                    prop::collection::vec(inner.clone(), 1..4).prop_map(|parts| parts.concat()),
                    prop::collection::vec(inner.clone(), 1..4)
                        .prop_map(|parts| format!("(?:{})", parts.join("|"))),
                    (inner, times).prop_map(|(part, times)| format!("({part}){times}")),
                ]
            })
    }

    proptest! {
        #[test]
        fn what_matches_has_what_is_required(
            expression in expressions(),
            message in "[abcA]{0,12}",
        ) {
            let regex = regex::bytes::RegexBuilder::new(&expression).unicode(false).build().unwrap();
            if regex.is_match(message.as_bytes()) {
                prop_assert!(required(&expression).is_in(message.as_bytes()));
            }
        }
    }
}
