//! Ends that get lost: one whose session the server has forgotten, and those that nobody tells.

use super::*;
use crate::event::Protocol;
use crate::origin::Id;

const HOUR: i64 = 3600;

fn pop3(event: Event) -> Event {
    Event {
        protocol: Some(Protocol::Pop3),
        longest_session: Some(SignedDuration::from_secs(HOUR)),
        ..event
    }
}

fn imap(event: Event) -> Event {
    Event {
        protocol: Some(Protocol::Imap),
        ..event
    }
}

fn lost(second: i64) -> Event {
    event(second, EventKind::LostLogout)
}

fn open(whitelist: &Whitelist, n: u8) -> u32 {
    whitelist.get(client(n)).map_or(0, |listing| listing.open)
}

#[test]
fn a_lost_end_costs_no_more_than_the_longest_session_of_its_protocol() {
    let mut whitelist = Whitelist::new(rules());
    apply(&mut whitelist, &pop3(login(0, 10, Some("a"))));
    apply(&mut whitelist, &imap(login(0, 11, Some("b"))));
    expire(&mut whitelist, at(HOUR));
    assert_eq!((open(&whitelist, 10), open(&whitelist, 11)), (0, 1));
    expire(&mut whitelist, at(HOUR + GRACE));
    assert_eq!(listed(&whitelist), ["192.0.2.11"]);
    // The configuration's limit is for all.
    let mut rules = rules();
    rules.max_session = SignedDuration::from_secs(60);
    let mut whitelist = Whitelist::new(rules);
    apply(&mut whitelist, &pop3(login(0, 10, Some("a"))));
    expire(&mut whitelist, at(60));
    assert_eq!(open(&whitelist, 10), 0);
}

#[test]
fn a_lost_end_is_that_of_a_session_of_its_protocol_its_server_and_its_host() {
    let mut whitelist = Whitelist::new(rules());
    let courier = Event {
        server: "courier".into(),
        ..pop3(login(0, 12, Some("c")))
    };
    let elsewhere = Event {
        origin: Origin::default(),
        ..pop3(login(0, 13, Some("d")))
    };
    for login in [
        pop3(login(0, 10, Some("a"))),
        imap(login(0, 11, Some("b"))),
        courier,
        elsewhere,
        pop3(login(200, 14, Some("e"))),
    ] {
        apply(&mut whitelist, &login);
    }
    let outcome = whitelist.apply(&pop3(lost(100)), at(200));
    assert_eq!(outcome, Outcome::Doubtful(1));
    assert_eq!(
        [10, 11, 12, 13, 14].map(|n| open(&whitelist, n)),
        [0, 1, 1, 1, 1]
    );
    expire(&mut whitelist, at(99 + GRACE));
    assert!(whitelist.get(client(10)).is_some());
    expire(&mut whitelist, at(100 + GRACE));
    assert!(whitelist.get(client(10)).is_none());
}

#[test]
fn a_client_is_held_by_all_of_its_sessions_but_one() {
    let mut whitelist = Whitelist::new(rules());
    for id in ["a", "b", "c"] {
        apply(&mut whitelist, &imap(login(0, 10, Some(id))));
    }
    apply(&mut whitelist, &imap(login(0, 11, Some("d"))));
    assert_eq!(
        apply(&mut whitelist, &imap(lost(100))),
        Outcome::Doubtful(4)
    );
    assert_eq!((open(&whitelist, 10), open(&whitelist, 11)), (2, 0));
    // It was not that of b; of the two that are left, one may be over.
    apply(&mut whitelist, &imap(logout(200, "b")));
    assert_eq!(open(&whitelist, 10), 1);
    apply(&mut whitelist, &imap(logout(300, "a")));
    assert_eq!(open(&whitelist, 10), 0);
    // It opens another one, of which nothing is doubtful.
    apply(&mut whitelist, &imap(login(400, 10, Some("e"))));
    assert_eq!(open(&whitelist, 10), 1);
    // Whose end is told after all: grace counts from there.
    apply(&mut whitelist, &imap(logout(500, "d")));
    expire(&mut whitelist, at(499 + GRACE));
    assert_eq!(listed(&whitelist), ["192.0.2.10", "192.0.2.11"]);
    expire(&mut whitelist, at(500 + GRACE));
    assert_eq!(listed(&whitelist), ["192.0.2.10"]);
}

#[test]
fn a_lost_end_may_be_written_shortly_before_its_login() {
    let mut whitelist = Whitelist::new(rules());
    apply(&mut whitelist, &pop3(lost(100)));
    for (second, n, expected) in [(100, 10, 0), (105, 11, 0), (106, 12, 1)] {
        apply(
            &mut whitelist,
            &pop3(login(second, n, Some(&n.to_string()))),
        );
        assert_eq!(open(&whitelist, n), expected, "{second}");
    }
}

#[test]
fn the_end_of_a_session_that_was_doubtful_when_its_client_went_takes_nothing_from_a_new_one() {
    let mut whitelist = Whitelist::new(rules());
    apply(&mut whitelist, &imap(login(0, 10, Some("a"))));
    apply(&mut whitelist, &imap(lost(100)));
    expire(&mut whitelist, at(100 + GRACE));
    assert!(listed(&whitelist).is_empty());
    apply(&mut whitelist, &imap(login(5000, 10, Some("b"))));
    apply(&mut whitelist, &imap(logout(5001, "a")));
    assert_eq!(open(&whitelist, 10), 1);
}

