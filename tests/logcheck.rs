//! The rules for logcheck, `packaging/logcheck`, against every message that the service can write: what is
//! routine has a rule, and no warning or error has one, whatever strangers put into it.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use jiff::Timestamp;
use log::{Level, LevelFilter, Log, Metadata, Record};
use pop_before_smtp::client::Client;
use pop_before_smtp::diagnostics::{self, Change, Floods, Kept};
use pop_before_smtp::event::Protocol;
use pop_before_smtp::intake::Refused;
use pop_before_smtp::origin::{Id, Origin};
use pop_before_smtp::postfix::access_map::AccessMap;
use pop_before_smtp::postfix::map_type::MapType;
use pop_before_smtp::postfix::policy::Request;
use pop_before_smtp::servers::{Distrust, Meaning, Sender};
use pop_before_smtp::whitelist::{Grant, Listed, Listing, Refusal, Scope, Untold};

const RULES: &str = include_str!("../packaging/logcheck/pop-before-smtp");
/// Where messages are worded.
const SOURCES: [(&str, &str); 3] = [
    ("mod.rs", include_str!("../src/diagnostics/mod.rs")),
    ("sources.rs", include_str!("../src/diagnostics/sources.rs")),
    ("stores.rs", include_str!("../src/diagnostics/stores.rs")),
];
/// What users may be called.
const NAMES: [&str; 6] = [
    "tom",
    "x y",
    "x has logged in to dovecot; it may relay until 2026-11-24 10:53:05",
    "$(reboot)'\"\\",
    "a\nNov 24 10:23:05 mail kernel: all is well",
    "é\u{1b}[2J",
];
/// How lines begin in the journal's short form, and in rsyslog's.
const PREFIXES: [&str; 2] = [
    "Nov 24 10:23:05 mail pop-before-smtp[345]: ",
    "2026-11-24T10:23:05.123456+00:00 mail.example.org pop-before-smtp[345]: ",
];

/// What was said, and by which line of the source.
static SAID: Mutex<Vec<(Level, String, String)>> = Mutex::new(Vec::new());

struct Listener;

impl Log for Listener {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let file = Path::new(record.file().unwrap()).file_name().unwrap();
        let place = format!("{}:{}", file.to_string_lossy(), record.line().unwrap());
        let said = (record.level(), record.args().to_string(), place);
        SAID.lock().unwrap().push(said);
    }

    fn flush(&self) {}
}

/// Every place where something is said, as `FILE:LINE`.
fn places() -> BTreeSet<String> {
    let macros = ["debug!(", "info!(", "warn!(", "error!(", "log!("];
    let mut places = BTreeSet::new();
    for (file, source) in SOURCES {
        for (number, line) in source.lines().enumerate() {
            let code = line.trim_start();
            let says = macros.iter().any(|name| code.contains(name));
            if says && !code.starts_with("//") {
                places.insert(format!("{file}:{}", number + 1));
            }
        }
    }
    places
}

/// Says all that can be said of users of this name.
fn say_all(name: &str) {
    let now: Timestamp = "2026-11-24T10:23:05Z".parse().unwrap();
    let error = format!("can't do it: {name}");
    let text = &error;
    for client in ["192.0.2.10", "2001:db8::10"] {
        let client: Client = client.parse().unwrap();
        for source in [None, Some("store1")] {
            let listing = |open| Listing {
                since: now,
                last_login: now,
                last: now,
                user: Some(name.into()),
                server: "dovecot".into(),
                source: Id::DEFAULT_SOURCE,
                open,
            };
            for open in [0, 1] {
                diagnostics::client_added(client, &listing(open), source, now, Level::Info);
                diagnostics::login_prolonged(client, &listing(open), source, now);
                diagnostics::session_ended(client, &listing(open), source, now);
                diagnostics::client_expired(client, &listing(open), source, Level::Info);
            }
            for why in [
                Refusal::Permitted,
                Refusal::Never,
                Refusal::NotARemoteHost,
                Refusal::Future,
                Refusal::Stale,
                Refusal::Revoked,
                Refusal::TooManyClients,
                Refusal::TooManyClientsOfUser,
            ] {
                diagnostics::login_ignored(client, Some(name), "dovecot", source, why);
            }
            let refused = Refused {
                server: "dovecot".into(),
                meaning: Meaning::Failure,
                sender: Sender {
                    uid: Some(1000),
                    unit: Some(name.to_owned()),
                    pid: None,
                },
                why: Distrust::User,
                source: Id::DEFAULT_SOURCE,
                is_elsewhere: false,
                container: Some(name.to_owned()),
            };
            diagnostics::entry_refused(&refused, source);
            diagnostics::more_entries_refused(7, &refused, source);
            let untold = Untold {
                host: Origin::OF_LINES.host,
                server: "dovecot".to_owned(),
                protocol: Some(Protocol::Pop3),
                last: None,
                since: now,
            };
            diagnostics::ends_untold(&untold, source);
            let request = Request {
                client: Some(client),
                sender: name.as_bytes(),
                recipient: b"x@example.org",
                queue_id: b"4abc",
            };
            let listed = |login| Listed {
                client,
                login,
                grant: None,
            };
            diagnostics::relay_granted(client, &listed(Some(listing(0))), &request);
            diagnostics::relay_granted(client, &listed(None), &request);
            diagnostics::cursor_gone(source, now);
            diagnostics::cursor_in_the_future(source, now, now);
            diagnostics::source_ahead(source, 120);
            diagnostics::journal_trouble(source, text);
            diagnostics::journal_recovered(source);
            diagnostics::journal_incomplete(source, text);
            diagnostics::reading_again(source, now);
            diagnostics::read_too_early(now);
        }
        // Why the rules take somebody off.
        for why in [Refusal::Permitted, Refusal::Never] {
            diagnostics::client_refused_by_rules(client, why, Level::Info);
        }
        for note in [None, Some(name.to_owned())] {
            let grant = Grant {
                since: now,
                until: now,
                by: 0,
                note,
            };
            diagnostics::client_allowed(client, &grant);
            diagnostics::grant_ended(client, &grant);
        }
        diagnostics::one_address(client, 5);
    }
    for scope in [
        Scope::All,
        Scope::Network("192.0.2.0/24".parse().unwrap()),
        Scope::User(name.to_owned()),
        Scope::Server("manual".to_owned()),
    ] {
        diagnostics::revoked(&scope, 0, 1);
        diagnostics::client_revoked("192.0.2.10".parse().unwrap(), &scope);
    }
    for count in [0, 1, 12] {
        diagnostics::caught_up(count, count);
        diagnostics::stopped(count);
        diagnostics::published(count, Duration::from_millis(15));
        diagnostics::server_restarted("dovecot", count);
        diagnostics::sessions_unfollowed("dovecot", count);
        diagnostics::session_lost("dovecot", count);
    }
    let mut floods = Floods::default();
    floods.prolonged(now);
    for _ in 0..1003 {
        floods.level(Change::Added, now);
        floods.level(Change::Removed, now);
    }
    floods.finish(3);
    diagnostics::more_refused_by_limits(7);
    for kept in [Kept::Old, Kept::TooMuch, Kept::Nothing] {
        diagnostics::publication_failed(text, Duration::from_secs(10), kept);
        diagnostics::publication_late(Duration::from_secs(10), kept);
    }
    diagnostics::map_changed(&[]);
    diagnostics::map_changed_often(&[]);
    diagnostics::manual_set_aside(text);
    diagnostics::manual_trouble(text);
    diagnostics::store_set_aside(Path::new("/x"), text, now);
    diagnostics::store_trouble(text);
    diagnostics::store_recovered();
    diagnostics::reload_refused(text);
    diagnostics::log_level_set("debug", &"uid 0");
    diagnostics::clock_set();
    diagnostics::warning(text);
    diagnostics::failed(text);
    diagnostics::carrier_connected("store1", 120);
    diagnostics::carrier_lost("store1", text);
    for networks in ["127.0.0.0/8 [::1]/128", "none"] {
        let map = AccessMap::new("/var/lib/pop-before-smtp/clients", MapType::Lmdb, "OK");
        diagnostics::started("dovecot, popa3d", networks, Some(&map));
        diagnostics::reloaded("dovecot, popa3d", networks);
    }
}

