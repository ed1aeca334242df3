//! `doctor` where there is nothing to examine: it says so, point by point, and comes to its end.

use std::fs;
use std::process::Command;

use serde_json::Value;

/// Examines this machine with this configuration, and this main.cf.
fn examine(config: &str, main_cf: Option<&str>) -> Vec<Value> {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config.toml");
    fs::write(&file, config).unwrap();
    if let Some(text) = main_cf {
        fs::write(directory.path().join("main.cf"), text).unwrap();
        fs::write(directory.path().join("master.cf"), "").unwrap();
    }
    let output = Command::new(env!("CARGO_BIN_EXE_pop-before-smtp"))
        .args([
            "doctor",
            "--json",
            "--socket",
            "/nonexistent/control",
            "--config",
        ])
        .arg(&file)
        .env("MAIL_CONFIG", directory.path())
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
    serde_json::from_slice(&output.stdout).unwrap()
}

#[track_caller]
fn assert_wrong(points: &[Value], name: &str, part: &str) {
    let says = |point: &&Value| {
        point["point"] == name
            && point["verdict"] == "wrong"
            && point["finding"]
                .as_str()
                .is_some_and(|text| text.contains(part))
            && point["mend"].is_string()
    };
    assert!(
        points.iter().any(|point| says(&point)),
        "no {name}, {part:?}: {points:#?}"
    );
}

const EMPTY_JOURNAL: &str = "[journal]\ndirectory = \"/nonexistent/journal\"\n";

#[test]
fn without_a_main_cf() {
    let points = examine(EMPTY_JOURNAL, None);
    assert_wrong(&points, "postfix", "main.cf");
    // What nobody could look at is not called right.
    let old = points
        .iter()
        .find(|point| point["point"] == "perl-daemon")
        .unwrap();
    assert_eq!(old["verdict"], "unknown", "{points:#?}");
}

#[test]
fn with_a_main_cf_that_is_none() {
    let points = examine(EMPTY_JOURNAL, Some("# no more than\nnonsense\n"));
    assert_wrong(&points, "postfix", "nonsense");
}

#[test]
fn with_an_empty_main_cf() {
    let points = examine(EMPTY_JOURNAL, Some("compatibility_level = 3.6\n"));
    assert_wrong(&points, "relay-restrictions", "master.cf has no smtpd");
}

#[test]
fn with_a_configuration_that_is_wrong() {
    let points = examine("gracious = true\n", Some("compatibility_level = 3.6\n"));
    assert_wrong(&points, "configuration", "gracious");
}
