//! main.cf and master.cf as postconf shows them, and lists of restrictions: nothing is lost or added but
//! what is meant to be, and a command that is printed is one word for the shell.

use pop_before_smtp::postfix::configuration::Configuration;
use pop_before_smtp::postfix::restrictions::{End, Step, exchanged, steps, with, without};

const LIST: &str = "smtpd_relay_restrictions";
const OURS: &str = "check_client_access";
const MAP: &str = "hash:/var/lib/pop-before-smtp/clients";

/// What a shell makes of a word of `'…'` and `\'`; nothing, if it is several words or something else.
fn unquoted(word: &str) -> Option<String> {
    let mut text = String::new();
    let mut rest = word;
    while !rest.is_empty() {
        if let Some(behind) = rest.strip_prefix(r"\'") {
            text.push('\'');
            rest = behind;
        } else {
            let (quoted, behind) = rest.strip_prefix('\'')?.split_once('\'')?;
            text.push_str(quoted);
            rest = behind;
        }
    }
    Some(text)
}

fn check_list(list: &str, postfix: &Configuration) {
    let all = steps(list, &|name| postfix.class(name));
    let ends = all.iter().filter(|step| matches!(step, Step::End(_)));
    assert!(ends.count() <= 1, "{list:?}");
    if let Some(at) = all.iter().position(|step| matches!(step, Step::End(_))) {
        assert_eq!(at + 1, all.len(), "nothing counts behind the end");
    }
    let restriction = format!("{OURS} {MAP}");
    if let Some(written) = with(list, &restriction) {
        let inserted = format!("{restriction}, ");
        let is_there = |(at, _): (usize, &str)| {
            list.get(..at) == Some(&written[..at])
                && list.get(at..) == Some(&written[at + inserted.len()..])
        };
        assert!(
            written.match_indices(&inserted).any(is_there),
            "{written:?}"
        );
        // It is looked up, before whatever the list itself refuses with.
        let anew = steps(&written, &|_| None);
        let ours = |step: &Step| matches!(step, Step::Table(table) if table.text == MAP);
        let refuses = |step: &Step| *step == Step::End(End::Refuses);
        let at = anew.iter().position(ours);
        assert!(at.is_some(), "{list:?}\n{written:?}");
        assert!(at < anew.iter().position(refuses).or(Some(usize::MAX)));
    }
    let less = without(list, OURS, MAP);
    let mut rest = list.chars();
    assert!(less.chars().all(|c| rest.any(|other| other == c)));
    if let Some(other) = exchanged(list, OURS, MAP, "cdb:/x") {
        let pairs = list.matches(MAP).count();
        assert!(pairs > 0 && other.matches("cdb:/x").count() >= 1);
    }
}

/// See the top.
pub fn run(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let mut parts = text.splitn(4, '\0');
    let mut part = || parts.next().unwrap_or_default();
    let (all, set, services, overrides) = (part(), part(), part(), part());
    let postfix = Configuration::of(all, set, services, overrides);
    check_list(all, &postfix);
    check_list(postfix.value(LIST), &postfix);
    assert!(postfix.services.len() <= services.lines().count());
    for service in &postfix.services {
        let _ = service.is_local();
        check_list(postfix.value_for(service, LIST), &postfix);
        let setting = postfix.setting(service, LIST);
        for value in [setting.raw.as_str(), all] {
            let command = setting.command(value);
            let word = command.strip_prefix("postconf -");
            let word = word
                .and_then(|rest| rest.split_once(' '))
                .map(|(_, word)| word);
            let word = word.and_then(unquoted);
            let word = word.unwrap_or_else(|| panic!("not one word: {command}"));
            let (name, _) = word.split_once('=').expect("an assignment");
            assert!(name.trim_end().ends_with(LIST), "{command}");
        }
    }
    for setting in postfix.settings_with(MAP) {
        assert!(setting.raw.contains(MAP));
        let _ = setting.place();
    }
}
