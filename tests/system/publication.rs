//! The way of the whitelist to Postfix, when something is in it: a bad postmap, a full disk. The map
//! that Postfix reads stays whole, `status` tells of it, and the service recovers by itself. And what
//! somebody else does to the map is mended by itself, too.

use std::time::{Duration, Instant};

use crate::host::{Host, NEAR, wait_until};
use crate::image::Release;
use crate::mail::{Answer, fetch_mail, send_mail};
use crate::service::{SETTINGS, SOON, STATE};

/// The service lets postmap run for half a minute.
const HUNG: Duration = Duration::from_secs(60);
/// Between two tries, the service may wait.
const RETRIED: Duration = Duration::from_secs(60);

/// Puts a shell script in the place of postmap.
fn replace_postmap(host: &Host, script: &str) {
    host.sh("mv /usr/sbin/postmap /usr/sbin/postmap.real");
    host.write_file("/usr/sbin/postmap", &format!("#!/bin/sh\n{script}\n"));
    host.sh("chmod 755 /usr/sbin/postmap");
}

fn give_postmap_back(host: &Host) {
    host.sh("mv /usr/sbin/postmap.real /usr/sbin/postmap");
}

/// While publications fail: `status` says so, and Postfix reads the map as it was.
fn assert_map_is_kept(host: &Host, listed: &str, new: &str, within: Duration) {
    let problems = wait_until("status tells of a problem", within, || {
        let problems = host.status().problems;
        (!problems.is_empty()).then_some(problems)
    });
    println!("{new}: {problems:?}");
    assert!(host.listed().contains(&new.to_owned()), "it knows of {new}");
    assert!(host.map_permits(listed));
    assert!(!host.map_permits(new));
    assert_eq!(send_mail(host, listed), Answer::Accepted);
    assert_eq!(send_mail(host, new), Answer::Refused);
}

fn assert_recovers(host: &Host, new: &str) {
    let start = Instant::now();
    wait_until("the map is published again", RETRIED, || {
        host.map_permits(new).then_some(())
    });
    wait_until("status is content", SOON, || {
        host.status().problems.is_empty().then_some(())
    });
    println!("{new}: recovered after {:?}", start.elapsed());
    assert_eq!(send_mail(host, new), Answer::Accepted);
}

#[test]
fn postmap_does_not_work() {
    let host = Host::with_service(Release::any(), "");
    fetch_mail(&host, NEAR[0]);
    host.await_clients(&[NEAR[0]]);
    let cases = [
        (
            "192.0.2.11",
            "echo 'postmap: fatal: no way' >&2; exit 1",
            SOON,
        ),
        ("192.0.2.12", "exit 0", SOON),
        ("192.0.2.13", "exec sleep infinity", HUNG),
    ];
    for (client, script, within) in cases {
        replace_postmap(&host, script);
        fetch_mail(&host, client);
        assert_map_is_kept(&host, NEAR[0], client, within);
        give_postmap_back(&host);
        assert_recovers(&host, client);
    }
    host.await_clients(&[NEAR[0], "192.0.2.11", "192.0.2.12", "192.0.2.13"]);
}

#[test]
fn no_room_in_the_directory() {
    let host = Host::with_service(Release::any(), "");
    // A state directory that is a small file system of its own.
    host.systemctl("stop");
    host.sh(&format!(
        "cp -a {STATE} /var/tmp/state
         mount -t tmpfs -o size=24m,mode=755 tmpfs {STATE}
         cp -a /var/tmp/state/. {STATE}"
    ));
    host.systemctl("start");
    fetch_mail(&host, NEAR[0]);
    host.await_clients(&[NEAR[0]]);
    host.sh(&format!(
        "cat /dev/zero >{STATE}/filler 2>/dev/null || true; df {STATE}"
    ));
    fetch_mail(&host, "192.0.2.11");
    assert_map_is_kept(&host, NEAR[0], "192.0.2.11", SOON);
    // It goes on so for a while: nothing is lost by trying again.
    fetch_mail(&host, "192.0.2.12");
    host.run(&["rm", &format!("{STATE}/filler")]);
    assert_recovers(&host, "192.0.2.11");
    host.await_clients(&[NEAR[0], "192.0.2.11", "192.0.2.12"]);
    // And what it knew without room, it still knows after a restart.
    host.systemctl("restart");
    host.await_clients(&[NEAR[0], "192.0.2.11", "192.0.2.12"]);
}

/// A client that has never logged in.
const STRANGER: &str = "192.0.2.12";

/// How often the service has told that somebody else has changed the map.
fn told(host: &Host) -> usize {
    let lines = host.service_journal();
    let told = lines
        .iter()
        .filter(|line| line.starts_with("somebody else"));
    told.count()
}

