//! The rules one by one; then what is done by hand, and all of them against a model that knows no
//! deadlines.

mod by_hand;
mod ends;
mod interleaved;
mod model;
mod origins;
mod torn;

use super::*;
use crate::config::Limits;
use crate::networks::Networks;

const GRACE: i64 = 1800;
const MAX_SESSION: i64 = 86_400;
/// Where the tests' events come from, unless they say otherwise.
const HERE: Origin = Origin::OF_LINES;

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn client(n: u8) -> Client {
    format!("192.0.2.{n}").parse().unwrap()
}

fn rules() -> Rules {
    Rules {
        grace: SignedDuration::from_secs(GRACE),
        max_session: SignedDuration::from_secs(MAX_SESSION),
        limits: Limits {
            clients: 1000,
            clients_per_user: 1000,
            sessions: 1000,
        },
        permitted: Networks::from(vec!["192.0.2.200/29".parse().unwrap()]),
        never: Networks::from(vec!["192.0.2.100/32".parse().unwrap()]),
    }
}

fn event(second: i64, kind: EventKind) -> Event {
    Event::new(at(second), HERE, "dovecot", kind)
}

fn login(second: i64, n: u8, session: Option<&str>) -> Event {
    login_of(second, n, "alice", session)
}

fn login_of(second: i64, n: u8, user: &str, session: Option<&str>) -> Event {
    let (user, session) = (Some(user.to_owned()), session.map(str::to_owned));
    event(
        second,
        EventKind::Login {
            client: client(n),
            user,
            session,
        },
    )
}

fn logout(second: i64, session: &str) -> Event {
    let session = Some(session.to_owned());
    event(
        second,
        EventKind::Logout {
            client: None,
            user: None,
            session,
            login_may_follow: true,
        },
    )
}

fn apply(whitelist: &mut Whitelist, event: &Event) -> Outcome {
    whitelist.apply(event, event.time)
}

/// All that is due.
fn expire(whitelist: &mut Whitelist, now: Timestamp) -> Vec<(Client, Listing<'static>)> {
    whitelist.expire(now, usize::MAX)
}

/// When something ends next, looked for among all there is. The deadline that the whitelist tells
/// may be earlier, and must not be later.
fn next_end(whitelist: &Whitelist) -> Option<Timestamp> {
    let clients = whitelist.clients().filter(|(_, listing)| listing.open == 0);
    let clients = clients.map(|(_, listing)| whitelist.until(&listing));
    let sessions = whitelist.sessions().filter(|(_, s)| s.ended.is_none());
    let sessions = sessions.map(|(_, s)| later(s.since, whitelist.rules.max_session));
    let by_hand = whitelist.manual.next_deadline();
    let next = clients.chain(sessions).chain(by_hand).min();
    let told = whitelist.next_deadline();
    assert!(
        told <= next && told.is_some() == next.is_some(),
        "{told:?} {next:?}"
    );
    next
}

fn grant(second: i64, until: i64) -> Grant {
    Grant {
        since: at(second),
        until: at(until),
        by: 0,
        note: None,
    }
}

fn listed(whitelist: &Whitelist) -> Vec<String> {
    whitelist
        .listed_after(None)
        .map(|listed| listed.client.to_string())
        .collect()
}

#[test]
fn a_login_lists_until_grace_has_passed_and_not_a_second_longer() {
    let mut whitelist = Whitelist::new(rules());
    assert_eq!(
        apply(&mut whitelist, &login(0, 10, None)),
        Outcome::Added(client(10))
    );
    assert_eq!(next_end(&whitelist), Some(at(GRACE)));
    assert_eq!(
        apply(&mut whitelist, &login(100, 10, None)),
        Outcome::Prolonged(client(10))
    );
    assert_eq!(next_end(&whitelist), Some(at(100 + GRACE)));
    assert!(expire(&mut whitelist, at(99 + GRACE)).is_empty());
    let removed = expire(&mut whitelist, at(100 + GRACE));
    assert_eq!(removed[0].0, client(10));
    assert!(whitelist.is_empty());
    assert_eq!(whitelist.next_deadline(), None);
}