#[test]
fn a_server_that_tells_no_ends_is_found_out_and_its_grace_counts_from_the_login() {
    let mut whitelist = Whitelist::new(rules());
    for (second, n) in [(0, 10), (10, 11), (20, 12), (3000, 13)] {
        let login = pop3(login(second, n, Some(&n.to_string())));
        apply(&mut whitelist, &login);
    }
    apply(&mut whitelist, &imap(login(3000, 14, Some("i"))));
    expire(&mut whitelist, at(HOUR + 19));
    assert_eq!(whitelist.ends_mut().take_news(), []);
    assert_eq!(open(&whitelist, 13), 1);
    expire(&mut whitelist, at(HOUR + 20));
    let [untold] = &whitelist.ends_mut().take_news()[..] else {
        panic!("it is not found out");
    };
    assert_eq!(
        (&*untold.server, untold.protocol, untold.last, untold.since),
        ("dovecot", Some(Protocol::Pop3), None, at(HOUR + 20))
    );
    // What was open is nothing; of the other protocol, nothing is known.
    assert_eq!((open(&whitelist, 13), open(&whitelist, 14)), (0, 1));
    expire(&mut whitelist, at(3000 + GRACE));
    assert!(!listed(&whitelist).contains(&"192.0.2.13".to_owned()));
    apply(&mut whitelist, &pop3(login(5000, 15, Some("x"))));
    assert_eq!(open(&whitelist, 15), 0);
    assert_eq!(whitelist.ends().untold().count(), 1);
    // An end is recognised: it is followed again.
    apply(&mut whitelist, &pop3(logout(5100, "y")));
    assert_eq!(whitelist.ends().untold().count(), 0);
    apply(&mut whitelist, &pop3(login(5200, 16, Some("z"))));
    assert_eq!(open(&whitelist, 16), 1);
}

#[test]
fn a_server_that_tells_an_end_now_and_then_is_believed() {
    let mut whitelist = Whitelist::new(rules());
    for n in 0..10i64 {
        let id = n.to_string();
        apply(&mut whitelist, &pop3(login(n * HOUR, 10, Some(&id))));
        expire(&mut whitelist, at((n + 1) * HOUR));
        if n % 3 == 1 {
            let id = format!("other {n}");
            apply(&mut whitelist, &pop3(logout((n + 1) * HOUR, &id)));
        }
    }
    assert_eq!(whitelist.ends().untold().count(), 0);
}

#[test]
fn a_lost_end_that_is_read_again_changes_nothing() {
    let mut whitelist = Whitelist::new(rules());
    for id in ["a", "b", "c"] {
        apply(&mut whitelist, &imap(login(0, 10, Some(id))));
    }
    for _ in 0..2 {
        whitelist.apply(&imap(lost(100)), at(200));
        assert_eq!(open(&whitelist, 10), 2);
    }
    whitelist.apply(&imap(lost(101)), at(200));
    assert_eq!(open(&whitelist, 10), 1);
}

/// A commit was interrupted: the store has a client that came back, and a session of before.
#[test]
fn a_session_that_is_older_than_its_client_is_counted_and_taken_off_again() {
    let mut clients = KeptClients::default();
    let mut sessions = Sessions::default();
    let listing = Listing {
        since: at(5000),
        last_login: at(5000),
        last: at(5000),
        user: None,
        server: "dovecot".into(),
        source: Id::DEFAULT_SOURCE,
        open: 0,
    };
    clients.add(client(10), &listing);
    let key = SessionKey {
        origin: HERE,
        server: "dovecot",
        id: "a",
    };
    let session = Session {
        client: Some(client(10)),
        since: at(0),
        ended: None,
        protocol: None,
        longest: None,
        is_doubtful: false,
    };
    sessions.add(key, &session);
    let mut whitelist = Whitelist::restore(rules(), clients.finish(), sessions);
    assert_eq!(open(&whitelist, 10), 1);
    whitelist.apply(&logout(1000, "a"), at(5001));
    assert_eq!(open(&whitelist, 10), 0);
    assert_eq!(expire(&mut whitelist, at(5000 + GRACE)).len(), 1);
}

#[test]
fn a_doubtful_session_of_a_revoked_client_lends_it_nothing_when_it_comes_back() {
    let mut whitelist = Whitelist::new(rules());
    apply(&mut whitelist, &lost(0));
    apply(&mut whitelist, &login_of(1, 10, "alice", Some("a")));
    expire(&mut whitelist, at(1 + GRACE));
    assert_eq!(listed(&whitelist), [""; 0]);
    let alice = Scope::User("alice".to_owned());
    whitelist.revoke(&alice, 0, at(2 + GRACE)).unwrap();
    apply(&mut whitelist, &login_of(3 + GRACE, 10, "alice", None));
    apply(&mut whitelist, &logout(100 + GRACE, "a"));
    assert_eq!(next_end(&whitelist), Some(at(3 + 2 * GRACE)));
}
