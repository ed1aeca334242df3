//! Definitions of servers: whatever a file says, it is read, or refused with places that lie in it; and
//! what is read recognises.

use std::collections::BTreeMap;
use std::sync::Arc;

use pop_before_smtp::excerpt::Place;
use pop_before_smtp::servers::{Definition, Explainer, Meaning, Recogniser, check_examples};

const LINES: [&str; 3] = [
    "imap-login: Login: user=<alice>, method=PLAIN, rip=192.0.2.10, lip=192.0.2.1, session=<s>",
    "login ok: alice from 2001:db8::10",
    "",
];

/// See the top.
pub fn run(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let definition = match Definition::parse(text) {
        Ok(definition) => definition,
        Err(faults) => {
            assert!(!faults.is_empty());
            for fault in faults {
                assert!(!fault.message.is_empty());
                let Some(span) = fault.span else {
                    continue;
                };
                let place = Place::of(text, &span);
                let lines = text.split('\n').count();
                assert!((1..=lines).contains(&place.line), "{place:?}");
                let _ = place.to_string();
            }
            return;
        }
    };
    assert!(!definition.login.is_empty() && !definition.identifiers.is_empty());
    if let Err(broken) = check_examples(&definition) {
        for example in broken {
            let _ = example.to_string();
        }
    }
    let mut lines: Vec<String> = LINES.map(str::to_owned).to_vec();
    lines.extend(definition.examples.iter().map(|e| e.message.clone()));
    let identifiers = definition.identifiers.clone();
    let recogniser = Recogniser::new(vec![definition], &BTreeMap::new(), |_| None);
    let recogniser = Arc::new(recogniser);
    let explainer = Explainer::new(recogniser.clone());
    for line in lines.iter().take(8) {
        for identifier in identifiers.iter().take(4) {
            let explained = explainer.explain(identifier, line.as_bytes());
            let Some(verdict) = recogniser.recognise(identifier, line.as_bytes()) else {
                continue;
            };
            // Of a line that was cut there is nothing to explain.
            let is_cut = matches!(verdict.meaning, Meaning::CutOff { .. });
            assert!(
                is_cut || !explained.is_empty(),
                "recognised, and not explained"
            );
            if let Meaning::Login {
                user: Some(user), ..
            } = verdict.meaning
            {
                assert!(user.len() <= 3 * line.len());
            }
        }
    }
}
