//! The sessions by themselves: that none is taken for another, and that nothing piles up.

use std::collections::BTreeMap;

use super::*;
use crate::origin::{Id, Origin};
use jiff::Timestamp;
use proptest::prelude::*;

const MAX: i64 = 86_400;
const HERE: Origin = Origin::OF_LINES;

fn at(second: i64) -> Moment {
    Timestamp::from_second(second).unwrap().into()
}

fn key(id: &str) -> SessionKey<'_> {
    SessionKey {
        origin: HERE,
        server: "dovecot",
        id,
    }
}

fn client() -> Client {
    "192.0.2.10".parse().unwrap()
}

fn begin(sessions: &mut Sessions, key: SessionKey<'_>, since: Moment) {
    let begin = Begin {
        client: client(),
        since,
        protocol: None,
        longest: None,
        is_doubtful: false,
    };
    sessions.begin(key, begin);
}

/// When the next session ran out, and when it had begun.
fn expire(sessions: &mut Sessions) -> Option<(Moment, Moment)> {
    sessions
        .expire_next()
        .map(|(time, ended)| (time, ended.since))
}

fn empty() -> Sessions {
    let mut sessions = Sessions::default();
    sessions.schedule_all(SignedDuration::from_secs(MAX));
    sessions
}

fn end(sessions: &mut Sessions, id: &str, time: Moment) {
    let known = sessions.get(key(id), time).unwrap();
    assert_eq!(sessions.end(known.slot, time).unwrap().client, client());
}

#[test]
fn a_session_takes_little_room() {
    assert_eq!(size_of::<(usize, Record)>(), 80);
}

#[test]
fn one_that_takes_over_a_place_does_not_end_with_the_one_before() {
    let mut sessions = empty();
    begin(&mut sessions, key("kept open"), at(1));
    begin(&mut sessions, key("a"), at(0));
    let slot = sessions.get(key("a"), at(0)).unwrap().slot;
    end(&mut sessions, "a", at(10));
    sessions.forget_ends(at(70), 1);
    begin(&mut sessions, key("b"), at(100));
    assert_eq!(sessions.get(key("b"), at(100)).unwrap().slot, slot);
    // The deadline of the one before comes, and is nobody's.
    assert_eq!(sessions.next_deadline(), Some(at(MAX)));
    assert_eq!(expire(&mut sessions), None);
    assert_eq!(expire(&mut sessions), Some((at(MAX + 1), at(1))));
    assert_eq!(expire(&mut sessions), Some((at(MAX + 100), at(100))));
    assert_eq!(sessions.open(), 0);
    assert_eq!(sessions.next_deadline(), None);
}

#[test]
fn an_end_is_forgotten_in_time_even_if_it_still_lies_there() {
    let mut sessions = empty();
    sessions.remember_end(key("a"), at(0), at(0));
    sessions.remember_end(key("b"), at(0), at(0));
    sessions.forget_ends(at(60), 1);
    assert_eq!(sessions.len(), 1);
    assert!(sessions.get(key("b"), at(59)).is_some());
    assert!(sessions.get(key("b"), at(60)).is_none());
    // It begins anew, and what is left of its end does not take it away.
    begin(&mut sessions, key("b"), at(60));
    sessions.forget_ends(at(1000), 9);
    assert!(sessions.get(key("b"), at(1000)).is_some());
}

#[test]
fn those_of_one_server_are_told_from_the_others() {
    let mut sessions = empty();
    let elsewhere = Origin {
        host: HERE.host,
        boot: Id::parse(b"15f594f33c494af59fa3cdf33c2aa578"),
    };
    let of = |origin, server| SessionKey {
        origin,
        server,
        id: "a",
    };
    begin(&mut sessions, of(HERE, "dovecot"), at(0));
    begin(&mut sessions, of(HERE, "courier"), at(5));
    begin(&mut sessions, of(elsewhere, "courier"), at(3));
    begin(&mut sessions, of(Origin::UNKNOWN, "dovecot"), at(0));
    let number = |sessions: &Sessions, which| sessions.opened_by(at(4), which).len();
    let of_server = |server| Which::OfServer(HERE.host, server);
    assert_eq!(number(&sessions, of_server("dovecot")), 1);
    assert_eq!(number(&sessions, of_server("courier")), 1);
    assert_eq!(number(&sessions, of_server("cyrus")), 0);
    assert_eq!(number(&sessions, Which::OfMachine(HERE.host)), 2);
    assert_eq!(number(&sessions, Which::OfFormerBoots(HERE)), 1);
    assert_eq!(number(&sessions, Which::OfFormerBoots(elsewhere)), 1);
    assert_eq!(
        number(&sessions, Which::OfProtocol(HERE, "dovecot", None)),
        1
    );
    assert_eq!(number(&sessions, Which::All), 3);
    assert_eq!(sessions.opened_by(at(5), Which::All).len(), 4);
    let slot = sessions.opened_by(at(4), of_server("dovecot"))[0];
    sessions.end(slot, at(9));
    assert_eq!(sessions.open_of, [0, 1, 1, 1]);
    assert_eq!(sessions.opened_by(at(9), of_server("dovecot")), []);
}

