//! Two sources that are read in any order of their entries, and twice: who is listed in the end depends on
//! what happened, and not on how it was read.

use super::*;
use crate::origin::{Host, Id};

use proptest::prelude::*;

/// What happens at a source, some seconds after what came before.
#[derive(Debug, Clone)]
enum Act {
    Login(u8, bool),
    Logout(prop::sample::Index),
    LostLogout,
    Start,
    Boot,
}

fn act() -> impl Strategy<Value = (i64, Act)> {
    let act = prop_oneof![
        5 => (1..5u8, any::<bool>()).prop_map(|(n, session)| Act::Login(n, session)),
        3 => any::<prop::sample::Index>().prop_map(Act::Logout),
        1 => Just(Act::LostLogout),
        1 => Just(Act::Start),
        1 => Just(Act::Boot),
    ];
    (prop_oneof![1..100i64, Just(GRACE), Just(MAX_SESSION)], act)
}

/// The events of a source, whose times are even or odd seconds, so that no two are of one time.
fn events(number: u8, acts: &[(i64, Act)]) -> Vec<Event> {
    let mut origin = Origin {
        host: Host {
            source: Id::of_name(&format!("store{number}")),
            machine: Id::of_name(&format!("machine{number}")),
            container: Id::NONE,
        },
        boot: Id::of_name("boot"),
    };
    let mut now = i64::from(number);
    let mut opened: Vec<String> = Vec::new();
    let mut events = Vec::new();
    for (seconds, act) in acts {
        now += 2 * seconds;
        let event = match act {
            Act::Login(n, session) => {
                // The same ids at both sources.
                let session = session.then(|| format!("s{}", events.len()));
                opened.extend(session.clone());
                login_of(now, *n, &format!("user{number}"), session.as_deref())
            }
            Act::Logout(which) if !opened.is_empty() => {
                let session = which.get(&opened);
                logout(now, session)
            }
            Act::Logout(_) => continue,
            Act::LostLogout => event(now, EventKind::LostLogout),
            Act::Start => event(now, EventKind::Start),
            Act::Boot => {
                origin.boot = Id::of_name(&format!("boot at {now}"));
                continue;
            }
        };
        events.push(Event { origin, ..event });
    }
    events
}

/// One order of reading two sources.
fn interleave(of: [&[Event]; 2], choices: &[bool]) -> Vec<Event> {
    let mut rest = of.map(|events| events.iter());
    let mut read = Vec::new();
    for choice in choices {
        read.extend(rest[usize::from(*choice)].next());
    }
    rest.into_iter().for_each(|rest| read.extend(rest));
    read.into_iter().cloned().collect()
}

/// Who is listed at `now` after reading all of this: since when grace counts, unless a session is open.
fn read(events: &[Event], now: i64) -> Vec<(Client, Option<Timestamp>)> {
    let mut whitelist = Whitelist::new(rules());
    for event in events {
        whitelist.apply(event, at(now));
    }
    expire(&mut whitelist, at(now));
    let grace_since = |listing: &Listing<'_>| (listing.open == 0).then_some(listing.last);
    whitelist
        .clients()
        .map(|(client, listing)| (client, grace_since(&listing)))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn two_sources_come_to_the_same_in_any_order(
        acts in prop::array::uniform2(prop::collection::vec(act(), 0..20)),
        choices in prop::collection::vec(any::<bool>(), 40),
        later in prop_oneof![Just(0), 0..2 * GRACE, Just(MAX_SESSION)],
    ) {
        let [first, second] = [events(0, &acts[0]), events(1, &acts[1])];
        let ends = [&first, &second].map(|events| events.last().map(|event| event.time));
        let end = ends.into_iter().flatten().max().unwrap_or(at(0));
        let now = end.duration_since(at(0)).as_secs() + later;
        let in_a_row = [&*first, &*second].concat();
        let mixed = interleave([&first, &second], &choices);
        prop_assert_eq!(read(&mixed, now), read(&in_a_row, now));
    }

    /// Without ends whose sessions are lost: which sessions they may have ended is judged by what is open
    /// when they are read.
    #[test]
    fn what_is_read_twice_changes_nothing(
        acts in prop::collection::vec(act(), 1..30),
        stretch in any::<[prop::sample::Index; 2]>(),
        later in prop_oneof![Just(0), 0..2 * GRACE, Just(MAX_SESSION)],
    ) {
        let mut once = events(0, &acts);
        once.retain(|event| event.kind != EventKind::LostLogout);
        let end = once.last().map_or(at(0), |event| event.time);
        let [a, b] = stretch.map(|index| index.index(once.len() + 1));
        let (from, to) = (a.min(b), a.max(b));
        let twice = [&once[..to], &once[from..]].concat();
        let now = end.duration_since(at(0)).as_secs() + later;
        prop_assert_eq!(read(&twice, now), read(&once, now));
    }
}
