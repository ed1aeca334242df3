//! The correlator by itself, on definitions made for it.

mod model;

use super::*;
use crate::servers::{Definition, Recogniser};
use std::collections::BTreeMap;

const POPA3D: &str = r#"name = "popa3d"
description = "two lines a login"
identifiers = ["popa3d"]
sessions = "pid"
client-of-unit = true
cut-at = 60
senders = { users = ["*"], units = ["popa3d.service", "popa3d@*.service"] }
[[connect]]
pattern = 'Session from {client}$'
[[login]]
pattern = 'Authentication passed for {user}$'
[[failure]]
pattern = 'Authentication failed'
[[logout]]
pattern = 'Premature disconnect$'
[[start]]
pattern = 'Ready$'
"#;

const CYRUS: &str = r#"name = "cyrus"
description = "two ends a session"
identifiers = ["imap"]
sessions = "pid"
senders = { users = ["cyrus"], units = ["cyrus.service"] }
[[login]]
pattern = 'login: \[{client}\] {user} SESSIONID=<{session}>$'
[[logout]]
pattern = 'USAGE '
[[logout]]
pattern = 'session ended: sessionid=<{session}>'
"#;

const CUTTING: &str = r#"name = "cutting"
description = "its logger cuts lines"
identifiers = ["cutting"]
cut-at = 40
senders = { users = ["root"], units = ["cutting.service"] }
[[login]]
pattern = 'login {user} from \[{client}\]:{port}$'
[[logout]]
pattern = 'logout \[{client}\](?::{port})?$'
[[failure]]
pattern = 'failed '
"#;

const OLD_DOVECOT: &str = r#"name = "dovecot"
description = "ends that name no session"
identifiers = ["dovecot"]
senders = { users = ["root"], units = ["dovecot.service"] }
[[login]]
pattern = 'Login: {user} {client} {session}$'
[[logout]]
pattern = '{user} {session} logged out$'
[[logout]]
pattern = '{user} logged out$'
[[start]]
pattern = 'starting'
"#;

struct Lines {
    recogniser: Recogniser,
    correlator: Correlator,
    now: i64,
}

impl Lines {
    fn new(definition: &str, unknown: Unknown) -> Self {
        let definition = Definition::parse(definition).unwrap();
        let recogniser = Recogniser::new(vec![definition], &BTreeMap::new(), |_| Some(1));
        Lines {
            recogniser,
            correlator: Correlator::new(unknown),
            now: 0,
        }
    }

    fn of(&mut self, pid: u32, unit: &str, message: &str) -> Option<EventKind> {
        let identifier = self.recogniser.identifiers().next().unwrap().to_owned();
        let sender = Sender {
            uid: Some(1),
            unit: Some(unit.to_owned()),
            pid: Some(pid),
        };
        let time = Timestamp::from_second(1_800_000_000 + self.now).unwrap();
        let Some(verdict) = self.recogniser.recognise(&identifier, message.as_bytes()) else {
            self.correlator.pass_over(&sender, time);
            return None;
        };
        self.correlator
            .tie(verdict.server, verdict.meaning, &sender, time)
    }

    fn is_torn(&self, pid: u32) -> bool {
        let process = Sender {
            pid: Some(pid),
            ..Sender::default()
        };
        let time = Timestamp::from_second(1_800_000_000 + self.now).unwrap();
        self.correlator.is_torn(&process, time)
    }

    fn says(&mut self, pid: u32, message: &str) -> Option<EventKind> {
        self.of(pid, "popa3d.service", message)
    }
}

fn login(client: &str, user: &str, session: &str) -> Option<EventKind> {
    Some(EventKind::Login {
        client: client.parse().unwrap(),
        user: Some(user.to_owned()),
        session: Some(session.to_owned()),
    })
}

fn logout(session: &str) -> Option<EventKind> {
    Some(EventKind::Logout {
        client: None,
        user: None,
        session: Some(session.to_owned()),
        login_may_follow: false,
    })
}

