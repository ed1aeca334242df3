//! The real postconf, postmap and smtpd: which map types there are, and who may relay anyway.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod smtpd;

use std::fs::{self, File};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use pop_before_smtp::networks::Networks;
use pop_before_smtp::postfix::access_map::{AccessMap, kind_at};
use pop_before_smtp::postfix::command::Programs;
use pop_before_smtp::postfix::map_type::MapType;
use pop_before_smtp::postfix::postconf::{default_type, mynetworks, supported_types};
use smtpd::{Answer, Smtpd};
use tempfile::TempDir;

/// Writes a file that looks old: Postfix waits for a second or two before it reads one that has
/// just been changed, lest it read half of it.
fn write_old(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    let hour = Duration::from_secs(3600);
    let file = File::options().write(true).open(path).unwrap();
    file.set_modified(SystemTime::now() - hour).unwrap();
}

/// A configuration of Postfix with these lines in main.cf.
fn configuration(main: &str) -> (TempDir, Programs) {
    let directory = tempfile::tempdir().unwrap();
    let main = format!("compatibility_level = 3.6\n{main}\n");
    write_old(&directory.path().join("main.cf"), &main);
    write_old(&directory.path().join("master.cf"), "");
    for file in ["dynamicmaps.cf", "dynamicmaps.cf.d"] {
        let installed = Path::new("/etc/postfix").join(file);
        if installed.exists() {
            std::os::unix::fs::symlink(installed, directory.path().join(file)).unwrap();
        }
    }
    let programs = Programs {
        configuration: Some(directory.path().to_owned()),
        ..Programs::installed()
    };
    (directory, programs)
}

fn contains(networks: &Networks, address: &str) -> bool {
    networks.contains(address.parse::<IpAddr>().unwrap())
}

#[test]
fn the_types_of_this_postfix_the_best_first() {
    let (_directory, programs) = configuration("");
    let types = supported_types(&programs).unwrap();
    assert_eq!(types, MapType::ALL, "install postfix-lmdb and postfix-cdb");
}

#[test]
fn the_default_type_is_postfixs_own_if_we_can_use_it() {
    for (main, kind) in [
        ("default_database_type = cdb", MapType::Cdb),
        ("default_database_type = btree", MapType::Btree),
        ("default_database_type = hash", MapType::Hash),
        ("default_database_type = texthash", MapType::Lmdb),
        ("default_database_type = sdbm", MapType::Lmdb),
    ] {
        let (_directory, programs) = configuration(main);
        assert_eq!(default_type(&programs).unwrap(), kind, "{main}");
    }
}

/// An upgrade of Postfix may change its default, and main.cf names the former type.
#[test]
fn the_type_of_the_map_that_is_there_stays() {
    for kind in MapType::ALL {
        let other = match kind {
            MapType::Cdb => "lmdb",
            _ => "cdb",
        };
        let (directory, programs) = configuration(&format!("default_database_type = {other}"));
        let path = directory.path().join("clients");
        assert_eq!(kind_at(&path, &programs).unwrap().name(), other);

        let map = AccessMap {
            programs: programs.clone(),
            ..AccessMap::new(&path, kind, "OK")
        };
        map.publish(&[]).unwrap();
        assert_eq!(kind_at(&path, &programs).unwrap(), kind);
    }
}

#[test]
fn of_several_maps_it_is_the_type_of_the_one_that_was_not_emptied() {
    for (old, new) in [
        (MapType::Hash, MapType::Lmdb),
        (MapType::Lmdb, MapType::Hash),
    ] {
        let (directory, programs) = configuration("default_database_type = cdb");
        let mut map = AccessMap {
            programs: programs.clone(),
            ..AccessMap::new(directory.path().join("clients"), old, "OK")
        };
        map.publish(&[]).unwrap();
        map.kind = new;
        map.publish(&[]).unwrap();
        map.withdraw_other_types().unwrap();
        assert_eq!(kind_at(&map.path, &programs).unwrap(), new);
    }
}