#[test]
fn deadlines_of_sessions_that_are_over_do_not_pile_up() {
    let mut sessions = empty();
    begin(&mut sessions, key("kept open"), at(0));
    for n in 0..5000 {
        let id = n.to_string();
        begin(&mut sessions, key(&id), at(n));
        end(&mut sessions, &id, at(n + 1));
        sessions.forget_ends(at(n + 61), 9);
    }
    assert!(sessions.deadlines.len() <= 2 * (STALE + 1));
    assert_eq!(sessions.next_deadline(), Some(at(MAX)));
    assert!(sessions.len() < 100);
}

#[test]
fn the_store_hears_of_the_end_of_what_it_knows_only() {
    let mut sessions = empty();
    let told = |sessions: &mut Sessions| -> Vec<(String, bool)> {
        sessions.begin_telling();
        let changed = sessions.tell(usize::MAX);
        assert_eq!(sessions.to_tell(), 0);
        let told = sessions.changes(&changed);
        told.map(|(key, session)| (key.id.to_owned(), session.is_some()))
            .collect()
    };
    let known = |id: &str, is_there| (id.to_owned(), is_there);
    begin(&mut sessions, key("a"), at(0));
    begin(&mut sessions, key("b"), at(0));
    assert_eq!(told(&mut sessions), [known("a", true), known("b", true)]);
    for id in ["c", "b", "a"] {
        if id == "c" {
            begin(&mut sessions, key("c"), at(1));
        }
        end(&mut sessions, id, at(2));
    }
    sessions.forget_ends(at(100), 9);
    // It takes a slot that was changed before, and is gone there.
    begin(&mut sessions, key("d"), at(100));
    begin(&mut sessions, key("b"), at(100));
    assert_eq!(
        told(&mut sessions),
        [known("a", false), known("b", true), known("d", true)]
    );
    assert_eq!(told(&mut sessions), []);
}

#[test]
fn one_that_begins_anew_and_is_taken_away_before_that_is_told_does_not_stay_in_the_store() {
    let mut sessions = empty();
    begin(&mut sessions, key("a"), at(0));
    begin(&mut sessions, key("b"), at(0));
    sessions.begin_telling();
    assert_eq!(sessions.tell(2).present.len(), 2);
    end(&mut sessions, "a", at(1));
    end(&mut sessions, "b", at(1));
    sessions.forget_ends(at(61), 9);
    begin(&mut sessions, key("a"), at(61));
    sessions.begin_telling();
    // It is here again, and told of as it is now.
    let changed = sessions.tell(1);
    assert!(changed.gone.is_empty() && changed.present.len() == 1);
    sessions.remove_of(|of| of == client());
    let mut gone = Vec::new();
    while sessions.to_tell() > 0 {
        gone.extend(sessions.tell(1).gone);
    }
    sessions.begin_telling();
    gone.extend(sessions.tell(9).gone);
    let gone: Vec<&str> = gone.iter().map(|(_, id)| &**id).collect();
    assert_eq!(gone, ["a", "b"]);
}

/// Few ids, so that they are used again and again.
const IDS: [&str; 5] = [
    "1",
    "2",
    "a long one, with a part",
    "a long one, with another",
    "",
];

#[derive(Debug, Clone)]
enum Step {
    Begin(usize),
    End(usize),
    Wait(i64),
    Forget(usize),
    Tell(usize),
    Remove,
    SetBack(i64),
    Expire,
}

