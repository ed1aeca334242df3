//! The access map with the real postmap and smtpd: what is published, and what stays when
//! publishing fails.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod smtpd;

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use pop_before_smtp::client::Client;
use pop_before_smtp::postfix::access_map::{AccessMap, Marks, PublishError};
use pop_before_smtp::postfix::command::{CommandError, Programs};
use pop_before_smtp::postfix::map_type::MapType;
use rustix::fs::{FlockOperation, Mode, flock};
use smtpd::{Answer, Smtpd};
use tempfile::TempDir;

const SENTINEL: &str = "pop-before-smtp.invalid";

/// A map in a directory of its own. Every test runs under the umask of a hardened unit.
fn map(kind: MapType) -> (TempDir, AccessMap) {
    rustix::process::umask(Mode::from_raw_mode(0o077));
    let directory = tempfile::tempdir().unwrap();
    let map = AccessMap::new(directory.path().join("clients"), kind, "OK");
    (directory, map)
}

fn clients(texts: &[&str]) -> Vec<Client> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

/// `count` clients, half of them IPv6.
fn many(count: u32) -> Vec<Client> {
    (0..count)
        .map(|n| {
            let text = if n % 2 == 0 {
                format!("10.{}.{}.{}", n >> 16 & 255, n >> 8 & 255, n & 255)
            } else {
                format!("2001:db8::{n:x}")
            };
            text.parse().unwrap()
        })
        .collect()
}

/// What `postmap -q` finds; `None` if it finds nothing and has no complaint.
fn find(map: &AccessMap, kind: MapType, key: &str) -> Option<String> {
    let output = Command::new("postmap")
        .args(["-q", key, &format!("{kind}:{}", map.path.display())])
        .output()
        .unwrap();
    let found = String::from_utf8(output.stdout).unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said, "", "{key}");
    output.status.success().then(|| found.trim_end().to_owned())
}

