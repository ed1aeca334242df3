//! What happens on one host, or in one boot of it, leaves the sessions of others alone.

use super::*;
use crate::origin::{Host, Id};

fn origin(machine: u8, boot: u8) -> Origin {
    let id = |n: u8| Id::parse(format!("{n:032x}").as_bytes());
    Origin {
        host: Host {
            source: Id::DEFAULT_SOURCE,
            machine: id(machine),
            container: Id::NONE,
        },
        boot: id(boot),
    }
}

fn from(origin: Origin, event: Event) -> Event {
    Event { origin, ..event }
}

#[test]
fn an_id_of_a_session_is_one_hosts() {
    let mut whitelist = Whitelist::new(rules());
    let (here, there) = (origin(1, 1), origin(2, 1));
    apply(&mut whitelist, &from(here, login(0, 10, Some("7"))));
    apply(&mut whitelist, &from(there, login(0, 11, Some("7"))));
    assert_eq!(whitelist.open_sessions(), 2);
    let ended = apply(&mut whitelist, &from(there, logout(50, "7")));
    assert_eq!(ended, Outcome::Ended(client(11)));
    assert_eq!(whitelist.get(client(10)).unwrap().open, 1);
}

#[test]
fn a_start_ends_the_sessions_of_its_own_host_only() {
    let mut whitelist = Whitelist::new(rules());
    for (machine, n) in [(1, 10), (2, 11)] {
        let login = login(0, n, Some("a"));
        apply(&mut whitelist, &from(origin(machine, 1), login));
    }
    let start = from(origin(1, 1), event(50, EventKind::Start));
    assert_eq!(apply(&mut whitelist, &start), Outcome::Restarted(1));
    assert_eq!(whitelist.get(client(11)).unwrap().open, 1);
}

#[test]
fn a_boot_ends_the_sessions_of_its_own_host_only() {
    let mut whitelist = Whitelist::new(rules());
    for (machine, n) in [(1, 10), (2, 11)] {
        let login = login(0, n, Some("a"));
        apply(&mut whitelist, &from(origin(machine, 1), login));
    }
    assert_eq!(whitelist.end_sessions_before(at(60), origin(3, 1).host), 0);
    assert_eq!(whitelist.end_sessions_before(at(60), origin(2, 1).host), 1);
    // The first that is heard of another boot says the same.
    apply(
        &mut whitelist,
        &from(origin(1, 2), login(70, 12, Some("b"))),
    );
    assert_eq!(whitelist.get(client(10)).unwrap().open, 0);
    assert_eq!(whitelist.get(client(12)).unwrap().open, 1);
}

#[test]
fn no_source_ends_what_another_tells_of_the_same_machine() {
    let store = Id::of_name("store");
    let here = origin(1, 1);
    let there = here.read_from(store);
    let lost = || event(50, EventKind::LostLogout);
    let start = || event(60, EventKind::Start);
    let mut whitelist = Whitelist::new(rules());
    apply(&mut whitelist, &from(here, login(0, 10, Some("a"))));
    for end in [logout(50, "a"), lost(), start()] {
        let outcome = apply(&mut whitelist, &from(there, end));
        assert_eq!(outcome, Outcome::Nothing);
    }
    let next_boot = origin(1, 2).read_from(store);
    apply(&mut whitelist, &from(next_boot, login(70, 11, Some("b"))));
    assert_eq!(whitelist.end_sessions_before(at(80), there.host), 1);
    assert_eq!(whitelist.get(client(10)).unwrap().open, 1);
}

#[test]
fn what_a_source_told_of_that_is_no_longer_read_is_over_and_counts_from_its_login() {
    let mut whitelist = Whitelist::new(rules());
    let (a, b) = (Id::of_name("a"), Id::of_name("b"));
    for (source, n) in [(a, 10), (b, 11)] {
        let origin = origin(1, 1).read_from(source);
        apply(&mut whitelist, &from(origin, login(0, n, Some("x"))));
    }
    let sources = [Id::DEFAULT_SOURCE, b];
    assert_eq!(whitelist.forget_other_sources(&sources, at(GRACE - 1)), 1);
    assert_eq!(whitelist.ends().servers().len(), 1);
    let expired = expire(&mut whitelist, at(GRACE));
    assert_eq!(expired.len(), 1);
    assert_eq!(expired[0].0, client(10));
    assert_eq!(whitelist.get(client(11)).unwrap().open, 1);
    assert_eq!(whitelist.forget_other_sources(&sources, at(GRACE)), 0);
}

