//! What has changed is told to the store in parts, while more happens, and the process is killed before the last
//! part of what came then. See the model for all the ways in which that can go.

use super::model::Kept;
use super::*;

#[test]
fn an_end_counts_for_its_client_where_only_the_session_was_to_be_told() {
    let mut whitelist = Whitelist::new(rules());
    apply(&mut whitelist, &login(0, 10, Some("a")));
    let mut kept = Kept::default();
    kept.take(&whitelist.take_delta(1));
    let end = logout(100, "a");
    apply(&mut whitelist, &end);
    kept.take(&whitelist.take_delta(1));
    // The journal is read again from where the first of these began.
    let mut whitelist = kept.restored(rules());
    assert_eq!(whitelist.open_sessions(), 0);
    apply(&mut whitelist, &end);
    assert_eq!(next_end(&whitelist), Some(at(100 + GRACE)));
}

/// The place in the journal moves on with the last part, and nobody would read that end again.
#[test]
fn an_end_that_is_forgotten_before_it_was_told_is_told_with_the_others() {
    for returns in [false, true] {
        let mut whitelist = Whitelist::new(rules());
        apply(&mut whitelist, &login(0, 10, Some("a")));
        let mut kept = Kept::default();
        kept.take(&whitelist.take_delta(9));
        apply(&mut whitelist, &logout(100, "a"));
        kept.take(&whitelist.take_delta(1));
        expire(&mut whitelist, at(200));
        assert_eq!(whitelist.sessions().count(), 0);
        if returns {
            apply(&mut whitelist, &logout(200, "a"));
        }
        let last = whitelist.take_delta(9);
        assert!(last.is_last());
        kept.take(&last);
        let restored = kept.restored(rules());
        assert_eq!(restored.open_sessions(), 0);
        assert_eq!(next_end(&restored), Some(at(100 + GRACE)));
    }
}
