//! Lists of restrictions, as smtpd reads them (postconf(5), `smtpd_relay_restrictions`).
//!
//! Pure. Tells where in a list a client's address is looked up, and where the list ends for mail to
//! elsewhere; and writes a list anew with one restriction more, or less. Must never change any other
//! word of a list.

use std::collections::BTreeSet;
use std::ops::Range;

use crate::networks::{SEPARATORS, next_token};

/// How deep restriction classes in restriction classes are followed.
const DEPTH: usize = 8;

/// What matters of a list, in its order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// `check_client_access TYPE:NAME`.
    Table(Table),
    /// `check_policy_service …`.
    Policy(Policy),
    /// A restriction that decides on every client that comes so far, for mail to elsewhere.
    End(End),
}

/// The table of a `check_client_access`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Table {
    /// As it stands in the list: `proxy:hash:/etc/postfix/access`.
    pub text: String,
    /// Its type, without `proxy:`.
    pub kind: String,
    /// Its name, mostly a path.
    pub name: String,
    /// Whether it is read through proxymap(8).
    pub proxied: bool,
}

/// The server of a `check_policy_service`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// As it stands in the list, braces included.
    pub text: String,
    /// `unix:pop-before-smtp/policy`.
    pub server: String,
    /// Its `default_action`, if it has one of its own.
    pub default_action: Option<String>,
}

/// How a list ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// `reject_unauth_destination` and its like: who has not been let in by now is refused.
    Refuses,
    /// `permit`: everybody who comes so far may send.
    Permits,
}

impl Table {
    fn parse(text: &str) -> Self {
        let (proxied, direct) = match text.strip_prefix("proxy:") {
            Some(direct) => (true, direct),
            None => (false, text),
        };
        // Without a type it is of default_database_type.
        let (kind, name) = direct.split_once(':').unwrap_or(("", direct));
        Table {
            text: text.to_owned(),
            kind: kind.to_owned(),
            name: name.to_owned(),
            proxied,
        }
    }
}

impl Policy {
    fn parse(text: &str) -> Self {
        let inner = text
            .strip_prefix('{')
            .and_then(|inner| inner.strip_suffix('}'));
        let mut words = words(inner.unwrap_or(text)).into_iter();
        let server = words.next().map(|word| word.text).unwrap_or_default();
        // `name=value`, or `{ name = value }`.
        let default_action = words.find_map(|word| {
            let word = word.text.trim_matches(['{', '}']).trim();
            let (name, value) = word.split_once('=')?;
            (name.trim() == "default_action").then(|| value.trim().to_owned())
        });
        Policy {
            text: text.to_owned(),
            server: server.to_owned(),
            default_action,
        }
    }
}

/// A word of a list, and where in the list it is.
struct Word<'a> {
    text: &'a str,
    at: Range<usize>,
}

/// Words are separated by commas and white space; what is in braces is one word.
fn words(list: &str) -> Vec<Word<'_>> {
    let mut words = Vec::new();
    let mut rest = list;
    while let Some(text) = next_token(&mut rest) {
        let end = list.len() - rest.len();
        words.push(Word {
            text,
            at: end - text.len()..end,
        });
    }
    words
}

fn end_of(word: &str) -> Option<End> {
    let is_one_of = |names: &[&str]| names.iter().any(|name| word.eq_ignore_ascii_case(name));
    if is_one_of(&["permit"]) {
        Some(End::Permits)
    } else if is_one_of(&[
        "reject_unauth_destination",
        "defer_unauth_destination",
        "reject",
        "defer",
    ]) {
        Some(End::Refuses)
    } else {
        None
    }
}

/// Whether the word takes the next one for its argument.
fn takes_argument(word: &str) -> bool {
    let word = word.to_ascii_lowercase();
    (word.starts_with("check_") && (word.ends_with("_access") || word == "check_policy_service"))
        || word.starts_with("reject_rbl_")
        || word.starts_with("reject_rhsbl_")
        || word.starts_with("permit_dnswl_")
        || word.starts_with("permit_rhswl_")
        || word == "sleep"
}

/// A restriction of a list.
struct Restriction<'a> {
    word: Word<'a>,
    /// What it takes, if it takes anything.
    argument: Option<&'a str>,
    /// How it ends the list, if it does. Behind `warn_if_reject`, nothing refuses.
    end: Option<End>,
}