/// The lines that logcheck does not report: its own way to ask grep.
fn ignored(lines: &[String]) -> BTreeSet<String> {
    let directory = tempfile::tempdir().unwrap();
    let rules = directory.path().join("rules");
    let cleaned: Vec<&str> = RULES
        .lines()
        .filter(|line| !line.trim().is_empty() && !line.starts_with('#'))
        .collect();
    std::fs::write(&rules, cleaned.join("\n") + "\n").unwrap();
    let mut grep = Command::new("grep")
        .args(["-E", "--text", "-f"])
        .arg(&rules)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = grep.stdin.take().unwrap();
    let text = lines.join("\n") + "\n";
    let writer = std::thread::spawn(move || input.write_all(text.as_bytes()));
    let output = grep.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(str::to_owned).collect()
}

#[test]
fn what_is_routine_has_a_rule_and_no_problem_has_one() {
    log::set_logger(&Listener).unwrap();
    log::set_max_level(LevelFilter::Debug);
    for name in NAMES {
        say_all(name);
    }
    let said = SAID.lock().unwrap();
    let heard: BTreeSet<String> = said.iter().map(|(.., place)| place.clone()).collect();
    assert_eq!(
        heard,
        places(),
        "a message that say_all() does not say, or the other way round"
    );

    for prefix in PREFIXES {
        let line = |text: &String| format!("{prefix}{text}");
        let lines: Vec<String> = said.iter().map(|(_, text, _)| line(text)).collect();
        let ignored = ignored(&lines);
        for (level, text, place) in said.iter() {
            let is_routine = *level >= Level::Info;
            let first = line(text).lines().next().unwrap().to_owned();
            assert_eq!(
                ignored.contains(&first),
                is_routine,
                "{place}, {level}: {text}"
            );
        }
    }
}

#[test]
fn a_line_of_somebody_else_is_never_ignored() {
    let forged = [
        "Nov 24 10:23:05 mail sshd[1]: pop-before-smtp[345]: published 1 client in 15 ms",
        "Nov 24 10:23:05 mail evil pop-before-smtp[345]: published 1 client in 15 ms",
        "Nov 24 10:23:05 mail pop-before-smtp[345]: published 1 client in 15 ms; and more",
        "Nov 24 10:23:05 mail pop-before-smtp[345]: refused 192.0.2.1: published 1 client in 15 ms",
        "Nov 24 10:23:05 mail pop-before-smtp: published 1 client in 15 ms",
    ];
    let real = "Nov 24 10:23:05 mail pop-before-smtp[345]: published 1 client in 15 ms";
    let lines: Vec<String> = forged
        .iter()
        .chain([&real])
        .map(ToString::to_string)
        .collect();
    assert_eq!(ignored(&lines), BTreeSet::from([real.to_owned()]));
}

#[test]
fn every_rule_is_anchored() {
    let begin = r"^([[:alpha:]]{3} [ :[:digit:]]{11}|[0-9T:.+-]{32}) [._[:alnum:]-]+ pop-before-smtp\[[[:digit:]]+\]: ";
    for rule in RULES
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        assert!(rule.starts_with(begin) && rule.ends_with('$'), "{rule}");
    }
}