/// What is in the directory of the map.
fn files(map: &AccessMap) -> Vec<String> {
    let mut names: Vec<String> = fs::read_dir(map.path.parent().unwrap())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

fn name(path: &Path) -> String {
    path.file_name().unwrap().to_str().unwrap().to_owned()
}

/// What must not change when a publication fails.
fn state(map: &AccessMap) -> (Vec<u8>, Vec<u8>, u64, Vec<String>) {
    (
        fs::read(map.index()).unwrap(),
        fs::read(&map.path).unwrap(),
        fs::metadata(map.index()).unwrap().ino(),
        files(map),
    )
}

/// A postmap of another kind, in a directory of its own. Written by another process, so that no
/// descriptor of ours is open for writing when it is run.
fn postmap(script: &str) -> (TempDir, Programs) {
    let directory = tempfile::tempdir().unwrap();
    let status = Command::new("sh")
        .args([
            "-c",
            r#"printf '%s\n' '#!/bin/sh' "$1" >"$2" && chmod 755 "$2""#,
            "sh",
            script,
        ])
        .arg(directory.path().join("postmap"))
        .status()
        .unwrap();
    assert!(status.success());
    let mut programs = Programs::installed();
    programs.directories.insert(0, directory.path().to_owned());
    (directory, programs)
}

/// Between the moment when the map is in place and the end of the publication there is a sync.
#[test]
fn what_is_changed_while_it_is_put_in_place_is_not_taken_for_ours() {
    let (_directory, map) = map(MapType::Hash);
    let published = map.publish(&[]).unwrap();
    assert_eq!(published.marks.changes(&Marks::of(&map), &map), []);
    let index = map.index();
    let inode = || fs::metadata(&index).map(|found| found.ino()).ok();
    let before = inode();
    let published = thread::scope(|threads| {
        threads.spawn(|| {
            while inode() == before {
                std::hint::spin_loop();
            }
            fs::write(&index, "another").unwrap();
        });
        map.publish(&[]).unwrap()
    });
    let changes = published.marks.changes(&Marks::of(&map), &map);
    assert!(
        changes.iter().any(|change| change.path == index),
        "{changes:?}"
    );
}

#[test]
fn every_type_answers_for_both_families_and_for_nothing_else() {
    for kind in MapType::ALL {
        let (_directory, map) = map(kind);
        assert!(!map.exists());
        // Once more at the end: it is in there once.
        let listed = clients(&["2001:db8::10", "192.0.2.10", "fe80::1", "192.0.2.10"]);
        let published = map.publish(&listed).unwrap();
        assert_eq!(published.clients, 3, "{kind}");
        assert!(map.exists());
        for key in ["192.0.2.10", "2001:db8::10", "fe80::1"] {
            assert_eq!(find(&map, kind, key).as_deref(), Some("OK"), "{kind} {key}");
        }
        for key in [
            "192.0.2",
            "192",
            "2001:db8:",
            "2001:db8",
            "unknown",
            "192.0.2.1",
        ] {
            assert_eq!(find(&map, kind, key), None, "{kind} {key}");
        }
        let sentinel = find(&map, kind, SENTINEL).unwrap();
        assert!(sentinel.starts_with("DUNNO "), "{kind}: {sentinel}");

        // Readable by Postfix's users in spite of the umask; nothing else left.
        for path in [&map.path, &map.index()] {
            let metadata = fs::metadata(path).unwrap();
            assert_eq!(metadata.permissions().mode() & 0o7777, 0o644, "{kind}");
            assert_eq!(metadata.nlink(), 1);
        }
        let mut expected = vec![
            name(&map.path),
            name(&map.index()),
            "clients.lock".to_owned(),
        ];
        expected.sort();
        assert_eq!(files(&map), expected);
        // An index older than its source would make Postfix warn.
        let changed = |path: &Path| fs::metadata(path).unwrap().modified().unwrap();
        assert!(changed(&map.index()) >= changed(&map.path));
    }
}

#[test]
fn the_empty_map_is_a_map() {
    for kind in MapType::ALL {
        let (_directory, map) = map(kind);
        map.publish(&clients(&["192.0.2.10"])).unwrap();
        assert_eq!(map.publish(&[]).unwrap().clients, 0);
        assert_eq!(find(&map, kind, "192.0.2.10"), None, "{kind}");
        assert!(find(&map, kind, SENTINEL).is_some(), "{kind}");
    }
}

#[test]
fn the_value_is_that_of_the_configuration() {
    let (_directory, mut map) = map(MapType::Hash);
    map.value = "RELAY pop before smtp".to_owned();
    map.publish(&clients(&["192.0.2.10"])).unwrap();
    let found = find(&map, map.kind, "192.0.2.10");
    assert_eq!(found.as_deref(), Some("RELAY pop before smtp"));
}

#[test]
fn ten_thousand_clients_are_all_there() {
    let (_directory, map) = map(MapType::Lmdb);
    let listed = many(10_000);
    map.publish(&listed).unwrap();
    let table = format!("lmdb:{}", map.path.display());
    let output = Command::new("postmap")
        .args(["-s", &table])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let mut found: Vec<&str> = text
        .lines()
        .filter_map(|line| line.split('\t').next())
        .filter(|key| *key != SENTINEL)
        .collect();
    let mut expected: Vec<String> = listed.iter().map(Client::to_string).collect();
    found.sort_unstable();
    expected.sort_unstable();
    assert_eq!(found, expected);
}

/// A running smtpd sees each of several publications within one second, and never fails.
#[test]
fn smtpd_decides_by_what_was_published_last() {
    let maps = MapType::ALL.map(map);
    let restrictions: Vec<String> = maps
        .iter()
        .map(|(_, map)| {
            format!(
                "check_client_access {}:{}, reject",
                map.kind,
                map.path.display()
            )
        })
        .collect();
    let parameters: Vec<[(&str, &str); 1]> = restrictions
        .iter()
        .map(|text| [("smtpd_relay_restrictions", text.as_str())])
        .collect();
    let services: Vec<&[(&str, &str)]> = parameters.iter().map(|p| p.as_slice()).collect();
    for (_, map) in &maps {
        map.publish(&[]).unwrap();
    }
    let Some(smtpd) = Smtpd::start(&services) else {
        return;
    };
    let pairs = [
        ["192.0.2.10", "2001:db8:0:1::a"],
        ["198.51.100.7", "2001:db8::10"],
    ];
    for (service, (_, map)) in maps.iter().enumerate() {
        assert_eq!(smtpd.ask(service, "192.0.2.10"), Answer::Refuses);
        for round in 0..6 {
            let (listed, others) = (pairs[round % 2], pairs[(round + 1) % 2]);
            map.publish(&clients(&listed)).unwrap();
            for client in listed {
                let answer = smtpd.ask(service, client);
                assert_eq!(answer, Answer::Relays, "{} {client} {round}", map.kind);
            }
            for client in others.into_iter().chain(["192.0.2.1", "2001:db8:0:1::b"]) {
                let answer = smtpd.ask(service, client);
                assert_eq!(answer, Answer::Refuses, "{} {client} {round}", map.kind);
            }
        }
    }
}

#[test]
fn readers_always_find_the_client_that_is_in_every_map() {
    for kind in MapType::ALL {
        let (_directory, map) = map(kind);
        let constant = "192.0.2.10";
        let published = |n: u32| {
            let mut listed = many(n * 7);
            listed.push(constant.parse().unwrap());
            map.publish(&listed).unwrap();
        };
        published(0);
        let done = AtomicBool::new(false);
        thread::scope(|scope| {
            let readers: Vec<_> = (0..2)
                .map(|_| {
                    scope.spawn(|| {
                        let mut lookups = 0;
                        while !done.load(Ordering::Relaxed) {
                            let found = find(&map, kind, constant);
                            assert_eq!(found.as_deref(), Some("OK"), "{kind}");
                            lookups += 1;
                        }
                        lookups
                    })
                })
                .collect();
            for n in 1..=50 {
                published(n);
            }
            done.store(true, Ordering::Relaxed);
            for reader in readers {
                assert!(reader.join().unwrap() > 10, "{kind}");
            }
        });
    }
}

#[test]
fn a_postmap_that_fails_in_any_way_leaves_the_old_map_whole() {
    let live = |kind: MapType| name(&kind.index(Path::new("clients")));
    for kind in MapType::ALL {
        let live = live(kind);
        let extension = live.strip_prefix("clients").unwrap();
        let build = r#"case "$1" in -q) exec /usr/sbin/postmap "$@";; esac; source=${1#*:}"#;
        for (script, culprit) in [
            (
                "echo 'postmap: fatal: open database: out of luck' >&2; exit 1".to_owned(),
                "exit code 1: postmap: fatal: open database: out of luck",
            ),
            ("kill -9 $$".to_owned(), "killed by signal 9"),
            (
                "sleep 1000 & wait".to_owned(),
                "killed, as it had not ended after 0.5 s",
            ),
            (
                "case \"$1\" in -q) sleep 1000;; *) exec /usr/sbin/postmap \"$@\";; esac"
                    .to_owned(),
                "killed, as it had not ended after 0.5 s",
            ),
            ("exit 0".to_owned(), "made no "),
            // An index of the type that a migrating Postfix writes instead.
            (format!("{build}; : >\"$source.other\""), "made no"),
            // The index of the map before.
            (
                format!("{build}; cp \"${{source%.new}}{extension}\" \"$source{extension}\""),
                "does not hold what was written",
            ),
            (
                format!("{build}; : >\"$source{extension}\""),
                "does not hold what was written",
            ),
            // The last line is missing.
            (
                format!(
                    "{build}; head -n 4 \"$source\" >\"$source.cut\"; \
                     /usr/sbin/postmap \"${{1%%:*}}:$source.cut\" && \
                     mv \"$source.cut{extension}\" \"$source{extension}\"; rm \"$source.cut\""
                ),
                "does not hold what was written",
            ),
            // Half of it is written when it fails.
            (
                format!("{build}; echo rubbish >\"$source{extension}\"; exit 1"),
                "exit code 1",
            ),
            (
                format!("{build}; ln -s /etc/passwd \"$source{extension}\""),
                "can't open",
            ),
        ] {
            let (directory, mut map) = map(kind);
            map.publish(&clients(&["192.0.2.10", "2001:db8::10"]))
                .unwrap();
            let before = state(&map);
            let good = map.programs.clone();

            let (_programs, mut bad) = postmap(&script);
            // A postmap that fails does so after a second.
            let hangs = script.contains("sleep");
            bad.limit = Duration::from_millis(if hangs { 500 } else { 30_000 });
            map.programs = bad;
            let started = Instant::now();
            let listed = clients(&["198.51.100.7", "198.51.100.8", "198.51.100.9"]);
            let error = map.publish(&listed).unwrap_err().to_string();
            assert!(error.contains(culprit), "{kind} {script}: {error}");
            assert!(started.elapsed() < Duration::from_secs(10));

            // `.other` is not ours to remove.
            let _ = fs::remove_file(directory.path().join("clients.new.other"));
            assert_eq!(state(&map), before, "{kind} {script}");
            let found = find(&map, kind, "192.0.2.10");
            assert_eq!(found.as_deref(), Some("OK"), "{kind} {script}");
            assert_eq!(find(&map, kind, "198.51.100.7"), None, "{kind} {script}");

            map.programs = good;
            map.publish(&clients(&["198.51.100.7"])).unwrap();
            assert_eq!(find(&map, kind, "198.51.100.7").as_deref(), Some("OK"));
            assert_eq!(find(&map, kind, "192.0.2.10"), None);
        }
    }
}

/// One that is started before there is an index may not wait for its key to open it.
#[test]
fn a_postmap_that_opens_the_index_too_early_is_asked_again() {
    let script = "[ \"$1$2\" = -q- ] && exec /usr/sbin/postmap -q x \"$3\"
                  exec /usr/sbin/postmap \"$@\"";
    let (_programs, early) = postmap(script);
    for kind in MapType::ALL {
        let (_directory, mut map) = map(kind);
        map.programs = early.clone();
        map.publish(&clients(&["192.0.2.10"])).unwrap();
        assert_eq!(find(&map, kind, "192.0.2.10").as_deref(), Some("OK"));
    }
}

#[test]
fn leftovers_of_a_killed_publisher_are_no_obstacle() {
    for kind in MapType::ALL {
        let (directory, map) = map(kind);
        for leftover in [
            "clients.new",
            "clients.new.db",
            "clients.new.lmdb",
            "clients.new.cdb",
            "clients.new.cdb.tmp",
            "__db.clients.new.db",
        ] {
            fs::write(directory.path().join(leftover), "rubbish").unwrap();
        }
        map.publish(&clients(&["192.0.2.10"])).unwrap();
        assert_eq!(find(&map, kind, "192.0.2.10").as_deref(), Some("OK"));
        assert_eq!(files(&map).len(), 3, "{:?}", files(&map));
    }
}

#[test]
fn where_it_can_not_write_the_error_names_the_file_and_what_to_do() {
    let map = AccessMap::new("/nonexistent/clients", MapType::Hash, "OK");
    let error = map.publish(&[]).unwrap_err().to_string();
    assert!(
        error.starts_with("/nonexistent/clients.lock: can't open the lock: ")
            && error.ends_with("(the directory must exist)"),
        "{error}"
    );
    let map = AccessMap::new("/proc/clients", MapType::Hash, "OK");
    assert!(map.publish(&[]).is_err());
}

#[test]
fn a_missing_postmap_is_said_so() {
    let (directory, mut map) = map(MapType::Hash);
    map.programs.directories = vec![directory.path().to_owned()];
    let error = map.publish(&[]).unwrap_err();
    assert!(
        matches!(error, PublishError::Postmap(CommandError::NotFound { .. })),
        "{error}"
    );
}

/// A small file system in memory, gone when this is dropped.
struct SmallDisk {
    directory: TempDir,
}

impl SmallDisk {
    /// `None`, and the reason on standard error, where the machine does not let us.
    fn mount() -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let output = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=256k", "tmpfs"])
            .arg(directory.path())
            .output()
            .unwrap();
        if !output.status.success() {
            let why = String::from_utf8_lossy(&output.stderr).into_owned();
            eprintln!("skipped: no small file system to fill: {why}");
            return None;
        }
        Some(SmallDisk { directory })
    }

    /// Fills it up but for so many bytes.
    fn fill(&self, free: u64) -> PathBuf {
        let path = self.directory.path().join("filler");
        let mut filler = File::create(&path).unwrap();
        while filler.write_all(&[0; 1024]).is_ok() {}
        let size = filler.metadata().unwrap().len();
        filler.set_len(size.saturating_sub(free)).unwrap();
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.directory.path()).status();
    }
}