fn restrictions(list: &str) -> impl Iterator<Item = Restriction<'_>> {
    let mut words = words(list).into_iter();
    std::iter::from_fn(move || {
        let mut word = words.next()?;
        let mut warned = false;
        while word.text.eq_ignore_ascii_case("warn_if_reject") {
            warned = true;
            word = words.next()?;
        }
        let end = end_of(word.text).filter(|end| !(warned && *end == End::Refuses));
        let argument = takes_argument(word.text)
            .then(|| words.next().map(|word| word.text).unwrap_or_default());
        Some(Restriction {
            word,
            argument,
            end,
        })
    })
}

/// What matters of `list`, up to its end. `class` gives the list that a restriction class stands
/// for.
pub fn steps<'a>(list: &str, class: &dyn Fn(&str) -> Option<&'a str>) -> Vec<Step> {
    let mut steps = Vec::new();
    add_steps(list, class, DEPTH, &mut BTreeSet::new(), &mut steps);
    steps
}

/// Returns whether the list has come to its end. A class that was `seen` has nothing new to say; and classes of
/// classes would take for ever.
fn add_steps<'a>(
    list: &str,
    class: &dyn Fn(&str) -> Option<&'a str>,
    depth: usize,
    seen: &mut BTreeSet<String>,
    steps: &mut Vec<Step>,
) -> bool {
    for restriction in restrictions(list) {
        let name = restriction.word.text;
        if let Some(end) = restriction.end {
            steps.push(Step::End(end));
            return true;
        }
        match restriction.argument {
            Some(argument) if name.eq_ignore_ascii_case("check_client_access") => {
                steps.push(Step::Table(Table::parse(argument)));
            }
            Some(argument) if name.eq_ignore_ascii_case("check_policy_service") => {
                steps.push(Step::Policy(Policy::parse(argument)));
            }
            Some(_) => {}
            None => {
                if depth > 0
                    && let Some(inner) = class(name)
                    && seen.insert(name.to_owned())
                    && add_steps(inner, class, depth - 1, seen, steps)
                {
                    return true;
                }
            }
        }
    }
    false
}

/// The list with `restriction` before the word that ends it; `None` where no word of the list
/// itself does.
#[must_use]
pub fn with(list: &str, restriction: &str) -> Option<String> {
    let end = restrictions(list).find(|one| one.end.is_some())?;
    let (before, after) = list.split_at(end.word.at.start);
    Some(format!("{before}{restriction}, {after}"))
}

/// The list without each `keyword argument`.
#[must_use]
pub fn without(list: &str, keyword: &str, argument: &str) -> String {
    let words = words(list);
    let mut kept = String::new();
    let mut from = 0;
    for pair in words.windows(2) {
        if pair[0].text.eq_ignore_ascii_case(keyword) && pair[1].text == argument {
            kept.push_str(&list[from..pair[0].at.start]);
            let rest = &list[pair[1].at.end..];
            from = list.len() - rest.trim_start_matches(SEPARATORS).len();
        }
    }
    kept.push_str(&list[from..]);
    kept.trim_end_matches(SEPARATORS).to_owned()
}

