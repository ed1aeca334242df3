//! A store and a relay whose clocks differ by ten minutes. What counts is the difference: it is the
//! store's clock that is wrong here, as the relay's timers are the kernel's, which all hosts share.
//!
//! Wrong is the time of everything on the store that is started from then on: journald, which dates the
//! entries, what ssh(1) runs, and Dovecot. The store's systemd goes on with the right time.

use std::process::Command;
use std::time::Duration;

use jiff::Timestamp;

use crate::host::{Host, NEAR, wait_until};
use crate::image::Release;
use crate::joined::{STORE, add_store, store_and_relay};
use crate::mail::{Answer, fetch_mail, send_mail};
use crate::service::SOON;

/// How far a clock is off, in seconds.
const OFF: i64 = 600;
/// By how much grace is longer.
const LEFT: i64 = 20;
/// What ld.so(8) gives to everything that is started.
const PRELOAD: &str = "/etc/ld.so.preload";
const CARRIER: &str = "pop-before-smtp-store@store1";

/// Sets a store's clock so many seconds ahead.
fn set_clock(store: &Host, ahead: i64) {
    if ahead == 0 {
        store.run(&["rm", PRELOAD]);
    } else {
        // A file of its own: what has another one open keeps that.
        let library = format!("/usr/local/lib/clock{ahead}.so");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/system/files/clock.c");
        let built = Command::new("cc")
            .args(["-shared", "-fPIC", &format!("-DAHEAD={ahead}"), source])
            .arg("-o")
            .arg(store.path(&library))
            .output()
            .unwrap();
        assert!(built.status.success(), "{built:?}");
        store.write_file(PRELOAD, &format!("{library}\n"));
    }
    store.run(&["systemctl", "restart", "systemd-journald", "ssh", "dovecot"]);
}

/// Has the relay connect to the store again, after something else, and gives the problems that it has.
fn reconnect(relay: &Host, meanwhile: impl FnOnce()) -> Vec<String> {
    relay.run(&["systemctl", "stop", CARRIER]);
    meanwhile();
    let connections = || {
        let said = relay.service_journal();
        let is_one = |line: &&String| line.starts_with("store store1: connected");
        said.iter().filter(is_one).count()
    };
    let before = connections();
    relay.run(&["systemctl", "start", CARRIER]);
    wait_until("it is connected", SOON, || {
        (connections() > before).then_some(())?;
        let problems = relay.status().problems;
        let is_down = |problem: &String| problem.contains("not connected");
        (!problems.iter().any(is_down)).then_some(problems)
    })
}

/// The one problem is a clock that is off by as much; a second is lost in a greeting.
#[track_caller]
fn assert_off(problems: &[String], what: &str) {
    let expected = [OFF - 1, OFF, OFF + 1]
        .map(|seconds| format!("source store1: its clock is {seconds} s {what}"));
    let is_expected = matches!(problems, [problem] if expected.contains(problem));
    assert!(is_expected, "{problems:#?}");
}

/// What the relay has said of each login of a client that it has read.
fn logins(relay: &Host, client: &str) -> Vec<String> {
    let mut said = relay.service_journal();
    said.retain(|line| line.contains(client) && line.contains("tom has logged in to dovecot"));
    said
}

/// Fetches mail, and waits until the relay has read of it. Says until when the client may relay then.
#[track_caller]
fn fetch_and_await(store: &Host, relay: &Host, client: &str) -> Option<Timestamp> {
    let before = logins(relay, client).len();
    fetch_mail(store, client);
    wait_until("the login is read", SOON, || {
        logins(relay, client).get(before)?;
        let listed = relay.list().into_iter().find(|l| l.client == client);
        let is_over = listed.as_ref().is_none_or(|listed| listed.sessions == 0);
        is_over.then(|| listed?.until)
    })
}

fn seconds_until(time: Timestamp) -> i64 {
    time.duration_since(Timestamp::now()).as_secs()
}

#[test]
fn a_clock_that_is_off_by_ten_minutes() {
    let settings = format!("grace = \"{}s\"\nlog-level = \"debug\"\n", OFF + LEFT);
    let (store, relay) = store_and_relay(Release::any(), &settings);
    add_store(&relay, "store1", &store, STORE);
    let [client, other] = NEAR;
    let others = fetch_and_await(&store, &relay, other);

    // Behind: the grace is shorter by as much.
    let behind = "behind this host's: its clients' grace is shorter by as much";
    let problems = reconnect(&relay, || set_clock(&store, -OFF));
    assert_off(&problems, behind);
    let until = fetch_and_await(&store, &relay, client).unwrap();
    assert!(seconds_until(until) <= LEFT, "{until}");
    assert_eq!(send_mail(&relay, client), Answer::Accepted);
    let patience = SOON + Duration::from_secs(LEFT.unsigned_abs());
    relay.await_clients_for(&[other], patience);
    assert!(Timestamp::now() >= until, "{until}");
    assert_eq!(send_mail(&relay, client), Answer::Refused);

    // Ahead, all of a sudden: a login does not count.
    set_clock(&store, OFF);
    assert_eq!(fetch_and_await(&store, &relay, client), None);
    let said = logins(&relay, client);
    let last = said.last().unwrap();
    assert!(last.ends_with("its entry is from the future"), "{last}");
    assert_eq!(send_mail(&relay, client), Answer::Refused);
    let ahead = "ahead of this host's: its logins are in the future, and do not count";
    let problems = wait_until("it is asked for its time", SOON, || {
        let problems = relay.status().problems;
        problems
            .iter()
            .any(|problem| problem.contains(ahead))
            .then_some(problems)
    });
    assert_off(&problems, ahead);

    // Back: it takes nothing from who is listed, and what the relay has is not read twice.
    set_clock(&store, -OFF);
    assert_eq!(fetch_and_await(&store, &relay, other), others);
    assert_off(&reconnect(&relay, || ()), behind);

    // Ahead when the relay connects: it is told of.
    let problems = reconnect(&relay, || set_clock(&store, OFF));
    assert_off(&problems, ahead);

    // Right again: the next login counts for the whole grace, and none before it.
    assert_eq!(reconnect(&relay, || set_clock(&store, 0)), [""; 0]);
    relay.await_clients(&[other]);
    let until = fetch_and_await(&store, &relay, client);
    let left = seconds_until(until.unwrap());
    assert!((OFF..=OFF + LEFT).contains(&left), "{left} s");
    assert_eq!(send_mail(&relay, client), Answer::Accepted);
    for (client, fetched) in [(client, 3), (other, 2)] {
        let read = logins(&relay, client);
        assert_eq!(read.len(), fetched, "{read:#?}");
    }
    relay.systemctl("restart");
    relay.await_clients(&[client, other]);
    let listed = relay.list().into_iter().map(|listed| listed.until);
    assert_eq!(listed.collect::<Vec<_>>(), [until, others]);
}
