//! The captured journals of real servers: exactly their logins and logouts, and nothing else.

mod journal_files;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use journal_files::JournalFiles;
use serde_json::Value;

fn capture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/captures")
        .join(name)
}

fn test_json(journal: &JournalFiles, options: &[&str]) -> Vec<Value> {
    let output = Command::new(env!("CARGO_BIN_EXE_pop-before-smtp"))
        .args(["test", "--json", "--directory"])
        .arg(journal.path())
        .args(options)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{errors}");
    let lines = String::from_utf8(output.stdout).unwrap();
    lines
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn events(lines: &[Value]) -> String {
    let field = |line: &Value, name: &str| line[name].as_str().unwrap_or("-").to_owned();
    let event = |line: &Value| {
        ["event", "client", "user", "session"]
            .map(|name| field(line, name))
            .join("\t")
            + "\n"
    };
    lines.iter().map(event).collect()
}

fn yields_its_events(name: &str) {
    let journal = JournalFiles::import(&fs::read(capture(name).join("journal.export")).unwrap());
    let expected = fs::read_to_string(capture(name).join("events")).unwrap();
    assert!(!expected.is_empty());
    let lines = test_json(&journal, &[]);
    assert_eq!(events(&lines), expected, "{name}");
    let keys = [
        "client",
        "event",
        "identifier",
        "message",
        "reason",
        "server",
        "session",
        "time",
        "user",
    ];
    for line in lines {
        let mut found: Vec<_> = line.as_object().unwrap().keys().cloned().collect();
        found.sort();
        assert_eq!(found, keys);
        line["time"]
            .as_str()
            .unwrap()
            .parse::<jiff::Timestamp>()
            .unwrap();
    }
}

#[test]
fn dovecot_2_3() {
    yields_its_events("dovecot-2.3");
}

#[test]
fn dovecot_2_3_verbose() {
    yields_its_events("dovecot-2.3-verbose");
}

#[test]
fn dovecot_2_4() {
    yields_its_events("dovecot-2.4");
}

#[test]
fn dovecot_2_4_verbose() {
    yields_its_events("dovecot-2.4-verbose");
}

#[test]
fn forged_entries_are_refused() {
    yields_its_events("forged");
    let export = fs::read(capture("forged").join("journal.export")).unwrap();
    let journal = JournalFiles::import(&export);
    let reasons: Vec<_> = test_json(&journal, &[])
        .iter()
        .map(|line| line["reason"].as_str().unwrap().to_owned())
        .collect();
    assert!(
        reasons[0].contains("uid 1000, unit run-u2.service"),
        "{reasons:?}"
    );
    assert!(
        reasons[0].contains("[senders.dovecot] users = [\"1000\"] units"),
        "{reasons:?}"
    );
    assert!(
        reasons[3].contains("(uid 0, unit run-u7.service)"),
        "{reasons:?}"
    );
    // Whoever brings a journal from another host can't check its senders.
    let any = test_json(&journal, &["--any-sender"]);
    assert!(any.iter().all(|line| line["event"] == "login"), "{any:?}");
}

#[test]
fn entries_that_come_near_are_shown_on_demand() {
    let export = fs::read(capture("dovecot-2.3").join("journal.export")).unwrap();
    let lines = test_json(&JournalFiles::import(&export), &["--missed"]);
    let missed: Vec<_> = lines
        .iter()
        .filter(|line| line["event"] == "missed")
        .collect();
    assert_eq!(missed.len(), 13);
    assert!(
        missed
            .iter()
            .all(|line| line["client"].is_null() && !line["reason"].is_null())
    );
    assert!(
        missed
            .iter()
            .any(|l| l["message"].as_str().unwrap().contains("Aborted login"))
    );
}
