//! Messages of servers, one after the other, from whoever may write them and from others: who is let in.
//!
//! The first byte chooses how they are read. If it is odd, each line of the rest is an entry: four bytes
//! that choose its identifier, sender, origin and time, and its message. Otherwise the rest is what a
//! stranger calls himself, and is put into the place of the user in the definitions' own examples.

mod addresses;
mod entries;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

use jiff::SignedDuration;
use pop_before_smtp::client::Client;
use pop_before_smtp::event::EventKind;
use pop_before_smtp::intake::{Intake, Senders, Taker, line_of};
use pop_before_smtp::journal::Entry;
use pop_before_smtp::servers::{
    BUILT_IN, Definition, LONGEST_MESSAGE, Meaning, Recogniser, Senders as Added, Unknown,
};

use addresses::addresses;
use entries::{CONTAINER, Made, entries, number_of};

/// How long after its connection a login may come: the correlator's promise.
const TIED: SignedDuration = SignedDuration::from_mins(10);

/// All that is built in.
static DEFINITIONS: LazyLock<Vec<Definition>> = LazyLock::new(|| {
    let read = |(name, text): &(&str, &str)| {
        Definition::parse(text).unwrap_or_else(|faults| panic!("{name}: {faults:?}"))
    };
    BUILT_IN.iter().map(read).collect()
});

/// All servers on; Dovecot also in a container.
static RECOGNISER: LazyLock<Arc<Recogniser>> = LazyLock::new(|| {
    let in_container = Added {
        containers: vec![CONTAINER.to_owned()],
        ..Added::default()
    };
    let senders = BTreeMap::from([("dovecot".to_owned(), in_container)]);
    let all = DEFINITIONS.clone();
    Arc::new(Recogniser::new(all, &senders, |user| Some(number_of(user))))
});

/// See the top.
pub fn run(data: &[u8]) {
    let Some((how, rest)) = data.split_first() else {
        return;
    };
    if how % 2 == 0 {
        return renamed(how / 2, &String::from_utf8_lossy(rest));
    }
    let made = entries(rest, &DEFINITIONS);
    let taken = take(*how, &made);
    assert!(
        taken == take(*how, &made),
        "the same entries, read differently"
    );
    for (at, intake) in taken.iter().enumerate() {
        check(&made[..=at], intake, how & 2 != 0);
    }
}

/// What becomes of entries.
fn take(how: u8, made: &[Made]) -> Vec<Intake> {
    let (senders, unknown) = (
        [Senders::Any, Senders::Trusted][usize::from(how >> 1 & 1)],
        [Unknown::Drop, Unknown::PassOn][usize::from(how >> 2 & 1)],
    );
    let mut taker = Taker::new(RECOGNISER.clone(), senders, unknown);
    made.iter().map(|made| taker.take(&made.entry)).collect()
}

/// Whether an event is one that the last of these entries may be.
fn check(made: &[Made], intake: &Intake, is_checked: bool) {
    let (Some(Made { entry, may_write }), Intake::Event(event)) = (made.last(), intake) else {
        return;
    };
    let shown = || format!("{event:?}\n{}", entry.message.escape_ascii());
    assert!(
        entry.message.len() <= LONGEST_MESSAGE,
        "too long: {}",
        shown()
    );
    assert!(!entry.is_cut && !entry.container.is_partial, "{}", shown());
    let is_login = matches!(event.kind, EventKind::Login { .. });
    assert!(!entry.lacks_end || !is_login, "{}", shown());
    let definition = DEFINITIONS.iter().find(|d| d.name == *event.server);
    let definition = definition.expect("an event of a server that is on");
    assert_eq!(event.time, entry.time);
    assert_eq!(event.origin.host.machine == entry.origin.host.machine, {
        // A line that was passed on is of the host that its header names.
        !entry.origin.is_known() || event.origin.host.machine == entry.origin.host.machine
    });
    if is_checked {
        let is_stream = !entry.is_by_syslog || !entry.container.name.is_empty();
        assert!(!definition.syslog_only || !is_stream, "{}", shown());
        let is_logout = matches!(event.kind, EventKind::Logout { .. });
        assert!(
            may_write(definition, is_logout, entry),
            "{:?} may not write this: {}",
            entry.sender,
            shown()
        );
    }
    let EventKind::Login { client, .. } = &event.kind else {
        return;
    };
    let mut told = addresses(&entry.message);
    if !entry.container.name.is_empty() {
        // Colours may stand amid an address.
        told.extend(addresses(&line_of(&entry.message)));
    }
    told.extend(entry.sender.client_of_unit());
    if !told.contains(client) && definition.ties_lines() {
        told = told_before(made, entry);
    }
    assert!(
        told.contains(client),
        "nobody told of {client}: {}",
        shown()
    );
}

/// What the process that wrote the last entry has told a moment before.
fn told_before(made: &[Made], last: &Entry) -> BTreeSet<Client> {
    let before = made.iter().map(|made| &made.entry).filter(|entry| {
        entry.sender.pid.is_some()
            && entry.sender.pid == last.sender.pid
            && entry.origin == last.origin
            && last.time.duration_since(entry.time).abs() <= TIED
    });
    before.flat_map(|entry| addresses(&entry.message)).collect()
}

/// Whatever the user is called: a failure is no login, and a login is from where the connection is.
fn renamed(which: u8, name: &str) {
    let definition = &DEFINITIONS[usize::from(which) % DEFINITIONS.len()];
    let users: BTreeSet<&str> = (definition.examples.iter())
        .flat_map(|e| [&e.login, &e.logout])
        .filter_map(|event| event.as_ref()?.user.as_deref())
        .filter(|user| user.len() > 2)
        .chain(["alice", "bob", "carol"])
        .collect();
    // What a server does not let through in a name.
    let is_let_through = |c: char| !c.is_control() && (c != ':' || definition.name != "vpopmail");
    if !name.chars().all(is_let_through) {
        return;
    }
    // A line that ends too soon is not one that the server writes: it has nothing behind the name that is the
    // server's own. That such a line was cut is told by how long it is.
    let whole = |line: &str| {
        !(definition.examples.iter()).any(|other| {
            other.login.is_some()
                && other.message.len() > line.len()
                && other.message.starts_with(line)
        })
    };
    for example in definition.examples.iter().filter(|e| whole(&e.message)) {
        let message = &example.message;
        let first = &definition.identifiers[0];
        let identifier = example.identifier.as_ref().unwrap_or(first);
        for user in users.iter().filter(|user| message.contains(**user)) {
            let message = message.replace(user, name);
            let Some(verdict) = RECOGNISER.recognise(identifier, message.as_bytes()) else {
                continue;
            };
            let Meaning::Login { client, .. } = verdict.meaning else {
                continue;
            };
            // Servers share identifiers, and an example may be another's login.
            if *verdict.server.name != definition.name {
                continue;
            }
            let expected = example.login.as_ref().map(|login| login.client.clone());
            let client = client.map(|client| client.to_string());
            assert_eq!(
                Some(client),
                expected,
                "{}: {message:?}",
                verdict.server.name
            );
        }
    }
}
