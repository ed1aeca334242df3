//! The power is cut while the service works: what it has written is played back up to any moment, without
//! what was not forced to the disk. The store must open, and the map and the list by hand must be old or
//! new. If nothing of the rest was kept, the store must be whole; if some pages of it were, it may be set
//! aside, and is made anew from the journal.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::SignedDuration;
use pop_before_smtp::store::Store;

use crate::disk::Disk;
use crate::foreground::{Foreground, program};
use crate::journal_files::JournalFiles;
use crate::journal_files::entry::{Entry, export};
use crate::plan::Plan;
use crate::recording::{self, Act};

const SHORT: Duration = Duration::from_secs(8);
/// Files that are replaced as a whole: each is, at any time, one of those that they have been.
const WHOLE: [&str; 2] = ["state/clients.db", "state/manual.json"];

/// A service that is recorded while clients log in and out, are allowed and revoked, and it is stopped and
/// started again.
fn record() -> (Vec<Act>, Foreground) {
    let directory = tempfile::tempdir().unwrap();
    let logs = [1, 2].map(|number| directory.path().join(format!("strace.{number}")));
    let settings = "permitted-networks = []\ngrace = \"1h\"";
    let command = recording::strace(&logs[0], program());
    let journal = JournalFiles::import(&export(&[Entry::login(
        SignedDuration::from_secs(300),
        "192.0.2.1",
        "0",
    )]));
    let mut service = Foreground::start_as(command, journal, settings);
    service.wait_for("published 1 client");
    let mut listed = 1;
    let mut log_in = |service: &Foreground, number: i64| {
        let seconds = SignedDuration::from_secs(300 - number);
        let client = format!("192.0.2.{}", number + 1);
        let entries = [
            Entry::login(seconds, &client, &number.to_string()),
            Entry::login(seconds, &client, &format!("{number}b")),
        ];
        service
            .journal
            .add(&format!("{number}.journal"), &export(&entries));
        listed += 1;
        service.wait_for_answer("status", &format!("{listed} clients"));
    };
    for number in 1..9 {
        log_in(&service, number);
    }
    service.ask_with("allow", &["198.51.100.7"]);
    service.ask_with("revoke", &["192.0.2.3"]);
    service.stop();
    service.start_again_by(recording::strace(&logs[1], program()));
    service.wait_for("caught up with the journal");
    service.ask_with("allow", &["198.51.100.8"]);
    service.ask_with("revoke", &["198.51.100.7"]);
    service.stop();
    let root = fs::canonicalize(service.path(".")).unwrap();
    let acts = logs.iter().flat_map(|log| recording::read(log, &root));
    (acts.collect(), service)
}

/// What each of these files has been, once it was whole: when it was renamed to its name.
fn versions(acts: &[Act]) -> BTreeMap<&'static str, BTreeSet<Option<Vec<u8>>>> {
    let mut versions: BTreeMap<_, BTreeSet<_>> =
        WHOLE.iter().map(|path| (*path, [None].into())).collect();
    for (number, act) in acts.iter().enumerate() {
        let Act::Rename(_, to) = act else { continue };
        if let Some(of) = WHOLE.iter().find(|path| to == Path::new(path)) {
            let disk = Disk::after(&acts[..=number]);
            let content = disk.content(to).map(<[u8]>::to_vec);
            versions.get_mut(of).unwrap().insert(content);
        }
    }
    versions
}

#[test]
fn after_a_cut_of_the_power_the_store_opens_and_the_map_is_old_or_new() {
    let mut plan = Plan::new(SHORT);
    let (acts, service) = record();
    let versions = versions(&acts);
    let known: Vec<usize> = versions.values().map(BTreeSet::len).collect();
    assert!(
        known.iter().all(|number| *number > 3),
        "{known:?} of {WHOLE:?}"
    );
    // What the recording makes is what is there.
    let whole = Disk::after(&acts);
    for path in WHOLE {
        let there = fs::read(service.path(path)).ok();
        assert_eq!(whole.content(Path::new(path)), there.as_deref(), "{path}");
    }
    let mut found: BTreeMap<String, usize> = BTreeMap::new();
    while plan.goes_on() {
        let cut = plan.random.usize(..=acts.len());
        let kept = plan.one_of(&[0, 10, 50, 90]);
        let disk = Disk::cut(&acts[..cut], &mut |_| plan.random.u8(..100) < kept);
        let said = format!("cut after {cut} of {}, {}", acts.len(), plan.describe());
        for path in WHOLE {
            let content = disk.content(Path::new(path)).map(<[u8]>::to_vec);
            assert!(
                versions[path].contains(&content),
                "{said}: {path} is neither old nor new"
            );
        }
        let directory = tempfile::tempdir().unwrap();
        disk.put_below(directory.path());
        let store: PathBuf = directory.path().join("state/store");
        fs::create_dir_all(store.parent().unwrap()).unwrap();
        let was_there = store.exists();
        let opened = Store::open(&store).unwrap_or_else(|error| panic!("{said}: {error}"));
        let what = match opened.set_aside {
            None if was_there => "the store was whole",
            None => "there was no store yet",
            Some((_, why)) => {
                let why = why.rsplit_once("/store: ").unwrap().1;
                &format!(
                    "the store was set aside ({kept} % of what was not forced was kept): {why:.40}"
                )
            }
        };
        assert!(
            kept > 0 || !what.contains("set aside"),
            "{said}: what was forced to the disk is not whole: {what}"
        );
        *found.entry(what.to_owned()).or_default() += 1;
    }
    eprintln!("{}: of {} acts", plan.describe(), acts.len());
    for (what, number) in found {
        eprintln!("{number:>6} {what}");
    }
}
