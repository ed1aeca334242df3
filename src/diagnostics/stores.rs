//! What the carrier of a store's journal writes to this host's.

use log::{info, warn};

use super::message_id as id;

/// The journal of a store is carried here. Its clock is ahead of ours by so many seconds.
pub fn carrier_connected(store: &str, clock_ahead: i64) {
    info!(
        MESSAGE_ID = id::CARRIER_CONNECTED, POP_BEFORE_SMTP_SOURCE = store;
        "store {store}: connected; its logins count here"
    );
    if clock_ahead != 0 {
        warn!(
            MESSAGE_ID = id::NOTICE, POP_BEFORE_SMTP_SOURCE = store;
            "store {store}: {}", clock_off(clock_ahead)
        );
    }
}

/// What a store's clock that is off costs: an entry counts from its own time, and one that is more than a
/// minute in the future does not count.
#[must_use]
pub fn clock_off(ahead: i64) -> String {
    let seconds = ahead.unsigned_abs();
    if ahead > 0 {
        format!(
            "its clock is {seconds} s ahead of this host's: its logins are in the future, and do not \
             count"
        )
    } else {
        format!(
            "its clock is {seconds} s behind this host's: its clients' grace is shorter by as much"
        )
    }
}

/// The journal of a store is not carried here for now.
pub fn carrier_lost(store: &str, why: &str) {
    warn!(
        MESSAGE_ID = id::CARRIER_LOST, POP_BEFORE_SMTP_SOURCE = store;
        "store {store}: not connected: {why}; trying again"
    );
}