fn what_others_do_to_the_map_is_mended(release: Release) {
    let host = Host::with_service(release, "");
    let (kind, index) = (host.map_type(), host.map_index());
    // A backup from when nobody was listed, and a map that lists a stranger.
    host.sh(&format!(
        "mkdir /root/backup /root/other; cp -a {STATE}/clients* /root/backup
         echo '{STRANGER} OK' >/root/other/clients; postmap {kind}:/root/other/clients"
    ));
    fetch_mail(&host, NEAR[0]);
    host.await_clients(&[NEAR[0]]);
    let permits = |client| {
        let table = format!("{kind}:{STATE}/clients");
        let found = host.try_run(&["postmap", "-q", client, &table]);
        found.succeeded() && found.stdout.trim() == "OK"
    };
    for script in [
        format!("rm {index}"),
        "rm clients clients.lock".to_owned(),
        "cp -a /root/backup/* .".to_owned(),
        format!("cat /root/other/{index} >{index}"),
        format!("cp /root/other/* .; postmap {kind}:{STATE}/clients"),
        format!("chown postfix: {index}"),
        format!("chmod 600 {index} clients"),
        "chmod 666 clients.lock".to_owned(),
    ] {
        // One at a time; several in a row are told of as a fight.
        host.systemctl("restart");
        let before = told(&host);
        let start = Instant::now();
        host.sh(&format!("cd {STATE} && {script}"));
        wait_until(&script, SOON, || {
            let rights = host.sh(&format!(
                "cd {STATE} && stat -c '%n %U %a' {index} clients clients.lock || true"
            ));
            let right = format!(
                "{index} pop-before-smtp 644\nclients pop-before-smtp 644\n\
                 clients.lock pop-before-smtp 600"
            );
            (rights == right && permits(NEAR[0]) && !permits(STRANGER)).then_some(())
        });
        println!("{script}: mended after {:?}", start.elapsed());
        assert_eq!(send_mail(&host, NEAR[0]), Answer::Accepted, "{script}");
        assert_eq!(send_mail(&host, STRANGER), Answer::Refused, "{script}");
        assert!(host.status().problems.is_empty(), "{script}");
        assert_eq!(told(&host), before + 1, "{script}");
    }

    // What the service can't mend is a problem until a restart puts it right.
    for script in [
        format!("chmod 700 {STATE}"),
        format!("chown --recursive root: {STATE}"),
        format!("rm {STATE}/clients*; chown root: {STATE}"),
        format!("mv {STATE} /var/lib/away"),
    ] {
        host.systemctl("restart");
        host.sh(&script);
        let problems = wait_until("status tells of it", SOON, || {
            let problems = host.status().problems;
            (!problems.is_empty()).then_some(problems)
        });
        println!("{script}: {problems:?}");
        // What is there and can't be written to is not taken for missing.
        let is_missing = problems.iter().any(|said| said.contains("must exist"));
        assert!(
            !is_missing || script.starts_with("mv "),
            "{script}: {problems:?}"
        );
        host.systemctl("restart");
        assert!(host.status().problems.is_empty(), "{script}");
        host.await_clients(&[NEAR[0]]);
        assert_eq!(send_mail(&host, NEAR[0]), Answer::Accepted, "{script}");
    }
}

#[test]
fn what_others_do_to_the_map_is_mended_on_bookworm() {
    what_others_do_to_the_map_is_mended(Release::Bookworm);
}

#[test]
fn what_others_do_to_the_map_is_mended_on_trixie() {
    what_others_do_to_the_map_is_mended(Release::Trixie);
}

fn every_map_type_works(release: Release) {
    let host = Host::with_service(release, "");
    let types = ["lmdb", "cdb", "hash", "btree"];
    for (n, kind) in types.into_iter().enumerate() {
        host.write_file(SETTINGS, &format!("[map]\ntype = \"{kind}\"\n"));
        let restarted = host.systemctl("restart");
        assert!(restarted.succeeded(), "{kind}: {}", restarted.transcript());
        let map = host.status().map.unwrap();
        assert_eq!(
            (map.path, map.kind.as_str()),
            (format!("{STATE}/clients"), kind)
        );
        host.run(&[
            "postconf",
            "-e",
            &format!(
                "smtpd_relay_restrictions = permit_mynetworks, check_client_access \
                 {kind}:{STATE}/clients, reject_unauth_destination"
            ),
        ]);
        host.run(&["postfix", "reload"]);
        for client in [
            format!("192.0.2.{}", 11 + n),
            format!("2001:db8::{}", 11 + n),
        ] {
            assert_eq!(
                send_mail(&host, &client),
                Answer::Refused,
                "{kind} {client}"
            );
            fetch_mail(&host, &client);
            let table = format!("{kind}:{STATE}/clients");
            wait_until("the client is in the map", SOON, || {
                host.try_run(&["postmap", "-q", &client, &table])
                    .succeeded()
                    .then_some(())
            });
            assert_eq!(
                send_mail(&host, &client),
                Answer::Accepted,
                "{kind} {client}"
            );
        }
        assert!(host.status().problems.is_empty());
    }
}

#[test]
fn every_map_type_works_on_bookworm() {
    every_map_type_works(Release::Bookworm);
}

#[test]
fn every_map_type_works_on_trixie() {
    every_map_type_works(Release::Trixie);
}
