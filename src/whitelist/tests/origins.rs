//! What happens on one host, or in one boot of it, leaves the sessions of others alone.

use super::*;
use crate::origin::{Host, Id};

fn origin(machine: u8, boot: u8) -> Origin {
    let id = |n: u8| Id::parse(format!("{n:032x}").as_bytes());
    Origin {
        host: Host {
            source: Id::DEFAULT_SOURCE,
            machine: id(machine),
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
fn the_sessions_of_a_source_that_is_no_longer_read_are_over() {
    let store = Id::of_name("store");
    let mut whitelist = Whitelist::new(rules());
    let here = origin(1, 1);
    apply(&mut whitelist, &from(here, login(0, 10, Some("a"))));
    let there = here.read_from(store);
    apply(&mut whitelist, &from(there, login(0, 11, Some("a"))));
    let sources = [Id::DEFAULT_SOURCE, store];
    assert_eq!(whitelist.end_sessions_of_other_sources(&sources, at(9)), 0);
    assert_eq!(
        whitelist.end_sessions_of_other_sources(&sources[..1], at(9)),
        1
    );
    assert_eq!(whitelist.get(client(10)).unwrap().open, 1);
    assert_eq!(whitelist.get(client(11)).unwrap().open, 0);
}
