//! The store with the real sled: what was committed is there again, and damage is set aside.

use std::collections::BTreeMap;
use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::thread;
use std::time::Duration;

use jiff::Timestamp;
use pop_before_smtp::client::Client;
use pop_before_smtp::journal::Position;
use pop_before_smtp::origin::{Id, Origin};
use pop_before_smtp::postfix::map_type::MapType;
use pop_before_smtp::store::{FormerMap, InForce, Opened, Positions, Store, StoreError};
use pop_before_smtp::whitelist::{Listing, Session, SessionKey};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn listing(second: i64) -> Listing<'static> {
    Listing {
        since: at(0),
        last_login: at(second),
        last: at(second),
        user: Some("alice".into()),
        server: "dovecot".into(),
        source: Id::DEFAULT_SOURCE,
        open: 0,
    }
}

/// Two clients and a session.
fn commit(store: &mut Store, n: i64) {
    let clients = [format!("192.0.2.{n}"), format!("2001:db8::{n}")]
        .map(|client| (client.parse().unwrap(), Some(listing(n))));
    let id = format!("s{n}");
    let key = SessionKey {
        origin: Origin::OF_LINES,
        server: "dovecot",
        id: &id,
    };
    let session = Session {
        client: None,
        since: at(n),
        ended: Some(at(n)),
        protocol: None,
        longest: None,
        is_doubtful: false,
    };
    store
        .commit(
            clients,
            [(key, Some(session))],
            &[(Id::DEFAULT_SOURCE, position(n))].into(),
        )
        .unwrap();
}

fn in_force() -> InForce {
    InForce {
        path: "/var/lib/x/clients".into(),
        kind: MapType::Lmdb,
        value: "OK".to_owned(),
        grace: Duration::from_secs(20),
        max_session: Duration::from_secs(60),
    }
}

fn former_map() -> FormerMap {
    FormerMap {
        path: "/var/lib/x/former".into(),
        kind: MapType::Hash,
        value: "OK".to_owned(),
    }
}

fn position(n: i64) -> Position {
    Position {
        cursor: format!("s=1;i={n}"),
        time: at(n),
    }
}

fn fill(path: &Path) {
    let Opened { mut store, .. } = Store::open(path).unwrap();
    for n in 1..100 {
        commit(&mut store, n);
    }
}

#[test]
fn what_was_committed_is_there_again_with_its_position() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    fill(&path);
    let Opened {
        mut store,
        kept,
        set_aside,
    } = Store::open(&path).unwrap();
    assert!(set_aside.is_none());
    assert_eq!((kept.clients.len(), kept.sessions.len()), (198, 99));
    let client = "2001:db8::7".parse().unwrap();
    assert_eq!(kept.clients.get(client), Some(listing(7)));
    assert_eq!(kept.positions, [(Id::DEFAULT_SOURCE, position(99))].into());
    let gone = [("192.0.2.7".parse().unwrap(), None)];
    store.commit(gone, [], &Positions::new()).unwrap();
    drop(store);
    let Opened { store, kept, .. } = Store::open(&path).unwrap();
    assert_eq!(kept.clients.len(), 197);
    assert_eq!(kept.positions, [(Id::DEFAULT_SOURCE, position(99))].into());
    let in_force = in_force();
    store.set_in_force(&in_force, &[former_map()]).unwrap();
    drop(store);
    let Opened { store, kept, .. } = Store::open(&path).unwrap();
    assert_eq!(kept.in_force.as_ref(), Some(&in_force));
    assert_eq!(kept.former_maps, [former_map()]);
    store.set_former_maps(&[]).unwrap();
    drop(store);
    let Opened { kept, .. } = Store::open(&path).unwrap();
    assert_eq!(kept.in_force, Some(in_force));
    assert_eq!(kept.former_maps, []);
}

#[test]
fn what_is_taken_out_and_put_back_in_one_commit_is_there() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let Opened { mut store, .. } = Store::open(&path).unwrap();
    // In no order: only then does it matter how they are sorted.
    let ids: Vec<String> = (0..1999).map(|n| format!("s{}", n * 7919 % 1999)).collect();
    let key = |id| SessionKey {
        origin: Origin::OF_LINES,
        server: "dovecot",
        id,
    };
    let session = Session {
        client: None,
        since: at(0),
        ended: Some(at(1)),
        protocol: None,
        longest: None,
        is_doubtful: false,
    };
    let put = ids.iter().map(|id| (key(id), Some(session)));
    store.commit([], put.clone(), &Positions::new()).unwrap();
    let taken = ids.iter().map(|id| (key(id), None));
    store
        .commit([], taken.chain(put), &Positions::new())
        .unwrap();
    drop(store);
    let Opened { kept, .. } = Store::open(&path).unwrap();
    assert_eq!(kept.sessions.len(), ids.len());
}

