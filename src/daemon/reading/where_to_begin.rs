//! Where the journal is read first: where reading ended last, unless that is not to be believed, or
//! older than what can matter.

use jiff::{SignedDuration, Timestamp};

use crate::daemon::plan::NamedSource;
use crate::diagnostics;
use crate::journal::Position;
use crate::journal::start_position::StartPosition;
use crate::whitelist::{FUTURE_TOLERANCE, Rules};

/// Where to begin in a source of which a store kept `position`. One that is in the future is not
/// believed.
pub fn where_to_begin(
    source: &NamedSource,
    rules: &Rules,
    position: Option<Position>,
    now: Timestamp,
) -> StartPosition {
    let oldest = oldest(rules, now);
    match position {
        Some(place) if place.time.duration_since(now) > FUTURE_TOLERANCE => {
            diagnostics::cursor_in_the_future(source.name(), place.time, oldest);
            StartPosition::At(oldest)
        }
        // So old where files of the journal could not be read for long.
        Some(place) if place.cursor.is_empty() || place.time < oldest => {
            StartPosition::At(place.time.max(oldest))
        }
        Some(place) => StartPosition::Behind(place, oldest),
        None => grace_ago(rules, now),
    }
}

/// Where to begin in a journal of which nothing was read: who logged in before is not listed any
/// more.
pub fn grace_ago(rules: &Rules, now: Timestamp) -> StartPosition {
    StartPosition::At(earlier(now, rules.grace))
}

/// Whatever is older matters to nobody: its session would have ended, and its grace passed.
pub fn oldest(rules: &Rules, now: Timestamp) -> Timestamp {
    earlier(earlier(now, rules.max_session), rules.grace)
}

fn earlier(time: Timestamp, by: SignedDuration) -> Timestamp {
    time.checked_sub(by).unwrap_or(Timestamp::MIN)
}
