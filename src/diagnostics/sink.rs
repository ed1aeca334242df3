//! Where our messages go: natively into the journal with their fields, or to a terminal.
//!
//! Must never fail or block the caller for a message's sake.

use std::io::Write;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use log::kv::{self, Key, Value, VisitSource, VisitValue};
use log::{Level, LevelFilter, Log, Metadata, Record};

use super::journal_socket::{JournalSocket, SOCKET};
use super::message_id;

/// The variable that sets the level: `error`, `warn`, `info` or `debug`.
const LEVEL: &str = "RUST_LOG";
/// Our own messages.
const OWN: &str = "pop_before_smtp";

/// Sends messages where they belong: natively to the journal if standard error is connected to
/// it (`$JOURNAL_STREAM`, systemd.exec(5)), else to standard error through env_logger.
///
/// The level is `info`, or what `$RUST_LOG` says; of other crates, warnings are enough.
pub fn install() {
    let journal = stderr_is_the_journal().then(|| JournalSocket::new(Path::new(SOCKET)));
    let installed = if let Some(Ok(socket)) = journal {
        JOURNALD.set(socket).is_ok() && log::set_logger(&Journal).is_ok()
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

/// The way to journald, where messages go there.
static JOURNALD: OnceLock<JournalSocket> = OnceLock::new();
/// How many messages journald has not taken since it took one.
static LOST: AtomicU64 = AtomicU64::new(0);

/// Whether journald takes no messages: it hangs, and takes none of the servers' either.
#[must_use]
pub fn journald_hangs() -> bool {
    JOURNALD.get().is_some_and(|journald| {
        if journald.hangs() {
            tell_lost(journald);
        }
        journald.hangs()
    })
}

/// Says how many messages were lost, if journald takes that.
fn tell_lost(journald: &JournalSocket) {
    let lost = LOST.load(Ordering::Relaxed);
    if lost == 0 {
        return;
    }
    let text = format!("journald took no messages for a while: {lost} of this service are lost");
    let mut fields = fields(Level::Warn, &text);
    fields.0.push(format!("MESSAGE_ID={}", message_id::NOTICE));
    if journald.send(&fields.0).is_ok() {
        LOST.fetch_sub(lost, Ordering::Relaxed);
    }
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
        let mut fields = fields(record.level(), &record.args().to_string());
        let _ = record.key_values().visit(&mut fields);
        let Some(journald) = JOURNALD.get() else {
            return;
        };
        // There is nowhere to complain to, until it is taken again.
        match journald.send(&fields.0) {
            Ok(()) => tell_lost(journald),
            Err(_) => {
                LOST.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    fn flush(&self) {}
}

/// What every message has.
fn fields(level: Level, text: &str) -> Fields {
    // systemd.journal-fields(7): PRIORITY as in syslog(3).
    let priority = match level {
        Level::Error => 3,
        Level::Warn => 4,
        Level::Info => 6,
        Level::Debug | Level::Trace => 7,
    };
    Fields(vec![
        format!("PRIORITY={priority}"),
        "SYSLOG_IDENTIFIER=pop-before-smtp".to_owned(),
        format!("MESSAGE={text}"),
    ])
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