fn step() -> impl Strategy<Value = Step> {
    let id = 0..IDS.len();
    prop_oneof![
        4 => id.clone().prop_map(Step::Begin),
        4 => id.prop_map(Step::End),
        3 => prop_oneof![0..70i64, Just(MAX)].prop_map(Step::Wait),
        2 => (0..4usize).prop_map(Step::Forget),
        3 => (0..4usize).prop_map(Step::Tell),
        1 => Just(Step::Remove),
        1 => (0..100i64).prop_map(Step::SetBack),
        2 => Just(Step::Expire),
    ]
}

/// What the store comes to hold.
type Stored = BTreeMap<String, Session>;

/// Tells the store of some of what has changed. Says whether that was the last.
fn tell(sessions: &mut Sessions, stored: &mut Stored, at_most: usize) -> bool {
    if sessions.to_tell() == 0 {
        sessions.begin_telling();
    }
    let changed = sessions.tell(at_most);
    for (key, session) in sessions.changes(&changed) {
        match session {
            Some(session) => stored.insert(key.id.to_owned(), session),
            None => stored.remove(key.id),
        };
    }
    sessions.to_tell() == 0
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn none_is_taken_for_another(steps in prop::collection::vec(step(), 1..80)) {
        let mut sessions = empty();
        let mut stored = Stored::new();
        // Since when, and until when.
        let mut model: BTreeMap<usize, (i64, Option<i64>)> = BTreeMap::new();
        let mut now = 0;
        for step in steps {
            match step {
                Step::Begin(n) => {
                    if let Some(known) = sessions.get(key(IDS[n]), at(now)) {
                        sessions.end(known.slot, at(now));
                    }
                    begin(&mut sessions, key(IDS[n]), at(now));
                    model.insert(n, (now, None));
                }
                Step::End(n) => match (sessions.get(key(IDS[n]), at(now)), model.get_mut(&n)) {
                    (Some(known), Some((_, ended))) => {
                        sessions.end(known.slot, at(now));
                        *ended = ended.or(Some(now));
                    }
                    _ => {
                        sessions.remember_end(key(IDS[n]), at(now), at(now));
                        model.insert(n, (now, Some(now)));
                    }
                },
                Step::Wait(seconds) => now += seconds,
                Step::Forget(number) => sessions.forget_ends(at(now), number),
                Step::Tell(number) => {
                    tell(&mut sessions, &mut stored, number);
                }
                Step::Remove => {
                    sessions.remove_of(|of| of == client());
                    model.retain(|_, (_, ended)| ended.is_some());
                }
                // An end that waits to be forgotten would be remembered anew.
                Step::SetBack(_) if sessions.len() > model.len() => {}
                Step::SetBack(seconds) => {
                    now -= seconds;
                    sessions.clock_set(at(now));
                    sessions.schedule_all(SignedDuration::from_secs(MAX));
                    for (since, ended) in model.values_mut() {
                        (*since, *ended) = ((*since).min(now), ended.map(|ended| ended.min(now)));
                    }
                }
                Step::Expire => {
                    while sessions.next_deadline().is_some_and(|next| next <= at(now)) {
                        sessions.expire_next();
                    }
                    for (since, ended) in model.values_mut() {
                        *ended = ended.or((*since + MAX <= now).then_some(*since + MAX));
                    }
                }
            }
            model.retain(|_, (_, ended)| ended.is_none_or(|ended| ended + 60 > now));
            for (n, id) in IDS.iter().enumerate() {
                let known = sessions.get(key(id), at(now)).map(|s| (s.since, s.ended));
                let expected = model.get(&n).map(|(s, e)| (at(*s), e.map(at)));
                prop_assert_eq!(known, expected, "{}", id);
            }
            let open = model.values().filter(|(_, ended)| ended.is_none());
            prop_assert_eq!(sessions.open(), open.clone().count());
            prop_assert_eq!(sessions.opened_by(at(now), Which::All).len(), sessions.open());
            let next = open.map(|(since, _)| at(since + MAX)).min();
            let told = sessions.next_deadline();
            prop_assert!(told <= next && told.is_some() == next.is_some());
        }
        // What is under way, and then what has changed meanwhile.
        sessions.forget_ends(at(now), usize::MAX);
        while !tell(&mut sessions, &mut stored, 1) {}
        tell(&mut sessions, &mut stored, usize::MAX);
        let there = sessions.iter().map(|(key, session)| (key.id.to_owned(), session));
        prop_assert_eq!(there.collect::<Stored>(), stored);
    }
}