#[test]
fn of_what_comes_twice_in_one_commit_the_last_is_there() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let client: Client = "192.0.2.1".parse().unwrap();
    let commits: [&[Option<i64>]; 3] = [
        &[Some(1), Some(2)],
        &[Some(3), None, Some(4)],
        &[Some(5), None],
    ];
    for (number, changes) in (0..).zip(commits) {
        let Opened { mut store, .. } = Store::open(&path).unwrap();
        let all = changes.iter().map(|second| (client, second.map(listing)));
        let others = (2..9).map(|n| {
            let other: Client = format!("192.0.2.{n}").parse().unwrap();
            (other, Some(listing(n)))
        });
        store
            .commit(
                others.chain(all),
                [],
                &[(Id::DEFAULT_SOURCE, position(number))].into(),
            )
            .unwrap();
        drop(store);
        let Opened {
            kept, set_aside, ..
        } = Store::open(&path).unwrap();
        assert_eq!(set_aside, None);
        let last = changes.last().unwrap().map(listing);
        assert_eq!(kept.clients.get(client), last);
        assert_eq!(kept.clients.len(), 7 + usize::from(last.is_some()));
    }
}

fn snapshot_of(store: &Path) -> std::path::PathBuf {
    let files = fs::read_dir(store)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let is_snapshot = |file: &std::path::PathBuf| {
        file.file_name()
            .unwrap()
            .to_string_lossy()
            .starts_with("snap.")
    };
    files
        .filter(is_snapshot)
        .max()
        .expect("sled keeps a snapshot")
}

#[test]
fn a_damaged_store_is_set_aside() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    for _ in 0..2 {
        fill(&path);
        drop(Store::open(&path).unwrap()); // sled writes its snapshot when it opens
        let snapshot = snapshot_of(&path);
        let half = fs::metadata(&snapshot).unwrap().len() / 2;
        let file = fs::OpenOptions::new().write(true).open(&snapshot);
        file.unwrap().set_len(half).unwrap();
        let Opened {
            store,
            kept,
            set_aside,
        } = Store::open(&path).unwrap();
        let (aside, _) = set_aside.expect("a cut off snapshot was taken for whole");
        assert_eq!(aside, directory.path().join("store.damaged"));
        assert!(aside.join("db").exists());
        assert!(kept.clients.is_empty() && kept.positions.is_empty());
        drop(store);
        fs::remove_dir_all(&path).unwrap();
    }
}

/// sled writes its snapshot beside, and renames it; a process may be killed in between.
#[test]
fn a_snapshot_that_was_not_finished_is_no_damage() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    fill(&path);
    drop(Store::open(&path).unwrap());
    let snapshot = snapshot_of(&path);
    let whole = fs::read(&snapshot).unwrap();
    let unfinished = snapshot.with_extension(format!(
        "{}.generating",
        snapshot.extension().unwrap().to_str().unwrap()
    ));
    // One that was longer leaves its end behind the next, which sled writes over it.
    for content in [&whole[..whole.len() / 2], &[&whole[..], &[7; 99]].concat()] {
        fs::write(&unfinished, content).unwrap();
        let Opened {
            kept, set_aside, ..
        } = Store::open(&path).unwrap();
        assert_eq!(set_aside, None);
        assert_eq!(kept.clients.iter().count(), 2 * 99);
        assert!(!unfinished.exists());
    }
    // Nobody else's is touched.
    let open = Store::open(&path).unwrap();
    fs::write(&unfinished, &whole).unwrap();
    assert!(matches!(
        Store::open_now(&path),
        Err(StoreError::Locked { .. })
    ));
    assert!(unfinished.exists());
    drop(open);
}

#[test]
fn records_that_cannot_be_read_are_damage() {
    for (tree, key, value) in [
        ("clients", &b"abc"[..], &b"{}"[..]),
        ("clients", b"\xc0\x00\x02\x0a", b"{\"since\":1}"),
        ("meta", b"position", b"junk"),
        ("meta", b"former-maps", b"junk"),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("store");
        fill(&path);
        put(&path, tree, key, value);
        let opened = Store::open(&path).unwrap();
        assert!(opened.set_aside.is_some(), "{tree} {key:?}");
        assert!(opened.kept.clients.is_empty());
    }
}

/// Makes a store at `path` that has been written in this format, with a map in force.
fn fill_in_format(path: &Path, format: &[u8]) {
    fill(path);
    let Opened { store, .. } = Store::open(path).unwrap();
    store.set_in_force(&in_force(), &[former_map()]).unwrap();
    drop(store);
    put(path, "meta", b"format", format);
}

