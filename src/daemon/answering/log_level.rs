//! How much the service writes to the journal, and to have it write more or less.

use crate::control::Peer;
use crate::control::protocol::LogLevel;
use crate::diagnostics;

/// Sets it, and says what it was.
pub fn set_log_level(level: LogLevel, peer: Peer) -> LogLevel {
    let former = log_level();
    if level != former {
        // At the more talkative of the two levels, so that it is seen.
        let set = || diagnostics::set_level(filter_of(level));
        if filter_of(level) > filter_of(former) {
            set();
        }
        diagnostics::log_level_set(&format!("{level:?}").to_lowercase(), &peer);
        set();
    }
    former
}

/// How much is written to the journal.
pub fn log_level() -> LogLevel {
    match diagnostics::level() {
        log::LevelFilter::Off | log::LevelFilter::Error => LogLevel::Error,
        log::LevelFilter::Warn => LogLevel::Warn,
        log::LevelFilter::Info => LogLevel::Info,
        log::LevelFilter::Debug | log::LevelFilter::Trace => LogLevel::Debug,
    }
}

fn filter_of(level: LogLevel) -> log::LevelFilter {
    match level {
        LogLevel::Error => log::LevelFilter::Error,
        LogLevel::Warn => log::LevelFilter::Warn,
        LogLevel::Info => log::LevelFilter::Info,
        LogLevel::Debug => log::LevelFilter::Debug,
    }
}