/// Postfix 3.11 with `postfix non-bdb enable-redirect`: postmap hash:X makes X.cdb.
#[test]
fn types_that_postfix_redirects_are_not_had() {
    let (_directory, programs) = postconf(
        "case $* in
         -m) printf '%s\\n' btree cdb hash lmdb ;;
         '-h default_database_type') echo cdb ;;
         '-h non_bdb_migration_level') echo enable-redirect ;;
         esac",
    );
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("clients");
    AccessMap::new(&path, MapType::Hash, "OK")
        .publish(&[])
        .unwrap();
    assert_eq!(
        supported_types(&programs).unwrap(),
        [MapType::Lmdb, MapType::Cdb]
    );
    assert_eq!(kind_at(&path, &programs).unwrap(), MapType::Cdb);
}

#[test]
fn without_a_type_of_ours_the_error_names_the_package() {
    let (_directory, programs) = postconf("printf '%s\\n' cidr regexp texthash");
    let error = default_type(&programs).unwrap_err().to_string();
    assert!(error.contains("cidr, regexp, texthash"), "{error}");
    assert!(error.contains("install postfix-lmdb"), "{error}");
}

/// The postconf of a Postfix that we don't have.
fn postconf(script: &str) -> (TempDir, Programs) {
    let directory = tempfile::tempdir().unwrap();
    let script = format!("#!/bin/sh\n{script}\n");
    let written = Command::new("sh")
        .args([
            "-c",
            r#"printf %s "$1" >"$2" && chmod 755 "$2""#,
            "sh",
            &script,
        ])
        .arg(directory.path().join("postconf"))
        .status()
        .unwrap();
    assert!(written.success());
    let programs = Programs {
        directories: vec![directory.path().to_owned()],
        ..Programs::installed()
    };
    (directory, programs)
}

#[test]
fn a_configuration_that_is_not_there_is_an_error() {
    let programs = Programs {
        configuration: Some("/nonexistent".into()),
        ..Programs::installed()
    };
    let error = mynetworks(&programs, None).unwrap_err().to_string();
    assert!(
        error.starts_with("postconf -n mynetworks: exit code 1: ")
            && error.contains("/nonexistent/main.cf: No such file"),
        "{error}"
    );
}

#[test]
fn what_main_cf_sets_counts_whatever_was_computed() {
    let (directory, programs) = configuration(
        "ours = 10.0.0.0/8\nmynetworks = $ours,\n  ${config_directory}/nets [2001:db8::]/32",
    );
    fs::write(directory.path().join("nets"), "# a\n192.0.2.0/24\n").unwrap();
    let computed = directory.path().join("computed");
    fs::write(&computed, "203.0.113.0/24\n").unwrap();
    for computed in [
        None,
        Some(computed.as_path()),
        Some(Path::new("/nonexistent")),
    ] {
        let (networks, warnings) = mynetworks(&programs, computed).unwrap();
        assert_eq!(warnings, Vec::<String>::new());
        assert_eq!(
            networks.to_string(),
            "10.0.0.0/8 192.0.2.0/24 [2001:db8::]/32"
        );
    }
}

#[test]
fn unset_it_is_what_was_computed_outside_of_the_sandbox() {
    let (directory, programs) = configuration("");
    let computed = directory.path().join("computed");
    fs::write(&computed, "127.0.0.0/8 203.0.113.0/24 [::1]/128\n").unwrap();
    let (networks, warnings) = mynetworks(&programs, Some(&computed)).unwrap();
    assert_eq!(warnings, Vec::<String>::new());
    assert_eq!(networks.to_string(), "127.0.0.0/8 203.0.113.0/24 [::1]/128");

    // Without such a file asked for, it is computed here.
    let (networks, _) = mynetworks(&programs, None).unwrap();
    assert!(contains(&networks, "127.0.0.1"), "{networks}");
}

