//! What other settings make of those who were listed before, by a reload or a restart.

mod foreground;
mod journal_files;

use std::time::{Duration, Instant};

use foreground::Foreground;
use jiff::SignedDuration;
use journal_files::entry::Entry;

const SETTINGS: &str = "permitted-networks = []";

/// A service that has read a login under Dovecot's own name, and one under another.
fn with_two_names() -> Foreground {
    let login = |client, session| Entry::login(SignedDuration::from_secs(100), client, session);
    let other = login("192.0.2.20", "b").but("SYSLOG_IDENTIFIER", Some("dovecot-proxy"));
    let service = Foreground::start(&[login("192.0.2.10", "a"), other], &two_names());
    service.wait_for("caught up with the journal: 2 clients listed, 2 sessions open");
    service
}

fn two_names() -> String {
    format!("{SETTINGS}\nsenders.dovecot.identifiers = [\"dovecot-proxy\"]")
}

/// Has it read other settings, and waits until they are in force.
fn reload(service: &Foreground, settings: &str) {
    let reloads = || service.log().matches("reloaded: ").count();
    let before = reloads();
    service.reload(settings);
    let patience = Instant::now() + foreground::PATIENCE;
    while reloads() == before {
        assert!(Instant::now() < patience, "{}", service.log());
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Nobody would read of their ends.
#[test]
fn a_server_that_is_taken_out_leaves_no_session_open() {
    let service = with_two_names();
    reload(
        &service,
        &format!("{}\nservers = [\"dovecot\"]", two_names()),
    );
    service.wait_for_answer("status", "2 clients, 2 open sessions");
    reload(&service, &format!("{SETTINGS}\nservers = [\"courier\"]"));
    service.wait_for_answer("status", "2 clients, 0 open sessions");

    let mut service = with_two_names();
    service.stop();
    service.start_again(&format!("{SETTINGS}\nservers = [\"courier\"]"));
    service.wait_for("caught up with the journal: 2 clients listed, 0 sessions open");
}

#[test]
fn a_name_that_a_server_has_no_more_leaves_none_of_its_sessions_open() {
    let service = with_two_names();
    let more = "senders.dovecot.units = [\"dovecot-proxy.service\"]";
    reload(&service, &format!("{}\n{more}", two_names()));
    service.wait_for_answer("status", "2 clients, 2 open sessions");
    reload(&service, &format!("{SETTINGS}\n{more}"));
    service.wait_for_answer("status", "2 clients, 0 open sessions");

    // Nor does a restart in between make a difference, even if there was another one before.
    let mut service = with_two_names();
    for (settings, sessions) in [(two_names(), 2), (SETTINGS.to_owned(), 0)] {
        service.stop();
        service.start_again(&settings);
        let listed = format!("2 clients listed, {sessions} sessions open");
        service.wait_for(&format!("caught up with the journal: {listed}"));
    }
}
