//! What the service costs its host, and what it could do to it.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::host::{Host, wait_until};
use crate::image::Release;
use crate::mail::fetch_mail;
use crate::service::SOON;

/// How often each thread of a process has gone to sleep so far: as often as it woke.
fn wakings(host: &Host, process: u32) -> BTreeMap<String, u64> {
    let counts = host.sh(&format!(
        "cd /proc/{process}/task && for thread in *; do
             sed -n \"s/^voluntary_ctxt_switches:/$(cat $thread/comm) $thread/p\" $thread/status
         done"
    ));
    let mut threads = BTreeMap::new();
    for line in counts.lines() {
        let (thread, count) = line.rsplit_once('\t').unwrap();
        *threads.entry(thread.to_owned()).or_default() += count.parse::<u64>().unwrap();
    }
    threads
}

/// The microseconds of processor time that the service has used.
fn processor_time(host: &Host) -> u64 {
    let usage = host.sh("cat /sys/fs/cgroup/system.slice/pop-before-smtp.service/cpu.stat");
    let line = usage
        .lines()
        .find_map(|line| line.strip_prefix("usage_usec "));
    line.unwrap().parse().unwrap()
}

fn last_entry(host: &Host) -> String {
    host.sh("journalctl --quiet --lines=1 --show-cursor --output=cat")
}

/// With clients listed and nothing going on, only the watchdog wakes it.
fn sleeps_when_idle(host: &Host) {
    let window = Duration::from_secs(10);
    let process = host.main_process();
    let watchdog = host.service_property("WatchdogUSec");
    assert!(
        !["0", "infinity"].contains(&watchdog.as_str()),
        "a watchdog is set"
    );
    // Whatever is written to the journal wakes its readers, and it should: a window in which
    // something was written, or shortly before it, says nothing.
    let window_after = |pause: Duration| {
        let entry = last_entry(host);
        std::thread::sleep(pause);
        let (before, used) = (wakings(host, process), processor_time(host));
        std::thread::sleep(window);
        let mut woken = wakings(host, process);
        let used = processor_time(host) - used;
        for (thread, count) in &mut woken {
            *count -= before.get(thread).unwrap_or(&0);
        }
        (last_entry(host) == entry).then_some((woken, used))
    };
    // For ten seconds after a login, the reader looks for more of them (journal.look-every).
    let (woken, used) = wait_until("ten quiet seconds", Duration::from_secs(120), || {
        window_after(Duration::from_secs(12))
    });
    println!("idle for {window:?}: wakings {woken:?}; {used} µs of processor time");
    // Two beats of the watchdog may fall into the window, and a beat may wake each of three threads.
    let all: u64 = woken.values().sum();
    assert!(all <= 6, "{all} wakings in {window:?}: {woken:#?}");
    assert!(used < 5_000, "{used} µs of processor time in {window:?}");
}

/// Ten thousand clients, each with an open session.
fn holds_little_memory(host: &Host) {
    let login = |n: u32| {
        let address = match n % 2 {
            0 => format!("198.18.{}.{}", n / 250, n % 250 + 1),
            _ => format!("2001:db8:1::{n:x}"),
        };
        format!(
            "imap-login: Login: user=<user{}>, method=PLAIN, rip={address}, lip=192.0.2.1, \
             mpid={n}, TLS, session=<s{n:05}>",
            n % 100
        )
    };
    let lines: Vec<String> = (0..10_000).map(login).collect();
    host.as_dovecot(&lines);
    wait_until("ten thousand clients are in the map", SOON * 3, || {
        (host.map_clients().len() >= 10_000).then_some(())
    });
    let anonymous = || {
        let status = host.sh(&format!("cat /proc/{}/status", host.main_process()));
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("RssAnon:"));
        let kilobytes = line.unwrap().trim().trim_end_matches(" kB");
        kilobytes.parse::<u64>().unwrap()
    };
    // Also after it was asked for all of them, and after it has read them from its store.
    assert!(host.list().len() >= 10_000);
    let (grown, listed) = (anonymous(), host.status().clients);
    host.systemctl("restart");
    assert_eq!(host.status().clients, listed);
    let loaded = anonymous();
    println!("anonymous memory with {listed} clients: {grown} kB grown, {loaded} kB loaded");
    for kilobytes in [grown, loaded] {
        assert!(kilobytes < 20 * 1024, "{kilobytes} kB of anonymous memory");
    }
}