/// A process (its pid is the session's id) serves webmail on this host, and then a printer.
#[test]
fn an_end_that_comes_behind_its_login_says_nothing_of_the_next_session() {
    let mut whitelist = Whitelist::new(rules());
    let web_mail = login(0, 201, Some("441"));
    assert!(matches!(
        apply(&mut whitelist, &web_mail),
        Outcome::Refused(..)
    ));
    let mut its_end = logout(1, "441");
    let EventKind::Logout {
        login_may_follow, ..
    } = &mut its_end.kind
    else {
        unreachable!()
    };
    *login_may_follow = false;
    apply(&mut whitelist, &its_end);
    apply(&mut whitelist, &login(2, 10, Some("441")));
    assert_eq!(whitelist.open_sessions(), 1);
    assert!(expire(&mut whitelist, at(2 + GRACE)).is_empty());
    apply(&mut whitelist, &logout(1000, "441"));
    assert_eq!(next_end(&whitelist), Some(at(1000 + GRACE)));
}

/// The store was out of reach, or its clock is behind.
#[test]
fn an_end_that_was_written_before_its_login_ends_it_however_late_both_are_read() {
    for late in [1, 59, 600, GRACE - 2] {
        let mut whitelist = Whitelist::new(rules());
        for (n, id) in [(10, "a"), (11, "b")] {
            whitelist.apply(&logout(0, id), at(late));
            assert!(expire(&mut whitelist, at(late + 1)).is_empty());
            let outcome = whitelist.apply(&login(0, n, Some(id)), at(late + 1));
            assert_eq!(outcome, Outcome::Added(client(n)), "{late}");
        }
        assert_eq!(whitelist.open_sessions(), 0, "{late}");
        assert_eq!(expire(&mut whitelist, at(GRACE)).len(), 2);
        expire(&mut whitelist, at(late + 60));
        assert_eq!(whitelist.sessions().count(), 0);
    }
}

#[test]
fn many_that_expire_at_once_do_so_some_at_a_time() {
    let mut whitelist = Whitelist::new(rules());
    for n in 1..=5 {
        apply(&mut whitelist, &login(0, n, None));
    }
    apply(&mut whitelist, &login(1, 6, None));
    let now = at(GRACE);
    for left in [4, 2] {
        assert_eq!(whitelist.expire(now, 2).len(), 2);
        assert_eq!(whitelist.len(), left);
        assert!(whitelist.next_deadline().is_some_and(|next| next <= now));
    }
    assert_eq!(whitelist.expire(now, 2).len(), 1);
    assert_eq!(next_end(&whitelist), Some(at(1 + GRACE)));
    assert!(whitelist.expire(now, 2).is_empty());
}

#[test]
fn only_a_change_of_the_set_is_a_new_generation() {
    let mut whitelist = Whitelist::new(rules());
    apply(&mut whitelist, &login(0, 10, Some("a")));
    let generation = whitelist.generation();
    apply(&mut whitelist, &login(1, 10, Some("b")));
    apply(&mut whitelist, &logout(2, "a"));
    apply(&mut whitelist, &logout(3, "b"));
    assert_eq!(whitelist.generation(), generation);
    expire(&mut whitelist, at(3 + GRACE));
    assert!(whitelist.generation() > generation);
}

#[test]
fn an_open_session_keeps_its_client_and_grace_counts_from_its_end() {
    let mut whitelist = Whitelist::new(rules());
    apply(&mut whitelist, &login(0, 10, Some("a")));
    apply(&mut whitelist, &login(10, 10, Some("b")));
    assert_eq!(whitelist.open_sessions(), 2);
    assert!(expire(&mut whitelist, at(2 * GRACE)).is_empty());
    assert_eq!(
        apply(&mut whitelist, &logout(2 * GRACE, "a")),
        Outcome::Ended(client(10))
    );
    assert!(expire(&mut whitelist, at(4 * GRACE)).is_empty());
    apply(&mut whitelist, &logout(4 * GRACE, "b"));
    assert_eq!(next_end(&whitelist), Some(at(5 * GRACE)));
    assert_eq!(expire(&mut whitelist, at(5 * GRACE)).len(), 1);
}

#[test]
fn a_session_whose_logout_never_comes_ends_after_max_session() {
    let mut whitelist = Whitelist::new(rules());
    apply(&mut whitelist, &login(0, 10, Some("a")));
    assert!(expire(&mut whitelist, at(MAX_SESSION)).is_empty());
    assert_eq!(whitelist.open_sessions(), 0);
    assert!(expire(&mut whitelist, at(MAX_SESSION + GRACE - 1)).is_empty());
    assert_eq!(expire(&mut whitelist, at(MAX_SESSION + GRACE)).len(), 1);
}