/// As where a source's journal has moved: it is read from a grace ago on.
#[test]
fn what_is_told_once_more_after_its_session_was_dropped_counts_as_if_it_were_new() {
    let a = origin(1, 1).read_from(Id::of_name("a"));
    let reload = at(1000);
    let mut whitelist = Whitelist::new(rules());
    for n in [10, 11] {
        let login = login(0, n, Some(&n.to_string()));
        apply(&mut whitelist, &from(a, login));
    }
    whitelist.forget_other_sources(&[], reload);
    for told in [
        login(0, 10, Some("10")),
        login(0, 11, Some("11")),
        logout(60, "10"),
    ] {
        whitelist.apply(&from(a, told), reload);
    }
    assert_eq!(whitelist.get(client(11)).unwrap().open, 1);
    let expired = expire(&mut whitelist, at(60 + GRACE));
    assert_eq!(expired.len(), 1);
    assert_eq!(expired[0].0, client(10));
}

#[test]
fn what_a_server_told_of_that_is_no_longer_heard_is_over_and_counts_from_its_login() {
    let mut whitelist = Whitelist::new(rules());
    let by = |server: &str, n| {
        let event = from(origin(1, 1), login(0, n, Some("x")));
        Event {
            server: server.into(),
            ..event
        }
    };
    apply(&mut whitelist, &by("dovecot", 10));
    apply(&mut whitelist, &by("courier", 11));
    let servers = ["courier", "cyrus"];
    assert_eq!(whitelist.forget_other_servers(&servers, at(GRACE - 1)), 1);
    assert_eq!(whitelist.ends().servers().len(), 1);
    let expired = expire(&mut whitelist, at(GRACE));
    assert_eq!(expired.len(), 1);
    assert_eq!(expired[0].0, client(10));
    assert_eq!(whitelist.get(client(11)).unwrap().open, 1);
    assert_eq!(whitelist.forget_other_servers(&servers, at(GRACE)), 0);
}

/// Its containers have started anew as well, although none has said anything yet.
#[test]
fn a_host_that_has_started_ends_the_sessions_of_its_containers() {
    let mut whitelist = Whitelist::new(rules());
    let container = |machine, boot| origin(machine, boot).in_container(b"mail", b"7");
    for (number, origin) in [container(1, 1), container(2, 1), origin(1, 1)]
        .into_iter()
        .enumerate()
    {
        let session = number.to_string();
        apply(&mut whitelist, &from(origin, login(0, 10, Some(&session))));
    }
    assert_eq!(whitelist.open_sessions(), 3);
    assert_eq!(whitelist.end_sessions_before(at(60), origin(1, 2).host), 2);
    assert_eq!(whitelist.open_sessions(), 1);
}

/// A container that is restarted every few minutes for years, beside one that is not.
#[test]
fn runs_without_open_sessions_take_no_room() {
    let mut whitelist = Whitelist::new(rules());
    let of = |name: &str, run: u32| origin(1, 1).in_container(name.as_bytes(), &run.to_be_bytes());
    apply(
        &mut whitelist,
        &from(of("quiet", 0), login(0, 10, Some("q"))),
    );
    for run in 0..3000 {
        let now = i64::from(run) * 100;
        let login = login(now, 11, Some("a"));
        whitelist.apply(&from(of("mail", run), login), at(now));
        assert_eq!(whitelist.open_sessions(), 2, "{run}");
        whitelist.take_delta(usize::MAX);
    }
}

#[test]
fn a_source_that_names_ever_new_hosts_and_boots_takes_no_more_memory_and_nothing_from_others() {
    let (mut whitelist, lying) = (Whitelist::new(rules()), Id::of_name("lying"));
    let id = |n: u32| Id::parse(format!("{n:032x}").as_bytes());
    for n in 1..5000 {
        let host = Host {
            source: lying,
            machine: id(n % 2000 + 1),
            container: Id::NONE,
        };
        let origin = Origin { host, boot: id(n) };
        apply(&mut whitelist, &from(origin, login(0, 10, Some("a"))));
        apply(&mut whitelist, &from(origin, logout(0, &n.to_string())));
    }
    assert!(whitelist.boots.len() <= HOSTS);
    assert!(whitelist.ends().servers().len() <= 1000);
    assert!(
        whitelist.sessions.len() <= 3000,
        "{}",
        whitelist.sessions.len()
    );
    // Its logins count for their grace; of others, sessions are followed.
    assert!(whitelist.get(client(10)).is_some());
    apply(&mut whitelist, &from(origin(1, 1), login(0, 11, Some("a"))));
    assert_eq!(whitelist.get(client(11)).unwrap().open, 1);
}

