//! Where our messages go: natively into the journal with their fields, or to a terminal.
//!
//! Must never fail or block the caller for a message's sake.

use std::io::Write;

use log::kv::{self, Key, Value, VisitSource, VisitValue};
use log::{Level, LevelFilter, Log, Metadata, Record};

/// The variable that sets the level: `error`, `warn`, `info` or `debug`.
const LEVEL: &str = "RUST_LOG";
/// Our own messages.
const OWN: &str = "pop_before_smtp";

/// Sends messages where they belong: natively to the journal if standard error is connected to
/// it (`$JOURNAL_STREAM`, systemd.exec(5)), else to standard error through env_logger.
///
/// The level is `info`, or what `$RUST_LOG` says; of other crates, warnings are enough.
pub fn install() {
    let installed = if stderr_is_the_journal() {
        log::set_logger(&Journal).is_ok()
    } else {
        // What is let through is up to the level alone, so that it can be changed.
        env_logger::Builder::new()
            .filter_level(LevelFilter::Warn)
            .filter_module(OWN, LevelFilter::Trace)
            .format(|buffer, record| {
                let style = buffer.default_level_style(record.level());
                writeln!(
                    buffer,
                    "{style}{}{style:#}: {}",
                    word(record.level()),
                    record.args()
                )
            })
            .try_init()
            .is_ok()
    };
    // A second installation, in tests, changes nothing.
    if installed {
        set_level(level_for(LevelFilter::Info));
    }
}

/// The level where `configured` is wished for: `$RUST_LOG` goes before it.
#[must_use]
pub fn level_for(configured: LevelFilter) -> LevelFilter {
    let level = std::env::var(LEVEL).ok();
    level
        .and_then(|level| level.parse().ok())
        .unwrap_or(configured)
}

/// The level from now on.
pub fn set_level(level: LevelFilter) {
    log::set_max_level(level);
}

/// The level now.
#[must_use]
pub fn level() -> LevelFilter {
    log::max_level()
}

fn word(level: Level) -> &'static str {
    match level {
        Level::Error => "error",
        Level::Warn => "warning",
        Level::Info => "info",
        Level::Debug | Level::Trace => "debug",
    }
}

fn stderr_is_the_journal() -> bool {
    let Ok(stat) = rustix::fs::fstat(std::io::stderr()) else {
        return false;
    };
    std::env::var("JOURNAL_STREAM")
        .is_ok_and(|stream| stream == format!("{}:{}", stat.st_dev, stat.st_ino))
}

struct Journal;

impl Log for Journal {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
            && (metadata.target().starts_with(OWN) || metadata.level() <= Level::Warn)
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        // systemd.journal-fields(7): PRIORITY as in syslog(3).
        let priority = match record.level() {
            Level::Error => 3,
            Level::Warn => 4,
            Level::Info => 6,
            Level::Debug | Level::Trace => 7,
        };
        let mut fields = Fields(vec![
            format!("PRIORITY={priority}"),
            "SYSLOG_IDENTIFIER=pop-before-smtp".to_owned(),
            format!("MESSAGE={}", record.args()),
        ]);
        let _ = record.key_values().visit(&mut fields);
        let fields: Vec<&str> = fields.0.iter().map(String::as_str).collect();
        // There is nowhere to complain to.
        let _ = systemd::journal::send(&fields);
    }

    fn flush(&self) {}
}

struct Fields(Vec<String>);

impl<'kvs> VisitSource<'kvs> for Fields {
    fn visit_pair(&mut self, key: Key<'kvs>, value: Value<'kvs>) -> Result<(), kv::Error> {
        let mut presence = Presence(true);
        value.visit(&mut presence)?;
        if presence.0 {
            self.0.push(format!("{key}={value}"));
        }
        Ok(())
    }
}

/// Whether a field has a value: some messages have it only sometimes.
struct Presence(bool);

impl<'v> VisitValue<'v> for Presence {
    fn visit_any(&mut self, _: Value<'_>) -> Result<(), kv::Error> {
        Ok(())
    }

    fn visit_null(&mut self) -> Result<(), kv::Error> {
        self.0 = false;
        Ok(())
    }
}