#[test]
fn a_logout_that_names_no_session_ends_all_of_its_server_only() {
    let unnamed = |second, client| {
        let user = None;
        let session = None;
        event(
            second,
            EventKind::Logout {
                client,
                user,
                session,
                login_may_follow: true,
            },
        )
    };
    let mut whitelist = Whitelist::new(rules());
    apply(&mut whitelist, &login(0, 10, Some("a")));
    apply(&mut whitelist, &login(1, 12, Some("b")));
    let other = Event {
        server: "courier".into(),
        ..login(0, 11, Some("a"))
    };
    apply(&mut whitelist, &other);
    assert_eq!(
        apply(&mut whitelist, &unnamed(50, None)),
        Outcome::Unfollowed(2)
    );
    assert_eq!(apply(&mut whitelist, &unnamed(51, None)), Outcome::Nothing);
    apply(&mut whitelist, &login(60, 12, Some("c")));
    assert_eq!(
        apply(&mut whitelist, &unnamed(61, Some(client(12)))),
        Outcome::Ended(client(12))
    );
    assert_eq!(whitelist.open_sessions(), 1);
    expire(&mut whitelist, at(50 + GRACE));
    assert_eq!(listed(&whitelist), ["192.0.2.11", "192.0.2.12"]);
    expire(&mut whitelist, at(61 + GRACE));
    assert_eq!(listed(&whitelist), ["192.0.2.11"]);
}

#[test]
fn a_start_ends_the_sessions_of_its_server_only() {
    let mut whitelist = Whitelist::new(rules());
    apply(&mut whitelist, &login(0, 10, Some("a")));
    let other = Event {
        server: "courier".into(),
        ..login(0, 11, Some("a"))
    };
    apply(&mut whitelist, &other);
    assert_eq!(
        apply(&mut whitelist, &event(50, EventKind::Start)),
        Outcome::Restarted(1)
    );
    assert_eq!(
        apply(&mut whitelist, &event(51, EventKind::Start)),
        Outcome::Nothing
    );
    assert_eq!(next_end(&whitelist), Some(at(50 + GRACE)));
    expire(&mut whitelist, at(50 + GRACE));
    assert_eq!(listed(&whitelist), ["192.0.2.11"]);
    assert_eq!(whitelist.end_sessions_before(at(3000), HERE.host), 1);
    expire(&mut whitelist, at(3000 + GRACE));
    assert!(whitelist.is_empty());
}

#[test]
fn the_end_of_a_session_may_be_written_before_its_login() {
    let mut whitelist = Whitelist::new(rules());
    assert_eq!(apply(&mut whitelist, &logout(0, "a")), Outcome::Nothing);
    assert_eq!(
        apply(&mut whitelist, &login(1, 10, Some("a"))),
        Outcome::Added(client(10))
    );
    assert_eq!(whitelist.open_sessions(), 0);
    assert_eq!(next_end(&whitelist), Some(at(1 + GRACE)));
}

#[test]
fn an_id_that_is_used_anew_ends_the_session_before() {
    let mut whitelist = Whitelist::new(rules());
    apply(&mut whitelist, &login(0, 10, Some("77")));
    apply(&mut whitelist, &login(100, 11, Some("77")));
    assert_eq!(whitelist.open_sessions(), 1);
    expire(&mut whitelist, at(100 + GRACE));
    assert_eq!(listed(&whitelist), ["192.0.2.11"]);
    apply(&mut whitelist, &logout(2000, "77"));
    // A moment after its end, too.
    apply(&mut whitelist, &login(2001, 12, Some("77")));
    assert_eq!(whitelist.open_sessions(), 1);
    expire(&mut whitelist, at(2001 + GRACE));
    assert_eq!(listed(&whitelist), ["192.0.2.12"]);
}

#[test]
fn applying_twice_changes_nothing() {
    let events = [
        login(0, 10, Some("a")),
        login(5, 11, None),
        logout(9, "a"),
        login(9, 10, None),
    ];
    let mut once = Whitelist::new(rules());
    let mut twice = Whitelist::new(rules());
    for event in &events {
        once.apply(event, at(20));
        twice.apply(event, at(20));
        twice.apply(event, at(20));
    }
    for event in &events {
        twice.apply(event, at(20));
    }
    assert!(once.clients().eq(twice.clients()));
    assert_eq!(once.open_sessions(), twice.open_sessions());
    assert_eq!(next_end(&once), next_end(&twice));
}