/// Writes what the store would not.
fn put(path: &Path, tree: &str, key: &[u8], value: &[u8]) {
    // sled's threads may have it open for a moment longer.
    let mut tries = (0..100).map(|_| {
        thread::sleep(Duration::from_millis(20));
        sled::open(path)
    });
    let db = tries.find_map(Result::ok).unwrap();
    db.open_tree(tree).unwrap().insert(key, value).unwrap();
    db.flush().unwrap();
}

#[test]
fn the_store_of_another_version_still_tells_which_map_was_in_force() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    for (format, name) in [
        (&b"7"[..], "format-7"),
        (b"99999999", "format-unknown"),
        (b"../../7\0", "format-unknown"),
    ] {
        fill_in_format(&path, format);
        let opened = Store::open(&path).unwrap();
        let (aside, reason) = opened.set_aside.unwrap();
        assert_eq!(aside, path.with_extension(name));
        let expected = format!(
            "another version has written it, in {}",
            name.replace('-', " ")
        );
        assert!(reason.ends_with(&expected), "{reason}");
        assert_eq!(opened.kept.in_force, Some(in_force()));
        assert_eq!(opened.kept.former_maps, [former_map()]);
        assert!(opened.kept.clients.is_empty());
        drop(opened.store);
        fs::remove_dir_all(&path).unwrap();
    }
}

/// What a newer version has left stays whole for it, whatever happens to this one's.
#[test]
fn the_store_of_a_newer_version_is_set_aside_and_kept() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    fill_in_format(&path, b"7");
    drop(Store::open(&path).unwrap());
    for _ in 0..2 {
        fill(&path);
        put(&path, "meta", b"position", b"junk");
        let (aside, _) = Store::open(&path).unwrap().set_aside.unwrap();
        assert_eq!(aside, path.with_extension("damaged"));
    }
    // The way back: it opens there, as the newer version's.
    let aside = path.with_extension("format-7");
    let db = sled::open(&aside).unwrap();
    let tree = |name| db.open_tree(name).unwrap();
    assert_eq!(tree("meta").get("format").unwrap().unwrap(), b"7");
    assert!(!tree("clients").is_empty() && !tree("sessions").is_empty());
}

#[test]
fn no_directory_and_a_file_in_the_way_are_errors_that_name_it() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("nowhere/store");
    let error = Store::open(&missing).unwrap_err();
    assert!(matches!(error, StoreError::System { .. }), "{error}");
    assert!(error.to_string().contains("nowhere"), "{error}");
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    let error = Store::open(&file.join("store")).unwrap_err();
    assert!(error.to_string().contains("file"), "{error}");
}

#[test]
fn a_store_that_another_gives_back_is_opened() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    fill(&path);
    let Opened { store, .. } = Store::open(&path).unwrap();
    assert!(matches!(
        Store::open_now(&path),
        Err(StoreError::Locked { .. })
    ));
    let (opened, is_opened) = std::sync::mpsc::channel();
    let waiting = path.clone();
    thread::spawn(move || opened.send(Store::open(&waiting).map(|o| o.kept.clients.len())));
    // It waits, and not for longer than it has to.
    assert!(is_opened.recv_timeout(Duration::from_millis(200)).is_err());
    drop(store);
    let clients = is_opened.recv_timeout(Duration::from_secs(10)).unwrap();
    assert_eq!(clients.unwrap(), 198);
}

#[test]
fn thousands_of_records_that_come_and_go_in_any_order_are_kept() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store");
    let mut expected = BTreeMap::new();
    // From the first commit, of all at once, to those of a few.
    for (round, size) in [3000u32, 1, 700, 2, 5000, 40].into_iter().enumerate() {
        let Opened {
            mut store, kept, ..
        } = Store::open(&path).unwrap();
        assert!(
            kept.clients.iter().eq(expected.clone()),
            "before round {round}"
        );
        let mut changes = BTreeMap::new();
        for n in 0..size {
            let scattered = (n + 1 + round as u32).wrapping_mul(2_654_435_761) >> 17;
            let client: Client = match n % 3 {
                0 => format!("2001:db8::{scattered:x}").parse().unwrap(),
                _ => Client::from(IpAddr::from(Ipv4Addr::from(0x1400_0000 + scattered))),
            };
            changes.insert(client, (n % 4 != 0).then(|| listing(i64::from(n))));
        }
        // Everybody goes, in the end but one.
        if round == 4 {
            changes.extend(expected.keys().map(|client| (*client, None)));
        }
        for (client, listing) in &changes {
            match listing {
                Some(listing) => expected.insert(*client, listing.clone()),
                None => expected.remove(client),
            };
        }
        store
            .commit(
                changes,
                [],
                &[(Id::DEFAULT_SOURCE, position(round as i64))].into(),
            )
            .unwrap();
    }
    let Opened { kept, .. } = Store::open(&path).unwrap();
    assert!(kept.clients.iter().eq(expected));
    assert_eq!(kept.positions, [(Id::DEFAULT_SOURCE, position(5))].into());
}
