//! The sessions by themselves: that none is taken for another, and that nothing piles up.

use super::*;
use jiff::Timestamp;

const MAX: i64 = 86_400;

fn at(second: i64) -> Moment {
    Timestamp::from_second(second).unwrap().into()
}

fn key(id: &str) -> SessionKey<'_> {
    SessionKey {
        server: "dovecot",
        id,
    }
}

fn client() -> Client {
    "192.0.2.10".parse().unwrap()
}

fn empty() -> Sessions {
    let mut sessions = Sessions::default();
    sessions.schedule_all(SignedDuration::from_secs(MAX));
    sessions
}

fn end(sessions: &mut Sessions, id: &str, time: Moment) {
    let known = sessions.get(key(id), time).unwrap();
    assert_eq!(sessions.end(known.place, time), Some(client()));
}

#[test]
fn a_session_takes_little_room() {
    assert_eq!(size_of::<(usize, Record)>(), 72);
}

#[test]
fn one_that_takes_over_a_place_does_not_end_with_the_one_before() {
    let mut sessions = empty();
    sessions.begin(key("kept open"), client(), at(1));
    sessions.begin(key("a"), client(), at(0));
    let place = sessions.get(key("a"), at(0)).unwrap().place;
    end(&mut sessions, "a", at(10));
    sessions.forget_ends(at(70), 1);
    sessions.begin(key("b"), client(), at(100));
    assert_eq!(sessions.get(key("b"), at(100)).unwrap().place, place);
    // The deadline of the one before comes, and is nobody's.
    assert_eq!(sessions.next_deadline(), Some(at(MAX)));
    assert_eq!(sessions.expire_next(), None);
    assert_eq!(sessions.expire_next(), Some((at(MAX + 1), client())));
    assert_eq!(sessions.expire_next(), Some((at(MAX + 100), client())));
    assert_eq!(sessions.open(), 0);
    assert_eq!(sessions.next_deadline(), None);
}

#[test]
fn an_end_is_forgotten_in_time_even_if_it_still_lies_there() {
    let mut sessions = empty();
    sessions.remember_end(key("a"), at(0));
    sessions.remember_end(key("b"), at(0));
    sessions.forget_ends(at(60), 1);
    assert_eq!(sessions.len(), 1);
    assert!(sessions.get(key("b"), at(59)).is_some());
    assert!(sessions.get(key("b"), at(60)).is_none());
    // It begins anew, and what is left of its end does not take it away.
    sessions.begin(key("b"), client(), at(60));
    sessions.forget_ends(at(1000), 9);
    assert!(sessions.get(key("b"), at(1000)).is_some());
}

#[test]
fn those_of_one_server_are_told_from_the_others() {
    let mut sessions = empty();
    let of = |server| SessionKey { server, id: "a" };
    sessions.begin(of("dovecot"), client(), at(0));
    sessions.begin(of("courier"), client(), at(5));
    let number = |sessions: &Sessions, server| sessions.opened_by(at(4), server).len();
    assert_eq!(number(&sessions, Some("dovecot")), 1);
    assert_eq!(number(&sessions, Some("courier")), 0);
    assert_eq!(number(&sessions, Some("cyrus")), 0);
    assert_eq!(number(&sessions, None), 1);
    assert_eq!(sessions.opened_by(at(5), None).len(), 2);
    let place = sessions.opened_by(at(4), Some("dovecot"))[0];
    sessions.end(place, at(9));
    assert_eq!(sessions.open_of, [0, 1]);
    assert_eq!(sessions.opened_by(at(9), Some("dovecot")), []);
}

#[test]
fn deadlines_of_sessions_that_are_over_do_not_pile_up() {
    let mut sessions = empty();
    sessions.begin(key("kept open"), client(), at(0));
    for n in 0..5000 {
        let id = n.to_string();
        sessions.begin(key(&id), client(), at(n));
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
    sessions.begin(key("a"), client(), at(0));
    sessions.begin(key("b"), client(), at(0));
    assert_eq!(told(&mut sessions), [known("a", true), known("b", true)]);
    for id in ["c", "b", "a"] {
        if id == "c" {
            sessions.begin(key("c"), client(), at(1));
        }
        end(&mut sessions, id, at(2));
    }
    sessions.forget_ends(at(100), 9);
    // It takes a place that was changed before, and is gone there.
    sessions.begin(key("d"), client(), at(100));
    sessions.begin(key("b"), client(), at(100));
    assert_eq!(
        told(&mut sessions),
        [known("a", false), known("b", true), known("d", true)]
    );
    assert_eq!(told(&mut sessions), []);
}

#[test]
fn one_that_begins_anew_and_is_taken_away_before_that_is_told_does_not_stay_in_the_store() {
    let mut sessions = empty();
    sessions.begin(key("a"), client(), at(0));
    sessions.begin(key("b"), client(), at(0));
    sessions.begin_telling();
    assert_eq!(sessions.tell(2).present.len(), 2);
    end(&mut sessions, "a", at(1));
    end(&mut sessions, "b", at(1));
    sessions.forget_ends(at(61), 9);
    sessions.begin(key("a"), client(), at(61));
    sessions.begin_telling();
    // It is here again, and its turn has not come yet.
    let changed = sessions.tell(1);
    assert!(changed.gone.is_empty() && changed.present.is_empty());
    sessions.remove_of(&HashSet::from([client()]));
    let mut gone = Vec::new();
    while sessions.to_tell() > 0 {
        gone.extend(sessions.tell(1).gone);
    }
    sessions.begin_telling();
    gone.extend(sessions.tell(9).gone);
    let gone: Vec<&str> = gone.iter().map(|(_, id)| &**id).collect();
    assert_eq!(gone, ["b", "a"]);
}