/// A commit was torn: the ends are kept, and the logins are read again.
#[test]
fn a_login_that_is_read_again_gains_nothing_from_another_end_of_its_id() {
    let first = [login(0, 1, Some("pid 5")), logout(1, "pid 5")];
    let of_nobody = logout(90, "pid 5");
    let of_another = [login(80, 2, Some("pid 5")), logout(90, "pid 5")];
    for later in [&[of_nobody][..], &of_another] {
        let mut whitelist = Whitelist::new(rules());
        for event in later.iter().chain(&first).chain(later) {
            whitelist.apply(event, at(90));
        }
        let listing = whitelist.get(client(1)).unwrap();
        assert!(whitelist.until(&listing) <= at(1 + GRACE), "{later:?}");
        assert_eq!(whitelist.open_sessions(), 0);
    }
}

#[test]
fn whom_the_rules_do_not_admit_is_never_listed() {
    let mut whitelist = Whitelist::new(rules());
    for (n, refusal) in [(201, Refusal::Permitted), (100, Refusal::Never)] {
        let outcome = apply(&mut whitelist, &login(0, n, Some("a")));
        assert_eq!(outcome, Outcome::Refused(client(n), refusal));
    }
    let kind = EventKind::Login {
        client: "127.0.0.1".parse().unwrap(),
        user: None,
        session: None,
    };
    let outcome = apply(&mut whitelist, &event(0, kind));
    assert!(matches!(
        outcome,
        Outcome::Refused(_, Refusal::NotARemoteHost)
    ));
    assert!(whitelist.is_empty());
    assert!(whitelist.take_delta(usize::MAX).is_empty());
}

#[test]
fn other_rules_remove_whom_they_do_not_admit() {
    let mut whitelist = Whitelist::new(rules());
    apply(&mut whitelist, &login(0, 10, Some("a")));
    apply(&mut whitelist, &login(0, 11, None));
    assert!(!whitelist.take_delta(usize::MAX).is_empty());
    let never = Networks::from(vec!["192.0.2.10/32".parse().unwrap()]);
    let grace = SignedDuration::from_secs(60);
    let refused = whitelist.set_rules(Rules {
        never,
        grace,
        ..rules()
    });
    assert_eq!(refused, [(client(10), Refusal::Never)]);
    assert_eq!(whitelist.open_sessions(), 0);
    assert_eq!(next_end(&whitelist), Some(at(60)));
    let delta = whitelist.take_delta(usize::MAX);
    assert!(delta.clients().eq([(client(10), None)]));
    let key = SessionKey {
        origin: HERE,
        server: "dovecot",
        id: "a",
    };
    assert!(delta.sessions().eq([(key, None)]));
}

#[test]
fn limits_refuse_new_clients_and_keep_the_old() {
    let limits = Limits {
        clients: 3,
        clients_per_user: 2,
        sessions: 1,
    };
    let mut whitelist = Whitelist::new(Rules { limits, ..rules() });
    apply(&mut whitelist, &login(0, 10, Some("a")));
    apply(&mut whitelist, &login(0, 11, Some("b")));
    assert_eq!(whitelist.open_sessions(), 1);
    let outcome = apply(&mut whitelist, &login(1, 12, None));
    assert_eq!(
        outcome,
        Outcome::Refused(client(12), Refusal::TooManyClientsOfUser)
    );
    assert_eq!(
        apply(&mut whitelist, &login(2, 11, None)),
        Outcome::Prolonged(client(11))
    );
    let of = |n: u8, user: &str| {
        let user = Some(user.to_owned());
        event(
            3,
            EventKind::Login {
                client: client(n),
                user,
                session: None,
            },
        )
    };
    assert_eq!(
        apply(&mut whitelist, &of(12, "bob")),
        Outcome::Added(client(12))
    );
    let outcome = apply(&mut whitelist, &of(13, "carol"));
    assert_eq!(
        outcome,
        Outcome::Refused(client(13), Refusal::TooManyClients)
    );
    // Another user takes over an address: the first has room again.
    apply(&mut whitelist, &of(11, "bob"));
    expire(&mut whitelist, at(3 + GRACE));
    assert_eq!(listed(&whitelist), ["192.0.2.10"]);
}

