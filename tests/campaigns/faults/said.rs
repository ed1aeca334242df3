//! What a host says of a fault, without what differs from one time to the next, and the table of it.

use regex::Regex;
use serde_json::Value;

use crate::host::Host;

/// The ids of our messages, by their names.
const IDS: &str = include_str!("../../../src/diagnostics/message_id.rs");

/// What was found of one fault.
pub struct Row {
    pub what: &'static str,
    pub promise: &'static str,
    /// Who always may.
    pub always: &'static str,
    pub who_logs_in: &'static str,
    pub whose_grace_has_passed: String,
    pub status: String,
    pub doctor: String,
    pub journal: String,
    pub mend: &'static str,
}

/// Whether `status` fails, and what it says is wrong.
pub fn status(host: &Host) -> (bool, String) {
    let asked = host.try_run(&["timeout", "10", "pop-before-smtp", "status", "--json"]);
    let problems = match serde_json::from_str::<Value>(&asked.stdout) {
        Ok(status) => status["problems"]
            .as_array()
            .unwrap()
            .iter()
            .map(|problem| same(problem.as_str().unwrap()))
            .collect(),
        // 124 is timeout's: it would wait for a minute.
        Err(_) if asked.code == Some(124) => vec!["the service does not answer".to_owned()],
        Err(_) => vec![same(asked.stderr.trim())],
    };
    let is_ill = asked.code != Some(0);
    assert_eq!(is_ill, !problems.is_empty(), "{}", asked.transcript());
    (is_ill, problems.join("<br>"))
}

/// The points of `doctor` that are wrong, or that it can't look at.
pub fn doctor(host: &Host) -> Vec<String> {
    let asked = host.try_run(&["pop-before-smtp", "doctor", "--json"]);
    let points: Value = serde_json::from_str(&asked.stdout).unwrap();
    let points = points.as_array().unwrap().iter();
    points
        .filter(|point| point["verdict"] == "wrong" || point["verdict"] == "unknown")
        .map(|point| format!("`{}`", point["point"].as_str().unwrap()))
        .collect()
}

/// Each message of the service since then that is a warning or worse, once, with the name of its id.
pub fn journal(host: &Host, since: &str) -> String {
    let found = host.run(&[
        "journalctl",
        "--quiet",
        "--output=json",
        "--unit=pop-before-smtp.service",
        "--unit=pop-before-smtp-expire.service",
        "--priority=warning",
        &format!("--since=@{since}"),
    ]);
    let mut said: Vec<String> = Vec::new();
    for line in found.lines() {
        let entry: Value = serde_json::from_str(line).unwrap();
        let text = |field: &str| entry[field].as_str().unwrap_or_default().to_owned();
        let name = name_of(&text("MESSAGE_ID"));
        let message = match (name, text("SYSLOG_IDENTIFIER").as_str()) {
            (Some(name), _) => format!("{} ({name})", same(&text("MESSAGE"))),
            (None, "pop-before-smtp") => same(&text("MESSAGE")),
            (None, _) => continue,
        };
        if !said.contains(&message) {
            said.push(message);
        }
    }
    // A matter of a moment whether it was tried before somebody's grace had passed.
    if said
        .iter()
        .any(|text| text.contains("REMOVAL_NOT_PUBLISHED"))
    {
        said.retain(|text| !text.contains("the old one is kept"));
    }
    said.join("<br>")
}

/// The name of one of our ids.
fn name_of(id: &str) -> Option<&'static str> {
    let line = IDS
        .lines()
        .find(|line| !id.is_empty() && line.contains(id))?;
    line.strip_prefix("pub const ")?.split(':').next()
}

/// The same each time: without times, numbers of processes and users, and the line that is one cell.
fn same(text: &str) -> String {
    let mut text = text.replace('\n', "<br>").replace('|', "\\|");
    for (pattern, instead) in [
        (r"[0-9a-f]{8,}-[0-9a-f]+-[0-9a-f]+", "…"),
        (r"[0-9a-f]{32}", "…"),
        (r"\d{4}-\d\d-\d\d[ T][0-9:.]+Z?", "…"),
        (r"next try in \d+ s", "next try in … s"),
        (r"(uid|gid) \d+", "$1 …"),
        (r"(published again: \S+) [^;<]*", "$1 …"),
        // Of the release: its numbers of users, and where systemd looks for programs.
        (r"(no longer to) \d+ and \d+", "$1 … and …"),
        (r"(postmap not found in) [^ ]+:", "$1 …:"),
        // A place in sled's log.
        (r"lsn \d+", "lsn …"),
        (r"\d{5,}", "…"),
    ] {
        let pattern = Regex::new(pattern).unwrap();
        text = pattern.replace_all(&text, instead).into_owned();
    }
    text
}

const HEAD: &str = "\
# Faults

What happens when something is broken, as it was found by breaking it (README.md, chapter \"faults\"). Of each
fault:

- **always**: whether a client relays whose session is open all the time;
- **a login meanwhile**: whether a client relays that logs in during the fault. \"Later\": once it is mended, it
  does, without another login;
- **a grace that ends meanwhile**: whether a client is kept out of the access map when its time is over. A
  client that stays in is told of;
- nobody else relays, ever.

`status` fails with what is told here, and `doctor` names these points. The journal has these warnings, with the
name of their id (`src/diagnostics/message_id.rs`).

| broken | promised | always | a login meanwhile | a grace that ends meanwhile | `status` | `doctor` | journal | what mends it |
|---|---|---|---|---|---|---|---|---|
";

const ELSEWHERE: &str = "
Other tests play these, though not each of them looks at all of the above:

| broken | promised | shown by |
|---|---|---|
";

/// The table: what was found, and of the other faults what was written before.
pub fn table(
    all: impl Iterator<Item = &'static str>,
    found: &[Row],
    elsewhere: &[(&str, &str, &str)],
    written: &str,
) -> String {
    let mut table = HEAD.to_owned();
    for what in all {
        let begins = format!("| {what} |");
        match found.iter().find(|row| row.what == what) {
            Some(row) => table += &row.line(),
            None => {
                let before = written.lines().find(|line| line.starts_with(&begins));
                table += &before.map(|line| format!("{line}\n")).unwrap_or_default();
            }
        }
    }
    table += ELSEWHERE;
    for (what, promise, test) in elsewhere {
        table += &format!("| {what} | {promise} | {test} |\n");
    }
    table
}

impl Row {
    fn line(&self) -> String {
        let or_nothing = |text: &str| match text {
            "" => "nothing".to_owned(),
            text => text.to_owned(),
        };
        format!(
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} |\n",
            self.what,
            self.promise,
            self.always,
            self.who_logs_in,
            self.whose_grace_has_passed,
            or_nothing(&self.status),
            or_nothing(&self.doctor),
            or_nothing(&self.journal),
            self.mend
        )
    }
}
