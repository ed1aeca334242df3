//! Where journald drops lines of a server, by its rate limit: the loss is exactly what journald says that it is,
//! and doctor tells.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::thread;
use std::time::Duration;

use super::Stage;
use crate::host::{Host, wait_until};
use crate::service::SOON;

/// Lines at once, in a unit that may write a part of them.
const LINES: usize = 400;
/// What a second may take, at most, of this unit; journald lets through some times as much where there is
/// much room on the disk.
const INTERVAL: Duration = Duration::from_secs(2);
const BURST: usize = 20;
/// What the addresses of these clients begin with.
const NETWORK: &str = "100.64.";
/// journald's message when it drops a unit's entries (sd-messages.h, SD_MESSAGE_JOURNAL_DROPPED).
const DROPPED: &str = "a596d6fe7bfa4994828e72309e95d61e";

/// A unit, and what it writes to syslog, line by line, as Dovecot's log process does.
pub fn pipe(host: &Host, unit: &str, properties: &[&str]) -> File {
    let properties: String = properties
        .iter()
        .map(|property| format!("--property={property} "))
        .collect();
    host.sh(&format!(
        "mkfifo /run/{unit}.lines
         systemd-run --quiet --unit={unit} --property=StandardInput=file:/run/{unit}.lines \
             {properties} logger --tag dovecot --priority mail.info"
    ));
    let path = host.path(&format!("/run/{unit}.lines"));
    OpenOptions::new().write(true).open(path).unwrap()
}

/// What journald says that it has dropped of a unit.
fn dropped(host: &Host, unit: &str) -> usize {
    let told = host.sh(&format!(
        "journalctl --quiet --output=json MESSAGE_ID={DROPPED} OBJECT_SYSTEMD_UNIT={unit}"
    ));
    let number = |line: &str| {
        let entry: serde_json::Value = serde_json::from_str(line).unwrap();
        entry["N_DROPPED"]
            .as_str()
            .unwrap()
            .parse::<usize>()
            .unwrap()
    };
    told.lines().map(number).sum()
}

pub fn what_is_dropped_is_told(stage: &Stage) {
    let host = &stage.host;
    assert_eq!(dropped(host, "dovecot.service"), 0);
    let interval = format!("LogRateLimitIntervalSec={}s", INTERVAL.as_secs());
    let burst = format!("LogRateLimitBurst={BURST}");
    let mut lines = pipe(host, "dovecot-log", &[&interval, &burst]);
    let login = |number: usize| {
        format!(
            "imap-login: Login: user=<tom>, method=PLAIN, rip={NETWORK}{}.{}, lip=192.0.2.1, \
             mpid={number}, TLS, session=<d{number}>\n",
            number / 250,
            number % 250 + 1
        )
    };
    let many: String = (1..LINES).map(login).collect();
    lines.write_all(many.as_bytes()).unwrap();
    // journald tells with the first line that comes when the interval is over.
    thread::sleep(INTERVAL + Duration::from_millis(500));
    lines.write_all(login(LINES).as_bytes()).unwrap();
    let last = format!("{NETWORK}{}.{}", LINES / 250, LINES % 250 + 1);
    let listed = wait_until("the last login is in the list", SOON, || {
        let listed = stage.listed();
        listed.contains(&last).then_some(listed)
    });
    let kept = listed
        .iter()
        .filter(|client| client.starts_with(NETWORK))
        .count();
    let dropped = dropped(host, "dovecot-log.service");
    assert!(dropped > LINES / 4, "{dropped} were dropped");
    assert_eq!(kept + dropped, LINES, "{dropped} were dropped");
    let doctor = host.try_run(&["pop-before-smtp", "doctor"]).stdout;
    let words = doctor.split_whitespace().collect::<Vec<_>>().join(" ");
    let finding = format!("journald has dropped {dropped} entries of dovecot-log.service");
    assert!(words.contains(&finding), "{doctor}");
    stage.note(format!(
        "of {LINES} logins, journald dropped and told of {dropped}"
    ));
}