#[test]
fn unset_and_not_computed_permits_nobody_and_warns() {
    let (directory, programs) = configuration("");
    let empty = directory.path().join("empty");
    fs::write(&empty, "\n").unwrap();
    let fifo = directory.path().join("fifo");
    let made = Command::new("mkfifo").arg(&fifo).status().unwrap();
    assert!(made.success());
    let missing: PathBuf = "/nonexistent/mynetworks".into();
    for (path, why) in [
        (&missing, "No such file or directory"),
        (&empty, "it is empty"),
        (&fifo, "not a regular file"),
    ] {
        let (networks, warnings) = mynetworks(&programs, Some(path)).unwrap();
        assert_eq!(networks, Networks::default());
        assert_eq!(warnings.len(), 1);
        assert!(
            warnings[0].starts_with(path.to_str().unwrap()),
            "{warnings:?}"
        );
        assert!(warnings[0].contains(why), "{warnings:?}");
        assert!(warnings[0].contains("pop-before-smtp-networks.service"));
    }
}

#[test]
fn tables_of_all_types_are_read() {
    let (directory, programs) = configuration("mynetworks = $tables");
    let path = directory.path();
    let mut tables = Vec::new();
    for (number, kind) in (1..).zip(["hash", "btree", "lmdb"]) {
        let table = format!("{kind}:{}/{kind}", path.display());
        fs::write(
            path.join(kind),
            format!("10.0.0.{number} yes\n2001:DB8::{number} yes\n"),
        )
        .unwrap();
        let made = Command::new("postmap").arg(&table).status().unwrap();
        assert!(made.success(), "{table}");
        tables.push(table);
    }
    fs::write(path.join("text"), "10.0.0.4 yes\n").unwrap();
    tables.push(format!("texthash:{}/text", path.display()));
    fs::write(
        path.join("cidr"),
        "if 192.0.2.0/24\n!192.0.2.128/25 yes\nendif\n",
    )
    .unwrap();
    tables.push(format!("cidr:{}/cidr", path.display()));
    fs::write(path.join("cdb"), "10.0.0.5 yes\n").unwrap();
    tables.push(format!("cdb:{}/cdb", path.display()));
    tables.push("hash:/nonexistent/table".to_owned());
    tables.push("10.0.0.6".to_owned());
    let main = format!(
        "compatibility_level = 3.6\nmynetworks = {}\n",
        tables.join(" ")
    );
    write_old(&path.join("main.cf"), &main);

    let (networks, warnings) = mynetworks(&programs, None).unwrap();
    for address in [
        "10.0.0.1",
        "2001:db8::1",
        "10.0.0.2",
        "2001:db8::2",
        "10.0.0.3",
        "2001:db8::3",
        "10.0.0.4",
        "192.0.2.5",
        "10.0.0.6",
    ] {
        assert!(
            contains(&networks, address),
            "{address}: {networks} {warnings:?}"
        );
    }
    for address in ["10.0.0.5", "192.0.2.129", "10.0.0.7"] {
        assert!(!contains(&networks, address), "{address}: {networks}");
    }
    assert_eq!(warnings.len(), 2, "{warnings:?}");
    assert!(warnings[0].contains("cdb can't be listed"), "{warnings:?}");
    assert!(warnings[1].contains("/nonexistent/table"), "{warnings:?}");
}