#[test]
fn a_full_disk_leaves_the_old_map_whole_and_it_recovers_by_itself() {
    for kind in MapType::ALL {
        let Some(disk) = SmallDisk::mount() else {
            return;
        };
        let map = AccessMap::new(disk.directory.path().join("clients"), kind, "OK");
        map.publish(&clients(&["192.0.2.10"])).unwrap();
        let mut failures = 0;
        // From no room at all, through room for the source but not for the index, to room.
        for free in (0..=80).step_by(4) {
            let filler = disk.fill(free * 1024);
            let before = state(&map);
            let mut listed = many(200);
            listed.push("192.0.2.10".parse().unwrap());
            match map.publish(&listed) {
                Ok(_) => {
                    for key in ["10.0.0.198", "2001:db8::c7"] {
                        let found = find(&map, kind, key);
                        assert_eq!(found.as_deref(), Some("OK"), "{kind} {free} {key}");
                    }
                }
                Err(error) => {
                    failures += 1;
                    assert_eq!(state(&map), before, "{kind} {free}: {error}");
                }
            }
            let found = find(&map, kind, "192.0.2.10");
            assert_eq!(found.as_deref(), Some("OK"), "{kind} {free}");
            fs::remove_file(filler).unwrap();
            map.publish(&clients(&["192.0.2.10"])).unwrap();
            assert_eq!(find(&map, kind, "10.0.0.198"), None);
        }
        assert!(failures > 1, "{kind}: it never was full");
    }
}