/// The list with `argument` of each `keyword` exchanged.
#[must_use]
pub fn exchanged(list: &str, keyword: &str, argument: &str, new: &str) -> Option<String> {
    let words = words(list);
    let mut written = String::new();
    let mut from = 0;
    for pair in words.windows(2) {
        if pair[0].text.eq_ignore_ascii_case(keyword) && pair[1].text == argument {
            written.push_str(&list[from..pair[1].at.start]);
            written.push_str(new);
            from = pair[1].at.end;
        }
    }
    written.push_str(&list[from..]);
    (from > 0).then_some(written)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plain(list: &str) -> Vec<Step> {
        steps(list, &|_| None)
    }

    fn table(text: &str) -> Step {
        Step::Table(Table::parse(text))
    }

    #[test]
    fn a_list_is_read_up_to_its_end() {
        let ours = "hash:/var/lib/pop-before-smtp/clients";
        assert_eq!(
            plain(&format!(
                "permit_mynetworks, check_client_access {ours}, reject_unauth_destination, \
                 check_client_access cidr:/x"
            )),
            [table(ours), Step::End(End::Refuses)]
        );
        assert_eq!(plain(""), []);
        assert_eq!(plain("permit_mynetworks"), []);
        assert_eq!(plain(" ,\tPERMIT,reject"), [Step::End(End::Permits)]);
        assert_eq!(plain("check_client_access"), [table("")]);
        assert_eq!(plain("}{ reject"), []);
        // The argument of another restriction is no restriction.
        assert_eq!(
            plain("reject_rbl_client reject check_helo_access permit defer"),
            [Step::End(End::Refuses)]
        );
        assert_eq!(
            plain("warn_if_reject reject_unauth_destination check_client_access hash:/a reject"),
            [table("hash:/a"), Step::End(End::Refuses)]
        );
    }

    /// It is put where the list is read as ending, whatever the words before are called.
    #[test]
    fn what_is_put_in_is_looked_up() {
        for (list, expected) in [
            (
                "check_helo_access warn_if_reject reject, defer",
                "check_helo_access warn_if_reject X, reject, defer",
            ),
            (
                "warn_if_reject permit reject",
                "warn_if_reject X, permit reject",
            ),
            (
                "warn_if_reject reject check_x_access reject permit",
                "warn_if_reject reject check_x_access reject X, permit",
            ),
        ] {
            assert_eq!(with(list, "X").as_deref(), Some(expected));
        }
    }

    #[test]
    fn classes_are_followed_and_end_even_when_they_name_themselves() {
        let class = |name: &str| match name {
            "logged_in" => Some("check_client_access lmdb:/c"),
            "loop" => Some("loop, loop_two"),
            "loop_two" => Some("loop"),
            "refuse" => Some("reject"),
            _ => None,
        };
        assert_eq!(
            steps("logged_in, loop refuse permit", &class),
            [table("lmdb:/c"), Step::End(End::Refuses)]
        );
    }

    #[test]
    fn classes_of_the_same_classes_are_followed_once() {
        // Each in the one before it, again and again.
        let names = ["a", "b", "c", "d", "e", "f", "g", "h"];
        let inner = names.map(|name| format!("{name} ").repeat(100));
        let class = |name: &str| {
            let at = names.iter().position(|known| *known == name)?;
            Some(match inner.get(at + 1) {
                Some(inner) => inner.as_str(),
                None => "check_client_access hash:/x",
            })
        };
        assert_eq!(
            steps("a a reject", &class),
            [table("hash:/x"), Step::End(End::Refuses)]
        );
    }

    #[test]
    fn tables_and_policies_are_taken_apart() {
        let Some(Step::Table(proxied)) = plain("check_client_access proxy:cdb:/a/b").pop() else {
            panic!("no table");
        };
        assert!(proxied.proxied);
        assert_eq!((&*proxied.kind, &*proxied.name), ("cdb", "/a/b"));
        for (text, action) in [
            (
                "{ unix:pop-before-smtp/policy, default_action=DUNNO, timeout=5s }",
                Some("DUNNO"),
            ),
            (
                "{ unix:pop-before-smtp/policy { default_action = DUNNO } }",
                Some("DUNNO"),
            ),
            ("unix:pop-before-smtp/policy", None),
            ("{unix:pop-before-smtp/policy}", None),
        ] {
            let steps = plain(&format!("check_policy_service {text}, reject"));
            let Some(Step::Policy(policy)) = steps.first() else {
                panic!("{text}: {steps:?}");
            };
            assert_eq!(policy.server, "unix:pop-before-smtp/policy", "{text}");
            assert_eq!(policy.default_action.as_deref(), action, "{text}");
        }
    }

    #[test]
    fn a_list_is_written_anew_and_nothing_else_in_it_changes() {
        let list = "permit_mynetworks\n  permit_sasl_authenticated  defer_unauth_destination";
        assert_eq!(
            with(list, "check_client_access hash:/c").unwrap(),
            "permit_mynetworks\n  permit_sasl_authenticated  check_client_access hash:/c, \
             defer_unauth_destination"
        );
        assert_eq!(with("permit_mynetworks $more", "x"), None);
        assert_eq!(
            with("reject_rbl_client reject, reject", "x").unwrap(),
            "reject_rbl_client reject, x, reject"
        );
        let list = "a, check_client_access hash:/c, reject, check_client_access hash:/c";
        assert_eq!(without(list, "check_client_access", "hash:/c"), "a, reject");
        assert_eq!(
            exchanged(list, "check_client_access", "hash:/c", "cdb:/c").unwrap(),
            "a, check_client_access cdb:/c, reject, check_client_access cdb:/c"
        );
        assert_eq!(exchanged(list, "check_client_access", "hash:/d", "x"), None);
    }
}