#[test]
fn a_client_may_relay_at_once_and_no_longer_than_its_time() {
    let mut whitelist = Whitelist::new(rules());
    let may = |whitelist: &Whitelist, client: &str, prefix, second| {
        whitelist
            .may_relay(client.parse().unwrap(), prefix, at(second))
            .is_some()
    };
    apply(&mut whitelist, &login(0, 10, None));
    apply(&mut whitelist, &login(0, 11, Some("a")));
    for (client, second, expected) in [
        ("192.0.2.10", GRACE - 1, true),
        ("192.0.2.10", GRACE, false),
        ("192.0.2.11", GRACE, true),
        ("192.0.2.12", 0, false),
        ("192.0.2.201", 0, false),
    ] {
        // Not even if the timer is late.
        assert_eq!(
            may(&whitelist, client, 128, second),
            expected,
            "{client} {second}"
        );
    }
    let login = |client: &str| {
        let client = client.parse().unwrap();
        event(
            0,
            EventKind::Login {
                client,
                user: None,
                session: None,
            },
        )
    };
    apply(&mut whitelist, &login("2001:db8:0:1::10"));
    let never = Networks::from(vec!["2001:db8:0:1::bad/128".parse().unwrap()]);
    whitelist.set_rules(Rules { never, ..rules() });
    for (client, prefix, expected) in [
        ("2001:db8:0:1::10", 128, true),
        ("2001:db8:0:1::11", 128, false),
        ("2001:db8:0:1::11", 64, true),
        ("2001:db8:0:1:ffff:ffff:ffff:ffff", 64, true),
        ("2001:db8:0:1::bad", 64, false),
        ("2001:db8:0:2::10", 64, false),
        ("2001:db8::10", 64, false),
        ("192.0.2.12", 64, false),
    ] {
        assert_eq!(
            may(&whitelist, client, prefix, 0),
            expected,
            "{client}/{prefix}"
        );
    }
}

#[test]
fn the_future_gains_nothing() {
    let mut whitelist = Whitelist::new(rules());
    let ahead = login(3600, 10, None);
    assert_eq!(
        whitelist.apply(&ahead, at(0)),
        Outcome::Refused(client(10), Refusal::Future)
    );
    let a_little = login(30, 10, None);
    assert_eq!(
        whitelist.apply(&a_little, at(0)),
        Outcome::Added(client(10))
    );
    assert_eq!(next_end(&whitelist), Some(at(GRACE)));
}

#[test]
fn what_is_stale_is_not_listed() {
    let mut whitelist = Whitelist::new(rules());
    let outcome = whitelist.apply(&login(0, 10, None), at(GRACE));
    assert_eq!(outcome, Outcome::Refused(client(10), Refusal::Stale));
    assert_eq!(
        whitelist.apply(&login(1, 10, None), at(GRACE)),
        Outcome::Added(client(10))
    );
    // A session that may still be open is not stale.
    assert_eq!(
        whitelist.apply(&login(0, 11, Some("a")), at(GRACE)),
        Outcome::Added(client(11))
    );
}

#[test]
fn a_clock_set_back_lends_nobody_time() {
    let mut whitelist = Whitelist::new(rules());
    apply(&mut whitelist, &login(7200, 10, None));
    apply(&mut whitelist, &login(7200, 11, Some("a")));
    whitelist.clock_set(at(0));
    assert_eq!(next_end(&whitelist), Some(at(GRACE)));
    expire(&mut whitelist, at(GRACE));
    assert_eq!(listed(&whitelist), ["192.0.2.11"]);
    expire(&mut whitelist, at(MAX_SESSION));
    expire(&mut whitelist, at(MAX_SESSION + GRACE));
    assert!(whitelist.is_empty());
}

#[test]
fn a_session_that_is_read_only_when_it_would_be_over_lists_nobody() {
    let mut whitelist = Whitelist::new(rules());
    let now = at(MAX_SESSION + 10);
    let outcome = whitelist.apply(&login(0, 10, Some("a")), now);
    assert_eq!(outcome, Outcome::Refused(client(10), Refusal::Stale));
    whitelist.apply(&logout(5, "a"), now);
    assert!(whitelist.is_empty());
}