#[test]
fn maps_of_other_types_are_emptied_once() {
    for old in MapType::ALL {
        let (_directory, mut map) = map(old);
        map.publish(&clients(&["192.0.2.10"])).unwrap();
        let new = if old == MapType::Lmdb {
            MapType::Hash
        } else {
            MapType::Lmdb
        };
        map.kind = new;
        map.publish(&clients(&["192.0.2.10"])).unwrap();
        let source = fs::read(&map.path).unwrap();

        assert_eq!(map.withdraw_other_types().unwrap(), [old]);
        assert_eq!(find(&map, old, "192.0.2.10"), None, "{old}");
        assert!(
            find(&map, old, SENTINEL)
                .unwrap()
                .starts_with("DUNNO withdrawn ")
        );
        assert_eq!(find(&map, new, "192.0.2.10").as_deref(), Some("OK"));
        assert_eq!(fs::read(&map.path).unwrap(), source);
        assert_eq!(files(&map).len(), 4, "{:?}", files(&map));
        let emptied = fs::metadata(old.index(&map.path)).unwrap();
        assert_eq!(emptied.permissions().mode() & 0o7777, 0o644);

        assert_eq!(map.withdraw_other_types().unwrap(), []);
        assert_eq!(
            fs::metadata(old.index(&map.path)).unwrap().ino(),
            emptied.ino()
        );

        // And back again.
        map.kind = old;
        map.publish(&clients(&["192.0.2.10"])).unwrap();
        assert_eq!(map.withdraw_other_types().unwrap(), [new]);
        assert_eq!(find(&map, old, "192.0.2.10").as_deref(), Some("OK"));
    }
}

