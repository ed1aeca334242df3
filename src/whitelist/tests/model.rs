//! The whitelist against a model that knows no deadlines.

use super::*;
use proptest::prelude::*;

/// What the store would hold after applying all deltas.
#[derive(Default)]
pub(super) struct Kept {
    pub(super) clients: BTreeMap<Client, Listing>,
    pub(super) sessions: BTreeMap<SessionKey, Session>,
    manual: Manual,
}

impl Kept {
    pub(super) fn take(&mut self, delta: Delta) {
        for (client, listing) in delta.clients {
            match listing {
                Some(listing) => self.clients.insert(client, listing),
                None => self.clients.remove(&client),
            };
        }
        for (key, session) in delta.sessions {
            match session {
                Some(session) => self.sessions.insert(key, session),
                None => self.sessions.remove(&key),
            };
        }
    }

    fn restore(&self) -> Whitelist {
        let mut whitelist =
            Whitelist::restore(rules(), self.clients.clone(), self.sessions.clone());
        assert_eq!(whitelist.set_manual(self.manual.clone()), []);
        whitelist
    }
}

/// The model: each login counts for the interval from it to grace after it, or after the end of
/// its session; a client is listed while one of its intervals has not passed. A revocation takes
/// logins out, and an operator's grant is an interval of its own.
#[derive(Default)]
struct Model {
    logins: Vec<(u8, i64, Option<String>, Option<i64>)>,
    grants: BTreeMap<u8, i64>,
}

impl Model {
    fn login(&mut self, time: i64, n: u8, session: Option<String>) {
        self.logins.push((n, time, session, None));
    }

    fn end(&mut self, time: i64, which: impl Fn(&str) -> bool) {
        for (_, _, session, end) in &mut self.logins {
            if session.as_deref().is_some_and(&which) && end.is_none() {
                *end = Some(time);
            }
        }
    }

    fn revoke(&mut self, scope: &Scope) {
        let taken_in = |n: u8, user: Option<&str>, server| scope.takes_in(client(n), user, server);
        self.logins
            .retain(|(n, ..)| !taken_in(*n, Some(user_of(*n)), "dovecot"));
        self.grants.retain(|n, _| !taken_in(*n, None, MANUAL));
    }

    fn listed(&self, now: i64) -> Vec<String> {
        let by_hand = self.grants.iter().filter(|(_, until)| now < **until);
        let mut listed: Vec<_> = self
            .logins
            .iter()
            .filter(|(_, time, session, end)| {
                let until = match (session, end) {
                    (None, _) => time + GRACE,
                    (Some(_), Some(end)) => (*end).min(time + MAX_SESSION) + GRACE,
                    (Some(_), None) => time + MAX_SESSION + GRACE,
                };
                now < until
            })
            .map(|(n, ..)| client(*n))
            .chain(by_hand.map(|(n, _)| client(*n)))
            .collect();
        listed.sort();
        listed.dedup();
        listed.iter().map(ToString::to_string).collect()
    }
}

#[derive(Debug, Clone)]
enum Step {
    Login(u8, bool),
    Logout(prop::sample::Index),
    Start,
    Wait(i64),
    Crash,
    Twice,
    Allow(u8, i64),
    Revoke(Scope),
}

/// Each client has one user, and a user several clients.
fn user_of(n: u8) -> &'static str {
    ["alice", "bob"][usize::from(n % 2)]
}

fn scope() -> impl Strategy<Value = Scope> {
    prop_oneof![
        6 => (1..6u8).prop_map(|n| client(n).into()),
        2 => (0..2u8).prop_map(|n| Scope::User(user_of(n).to_owned())),
        1 => Just("192.0.2.2/31".parse().unwrap()),
        1 => Just(Scope::All),
        1 => Just(Scope::Server("dovecot".to_owned())),
        1 => Just(Scope::Server(MANUAL.to_owned())),
        1 => Just(Scope::Server("courier".to_owned())),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1..6u8, any::<bool>()).prop_map(|(n, session)| Step::Login(n, session)),
        3 => any::<prop::sample::Index>().prop_map(Step::Logout),
        1 => Just(Step::Start),
        4 => prop_oneof![0..120i64, Just(GRACE), Just(GRACE - 1), Just(MAX_SESSION)]
            .prop_map(Step::Wait),
        1 => Just(Step::Crash),
        1 => Just(Step::Twice),
        2 => (1..6u8, prop_oneof![1..120i64, Just(GRACE), Just(2 * GRACE)])
            .prop_map(|(n, seconds)| Step::Allow(n, seconds)),
        2 => scope().prop_map(Step::Revoke),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn the_whitelist_is_what_the_model_says(steps in prop::collection::vec(step(), 1..60)) {
        let mut whitelist = Whitelist::new(rules());
        let mut kept = Kept::default();
        let mut model = Model::default();
        let mut now = 0;
        let mut opened = Vec::new();
        let mut last = None;
        let mut journal: Vec<Event> = Vec::new();
        for step in steps {
            let event = match step {
                Step::Login(n, session) => {
                    let session = session.then(|| format!("s{}", opened.len()));
                    opened.extend(session.clone());
                    model.login(now, n, session.clone());
                    Some(login_of(now, n, user_of(n), session.as_deref()))
                }
                Step::Logout(which) if !opened.is_empty() => {
                    let session = which.get(&opened);
                    model.end(now, |s| s == session);
                    Some(logout(now, session))
                }
                Step::Start => {
                    model.end(now, |_| true);
                    Some(event(now, EventKind::Start))
                }
                Step::Twice => last.clone().filter(|e: &Event| e.time == at(now)),
                Step::Wait(seconds) => {
                    now += seconds;
                    None
                }
                Step::Crash => {
                    whitelist = kept.restore();
                    None
                }
                Step::Allow(n, seconds) => {
                    model.grants.insert(n, now + seconds);
                    whitelist.allow(client(n), grant(now, now + seconds)).unwrap();
                    None
                }
                Step::Revoke(scope) => {
                    // What happens in the same instant is revoked, too.
                    model.revoke(&scope);
                    whitelist.revoke(&scope, 0, at(now)).unwrap();
                    now += 1;
                    None
                }
                Step::Logout(_) => None,
            };
            if let Some(event) = event {
                whitelist.apply(&event, at(now));
                journal.push(event.clone());
                last = Some(event);
            }
            whitelist.expire_manual(at(now));
            while whitelist.next_deadline().is_some_and(|deadline| deadline <= at(now)) {
                whitelist.expire(at(now), 2);
            }
            prop_assert!(whitelist.next_deadline().is_none_or(|deadline| deadline > at(now)));
            kept.take(whitelist.take_delta());
            if let Some(manual) = whitelist.take_manual_change() {
                kept.manual = manual.clone();
            }
            prop_assert_eq!(whitelist.len(), listed(&whitelist).len());
            prop_assert_eq!(listed(&whitelist), model.listed(now));
            let again = kept.restore();
            prop_assert!(again.clients().eq(whitelist.clients()));
            prop_assert_eq!(again.next_deadline(), whitelist.next_deadline());
            prop_assert_eq!(again.open_sessions(), whitelist.open_sessions());
            // The store is lost, and the journal read again.
            let mut anew = Whitelist::new(rules());
            anew.set_manual(kept.manual.clone());
            for event in &journal {
                anew.apply(event, at(now));
            }
            expire(&mut anew, at(now));
            let right = listed(&whitelist);
            prop_assert!(listed(&anew).iter().all(|client| right.contains(client)));
        }
    }
}