mod any_order {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    /// When a source's next event is written, and what it is: of some clients and some sessions.
    type Next = (i64, u8, u8, u8);

    fn events(source: &str, all: &[Next]) -> Vec<Event> {
        let mut second = 0;
        let events = all.iter().map(|&(after, kind, n, session)| {
            second += after;
            let (n, session) = (n % 4, format!("s{}", session % 4));
            let event = match kind % 8 {
                0..=2 => login(second, n, Some(&session)),
                3 => login(second, n, None),
                4..=5 => logout(second, &session),
                6 => event(second, EventKind::Start),
                // Its machine has been booted.
                _ => {
                    let boot = origin(1, session.len() as u8 + n).read_from(Id::of_name(source));
                    return from(boot, login(second, n, Some(&session)));
                }
            };
            from(origin(1, 1).read_from(Id::of_name(source)), event)
        });
        events.collect()
    }

    /// Who may relay at `now`: for how many open sessions, and from when grace counts.
    fn list(events: &[&Event], now: Timestamp) -> BTreeMap<Client, (u32, Timestamp)> {
        let mut whitelist = Whitelist::new(rules());
        for event in events {
            whitelist.apply(event, now);
        }
        expire(&mut whitelist, now);
        let clients = whitelist.clients();
        clients
            .map(|(client, listing)| {
                // Grace that has passed says nothing of whoever has a session.
                let counts = listing.last + SignedDuration::from_secs(GRACE) > now;
                let last = if counts { listing.last } else { at(0) };
                (client, (listing.open, last))
            })
            .collect()
    }

    proptest! {
        #[test]
        fn events_of_two_sources_come_to_the_same_list(
            here in prop::collection::vec((0..900_i64, any::<u8>(), any::<u8>(), any::<u8>()), 0..24),
            there in prop::collection::vec((0..900_i64, any::<u8>(), any::<u8>(), any::<u8>()), 0..24),
            turns in prop::collection::vec(any::<bool>(), 48),
            after in 0..4000_i64,
        ) {
            let (here, there) = (events("here", &here), events("there", &there));
            let last = here.last().into_iter().chain(there.last()).map(|event| event.time).max();
            let now = last.unwrap_or(at(0)) + SignedDuration::from_secs(after);
            let one_by_one: Vec<&Event> = here.iter().chain(&there).collect();
            let (mut h, mut t) = (here.iter(), there.iter());
            let mut mixed: Vec<&Event> =
                turns.iter().filter_map(|turn| if *turn { h.next() } else { t.next() }).collect();
            mixed.extend(h.chain(t));
            let mut in_time = one_by_one.clone();
            in_time.sort_by_key(|event| event.time);
            let expected = list(&one_by_one, now);
            prop_assert_eq!(&list(&mixed, now), &expected);
            prop_assert_eq!(&list(&in_time, now), &expected);
        }
    }
}

/// Two stores that are caught up with one after the other: what the first tells is of later.
#[test]
fn an_end_that_was_lost_long_before_a_login_is_not_its_sessions_though_another_source_was_read_before()
 {
    let (first, second) = (origin(1, 1), origin(2, 1));
    let lost = |origin, second| from(origin, event(second, EventKind::LostLogout));
    let mut whitelist = Whitelist::new(rules());
    apply(&mut whitelist, &lost(first, 5000));
    apply(&mut whitelist, &lost(second, 100));
    apply(&mut whitelist, &from(second, login(5001, 10, Some("a"))));
    assert_eq!(whitelist.get(client(10)).unwrap().open, 1);
}

#[test]
fn a_session_that_may_have_ended_before_a_boot_does_not_count_until_then_when_it_is_read_again() {
    let mut whitelist = Whitelist::new(rules());
    let opened = from(origin(1, 1), login(2, 10, Some("a")));
    apply(
        &mut whitelist,
        &from(origin(1, 1), event(1, EventKind::LostLogout)),
    );
    apply(&mut whitelist, &opened);
    apply(&mut whitelist, &from(origin(1, 2), login(60, 11, None)));
    assert_eq!(whitelist.get(client(10)).unwrap().last, at(2));
    whitelist.apply(&opened, at(61));
    assert_eq!(whitelist.get(client(10)).unwrap().last, at(2));
}
