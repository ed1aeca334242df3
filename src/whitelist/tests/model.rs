//! The whitelist against a model that knows no deadlines.

use super::*;
use std::collections::BTreeMap;

use proptest::prelude::*;

/// What the store would hold after applying all deltas.
#[derive(Default)]
pub(super) struct Kept {
    clients: BTreeMap<Client, Listing<'static>>,
    sessions: BTreeMap<(Origin, String, String), Session>,
    ends: Vec<EndsOfServer>,
    manual: Manual,
    /// The events that are read again if the process is killed.
    uncommitted: Vec<Event>,
    /// What `ends` will be with the last of what is being taken, and how many of those events will be in here.
    under_way: Option<(Vec<EndsOfServer>, usize)>,
}

impl Kept {
    /// Takes some of what has changed. Says whether that was the last of it.
    fn take_some(&mut self, whitelist: &mut Whitelist, at_most: usize) -> bool {
        let events = self.uncommitted.len();
        let begin = || (whitelist.ends().servers().to_vec(), events);
        let under_way = self.under_way.take().unwrap_or_else(begin);
        let delta = whitelist.take_delta(at_most);
        self.take(&delta);
        let is_last = delta.is_last();
        if is_last {
            self.ends = under_way.0;
            self.uncommitted.drain(..under_way.1);
        } else {
            self.under_way = Some(under_way);
        }
        is_last
    }

    pub(super) fn take(&mut self, delta: &Delta<'_>) {
        for (client, listing) in delta.clients() {
            match listing {
                Some(listing) => self.clients.insert(client, listing.into_owned()),
                None => self.clients.remove(&client),
            };
        }
        for (key, session) in delta.sessions() {
            let key = (key.origin, key.server.to_owned(), key.id.to_owned());
            match session {
                Some(session) => self.sessions.insert(key, session),
                None => self.sessions.remove(&key),
            };
        }
    }

    /// The whitelist, without what was done by hand.
    pub(super) fn restored(&self, rules: Rules) -> Whitelist {
        let mut clients = KeptClients::default();
        for (client, listing) in &self.clients {
            clients.add(*client, listing);
        }
        let mut sessions = Sessions::default();
        for ((origin, server, id), session) in &self.sessions {
            let origin = *origin;
            sessions.add(SessionKey { origin, server, id }, session);
        }
        let mut whitelist = Whitelist::restore(rules, clients.finish(), sessions);
        *whitelist.ends_mut() = Ends::restore(self.ends.clone());
        whitelist
    }

    fn restore(&self, rules: Rules) -> Whitelist {
        let mut whitelist = self.restored(rules);
        assert_eq!(whitelist.set_manual(self.manual.clone()), []);
        whitelist
    }
}

/// The model: each login counts for the interval from it to grace after it, or after the end of
/// its session; a client is listed while one of its intervals has not passed. A revocation takes
/// logins out, and an operator's grant is an interval of its own.
///
/// It knows the truth of an end whose session the server has lost: the whitelist must not list anybody
/// whom the truth does not. Of a server that tells no ends while three sessions run out, all that is
/// open counts from its login.
struct Model {
    logins: Vec<Interval>,
    grants: BTreeMap<u8, (i64, i64)>,
    grace: i64,
    max_session: i64,
    /// When the last end was told, once a session has been open.
    told: Option<Option<i64>>,
    ran_out: u32,
    /// When the third one ran out.
    untold_since: i64,
    /// Whether it was one of several that ran out at once: which of them are the first three is
    /// nobody's to say.
    is_undecided: bool,
    /// When ends were lost whose logins may still come.
    lost: Vec<i64>,
}

struct Interval {
    client: u8,
    time: i64,
    session: Option<String>,
    end: Option<i64>,
    is_doubtful: bool,
}

impl Model {
    fn login(&mut self, time: i64, client: u8, session: Option<String>) {
        let session = session.filter(|_| self.ran_out < 3);
        if session.is_some() {
            self.told.get_or_insert_default();
        }
        let end = session.is_none().then_some(time);
        self.logins.push(Interval {
            client,
            time,
            session,
            end,
            is_doubtful: self
                .lost
                .iter()
                .any(|lost| (time - 5..=time).contains(lost)),
        });
    }

    fn tell_end(&mut self, time: i64) {
        if let Some(told) = &mut self.told {
            *told = (*told).max(Some(time));
            // One of the same time can't be told from one that is read again.
            if self.ran_out < 3 || self.untold_since < time {
                self.ran_out = 0;
            }
        }
    }

    /// One session has ended, and nobody hears which: any of those that are open.
    fn lose(&mut self, time: i64, which: prop::sample::Index) -> Option<String> {
        self.tell_end(time);
        self.lost.push(time);
        let is_open = |login: &&mut Interval| login.end.is_none();
        let mut open: Vec<_> = self.logins.iter_mut().filter(is_open).collect();
        open.iter_mut().for_each(|login| login.is_doubtful = true);
        if open.is_empty() {
            return None;
        }
        let lost = which.get_mut(&mut open);
        lost.end = Some(time);
        lost.session.clone()
    }

