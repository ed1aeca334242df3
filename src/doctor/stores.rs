//! The stores: whether the journal of each is carried here.

use std::path::Path;

use super::Installation;
use super::point::{Point, notice, ok, wrong};
use crate::carrier::line::version;
use crate::carrier::state::{self, Carrier};
use crate::daemon;
use crate::diagnostics::local_time;
use crate::intake::wanted;

/// Is each connected?
pub fn stores(host: &Installation) -> Option<Vec<Point>> {
    let sources = daemon::sources(host.settings()?);
    let stores: Vec<&str> = sources.iter().filter_map(|source| source.store()).collect();
    let directory = Path::new(state::DIRECTORY);
    let recogniser = daemon::recogniser(host.settings()?).ok();
    let wanted = recogniser.map(|recogniser| version(&wanted(&recogniser)));
    let point = |store: &&str| {
        let carrier = state::look(directory, store);
        connected(store, &carrier, wanted.as_deref(), last(host, store))
    };
    (!stores.is_empty()).then(|| stores.iter().map(point).collect())
}

/// What is known of the last entry of a store.
fn last(host: &Installation, store: &str) -> String {
    let status = host.status().and_then(|status| status.sources.as_ref());
    let source = status.and_then(|all| all.iter().find(|source| source.name == store));
    match source.map(|source| source.journal_position) {
        Some(Some(time)) => format!("; its last entry is of {}", local_time(time)),
        Some(None) => "; nothing has come from it yet".to_owned(),
        None => String::new(),
    }
}

fn connected(store: &str, carrier: &Carrier, wanted: Option<&str>, last: String) -> Point {
    let unit = format!("pop-before-smtp-store@{store}");
    let problem = state::problem_of(carrier, store, wanted);
    let found = |problem| format!("{store}: {problem}{last}");
    match (carrier, problem) {
        (Carrier::IsGone(_), Some(problem)) => {
            wrong(found(problem), format!("systemctl enable --now {unit}"))
        }
        (Carrier::Lives(state), Some(problem)) if state.trouble.is_some() => wrong(
            found(problem),
            format!(
                "# More of it: journalctl -u {unit} -n 20\n\
                 # What is to be set up at the store: pop-before-smtp store show {store}"
            ),
        ),
        (Carrier::Lives(state), Some(problem)) if state.is_outdated(wanted) => wrong(
            found(problem),
            format!(
                "# Do at the store, and then here, what this prints:\npop-before-smtp store show {store}"
            ),
        ),
        (_, Some(problem)) => notice(found(problem)),
        (Carrier::Lives(state), None) => ok(format!(
            "{store}: connected since {}{last}",
            local_time(state.since)
        )),
        (Carrier::IsGone(_), None) => ok(store),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::carrier::state::State;
    use crate::doctor::Verdict;
    use jiff::Timestamp;

    #[test]
    fn each_trouble_has_its_mend() {
        let state = State {
            since: Timestamp::UNIX_EPOCH,
            trouble: None,
            clock_ahead: 0,
            version: "1".to_owned(),
        };
        let refused = State {
            trouble: Some("no route".to_owned()),
            ..state.clone()
        };
        let outdated = State {
            version: "2".to_owned(),
            ..state.clone()
        };
        let ahead = State {
            clock_ahead: 600,
            ..state.clone()
        };
        for (carrier, verdict, mend) in [
            (Carrier::Lives(state.clone()), Verdict::Ok, None),
            (Carrier::Lives(ahead), Verdict::Notice, None),
            (
                Carrier::Lives(refused),
                Verdict::Wrong,
                Some("journalctl -u"),
            ),
            (
                Carrier::Lives(outdated),
                Verdict::Wrong,
                Some("store show store1"),
            ),
            (
                Carrier::IsGone(Some(state)),
                Verdict::Wrong,
                Some("enable --now"),
            ),
        ] {
            let point = connected("store1", &carrier, Some("1"), "; last".to_owned());
            assert_eq!(point.verdict, verdict, "{point:?}");
            assert!(point.finding.starts_with("store1: ") && point.finding.ends_with("; last"));
            let has = |mend| point.mend.as_ref().is_some_and(|text| text.contains(mend));
            assert_eq!(point.mend.is_some(), mend.is_some());
            assert!(mend.is_none_or(has), "{point:?}");
        }
    }
}