/// Each list as the real smtpd decides on it, asked as these clients.
#[test]
fn nobody_is_permitted_whom_smtpd_does_not_permit() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        write_old(&path, text);
        path.to_str().unwrap().to_owned()
    };
    let inner = file("inner", "198.51.100.7\n!203.0.113.9\n");
    let nets = file(
        "nets",
        &format!("# ours\n10.0.0.0/8\n  192.0.2.1 # printer\n!{inner}\n198.51.100.0/24\n"),
    );
    let cidr = file(
        "cidr",
        "if 10.0.0.0/8\n!10.0.0.0/30 x\nendif\nif bogus\n192.0.2.1 x\nendif\n203.0.113.9\n \n# c\n  x\n",
    );
    let keys = file(
        "keys",
        "10.0.0.5 x\n2001:DB8::1 x\n192.0.2 x\n203.0.113.9\n",
    );
    let postmap = Command::new("postmap")
        .arg(format!("hash:{keys}"))
        .output()
        .unwrap();
    assert!(postmap.status.success());
    // Those that we understand as Postfix does, and those of which we may understand less.
    let exact = [
        "127.0.0.0/8 [::ffff:127.0.0.0]/104 [::1]/128".to_owned(),
        "10.0.0.0/8,192.0.2.1 [2001:DB8::0:1] [2001:db9:0:0::/64]".to_owned(),
        "!!10.0.0.5 !10.0.0.0/8 0.0.0.0/0 ![2001:db8::1] [::]/0".to_owned(),
        "[10.0.0.0]/08 [192.0.2.0/24] ![198.51.100.7] [198.51.100.0/24]".to_owned(),
        "10.0.0.0/8 # 192.0.2.0/24".to_owned(),
        "192.168.1 cafe.de 010.0.0.5 198.51.100.7".to_owned(),
        nets.clone(),
        format!("!{nets} 0.0.0.0/0"),
        format!("!{inner}, {inner}, 10.0.0.0/8"),
        format!("cidr:{cidr}"),
        format!("!cidr:{cidr} 0.0.0.0/0"),
        format!("hash:{keys}, texthash:{keys}"),
        "cidr:{{192.0.2.0/24 OK}, {!2001:db8::/32 x}, {if 198.51.100.0/24}, {198.51.100.7 y}}"
            .to_owned(),
        "inline:{10.0.0.5=x, {192.0.2.1 = y}, 2001:db8::1=z}".to_owned(),
        String::new(),
    ];
    let careful = [
        "10.0.0.5/8 192.0.2.0/24 [2001:db8::]/32".to_owned(),
        "192.0.2.0/24 [2001:db8::1]/32 10.0.0.0/8".to_owned(),
        "192.0.2.0/24 2001:db8::/32 10.0.0.0/8".to_owned(),
        "192.0.2.0/24 /nonexistent 10.0.0.0/8".to_owned(),
        "192.0.2.0/24 0.0.0.0/33 10.0.0.0/8".to_owned(),
        "192.0.2.0/24 nosuch:/x 10.0.0.0/8".to_owned(),
        "192.0.2.0/24 !nosuch:/x 10.0.0.0/8".to_owned(),
        "192.0.2.0/24 [10.0.0.5 10.0.0.0/8".to_owned(),
        format!("!hash:{keys} 0.0.0.0/0"),
        "static:all".to_owned(),
    ];
    let clients = [
        "10.0.0.1",
        "10.0.0.5",
        "10.1.1.1",
        "11.0.0.1",
        "127.0.0.1",
        "192.0.2.1",
        "192.0.2.2",
        "198.51.100.7",
        "198.51.100.8",
        "203.0.113.9",
        "2001:db8::1",
        "2001:db8::2",
        "2001:db9::5",
        "2001:db9:0:1::5",
        "::1",
    ];
    let lists: Vec<&String> = exact.iter().chain(&careful).collect();
    let parameters: Vec<[(&str, &str); 2]> = lists
        .iter()
        .map(|list| {
            let restrictions = "permit_mynetworks, reject";
            [
                ("mynetworks", list.as_str()),
                ("smtpd_relay_restrictions", restrictions),
            ]
        })
        .collect();
    let services: Vec<&[(&str, &str)]> = parameters.iter().map(|p| p.as_slice()).collect();
    let Some(smtpd) = Smtpd::start(&services) else {
        return;
    };
    let mut disagreements = Vec::new();
    for (service, list) in lists.iter().enumerate() {
        let (_configuration, programs) = configuration(&format!("mynetworks = {list}"));
        let (networks, _) = mynetworks(&programs, None).unwrap();
        for client in clients {
            let answer = smtpd.ask(service, client);
            let ours = contains(&networks, client);
            let agreed = if service < exact.len() {
                answer != Answer::Fails && ours == (answer == Answer::Relays)
            } else {
                // Where smtpd fails, it does not matter whether the client is listed.
                !ours || answer != Answer::Refuses
            };
            if !agreed {
                disagreements.push(format!("{list:?}: {client}: {ours}, smtpd {answer:?}"));
            }
        }
    }
    assert!(
        disagreements.is_empty(),
        "{disagreements:#?}\n{}",
        smtpd.log()
    );
}
