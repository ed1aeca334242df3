//! Where the journal is read first: where reading ended last, unless that is not to be believed, or
//! older than what can matter.

use std::path::PathBuf;

use jiff::{SignedDuration, Timestamp};

use crate::diagnostics;
use crate::journal::Position;
use crate::journal::start_position::StartPosition;
use crate::whitelist::Rules;

/// A place in the journal that is further ahead of the clock than this is not believed.
const FUTURE_TOLERANCE: SignedDuration = SignedDuration::from_secs(60);

/// Where to begin, after a store kept `position`, or was damaged and `set_aside`.
pub fn where_to_begin(
    rules: &Rules,
    position: Option<Position>,
    set_aside: Option<(PathBuf, String)>,
    now: Timestamp,
) -> StartPosition {
    // Whatever is older matters to nobody: its session would have ended, and its grace passed.
    let oldest = earlier(earlier(now, rules.max_session), rules.grace);
    match (position, set_aside) {
        (Some(place), _) if place.time.duration_since(now) > FUTURE_TOLERANCE => {
            diagnostics::cursor_in_the_future(place.time, oldest);
            StartPosition::At(oldest)
        }
        // So old where files of the journal could not be read for long.
        (Some(place), _) if place.cursor.is_empty() || place.time < oldest => {
            StartPosition::At(place.time.max(oldest))
        }
        (Some(place), _) => StartPosition::Behind(place, oldest),
        (None, Some((aside, reason))) => {
            diagnostics::store_set_aside(&aside, &reason, oldest);
            StartPosition::At(oldest)
        }
        (None, None) => grace_ago(rules, now),
    }
}

/// Where to begin in a journal of which nothing was read: who logged in before is not listed any
/// more.
pub fn grace_ago(rules: &Rules, now: Timestamp) -> StartPosition {
    StartPosition::At(earlier(now, rules.grace))
}

fn earlier(time: Timestamp, by: SignedDuration) -> Timestamp {
    time.checked_sub(by).unwrap_or(Timestamp::MIN)
}