#[test]
fn a_map_of_another_type_that_can_not_be_emptied_is_reported() {
    let (_directory, mut map) = map(MapType::Hash);
    map.publish(&clients(&["192.0.2.10"])).unwrap();
    map.kind = MapType::Lmdb;
    map.publish(&clients(&["192.0.2.10"])).unwrap();
    let (_programs, bad) = postmap("echo 'fatal: unsupported dictionary type: hash' >&2; exit 1");
    map.programs = bad;
    let error = map.withdraw_other_types().unwrap_err().to_string();
    assert!(
        error.contains("unsupported dictionary type: hash"),
        "{error}"
    );
}

#[test]
fn two_publishers_take_turns() {
    let (_directory, map) = map(MapType::Lmdb);
    thread::scope(|scope| {
        for client in ["192.0.2.10", "198.51.100.7"] {
            let map = &map;
            scope.spawn(move || {
                for _ in 0..20 {
                    map.publish(&clients(&[client])).unwrap();
                }
            });
        }
    });
    let listed = ["192.0.2.10", "198.51.100.7"].map(|client| find(&map, map.kind, client));
    assert_eq!(listed.iter().flatten().count(), 1, "{listed:?}");
    assert_eq!(files(&map).len(), 3, "{:?}", files(&map));
}

/// Whoever can open the lock can hold it for ever.
#[test]
fn the_lock_is_closed_to_others_and_open_to_the_owner_of_the_directory() {
    let (directory, map) = map(MapType::Hash);
    let root = rustix::process::geteuid().is_root();
    if root {
        std::os::unix::fs::chown(directory.path(), Some(65534), Some(65534)).unwrap();
    }
    map.publish(&[]).unwrap();
    let lock = fs::metadata(map.path.with_extension("lock")).unwrap();
    assert_eq!(lock.permissions().mode() & 0o7777, 0o600);
    let owner = fs::metadata(directory.path()).unwrap();
    assert_eq!((lock.uid(), lock.gid()), (owner.uid(), owner.gid()));
    if root {
        assert_eq!(lock.uid(), 65534);
    }
}