#[test]
fn address_first_and_success_later_are_tied_by_the_pid() {
    let mut lines = Lines::new(POPA3D, Unknown::Drop);
    assert_eq!(lines.says(7, "Session from 192.0.2.10"), None);
    assert_eq!(lines.says(8, "Session from 192.0.2.11"), None);
    assert_eq!(
        lines.says(8, "Authentication passed for bob"),
        login("192.0.2.11", "bob", "8")
    );
    assert_eq!(
        lines.says(7, "Authentication passed for al"),
        login("192.0.2.10", "al", "7")
    );
    assert_eq!(lines.says(7, "Premature disconnect"), logout("7"));
    assert_eq!(lines.says(7, "Premature disconnect"), None);
    assert_eq!(lines.says(9, "Premature disconnect"), None);
}

#[test]
fn a_reused_pid_never_lends_an_address() {
    let mut lines = Lines::new(POPA3D, Unknown::Drop);
    let passed = "Authentication passed for mallory";
    assert_eq!(lines.says(7, passed), None);
    lines.says(7, "Session from 192.0.2.10");
    lines.says(7, "Authentication failed for al");
    assert_eq!(lines.says(7, passed), None);
    lines.says(7, "Session from 192.0.2.10");
    lines.says(7, "Authentication passed for al");
    assert_eq!(lines.says(7, passed), None);
    lines.says(7, "Session from 192.0.2.10");
    lines.now += CONNECT_LIFETIME.as_secs() + 1;
    assert_eq!(lines.says(7, passed), None);
    lines.says(7, "Session from 192.0.2.10");
    lines.says(7, "Session from 192.0.2.66");
    assert_eq!(lines.says(7, passed), login("192.0.2.66", "mallory", "7"));
}

#[test]
fn a_clock_that_is_set_back_makes_no_connect_last_longer() {
    let passed = "Authentication passed for mallory";
    let minute = 60;
    let mut lines = Lines::new(POPA3D, Unknown::Drop);
    lines.now = 60 * minute;
    lines.says(7, "Session from 192.0.2.10");
    lines.says(8, "Session from 192.0.2.10");
    lines.now = 0;
    lines.says(9, "Session from 192.0.2.10");
    // An hour from now, by the clock; how long ago it was, nobody knows.
    assert_eq!(lines.says(8, passed), None);
    lines.now = 11 * minute;
    assert_eq!(lines.says(9, passed), None);
    lines.now = 59 * minute;
    assert_eq!(lines.says(7, passed), login("192.0.2.10", "mallory", "7"));
}

#[test]
fn connects_are_bounded_in_number() {
    let mut lines = Lines::new(POPA3D, Unknown::Drop);
    for pid in 0..u32::try_from(2 * CONNECTS).unwrap() {
        lines.says(pid, "Session from 192.0.2.10");
    }
    assert!(lines.correlator.connects.len() <= CONNECTS + 1);
    assert_eq!(lines.says(0, "Authentication passed for al"), None);
}

#[test]
fn the_unit_of_a_connection_names_the_client() {
    let mut lines = Lines::new(POPA3D, Unknown::Drop);
    let unit = "popa3d@1-192.0.2.1:110-198.51.100.7:40963.service";
    assert_eq!(
        lines.of(7, unit, "Authentication passed for al"),
        login("198.51.100.7", "al", "7")
    );
    assert_eq!(
        lines.of(8, "popa3d@1.service", "Authentication passed for al"),
        None
    );
}

#[test]
fn a_process_that_turns_to_another_client_has_left_the_last() {
    let mut lines = Lines::new(POPA3D, Unknown::Drop);
    for next in ["Session from 192.0.2.66", "Authentication failed for al"] {
        lines.says(7, "Session from 192.0.2.10");
        assert!(lines.says(7, "Authentication passed for al").is_some());
        assert_eq!(lines.says(7, next), logout("7"));
        assert_eq!(lines.says(7, "Premature disconnect"), None);
    }
}