    fn end(&mut self, time: i64, which: impl Fn(&str) -> bool) {
        for login in &mut self.logins {
            if login.session.as_deref().is_some_and(&which) && login.end.is_none() {
                login.end = Some(time);
            }
        }
    }

    fn revoke(&mut self, scope: &Scope) {
        let taken_in = |n: u8, user: Option<&str>, server| scope.takes_in(client(n), user, server);
        self.logins
            .retain(|l| !taken_in(l.client, Some(user_of(l.client)), "dovecot"));
        self.grants.retain(|n, _| !taken_in(*n, None, MANUAL));
    }

    /// Nothing has happened later than `now`, and no grant is longer for it.
    fn set_clock(&mut self, now: i64) {
        self.lost.clear();
        self.told = self.told.map(|told| told.min(Some(now)));
        for login in &mut self.logins {
            login.time = login.time.min(now);
            login.end = login.end.map(|end| end.min(now));
        }
        for (since, until) in self.grants.values_mut() {
            let ahead = (*since - now).max(0);
            (*since, *until) = (*since - ahead, *until - ahead);
        }
    }

    /// Who is listed at `now`. Who has gone does not come back; of whoever has not, all logins count
    /// by the rules as they are now.
    fn listed(&mut self, now: i64) -> Vec<String> {
        let max_session = self.max_session;
        let mut open: Vec<_> = self.logins.iter_mut().filter(|l| l.end.is_none()).collect();
        open.sort_by_key(|login| login.time);
        let times: Vec<i64> = open.iter().map(|login| login.time).collect();
        for login in open {
            if self.ran_out >= 3 {
                login.end = Some(login.time);
            } else if login.time + max_session <= now {
                login.end = Some(login.time + max_session);
                let is_told = self.told.flatten().is_some_and(|told| told >= login.time);
                if !is_told && !login.is_doubtful {
                    self.ran_out += 1;
                    self.untold_since = login.time + max_session;
                    let at_once = times.iter().filter(|time| **time == login.time).count();
                    self.is_undecided |= self.ran_out == 3 && at_once > 1;
                }
            }
        }
        let lasts = |login: &&Interval| login.end.is_none_or(|end| now < end + self.grace);
        let staying: Vec<u8> = self.logins.iter().filter(lasts).map(|l| l.client).collect();
        self.logins.retain(|login| staying.contains(&login.client));
        self.grants.retain(|_, (_, until)| now < *until);
        let by_login = self.logins.iter().map(|login| login.client);
        let mut listed: Vec<_> = by_login
            .chain(self.grants.keys().copied())
            .map(client)
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
    LostLogout(prop::sample::Index),
    Start,
    Wait(i64),
    SetBack(i64),
    Rules(i64, i64),
    Crash,
    /// For so many steps nothing is committed; then a commit is interrupted.
    Torn(u8, usize),
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
        1 => any::<prop::sample::Index>().prop_map(Step::LostLogout),
        1 => Just(Step::Start),
        4 => prop_oneof![0..120i64, Just(GRACE), Just(GRACE - 1), Just(MAX_SESSION)]
            .prop_map(Step::Wait),
        1 => prop_oneof![0..120i64, 0..2 * GRACE, Just(MAX_SESSION)].prop_map(Step::SetBack),
        1 => (prop_oneof![Just(GRACE), Just(60), Just(2 * GRACE)],
            prop_oneof![Just(MAX_SESSION), Just(GRACE), Just(5 * GRACE)])
            .prop_map(|(grace, max_session)| Step::Rules(grace, max_session)),
        1 => Just(Step::Crash),
        1 => (1..8u8, 1..4usize).prop_map(|(steps, records)| Step::Torn(steps, records)),
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
        let mut model = Model {
            logins: Vec::new(),
            grants: BTreeMap::new(),
            grace: GRACE,
            max_session: MAX_SESSION,
            told: None,
            ran_out: 0,
            untold_since: 0,
            is_undecided: false,
            lost: Vec::new(),
        };
        // Whether more may be listed in truth than is known.
        let mut has_lost = false;
        let mut torn = (0, 0);
        let mut rules = rules();
        let mut now = 0;
        let mut journal_tells_all = true;
        let mut opened: Vec<String> = Vec::new();
        let mut number = 0;
        let mut last = None;
        let mut journal: Vec<Event> = Vec::new();
        for step in steps {
            let event = match step {
                Step::Login(n, session) => {
                    number += 1;
                    let session = session.then(|| format!("s{number}"));
                    opened.extend(session.clone());
                    model.login(now, n, session.clone());
                    Some(login_of(now, n, user_of(n), session.as_deref()))
                }
                Step::Logout(which) if !opened.is_empty() => {
                    let session = which.get(&opened);
                    model.tell_end(now);
                    model.end(now, |s| s == session);
                    Some(logout(now, session))
                }
                Step::LostLogout(which) => {
                    // No two at once, as the journal counts microseconds.
                    now += 1;
                    has_lost = true;
                    let lost = model.lose(now, which);
                    opened.retain(|session| Some(session) != lost.as_ref());
                    Some(event(now, EventKind::LostLogout))
                }
                Step::Start => {
                    model.end(now, |_| true);
                    let start = event(now, EventKind::Start);
                    // No login of the same time: read again, the start would end its session.
                    now += 1;
                    Some(start)
                }
                Step::Twice => {
                    let again = last.clone().filter(|e: &Event| e.time == at(now));
                    // It may be new to a process that has started since.
                    if again.as_ref().is_some_and(|e| e.kind == EventKind::LostLogout) {
                        model.lost.push(now);
                    }
                    again
                }
                Step::Wait(seconds) => {
                    // Commits come every few seconds.
                    now += if torn.0 > 0 { seconds.min(60) } else { seconds };
                    None
                }
                // A login after a revocation would come to be of the same time, and not survive a
                // restart: rather nobody than the wrong one.
                Step::SetBack(_) if !whitelist.manual().revocations.is_empty() || torn.0 > 0 => None,
                Step::SetBack(seconds) => {
                    now -= seconds;
                    model.set_clock(now);
                    whitelist.clock_set(at(now));
                    (journal_tells_all, last) = (false, None);
                    None
                }
                // Until an end was lost, its client was held by the rules of then.
                Step::Rules(..) if has_lost || torn.0 > 0 => None,
                Step::Rules(grace, max_session) => {
                    (model.grace, model.max_session) = (grace, max_session);
                    rules.grace = SignedDuration::from_secs(grace);
                    rules.max_session = SignedDuration::from_secs(max_session);
                    prop_assert_eq!(whitelist.set_rules(rules.clone()), []);
                    journal_tells_all = false;
                    None
                }
                Step::Crash if torn.0 > 0 => None,
                Step::Crash => {
                    model.lost.clear();
                    whitelist = kept.restore(rules.clone());
                    None
                }
                Step::Torn(steps, records) => {
                    torn = (steps, records);
                    None
                }
                Step::Allow(..) | Step::Revoke(_) if torn.0 > 0 => None,
                Step::Allow(n, seconds) => {
                    model.grants.insert(n, (now, now + seconds));
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
                kept.uncommitted.push(event.clone());
                last = Some(event);
            }
            whitelist.expire_manual(at(now));
            while whitelist.next_deadline().is_some_and(|deadline| deadline <= at(now)) {
                whitelist.expire(at(now), 2);
            }
            prop_assert!(whitelist.next_deadline().is_none_or(|deadline| deadline > at(now)));
            if torn.0 > 0 {
                torn.0 -= 1;
                prop_assert!(model.listed(now).len() >= listed(&whitelist).len());
                if torn.0 > 0 {
                    // What it has begun to commit it goes on with while more happens.
                    if torn.0 % 2 == 0 {
                        kept.take_some(&mut whitelist, 1);
                    }
                    continue;
                }
                kept.take_some(&mut whitelist, torn.1);
                kept.under_way = None;
                whitelist = kept.restored(rules.clone());
                whitelist.set_manual(kept.manual.clone());
                // As at any start: what is over is over, before the journal is read again.
                expire(&mut whitelist, at(now));
                for event in &kept.uncommitted {
                    whitelist.apply(event, at(now));
                }
                whitelist.expire_manual(at(now));
                expire(&mut whitelist, at(now));
            }
            while !kept.take_some(&mut whitelist, 2) {}
            if let Some(manual) = whitelist.take_manual_change() {
                kept.manual = manual.clone();
            }
            prop_assert_eq!(whitelist.len(), listed(&whitelist).len());
            let right = model.listed(now);
            if model.is_undecided {
                return Ok(());
            }
            if has_lost {
                prop_assert!(listed(&whitelist).iter().all(|client| right.contains(client)));
            } else {
                prop_assert_eq!(&listed(&whitelist), &right);
            }
            let again = kept.restore(rules.clone());
            if !has_lost {
                prop_assert!(again.clients().eq(whitelist.clients()));
                prop_assert_eq!(next_end(&again), next_end(&whitelist));
                prop_assert!(again.sessions().count() == whitelist.sessions().count());
                prop_assert_eq!(again.open_sessions(), whitelist.open_sessions());
            }
            // The store is lost, and the journal read again. It tells of no other clock or rules, and not
            // that ends did not come.
            journal_tells_all &= model.ran_out < 3;
            if !journal_tells_all {
                continue;
            }
            let mut anew = Whitelist::new(rules.clone());
            anew.set_manual(kept.manual.clone());
            for event in &journal {
                anew.apply(event, at(now));
            }
            expire(&mut anew, at(now));
            prop_assert!(listed(&anew).iter().all(|client| right.contains(client)));
        }
    }
}