#[test]
fn a_lock_that_others_can_take_or_nobody_can_open_gives_way_to_a_new_one() {
    for script in [
        "chmod 666 clients.lock",
        "chmod 000 clients.lock",
        "ln clients.lock second",
        "echo another >clients.lock",
        "ln -sf clients clients.lock",
        "rm clients.lock; mkfifo clients.lock",
    ] {
        let (directory, map) = map(MapType::Hash);
        map.publish(&[]).unwrap();
        let mut shell = Command::new("sh");
        shell.args(["-ec", script]).current_dir(directory.path());
        assert!(shell.status().unwrap().success());
        map.publish(&clients(&["192.0.2.10"])).unwrap();
        let lock = fs::symlink_metadata(map.path.with_extension("lock")).unwrap();
        assert!(lock.is_file(), "{script}");
        let found = (lock.mode() & 0o7777, lock.nlink(), lock.len());
        assert_eq!(found, (0o600, 1, 0), "{script}");
    }
    // What is in it can't be ours to remove.
    let (directory, map) = map(MapType::Hash);
    fs::create_dir(directory.path().join("clients.lock")).unwrap();
    let error = map.publish(&[]).unwrap_err().to_string();
    assert!(
        error.contains("clients.lock: can't open the lock"),
        "{error}"
    );
}

#[test]
fn who_waits_for_a_lock_that_is_taken_away_takes_the_new_one() {
    let (_directory, map) = map(MapType::Hash);
    map.publish(&[]).unwrap();
    let path = map.path.with_extension("lock");
    let lock = File::open(&path).unwrap();
    flock(&lock, FlockOperation::LockExclusive).unwrap();
    fs::remove_file(&path).unwrap();
    map.publish(&clients(&["192.0.2.10"])).unwrap();
    assert_eq!(find(&map, map.kind, "192.0.2.10").as_deref(), Some("OK"));
}

#[test]
fn a_publisher_that_never_lets_go_is_named_after_a_while() {
    let (_directory, mut map) = map(MapType::Hash);
    map.publish(&clients(&["192.0.2.10"])).unwrap();
    let before = state(&map);
    let lock = File::open(map.path.with_extension("lock")).unwrap();
    flock(&lock, FlockOperation::LockExclusive).unwrap();
    map.programs.limit = Duration::from_millis(100);
    let error = map.publish(&[]).unwrap_err();
    assert!(matches!(error, PublishError::Locked { .. }), "{error}");
    assert!(
        error
            .to_string()
            .contains("clients.lock: still locked after 0.2 s"),
        "{error}"
    );
    assert_eq!(state(&map), before);

    drop(lock);
    map.programs.limit = Duration::from_secs(30);
    map.publish(&[]).unwrap();
}