#[test]
fn what_follows_a_cut_line_of_a_process_means_nothing() {
    let mut lines = Lines::new(CUTTING, Unknown::PassOn);
    let line = "login al from [192.0.2.10]:1";
    let cut = format!("failed {:A<40}", "");
    let taken = login("192.0.2.10", "al", "192.0.2.10:1");
    assert_eq!(lines.says(7, line), taken);
    for rest in [line, "logout [192.0.2.10]:1"] {
        assert_eq!(lines.says(7, &cut), None);
        // Others' lines are whole.
        assert_eq!(lines.says(8, line), taken);
        // The rest may come only when there is another line.
        lines.now += 1000;
        assert_eq!(lines.says(7, rest), None);
        // In the moments after it, its logger may not know where a line begins.
        lines.now += 10;
        assert!(lines.is_torn(7));
        lines.now += 1;
        assert!(!lines.is_torn(7));
        assert_eq!(lines.says(7, line), taken);
        assert!(lines.correlator.cut.is_empty());
    }
    // A rest that is cut again, and one that no definition takes.
    for rest in [cut.as_str(), "LOGIN FAILED"] {
        lines.says(7, &cut);
        lines.says(7, rest);
        assert_eq!(lines.correlator.cut[&7].is_open, rest == cut);
    }
}

#[test]
fn a_process_is_torn_by_a_line_with_any_number_of_pieces() {
    let mut lines = Lines::new(CUTTING, Unknown::PassOn);
    let failed = format!("failed {:A<40}", "");
    let endless = format!("error {:A<40}", "");
    // It may as well be the rest of what a stranger has written.
    for message in [&failed, &endless, "x"] {
        assert_eq!(lines.says(7, message), None);
    }
    lines.now += 11;
    assert!(!lines.is_torn(7));
    for message in [&endless, "x", &failed, "x"] {
        assert_eq!(lines.says(7, message), None);
        lines.now += 1000;
        assert!(lines.is_torn(7), "{message}");
    }
    assert!(!lines.is_torn(8));
}

#[test]
fn a_logout_may_name_nothing_but_its_client() {
    let mut lines = Lines::new(CUTTING, Unknown::Drop);
    let ended = lines.says(7, "logout [192.0.2.10]");
    let client = Some("192.0.2.10".parse().unwrap());
    assert_eq!(
        ended,
        Some(EventKind::Logout {
            client,
            user: None,
            session: None,
            login_may_follow: true,
        })
    );
}

#[test]
fn a_session_ends_once_whichever_line_tells_it() {
    let mut lines = Lines::new(CYRUS, Unknown::PassOn);
    let opened = login("192.0.2.10", "al", "c-1");
    for (first, second) in [
        ("USAGE al", "session ended: sessionid=<c-1>"),
        ("session ended: sessionid=<c-1>", "USAGE al"),
    ] {
        assert_eq!(
            lines.says(7, "login: [192.0.2.10] al SESSIONID=<c-1>"),
            opened
        );
        assert_eq!(lines.says(7, first), logout("c-1"));
        if first.starts_with("USAGE") {
            assert_eq!(lines.says(7, second), None);
        }
        lines.now += END_LIFETIME.as_secs() + 1;
    }
    // Its login was before this run of the service.
    assert_eq!(
        lines.says(9, "session ended: sessionid=<c-9>"),
        logout("c-9")
    );
    let mut lines = Lines::new(CYRUS, Unknown::Drop);
    assert_eq!(lines.says(9, "session ended: sessionid=<c-9>"), None);
}
#[test]
fn logouts_that_name_no_session_mean_that_none_can_be_followed() {
    let mut lines = Lines::new(OLD_DOVECOT, Unknown::PassOn);
    let is_followed = |event: &Option<EventKind>| match event {
        Some(EventKind::Login { session, .. }) => session.is_some(),
        other => panic!("{other:?}"),
    };
    assert!(is_followed(&lines.says(7, "Login: al 192.0.2.10 s1")));
    assert_eq!(
        lines.says(7, "al s1 logged out"),
        Some(EventKind::Logout {
            client: None,
            user: Some("al".to_owned()),
            session: Some("s1".to_owned()),
            login_may_follow: true,
        })
    );
    assert!(is_followed(&lines.says(7, "Login: al 192.0.2.10 s2")));
    assert_eq!(
        lines.says(7, "al logged out"),
        Some(EventKind::Logout {
            client: None,
            user: Some("al".to_owned()),
            session: None,
            login_may_follow: true,
        })
    );
    assert!(!is_followed(&lines.says(7, "Login: al 192.0.2.10 s3")));
    assert_eq!(lines.says(7, "starting"), Some(EventKind::Start));
    assert!(is_followed(&lines.says(7, "Login: al 192.0.2.10 s4")));
}