#[test]
fn little_work_and_little_memory() {
    let host = Host::with_service(Release::any(), "");
    // What ten thousand entries at once would run into is the journal's limit for one unit.
    host.write_file(
        "/etc/systemd/journald.conf.d/test.conf",
        "[Journal]\nRateLimitIntervalSec=0\n",
    );
    host.run(&["systemctl", "restart", "systemd-journald"]);
    fetch_mail(&host, "192.0.2.11");
    host.await_clients(&["192.0.2.11"]);
    sleeps_when_idle(&host);
    holds_little_memory(&host);
}

fn exposes_little(release: Release) {
    let host = Host::with_service(release, "");
    // In tenths; SECURITY.md says what they are for.
    for (unit, tenths) in [
        ("pop-before-smtp.service", 2),
        ("pop-before-smtp-expire.service", 2),
        ("pop-before-smtp-networks.service", 9),
        ("pop-before-smtp-metrics.service", 6),
        ("pop-before-smtp-store@store.service", 11),
    ] {
        let analysed = host.try_run(&[
            "systemd-analyze",
            "security",
            "--no-pager",
            &format!("--threshold={tenths}"),
            unit,
        ]);
        assert!(analysed.succeeded(), "{}", analysed.transcript());
        let last = analysed.stdout.lines().last().unwrap_or_default();
        println!("{last}");
        assert!(last.contains("exposure level"), "{last}");
    }
    // It runs as nobody in particular, and nothing of it listens.
    let process = host.main_process();
    let status = host.sh(&format!("cat /proc/{process}/status"));
    assert!(status.contains("CapEff:\t0000000000000000"), "{status}");
    let user = host.sh(&format!("ps -o user:32= -p {process}"));
    assert_eq!(user.trim(), "pop-before-smtp");
    let sockets = host.sh("ss --all --numeric --processes --tcp --udp");
    assert!(!sockets.contains("pop-before-smtp"), "{sockets}");
    let mode = host.sh("stat -c '%U %G %a' /run/pop-before-smtp/control");
    assert_eq!(mode.trim(), "root pop-before-smtp 660");
    cannot_call_what_it_does_not_need(&host);
}

/// Makes some system calls, and says what came of each. Those with a number have the same one on every
/// processor.
const CALLS: &str = r#"use Errno;
sub said { my ($name, $done) = @_; print "$name ", defined $done && $done != -1 ? "done" : (grep { $!{$_} } keys %!)[0], "\n" }
said("io_uring_setup", syscall(425, 1, 0));
said("process_madvise", syscall(440, -1, 0, 0, 0, 0));
said("shmget", shmget(0, 4096, 0600));
said("semget", semget(0, 1, 0600));
said("close_range", syscall(436, 100, 200, 0));
"#;

/// A program in each unit's sandbox is refused calls that it may make elsewhere on the same host.
fn cannot_call_what_it_does_not_need(host: &Host) {
    let program = "/usr/local/share/calls.pl";
    host.write_file(program, CALLS);
    let elsewhere = host.run(&["perl", program]);
    assert!(!elsewhere.contains("EPERM"), "{elsewhere}");
    // What a unit of a store needs before it starts anything.
    for file in ["key", "known_hosts", "ssh_config"] {
        host.write_file(&format!("/etc/pop-before-smtp/stores/store/{file}"), "");
    }
    for unit in [
        "pop-before-smtp.service",
        "pop-before-smtp-expire.service",
        "pop-before-smtp-networks.service",
        "pop-before-smtp-store@store.service",
    ] {
        let drop_in = format!("/run/systemd/system/{unit}.d/calls.conf");
        let start = format!("[Service]\nExecStartPre=/usr/bin/perl {program}\n");
        host.write_file(&drop_in, &start);
        host.run(&["systemctl", "daemon-reload"]);
        // How the unit itself goes on does not matter here.
        host.try_run(&["systemctl", "restart", unit]);
        let unit_is = format!("_SYSTEMD_UNIT={unit}");
        let said = wait_until(unit, SOON, || {
            let said = host.journal(&["--identifier=perl", &unit_is]);
            (said.len() >= 5).then_some(said)
        });
        let expected = [
            "io_uring_setup EPERM",
            "process_madvise EPERM",
            "shmget EPERM",
            "semget EPERM",
            "close_range done",
        ];
        assert_eq!(said[..5], expected, "{unit}");
    }
}

#[test]
fn exposes_little_on_bookworm() {
    exposes_little(Release::Bookworm);
}

#[test]
fn exposes_little_on_trixie() {
    exposes_little(Release::Trixie);
}
